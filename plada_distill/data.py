"""Labelled images as tensors in memory: these data sets are small, and every image is needed again and again."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from plada_format.errors import UserError
from plada_train import ImageSource, LabelledImages, Preprocess
from plada_train.preprocess import square

# Fixed, so that no statistic of anybody's private images is needed or told.
MEAN, STD = 0.5, 0.25


@dataclass(frozen=True)
class Images:
    """n labelled images on one device.

    Attributes:
        pixels: float32 (n, C, S, S), ``(pixel / 255 - 0.5) / 0.25``; C is 1 where all images are grey.
        labels: int64 (n,).
        class_names: one per class.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or len(self.pixels) != len(self.labels) or not self.class_names:
            raise UserError(f"images of shape {tuple(self.pixels.shape)} do not go with {len(self.labels)} labels")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        return int(self.pixels.shape[1])

    @property
    def size(self) -> int:
        return int(self.pixels.shape[2])

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def subset(self, positions: NDArray[np.integer] | Sequence[int]) -> Images:
        """The images at ``positions``."""
        places = torch.as_tensor(np.asarray(positions, np.int64))
        return Images(self.pixels[places], self.labels[places], self.class_names)

    def relabelled(self, labels: NDArray[np.integer]) -> Images:
        """The same images with other labels."""
        return Images(self.pixels, torch.as_tensor(np.asarray(labels, np.int64)), self.class_names)

    def of_class(self, label: int) -> torch.Tensor:
        """Positions of the images of one class, int64, rising."""
        return torch.nonzero(self.labels == label).flatten()

    def to(self, device: torch.device | str) -> Images:
        """The same images elsewhere."""
        return Images(self.pixels.to(device), self.labels.to(device), self.class_names)

    def digest(self) -> str:
        """SHA-256 in hex over shapes, pixels and labels."""
        total = hashlib.sha256(repr(tuple(self.pixels.shape)).encode())
        total.update(self.pixels.detach().cpu().contiguous().numpy().tobytes())
        total.update(self.labels.cpu().numpy().astype("<i8").tobytes())
        return total.hexdigest()


def load_images(images: LabelledImages, *, size: int | None = None, channels: int | None = None) -> Images:
    """Decode labelled images into memory: the middle square, ``size`` pixels wide.

    Args:
        images: what to decode; images that cannot be decoded are left out.
        size: side in pixels; None: the shorter side of the first image.
        channels: 1 or 3; None: 1 if every image is grey, else 3.

    Raises:
        UserError: no image can be decoded.
    """
    pixels, good = load_pixels(images.source, size=size, channels=channels)
    labels = torch.from_numpy(images.labels[good])
    return Images(normalise(pixels), labels, images.class_names)


def load_pixels(
    source: ImageSource,
    positions: Sequence[int] | None = None,
    *,
    size: int | None = None,
    channels: int | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Decode images: uint8 (m, S, S, C) of those that can be decoded, and which they are, int64 (m,) into
    ``positions``.

    Raises:
        UserError: none can be decoded, or ``channels`` is not 1 or 3.
    """
    if channels not in (None, 1, 3):
        raise UserError(f"images have 1 or 3 channels, not {channels}")
    order = range(len(source)) if positions is None else positions
    rule: Preprocess | None = None if size is None else Preprocess(size)
    found: list[NDArray[np.uint8]] = []
    good: list[int] = []
    for place, index in enumerate(order):
        data = source.read(int(index))
        if rule is None:
            try:
                with Image.open(io.BytesIO(data)) as image:
                    rule = Preprocess(min(image.size))
            except (OSError, SyntaxError, ValueError):  # the decoder below says what is wrong with it
                continue
        values, _ = square(data, rule)
        if values is not None:
            found.append(values)
            good.append(place)
    if not found:
        raise UserError(f"{source.spec}: no image can be decoded")
    stacked = np.stack(found)
    grey = bool((stacked[..., :1] == stacked).all()) if channels is None else channels == 1
    if grey:
        stacked = stacked[..., :1] if (stacked[..., :1] == stacked).all() else _luma(stacked)
    return stacked, np.array(good, np.int64)


def normalise(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 (n, S, S, C) -> float32 (n, C, S, S)."""
    values = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).to(torch.float32)
    return (values / 255 - MEAN) / STD


def denormalise(values: torch.Tensor) -> NDArray[np.uint8]:
    """float (n, C, S, S) -> uint8 (n, S, S, C), rounded and cut to 0..255."""
    scaled = ((values.detach().cpu().double() * STD + MEAN) * 255).round().clamp(0, 255)
    return np.ascontiguousarray(scaled.to(torch.uint8).numpy().transpose(0, 2, 3, 1))


def _luma(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    weights = np.array([299, 587, 114], np.int64)
    return ((pixels.astype(np.int64) @ weights + 500) // 1000).astype(np.uint8)[..., None]
