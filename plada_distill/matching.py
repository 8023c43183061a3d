"""The server's two steps: move the synthetic images so that their gradients match, train the network on them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .augment import augment
from .distance import distance
from .gradients import POOLED, GradientRequest, Gradients, gradient_of
from .settings import Draw, Settings, seed_of


def image_gradient(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    target: Gradients,
    settings: Settings,
    request: GradientRequest,
) -> tuple[torch.Tensor, float]:
    """Gradient of ``sum over classes c of D(g_c(synthetic), g_c(real))`` by the synthetic images.

    Classes without a real gradient contribute nothing and keep their images.

    Args:
        network: the network whose gradients are matched; its weights are not changed.
        images, labels: the synthetic set, (m, C, S, S) and int64 (m,).
        target: the real gradients.
        settings: distance.
        request: what the clients were asked; gives the transformation.

    Returns:
        A tensor like ``images``, and the distance divided by the number of classes that took part.
    """
    result = torch.zeros_like(images)
    total = 0.0
    for label, real in sorted(target.by_class.items()):
        rows = torch.arange(len(labels), device=labels.device) if label == POOLED else torch.nonzero(
            labels == label
        ).flatten()
        if not len(rows):
            continue
        pixels = images[rows].detach().requires_grad_(True)
        moved = augment(pixels, request.augment, request.augment_seed(label), siamese=True)
        own = gradient_of(network, moved, labels[rows], differentiable=True)
        gap = distance(settings.distance, own, real)
        # One class at a time: its graph is freed before the next is built.
        result[rows] = torch.autograd.grad(gap, pixels)[0]
        total += float(gap.detach())
    return result, total / max(1, len(target.by_class))


class ImageStep:
    """SGD with momentum on the images; its momentum is part of the run's state."""

    def __init__(self, images: torch.Tensor, momentum: torch.Tensor | None, settings: Settings) -> None:
        self.images = images
        self.momentum = torch.zeros_like(images) if momentum is None else momentum
        self._settings = settings

    def __call__(self, gradient: torch.Tensor) -> None:
        """Move the images in place."""
        self.momentum.mul_(self._settings.image_momentum).add_(gradient)
        self.images.sub_(self.momentum, alpha=self._settings.image_lr)


def train_inner(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    settings: Settings,
    iteration: int,
    step: int,
) -> None:
    """Train the network, in place, for the settings' inner epochs on the synthetic images: plain SGD."""
    parameters = list(network.parameters())
    for epoch in range(settings.epochs_between):
        seed = seed_of(settings.seed, Draw.INNER, iteration, step, epoch)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        for start in range(0, len(order), settings.inner_batch):
            rows = order[start : start + settings.inner_batch]
            pixels = augment(images[rows], settings.augment, seed + start, siamese=False)
            loss = functional.cross_entropy(network(pixels), labels[rows])
            found = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, found):
                    parameter.sub_(gradient, alpha=settings.network_lr)
