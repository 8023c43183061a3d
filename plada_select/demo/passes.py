"""How many images went through a backbone: counted where they enter it, whatever code sends them."""

from __future__ import annotations

from types import TracebackType
from typing import Any


class PassCounter:
    """Counts images that enter a network's first convolution (three input channels) in this process.

    Images that only fill up a batch count as well. Forward and backward count as one pass each, so a training step
    counts its images twice.

    Attributes:
        count: passes since the counter was made.
    """

    def __init__(self) -> None:
        self.count = 0
        self._handle: Any = None

    def __enter__(self) -> PassCounter:
        from torch.nn.modules.module import register_module_forward_pre_hook

        self._handle = register_module_forward_pre_hook(self._seen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._handle.remove()

    def _seen(self, module: Any, inputs: tuple[Any, ...]) -> None:
        import torch

        if isinstance(module, torch.nn.Conv2d) and module.in_channels == 3 and inputs and inputs[0].ndim == 4:
            backward = torch.is_grad_enabled() and module.weight.requires_grad
            self.count += len(inputs[0]) * (2 if backward else 1)
