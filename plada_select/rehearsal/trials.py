"""What was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..select import Policy, Selection


@dataclass(frozen=True)
class Trial:
    """One student.

    Attributes:
        seed: of the student.
        rung: round of the search, from 0; -1 of a finalist's really trained network.
        student: name of the student.
        right: bool (n,), which validation images it got right.
        seconds: of its training.
    """

    seed: int
    rung: int
    student: str
    right: NDArray[np.bool_]
    seconds: float = 0.0

    @property
    def accuracy(self) -> float:
        """On the validation images."""
        return float(self.right.mean())


@dataclass(eq=False)
class Arm:
    """A candidate as it would be sent, and its trials.

    Attributes:
        name: of the candidate.
        policy: its policy.
        part: of the largest count within the budget, as text.
        selection: images and labels.
        bytes: of the whole file.
        trials: of the proxy student, then of the really trained one.
        note: why it was not tried, or dropped.
    """

    name: str
    policy: Policy
    part: str
    selection: Selection
    bytes: int
    trials: list[Trial] = field(default_factory=list)
    note: str = ""

    @property
    def count(self) -> int:
        """Images."""
        return len(self.selection)

    @property
    def judged(self) -> list[Trial]:
        """The trials that count: of the really trained network where there are any, else of the proxy."""
        tuned = [trial for trial in self.trials if trial.rung < 0]
        return tuned or self.trials

    @property
    def mean(self) -> float:
        """Mean validation accuracy over the seeds; NaN if there was no trial."""
        return float(np.mean([trial.accuracy for trial in self.judged])) if self.judged else float("nan")

    def right(self) -> NDArray[np.float64]:
        """float64 (n,): share of the seeds that got each validation image right."""
        shares: NDArray[np.float64] = np.mean([trial.right for trial in self.judged], axis=0, dtype=np.float64)
        return shares

    def to_json(self) -> dict[str, Any]:
        """Plain values; single trials too."""
        return {
            "name": self.name,
            "policy": self.policy.to_json(),
            "part": self.part,
            "count": self.count,
            "bytes": self.bytes,
            "mean": None if not self.judged else self.mean,
            "note": self.note,
            "trials": [
                {
                    "seed": trial.seed,
                    "rung": trial.rung,
                    "student": trial.student,
                    "accuracy": trial.accuracy,
                    "seconds": round(trial.seconds, 3),
                }
                for trial in self.trials
            ],
        }


def paired_error(first: Arm, second: Arm) -> float:
    """Standard error of the difference of two arms' accuracies over the same validation images, each image's result
    being its mean over the seeds."""
    difference = first.right() - second.right()
    return float(difference.std(ddof=1) / np.sqrt(len(difference))) if len(difference) > 1 else 0.0


def best_of(arms: Sequence[Arm]) -> Arm:
    """The highest mean; fewer bytes, then the earlier one where means are equal."""
    return max(enumerate(arms), key=lambda item: (item[1].mean, -item[1].bytes, -item[0]))[1]
