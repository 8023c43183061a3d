"""Rate-aware selection: what an image is worth against what it costs in bits.

Every image has a price: the doublings of its rank within its class beyond what the class gets, plus lambda times its
marginal bits (:mod:`plada_select.bitcost`), plus tau times how surprising its label is in its group. The cheapest are
kept, class quotas as the Safety-Net has them, and the bits are estimated anew from what is kept, a few times.
Lambda 0 and tau 0 is the plain selection.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .bitcost import BitCost, Groups, agreement, best_blocks
from .refine import Refine
from .safety_net import SafetyNet
from .select import Ranking
from .spread import farthest_first

SHORTLIST = 8  # images looked at for each that is kept: ranks beyond it are three doublings away
ROUNDS = 4
BLOCK = 256  # images that stand for a group where the pool has none
_LOW32 = np.uint64(0xFFFFFFFF)


@dataclass
class RefinedRanking(Ranking):
    """A ranking whose selections weigh ranks against bits.

    Attributes:
        refine: settings.
        starts: start offsets of the pool's groups, or None.
        points: float (N, d), embedding of the pool, or None.
    """

    refine: Refine = field(default_factory=Refine)
    starts: NDArray[np.integer] | None = None
    points: Any = None
    _priors: dict[int, tuple[Groups, tuple[float, float]]] = field(default_factory=dict)
    _spread_heads: dict[tuple[int, int], NDArray[np.uint64]] = field(default_factory=dict)
    _surprise: NDArray[np.float32] | None = None

    def plain(self) -> Ranking:
        """The global order alone."""
        return replace(self, safety_net=None, refine=Refine())

    def with_net(self, safety_net: SafetyNet | None) -> Ranking:
        """See :meth:`Ranking.with_net`; the priors, which follow the quotas, are fitted anew."""
        return replace(self, safety_net=safety_net, _weights=None, _priors={})

    def select_keys(self, count: int) -> tuple[NDArray[np.uint64], NDArray[np.int64] | None]:
        """See :meth:`Ranking.select_keys`."""
        plain, quota = super().select_keys(count)
        if not self.refine or count in (0, self.usable):
            return plain, quota
        if self.refine.spread:
            return self._spread_out(plain, quota, count), quota
        keys, worth, bounds = self._shortlist(count, quota)
        indices = (keys & _LOW32).astype(np.int64)
        labels, rate = self.labels[indices], float(self.refine.rate)
        worth = worth + float(self.refine.agreement) * self._surprise_of(indices)
        if not rate:
            return keys[_cheapest(worth, keys, bounds, quota, count)], quota
        selected = np.isin(indices, (plain & _LOW32).astype(np.int64))
        best, least = selected, np.inf
        for _ in range(ROUNDS + 1):
            cost = self._cost(indices[selected], labels[selected], count)
            value = float(worth[selected].sum() + rate * cost.total())
            if value >= least:
                break
            best, least = selected, value
            price = worth + rate * cost.bits(cost.groups.of(indices), labels, selected)
            selected = _cheapest(price, keys, bounds, quota, count)
        return keys[best], quota

    def _spread_out(self, plain: NDArray[np.uint64], quota: NDArray[np.int64] | None, count: int) -> NDArray[np.uint64]:
        """Each class's quota (or all of it, without quotas) by greedy k-center among its first candidates."""
        if quota is None or not quota.any():
            return self._apart(-1, count)
        octaves = np.array([1 << (int(wanted) - 1).bit_length() if wanted else 0 for wanted in quota], np.int64)
        self.class_heads(np.minimum(self.class_counts, octaves * self.refine.spread))  # of all classes in one pass
        parts = [self._apart(label, int(wanted)) for label, wanted in enumerate(quota) if wanted]
        reserved = np.concatenate(parts)
        rest = count - len(reserved)
        if not rest:
            return reserved
        free = np.setdiff1d(self.head(count), reserved)
        return np.concatenate([reserved, free[:rest]])

    def _apart(self, label: int, wanted: int) -> NDArray[np.uint64]:
        """The first ``wanted`` of a class in k-center order. Candidates grow by doublings, so that the order is the
        same for all counts between two of them."""
        total = self.usable if label < 0 else int(self.class_counts[label])
        octave = 1 << (wanted - 1).bit_length()
        if (label, octave) not in self._spread_heads:
            depth = min(total, octave * self.refine.spread)
            if label < 0:
                keys = self.head(depth)
            else:
                keys = self.class_heads(np.where(np.arange(len(self.class_counts)) == label, depth, 0))
            indices = (keys & _LOW32).astype(np.int64)
            if self.refine.agreement:
                worth = _doublings(np.arange(depth), octave) + float(self.refine.agreement) * self._surprise_of(indices)
                order = np.argsort(worth, kind="stable")
                keys, indices = keys[order], indices[order]
            rows = np.argsort(indices)
            points = np.empty((depth, self.points.shape[1]), np.float32)
            points[rows] = self.points[indices[rows]]
            self._spread_heads[label, octave] = keys[farthest_first(points, min(octave, depth))]
        return self._spread_heads[label, octave][:wanted]

    def _cost(self, indices: NDArray[np.int64], labels: NDArray[np.uint16], count: int) -> BitCost:
        """The model of a selection of ``count`` images, with the prior that suits selections of about that size."""
        groups, strengths = self._prior(count)
        return BitCost(groups, indices, labels, len(self.class_counts), strengths)

    def _prior(self, count: int) -> tuple[Groups, tuple[float, float]]:
        """Groups (where the pool has none, the blocks that suit best) and strengths, fitted to the plain selection at
        the next power of two: fitting anew for every count would cost ten times more, and reusing the last one would
        make a selection depend on what was asked before."""
        octave = min(self.usable, 1 << (count - 1).bit_length())
        if octave not in self._priors:
            keys, _ = super().select_keys(octave)
            indices = (keys & _LOW32).astype(np.int64)
            labels, size, classes = self.labels[indices], len(self.labels), len(self.class_counts)
            if self.starts is None:
                groups = best_blocks(size, indices, labels, classes)
            else:
                groups = Groups(self.starts, size)
            cost = BitCost(groups, indices, labels, classes)
            self._priors[octave] = groups, (cost.density_strength, cost.label_strength)
        return self._priors[octave]

    def _shortlist(
        self, count: int, quota: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.int64] | None]:
        """Candidate keys, the doublings of their ranks, and where each class begins among them (None: one list)."""
        if quota is None or not quota.any():
            keys = self.head(min(self.usable, SHORTLIST * count))
            return keys, _doublings(np.arange(len(keys)), count), None
        deep = np.minimum(self.class_counts, SHORTLIST * np.maximum(quota, 1))
        keys = self.class_heads(deep)
        bounds = np.concatenate([[0], np.cumsum(deep)])
        worth = np.empty(len(keys))
        for label, (start, end) in enumerate(pairwise(bounds)):
            worth[start:end] = _doublings(np.arange(end - start), max(1, int(quota[label])))
        if quota.sum() < count:  # what the quotas leave over goes by global order
            rest = np.setdiff1d(self.head(min(self.usable, SHORTLIST * count)), keys)
            keys = np.concatenate([keys, rest])
            worth = np.concatenate([worth, np.full(len(rest), worth.max(initial=0.0))])
            order = np.argsort(keys, kind="stable")
            place = np.empty(len(keys))
            place[order] = np.arange(len(keys))
            worth = np.minimum(worth, _doublings(place, count))
        return keys, worth, bounds

    def _surprise_of(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """-log2 of the label's share in the image's group over the whole pool; the same for every count."""
        if not self.refine.agreement:
            return np.zeros(len(indices))
        if self._surprise is None:
            usable = (self.keys & _LOW32).astype(np.int64)
            groups = (
                Groups.blocks(BLOCK, len(self.labels)) if self.starts is None else Groups(self.starts, len(self.labels))
            )
            shares = agreement(groups, usable, self.labels[usable], len(self.class_counts))
            self._surprise = np.zeros(len(self.labels), np.float32)
            self._surprise[usable] = -np.log2(shares)
        return self._surprise[indices].astype(np.float64)


def _doublings(rank: NDArray[np.integer] | NDArray[np.floating], wanted: int) -> NDArray[np.float64]:
    """0 for the first image, 1 for the first beyond what is wanted, 2 at three times that, 3 at seven times."""
    return np.log2(1 + np.asarray(rank, np.float64) / wanted)


def _cheapest(
    price: NDArray[np.float64],
    keys: NDArray[np.uint64],
    bounds: NDArray[np.int64] | None,
    quota: NDArray[np.int64] | None,
    count: int,
) -> NDArray[np.bool_]:
    """bool (n,): the cheapest of each class up to its quota, then the cheapest of all up to ``count``; ties by key."""
    chosen = np.zeros(len(keys), bool)
    order = np.lexsort((keys, price))
    if bounds is not None and quota is not None:
        rank_of = np.empty(len(keys), np.int64)
        rank_of[order] = np.arange(len(keys))
        for label, (start, end) in enumerate(pairwise(bounds)):
            if quota[label]:
                first = np.argsort(rank_of[start:end], kind="stable")[: quota[label]]
                chosen[start + first] = True
    rest = count - int(chosen.sum())
    if rest:
        free = order[~chosen[order]][:rest]
        chosen[free] = True
    return chosen


def refined(ranking: Ranking, refine: Refine | None, starts: NDArray[np.integer] | None, points: Any = None) -> Ranking:
    """The ranking with these settings; itself where there are none.

    Args:
        ranking: of a policy.
        refine: settings.
        starts: start offsets of the pool's groups; without them neighbours in the pool's order count.
        points: float (N, d), embedding of the pool in its order, for a spread; may be a memory map.

    Raises:
        UserError: a spread without an embedding, or with one of another pool.
    """
    if not refine:
        return ranking
    if refine.spread and (points is None or len(points) != len(ranking.labels)):
        raise UserError(f"a spread needs an embedding of the pool's {len(ranking.labels)} images (--embedding)")
    return RefinedRanking(
        ranking.keys, ranking.labels, ranking.class_counts, ranking.safety_net, ranking.excluded, ranking.scores,
        ranking.score_name, refine=refine, starts=starts, points=points,
    )  # fmt: skip
