"""Criteria against their definitions, and the sortable bits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plada_select.criteria import (
    consensus_bits,
    energy,
    entropy,
    margin,
    max_logit,
    order_bits,
    random_bits,
    ranks,
    score_columns,
)

LOGITS = arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.integers(2, 6)),
    elements=st.floats(-60, 60, width=32),
)


@given(LOGITS, st.sampled_from([0.5, 1.0, 3.0]))
def test_energy_is_minus_t_logsumexp(logits: np.ndarray, temperature: float) -> None:
    want = [-temperature * math.log(math.fsum(math.exp(float(v) / temperature) for v in row)) for row in logits]
    assert energy(logits, temperature) == pytest.approx(want, rel=1e-6, abs=1e-5)


@given(LOGITS, st.floats(-5, 5))
def test_energy_shifts_and_ignores_class_order(logits: np.ndarray, shift: float) -> None:
    z = logits.astype(np.float64)
    assert energy(z + shift) == pytest.approx(energy(z) - shift, abs=1e-4)
    assert energy(z[:, ::-1]) == pytest.approx(energy(z), rel=1e-6, abs=1e-6)


@given(LOGITS)
def test_entropy_and_margin_follow_the_softmax(logits: np.ndarray) -> None:
    z = logits.astype(np.float64)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    h = -np.where(p > 0, p * np.log(np.maximum(p, 1e-300)), 0).sum(1)
    top = np.sort(p, axis=1)
    assert entropy(logits) == pytest.approx(h, abs=1e-6)
    assert margin(logits) == pytest.approx(1 - (top[:, -1] - top[:, -2]), abs=1e-6)
    assert (entropy(logits) >= 0).all()
    assert (margin(logits) >= 0).all()
    assert (max_logit(logits) == -logits.max(1)).all()


def test_confident_images_keep_distinct_values() -> None:
    # 1 - p rounds to 0 in float32 for all of these
    logits = np.array([[gap, 0.0, 0.0] for gap in (20.0, 25.0, 30.0, 40.0)])
    assert (np.diff(entropy(logits)) < 0).all()
    assert (np.diff(margin(logits)) < 0).all()


def test_one_class_has_no_doubt() -> None:
    columns = score_columns([[3.0], [-2.0]])
    assert columns["label"].tolist() == [0, 0]
    assert columns["entropy"].tolist() == columns["margin"].tolist() == [0.0, 0.0]
    assert columns["energy"].tolist() == [-3.0, 2.0]


def test_ties_of_the_argmax_go_to_the_lower_class() -> None:
    assert score_columns([[1.0, 7.0, 7.0]])["label"].tolist() == [1]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_broken_logits_are_not_finite_in_every_column(bad: float) -> None:
    columns = score_columns([[bad, 1.0], [0.0, 1.0]])
    for name in ("energy", "entropy", "max_logit", "margin"):
        assert np.isfinite(columns[name]).tolist() == [False, True], name


def test_criteria_rank_differently() -> None:
    logits = np.array([[10.0, 9.9, 0.0], [9.0, 0.0, 0.0]])
    assert np.argmin(energy(logits)) == 0
    assert np.argmin(entropy(logits)) == 1


@pytest.mark.parametrize("logits", [[1.0, 2.0], np.zeros((3, 0))])
def test_wrong_shapes_are_refused(logits: object) -> None:
    with pytest.raises(ValueError, match="images, classes"):
        energy(logits)  # type: ignore[arg-type]


def test_temperature_must_be_positive() -> None:
    with pytest.raises(ValueError, match="temperature"):
        energy([[1.0, 2.0]], 0)


@given(arrays(np.float32, st.integers(0, 50), elements=st.floats(allow_nan=False, width=32)))
def test_order_bits_sort_like_the_numbers(values: np.ndarray) -> None:
    bits = order_bits(values)
    for a in range(len(values)):
        for b in range(len(values)):
            assert (values[a] < values[b]) == (bits[a] < bits[b])


def test_both_zeros_are_equal() -> None:
    assert len(set(order_bits(np.array([0.0, -0.0], np.float32)).tolist())) == 1


def test_random_depends_on_seed_and_index_only() -> None:
    everything = random_bits(np.arange(10_000), 7)
    assert (random_bits(np.array([9_999, 17, 4]), 7) == everything[[9_999, 17, 4]]).all()
    assert (everything != random_bits(np.arange(10_000), 8)).mean() > 0.999
    # uniform: each of 16 equal bins holds a sixteenth
    counts = np.bincount(everything >> np.uint32(28), minlength=16)
    assert counts.min() > 500
    assert counts.max() < 750
    assert abs(np.corrcoef(everything.astype(float), np.arange(10_000))[0, 1]) < 0.05
    # the paper trail: a change of the hash changes every random baseline
    assert random_bits(np.arange(3), 0).tolist() == RANDOM_OF_SEED_0


RANDOM_OF_SEED_0 = [1210155558, 2802244911, 3011683077]


@given(arrays(np.uint32, st.integers(0, 60), elements=st.integers(0, 5)))
def test_ranks_are_the_stable_order(bits: np.ndarray) -> None:
    rank = ranks(bits)
    assert sorted(rank.tolist()) == list(range(len(bits)))
    assert np.argsort(bits, kind="stable").tolist() == np.argsort(rank).tolist()


def test_consensus_is_the_largest_rank() -> None:
    a = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
    b = np.array([4.0, 1.0, 2.0, 3.0], np.float32)
    assert consensus_bits([a, b]).tolist() == [3, 1, 2, 3]
    with pytest.raises(ValueError, match="at least one"):
        consensus_bits([])
