"""A demo and an experiment small enough for tests: real images, timm's test networks with fixed random weights."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from demo_settings import STUDENT, TEACHER


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Architecture -> safetensors file. Random features: good enough for a head that beats chance."""
    import torch
    from safetensors.torch import save_file

    from plada_train import load_model

    folder = tmp_path_factory.mktemp("weights")
    files = {}
    for number, arch in enumerate((TEACHER, STUDENT)):
        torch.manual_seed(number)
        module = load_model(arch, "none", num_classes=0).module
        path = folder / f"{arch}.safetensors"
        save_file({name: value.contiguous() for name, value in module.state_dict().items()}, str(path))
        files[arch] = str(path)
    return files
