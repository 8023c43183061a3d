"""Students of one task and seed, one row each, kept as they come."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from benchmarks import paper_layouts, selections
from plada_format.engines.adaptive import compile_kernels
from plada_select.criteria import score_columns
from plada_select.raterank import refined
from plada_select.scoretable import Provenance, ScoreTable, write_table
from plada_select.select import Ranking, Selection, rank

from . import scores
from .data import VIEWED, World, linear
from .policies import SCORES, policy_of

LARGEST = 20_000  # bytes
VAL_SHARE = 0.2  # of the images outside the test split: what open_task holds out


@dataclass(frozen=True)
class Row:
    """One student.

    Attributes:
        task, seed, policy: which.
        count: images sent.
        classes: classes with an image.
        ours: bytes of the whole file without class names, pool in folder order, with its groups.
        ours_plain: the same without groups.
        ours_shuffled: the same, pool in shuffled order.
        paper: bytes of the paper's best Huffman or Zstandard layout in folder order, and our container around it.
        paper_shuffled: the same, pool in shuffled order.
        names: bytes that the class names add to a file.
        val, test: the linear student's accuracies on these splits.
        train: on the images that the teacher was trained on; the student has seen none of them.
    """

    task: str
    seed: int
    policy: str
    count: int
    classes: int
    ours: int
    ours_plain: int
    ours_shuffled: int
    paper: int
    paper_shuffled: int
    names: int
    val: float
    test: float
    train: float

    @property
    def judged(self) -> float:
        """Accuracy on all images of the target outside the test split, as a rehearsal judges."""
        return (1 - VAL_SHARE) * self.train + VAL_SHARE * self.val

    @property
    def key(self) -> str:
        """Identifies it."""
        return f"{self.task}|{self.seed}|{self.policy}|{self.count}"


class Rows:
    """A file with one JSON line per row; a killed run loses one at most.

    Args:
        path: of the file.
        known: rows of an earlier run; the file's own win.
    """

    def __init__(self, path: Path, known: Iterable[Row] = ()) -> None:
        self.path = path
        self.rows: dict[str, Row] = {row.key: row for row in known}
        if path.exists():
            data = path.read_bytes()
            whole = data.rfind(b"\n") + 1
            if whole < len(data):
                os.truncate(path, whole)
            for line in data[:whole].splitlines():
                row = Row(**json.loads(line))
                self.rows[row.key] = row

    def add(self, row: Row) -> None:
        """Append it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab") as file:
            file.write(json.dumps(asdict(row)).encode() + b"\n")
        self.rows[row.key] = row


class Bench:
    """A task with one seed: a teacher, its scores in folder order, and students on selections.

    Args:
        world: pool and models.
        task: its name.
        seed: of split, teacher, random choice and student.
    """

    def __init__(self, world: World, task: str, seed: int) -> None:
        self.world, self.name, self.seed = world, task, seed
        self.order, self.starts = world.by_folder
        self.task = world.task(task, seed)
        self.classes, self.class_names = self.task.task.num_classes, self.task.task.class_names
        features, labels = self.task.split("teacher", "train")
        self.teacher = linear(features, labels, self.classes, seed)
        self.judged = {name: self.task.split("student", name) for name in ("train", "val", "test")}
        self.scratch = tempfile.TemporaryDirectory()
        self.tables: dict[str, ScoreTable] = {}
        self.rankings: dict[str, Ranking] = {}

    @cached_property
    def temperature(self) -> float:
        """The teacher's, from the validation split."""
        features, labels = self.task.split("teacher", "val")
        return scores.fit_temperature(self.teacher.logits(features), labels)

    def logits(self, kind: str = scores.PLAIN) -> NDArray[np.float32]:
        """The teacher's logits of the pool in folder order, float32 (N, K)."""
        logits = self.teacher.logits(self.world.pool["teacher"])
        if kind == scores.TWO_VIEWS:
            logits[:VIEWED] = (logits[:VIEWED] + self.teacher.logits(self.world.mirrored)) / 2
        return logits[self.order]

    def table(self, kind: str = scores.PLAIN) -> ScoreTable:
        """The score table of a kind of scores, made once."""
        if kind not in self.tables:
            logits = self.logits(kind)
            left_out = self.order >= VIEWED if kind in (scores.ONE_VIEW, scores.TWO_VIEWS) else np.zeros(len(logits))
            columns: dict[str, Any] = {**score_columns(logits), "status": np.where(left_out, 255, 0).astype(np.uint8)}
            if kind in (scores.CALIBRATED, scores.BY_CLASS):
                columns["energy"] = scores.energies(kind, logits, self.temperature)
            mark = Provenance("5e" * 16, len(logits), self.classes, "00" * 32, "00" * 32, "float32")
            facts = {"class_names": list(self.class_names)}
            self.tables[kind] = write_table(Path(self.scratch.name) / kind.replace(" ", "-"), mark, facts, columns)
        return self.tables[kind]

    def ranking(self, name: str) -> Ranking:
        """The order of a policy, made once."""
        if name not in self.rankings:
            policy, points = policy_of(name, self.seed), None
            if policy.refine and policy.refine.spread:
                points = self.world.embedding[self.order]
            ranking = rank(self.table(SCORES.get(name, scores.PLAIN)), policy)
            self.rankings[name] = refined(ranking, policy.refine, self.starts, points)
        return self.rankings[name]

    def sizes(self, selection: Selection) -> dict[str, int]:
        """The byte fields of a row."""
        size, classes = len(self.order), self.classes
        shuffled = np.argsort(self.order[selection.indices])
        elsewhere = self.order[selection.indices][shuffled].astype(np.uint32)
        labels = selection.labels[shuffled]
        more: dict[str, Any] = {"pool_size": size, "num_classes": classes, "pool_fingerprint": bytes([0x5E]) * 16}

        def ours(indices: Any, given: Any, **options: Any) -> int:
            return len(pf.encode(indices, given, profile="compact", **more, **options))

        def theirs(indices: Any, given: Any) -> int:
            set_ = selections.Selection("", indices, given, size, classes)
            return paper_layouts.best_paper_size(paper_layouts.paper_sizes(set_))[1]

        plain = ours(selection.indices, selection.labels)
        header = pf.inspect(pf.encode(selection.indices, selection.labels, profile="compact", **more))
        container = plain - sum(section.length for section in header.sections)
        return {
            "ours": ours(selection.indices, selection.labels, groups=self.starts),
            "ours_plain": plain,
            "ours_shuffled": ours(elsewhere, labels),
            "paper": container + theirs(selection.indices, selection.labels),
            "paper_shuffled": container + theirs(elsewhere, labels),
            "names": ours(selection.indices, selection.labels, class_names=self.class_names) - plain,
        }

    def row(self, name: str, count: int) -> Row:
        """Select, encode, train, judge."""
        selection = self.ranking(name).select(count)
        features = self.world.pool["student"][self.order[selection.indices]]
        labels = selection.labels.astype(np.int64)
        head = linear(features, labels, self.classes, self.seed)
        right = {
            split: float((head.logits(features).argmax(1) == labels).mean())
            for split, (features, labels) in self.judged.items()
        }
        facts: dict[str, Any] = {**self.sizes(selection), **right}
        return Row(self.name, self.seed, name, count, len(np.unique(selection.labels)), **facts)


def run(
    world: World, rows: Rows, tasks: Sequence[str], seeds: Sequence[int], policies: Sequence[str], largest: int
) -> None:
    """Everything that has no row yet, until a policy's file is larger than ``largest`` bytes in either coding."""
    if largest >= 4000:
        compile_kernels()  # thousands of files are encoded
    for seed in seeds:
        for task in tasks:
            bench: Bench | None = None
            for name in policies:
                for count in _counts(world, task, bench):
                    known = rows.rows.get(f"{task}|{seed}|{name}|{count}")
                    if known is None:
                        bench = bench or Bench(world, task, seed)
                        if count > bench.ranking(name).usable:
                            break
                        known = bench.row(name, count)
                        rows.add(known)
                        print(
                            f"{task} {seed} {name}: {count} images, {known.ours} bytes ({known.paper} in the paper's"
                            f" layouts), test {known.test:.1%}",
                            flush=True,
                        )
                    if min(known.ours, known.paper) > largest:
                        break


_CLASSES: dict[str, int] = {}


def _counts(world: World, task: str, bench: Bench | None) -> Iterator[int]:
    """One image per class, then doubling, up to the pool."""
    if task not in _CLASSES:
        _CLASSES[task] = bench.classes if bench else world.task(task, 0).task.num_classes
    count = _CLASSES[task]
    while count <= len(world.source):
        yield count
        count *= 2
