"""A CSV with one row per selection whose cells are filled by one run after another, or by several at once."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


class Sheet:
    """Rows by the name of the selection; what was measured before is kept, what is missing is an empty cell."""

    def __init__(self, path: Path, *, restart: bool = False) -> None:
        self.path = path
        path.parent.mkdir(exist_ok=True)
        if restart:
            path.unlink(missing_ok=True)
        self.rows = self._read()

    def _read(self) -> dict[str, dict[str, str]]:
        if not self.path.exists():
            return {}
        with open(self.path, newline="", encoding="utf-8") as file:
            return {row["file"]: row for row in csv.DictReader(file)}

    def known(self, name: str) -> dict[str, int]:
        """The filled cells of a row."""
        return {key: int(value) for key, value in self.rows.get(name, {}).items() if value and key != "file"}

    def put(self, name: str, cells: Mapping[str, object]) -> None:
        """Fill cells of a row in the file, which is replaced whole; rows that others added meanwhile are kept."""
        with _alone(self.path.parent):
            self.rows = self._read()
            row = self.rows.setdefault(name, {"file": name})
            row.update({key: str(value) for key, value in cells.items()})
            columns = list(dict.fromkeys(key for line in self.rows.values() for key in line))
            temporary = self.path.with_suffix(".tmp")
            with open(temporary, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(self.rows.values())
            os.replace(temporary, self.path)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process within this block for that folder, where the system has such locks."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
