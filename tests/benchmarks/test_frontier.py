"""The arithmetic of benchmarks/frontier: curves, bytes at equal accuracy, what auto may look at. No students."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frontier.cost import CostRow
from benchmarks.frontier.cost import read as read_costs
from benchmarks.frontier.cost import table as cost_table
from benchmarks.frontier.curves import (
    at_budget,
    auto_curve,
    best_fixed,
    bytes_for,
    choose,
    complete,
    duel,
    envelope,
    mean_curve,
    ratio,
)
from benchmarks.frontier.labels import measure as measure_labels
from benchmarks.frontier.labels import surprise
from benchmarks.frontier.measure import Row, Rows
from benchmarks.frontier.others import OtherRow, pack
from benchmarks.frontier.quotas import CURVES, EQUAL, QuotaRow, by_curves, by_turns
from benchmarks.frontier.quotas import table as quota_table
from benchmarks.frontier.report import read_csv, tables, write
from benchmarks.frontier.scores import fit_temperature, within_class
from benchmarks.frontier.tuned import Setup, TunedRow
from plada_train import Head, Recipe

POINTS = st.lists(st.tuples(st.integers(60, 20_000), st.floats(0.1, 0.9)), min_size=1, max_size=12)


def row(
    policy: str, count: int, size: int, test: float, val: float | None = None, seed: int = 0, task: str = "t"
) -> Row:
    return Row(
        task,
        seed,
        policy,
        count,
        2,
        size,
        size + 5,
        size + 9,
        2 * size,
        3 * size,
        30,
        test if val is None else val,
        test,
        test if val is None else val,
    )


@given(POINTS)
def test_an_envelope_rises_and_no_point_is_left_of_it(points):
    curve = envelope(points)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(curve))
    for size, accuracy in points:
        assert any(known <= size and best >= accuracy for known, best in curve)


@given(POINTS)
def test_bytes_for_the_points_of_a_curve_are_their_own(points):
    curve = envelope(points)
    for size, accuracy in curve:
        assert bytes_for(curve, accuracy) == pytest.approx(size)
    assert bytes_for(curve, curve[-1][1] + 0.01) is None
    assert bytes_for(curve, curve[0][1] - 0.01) is None


@given(POINTS, st.floats(0.1, 0.9))
def test_the_same_curve_in_fewer_bytes_has_that_ratio(points, factor):
    curve = envelope(points)
    found = ratio([(size * factor, accuracy) for size, accuracy in curve], curve)
    if len(curve) == 1:
        assert found is None
    else:
        assert found is not None and found[0] == pytest.approx(factor)


def test_curves_that_never_meet_have_no_ratio():
    assert ratio([(100, 0.5), (200, 0.6)], [(100, 0.7), (200, 0.8)]) is None
    assert ratio([], [(100, 0.7)]) is None


def test_auto_does_not_look_at_the_test_split():
    rows = [row("a", 2, 100, test=0.9, val=0.5), row("b", 2, 110, test=0.4, val=0.6), row("c", 2, 120, 0.3, val=0.6)]
    assert choose(rows, 200, "ours").policy == "b"
    assert choose(rows, 105, "ours").policy == "a"
    assert choose(rows, 99, "ours") is None
    assert auto_curve(rows, "ours")[-1][1] == 0.9  # of the small budgets; the larger file is worse and not on the curve


def test_mean_curves_leave_out_counts_that_a_seed_lacks():
    rows = [row("a", 2, 100, 0.5, seed=0), row("a", 2, 120, 0.7, seed=1), row("a", 4, 200, 0.9, seed=0)]
    assert mean_curve(rows, "ours") == [(110, 0.6)]


def test_duels_are_paired_by_seed_and_mean_over_tasks():
    rows = []
    for task, gain in (("t", 0.1), ("u", -0.05)):
        for seed in range(3):
            base = 0.5 + 0.01 * seed
            rows.append(row("fixed", 2, 100, base, val=0.1, seed=seed, task=task))
            rows.append(row("other", 2, 100, base + gain + 0.001 * seed, val=0.9, seed=seed, task=task))
    found = duel(rows, "fixed", 300, "ours")
    assert found is not None and found.difference == pytest.approx((10.1 - 4.9) / 2)
    assert found.fixed == pytest.approx(51) and found.tasks == pytest.approx({"t": 10.1, "u": -4.9})
    assert found.worst == "u" and found.errors["u"] < -2
    assert at_budget(rows, "fixed", 99, "ours") is None and duel(rows, "fixed", 99, "ours") is None


def test_the_best_fixed_policy_is_one_for_all_tasks_and_was_run_on_all():
    rows = []
    for task, accuracies in (("t", (0.9, 0.5, 0.6)), ("u", (None, 0.7, 0.55))):
        for name, accuracy in zip(("once", "even", "other"), accuracies):
            if accuracy is not None:
                rows.append(row(name, 2, 100, accuracy, task=task))
    assert not complete(rows, "once", 150, "ours") and complete(rows, "even", 150, "ours")
    found = best_fixed(rows, ["once", "even", "other"], 150, "ours")
    assert found is not None and found.policy == "even" and found.fixed == pytest.approx(60)
    assert found.difference == pytest.approx(100 * (0.9 + 0.7) / 2 - 60)
    # A policy whose files end far below the budget was not run to it, unless it sends as many images as any.
    rows.append(row("even", 4, 1000, 0.8))
    assert complete(rows, "even", 1200, "ours") and not complete(rows, "other", 1200, "ours")


def test_rows_of_an_earlier_run_count_unless_the_file_has_its_own(tmp_path: Path):
    old, other, new = row("a", 2, 100, 0.5), row("b", 2, 100, 0.5), row("a", 2, 100, 0.6)
    Rows(tmp_path / "rows.jsonl").add(new)
    assert list(Rows(tmp_path / "rows.jsonl", [old, other]).rows.values()) == [new, other]


def test_rows_survive_a_killed_run(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    rows = Rows(path)
    first, second = row("a", 2, 100, 0.5), row("a", 4, 200, 0.6)
    rows.add(first)
    rows.add(second)
    with open(path, "ab") as file:
        file.write(json.dumps(asdict(row("a", 8, 300, 0.7))).encode()[:40])
    again = Rows(path)
    assert list(again.rows.values()) == [first, second]
    again.add(row("a", 8, 300, 0.7))
    assert len(Rows(path).rows) == 3


def test_the_report_holds_the_ratio(tmp_path: Path):
    rows = []
    for seed in (0, 1):
        for count, accuracy in ((2, 0.5), (4, 0.6), (8, 0.7)):
            rows.append(row("paper: lowest energy", count, 50 * count, accuracy, seed=seed))
            rows.append(row("equal quotas", count, 25 * count, accuracy, seed=seed))
    others = [OtherRow("t", seed, "linear probe", "4 bits", 4, 140, 0.8, 0.6 + 0.1 * seed) for seed in (0, 1)]
    text = tables(rows, others=others)
    assert "| t | 2 | 50 to 70 % | 0.25 | 0.25 | 0.50 | 1.50 |" in text
    assert "| geometric mean | | | **0.25** | **0.25** | **0.50** | **1.50** |" in text
    assert "| t | 150 | – | 60.0 ± 0.0 | 60.0 ± 0.0 | 65.0 ± 7.1 | – | – |" in text
    assert "| 150 | 1 | 60.0 | plain energy | 50.0 | +10.0 | t | +10.0 | – |" in text
    assert "| t | 2 | 50 | 50.0 % | 30 |" in text and "Not run." in text
    tuned = TunedRow("t", 0, "fine-tuned", "auto", 300, "equal quotas", 8, 290, 0.5, "net, 64 px", 1.0)
    paths = write(rows, tmp_path, [tuned], others)
    assert "| t | 300 | auto | 1 | 8 | 290 | 50.0 |" in paths[1].read_text()
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["rows.csv", "tables.md", "plots/frontier.svg"]
    assert all(path.stat().st_size for path in paths)
    assert sorted(read_csv(paths[0]), key=lambda one: one.key) == sorted(rows, key=lambda one: one.key)
    assert read_csv(tmp_path / "none.csv") == []
    with pytest.raises(SystemExit):
        write([], tmp_path)


@given(st.integers(1, 300), st.integers(1, 9))
def test_surprise_is_the_rareness_of_a_label_in_its_group(count, classes):
    rng = np.random.default_rng(count)
    labels, group = rng.integers(0, classes, count), np.sort(rng.integers(0, 4, count))
    found = surprise(labels, group, classes)
    for place in range(count):
        near = labels[group == group[place]]
        assert found[place] == pytest.approx(-np.log2((near == labels[place]).mean()))


def test_wrong_labels_are_counted_where_folders_show_the_class():
    logits = np.array([[3, 0, 0], [2, 0, 0], [0, 5, 0], [0, 0, 1], [1, 0, 0]], np.float32)
    fits = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    rows = list(measure_labels("t", "g", logits, np.zeros(5, np.int64), fits))
    everything = [one for one in rows if one.keep == 1.0]
    assert sum(one.count for one in everything) == 4  # class 2 is shown by no folder
    assert sum(one.wrong for one in everything) == 1
    assert {one.low for one in everything if one.count} == {0.0, 2.0}  # three of five, and one of five


@given(st.integers(0, 50))
def test_scores_standardised_within_a_class_have_mean_0_and_spread_1(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, 40)
    found = within_class(rng.normal(5 * labels, 1 + labels).astype(np.float32), labels, 4)
    for label in set(labels.tolist()):
        mine = found[labels == label]
        assert mine.mean() == pytest.approx(0, abs=1e-4)
        assert len(mine) == 1 or mine.std() == pytest.approx(1, abs=1e-4)


def test_the_temperature_is_that_of_the_labels():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(4000, 5)).astype(np.float32) * 2
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (chances.cumsum(1) > rng.random((4000, 1))).argmax(1)
    assert fit_temperature(logits * 4, labels) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize("top", [127, 7, 3])
def test_a_packed_head_decides_as_its_bits_allow(top):
    rng = np.random.default_rng(top)
    head = Head(((rng.normal(size=(4, 30)).astype(np.float32), rng.normal(size=4).astype(np.float32)),))
    size, received = pack(head, top)
    values = rng.normal(size=(500, 30)).astype(np.float32)
    agree = (head.logits(values).argmax(1) == received.logits(values).argmax(1)).mean()
    assert agree > {127: 0.98, 7: 0.85, 3: 0.7}[top]
    steps = received.layers[0][0] / np.abs(received.layers[0][0]).max(1, keepdims=True) * top
    assert np.abs(steps - np.rint(steps)).max() < 1e-3 and size < 4 * 30 + 4 * 4 + 20


def test_a_students_setup_limits_its_passes():
    setup = Setup(64, 2000)
    assert setup.recipe("finetune", 150, 1).epochs == 13 and setup.recipe("finetune", 5000, 1).epochs == 1
    assert setup.recipe("finetune", 20, 1).epochs == Recipe.finetune(20, 1).epochs
    assert Setup().recipe("scratch", 500, 3) == Recipe.scratch(500, 3)
    assert setup.name("fine-tuned") == "mobilenetv2_100, 64 px, at most 2,000 image passes"


def test_the_cost_of_a_rehearsal_is_told_in_trainings(tmp_path: Path):
    path = tmp_path / "cost.json"
    assert "Not run." in cost_table(path)
    rows = [CostRow(300, cached, "head", 97, 39, 69, 500, 2000, 30.0, 10.0, 17.5, 5.0) for cached in (True, False)]
    path.write_text(json.dumps([asdict(one) for one in rows]))
    assert read_costs(path) == rows
    text = cost_table(path)
    assert "| 300 | on disk | 97 | 39, 69 | 0 | 30.0 | `--recipe head` | 10.0 | 3.0 | 3.5 |" in text
    assert "| 300 | new | 97 | 39, 69 | 2,500 |" in text


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 400))
def test_quotas_by_curves_give_out_the_total_and_lose_no_class(seed, classes, total):
    random = np.random.default_rng(seed)
    available = random.integers(0, 120, classes)
    total = min(total, int(available.sum()))
    levels = [1, 2, 4, 8, 16]
    quota = by_curves(levels, random.random((5, classes)), random.dirichlet(np.ones(classes)), available, total)
    assert (quota <= available).all() and (quota >= 0).all()
    if total >= (available > 0).sum():
        assert quota.sum() == total and (quota[available > 0] >= 1).all()


def test_quotas_by_curves_go_where_images_help():
    recalls = np.array([[0.9, 0.1], [0.9, 0.4], [0.9, 0.7], [0.9, 0.9]])
    quota = by_curves([1, 2, 4, 8], recalls, np.array([0.5, 0.5]), np.array([100, 100]), 9)
    assert quota.tolist() == [1, 8]


class _Known:
    """A learner whose accuracy rises with the square root of the first class's images alone."""

    def __init__(self, available: list[int]) -> None:
        self.available = np.array(available)

    def judged(self, quota):
        return np.sqrt(quota[0]) / 40 + (quota[3] >= 8) / 8


def test_quotas_by_turns_take_from_classes_that_lose_nothing():
    assert by_turns(_Known([99] * 4), np.full(4, 8)).tolist() == [16, 4, 4, 8]
    assert by_turns(_Known([8, 99, 99, 99]), np.full(4, 8)).tolist() == [8, 8, 8, 8]
    assert by_turns(_Known([10, 99, 99, 99]), np.full(4, 8)).tolist() == [10, 4, 9, 9]


def test_quota_tables_compare_with_equal_ones_of_the_same_task_and_seed(tmp_path: Path):
    path = tmp_path / "quotas.jsonl"
    assert "Not run." in quota_table(path)
    rows = []
    for seed in (0, 1):
        rows.append(QuotaRow("t", seed, EQUAL, 16, 160, 200, 0.6, 0.5))
        rows.append(QuotaRow("t", seed, CURVES, 16, 160, 210, 0.6, 0.52 + seed / 100))
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in rows))
    assert f"| {CURVES} | 16 | +2.5 | **+2.5** | 1.05 | +0.0 |" in quota_table(path)
