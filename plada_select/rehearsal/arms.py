"""From candidates to files within the budget, each encoded for its true size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.engines.adaptive import compile_kernels

from ..payload import PayloadSpec, fit_budget
from ..raterank import refined
from ..select import Policy, Ranking, Selection, floor_share, rank
from .candidates import Candidate
from .trials import Arm

if TYPE_CHECKING:
    from ..scoretable import ScoreTable

#: From this budget on compiling the coder (where numba is there) costs less than encoding some hundred files without.
_MANY_BYTES = 4000
Ranker = Callable[["ScoreTable", Policy], Ranking]


@dataclass
class ArmMaker:
    """Makes arms; equal selections only once.

    Attributes:
        table: the teacher's scores.
        spec: everything of the file that is not the selection.
        budget: bytes of the whole file.
        allow_missing_classes: see :func:`plada_select.fit_budget`.
        ranker: makes the order of a policy.
        group_starts: of the pool, for policies that weigh bits.
        embedding: float (N, d) of the pool, for policies with a spread.
    """

    table: ScoreTable
    spec: PayloadSpec
    budget: int
    allow_missing_classes: bool = False
    ranker: Ranker = rank
    group_starts: NDArray[np.integer] | None = None
    embedding: Any = None
    _largest: dict[str, int] = field(default_factory=dict)
    _rankings: dict[str, Ranking] = field(default_factory=dict)  # without quotas: millions of rows each
    _known: set[bytes] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.budget >= _MANY_BYTES:
            compile_kernels()

    def ranking(self, policy: Policy) -> Ranking:
        """The order of a policy; policies that differ in their quotas share one."""
        plain, key = _orders(policy)
        if plain not in self._rankings:
            self._rankings[plain] = self.ranker(self.table, replace(policy, safety_net=None, refine=None))
        if key not in self._rankings:
            found = refined(self._rankings[plain], policy.refine, self.group_starts, self.embedding)
            self._rankings[key] = found
        return self._rankings[key].with_net(policy.safety_net)

    def keep_only(self, policy: Policy) -> None:
        """Forget the orders of all other policies: 14 bytes for each image of the pool."""
        self._rankings = {key: ranking for key, ranking in self._rankings.items() if key in _orders(policy)}

    def arm(self, candidate: Candidate, name: str | None = None) -> Arm | None:
        """The candidate's file; None where an earlier arm has the same selection, where part of the count would lose
        a class, or where, which hardly ever happens, part of it needs more bytes than the whole.

        Args:
            candidate: policy, and part of the largest count within the budget.
            name: in place of the candidate's own.

        Raises:
            UserError: the budget is too small.
        """
        key, ranking = str(candidate.policy.to_json()), self.ranking(candidate.policy)
        if key not in self._largest:
            fitted = fit_budget(ranking, self.spec, self.budget, allow_missing_classes=self.allow_missing_classes)
            self._largest[key] = len(fitted.selection)
        count = max(1, floor_share(self._largest[key], candidate.part))
        few = candidate.part < 1 and count < np.count_nonzero(ranking.class_counts)
        if few and not self.allow_missing_classes:
            return None
        selection = ranking.select(count)
        mark = _mark(selection)
        if mark in self._known:
            return None
        self._known.add(mark)
        size = len(self.spec.encode(selection))
        if size > self.budget:
            return None
        return Arm(name or candidate.name, candidate.policy, str(candidate.part), selection, size)

    def arms(self, candidates: Sequence[Candidate]) -> list[Arm]:
        """Those of the candidates, in their order."""
        return [arm for arm in map(self.arm, candidates) if arm is not None]


def _orders(policy: Policy) -> tuple[str, str]:
    """Keys of the policy's order without and with its refinement; quotas play no part."""
    order = replace(policy, safety_net=None)
    return str(replace(order, refine=None).to_json()), str(order.to_json())


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
