"""The pieces of the demo on their own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from demo_settings import DATA, STUDENT, TEACHER
from hypothesis import given
from hypothesis import strategies as st

from plada_format.errors import UserError
from plada_select.demo.choose import POLICIES, Trial, as_flags, choose
from plada_select.demo.passes import PassCounter
from plada_select.demo.plan import Plan
from plada_select.demo.rows import LazyRows
from plada_select.demo.steps import StepFailed, Steps, plada
from plada_select.safety_net import SafetyNet
from plada_select.select import Policy

ROOT = Path(__file__).resolve().parents[2]

trials = st.lists(
    st.builds(Trial, st.sampled_from("ab"), st.integers(1, 500), st.integers(100, 2000), st.floats(0, 1)), min_size=1
)


@given(trials, st.floats(0, 1), st.integers(100, 2000))
def test_choice_is_the_smallest_that_reaches_the_goal(found, goal, budget):
    fitting = [trial for trial in found if trial.bytes <= budget]
    if not fitting:
        with pytest.raises(UserError, match=f"no trial fits {budget} bytes"):
            choose(found, goal, budget)
        return
    choice = choose(found, goal, budget)
    assert choice.trial in fitting
    good = [trial for trial in fitting if trial.accuracy >= goal]
    assert choice.reached == bool(good)
    if good:
        assert choice.trial.accuracy >= goal
        assert choice.trial.bytes == min(trial.bytes for trial in good)
    else:
        assert choice.trial.accuracy == max(trial.accuracy for trial in fitting)


@pytest.mark.parametrize("policy", [*POLICIES.values(), Policy("margin", "high", SafetyNet("0.5", "0.25"))])
def test_flags_say_the_policy(policy):
    from plada_format.cli.main import build_parser

    line = ["select", "table", "--pool", "p", "-o", "o", "--count", "5", *as_flags(policy)]
    args = build_parser().parse_args(line)
    net = SafetyNet(args.alpha, args.share) if args.safety_net else None
    assert Policy(args.criterion, args.direction, net) == policy


def pool(weights, arch=STUDENT):
    from plada_train import load_model, open_source

    model = load_model(arch, weights[arch], num_classes=0, input_size=32)
    return model, open_source(str(DATA / "pool_2k.npz"))


def test_passes_are_counted_with_padding_and_backward(weights):
    import torch

    from plada_train import extract_features

    model, source = pool(weights)
    with PassCounter() as counter:
        extract_features(model, source, np.arange(70), progress=False)
        assert counter.count == 128  # two batches of 64
        module = model.module.train()
        module(torch.zeros(5, 3, 32, 32)).sum().backward()
        assert counter.count == 128 + 2 * 5
        module.requires_grad_(False)
        module(torch.zeros(5, 3, 32, 32))
        assert counter.count == 128 + 2 * 5 + 5
    module(torch.zeros(5, 3, 32, 32))
    assert counter.count == 143


def test_lazy_rows_are_the_features_and_computed_once(weights, tmp_path):
    from plada_train import extract_features

    model, source = pool(weights)
    rows = LazyRows(model, source, tmp_path)
    chosen = np.array([7, 3, 900, 7])
    wanted = extract_features(model, source, chosen, progress=False).values
    with PassCounter() as counter:
        assert np.array_equal(rows[chosen], wanted)
        first = counter.count
        assert np.array_equal(rows[chosen[:2].astype(np.uint32)], wanted[:2])
        assert counter.count == first == 64
    assert np.flatnonzero(rows.known).tolist() == [3, 7, 900]
    assert rows.shape == (2000, model.feature_dim) and len(rows) == 2000


def test_steps_run_once_and_what_follows_a_new_one_runs_again(tmp_path):
    runs: list[str] = []

    def steps(identity="a"):
        return Steps(tmp_path, {"plan": identity}, PassCounter())

    def step(which, name, value=0):
        def work():
            runs.append(name)
            return value

        return which.run(name, name, work)

    first = steps()
    assert [step(first, name, number) for number, name in enumerate("abc")] == [0, 1, 2]
    second = steps()
    assert [step(second, name) for name in "abc"] == [0, 1, 2]  # the values of the first run
    assert runs == list("abc")
    (tmp_path / "b.json").unlink()
    third = steps()
    for name in "abc":
        step(third, name)
    assert runs == list("abc") + list("bc")
    (tmp_path / "a.json").write_text("{torn")
    fourth = steps()
    for name in "abc":
        step(fourth, name)
    assert runs[-3:] == list("abc")
    step(steps("b"), "a")
    assert runs[-1] == "a"


def test_a_failing_command_stops_the_demo(tmp_path, capfd):
    with pytest.raises(StepFailed, match="'plada info' ended with exit code"):
        plada(["info", str(tmp_path / "no.plada")])
    assert "plada: error:" in capfd.readouterr().err


def test_missing_data_is_one_line(tmp_path, capsys):
    from plada_select.demo.__main__ import main

    assert main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"demo: {tmp_path / 'pool_10k.npz'}: no such file") and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_plan_identity_leaves_out_places():
    one, other = Plan(Path("a"), Path("b"), threads=1), Plan(Path("c"), Path("d"))
    assert one.identity() == other.identity()
    assert json.dumps(one.identity()) != json.dumps(Plan(Path("a"), Path("b"), goal=0.5).identity())
    assert one.teacher_arch != one.student_arch and TEACHER != STUDENT


def test_shipped_data_is_what_the_digests_say():
    from plada_train import open_source, open_task

    folder = ROOT / "data"
    total = 0
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        data = (folder / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() == digest
        total += len(data)
    assert total <= 30_000_000
    plan = Plan(folder, folder)
    assert len(open_source(plan.pool)) == 10_000
    task = open_task(plan.target)
    counts = {split: np.bincount(task.split(split).labels).tolist() for split in ("train", "val")}
    assert counts == {"train": [400] * 10, "val": [100] * 10} and len(task.split("test")) == 2000
    assert all(
        name in (folder / "README.md").read_text(encoding="utf-8") for name in (plan.pool_file, plan.target_file)
    )


def test_make_copies_bytes_and_is_repeatable(tmp_path):
    spec = importlib.util.spec_from_file_location("make_data", ROOT / "data" / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    from plada_train import open_source

    with np.load(DATA / "cifar10_ci.npz") as arrays:
        labels, split = arrays["labels"], arrays["split"]
        rows = make.demo_rows(labels, split)
        assert rows.tolist() == list(range(len(labels)))  # fewer than 500 a class: all of them
        chosen = np.array([5, 3, 600])
        for name in ("a.npz", "b.npz"):
            make.write_npz(tmp_path / name, make.cut(arrays, chosen))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    whole, part = open_source(str(DATA / "cifar10_ci.npz")), open_source(str(tmp_path / "a.npz"))
    assert [part.read(i) for i in range(3)] == [whole.read(int(i)) for i in chosen]
