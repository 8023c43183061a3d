"""Selections of real experiments, stored in ``real`` as index and label numbers (README.md there says how made)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.selections import Selection

FOLDER = Path(__file__).resolve().parent / "real"
ORDERS = ("folder", "clustered", "shuffled")


@cache
def _arrays(name: str) -> dict[str, NDArray[np.generic]]:
    with np.load(FOLDER / f"{name}.npz") as data:
        return dict(data)


def tasks() -> list[str]:
    """Names of the tasks that have selections."""
    return sorted(path.stem for path in FOLDER.glob("*.npz") if path.stem != "pool")


def names() -> list[str]:
    """``real-TASK-POLICY-kCOUNT-ORDER`` of every stored selection in every order of the pool."""
    return [
        f"real-{task}-{key.removesuffix('-indices')}-{order}"
        for task in tasks()
        for key in sorted(_arrays(task))
        if key.endswith("-indices")
        for order in ORDERS
    ]


def groups(order: str) -> NDArray[np.uint32] | None:
    """Start offsets of the pool's groups in that order, uint32; None for the shuffled pool."""
    return None if order == "shuffled" else _arrays("pool")[f"{order}-starts"].astype(np.uint32)


def load(name: str) -> Selection:
    """One selection with the pool in one order.

    Raises:
        KeyError: there is none of that name.
    """
    _, task, policy, count, order = name.split("-")
    stored = _arrays(task)
    indices = stored[f"{policy}-{count}-indices"].astype(np.int64)
    labels = stored[f"{policy}-{count}-labels"].astype(np.uint16)
    pool_size, classes = int(_arrays("pool")["size"]), int(stored["classes"])
    if order != "shuffled":
        indices = _arrays("pool")[f"{order}-rank"][indices].astype(np.int64)
    sort = np.argsort(indices)
    return Selection(name, indices[sort].astype(np.uint32), labels[sort], pool_size, classes)
