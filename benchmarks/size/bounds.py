"""How few bytes a selection can take if nothing is known of it but a few numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper_layouts import log2_choose
from benchmarks.selections import Selection


def entropy(symbols: NDArray[np.integer]) -> float:
    """Bits of all symbols under their own empirical distribution, which costs nothing itself."""
    counts = np.unique(symbols, return_counts=True)[1]
    return float(-(counts * np.log2(counts / len(symbols))).sum()) if len(symbols) else 0.0


def measure(s: Selection, groups: NDArray[np.uint32] | None) -> dict[str, int]:
    """Bounds in whole bytes, rounded to the nearest.

    - ``bound.index.uniform``: log2 C(N, k). A coder that expects no structure cannot do better on average; one that
      finds structure can.
    - ``bound.index.groups``: sum of log2 C(n_g, k_g) over the groups, the counts k_g known for nothing.
    - ``bound.index.counts``: the counts k_g under their own empirical distribution, itself known for nothing.
    - ``bound.label.order0``: the labels under their own empirical distribution, itself known for nothing.
    """
    row = {
        "bound.index.uniform": round(log2_choose(s.pool_size, len(s.indices)) / 8),
        "bound.label.order0": round(entropy(s.labels) / 8),
    }
    if groups is not None:
        sizes = np.diff(groups.astype(np.int64), append=s.pool_size)
        kept = np.diff(np.searchsorted(s.indices, groups), append=len(s.indices))
        bits = math.fsum(log2_choose(int(n), int(k)) for n, k in zip(sizes, kept, strict=True) if k)
        row |= {"bound.index.groups": round(bits / 8), "bound.index.counts": round(entropy(kept) / 8)}
    return row
