"""From students to curves: bytes at equal accuracy, and auto against fixed policies. No student is trained here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

from .measure import Row

STEP = 0.01  # of accuracy: the levels at which bytes are compared
FILLED = 0.4  # of a budget: a policy whose files end below was not run to that budget
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


def mean_curve(rows: Sequence[Any], field: str) -> Curve:
    """Mean over the seeds at each count; counts that not every seed has are left out."""
    counts: dict[int, list[Any]] = {}
    for row in rows:
        counts.setdefault(row.count, []).append(row)
    seeds = len({row.seed for row in rows})
    return envelope(
        (fmean(getattr(row, field) for row in group), fmean(row.test for row in group))
        for group in counts.values()
        if len(group) == seeds
    )


def choose(rows: Sequence[Any], budget: float, field: str, by: str = "judged") -> Any:
    """What auto takes of the students of one task and seed: the best that fits, as judged without the test split;
    fewer bytes where they are equal.

    Args:
        rows: students, or what else can be sent.
        budget, field: the field is at most the budget.
        by: what judges them: ``judged``, or ``val`` for the validation images alone.
    """
    fitting = [row for row in rows if getattr(row, field) <= budget]
    return max(fitting, key=lambda row: (getattr(row, by), -getattr(row, field)), default=None)


def budgets(rows: Sequence[Any], field: str) -> list[float]:
    """From the smallest file to the largest, in steps of a quarter."""
    low, high = (f(getattr(row, field) for row in rows) for f in (min, max))
    steps = max(1, math.ceil(math.log(high / low) / math.log(GROWTH)))
    return [low * (high / low) ** (step / steps) for step in range(steps + 1)]


def auto_curve(rows: Sequence[Any], field: str) -> Curve:
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
    """Auto against one fixed policy at a budget.

    Attributes:
        policy, budget: which.
        fixed: the policy's mean accuracy over the tasks, in percent.
        difference: auto's minus the policy's, in points, mean over the tasks.
        tasks: difference of each task in points, mean over the seeds.
        errors: the same in standard errors of the seeds (paired); tasks with one seed, or without spread, are left out.
    """

    policy: str
    budget: int
    fixed: float
    difference: float
    tasks: dict[str, float]
    errors: dict[str, float]

    @property
    def worst(self) -> str:
        """The task where auto falls furthest behind: in standard errors where these are known."""
        known = self.errors or self.tasks
        return min(known, key=lambda task: known[task])


def at_budget(rows: Sequence[Row], policy: str, budget: int, field: str) -> Row | None:
    """A fixed policy fills the budget: its largest file that fits."""
    fitting = [row for row in rows if row.policy == policy and getattr(row, field) <= budget]
    return max(fitting, key=lambda row: row.count, default=None)


def duel(rows: Sequence[Row], policy: str, budget: int, field: str) -> Duel | None:
    """Over all tasks and seeds where both have a file at this budget."""
    means: dict[str, float] = {}
    errors: dict[str, float] = {}
    fixed: list[float] = []
    for task in dict.fromkeys(row.task for row in rows):
        pairs = []
        for seed in sorted({row.seed for row in rows if row.task == task}):
            same = [row for row in rows if (row.task, row.seed) == (task, seed)]
            own, other = choose(same, budget, field), at_budget(same, policy, budget, field)
            if own is not None and other is not None:
                pairs.append((100 * own.test, 100 * other.test))
        if not pairs:
            continue
        differences = [own - other for own, other in pairs]
        fixed.append(fmean(other for _, other in pairs))
        means[task] = fmean(differences)
        if len(differences) > 1 and stdev(differences) > 0:
            errors[task] = means[task] / (stdev(differences) / math.sqrt(len(differences)))
    if not means:
        return None
    return Duel(policy, budget, fmean(fixed), fmean(means.values()), means, errors)


def complete(rows: Sequence[Row], policy: str, budget: int, field: str) -> bool:
    """Whether a policy fills the budget for every task and seed for which any policy has a file within it: to 40 % at
    least (counts double from one student to the next), or with as many images as any policy sends."""
    for task, seed in {(row.task, row.seed) for row in rows if getattr(row, field) <= budget}:
        fitting = [row for row in rows if (row.task, row.seed) == (task, seed) and getattr(row, field) <= budget]
        mine = [row for row in fitting if row.policy == policy]
        most = max(row.count for row in fitting)
        if not any(getattr(row, field) >= FILLED * budget or row.count == most for row in mine):
            return False
    return True


def best_fixed(rows: Sequence[Row], policies: Sequence[str], budget: int, field: str) -> Duel | None:
    """Auto against the fixed policy that is best in hindsight: one for all tasks, by its mean test accuracy at this
    budget; of the policies that were run everywhere."""
    found = [duel(rows, policy, budget, field) for policy in policies if complete(rows, policy, budget, field)]
    return max((one for one in found if one is not None), key=lambda one: one.fixed, default=None)
