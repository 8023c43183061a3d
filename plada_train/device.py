"""Torch's process-wide settings, made in one place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from plada_format.errors import UserError

if TYPE_CHECKING:
    import torch


def calm_threads() -> None:
    """Make waiting OpenMP threads sleep instead of spin. Only works before torch is imported: commands call it first.

    Spinning threads make a machine that has other work to do 10 to 80 times slower.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def set_up_torch(threads: int | None = None, deterministic: bool = False) -> None:
    """Set the number of CPU threads (default: leave it) and, if asked, allow only deterministic algorithms."""
    calm_threads()
    import torch

    if threads is not None:
        if threads < 1:
            raise UserError(f"the number of threads must be at least 1, not {threads}")
        torch.set_num_threads(threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` (CUDA, else Apple's GPU, else CPU), or a torch device name.

    Raises:
        UserError: no such device here.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as problem:
        raise UserError(f"device {name!r}: {str(problem).splitlines()[0]}") from None
    return device


def seed_torch(seed: int, device: torch.device) -> None:
    """As ``torch.manual_seed``, but for the CPU and ``device`` alone: all kinds of device take milliseconds."""
    import torch

    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed_all(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
