"""Which policy and how many images: rehearsed with students on the validation split; the test set plays no part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..pipeline import select_payload
from ..rehearsal.goal import Choice, choose
from ..rehearsal.goal import GoalTrial as Trial
from ..safety_net import SafetyNet
from ..select import Policy

if TYPE_CHECKING:
    from ..scoretable import ScoreTable

__all__ = ["POLICIES", "Choice", "Trial", "as_flags", "choose", "rehearse"]

POLICIES = {
    "lowest energy": Policy(),
    "lowest energy, Safety-Net": Policy(safety_net=SafetyNet()),
    "lowest entropy, Safety-Net": Policy(criterion="entropy", safety_net=SafetyNet()),
}


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
    from plada_train.loader import progress_bar

    from ..rehearsal import ProxyStudent, Validation

    student = ProxyStudent(pool_features, Validation(*val), table.num_classes)
    found = []
    jobs = [(name, count) for name in POLICIES for count in counts if count <= len(table)]
    with progress_bar(len(jobs), "rehearsals", show=progress, unit="student") as bar:
        for name, count in jobs:
            outcome = select_payload(table, POLICIES[name], count=count)
            head, _ = student.train(outcome.selection.indices, outcome.selection.labels, seed)
            right = student.judge(head.logits(val[0]))
            found.append(Trial(name, count, len(outcome.data), float(right.mean())))
            bar.update(1)
    return found


def as_flags(policy: Policy) -> list[str]:
    """The policy as arguments of ``plada select``."""
    flags = [] if policy.criterion == "energy" else ["--criterion", policy.criterion]
    flags += [] if policy.direction == "low" else ["--direction", policy.direction]
    if policy.safety_net is not None:
        flags.append("--safety-net")
        flags += [] if policy.safety_net.alpha == 0 else ["--alpha", str(policy.safety_net.alpha)]
        flags += [] if policy.safety_net.share == 1 else ["--share", str(policy.safety_net.share)]
    for name in ("rate", "agreement", "spread"):
        value = 0 if policy.refine is None else getattr(policy.refine, name)
        flags += [f"--{name}", str(value)] if value else []
    return flags
