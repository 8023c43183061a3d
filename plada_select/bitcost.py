"""What an image costs in bits, given which others are sent: an analytic model of the coder over the pool's groups.

Each group g of n_g pool images has its own density of kept images, drawn from a Beta distribution around the overall
one, and its own label distribution, drawn from a Dirichlet around the overall one (Pólya's urns). Code lengths are then
closed forms, and so is the cost of one image more or less; no encoder runs. Without groups, equal blocks of the pool's
order take their place, as wide as fits the selection best.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
DENSITY_STRENGTHS = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)
LABEL_STRENGTHS = (0.25, 1.0, 4.0, 16.0)
BLOCKS = (16, 64, 256, 1024)


def _log2_gamma(values: Floats) -> Floats:
    return np.array([math.lgamma(value) for value in values.tolist()], np.float64) / math.log(2)


class Groups:
    """Runs of pool positions.

    Args:
        starts: (G,) start offsets, 0 first.
        pool_size: N.
    """

    def __init__(self, starts: NDArray[np.integer], pool_size: int) -> None:
        self.starts = np.asarray(starts, np.int64)
        self.pool_size = pool_size
        self.sizes = np.diff(np.append(self.starts, pool_size)).astype(np.float64)

    @classmethod
    def blocks(cls, width: int, pool_size: int) -> Groups:
        """Equal blocks of ``width`` images."""
        return cls(np.arange(0, pool_size, width), pool_size)

    def of(self, indices: NDArray[np.integer]) -> Ints:
        """Group of each image, int64 (n,)."""
        found: Ints = np.searchsorted(self.starts, np.asarray(indices, np.int64), side="right") - 1
        return found


class BitCost:
    """The model fitted to one selection.

    Args:
        groups: of the pool.
        indices: (m,) pool indices of the selection.
        labels: (m,) their labels.
        num_classes: K.
        strengths: of the Beta and of the Dirichlet prior; by default those that suit the selection best.
    """

    def __init__(
        self,
        groups: Groups,
        indices: NDArray[np.integer],
        labels: NDArray[np.integer],
        num_classes: int,
        strengths: tuple[float, float] | None = None,
    ) -> None:
        self.groups, self.classes = groups, num_classes
        kept, given = groups.of(indices), np.asarray(labels, np.int64)
        count = len(kept)
        self.rate = (count + 0.5) / (groups.pool_size + 1.0)
        self.in_group = np.bincount(kept, minlength=len(groups.starts)).astype(np.float64)
        self.shares = (np.bincount(given, minlength=num_classes) + 0.5) / (count + 0.5 * num_classes)
        self._codes, counts = np.unique(kept * num_classes + given, return_counts=True)
        self._counts = counts.astype(np.float64)
        if strengths is None:
            strengths = min(DENSITY_STRENGTHS, key=self._index_bits), min(LABEL_STRENGTHS, key=self._label_bits)
        self.density_strength, self.label_strength = strengths

    def total(self) -> float:
        """Bits of the whole selection, index and labels, without any header."""
        return self._index_bits(self.density_strength) + self._label_bits(self.label_strength)

    def _index_bits(self, strength: float) -> float:
        """-log2 of the Pólya probability of the kept positions."""
        yes, no = strength * self.rate, strength * (1 - self.rate)
        touched = self.in_group > 0
        kept, size = self.in_group[touched], self.groups.sizes[touched]
        empty = self.groups.sizes[~touched]

        def beta(a: Floats, b: Floats) -> Floats:
            return _log2_gamma(a) + _log2_gamma(b) - _log2_gamma(a + b)

        unit = float(beta(np.array([yes]), np.array([no]))[0])
        bits = len(kept) * unit - beta(kept + yes, size - kept + no).sum()
        sizes, repeats = np.unique(empty, return_counts=True)  # equal sizes cost the same
        return float(bits + (repeats * (unit - beta(np.full(len(sizes), yes), sizes + no))).sum())

    def _label_bits(self, strength: float) -> float:
        prior = strength * self.shares[self._codes % self.classes]
        own = _log2_gamma(self._counts + prior) - _log2_gamma(prior)
        kept = self.in_group[self.in_group > 0]
        whole = _log2_gamma(kept + strength) - _log2_gamma(np.full(len(kept), strength))
        return float(whole.sum() - own.sum())

    def bits(self, group: Ints, labels: NDArray[np.integer], selected: NDArray[np.bool_]) -> Floats:
        """What sending each of these images adds, given all others of the selection: float64 (n,), in bits.

        Args:
            group: int64 (n,), :meth:`Groups.of`.
            labels: (n,).
            selected: bool (n,): whether it is in the selection already; it does not count as its own neighbour.
        """
        own = selected.astype(np.float64)
        given = np.asarray(labels, np.int64)
        codes = group * self.classes + given
        if len(self._codes):
            at = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
            same = np.where(self._codes[at] == codes, self._counts[at], 0.0) - own
        else:
            same = np.zeros(len(group))
        others = self.in_group[group] - own
        rest = self.groups.sizes[group] - 1 - others
        strength = self.density_strength
        index = np.log2((rest + strength * (1 - self.rate)) / (others + strength * self.rate))
        alike = self.label_strength
        label = np.log2((others + alike) / (same + alike * self.shares[given]))
        return index + label


def best_blocks(pool_size: int, indices: NDArray[np.integer], labels: NDArray[np.integer], num_classes: int) -> Groups:
    """The blocks of :data:`BLOCKS` under which the selection is shortest."""
    return min(
        (Groups.blocks(width, pool_size) for width in BLOCKS),
        key=lambda groups: BitCost(groups, indices, labels, num_classes).total(),
    )


def agreement(groups: Groups, indices: NDArray[np.integer], labels: NDArray[np.integer], num_classes: int) -> Floats:
    """How far each image's group shares its label: float64 (n,) in (0, 1).

    Args:
        groups: of the pool.
        indices: (n,) all usable images.
        labels: (n,) their pseudo-labels.
        num_classes: K.

    Returns:
        (n_gc - 1 + q_c) / (n_g - 1 + 1) with n_gc the images of the group with that label, n_g all its usable images,
        and q_c the label's share of the pool: the share among the others, drawn towards q_c in small groups.
    """
    group, given = groups.of(indices), np.asarray(labels, np.int64)
    sizes = np.bincount(group, minlength=len(groups.starts)).astype(np.float64)
    shares = np.maximum(np.bincount(given, minlength=num_classes), 1) / max(1, len(given))
    codes = group * num_classes + given
    _, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    density: NDArray[np.float64] = (counts[place] - 1 + shares[given]) / sizes[group]
    return density
