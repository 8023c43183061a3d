"""Size, time and memory of plada's codecs and of the formats that one would use instead, on the same selections.

    python -m benchmarks.formats --sizes            # every selection; one row per selection, continues where it stopped
    python -m benchmarks.formats --sizes --only plada --restart
    python -m benchmarks.formats --times            # 142k entries of 14.2 million; run it on a quiet machine
    python -m benchmarks.formats --plot

Results: ``sizes_peers.csv``, ``sizes_plada.csv``, ``times.csv``, ``sizes.png``, ``times.png`` under
``benchmarks/results``. Every encoded stream is decoded and compared with what went in; a wrong result stops the
command. One core, one process.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import numpy as np

from .layouts import INDEX_LAYOUTS, LABEL_LAYOUTS, Facts, facts_of
from .measure import best_of, peak_memory
from .paper_layouts import log2_choose, paper_sizes
from .peers import Subject, general, subjects
from .report import Table, print_table, write_csv, write_machine
from .selections import ACCEPTANCE, POOL_SIZE, Case, Selection, cases, load, uniform

RATES = (0.001, 0.01, 0.05, 0.10)
CLASSES = (10, 100, 1000)


def selections() -> Iterator[tuple[str, Callable[[], Selection]]]:
    """Name and maker of every selection: the acceptance set at 1 %, 12 uniform ones, the rest, small ones first."""
    ordered = sorted(cases(), key=lambda case: case.keep)
    realistic = [(case.name, partial(load, case), case.keep == 0.01) for case in ordered]
    yield from ((name, make) for name, make, first in realistic if first)
    for keep in RATES:
        for classes in CLASSES:
            make = partial(uniform, POOL_SIZE, int(POOL_SIZE * keep), classes)
            yield f"uniform-p{keep:.3f}-c{classes:04d}", make
    yield from ((name, make) for name, make, first in realistic if not first)


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


# ---------------------------------------------------------------------------------------------------- sizes


def peer_row(name: str, selection: Selection, peers: Sequence[Subject]) -> dict[str, Any]:
    """Sizes of the paper's layouts and of every peer, in bytes.

    ``<compressor>.both.joint``: the bytes of its best index layout and its best label layout compressed as one string.
    """
    facts = facts_of(selection)
    k, labels = len(selection.indices), np.bincount(selection.labels, minlength=1)
    present = labels[labels > 0]
    row = base_row(name, selection)
    row["bound.index.uniform"] = round(log2_choose(selection.pool_size, k) / 8)
    row["bound.label.order0"] = round(float(-(present * np.log2(present / k)).sum()) / 8)
    row |= {f"paper.both.{stage}": size for stage, size in paper_sizes(selection).items()}
    for subject in peers:
        data = subject.encode(selection)
        check(subject, data, selection, facts)
        row[subject.column] = len(data)
    for tool in general():
        index = min(INDEX_LAYOUTS, key=lambda layout: row[f"{tool.name}.index.{layout.name}"])
        label = min(LABEL_LAYOUTS, key=lambda layout: row[f"{tool.name}.label.{layout.name}"])
        row[f"{tool.name}.both.joint"] = len(tool.compress(index.pack(selection) + label.pack(selection), 1))
    return row


def plada_row(name: str, selection: Selection) -> dict[str, Any]:
    """Sizes of every plada codec (streams) and of the whole file for each profile, in bytes."""
    from . import ours

    facts = facts_of(selection)
    row = base_row(name, selection)
    for subject in ours.streams():
        data = subject.encode(selection)
        check(subject, data, selection, facts)
        row[subject.column] = len(data)
    for subject in ours.files():
        data = subject.encode(selection)
        check(subject, data, selection, facts)
        parts = ours.parts(data)
        row[subject.column] = len(data)
        row |= {f"{subject.column}.{key}": value for key, value in parts.items()}
    return row


def run_sizes(only: str, seconds: float, restart: bool) -> int:
    """Append one row per selection to each table; returns how many selections are still to do."""
    peers, absent = subjects(facts_of)
    for peer, reason in absent.items():
        print(f"left out: {peer} ({reason})", file=sys.stderr)
    if only != "peers":
        from . import ours

        next(ours.backends())  # compile now, not within the first selection
    makers = {"peers": lambda name, s: peer_row(name, s, peers), "plada": plada_row}
    tiny = uniform(1000, 100, 10)
    tables = {
        part: Table(f"sizes_{part}.csv", list(maker("", tiny)), key="file", restart=restart)
        for part, maker in makers.items()
        if only in ("all", part)
    }
    write_machine()
    began = time.monotonic()
    missing = 0
    for name, make in selections():
        todo = [part for part, table in tables.items() if name not in table.done]
        if not todo:
            continue
        if time.monotonic() - began > seconds:
            missing += 1
            continue
        selection = make()
        for part in todo:
            tables[part].add(makers[part](name, selection))
        print(name, flush=True)
    print(f"{missing} selections still to do" if missing else "all selections done")
    return missing


# ---------------------------------------------------------------------------------------------------- times


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
    parser.add_argument("--sizes", action="store_true", help="sizes of every selection")
    parser.add_argument("--times", action="store_true", help="times and memory at the working point")
    parser.add_argument("--plot", action="store_true", help="draw the stored results")
    parser.add_argument("--summary", action="store_true", help="print the mean size of each format at each keep rate")
    parser.add_argument(
        "--only", choices=("all", "peers", "plada"), default="all", help="which table of sizes (default: all)"
    )
    parser.add_argument("--seconds", type=float, default=math.inf, metavar="S", help="start none after S seconds")
    parser.add_argument("--restart", action="store_true", help="forget the rows of earlier runs")
    parser.add_argument("--repeats", type=int, default=20, help="best of how many (default: 20)")
    parser.add_argument("--no-memory", action="store_true", help="do not measure peak memory")
    arguments = parser.parse_args(argv)
    if not (arguments.sizes or arguments.times or arguments.plot or arguments.summary):
        parser.error("say --sizes, --times, --summary or --plot")
    if arguments.sizes:
        run_sizes(arguments.only, arguments.seconds, arguments.restart)
    if arguments.times:
        run_times(arguments.repeats, not arguments.no_memory)
    if arguments.summary:
        from .plots import summary

        print_table(summary())
    if arguments.plot:
        from .plots import draw

        draw()
    return 0


if __name__ == "__main__":
    sys.exit(main())
