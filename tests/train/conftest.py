"""Real images for the tests of plada_train, and one thread."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[1] / "data"


@pytest.fixture(scope="session")
def pool_spec() -> str:
    """2,000 real pool images."""
    return f"npz:{DATA / 'pool_2k.npz'}"


@pytest.fixture(scope="session")
def cifar_spec() -> str:
    """560 + 140 real CIFAR-10 images."""
    return f"npz:{DATA / 'cifar10_ci.npz'}"


@pytest.fixture(scope="session")
def pool_images(pool_spec: str) -> list[bytes]:
    """The first 60 pool images as bytes."""
    from plada_train import open_source

    source = open_source(pool_spec)
    return [source.read(index) for index in range(60)]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test writes into the user's cache."""
    monkeypatch.setenv("PLADA_CACHE", str(tmp_path / "plada-cache"))
