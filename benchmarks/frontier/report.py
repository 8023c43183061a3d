"""Tables and plots of the frontier, from its rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from statistics import fmean, stdev

from plada_format.atomic import atomic_write

from .curves import Curve, auto_curve, duel, mean_curve, ratio
from .measure import Row
from .policies import ALL, OURS, PAPER
from .tuned import TunedRow

BUDGETS = (150, 300, 1000, 3000)
PLAIN = "paper: lowest energy"


def write(rows: Sequence[Row], folder: Path, tuned: Sequence[TunedRow] = ()) -> list[Path]:
    """rows.csv, tables.md and one plot per task.

    Raises:
        SystemExit: no rows yet.
    """
    if not rows:
        raise SystemExit("no rows yet: run the students first")
    ordered = sorted(rows, key=lambda row: (row.task, row.policy, row.count, row.seed))
    paths = [_csv(ordered, folder / "rows.csv"), folder / "tables.md"]
    with atomic_write(paths[1]) as file:
        file.write(f"{tables(ordered, tuned)}\n{order_table(folder / 'orders.csv')}".encode())
    return paths + _plots(ordered, folder / "plots")


def tables(rows: Sequence[Row], tuned: Sequence[TunedRow] = ()) -> str:
    """Markdown: bytes at equal accuracy by task, auto against fixed policies by budget, really trained students."""
    return "\n".join([_equal_accuracy(rows), _policies(rows), _smallest(rows), _duels(rows), _tuned(tuned)])


def order_table(path: Path) -> str:
    """Markdown of orders.csv: geometric mean of the bytes over the shuffled order's, by policy and keep rate."""
    title = "### Orders of the pool\n\n"
    if not path.exists():
        return title + "Not run.\n"
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    names = [name for name in lines[0] if name not in ("task", "policy", "keep", "count")]
    out = ["| policy | keep | " + " | ".join(names) + " |", "|---|---:|" + "---:|" * len(names)]
    for policy, keep in dict.fromkeys((line["policy"], line["keep"]) for line in lines):
        mine = [line for line in lines if (line["policy"], line["keep"]) == (policy, keep)]
        means = [math.exp(fmean(math.log(int(line[name]) / int(line["shuffled"])) for line in mine)) for name in names]
        out.append(f"| {policy} | {float(keep):.1%} | " + " | ".join(f"{mean:.2f}" for mean in means) + " |")
    return title + "\n".join(out) + "\n"


def _policies(rows: Sequence[Row]) -> str:
    """Every policy against equal quotas, on the seeds that both have."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    lines = ["| policy | " + " | ".join(tasks) + " | geometric mean | tasks |", "|---|" + "---:|" * (len(tasks) + 2)]
    for policy in ALL:
        cells, logs = [], []
        for task in tasks:
            mine = _of(rows, task, policy)
            seeds = {row.seed for row in mine}
            base = [row for row in _of(rows, task, "equal quotas") if row.seed in seeds]
            found = ratio(mean_curve(mine, "ours"), mean_curve(base, "ours")) if mine and base else None
            cells.append("–" if found is None else f"{found[0]:.2f}")
            logs += [] if found is None else [math.log(found[0])]
        mean = f"**{math.exp(fmean(logs)):.2f}**" if logs else "–"
        lines.append(f"| {policy} | " + " | ".join(cells) + f" | {mean} | {len(logs)} |")
    return "### Bytes at equal accuracy, over equal quotas; our codec for both\n\n" + "\n".join(lines) + "\n"


def _smallest(rows: Sequence[Row]) -> str:
    """What one image per class costs and gives, and what the class names add."""
    lines = ["| task | classes | bytes | test accuracy | class names, bytes more |", "|---|---:|---:|---:|---:|"]
    for task in dict.fromkeys(row.task for row in rows):
        mine = _of(rows, task, "equal quotas")
        if not mine:
            continue
        count = min(row.count for row in mine)
        first = [row for row in mine if row.count == count]
        size, test, names = (fmean(getattr(row, name) for row in first) for name in ("ours", "test", "names"))
        lines.append(f"| {task} | {first[0].classes} | {size:.0f} | {100 * test:.1f} % | {names:.0f} |")
    return "### One image per class\n\n" + "\n".join(lines) + "\n"


def _tuned(rows: Sequence[TunedRow]) -> str:
    title = "### Really trained students\n\n"
    if not rows:
        return title + "Not run.\n"
    lines = ["| task | student | budget | method | seeds | images | bytes | test accuracy |",
             "|---|---|---:|---|---:|---:|---:|---:|"]  # fmt: skip
    groups: dict[tuple[str, str, int, str], list[TunedRow]] = {}
    for row in rows:
        groups.setdefault((row.task, row.student, row.budget, row.method), []).append(row)
    for (task, student, budget, method), found in sorted(groups.items()):
        count, size, test = (fmean(getattr(row, name) for row in found) for name in ("count", "bytes", "test"))
        spread = f" ± {100 * stdev([row.test for row in found]):.1f}" if len(found) > 1 else ""
        lines.append(
            f"| {task} | {student} | {budget:,} | {method} | {len(found)} | {count:,.0f} | {size:,.0f} |"
            f" {100 * test:.1f}{spread} |"
        )
    return title + "\n".join(lines) + "\n"


def _of(rows: Sequence[Row], task: str, policy: str | None = None) -> list[Row]:
    return [row for row in rows if row.task == task and policy in (None, row.policy)]


def _equal_accuracy(rows: Sequence[Row]) -> str:
    """One line per task: our curves over the paper's recipe in folder order."""
    names = ("auto", "equal quotas", "the same selection, our codec", "paper, shuffled order")
    lines = ["| task | seeds | accuracies | " + " | ".join(names) + " |", "|---|---:|---|" + "---:|" * len(names)]
    logs: dict[str, list[float]] = {name: [] for name in names}
    for task in dict.fromkeys(row.task for row in rows):
        plain = _of(rows, task, PLAIN)
        if not plain:
            continue
        theirs = mean_curve(plain, "paper")
        curves: dict[str, Curve] = {
            "auto": auto_curve(_of(rows, task), "ours"),
            "equal quotas": mean_curve(_of(rows, task, "equal quotas"), "ours"),
            "the same selection, our codec": mean_curve(plain, "ours"),
            "paper, shuffled order": mean_curve(plain, "paper_shuffled"),
        }
        cells, span = [], ""
        for name, curve in curves.items():
            found = ratio(curve, theirs)
            cells.append("–" if found is None else f"{found[0]:.2f}")
            if found is not None:
                logs[name].append(math.log(found[0]))
                span = span or f"{100 * found[1]:.0f} to {100 * found[2]:.0f} %"
        seeds = len({row.seed for row in plain})
        lines.append(f"| {task} | {seeds} | {span} | " + " | ".join(cells) + " |")
    means = [f"**{math.exp(fmean(found)):.2f}**" if found else "–" for found in logs.values()]
    lines.append("| geometric mean | | | " + " | ".join(means) + " |")
    return "### Bytes at equal accuracy, over the paper's recipe in folder order\n\n" + "\n".join(lines) + "\n"


def _duels(rows: Sequence[Row]) -> str:
    lines = ["| budget | auto minus | mean over tasks, points | worst task | in paired standard errors |",
             "|---:|---|---:|---|---:|"]  # fmt: skip
    for budget in BUDGETS:
        found = [duel(rows, policy, budget, "ours") for policy in (*PAPER, *OURS)]
        known = [one for one in found if one is not None]
        known.sort(key=lambda one: one.difference)
        for one in known:
            errors = "–" if math.isnan(one.worst_errors) else f"{one.worst_errors:+.1f}"
            lines.append(f"| {budget:,} | {one.policy} | {one.difference:+.1f} | {one.worst_task} | {errors} |")
    return "### Auto against every fixed policy\n\n" + "\n".join(lines) + "\n"


def _csv(rows: Sequence[Row], path: Path) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**asdict(row), "val": f"{row.val:.6g}", "test": f"{row.test:.6g}"})
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
    return path


def read_csv(path: Path) -> list[Row]:
    """Rows that :func:`write` wrote; none where there is no such file."""
    if not path.exists():
        return []
    kinds = {field.name: str(field.type) for field in fields(Row)}
    convert = {"int": int, "float": float, "str": str}
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Row(**{name: convert[kinds[name]](text) for name, text in line.items()}) for line in csv.DictReader(file)
        ]


def _plots(rows: Sequence[Row], folder: Path) -> list[Path]:
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "plada"
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for task in dict.fromkeys(row.task for row in rows):
        figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
        curves = [("auto", auto_curve(_of(rows, task), "ours"), "-", "C0")]
        curves += [(name, mean_curve(_of(rows, task, name), "paper"), "--", f"C{place}")
                   for place, name in enumerate(PAPER, 1)]  # fmt: skip
        curves.append(("equal quotas, our codec", mean_curve(_of(rows, task, "equal quotas"), "ours"), "-", "C7"))
        for label, curve, style, colour in curves:
            if curve:
                axes.plot(*zip(*curve), style, marker=".", color=colour, label=label)
        axes.set(xscale="log", xlabel="bytes, without class names", ylabel="test accuracy", title=task)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
        paths.append(folder / f"{task}.svg")
        figure.savefig(paths[-1], metadata={"Date": None})
        pyplot.close(figure)
    return paths
