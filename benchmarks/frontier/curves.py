"""From students to curves: bytes at equal accuracy, and auto against fixed policies. No student is trained here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev

from .measure import Row

STEP = 0.01  # of accuracy: the levels at which bytes are compared
GROWTH = 1.25  # of the budgets at which auto chooses
Curve = list[tuple[float, float]]  # bytes, accuracy; both rise


def envelope(points: Iterable[tuple[float, float]]) -> Curve:
    """The points that no smaller file beats, by rising bytes."""
    out: Curve = []
    for size, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not out or accuracy > out[-1][1]:
            out.append((size, accuracy))
    return out


def bytes_for(curve: Curve, accuracy: float) -> float | None:
    """Bytes for an accuracy, between two points along the logarithm of the bytes; None beyond the curve's ends."""
    if not curve or not curve[0][1] <= accuracy <= curve[-1][1]:
        return None
    for (small, low), (large, high) in pairwise(curve):
        if low <= accuracy <= high:
            share = (accuracy - low) / (high - low)
            return math.exp(math.log(small) + share * (math.log(large) - math.log(small)))
    return curve[0][0]


def ratio(ours: Curve, theirs: Curve) -> tuple[float, float, float] | None:
    """Geometric mean of ours / theirs in bytes over the accuracies that both reach, and the range of these."""
    if not ours or not theirs:
        return None
    low, high = max(ours[0][1], theirs[0][1]), min(ours[-1][1], theirs[-1][1])
    if high <= low:
        return None
    levels = [low + (high - low) * place / max(1, round((high - low) / STEP)) for place in
              range(max(1, round((high - low) / STEP)) + 1)]  # fmt: skip
    logs = []
    for level in levels:
        mine, other = bytes_for(ours, level), bytes_for(theirs, level)
        if mine is not None and other is not None:
            logs.append(math.log(mine / other))
    return (math.exp(fmean(logs)), low, high) if logs else None


def mean_curve(rows: Sequence[Row], field: str) -> Curve:
    """Mean over the seeds at each count; counts that not every seed has are left out."""
    counts: dict[int, list[Row]] = {}
    for row in rows:
        counts.setdefault(row.count, []).append(row)
    seeds = len({row.seed for row in rows})
    return envelope(
        (fmean(getattr(row, field) for row in group), fmean(row.test for row in group))
        for group in counts.values()
        if len(group) == seeds
    )


def choose(rows: Sequence[Row], budget: float, field: str) -> Row | None:
    """What auto takes of the students of one task and seed: the best on the validation split that fits; fewer bytes
    where they are equal. The test accuracy plays no part."""
    fitting = [row for row in rows if getattr(row, field) <= budget]
    return max(fitting, key=lambda row: (row.val, -getattr(row, field)), default=None)


def budgets(rows: Sequence[Row], field: str) -> list[float]:
    """From the smallest file to the largest, in steps of a quarter."""
    low, high = (f(getattr(row, field) for row in rows) for f in (min, max))
    steps = max(1, math.ceil(math.log(high / low) / math.log(GROWTH)))
    return [low * (high / low) ** (step / steps) for step in range(steps + 1)]


def auto_curve(rows: Sequence[Row], field: str) -> Curve:
    """Mean over the seeds of what auto takes at each budget."""
    seeds = sorted({row.seed for row in rows})
    points = []
    for budget in budgets(rows, field):
        taken = [choose([row for row in rows if row.seed == seed], budget, field) for seed in seeds]
        found = [row for row in taken if row is not None]
        if len(found) == len(seeds):
            points.append((fmean(getattr(row, field) for row in found), fmean(row.test for row in found)))
    return envelope(points)


@dataclass(frozen=True)
class Duel:
    """Auto against one fixed policy at a budget: mean difference in points over the tasks, and each task's
    difference in standard errors of the seeds (paired)."""

    policy: str
    budget: int
    difference: float
    worst_task: str
    worst_errors: float


def at_budget(rows: Sequence[Row], policy: str, budget: int, field: str) -> Row | None:
    """A fixed policy fills the budget: its largest file that fits."""
    fitting = [row for row in rows if row.policy == policy and getattr(row, field) <= budget]
    return max(fitting, key=lambda row: row.count, default=None)


def duel(rows: Sequence[Row], policy: str, budget: int, field: str) -> Duel | None:
    """Over all tasks where both have a file at this budget with every seed."""
    means: dict[str, float] = {}
    errors: dict[str, float] = {}
    for task in dict.fromkeys(row.task for row in rows):
        mine = [row for row in rows if row.task == task]
        differences = []
        for seed in sorted({row.seed for row in mine}):
            same = [row for row in mine if row.seed == seed]
            own, other = choose(same, budget, field), at_budget(same, policy, budget, field)
            if own is not None and other is not None:
                differences.append(100 * (own.test - other.test))
        if differences:
            means[task] = fmean(differences)
            if len(differences) > 1 and stdev(differences) > 0:
                errors[task] = means[task] / (stdev(differences) / math.sqrt(len(differences)))
    if not means:
        return None
    worst = min(errors or means, key=lambda task: (errors or means)[task])
    return Duel(policy, budget, fmean(means.values()), worst, errors.get(worst, math.nan))
