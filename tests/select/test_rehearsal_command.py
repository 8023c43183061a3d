"""``plada select --policy auto`` on real images: from the command line, without a look at the test split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from score_setup import DATA, write_manifest

import plada_format as pf
from plada_format.cli.main import main
from plada_select.rehearsal import Candidate, read_rehearsal
from plada_select.rehearsal.students import validation_images
from plada_select.safety_net import SafetyNet
from plada_select.select import Policy
from plada_train import open_task

POOL, TARGET = DATA / "pool_2k.npz", DATA / "cifar10_ci.npz"
BUDGET = 500


def plada(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights of two backbones, manifest, teacher and score table."""
    import torch
    from safetensors.torch import save_file

    from plada_train import import_timm, open_source

    folder = tmp_path_factory.mktemp("rehearsal")
    torch.manual_seed(0)
    for arch in ("test_efficientnet", "test_resnet"):
        state = import_timm().create_model(arch, num_classes=0).state_dict()
        save_file(state, folder / f"{arch}.safetensors")
    write_manifest(open_source(str(POOL)), folder / "pool.pladapool")
    assert plada(
        "teach", TARGET, "-o", folder / "teacher", "--arch", "test_efficientnet", "--weights",
        folder / "test_efficientnet.safetensors", "--mode", "head", "--input-size", 32, "--quiet", "--seed", 3,
    ) == 0  # fmt: skip
    assert plada(
        "score", "--table", folder / "table", "--teacher", folder / "teacher", "--pool", folder / "pool.pladapool",
        "--images", POOL, "--quiet", "--device", "cpu",
    ) == 0  # fmt: skip
    return folder


def line(ready: Path, out: Path, *more: object) -> list[object]:
    return [
        "select", ready / "table", "--pool", ready / "pool.pladapool", "-o", out, "--policy", "auto", "--budget",
        BUDGET, "--rehearse", TARGET, "--images", POOL, "--proxy", "test_resnet", "--proxy-weights",
        ready / "test_resnet.safetensors", "--proxy-size", 32, "--cache", ready / "cache", "--quiet", "--teacher",
        ready / "teacher", "--rehearse-seeds", 2, "--device", "cpu", "--profile",
        "baseline", *more,
    ]  # fmt: skip


def test_auto_sends_what_the_rehearsal_chose(ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "task.plada"
    assert plada(*line(ready, out, "--report", tmp_path / "report.html")) == 0
    screen = capsys.readouterr().err
    assert "<- sent" in screen and "pre-check: " in screen
    data = out.read_bytes()
    record = read_rehearsal(out)
    assert record is not None and record["split"] == "val"
    chosen = next(arm for arm in record["arms"] if arm["name"] == record["chosen"])
    assert chosen["bytes"] == len(data) <= BUDGET
    assert chosen["count"] == len(pf.decode(data))
    assert len(chosen["trials"]) == 2
    assert all(0 <= trial["accuracy"] <= 1 for arm in record["arms"] for trial in arm["trials"])
    assert record["pre_check"]["val_median"] is not None
    task = open_task(str(TARGET), seed=3)
    known = {split: len(task.positions(split)) for split in ("train", "val")}
    assert (record["validation_images"], record["training_images"]) == (known["val"], known["train"])
    selection = json.loads((tmp_path / "task.selection.json").read_text())
    assert selection["request"]["policy"] == "auto" and selection["request"]["budget"] == BUDGET
    assert selection["policy"] == chosen["policy"]
    page = (tmp_path / "report.html").read_text()
    for arm in record["arms"]:
        assert f"<span>{arm['name']}</span>" in page
    assert "test images played no part" in page
    assert page.count("points if doubled") == len(record["turns"])
    assert record["turns_end"] in screen
    assert plada(*line(ready, tmp_path / "again.plada")) == 0  # same inputs, same bytes
    assert (tmp_path / "again.plada").read_bytes() == data


def test_turned_quotas_can_be_sent_again_by_hand(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = [Candidate(Policy(safety_net=SafetyNet()))]
    monkeypatch.setattr("plada_select.rehearsal.command.default_candidates", lambda **options: only)
    monkeypatch.setattr("plada_select.rehearsal.turns.pick", lambda arms: arms[-1])  # what the weights say is noise
    monkeypatch.setattr("plada_select.rehearsal.run.pick", lambda arms: max(arms, key=lambda arm: len(arm.name)))
    out = tmp_path / "task.plada"
    assert (
        plada(*line(ready, out, "--rehearse-images", 2000, "--rehearse-turns", 2, "--report", tmp_path / "r.html")) == 0
    )
    record = read_rehearsal(out)
    assert record is not None and record["turns"]
    assert (tmp_path / "r.html").read_text().count("points if doubled</th>") == len(record["turns"])
    chosen = next(arm for arm in record["arms"] if arm["name"] == record["chosen"])
    factors = chosen["policy"]["safety_net"]["factors"]
    names = json.loads((tmp_path / "task.selection.json").read_text())["class_names"]
    flags = [part for one, by in factors.items() for part in ("--class-factor", f"{names[int(one)]}={by}")]
    assert (
        flags
        and ", ".join(f"{names[int(one)]}={by}" for one, by in factors.items()) in (tmp_path / "r.html").read_text()
    )
    again = tmp_path / "again.plada"
    assert plada(
        "select", ready / "table", "--pool", ready / "pool.pladapool", "-o", again, "--count", chosen["count"],
        "--safety-net", "--profile", "baseline", *flags,
    ) == 0  # fmt: skip
    assert again.read_bytes() == out.read_bytes()


def test_judges_are_validation_images_first_and_then_training_images() -> None:
    task = open_task(str(TARGET))
    val, train = (set(task.positions(split).tolist()) for split in ("val", "train"))

    def places(*wish: object) -> list[int]:
        images = validation_images(task, *wish)
        assert np.array_equal(images.labels, task.labels[images.source.indices])
        return images.source.indices.tolist()

    assert set(places()) == set(places(10_000)) == val
    few = places(len(val) // 2)
    assert set(few) < val and abs(len(few) - len(val) // 2) <= task.num_classes
    assert places(len(val) // 2, True) == few
    filled = places(len(val) + 60, True)
    assert set(filled[: len(val)]) == val and set(filled[len(val) :]) < train
    assert abs(len(filled) - len(val) - 60) <= task.num_classes and len(set(filled)) == len(filled)
    assert set(places(10_000, True)) == val | train


def test_the_test_split_is_never_touched(ready: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither its positions are asked for, nor is one of its images read."""
    from plada_train.sources.packed import PackedSource
    from plada_train.sources.task import TEST, Task

    tested = set(np.flatnonzero(open_task(str(TARGET)).split_of == TEST).tolist())
    assert len(tested) > 100
    positions, read = Task.positions, PackedSource.read
    splits, reads = [], []

    def guarded_positions(self: Task, split: str) -> np.ndarray:
        splits.append(split)
        assert split in ("val", "train"), f"the rehearsal asked for the split {split!r}"
        return positions(self, split)

    def guarded_read(self: PackedSource, index: int) -> bytes:
        if TARGET.name in self.spec:
            reads.append(index)
            assert int(index) not in tested, f"the rehearsal read test image {index}"
        return read(self, index)

    monkeypatch.setattr(Task, "positions", guarded_positions)
    monkeypatch.setattr(PackedSource, "read", guarded_read)
    out = tmp_path / "task.plada"
    wish = ("--finalists", 1, "--final-arch", "test_resnet", "--cache", tmp_path / "fresh")
    assert plada(*line(ready, out, *wish)) == 0
    assert splits and reads  # the guards were in place
    record = read_rehearsal(out)
    assert record is not None
    finals = [trial for arm in record["arms"] for trial in arm["trials"] if trial["rung"] < 0]
    assert len(finals) == 1 and finals[0]["student"] == "test_resnet, finetune"


def test_the_validation_images_are_those_that_the_teacher_did_not_see(ready: Path) -> None:
    """--teacher says how its split was made."""
    from plada_format.cli.main import build_parser
    from plada_select.rehearsal.command import _open
    from plada_select.scoretable import ScoreTable
    from plada_train import load_checkpoint, open_task

    args = build_parser().parse_args([str(part) for part in line(ready, Path("o"))])
    task = _open(args, ScoreTable.open(ready / "table"), load_checkpoint(ready / "teacher"), open_task)
    same, other = (open_task(str(TARGET), seed=seed).positions("val") for seed in (3, 0))
    assert np.array_equal(task.positions("val"), same) and not np.array_equal(same, other)


BAD = [
    (["--policy", "auto"], "--policy auto needs --rehearse, --images, --proxy too"),
    (["--rehearse", "x"], "for --policy auto"),
    (["--finalists", "1"], "for --policy auto"),
    (["--policy", "auto", "--rehearse", "x", "--images", "y", "--proxy", "z", "--criterion", "entropy"], "--criterion"),
    (["--policy", "auto", "--rehearse", "x", "--images", "y", "--proxy", "z", "--safety-net"], "--safety-net and"),
    (["--policy", "auto", "--rehearse", "x", "--images", "y", "--proxy", "z", "--soft-labels"], "not rehearsed"),
    (["--policy", "auto", "--rehearse", "x", "--images", "y", "--proxy", "z", "--weights", "5"], "not rehearsed"),
]


@pytest.mark.parametrize("flags, text", BAD)
def test_flags_that_do_not_go_together(
    ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], text: str
) -> None:
    base = ["select", ready / "table", "--pool", ready / "pool.pladapool", "-o", tmp_path / "o.plada", "--budget", 500]
    capsys.readouterr()
    assert plada(*base, *flags) == 1
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and text in errors[0]
    assert not list(tmp_path.iterdir())


def test_bad_wishes_of_a_rehearsal(ready: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.plada"
    with np.load(TARGET) as arrays:
        other = {**arrays, "names": np.array([f"other {name}" for name in arrays["names"]])}
    np.savez(ready / "other.npz", **other)
    for change, text in (
        (["--proxy", "test_efficientnet"], "that is the teacher's architecture"),
        (["--budget", "100"], "one image for each of the 10 classes has"),
        (["--val-fraction", "0.4"], "give the --val-fraction and --val-seed"),
        (["--rehearse", ready / "other.npz"], "class names are not those of the score table"),
        (["--images", TARGET], "of the pool's 2000 images are missing"),
    ):
        capsys.readouterr()
        assert plada(*line(ready, out, *change)) == 1, change
        errors = capsys.readouterr().err.strip().splitlines()
        assert errors[-1].startswith("plada: error: ") and text in errors[-1], errors
    assert not list(tmp_path.iterdir())
    out.write_bytes(b"mine")
    assert plada(*line(ready, out)) == 1
    assert out.read_bytes() == b"mine"
