"""The other rule: the fewest bytes that reach an accuracy, in place of the best accuracy for a number of bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from plada_format.errors import UserError


@dataclass(frozen=True)
class GoalTrial:
    """One rehearsal: bytes of the whole file and the student's accuracy on the validation split."""

    policy: str
    count: int
    bytes: int
    accuracy: float


@dataclass(frozen=True)
class Choice:
    """What came of it.

    Attributes:
        trial: the chosen one.
        goal: accuracy that was asked for.
        reached: whether the chosen one has it; if none has, it is the most accurate one.
        trials: all, in the order tried.
    """

    trial: GoalTrial
    goal: float
    reached: bool
    trials: tuple[GoalTrial, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def choose(trials: Sequence[GoalTrial], goal: float, budget: int) -> Choice:
    """The fewest bytes that reach ``goal``; if none does within ``budget``, the most accurate that fits.

    Raises:
        UserError: not one trial fits.
    """
    fitting = [trial for trial in trials if trial.bytes <= budget]
    if not fitting:
        least = min(trials, key=lambda trial: trial.bytes)
        raise UserError(f"no trial fits {budget} bytes; the smallest, {least.count} images, has {least.bytes}")
    good = [trial for trial in fitting if trial.accuracy >= goal]
    if good:
        best = min(good, key=lambda trial: (trial.bytes, -trial.accuracy))
    else:
        best = max(fitting, key=lambda trial: (trial.accuracy, -trial.bytes))
    return Choice(best, goal, bool(good), tuple(trials))
