"""The selections of the size table: uniform ones, the acceptance set, and real ones.

Small ones come first, and of the large files of the acceptance set those of seed 0, so that a run that is stopped
early has something of everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from benchmarks import selections
from benchmarks.selections import POOL_SIZE, Selection

from . import real

#: Uniform sets: (kept images, classes, seed).
UNIFORM = (
    *((count, 10, seed) for count in (100, 300, 1000, 3000, 10_000) for seed in range(3)),
    *((int(POOL_SIZE * rate), classes, 0) for rate in (0.001, 0.01, 0.05, 0.10) for classes in (10, 100, 1000)),
)


@dataclass(frozen=True)
class Member:
    """One selection of the table.

    Attributes:
        name: in the tables.
        kind: "uniform" | "acceptance" | "real".
        part: of its kind, as the summary names it ("1.0 %", "k = 100", "folder order").
        count: of kept images.
        make: makes or loads it.
        groups: start offsets of the pool's groups, uint32; None for a pool without groups.
    """

    name: str
    kind: str
    part: str
    count: int
    make: Callable[[], Selection]
    groups: Callable[[], NDArray[np.uint32] | None]


def _none() -> None:
    return None


@cache
def _synsets() -> NDArray[np.uint32]:
    return selections.load_groups()


def _uniform(count: int, classes: int, seed: int) -> Member:
    rate = count / POOL_SIZE
    if count <= 10_000:
        name, part = f"uniform-k{count:05d}-c{classes:04d}-s{seed}", f"k = {count:,}"
    else:
        name, part = f"uniform-p{rate:.3f}-c{classes:04d}", f"{100 * rate:.1f} %"
    return Member(name, "uniform", part, count, partial(selections.uniform, POOL_SIZE, count, classes, seed), _none)


def _acceptance(case: selections.Case) -> Member:
    part = f"k = {case.count:,}" if case.count else f"{100 * case.keep:.1f} %"
    return Member(
        case.name,
        "acceptance",
        part,
        case.count or int(POOL_SIZE * case.keep),
        partial(selections.load, case),
        _synsets,
    )


def _real(name: str) -> Member:
    _, _, _, count, order = name.split("-")
    return Member(name, "real", f"{order} order", int(count[1:]), partial(real.load, name), partial(real.groups, order))


def members() -> list[Member]:
    """Every selection of the table, in the order of measuring."""
    uniform = [_uniform(*line) for line in UNIFORM]
    little, much = ([m for m in uniform if (m.count < 200_000) == small] for small in (True, False))
    large = selections.cases([0.05, 0.10])
    first = [*selections.small_cases(), *selections.cases([0.01]), *selections.cases([0.001])]
    first += [case for case in large if case.seed == 0]
    last = [*selections.cases([0.005]), *(case for case in large if case.seed != 0)]
    return [*little, *map(_real, real.names()), *map(_acceptance, first), *much, *map(_acceptance, last)]
