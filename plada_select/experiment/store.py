"""Results on disk: one line of JSON per student, appended when it is done, so that a killed run loses one at most."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

ROWS_NAME, SETUP_NAME = "rows.jsonl", "setup.json"


@dataclass(frozen=True)
class Row:
    """One measured student, or one baseline.

    Attributes:
        key: identifies it.
        task, seed: of which.
        kind: ``policy`` | ``baseline``.
        name: of the policy, or id of the baseline.
        criterion, direction, safety_net: of the policy, else empty.
        keep: fraction of the pool as given, or empty.
        count: images sent, or None.
        bytes: of the whole file; None where nothing is sent.
        val_accuracy: on the validation split, or None where not measured.
        test_accuracy: on the test split; None where nothing fits.
        classes: classes with at least one image.
        needed_bytes: of a baseline, for the reference payload's accuracy; None where not reached or not searched.
        best_accuracy: the best that the search for it saw, where not reached.
        note: what else to know.
    """

    key: str
    task: str
    seed: int
    kind: str
    name: str
    criterion: str = ""
    direction: str = ""
    safety_net: str = ""
    keep: str = ""
    count: int | None = None
    bytes: int | None = None
    val_accuracy: float | None = None
    test_accuracy: float | None = None
    classes: int | None = None
    needed_bytes: int | None = None
    best_accuracy: float | None = None
    note: str = ""


class Store:
    """The folder of an experiment.

    Args:
        folder: made if missing.
        setup: what all results depend on; results of another setup are refused.

    Raises:
        UserError: the folder holds results of another setup.
    """

    def __init__(self, folder: Path | str, setup: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._path = self.folder / ROWS_NAME
        self._check(json.loads(json.dumps(dict(setup))))
        self.rows = self._read()

    def _check(self, setup: dict[str, Any]) -> None:
        path = self.folder / SETUP_NAME
        if not path.exists():
            with atomic_write(path) as file:
                file.write(json.dumps(setup, indent=1, sort_keys=True).encode() + b"\n")
            return
        try:
            before = json.loads(path.read_bytes())
        except ValueError:
            raise UserError(f"{path}: damaged; remove the folder and start again") from None
        different = [name for name in setup if before.get(name) != setup[name]]
        if different:
            name = different[0]
            raise UserError(
                f"{self.folder}: holds results with {name} {before.get(name)!r}, this run has {setup[name]!r};"
                " use another --output"
            )

    def _read(self) -> dict[str, Row]:
        """All whole lines; a last line without its end was being written when the run was killed, and is cut off."""
        if not self._path.exists():
            return {}
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            with open(self._path, "r+b") as file:
                file.truncate(whole)
        rows = {}
        for number, line in enumerate(data[:whole].splitlines(), 1):
            try:
                row = Row(**json.loads(line))
            except (ValueError, TypeError):
                raise UserError(f"{self._path}:{number}: damaged line; remove it and run again") from None
            rows[row.key] = row
        return rows

    def add(self, row: Row) -> None:
        """Append a row; it is on the disk when this returns."""
        with open(self._path, "ab") as file:
            file.write(json.dumps(asdict(row)).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows[row.key] = row


def write_csv(rows: Sequence[Any], path: Path) -> Path:
    """Dataclass instances of one kind as CSV, written whole or not at all; None is an empty cell."""
    text = io.StringIO()
    if rows:
        names = [field.name for field in fields(rows[0])]
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        for row in rows:
            writer.writerow([_cell(getattr(row, name)) for name in names])
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())
    return path


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def read_csv(path: Path) -> list[Row]:
    """Rows that :func:`write_csv` wrote."""
    kinds = {field.name: str(field.type) for field in fields(Row)}
    with open(path, encoding="utf-8", newline="") as file:
        return [
            Row(**{name: _value(text, kinds[name]) for name, text in line.items()}) for line in csv.DictReader(file)
        ]


def _value(text: str, kind: str) -> Any:
    if kind == "str":
        return text
    if text == "":
        return None
    return float(text) if kind.startswith("float") else int(text)
