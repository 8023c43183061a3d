"""The score table: a folder with ``table.json`` and one safetensors file per chunk of 65,536 consecutive pool indices.

A chunk file appears whole or not at all and names everything its numbers depend on (:class:`Provenance`), so resuming
is "write the missing chunks", sharding is "write some of them", and merging is "copy files". Nothing here needs torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .tensorfile import TensorFile, serialise

CHUNK_ROWS = 65536
TABLE_VERSION = 1
USABLE_BELOW = (
    128  # status byte of plada_train.decode: below, the image was read (the bits say how); from here on it was not
)
COLUMNS: dict[str, str] = {
    "label": "uint16",
    "energy": "float32",
    "entropy": "float32",
    "max_logit": "float32",
    "margin": "float32",
    "status": "uint8",
}


@dataclass(frozen=True)
class Provenance:
    """What a score depends on. Chunks of one table agree in all of it; two tables that differ in any of it never mix.

    Attributes:
        pool_fingerprint: 32 hex digits, of the pool manifest.
        pool_size: images in the pool.
        num_classes: classes of the teacher, at most 65,536.
        teacher_digest: hex digest of the teacher's checkpoint.
        preprocessing: hex digest of the preprocessing.
        dtype: "float32" or "bfloat16", of the forward pass.
        temperature: T of the energy.
        device: "cpu" or "cuda": their arithmetic differs in the last bits.
        compiled: whether torch.compile was used.
        batch_size: images per forward pass.
        versions: versions of the libraries that computed the logits.
        chunk_rows: rows of a chunk, 65,536 but in tests.
    """

    pool_fingerprint: str
    pool_size: int
    num_classes: int
    teacher_digest: str
    preprocessing: str
    dtype: str
    temperature: float = 1.0
    device: str = "cpu"
    compiled: bool = False
    batch_size: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    chunk_rows: int = CHUNK_ROWS

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "versions": dict(sorted(self.versions.items()))}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Provenance:
        names = {f.name for f in fields(cls)}
        if set(value) != names:
            raise ValueError(f"provenance has the fields {sorted(value)}")
        out = cls(**value)
        if not (0 <= int(out.pool_size) < 1 << 32 and 1 <= int(out.num_classes) <= 1 << 16 and int(out.chunk_rows) > 0):
            raise ValueError(f"pool of {out.pool_size}, {out.num_classes} classes, {out.chunk_rows} rows a chunk")
        return out

    def canonical(self) -> str:
        """One text per provenance."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))

    @property
    def num_chunks(self) -> int:
        return -(-self.pool_size // self.chunk_rows)

    def start(self, chunk_id: int) -> int:
        """First pool index of a chunk."""
        return chunk_id * self.chunk_rows

    def rows(self, chunk_id: int) -> int:
        """Rows of a chunk: all chunks are equal but for the last one."""
        return min(self.chunk_rows, self.pool_size - self.start(chunk_id))

    def check_same(self, other: Provenance, what: str, where: str) -> None:
        """Raise UserError that names the first difference: ``what`` was scored with ours, ``where`` with
        ``other``'s."""
        for name in (f.name for f in fields(self)):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                raise UserError(
                    f"{what}: scored with {name} {_short(ours)}, but {where} has {_short(theirs)}; scores of"
                    f" different origin do not mix"
                    " (use another --table folder)"
                )


def _short(value: Any) -> str:
    text = json.dumps(dict(value), sort_keys=True) if isinstance(value, Mapping) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def chunk_name(chunk_id: int) -> str:
    return f"chunk-{chunk_id:06d}.safetensors"


def chunk_bytes(provenance: Provenance, chunk_id: int, columns: Mapping[str, NDArray[Any]]) -> bytes:
    """The file of one chunk: identical bytes on identical inputs.

    Raises:
        ValueError: columns are missing, of another length or dtype.
    """
    if not 0 <= chunk_id < provenance.num_chunks:
        raise ValueError(f"chunk {chunk_id} of a pool with {provenance.num_chunks}")
    rows = provenance.rows(chunk_id)
    for name, dtype in COLUMNS.items():
        if columns[name].shape != (rows,) or columns[name].dtype != np.dtype(dtype):
            raise ValueError(
                f"column {name} of chunk {chunk_id}: want {dtype} ({rows},), got {columns[name].dtype}"
                f" {columns[name].shape}"
            )
    metadata = {
        "format": f"plada score chunk {TABLE_VERSION}",
        "chunk": str(chunk_id),
        "provenance": provenance.canonical(),
    }
    return serialise({name: columns[name] for name in COLUMNS}, metadata)


def write_chunk(folder: Path, provenance: Provenance, chunk_id: int, columns: Mapping[str, NDArray[Any]]) -> Path:
    """Write one chunk atomically (temporary file, fsync, rename)."""
    path = folder / chunk_name(chunk_id)
    for stale in folder.glob(f".{path.name}.*.tmp"):  # left by a killed run of this very chunk
        stale.unlink(missing_ok=True)
    with atomic_write(path) as file:
        file.write(chunk_bytes(provenance, chunk_id, columns))
    return path


def open_chunk(path: Path, provenance: Provenance, chunk_id: int) -> TensorFile:
    """Open a chunk and check that it is the one asked for.

    Raises:
        UserError: damaged, another chunk, or of another provenance.
    """
    chunk = TensorFile.open(path)
    try:
        theirs = Provenance.from_json(json.loads(chunk.metadata["provenance"]))
        stored_id = int(chunk.metadata["chunk"])
    except (KeyError, ValueError, TypeError) as reason:
        raise UserError(f"{path}: no score chunk ({reason})") from None
    theirs.check_same(provenance, str(path), "the table")
    rows = provenance.rows(chunk_id)
    if stored_id != chunk_id or any(
        chunk.entries.get(name, (None, None))[:2] != (np.dtype(dtype), (rows,)) for name, dtype in COLUMNS.items()
    ):
        raise UserError(f"{path}: not chunk {chunk_id} of {rows} rows; delete it and score again")
    return chunk


def _table_text(provenance: Provenance, task: Mapping[str, Any]) -> bytes:
    value = {
        "format": "plada score table",
        "version": TABLE_VERSION,
        "provenance": provenance.to_json(),
        "task": dict(task),
    }
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_table_json(folder: str | os.PathLike[str]) -> tuple[Provenance, dict[str, Any]]:
    """Provenance and task description (class names, input, teacher's name) of a table folder.

    Raises:
        UserError: no table there, or one of another version.
    """
    path = Path(folder) / "table.json"
    try:
        value = json.loads(path.read_bytes())
        if value["format"] != "plada score table" or value["version"] != TABLE_VERSION:
            raise ValueError(f"version {value['version']}")
        return Provenance.from_json(value["provenance"]), dict(value["task"])
    except FileNotFoundError:
        raise UserError(f"{folder}: no score table (table.json is missing); make one with 'plada score'") from None
    except (ValueError, KeyError, TypeError) as reason:
        raise UserError(f"{path}: not a score table that this version reads ({reason})") from None


def start_table(folder: str | os.PathLike[str], provenance: Provenance, task: Mapping[str, Any]) -> Path:
    """Create the table folder, or check that the one there is of the same provenance and task.

    Raises:
        UserError: the folder holds scores of another pool, teacher, precision, ...
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "table.json"
    if path.exists():
        theirs, their_task = read_table_json(folder)
        provenance.check_same(theirs, "this run", f"the table in {folder}")
        if their_task != json.loads(json.dumps(dict(task))):
            raise UserError(
                f"{folder}: the table was made for another task (class names or input differ); use another --table"
                f" folder"
            )
    else:
        with atomic_write(path) as file:
            file.write(_table_text(provenance, task))
    return folder


def missing_chunks(folder: Path, provenance: Provenance, chunk_ids: Iterable[int] | None = None) -> list[int]:
    """Ids that have no valid file yet. A damaged file counts as missing; one of another provenance is an error.

    Raises:
        UserError: a chunk of another provenance.
    """
    out = []
    for chunk_id in range(provenance.num_chunks) if chunk_ids is None else chunk_ids:
        path = folder / chunk_name(chunk_id)
        if not path.exists():
            out.append(chunk_id)
            continue
        try:
            TensorFile.open(path).read()
        except UserError:
            out.append(chunk_id)
            continue
        open_chunk(path, provenance, chunk_id)
    return out


def merge(sources: Sequence[str | os.PathLike[str]], target: str | os.PathLike[str]) -> Path:
    """Gather the chunks of several shard folders in ``target``: the same bytes as one run would have written.

    Returns:
        The target folder. It may be incomplete if the shards were; :meth:`ScoreTable.open` says so.

    Raises:
        UserError: shards of different provenance or task, or two that disagree about a chunk.
    """
    if not sources:
        raise UserError("merge: name at least one table folder")
    provenance, task = read_table_json(sources[0])
    for source in sources[1:]:
        theirs, their_task = read_table_json(source)
        theirs.check_same(provenance, str(source), str(sources[0]))
        if their_task != task:
            raise UserError(
                f"{source}: the table was made for another task (class names or input differ) than {sources[0]}"
            )
    folder = start_table(target, provenance, task)
    for source in sources:
        if Path(source).resolve() == folder.resolve():
            continue
        for chunk_id in range(provenance.num_chunks):
            path, goal = Path(source) / chunk_name(chunk_id), folder / chunk_name(chunk_id)
            if not path.exists():
                continue
            open_chunk(path, provenance, chunk_id).read()
            blob = path.read_bytes()
            if goal.exists():
                if _digest(goal.read_bytes()) != _digest(blob):
                    raise UserError(
                        f"{path}: differs from {goal}; one of them is wrong, delete it and score that chunk again"
                    )
                continue
            with atomic_write(goal) as file:
                file.write(blob)
    return folder


def _digest(blob: bytes) -> bytes:
    return hashlib.sha256(blob).digest()


@dataclass(frozen=True)
class ScoreTable:
    """A complete table. Columns are read on demand, so a selection touches 7 of the 19 bytes per image."""

    folder: Path
    provenance: Provenance
    task: dict[str, Any]

    @classmethod
    def open(
        cls, folder: str | os.PathLike[str], *, pool_fingerprint: bytes | None = None, pool_size: int | None = None
    ) -> ScoreTable:
        """Open a table and check that no chunk is missing and that it belongs to the pool.

        Raises:
            UserError: incomplete, damaged or mixed table, or one of another pool.
        """
        provenance, task = read_table_json(folder)
        if pool_fingerprint is not None and provenance.pool_fingerprint != pool_fingerprint.hex():
            raise UserError(
                f"{folder}: the table belongs to another pool (fingerprint {provenance.pool_fingerprint}, the pool"
                f" given has"
                f" {pool_fingerprint.hex()}); score this pool first"
            )
        if pool_size is not None and provenance.pool_size != pool_size:
            raise UserError(
                f"{folder}: the table has {provenance.pool_size} images, the pool {pool_size}; score this pool first"
            )
        gone = [i for i in range(provenance.num_chunks) if not (Path(folder) / chunk_name(i)).exists()]
        if gone:
            raise UserError(
                f"{folder}: {len(gone)} of {provenance.num_chunks} chunks are missing (first: {gone[0]});"
                " run 'plada score' again, or merge the shards with 'plada score --merge'"
            )
        return cls(Path(folder), provenance, task)

    def __len__(self) -> int:
        return self.provenance.pool_size

    @property
    def num_classes(self) -> int:
        return self.provenance.num_classes

    def chunks(self, *names: str) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """(first pool index, columns) of every chunk, in order. All headers are checked before the first is read.

        Raises:
            UserError: a chunk is damaged, mixed in, or holds a label outside the classes.
        """
        opened = [
            open_chunk(self.folder / chunk_name(i), self.provenance, i) for i in range(self.provenance.num_chunks)
        ]
        for chunk_id, chunk in enumerate(opened):
            values = chunk.read(names)
            if "label" in values and int(values["label"].max()) >= self.num_classes:
                raise UserError(
                    f"{chunk.path}: label {int(values['label'].max())} in a table of {self.num_classes} classes;"
                    " delete the file and score again"
                )
            yield self.provenance.start(chunk_id), values

    def columns(self, *names: str) -> dict[str, NDArray[Any]]:
        """Whole columns, each (pool size,) of the dtype in :data:`COLUMNS`. Raises as :meth:`chunks`."""
        out: dict[str, NDArray[Any]] = {}
        for start, values in self.chunks(*names):
            for name, part in values.items():
                if start == 0:  # only now is it known that files of this size are there
                    out[name] = np.empty(len(self), COLUMNS[name])
                out[name][start : start + len(part)] = part
        return out


def write_table(
    folder: str | os.PathLike[str], provenance: Provenance, task: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]
) -> ScoreTable:
    """Write a table from whole columns (for scores computed elsewhere, tests and benchmarks)."""
    path = start_table(folder, provenance, task)
    for chunk_id in range(provenance.num_chunks):
        start = provenance.start(chunk_id)
        part = slice(start, start + provenance.rows(chunk_id))
        write_chunk(path, provenance, chunk_id, {name: columns[name][part] for name in COLUMNS})
    return ScoreTable.open(folder)
