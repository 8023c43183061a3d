"""Selections as tables: CSV, Parquet and NPZ, in and out.

Columns: ``index`` and ``label``, whole numbers; perhaps ``weight``; on the way out also ``key`` and ``class_name``.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from ..errors import ErrorCode, UserError, error

FORMATS = ("csv", "parquet", "npz")
_ALIASES = {"indices": "index", "labels": "label", "weights": "weight"}
_IGNORED = {"key", "class_name"}
_ROWS = 65_536  # rows converted at a time, so that text never exists for all rows at once


@dataclass
class Table:
    """A selection as read from a file; the codec checks the values.

    Attributes:
        index, label: one entry per kept image, whole numbers in the file's order.
        weight: one number per kept image, or None.
        settings: what else the file says: pool_size, num_classes, pool_fingerprint (hex), class_names, metadata,
            soft_labels.
    """

    index: np.ndarray[Any, Any]
    label: np.ndarray[Any, Any]
    weight: np.ndarray[Any, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def sorted(self) -> Table:
        """The same rows in the order of their indices."""
        order = np.argsort(self.index, kind="stable")
        weight = None if self.weight is None else self.weight[order]
        return Table(self.index[order], self.label[order], weight, self.settings)


def format_of(path: str, content: bytes) -> str:
    """What kind of table ``content`` is; its first bytes say it, so that this also works for stdin."""
    if content[:4] == b"PAR1":
        return "parquet"
    if content[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "npz"
    if path.lower().endswith((".parquet", ".npz")):
        raise UserError(f"{path}: not a {path.rpartition('.')[2]} file")
    return "csv"


def read_table(content: bytes, kind: str) -> Table:
    """Parse a table of one of :data:`FORMATS`.

    Raises:
        UserError: no such table, with the line or column.
    """
    return {"csv": _read_csv, "parquet": _read_parquet, "npz": _read_npz}[kind](content)


# ---------------------------------------------------------------------------------------------------------------- CSV


def _read_csv(content: bytes) -> Table:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise UserError(f"no UTF-8 text ({problem.reason} at byte {problem.start})") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    columns: dict[str, list[np.ndarray[Any, Any]]] = {"index": [], "label": [], "weight": []}
    try:
        for rows, lines in _batches(reader):
            if names is None:
                names = _header(rows, lines)
            for name, values in _convert(rows, lines, names).items():
                columns[name].append(values)
    except csv.Error as problem:
        raise UserError(f"line {reader.line_num}: {problem}") from None
    if names is None:
        raise UserError("an empty file: expected a header line 'index,label'")
    index, label = (np.concatenate(columns[name] or [np.empty(0, np.int64)]) for name in ("index", "label"))
    return Table(index, label, np.concatenate(columns["weight"]) if columns["weight"] else None)


def _batches(reader: Any) -> Iterator[tuple[list[list[str]], list[int]]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    for row in reader:
        if row:  # a blank line
            rows.append(row)
            lines.append(reader.line_num)
        if len(rows) == _ROWS:
            yield rows, lines
            rows, lines = [], []
    if rows:
        yield rows, lines


def _header(rows: list[list[str]], lines: list[int]) -> list[str]:
    """Column names; a file without a header line has index, label and perhaps weight in this order."""
    first = [name.strip().lower() for name in rows[0]]
    if _is_count(first[0]):
        if len(first) > 3:
            raise UserError(f"line {lines[0]}: {len(first)} columns and no header line: expected index,label[,weight]")
        return ["index", "label", "weight"][: len(first)] if len(first) > 1 else _no_column("label")
    del rows[0], lines[0]
    names = [_ALIASES.get(name, name) for name in first]
    _check_names(names)
    return names


def _check_names(names: Sequence[str]) -> None:
    for name in ("index", "label"):
        if name not in names:
            _no_column(name)
    for name in names:
        if name not in {"index", "label", "weight"} | _IGNORED:
            raise UserError(f"unknown column '{name}' (known: index, label, weight; passed over: key, class_name)")
    if len(set(names)) != len(names):
        raise UserError("a column occurs twice")


def _no_column(name: str) -> list[str]:
    raise UserError(f"no column '{name}': expected index, label and perhaps weight")


def _convert(rows: list[list[str]], lines: list[int], names: list[str]) -> dict[str, np.ndarray[Any, Any]]:
    for row, line in zip(rows, lines):
        if len(row) != len(names):
            raise UserError(f"line {line}: {len(row)} fields instead of {len(names)}")
    columns = dict(zip(names, zip(*rows))) if rows else dict.fromkeys(names, ())
    out = {name: _counts(columns[name], lines, name) for name in ("index", "label")}
    if "weight" in columns:
        out["weight"] = _numbers(columns["weight"], lines)
    return out


def _is_count(text: str) -> bool:
    return text.isascii() and text.strip().lstrip("-").isdigit()


def _counts(texts: Sequence[str], lines: list[int], name: str) -> np.ndarray[Any, Any]:
    joined = "".join(texts)
    if joined.isascii() and (joined.isdigit() or not joined):
        try:
            return np.fromiter(map(int, texts), np.int64, len(texts))
        except (ValueError, OverflowError):
            pass  # an empty field, or a number beyond 64 bits: found below
    values = np.empty(len(texts), np.int64)
    for position, text in enumerate(texts):
        plain = text.strip()
        if not (plain.isascii() and plain.isdigit()) or len(plain) > 18:
            raise UserError(f"line {lines[position]}: {name} '{text}' is not a whole number from 0 to 4,294,967,295")
        values[position] = int(plain)
    return values


def _numbers(texts: Sequence[str], lines: list[int]) -> np.ndarray[Any, Any]:
    values = np.empty(len(texts), np.float64)
    for position, text in enumerate(texts):
        try:
            values[position] = float(text)
        except ValueError:
            raise UserError(f"line {lines[position]}: weight '{text}' is not a number") from None
    return values


# ------------------------------------------------------------------------------------------------------ NPZ and Parquet


def _read_npz(content: bytes) -> Table:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            for name in file.files:
                arrays[_ALIASES.get(name, name)] = file[name]
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, KeyError) as problem:
        raise UserError(f"no readable NPZ file ({problem})") from None
    settings: dict[str, Any] = {}
    for name in [name for name in arrays if name not in {"index", "label", "weight"} | _IGNORED]:
        settings[name] = _setting(name, arrays.pop(name))
    _check_names(list(arrays))
    return Table(arrays["index"], arrays["label"], arrays.get("weight"), settings)


def _setting(name: str, value: np.ndarray[Any, Any]) -> Any:
    if name in ("pool_size", "num_classes") and value.ndim == 0 and value.dtype.kind in "iu":
        return int(value)
    if name in ("pool_fingerprint", "metadata") and value.ndim == 0 and value.dtype.kind == "U":
        return _checked(name, str(value))
    if name == "class_names" and value.ndim == 1 and value.dtype.kind == "U":
        return [str(text) for text in value]
    if name == "soft_labels":
        return value
    raise UserError(f"unknown array '{name}' of type {value.dtype} and shape {value.shape}")


def _checked(name: str, text: str) -> Any:
    if name != "metadata":
        return text
    try:
        pairs = json.loads(text)
    except ValueError:
        pairs = None
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        raise UserError("metadata must be a JSON object of strings")
    return pairs


def _read_parquet(content: bytes) -> Table:
    pa, parquet = _pyarrow()
    try:
        table = parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as problem:
        raise UserError(f"no readable Parquet file ({problem})") from None
    names = [_ALIASES.get(name, name) for name in table.column_names]
    _check_names(names)
    columns = {name: column for name, column in zip(names, table.columns) if name not in _IGNORED}
    for name, column in columns.items():
        if column.null_count:
            raise UserError(f"column '{name}' has {column.null_count} empty entries")
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise UserError(f"column '{name}' holds {column.type}, not numbers")
    arrays = {name: column.to_numpy() for name, column in columns.items()}
    stored = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    settings: dict[str, Any] = {}
    for name in ("pool_size", "num_classes"):
        if f"plada.{name}" in stored:
            settings[name] = int(stored[f"plada.{name}"])
    for name in ("pool_fingerprint", "metadata"):
        if f"plada.{name}" in stored:
            settings[name] = _checked(name, stored[f"plada.{name}"])
    for name in ("class_names", "soft_labels"):
        if f"plada.{name}" in stored:
            settings[name] = json.loads(stored[f"plada.{name}"])
    return Table(arrays["index"], arrays["label"], arrays.get("weight"), settings)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        message = "Parquet needs pyarrow, which is not installed: pip install pyarrow (CSV and NPZ work without)"
        raise error(ErrorCode.MISSING_DEPENDENCY, message) from None
    return pyarrow, pyarrow.parquet


# ---------------------------------------------------------------------------------------------------------------- out


def write_table(file: BinaryIO, kind: str, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Write columns of equal length (arrays or lists of str) and, where the format has a place for them, ``settings``.

    Raises:
        PladaError: MISSING_DEPENDENCY, Parquet without pyarrow.
    """
    {"csv": _write_csv, "parquet": _write_parquet, "npz": _write_npz}[kind](file, columns, settings)


def _write_csv(file: BinaryIO, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=False)
    try:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(columns)
        count = len(columns["index"])
        for start in range(0, count, _ROWS):
            parts = [column[start : start + _ROWS] for column in columns.values()]
            writer.writerows(zip(*(part.tolist() if isinstance(part, np.ndarray) else part for part in parts)))
        text.flush()
    finally:
        text.detach()


def _write_npz(file: BinaryIO, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    arrays = {
        name: np.asarray(column if len(column) else np.empty(0, _dtype(column))) for name, column in columns.items()
    }
    for name, value in settings.items():
        arrays[name] = np.asarray(json.dumps(value, sort_keys=True) if name == "metadata" else value)
    buffer = io.BytesIO()  # zip wants to seek, which stdout cannot
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub takes the keyword allow_pickle for an array
    file.write(buffer.getbuffer())


def _dtype(column: Any) -> Any:
    return column.dtype if isinstance(column, np.ndarray) else np.dtype("U1")


def _write_parquet(file: BinaryIO, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    pa, parquet = _pyarrow()
    arrays = {
        name: pa.array(column, type=None if isinstance(column, np.ndarray) else pa.string())
        for name, column in columns.items()
    }
    stored = {f"plada.{name}": _stored(value) for name, value in settings.items()}
    table = pa.table(arrays).replace_schema_metadata(stored)
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    file.write(buffer.getbuffer())


def _stored(value: Any) -> str:
    if isinstance(value, (str, int)):
        return str(value)
    return json.dumps(value.tolist() if isinstance(value, np.ndarray) else value, sort_keys=True)
