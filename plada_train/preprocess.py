"""From decoded images to the tensor that a model wants: a rule per image, recorded in every checkpoint."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plada_format.errors import UserError

from .decode import FORMATS, MAX_PIXELS, decode_pil

if TYPE_CHECKING:
    import torch

    from .loader import Batch
    from .sources import ImageSource

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
MAX_SIZE = 4096


@dataclass(frozen=True)
class Preprocess:
    """How an image becomes model input. Depends on the image alone, never on its batch.

    The middle square of the decoded RGB image is resized to ``input_size``; then ``(pixel / 255 - mean) / std`` per
    channel.
    Images that are squares of ``source_size`` already are resized in whole batches where the model runs, several times
    faster for pools of small images; all others by Pillow. On a CPU both agree to one step of 255.

    Attributes:
        input_size: side of the model's input, pixels.
        mean, std: per channel, of pixels in [0, 1].
        interpolation: ``bilinear`` or ``bicubic``; both with antialiasing.
        source_size: side of the stored squares that go to the device as they are, or None.
    """

    input_size: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bicubic"
    source_size: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        if self.interpolation not in _FILTERS:
            raise UserError(f"interpolation must be one of {', '.join(_FILTERS)}, not {self.interpolation!r}")
        for size in (self.input_size, self.input_size if self.source_size is None else self.source_size):
            if not 1 <= size <= MAX_SIZE:
                raise UserError(f"image sizes must lie between 1 and {MAX_SIZE} pixels, not {size}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise UserError("mean and std need three values each, std above 0")

    @property
    def stored_size(self) -> int:
        """Side of the squares that the loader makes."""
        return self.source_size or self.input_size

    def for_source(self, source: ImageSource) -> Preprocess:
        """The same rule, with the ``source_size`` that suits the images of ``source``."""
        return replace(self, source_size=auto_source_size(source, self.input_size))

    def to_json(self) -> dict[str, Any]:
        """Plain values, for checkpoints."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preprocess:
        """Inverse of :meth:`to_json`.

        Raises:
            UserError: a value is missing or of the wrong kind.
        """
        try:
            return cls(
                int(values["input_size"]),
                tuple(values["mean"]),
                tuple(values["std"]),
                str(values["interpolation"]),
                None if values.get("source_size") is None else int(values["source_size"]),
            )
        except (KeyError, TypeError) as problem:
            raise UserError(f"preprocessing settings are damaged: {problem!r}") from None

    def digest(self) -> str:
        """SHA-256 in hex of all settings."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def square(
    data: bytes, preprocess: Preprocess, *, max_pixels: int = MAX_PIXELS
) -> tuple[NDArray[np.uint8] | None, int]:
    """Decode an image file and cut it to its middle square.

    Returns:
        uint8 (S, S, 3), S being ``source_size`` for images of just that size and ``input_size`` for all others; or
        None for
        an unusable image. And the status byte.
    """
    image, status = decode_pil(data, max_pixels=max_pixels)
    if image is None:
        return None, status
    size, kept = preprocess.input_size, preprocess.source_size
    if image.size not in ((size, size), (kept, kept)):
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        # Cut first: resize's own box would let pixels outside of it into the filter.
        image = image.crop((left, top, left + side, top + side)).resize(
            (size, size), _FILTERS[preprocess.interpolation]
        )
    return np.asarray(image), status


def auto_source_size(source: ImageSource, input_size: int, *, sample: int = 64) -> int | None:
    """Side of the stored images if a spread-out sample are all squares of one size below ``input_size``, else None."""
    count = len(source)
    sizes: set[tuple[int, int]] = set()
    for index in sorted({place * count // min(sample, count) for place in range(min(sample, count))}):
        try:
            with Image.open(io.BytesIO(source.read(index)), formats=FORMATS) as image:
                sizes.add(image.size)
        except Exception:  # an unusable image says nothing about the others
            continue
    if len(sizes) != 1:
        return None
    width, height = sizes.pop()
    return width if width == height < input_size else None


class Normalise:
    """Batches of stored squares -> model input, on the device of the model.

    Args:
        preprocess: the rule.
        device: where the model runs.
        dtype: of the result.
        channels_last: memory format of the result.
    """

    def __init__(
        self,
        preprocess: Preprocess,
        device: torch.device | str = "cpu",
        dtype: torch.dtype | None = None,
        channels_last: bool = True,
    ) -> None:
        import torch

        self.preprocess = preprocess
        self.device = torch.device(device)
        self.on_cuda = self.device.type == "cuda"  # where resizing happens; other GPUs may lack the antialiasing
        self.dtype = dtype or torch.float32
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        mean = torch.tensor(preprocess.mean, dtype=torch.float32) * 255
        std = torch.tensor(preprocess.std, dtype=torch.float32) * 255
        self._mean = mean.view(1, 3, 1, 1).to(self.device)
        self._scale = (1 / std).view(1, 3, 1, 1).to(self.device)

    def __call__(self, batch: Batch | torch.Tensor) -> torch.Tensor:
        """A batch, or uint8 (B, S, S, 3), -> (B, 3, input_size, input_size)."""
        import torch

        images, odd = (batch, {}) if isinstance(batch, torch.Tensor) else (batch.images, batch.odd)
        if self.on_cuda:
            images = images.to(self.device, non_blocking=True)
        pixels = self._resized(images.permute(0, 3, 1, 2)).to(self.device)
        if odd:
            rows = torch.tensor(sorted(odd), device=self.device)
            stacked = torch.stack([odd[row] for row in sorted(odd)]).to(self.device).permute(0, 3, 1, 2)
            pixels = pixels.index_copy(0, rows, stacked.to(pixels.dtype))
        scaled = (pixels.to(torch.float32) - self._mean).mul_(self._scale)
        return scaled.to(dtype=self.dtype, memory_format=self.format)

    def _resized(self, pixels: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        size, mode = self.preprocess.input_size, self.preprocess.interpolation
        if pixels.shape[-1] == size:
            return pixels
        if not self.on_cuda:  # the integer kernel is twice as fast and equals Pillow's; GPUs have none
            return functional.interpolate(pixels, size=(size, size), mode=mode, antialias=True)
        return (
            functional.interpolate(pixels.float(), size=(size, size), mode=mode, antialias=True).clamp_(0, 255).round_()
        )
