"""teach, score and select as commands, on real images; and their bad input, one line each."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from score_setup import DATA, pool_source, write_manifest, write_teacher
from score_tables import MakeTable

import plada_format as pf
from plada_format.cli.main import main
from plada_select.pipeline import read_outcome

ROOT = Path(__file__).parent.parent.parent


def plada(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("command", ["teach", "score", "select"])
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    plada(command, "--help")
    assert "usage: plada" in capsys.readouterr().out


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a timm test model, as a file."""
    import torch
    from safetensors.torch import save_file

    from plada_train import import_timm

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    save_file(import_timm().create_model("test_efficientnet", num_classes=0).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, backbone: Path) -> Path:
    folder = tmp_path_factory.mktemp("taught")
    code = plada(
        "teach", DATA / "cifar10_ci.npz", "-o", folder / "teacher", "--arch", "test_efficientnet",
        "--weights", backbone, "--mode", "head", "--input-size", 64, "--cache", folder / "cache", "--quiet",
    )  # fmt: skip
    assert code == 0
    return folder / "teacher"


def test_teach_writes_a_checkpoint(taught: Path) -> None:
    from plada_train import open_task

    facts = json.loads((taught / "model.json").read_text())
    assert len(facts["class_names"]) == 10
    assert facts["preprocess"]["input_size"] == 64
    task = open_task(str(DATA / "cifar10_ci.npz"))
    for name in ("train", "val", "test"):
        assert facts["metrics"][f"{name}_images"] == len(task.split(name)) > 100
    assert facts["metrics"]["val_accuracy"] > 0.15  # random features, ten classes
    assert sorted(path.name for path in taught.iterdir()) == ["model.json", "model.safetensors"]


def test_teach_score_select_through_the_command_line(
    taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from plada_train import open_source

    images = DATA / "pool_2k.npz"
    manifest = write_manifest(open_source(str(images)), tmp_path / "pool.manifest")
    score = ["score", "--teacher", taught, "--pool", manifest, "--images", images, "--quiet", "--device", "cpu"]
    assert plada(*score, "--table", tmp_path / "table") == 0
    out = capsys.readouterr().out
    assert "loader" in out
    assert "1 of 1 chunks" in out
    assert plada(*score, "--table", tmp_path / "table") == 0  # nothing left to do
    assert "0 of them scored now" in capsys.readouterr().out
    for i in range(2):
        assert plada(*score, "--table", tmp_path / f"part{i}", "--shard", f"{i}/2") == 0
    assert plada("score", "--merge", tmp_path / "part0", tmp_path / "part1", "--table", tmp_path / "merged") == 0

    files = []
    for table in ("table", "merged"):
        target = tmp_path / f"{table}.plada"
        code = plada(
            "select", tmp_path / table, "--pool", manifest, "-o", target, "--budget", "600", "--safety-net",
            "--metadata", "task=cifar10", "--weights", "5", "--allow-missing-classes",
        )  # fmt: skip
        assert code == 0
        files.append(target.read_bytes())
    assert files[0] == files[1]
    payload = pf.read(tmp_path / "table.plada")
    assert len(files[0]) <= 600
    assert payload.header.pool_fingerprint == pf.Manifest.open(manifest).fingerprint
    assert payload.metadata["input"] == "64"
    assert payload.metadata["task"] == "cifar10"
    assert payload.weights is not None
    record, arrays = read_outcome(tmp_path / "table.plada")
    assert record["request"]["budget"] == 600
    assert len(arrays["indices"]) == len(payload.indices)

    code = plada(
        "select", tmp_path / "table", "--pool", manifest, "-o", tmp_path / "soft.plada", "--keep", "2%",
        "--soft-labels", "--teacher", taught, "--images", images,
    )  # fmt: skip
    assert code == 0
    soft = pf.read(tmp_path / "soft.plada")
    assert soft.soft_labels is not None
    assert soft.soft_labels.shape == (10, 10)
    assert len(json.loads(soft.metadata["dirichlet_precision"])) == 10
    assert len(soft.indices) == 40


def complain(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail with one line on stderr, and nothing of what it was to write."""
    capsys.readouterr()
    assert plada(*arguments) not in (0, None)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("plada: error: ")
    assert "internal error" not in lines[0]
    return lines[0]


@pytest.fixture
def ready(make_table: MakeTable, tmp_path: Path) -> list[object]:
    """A table, and the manifest of a pool it does not belong to."""
    manifest = write_manifest(pool_source(50), tmp_path / "other.manifest")
    return ["select", make_table(50, 3).folder, "--pool", manifest, "-o", tmp_path / "out.plada"]


def test_table_of_another_pool(ready: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "another pool" in complain(capsys, *ready, "--keep", "10%")
    assert not (tmp_path / "out.plada").exists()


@pytest.fixture
def own(make_table: MakeTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A table and the manifest of its own pool."""
    import score_tables

    manifest = write_manifest(pool_source(60), tmp_path / "own.manifest")
    fingerprint = pf.Manifest.open(manifest).fingerprint
    monkeypatch.setattr(score_tables, "FINGERPRINT", fingerprint)
    return ["select", make_table(60, 3).folder, "--pool", manifest, "-o", tmp_path / "out.plada"]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (["--keep", "0.1%"], "less than one image"),
        (["--keep", "200%"], "between 0 and 100 %"),
        (["--keep", "x"], "no fraction"),
        (["--count", "0"], "less than one image"),
        (["--count", "61"], "more than the 60 usable"),
        (["--budget", "20kX"], "no size"),
        (["--budget", "10"], "smallest file with one image for each of the 3 classes has"),
        (["--budget", "10", "--allow-missing-classes"], "smallest file (one image) has"),
        (["--keep", "10%", "--safety-net", "--share", "2"], "share"),
        (["--keep", "10%", "--safety-net", "--alpha", "x"], "alpha"),
        (["--keep", "10%", "--class-factor", "0=2"], "give --safety-net too"),
        (["--keep", "10%", "--safety-net", "--class-factor", "cow=2"], "CLASS=FACTOR"),
        (["--keep", "10%", "--safety-net", "--class-factor", "9=2"], "there are 3 classes"),
        (["--keep", "10%", "--metadata", "x"], "KEY=VALUE"),
        (["--keep", "10%", "--use-groups"], "no groups"),
        (["--keep", "10%", "--soft-labels"], "--teacher and --images"),
        (["--keep", "10%", "--weights", "0"], "temperature"),
        (["--keep", "10%", "--criterion", "consensus", "--consensus-of", "x"], "consensus"),
    ],
)
def test_impossible_wishes(
    own: list[object], wish: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in complain(capsys, *own, *wish)
    assert not list(tmp_path.glob("out*"))


def test_existing_payload_is_kept(own: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plada(*own, "--count", 5) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out*")}
    assert "--force" in complain(capsys, *own, "--count", 6)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out*")} == before
    assert plada(*own, "--count", 6, "--force") == 0
    assert len(pf.read(tmp_path / "out.plada").indices) == 6


def test_class_factors_change_the_quotas(own: list[object], tmp_path: Path) -> None:
    assert plada(*own, "--count", 10, "--safety-net", "--class-factor", "0=2", "--class-factor", "2=0.5") == 0
    assert pf.read(tmp_path / "out.plada").class_counts().tolist() == [6, 3, 1]
    policy = json.loads((tmp_path / "out.selection.json").read_text())["policy"]
    assert policy["safety_net"]["factors"] == {"0": "2", "2": "0.5"}


def test_lost_classes_are_warned_about(own: list[object], capsys: pytest.CaptureFixture[str]) -> None:
    assert plada(*own, "--count", 1) == 0
    assert "2 of 3 classes kept no image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teacher", "{tmp}", "--pool", "{tmp}/none", "--images", "{data}/pool_2k.npz"], "none"),
        (["--teacher", "{tmp}"], "--pool, --images missing"),
        (["--merge", "{tmp}/nothing"], "no score table"),
    ],
)
def test_bad_score_arguments(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(tmp=tmp_path, data=DATA) for argument in arguments]
    assert message in complain(capsys, "score", "--table", tmp_path / "t", *filled)
    assert not (tmp_path / "t").exists()


def image_folder(root: Path, classes: dict[str, int]) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name, count in classes.items():
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                file = io.BytesIO()
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(file, "PNG")
                (root / split / name / f"{i}.png").write_bytes(file.getvalue())
    return root


@pytest.mark.parametrize(
    ("classes", "message"), [({"only": 6}, "1 class"), ({"full": 6, "empty": 0}, "class"), ({}, "")]
)
def test_teach_refuses_unusable_targets(
    classes: dict[str, int], message: str, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = image_folder(tmp_path / "target", classes)
    line = complain(
        capsys, "teach", target, "-o", tmp_path / "teacher", "--arch", "test_efficientnet", "--weights", backbone,
        "--mode", "head", "--input-size", 32, "--quiet",
    )  # fmt: skip
    assert message in line
    assert not (tmp_path / "teacher").exists()


def test_teach_with_a_recipe_of_ones_own(backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Flags reach the loop, early stopping looks at the validation split, and evaluate knows which one that was."""
    target = image_folder(tmp_path / "target", {"a": 10, "b": 10})  # noise: validation soon stops getting better
    (target / "train" / "a" / "broken.png").write_bytes(b"no image")
    teacher = tmp_path / "teacher"
    arguments = [
        "teach", target, "-o", teacher, "--arch", "test_efficientnet", "--weights", backbone, "--mode", "finetune",
        "--input-size", 32, "--val-fraction", "0.4", "--epochs", 30, "--patience", 1, "--train-batch-size", 4,
        "--lr", "1e-3", "--augment", "none", "--amp", "off", "--device", "cpu", "--quiet",
    ]  # fmt: skip
    assert plada(*arguments) == 0
    printed = capsys.readouterr().out
    facts = json.loads((teacher / "model.json").read_text())
    assert facts["metrics"]["epochs"] < 30 and facts["metrics"]["train_count"] == 12
    assert facts["metrics"]["status"] == {"ok": 12, "format": 1} and "images: 1 format, 12 ok" in printed
    assert plada("evaluate", teacher, target, "--split", "val", "--json", "--quiet", "--device", "cpu") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["count"] == facts["metrics"]["val_images"] == 8
    assert found["accuracy"] == facts["metrics"]["val_accuracy"]
    before = (teacher / "model.safetensors").read_bytes()
    assert "already holds a model; use --force" in complain(capsys, *arguments)
    assert (teacher / "model.safetensors").read_bytes() == before
    assert plada(*arguments, "--force") == 0
    assert "epochs" in complain(capsys, *arguments, "--force", "--epochs", 0)


@pytest.mark.parametrize("fraction", ["0", "0.3"])
def test_teach_without_a_test_split(fraction: str, backbone: Path, tmp_path: Path) -> None:
    """Class folders alone: all is training data, less what is held out."""
    image_folder(tmp_path / "both", {"a": 5, "b": 5})
    code = plada(
        "teach", tmp_path / "both" / "train", "-o", tmp_path / "t", "--arch", "test_efficientnet",
        "--weights", backbone, "--mode", "head", "--input-size", 32, "--val-fraction", fraction, "--device", "cpu",
        "--quiet",
    )  # fmt: skip
    assert code == 0
    metrics = json.loads((tmp_path / "t" / "model.json").read_text())["metrics"]
    assert "test_accuracy" not in metrics and metrics["train_images"] == (10 if fraction == "0" else 6)
    assert metrics.get("val_images") == (None if fraction == "0" else 4)


def test_teacher_killed_while_training_starts_again(backbone: Path, tmp_path: Path) -> None:
    """kill -9 in a full fine-tune leaves no half checkpoint, and the second run ends well."""
    target = image_folder(tmp_path / "target", {"a": 40, "b": 40})
    arguments = [
        "teach", target, "-o", tmp_path / "teacher", "--arch", "test_efficientnet", "--weights", "none",
        "--mode", "scratch", "--input-size", "32", "--quiet",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.Popen([sys.executable, "-m", "plada_format.cli.main", *map(str, arguments)], env=environment)
    deadline = time.monotonic() + 60
    while not (tmp_path / "teacher" / "resume").exists() and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert not (tmp_path / "teacher" / "model.safetensors").exists()
    assert plada(*arguments) == 0
    assert sorted(path.name for path in (tmp_path / "teacher").iterdir()) == ["model.json", "model.safetensors"]


def test_score_refuses_a_teacher_folder_without_a_teacher(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write_manifest(pool_source(5), tmp_path / "pool.manifest")
    arguments = ["--teacher", tmp_path, "--pool", manifest, "--images", DATA / "pool_2k.npz"]
    assert "trained model" in complain(capsys, "score", "--table", tmp_path / "t", *arguments)
    write_teacher(tmp_path / "teacher")
    arguments[1] = tmp_path / "teacher"
    assert plada("score", "--table", tmp_path / "t", *arguments) == 0  # the pool's five images are found by their keys


def test_commands_of_the_guide_parse() -> None:
    """Every command line in docs/guide.md is one that this version takes."""
    from plada_format.cli.main import build_parser

    lines = re.findall(r"^ {4}plada (.+)$", (ROOT / "docs" / "guide.md").read_text(encoding="utf-8"), re.M)
    assert {line.split()[0] for line in lines} >= {
        "pool", "teach", "score", "select", "verify", "train", "evaluate", "experiment"
    }  # fmt: skip
    for line in lines:
        assert build_parser().parse_args(shlex.split(line)).run
