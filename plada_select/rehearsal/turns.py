"""Class quotas by rehearsal. A student with twice the images of one class, and one with half of them, tell what that
class's images are worth beside the others'; quotas move from the classes that lose least to those that gain most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arms import ArmMaker
from .candidates import Candidate
from .rule import pick
from .trials import Arm, Trial

if TYPE_CHECKING:
    from ..safety_net import SafetyNet
    from ..select import Ranking
    from .students import ProxyStudent

MOST_CLASSES = 50  # two students for each: more cost more than all candidates together
DOUBLE, HALF = Decimal(2), Decimal("0.5")


@dataclass(frozen=True)
class Turn:
    """What the classes' images are worth.

    Attributes:
        arm: name of the arm whose quotas were changed.
        quota: images of each class in it.
        doubled, halved: change of the accuracy on the judging images, by class, one class changed alone.
        factors: what came of it, by class.
    """

    arm: str
    quota: tuple[int, ...]
    doubled: Mapping[int, float]
    halved: Mapping[int, float]
    factors: Mapping[int, Decimal]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "arm": self.arm,
            "quota": list(self.quota),
            "doubled": {str(one): gain for one, gain in self.doubled.items()},
            "halved": {str(one): gain for one, gain in self.halved.items()},
            "factors": {str(one): str(factor) for one, factor in self.factors.items()},
        }


def exchange(
    quota: Sequence[int], available: Sequence[int], doubled: Mapping[int, float], halved: Mapping[int, float]
) -> dict[int, Decimal]:
    """Factors of the classes' quotas: the class that gains most by doubling gets the images of those that lose least by
    halving, then the next, as long as the sum of what was measured is a gain.

    Args:
        quota: images of each class.
        available: in the pool.
        doubled, halved: change of the accuracy, by class; classes that are missing are left as they are.
    """
    givers = sorted(halved, key=lambda one: (-halved[one], one))
    out: dict[int, Decimal] = {}
    for one in sorted(doubled, key=lambda one: (-doubled[one], one)):
        wanted = min(quota[one], available[one] - quota[one])
        if one in out or wanted < 1:
            continue
        taken, free, gain = [], 0, doubled[one]
        for other in givers:
            if free >= wanted:
                break
            if other != one and other not in out:
                taken.append(other)
                free += quota[other] - quota[other] // 2
                gain += halved[other]
        if free < wanted or gain <= 0:
            break
        out[one] = DOUBLE
        out |= dict.fromkeys(taken, HALF)
    return out


def turn_quotas(
    left: Sequence[Arm],
    maker: ArmMaker,
    proxy: ProxyStudent,
    *,
    seeds: int,
    rounds: int,
    images: int | None = None,
    seen: NDArray[np.integer] | None = None,
) -> tuple[list[Arm], list[Turn], str]:
    """Turn the quotas of the arm that the rule picks; then of what comes of it, until the rule picks that no more.

    Args:
        left: arms with trials of ``seeds`` seeds.
        maker: of the arms.
        proxy: student.
        seeds: students of each new arm.
        rounds: at most.
        images: most pool images that the proxy may look at, or None.
        seen: those that it has looked at.

    Returns:
        The new arms, the turns, and why there are no more of them.
    """
    new: list[Arm] = []
    turns: list[Turn] = []
    known = np.zeros(0, np.int64) if seen is None else seen
    for _ in range(rounds):
        base = pick([*left, *new])
        if base.policy.safety_net is None or not base.policy.safety_net.share:
            return new, turns, "the policy has no class quotas"
        if maker.table.num_classes > MOST_CLASSES:
            return new, turns, f"more than {MOST_CLASSES} classes, and two students for each"
        changed = _changed(base, base.policy.safety_net, maker)
        known = np.unique(np.concatenate([known, *(arm.selection.indices for arm in changed.values())]))
        if images is not None and len(known) > images:
            return new, turns, f"it would take {len(known)} images of the pool, more than {images}"
        turn = _turn(base, changed, maker, proxy)
        turns.append(turn)
        arm = _arm(base, turn, maker) if turn.factors else None
        if arm is None:
            return new, turns, "no exchange promised a gain"
        for seed in range(seeds):
            right, seconds = proxy(arm, seed)
            arm.trials.append(Trial(seed, seed, proxy.name, np.asarray(right, bool), seconds))
        new.append(arm)
        if pick([*left, *new]) is not arm:
            return new, turns, "the quotas before are as good"
    return new, turns, f"{rounds} rounds"


def _changed(base: Arm, net: SafetyNet, maker: ArmMaker) -> dict[tuple[int, Decimal], Arm]:
    """The arm with one class doubled or halved, all others as they are."""
    ranking = maker.ranking(base.policy)
    out = {}
    for one, images in enumerate(_quota(base, ranking)):
        steps = {DOUBLE: min(images, int(ranking.class_counts[one]) - images), HALF: images // 2 - images}
        for factor, step in steps.items():
            if step and images + step:
                turned = ranking.with_net(_times(net, {one: factor}))
                out[one, factor] = Arm("", base.policy, base.part, turned.select(base.count + step), 0)
    return out


def _quota(arm: Arm, ranking: Ranking) -> list[int]:
    found: list[int] = np.bincount(arm.selection.labels, minlength=len(ranking.class_counts)).tolist()
    return found


def _times(net: SafetyNet, factors: Mapping[int, Decimal]) -> SafetyNet:
    both = dict(net.factors)
    for one, factor in factors.items():
        both[one] = both.get(one, Decimal(1)) * factor
    return replace(net, factors=tuple(both.items()))


def _turn(base: Arm, changed: Mapping[tuple[int, Decimal], Arm], maker: ArmMaker, proxy: ProxyStudent) -> Turn:
    """Students with the seed of the arm's first one."""
    proxy.want(list(changed.values()))
    first = next(trial for trial in base.trials if trial.rung >= 0)
    gains = {key: float(np.mean(proxy(arm, first.seed)[0])) - first.accuracy for key, arm in changed.items()}
    doubled, halved = ({one: gain for (one, by), gain in gains.items() if by == factor} for factor in (DOUBLE, HALF))
    ranking = maker.ranking(base.policy)
    quota = _quota(base, ranking)
    return Turn(
        base.name, tuple(quota), doubled, halved, exchange(quota, ranking.class_counts.tolist(), doubled, halved)
    )


def _arm(base: Arm, turn: Turn, maker: ArmMaker) -> Arm | None:
    net = base.policy.safety_net
    assert net is not None, "only quotas are turned"
    policy = replace(base.policy, safety_net=_times(net, turn.factors))
    return maker.arm(Candidate(policy, Decimal(base.part)), f"{base.name}, quotas turned")
