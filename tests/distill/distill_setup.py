"""Settings that take a second."""

from __future__ import annotations

from typing import Any

from plada_distill import NetSpec, Settings

NET = NetSpec(width=8, depth=2)


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "images_per_class": 1,
        "iterations": 3,
        "outer_steps": 2,
        "inner_epochs": 1,
        "real_batch": 8,
        "init": "noise",
        "network": NET,
    }
    return Settings(**(values | changes))
