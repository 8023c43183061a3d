"""Small real images, small networks, one thread."""

from __future__ import annotations

import os

os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")

from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
SPEC = f"npz:{ROOT / 'tests' / 'data' / 'cifar10_ci.npz'}"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def task_spec():
    """560 + 140 real CIFAR-10 images."""
    return SPEC


@pytest.fixture(scope="session")
def train_images():
    """560 training images, 16 pixels wide."""
    from plada_distill import load_images
    from plada_train import open_task

    return load_images(open_task(SPEC, val_fraction=0).split("train"), size=16)


@pytest.fixture(scope="session")
def test_images():
    """140 test images, 16 pixels wide."""
    from plada_distill import load_images
    from plada_train import open_task

    return load_images(open_task(SPEC, val_fraction=0).split("test"), size=16)
