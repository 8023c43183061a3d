"""Class quotas by rehearsal. A student with twice the images of one class, and one with half of them, tell what that
class's images are worth beside the others'; quotas move from the classes that lose least to those that gain most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..safety_net import FACTORS, SafetyNet
from .arms import ArmMaker
from .candidates import Candidate
from .rule import pick
from .trials import Arm, Trial

if TYPE_CHECKING:
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


@dataclass
class Turned:
    """What came of turning.

    Attributes:
        seen: pool images that the proxy has looked at, those before included.
        arms: new ones.
        turns: of which they came.
        end: why there are no more of them.
    """

    seen: NDArray[np.integer]
    arms: list[Arm] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    end: str = ""

    def ended(self, why: str) -> Turned:
        """Itself, with the reason."""
        self.end = why
        return self

    def look_at(self, arms: Iterable[Arm], most: int | None) -> bool:
        """Whether the images of these arms may be looked at, too; then they count as seen."""
        union = np.unique(np.concatenate([self.seen, *(arm.selection.indices for arm in arms)]))
        if most is not None and len(union) > most:
            return False
        self.seen = union
        return True


def exchange(
    quota: Sequence[int], available: Sequence[int], doubled: Mapping[int, float], halved: Mapping[int, float]
) -> dict[int, Decimal]:
    """Factors of the classes' quotas: the class that gains most by doubling gets the images of those that lose least by
    halving, then the next, where the sum of what was measured is a gain. Half of what a class wants will do: with two
    classes no more can be had, and factors are relative.

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
        if 2 * free < wanted or gain <= 0:
            continue
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
    seen: NDArray[np.integer],
    images: int | None = None,
    progress: bool = False,
) -> Turned:
    """Turn the quotas of the arm that the rule picks among those with class quotas for all images; then of what comes
    of it, until the rule picks that no more.

    Args:
        left: arms with trials of ``seeds`` seeds.
        maker: of the arms.
        proxy: student.
        seeds: students of each new arm.
        rounds: at most.
        seen: pool images that the proxy has looked at.
        images: most that it may look at, or None.
        progress: show a bar.

    Returns:
        What came of it.
    """
    from plada_train.loader import progress_bar

    found = Turned(seen)
    for _ in range(rounds):
        if maker.table.num_classes > MOST_CLASSES:
            return found.ended(f"more than {MOST_CLASSES} classes, and two students for each")
        nets = ((arm, arm.policy.safety_net) for arm in (*left, *found.arms))
        able = {arm: net for arm, net in nets if net is not None and net.share == 1}
        if not able:
            return found.ended("no policy that was left has class quotas for all images")
        base = pick(list(able))
        net = able[base]
        maker.keep_only(base.policy)
        changed = _changed(base, net, maker)
        if not found.look_at(changed.values(), images):
            return found.ended(f"more than {images} images of the pool would be needed")
        with progress_bar(len(changed) + seeds, "class quotas", show=progress, unit="student") as bar:
            turn = _turn(base, changed, maker, proxy, bar)
            found.turns.append(turn)
            if not turn.factors:
                return found.ended("no exchange promised a gain")
            policy = replace(base.policy, safety_net=_times(net, turn.factors))
            arm = maker.arm(Candidate(policy, Decimal(base.part)), f"{base.name}, quotas turned")
            if arm is None or len(np.unique(arm.selection.labels)) < len(np.unique(base.selection.labels)):
                return found.ended("the exchange would lose a class, or changes nothing")
            if not found.look_at([arm], images):
                return found.ended(f"more than {images} images of the pool would be needed")
            for seed in range(seeds):
                right, seconds = proxy(arm, seed)
                arm.trials.append(Trial(seed, seed, proxy.name, np.asarray(right, bool), seconds))
                bar.update(1)
        found.arms.append(arm)
        if pick([*able, arm]) is not arm:
            return found.ended("the quotas before are as good")
    return found.ended(f"{rounds} rounds were asked for")


def _changed(base: Arm, net: SafetyNet, maker: ArmMaker) -> dict[tuple[int, Decimal], Arm]:
    """The arm with one class doubled or halved, all others as they are. Where that cannot be had (the pool has no more
    of a class, or a class keeps all of its images at half the weight), the class is left out."""
    ranking = maker.ranking(base.policy)
    quota = np.array(_quota(base, ranking))
    ranking.class_heads(np.minimum(ranking.class_counts, 2 * quota + 1))  # once for all that follow
    out = {}
    for one, images in enumerate(quota.tolist()):
        steps = {DOUBLE: min(images, int(ranking.class_counts[one]) - images), HALF: images // 2 - images}
        for factor, step in steps.items():
            if not step or not images + step or not _allowed(net, one, factor):
                continue
            turned = ranking.with_net(_times(net, {one: factor})).select(base.count + step)
            change = np.bincount(turned.labels, minlength=len(quota)) - quota
            change[one] -= step
            if np.abs(change).max() <= 1:
                out[one, factor] = Arm("", base.policy, base.part, turned, 0)
    return out


def _allowed(net: SafetyNet, one: int, factor: Decimal) -> bool:
    return FACTORS[0] <= dict(net.factors).get(one, Decimal(1)) * factor <= FACTORS[1]


def _quota(arm: Arm, ranking: Ranking) -> list[int]:
    found: list[int] = np.bincount(arm.selection.labels, minlength=len(ranking.class_counts)).tolist()
    return found


def _times(net: SafetyNet, factors: Mapping[int, Decimal]) -> SafetyNet:
    both = dict(net.factors)
    for one, factor in factors.items():
        both[one] = both.get(one, Decimal(1)) * factor
    return replace(net, factors=tuple(both.items()))


def _turn(
    base: Arm, changed: Mapping[tuple[int, Decimal], Arm], maker: ArmMaker, proxy: ProxyStudent, bar: Any
) -> Turn:
    """Students with the seed of the arm's first one."""
    proxy.want(list(changed.values()))
    first = next(trial for trial in base.trials if trial.rung >= 0)
    gains: dict[tuple[int, Decimal], float] = {}
    for key, arm in changed.items():
        gains[key] = float(np.mean(proxy(arm, first.seed)[0])) - first.accuracy
        bar.update(1)
    doubled, halved = ({one: gain for (one, by), gain in gains.items() if by == factor} for factor in (DOUBLE, HALF))
    ranking = maker.ranking(base.policy)
    quota, available = _quota(base, ranking), ranking.class_counts.tolist()
    return Turn(base.name, tuple(quota), doubled, halved, exchange(quota, available, doubled, halved))
