"""Bytes of the same selections in different orders of the pool, with and without groups as the coder's context."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import plada_format as pf
from plada_format.atomic import atomic_write
from plada_format.engines.adaptive import compile_kernels

from .data import World
from .measure import Bench

KEEP = (0.001, 0.01, 0.05)
POLICIES = ("paper: lowest energy", "equal quotas", "equal quotas, rate 0.25")


def run(world: World, path: Path, tasks: Sequence[str], seed: int = 0) -> None:
    """Write the table: one line per task, policy and keep rate; bytes of index and labels without the header."""
    compile_kernels()
    size = len(world.source)
    rng = np.random.default_rng(0)
    orders: dict[str, tuple[Any, Any]] = {
        "shuffled": (np.arange(size), None),
        "shuffled, blocks of 256": (np.arange(size), np.arange(0, size, 256)),
        "folder": (world.by_folder[0], None),
        "folder, groups": world.by_folder,
        "cluster, teacher's backbone": (world.by_cluster()[0], None),
        "the same, groups": world.by_cluster(),
        "cluster, student's backbone": (world.by_cluster("student")[0], None),
        "the same, with groups": world.by_cluster("student"),
        "shuffled again": (rng.permutation(size), None),
    }
    lines = []
    for task in tasks:
        bench = Bench(world, task, seed)
        for policy in POLICIES:
            for keep in KEEP:
                count = max(bench.classes, int(size * keep))
                kept = bench.ranking(policy).select(count)
                images = bench.order[kept.indices]  # positions in the shuffled order
                line: dict[str, Any] = {"task": task, "policy": policy, "keep": keep, "count": count}
                for name, (order, starts) in orders.items():
                    place = np.empty(size, np.int64)
                    place[order] = np.arange(size)
                    where = np.argsort(place[images])
                    data = pf.encode(
                        place[images][where], kept.labels[where], pool_size=size, num_classes=bench.classes,
                        groups=None if starts is None else np.asarray(starts, np.uint32), profile="compact",
                    )  # fmt: skip
                    line[name] = sum(section.length for section in pf.inspect(data).sections)
                lines.append(line)
                print(", ".join(f"{key} {value}" for key, value in line.items()), flush=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
