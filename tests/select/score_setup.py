"""A small real pool and a teacher with fixed random weights, for the tests of scoring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent.parent / "data"
CLASSES = ("ant", "bee", "cat", "dog", "elk")
CHUNK = 100


def pool_source(count: int = 450) -> Any:
    """The first images of the real test pool."""
    from plada_train import SubsetSource, open_source

    return SubsetSource(open_source(str(DATA / "pool_2k.npz")), np.arange(count))


def write_manifest(source: Any, path: Path) -> Path:
    """A manifest of all images of a source."""
    import plada_format as pf

    with pf.ManifestBuilder(path, name="test pool", overwrite=True) as builder:
        for i in range(len(source)):
            builder.add(source.key(i), source.image_digest(i))
    return path


def write_teacher(folder: Path, seed: int = 0, arch: str = "test_efficientnet") -> Path:
    """A timm test model with random weights; scoring only needs logits that differ from image to image."""
    import torch

    from plada_train import load_model, save_checkpoint

    torch.manual_seed(seed)
    model = load_model(arch, "none", num_classes=len(CLASSES), input_size=96)
    with torch.no_grad():
        for parameter in model.module.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return save_checkpoint(folder, model, class_names=CLASSES, seed=seed)


def context(folder: Path, manifest: Path, teacher: Path, source: Any = None, **options: Any) -> Any:
    """A scoring context with small chunks."""
    import plada_format as pf
    from plada_select.score import open_context
    from plada_train import load_checkpoint

    settings: dict[str, Any] = {"chunk_rows": CHUNK, "batch_size": 32, "device": "cpu", **options}
    pool = pool_source() if source is None else source
    return open_context(pool, pf.Manifest.open(manifest), load_checkpoint(teacher), folder, **settings)
