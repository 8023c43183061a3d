"""The whole demo through the real commands, on real images and timm's test networks, and once more after kill -9."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from demo_settings import DATA, STUDENT, TEACHER

import plada_format as pf
from plada_select.demo.plan import Plan


def tiny(weights: dict[str, str], out: Path) -> Plan:
    """A plan that takes seconds."""
    return Plan(
        DATA,
        out,
        pool_file="pool_2k.npz",
        target_file="cifar10_ci.npz",
        teacher_arch=TEACHER,
        student_arch=STUDENT,
        teacher_weights=weights[TEACHER],
        student_weights=weights[STUDENT],
        input_size=32,
        counts=(20, 40),
        budget=400,
        seeds=(0, 1),
        draws=2,
        tune_passes=80,
        tuned_test=50,
        int8_test=30,
        jpeg_limit=20,
        threads=1,
    )


@pytest.fixture(scope="module")
def finished(weights, tmp_path_factory):
    """Plan, screen and results of a run that was killed once and then went to its end; time of the teacher's file."""
    from contextlib import redirect_stdout
    from io import StringIO

    from plada_select.demo.__main__ import run

    plan = tiny(weights, tmp_path_factory.mktemp("demo") / "out")
    made = _killed(plan, weights)
    screen = StringIO()
    with redirect_stdout(screen):
        done = run(plan)
    return plan, screen.getvalue(), done, made


def _killed(plan: Plan, weights: dict[str, str]) -> int:
    """Start the demo in a process and kill it after the scores, somewhere in the rehearsal."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from test_demo_run import tiny; from plada_select.demo.__main__ import run; from pathlib import Path;"
        f"run(tiny({weights!r}, Path({str(plan.out)!r})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    scores = plan.out / "steps" / "score.json"
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not scores.exists():
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert scores.exists() and not (plan.out / "steps" / "students.json").exists()
    return Path(plan.path("teacher/model.safetensors")).stat().st_mtime_ns


def test_killed_demo_goes_on_where_it_was(finished, tmp_path):
    from plada_format.cli.main import main

    plan, screen, done, made = finished
    assert Path(plan.path("teacher/model.safetensors")).stat().st_mtime_ns == made
    assert [line for line in screen.splitlines() if line.endswith(": done before")][:3] == [
        "[1/11] Pool: hash the images that server and clients hold: done before",
        "[2/11] Server: train the teacher on the labelled target, and test it: done before",
        "[3/11] Server: run the teacher over the pool: done before",
    ]
    # Teacher and scores made in one go, elsewhere, lead to the same payload.
    here = str(tmp_path)
    teach = ["teach", plan.target, "-o", f"{here}/t", "--arch", TEACHER, "--weights", plan.teacher_weights]
    assert main([*teach, "--mode", "head", "--input-size", "32", "--threads", "1", "--quiet"]) == 0
    score = ["score", "--table", f"{here}/s", "--teacher", f"{here}/t", "--pool", plan.path("pool.pladapool")]
    assert main([*score, "--images", plan.pool, "--threads", "1", "--quiet"]) == 0
    count, flags = str(done["choice"]["trial"]["count"]), done["choice"]["flags"]
    select = ["select", f"{here}/s", "--pool", plan.path("pool.pladapool"), "-o", f"{here}/p.plada"]
    assert main([*select, "--count", count, *flags]) == 0
    assert (tmp_path / "p.plada").read_bytes() == Path(plan.path("task.plada")).read_bytes()


def test_commands_are_shown_and_are_real(finished):
    from plada_format.cli.main import build_parser

    _, screen, *_ = finished
    lines = re.findall(r"^ {4}\$ plada (.+)$", screen, re.M)
    assert [line.split()[0] for line in lines] == [
        "select", "select", "select", "verify", "info",
        "train", "evaluate", "train", "evaluate", "train",
    ]  # fmt: skip
    for line in lines:
        build_parser().parse_args(shlex.split(line))


def test_payloads_are_what_was_promised(finished):
    plan, _, done, _ = finished
    payload = pf.read(plan.path("task.plada"))
    trial = done["choice"]["trial"]
    assert len(payload) == trial["count"] and len(payload.class_names) == 10
    assert Path(plan.path("task.plada")).stat().st_size == trial["bytes"] == done["files"]["task.plada"] <= plan.budget
    largest = Path(plan.path("budget.plada")).stat().st_size
    assert 0.9 * plan.budget < largest <= plan.budget
    assert len(pf.read(plan.path("plain.plada"))) == trial["count"]


def test_last_screen_says_everything(finished):
    plan, screen, done, _ = finished
    last = screen.split("=" * 100)[1]
    accuracies = done["students"]["accuracies"]
    assert f"{done['files']['task.plada']} bytes, class names included" in last
    for value in (done["teacher"]["test"], sum(accuracies) / 2, done["tuned"]["accuracy"]):
        assert f"{100 * value:.1f}%" in last
    assert "frozen test_resnet + linear classifier" in last
    assert "random pool images, 2 draws" in last and "Linear probe, INT8" in last and "JPEG" in last
    assert plan.path("report.html") in last
    passes = int(re.search(r"([\d,]+) backbone passes,", last)[1].replace(",", ""))
    steps = [json.loads(path.read_bytes()) for path in (plan.out / "steps").glob("*.json")]
    assert len(steps) == 11 and sum(step["passes"] for step in steps) == passes
    by_name = {path.stem: json.loads(path.read_bytes())["passes"] for path in (plan.out / "steps").glob("*.json")}
    # 450 training, 110 validation and 140 test images, each rounded up to batches of 64; 2,000 pool images
    assert by_name["teach"] == 512 + 128 + 192 and by_name["score"] == 2048
    assert by_name["pool"] == by_name["select"] == by_name["verify"] == by_name["report"] == 0


def test_report_is_one_page(finished):
    plan, *_ = finished
    page = Path(plan.path("report.html")).read_text(encoding="utf-8")
    assert "<html" in page and not re.search(r"(?:src|href)=[\"']https?:", page)


def test_second_run_does_nothing(finished, weights, capsys):
    from plada_select.demo.__main__ import run

    plan, _, done, _ = finished
    before = {path: path.stat().st_mtime_ns for path in plan.out.rglob("*") if path.is_file()}
    assert json.loads(json.dumps(run(tiny(weights, plan.out)))) == json.loads(json.dumps(done))
    assert capsys.readouterr().out.count("done before") == 11
    assert {path: path.stat().st_mtime_ns for path in plan.out.rglob("*") if path.is_file()} == before
