"""The arithmetic of benchmarks/frontier: curves, bytes at equal accuracy, what auto may look at. Nothing is trained."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.frontier.curves import at_budget, auto_curve, bytes_for, choose, duel, envelope, mean_curve, ratio
from benchmarks.frontier.measure import Row, Rows
from benchmarks.frontier.report import read_csv, tables, write
from benchmarks.frontier.tuned import TunedRow

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


def test_auto_looks_at_the_validation_split_alone():
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
    assert found.worst_task == "u" and found.worst_errors < -2
    assert at_budget(rows, "fixed", 99, "ours") is None and duel(rows, "fixed", 99, "ours") is None


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
    text = tables(rows)
    assert "| t | 2 | 50 to 70 % | 0.25 | 0.25 | 0.50 | 1.50 |" in text
    assert "| geometric mean | | | **0.25** | **0.25** | **0.50** | **1.50** |" in text
    assert "| t | 2 | 50 | 50.0 % | 30 |" in text and "Not run." in text
    paths = write(rows, tmp_path, [TunedRow("t", 0, "fine-tuned", "auto", 300, "equal quotas", 8, 290, 0.5)])
    assert "| t | fine-tuned | 300 | auto | 1 | 8 | 290 | 50.0 |" in paths[1].read_text()
    assert [path.name for path in paths] == ["rows.csv", "tables.md", "t.svg"] and all(path.exists() for path in paths)
    assert sorted(read_csv(paths[0]), key=lambda one: one.key) == sorted(rows, key=lambda one: one.key)
    assert read_csv(tmp_path / "none.csv") == []
    with pytest.raises(SystemExit):
        write([], tmp_path)
