"""What a network is trained towards: hard labels, per-class average soft labels, or samples from a Dirichlet
around them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plada_format.errors import UserError

if TYPE_CHECKING:
    import torch

MODES = ("hard", "average", "dirichlet")


@dataclass(frozen=True)
class Targets:
    """Training targets of n images and K classes.

    Attributes:
        labels: int64 (n,).
        num_classes: K.
        weights: float32 (n,), positive, or None; scaled to mean 1 where used.
        soft_labels: float32 (K, K) or None; row c is the mean softmax of the images of class c.
        precision: float32 (K,) or None; Dirichlet precision of each class, see :func:`dirichlet_precision`.
        mode: ``hard``: cross-entropy to the label; ``average``: to row ``label`` of ``soft_labels``; ``dirichlet``:
            to a new
            sample of ``Dirichlet(soft_labels[label] * precision[label])`` per image and step.
    """

    labels: NDArray[np.int64]
    num_classes: int
    weights: NDArray[np.float32] | None = None
    soft_labels: NDArray[np.float32] | None = None
    precision: NDArray[np.float32] | None = None
    mode: str = "hard"

    def __post_init__(self) -> None:
        labels = np.ascontiguousarray(self.labels, np.int64)
        object.__setattr__(self, "labels", labels)
        if labels.ndim != 1 or (labels.size and not 0 <= labels.min() <= labels.max() < self.num_classes):
            raise UserError(f"labels must be a list of numbers from 0 to {self.num_classes - 1}")
        if self.mode not in MODES:
            raise UserError(f"target mode must be one of {', '.join(MODES)}, not {self.mode!r}")
        if self.weights is not None:
            weights = np.asarray(self.weights, np.float32)
            if (
                weights.shape != labels.shape
                or not np.isfinite(weights).all()
                or (weights < 0).any()
                or not weights.any()
            ):
                raise UserError("weights must be one finite number >= 0 per image, not all 0")
            object.__setattr__(self, "weights", weights)
        if self.mode != "hard":
            self._check_soft()

    def _check_soft(self) -> None:
        if self.soft_labels is None:
            raise UserError(f"targets {self.mode!r} need soft labels, and the payload carries none")
        soft = np.asarray(self.soft_labels, np.float32)
        if soft.shape != (self.num_classes, self.num_classes) or not np.isfinite(soft).all() or (soft < 0).any():
            raise UserError(f"soft labels must be a {self.num_classes} x {self.num_classes} table of numbers >= 0")
        object.__setattr__(self, "soft_labels", soft / np.maximum(soft.sum(1, keepdims=True), 1e-12))
        if self.mode == "dirichlet":
            if self.precision is None:
                raise UserError(
                    "targets 'dirichlet' need a precision per class, and the payload's metadata carries none"
                )
            precision = np.asarray(self.precision, np.float32)
            if precision.shape != (self.num_classes,) or not np.isfinite(precision).all() or (precision <= 0).any():
                raise UserError(f"the Dirichlet precision must be {self.num_classes} numbers above 0")
            object.__setattr__(self, "precision", precision)

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, positions: NDArray[np.integer]) -> Targets:
        """The targets of the images at ``positions``."""
        weights = None if self.weights is None else self.weights[positions]
        return Targets(self.labels[positions], self.num_classes, weights, self.soft_labels, self.precision, self.mode)

    def digest(self) -> str:
        """SHA-256 in hex of everything."""
        total = hashlib.sha256(f"{self.mode} {self.num_classes}".encode())
        for array in (self.labels, self.weights, self.soft_labels, self.precision):
            total.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return total.hexdigest()


class TargetLoss:
    """Loss of batches of logits, on one device.

    Args:
        targets: of the whole training set.
        device: of the logits.
        smoothing: label smoothing, hard targets only.
    """

    def __init__(self, targets: Targets, device: torch.device, smoothing: float = 0.0) -> None:
        import torch

        self.mode = targets.mode
        self.smoothing = smoothing
        self.labels = torch.from_numpy(targets.labels).to(device)
        self.weights: torch.Tensor | None = None
        if targets.weights is not None:
            scaled = targets.weights / targets.weights.mean(dtype=np.float64)
            self.weights = torch.from_numpy(scaled.astype(np.float32)).to(device)
        self.table: torch.Tensor | None = None
        if targets.mode != "hard":
            assert targets.soft_labels is not None
            self.table = torch.from_numpy(targets.soft_labels).to(device)
        if targets.mode == "dirichlet":
            assert targets.precision is not None and self.table is not None
            precision = torch.from_numpy(targets.precision).to(device)
            self.table = (self.table * precision[:, None]).clamp_min(1e-4)

    def __call__(self, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Mean loss of the images ``rows`` (int64 (b,)) with ``logits`` (b, K)."""
        import torch
        from torch.nn import functional

        labels = self.labels[rows]
        if self.table is None:
            losses = functional.cross_entropy(logits, labels, reduction="none", label_smoothing=self.smoothing)
        else:
            wanted = self.table[labels]
            if self.mode == "dirichlet":
                drawn = torch._standard_gamma(wanted).clamp_min(1e-30)  # global generator: seeded per epoch by the loop
                wanted = drawn / drawn.sum(1, keepdim=True)
            losses = functional.cross_entropy(logits, wanted, reduction="none")
        if self.weights is not None:
            losses = losses * self.weights[rows]
        return losses.mean()


def dirichlet_precision(mean: ArrayLike, variance: ArrayLike) -> NDArray[np.float32]:
    """Dirichlet precision of each class by moments: ``s = m (1 - m) / v - 1``, at least 0.1 (PLADA, Appendix D).

    Args:
        mean: (K,), mean softmax value of class c over the images labelled c (the diagonal of the soft labels).
        variance: (K,), its variance.

    Returns:
        float32 (K,); where the variance is 0, 1e6 (all samples alike).
    """
    middle, spread = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = middle * (1 - middle) / spread - 1
    return np.where(spread > 0, np.clip(precision, 0.1, 1e6), 1e6).astype(np.float32)
