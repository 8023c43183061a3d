"""Bytes of plada's streams and of every other format's on the same selections.

    python -m benchmarks.size                            # measure what is missing, then print the table
    python -m benchmarks.size --only plada --restart     # after a change of a codec: minutes
    python -m benchmarks.size --only peers               # hours; can be stopped and started again
    python -m benchmarks.size --summary                  # the table of README.md, from the stored results
    python -m benchmarks.size --losses                   # selections on which another format's streams are smaller
    python -m benchmarks.size --figures                  # what was asked of the codecs and what was reached
    python -m benchmarks.size --docs --plot              # the tables in README.md and docs/benchmarks.md, pictures

Selections: uniform ones, the acceptance set (``python -m benchmarks.selections`` writes it), and those of real
experiments, which are stored in ``benchmarks/size/real``. Results: ``peers.csv``, ``plada.csv``, ``bounds.csv`` and
pictures under ``benchmarks/size/results``. What is encoded is decoded and compared; a wrong result stops the command.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import ours
from benchmarks.report import print_table, write_machine
from benchmarks.selections import POOL_SIZE, ROOT, Selection

from . import bounds, own, summary, theirs
from .figures import figures
from .sets import Member, members
from .sheet import RESULTS, Sheet

Measure = Callable[[Member, Selection, Mapping[str, int], Collection[str]], dict[str, int]]


def _peers(member: Member, s: Selection, known: Mapping[str, int], without: Collection[str]) -> dict[str, int]:
    return {} if set(theirs.columns(s, without)) <= set(known) else theirs.measure(s, known, without)


def _plada(member: Member, s: Selection, known: Mapping[str, int], without: Collection[str]) -> dict[str, int]:
    return {} if known else own.measure(s, member.groups())


def _bounds(member: Member, s: Selection, known: Mapping[str, int], without: Collection[str]) -> dict[str, int]:
    return {} if known else bounds.measure(s, member.groups())


SHEETS: dict[str, tuple[tuple[str, Measure], ...]] = {
    "plada": (("plada", _plada), ("bounds", _bounds)),
    "peers": (("peers", _peers),),
}


@dataclass(frozen=True)
class Scope:
    """What a run looks at: kinds, largest, parts of names; formats to leave out, seconds after which none is begun."""

    kinds: Collection[str] = summary.KINDS
    up_to: float = math.inf
    without: Collection[str] = ()
    seconds: float = math.inf
    names: Collection[str] = ("",)

    def holds(self, member: Member) -> bool:
        named = any(name in member.name for name in self.names)
        return named and member.kind in self.kinds and member.count <= self.up_to


def run(parts: Sequence[str], scope: Scope, *, restart: bool = False) -> int:
    """Measure what is missing of the given parts; returns how many selections were not looked at for lack of time."""
    jobs = [job for part in parts for job in SHEETS[part]]
    sheets = {name: Sheet(RESULTS / f"{name}.csv", restart=restart) for name, _ in jobs}
    if "plada" in parts:
        next(ours.backends())  # compile now, not within the first selection
    began, left = time.monotonic(), 0
    for member in members():
        if not scope.holds(member):
            continue
        if time.monotonic() - began > scope.seconds:
            left += 1
            continue
        s, started, new = member.make(), time.monotonic(), 0
        for name, measure in jobs:
            cells = measure(member, s, sheets[name].known(member.name), scope.without)
            new += len(cells)
            if cells:
                facts = {"pool_size": s.pool_size, "count": len(s.indices), "classes": s.num_classes}
                sheets[name].put(member.name, facts | cells)
        if new:
            print(f"{member.name}: {new} sizes, {time.monotonic() - started:.1f} s", flush=True)
    write_machine(RESULTS)
    if "peers" in parts:
        theirs.write_archive(RESULTS / "archive.json")
    print(f"{left} selections not looked at" if left else "all selections measured")
    return left


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.size``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.size", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=tuple(SHEETS), help="measure only these; nothing is printed afterwards")
    parser.add_argument("--kind", nargs="+", choices=summary.KINDS, default=list(summary.KINDS), help="of selections")
    parser.add_argument("--up-to", type=int, default=POOL_SIZE, metavar="K", help="only of at most K kept images")
    parser.add_argument("--name", nargs="+", default=[""], metavar="TEXT", help="only if one of these is in the name")
    parser.add_argument(
        "--without",
        nargs="+",
        choices=theirs.NAMES,
        default=[],
        metavar="FORMAT",
        help="leave out: " + ", ".join(theirs.NAMES),
    )
    parser.add_argument("--restart", action="store_true", help="forget the sizes of earlier runs")
    parser.add_argument("--seconds", type=float, default=math.inf, metavar="S", help="start none after S seconds")
    parser.add_argument("--summary", action="store_true", help="print the table, measure nothing")
    parser.add_argument("--losses", action="store_true", help="print where another format is smaller, measure nothing")
    parser.add_argument("--figures", action="store_true", help="print the figures asked and reached, measure nothing")
    parser.add_argument("--docs", action="store_true", help="rewrite the tables in the docs, measure nothing")
    parser.add_argument("--plot", action="store_true", help="draw the stored results, measure nothing")
    a = parser.parse_args(argv)
    shown = a.summary or a.losses or a.figures or a.docs or a.plot
    if not shown:
        parts = [a.only] if a.only else list(SHEETS)
        run(parts, Scope(a.kind, a.up_to, a.without, a.seconds, a.name), restart=a.restart)
    lines = summary.load()
    if a.summary or not (shown or a.only):
        for title, rows in summary.tables(lines):
            print(f"\n{title}: bytes of both streams over the paper's best layout, means\n")
            print_table(rows)
    if a.losses or not (shown or a.only):
        print("\n" + "\n".join(summary.losses(lines)))
    if a.figures:
        print_table(figures(lines))
    if a.docs:
        summary.write_docs(lines, ROOT / "README.md", ROOT / "docs" / "benchmarks.md")
    if a.plot:
        from .plots import draw

        draw(lines)
    return 0


if __name__ == "__main__":
    sys.exit(main())
