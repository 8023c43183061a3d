"""What a baseline gave: bytes, accuracy, and the bytes that it would need."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Point:
    """One measured size of a baseline: ``count`` images, components or None; mean accuracy."""

    bytes: int
    count: int | None
    accuracy: float


@dataclass(frozen=True)
class Need:
    """What it takes to be as accurate as the payload.

    Attributes:
        bytes, count: the smallest tried size that gets there; if ``reached`` is false, the largest that was tried.
        accuracy: there.
        reached: whether the payload's accuracy was reached at all.
    """

    bytes: int
    count: int | None
    accuracy: float
    reached: bool


@dataclass(frozen=True)
class BaselineResult:
    """One row of the table of baselines.

    Attributes:
        id: short name, see :data:`plada_select.baselines.contest.IDS`.
        title: for people.
        accuracies: on the test set, one per seed or draw; empty if nothing could be sent at all.
        bytes: of everything that is sent (mean over the draws), None where nothing is sent (the teacher).
        count: images (or principal components) sent, or None.
        fits: whether that is at most the payload's bytes; None where nothing is sent.
        needed: bytes for the payload's accuracy, or None if not searched.
        curve: every size that was measured on the way.
        holds: what the receiver must hold already.
        counted: what is counted in ``bytes``.
        note: what else the reader should know.
        per_class: accuracy per class of the first seed, None entries for classes without test images.
    """

    id: str
    title: str
    accuracies: tuple[float, ...]
    bytes: int | None = None
    count: int | None = None
    fits: bool | None = None
    needed: Need | None = None
    curve: tuple[Point, ...] = ()
    holds: tuple[str, ...] = ()
    counted: str = ""
    note: str = ""
    per_class: tuple[float | None, ...] | None = None

    @property
    def accuracy(self) -> float:
        """Mean over seeds or draws; NaN if nothing was measured."""
        return statistics.fmean(self.accuracies) if self.accuracies else math.nan

    @property
    def spread(self) -> float:
        """Sample standard deviation over seeds or draws, 0 for one."""
        return statistics.stdev(self.accuracies) if len(self.accuracies) > 1 else 0.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BaselineResult:
        """From :meth:`to_json`, also after a round trip through JSON.

        Raises:
            TypeError, KeyError: not such a value.
        """
        given = dict(value)
        for name in ("accuracies", "holds"):
            given[name] = tuple(given.get(name) or ())
        given["curve"] = tuple(Point(**point) for point in given.get("curve") or ())
        given["needed"] = Need(**given["needed"]) if given.get("needed") else None
        if given.get("per_class") is not None:
            given["per_class"] = tuple(given["per_class"])
        return cls(**given)


def per_class_of(evaluation: Any) -> tuple[float | None, ...]:
    """Accuracy per class of a :class:`plada_train.Evaluation`, None in place of NaN."""
    return tuple(None if math.isnan(value) else float(value) for value in evaluation.per_class.tolist())


def mean_bytes(sizes: list[int]) -> int:
    """Mean, rounded up: a claim about bytes must not be too small."""
    return math.ceil(sum(sizes) / len(sizes))
