"""Accuracy against bytes, one figure per task."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .store import Row
from .tables import Summary, summarise

_STYLES = {"random": ("0.45", "--"), "low energy": ("tab:red", "-"), "high energy": ("tab:purple", ":")}
_COLOURS = ("tab:blue", "tab:green", "tab:orange", "tab:brown", "tab:pink", "tab:olive", "tab:cyan", "tab:gray")
_MARKS = "sD^vPX*<>"
_LONGEST = 10


def write_plots(rows: Sequence[Row], folder: Path | str) -> list[Path]:
    """``plots/TASK.svg`` for every task; the same bytes on the same rows.

    Raises:
        UserError: matplotlib is not installed.
    """
    try:
        import matplotlib
    except ModuleNotFoundError:
        raise UserError("plots need matplotlib; install plada[report], or pass --no-plots") from None
    summaries = summarise(rows)
    out = Path(folder) / "plots"
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    with matplotlib.rc_context({"svg.hashsalt": "plada", "svg.fonttype": "none", "font.size": 9}):
        for task in dict.fromkeys(summary.task for summary in summaries):
            path = out / f"{task}.svg"
            with atomic_write(path) as file:
                file.write(_figure(task, [summary for summary in summaries if summary.task == task]))
            paths.append(path)
    return paths


def _figure(task: str, mine: list[Summary]) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.6), layout="constrained")
    axes = figure.add_subplot()
    names = list(dict.fromkeys(s.name for s in mine if s.kind == "policy"))[:_LONGEST]
    for place, name in enumerate(names):
        points = sorted((s.bytes, s.test, s.spread) for s in mine if s.name == name and s.bytes and s.test is not None)
        colour, line = _STYLES.get(name, (_COLOURS[place % len(_COLOURS)], "-"))
        axes.errorbar(
            [p[0] for p in points], [100 * p[1] for p in points], yerr=[100 * (p[2] or 0) for p in points],
            color=colour, linestyle=line, marker=".", linewidth=1.3, capsize=2, label=name,
        )  # fmt: skip
    _others(axes, mine)
    axes.set_xscale("log")
    axes.set_xlabel("bytes of the whole file")
    axes.set_ylabel("test accuracy, %")
    axes.set_title(task)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def _others(axes: Any, mine: list[Summary]) -> None:
    marks = iter(_MARKS)
    for found in mine:
        if found.kind != "baseline" or found.test is None:
            continue
        if found.bytes is None:
            axes.axhline(100 * found.test, color="black", linewidth=0.8, label=found.name)
        else:
            axes.plot([found.bytes], [100 * found.test], next(marks, "o"), color="black", ms=5, label=found.name)
