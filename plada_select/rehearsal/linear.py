"""The linear student without autograd: the recipe of :func:`plada_train.train_head`, step by step, but several times as
fast.

A rehearsal trains some eighty of them, a frontier thousands; most of a small head's training is the framework's own
overhead.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

if TYPE_CHECKING:
    from plada_train import Head, Recipe

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8  # AdamW's usual ones
_BLOCK = 512  # images
_PLAIN = {"warmup": 0.0, "label_smoothing": 0.0, "patience": None, "keep": "last"}


def train_linear(features: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int, recipe: Recipe) -> Head:
    """A linear head on features, hard labels.

    The same batches, rates, decay and start (zeros) as :func:`plada_train.train_head` with the same recipe on a CPU;
    results differ by rounding alone.

    Args:
        features: float32 (n, D).
        labels: int64 (n,).
        num_classes: K.
        recipe: of :meth:`plada_train.Recipe.head`, or another without warm-up, smoothing and early stopping.

    Raises:
        UserError: no image, shapes or labels that do not fit, features that are not finite, another kind of recipe.
    """
    from plada_train import Head

    values, targets = _checked(features, labels, num_classes)
    if not is_plain(recipe):
        raise UserError("a linear student is trained without warm-up, smoothing and early stopping")
    inputs, middle, scale = _standardised(values)
    weight, bias, loss = _descend(inputs, targets, num_classes, recipe)
    wide = weight.astype(np.float64) * scale
    layer = wide.astype(np.float32), (bias.astype(np.float64) - wide @ middle).astype(np.float32)
    return Head((layer,), {"train_loss": loss}, recipe)


def is_plain(recipe: Recipe) -> bool:
    """Whether :func:`train_linear` can train with it."""
    return all(getattr(recipe, name) == value for name, value in _PLAIN.items())


def _checked(
    features: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    values, targets = np.ascontiguousarray(features, np.float32), np.ascontiguousarray(labels, np.int64)
    if values.ndim != 2 or targets.shape != (len(values),):
        raise UserError(f"features must have one row for each of {targets.size} labels, not shape {values.shape}")
    if not len(values) or not np.isfinite(values).all():
        raise UserError("no image to train on" if not len(values) else "features are not finite: broken weights?")
    if not 0 <= targets.min() <= targets.max() < num_classes:
        raise UserError(f"labels must be numbers from 0 to {num_classes - 1}")
    return values, targets


def _standardised(
    values: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """(values with mean 0 and spread 1, what was taken off, what it was multiplied by); block by block, so that no
    copy in double precision is made."""
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(values), _BLOCK)]
    middle = values.mean(0, dtype=np.float64)
    total = np.zeros(values.shape[1])
    for block in blocks:
        total += ((values[block] - middle) ** 2).sum(0)
    spread = np.sqrt(total / len(values))
    # One image, or a dead feature, has no spread: leave its scale alone.
    scale = 1 / np.where(spread > 1e-6, spread, 1.0)
    out = np.empty_like(values)
    for block in blocks:
        out[block] = (values[block] - middle) * scale
    return out, middle, scale


def _descend(
    inputs: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int, recipe: Recipe
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """(weight float32 (K, D), bias float32 (K,), mean loss of the last epoch)."""
    count, size = len(inputs), recipe.batch_size
    total = math.ceil(count / size) * recipe.epochs
    weight, bias = _Weights((num_classes, inputs.shape[1])), _Weights((num_classes,))
    step, loss = 0, 0.0
    for epoch in range(recipe.epochs):
        order = np.random.default_rng([recipe.seed, epoch]).permutation(count)
        loss = 0.0
        for start in range(0, count, size):
            rows = order[start : start + size]
            batch, truth = inputs[rows], labels[rows]
            logits = batch @ weight.values.T + bias.values
            logits -= logits.max(1, keepdims=True)
            shares = np.exp(logits)
            sums = shares.sum(1, keepdims=True)
            places = np.arange(len(rows))
            loss += float((np.log(sums[:, 0]) - logits[places, truth]).sum(dtype=np.float64))
            shares /= sums
            shares[places, truth] -= 1
            shares /= len(rows)
            rate = recipe.lr * 0.5 * (1 + math.cos(math.pi * step / max(1, total)))
            step += 1
            weight.update(shares.T @ batch, rate, step, recipe.weight_decay)
            bias.update(shares.sum(0), rate, step, 0.0)
    return weight.values, bias.values, loss / count


class _Weights:
    """One array of weights and its AdamW moments; everything is updated in place."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.values, self.first, self.second = (np.zeros(shape, np.float32) for _ in range(3))
        self._room = np.empty(shape, np.float32)

    def update(self, gradient: NDArray[np.float32], rate: float, step: int, decay: float) -> None:
        """One step, numbered from 1."""
        room = self._room
        if decay:
            self.values *= np.float32(1 - rate * decay)
        np.subtract(gradient, self.first, out=room)
        room *= np.float32(1 - _BETA1)
        self.first += room
        np.multiply(gradient, gradient, out=room)
        room *= np.float32(1 - _BETA2)
        self.second *= np.float32(_BETA2)
        self.second += room
        np.sqrt(self.second, out=room)
        room *= np.float32(1 / math.sqrt(1 - _BETA2**step))
        room += np.float32(_EPS)
        np.divide(self.first, room, out=room)
        room *= np.float32(rate / (1 - _BETA1**step))
        self.values -= room
