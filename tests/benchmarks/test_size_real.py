"""The stored real selections, and how they are made: orders of the pool, policies, counts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.size import order, real


def test_same_images_and_labels_in_every_order() -> None:
    names = real.names()
    assert len(names) == len(set(names)) == 150
    pool = real._arrays("pool")
    for name in names:
        s = real.load(name)
        assert s.pool_size == 50_000 and s.indices.dtype == np.uint32 and s.labels.dtype == np.uint16
        assert len(s.indices) == len(s.labels) == int(name.split("-")[3][1:])
        assert (np.diff(s.indices.astype(np.int64)) > 0).all() and s.indices[-1] < s.pool_size
        assert s.labels.max() < s.num_classes
        task, order_name = name.split("-")[1], name.rsplit("-", 1)[1]
        if order_name == "shuffled":
            continue
        shipped = real.load(name.replace(f"-{order_name}", "-shuffled"))
        back = np.argsort(pool[f"{order_name}-rank"])[s.indices]  # positions in the shipped order
        assert np.array_equal(np.sort(back), shipped.indices), task
        assert np.array_equal(s.labels[np.argsort(back)], shipped.labels)


def test_groups_start_with_0_and_increase() -> None:
    assert real.groups("shuffled") is None
    folder, clusters = real.groups("folder"), real.groups("clustered")
    assert folder is not None and clusters is not None
    for starts in (folder, clusters):
        assert starts.dtype == np.uint32 and starts[0] == 0
        assert (np.diff(starts.astype(np.int64)) > 0).all() and starts[-1] < 50_000
    assert len(folder) == 200 and 200 <= len(clusters) <= 256
    for name in ("folder", "clustered"):
        assert np.array_equal(np.sort(real._arrays("pool")[f"{name}-rank"]), np.arange(50_000))


def test_quotas_are_equal_where_classes_have_enough() -> None:
    counts = np.bincount(real.load("real-cifar10-quota-k0200-shuffled").labels, minlength=10)
    assert counts.max() - counts.min() <= 1
    lowest = real.load("real-cifar10-lowest-k0200-shuffled")
    wider = real.load("real-cifar10-lowest-k0500-shuffled")
    assert np.isin(lowest.indices, wider.indices).all()  # the lowest 200 are among the lowest 500


# ---------------------------------------------------------------------------------------------------- orders


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=60))
def test_ranks_by_sorts_and_marks_starts(images: list[tuple[int, int]]) -> None:
    group, within = (np.array(column) for column in zip(*images))
    rank, starts = order.ranks_by(group, within)
    assert sorted(rank.tolist()) == list(range(len(images)))
    ordered = [images[i] for i in np.argsort(rank)]
    assert ordered == sorted(images)
    assert [ordered[i][0] for i in starts] == sorted({g for g, _ in images})
    assert all(i == 0 or ordered[i][0] != ordered[i - 1][0] for i in starts)


@given(st.permutations(range(12)))
def test_points_on_a_line_are_walked_in_order(places: list[int]) -> None:
    points = np.stack([np.array(places, np.float32) ** 1.5, np.zeros(12, np.float32)], 1)
    found = [places[i] for i in order.path_order(points)]
    assert found in (sorted(places), sorted(places, reverse=True))


def test_path_visits_every_centre_once_and_is_short() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(80, 3)).astype(np.float32)

    def length(path: np.ndarray) -> float:
        return sum(float(np.linalg.norm(points[a] - points[b])) for a, b in pairwise(path))

    path = order.path_order(points)
    assert sorted(path.tolist()) == list(range(80))
    assert length(path) < 0.6 * length(np.arange(80))
    assert order.path_order(points[:1]).tolist() == [0]


def test_clusters_that_lie_apart_are_found() -> None:
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(6, 70)).astype(np.float32) * 10
    owner = rng.integers(6, size=900)
    features = centres[owner] + rng.normal(size=(900, 70)).astype(np.float32)
    found_centres, found = order.cluster(features, 6)
    assert len(found_centres) == 6
    pairs = set(zip(owner.tolist(), found.tolist()))
    assert len(pairs) == 6  # one found cluster for each true one
    again = order.cluster(features, 6)[1]
    assert np.array_equal(found, again)


# ---------------------------------------------------------------------------------------------------- making


def test_selections_are_the_lowest_energies(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from benchmarks.size import make_real
    from plada_select.scoretable import Provenance, write_table

    rng = np.random.default_rng(0)
    n, classes = 6000, 60
    columns = {name: rng.normal(size=n).astype(np.float32) for name in ("energy", "entropy", "max_logit", "margin")}
    columns |= {"label": rng.integers(classes, size=n).astype(np.uint16), "status": np.zeros(n, np.uint8)}
    provenance = Provenance("0" * 32, n, classes, "0" * 64, "0" * 64, "float32")
    table = write_table(tmp_path / "table", provenance, {"class_names": [str(c) for c in range(classes)]}, columns)
    found = {name: (indices, labels) for name, indices, labels in make_real.selections(table)}
    assert set(found) == {f"{p}-k{k:04d}" for p in ("lowest", "quota") for k in (60, 200, 500, 2500, 5000)}
    for name, (indices, labels) in found.items():
        assert np.array_equal(labels, columns["label"][indices])
        kept = set(indices.tolist())
        if name.startswith("lowest"):
            assert kept == set(np.argsort(columns["energy"])[: len(indices)].tolist())
    assert (np.bincount(found["quota-k0060"][1], minlength=classes) == 1).all()
