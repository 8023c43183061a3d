"""Tables on the terminal, CSV files under ``benchmarks/results`` and a description of the machine."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
LIBRARIES = ("numpy", "zstandard", "numba", "brotli", "pyroaring", "pcodec", "openzl", "pyarrow", "matplotlib")


def print_table(rows: Sequence[Mapping[str, object]]) -> None:
    """Print rows under the keys of the first one, in aligned columns."""
    if not rows:
        return
    names = list(rows[0])
    text = [names, *[[str(row.get(name, "")) for name in names] for row in rows]]
    widths = [max(len(line[i]) for line in text) for i in range(len(names))]
    for line in text:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def replace_between(path: Path, name: str, text: str) -> None:
    """Put ``text`` between the marks ``<!-- name: begin -->`` and ``<!-- name: end -->`` of a document."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, found, rest = path.read_text(encoding="utf-8").partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{path}: the marks {begin.strip()} and {end.strip()} are missing")
    path.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")


def write_csv(name: str, rows: Sequence[Mapping[str, object]]) -> Path:
    """Write rows to ``benchmarks/results/name``, whole or not at all; the columns are the keys of the first row."""
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / name
    temporary = target.with_suffix(".tmp")
    with open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(temporary, target)
    return target


def read_csv(name: str) -> list[dict[str, str]]:
    """Rows of ``benchmarks/results/name``; empty if it is not there."""
    path = RESULTS / name
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


class Table:
    """A CSV under ``benchmarks/results`` that grows by one row per file and so survives an interruption.

    Rows of an earlier run are kept if their columns are the same; otherwise the table starts anew.
    """

    def __init__(self, name: str, columns: Sequence[str], *, key: str, restart: bool = False) -> None:
        self.path, self.columns, self.key = RESULTS / name, list(columns), key
        RESULTS.mkdir(exist_ok=True)
        self.rows = [] if restart else read_csv(name)
        if self.rows and list(self.rows[0]) != self.columns:
            print(f"{self.path.name}: other columns than before, measured anew", file=sys.stderr)
            self.rows = []
        if not self.rows:
            with open(self.path, "w", newline="") as file:
                csv.writer(file, lineterminator="\n").writerow(self.columns)
        self.done = {row[key] for row in self.rows}

    def add(self, row: Mapping[str, object]) -> None:
        """Append one row at once."""
        with open(self.path, "a", newline="") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(row)
        self.rows.append({name: str(row[name]) for name in self.columns})
        self.done.add(str(row[self.key]))


def machine() -> dict[str, str]:
    """Processor, operating system, Python and the versions of the libraries compared."""
    facts = {
        "cpu": cpu_name(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for library in LIBRARIES:
        try:
            facts[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            facts[library] = "absent"
    return facts


def cpu_name() -> str:
    """The processor's name as the system tells it, with family and model where Linux has them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name", platform.machine())
    if "cpu family" in facts:
        name += f" (family {facts['cpu family']}, model {facts.get('model', '?')})"
    return name


def write_machine(folder: Path = RESULTS) -> None:
    """Store :func:`machine` beside the results."""
    folder.mkdir(exist_ok=True)
    (folder / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n")
