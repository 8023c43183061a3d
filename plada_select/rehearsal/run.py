"""One rehearsal: candidates to real files, successive halving with proxy students, perhaps really trained finalists,
and the rule."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.engines.adaptive import compile_kernels
from plada_format.errors import UserError

from ..payload import PayloadSpec, fit_budget
from ..raterank import refined
from ..select import Policy, Ranking, Selection, floor_share, rank
from .candidates import Candidate
from .halving import Measure, successive_halving
from .rule import pick
from .trials import Arm, Trial

if TYPE_CHECKING:
    from ..scoretable import ScoreTable
    from .precheck import PreCheck
    from .students import ProxyStudent

#: From this budget on compiling the coder (where numba is there) costs less than encoding some hundred files without.
_MANY_BYTES = 4000
Ranker = Callable[["ScoreTable", Policy], Ranking]


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


def make_arms(
    table: ScoreTable,
    candidates: Sequence[Candidate],
    spec: PayloadSpec,
    budget: int,
    *,
    allow_missing_classes: bool = False,
    ranker: Ranker = rank,
    group_starts: NDArray[np.integer] | None = None,
    embedding: Any = None,
) -> list[Arm]:
    """Every candidate as a file within the budget, measured by the real encoder; equal selections only once.

    Args:
        table: the teacher's scores.
        candidates: in order of promise.
        spec: everything of the file that is not the selection.
        budget: bytes of the whole file.
        allow_missing_classes: see :func:`plada_select.fit_budget`.
        ranker: makes the order of a policy.
        group_starts: of the pool, for policies that weigh bits.
        embedding: float (N, d) of the pool, for policies with a spread.

    Raises:
        UserError: the budget is too small.
    """
    if budget >= _MANY_BYTES:
        compile_kernels()
    arms: list[Arm] = []
    known: set[bytes] = set()
    largest: dict[str, tuple[Ranking, int]] = {}
    for candidate in candidates:
        policy = candidate.policy
        whole = Candidate(policy).name
        if whole not in largest:
            ranking = refined(ranker(table, policy), policy.refine, group_starts, embedding)
            fitted = fit_budget(ranking, spec, budget, allow_missing_classes=allow_missing_classes)
            largest[whole] = ranking, len(fitted.selection)
        ranking, most = largest[whole]
        count = max(1, floor_share(most, candidate.part))
        if not allow_missing_classes and candidate.part < 1 and count < np.count_nonzero(ranking.class_counts):
            continue
        selection = ranking.select(count)
        mark = _mark(selection)
        if mark in known:
            continue
        known.add(mark)
        data = spec.encode(selection)
        if len(data) <= budget:  # part of a count may need more bytes than the whole of it, hardly ever
            arms.append(Arm(candidate.name, policy, str(candidate.part), selection, len(data)))
    return arms


def _mark(selection: Selection) -> bytes:
    return hashlib.sha256(selection.indices.tobytes() + b"|" + selection.labels.tobytes()).digest()


def within_work(arms: Sequence[Arm], most: int | None) -> list[Arm]:
    """The arms, in order, whose images together are at most ``most``; the others get a note."""
    if most is None:
        return list(arms)
    union: NDArray[np.uint32] = np.zeros(0, np.uint32)
    out: list[Arm] = []
    for arm in arms:
        larger = np.union1d(union, arm.selection.indices)
        if out and len(larger) > most:
            arm.note = f"not tried: its images and those before it are more than {most}"
            continue
        union = larger
        out.append(arm)
    return out


def rehearse(
    arms: Sequence[Arm],
    proxy: ProxyStudent,
    *,
    budget: int,
    seeds: int = 3,
    images: int | None = None,
    final: Measure | None = None,
    finalists: int = 3,
    final_seeds: int = 1,
    check: PreCheck | None = None,
    progress: bool = True,
) -> Rehearsal:
    """Choose between arms.

    Args:
        arms: of :func:`make_arms`.
        proxy: cheap student.
        budget: for the record.
        seeds: proxy students of each arm that stays to the end.
        images: most pool images whose features are computed; arms that would need more are not tried.
        final: trains a network on an arm; given, the best arms of at most ``finalists`` different policies are
            trained with ``final_seeds`` seeds, and the rule looks at these alone.
        finalists: at most 3.
        final_seeds: of each of them.
        check: for the record.
        progress: show a bar.

    Raises:
        UserError: no arm; more than three finalists.
    """
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
    if final is not None:
        left = _finals(left, final, finalists, final_seeds, progress)
    union = np.unique(np.concatenate([arm.selection.indices for arm in tried]))
    facts = {
        "proxy": proxy.name,
        "validation_images": len(proxy.validation),
        "seeds": seeds,
        "pool_images_seen": len(union),
        "seconds": round(time.perf_counter() - started, 2),
        "seconds_features": round(features, 2),
    }
    return Rehearsal(pick(left), list(arms), budget, facts, check)


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
        mark = str(arm.policy.to_json())
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
