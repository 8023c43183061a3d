"""Other scores for the same pseudo-labels: calibrated energies, energies standardised within their class, two views."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plada_select.criteria import energy

Floats = NDArray[np.float32]
#: As they are; with the temperature of the validation split; standardised among images of the same pseudo-label; and
#: for a part of the pool alone, as they are, or from logits averaged over an image and its mirror image (which changes
#: labels, too).
PLAIN, CALIBRATED, BY_CLASS, ONE_VIEW, TWO_VIEWS = "plain", "calibrated", "by class", "one view", "two views"
TEMPERATURES = 2.0 ** (np.arange(-24, 33) / 8)  # 1/8 to 16


def fit_temperature(logits: Floats, labels: NDArray[np.int64]) -> float:
    """The temperature of least cross-entropy, on a grid of eight steps per doubling.

    Args:
        logits: float32 (n, K), of images that the classifier was not trained on.
        labels: int64 (n,).
    """
    places = np.arange(len(labels))

    def loss(temperature: float) -> float:
        scaled = logits.astype(np.float64) / temperature
        top = scaled.max(1)
        return float((top + np.log(np.exp(scaled - top[:, None]).sum(1)) - scaled[places, labels]).mean())

    return float(min(TEMPERATURES, key=loss))


def within_class(scores: Floats, labels: NDArray[np.integer], num_classes: int) -> Floats:
    """Scores minus their class's mean, over its standard deviation; a class without spread gets zeros.

    Args:
        scores: float32 (N,), finite.
        labels: int (N,), pseudo-labels.
        num_classes: K.
    """
    counts = np.maximum(np.bincount(labels, minlength=num_classes), 1)
    middle = np.bincount(labels, scores, num_classes) / counts
    gap = scores - middle[labels]
    spread = np.sqrt(np.bincount(labels, gap**2, num_classes) / counts)
    out: Floats = (gap / np.where(spread > 0, spread, 1.0)[labels]).astype(np.float32)
    return out


def energies(kind: str, logits: Floats, temperature: float) -> Floats:
    """The energy column of a kind of scores, float32 (N,)."""
    if kind == BY_CLASS:
        return within_class(energy(logits), logits.argmax(1), logits.shape[1])
    return energy(logits, temperature if kind == CALIBRATED else 1.0)
