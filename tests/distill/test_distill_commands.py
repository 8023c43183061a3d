"""``plada distill`` as a user calls it, in this process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from plada_distill import load_synthetic
from plada_format.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    "--images-per-class", "1", "--outer-steps", "1", "--width", "8", "--depth", "2", "--size", "16",
    "--real-batch", "8", "--epochs", "5", "--quiet",
]  # fmt: skip


def plada(*words: object) -> int:
    return main(["distill", *(str(word) for word in words)])


def test_run_and_report(tmp_path, task_spec, capsys):
    out = tmp_path / "out"
    words = ["run", task_spec, "-o", out, *SMALL, "--iterations", 3, "--networks", 2, "--evaluate-every", 2]
    assert plada(*words) == 0
    text = capsys.readouterr().out
    assert "distilled: " in text and "random real images: " in text
    found = json.loads((out / "evaluation.json").read_text())
    assert len(found["scores"]["distilled"]["values"]) == 2 and found["test_images"] == 140
    first = load_synthetic(out).images.pixels
    assert plada(*words) == 0 and load_synthetic(out).images.pixels.equal(first)
    assert plada(*words[:-2], "--image-lr", 0.3) == 1
    assert "other data or settings" in capsys.readouterr().err
    assert plada(*words[:-2], "--image-lr", 0.3, "--force") == 0
    assert not load_synthetic(out).images.pixels.equal(first)
    pytest.importorskip("matplotlib")
    assert plada("report", out) == 0
    page = (out / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 4 and "after 2 iterations" in page
    assert "http" not in page.replace("data:image", "")


def test_federate_tune_report(tmp_path, task_spec, capsys):
    pytest.importorskip("flwr")
    pytest.importorskip("dp_accounting")
    out = tmp_path / "out"
    words = ["federate", task_spec, "-o", out, *SMALL, "--iterations", 2, "--networks", 1, "--clients", 3]
    assert plada(*words, "--clip", 1, "--noise", 1, "--codec", "int8", "--partition", "dirichlet:0.5") == 0
    text = capsys.readouterr().out
    assert "bytes: " in text and "differential privacy" in text and "2 answers" in text
    pytest.importorskip("scipy")
    tune = ["tune", out, "--task", task_spec, "--widths", 4, 8, 12, "--depths", 1, "--lrs", 0.05, "--epochs", 5]
    assert plada(*tune, "--reference", "fedavg", "--rounds", 1) == 0
    text = capsys.readouterr().out
    assert "rank correlation with fedavg" in text and "distillation once" in text
    found = json.loads((out / "tune.json").read_text())
    assert len(found["distilled"]) == len(found["reference"]["scores"]) == 3 and found["bytes"]["break_even"] > 0
    assert plada(*tune, "--reference", "central", "--reference-epochs", 1) == 0
    pytest.importorskip("matplotlib")
    assert plada("report", out, "-o", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text()
    assert "Communication" in page and "Tuning" in page and "differential privacy" in page


def test_starting_from_public_images(tmp_path, task_spec, capsys):
    pool = f"npz:{ROOT / 'tests' / 'data' / 'pool_2k.npz'}"
    words = ["run", task_spec, "-o", tmp_path / "out", *SMALL, "--iterations", 1, "--networks", 0, "--init", "pool"]
    assert plada(*words) == 1
    assert "--init-images" in capsys.readouterr().err
    assert plada(*words, "--init-images", pool) == 0


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["run", "npz:nothing.npz", "-o", "{out}", *SMALL], "nothing.npz"),
        (["run", "{task}", "-o", "{out}", *SMALL, "--augment", "blur"], "unknown blur"),
        (["run", "{task}", "-o", "{out}", *SMALL, "--size", 2], "too small"),
        (["report", "{out}"], "no such file"),
        (["tune", "{out}", "--task", "{task}"], "no such file"),
    ],
)
def test_bad_input_gets_one_line(tmp_path, task_spec, capsys, words, part):
    filled = [str(word).format(out=tmp_path / "out", task=task_spec) for word in words]
    assert plada(*filled) == 1
    error = capsys.readouterr().err.strip()
    assert part in error and "\n" not in error


def test_force_does_not_remove_what_it_does_not_know(tmp_path, task_spec, capsys):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    assert plada("run", task_spec, "-o", tmp_path, *SMALL, "--force") == 1
    assert "something else" in capsys.readouterr().err and (tmp_path / "photo.jpg").is_file()


@pytest.mark.slow
def test_a_killed_process_goes_on_to_the_same_images(tmp_path, task_spec):
    words = ["distill", "run", task_spec, *SMALL, "--iterations", "30", "--networks", "0", "--threads", "1"]
    assert main([*words, "-o", str(tmp_path / "whole")]) == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "plada_format.cli.main", *words, "-o", str(tmp_path / "killed")], cwd=ROOT
    )
    state = tmp_path / "killed" / "state.safetensors"
    end = time.monotonic() + 300
    while not state.is_file() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    assert main([*words, "-o", str(tmp_path / "killed")]) == 0
    one, two = (load_synthetic(tmp_path / name).images.pixels for name in ("whole", "killed"))
    assert one.equal(two)
