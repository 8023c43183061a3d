"""plada pool, train, evaluate, export as a user meets them: output, exit codes, one-line errors, kill and resume."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import plada_format as pf
from plada_format.cli.main import main
from plada_train import load_checkpoint, load_model, model_digest, open_task

POOL_FILES = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, cifar_spec: str) -> Path:
    """A pool of real images in folders, its manifest, a payload whose labels are right, weights, and a test set."""
    root = tmp_path_factory.mktemp("world")
    task = open_task(cifar_spec, val_fraction=0)
    train = task.split("train")
    for row in range(200):
        path = root / "pool" / f"g{row // 50}" / f"{row:04d}.webp"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(train.source.read(row))
    assert main(["pool", "build", f"folder:{root}/pool", f"{root}/p.pladapool", "--name", "cifar pool", "--quiet"]) == 0
    with pf.Manifest.open(root / "p.pladapool") as manifest:
        kept = np.arange(0, 200, 2)
        pf.write(
            root / "t.plada",
            kept,
            train.labels[kept],
            pool_size=200,
            num_classes=10,
            pool_fingerprint=manifest.fingerprint,
            class_names=task.class_names,
            metadata={"input": "32"},
        )
    torch.manual_seed(0)
    save_file(load_model("test_resnet", num_classes=0).module.state_dict(), root / "w.safetensors")
    return root


def plada(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def pool_options(world: Path) -> list[str]:
    return ["--pool", f"folder:{world}/pool", "--manifest", f"{world}/p.pladapool"]


def train_arguments(world: Path, out: Path, *more: object) -> list[str]:
    options = ["--arch", "test_resnet", "--weights", f"{world}/w.safetensors", "--device", "cpu", "--quiet"]
    return ["train", f"{world}/t.plada", *pool_options(world), "--out", str(out), *options, *map(str, more)]


def test_info(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plada("pool", "info", world / "p.pladapool", "--groups") == 0
    out = capsys.readouterr().out
    assert "cifar pool" in out and "g0/0000.webp" in out and "       50  g3" in out
    assert plada("pool", "info", world / "p.pladapool", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    with pf.Manifest.open(world / "p.pladapool") as manifest:
        assert (
            facts["images"] == 200 and facts["group_runs"] == 4 and facts["fingerprint"] == manifest.fingerprint.hex()
        )


def test_build_json_and_force(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pool", "build", f"{world}/pool", tmp_path / "x.pladapool", "--quiet", "--json", "--decode"]
    assert plada(*arguments) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["count"] == 200 and facts["status"] == {"ok": 200} and facts["name"] == "x"
    assert plada(*arguments) == 1
    assert "exists" in capsys.readouterr().err
    assert plada(*arguments, "--force") == 0


@pytest.mark.parametrize(("which", "count"), [([], 200), (["--sample", "30"], 30), (["--payload"], 100)])
def test_verify_good(world: Path, capsys: pytest.CaptureFixture[str], which: list[str], count: int) -> None:
    more = [*which, f"{world}/t.plada"] if which == ["--payload"] else which
    assert plada("pool", "verify", f"{world}/pool", world / "p.pladapool", "--quiet", *more) == 0
    assert f"{count} images checked, all as the manifest says" in capsys.readouterr().out


@pytest.fixture
def damaged(world: Path, tmp_path: Path) -> str:
    import shutil

    shutil.copytree(world / "pool", tmp_path / "pool")
    (tmp_path / "pool" / "g0" / "0004.webp").unlink()
    (tmp_path / "pool" / "g1" / "0060.webp").write_bytes(b"other")
    (tmp_path / "pool" / "g1" / "0061.webp").write_bytes(b"other")
    return f"folder:{tmp_path}/pool"


def test_verify_bad(world: Path, tmp_path: Path, damaged: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["pool", "verify", damaged, world / "p.pladapool", "--quiet"]
    assert plada(*arguments, "--list", tmp_path / "bad.tsv") == 5
    captured = capsys.readouterr()
    assert "1 missing, 2 changed of 200 images checked" in captured.out and "the source has 199 images" in captured.err
    assert (
        tmp_path / "bad.tsv"
    ).read_text() == "missing\t4\tg0/0004.webp\nchanged\t60\tg1/0060.webp\nchanged\t61\tg1/0061.webp\n"
    assert plada(*arguments, "--payload", world / "t.plada", "--json") == 5
    facts = json.loads(capsys.readouterr().out)
    assert facts["missing"] == [4] and facts["changed"] == [60] and facts["ok"] is False


def test_train_evaluate(world: Path, tmp_path: Path, cifar_spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "student"
    assert plada(*train_arguments(world, out, "--recipe", "head", "--test", cifar_spec)) == 0
    printed = capsys.readouterr().out
    assert "100 images of 10 classes, digests checked" in printed and "frozen test_resnet" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "args.json",
        "metrics.json",
        "model.json",
        "model.safetensors",
    ]
    metrics = json.loads((out / "metrics.json").read_text())
    assert f"test accuracy {metrics['test']['accuracy']:.1%}" in printed and metrics["test"]["accuracy"] > 0.15
    checkpoint = load_checkpoint(out)
    assert checkpoint.model.preprocess.input_size == 32 and checkpoint.meta["extra"]["dropped"] == 0

    assert plada("evaluate", out, cifar_spec, "--quiet", "--out", tmp_path / "e.json", "--device", "cpu") == 0
    assert f"accuracy {metrics['test']['accuracy']:.2%}" in capsys.readouterr().out
    found = json.loads((tmp_path / "e.json").read_text())
    assert found == metrics["test"] and len(found["confusion"]) == 10
    assert plada("evaluate", out, cifar_spec, "--quiet", "--json", "--split", "train", "--device", "cpu") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 560

    before = (out / "model.safetensors").read_bytes()
    assert plada(*train_arguments(world, out, "--recipe", "head")) == 1
    assert "already holds a model" in capsys.readouterr().err
    assert plada(*train_arguments(world, out, "--recipe", "head", "--force")) == 0
    assert model_digest(load_checkpoint(out).model.module) == checkpoint.digest and before


def test_classes_are_matched_by_name(
    world: Path, tmp_path: Path, cifar_spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same test images with the classes in another order give the same accuracy; other classes are refused."""
    out = tmp_path / "student"
    assert plada(*train_arguments(world, out, "--recipe", "head")) == 0
    archive = dict(np.load(cifar_spec.removeprefix("npz:")))
    order = np.random.default_rng(0).permutation(10)
    shuffled = archive | {"labels": np.argsort(order)[archive["labels"]], "names": archive["names"][order]}
    np.savez(tmp_path / "shuffled.npz", **shuffled)
    accuracies = []
    for spec in (cifar_spec, f"{tmp_path}/shuffled.npz"):
        capsys.readouterr()
        assert plada("evaluate", out, spec, "--quiet", "--json", "--device", "cpu") == 0
        accuracies.append(json.loads(capsys.readouterr().out)["accuracy"])
    assert accuracies[0] == accuracies[1]
    np.savez(tmp_path / "other.npz", **(archive | {"names": np.array([f"n{n}" for n in range(10)])}))
    assert plada("evaluate", out, tmp_path / "other.npz", "--quiet") == 1
    assert "classes are not those of the model" in capsys.readouterr().err


def test_train_with_missing_images(
    world: Path, tmp_path: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = train_arguments(world, tmp_path / "s", "--recipe", "head")
    arguments[arguments.index("--pool") + 1] = damaged
    assert plada(*arguments) == 1
    error = capsys.readouterr().err
    assert (
        error.count("\n") == 1
        and "1 missing, 1 changed of 100" in error
        and "g0/0004.webp" in error
        and "--missing drop" in error
    )
    assert not (tmp_path / "s").exists()
    assert plada(*arguments, "--missing", "drop") == 0
    assert "98 images of 10 classes" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "s").meta["extra"]["dropped"] == 2


def test_payload_of_another_pool_is_exit_code_5(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plada("pool", "build", f"folder:{world}/pool/g0", tmp_path / "o.pladapool", "--quiet") == 0
    capsys.readouterr()
    arguments = train_arguments(world, tmp_path / "s")
    arguments[arguments.index("--manifest") + 1] = str(tmp_path / "o.pladapool")
    assert plada(*arguments) == 5
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("recipe", ["mlp", "finetune", "scratch", "paper", "auto"])
def test_recipes(world: Path, tmp_path: Path, recipe: str) -> None:
    more = ["--hidden", "8"] if recipe == "mlp" else []
    arguments = train_arguments(
        world, tmp_path, "--recipe", recipe, "--epochs", "1", "--batch-size", "50", "--seed", "4", *more
    )
    assert plada(*arguments) == 0
    facts = json.loads((tmp_path / "model.json").read_text())
    assert facts["seed"] == 4 and facts["metrics"]["mode"] in (recipe, "head", "finetune")
    assert not (tmp_path / "resume").exists()


@pytest.mark.parametrize(
    ("kept", "labels", "names"),
    [([7], [0], ["only"]), ([3, 9, 40], [0, 0, 0], ["only"]), ([3, 9, 40, 41], [0, 2, 0, 2], ["a", "none", "b"])],
    ids=["one image", "one class", "empty class"],
)
@pytest.mark.parametrize("recipe", ["auto", "finetune", "scratch"])
def test_payloads_at_the_edge(
    world: Path, tmp_path: Path, recipe: str, kept: list[int], labels: list[int], names: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """One image, one class, a class without images: they train, and the model never says the empty class."""
    with pf.Manifest.open(world / "p.pladapool") as manifest:
        pf.write(tmp_path / "e.plada", kept, labels, pool_size=200, num_classes=len(names), class_names=names,
                 pool_fingerprint=manifest.fingerprint, metadata={"input": "32"})  # fmt: skip
    more = ["--recipe", recipe, "--test", f"folder:{tmp_path}/test", *(["--epochs", 8] if recipe != "auto" else [])]
    images = open_task(f"npz:{Path(__file__).parents[1]}/data/cifar10_ci.npz", val_fraction=0).split("test").source
    for split in ("train", "test"):
        for name in names:
            (tmp_path / "test" / split / name).mkdir(parents=True)
            (tmp_path / "test" / split / name / "1.webp").write_bytes(images.read(len(name)))
    arguments = train_arguments(world, tmp_path / "s", *more)
    arguments[1] = str(tmp_path / "e.plada")
    assert plada(*arguments) == 0
    assert f"{len(kept)} images of {len(names)} classes" in capsys.readouterr().out
    found = json.loads((tmp_path / "s" / "metrics.json").read_text())["test"]
    assert found["count"] == len(names)
    if len(names) == 1:
        assert found["accuracy"] == 1
    elif recipe != "scratch":
        assert sum(row[1] for row in found["confusion"]) == 0


@pytest.mark.slow
def test_onnx_of_a_trained_student(world: Path, tmp_path: Path, cifar_spec: str) -> None:
    """``--onnx`` on the command line, with a hidden layer: the reference evaluator says what the checkpoint says."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    from plada_train import predict_logits
    from plada_train.decode import decode_image

    arguments = train_arguments(world, tmp_path / "s", "--recipe", "mlp", "--hidden", 16, "--onnx")
    assert plada(*arguments) == 0
    checkpoint, test = load_checkpoint(tmp_path / "s"), open_task(cifar_spec).split("test")
    wanted, _ = predict_logits(checkpoint.model, test.subset(np.arange(12)).source, progress=False)
    pixels = np.stack([decode_image(test.source.read(row))[0] for row in range(12)])
    proto = onnx.load(str(tmp_path / "s" / "model.onnx"))
    feed = {"pixels": pixels.transpose(0, 3, 1, 2).astype(np.float32)}
    (found,) = ReferenceEvaluator(proto).run(None, feed)
    assert np.abs(found - wanted).max() < 1e-3
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert tuple(json.loads(facts["class_names"])) == checkpoint.class_names


def test_targets_that_the_payload_lacks(world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plada(*train_arguments(world, tmp_path / "s", "--targets", "average")) == 1
    assert "need soft labels, and the payload carries none" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["d.parquet", "d.csv", "d"])
def test_export(world: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert plada("export", world / "t.plada", tmp_path / name, *pool_options(world), "--quiet") == 0
    assert f"{name}: 100 images of 10 classes" in capsys.readouterr().out and (tmp_path / name).exists()
    assert plada("export", world / "t.plada", tmp_path / name, *pool_options(world), "--quiet") == 1
    assert plada("export", world / "t.plada", tmp_path / name, *pool_options(world), "--quiet", "--force") == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pool", "build", "folder:/nowhere", "{tmp}/x"], 1, "no such folder"),
        (["pool", "info", "{world}/t.plada"], 3, "manifest"),
        (["pool", "verify", "{world}/pool", "{world}/none"], 1, "none"),
        (["pool", "verify", "{world}/pool", "{world}/p.pladapool", "--sample", "0"], 2, "above 0"),
        (["evaluate", "{world}", "{world}/pool"], 1, "no such file"),
        (
            ["export", "{world}/t.plada", "{tmp}/x.zip", "--pool", "{world}/pool", "--manifest", "{world}/p.pladapool"],
            1,
            "--format",
        ),
        (
            [
                "train",
                "{world}/p.pladapool",
                "--pool",
                "{world}/pool",
                "--manifest",
                "{world}/p.pladapool",
                "--out",
                "{tmp}/s",
            ],
            3,
            "",
        ),
        (
            [
                "train",
                "{world}/t.plada",
                "--pool",
                "npz:{world}/t.plada",
                "--manifest",
                "{world}/p.pladapool",
                "--out",
                "{tmp}/s",
            ],
            1,
            "npz",
        ),
    ],
)
def test_bad_input_is_one_line(
    world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    assert plada(*(argument.format(world=world, tmp=tmp_path) for argument in arguments)) == code
    error = capsys.readouterr().err
    assert error.startswith("plada: error: ") and error.count("\n") == 1 and words in error and "internal" not in error
    assert not list(tmp_path.iterdir())


def test_config_file(world: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        f"arch: test_resnet\nweights: {world}/w.safetensors\nrecipe: head\nseed: 7\nquiet: true\n"
    )
    arguments = [
        "train",
        world / "t.plada",
        *pool_options(world),
        "--out",
        tmp_path / "s",
        "--config",
        tmp_path / "c.yaml",
    ]
    assert plada(*arguments, "--seed", "8") == 0
    facts = json.loads((tmp_path / "s" / "model.json").read_text())
    assert facts["seed"] == 8 and facts["metrics"]["mode"] == "head"


@pytest.mark.slow
def test_training_killed_and_resumed(world: Path, tmp_path: Path) -> None:
    def start(name: str) -> subprocess.Popen[bytes]:
        more = ["--recipe", "finetune", "--epochs", "12", "--batch-size", "10", "--threads", "1"]
        arguments = [sys.executable, "-m", "plada_format.cli.main", *train_arguments(world, tmp_path / name, *more)]
        return subprocess.Popen(arguments, stdout=subprocess.DEVNULL)

    assert start("whole").wait(300) == 0
    job = start("killed")
    state = tmp_path / "killed" / "resume" / "final" / "resume.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.002)
    os.kill(job.pid, signal.SIGKILL)
    assert job.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed" / "model.safetensors").exists() and state.exists()
    assert start("killed").wait(300) == 0
    digests = {load_checkpoint(tmp_path / name).digest for name in ("whole", "killed")}
    assert len(digests) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
@pytest.mark.parametrize("what", ["train", "build"])
def test_disk_full(world: Path, tmp_path: Path, what: str) -> None:
    """A limit on the size of written files stands in for a full disk: one line, nothing half-written."""
    arguments = train_arguments(world, tmp_path / "s", "--recipe", "head")
    limit = 100_000
    if what == "build":
        arguments, limit = ["pool", "build", f"folder:{world}/pool", f"{tmp_path}/x.pladapool", "--quiet"], 2_000
    code = (
        "import resource, sys; from plada_format.cli.main import main; "
        "kept = resource.getrlimit(resource.RLIMIT_FSIZE); "
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, kept[1])); code = main(sys.argv[1:]); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, kept); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "too large" in done.stderr, done.stderr
    left = [path for path in tmp_path.rglob("*") if path.is_file() and not path.name.endswith(".json")]
    assert not [path for path in left if path.name in ("model.safetensors", "x.pladapool") or path.suffix == ".tmp"]
