"""Clipping, noise, accounting, and what is written about it."""

from __future__ import annotations

import pytest
import torch
from distill_setup import NET

from plada_distill import GradientRequest, make_network
from plada_distill.aggregate import Aggregation
from plada_distill.convnet import parameters_of
from plada_distill.gradients import gradient_of
from plada_distill.plan import Federation
from plada_distill.privacy import Ledger, clipped_sum, epsilon, noisy_gradients, statement
from plada_format.errors import UserError


def _norm(parts):
    return float(sum(part.double().square().sum() for part in parts) ** 0.5)


def test_single_images_are_clipped_one_by_one(train_images):
    network = make_network(NET, 3, 16, 10, 1)
    pixels, labels = train_images.pixels[:40], train_images.labels[:40]
    singles = [gradient_of(network, pixels[i : i + 1], labels[i : i + 1]) for i in range(40)]
    norms = [_norm(single) for single in singles]
    clip = sorted(norms)[20]  # half of them are above
    expected = [sum(part * min(1.0, clip / norm) for part, norm in zip(column, norms)) for column in zip(*singles)]
    found = clipped_sum(network, pixels, labels, clip)
    for one, two in zip(found, expected):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)
    without = clipped_sum(network, pixels[1:], labels[1:], clip)
    assert _norm([one - two for one, two in zip(found, without)]) <= clip * 1.0001  # the sensitivity
    assert _norm(clipped_sum(network, pixels[:0], labels[:0], clip)) == 0


def test_answers_tell_no_counts_and_carry_the_noise(train_images):
    network = make_network(NET, 3, 16, 10, 1)
    few = train_images.subset(torch.nonzero(train_images.labels < 3).flatten().numpy())
    request = GradientRequest(0, 0, 0, batch=16)
    federation = Federation(clip=0.5, noise=2.0, sample_rate=0.2, aggregation=Aggregation("mean"))
    answer = noisy_gradients(network, few, request, federation, torch.Generator().manual_seed(0))
    assert sorted(answer.by_class) == list(range(10)) and set(answer.counts.values()) == {1}
    for label in range(3, 10):  # empty classes: noise alone, of the stated deviation
        flat = torch.cat([part.reshape(-1) for part in answer.by_class[label]])
        assert float(flat.std()) == pytest.approx(2.0 * 0.5 / 16, rel=0.05)
    again = noisy_gradients(network, few, request, federation)
    other = noisy_gradients(network, few, request, federation)
    assert not torch.equal(again.by_class[0][0], other.by_class[0][0])  # the seed is nobody's to know
    pooled = noisy_gradients(network, few, GradientRequest(0, 0, 0, 16, True), federation)
    assert list(pooled.by_class) == [-1]
    assert len(parameters_of(network)) == len(pooled.by_class[-1])


def test_epsilon():
    pytest.importorskip("dp_accounting")
    assert epsilon(1.0, 0.01, 0, 1e-5) == 0
    one, many = epsilon(1.0, 0.01, 100, 1e-5), epsilon(1.0, 0.01, 10_000, 1e-5)
    assert 0 < one < many and epsilon(2.0, 0.01, 100, 1e-5) < one < epsilon(1.0, 0.1, 100, 1e-5)
    # A textbook setting (noise 1.1, rate 256/60000, 60 epochs, delta 1e-5): 2.9 by older conversions, tighter by newer.
    assert 2.3 < epsilon(1.1, 256 / 60_000, 14_062, 1e-5) < 3.0
    for bad in ((0, 0.1, 1, 1e-5), (1, 0, 1, 1e-5), (1, 0.1, -1, 1e-5), (1, 0.1, 1, 1)):
        with pytest.raises(UserError):
            epsilon(*bad)


def test_the_ledger_survives(tmp_path):
    ledger = Ledger(tmp_path / "x" / "answers.log")
    assert ledger.count() == 0
    for _ in range(3):
        ledger.spend()
    assert Ledger(tmp_path / "x" / "answers.log").count() == 3


def test_statements_are_plain():
    assert "No privacy mechanism" in statement(Federation(), 5)
    mean = Aggregation("mean")
    assert "no guarantee" in statement(Federation(clip=1.0, aggregation=mean), 5)
    pytest.importorskip("dp_accounting")
    text = statement(Federation(clip=1.0, noise=1.0, aggregation=mean), 100)
    assert "100 answers" in text and "a client as a whole has not" in text
