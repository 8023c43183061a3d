"""Average soft labels of the kept images (paper, Appendix D): a second pass of the teacher over those images only.

The score table keeps no logits, and an average over the whole pool would mostly describe images that are not sent.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .score import ScoreContext

MIN_PRECISION = 0.1


def softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """Row-wise softmax in float64."""
    z = logits.astype(np.float64) / temperature
    z -= z.max(axis=1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(axis=1, keepdims=True)
    return z


class SoftLabelMoments:
    """Running per-class mean of softmax vectors and the moments of their diagonal entry."""

    def __init__(self, num_classes: int) -> None:
        self.sums = np.zeros((num_classes, num_classes))
        self.squares = np.zeros(num_classes)
        self.counts = np.zeros(num_classes, np.int64)

    def add(self, probabilities: NDArray[np.float64], labels: NDArray[np.uint16]) -> None:
        """Add rows (images, classes) with their hard labels (images,)."""
        np.add.at(self.sums, labels, probabilities)
        np.add.at(self.squares, labels, probabilities[np.arange(len(labels)), labels] ** 2)
        np.add.at(self.counts, labels, 1)

    def averages(self) -> NDArray[np.float32]:
        """float32 (classes, classes): mean softmax of each class's images; one-hot for a class without images."""
        out = np.eye(len(self.counts))
        seen = self.counts > 0
        out[seen] = self.sums[seen] / self.counts[seen, None]
        return out.astype(np.float32)

    def precision(self) -> NDArray[np.float32]:
        """float32 (classes,): Dirichlet precision ``mu (1 - mu) / var - 1`` of the diagonal entry, at least 0.1 and at
        most 1e6."""
        counts = np.maximum(self.counts, 1)
        mean = np.diag(self.sums) / counts
        variance = np.maximum(self.squares / counts - mean**2, 1e-12)
        return np.clip(mean * (1 - mean) / variance - 1, MIN_PRECISION, 1e6).astype(np.float32)


def average_soft_labels(
    context: ScoreContext, indices: NDArray[np.uint32], labels: NDArray[np.uint16]
) -> SoftLabelMoments:
    """Run the teacher over the kept images and gather the moments of their softmax vectors.

    Args:
        context: of the scoring run.
        indices: uint32 (m,) pool indices.
        labels: uint16 (m,) their hard labels.
    """
    from .score import logits_of

    moments = SoftLabelMoments(context.provenance.num_classes)
    done = 0
    for _, _, logits in logits_of(context, indices.astype(np.int64)):
        moments.add(softmax(logits), labels[done : done + len(logits)])
        done += len(logits)
    return moments


def precision_text(moments: SoftLabelMoments) -> str:
    """JSON list of the Dirichlet precisions with three digits, for the metadata key ``dirichlet_precision``."""
    return json.dumps([float(f"{value:.3g}") for value in moments.precision()], separators=(",", ":"))
