"""Are all keys of a pool different? With 8 bytes of memory an entry, and as many again to sort."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .layout import BLOCK_ENTRIES


def hash_keys(keys: Sequence[bytes]) -> NDArray[np.int64]:
    """A 64-bit hash of each key. Python's own: fast, keyed by a secret, and never part of a file."""
    return np.fromiter(map(hash, keys), np.int64, len(keys))


def first_duplicate(hashes: Sequence[NDArray[np.int64]], key_at: Callable[[int], bytes]) -> tuple[int, int] | None:
    """Positions (earlier, later) of the first key that repeats an earlier one, or None.

    Args:
        hashes: hashes of all keys, one array for each block.
        key_at: the key at a position; called only for keys of equal hash.
    """
    if not hashes:
        return None
    ordered = np.concatenate(hashes)
    ordered.sort()
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    if not len(repeated):
        return None
    earlier: dict[int, list[int]] = {}  # rank in repeated -> further positions whose keys differ from the first's
    first = np.full(len(repeated), -1, np.int64)
    for block, values in enumerate(hashes):
        rank = np.minimum(np.searchsorted(repeated, values), len(repeated) - 1)
        for offset in np.flatnonzero(repeated[rank] == values).tolist():
            place, slot = block * BLOCK_ENTRIES + offset, int(rank[offset])
            if first[slot] < 0:
                first[slot] = place
                continue
            key = key_at(place)
            for other in (int(first[slot]), *earlier.get(slot, ())):
                if key_at(other) == key:
                    return other, place
            earlier.setdefault(slot, []).append(place)
    return None
