"""The frontier as one picture: a panel per task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .curves import Curve, auto_curve, mean_curve
from .measure import Row
from .others import DISTILLED, KINDS, PROBE, OtherRow
from .policies import PAPER

COLUMNS = 4
Style = tuple[str, str, float]  # line, colour, width
STYLES: dict[str, Style] = {
    "auto, our codec": ("-", "C3", 2.2),
    "equal quotas, our codec": ("-", "C1", 1.2),
    "paper: lowest energy": ("-", "black", 2.2),
    "paper: Safety-Net 0.5": ("--", "C0", 1.0),
    "paper: Safety-Net -0.2": ("--", "C9", 1.0),
    "paper: highest energy": (":", "C5", 1.0),
    "paper: lowest entropy": ("--", "C4", 1.0),
    "random": (":", "0.5", 1.2),
    "linear probe": ("-.", "C2", 1.5),
    "JPEG, random": ("-.", "C6", 1.0),
    "JPEG, k-center": ("-.", "C8", 1.0),
    "distilled images": ("-.o", "C7", 1.0),
}


def curves(rows: Sequence[Row], others: Sequence[OtherRow]) -> dict[str, Curve]:
    """All curves of one task: bytes and mean test accuracy."""
    out = {
        "auto, our codec": auto_curve(rows, "ours"),
        "equal quotas, our codec": mean_curve([row for row in rows if row.policy == "equal quotas"], "ours"),
    }
    out |= {name: mean_curve([row for row in rows if row.policy == name], "paper") for name in PAPER}
    for kind in KINDS:
        mine = [row for row in others if row.kind == kind]
        if mine:
            out[kind] = auto_curve(mine, "bytes") if kind in (PROBE, DISTILLED) else mean_curve(mine, "bytes")
    return out


def draw(rows: Sequence[Row], others: Sequence[OtherRow], path: Path, largest: int) -> Path:
    """Write the picture; its format is the suffix of the path."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "plada"
    from matplotlib import pyplot

    tasks = list(dict.fromkeys(row.task for row in rows))
    lines = -(-(len(tasks) + 1) // COLUMNS)
    figure, grid = pyplot.subplots(lines, COLUMNS, figsize=(3.6 * COLUMNS, 3.2 * lines), layout="constrained")
    panels = list(grid.flat)
    for task, axes in zip(tasks, panels):
        own = [row for row in rows if row.task == task]
        found = curves(own, [row for row in others if row.task == task])
        for name, curve in found.items():
            line, colour, width = STYLES[name]
            if curve:
                sizes, accuracies = zip(*curve)
                axes.plot(sizes, [100 * value for value in accuracies], line, color=colour, linewidth=width, label=name)
        seeds = len({row.seed for row in own})
        axes.set(xscale="log", xlim=(50, largest), title=f"{task}, {seeds} seed{'s' if seeds > 1 else ''}")
        axes.grid(alpha=0.3)
        axes.set_xlabel("bytes, without class names")
        axes.set_ylabel("test accuracy, %")
    handles = {name: axes for axes in panels[: len(tasks)] for name in axes.get_legend_handles_labels()[1]}
    shown = [
        next(line for line in axes.get_lines() if line.get_label() == name) for name, axes in handles.items()
    ]  # fmt: skip
    panels[len(tasks)].legend(shown, list(handles), loc="center", frameon=False)
    for axes in panels[len(tasks) :]:
        axes.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
    return path
