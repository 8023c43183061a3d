"""The whole demo through the real commands, on real images and timm's test networks, and once more after kill -9."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import DATA, STUDENT, TEACHER

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
    """Folder, screen and results of one whole run."""
    from contextlib import redirect_stdout
    from io import StringIO

    from plada_select.demo.__main__ import run

    plan = tiny(weights, tmp_path_factory.mktemp("demo") / "out")
    screen = StringIO()
    with redirect_stdout(screen):
        done = run(plan)
    return plan, screen.getvalue(), done


def test_commands_are_shown_and_are_real(finished):
    from plada_format.cli.main import build_parser

    _plan, screen, _ = finished
    lines = re.findall(r"^ {4}\$ plada (.+)$", screen, re.M)
    assert [line.split()[0] for line in lines] == [
        "pool", "teach", "evaluate", "score", "select", "select", "select", "verify", "info",
        "train", "evaluate", "train", "evaluate", "train",
    ]  # fmt: skip
    for line in lines:
        build_parser().parse_args(line.split())


def test_payloads_are_what_was_promised(finished):
    plan, _, done = finished
    payload = pf.read(plan.path("task.plada"))
    trial = done["choice"]["trial"]
    assert len(payload) == trial["count"] and len(payload.class_names) == 10
    assert Path(plan.path("task.plada")).stat().st_size == trial["bytes"] == done["files"]["task.plada"] <= plan.budget
    largest = Path(plan.path("budget.plada")).stat().st_size
    assert 0.9 * plan.budget < largest <= plan.budget
    assert len(pf.read(plan.path("plain.plada"))) == trial["count"]


def test_last_screen_says_everything(finished):
    plan, screen, done = finished
    last = screen.split("=" * 78)[1]
    accuracies = done["students"]["accuracies"]
    assert f"{done['files']['task.plada']} bytes, class names included" in last
    for value in (done["teacher"]["test"], sum(accuracies) / 2, done["tuned"]["accuracy"]):
        assert f"{100 * value:.1f}%" in last
    assert "frozen test_resnet + linear classifier" in last
    assert "random pool images, mean of 2 draws" in last and "Linear probe, INT8" in last and "JPEG" in last
    assert plan.path("report.html") in last
    passes = int(re.search(r"([\d,]+) backbone passes,", last)[1].replace(",", ""))
    steps = [json.loads(path.read_bytes()) for path in (plan.out / "steps").glob("*.json")]
    assert len(steps) == 11 and sum(step["passes"] for step in steps) == passes
    by_name = {path.stem: json.loads(path.read_bytes())["passes"] for path in (plan.out / "steps").glob("*.json")}
    # 560 target images in two splits and 140 of the test, each rounded up to batches of 64; 2,000 pool images
    assert by_name["teach"] == 448 + 128 + 192 and by_name["score"] == 2048
    assert by_name["pool"] == by_name["select"] == by_name["verify"] == by_name["report"] == 0


def test_report_is_one_page(finished):
    plan, _, _ = finished
    page = Path(plan.path("report.html")).read_text(encoding="utf-8")
    assert "<html" in page and not re.search(r"(?:src|href)=[\"']https?:", page)


def test_second_run_does_nothing(finished, weights, capsys):
    from plada_select.demo.__main__ import run

    plan, _, done = finished
    before = {path: path.stat().st_mtime_ns for path in plan.out.rglob("*") if path.is_file()}
    assert json.loads(json.dumps(run(tiny(weights, plan.out)))) == json.loads(json.dumps(done))
    assert capsys.readouterr().out.count("done before") == 11
    assert {path: path.stat().st_mtime_ns for path in plan.out.rglob("*") if path.is_file()} == before


def test_killed_demo_goes_on_and_ends_the_same(finished, weights, tmp_path):
    from plada_select.demo.__main__ import run

    plan, _, done = finished
    own = tiny(weights, tmp_path / "out")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from test_demo_run import tiny; from plada_select.demo.__main__ import run; from pathlib import Path;"
        f"run(tiny({weights!r}, Path({str(own.out)!r})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline and not (own.out / "steps" / "score.json").exists():
        time.sleep(0.02)
    time.sleep(0.3)  # somewhere in the steps that follow
    process.send_signal(signal.SIGKILL)
    process.wait()
    teacher = own.out / "teacher" / "model.safetensors"
    made = teacher.stat().st_mtime_ns
    assert not (own.out / "report.html").exists()
    again = run(own)
    assert teacher.stat().st_mtime_ns == made
    for name in ("task.plada", "plain.plada", "budget.plada", "pool.pladapool"):
        assert (own.out / name).read_bytes() == (plan.out / name).read_bytes(), name
    assert again["students"] == done["students"] and again["baselines"]["curve"] == done["baselines"]["curve"]
