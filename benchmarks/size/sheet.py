"""A CSV with one row per selection whose cells are filled one run after another."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


class Sheet:
    """Rows by the name of the selection; what was measured before is kept, what is missing is an empty cell."""

    def __init__(self, path: Path, *, restart: bool = False) -> None:
        self.path = path
        self.rows: dict[str, dict[str, str]] = {}
        if path.exists() and not restart:
            with open(path, newline="", encoding="utf-8") as file:
                self.rows = {row["file"]: row for row in csv.DictReader(file)}

    def known(self, name: str) -> dict[str, int]:
        """The filled cells of a row."""
        return {key: int(value) for key, value in self.rows.get(name, {}).items() if value and key != "file"}

    def put(self, name: str, cells: Mapping[str, object]) -> None:
        """Fill cells of a row and store the whole sheet, whole or not at all."""
        row = self.rows.setdefault(name, {"file": name})
        row.update({key: str(value) for key, value in cells.items()})
        columns = list(dict.fromkeys(key for line in self.rows.values() for key in line))
        self.path.parent.mkdir(exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        with open(temporary, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows.values())
        os.replace(temporary, self.path)
