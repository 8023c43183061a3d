"""``plada experiment`` on real images: resumable after kill -9, extendable, honest about what it was run with."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from demo_settings import DATA, STUDENT, TEACHER
from hypothesis import given
from hypothesis import strategies as st

from plada_format.errors import UserError
from plada_select.experiment import Grid, parse_net, summarise
from plada_select.experiment.grid import net_text, policy_name
from plada_select.experiment.store import Row, Store, read_csv, write_csv
from plada_select.experiment.tables import chosen_on_validation


def line(weights: dict[str, str], out: Path, *more: str) -> list[str]:
    """A command line: 1 task, 2 seeds, 2 keep rates, 2 criteria, with and without quotas."""
    return [
        "experiment", "-o", str(out), "--pool", f"npz:{DATA / 'pool_2k.npz'}",
        "--task", f"cifar10=npz:{DATA / 'cifar10_ci.npz'}",
        "--teacher", TEACHER, "--teacher-weights", weights[TEACHER],
        "--student", STUDENT, "--student-weights", weights[STUDENT], "--input-size", "32",
        "--keep", "1%", "3%", "--criterion", "energy", "random", "--direction", "low", "--seeds", "2",
        "--reference", "3%", "--baselines", "probe_int8", "jpeg_random", "--jpeg-limit", "20", "--threads", "1",
        "--quiet", *more,
    ]  # fmt: skip


def run(arguments: list[str]) -> int:
    from plada_format.cli.main import main

    return main(arguments)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def whole(weights, cache, tmp_path_factory):
    """One uninterrupted run."""
    out = tmp_path_factory.mktemp("experiment") / "out"
    assert run(line(weights, out, "--cache", str(cache))) == 0
    return out


def test_every_cell_is_there_once(whole):
    rows = read_csv(whole / "results.csv")
    assert len({row.key for row in rows}) == len(rows) == 2 * (4 * 2 + 3)
    policies = [row for row in rows if row.kind == "policy"]
    assert {row.name for row in policies} == {"low energy", "low energy, quotas 0:1", "random", "random, quotas 0:1"}
    assert {(row.keep, row.count) for row in policies} == {("1%", 20), ("3%", 60)}
    assert all(0 <= row.test_accuracy <= 1 and 0 <= row.val_accuracy <= 1 and row.bytes > 100 for row in policies)
    quotas = [row for row in policies if row.name == "random, quotas 0:1" and row.keep == "3%"]
    plain = [row for row in policies if row.name == "low energy" and row.keep == "3%"]
    assert min(row.classes for row in quotas) >= max(row.classes for row in plain)
    teacher = next(row for row in rows if row.name == "teacher")
    assert teacher.bytes is None and teacher.test_accuracy > 0.12


def test_tables_and_plots(whole):
    text = (whole / "tables.md").read_text(encoding="utf-8")
    assert "### cifar10" in text and "| low energy, quotas 0:1 |" in text and "| teacher |" in text and "**" in text
    svg = (whole / "plots" / "cifar10.svg").read_text(encoding="utf-8")
    assert svg.startswith("<?xml") and "bytes of the whole file" in svg and "Date" not in svg
    with open(whole / "summary.csv", newline="") as file:
        assert {line["seeds"] for line in csv.DictReader(file)} == {"2"}


def test_killed_run_goes_on_and_ends_the_same(whole, weights, cache, tmp_path):
    out = tmp_path / "out"
    arguments = line(weights, out, "--cache", str(cache))
    code = f"from plada_format.cli.main import main; main({arguments!r})"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    rows = out / "rows.jsonl"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if rows.exists() and rows.read_bytes().count(b"\n") >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = rows.read_bytes()
    assert 3 <= done.count(b"\n") < 22
    with open(rows, "ab") as file:
        file.write(b'{"key": "torn')  # as if it had been killed while it wrote
    assert run(arguments) == 0
    assert rows.read_bytes().startswith(done[: done.rfind(b"\n") + 1])
    for name in ("results.csv", "summary.csv", "tables.md", "plots/cifar10.svg"):
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


def test_more_cells_are_added_to_what_is_there(whole, weights, cache, tmp_path, capsys):
    import shutil

    out = tmp_path / "out"
    shutil.copytree(whole, out)
    before = (out / "rows.jsonl").read_bytes()
    more = line(weights, out, "--cache", str(cache), "--keep", "3%", "5%", "--no-plots", "--baselines")
    assert run(more) == 0
    after = (out / "rows.jsonl").read_bytes()
    assert after.startswith(before) and after.count(b"\n") == before.count(b"\n") + 2 * 4
    rows = read_csv(out / "results.csv")
    assert {row.keep for row in rows if row.kind == "policy"} == {"3%", "5%"}


def test_another_setup_is_refused(whole, weights, cache, capsys):
    before = (whole / "rows.jsonl").read_bytes()
    assert run(line(weights, whole, "--cache", str(cache), "--input-size", "64")) != 0
    error = capsys.readouterr().err
    assert "holds results with" in error and "use another --output" in error and error.count("\n") == 1
    assert (whole / "rows.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--task", "cifar10=x"], "is not NAME=TARGET with a name of its own"),
        (["--task", "=x"], "is not NAME=TARGET"),
        (["--safety-net", "3"], "neither 'off' nor ALPHA:SHARE"),
        (["--safety-net", "0:2"], "between 0 and 1"),
        (["--keep", "5"], "did you mean a percentage"),
        (["--seeds", "0"], "0 seeds"),
        (["--baselines", "magic"], "no baseline 'magic'"),
        (["--pool", "npz:nowhere.npz"], "nowhere.npz"),
    ],
)
def test_bad_input_is_one_line(weights, tmp_path, capsys, more, text):
    assert run(line(weights, tmp_path / "out", *more)) != 0
    error = capsys.readouterr().err
    assert text in error and error.startswith("plada: error: ") and error.count("\n") == 1


def test_damaged_row_is_named(tmp_path):
    store = Store(tmp_path, {"a": 1})
    store.add(Row("k", "t", 0, "policy", "p"))
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(UserError, match=r"rows\.jsonl:1: damaged line"):
        Store(tmp_path, {"a": 1})


rows_of = st.builds(
    Row,
    key=st.text("abc|", min_size=1),
    task=st.sampled_from(["t", "u"]),
    seed=st.integers(0, 2),
    kind=st.just("policy"),
    name=st.sampled_from(["p", "q, r"]),
    keep=st.sampled_from(["1%", "2%"]),
    count=st.none() | st.integers(1, 9),
    bytes=st.none() | st.integers(1, 9),
    val_accuracy=st.none() | st.integers(0, 1000).map(lambda n: n / 1000),
    test_accuracy=st.none() | st.integers(0, 1000).map(lambda n: n / 1000),
    note=st.sampled_from(["", 'says "x", y']),
)


@given(st.lists(rows_of, max_size=8))
def test_csv_round_trip_and_summary(tmp_path_factory, rows):
    path = write_csv(rows, tmp_path_factory.mktemp("csv") / "rows.csv")
    if rows:
        assert read_csv(path) == rows
    found = summarise(rows)
    assert sum(summary.seeds for summary in found) == len(rows)
    for (task, keep), best in chosen_on_validation(found).items():
        rivals = [s.val for s in found if (s.task, s.keep) == (task, keep) and s.val is not None]
        assert best.val == max(rivals)


def test_nets_and_names():
    assert net_text(parse_net("off")) == "off" and net_text(parse_net("0.5:1")) == "0.5:1"
    grid = Grid({"t": "x"}, criteria=("energy", "random"), directions=("low", "high"), nets=(None, parse_net("0:1")))
    assert [policy_name(policy) for policy in grid.policies()] == [
        "low energy", "low energy, quotas 0:1", "high energy", "high energy, quotas 0:1", "random",
        "random, quotas 0:1",
    ]  # fmt: skip
    keys = {cell.key("t") for seed in range(2) for cell in grid.cells(seed)}
    assert len(keys) == 12 and {cell.policy.seed for cell in grid.cells(1)} == {0, 1}
