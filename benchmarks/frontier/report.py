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

from .cost import table as cost_table
from .curves import Curve, at_budget, auto_curve, best_fixed, choose, duel, mean_curve, ratio
from .labels import table as label_table
from .measure import LARGEST, Row
from .others import DISTILLED, JPEG_CENTRE, JPEG_RANDOM, PROBE, OtherRow
from .pictures import draw
from .policies import ALL, OURS, PAPER, VIEWS
from .quotas import table as quota_table
from .tuned import TunedRow

BUDGETS = (150, 300, 1000, 3000, 6000)
DUELS = BUDGETS[:4]  # to where every policy was run
LADDER = (80, 100, 120, 150, 200, 250, 300, 400, 600, 800, 1000, 1500, 2000, 3000, 4000, 6000)
PLAIN = "paper: lowest energy"


def write(
    rows: Sequence[Row], folder: Path, tuned: Sequence[TunedRow] = (), others: Sequence[OtherRow] = ()
) -> list[Path]:
    """rows.csv, tables.md and the picture.

    Raises:
        SystemExit: no rows yet.
    """
    if not rows:
        raise SystemExit("no rows yet: run the students first")
    ordered = sorted(rows, key=lambda row: (row.task, row.policy, row.count, row.seed))
    paths = [_csv(ordered, folder / "rows.csv"), folder / "tables.md"]
    sources = {
        quota_table: "quotas.jsonl",
        order_table: "orders.csv",
        label_table: "labels.csv",
        cost_table: "cost.json",
    }
    more = [table(folder / name) for table, name in sources.items()]
    with atomic_write(paths[1]) as file:
        file.write("\n".join([tables(ordered, tuned, others), *more]).encode())
    tasks = {row.task for row in ordered}
    whole = [policy for policy in ALL if {row.task for row in ordered if row.policy == policy} == tasks]
    shown = [row for row in ordered if row.policy in whole]
    return [*paths, draw(shown, others, folder / "plots" / "frontier.svg", LARGEST)]


def tables(rows: Sequence[Row], tuned: Sequence[TunedRow] = (), others: Sequence[OtherRow] = ()) -> str:
    """Markdown: bytes at equal accuracy, accuracies by budget, auto against fixed policies, trained students."""
    views, rows = [row for row in rows if row.policy in VIEWS], [row for row in rows if row.policy not in VIEWS]
    parts = [_equal_accuracy(rows), _policies(rows), _accuracies(rows, others), _smallest(rows), _hindsight(rows)]
    parts.append(_judges(rows))
    return "\n".join([*parts, _duels(rows), _views(views), tuned_table(tuned)])


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
    lines = ["| policy | seeds | " + " | ".join(tasks) + " | geometric mean | tasks |",
             "|---|---:|" + "---:|" * (len(tasks) + 2)]  # fmt: skip
    for policy in ALL:
        if any(not _of(rows, task, policy) for task in tasks):
            continue
        cells, logs = [], []
        for task in tasks:
            mine = _of(rows, task, policy)
            seeds = {row.seed for row in mine}
            base = [row for row in _of(rows, task, "equal quotas") if row.seed in seeds]
            found = ratio(mean_curve(mine, "ours"), mean_curve(base, "ours")) if mine and base else None
            cells.append("–" if found is None else f"{found[0]:.2f}")
            logs += [] if found is None else [math.log(found[0])]
        if logs:
            mean, span = f"**{math.exp(fmean(logs)):.2f}**", _seeds([row for row in rows if row.policy == policy])
            lines.append(f"| {policy} | {span} | " + " | ".join(cells) + f" | {mean} | {len(logs)} |")
    title = "### Bytes at equal accuracy, over equal quotas; our codec for both\n\n"
    return title + "\n".join(lines) + "\n\nPolicies that were run on every task. –: no accuracy that both reach.\n"


def _views(rows: Sequence[Row]) -> str:
    """Logits averaged over an image and its mirror image against the image alone, in bytes at equal accuracy."""
    one, two = VIEWS
    cells, logs = {}, []
    for task in dict.fromkeys(row.task for row in rows):
        seeds = {row.seed for row in _of(rows, task, one)} & {row.seed for row in _of(rows, task, two)}
        both = [[row for row in _of(rows, task, name) if row.seed in seeds] for name in (two, one)]
        found = ratio(*(mean_curve(mine, "ours") for mine in both)) if seeds else None
        if found is not None:
            cells[f"{task} ({len(seeds)})"] = f"{found[0]:.2f}"
            logs.append(math.log(found[0]))
    title = "### Two views of an image for its score and label\n\n"
    if not cells:
        return title + "Not run.\n"
    head = f"| {' | '.join(cells)} | geometric mean |\n|{'---:|' * (len(cells) + 1)}"
    note = "Bytes at equal accuracy over one view, on a fifth of the pool; in brackets the seeds."
    return f"{title}{head}\n| {' | '.join(cells.values())} | **{math.exp(fmean(logs)):.2f}** |\n\n{note}\n"


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


def tuned_table(rows: Sequence[TunedRow]) -> str:
    """One table per kind of student and setup."""
    title = "### Really trained students\n\n"
    if not rows:
        return title + "Not run.\n"
    parts = []
    for student, setup in dict.fromkeys((row.student, row.setup) for row in rows):
        lines = ["| task | budget | method | seeds | images | bytes | test accuracy |",
                 "|---|---:|---|---:|---:|---:|---:|"]  # fmt: skip
        groups: dict[tuple[str, int, str], list[TunedRow]] = {}
        for row in rows:
            if (row.student, row.setup) == (student, setup):
                groups.setdefault((row.task, row.budget, row.method), []).append(row)
        for (task, budget, method), found in sorted(groups.items()):
            count, size = (fmean(getattr(row, name) for row in found) for name in ("count", "bytes"))
            test = _spread([100 * row.test for row in found])
            lines.append(f"| {task} | {budget:,} | {method} | {len(found)} | {count:,.0f} | {size:,.0f} | {test} |")
        means = _tuned_means(groups)
        parts.append(f"{student.capitalize()}: {setup}.\n\n{means}\n" + "\n".join(lines) + "\n")
    return title + "\n".join(parts)


def _tuned_means(groups: dict[tuple[str, int, str], list[TunedRow]]) -> str:
    """Mean test accuracy over the tasks by method and budget; empty where a task lacks a figure."""
    tasks, budgets = ({key[place] for key in groups} for place in (0, 1))
    out = [f"| mean of {len(tasks)} tasks | " + " | ".join(f"{budget:,} bytes" for budget in sorted(budgets)) + " |",
           "|---|" + "---:|" * len(budgets)]  # fmt: skip
    for method in dict.fromkeys(key[2] for key in sorted(groups)):
        cells = []
        for budget in sorted(budgets):
            found = [groups.get((task, budget, method), []) for task in tasks]
            cells.append(f"{fmean(fmean(100 * row.test for row in rows) for rows in found):.1f}" if all(found) else "")
        out.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


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
        found = {name: ratio(curve, theirs) for name, curve in curves.items()}
        cells = ["–" if one is None else f"{one[0]:.2f}" for one in found.values()]
        known = {name: one for name, one in found.items() if one is not None}
        span = next((f"{100 * one[1]:.0f} to {100 * one[2]:.0f} %" for one in known.values()), "")
        if len(known) == len(found):  # means are over the same tasks
            for name, one in known.items():
                logs[name].append(math.log(one[0]))
        seeds = len({row.seed for row in plain})
        lines.append(f"| {task} | {seeds} | {span} | " + " | ".join(cells) + " |")
    means = [f"**{math.exp(fmean(found)):.2f}**" if found else "–" for found in logs.values()]
    lines.append("| geometric mean | | | " + " | ".join(means) + " |")
    note = "–: no accuracy that both reach: our smallest file is above all that the recipe reaches. Means are over the"
    note += " tasks where every column has a figure.\n"
    title = "### Bytes at equal accuracy, over the paper's recipe in folder order\n\n"
    return title + "\n".join(lines) + f"\n\n{note}"


def _accuracies(rows: Sequence[Row], others: Sequence[OtherRow]) -> str:
    """What each budget buys, with the spread of the seeds."""
    lines = ["| task | bytes | paper's recipe | equal quotas | auto | linear probe | target images, JPEG |"
             " distilled images, JPEG |", "|---|---:|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    columns = ("paper", "equal", "auto")
    kinds = {"probe": (PROBE,), "jpeg": (JPEG_RANDOM, JPEG_CENTRE), "distilled": (DISTILLED,)}
    for task in dict.fromkeys(row.task for row in rows):
        for budget in BUDGETS:
            cells: dict[str, list[float]] = {name: [] for name in (*columns, *kinds)}
            for seed in sorted({row.seed for row in rows if row.task == task}):
                mine = [row for row in rows if (row.task, row.seed) == (task, seed)]
                else_ = [row for row in others if (row.task, row.seed) == (task, seed)]
                found = {
                    "paper": at_budget(mine, PLAIN, budget, "paper"),
                    "equal": at_budget(mine, "equal quotas", budget, "ours"),
                    "auto": choose(mine, budget, "ours"),
                }
                for name, known in kinds.items():
                    found[name] = choose([row for row in else_ if row.kind in known], budget, "bytes")
                for name, row in found.items():
                    cells[name] += [] if row is None else [100 * row.test]
            lines.append(f"| {task} | {budget:,} | " + " | ".join(_spread(found) for found in cells.values()) + " |")
    note = "Test accuracy in percent, mean and standard deviation over the seeds.\n"
    return "### Accuracy by budget\n\n" + "\n".join(lines) + f"\n\n{note}"


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{fmean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _signed(value: float, digits: int = 1) -> str:
    """With its sign, unless it rounds to zero."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def _seeds(rows: Sequence[Row]) -> str:
    """Seeds that these were run with: "3", or "1–3" where tasks differ."""
    counts = {len({row.seed for row in rows if row.task == task}) for task in {row.task for row in rows}}
    return "–".join(str(number) for number in sorted({min(counts), max(counts)}))


def _hindsight(rows: Sequence[Row]) -> str:
    """The two comparisons that count, budget by budget."""
    lines = ["| bytes | tasks | auto | against | its accuracy | auto's gain, points | worst task | points there |"
             " in paired standard errors |", "|---:|---:|---:|---|---:|---:|---|---:|---:|"]  # fmt: skip
    for budget in (*DUELS, LARGEST):
        plain, best = duel(rows, PLAIN, budget, "ours"), best_fixed(rows, [*PAPER, *OURS], budget, "ours")
        for name, one in (("plain energy", plain), ("best fixed", best)):
            if one is None:
                continue
            errors = one.errors.get(one.worst)
            against = name if name == "plain energy" else f"best fixed: {one.policy}"
            lines.append(
                f"| {budget:,} | {len(one.tasks)} | {one.fixed + one.difference:.1f} | {against} | {one.fixed:.1f} |"
                f" {_signed(one.difference)} | {one.worst} | {_signed(one.tasks[one.worst])} |"
                f" {'–' if errors is None else _signed(errors)} |"
            )
    return "### Auto against plain energy and the best fixed policy in hindsight\n\n" + "\n".join(lines) + "\n"


def _judges(rows: Sequence[Row]) -> str:
    """What it is worth to judge on training images, too."""
    tasks = list(dict.fromkeys(row.task for row in rows))
    found: dict[str, list[float]] = {task: [] for task in tasks}
    for task, seed in dict.fromkeys((row.task, row.seed) for row in rows):
        mine = [row for row in rows if (row.task, row.seed) == (task, seed)]
        for budget in LADDER:
            both, val = choose(mine, budget, "ours"), choose(mine, budget, "ours", "val")
            if both is not None:
                found[task].append(100 * (both.test - val.test))
    cells = [_signed(fmean(gains), 2) if gains else "–" for gains in found.values()]
    text = f"| | {' | '.join(tasks)} |\n|---|{'---:|' * len(tasks)}\n| points | {' | '.join(cells)} |\n"
    note = f"Mean over the seeds and {len(LADDER)} budgets from {LADDER[0]} to {LADDER[-1]:,} bytes.\n"
    return f"### Auto judged on validation and training images, minus validation images alone\n\n{text}\n{note}"


def _duels(rows: Sequence[Row]) -> str:
    lines = ["| policy | tasks, seeds | " + " | ".join(f"{budget:,} bytes" for budget in DUELS) + " |",
             "|---|---|" + "---:|" * len(DUELS)]  # fmt: skip
    tasks = {row.task for row in rows}
    for policy in ALL:
        mine = [row for row in rows if row.policy == policy]
        if {row.task for row in mine} != tasks:
            continue
        found = [duel(rows, policy, budget, "ours") for budget in DUELS]
        cells = ["–" if one is None else _signed(one.difference) for one in found]
        lines.append(f"| {policy} | {len({row.task for row in mine})}, {_seeds(mine)} | " + " | ".join(cells) + " |")
    title = "### Auto minus every fixed policy, in points\n\n"
    return title + "\n".join(lines) + "\n\nMeans over the tasks and seeds that the policy was run on.\n"


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
