"""What a rehearsal costs: ``plada select --policy auto`` against one ``plada train`` of what it sends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import plada_format as pf
from plada_format.atomic import atomic_write
from plada_select.criteria import score_columns
from plada_select.scoretable import Provenance, write_table

from .data import INPUT, POOL, STUDENT, TASKS, World, find
from .measure import Bench

TASK = "cifar10"


@dataclass(frozen=True)
class CostRow:
    """One budget.

    Attributes:
        budget, cached: which; cached: the features of the student's backbone were on disk for both commands.
        recipe: of ``plada train``: ``head`` is the cheapest that there is, ``auto`` the default.
        count: images sent.
        arms, students: what the rehearsal tried.
        pool_images, validation_images: that it looked at.
        select_seconds, train_seconds: wall time of the two commands, start of the interpreter included.
        select_cpu, train_cpu: CPU seconds, which a busy machine changes less.
    """

    budget: int
    cached: bool
    recipe: str
    count: int
    arms: int
    students: int
    pool_images: int
    validation_images: int
    select_seconds: float
    train_seconds: float
    select_cpu: float
    train_cpu: float


def run(world: World, path: Path, budgets: Sequence[int], recipes: Sequence[str], cold: bool) -> None:
    """Measure what has no row yet, and write a JSON file.

    Args:
        world: pool and models; its cache is the one that the commands may use.
        path: of the JSON file.
        budgets: in bytes.
        recipes: of ``plada train``.
        cold: also without cached features: thousands of images go through the backbone.
    """
    rows = read(path)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        _prepare(world, folder)
        for cached in (True, False) if cold else (True,):
            for budget in budgets:
                for recipe in recipes:
                    if any((row.budget, row.cached, row.recipe) == (budget, cached, recipe) for row in rows):
                        continue
                    rows.append(_measure(world, folder, budget, cached, recipe))
                    print(rows[-1], flush=True)
                    with atomic_write(path) as file:
                        file.write((json.dumps([asdict(row) for row in rows], indent=1) + "\n").encode())


def read(path: Path) -> list[CostRow]:
    """Rows that :func:`run` wrote."""
    return [CostRow(**row) for row in json.loads(path.read_text(encoding="utf-8"))] if path.exists() else []


def _prepare(world: World, folder: Path) -> None:
    """The pool's manifest, and a score table of it in the shuffled order."""
    bench = Bench(world, TASK, 0)
    _plada("pool", "build", _pool(world), folder / "pool.pladapool", "--quiet")
    manifest = pf.Manifest.open(folder / "pool.pladapool")
    logits = bench.teacher.logits(np.asarray(world.pool["teacher"]))
    columns: dict[str, Any] = {**score_columns(logits), "status": np.zeros(len(logits), np.uint8)}
    mark = Provenance(manifest.fingerprint.hex(), len(logits), bench.classes, "00" * 32, "00" * 32, "float32")
    write_table(folder / "table", mark, {"class_names": list(bench.class_names), "task": TASK}, columns)


def _pool(world: World) -> str:
    return "npz:" + ",".join(str(find(world.data, name)) for name in POOL)


def _measure(world: World, folder: Path, budget: int, cached: bool, recipe: str) -> CostRow:
    weights, target = find(world.data, STUDENT[1]), find(world.data, TASKS[TASK])
    payload, model, own = folder / "task.plada", folder / "model", folder / "cache"
    for place in (model, own):
        shutil.rmtree(place, ignore_errors=True)
    cache, quick = (world.cache if cached else own), ("--device", "cpu", "--threads", world.threads or 1, "--quiet")
    select = (
        "select", folder / "table", "--pool", folder / "pool.pladapool", "-o", payload, "--policy", "auto", "--budget",
        budget, "--rehearse", target, "--images", _pool(world), "--proxy", STUDENT[0], "--proxy-weights", weights,
        "--proxy-size", INPUT, "--cache", cache, *quick,
    )  # fmt: skip
    if cached:
        _plada(*select, "--force")  # what is not in the cache yet
    wall, cpu = _plada(*select, "--force")
    record = json.loads((folder / "task.rehearsal.json").read_text(encoding="utf-8"))
    if not cached:
        shutil.rmtree(own)
    train = (
        "train", payload, "--pool", _pool(world), "--manifest", folder / "pool.pladapool", "--out", model, "--arch",
        STUDENT[0], "--weights", weights, "--recipe", recipe, "--input-size", INPUT, "--cache", cache, *quick,
    )  # fmt: skip
    own_wall, own_cpu = _plada(*train)
    tried = [arm for arm in record["arms"] if arm["trials"]]
    return CostRow(
        budget, cached, recipe, pf.inspect(payload.read_bytes()).count, len(tried),
        sum(len(arm["trials"]) for arm in tried), record["pool_images_seen"], record["validation_images"],
        round(wall, 2), round(own_wall, 2), round(cpu, 2), round(own_cpu, 2),
    )  # fmt: skip


def _plada(*arguments: object) -> tuple[float, float]:
    """Wall and CPU seconds of a command."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, "-m", "plada_format.cli.main", *map(str, arguments)], check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


def table(path: Path) -> str:
    """Markdown of that file."""
    title = "### What a rehearsal costs\n\n"
    rows = read(path)
    if not rows:
        return title + "Not run.\n"
    out = ["| bytes | features | images sent | candidates, students | images through the backbone | `plada select`, s |"
           " `plada train` | s | times as long | in CPU time |",
           "|---:|---|---:|---:|---:|---:|---|---:|---:|---:|"]  # fmt: skip
    for row in rows:
        passes = "0" if row.cached else f"{row.pool_images + row.validation_images:,}"
        out.append(
            f"| {row.budget:,} | {'on disk' if row.cached else 'new'} | {row.count:,} | {row.arms}, {row.students} |"
            f" {passes} | {row.select_seconds:.1f} | `--recipe {row.recipe}` | {row.train_seconds:.1f} |"
            f" {row.select_seconds / row.train_seconds:.1f} | {row.select_cpu / row.train_cpu:.1f} |"
        )
    return title + "\n".join(out) + "\n"
