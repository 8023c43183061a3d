"""Diversity: greedy k-center among the candidates of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_tables import MakeTable

from plada_format.errors import UserError
from plada_select.raterank import refined
from plada_select.refine import Refine
from plada_select.safety_net import SafetyNet
from plada_select.select import Policy, rank
from plada_select.spread import farthest_first, read_embedding


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_k_center_takes_the_furthest_each_time(count, dims, seed):
    points = np.random.default_rng(seed).normal(size=(count, dims)).astype(np.float32)
    order = farthest_first(points, count)
    assert sorted(order.tolist()) == list(range(count)) and order[0] == 0
    for place in range(1, count):
        gaps = ((points[:, None] - points[order[:place]][None]) ** 2).sum(2).min(1)
        assert gaps[order[place]] >= gaps.max() - 1e-4
    assert farthest_first(points, max(1, count // 2)).tolist() == order[: max(1, count // 2)].tolist()


@pytest.fixture
def setting(make_table: MakeTable):
    table = make_table(2000, 5)
    points = np.random.default_rng(0).normal(size=(2000, 8)).astype(np.float32)
    return table, points


@pytest.mark.parametrize("net", [None, SafetyNet("0", "1"), SafetyNet("0.5", "0.5")])
def test_counts_and_quotas_stand_and_candidates_are_among_the_first(setting, net):
    table, points = setting
    plain = rank(table, Policy(safety_net=net))
    ranking = refined(plain, Refine(spread=4), None, points)
    for count in (5, 60, 61, 300, 1999, 2000):
        found = ranking.select(count)
        assert len(found) == count and (np.diff(found.indices.astype(np.int64)) > 0).all()
        if net is not None:
            assert (np.bincount(found.labels, minlength=5) >= plain.quotas(count)).all()
    again = refined(rank(table, Policy(safety_net=net)), Refine(spread=4), None, points)
    assert np.array_equal(again.select(61).indices, ranking.select(61).indices)
    place = {int(key & 0xFFFFFFFF): number for number, key in enumerate(np.sort(plain.keys))}
    worst = max(place[int(index)] for index in ranking.select(60).indices)
    assert 60 < worst < 2000 - 100  # beyond the plain cut, and not anywhere in the pool


def test_what_is_sent_lies_further_apart(setting):
    table, points = setting
    plain = rank(table, Policy(safety_net=SafetyNet()))

    def nearest(selection) -> float:
        rows = points[selection.indices]
        gaps = ((rows[:, None] - rows[None]) ** 2).sum(2) + 1e9 * np.eye(len(rows))
        return float(np.median(gaps.min(1)))

    assert nearest(refined(plain, Refine(spread=5), None, points).select(50)) > 1.3 * nearest(plain.select(50))


def test_bad_settings(setting, tmp_path: Path):
    table, points = setting
    ranking = rank(table, Policy())
    with pytest.raises(UserError, match="--embedding"):
        refined(ranking, Refine(spread=5), None)
    with pytest.raises(UserError, match="--embedding"):
        refined(ranking, Refine(spread=5), None, points[:100])
    with pytest.raises(UserError, match="do not go together"):
        Refine("0.5", "0", 5)
    for value in (1, -3, 1001):
        with pytest.raises(UserError, match="spread"):
            Refine(spread=value)
    np.save(tmp_path / "good.npy", points)
    assert np.array_equal(read_embedding(str(tmp_path / "good.npy"), 2000), points)
    np.save(tmp_path / "bad.npy", np.arange(2000))
    (tmp_path / "no.npy").write_bytes(b"nothing")
    for name, size in (("good", 1999), ("bad", 2000), ("no", 2000)):
        with pytest.raises(UserError, match=r"npy file|floating-point matrix"):
            read_embedding(str(tmp_path / f"{name}.npy"), size)
