"""The first keys of every class without sorting the table: a coarse histogram tells which rows can be among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LOW32 = np.uint64(0xFFFFFFFF)
_TOP16 = np.uint64(48)
_BLOCK = 1 << 16
_CELLS = 1 << 17


@dataclass(frozen=True)
class ClassHeads:
    """Sorted first keys per class.

    Attributes:
        keys: uint64, class after class, each ascending.
        starts: int64 (classes,): where each class begins.
        depth: int64 (classes,): how many of each class can be taken.
    """

    keys: NDArray[np.uint64]
    starts: NDArray[np.int64]
    depth: NDArray[np.int64]

    def take(self, quota: NDArray[np.int64]) -> NDArray[np.uint64]:
        """The first ``quota[c]`` keys of every class; quota <= depth."""
        ends = np.cumsum(quota)
        within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - quota, quota)
        taken: NDArray[np.uint64] = self.keys[np.repeat(self.starts, quota) + within]
        return taken


def class_heads(keys: NDArray[np.uint64], labels: NDArray[np.uint16], depth: NDArray[np.int64]) -> ClassHeads:
    """Find the ``depth[c]`` smallest keys of each class.

    Args:
        keys: uint64 (usable,), score bits then index, in any order.
        labels: uint16 (pool,), class of each index.
        depth: int64 (classes,), at most the class's number of keys.
    """
    classes = len(depth)
    if len(keys) == 0 or not depth.any():
        return ClassHeads(keys[:0], np.zeros(classes, np.int64), depth)
    bins = max(8, 1 << max(0, (_CELLS // classes).bit_length() - 1))
    slot_of = _slots(keys, bins)
    histogram = np.zeros(classes * bins, np.int64)
    for _, label, slot in _blocks(keys, labels, slot_of):
        histogram += np.bincount(label * bins + slot, minlength=classes * bins)
    reached = histogram.reshape(classes, bins).cumsum(axis=1) >= depth[:, None]
    last_bin = np.where(depth > 0, reached.argmax(axis=1), -1)
    kept, owner = [], []
    for block, label, slot in _blocks(keys, labels, slot_of):
        mask = slot <= last_bin[label]
        kept.append(block[mask])
        owner.append(label[mask])
    candidates, of_class = np.concatenate(kept), np.concatenate(owner).astype(np.uint16)
    order = np.argsort(candidates)
    order = order[np.argsort(of_class[order], kind="stable")]
    counts = np.bincount(of_class, minlength=classes)
    return ClassHeads(candidates[order], np.cumsum(counts) - counts, depth)


def _slots(keys: NDArray[np.uint64], bins: int) -> NDArray[np.int64]:
    """Histogram slot of each value of a key's first 16 bits: monotone, and about equally many keys in each slot."""
    counts = np.zeros(1 << 16, np.int64)
    for start in range(0, len(keys), _BLOCK):
        counts += np.bincount((keys[start : start + _BLOCK] >> _TOP16).astype(np.int64), minlength=1 << 16)
    before = np.cumsum(counts) - counts
    return before * bins // len(keys)


def _blocks(
    keys: NDArray[np.uint64], labels: NDArray[np.uint16], slot_of: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]]:
    """(keys, class, histogram slot) in pieces that fit the processor's cache."""
    for start in range(0, len(keys), _BLOCK):
        block = keys[start : start + _BLOCK]
        label = labels[block & _LOW32].astype(np.int64)
        yield block, label, slot_of[(block >> _TOP16).astype(np.int64)]
