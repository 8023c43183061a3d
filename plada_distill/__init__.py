"""Distil a labelled data set into a few synthetic images per class by gradient matching, on one machine or over a
federation whose data stay where they are; tune and compare on what comes out.

Importing this package is cheap; each name below loads its module, and torch with it, when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "settings": ("NetSpec", "Settings", "loops_for"),
    "convnet": ("make_network",),
    "data": ("Images", "load_images"),
    "gradients": ("GradientRequest", "GradientSource", "Gradients", "LocalSource"),
    "loop": ("Outcome", "distil", "first_images"),
    "synthetic": ("SyntheticSet", "load_synthetic", "save_synthetic"),
    "training": ("Score", "TrainRecipe", "accuracy", "random_subset", "score_set", "train_network"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
