"""One HTML page of a run, with everything inside it."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .plan import Plan
from .state import STATE_NAME
from .synthetic import read_tensors

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .75rem;border-bottom:1px solid #ddd;text-align:left}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}figure{display:inline-block;margin:.5rem}
figcaption{font-size:.85rem;color:#555}img.sheet{image-rendering:pixelated}pre{overflow:auto;background:#f5f5f5}
"""


def write_report(folder: Path, output: Path) -> Path:
    """Write the page of the run in ``folder``.

    Raises:
        UserError: no run there.
        ImportError: matplotlib is not installed.
    """
    _, facts = read_tensors(folder, STATE_NAME, "plada distillation state", "a distillation run")
    history: list[dict[str, Any]] = list(facts["history"])
    if not history:
        raise UserError(f"{folder}: no iteration is finished yet")
    stored = {name: _json(folder / f"{name}.json") for name in ("run", "evaluation", "tune")}
    parts = [
        _head(stored["run"], history),
        _scores(stored["evaluation"]),
        "<h2>Images over time</h2>" + _pictures(folder),
        "<h2>Curves</h2>" + _curves(history),
        _bytes(folder, stored["run"], history),
        _tuning(stored["tune"]),
        "<h2>Settings</h2><pre>" + html.escape(json.dumps(stored["run"], indent=1, ensure_ascii=False)) + "</pre>",
    ]
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Distillation</title>'
        f"<style>{_STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(output) as file:
        file.write(page.encode())
    return output


def _json(path: Path) -> dict[str, Any]:
    from .cli.runs import read_json

    return read_json(path)


def _head(run: dict[str, Any], history: Sequence[dict[str, Any]]) -> str:
    task = html.escape(Path(str(run.get("task", "unknown task"))).name)
    mode = {"federation": "over a federation", "central": "on one machine"}.get(str(run.get("mode")), "")
    seconds = sum(float(entry.get("seconds", 0)) for entry in history)
    return f"<h1>{task}, distilled {mode}</h1><p>{len(history)} iterations, {seconds / 60:.1f} minutes.</p>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table: first column words, the others numbers. Cells are escaped."""
    cells = "".join(f"<th{' class=n' if place else ''}>{html.escape(word)}</th>" for place, word in enumerate(head))
    lines = [f"<tr>{cells}</tr>"]
    for row in rows:
        cells = "".join(f"<td{' class=n' if place else ''}>{html.escape(word)}</td>" for place, word in enumerate(row))
        lines.append(f"<tr>{cells}</tr>")
    return f"<table>{''.join(lines)}</table>"


def _percent(score: dict[str, Any]) -> tuple[str, str, str]:
    return f"{100 * score['mean']:.2f}", f"{100 * score['std']:.2f}", str(len(score["values"]))


def _scores(evaluation: dict[str, Any]) -> str:
    if not evaluation:
        return "<p>Not evaluated.</p>"
    rows = [(name, *_percent(score)) for name, score in evaluation["scores"].items()]
    words = f"{evaluation['network']}, trained from fresh weights, on {evaluation['test_images']:,} test images."
    return f"<h2>Accuracy</h2><p>{html.escape(words)}</p>" + table(
        ("trained on", "mean, %", "standard deviation", "networks"), rows
    )


def _inline(data: bytes, caption: str, kind: str = "sheet") -> str:
    text = base64.b64encode(data).decode()
    return (
        f'<figure><img class="{kind}" alt="{html.escape(caption)}" src="data:image/png;base64,{text}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _sheet(data: bytes, caption: str) -> str:
    """A contact sheet, enlarged by a whole number, so that every pixel of it is a square; narrow ones more."""
    wide = int.from_bytes(data[16:20], "big")  # a PNG's header
    return _inline(data, caption).replace("<img ", f'<img width="{wide * max(1, min(3, 300 // wide))}" ', 1)


def _pictures(folder: Path, most: int = 8) -> str:
    files = sorted((folder / "pictures").glob("*.png"))
    if not files:
        return "<p>None kept.</p>"
    chosen = sorted({round(place * (len(files) - 1) / max(1, most - 1)) for place in range(most)})
    return "".join(
        _sheet(files[place].read_bytes(), f"after {int(files[place].stem):,} iterations") for place in chosen
    )


def _curves(history: Sequence[dict[str, Any]]) -> str:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measured = [(entry["iteration"], 100 * entry["accuracy"]) for entry in history if "accuracy" in entry]
    figure, axes = pyplot.subplots(1, 2 if measured else 1, figsize=(9, 3.2), squeeze=False)
    plots = [(axes[0, 0], [(entry["iteration"], entry["loss"]) for entry in history], "distance per step and class")]
    if measured:
        plots.append((axes[0, 1], measured, "accuracy on test images, %"))
    for axis, points, label in plots:
        axis.plot(*zip(*points), marker="." if len(points) < 30 else "")
        axis.set_xlabel("iteration")
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    return _inline(file.getvalue(), "over all iterations", "plot")


def _bytes(folder: Path, run: dict[str, Any], history: Sequence[dict[str, Any]]) -> str:
    from .cli.runs import LEDGER_NAME, byte_totals
    from .privacy import Ledger, statement

    if run.get("mode") != "federation":
        return ""
    totals = byte_totals(list(history))
    plan = Plan.from_config(run["plan"])
    rows = [
        ("bytes down, all clients", f"{totals['bytes_down']:,}"),
        ("bytes up, all clients", f"{totals['bytes_up']:,}"),
        ("bytes down per iteration", f"{totals['bytes_down'] // len(history):,}"),
        ("bytes up per iteration", f"{totals['bytes_up'] // len(history):,}"),
        ("questions asked", f"{totals['asked']:,}"),
        ("answers used", f"{totals['answered']:,}"),
        ("answers that could not be used", f"{totals['unusable']:,}"),
    ]
    note = statement(plan.federation, Ledger(folder / LEDGER_NAME).count())
    return (
        "<h2>Communication</h2><p>Counted from serialised messages; what TCP, TLS and HTTP add is not in it.</p>"
        + table(("", "number"), rows)
        + f"<p>{html.escape(note)}</p>"
    )


def _tuning(tune: dict[str, Any]) -> str:
    if not tune:
        return ""
    reference = tune.get("reference", {}).get("scores", {})
    rows = [
        (name, f"{100 * score['mean']:.2f}", f"{100 * reference[name]['mean']:.2f}" if name in reference else "")
        for name, score in tune["distilled"].items()
    ]
    text = table(("candidate", "on the distilled set, %", "on the real data, %"), rows)
    lines = [f"Best on the distilled set: {tune['best']}."]
    if ranks := tune.get("reference", {}).get("ranks"):
        shown = ", ".join(f"{key} {'undefined' if value is None else f'{value:.3f}'}" for key, value in ranks.items())
        lines.append(f"Rank correlation: {shown}.")
        lines.append(f"The choice loses {100 * tune['reference']['regret']:.2f} points.")
    if count := tune.get("bytes"):
        lines.append(
            f"Bytes: distillation once {count['distillation']:,}; FedAvg {count['configurations']} x"
            f" {count['fedavg_run']:,}; distillation sends less from {count['break_even']} configurations on."
        )
    return "<h2>Tuning</h2>" + text + "".join(f"<p>{html.escape(line)}</p>" for line in lines)
