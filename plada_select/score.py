"""Scores over the whole pool: one pass of the teacher, chunk by chunk, without ever holding the pool's logits.

:func:`score_chunk` is the only function that an engine calls (the local loop of :func:`score_pool`, ``--shard i/n``, a
cluster). It is idempotent and writes one file, so resume is "run the missing chunks" and every image is scored exactly
once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .criteria import score_columns
from .predictor import Predictor, library_versions
from .scoretable import (
    CHUNK_ROWS,
    COLUMNS,
    USABLE_BELOW,
    Provenance,
    missing_chunks,
    read_table_json,
    start_table,
    write_chunk,
)

if TYPE_CHECKING:
    from plada_format import Manifest
    from plada_train import Checkpoint, ImageSource


@dataclass
class Meter:
    """Where the time went, summed over chunks; seconds are of wall clock except ``loading``, which is summed over
    loader threads."""

    images: int = 0
    wall: float = 0.0
    waiting: float = 0.0
    loading: float = 0.0
    threads: int = 1

    def line(self) -> str:
        """Images/s of loader and model apart, and of both together."""
        model = self.wall - self.waiting
        rates = (
            ("loader", self.images * self.threads / self.loading if self.loading else 0.0),
            ("model", self.images / model if model > 0 else 0.0),
            ("together", self.images / self.wall if self.wall else 0.0),
        )
        return ", ".join(f"{name} {rate:.0f} images/s" for name, rate in rates)


@dataclass
class ScoreContext:
    """All that :func:`score_chunk` needs; made once per process by :func:`open_context`."""

    source: ImageSource
    manifest: Manifest
    predictor: Predictor
    folder: Path
    provenance: Provenance
    check_digests: bool = True
    threads: int | None = None
    workers: int = 0
    meter: Meter = field(default_factory=Meter)
    on_images: Callable[[int], None] | None = None


def task_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the payload's reader will want to know of the teacher: class names, preprocessing, architecture, digest."""
    return {
        "class_names": list(checkpoint.class_names),
        "preprocess": checkpoint.model.preprocess.to_json(),
        "teacher": checkpoint.model.arch,
        "teacher_digest": checkpoint.digest,
    }


def open_context(
    source: ImageSource,
    manifest: Manifest,
    checkpoint: Checkpoint,
    folder: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    temperature: float = 1.0,
    batch_size: int = 64,
    compile_model: str = "off",
    threads: int | None = None,
    workers: int = 0,
    check_digests: bool = True,
    sharded: bool = False,
    chunk_rows: int = CHUNK_ROWS,
) -> ScoreContext:
    """Load the teacher, settle precision and compilation once, and start or check the table folder.

    Args:
        dtype: "float32", "bfloat16" or "auto" (bfloat16 on a GPU, float32 on a CPU; an existing table decides).
        compile_model: "off", "on" or "auto": a timed trial, eager where it fails or is not faster. An existing table
            decides; shards need one answer, so "auto" is "off" for them unless the table exists.
        check_digests: compare every image's SHA-256 with the manifest.
        chunk_rows: leave it, except in tests.

    Raises:
        UserError: the source is not the manifest's pool, or the folder holds scores of another origin.
    """
    from plada_train import auto_source_size

    if len(source) != len(manifest):
        raise UserError(
            f"{source.spec}: has {len(source)} images, the pool manifest {len(manifest)}; use the images the"
            f" manifest was built from"
        )
    if len(manifest) == 0:
        raise UserError(f"{source.spec}: the pool has no images")
    classes = len(checkpoint.class_names)
    if not 1 <= classes <= 65536:
        raise UserError(f"the teacher has {classes} classes; a score table holds 1 to 65,536")
    folder = Path(folder)
    if (folder / "table.json").exists():
        before, _ = read_table_json(folder)
        if dtype == "auto":
            dtype = before.dtype
        if compile_model == "auto":
            compile_model = "on" if before.compiled else "off"
    elif compile_model == "auto" and sharded:
        compile_model = "off"
    preprocess = checkpoint.model.preprocess
    if preprocess.source_size is None:
        preprocess = replace(preprocess, source_size=auto_source_size(source, preprocess.input_size))
    predictor = Predictor(
        checkpoint.model, preprocess, device=device, dtype=dtype, batch_size=batch_size, compile_model=compile_model
    )
    provenance = Provenance(
        pool_fingerprint=manifest.fingerprint.hex(),
        pool_size=len(manifest),
        num_classes=classes,
        teacher_digest=checkpoint.digest,
        preprocessing=preprocess.digest(),
        dtype=predictor.dtype,
        temperature=float(temperature),
        device=predictor.device_type,
        compiled=predictor.compiled,
        batch_size=batch_size,
        versions=library_versions(),
        chunk_rows=chunk_rows,
    )
    start_table(folder, provenance, {**task_of(checkpoint), "preprocess": preprocess.to_json()})
    return ScoreContext(source, manifest, predictor, folder, provenance, check_digests, threads, workers)


@dataclass(frozen=True)
class ChunkReport:
    """What travels back from an engine: small, never images."""

    chunk_id: int
    rows: int
    unusable: int
    path: str


def score_chunk(context: ScoreContext, chunk_id: int) -> ChunkReport:
    """Score the pool indices of one chunk and write its file, whole or not at all.

    Raises:
        UserError: an image differs from the pool manifest (the table would belong to another pool).
        OSError: the file cannot be written (disk full); nothing of it remains.
    """
    rows = context.provenance.rows(chunk_id)
    start = context.provenance.start(chunk_id)
    columns = {name: np.zeros(rows, dtype) for name, dtype in COLUMNS.items()}
    began = time.perf_counter()
    done = 0
    for indices, status, logits in logits_of(context, np.arange(start, start + rows, dtype=np.int64)):
        part = slice(done, done + len(indices))
        values = score_columns(logits, context.provenance.temperature)
        bad = status >= USABLE_BELOW
        values["label"][bad] = 0
        for name in ("energy", "entropy", "max_logit", "margin"):
            values[name][bad] = np.nan
        for name, column in values.items():
            columns[name][part] = column
        columns["status"][part] = status
        done += len(indices)
        if context.on_images is not None:
            context.on_images(len(indices))
    path = write_chunk(context.folder, context.provenance, chunk_id, columns)
    context.meter.images += rows
    context.meter.wall += time.perf_counter() - began
    return ChunkReport(chunk_id, rows, int((columns["status"] >= USABLE_BELOW).sum()), str(path))


def logits_of(
    context: ScoreContext, indices: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32]]]:
    """(indices, status, logits) of the images, in order; decoding runs ahead, and a device computes one batch ahead of
    the reading back."""
    from plada_train import BatchLoader

    predictor = context.predictor
    loader = BatchLoader(
        context.source,
        indices,
        predictor.preprocess,
        batch_size=predictor.batch_size,
        threads=context.threads,
        workers=context.workers,
        pad_last=True,  # one shape for every forward pass: the same arithmetic whatever the sharding
        digests=context.check_digests,
    )
    pending: deque[tuple[Any, Any]] = deque()
    for batch in loader:
        if batch.digests is not None:
            _check_digests(context, batch)
        pending.append((batch, predictor.start(batch)))  # the whole batch: images of another size travel beside it
        if len(pending) > 1:
            yield _finish(predictor, *pending.popleft())
    while pending:
        yield _finish(predictor, *pending.popleft())
    context.meter.waiting += loader.seconds_waited
    context.meter.loading += loader.seconds_loading
    context.meter.threads = loader.workers or loader.threads


def _finish(
    predictor: Predictor, batch: Any, handle: Any
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.float32]]:
    count = len(batch.indices)
    return batch.indices, batch.status[:count], predictor.finish(handle)[:count]


def _check_digests(context: ScoreContext, batch: Any) -> None:
    count = len(batch.indices)
    differs = (batch.digests[:count] != context.manifest.digests(batch.indices)).any(axis=1)
    if differs.any():
        first = int(batch.indices[int(np.argmax(differs))])
        key = context.manifest.keys([first])[0]
        raise UserError(
            f"pool image {first} ({key}) differs from the manifest (changed or unreadable file); run 'plada pool"
            f" verify', or rebuild the manifest"
        )


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of "i/n", counted from 0.

    Raises:
        UserError: not of that form, or i not below n.
    """
    try:
        part, total = (int(value) for value in text.split("/"))
    except ValueError:
        raise UserError(f"shard: {text!r} is not of the form 0/4") from None
    if not 0 <= part < total:
        raise UserError(f"shard: {text!r} must count from 0/{max(total, 1)} to {max(total, 1) - 1}/{max(total, 1)}")
    return part, total


def score_pool(context: ScoreContext, *, shard: tuple[int, int] = (0, 1), progress: bool = True) -> list[ChunkReport]:
    """Run the missing chunks of a shard here. Killed and started again, it goes on with the first chunk that has no
    file.

    Returns:
        A report per chunk that was run now.
    """
    part, total = shard
    mine: Sequence[int] = range(part, context.provenance.num_chunks, total)
    todo = missing_chunks(context.folder, context.provenance, mine)
    images = sum(context.provenance.rows(i) for i in mine)
    left = sum(context.provenance.rows(i) for i in todo)
    reports = []
    from plada_train.loader import progress_bar

    with progress_bar(images, "score", show=progress, done=images - left) as bar:

        def advance(count: int) -> None:
            bar.update(count)

        context.on_images = advance
        for chunk_id in todo:
            reports.append(score_chunk(context, chunk_id))
            bar.set_postfix_str(context.meter.line())
        context.on_images = None
    return reports


def reopen_context(source: ImageSource, manifest: Manifest, checkpoint: Checkpoint, folder: str | Path) -> ScoreContext:
    """The context of a table that exists, with its own settings, for a further look at some of its images.

    Raises:
        UserError: another teacher or pool than the table's.
    """
    provenance, _ = read_table_json(folder)
    if checkpoint.digest != provenance.teacher_digest:
        raise UserError(
            f"{folder}: scored by another teacher (digest {provenance.teacher_digest[:16]}, this one is"
            f" {checkpoint.digest[:16]})"
        )
    if manifest.fingerprint.hex() != provenance.pool_fingerprint or len(source) != provenance.pool_size:
        raise UserError(f"{folder}: the table belongs to another pool than {source.spec}")
    preprocess = checkpoint.model.preprocess
    from plada_train import auto_source_size

    if preprocess.source_size is None:
        preprocess = replace(preprocess, source_size=auto_source_size(source, preprocess.input_size))
    predictor = Predictor(checkpoint.model, preprocess, dtype=provenance.dtype, batch_size=provenance.batch_size)
    return ScoreContext(source, manifest, predictor, Path(folder), provenance)
