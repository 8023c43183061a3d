"""Heads on frozen features, the choice that ``auto`` makes, checkpoints and ONNX, evaluation."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from plada_format.errors import UserError
from plada_train import (
    Evaluation,
    LabelledImages,
    LoadedModel,
    Recipe,
    SubsetSource,
    Targets,
    attach_head,
    evaluate,
    evaluate_logits,
    export_onnx,
    extract_features,
    fit_classifier,
    load_checkpoint,
    load_model,
    model_digest,
    open_source,
    open_task,
    save_checkpoint,
    train_head,
)

ARCHES = ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """'Pretrained' weights without a download: a fixed random test_resnet. Its features see colours."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "test_resnet.safetensors"
    save_file(load_model("test_resnet", num_classes=0).module.state_dict(), path)
    return str(path)


def blobs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    centres = np.random.default_rng(7).normal(size=(4, 24))
    features = (centres[labels] + rng.normal(size=(count, 24))) * 3 + 100  # far from zero: standardisation matters
    features[:, 5] = 42.0  # a dead feature
    return features.astype(np.float32), labels


@pytest.mark.parametrize("hidden", [None, 16])
def test_head_learns_and_folds_the_standardisation(hidden: int | None) -> None:
    features, labels = blobs(400)
    head = train_head(features, Targets(labels, 4), hidden=hidden, recipe=Recipe(40, lr=3e-3))
    test, truth = blobs(1000, 1)
    assert (head.logits(test).argmax(1) == truth).mean() > 0.85
    assert head.hidden == hidden and head.num_classes == 4 and head.metrics["train_loss"] < 0.5
    again = train_head(features, Targets(labels, 4), hidden=hidden, recipe=Recipe(40, lr=3e-3))
    assert all((a == b).all() for one, two in zip(head.layers, again.layers) for a, b in zip(one, two))


def test_head_picks_its_epoch_by_validation() -> None:
    features, labels = blobs(60)
    val = blobs(500, 2)
    head = train_head(features, Targets(labels, 4), recipe=Recipe(30, lr=1e-2, patience=5), val=val)
    assert head.metrics["val_accuracy"] == pytest.approx((head.logits(val[0]).argmax(1) == val[1]).mean())


def test_head_mode_stops_early_where_asked(cifar_spec: str, weights: str) -> None:
    task = open_task(cifar_spec)
    options = {"arch": "test_resnet", "weights": weights, "mode": "head", "input_size": 32, "progress": False}
    recipe = Recipe.head(100).replace(epochs=40, lr=0.5, patience=2)
    some = task.split("train").subset(np.arange(60))
    stopped = fit_classifier(some, val=task.split("val"), recipe=recipe, **options)
    ran = fit_classifier(some, val=task.split("val"), recipe=recipe.replace(patience=None), **options)
    assert stopped.metrics["val_accuracy"] >= ran.metrics["val_accuracy"]
    assert model_digest(stopped.model.module) != model_digest(ran.model.module)


def test_head_edges() -> None:
    features, _ = blobs(5)
    one = train_head(features[:1], Targets(np.array([2]), 4))
    assert np.isfinite(one.logits(features)).all() and one.logits(features[:1]).argmax() == 2
    single = train_head(features, Targets(np.full(5, 3), 4))  # one class only
    assert (single.logits(features).argmax(1) == 3).all()
    for bad, match in ((features[:0], "no image"), (features * np.nan, "not finite"), (features[0], "one row")):
        with pytest.raises(UserError, match=match):
            train_head(bad, Targets(np.zeros(len(bad) if bad.ndim > 1 else 5, np.int64), 4))


@pytest.mark.parametrize("arch", ARCHES)
@pytest.mark.parametrize("hidden", [None, 8])
def test_attached_head_is_the_head(arch: str, hidden: int | None, pool_spec: str, tmp_path: Path) -> None:
    """Whole network == head on features; saved, loaded, the same again; the original model is untouched."""
    torch.manual_seed(0)
    model = load_model(arch, num_classes=0, input_size=96 if arch != "test_vit" else None)
    before = model_digest(model.module)
    source = SubsetSource(open_source(pool_spec), range(12))
    features = extract_features(model, source, batch_size=12, progress=False)
    labels = np.arange(12) % 3
    head = train_head(features.values, Targets(labels, 3), hidden=hidden, recipe=Recipe(20))
    whole = attach_head(model, head)
    assert model_digest(model.module) == before and whole.num_classes == 3
    images = LabelledImages(source, labels, ("a", "b", "ü"))
    found = evaluate(whole, images, progress=False)
    assert found.accuracy == (head.logits(features.values).argmax(1) == labels).mean()
    save_checkpoint(tmp_path, whole, class_names=images.class_names, metrics={"x": 1.5}, seed=3, extra={"note": "n"})
    back = load_checkpoint(tmp_path)
    assert back.class_names == images.class_names and back.metrics == {"x": 1.5} and back.meta["seed"] == 3
    assert back.digest == model_digest(whole.module) == model_digest(back.model.module)
    assert back.model.preprocess == whole.preprocess and back.model.head == whole.head
    assert (evaluate(back.model, images, progress=False).confusion == found.confusion).all()
    assert json.loads((tmp_path / "model.json").read_text())["class_names"] == ["a", "b", "ü"]


def test_checkpoint_damage(tmp_path: Path) -> None:
    model = load_model("test_resnet", num_classes=2)
    with pytest.raises(UserError, match="3 class names"):
        save_checkpoint(tmp_path, model, class_names="abc")
    with pytest.raises(UserError, match="no such file"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, model, class_names="ab")
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(UserError, match="damaged"):
        load_checkpoint(tmp_path)
    path.write_bytes(whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])
    with pytest.raises(UserError, match="digest"):
        load_checkpoint(tmp_path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="not a classifier saved by plada"):
        load_checkpoint(tmp_path)
    path.write_bytes(whole.replace(b'\\"version\\": 1', b'\\"version\\": 9'))
    with pytest.raises(UserError, match="version 9"):
        load_checkpoint(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["test_resnet", "test_convnext"])
def test_onnx_computes_the_same(arch: str, tmp_path: Path) -> None:
    import onnx
    from onnx.reference import ReferenceEvaluator

    torch.manual_seed(0)
    model = load_model(arch, num_classes=3, input_size=64)
    path = export_onnx(model, tmp_path / "m.onnx", class_names=["a", "b", "c"])
    proto = onnx.load(str(path))
    onnx.checker.check_model(proto)
    facts = {entry.key: entry.value for entry in proto.metadata_props}
    assert json.loads(facts["class_names"]) == ["a", "b", "c"] and json.loads(facts["preprocess"])["input_size"] == 64
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 64)).astype(np.float32)
    (found,) = ReferenceEvaluator(proto).run(None, {"pixels": pixels})
    mean, std = (np.array(value, np.float32)[:, None, None] for value in (model.preprocess.mean, model.preprocess.std))
    with torch.inference_mode():
        wanted = model.module(torch.from_numpy((pixels / 255 - mean) / std)).numpy()
    assert found.shape == (3, 3) and np.abs(found - wanted).max() < 1e-3


# ---- fit_classifier


def test_head_mode_on_real_images(cifar_spec: str, weights: str, tmp_path: Path) -> None:
    """Even random features tell CIFAR-10 classes apart better than chance; deterministic; the cache changes nothing."""
    task = open_task(cifar_spec)
    options = {"arch": "test_resnet", "weights": weights, "input_size": 32, "progress": False, "device": "cpu"}
    trained = fit_classifier(task.split("trainval"), mode="head", **options)
    assert trained.metrics["mode"] == "head" and trained.metrics["train_count"] == 560 and "frozen" in trained.summary
    found = evaluate(trained.model, task.split("test"), progress=False)
    assert found.accuracy > 0.18
    for _ in range(2):
        again = fit_classifier(task.split("trainval"), mode="head", cache=tmp_path, **options)
        assert model_digest(again.model.module) == model_digest(trained.model.module)
    assert again.metrics["feature_images_per_second"] == 0
    other = fit_classifier(task.split("trainval"), mode="mlp", hidden=32, cache=tmp_path, **options)
    assert other.metrics["mode"] == "mlp" and other.model.head == {"kind": "mlp", "hidden": 32}
    cached = evaluate(trained.model, task.split("test"), cache=tmp_path, progress=False)
    assert (cached.confusion == found.confusion).all()


@pytest.mark.parametrize("given_validation", [True, False])
@pytest.mark.parametrize("helps", [True, False])
def test_auto_keeps_fine_tuning_only_where_it_helps(
    cifar_spec: str, weights: str, tmp_path: Path, helps: bool, given_validation: bool
) -> None:
    """A tiny network with random 'pretrained' weights gains from training, and loses when the rate is absurd."""
    task = open_task(cifar_spec)
    two = [np.flatnonzero(np.isin(task.split(name).labels, (0, 9)))[:80] for name in ("train", "val")]
    parts = [
        dataclasses.replace(part, labels=part.labels // 9, class_names=("airplane", "truck"))
        for part in (task.split("train").subset(two[0]), task.split("val").subset(two[1]))
    ]
    recipe = Recipe(25, lr=2e-3, batch_size=16) if helps else Recipe(1, lr=3.0, batch_size=16)
    trained = fit_classifier(
        parts[0],
        arch="test_resnet",
        weights=weights,
        mode="auto",
        recipe=recipe,
        val=parts[1] if given_validation else None,
        input_size=32,
        cache=tmp_path,
        device="cpu",
        progress=False,
    )
    facts = trained.metrics
    gain = facts["held_out_accuracy_finetuned"] - facts["held_out_accuracy_head"]
    assert (
        (gain > facts["held_out_standard_error"])
        == (facts["mode"] == "finetune")
        == facts["finetuning"].startswith("kept")
    )
    assert facts["held_out_count"] == (len(parts[1]) if given_validation else round(0.2 * len(parts[0])))
    if not helps:
        assert facts["mode"] == "head"
    head = fit_classifier(
        parts[0], arch="test_resnet", weights=weights, mode="head", input_size=32, progress=False, device="cpu"
    )
    same = model_digest(head.model.module) == model_digest(trained.model.module)
    assert same == (facts["mode"] == "head")


def test_auto_says_what_it_did_not_try(cifar_spec: str, weights: str) -> None:
    task = open_task(cifar_spec)
    options = {"arch": "test_resnet", "weights": weights, "input_size": 32, "progress": False, "device": "cpu"}
    few = task.split("train").subset(np.arange(10))
    alone = dataclasses.replace(few, labels=np.arange(10))
    assert "nothing can be held out" in fit_classifier(alone, **options).metrics["finetuning"]
    large = fit_classifier(task.split("train"), recipe=Recipe(100), **options)
    assert large.metrics["finetuning"].startswith("not tried: 45000 image passes")


def test_without_pretrained_weights_all_is_trained(cifar_spec: str) -> None:
    task = open_task(cifar_spec)
    few = task.split("train").subset(np.arange(60))
    options = {"arch": "test_resnet", "input_size": 32, "progress": False, "device": "cpu"}
    trained = fit_classifier(few, recipe=Recipe(2), val=task.split("val"), **options)
    assert trained.metrics["mode"] == "scratch" and 0 <= trained.metrics["val_accuracy"] <= 1
    paper = fit_classifier(few, mode="paper", pool_size=14_197_087, **options)
    assert paper.metrics["epochs"] == 5
    seeds = [
        model_digest(fit_classifier(few, recipe=Recipe(1), seed=seed, **options).model.module) for seed in (0, 0, 1)
    ]
    assert seeds[0] == seeds[1] != seeds[2]


def test_fine_tune_mode_goes_on_from_the_head(cifar_spec: str, weights: str, tmp_path: Path) -> None:
    task = open_task(cifar_spec)
    few = task.split("train").subset(np.arange(60))
    options = {
        "arch": "test_resnet",
        "weights": weights,
        "mode": "finetune",
        "input_size": 32,
        "progress": False,
        "device": "cpu",
    }
    recipe = Recipe.finetune(60).replace(epochs=2)
    first = fit_classifier(few, recipe=recipe, work_dir=tmp_path, **options)
    head = fit_classifier(few, **options | {"mode": "head"})
    assert first.metrics["mode"] == "finetune"
    assert first.metrics["train_loss"] < math.log(10)  # it did not begin with a fresh classifier
    assert model_digest(first.model.module) != model_digest(head.model.module)
    again = fit_classifier(few, recipe=recipe, work_dir=tmp_path, **options)  # finished: nothing is trained
    assert model_digest(again.model.module) == model_digest(first.model.module)


def test_bad_requests(cifar_spec: str, weights: str) -> None:
    task = open_task(cifar_spec)
    few = task.split("train").subset(np.arange(20))
    for options, match in (
        ({"mode": "x"}, "mode must be"),
        ({"mode": "head"}, "needs pretrained weights"),
        ({"targets": Targets(np.zeros(3, np.int64), 10)}, "20 images but 3 targets"),
        ({"targets": Targets(np.zeros(20, np.int64), 4)}, "4 classes"),
        ({"val": dataclasses.replace(few, class_names=tuple("abcdefghij"))}, "different classes"),
        ({"device": "nonsense"}, "device"),
        ({"arch": "nonsense"}, "no model"),
    ):
        with pytest.raises(UserError, match=match):
            fit_classifier(few, **({"arch": "test_resnet", "progress": False} | options))


# ---- evaluation


def test_evaluation_counts() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 0, 1, 2, 2, 2]]
    found = evaluate_logits(logits, np.array([0, 1, 1, 1, 2, 2]), ("a", "b", "c"))
    assert found.confusion.tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 2]]
    assert found.accuracy == pytest.approx(4 / 6) and np.allclose(found.per_class, [1, 1 / 3, 1])
    assert found.balanced_accuracy == pytest.approx(7 / 9)
    assert found.standard_error == pytest.approx(math.sqrt(4 / 6 * 2 / 6 / 6))


def test_undecodable_images_count_as_wrong_and_empty_classes_are_none() -> None:
    logits = np.eye(3, dtype=np.float32)[[0, 1, 1]]
    found = evaluate_logits(logits, np.array([0, 1, 1]), ("a", "b", "c"), np.array([0, 131, 1], np.uint8))
    assert found.accuracy == pytest.approx(2 / 3) and found.confusion.sum() == 2
    assert found.per_class[1] == 0.5 and math.isnan(found.per_class[2])
    plain = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert plain["classes"][2] == {"name": "c", "count": 0, "accuracy": None}
    assert plain["status"] == {"ok": 1, "grey": 1, "truncated": 1}


def test_class_counts_include_undecodable_images() -> None:
    found = evaluate_logits(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"), np.array([131, 0], np.uint8))
    assert [entry["count"] for entry in found.to_json()["classes"]] == [1, 1]


def test_evaluation_refuses_nonsense() -> None:
    with pytest.raises(UserError, match="compare"):
        evaluate_logits(np.zeros((0, 2), np.float32), np.zeros(0, np.int64), ("a", "b"))
    with pytest.raises(UserError, match="labels"):
        evaluate_logits(np.zeros((1, 2), np.float32), np.array([2]), ("a", "b"))


def test_wrong_number_of_classes(cifar_spec: str) -> None:
    model: LoadedModel = load_model("test_resnet", num_classes=3, input_size=32)
    with pytest.raises(UserError, match="3 classes"):
        evaluate(model, open_task(cifar_spec).split("test"), progress=False)
    assert Evaluation.__doc__
