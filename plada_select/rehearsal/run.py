"""One rehearsal: candidates to real files, successive halving with proxy students, perhaps really trained finalists,
and the rule."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_format.errors import UserError

from .arms import ArmMaker, within_work
from .halving import Measure, successive_halving
from .rule import pick
from .trials import Arm, Trial
from .turns import Turned, turn_quotas

if TYPE_CHECKING:
    from .precheck import PreCheck
    from .students import ProxyStudent


@dataclass
class Rehearsal:
    """What came of it.

    Attributes:
        chosen: the arm that is sent.
        arms: all arms, in the order of the candidates.
        budget: bytes of the whole file.
        facts: about proxy, validation images and cost, for the record.
        check: what was seen before.
    """

    chosen: Arm
    arms: list[Arm]
    budget: int
    facts: dict[str, Any] = field(default_factory=dict)
    check: PreCheck | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "budget": self.budget,
            "arms": [arm.to_json() for arm in self.arms],
            "pre_check": None if self.check is None else self.check.to_json(),
            **self.facts,
        }


def rehearse(
    arms: Sequence[Arm],
    proxy: ProxyStudent,
    *,
    budget: int,
    seeds: int = 3,
    images: int | None = None,
    turns: int = 0,
    maker: ArmMaker | None = None,
    final: Measure | None = None,
    finalists: int = 3,
    final_seeds: int = 1,
    check: PreCheck | None = None,
    progress: bool = True,
) -> Rehearsal:
    """Choose between arms.

    Args:
        arms: of an :class:`ArmMaker`.
        proxy: cheap student.
        budget: for the record.
        seeds: proxy students of each arm that stays to the end.
        images: most pool images whose features are computed; arms that would need more are not tried.
        turns: rounds of :func:`plada_select.rehearsal.turns.turn_quotas`, which needs ``maker``.
        maker: of the arms.
        final: trains a network on an arm; given, the best arms of at most ``finalists`` different policies are
            trained with ``final_seeds`` seeds, and the rule looks at these alone.
        finalists: at most 3.
        final_seeds: of each of them.
        check: for the record.
        progress: show a bar.

    Raises:
        UserError: no arm; more than three finalists; turns without a maker.
    """
    if turns and maker is None:
        raise UserError("rehearsal: quotas are turned with the maker of the arms; give it too")
    if final is not None and not 1 <= finalists <= 3:
        raise UserError(f"rehearsal: {finalists} finalists; a really trained network is for one to three")
    from plada_train.loader import progress_bar

    started = time.perf_counter()
    tried = within_work(arms, images)
    if not tried:
        raise UserError("rehearsal: no candidate fits the budget")
    proxy.want(tried)
    features = time.perf_counter() - started
    with progress_bar(_students(len(tried), seeds), "rehearsal", show=progress, unit="student") as bar:
        left = successive_halving(tried, proxy, seeds=seeds, student=proxy.name, seen=lambda: bar.update(1))
    union = np.unique(np.concatenate([arm.selection.indices for arm in tried]))
    turned = Turned(union, end="not asked for")
    if turns and maker is not None:
        turned = turn_quotas(
            left, maker, proxy, seeds=seeds, rounds=turns, seen=union, images=images, progress=progress
        )
        left = sorted([*left, *turned.arms], key=lambda arm: (-arm.mean, arm.bytes))
    if final is not None:
        left = _finals(left, final, finalists, final_seeds, progress)
    facts = {
        "proxy": proxy.name,
        "validation_images": len(proxy.validation),
        "seeds": seeds,
        "pool_images_seen": len(turned.seen),
        "seconds": round(time.perf_counter() - started, 2),
        "seconds_features": round(features, 2),
        "turns": [turn.to_json() for turn in turned.turns],
        "turns_end": turned.end,
    }
    return Rehearsal(pick(left), [*arms, *turned.arms], budget, facts, check)


def _students(arms: int, seeds: int) -> int:
    """About how many students the halving trains."""
    total, left = 0, arms
    for _ in range(seeds):
        total += left
        left = max(min(left, 4), -(-left // 2))
    return total


def _finals(left: list[Arm], final: Measure, most: int, seeds: int, progress: bool) -> list[Arm]:
    from plada_train.loader import progress_bar

    chosen: list[Arm] = []
    policies: set[str] = set()
    for arm in left:
        net = arm.policy.safety_net
        plain = net and dataclasses.replace(net, factors=())  # turned quotas do not make another policy
        mark = str(dataclasses.replace(arm.policy, safety_net=plain).to_json())
        if mark not in policies and len(chosen) < most:
            policies.add(mark)
            chosen.append(arm)
    name = getattr(final, "name", "final")
    with progress_bar(len(chosen) * seeds, "finalists", show=progress, unit="student") as bar:
        for arm in chosen:
            for seed in range(seeds):
                right, seconds = final(arm, seed)
                arm.trials.append(Trial(seed, -1, name, np.asarray(right, bool), seconds))
                bar.update(1)
    return chosen
