"""Adaptive codecs: every stream gives its content back, compiled and plain code write the same bytes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_format import accel
from plada_format.codecs.index_adaptive import CODEC as INDEX
from plada_format.codecs.index_adaptive_groups import CODEC as INDEX_GROUPS
from plada_format.codecs.label_adaptive import CODEC as LABEL
from plada_format.codecs.label_adaptive_groups import CODEC as LABEL_GROUPS
from plada_format.engines import adaptive
from plada_format.engines.stream import Stream


@st.composite
def index_sets(draw: st.DrawFn) -> tuple[int, np.ndarray]:
    """Pool size and a set with 0 < k < N: uniform, dense, in runs, or with values near 2^32."""
    kind = draw(st.sampled_from(["any", "dense", "runs", "huge"]))
    if kind == "huge":
        n = draw(st.integers(2**31, 2**32 - 1))
        chosen = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=20, unique=True))
    elif kind == "runs":
        n = draw(st.integers(10, 5000))
        keep = np.zeros(n, bool)
        for begin in draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=8)):
            keep[begin : begin + draw(st.integers(1, 200))] = True
        keep[draw(st.integers(0, n - 1))] ^= True
        chosen = np.flatnonzero(keep).tolist() or [0]
    else:
        n = draw(st.integers(2, 400 if kind == "dense" else 100_000))
        chosen = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=min(n, 300), unique=True))
    chosen = sorted(chosen)
    if len(chosen) == n:
        chosen = chosen[1:]
    return n, np.array(chosen, np.uint32)


@st.composite
def group_sets(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray]:
    n, indices = draw(index_sets())
    cuts = draw(st.lists(st.integers(1, n - 1), max_size=30, unique=True))
    return n, indices, np.array([0, *sorted(cuts)], np.uint32)


@st.composite
def labelled(draw: st.DrawFn) -> tuple[int, np.ndarray, np.ndarray, int, np.ndarray]:
    n, indices, groups = draw(group_sets())
    alphabet = draw(st.sampled_from([2, 3, 4, 5, 10, 37, 200, 256, 257, 1000, 65_536]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        labels = rng.integers(alphabet, size=len(indices))
    else:  # stretches with few labels
        labels = np.repeat(rng.integers(alphabet, size=len(indices)), 5)[: len(indices)]
        labels[-1] = alphabet - 1
    return n, indices, groups, alphabet, labels.astype(np.uint16)


@given(index_sets(), st.sampled_from([None, 0, 1]))
def test_index_round_trip(case: tuple[int, np.ndarray], mode: int | None) -> None:
    n, indices = case
    stream = INDEX.encode(indices, n, mode)
    decoded, found = INDEX.decode(Stream(stream), n, len(indices))
    np.testing.assert_array_equal(decoded, indices)
    assert decoded.dtype == np.uint32 and (mode is None or found == mode)
    assert INDEX.encode(decoded, n, found) == stream


@given(group_sets())
def test_index_groups_round_trip(case: tuple[int, np.ndarray, np.ndarray]) -> None:
    n, indices, groups = case
    stream = INDEX_GROUPS.encode(indices, n, groups=groups)
    decoded, _ = INDEX_GROUPS.decode(Stream(stream), n, len(indices), groups=groups)
    np.testing.assert_array_equal(decoded, indices)
    assert decoded.dtype == np.uint32


@given(labelled())
def test_label_round_trip(case: tuple[int, np.ndarray, np.ndarray, int, np.ndarray]) -> None:
    n, indices, groups, alphabet, labels = case
    both = [LABEL.encode(labels, alphabet, mode, indices=indices) for mode in (0, 1)]
    assert LABEL.encode(labels, alphabet, indices=indices) == min(reversed(both), key=len)
    for mode, stream in enumerate(both):
        decoded, found = LABEL.decode(Stream(stream), alphabet, len(labels), indices=indices)
        np.testing.assert_array_equal(decoded, labels)
        assert decoded.dtype == np.uint16 and found == mode
    stream = LABEL_GROUPS.encode(labels, alphabet, indices=indices, pool_size=n, groups=groups)
    decoded, _ = LABEL_GROUPS.decode(Stream(stream), alphabet, len(labels), indices=indices, pool_size=n, groups=groups)
    np.testing.assert_array_equal(decoded, labels)


@pytest.fixture(scope="module")
def clustered() -> tuple[int, np.ndarray, np.ndarray, int, np.ndarray]:
    """20,000 images in 200 groups of very different rates, labels that go with the group."""
    rng = np.random.default_rng(7)
    sizes = rng.integers(1, 3000, 300)
    groups = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.uint32)
    rate = np.exp(rng.normal(-4, 2.5, 300)).clip(0, 1)
    keep = rng.random(sizes.sum()) < np.repeat(rate, sizes)
    indices = np.flatnonzero(keep).astype(np.uint32)
    owner = np.searchsorted(groups, indices, side="right") - 1
    usual = rng.integers(40, size=(300, 4))
    labels = usual[owner, rng.choice(4, p=[0.6, 0.2, 0.15, 0.05], size=len(indices))].astype(np.uint16)
    return int(sizes.sum()), indices, groups, 40, labels


def _streams(case: tuple[int, np.ndarray, np.ndarray, int, np.ndarray]) -> list[bytes]:
    n, indices, groups, alphabet, labels = case
    return [
        INDEX.encode(indices, n, 0),
        INDEX.encode(indices, n, 1),
        LABEL.encode(labels, alphabet, 1, indices=indices),
        INDEX_GROUPS.encode(indices, n, groups=groups),
        LABEL_GROUPS.encode(labels, alphabet, indices=indices, pool_size=n, groups=groups),
        LABEL.encode(labels, alphabet, 0, indices=indices),
    ]


def test_compiled_and_plain_write_the_same(clustered: tuple[int, np.ndarray, np.ndarray, int, np.ndarray]) -> None:
    pytest.importorskip("numba")
    with accel.use("python"):
        plain = _streams(clustered)
    with accel.use("numba"):
        if adaptive.compile_kernels() is None:
            pytest.skip("numba does not compile here")
        assert _streams(clustered) == plain
        n, indices, groups, alphabet, labels = clustered
        k = len(indices)
        for mode in (0, 1):
            np.testing.assert_array_equal(INDEX.decode(Stream(plain[mode]), n, k)[0], indices)
        for label_stream in (plain[2], plain[5]):
            np.testing.assert_array_equal(LABEL.decode(Stream(label_stream), alphabet, k, indices=indices)[0], labels)
        np.testing.assert_array_equal(INDEX_GROUPS.decode(Stream(plain[3]), n, k, groups=groups)[0], indices)
        decoded = LABEL_GROUPS.decode(Stream(plain[4]), alphabet, k, indices=indices, pool_size=n, groups=groups)[0]
        np.testing.assert_array_equal(decoded, labels)


def test_structure_is_found(clustered: tuple[int, np.ndarray, np.ndarray, int, np.ndarray]) -> None:
    """Each model earns its place: mixed < unstructured, groups < mixed, for index and label."""
    with accel.use("python"):
        unstructured, mixed, label, index_groups, label_groups, plain = (len(s) for s in _streams(clustered))
    n, indices = clustered[:2]
    assert mixed < 0.8 * unstructured
    assert index_groups < mixed and label_groups < label < 0.7 * plain
    assert abs(unstructured - adaptive.bound(n, len(indices))) < 4


@pytest.mark.parametrize("count", [1, 2, 10, 100, 1000, 10_000])
@pytest.mark.parametrize("n", [20_000, 14_197_114])
def test_sets_without_structure_cost_the_bound(n: int, count: int) -> None:
    for seed in range(2):
        rng = np.random.default_rng(seed)
        indices = np.sort(rng.choice(n, count, replace=False)).astype(np.uint32)
        assert len(INDEX.encode(indices, n)) <= adaptive.bound(n, count) + 2


@pytest.mark.parametrize("alphabet", [2, 3, 10, 37, 300])
@pytest.mark.parametrize("count", [50, 500, 5000])
def test_labels_without_structure_cost_their_entropy(alphabet: int, count: int) -> None:
    """Within what any coder pays that must learn the frequencies (alphabet - 1 of them), plus two bytes."""
    rng = np.random.default_rng(count + alphabet)
    frequency = rng.dirichlet(np.full(alphabet, 0.5))
    labels = rng.choice(alphabet, count, p=frequency).astype(np.uint16)
    labels[:2] = 0, alphabet - 1
    classes = len(np.unique(labels))
    stream = LABEL.encode(labels, alphabet, indices=np.arange(count, dtype=np.uint32))
    assert len(stream) <= adaptive.entropy(labels) + classes * (0.5 * np.log2(count) + 2) / 8 + 2


def test_counts_are_halved_in_time() -> None:
    """Mode 0 counts to 65,535 at every node, then forgets half."""
    labels = np.zeros(140_000, np.uint16)
    labels[::3] = 1
    indices = np.arange(len(labels), dtype=np.uint32)
    with accel.use("python"):
        stream = LABEL.encode(labels, 3, 0, indices=indices)
        np.testing.assert_array_equal(LABEL.decode(Stream(stream), 3, len(labels), indices=indices)[0], labels)


def test_no_counter_overflows() -> None:
    """Long streams of one kind drive weights, counts and scores to their limits."""
    k = 20_000
    indices = np.arange(0, 2 * k, 2, dtype=np.uint32)
    assert len(INDEX.encode(indices, 2 * k)) < 60
    labels = np.zeros(k, np.uint16)
    stream = LABEL.encode(labels, 65_536, indices=indices)
    assert len(stream) < 60
    np.testing.assert_array_equal(LABEL.decode(Stream(stream), 65_536, k, indices=indices)[0], labels)


def test_memory_is_bounded(clustered: tuple[int, np.ndarray, np.ndarray, int, np.ndarray]) -> None:
    """Decoding needs at most 4 MiB beyond 16 bytes an image."""
    n, indices, groups, alphabet, labels = clustered
    indices, labels = indices[:2000], labels[:2000]  # tracing is slow
    k = len(indices)
    with accel.use("python"):
        streams = _streams((n, indices, groups, alphabet, labels))
        tasks = [
            lambda: INDEX.decode(Stream(streams[1]), n, k),
            lambda: INDEX_GROUPS.decode(Stream(streams[3]), n, k, groups=groups),
            lambda: LABEL.decode(Stream(streams[2]), alphabet, k, indices=indices),
        ]
        for task in tasks:
            task()  # tables that are made once
            tracemalloc.start()
            task()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < (4 << 20) + 16 * k
