"""What a distillation run is told: network, loops, rates, augmentation. All of it goes into the run's identity."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from plada_format.errors import UserError
from plada_train.loop import mix_seed

NORMS = ("instance", "group", "none")
DISTANCES = ("layerwise_cos", "cos", "mse")
INITS = ("noise", "real", "pool")
AUGMENTS = ("color", "crop", "cutout", "flip", "scale", "rotate")

# Outer steps and inner epochs by images per class, as published with DC and DSA.
_LOOPS = {1: (1, 1), 10: (10, 50), 20: (20, 25), 30: (30, 20), 40: (40, 15), 50: (50, 10)}


class Draw(IntEnum):
    """What a random number is for; part of every seed, so that no two uses share a stream."""

    NETWORK = 1
    BATCH = 2
    AUGMENT = 3
    INNER = 4
    IMAGES = 5
    TRAIN = 6
    PARTITION = 7
    MISLABEL = 8
    CHOICE = 9
    ABSENCE = 10
    TUNE = 11


def seed_of(seed: int, draw: Draw, *parts: int) -> int:
    """A 63-bit seed for one use; the same on every machine."""
    return mix_seed(seed, int(draw), *(int(part) for part in parts))


def loops_for(images_per_class: int) -> tuple[int, int]:
    """(outer steps, inner epochs) of DC and DSA; between the published counts, those of the nearest by ratio."""
    if images_per_class < 1:
        raise UserError(f"images per class must be at least 1, not {images_per_class}")
    nearest = min(_LOOPS, key=lambda known: (abs(math.log(known / images_per_class)), known))
    return _LOOPS[nearest]


@dataclass(frozen=True)
class NetSpec:
    """A ConvNet: ``depth`` blocks of 3x3 convolution, norm, ReLU and 2x2 average pooling, then one linear layer.

    Attributes:
        width: filters of each block.
        depth: blocks; each halves the side of the image.
        norm: ``instance`` or ``group`` (groups of 8 filters), both without batch statistics, which gradient matching
            does not survive; ``none``.
    """

    width: int = 128
    depth: int = 3
    norm: str = "instance"

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 4096 or not 1 <= self.depth <= 8:
            raise UserError(f"network: width 1 to 4096 and depth 1 to 8, not {self.width} and {self.depth}")
        if self.norm not in NORMS:
            raise UserError(f"network: the norm is one of {', '.join(NORMS)}, not {self.norm!r}")
        if self.norm == "group" and self.width % 8:
            raise UserError(f"network: group norm needs a width that 8 divides, not {self.width}")

    def name(self) -> str:
        """For tables: ``convnet3-128-instance``."""
        return f"convnet{self.depth}-{self.width}-{self.norm}"

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NetSpec:
        """Inverse of ``dataclasses.asdict``.

        Raises:
            UserError: a value is missing or of the wrong kind.
        """
        try:
            return cls(int(values["width"]), int(values["depth"]), str(values["norm"]))
        except (KeyError, TypeError, ValueError) as problem:
            raise UserError(f"network: damaged settings ({problem!r})") from None


@dataclass(frozen=True)
class Settings:
    """One distillation. The defaults are those published with DSA.

    Attributes:
        images_per_class: synthetic images of each class.
        iterations: outermost loop; each starts from a fresh random network.
        outer_steps: image updates per iteration; None: by :func:`loops_for`.
        inner_epochs: epochs on the synthetic images between two image updates; None: by :func:`loops_for`.
        image_lr, image_momentum: SGD on the images.
        network_lr: SGD, without momentum, on the network.
        real_batch: real images of each class per step (of each client, in a federation).
        inner_batch: synthetic images per step of the network.
        init: ``noise`` (standard normal), ``real`` (training images; no federation has them) or ``pool`` (public
            images).
        distance: between gradients, see :mod:`plada_distill.distance`.
        pooled: match one gradient over all classes instead of one for each class.
        augment: transformations of DSA, applied alike to real and synthetic images; empty: DC.
        network: what is trained and matched.
        seed: of everything.
    """

    images_per_class: int = 10
    iterations: int = 1000
    outer_steps: int | None = None
    inner_epochs: int | None = None
    image_lr: float = 0.1
    image_momentum: float = 0.5
    network_lr: float = 0.01
    real_batch: int = 256
    inner_batch: int = 256
    init: str = "real"
    distance: str = "layerwise_cos"
    pooled: bool = False
    augment: tuple[str, ...] = AUGMENTS
    network: NetSpec = field(default_factory=NetSpec)
    seed: int = 0

    def __post_init__(self) -> None:
        outer, inner = loops_for(self.images_per_class)
        object.__setattr__(self, "outer_steps", outer if self.outer_steps is None else self.outer_steps)
        object.__setattr__(self, "inner_epochs", inner if self.inner_epochs is None else self.inner_epochs)
        object.__setattr__(self, "augment", tuple(self.augment))
        for name in ("iterations", "outer_steps", "real_batch", "inner_batch"):
            if getattr(self, name) < 1:
                raise UserError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        if self.inner_epochs is not None and self.inner_epochs < 0:
            raise UserError(f"inner epochs must not be negative, not {self.inner_epochs}")
        if not (self.image_lr > 0 and self.network_lr > 0 and 0 <= self.image_momentum < 1):
            raise UserError("learning rates must be above 0 and the momentum in [0, 1)")
        for name, known in (("init", INITS), ("distance", DISTANCES)):
            if getattr(self, name) not in known:
                raise UserError(f"{name}: choose one of {', '.join(known)}, not {getattr(self, name)!r}")
        check_augment(self.augment)

    @property
    def steps(self) -> int:
        """Image updates per iteration."""
        assert self.outer_steps is not None
        return self.outer_steps

    @property
    def epochs_between(self) -> int:
        """Epochs of the network between two image updates."""
        assert self.inner_epochs is not None
        return self.inner_epochs

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "augment": list(self.augment)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Settings:
        """Inverse of :meth:`to_json`.

        Raises:
            UserError: a value is missing, unknown or of the wrong kind.
        """
        known = {one.name for one in dataclasses.fields(cls)}
        strange = sorted(set(values) - known)
        if strange:
            raise UserError(f"settings: unknown {', '.join(strange)}")
        plain = dict(values)
        if "network" in plain:
            plain["network"] = NetSpec.from_json(plain["network"])
        try:
            return cls(**plain)
        except TypeError as problem:
            raise UserError(f"settings: {problem}") from None


def check_augment(names: tuple[str, ...]) -> None:
    """Raise UserError at an unknown transformation."""
    strange = [name for name in names if name not in AUGMENTS]
    if strange:
        raise UserError(f"augmentation: unknown {', '.join(strange)}; known are {', '.join(AUGMENTS)}")
