"""The rehearsal's parts on their own: candidates, files within the budget, halving, the rule, pre-check, records."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from score_tables import MakeTable

import plada_format as pf
from plada_format.errors import UserError
from plada_select.payload import PayloadSpec
from plada_select.rehearsal.arms import ArmMaker, within_work
from plada_select.rehearsal.candidates import Candidate, default_candidates
from plada_select.rehearsal.halving import successive_halving
from plada_select.rehearsal.precheck import effective_number, pre_check
from plada_select.rehearsal.record import read_rehearsal, rehearsal_path, write_rehearsal
from plada_select.rehearsal.rule import SAME_SIZE, pick
from plada_select.rehearsal.run import rehearse
from plada_select.rehearsal.trials import Arm, Trial, paired_error
from plada_select.rehearsal.turns import DOUBLE, HALF, Turn, exchange
from plada_select.report.rehearsal_part import _turn
from plada_select.safety_net import SafetyNet
from plada_select.select import Policy, Selection

QUICK = {"profile": "baseline"}  # many files are encoded, in plain Python
NOBODY = Selection(np.zeros(0, np.uint32), np.zeros(0, np.uint16))


def arm(name: str, size: int, *rows: object, rung: int = 0) -> Arm:
    trials = [Trial(seed, rung, "s", np.asarray(row, bool)) for seed, row in enumerate(rows)]
    return Arm(name, Policy(), "1", NOBODY, size, trials)


# Candidates


def test_candidates_differ_and_all_policies_come_before_the_second_part():
    found = default_candidates()
    names = [candidate.name for candidate in found]
    assert len(set(names)) == len(names) == 42
    assert [candidate.part for candidate in found[:14]] == [1] * 14
    criteria = {candidate.policy.criterion for candidate in found}
    assert criteria == {"energy", "entropy", "margin", "consensus", "random"}
    assert {str(candidate.policy.refine.rate) for candidate in found if candidate.policy.refine} == {"0.25"}
    assert {candidate.policy.direction for candidate in found} == {"low", "high"}
    nets = {candidate.policy.safety_net for candidate in found}
    assert {None, SafetyNet("0", "1"), SafetyNet("0.5", "0.5"), SafetyNet("-0.2", "0.5")} <= nets


def test_far_targets_get_the_same_candidates_in_another_order():
    near, far = default_candidates(), default_candidates(far=True)
    assert {candidate.name for candidate in near} == {candidate.name for candidate in far}
    assert near[0].policy.direction == "low"
    assert far[0].policy.criterion == "random" and far[1].policy.direction == "high"


def test_with_an_embedding_spread_is_tried_early():
    plain, more = default_candidates(), default_candidates(spread=True)
    added = [candidate for candidate in more if candidate.name not in {one.name for one in plain}]
    assert len(more) - len(plain) == len(added) == 6
    assert all(candidate.policy.refine is not None and candidate.policy.refine.spread == 5 for candidate in added)
    assert more.index(added[0]) == 1 and {one.policy.criterion for one in added} == {"energy", "margin"}


def test_a_part_of_the_count_is_a_share():
    for part in ("0", "1.1", "-1"):
        with pytest.raises(UserError, match="part"):
            Candidate(Policy(), Decimal(part))


# Files


def spec_of(table) -> PayloadSpec:
    names = table.task["class_names"]
    return PayloadSpec(pool_size=len(table), class_names=names, pool_fingerprint=bytes(range(16)), encode_options=QUICK)


def test_arms_are_real_files_within_the_budget(make_table: MakeTable):
    table = make_table(3000, 10, skew=0.3)
    spec = spec_of(table)
    arms = ArmMaker(table, spec, 400).arms(default_candidates())
    assert len(arms) > 15
    contents = {(a.selection.indices.tobytes(), a.selection.labels.tobytes()) for a in arms}
    assert len(contents) == len(arms)
    whole = {}
    for a in arms:
        assert len(spec.encode(a.selection)) == a.bytes <= 400
        policy = json.dumps(a.policy.to_json())
        if a.part == "1":
            whole[policy] = a.count
        elif policy in whole:
            assert a.count == math.floor(whole[policy] * float(a.part))


def test_a_budget_below_one_image_per_class_names_the_size(make_table: MakeTable):
    table = make_table(500, 10)
    with pytest.raises(UserError, match="one image for each of the 10 classes has"):
        ArmMaker(table, spec_of(table), 120).arms(default_candidates())


def test_work_is_bounded_in_the_order_of_promise():
    arms = [arm(name, 10) for name in "abc"]
    for number, a in enumerate(arms):
        indices = np.arange(100 * number, 100 * number + 100, dtype=np.uint32)
        a.selection = Selection(indices, np.zeros(100, np.uint16))
    assert within_work(arms, 200) == arms[:2]
    assert "not tried" in arms[2].note
    assert within_work(arms[:1], 5) == arms[:1]  # one is always tried
    assert within_work(arms, None) == arms


# Halving


@given(st.lists(st.floats(0, 0.8), min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_halving_gives_the_stayers_every_seed_and_never_drops_a_clear_winner(levels, seeds, finalists):
    levels = [*levels, 2.0]  # always right; the others hardly ever
    arms = [arm(str(number), 100) for number in range(len(levels))]
    rng = np.random.default_rng(0)
    asked: list[tuple[str, int]] = []

    def measure(a, seed):
        asked.append((a.name, seed))
        return rng.random(50) < levels[int(a.name)], 0.5

    left = successive_halving(arms, measure, seeds=seeds, finalists=finalists)
    assert len(set(asked)) == len(asked) == sum(len(a.trials) for a in arms)
    assert arms[-1] in left
    for a in arms:
        assert [trial.seed for trial in a.trials] == list(range(len(a.trials)))
        assert (len(a.trials) == seeds) == (a in left)
        assert bool(a.note) == (a not in left)
    assert len(left) >= min(finalists, len(arms))
    assert [a.mean for a in left] == sorted((a.mean for a in left), reverse=True)
    if seeds > 1 and len(arms) > 8 * finalists:
        assert len(asked) < seeds * len(arms)


@pytest.mark.parametrize("wish", [{"seeds": 0}, {"finalists": 0}])
def test_halving_needs_something_to_do(wish):
    with pytest.raises(UserError):
        successive_halving([arm("a", 1)], lambda a, seed: ([True], 0.0), **wish)
    with pytest.raises(UserError):
        successive_halving([], lambda a, seed: ([True], 0.0))


# The rule


def test_the_rule_takes_the_small_file_only_within_one_paired_error():
    rng = np.random.default_rng(1)
    right = rng.random(400) < 0.7
    worse = right.copy()
    worse[np.flatnonzero(right)[:40]] = False  # ten points below on the same images: clear
    tie = right.copy()
    tie[np.flatnonzero(right)[0]], tie[np.flatnonzero(~right)[0]] = False, True
    big, small = arm("big", 1000, right), arm("small", 500, worse)
    assert pick([big, small]) is big
    assert pick([big, arm("half", 500, tie)]).name == "half"
    assert paired_error(big, big) == 0.0


def test_a_few_bytes_decide_nothing():
    right = np.arange(200) < 150
    less = np.arange(200) < 149
    assert pick([arm("better", 1000, right), arm("smaller", 999, less)]).name == "better"
    assert pick([arm("first", 1000, right), arm("second", 1000, right)]).name == "first"


@given(
    st.lists(
        st.tuples(st.integers(60, 2000), st.lists(st.booleans(), min_size=30, max_size=30)), min_size=1, max_size=8
    )
)
def test_the_rule_keeps_its_word(drawn):
    arms = [arm(str(number), size, row) for number, (size, row) in enumerate(drawn)]
    chosen = pick(arms)
    best = max(a.mean for a in arms)
    top = next(a for a in sorted(arms, key=lambda a: a.bytes) if a.mean == best)
    good = [a for a in arms if best - a.mean <= paired_error(top, a)]
    assert best - chosen.mean <= paired_error(top, chosen) + 1e-12
    assert all(chosen.bytes * SAME_SIZE <= a.bytes for a in good)
    assert pick(arms, errors=0).mean == best


def test_really_trained_networks_overrule_the_proxy():
    good, bad = np.ones(100, bool), np.zeros(100, bool)
    first, second = arm("first", 100, good), arm("second", 100, bad)
    first.trials.append(Trial(0, -1, "net", bad))
    second.trials.append(Trial(0, -1, "net", good))
    assert pick([first, second]) is second


# The pre-check


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=20))
def test_effective_number_of_classes(weights):
    shares = np.array(weights) / sum(weights)
    assert 1 - 1e-9 <= effective_number(shares) <= len(shares) + 1e-9
    assert effective_number(np.full(7, 1 / 7)) == pytest.approx(7)
    assert effective_number(np.array([1.0, 0.0])) == pytest.approx(1)


def test_a_collapsed_selection_is_called_far(make_table: MakeTable):
    def collapse(columns):
        columns["energy"][columns["label"] == 3] -= 100

    near, far = make_table(2000, 10), make_table(2000, 10, name="far", edit=collapse)
    assert not pre_check(near, 100).far
    found = pre_check(far, 100, np.array([-200.0, -1.0], np.float32))
    assert found.far and found.top_share == 1.0 and found.effective_classes == pytest.approx(1)
    assert found.val_beyond_cut == 0.5
    assert any("far" in line for line in found.lines())
    json.dumps(found.to_json())


# A whole rehearsal, and its record


class Numbers:
    """A student whose result depends on the selection alone: the share of even indices."""

    name = "numbers"

    def __init__(self) -> None:
        self.validation = np.zeros(50)
        self.wanted = 0

    def want(self, arms) -> None:
        self.wanted = len(np.unique(np.concatenate([a.selection.indices for a in arms])))

    def __call__(self, a: Arm, seed: int):
        even = (a.selection.indices % 2 == 0).mean()
        return np.arange(50) < round(50 * even), 0.0


def test_rehearsal_and_its_record(make_table: MakeTable, tmp_path: Path):
    table = make_table(2000, 5)
    spec = spec_of(table)
    student = Numbers()
    found = rehearse(ArmMaker(table, spec, 500).arms(default_candidates()), student, budget=500, progress=False)
    assert student.wanted == found.facts["pool_images_seen"]
    best = max(a.mean for a in found.arms if len(a.trials) == 3)
    assert found.chosen.mean >= best - 0.2 and len(found.chosen.trials) == 3
    data = spec.encode(found.chosen.selection)
    path = tmp_path / "task.plada"
    path.write_bytes(data)
    write_rehearsal(found, data, path)
    record = read_rehearsal(path)
    assert record is not None and record["chosen"] == found.chosen.name
    assert sum(len(a["trials"]) for a in record["arms"]) == sum(len(a.trials) for a in found.arms)
    assert {a["bytes"] <= 500 for a in record["arms"]} == {True}
    path.write_bytes(pf.encode([1], [0], pool_size=2000, num_classes=5))
    assert read_rehearsal(path) is None  # of another payload
    rehearsal_path(path).write_text("{}")
    with pytest.raises(UserError, match="select again"):
        read_rehearsal(path)
    rehearsal_path(path).unlink()
    assert read_rehearsal(path) is None


def test_finalists_are_of_different_policies_and_decide(make_table: MakeTable):
    table = make_table(2000, 5)
    arms = ArmMaker(table, spec_of(table), 500).arms(default_candidates())
    seen = []

    def network(a, seed):
        seen.append(a)
        return np.arange(50) < 10 * len(seen), 1.0

    found = rehearse(arms, Numbers(), budget=500, final=network, finalists=3, progress=False)
    assert len(seen) == 3 and len({json.dumps(a.policy.to_json()) for a in seen}) == 3
    assert found.chosen is seen[2]
    with pytest.raises(UserError, match="finalists"):
        rehearse(arms, Numbers(), budget=500, final=network, finalists=4, progress=False)


# Class quotas turned


@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_an_exchange_gives_what_it_takes_and_promises_a_gain(seed, classes):
    random = np.random.default_rng(seed)
    quota, available = random.integers(0, 40, classes).tolist(), random.integers(40, 90, classes).tolist()
    doubled = {one: random.normal() for one in range(classes) if quota[one]}
    halved = {one: random.normal() for one in range(classes) if quota[one] > 1}
    factors = exchange(quota, available, doubled, halved)
    assert set(factors.values()) <= {DOUBLE, HALF}
    more = sum(min(quota[one], available[one] - quota[one]) for one, factor in factors.items() if factor == DOUBLE)
    less = sum(quota[one] - quota[one] // 2 for one, factor in factors.items() if factor == HALF)
    assert more <= 2 * less and bool(more) == bool(factors)
    gain = sum((doubled if factor == DOUBLE else halved)[one] for one, factor in factors.items())
    assert not factors or gain > 0


def test_an_exchange_takes_from_classes_that_lose_nothing():
    gains = {0: 0.05, 1: -0.01, 2: 0.0, 3: 0.0}
    assert exchange([8] * 4, [99] * 4, gains, {0: -0.1, 1: 0.0, 2: 0.001, 3: -0.2}) == {0: DOUBLE, 2: HALF, 1: HALF}
    assert exchange([8] * 4, [8] * 4, gains, {1: 0.0, 2: 0.0}) == {}  # the pool has no more
    assert exchange([9, 9], [99] * 2, {0: 0.1, 1: -0.2}, {0: -0.1, 1: 0.0}) == {0: DOUBLE, 1: HALF}
    assert exchange([40, 4, 9, 9], [999] * 4, {0: 0.1, 1: 0.09}, {2: -0.01, 3: -0.02}) == {1: DOUBLE, 2: HALF}
    assert exchange([8] * 4, [99] * 4, {0: 0.1}, {1: -0.04, 2: -0.08}) == {}  # it would cost more than it gives


class FirstClass(Numbers):
    """A student whose accuracy grows with its images of class 0 alone."""

    def __call__(self, a: Arm, seed: int):
        return np.arange(500) < 2 * (a.selection.labels == 0).sum(), 0.0


@pytest.mark.parametrize("rounds", [0, 1, 2])
def test_quotas_move_to_the_class_that_gains(make_table: MakeTable, rounds):
    table = make_table(6000, 9)
    maker = ArmMaker(table, spec_of(table), 500)
    arms = maker.arms([Candidate(Policy(safety_net=SafetyNet()))])
    student = FirstClass()
    found = rehearse(arms, student, budget=500, seeds=2, turns=rounds, maker=maker, progress=False)
    assert len(found.facts["turns"]) == rounds and len(found.arms) == 1 + rounds
    assert found.chosen is found.arms[-1] and found.chosen.bytes <= 500 and len(found.chosen.trials) == 2
    net = found.chosen.policy.safety_net
    assert net is not None and dict(net.factors).get(0, 1) == 2**rounds
    again = maker.ranking(found.chosen.policy).select(found.chosen.count)
    assert again.indices.tolist() == found.chosen.selection.indices.tolist()
    json.dumps(found.to_json())


def test_a_turn_in_the_report():
    turn = Turn("low energy, quotas 0:1", (8, 1), {0: 0.0512, 1: -0.01}, {0: -0.002}, {0: DOUBLE})
    page = _turn(turn.to_json(), ["cat & co", "dog"])
    for cell in ("cat &amp; co", "5.1", "−0.2", "times 2", "dog", "−1.0"):
        assert cell in page, cell


def test_quotas_are_not_turned_where_there_are_none_or_too_much_work(make_table: MakeTable):
    table, student = make_table(4000, 5), FirstClass()
    maker = ArmMaker(table, spec_of(table), 500)
    for policy, most, why in (
        (Policy(), None, "no policy that was left"),
        (Policy(safety_net=SafetyNet()), 150, "more than 150"),
    ):
        arms = [Candidate(policy)]
        found = rehearse(maker.arms(arms), student, budget=500, images=most, turns=2, maker=maker, progress=False)
        assert found.facts["turns"] == [] and len(found.arms) == 1 and why in found.facts["turns_end"]
    with pytest.raises(UserError, match="maker"):
        rehearse(found.arms, student, budget=500, turns=1, progress=False)


def counted_table(make_table: MakeTable, counts: list[int]):
    """A table whose pool has so many images of each class."""
    labels = np.repeat(np.arange(len(counts), dtype=np.uint16), counts)
    return make_table(sum(counts), len(counts), edit=lambda columns: columns.update(label=labels))


class Worth(Numbers):
    """A student to whom an image of a class is worth so many right answers of a thousand."""

    def __init__(self, worth: list[float]) -> None:
        super().__init__()
        self.worth = np.array(worth)

    def __call__(self, a: Arm, seed: int):
        found = np.bincount(a.selection.labels, minlength=len(self.worth)) @ self.worth
        return np.arange(1000) < found, 0.0


def test_a_class_that_keeps_all_its_images_gives_none(make_table: MakeTable):
    table = counted_table(make_table, [6, 900, 900, 900, 900])
    maker = ArmMaker(table, spec_of(table), 400)
    arms = maker.arms([Candidate(Policy(safety_net=SafetyNet()))])
    assert np.bincount(arms[0].selection.labels)[0] == 6
    found = rehearse(arms, Worth([9, 0, 3, 0, 0]), budget=400, seeds=1, turns=1, maker=maker, progress=False)
    (turn,) = found.facts["turns"]
    assert "0" not in turn["doubled"] and "0" not in turn["halved"]
    assert turn["doubled"]["2"] == pytest.approx(3 * turn["quota"][2] / 1000, abs=0.01)
    assert turn["factors"] == {"2": "2", "1": "0.5", "3": "0.5"}
    assert np.bincount(found.chosen.selection.labels)[0] == 6


@pytest.mark.parametrize("budget", range(98, 118))
def test_turned_quotas_lose_no_class(make_table: MakeTable, budget):
    table = counted_table(make_table, [300] * 3)
    maker = ArmMaker(table, spec_of(table), budget)
    arms = maker.arms([Candidate(Policy(safety_net=SafetyNet()))])
    found = rehearse(arms, Worth([0, 40, 20]), budget=budget, seeds=1, turns=2, maker=maker, progress=False)
    assert all(len(np.unique(a.selection.labels)) == 3 and a.bytes <= budget for a in found.arms)


def test_turning_stays_within_the_pool_images_allowed(make_table: MakeTable):
    table = make_table(6000, 9)
    maker = ArmMaker(table, spec_of(table), 500)
    arms = maker.arms([Candidate(Policy(safety_net=SafetyNet()))])
    free = rehearse(arms, FirstClass(), budget=500, seeds=1, turns=1, maker=maker, progress=False)
    seen = free.facts["pool_images_seen"]
    assert seen > arms[0].count
    maker = ArmMaker(table, spec_of(table), 500)
    arms = maker.arms([Candidate(Policy(safety_net=SafetyNet()))])
    tight = rehearse(arms, FirstClass(), budget=500, seeds=1, turns=1, images=seen - 1, maker=maker, progress=False)
    assert tight.facts["pool_images_seen"] < seen and len(tight.arms) == 1
