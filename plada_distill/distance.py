"""How far two gradients of one network lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from plada_format.errors import UserError

Gradient = Sequence[torch.Tensor]
_TINY = 1e-6


def distance(name: str, synthetic: Gradient, real: Gradient) -> torch.Tensor:
    """Distance of two gradients, tensors in the same order and of the same shapes; a scalar, differentiable in the
    first.

    - ``layerwise_cos`` (DC's own): each weight tensor is seen as (outputs, rest), and every output row gives
      ``1 - cos`` of its two gradients; the sum over all rows and layers. Tensors of one dimension (biases, norms)
      give nothing.
    - ``cos``: ``1 - cos`` of the whole gradients as two long vectors.
    - ``mse``: the squared Euclidean distance of the two long vectors.

    Raises:
        UserError: unknown name, or gradients of different networks.
    """
    if len(synthetic) != len(real) or any(one.shape != two.shape for one, two in zip(synthetic, real)):
        raise UserError("the two gradients belong to different networks")
    if name == "layerwise_cos":
        rows = [_rows(one, two) for one, two in zip(synthetic, real) if one.ndim > 1]
        return torch.stack(rows).sum()
    first = torch.cat([one.reshape(-1) for one in synthetic])
    second = torch.cat([two.reshape(-1) for two in real])
    if name == "cos":
        cosine: torch.Tensor = (first @ second) / (first.norm() * second.norm() + _TINY)
        return 1 - cosine
    if name == "mse":
        return (first - second).square().sum()
    raise UserError(f"unknown distance {name!r}")


def _rows(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
    first, second = one.flatten(1), two.flatten(1)
    product = (first * second).sum(1)
    cosines: torch.Tensor = product / (first.norm(dim=1) * second.norm(dim=1) + _TINY)
    return (1 - cosines).sum()
