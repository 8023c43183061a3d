"""Time and memory of plada's codecs and of the formats that one would use instead, on the same selections.

    python -m benchmarks.formats            # 142k entries of 14.2 million; run it on a quiet machine
    python -m benchmarks.formats --plot     # draw the stored results

Results: ``times.csv`` and ``times.png`` under ``benchmarks/results``. Every encoded stream is decoded and compared
with what went in; a wrong result stops the command. One core, one process. Sizes: ``python -m benchmarks.size``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from .layouts import Facts, facts_of
from .measure import best_of, peak_memory
from .peers import Subject, subjects
from .report import write_csv, write_machine
from .selections import ACCEPTANCE, POOL_SIZE, Case, Selection, load, uniform


def check(subject: Subject, data: bytes, selection: Selection, facts: Facts) -> None:
    """Decode and compare.

    Raises:
        RuntimeError: the arrays differ.
    """
    found = subject.decode(data, facts)
    parts: Sequence[Any] = found if subject.stream == "both" else (found,)
    wanted: dict[str, tuple[Any, ...]] = {
        "index": (selection.indices,),
        "label": (selection.labels,),
        "both": (selection.indices, selection.labels),
    }
    for got, want in zip(parts, wanted[subject.stream]):
        if not np.array_equal(got, want):
            raise RuntimeError(f"{subject.column} does not give back {selection.name}")


def base_row(name: str, selection: Selection) -> dict[str, Any]:
    """Name and numbers of a selection."""
    return {
        "file": name,
        "pool_size": selection.pool_size,
        "count": len(selection.indices),
        "classes": selection.num_classes,
    }


def timed_selections() -> list[Selection]:
    """The working point: 141,971 of 14,197,114, uniform and two of the acceptance set."""
    first, second = Case(ACCEPTANCE[0], 0, 0.01), Case(ACCEPTANCE[4], 0, 0.01)
    return [uniform(POOL_SIZE, int(POOL_SIZE * 0.01), 100), load(first), load(second)]


def timed_subjects() -> Iterator[tuple[str, Subject]]:
    """(backend, subject): plada's streams and files by numba and by NumPy alone, then every peer."""
    from . import ours

    for backend in ours.backends():
        for subject in (*ours.streams(), *ours.files()):
            yield backend, subject
    for subject in subjects(facts_of)[0]:
        yield "", subject


def measure(
    subject: Subject, selection: Selection, backend: str, *, repeats: int = 20, memory: bool = True
) -> dict[str, Any]:
    """Bytes, best times in milliseconds and peak memory in MiB of one subject on one selection."""
    facts = facts_of(selection)
    data = subject.encode(selection)
    check(subject, data, selection, facts)

    def encode() -> object:
        return subject.encode(selection)

    def decode() -> object:
        return subject.decode(data, facts)

    row: dict[str, Any] = {
        **base_row(selection.name, selection),
        "subject": subject.name,
        "stream": subject.stream,
        "layout": subject.layout,
        "backend": backend,
        "bytes": len(data),
    }
    for name, call in (("encode", encode), ("decode", decode)):
        seconds, row[f"{name}_runs"] = best_of(call, repeats)
        row[f"{name}_ms"] = round(seconds * 1e3, 3)
        peak = peak_memory(call) if memory else None
        row[f"{name}_peak_mib"] = "" if peak is None else round(peak / 2**20, 2)
    return row


def run_times(repeats: int, memory: bool) -> None:
    """Measure every subject on the working point and write ``times.csv``."""
    from . import ours

    rows: list[dict[str, Any]] = []
    for selection in timed_selections():
        here = []
        for backend, subject in timed_subjects():
            with ours.use(backend) if backend else nullcontext():
                row = measure(subject, selection, backend, repeats=repeats, memory=memory)
            here.append(row)
            print(
                f"{selection.name:34} {backend:6} {subject.column:40} {row['bytes']:8d} B  "
                f"encode {row['encode_ms']:9.3f} ms  decode {row['decode_ms']:8.3f} ms",
                flush=True,
            )
        reference = zstd_reference(here)
        rows += [row | {"decode_vs_zstd": round(row["decode_ms"] / reference[row["stream"]], 2)} for row in here]
    write_csv("times.csv", rows)
    write_machine()


def zstd_reference(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Milliseconds in which zstd-19's smallest layout of each stream decodes to arrays; "both" is the sum."""
    best = {
        stream: min(
            (row for row in rows if row["subject"] == "zstd-19" and row["stream"] == stream),
            key=lambda row: row["bytes"],
        )
        for stream in ("index", "label")
    }
    times = {stream: float(row["decode_ms"]) for stream, row in best.items()}
    return times | {"both": times["index"] + times["label"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.formats``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.formats", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plot", action="store_true", help="draw the stored results, measure nothing")
    parser.add_argument("--repeats", type=int, default=20, help="best of how many (default: 20)")
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    arguments = parser.parse_args(argv)
    if not arguments.plot:
        run_times(arguments.repeats, not arguments.no_memory)
    from .plots import draw

    draw()
    return 0


if __name__ == "__main__":
    sys.exit(main())
