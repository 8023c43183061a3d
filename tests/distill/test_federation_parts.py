"""Aggregation, partitions and the plan, without a federation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from distill_setup import settings
from hypothesis import given
from hypothesis import strategies as st

from plada_distill.aggregate import Aggregation, aggregate
from plada_distill.gradients import Gradients
from plada_distill.partition import Partition, deal, mislabel, wrong_clients
from plada_distill.plan import Federation, Plan
from plada_format.errors import UserError

VALUES = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=7)


def _answers(values, counts=None):
    return {
        number: Gradients({0: [torch.tensor([[value, -value]])]}, {0: 1 if counts is None else counts[number]})
        for number, value in enumerate(values)
    }


@given(VALUES, st.data())
def test_weighted_is_the_gradient_of_everything(values, data):
    counts = data.draw(st.lists(st.integers(1, 50), min_size=len(values), max_size=len(values)))
    combined = aggregate(_answers(values, counts), Aggregation("weighted"))
    expected = np.average(values, weights=counts)
    assert combined.by_class[0][0][0, 0].item() == pytest.approx(expected, rel=1e-4, abs=1e-3)
    assert combined.counts == {0: sum(counts)}


@given(VALUES)
def test_median_and_trimmed_mean(values):
    found = {name: aggregate(_answers(values), Aggregation.parse(name)).by_class[0][0] for name in
             ("mean", "median", "trimmed:0.3")}  # fmt: skip
    assert found["mean"][0, 0].item() == pytest.approx(np.mean(values), rel=1e-4, abs=1e-3)
    assert found["median"][0, 1].item() == pytest.approx(-np.median(values), rel=1e-4, abs=1e-3)
    cut = int(0.3 * len(values))
    kept = sorted(values)[cut : len(values) - cut]
    assert found["trimmed:0.3"][0, 0].item() == pytest.approx(np.mean(kept), rel=1e-4, abs=1e-3)


@given(st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=7), st.floats(-(2.0**100), 2.0**100, width=32))
def test_one_liar_cannot_move_the_robust_rules_out_of_the_honest_range(honest, lie):
    for rule in ("median", "trimmed:0.34"):
        found = aggregate(_answers([*honest, lie]), Aggregation.parse(rule)).by_class[0][0][0, 0].item()
        assert min(honest) - 1e-5 <= found <= max(honest) + 1e-5


def test_order_of_arrival_and_missing_classes_do_not_matter():
    generator = torch.Generator().manual_seed(0)
    answers = {number: Gradients({number % 3: [torch.randn(4, 5, generator=generator)]}, {number % 3: number + 1})
               for number in range(6)}  # fmt: skip
    one = aggregate(answers, Aggregation())
    two = aggregate(dict(reversed(answers.items())), Aggregation())
    assert sorted(one.by_class) == [0, 1, 2]
    assert all(torch.equal(one.by_class[label][0], two.by_class[label][0]) for label in one.by_class)
    single = aggregate({0: answers[0]}, Aggregation("median"))
    assert torch.equal(single.by_class[0][0], answers[0].by_class[0][0])
    assert aggregate({}, Aggregation()).by_class == {}


@given(
    st.lists(st.integers(0, 4), min_size=12, max_size=80),
    st.integers(1, 6),
    st.sampled_from(["iid", "dirichlet:0.1", "dirichlet:5", "shards:1", "shards:2"]),
    st.integers(0, 100),
)
def test_everybody_together_holds_every_image_once(labels, clients, kind, seed):
    labels = np.array(labels)
    try:
        parts = deal(labels, clients, Partition.parse(kind), seed)
    except UserError:
        assert kind == "dirichlet:0.1"  # very unequal shares of very few images
        return
    assert len(parts) == clients and min(len(part) for part in parts) >= 1
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(labels)))
    again = deal(labels, clients, Partition.parse(kind), seed)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again))


def _skew(parts, labels):
    """Mean distance of the clients' class shares from the whole's."""
    shares = [np.bincount(labels[part], minlength=10) / len(part) for part in parts]
    return float(np.mean([np.abs(share - np.bincount(labels, minlength=10) / len(labels)).sum() for share in shares]))


def test_kinds_of_partition_do_what_they_are_for():
    labels = np.repeat(np.arange(10), 100)
    skews = [
        _skew(deal(labels, 5, Partition.parse(kind), 1), labels)
        for kind in ("iid", "dirichlet:2", "dirichlet:0.5", "dirichlet:0.1")
    ]
    assert skews == sorted(skews) and skews[0] < 0.3 < 0.9 < skews[-1]
    for part in deal(labels, 5, Partition.parse("shards:2"), 1):
        assert len(set(labels[part].tolist())) <= 4 and len(part) == 200
    assert {len(part) for part in deal(labels, 3, Partition(), 1)} == {333, 334}
    with pytest.raises(UserError, match="cannot be dealt"):
        deal(labels[:3], 4, Partition(), 0)
    with pytest.raises(UserError, match="no Dirichlet draw"):
        deal(labels, 3, Partition.parse("dirichlet:0.01"), 0, at_least=333)


def test_wrong_labels_are_all_wrong():
    labels = np.repeat(np.arange(10), 50)
    wrong = mislabel(labels, 10, seed=3, client=1)
    assert (wrong != labels).all() and set(wrong.tolist()) == set(range(10))
    assert not np.array_equal(wrong, mislabel(labels, 10, seed=3, client=2))
    assert len(wrong_clients(5, 0.4, 0)) == 2 and wrong_clients(5, 0, 0) == []
    for bad in (lambda: wrong_clients(5, 1.5, 0), lambda: mislabel(labels, 1, 0, 0)):
        with pytest.raises(UserError):
            bad()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clients": 7, "partition": "dirichlet:0.3", "codec": "topk:0.02", "aggregation": "trimmed:0.1"},
        {"weights": "bf16", "fraction": 0.5, "dropout": 0.1, "mislabelled": 0.4, "augment": "none", "pooled": True},
        {"clip": 1.0, "noise": 0.8, "aggregation": "mean", "width": 64, "norm": "group", "outer-steps": 3},
    ],
)
def test_plans_survive_flat_configuration(options):
    plain = Plan(settings(), Federation(), "npz:x", 0.1, ("cat", "dog"), 1, 28)
    plan = Plan.from_config(plain.to_config() | options)
    assert Plan.from_config(plan.to_config()) == plan
    for name, value in options.items():
        assert plan.to_config()[name] == value
    assert all(isinstance(value, (bool, int, float, str)) for value in plan.to_config().values())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"wide": 3}, "unknown name 'wide'"),
        ({"clients": "many"}, "clients = 'many' cannot be read"),
        ({"clients": 0}, "at least 1 client"),
        ({"pooled": "perhaps"}, "cannot be read"),
        ({"dropout": 1.0}, "dropout"),
        ({"fraction": 0}, "fraction"),
        ({"codec": "zip"}, "codec"),
        ({"partition": "dirichlet:x"}, "partition"),
        ({"partition": "iid:3"}, "partition"),
        ({"aggregation": "trimmed:0.6"}, "trimmed"),
        ({"noise": 1.0}, "clipping norm"),
        ({"clip": 1.0, "codec": "topk"}, "error feedback"),
        ({"clip": 1.0}, "class counts"),
        ({"weights": "int8"}, "bf16"),
    ],
)
def test_bad_plans_are_refused(options, words):
    plain = Plan(settings(), Federation(), "npz:x", 0.1, ("cat", "dog"), 1, 28)
    with pytest.raises(UserError, match=words):
        Plan.from_config(plain.to_config() | options)
