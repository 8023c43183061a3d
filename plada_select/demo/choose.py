"""Which policy and how many images: rehearsed with students on the validation split; the test set plays no part."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from ..pipeline import select_payload
from ..safety_net import SafetyNet
from ..select import Policy

if TYPE_CHECKING:
    from ..scoretable import ScoreTable

POLICIES = {
    "lowest energy": Policy(),
    "lowest energy, Safety-Net": Policy(safety_net=SafetyNet()),
    "lowest entropy, Safety-Net": Policy(criterion="entropy", safety_net=SafetyNet()),
}


@dataclass(frozen=True)
class Trial:
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

    trial: Trial
    goal: float
    reached: bool
    trials: tuple[Trial, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def choose(trials: list[Trial], goal: float, budget: int) -> Choice:
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


def rehearse(
    table: ScoreTable,
    counts: tuple[int, ...],
    pool_features: Any,
    val: tuple[NDArray[np.float32], NDArray[np.int64]],
    *,
    seed: int = 0,
    progress: bool = True,
) -> list[Trial]:
    """Train a head on what each policy would keep, and judge it on the validation split.

    Args:
        table: the teacher's scores.
        counts: numbers of images to try; those that the pool does not have are left out.
        pool_features: float32 (N, D), of the student's frozen backbone.
        val: features float32 (n, D) and labels int64 (n,).
    """
    from plada_train import Targets, train_head
    from plada_train.loader import progress_bar

    found = []
    jobs = [(name, count) for name in POLICIES for count in counts if count <= len(table)]
    with progress_bar(len(jobs), "rehearsals", show=progress, unit="student") as bar:
        for name, count in jobs:
            outcome = select_payload(table, POLICIES[name], count=count)
            kept = outcome.selection
            targets = Targets(kept.labels.astype(np.int64), table.num_classes)
            head = train_head(pool_features[kept.indices], targets, recipe=_recipe(count, seed))
            right = head.logits(val[0]).argmax(1) == val[1]
            found.append(Trial(name, count, len(outcome.data), float(right.mean())))
            bar.update(1)
    return found


def _recipe(count: int, seed: int) -> Any:
    from plada_train import Recipe

    return Recipe.head(count, seed)


def as_flags(policy: Policy) -> list[str]:
    """The policy as arguments of ``plada select``."""
    flags = [] if policy.criterion == "energy" else ["--criterion", policy.criterion]
    flags += [] if policy.direction == "low" else ["--direction", policy.direction]
    if policy.safety_net is not None:
        flags.append("--safety-net")
        flags += [] if policy.safety_net.alpha == 0 else ["--alpha", str(policy.safety_net.alpha)]
        flags += [] if policy.safety_net.share == 1 else ["--share", str(policy.safety_net.share)]
    return flags
