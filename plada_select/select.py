"""Which pool images to send, from the score table alone: without torch, in seconds and under 2 GiB for 14.2 million
rows.

The order is total: a uint64 key of order-preserving score bits, then the index. ``direction="high"`` complements the
score bits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .classheads import ClassHeads, class_heads
from .criteria import CRITERIA, LOGIT_CRITERIA, consensus_bits, order_bits, random_bits
from .refine import Refine
from .safety_net import SafetyNet, class_weights, quotas
from .scoretable import USABLE_BELOW, ScoreTable

_LOW32 = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class Policy:
    """How images are ordered.

    Attributes:
        criterion: energy | entropy | max_logit | margin | random | consensus.
        direction: "low" keeps the least uncertain images, "high" the most uncertain ones.
        safety_net: class quotas, or None for the global order alone.
        seed: of the random criterion.
        consensus_of: criteria that a consensus takes the largest rank of.
        refine: weighs ranks against bits, or None.
    """

    criterion: str = "energy"
    direction: str = "low"
    safety_net: SafetyNet | None = None
    seed: int = 0
    consensus_of: tuple[str, ...] = LOGIT_CRITERIA
    refine: Refine | None = None

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise UserError(f"criterion {self.criterion!r} is none of {', '.join(CRITERIA)}")
        if self.direction not in ("low", "high"):
            raise UserError(f"direction {self.direction!r} is neither low nor high")
        if not self.consensus_of or set(self.consensus_of) - set(LOGIT_CRITERIA):
            raise UserError(
                f"consensus is over some of {', '.join(LOGIT_CRITERIA)}, not {', '.join(self.consensus_of)}"
            )

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"criterion": self.criterion, "direction": self.direction}
        if self.criterion == "random":
            out["seed"] = self.seed
        if self.criterion == "consensus":
            out["consensus_of"] = list(self.consensus_of)
        out["safety_net"] = None if self.safety_net is None else self.safety_net.to_json()
        if self.refine:
            out["refine"] = self.refine.to_json()
        return out


def parse_fraction(text: str | int | float | Decimal) -> Decimal:
    """Exact decimal of "1%", "0.01" or 0.01.

    Raises:
        UserError: no number, or not in (0, 1].
    """
    raw = str(text).strip()
    percent = raw.endswith("%")
    try:
        value = Decimal(raw[:-1] if percent else raw)
    except InvalidOperation:
        raise UserError(f"keep: {raw!r} is no fraction; write 1% or 0.01") from None
    if not value.is_finite():
        raise UserError(f"keep: {raw!r} is no fraction; write 1% or 0.01")
    value = value.scaleb(-2) if percent else value
    if not 0 < value <= 1:
        raise UserError(
            f"keep: {raw} is not between 0 and 100 %" + ("" if percent else " (did you mean a percentage, like 5%?)")
        )
    return value


def floor_share(count: int, share: Decimal) -> int:
    """floor(count * share), exact."""
    with localcontext() as context:
        context.prec = 60
        return int(Decimal(count) * share)


def parse_bytes(text: str | int) -> int:
    """Bytes of "20kB" (1000), "20KiB" (1024), "1MB", "1MiB" or "900"; decimals allowed if the result is whole.

    Raises:
        UserError: no size.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKM]?i?)[bB]?\s*", str(text))
    factor = (
        {"": 1, "k": 1000, "K": 1000, "Ki": 1024, "ki": 1024, "M": 10**6, "Mi": 1 << 20}.get(found[2])
        if found
        else None
    )
    if found is None or factor is None:
        raise UserError(f"budget: {text!r} is no size; write 900, 20kB, 20KiB, 1MB or 1MiB")
    value = Decimal(found[1]) * factor
    if value != int(value) or value < 1:
        raise UserError(f"budget: {text!r} is not a whole number of bytes of at least 1")
    return int(value)


@dataclass(frozen=True)
class Selection:
    """What is sent.

    Attributes:
        indices: uint32 (m,), strictly increasing.
        labels: uint16 (m,).
        quota: int64 (classes,), reserved by the Safety-Net per class; None without one.
    """

    indices: NDArray[np.uint32]
    labels: NDArray[np.uint16]
    quota: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.indices)


@dataclass
class Ranking:
    """All usable rows of a table in the order of a policy; :meth:`select` answers for any count.

    Attributes:
        keys: uint64 (usable,), score bits then index, in index order.
        labels: uint16 (pool,).
        class_counts: int64 (classes,): usable images per pseudo-label, N_c.
        excluded: rows left out, by reason ("unusable", "not finite").
        scores: float32 (pool,), the stored uncertainty that ``score_name`` names; NaN where excluded.
    """

    keys: NDArray[np.uint64]
    labels: NDArray[np.uint16]
    class_counts: NDArray[np.int64]
    safety_net: SafetyNet | None
    excluded: Mapping[str, int]
    scores: NDArray[np.float32]
    score_name: str
    _head: NDArray[np.uint64] | None = None
    _weights: list[int] | None = None
    _class_heads: ClassHeads | None = None

    @property
    def usable(self) -> int:
        return len(self.keys)

    def head(self, count: int) -> NDArray[np.uint64]:
        """The ``count`` smallest keys, sorted. Sorts only as far as was ever asked for."""
        if self._head is None or len(self._head) < count:
            depth = self._depth(count)
            part = self.keys if depth == self.usable else np.partition(self.keys, depth - 1)[:depth]
            self._head = np.sort(part)
        return self._head[:count]

    def _depth(self, count: int) -> int:
        return min(self.usable, max(4096, count + count // 2))

    def class_heads(self, quota: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The ``quota[c]`` smallest keys of every class c, one class after the other; quota[c] <= N_c."""
        if self._class_heads is None or (quota > self._class_heads.depth).any():
            depth = np.minimum(self.class_counts, quota + quota // 2 + 16)
            self._class_heads = class_heads(self.keys, self.labels, depth)
        return self._class_heads.take(quota)

    def quotas(self, count: int) -> NDArray[np.int64] | None:
        """Images that the Safety-Net reserves per class at this count; None without one."""
        net = self.safety_net
        if net is None:
            return None
        if self._weights is None:
            self._weights = class_weights(self.class_counts, net.alpha, dict(net.factors))
        return quotas(self.class_counts, floor_share(count, net.share), self._weights)

    def select_keys(self, count: int) -> tuple[NDArray[np.uint64], NDArray[np.int64] | None]:
        """Keys of the ``count`` chosen rows, in no particular order, and the quotas."""
        if not 0 <= count <= self.usable:
            raise UserError(f"cannot keep {count} images: only {self.usable} of {len(self.labels)} are usable")
        quota = self.quotas(count)
        if quota is None or not quota.any():
            return self.head(count), quota
        reserved = self.class_heads(quota)
        rest = count - len(reserved)
        if rest == 0:
            return reserved, quota
        # Of the `count` first keys at most len(reserved) are taken already, so `rest` free ones are among them.
        first = self.head(count)
        reserved.sort()
        at = np.searchsorted(reserved, first)
        free = first[reserved[np.minimum(at, len(reserved) - 1)] != first]
        return np.concatenate([reserved, free[:rest]]), quota

    def select(self, count: int) -> Selection:
        """The chosen rows at ``count``.

        Raises:
            UserError: more than the usable rows are asked for.
        """
        keys, quota = self.select_keys(count)
        indices = np.sort((keys & _LOW32).astype(np.uint32))
        return Selection(indices, self.labels[indices], quota)

    def plain(self) -> Ranking:
        """The global order alone."""
        return replace(self, safety_net=None)

    def with_net(self, safety_net: SafetyNet | None) -> Ranking:
        """The same order with other quotas; what was sorted before this call is shared."""
        return replace(self, safety_net=safety_net, _weights=None)

    def first_of_each_class(self) -> Selection:
        """The first image of every class that has one: the smallest selection that misses no class."""
        keys = self.class_heads((self.class_counts > 0).astype(np.int64))
        indices = np.sort((keys & _LOW32).astype(np.uint32))
        return Selection(indices, self.labels[indices])


def rank(table: ScoreTable, policy: Policy) -> Ranking:
    """Order the usable rows of a table by a policy.

    Rows whose status says that the image could not be read, or whose scores are not finite, are excluded and counted.

    Raises:
        UserError: nothing usable, or a damaged table.
    """
    wanted = _columns_of(policy)
    total = len(table)
    labels, scores = np.empty(total, np.uint16), np.empty(total, np.float32)
    keys = np.empty(total, np.uint64)
    counts = np.zeros(table.num_classes, np.int64)
    consensus: dict[str, NDArray[np.float32]] = {}
    if policy.criterion == "consensus":
        consensus = {name: np.empty(total, np.float32) for name in wanted}
    filled, unusable, not_finite = 0, 0, 0
    for start, chunk in table.chunks("label", "status", *wanted):  # in pieces that fit the processor's cache
        rows = len(chunk["label"])
        labels[start : start + rows] = chunk["label"]
        scores[start : start + rows] = chunk[wanted[0]]
        usable = chunk["status"] < USABLE_BELOW
        readable = int(usable.sum())
        for name in wanted:
            usable &= np.isfinite(chunk[name])
        taken = int(usable.sum())
        unusable, not_finite = unusable + rows - readable, not_finite + readable - taken
        if taken < rows:
            scores[start : start + rows][~usable] = np.nan
            chunk = {name: values[usable] for name, values in chunk.items()}
            index = np.flatnonzero(usable).astype(np.uint64) + np.uint64(start)
        else:
            index = np.arange(start, start + rows, dtype=np.uint64)
        counts += np.bincount(chunk["label"], minlength=table.num_classes)
        part = slice(filled, filled + taken)
        if policy.criterion == "consensus":
            for name in wanted:
                consensus[name][part] = chunk[name]
            keys[part] = index
        else:
            bits = random_bits(index, policy.seed) if policy.criterion == "random" else order_bits(chunk[wanted[0]])
            keys[part] = _with_bits(bits, index, policy)
        filled += taken
    if filled == 0:
        raise UserError(
            f"{table.folder}: no usable image among {total} (unusable {unusable}, scores not finite {not_finite})"
        )
    keys = keys[:filled]
    if policy.criterion == "consensus":
        bits = consensus_bits([consensus.pop(name)[:filled] for name in wanted])
        keys = _with_bits(bits, keys, policy)
    return Ranking(
        keys, labels, counts, policy.safety_net, {"unusable": unusable, "not finite": not_finite}, scores, wanted[0]
    )


def _columns_of(policy: Policy) -> tuple[str, ...]:
    """Score columns that a policy reads; random reads the energy too, to keep broken rows out and for the record."""
    if policy.criterion == "consensus":
        return policy.consensus_of
    return ("energy",) if policy.criterion == "random" else (policy.criterion,)


def _with_bits(bits: NDArray[np.uint32], index: NDArray[np.uint64], policy: Policy) -> NDArray[np.uint64]:
    if policy.direction == "high":
        bits = ~bits
    return (bits.astype(np.uint64) << np.uint64(32)) | index


def count_of(ranking: Ranking, *, keep: str | Decimal | float | None = None, count: int | None = None) -> int:
    """m = floor(N * keep) with N the whole pool, at most the usable rows; or the count itself.

    Raises:
        UserError: neither or both given, nothing would be kept, or count exceeds the usable rows.
    """
    if (keep is None) == (count is None):
        raise UserError("say either keep (a fraction) or count")
    total = len(ranking.labels)
    if keep is not None:
        wanted = floor_share(total, parse_fraction(keep))
        if wanted == 0:
            raise UserError(f"keep: {keep} of {total} images is less than one image")
        return min(wanted, ranking.usable)
    assert count is not None
    if count < 1:
        raise UserError(f"count: {count} is less than one image")
    if count > ranking.usable:
        raise UserError(f"count: {count} is more than the {ranking.usable} usable images of the pool's {total}")
    return count
