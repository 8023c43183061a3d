"""The rule that picks, stated once: it is printed with every rehearsal."""

from __future__ import annotations

from collections.abc import Sequence

from plada_format.errors import UserError

from .trials import Arm, best_of, paired_error

#: Files of more than this share of the larger one count as equally large: the last few bytes decide nothing.
SAME_SIZE = 0.95

RULE = (
    "The highest mean validation accuracy over the seeds is the best. A file within one standard error of it (of the"
    " difference, paired by validation image) is as good; of those that are, the smallest wins, and where files differ"
    " by less than 5 % in size, the higher mean."
)


def pick(arms: Sequence[Arm], *, errors: float = 1.0) -> Arm:
    """The arm that :data:`RULE` picks.

    Args:
        arms: with trials, of equally many seeds.
        errors: how many standard errors count as a tie; 0 takes the best mean.

    Raises:
        UserError: no arm.
    """
    if not arms:
        raise UserError("rehearsal: nothing was tried")
    best = best_of(arms)
    good = [arm for arm in arms if best.mean - arm.mean <= errors * paired_error(best, arm)]
    smallest = min(arm.bytes for arm in good)
    return best_of([arm for arm in good if arm.bytes * SAME_SIZE <= smallest])
