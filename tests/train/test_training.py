"""The training loop: targets, schedule, early stopping, freezing, augmentation, and resuming to the same bytes."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from plada_format.errors import UserError
from plada_train import Recipe, Targets, dirichlet_precision, fine_tune, load_model, model_digest, open_task, run_loop
from plada_train.finetune import augmented
from plada_train.heads import TensorData
from plada_train.targets import TargetLoss

CPU = torch.device("cpu")


def blobs(count: int = 300, classes: int = 3, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centres = np.random.default_rng(9).normal(size=(classes, 8)) * 2
    return torch.from_numpy((centres[labels] + rng.normal(size=(count, 8))).astype(np.float32)), labels


def linear(classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(8, classes)


def train(recipe: Recipe, targets: Targets | None = None, **options: object) -> tuple[nn.Module, object]:
    inputs, labels = blobs()
    module = linear()
    result = run_loop(module, TensorData(inputs), targets or Targets(labels, 3), recipe, device=CPU, **options)
    return module, result


def accuracy(module: nn.Module) -> float:
    inputs, labels = blobs(seed=1)
    with torch.inference_mode():
        return float((module(inputs).argmax(1).numpy() == labels).mean())


def test_it_learns() -> None:
    module, result = train(Recipe(10, lr=0.01))
    assert accuracy(module) > 0.9 > 0.6 > accuracy(linear())
    losses = [entry["loss"] for entry in result.history]
    assert losses[-1] < 0.5 * losses[0] and result.steps == 10 * math.ceil(300 / 64)


def test_same_seed_same_weights_and_other_seed_others() -> None:
    digests = [model_digest(train(Recipe(3, seed=seed))[0]) for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]


def test_schedule_is_warmup_and_cosine() -> None:
    _, result = train(Recipe(20, lr=0.5, warmup=0.25, batch_size=300))
    rates = [entry["lr"] for entry in result.history]
    assert np.allclose(rates[:5], [0.5 * step / 6 for step in range(1, 6)])
    assert np.allclose(rates[5:], [0.25 * (1 + math.cos(math.pi * step / 15)) for step in range(15)])


def test_weights_count() -> None:
    """Images of weight 0 might as well be absent; a weight of 3 is like three copies."""
    inputs, labels = blobs(60)
    wrong = (labels + 1) % 3
    both = torch.cat([inputs, inputs])
    targets = Targets(np.concatenate([labels, wrong]), 3, np.r_[np.ones(60), np.zeros(60)].astype(np.float32))
    module = linear()
    run_loop(module, TensorData(both), targets, Recipe(60, lr=0.01), device=CPU)
    assert accuracy(module) > 0.85
    logits = torch.randn(4, 3, dtype=torch.float64).float()
    loss = TargetLoss(Targets(np.array([0, 1, 2, 2]), 3, np.array([3, 1, 1, 1], np.float32)), CPU)
    copies = TargetLoss(Targets(np.array([0, 0, 0, 1, 2, 2]), 3), CPU)
    assert torch.allclose(loss(logits, torch.arange(4)), copies(logits[[0, 0, 0, 1, 2, 3]], torch.arange(6)))


def test_average_targets_are_cross_entropy_to_the_class_mean() -> None:
    soft = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.5, 0.5]], np.float32)
    targets = Targets(np.array([2, 0]), 3, soft_labels=soft, mode="average")
    logits = torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.0, -1.0]])
    wanted = -(torch.tensor(soft[[2, 0]]) * logits.log_softmax(1)).sum(1).mean()
    assert torch.allclose(TargetLoss(targets, CPU)(logits, torch.tensor([0, 1])), wanted)
    # Trained towards them, the network ends near the soft labels themselves.
    labels = np.arange(300) % 3
    inputs = torch.eye(8)[labels] * 3
    module = linear()
    run_loop(
        module,
        TensorData(inputs),
        Targets(labels, 3, soft_labels=soft, mode="average"),
        Recipe(300, lr=0.02, weight_decay=0),
        device=CPU,
    )
    assert np.abs(module(inputs[:3]).softmax(1).detach().numpy() - soft).max() < 0.03


def test_dirichlet_targets_have_the_right_mean_and_are_fresh_each_time() -> None:
    soft = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.1, 0.8]], np.float32)
    targets = Targets(
        np.zeros(4000, np.int64), 3, soft_labels=soft, precision=np.array([5, 5, 5], np.float32), mode="dirichlet"
    )
    loss = TargetLoss(targets, CPU)
    logits = torch.tensor([[2.0, 0.0, -1.0]]).repeat(4000, 1)
    torch.manual_seed(0)
    first, second = loss(logits, torch.arange(4000)), loss(logits, torch.arange(4000))
    wanted = -(torch.tensor(soft[0]) * logits[0].log_softmax(0)).sum()
    assert first != second and abs(float(first) - float(wanted)) < 0.05


def test_dirichlet_precision_inverts_the_moments() -> None:
    rng = np.random.default_rng(0)
    alpha = np.array([3.0, 1.0, 0.5])
    drawn = rng.dirichlet(alpha, 200_000)
    found = dirichlet_precision([drawn[:, 0].mean()], [drawn[:, 0].var()])
    assert abs(float(found[0]) - alpha.sum()) < 0.1
    assert dirichlet_precision([0.5, 0.5], [0.25, 0.0]).tolist() == pytest.approx([0.1, 1e6])


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"labels": [0, 3]}, "labels"),
        ({"labels": [0, -1]}, "labels"),
        ({"weights": [1.0]}, "weights"),
        ({"weights": [1.0, math.nan]}, "weights"),
        ({"weights": [0.0, 0.0]}, "weights"),
        ({"mode": "average"}, "soft labels"),
        ({"mode": "average", "soft_labels": np.ones((2, 2))}, "3 x 3"),
        ({"mode": "dirichlet", "soft_labels": np.eye(3)}, "precision"),
        ({"mode": "dirichlet", "soft_labels": np.eye(3), "precision": [1, 0, 1]}, "above 0"),
        ({"mode": "x"}, "mode"),
    ],
)
def test_bad_targets(options: dict[str, object], match: str) -> None:
    with pytest.raises(UserError, match=match):
        Targets(**{"labels": [0, 1], "num_classes": 3} | options)


def scripted(values: list[float]) -> object:
    remaining = list(values)
    return lambda module: {"accuracy": remaining.pop(0), "loss": 0.0}


def test_early_stopping_keeps_the_best_epoch() -> None:
    module, result = train(Recipe(50, patience=3), validate=scripted([0.1, 0.9, 0.5, 0.5, 0.9, 0.5, 0.5]))
    assert len(result.history) == 5 and result.best["epoch"] == 2
    short = linear()
    inputs, labels = blobs()
    run_loop(
        short,
        TensorData(inputs),
        Targets(labels, 3),
        Recipe(50, patience=1),
        device=CPU,
        validate=scripted([0.1, 0.9, 0.5]),
    )
    assert model_digest(module) == model_digest(short)


def test_keep_last() -> None:
    kept, _ = train(Recipe(3, keep="last"), validate=scripted([0.9, 0.1, 0.1]))
    plain, _ = train(Recipe(3))
    assert model_digest(kept) == model_digest(plain)


@pytest.mark.parametrize("count", [1, 5, 9])
def test_a_single_last_image_has_no_batch_statistics(count: int) -> None:
    """Nine images in batches of four: the last batch has five, and every image is seen once an epoch."""
    inputs, labels = blobs()
    sizes: list[int] = []

    class Watched(TensorData):
        def batches(self, *arguments: Any) -> Any:
            for batch, rows in super().batches(*arguments):
                sizes.append(len(rows))
                yield batch, rows

    torch.manual_seed(0)
    width = inputs.shape[1]
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(width), torch.nn.Linear(width, 3))
    targets = Targets(labels[:count], 3)
    result = run_loop(module, Watched(inputs[:count]), targets, Recipe(2, batch_size=4), device=CPU)
    assert sizes == {1: [1], 5: [5], 9: [4, 5]}[count] * 2 and result.steps == len(sizes)
    assert math.isfinite(result.history[-1]["loss"]) and result.history[-1]["lr"] > 0
    plain = torch.nn.Sequential(torch.nn.Linear(width, 3))
    sizes.clear()
    run_loop(plain, Watched(inputs[:count]), targets, Recipe(1, batch_size=4), device=CPU)
    assert sizes == {1: [1], 5: [4, 1], 9: [4, 4, 1]}[count]


def test_divergence_and_no_data_are_errors() -> None:
    with pytest.raises(UserError, match="diverged"):
        run_loop(
            linear(), TensorData(torch.full((9, 8), math.inf)), Targets(np.zeros(9, np.int64), 3), Recipe(1), device=CPU
        )
    with pytest.raises(UserError, match="nothing to train on"):
        run_loop(linear(), TensorData(torch.zeros(0, 8)), Targets(np.zeros(0, np.int64), 3), Recipe(1), device=CPU)


def test_bad_recipes() -> None:
    for bad in (
        {"epochs": 0},
        {"lr": 0.0},
        {"warmup": 1.0},
        {"augment": "x"},
        {"patience": 0},
        {"amp": "x"},
        {"batch_size": 0},
    ):
        with pytest.raises(UserError):
            Recipe(**{"epochs": 1} | bad)


def test_paper_recipe() -> None:
    large, small = Recipe.paper(14_197_087), Recipe.paper(1_281_167)
    assert (large.epochs, small.epochs, large.lr) == (5, 30, 1e-3)


def test_interrupted_run_gives_the_same_weights(tmp_path: Path) -> None:
    """Every epoch boundary, with validation and best weights in play."""
    values = [0.1, 0.6, 0.3, 0.7, 0.2, 0.5]
    whole, _ = train(Recipe(6, keep="best"), validate=scripted(values))
    for stop in range(1, 6):
        state = tmp_path / f"{stop}.safetensors"
        with pytest.raises(IndexError):  # the script runs out in the middle of an epoch: as good as a kill
            train(Recipe(6, keep="best"), validate=scripted(values[:stop]), state_file=state)
        module, result = train(Recipe(6, keep="best"), validate=scripted(values[stop:]), state_file=state)
        assert result.resumed_at == stop and len(result.history) == 6
        assert model_digest(module) == model_digest(whole)
        finished, again = train(Recipe(6, keep="best"), validate=scripted([]), state_file=state)
        assert again.resumed_at == 6 and model_digest(finished) == model_digest(whole)


def test_state_of_another_run_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "s.safetensors"
    train(Recipe(2), state_file=state)
    for options in (
        {"recipe": Recipe(3)},
        {"recipe": Recipe(2), "targets": Targets(np.zeros(300, np.int64), 3)},
        {"recipe": Recipe(2), "identity": "x"},
    ):
        with pytest.raises(UserError, match="other data or settings"):
            train(**options, state_file=state)
    state.write_bytes(state.read_bytes()[:50])
    with pytest.raises(UserError, match="damaged"):
        train(Recipe(2), state_file=state)


def test_augmentation() -> None:
    images = torch.rand(64, 3, 16, 16)

    def run(kind: str, seed: int = 0) -> torch.Tensor:
        return augmented(images, kind, torch.Generator().manual_seed(seed))

    assert run("none") is images
    flipped = run("flip")
    mirrored = (flipped == images.flip(3)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert (mirrored ^ same).all() and 15 < int(mirrored.sum()) < 49
    cropped = run("crop")
    assert cropped.shape == images.shape and (cropped == run("crop")).all() and (cropped != run("crop", 1)).any()
    assert cropped.min() >= 0 and cropped.max() <= 1
    flat = torch.full((8, 3, 16, 16), 0.25)
    assert torch.allclose(augmented(flat, "crop", torch.Generator()), flat, atol=1e-6)


def test_frozen_parts_stay_frozen(cifar_spec: str) -> None:
    task = open_task(cifar_spec)
    few = task.split("train").subset(np.arange(32))
    for options in ({"freeze_backbone": True}, {"freeze_batch_stats": True}, {}):
        torch.manual_seed(0)
        model = load_model("test_resnet", num_classes=10, input_size=32)
        before = {name: value.clone() for name, value in model.module.state_dict().items()}
        fine_tune(model, few, recipe=Recipe(1, batch_size=16, lr=0.01, **options), progress=False)
        changed = {name for name, value in model.module.state_dict().items() if (value != before[name]).any()}
        if "freeze_backbone" in options:
            assert changed == {"fc.weight", "fc.bias"}
        elif options:
            assert (
                changed and not any("running" in name for name in changed) and any("conv" in name for name in changed)
            )
        else:
            assert any("running" in name for name in changed)


@pytest.mark.slow
def test_small_network_learns_real_images(cifar_spec: str) -> None:
    """From random weights, 300 steps on 448 real images: far above chance on images never seen."""
    from plada_train import evaluate

    task = open_task(cifar_spec)
    torch.manual_seed(0)
    model = load_model("test_resnet", num_classes=10, input_size=32)
    result = fine_tune(
        model,
        task.split("train"),
        recipe=Recipe(30, lr=3e-3, augment="crop", patience=15),
        val=task.split("val"),
        progress=False,
    )
    assert result.history[-1]["loss"] < 0.8 * result.history[0]["loss"]
    assert evaluate(model, task.split("test"), progress=False).accuracy > 0.22


def test_unusable_images_are_left_out(cifar_spec: str, tmp_path: Path) -> None:
    from plada_train import LabelledImages, open_source

    task = open_task(cifar_spec)
    train_part = task.split("train")
    for row in range(20):
        (tmp_path / f"{row:02d}.webp").write_bytes(b"" if row % 4 == 0 else train_part.source.read(row))
    images = LabelledImages(open_source(f"folder:{tmp_path}"), train_part.labels[:20], task.class_names)
    model = load_model("test_resnet", num_classes=10, input_size=32)
    result = fine_tune(model, images, recipe=Recipe(1, batch_size=5), progress=False)
    assert result.steps == 3
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "1.png").write_bytes(b"")
    with pytest.raises(UserError, match="none of the 1 images"):
        fine_tune(
            model,
            open_source(f"folder:{tmp_path / 'empty'}"),
            Targets(np.array([0]), 10),
            recipe=Recipe(1),
            progress=False,
        )


SCRIPT = """
import sys, numpy as np, torch
torch.set_num_threads(1)
from plada_train import *
task = open_task(sys.argv[1])
torch.manual_seed(0)
model = load_model("test_resnet", num_classes=10, input_size=32)
recipe = Recipe(8, batch_size=16, augment="crop", lr=2e-3)
few = task.split("train").subset(np.arange(160))
fine_tune(model, few, recipe=recipe, val=task.split("val"), work_dir=sys.argv[2], progress=False)
print(model_digest(model.module))
"""


def test_kill_nine_and_resume(cifar_spec: str, tmp_path: Path) -> None:
    def start(folder: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, cifar_spec, str(tmp_path / folder)], stdout=subprocess.PIPE, text=True
        )

    whole, _ = start("whole").communicate(timeout=300)
    for kill in range(2):
        job = start("killed")
        state = tmp_path / "killed" / "resume.safetensors"
        seen = state.stat().st_mtime_ns if state.exists() else 0
        deadline = time.monotonic() + 120
        while (not state.exists() or state.stat().st_mtime_ns == seen) and time.monotonic() < deadline:
            time.sleep(0.002)
        os.kill(job.pid, signal.SIGKILL)
        assert job.wait() == -signal.SIGKILL, f"finished before kill {kill}"
        job.stdout.close()
    resumed, _ = start("killed").communicate(timeout=300)
    assert resumed == whole and len(resumed.strip()) == 64
    assert sorted(path.name for path in (tmp_path / "killed").iterdir() if not path.name.endswith(".tmp")) == [
        "resume.safetensors"
    ]
