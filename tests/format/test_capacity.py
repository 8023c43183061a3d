"""The ends of the ranges: k = N = 2^26, all 65,536 labels in every label codec, long streams on every back end."""

from __future__ import annotations

import numpy as np
import pytest
from backends import BACKENDS, INDEX_NAMES, LABEL_NAMES, interpreted, told

import plada_format as pf
from plada_format import accel


@pytest.mark.codec
@pytest.mark.parametrize("k", [65_536, 200_000])
@pytest.mark.parametrize("name", LABEL_NAMES)
def test_all_65536_labels_present(name: str, k: int, backend: str) -> None:
    if interpreted(backend, name) and (k > 65_536 or name.startswith("adaptive")):
        pytest.skip("the interpreted kernels would only take longer")
    labels = np.random.default_rng(k).permutation(np.arange(k) % 65_536).astype(np.uint16)
    groups = told(k, name)
    data = pf.encode(np.arange(k), labels, pool_size=k, num_classes=65_536, label_codec=name, **groups)
    p = pf.decode(data, **groups)
    assert np.array_equal(p.labels, labels)
    assert pf.recode(data, **groups) == data
    assert len(data) < 2.3 * k + 100


@pytest.mark.codec
@pytest.mark.parametrize("name", LABEL_NAMES)
def test_all_65536_labels_present_and_skewed(name: str, backend: str) -> None:
    """One label has most of the images; every other one image: code words of 16 bits, frequencies of 1 in 2^16."""
    if interpreted(backend, name):
        pytest.skip("the interpreted kernels would only take longer")
    labels = np.zeros(190_000, np.uint16)
    labels[:65_536] = np.arange(65_536)
    groups = told(len(labels), name)
    settings = {"pool_size": len(labels), "num_classes": 65_536, **groups}
    data = pf.encode(np.arange(len(labels)), labels, label_codec=name, **settings)
    assert np.array_equal(pf.decode(data, **groups).labels, labels)
    assert pf.recode(data, **groups) == data


@pytest.mark.codec
@pytest.mark.parametrize("k", [65_535, 65_536, 65_537, 131_071, 131_072, 131_073])
@pytest.mark.parametrize("codec", ["rans", "golomb"])
def test_around_the_changes_of_lanes(codec: str, k: int) -> None:
    rng = np.random.default_rng(k)
    indices = np.cumsum(rng.geometric(0.3, k))
    labels = np.minimum(rng.geometric(0.4, k) - 1, 9)
    files = set()
    for mode in BACKENDS:
        with accel.use(mode):
            data = pf.encode(indices, labels, pool_size=10 * k, num_classes=10, index_codec=codec, label_codec="rans")
            p = pf.decode(data)
        files.add(data)
        assert np.array_equal(p.indices, indices)
        assert np.array_equal(p.labels, labels)
    assert len(files) == 1


@pytest.mark.parametrize("name", INDEX_NAMES)
def test_long_index_streams_on_every_back_end(name: str) -> None:
    rng = np.random.default_rng(5)
    k = 3_000 if name.startswith("adaptive") else 30_000
    sets = {
        "uniform": (2**22, np.sort(rng.choice(2**22, k, replace=False))),
        "dense": (k + 900, np.sort(rng.choice(k + 900, k, replace=False))),
        "clustered": (2**22, np.unique(np.sort(rng.choice(300, k)) * 10_000 + rng.integers(0, 150, k))),
    }
    for n, indices in sets.values():
        labels = np.zeros(len(indices), int)
        files = set()
        for mode in BACKENDS:
            with accel.use(mode):
                groups = told(n, name)
                data = pf.encode(indices, labels, pool_size=n, num_classes=1, index_codec=name, **groups)
                assert np.array_equal(pf.decode(data, **groups).indices, indices)
                files.add(data)
        assert len(files) == 1


@pytest.mark.slow
def test_2_to_the_26_images() -> None:
    k = 1 << 26
    indices = np.arange(k, dtype=np.uint32)
    labels = np.zeros(k, np.uint16)
    labels[:: 1 << 20] = 1
    everything = pf.encode(indices, labels, pool_size=k, num_classes=2, index_codec="bitmap", label_codec="runs")
    assert len(everything) < 1000
    with pytest.raises(pf.LimitError):
        pf.decode(everything)
    p = pf.decode(everything, pool_size=k)
    assert np.array_equal(p.indices, indices)
    assert np.array_equal(p.labels, labels)
    del p
    for name, size in (("runs", 80), ("rans", 80), ("bitmap", k // 8 + 80)):  # one image of the pool is left out
        data = pf.encode(indices + 1, labels, pool_size=k + 1, num_classes=2, index_codec=name, label_codec="runs")
        assert pf.inspect(data).sections[0].length < size
        p = pf.decode(data, pool_size=k + 1)
        assert p.indices[0] == 1
        assert p.indices[-1] == k
        assert len(p) == k
        del p


@pytest.mark.slow
@pytest.mark.parametrize("name", LABEL_NAMES)
def test_2_to_the_25_labels_in_every_codec(name: str) -> None:
    k = 1 << 25  # the default limit
    labels = np.zeros(k, np.uint16)
    labels[7 :: 1 << 15] = 2
    indices = np.arange(k, dtype=np.uint32)
    groups = told(k, name)
    data = pf.encode(indices, labels, pool_size=k, num_classes=3, index_codec="golomb", label_codec=name, **groups)
    p = pf.decode(data, **groups)
    assert np.array_equal(p.labels, labels)
    assert int(p.indices[-1]) == k - 1
