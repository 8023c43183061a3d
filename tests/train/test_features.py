"""Features: right, cached by content, complete after a kill, and the same whatever was cached."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from plada_format.errors import UserError
from plada_train import LoadedModel, Preprocess, Status, SubsetSource, extract_features, load_model, open_source
from plada_train.models import features_of


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    torch.manual_seed(0)
    return load_model("test_resnet", num_classes=4, input_size=64)


def test_features_are_those_of_the_backbone(model: LoadedModel, pool_spec: str) -> None:
    from plada_train import BatchLoader, Normalise

    source = open_source(pool_spec)
    found = extract_features(model, source, np.arange(40, 75), batch_size=16, progress=False)
    (batch,) = BatchLoader(source, np.arange(40, 75), model.preprocess, batch_size=35)
    with torch.inference_mode():
        wanted = features_of(model.module, Normalise(model.preprocess)(batch)).numpy()
    assert found.values.shape == (35, model.feature_dim) and found.indices.tolist() == list(range(40, 75))
    assert np.abs(found.values - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert found.images_per_second > 0 and found.cached == 0


def test_cache_is_by_content_and_overlap_is_free(model: LoadedModel, pool_spec: str, tmp_path: Path) -> None:
    source = open_source(pool_spec)
    rule = Preprocess(64)
    cold = extract_features(model, source, np.arange(50), preprocess=rule, progress=False, batch_size=16)
    first = extract_features(
        model, source, np.arange(30), preprocess=rule, cache=tmp_path, progress=False, batch_size=16
    )
    assert (first.values == cold.values[:30]).all()
    again = extract_features(
        model, SubsetSource(source, [29, 3, 49]), preprocess=rule, cache=tmp_path, progress=False, batch_size=16
    )
    assert again.cached == 2 and (again.values == cold.values[[29, 3, 49]]).all()
    full = extract_features(
        model, source, np.arange(50), preprocess=rule, cache=tmp_path, progress=False, batch_size=16
    )
    assert full.cached == 31 and (full.values == cold.values).all()


def test_other_model_or_rule_is_another_cache(model: LoadedModel, pool_spec: str, tmp_path: Path) -> None:
    source = open_source(pool_spec)
    some = np.arange(20)
    extract_features(model, source, some, preprocess=Preprocess(64), cache=tmp_path, progress=False)
    assert extract_features(model, source, some, preprocess=Preprocess(48), cache=tmp_path, progress=False).cached == 0
    torch.manual_seed(5)
    other = load_model("test_resnet", num_classes=4, input_size=64)
    assert extract_features(other, source, some, preprocess=Preprocess(64), cache=tmp_path, progress=False).cached == 0
    model.module.reset_classifier(9)  # the classifier plays no part
    assert extract_features(model, source, some, preprocess=Preprocess(64), cache=tmp_path, progress=False).cached == 20


def test_bad_images_are_zero_and_say_so(model: LoadedModel, tmp_path: Path, pool_images: list[bytes]) -> None:
    for number, data in enumerate((pool_images[0], b"junk", pool_images[1], b"")):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    source = open_source(f"folder:{tmp_path}")
    (tmp_path / "2.jpg").unlink()
    for _ in range(2):
        found = extract_features(model, source, cache=tmp_path / "cache", progress=False)
        assert found.status.tolist() == [0, Status.FORMAT, Status.UNREADABLE, Status.EMPTY]
        assert found.values[0].any() and not found.values[1:].any()
    assert found.cached == 3
    (tmp_path / "2.jpg").write_bytes(pool_images[1])  # an image that comes back is looked at again
    assert extract_features(model, source, cache=tmp_path / "cache", progress=False).status[2] == 0


def test_damaged_cache_file_is_named(model: LoadedModel, pool_spec: str, tmp_path: Path) -> None:
    source = open_source(pool_spec)
    extract_features(model, source, np.arange(5), cache=tmp_path, progress=False)
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=path.name):
        extract_features(model, source, np.arange(5), cache=tmp_path, progress=False)


SCRIPT = """
import sys, torch, numpy as np
torch.set_num_threads(1)
import plada_train.features as features
from plada_train import load_model, open_source, Preprocess
features._IMAGES_PER_FILE = 64
torch.manual_seed(0)
model = load_model("test_resnet", num_classes=4, input_size=64)
found = features.extract_features(
    model, open_source(sys.argv[1]), np.arange(1000), preprocess=Preprocess(64), cache=sys.argv[2], progress=False
)
np.save(sys.argv[3], found.values)
print(found.cached)
"""


def test_kill_and_resume(pool_spec: str, tmp_path: Path) -> None:
    def start(cache: str, out: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-c", SCRIPT, pool_spec, str(tmp_path / cache), str(tmp_path / out)]
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)

    assert start("whole", "whole.npy").wait(300) == 0
    job = start("killed", "killed.npy")
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "killed").rglob("*.safetensors"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    assert not (tmp_path / "killed.npy").exists(), "finished before it could be killed"
    job = start("killed", "killed.npy")
    out, _ = job.communicate(timeout=300)
    assert 3 * 64 <= int(out) < 1000
    assert (np.load(tmp_path / "killed.npy") == np.load(tmp_path / "whole.npy")).all()
