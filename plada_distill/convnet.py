"""The ConvNet of the dataset distillation literature, and networks from seeds."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from plada_format.errors import UserError

from .settings import NetSpec


def make_network(spec: NetSpec, channels: int, size: int, num_classes: int, seed: int) -> nn.Sequential:
    """A freshly initialised network, the same for the same seed.

    With the default spec, 3 channels, 32 pixels and 10 classes it has 320,010 parameters.

    Args:
        spec: width, depth, norm.
        channels, size: of the input, (B, channels, size, size).
        num_classes: logits.
        seed: of the weights; torch's own random state stays as it is.

    Raises:
        UserError: the images are too small for so many blocks.
    """
    side = size >> spec.depth
    if side < 1:
        raise UserError(f"images of {size} pixels are too small for {spec.depth} blocks; choose a smaller depth")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        inputs = channels
        for block in range(spec.depth):
            parts[f"conv{block}"] = nn.Conv2d(inputs, spec.width, 3, padding=1)
            if spec.norm != "none":
                groups = spec.width if spec.norm == "instance" else spec.width // 8
                parts[f"norm{block}"] = nn.GroupNorm(groups, spec.width)
            parts[f"relu{block}"] = nn.ReLU()
            parts[f"pool{block}"] = nn.AvgPool2d(2)
            inputs = spec.width
        parts["flat"] = nn.Flatten()
        parts["head"] = nn.Linear(spec.width * side * side, num_classes)
        return nn.Sequential(parts)


def parameters_of(network: nn.Module) -> list[torch.Tensor]:
    """Its parameters, in order of definition: the order of every gradient in this package."""
    return list(network.parameters())


def load_parameters(network: nn.Module, values: list[torch.Tensor]) -> None:
    """Copy ``values`` into the parameters.

    Raises:
        UserError: another number of tensors, or another shape.
    """
    own = parameters_of(network)
    if [tuple(value.shape) for value in values] != [tuple(value.shape) for value in own]:
        raise UserError("these weights belong to another network")
    with torch.no_grad():
        for target, value in zip(own, values):
            target.copy_(value)
