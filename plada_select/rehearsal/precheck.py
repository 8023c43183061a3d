"""Is the target far from the pool? A cheap look at the teacher's scores before anything is trained."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..select import Policy, rank

if TYPE_CHECKING:
    from ..scoretable import ScoreTable

#: Below this share of the classes a plain selection has collapsed; above it the pool covers the target.
FEW_CLASSES = 0.5
#: Where fewer of the target's own images than this share are less sure than the kept pool images at the cut, the
#: pool's "surest" images are out of the target's range.
OVERLAP = 0.05


@dataclass(frozen=True)
class PreCheck:
    """What the scores say.

    Attributes:
        count: images that were looked at: the plain lowest-energy selection of that size.
        effective_classes: exp of the entropy of their labels.
        top_share: share of the most frequent label among them.
        classes: K.
        pool_classes: effective number of classes over the whole pool.
        cut: energy of the last of them.
        pool_median: median energy of the pool.
        val_median: median energy of the target's own validation images, or None where no teacher was at hand.
        val_beyond_cut: share of these that are less sure (higher energy) than the cut, or None.
        far: whether candidates for far targets come first.
    """

    count: int
    effective_classes: float
    top_share: float
    classes: int
    pool_classes: float
    cut: float
    pool_median: float
    val_median: float | None
    val_beyond_cut: float | None
    far: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        out = [
            f"the {self.count} surest pool images cover {self.effective_classes:.1f} of {self.classes} classes"
            f" effectively, the most frequent one has {self.top_share:.0%}"
        ]
        if self.val_beyond_cut is not None and self.val_median is not None:
            out.append(
                f"energy: target {self.val_median:.1f} (median), pool {self.pool_median:.1f}, cut {self.cut:.1f};"
                f" {self.val_beyond_cut:.0%} of the target's images are less sure than the cut"
            )
        out.append("the target looks far from the pool" if self.far else "the pool covers the target")
        return out


def pre_check(table: ScoreTable, count: int, val_energy: NDArray[np.float32] | None = None) -> PreCheck:
    """Look at the plain lowest-energy selection of ``count`` images.

    A target is called far where that selection collapses to fewer than half of the classes, effectively. Energies
    alone do not tell: a linear classifier is sure of inputs unlike any that it was trained on.

    Args:
        table: the teacher's scores.
        count: images that will be sent, about.
        val_energy: float32 (n,), of the target's validation images under the same teacher; for the record.
    """
    ranking = rank(table, Policy())
    kept = ranking.select(min(count, ranking.usable))
    shares = np.bincount(kept.labels, minlength=table.num_classes) / len(kept)
    energies = ranking.scores[kept.indices]
    cut = float(energies.max())
    classes = effective_number(shares)
    return PreCheck(
        len(kept),
        classes,
        float(shares.max()),
        table.num_classes,
        effective_number(ranking.class_counts / ranking.usable),
        cut,
        float(np.nanmedian(ranking.scores)),
        None if val_energy is None else float(np.median(val_energy)),
        None if val_energy is None else float((val_energy > cut).mean()),
        classes < FEW_CLASSES * table.num_classes,
    )


def effective_number(shares: NDArray[np.float64]) -> float:
    """exp of the Shannon entropy of shares that add up to 1: K for equal shares, 1 for a single one."""
    positive = shares[shares > 0]
    return float(math.exp(-(positive * np.log(positive)).sum()))
