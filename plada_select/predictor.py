"""The teacher's forward pass with precision and compilation chosen once: uint8 batches in, float32 logits out."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

if TYPE_CHECKING:
    from plada_train import LoadedModel, Preprocess

_logger = logging.getLogger(__name__)

DTYPES = ("float32", "bfloat16")


def library_versions() -> dict[str, str]:
    """Versions of what decides the logits' last bits."""
    import PIL
    import torch

    from plada_train import import_timm

    return {"pillow": PIL.__version__, "timm": import_timm().__version__, "torch": str(torch.__version__)}


class Predictor:
    """Logits of fixed-size batches.

    Args:
        model: the teacher; moved to the device, eval mode.
        preprocess: of the batches that :meth:`start` gets.
        device: "auto", "cpu" or "cuda".
        dtype: "float32", "bfloat16" (autocast) or "auto": bfloat16 on a GPU, float32 on a CPU.
        batch_size: rows of every batch.
        compile_model: "off", "on", or "auto": a timed trial on random pixels; eager where compiling fails or gains less
            than 5 %.
    """

    def __init__(
        self,
        model: LoadedModel,
        preprocess: Preprocess,
        *,
        device: str = "auto",
        dtype: str = "auto",
        batch_size: int = 64,
        compile_model: str = "off",
    ) -> None:
        import torch

        from plada_train import Normalise, pick_device

        if batch_size < 1:
            raise UserError(f"batch size must be at least 1, got {batch_size}")
        if compile_model not in ("off", "on", "auto"):
            raise UserError(f"compile {compile_model!r} is none of off, on, auto")
        self.device = pick_device(device)
        self.device_type = self.device.type
        self.dtype = ("bfloat16" if self.device_type == "cuda" else "float32") if dtype == "auto" else dtype
        if self.dtype not in DTYPES:
            raise UserError(f"dtype {dtype!r} is none of auto, {', '.join(DTYPES)}")
        self.batch_size = batch_size
        self.preprocess = preprocess
        self.normalise = Normalise(preprocess, self.device)
        module: Any = model.module.to(self.device).eval()
        self._module = module.to(memory_format=torch.channels_last)
        self.compiled = False
        if compile_model != "off":
            self._compile(must=compile_model == "on")

    def start(self, batch: Any) -> Any:
        """Begin a forward pass of a :class:`plada_train.Batch` or of uint8 (B, S, S, 3); on a GPU this returns before
        it is done."""
        import torch

        if self.device_type == "cuda":
            batch = _pinned(batch)
        with torch.inference_mode():
            return self.forward(self.normalise(batch))

    def forward(self, pixels: Any) -> Any:
        """The model alone, on normalised pixels (B, 3, S, S) that lie on the device."""
        import torch

        with torch.inference_mode(), self._autocast():
            return self._module(pixels)

    def _autocast(self) -> Any:
        import torch

        return torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=self.dtype == "bfloat16")

    def finish(self, handle: Any) -> NDArray[np.float32]:
        """Logits float32 (B, classes) of a pass that :meth:`start` began."""
        return np.asarray(handle.float().cpu().numpy())

    def logits(self, images: Any) -> NDArray[np.float32]:
        """Logits float32 (B, classes) of uint8 (B, S, S, 3)."""
        return self.finish(self.start(images))

    def _compile(self, *, must: bool) -> None:
        import torch

        size = self.preprocess.source_size or self.preprocess.input_size
        sample = torch.randint(
            0, 256, (self.batch_size, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        eager = self._module
        eager_seconds = 0.0 if must else self._best_time(sample)
        try:
            self._module = torch.compile(eager)
            compiled_seconds = self._best_time(sample)
        except Exception as reason:  # whatever the compiler raises: eager is always right
            self._module = eager
            if must:
                raise UserError(
                    f"torch.compile failed ({type(reason).__name__}: {str(reason).splitlines()[0][:200]}); use"
                    f" --compile off"
                ) from None
            _logger.warning("torch.compile failed (%s); running without it", type(reason).__name__)
            return
        self.compiled = must or compiled_seconds < 0.95 * eager_seconds
        if not self.compiled:
            self._module = eager
        if not must:
            _logger.info(
                "compile trial: eager %.1f ms, compiled %.1f ms a batch", 1e3 * eager_seconds, 1e3 * compiled_seconds
            )

    def _best_time(self, sample: Any) -> float:
        self.logits(sample)  # warm-up, and the compilation itself
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            self.logits(sample)
            seconds.append(time.perf_counter() - began)
        return min(seconds)


def _pinned(batch: Any) -> Any:
    """The batch with its pixels in page-locked memory, from where they travel while the device computes."""
    import torch

    if isinstance(batch, torch.Tensor):
        return batch.pin_memory()
    return replace(batch, images=batch.images.pin_memory())
