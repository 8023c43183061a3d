"""Two pictures of the stored sizes: mean ratios by format, and our margin on every selection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from .sheet import RESULTS
from .summary import BOUND, BOUND_GROUPS, KINDS, README, Line, of, ratios
from .totals import ARCHIVE, FORMATS, OURS, OURS_GROUPS, ROARING

_COLOURS = {"uniform": "tab:grey", "acceptance": "tab:blue", "real": "tab:red"}
_LEFT_OUT = (ROARING, ARCHIVE)  # far to the right of all others on small selections; the table has them


def draw(lines: Sequence[Line], folder: Path = RESULTS) -> None:
    """Write ``sizes.png`` and ``margins.png``."""
    import matplotlib

    matplotlib.use("Agg")
    _draw_ratios(lines, folder / "sizes.png")
    _draw_margins(lines, folder / "margins.png")


def _draw_ratios(lines: Sequence[Line], path: Path) -> None:
    import matplotlib.pyplot as plt

    titles = [title for title in (*FORMATS, OURS, OURS_GROUPS, BOUND, BOUND_GROUPS) if title not in _LEFT_OUT]
    columns = [(head, part) for head, kind, name in README if (part := of(lines, kind, name))]
    rows = -(-len(columns) // 4)
    figure, axes = plt.subplots(rows, 4, figsize=(17, 4.6 * rows), sharey=True, layout="constrained", squeeze=False)
    for axis in axes.flat[len(columns) :]:
        axis.set_visible(False)
    for axis, (head, part) in zip(axes.flat, columns):
        for place, title in enumerate(titles):
            values = ratios(part, title)
            if values:
                colour = "tab:red" if title.startswith("plada") else "darkgrey" if "bound" in title else "tab:blue"
                axis.barh(place, mean(values), color=colour)
                axis.text(0.03, place, f"{mean(values):.3f}", va="center", fontsize=8, color="white")
        axis.set_title(f"{head} ({len(part)})", fontsize=10)
        axis.axvline(1, color="black", linewidth=0.8)
        axis.set_xlim(0, 1.6)
    for axis in axes[:, 0]:
        axis.set_yticks(range(len(titles)), titles, fontsize=8)
    axes[0, 0].invert_yaxis()
    figure.supxlabel(
        "bytes of both streams over the paper's best Huffman or Zstd-19 layout, mean (number of selections)"
    )
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _draw_margins(lines: Sequence[Line], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(10, 5.5), layout="constrained")
    for kind in KINDS:
        for ours, marker, name in ((OURS, "o", ""), (OURS_GROUPS, "+", " with groups")):
            points = [
                (line.count, line.ours[ours].both / min(size.both for size in line.theirs.values()))
                for line in lines
                if line.member.kind == kind and ours in line.ours
            ]
            if points:
                x, y = zip(*points)
                axis.scatter(x, y, s=22, marker=marker, linewidths=0.8, color=_COLOURS[kind], label=f"{kind}{name}")
    axis.axhline(1, color="black", linewidth=0.8)
    axis.set(xscale="log", xlabel="kept images", ylabel="plada's streams over the smallest other pair of streams")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=90)
    plt.close(figure)
