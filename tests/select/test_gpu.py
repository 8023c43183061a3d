"""What differs on a CUDA device: bfloat16, channels_last, pinned batches, compiling (``pytest -m gpu``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from score_setup import context, pool_source, write_manifest, write_teacher

from plada_select.score import score_chunk
from plada_select.scoretable import chunk_name
from plada_select.tensorfile import TensorFile

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("setup")
    return write_manifest(pool_source(), folder / "pool.manifest"), write_teacher(folder / "teacher")


def scores(folder: Path, setup: tuple[Path, Path], **options: Any) -> dict[str, np.ndarray]:
    job = context(folder, *setup, **options)
    score_chunk(job, 0)
    return TensorFile.open(folder / chunk_name(0)).read()


@pytest.mark.parametrize(("dtype", "close"), [("float32", 2e-2), ("bfloat16", 0.5)])
def test_scores_are_those_of_the_cpu(setup: tuple[Path, Path], tmp_path: Path, dtype: str, close: float) -> None:
    here = scores(tmp_path / "cpu", setup)
    there = scores(tmp_path / "gpu", setup, device="cuda", dtype=dtype)
    assert np.abs(here["energy"] - there["energy"]).max() < close
    again = scores(tmp_path / "again", setup, device="cuda", dtype=dtype)
    assert all((there[name] == again[name]).all() for name in there)


def test_auto_is_bfloat16_and_compiling_may_be_tried(setup: tuple[Path, Path], tmp_path: Path) -> None:
    job = context(tmp_path / "t", *setup, device="cuda", compile_model="auto")
    assert job.provenance.dtype == "bfloat16" and job.provenance.device == "cuda"
    assert job.provenance.compiled in (True, False)
    assert score_chunk(job, 0).unusable == 0


def test_training_with_and_without_amp(tmp_path: Path) -> None:
    from plada_train import Recipe, fine_tune, load_model, open_task
    from plada_train.finetune import ImageData

    task = open_task(str(Path(__file__).parents[1] / "data" / "cifar10_ci.npz"))
    for amp in ("auto", "off"):
        torch.manual_seed(0)
        model = load_model("test_resnet", num_classes=10, input_size=32)
        recipe = Recipe(6, batch_size=32, lr=2e-3, augment="crop", amp=amp)
        options = {"recipe": recipe, "val": task.split("val"), "device": "cuda", "progress": False}
        result = fine_tune(model, task.split("train"), **options)
        assert result.history[-1]["loss"] < result.history[0]["loss"]
    data = ImageData(task.split("train").source, model, torch.device("cuda"))
    inputs, rows = next(data.batches(np.arange(8), 8, 0))
    assert inputs.is_cuda and rows.is_cuda and inputs.is_contiguous(memory_format=torch.channels_last)
