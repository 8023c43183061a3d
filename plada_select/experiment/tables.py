"""From rows to tables: everything as CSV, means and spreads over the seeds, and Markdown for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from plada_format.atomic import atomic_write

from ..select import parse_fraction
from .store import Row, write_csv


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation of a policy or baseline over the seeds.

    Attributes:
        task, kind, name, keep: which.
        seeds: how many.
        count, bytes: means, rounded up; None where nothing is sent.
        val, test: mean accuracies.
        spread: sample standard deviation of the test accuracy, 0 for one seed.
        of_teacher: mean of test accuracy / teacher's test accuracy, seed by seed.
        classes: smallest number of classes kept.
        needed_bytes: mean bytes for the reference payload's accuracy where every seed reached it.
        best: mean of the best accuracy that the search saw.
    """

    task: str
    kind: str
    name: str
    keep: str
    seeds: int
    count: int | None
    bytes: int | None
    val: float | None
    test: float | None
    spread: float | None
    of_teacher: float | None
    classes: int | None
    needed_bytes: int | None
    best: float | None


def summarise(rows: Iterable[Row]) -> list[Summary]:
    """One summary per task, policy or baseline, and keep rate, in the order of the rows."""
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    teachers: dict[tuple[str, int], float] = {}
    for row in rows:
        groups.setdefault((row.task, row.kind, row.name, row.keep), []).append(row)
        if row.name == "teacher" and row.test_accuracy is not None:
            teachers[row.task, row.seed] = row.test_accuracy
    out = []
    for (task, kind, name, keep), members in groups.items():
        tests = [row.test_accuracy for row in members if row.test_accuracy is not None]
        shares = [
            row.test_accuracy / teachers[task, row.seed]
            for row in members
            if row.test_accuracy is not None and teachers.get((task, row.seed))
        ]
        needed = [row.needed_bytes for row in members]
        out.append(
            Summary(
                task,
                kind,
                name,
                keep,
                len(members),
                _up([row.count for row in members]),
                _up([row.bytes for row in members]),
                _mean([row.val_accuracy for row in members]),
                _mean(tests),
                statistics.stdev(tests) if len(tests) > 1 else 0.0 if tests else None,
                _mean(shares),
                min((row.classes for row in members if row.classes is not None), default=None),
                None if None in needed else _up(needed),
                _mean([row.best_accuracy for row in members]),
            )
        )
    return out


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _up(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return -(-sum(known) // len(known)) if known else None


def chosen_on_validation(summaries: Iterable[Summary]) -> dict[tuple[str, str], Summary]:
    """For each task and keep rate the policy with the best mean validation accuracy: what a server would take."""
    best: dict[tuple[str, str], Summary] = {}
    for summary in summaries:
        if summary.kind != "policy" or summary.val is None:
            continue
        place = (summary.task, summary.keep)
        if place not in best or summary.val > (best[place].val or 0):
            best[place] = summary
    return best


def markdown(rows: Sequence[Row], plots: str | None = None) -> str:
    """A section per task: policies by keep rate, then baselines; ``plots`` is the folder to link figures from."""
    summaries = summarise(rows)
    chosen = chosen_on_validation(summaries)
    parts = []
    for task in dict.fromkeys(summary.task for summary in summaries):
        mine = [summary for summary in summaries if summary.task == task]
        keeps = sorted({s.keep for s in mine if s.kind == "policy"}, key=parse_fraction)
        figure = "" if plots is None else f"![accuracy against bytes, {task}]({plots}/{task}.svg)\n\n"
        parts.append(f"### {task}\n\n{figure}{_policies(mine, keeps, chosen, task)}\n\n{_baselines(mine)}\n")
    return "\n".join(parts)


def _policies(mine: list[Summary], keeps: list[str], chosen: dict[tuple[str, str], Summary], task: str) -> str:
    cells = {(s.name, s.keep): s for s in mine if s.kind == "policy"}
    names = list(dict.fromkeys(name for name, _ in cells))
    lines = ["| policy | " + " | ".join(keeps) + " |", "|---|" + "---:|" * len(keeps)]
    for name in names:
        texts = []
        for keep in keeps:
            found = cells.get((name, keep))
            best = found is not None and chosen.get((task, keep)) is found
            texts.append("" if found is None else f"**{_accuracy(found)}**" if best else _accuracy(found))
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    first = [cells.get((names[0], keep)) for keep in keeps]
    lines.append("| images | " + " | ".join(f"{s.count:,}" if s and s.count else "" for s in first) + " |")
    spans = [[s.bytes for (_, k), s in cells.items() if k == keep and s.bytes] for keep in keeps]
    lines.append("| bytes | " + " | ".join(f"{min(span):,} to {max(span):,}" if span else "" for span in spans) + " |")
    return "\n".join(lines)


def _baselines(mine: list[Summary]) -> str:
    lines = ["| other | accuracy | bytes | bytes for the reference payload's accuracy |", "|---|---:|---:|---:|"]
    for found in mine:
        if found.kind != "baseline":
            continue
        need = (
            ""
            if found.name == "teacher"
            else "not reached"
            if found.needed_bytes is None
            else f"{found.needed_bytes:,}"
        )
        if need == "not reached" and found.best is not None:
            need += f", {100 * found.best:.1f} at most"
        accuracy = "not one image fits" if found.test is None else _accuracy(found)
        lines.append(f"| {found.name} | {accuracy} | {'' if found.bytes is None else f'{found.bytes:,}'} | {need} |")
    return "\n".join(lines)


def _accuracy(found: Summary) -> str:
    return "" if found.test is None else f"{100 * found.test:.1f} ± {100 * (found.spread or 0):.1f}"


def write_tables(rows: Sequence[Row], folder: Path | str) -> list[Path]:
    """results.csv (all rows), summary.csv (means), tables.md."""
    out = Path(folder)
    text = out / "tables.md"
    with atomic_write(text) as file:
        file.write(markdown(rows).encode())
    return [write_csv(rows, out / "results.csv"), write_csv(summarise(rows), out / "summary.csv"), text]
