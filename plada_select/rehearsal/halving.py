"""Successive halving: every arm gets one seed; the better half another; and so on until few are left with all seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .trials import Arm, Trial, paired_error

Measure = Callable[[Arm, int], tuple[NDArray[np.bool_], float]]


def successive_halving(
    arms: Sequence[Arm],
    measure: Measure,
    *,
    seeds: int = 3,
    finalists: int = 4,
    student: str = "proxy",
    seen: Callable[[], None] | None = None,
) -> list[Arm]:
    """Train students of the arms, more for the better ones; every trial is kept in its arm.

    Rung r gives each arm that is left one student with seed r. After each rung the better half stays (by mean over
    the seeds so far, at least ``finalists``), and besides it every arm that is within one paired standard error of
    the best, up to as many again. The last rung gives all that are left their remaining seeds.

    Args:
        arms: in order of promise, which breaks ties.
        measure: (arm, seed) -> bool (n,) right validation images, seconds.
        seeds: students of each arm that stays to the end.
        finalists: arms that stay to the end, at least.
        student: name of the student, for the record.
        seen: called after each student.

    Returns:
        The arms with all seeds, best first.

    Raises:
        UserError: no arm, or no seed.
    """
    if not arms or seeds < 1 or finalists < 1:
        raise UserError("rehearsal: at least one candidate, one seed and one finalist are needed")
    left = list(arms)
    for rung in range(seeds):
        for arm in left:
            right, seconds = measure(arm, rung)
            arm.trials.append(Trial(rung, rung, student, np.asarray(right, bool), seconds))
            if seen is not None:
                seen()
        left.sort(key=lambda arm: (-arm.mean, arm.bytes))
        if rung < seeds - 1:
            half = max(finalists, math.ceil(len(left) / 2))
            close = [arm for arm in left[half:] if left[0].mean - arm.mean <= paired_error(left[0], arm)]
            stay = left[:half] + close[: half // 2]
            for arm in left:
                if arm not in stay:
                    arm.note = f"dropped after {rung + 1} of {seeds} seeds"
            left = stay
    return left
