"""Differentiable augmentation (DSA): one random transformation per call, drawn from a seed.

Siamese use, for matching: real and synthetic images get the very same transformation with the very same strength, so
both sides only need the same seed. For training each image gets its own strength.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from .settings import check_augment

# Strengths as published with DSA.
_BRIGHTNESS, _SATURATION, _CONTRAST = 1.0, 2.0, 0.5
_SHIFT, _CUTOUT, _SCALE, _DEGREES = 0.125, 0.5, 1.2, 15.0


def augment(images: torch.Tensor, names: tuple[str, ...], seed: int, *, siamese: bool) -> torch.Tensor:
    """Apply one of the named transformations, drawn from ``seed``.

    Args:
        images: float (B, C, S, S), normalised; the result is differentiable in them.
        names: any of color, crop, cutout, flip, scale, rotate; none: the images come back as they are.
        seed: of the choice and of all strengths.
        siamese: one strength for the whole batch, so that another batch of any size gets the same; else one for each
            image.

    Raises:
        UserError: unknown name.
    """
    check_augment(names)
    if not names or not len(images):
        return images
    generator = torch.Generator().manual_seed(seed)
    name = names[int(torch.randint(len(names), (1,), generator=generator))]
    count = 1 if siamese else len(images)
    draws = torch.rand((6, count), generator=generator).to(images.device)
    return _TRANSFORMS[name](images, draws)


def _color(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    strength = draws.view(6, -1, 1, 1, 1)
    images = images + (strength[0] - 0.5) * _BRIGHTNESS
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (strength[1] * _SATURATION) + grey
    level = images.mean((1, 2, 3), keepdim=True)
    return (images - level) * (strength[2] + _CONTRAST) + level


def _flip(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    return torch.where((draws[0] < 0.5).view(-1, 1, 1, 1), images.flip(3), images)


def _crop(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    size = images.shape[-1]
    reach = int(size * _SHIFT + 0.5)
    down = (draws[0] * (2 * reach + 1)).long() - reach
    right = (draws[1] * (2 * reach + 1)).long() - reach
    padded = functional.pad(images, (reach,) * 4)
    if len(down) == 1:
        top, left = reach + int(down[0]), reach + int(right[0])
        return padded[:, :, top : top + size, left : left + size]
    places = torch.arange(size, device=images.device)
    rows = (places + reach).view(1, -1, 1) + down.view(-1, 1, 1)
    columns = (places + reach).view(1, 1, -1) + right.view(-1, 1, 1)
    which = torch.arange(len(images), device=images.device).view(-1, 1, 1)
    return padded.permute(0, 2, 3, 1)[which, rows, columns].permute(0, 3, 1, 2)


def _cutout(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    size = images.shape[-1]
    side = int(size * _CUTOUT + 0.5)
    centre = (draws[:2] * (size + 1 - side % 2)).long() - side // 2  # top and left edge; may stick out
    places = torch.arange(size, device=images.device)
    inside = [(places >= edge.view(-1, 1)) & (places < edge.view(-1, 1) + side) for edge in centre]
    hole = inside[0].unsqueeze(2) & inside[1].unsqueeze(1)
    kept: torch.Tensor = (~hole).unsqueeze(1).to(images.dtype)
    return images * kept


def _scale(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    factors = draws[:2] * (_SCALE - 1 / _SCALE) + 1 / _SCALE
    zero = torch.zeros_like(factors[0])
    return _warp(images, ((factors[0], zero, zero), (zero, factors[1], zero)))


def _rotate(images: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    angle = (draws[0] - 0.5) * 2 * _DEGREES * math.pi / 180
    cos, sin, zero = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    return _warp(images, ((cos, -sin, zero), (sin, cos, zero)))


def _warp(images: torch.Tensor, rows: tuple[tuple[torch.Tensor, ...], ...]) -> torch.Tensor:
    matrix = torch.stack([torch.stack(row, -1) for row in rows], 1).to(images.dtype)
    matrix = matrix.expand(len(images), 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


_TRANSFORMS = {
    "color": _color, "flip": _flip, "crop": _crop, "cutout": _cutout, "scale": _scale, "rotate": _rotate,
}  # fmt: skip
