"""Train a network from scratch on a (synthetic) set and say how good it is on real test images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from plada_format.errors import UserError

from .augment import augment
from .convnet import make_network
from .data import Images
from .settings import AUGMENTS, Draw, NetSpec, check_augment, seed_of


@dataclass(frozen=True)
class TrainRecipe:
    """SGD with momentum, as the distillation literature evaluates: the rate falls to a tenth at half time.

    Attributes:
        epochs: passes over the set.
        lr, momentum, weight_decay: of SGD.
        batch_size: images per step.
        augment: transformations, one strength per image; empty: none.
    """

    epochs: int = 300
    lr: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 256
    augment: tuple[str, ...] = AUGMENTS

    def __post_init__(self) -> None:
        object.__setattr__(self, "augment", tuple(self.augment))
        check_augment(self.augment)
        if self.epochs < 1 or self.batch_size < 1 or not self.lr > 0:
            raise UserError("epochs and batch size must be at least 1, the learning rate above 0")
        if not 0 <= self.momentum < 1 or self.weight_decay < 0:
            raise UserError("momentum must lie in [0, 1), weight decay not below 0")

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "augment": list(self.augment)}


def train_network(spec: NetSpec, images: Images, recipe: TrainRecipe, seed: int) -> nn.Sequential:
    """A network trained on ``images`` from fresh weights; the same for the same seed."""
    network = make_network(spec, images.channels, images.size, images.num_classes, seed_of(seed, Draw.NETWORK))
    return train_on(network.to(images.pixels.device), images, recipe, seed)


def train_on(network: nn.Sequential, images: Images, recipe: TrainRecipe, seed: int) -> nn.Sequential:
    """Train ``network`` in place on ``images``.

    Raises:
        UserError: the loss is no longer finite.
    """
    optimizer = torch.optim.SGD(
        network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    for epoch in range(recipe.epochs):
        if epoch == recipe.epochs // 2 + 1:
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * 0.1
        epoch_seed = seed_of(seed, Draw.TRAIN, epoch)
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch_seed))
        for start in range(0, len(order), recipe.batch_size):
            rows = order[start : start + recipe.batch_size]
            pixels = augment(images.pixels[rows], recipe.augment, epoch_seed + start, siamese=False)
            loss = functional.cross_entropy(network(pixels), images.labels[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    if not math.isfinite(float(loss.detach())):
        raise UserError(f"training diverged with learning rate {recipe.lr:g}; lower it")
    return network


def accuracy(network: nn.Module, images: Images, batch_size: int = 500) -> float:
    """Share of ``images`` that the network calls right; ties go to the lower class.

    Raises:
        UserError: no images.
    """
    if not len(images):
        raise UserError("no images to test on")
    right = 0
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            called = network(images.pixels[start : start + batch_size]).argmax(1)
            right += int((called == images.labels[start : start + batch_size]).sum())
    return right / len(images)


@dataclass(frozen=True)
class Score:
    """Accuracies of several networks, each trained from its own seed.

    Attributes:
        values: one per network.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return sum(self.values) / len(self.values)

    @property
    def std(self) -> float:
        """Sample standard deviation; 0 for one network."""
        if len(self.values) < 2:
            return 0.0
        return math.sqrt(sum((value - self.mean) ** 2 for value in self.values) / (len(self.values) - 1))

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"mean": self.mean, "std": self.std, "values": list(self.values)}


def score_set(
    images: Images, test: Images, spec: NetSpec, recipe: TrainRecipe, seeds: Sequence[int]
) -> Score:
    """Train one network per seed on ``images`` and test each.

    Raises:
        UserError: no seed, or sets of different shape or classes.
    """
    check_same_task(images, test)
    if not seeds:
        raise UserError("at least one seed is needed to score a set")
    return Score(tuple(accuracy(train_network(spec, images, recipe, seed), test) for seed in seeds))


def check_same_task(one: Images, two: Images) -> None:
    """Raise UserError unless both sets have images of one shape and the same classes."""
    if one.pixels.shape[1:] != two.pixels.shape[1:] or one.class_names != two.class_names:
        raise UserError(
            f"the two sets differ: {tuple(one.pixels.shape[1:])}, {one.num_classes} classes and"
            f" {tuple(two.pixels.shape[1:])}, {two.num_classes} classes"
        )


def random_subset(images: Images, per_class: int, seed: int) -> Images:
    """``per_class`` random images of each class, in order of the classes: what a distilled set must beat.

    Raises:
        UserError: a class has fewer.
    """
    chosen: list[torch.Tensor] = []
    for label in range(images.num_classes):
        places = images.of_class(label).cpu()
        if len(places) < per_class:
            raise UserError(f"class {images.class_names[label]!r} has {len(places)} images, {per_class} are needed")
        generator = torch.Generator().manual_seed(seed_of(seed, Draw.CHOICE, label))
        chosen.append(places[torch.randperm(len(places), generator=generator)[:per_class]])
    return images.subset(torch.cat(chosen).numpy())
