"""Rate-aware selection: the cost model against the real coder, and what the settings promise."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_tables import MakeTable

import plada_format as pf
from plada_format.errors import UserError
from plada_select.bitcost import BitCost, Groups, agreement, best_blocks
from plada_select.payload import PayloadSpec, fit_budget
from plada_select.pipeline import select_payload
from plada_select.raterank import RefinedRanking, refined
from plada_select.refine import Refine
from plada_select.safety_net import SafetyNet
from plada_select.select import Policy, rank

EQUAL = Policy(safety_net=SafetyNet("0", "1"))


def clustered(rng: np.random.Generator, groups: int = 60, size: int = 50, classes: int = 5, rate: float = 0.05):
    """A selection whose groups differ in density and label."""
    starts = np.arange(0, groups * size, size)
    density = rng.gamma(0.4, 1.0, groups)
    keep = rng.random(groups * size) < np.repeat(density / density.mean() * rate, size)
    indices = np.flatnonzero(keep)
    main = rng.integers(0, classes, groups)
    labels = np.where(rng.random(len(indices)) < 0.85, main[indices // size], rng.integers(0, classes, len(indices)))
    return Groups(starts, groups * size), indices, labels


# The model


def test_the_model_is_close_to_the_coder_with_groups():
    """Within a tenth of the streams that the encoder writes, over sizes and densities."""
    for seed, rate in itertools.product(range(3), (0.02, 0.1)):
        groups, indices, labels = clustered(np.random.default_rng(seed), 200, 250, 10, rate)
        model = BitCost(groups, indices, labels, 10).total() / 8
        data = pf.encode(
            indices, labels, pool_size=groups.pool_size, num_classes=10, groups=groups.starts.astype(np.uint32),
            profile="compact",
        )  # fmt: skip
        real = sum(section.length for section in pf.inspect(data).sections)
        assert 0.9 < model / real < 1.1, (seed, rate, model, real)


def test_code_lengths_are_those_of_a_probability():
    """Over all selections and labels of a tiny pool the model's probabilities add up to one per parameter set."""
    groups = Groups(np.array([0, 2]), 5)
    cost = BitCost(groups, np.array([0, 3]), np.array([0, 1]), 2)
    total = 0.0
    for size in range(6):
        for kept in itertools.combinations(range(5), size):
            for given_labels in itertools.product(range(2), repeat=size):
                other = BitCost(groups, np.array(kept, int), np.array(given_labels, int), 2)
                other.rate, other.shares = cost.rate, cost.shares
                bits = other._index_bits(4.0) + other._label_bits(1.0)
                total += 2.0**-bits
    assert total == pytest.approx(1.0)


@given(st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_marginal_bits_are_the_difference_of_totals(seed):
    rng = np.random.default_rng(seed)
    groups, indices, labels = clustered(rng, 12, 20, 3, 0.2)
    if len(indices) < 2:
        return
    cost = BitCost(groups, indices, labels, 3)

    def total(kept, given_labels) -> float:
        other = BitCost(groups, kept, given_labels, 3)
        other.rate, other.shares = cost.rate, cost.shares
        return other._index_bits(cost.density_strength) + other._label_bits(cost.label_strength)

    base = total(indices, labels)
    row = int(rng.integers(len(indices)))
    without = total(np.delete(indices, row), np.delete(labels, row))
    found = cost.bits(groups.of(indices[[row]]), labels[[row]], np.array([True]))[0]
    assert found == pytest.approx(base - without, abs=1e-6)
    free = np.setdiff1d(np.arange(groups.pool_size), indices)
    new, label = int(rng.choice(free)), int(rng.integers(3))
    at = int(np.searchsorted(indices, new))
    with_it = total(np.insert(indices, at, new), np.insert(labels, at, label))
    found = cost.bits(groups.of(np.array([new])), np.array([label]), np.array([False]))[0]
    assert found == pytest.approx(with_it - base, abs=1e-6)


def test_blocks_stand_in_for_groups():
    groups, indices, labels = clustered(np.random.default_rng(1), 60, 64, 5, 0.1)
    blocks = best_blocks(groups.pool_size, indices, labels, 5)
    spread = np.sort(np.random.default_rng(0).choice(groups.pool_size, len(indices), replace=False))
    alone = best_blocks(groups.pool_size, spread, labels, 5)
    assert BitCost(blocks, indices, labels, 5).total() < 0.8 * BitCost(alone, spread, labels, 5).total()


def test_agreement_is_the_share_among_the_others():
    groups = Groups(np.array([0, 4]), 8)
    labels = np.array([0, 0, 0, 1, 1, 1, 1, 1])
    found = agreement(groups, np.arange(8), labels, 2)
    assert found[0] == pytest.approx((2 + 3 / 8) / 4) and found[3] == pytest.approx((0 + 5 / 8) / 4)
    assert found[4] == pytest.approx((3 + 5 / 8) / 4)


# Selections


@pytest.fixture
def table(make_table: MakeTable):
    """Labels and energies that follow groups of 50."""

    def edit(columns):
        rng = np.random.default_rng(5)
        main = np.repeat(rng.integers(0, 5, 60), 50)
        columns["label"][:] = np.where(rng.random(3000) < 0.8, main, columns["label"]).astype(np.uint16)
        columns["energy"][:] = np.repeat(rng.normal(size=60), 50) + 2 * rng.normal(size=3000)

    return make_table(3000, 5, edit=edit)


STARTS = np.arange(0, 3000, 50)


def test_nothing_to_weigh_is_the_plain_selection(table):
    ranking = rank(table, EQUAL)
    assert refined(ranking, Refine(), STARTS) is ranking and refined(ranking, None, None) is ranking
    zero = RefinedRanking(
        ranking.keys, ranking.labels, ranking.class_counts, ranking.safety_net, {}, ranking.scores, "energy",
        refine=Refine(), starts=STARTS,
    )  # fmt: skip
    for count in (1, 7, 100, 3000):
        assert np.array_equal(zero.select(count).indices, ranking.select(count).indices)


@pytest.mark.parametrize("net", [None, SafetyNet("0", "1"), SafetyNet("0.5", "0.5"), SafetyNet("-0.2", "0.3")])
@pytest.mark.parametrize("starts", [STARTS, None])
def test_counts_and_quotas_stand_at_any_rate(table, net, starts):
    plain = rank(table, Policy(safety_net=net))
    for rate, tau in (("4", "0"), ("0", "1"), ("1", "1")):
        ranking = refined(plain, Refine(rate, tau), starts)
        for count in (5, 333, 2999):
            found = ranking.select(count)
            assert len(found) == count and (np.diff(found.indices.astype(np.int64)) > 0).all()
            assert np.array_equal(found.labels, plain.labels[found.indices])
            if net is not None:
                assert (np.bincount(found.labels, minlength=5) >= plain.quotas(count)).all()
        again = refined(rank(table, Policy(safety_net=net)), Refine(rate, tau), starts)
        assert np.array_equal(again.select(333).indices, ranking.select(333).indices)


def test_a_higher_rate_costs_fewer_bytes(table):
    sizes = []
    for rate in ("0", "0.25", "1", "4"):
        ranking = refined(rank(table, EQUAL), Refine(rate), STARTS)
        found = ranking.select(300)
        sizes.append(
            len(pf.encode(found.indices, found.labels, pool_size=3000, num_classes=5, groups=STARTS.astype(np.uint32)))
        )
    assert sizes[0] > sizes[1] > sizes[2] >= sizes[3]
    assert sizes[2] < 0.85 * sizes[0]


def test_agreement_passes_over_odd_labels(table):
    def odd(selection) -> float:
        group = selection.indices // 50
        main = np.array([np.bincount(rank(table, EQUAL).labels[s : s + 50]).argmax() for s in STARTS])
        return float((main[group] != selection.labels).mean())

    plain = rank(table, EQUAL).select(200)
    assert odd(refined(rank(table, EQUAL), Refine("0", "1"), STARTS).select(200)) < 0.5 * odd(plain)


def test_the_budget_holds_for_refined_policies(table):
    spec = PayloadSpec(
        pool_size=3000, class_names=table.task["class_names"], encode_options={"groups": STARTS.astype(np.uint32)}
    )
    plain = fit_budget(rank(table, EQUAL), spec, 500)
    ranking = refined(rank(table, EQUAL), Refine("1"), STARTS)
    found = fit_budget(ranking, spec, 500)
    assert len(found.data) <= 500 and len(found.selection) > 1.1 * len(plain.selection)
    assert len(spec.encode(ranking.select(len(found.selection) + 1))) > 500


def test_the_record_names_the_settings(table):
    policy = Policy(safety_net=SafetyNet(), refine=Refine("0.5", "0.25"))
    outcome = select_payload(table, policy, count=100, group_starts=STARTS)
    assert outcome.record["policy"]["refine"] == {"rate": "0.5", "agreement": "0.25"}
    assert np.array_equal(outcome.arrays["plain_indices"], rank(table, Policy()).select(100).indices)
    assert "refine" not in select_payload(table, EQUAL, count=100).record["policy"]


@pytest.mark.parametrize("value", ["-1", "nan", "x", "101"])
def test_refused_settings(value):
    with pytest.raises(UserError, match="from 0 to 100"):
        Refine(value)
    with pytest.raises(UserError, match="from 0 to 100"):
        Refine("0", value)
    assert math.isclose(float(Refine("0.5").rate), 0.5)
