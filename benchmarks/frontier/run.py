"""Accuracy against bytes, from one image per class to 20 kB: the paper's recipe, and ours.

    python -m benchmarks.frontier.run students --data FOLDER [--cache DIR] [--tasks ...] [--seeds 0 1 2] [--first]
    python -m benchmarks.frontier.run tuned --data FOLDER [--cache DIR]    # really trained students: hours; a GPU helps
    python -m benchmarks.frontier.run others --data FOLDER [--cache DIR]   # linear probes, JPEGs of target images
    python -m benchmarks.frontier.run orders --data FOLDER [--cache DIR]   # bytes by order of the pool; no students
    python -m benchmarks.frontier.run labels --data FOLDER [--cache DIR]   # wrong pseudo-labels; no students
    python -m benchmarks.frontier.run quotas --data FOLDER [--cache DIR]   # class quotas from learning curves
    python -m benchmarks.frontier.run cost --data FOLDER [--cache DIR]     # wall time of a rehearsal
    python -m benchmarks.frontier.run report [--cache DIR]                 # rows.csv, tables of docs/frontier.md, plots

Linear students on a frozen MobileNetV2, teacher a linear classifier on EfficientNet-Lite0, pool of 50,000 Tiny-ImageNet
images. FOLDER holds the packed files of :mod:`benchmarks.frontier.data`. Rows lie in ``DIR/rows.jsonl``; a run adds
what is missing there and in ``rows.csv`` beside this file, so it can be stopped at any time. ``report`` writes them to
``rows.csv``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..report import replace_between
from . import cost, labels, orders, others, quotas, tuned
from .data import INPUT, STUDENT, TASKS, World
from .measure import LARGEST, Rows, run
from .policies import ALL, FIRST, VIEWS
from .report import read_csv, write

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "frontier.md"
ROWS, TUNED, OTHERS = "rows.jsonl", HERE / "tuned.jsonl", HERE / "others.jsonl"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    args = _parser().parse_args(argv)
    linear = Rows(args.cache / ROWS, read_csv(HERE / "rows.csv"))
    if args.action == "report":
        _report(linear)
        return 0
    from plada_train import set_up_torch

    set_up_torch(args.threads)
    world = World(args.data, args.cache, args.threads)
    if args.action == "students":
        policies = args.policies or (FIRST if args.first else [*ALL, *VIEWS])
        run(world, linear, args.tasks, args.seeds, policies, args.largest)
    elif args.action == "tuned":
        setup = tuned.Setup(args.size, args.passes, args.arch)
        tuned.run(world, linear, TUNED, args.tasks, args.seeds, args.budgets, args.students, args.methods, setup)
    elif args.action == "others":
        others.run(world, OTHERS, args.tasks, args.seeds, args.largest)
    elif args.action == "orders":
        orders.run(world, HERE / "orders.csv", args.tasks)
    elif args.action == "labels":
        labels.run(world, HERE / "labels.csv")
    elif args.action == "quotas":
        quotas.run(world, HERE / "quotas.jsonl", args.tasks, args.seeds)
    else:
        cost.run(world, HERE / "cost.json", args.budgets, args.recipes, args.cold)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    cache = argparse.ArgumentParser(add_help=False)
    cache.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    given = argparse.ArgumentParser(add_help=False, parents=[cache])
    given.add_argument("--data", type=Path, required=True)
    given.add_argument("--threads", type=int)
    tasks = argparse.ArgumentParser(add_help=False, parents=[given])
    tasks.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    seeds = argparse.ArgumentParser(add_help=False)
    seeds.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    largest = argparse.ArgumentParser(add_help=False)
    largest.add_argument("--largest", type=int, default=LARGEST, help="bytes (default: %(default)s)")

    add = actions.add_parser("students", help="train what has no row yet", parents=[tasks, seeds, largest])
    add.add_argument("--first", action="store_true", help="the headline's policies only")
    add.add_argument("--policies", nargs="+", choices=[*ALL, *VIEWS], metavar="NAME")
    add = actions.add_parser("tuned", help="really trained students; auto takes the linear students' choice",
                             parents=[given, seeds])  # fmt: skip
    add.add_argument("--tasks", nargs="+", default=list(tuned.TASKS), choices=list(TASKS))
    add.add_argument("--budgets", nargs="+", type=int, default=list(tuned.BUDGETS))
    add.add_argument("--students", nargs="+", default=list(tuned.STUDENTS), choices=list(tuned.STUDENTS))
    add.add_argument("--methods", nargs="+", default=list(tuned.METHODS), choices=list(tuned.METHODS), metavar="NAME")
    add.add_argument("--size", type=int, default=INPUT, help="side of the input in pixels (default: %(default)s)")
    add.add_argument("--passes", type=int, help="most image passes of a training (default: those of 'plada train')")
    add.add_argument("--arch", default=STUDENT[0], help="timm model of the students from scratch (%(default)s)")
    actions.add_parser("others", help="linear probes in few bits, and JPEGs of target images",
                       parents=[tasks, seeds, largest])  # fmt: skip
    actions.add_parser("orders", help="bytes of the same selections in different orders of the pool", parents=[tasks])
    actions.add_parser("labels", help="how often a pseudo-label is wrong, by its neighbours' labels", parents=[given])
    actions.add_parser("quotas", help="class quotas from learning curves, against equal ones", parents=[tasks, seeds])
    add = actions.add_parser("cost", help="wall time of a rehearsal against one training", parents=[given])
    add.add_argument("--budgets", nargs="+", type=int, default=[300, 1000, 4000])
    add.add_argument("--recipes", nargs="+", default=["head"], choices=("head", "auto"), help="of 'plada train'")
    add.add_argument("--cold", action="store_true", help="also without cached features")
    actions.add_parser("report", help="tables and the picture", parents=[cache])
    return parser


def _report(linear: Rows) -> None:
    """rows.csv, tables.md, the picture, and the tables between the two marks in the docs."""
    rows = list(linear.rows.values())
    for path in write(rows, HERE, list(tuned.read(TUNED).values()), others.read(OTHERS)):
        print(path)
    text = (HERE / "tables.md").read_text(encoding="utf-8")
    replace_between(DOCS, "frontier", text.strip("\n"))
    print(DOCS)


if __name__ == "__main__":
    sys.exit(main())
