"""The rehearsal's own linear student is that of ``plada train --recipe head``, without the framework."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plada_format.errors import UserError
from plada_select.rehearsal.linear import is_plain, train_linear

pytest.importorskip("torch")
from plada_train import Recipe, Targets, train_head


def features(count: int, dim: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clouds around one centre a class, with a dead feature and one of another scale."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    values = rng.normal(size=(count, dim)) + 2 * rng.normal(size=(classes, dim))[labels]
    values[:, 0] = 3.0
    values[:, -1] *= 50
    return values.astype(np.float32), labels


@settings(max_examples=15)
@given(st.integers(1, 90), st.integers(2, 9), st.integers(2, 5), st.integers(0, 99))
def test_the_same_head_as_the_training_loop(count, dim, classes, seed):
    values, labels = features(count, dim, classes, seed)
    recipe = Recipe.head(count, seed).replace(epochs=6, batch_size=16)
    ours = train_linear(values, labels, classes, recipe)
    theirs = train_head(values, Targets(labels, classes), recipe=recipe)
    assert ours.layers[0][0].shape == (classes, dim) and ours.layers[0][0].dtype == np.float32
    # A gradient of about zero has no sign that survives rounding, and Adam looks at signs: hence some room.
    np.testing.assert_allclose(ours.logits(values), theirs.logits(values), atol=5e-3)
    assert ours.metrics["train_loss"] == pytest.approx(theirs.metrics["train_loss"], abs=1e-3)


def test_full_length_and_many_images():
    values, labels = features(4100, 6, 3, 1)  # batches of 256, the last one smaller
    recipe = Recipe.head(len(labels), 5)
    ours = train_linear(values, labels, 3, recipe)
    theirs = train_head(values, Targets(labels, 3), recipe=recipe)
    np.testing.assert_allclose(ours.logits(values), theirs.logits(values), atol=1e-3)
    assert (ours.logits(values).argmax(1) == labels).mean() > 0.95


def test_what_it_cannot_do_is_refused():
    values, labels = features(8, 3, 2, 0)
    head = Recipe.head(8, 0)
    assert is_plain(head) and not is_plain(head.replace(warmup=0.1)) and not is_plain(head.replace(keep="best"))
    with pytest.raises(UserError, match="without warm-up"):
        train_linear(values, labels, 2, head.replace(label_smoothing=0.1))
    with pytest.raises(UserError, match="no image"):
        train_linear(values[:0], labels[:0], 2, head)
    with pytest.raises(UserError, match="one row for each"):
        train_linear(values, labels[:5], 2, head)
    with pytest.raises(UserError, match="not finite"):
        train_linear(np.where(values > 0, np.nan, values).astype(np.float32), labels, 2, head)
    with pytest.raises(UserError, match="from 0 to 1"):
        train_linear(values, labels + 1, 2, head)
