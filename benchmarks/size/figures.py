"""The figures asked of the adaptive codecs and what was reached, from the stored sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import mean

from benchmarks.paper_layouts import log2_choose

from .summary import Line, Row, of
from .totals import ARCHIVE, BARE_ARCHIVE, FORMATS, GENERAL, OURS, OURS_GROUPS, PAPER_NAME, ROARING

ZSTD, MODERN = GENERAL["zstd-19"], (GENERAL["brotli-11"], GENERAL["xz-9e"])


def figures(lines: Sequence[Line]) -> list[Row]:
    """One row per figure: bound to keep, aim, what was reached, whether it is kept ("aim", "yes", "NO")."""
    one = of(lines, "acceptance", "1.0 %")
    few = [x for x in lines if x.member.kind == "acceptance" and x.count <= 1000]
    uniform = [x for x in lines if x.member.kind == "uniform"]
    alone, grouped = (lambda part, theirs, ours=ours: over(part, ours, theirs) for ours in (OURS, OURS_GROUPS))
    large = [_index(x) / _limit(x) for x in uniform if x.count >= 10_000]
    small = [_index(x) - _limit(x) for x in uniform if x.count <= 10_000]
    bare, whole = ([title for title in FORMATS if title != other] for other in (ARCHIVE, BARE_ARCHIVE))
    archives = f"; zpaq on {sum(ARCHIVE in line.theirs for line in few)} of them"
    return [
        row("1 %: paper's layouts, Huffman or Zstd-19", 0.84, 0.80, alone(one, pair(PAPER_NAME))),
        row("1 %: Zstd-19, the best of all layouts", 0.84, 0.80, alone(one, pair(ZSTD))),
        row("1 %: Brotli and xz, best per stream", 0.95, 0.90, alone(one, streams(MODERN))),
        row("1 %: zpaq, whole archives", 1.00, 0.96, alone(one, streams([ARCHIVE]))),
        row("1 %: zpaq, without constant bytes", 1.00, 0.96, alone(one, streams([BARE_ARCHIVE]))),
        row("1 %, with groups: paper's layouts", 0.79, 0.73, grouped(one, pair(PAPER_NAME))),
        row("1 %, with groups: Zstd-19, the best of all layouts", 0.79, 0.73, grouped(one, pair(ZSTD))),
        row("uniform, k >= 10,000: index over log2 C(N, k)", 1.003, 1.001, large, worst=True, digits=5),
        row("uniform, k <= 10,000: index bytes above log2 C(N, k)", 6, 3, small, worst=True, digits=1),
        row("k = 100, 1,000: best of all, whole archives", 1.00, 0.95, alone(few, streams(whole)), more=archives),
        row(
            "k = 100, 1,000: best of all, zpaq without constant bytes",
            1.00,
            0.95,
            alone(few, streams(bare)),
            more=archives,
        ),
    ]


def row(
    figure: str,
    must: float,
    aim: float,
    values: Sequence[float],
    *,
    worst: bool = False,
    digits: int = 4,
    more: str = "",
) -> Row:
    """The mean of the values, or the largest where ``worst``, beside what is asked; ``more`` ends the note."""
    value = None if not values else max(values) if worst else mean(values)
    return {
        "figure": figure,
        "must": f"<= {must}",
        "aim": f"<= {aim}",
        "reached": "not measured" if value is None else f"{value:.{digits}f}",
        "ok": "NO" if value is None or value > must else "aim" if value <= aim else "yes",
        "note": f"{'worst' if worst else 'mean'} of {len(values)}"
        + (f", largest {max(values):.{digits}f}" if values and not worst else "")
        + more,
    }


def over(part: Sequence[Line], ours: str, theirs: Callable[[Line], int | None]) -> list[float]:
    """Our streams over theirs for each selection that has both."""
    sizes = [(line.ours[ours].both, theirs(line)) for line in part if ours in line.ours]
    return [mine / size for mine, size in sizes if size is not None]


def pair(title: str) -> Callable[[Line], int | None]:
    """Bytes of both streams of a format in the way that is smallest; None where it was not measured."""
    return lambda line: line.theirs[title].both if title in line.theirs else None


def streams(titles: Sequence[str]) -> Callable[[Line], int | None]:
    """The smallest index stream and the smallest label stream of some formats, or their smallest pair."""

    def best(line: Line) -> int | None:
        sizes = [line.theirs[title] for title in titles if title in line.theirs and title != ROARING]
        index = min((size.index for size in sizes if size.index is not None), default=None)
        label = min((size.label for size in sizes if size.label is not None), default=None)
        pairs = [size.both for size in sizes]
        return min(pairs if index is None or label is None else [*pairs, index + label], default=None)

    return best


def _index(line: Line) -> int:
    index = line.ours[OURS].index
    assert index is not None
    return index


def _limit(line: Line) -> float:
    """log2 C(N, k) in bytes."""
    return log2_choose(line.pool_size, line.count) / 8
