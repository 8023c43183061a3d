"""Fixtures of the tests of every step."""

from __future__ import annotations

from pathlib import Path

import pytest
from step_world import World, make_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    import torch

    torch.set_num_threads(1)  # children are forked: no other thread may hold a lock
    patch = pytest.MonkeyPatch()
    patch.setenv("PLADA_CACHE", str(tmp_path_factory.mktemp("cache")))
    return make_world(tmp_path_factory.mktemp("steps"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder
