"""Gradients of one network on somebody's real images: what the server asks for, and how it is computed.

A source of gradients may be the data itself (here), or a federation (:mod:`plada_distill.federation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .augment import augment
from .convnet import parameters_of
from .data import Images
from .settings import Draw, seed_of

POOLED = -1
"""Stands for the class number where one gradient covers all classes."""


@dataclass(frozen=True)
class GradientRequest:
    """One question of the server, beside the weights.

    Attributes:
        iteration, step: where the run is; step 0 has a fresh network.
        seed: of the run.
        batch: images of each class (or of all classes together, if ``pooled``).
        pooled: one gradient over all classes.
        augment: transformations; both sides draw them from the same seed.
    """

    iteration: int
    step: int
    seed: int
    batch: int
    pooled: bool = False
    augment: tuple[str, ...] = ()

    def augment_seed(self, label: int) -> int:
        """Of the transformation for one class; known to server and clients."""
        return seed_of(self.seed, Draw.AUGMENT, self.iteration, self.step, label)


@dataclass
class Gradients:
    """The answer: for each class a gradient, in the order of the network's parameters.

    Attributes:
        by_class: class (or ``POOLED``) -> one float32 tensor for each parameter.
        counts: class (or ``POOLED``) -> how many images stand behind it.
        facts: numbers for the record, such as bytes sent.
    """

    by_class: dict[int, list[torch.Tensor]]
    counts: dict[int, int]
    facts: dict[str, Any] = field(default_factory=dict)


class GradientSource(Protocol):
    """Whoever has real images."""

    def gradients(self, network: nn.Module, request: GradientRequest) -> Gradients:
        """Answer one question. Classes without an answer are left out."""
        ...

    def identity(self) -> str:
        """Digest of what determines the answers."""
        ...


class LocalSource:
    """Images at hand.

    Args:
        images: the real images.
        holder: number of whoever holds them; clients of the same federation draw different batches.
    """

    def __init__(self, images: Images, holder: int = 0) -> None:
        self.images = images
        self.holder = holder
        labels = images.labels.cpu().numpy()
        self._of_class = {int(label): np.flatnonzero(labels == label) for label in np.unique(labels)}

    @property
    def counts(self) -> dict[int, int]:
        """Class -> images held."""
        return {label: len(places) for label, places in self._of_class.items()}

    def identity(self) -> str:
        return f"local {self.holder} {self.images.digest()}"

    def batch(self, request: GradientRequest, label: int) -> torch.Tensor:
        """Positions of the mini-batch of one class (or of all, ``POOLED``): without repetition, drawn from the
        request's seed."""
        places = np.arange(len(self.images)) if label == POOLED else self._of_class[label]
        seed = seed_of(request.seed, Draw.BATCH, self.holder, request.iteration, request.step, label)
        chosen = np.random.default_rng(seed).permutation(len(places))[: request.batch]
        return torch.from_numpy(places[chosen].astype(np.int64))

    def gradients(self, network: nn.Module, request: GradientRequest) -> Gradients:
        """See :class:`GradientSource`. The count of a class is the number of images held, not of the mini-batch."""
        wanted = [POOLED] if request.pooled else sorted(self._of_class)
        found: dict[int, list[torch.Tensor]] = {}
        for label in wanted:
            places = self.batch(request, label)
            pixels = augment(
                self.images.pixels[places], request.augment, request.augment_seed(label), siamese=True
            )
            found[label] = gradient_of(network, pixels, self.images.labels[places])
        counts = {POOLED: len(self.images)} if request.pooled else self.counts
        return Gradients(found, counts)


def gradient_of(
    network: nn.Module, pixels: torch.Tensor, labels: torch.Tensor, *, differentiable: bool = False
) -> list[torch.Tensor]:
    """Gradient of the mean cross-entropy by the parameters, one tensor for each.

    Args:
        network: (B, C, S, S) -> logits (B, K).
        pixels, labels: the images.
        differentiable: keep the graph, so that the gradient can itself be differentiated by the pixels.
    """
    loss = functional.cross_entropy(network(pixels), labels)
    return list(torch.autograd.grad(loss, parameters_of(network), create_graph=differentiable))


def scale_of(gradient: Mapping[int, list[torch.Tensor]]) -> float:
    """Root of the sum of squares over everything, for records."""
    return float(sum(float(part.double().square().sum()) for parts in gradient.values() for part in parts) ** 0.5)
