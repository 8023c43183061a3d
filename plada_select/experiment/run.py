"""Runs the cells of a grid. Backbones run once per image, all else works on cached features."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..baselines.contest import Contest, run_baselines
from ..baselines.students import HeadStudent, Target
from ..criteria import score_columns
from ..pipeline import Outcome, select_payload
from ..scoretable import Provenance, ScoreTable, write_table
from .grid import Cell, Grid, net_text
from .store import Row, Store

if TYPE_CHECKING:
    from plada_format import Manifest
    from plada_train import Features, Head, ImageSource, LoadedModel, Task

_OPTIONS = {"profile": "compact"}
_POOL, _TABLES = "pool.pladapool", "tables"
_UNUSABLE = 128


@dataclass
class _Side:
    """Teacher or student: a frozen backbone and its features of pool and task."""

    model: LoadedModel
    digest: str
    pool: Features
    task: Features


class Experiment:
    """A grid over one pool, with one teacher and one student architecture.

    Args:
        folder: of results; see :class:`plada_select.experiment.Store`.
        grid: what to compare.
        pool: spec of the pool's images.
        teacher, student: (architecture, weights) of the frozen backbones.
        input_size: side of both inputs.
        jpeg_limit: most target images that a JPEG search looks at.
        cache: folder for features; by default in ``folder``.
        device, threads, progress: as everywhere.

    Raises:
        UserError: the folder holds results of another pool, teacher, student or input size.
    """

    def __init__(
        self,
        folder: Path | str,
        grid: Grid,
        *,
        pool: str,
        teacher: tuple[str, str],
        student: tuple[str, str],
        input_size: int | None = None,
        jpeg_limit: int = 500,
        cache: Path | str | None = None,
        device: str = "auto",
        threads: int | None = None,
        progress: bool = True,
    ) -> None:
        from plada_train import load_model, model_digest, open_source, pick_device

        self.folder, self.grid, self.jpeg_limit = Path(folder), grid, jpeg_limit
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cache = Path(cache) if cache is not None else self.folder / "cache"
        self.device, self.threads, self.progress = pick_device(device), threads, progress
        self.pool = open_source(pool)
        self.manifest = self._manifest()
        self.models = [
            load_model(arch, weights, num_classes=0, input_size=input_size) for arch, weights in (teacher, student)
        ]
        self.digests = [model_digest(model.module) for model in self.models]
        self.store = Store(
            self.folder,
            {
                "pool": self.manifest.fingerprint.hex(),
                "pool_size": len(self.manifest),
                "teacher": self.models[0].arch,
                "teacher_digest": self.digests[0],
                "student": self.models[1].arch,
                "student_digest": self.digests[1],
                "input_size": self.models[0].preprocess.input_size,
            },
        )
        self._pool_features: list[Features] | None = None

    def run(self) -> list[Row]:
        """Run what is missing; returns the rows of this grid, in its order."""
        from plada_train.loader import progress_bar

        wanted = {name: self._wanted(name) for name in self.grid.tasks}
        total = sum(len(keys) for keys in wanted.values())
        done = sum(key in self.store.rows for keys in wanted.values() for key in keys)
        with progress_bar(total, "experiment", show=self.progress, unit="student", done=done) as bar:
            for name, spec in self.grid.tasks.items():
                if any(key not in self.store.rows for key in wanted[name]):
                    self._task(name, spec, bar)
        shutil.rmtree(self.folder / _TABLES, ignore_errors=True)
        return [self.store.rows[key] for keys in wanted.values() for key in keys]

    def _wanted(self, task: str) -> list[str]:
        keys = []
        for seed in range(self.grid.seeds):
            keys += [_key(task, seed, name) for name in ("teacher", *self.grid.baselines)]
            keys += [cell.key(task) for cell in self.grid.cells(seed)]
        return keys

    def _task(self, name: str, spec: str, bar: Any) -> None:
        from plada_train import open_task

        sides: list[_Side] | None = None
        for seed in range(self.grid.seeds):
            keys = [_key(name, seed, other) for other in ("teacher", *self.grid.baselines)]
            keys += [cell.key(name) for cell in self.grid.cells(seed)]
            if all(key in self.store.rows for key in keys):
                continue
            task = open_task(spec, seed=seed, name=name)
            sides = sides or self._sides(task)
            _Seed(self, name, seed, task, sides, bar).run()

    def _sides(self, task: Task) -> list[_Side]:
        if self._pool_features is None:
            self._pool_features = [self._features(model, self.pool, f"pool, {model.arch}") for model in self.models]
        return [
            _Side(model, digest, pool, self._features(model, task.source, f"{task.name}, {model.arch}"))
            for model, digest, pool in zip(self.models, self.digests, self._pool_features)
        ]

    def _features(self, model: LoadedModel, source: ImageSource, name: str) -> Features:
        from plada_train import extract_features

        return extract_features(
            model, source, cache=self.cache, device=self.device, threads=self.threads, progress=self.progress,
            description=name,
        )  # fmt: skip

    def _manifest(self) -> Manifest:
        import plada_format as pf
        from plada_train import build_manifest

        path = self.folder / _POOL
        if not path.exists():
            build_manifest(self.pool, path, name="experiment", threads=self.threads, progress=self.progress)
        return pf.Manifest.open(path)


def _key(task: str, seed: int, baseline: str) -> str:
    return "|".join((task, str(seed), "baseline", baseline))


class _Seed:
    """One task with one seed: a teacher, its scores, and all students."""

    def __init__(self, owner: Experiment, name: str, seed: int, task: Task, sides: list[_Side], bar: Any) -> None:
        self.owner, self.name, self.seed, self.task, self.bar = owner, name, seed, task, bar
        self.teacher, self.student = sides
        self.train, self.val, self.test = (task.positions(split) for split in ("train", "val", "test"))
        self.labels = task.labels

    def run(self) -> None:
        """Everything that has no row yet."""
        usable = self.train[self.teacher.task.status[self.train] < _UNUSABLE]
        head = self._head(self.teacher.task.values[usable], self.labels[usable])
        self._teacher_row(head)
        table = self._table(head)
        student = HeadStudent(
            self.student.model,
            class_names=self.task.class_names,
            pool_features=self.student.pool.values,
            pool_status=self.student.pool.status,
            test_features=self.student.task.values[self.test],
            test_labels=self.labels[self.test],
            test_status=self.student.task.status[self.test],
            cache=self.owner.cache,
            device=self.owner.device.type,
        )
        for cell in self.owner.grid.cells(self.seed):
            if cell.key(self.name) not in self.owner.store.rows:
                self._add(self._cell(cell, table, student))
        self._baselines(table, student)

    def _add(self, row: Row) -> None:
        self.owner.store.add(row)
        self.bar.update(1)

    def _head(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> Head:
        from plada_train import Recipe, Targets, train_head

        return train_head(
            features, Targets(labels, self.task.num_classes), recipe=Recipe.head(len(labels), self.seed),
            device=self.owner.device,
        )  # fmt: skip

    def _teacher_row(self, head: Head) -> None:
        from plada_train import evaluate_logits

        key = _key(self.name, self.seed, "teacher")
        if key in self.owner.store.rows:
            return
        val, test = (
            evaluate_logits(
                head.logits(self.teacher.task.values[part]),
                self.labels[part],
                self.task.class_names,
                self.teacher.task.status[part],
            ).accuracy
            for part in (self.val, self.test)
        )
        note = f"{len(self.train)} labelled images"
        self._add(
            Row(key, self.name, self.seed, "baseline", "teacher", val_accuracy=val, test_accuracy=test, note=note)
        )

    def _table(self, head: Head) -> ScoreTable:
        owner, side = self.owner, self.teacher
        mark = hashlib.sha256(side.digest.encode())
        for weight, bias in head.layers:
            mark.update(weight.tobytes() + bias.tobytes())
        columns = score_columns(head.logits(side.pool.values))
        bad = side.pool.status >= _UNUSABLE
        for column in ("energy", "entropy", "max_logit", "margin"):
            columns[column][bad] = np.nan
        columns["label"][bad] = 0
        columns["status"] = side.pool.status
        rule = side.model.preprocess
        provenance = Provenance(
            owner.manifest.fingerprint.hex(), len(owner.manifest), self.task.num_classes, mark.hexdigest(),
            rule.digest(), "float32",
        )  # fmt: skip
        folder = owner.folder / _TABLES / f"{self.name}-{self.seed}"
        shutil.rmtree(folder, ignore_errors=True)
        facts = {
            "class_names": list(self.task.class_names),
            "preprocess": rule.to_json(),
            "teacher": side.model.arch,
            "teacher_digest": mark.hexdigest(),
        }
        return write_table(folder, provenance, facts, columns)

    def _cell(self, cell: Cell, table: ScoreTable, student: HeadStudent) -> Row:
        outcome = select_payload(table, cell.policy, keep=cell.keep, encode_options=_OPTIONS)
        kept = outcome.selection
        status = self.student.pool.status[kept.indices]
        head = student.train(self.student.pool.values[kept.indices], kept.labels, status, self.seed)
        called = head.logits(self.student.task.values[self.val]).argmax(1)
        return Row(
            cell.key(self.name),
            self.name,
            self.seed,
            "policy",
            cell.name,
            cell.policy.criterion,
            cell.policy.direction,
            net_text(cell.policy.safety_net),
            cell.keep,
            count=len(kept),
            bytes=len(outcome.data),
            val_accuracy=float((called == self.labels[self.val]).mean()),
            test_accuracy=student.judge(head).accuracy,
            classes=len(np.unique(kept.labels)),
        )

    def _baselines(self, table: ScoreTable, student: HeadStudent) -> None:
        owner = self.owner
        missing = [name for name in owner.grid.baselines if _key(self.name, self.seed, name) not in owner.store.rows]
        if not missing:
            return
        contest = self._contest(self._reference(table), table, student)
        for name in missing:
            (result,) = run_baselines(
                contest,
                which=(name,),
                teacher=owner.store.rows[_key(self.name, self.seed, "teacher")].test_accuracy,
                test=self.task.split("test"),
                jpeg_limit=owner.jpeg_limit,
                progress=False,
            )
            need = result.needed
            self._add(
                Row(
                    _key(self.name, self.seed, name),
                    self.name,
                    self.seed,
                    "baseline",
                    name,
                    keep=owner.grid.reference,
                    count=result.count,
                    bytes=result.bytes,
                    test_accuracy=result.accuracy if result.accuracies else None,
                    needed_bytes=need.bytes if need is not None and need.reached else None,
                    best_accuracy=need.accuracy if need is not None else None,
                    note="; ".join(text for text in (result.title, result.note) if text),
                )
            )

    def _reference(self, table: ScoreTable) -> Outcome:
        grid = self.owner.grid
        return select_payload(table, grid.reference_policy, keep=grid.reference, encode_options=_OPTIONS)

    def _contest(self, reference: Outcome, table: ScoreTable, student: HeadStudent) -> Contest:
        """One seed and one draw each: the seeds of the experiment are the repetitions."""
        images = self.task.split("train")
        target = Target(images, self.student.task.values[self.train], images.labels)
        return Contest(
            student,
            table,
            self.owner.grid.reference_policy,
            reference.data,
            seeds=(self.seed,),
            draws=1,
            target=target,
            encode_options=_OPTIONS,
        )
