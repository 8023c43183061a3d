"""Charts as inline SVG, coloured by the page's style sheet. Each is drawn for a narrow and for a wide screen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .text import esc, number, percent, signed, size_text

WIDTHS = {"narrow": 340, "wide": 760}
_LETTER = 7.0  # a generous mean width of the charts' letters


def responsive(draw: Callable[[int], str], label: str) -> str:
    """The chart at both widths; the style sheet shows one. ``label`` says what is to be seen."""
    drawn = "".join(
        f'<svg class="chart {name}" role="img" aria-label="{esc(label)}" viewBox="0 0 {width} {_height(width)}"'
        f' width="{width}" height="{_height(width)}">{draw(width)}</svg>'
        for name, width in WIDTHS.items()
    )
    return f'<div class="charts">{drawn}</div>'


def _height(width: int) -> int:
    return 260 if width < 500 else 320


@dataclass(frozen=True)
class Frame:
    """Where data lies in a chart: pixels of the plot area."""

    left: float
    right: float
    top: float
    bottom: float

    def x(self, share: float) -> float:
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, share: float) -> float:
        return round(self.bottom - share * (self.bottom - self.top), 1)


def _frame(width: int, rows: int = 1) -> Frame:
    """The plot area below the axis title and ``rows`` rows of labels."""
    return Frame(46, width - 12, 22 + 16 * rows, _height(width) - 44)


def _flag(frame: Frame, x: float, row: int, text: str) -> str:
    """A label above the plot, near x and inside the chart; row 0 is the lowest."""
    wide = _LETTER * len(text)
    return _text(max(frame.left, min(x + 4, frame.right - wide)), frame.top - 8 - 16 * row, text, anchor="start",
                 css="strong")  # fmt: skip


def _text(x: float, y: float, text: str, *, anchor: str = "middle", css: str = "") -> str:
    mark = f' class="{css}"' if css else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{mark}>{esc(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{css}"/>'


@dataclass(frozen=True)
class Cut:
    """Where images are cut off: at one score, or from ``low`` to ``high``, depending on the class."""

    low: float
    high: float
    label: str


def histogram(
    counts: NDArray[np.int64],
    kept: NDArray[np.int64],
    edges: NDArray[np.float64],
    *,
    score: str,
    cuts: Sequence[Cut] = (),
) -> str:
    """All images (counts) and kept ones by score, both on a logarithmic axis, with the cuts."""
    top = max(1.0, math.log10(max(2, int(counts.max()))))
    low, high = float(edges[0]), float(edges[-1])

    def height(value: int) -> float:
        return 0.0 if value < 1 else (math.log10(value) + 0.15) / (top + 0.15)

    def draw(width: int) -> str:
        frame = _frame(width, max(1, len(cuts)))
        parts = []
        for power in range(int(top) + 1):
            y = frame.y(height(10**power))
            parts += [_line(frame.left, y, frame.right, y, "grid"),
                      _text(frame.left - 6, y + 4, number(10**power), anchor="end")]  # fmt: skip
        for values, css in ((counts, "pool"), (kept, "kept")):
            parts.append(f'<path class="{css}" d="{_steps(frame, [height(int(v)) for v in values])}"/>')
        for row, cut in enumerate(cuts):
            first, last = (frame.x((value - low) / (high - low)) for value in (cut.low, cut.high))
            if last > first:
                parts.append(f'<path class="band" d="M{first:g} {frame.top}H{last:g}V{frame.bottom:g}H{first:g}Z"/>')
            for x in sorted({first, last}):
                parts.append(_line(x, frame.top - 4, x, frame.bottom, "cut" if row == 0 else "cut other"))
        parts += [_flag(frame, frame.x((cut.low - low) / (high - low)), row, cut.label) for row, cut in enumerate(cuts)]
        for tick in ticks(low, high, 4 if width < 500 else 8):
            x = frame.x((tick - low) / (high - low))
            parts += [_line(x, frame.bottom, x, frame.bottom + 4, "axis"),
                      _text(x, frame.bottom + 17, signed(tick, "g"))]  # fmt: skip
        parts.append(_line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
        parts.append(_text((frame.left + frame.right) / 2, frame.bottom + 36, f"{score} (low = sure)"))
        parts.append(_text(4, 12, "images", anchor="start"))
        return "".join(parts)

    label = (
        f"Histogram of the {score} of {number(int(counts.sum()))} pool images from {low:.3g} to {high:.3g};"
        f" {number(int(kept.sum()))} are kept"
    )
    return responsive(draw, label)


def _steps(frame: Frame, shares: Sequence[float]) -> str:
    out = [f"M{frame.left:g} {frame.bottom:g}"]
    for place, share in enumerate(shares):
        out.append(f"V{frame.y(share):g}H{frame.x((place + 1) / len(shares)):g}")
    return "".join(out) + f"V{frame.bottom:g}Z"


def ticks(low: float, high: float, wanted: int) -> list[float]:
    """About ``wanted`` round numbers between two."""
    raw = (high - low) / max(1, wanted)
    if not raw > 0 or not math.isfinite(raw):
        return [low]
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


@dataclass(frozen=True)
class Mark:
    """A point of the chart of accuracy against bytes.

    Attributes:
        letter: in the marker; the table beside the chart explains it.
        title: for the tooltip.
        bytes, accuracy, spread: where.
        kind: class: ``own`` (the payload), ``fits`` or ``over``.
    """

    letter: str
    title: str
    bytes: int
    accuracy: float
    spread: float = 0.0
    kind: str = "over"


@dataclass(frozen=True)
class Level:
    """A horizontal line: something without bytes, as the teacher."""

    title: str
    accuracy: float


def accuracy_chart(
    marks: Sequence[Mark],
    curves: Sequence[tuple[str, Sequence[tuple[int, float]]]],
    levels: Sequence[Level],
    budget: int | None,
) -> str:
    """Accuracy against bytes, bytes on a logarithmic axis. What lies left of the line at ``budget`` fits."""
    sizes = [mark.bytes for mark in marks] + [size for _, line in curves for size, _ in line]
    heights = [m.accuracy + sign * m.spread for m in marks for sign in (-1, 1)]
    heights += [a for _, line in curves for _, a in line] + [level.accuracy for level in levels]
    left, right = math.log10(max(1, min(sizes))) - 0.12, math.log10(max(sizes)) + 0.12
    if right - left < 1:
        left, right = (left + right) / 2 - 0.5, (left + right) / 2 + 0.5
    step = 0.1 if max(heights) - min(heights) > 0.25 else 0.05
    bottom = max(0.0, math.floor(min(heights) / step - 0.2) * step)
    top = min(1.0, math.ceil(max(heights) / step + 0.05) * step)

    def draw(width: int) -> str:
        frame = _frame(width)

        def place(size: float, accuracy: float) -> tuple[float, float]:
            share = (math.log10(max(1, size)) - left) / (right - left)
            return frame.x(share), frame.y((accuracy - bottom) / (top - bottom))

        parts = []
        for tick in ticks(100 * bottom, 100 * top, 6):
            y = place(10**left, tick / 100)[1]
            parts += [_line(frame.left, y, frame.right, y, "grid"),
                      _text(frame.left - 6, y + 4, f"{tick:g} %", anchor="end")]  # fmt: skip
        labelled = -math.inf
        for size in _sizes(left, right, narrow=width < 500):
            x = place(size, top)[0]
            parts.append(_line(x, frame.bottom, x, frame.bottom + 4, "axis"))
            if x - labelled > 52:
                parts.append(_text(min(x, frame.right - 18), frame.bottom + 17, _short_size(size)))
                labelled = x
        parts.append(_line(frame.left, frame.bottom, frame.right, frame.bottom, "axis"))
        parts.append(_text((frame.left + frame.right) / 2, frame.bottom + 36, "bytes sent"))
        parts.append(_text(4, 12, "test accuracy", anchor="start"))
        if budget:
            x = place(budget, top)[0]
            parts.append(_line(x, frame.top - 6, x, frame.bottom, "cut"))
            parts.append(_flag(frame, x, 0, "as many bytes"))
        taken: list[tuple[float, float]] = []
        for level in levels:
            y = place(10**left, level.accuracy)[1]
            text = f"{level.title} {percent(level.accuracy)}"
            parts += [_line(frame.left, y, frame.right, y, "level"), _text(frame.right, y - 5, text, anchor="end")]
            taken += [(frame.right - back, y - 8) for back in range(0, int(_LETTER * len(text)), 8)]
        for title, line in curves:
            if len(line) > 1:
                path = "L".join("{:g} {:g}".format(*place(*point)) for point in line)
                parts.append(f'<path class="curve" d="M{path}"><title>{esc(title)}</title></path>')
        parts += _markers(marks, place, frame, taken)
        return "".join(parts)

    best = max(marks, key=lambda mark: mark.accuracy)
    label = (
        f"Accuracy against bytes on a logarithmic axis: {len(marks)} points; highest {best.title} with"
        f" {percent(best.accuracy)} at {size_text(best.bytes)}. The table of baselines holds the same numbers."
    )
    return responsive(draw, label)


def _markers(
    marks: Sequence[Mark],
    place: Callable[[float, float], tuple[float, float]],
    frame: Frame,
    taken: list[tuple[float, float]],
) -> list[str]:
    """Letters in discs, moved aside where they would cover one another, with a thread to the true place.

    ``taken`` are places to keep clear of.
    """
    radius, parts, discs = 8.5, [], []
    for mark in sorted(marks, key=lambda m: (m.kind != "own", m.letter)):
        x, y = place(mark.bytes, mark.accuracy)
        spot = next(
            (
                (px, py)
                for px, py in _around(x, y, 2 * radius + 1)
                if frame.left + radius <= px <= frame.right - radius
                and frame.top <= py <= frame.bottom - radius
                and all(math.hypot(px - tx, py - ty) >= 2 * radius + 1 for tx, ty in taken)
            ),
            (x, y),
        )
        taken.append(spot)
        if mark.spread:
            low, high = (place(mark.bytes, mark.accuracy + sign * mark.spread)[1] for sign in (-1, 1))
            parts.append(_line(x, low, x, high, "spread"))
        if spot != (x, y):
            parts.append(_line(x, y, *spot, "thread"))
            parts.append(f'<circle cx="{x:g}" cy="{y:g}" r="2.5" class="dot"/>')
        title = f"{mark.title}: {percent(mark.accuracy)} at {size_text(mark.bytes)}"
        discs.append(
            f'<g class="mark {mark.kind}"><title>{esc(title)}</title>'
            f'<circle cx="{spot[0]:g}" cy="{spot[1]:g}" r="{radius}"/>'
            f"{_text(spot[0], spot[1] + 4, mark.letter)}</g>"
        )
    return parts + discs


def _around(x: float, y: float, step: float) -> list[tuple[float, float]]:
    spots = [(x, y)]
    for ring in range(1, 6):
        for turn in range(12):
            angle = 2 * math.pi * turn / 12
            spots.append((round(x + ring * step * math.cos(angle), 1), round(y + ring * step * math.sin(angle), 1)))
    return spots


def _sizes(left: float, right: float, *, narrow: bool) -> list[int]:
    """Ticks of a logarithmic axis of bytes."""
    wanted = (1,) if right - left > (2.2 if narrow else 4) else (1, 2, 5) if right - left < 2 else (1, 3)
    found = [factor * 10**power for power in range(10) for factor in wanted]
    return [size for size in found if left <= math.log10(size) <= right]


def _short_size(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size} B"
