"""Really trained students: a pretrained network with all weights fine-tuned, and one from random weights."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import plada_format as pf
from benchmarks import paper_layouts, selections
from plada_format.engines.adaptive import compile_kernels
from plada_select.budget import largest_fitting
from plada_select.select import Selection
from plada_train import Recipe

from .curves import choose
from .data import INPUT, STUDENT, World, find
from .measure import Bench, Row, Rows
from .policies import ALL

BUDGETS = (300, 1000, 4000, 16_000)
TASKS = ("pacs_photo", "cifar10", "rsscn7")
FINALISTS = "auto, three finalists"  # the linear students' best policies, each trained as the row's student
METHODS = ("paper: lowest energy", "random", "equal quotas", "auto", FINALISTS)
JUDGES = 2000  # images outside the test split, as a rehearsal takes
STUDENTS = {"fine-tuned": "finetune", "from scratch": "scratch"}


@dataclass(frozen=True)
class Setup:
    """How much a student may cost; the defaults are those of ``plada train``.

    Attributes:
        size: side of the input in pixels.
        passes: most image passes of a training, one epoch at least; None for the recipe's own epochs.
        arch: of the students from scratch.
    """

    size: int = INPUT
    passes: int | None = None
    arch: str = STUDENT[0]

    def name(self, student: str) -> str:
        """For the rows."""
        arch = self.arch if student == "from scratch" else STUDENT[0]
        most = "" if self.passes is None else f", at most {self.passes:,} image passes"
        return f"{arch}, {self.size} px{most}"

    def recipe(self, mode: str, count: int, seed: int) -> Recipe:
        """The mode's own, with fewer epochs where they would cost too much."""
        recipe = Recipe.finetune(count, seed) if mode == "finetune" else Recipe.scratch(count, seed)
        if self.passes is None:
            return recipe
        return recipe.replace(epochs=min(recipe.epochs, max(1, self.passes // count)), patience=None)


@dataclass(frozen=True)
class TunedRow:
    """One really trained student.

    Attributes:
        task, seed, student, method, budget: which.
        chosen: the policy sent.
        count, bytes: images and bytes of the whole file without class names: the paper's layouts for the paper's recipe
            and random choice, ours for the others; folder order.
        test: accuracy.
        setup: network, input and passes.
        seconds: of training and judging.
    """

    task: str
    seed: int
    student: str
    method: str
    budget: int
    chosen: str
    count: int
    bytes: int
    test: float
    setup: str
    seconds: float

    @property
    def key(self) -> str:
        """Identifies it."""
        return f"{self.task}|{self.seed}|{self.student}|{self.method}|{self.budget}|{self.setup}"


def filled(bench: Bench, policy: str, budget: int, layout: str) -> tuple[Selection, int] | None:
    """The largest selection of a policy within the budget, and its bytes; None where one image per class is too much.

    Args:
        layout: "paper" or "ours".
    """
    ranking = bench.ranking(policy)
    more: dict[str, Any] = {"pool_size": len(bench.order), "num_classes": bench.classes, "profile": "compact"}
    mark = bytes([0x5E]) * 16

    def size_of(count: int) -> int:
        kept = ranking.select(count)
        if layout == "ours":
            return len(pf.encode(kept.indices, kept.labels, pool_fingerprint=mark, groups=bench.starts, **more))
        plain = pf.encode(kept.indices, kept.labels, pool_fingerprint=mark, **more)
        container = len(plain) - sum(section.length for section in pf.inspect(plain).sections)
        given = selections.Selection("", kept.indices, kept.labels, len(bench.order), bench.classes)
        return container + paper_layouts.best_paper_size(paper_layouts.paper_sizes(given))[1]

    if size_of(bench.classes) > budget:
        return None
    count = largest_fitting(size_of, ranking.usable, budget, guess=budget)
    return ranking.select(count), size_of(count)


def read(path: Path) -> dict[str, TunedRow]:
    """Rows by key; a last line that is not whole is passed over."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    rows = [TunedRow(**json.loads(line)) for line in lines if line.endswith("\n")]
    return {row.key: row for row in rows}


def run(
    world: World, linear: Rows, path: Path, tasks: Sequence[str], seeds: Sequence[int], budgets: Sequence[int],
    students: Sequence[str], methods: Sequence[str], setup: Setup,
) -> None:  # fmt: skip
    """Everything that has no row yet: seed by seed, smallest budgets first."""
    compile_kernels()
    benches: dict[tuple[str, int], Bench] = {}
    for seed, budget, task, student, method in product(seeds, budgets, tasks, students, methods):
        rows = read(path)  # another process may add to them
        if f"{task}|{seed}|{student}|{method}|{budget}|{setup.name(student)}" in rows:
            continue
        if (task, seed) not in benches:
            benches[task, seed] = Bench(world, task, seed)
        row = _row(world, benches[task, seed], linear, rows, student, method, budget, setup)
        if row is not None:
            with open(path, "a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
            print(f"{row.key}: {row.count} images, {row.bytes} bytes, test {row.test:.1%}", flush=True)


def _row(
    world: World, bench: Bench, linear: Rows, known: Mapping[str, TunedRow], student: str, method: str, budget: int,
    setup: Setup,
) -> TunedRow | None:  # fmt: skip
    started = time.perf_counter()
    mode = STUDENTS[student]
    if method == FINALISTS:
        tried = [(train(world, bench, selection, mode, setup, judge=True), policy, selection, size)
                 for policy, selection, size in _auto(bench, linear, budget, 3)]  # fmt: skip
        if not tried:
            return None
        right, chosen, selection, size = max(tried, key=lambda one: one[0]["judge"])
    else:
        found = _auto(bench, linear, budget, 1) if method == "auto" else _fixed(bench, method, budget)
        if not found:
            return None
        ((chosen, selection, size),) = found
        same = [
            row.test
            for row in known.values()
            if len(selection) == row.count == len(bench.order)
            and (row.task, row.seed, row.student, row.setup) == (bench.name, bench.seed, student, setup.name(student))
        ]
        # The whole pool with the teacher's labels is the same selection under every policy.
        right = {"test": same[0]} if same else train(world, bench, selection, mode, setup)
    seconds = round(time.perf_counter() - started, 1)
    count, where = len(selection), setup.name(student)
    return TunedRow(bench.name, bench.seed, student, method, budget, chosen, count, size, right["test"], where, seconds)


def _fixed(bench: Bench, method: str, budget: int) -> list[tuple[str, Selection, int]]:
    fitted = filled(bench, method, budget, "ours" if method == "equal quotas" else "paper")
    return [] if fitted is None else [(method, *fitted)]


def _auto(bench: Bench, linear: Rows, budget: int, most: int) -> list[tuple[str, Selection, int]]:
    """Policies, selections and bytes that the linear students choose without the test split, the best first. Their
    counts double: where they take the largest that fits, the budget is filled; where they take fewer, it is not."""
    mine: list[Row] = [
        row for row in linear.rows.values() if (row.task, row.seed) == (bench.name, bench.seed) and row.policy in ALL
    ]
    out: list[tuple[str, Selection, int]] = []
    while len(out) < most and (best := choose(mine, budget, "ours")) is not None:
        mine = [row for row in mine if row.policy != best.policy]
        largest = filled(bench, best.policy, budget, "ours")
        if largest is not None and len(largest[0]) < 2 * best.count:
            out.append((best.policy, *largest))
        else:
            out.append((best.policy, bench.ranking(best.policy).select(best.count), best.ours))
    return out


def train(
    world: World, bench: Bench, selection: Selection, mode: str, setup: Setup, judge: bool = False
) -> dict[str, float]:
    """Accuracies of a network trained on a selection: ``test``, and ``judge`` on the images outside the test split on
    which a rehearsal judges."""
    from plada_select.rehearsal.students import validation_images
    from plada_train import LabelledImages, SubsetSource, evaluate, fit_classifier, pick_device

    fine = mode == "finetune"
    places = bench.order[selection.indices.astype(np.int64)]
    images = LabelledImages(SubsetSource(world.source, places), selection.labels.astype(np.int64), bench.class_names)
    trained = fit_classifier(
        images,
        arch=STUDENT[0] if fine else setup.arch,
        weights=str(find(world.data, STUDENT[1])) if fine else "none",
        mode=mode,
        seed=bench.seed,
        input_size=setup.size,
        cache=world.cache if fine else None,
        recipe=setup.recipe(mode, len(selection), bench.seed),
        threads=world.threads,
        progress=False,
    )
    task = bench.task.task
    judged = {"test": task.split("test"), **({"judge": validation_images(task, JUDGES, fill=True)} if judge else {})}
    return {
        name: evaluate(trained.model, goal, device=pick_device("auto"), progress=False).accuracy
        for name, goal in judged.items()
    }
