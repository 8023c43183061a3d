"""Parquet files with an image column, as Hugging Face datasets store them."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .base import ImageSource
from .paths import expand, open_file, stem

_ROW_GROUPS_KEPT = 4


class ParquetSource(ImageSource):
    """Rows of Parquet files whose image column is ``struct<bytes: binary, path: string>`` or plain binary.

    Key: ``<file name without extension>/<row, 8 digits>``. Groups: none. A row without bytes reads as an error (image
        files
    that only a path names are not followed). The four row groups read last stay in memory.

    Args:
        files: see :func:`plada_train.sources.paths.expand`.
        column: the image column; by default ``image``, else the only column of a fitting type.

    Raises:
        UserError: pyarrow is missing, no file, no such column, not Parquet.
    """

    def __init__(self, files: str, column: str | None = None) -> None:
        self.spec = f"parquet:{files}"
        self.files = expand(files, (".parquet",))
        self._stems = [stem(path) for path in self.files]
        if len(set(self._stems)) != len(self._stems):
            raise UserError(f"{files}: two files have the same name; keys would not be unique")
        starts: list[NDArray[np.int64]] = []
        for number, path in enumerate(self.files):
            metadata, schema = read_schema(path)
            if number == 0:
                self.column = column or _image_column(path, schema)
            if self.column not in schema.names:
                raise UserError(f"{path}: no column {self.column!r}; it has {', '.join(schema.names)}")
            rows = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
            starts.append(np.cumsum([0, *rows]).astype(np.int64))
        self._row_groups = starts
        self._starts = np.cumsum([0] + [int(start[-1]) for start in starts])
        if not len(self):
            raise UserError(f"{files}: no rows")
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._files: dict[int, Any] = {}
        self._cache: dict[tuple[int, int], Any] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def key(self, index: int) -> str:
        number, row = self._locate(index)
        return f"{self._stems[number]}/{row:08d}"

    def read(self, index: int) -> bytes:
        number, row = self._locate(index)
        starts = self._row_groups[number]
        place = int(np.searchsorted(starts, row, side="right")) - 1
        value = self._row_group(number, place)[row - int(starts[place])].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if data is None:
            raise OSError(f"{self.files[number]}: row {row} holds no image bytes")
        return bytes(data)

    def _row_group(self, number: int, place: int) -> Any:
        with self._lock:
            column = self._cache.pop((number, place), None)
            if column is None:
                import pyarrow
                import pyarrow.parquet

                try:
                    if number not in self._files:
                        self._files[number] = pyarrow.parquet.ParquetFile(open_file(self.files[number]))
                    table = self._files[number].read_row_group(place, columns=[self.column], use_threads=False)
                except pyarrow.ArrowException as problem:
                    raise OSError(f"{self.files[number]}: row group {place}: {problem}") from None
                column = table.column(0).combine_chunks()
            while len(self._cache) >= _ROW_GROUPS_KEPT:
                self._cache.pop(next(iter(self._cache)))
            self._cache[(number, place)] = column  # most recently used last
            return column

    def _locate(self, index: int) -> tuple[int, int]:
        self._check(index)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return number, int(index - self._starts[number])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_files", "_cache")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()


def read_schema(path: str) -> tuple[Any, Any]:
    """File metadata and arrow schema of a Parquet file.

    Raises:
        UserError: pyarrow is missing, or the file is no Parquet file.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: Parquet needs pyarrow (pip install 'plada[train]')") from None
    try:
        with open_file(path) as file:
            opened = pyarrow.parquet.ParquetFile(file)
            return opened.metadata, opened.schema_arrow
    except pyarrow.ArrowException as problem:
        raise UserError(f"{path}: not a readable Parquet file ({str(problem).splitlines()[0]})") from None


def read_labels(source: ParquetSource) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """Column ``label`` (or ``labels``, ``fine_label``) of all files, int64 (n,), and the class names if the schema
    has them.

    Text labels become positions in the sorted list of the texts.

    Raises:
        UserError: no such column, or rows without a label.
    """
    import pyarrow.parquet

    values: list[Any] = []
    names: tuple[str, ...] | None = None
    for path in source.files:
        _, schema = read_schema(path)
        column = next((name for name in ("label", "labels", "fine_label") if name in schema.names), None)
        if column is None:
            raise UserError(f"{path}: no column 'label'; it has {', '.join(schema.names)}")
        with open_file(path) as file:
            rows = pyarrow.parquet.read_table(file, columns=[column]).column(0).to_pylist()
        if any(row is None for row in rows):
            raise UserError(f"{path}: row {rows.index(None)} has no label")
        values += rows
        names = names or _class_names(schema, column)
    if values and isinstance(values[0], str):
        names = tuple(sorted(set(values)))
        position = {name: place for place, name in enumerate(names)}
        values = [position[value] for value in values]
    return np.asarray(values, np.int64), names


def _class_names(schema: Any, column: str) -> tuple[str, ...] | None:
    try:
        described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = described["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    if isinstance(names, dict):  # {"0": "cat", "1": "dog"}
        names = [names[str(place)] for place in range(len(names))]
    return tuple(str(name) for name in names)


def _image_column(path: str, schema: Any) -> str:
    import pyarrow

    def fits(kind: Any) -> bool:
        if pyarrow.types.is_struct(kind):
            return any(field.name == "bytes" for field in kind)
        return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))

    fitting = [field.name for field in schema if fits(field.type)]
    for name in ("image", "img"):
        if name in fitting:
            return name
    if len(fitting) == 1:
        return str(fitting[0])
    raise UserError(f"{path}: cannot tell the image column; columns that could be one: {', '.join(fitting) or 'none'}")
