"""Tuning on a set, rank correlations, and the bytes of both ways."""

from __future__ import annotations

import pytest

from plada_distill import Score, TrainRecipe, random_subset
from plada_distill.tune import ByteBalance, grid, rank_correlation, regret, tune
from plada_format.errors import UserError


def test_tuning_keeps_a_journal(tmp_path, train_images, test_images, monkeypatch):
    small = random_subset(train_images, 1, 0)
    candidates = grid([4, 8], [1], ["instance"], [0.01, 0.1], TrainRecipe(epochs=2))
    assert len({candidate.name() for candidate in candidates}) == 4
    journal = tmp_path / "tune.json"
    first = tune(small, test_images, candidates[:2], journal=journal)
    import plada_distill.tune as module

    calls = []
    original = module.score_set
    monkeypatch.setattr(module, "score_set", lambda *args: calls.append(1) or original(*args))
    every = tune(small, test_images, candidates, journal=journal)
    assert len(calls) == 2 and {name: every[name] for name in first} == first
    tune(random_subset(train_images, 1, 1), test_images, candidates[:1], journal=journal)
    assert len(calls) == 3  # another set: the journal does not count
    journal.write_text("{")
    with pytest.raises(UserError, match="damaged"):
        tune(small, test_images, candidates, journal=journal)
    with pytest.raises(UserError, match="no candidates"):
        grid([], [1], ["none"], [0.1], TrainRecipe())


def test_rank_correlation():
    pytest.importorskip("scipy")
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 40]) == {"spearman": 1.0, "kendall": 1.0}
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1])["kendall"] == pytest.approx(-1)
    assert rank_correlation([1, 2, 3], [1, 3, 2])["spearman"] == pytest.approx(0.5)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == {"spearman": None, "kendall": None}
    with pytest.raises(UserError, match="at least 3"):
        rank_correlation([1, 2], [1, 2])


def test_regret():
    proxy = {"a": Score((0.5,)), "b": Score((0.4,))}
    assert regret(proxy, {"a": Score((0.6,)), "b": Score((0.9,))}) == pytest.approx(0.3)
    assert regret(proxy, {"a": Score((0.9,)), "b": Score((0.6,))}) == 0


def test_both_terms_of_the_bytes():
    dear = ByteBalance(distillation=1000, fedavg=100, configurations=8)
    assert dear.break_even == 11 and "does NOT pay" in dear.line() and "8 x 100 = 800" in dear.line()
    assert "sends less" in ByteBalance(1000, 100, 11).line()
