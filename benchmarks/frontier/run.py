"""Accuracy against bytes, from one image per class to 20 kB: the paper's recipe, and ours.

    python -m benchmarks.frontier.run students --data FOLDER [--cache DIR] [--tasks ...] [--seeds 0 1 2] [--first]
    python -m benchmarks.frontier.run tuned --data FOLDER [--cache DIR]    # really trained students: hours; a GPU helps
    python -m benchmarks.frontier.run others --data FOLDER [--cache DIR]   # linear probes, JPEGs of target images
    python -m benchmarks.frontier.run orders --data FOLDER [--cache DIR]   # bytes by order of the pool; no students
    python -m benchmarks.frontier.run labels --data FOLDER [--cache DIR]   # wrong pseudo-labels; no students
    python -m benchmarks.frontier.run cost --data FOLDER [--cache DIR]     # wall time of a rehearsal
    python -m benchmarks.frontier.run report [--cache DIR]                 # rows.csv, tables of docs/frontier.md, plots

Linear students on a frozen MobileNetV2, teacher a linear classifier on EfficientNet-Lite0, pool of 50,000 Tiny-ImageNet
images. FOLDER holds the packed files of :mod:`benchmarks.frontier.data`. Rows lie in ``DIR/rows.jsonl``; a run adds
what is missing there and in ``rows.csv`` beside this file, so it can be stopped at any time. ``report`` writes them to
``rows.csv``. ``--first`` runs the headline's policies only.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import tuned as tuned_part
from .data import INPUT, STUDENT, TASKS, World
from .measure import LARGEST, Rows, run
from .policies import ALL, FIRST

HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "frontier.md"
BEGIN, END = "<!-- frontier: begin -->\n", "<!-- frontier: end -->\n"
ROWS, TUNED, OTHERS = "rows.jsonl", HERE / "tuned.jsonl", HERE / "others.jsonl"


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    students = actions.add_parser("students", help="train what has no row yet")
    students.add_argument("--data", type=Path, required=True)
    students.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    students.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    students.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    students.add_argument("--first", action="store_true")
    students.add_argument("--policies", nargs="+", choices=list(ALL), metavar="NAME")
    students.add_argument("--largest", type=int, default=LARGEST, help="bytes (default: %(default)s)")
    students.add_argument("--threads", type=int)
    tuned = actions.add_parser("tuned", help="really trained students; auto takes the linear students' choice")
    tuned.add_argument("--data", type=Path, required=True)
    tuned.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    tuned.add_argument("--tasks", nargs="+", default=list(tuned_part.TASKS), choices=list(TASKS))
    tuned.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    tuned.add_argument("--budgets", nargs="+", type=int, default=list(tuned_part.BUDGETS))
    tuned.add_argument("--students", nargs="+", default=list(tuned_part.STUDENTS), choices=list(tuned_part.STUDENTS))
    tuned.add_argument("--size", type=int, default=INPUT, help="side of the input in pixels (default: %(default)s)")
    tuned.add_argument("--passes", type=int, help="most image passes of a training (default: those of 'plada train')")
    tuned.add_argument("--arch", default=STUDENT[0], help="timm model of the students from scratch (%(default)s)")
    tuned.add_argument("--threads", type=int)
    orders = actions.add_parser("orders", help="bytes of the same selections in different orders of the pool")
    orders.add_argument("--data", type=Path, required=True)
    orders.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    orders.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    orders.add_argument("--threads", type=int)
    others = actions.add_parser("others", help="linear probes in few bits, and JPEGs of target images")
    others.add_argument("--data", type=Path, required=True)
    others.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    others.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    others.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    others.add_argument("--largest", type=int, default=LARGEST, help="bytes (default: %(default)s)")
    others.add_argument("--threads", type=int)
    labels = actions.add_parser("labels", help="how often a pseudo-label is wrong, by its neighbours' labels")
    labels.add_argument("--data", type=Path, required=True)
    labels.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    labels.add_argument("--threads", type=int)
    cost = actions.add_parser("cost", help="wall time of a rehearsal against one training")
    cost.add_argument("--data", type=Path, required=True)
    cost.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    cost.add_argument("--budgets", nargs="+", type=int, default=[300, 1000, 4000])
    cost.add_argument("--recipes", nargs="+", default=["head"], choices=("head", "auto"))
    cost.add_argument("--cold", action="store_true", help="also without cached features")
    cost.add_argument("--threads", type=int)
    report = actions.add_parser("report", help="tables and plots")
    report.add_argument("--cache", type=Path, default=Path(".cache/frontier"))
    args = parser.parse_args(argv)
    from .others import read as read_others
    from .report import read_csv, write

    linear = Rows(args.cache / ROWS, read_csv(HERE / "rows.csv"))
    if args.action == "report":
        for path in write(list(linear.rows.values()), HERE, list(tuned_part.read(TUNED).values()), read_others(OTHERS)):
            print(path)
        text = (HERE / "tables.md").read_text(encoding="utf-8")
        before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
        DOCS.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        print(DOCS)
        return 0
    from plada_train import set_up_torch

    set_up_torch(args.threads)
    world = World(args.data, args.cache, args.threads)
    if args.action == "orders":
        from .orders import run as run_orders

        run_orders(world, HERE / "orders.csv", args.tasks)
        return 0
    if args.action == "labels":
        from .labels import run as run_labels

        run_labels(world, HERE / "labels.csv")
        return 0
    if args.action == "cost":
        from .cost import run as run_cost

        run_cost(world, HERE / "cost.json", args.budgets, args.recipes, args.cold)
        return 0
    if args.action == "others":
        from .others import run as run_others

        run_others(world, OTHERS, args.tasks, args.seeds, args.largest)
        return 0
    if args.action == "tuned":
        setup = tuned_part.Setup(args.size, args.passes, args.arch)
        tuned_part.run(world, linear, TUNED, args.tasks, args.seeds, args.budgets, args.students, setup)
        return 0
    run(world, linear, args.tasks, args.seeds, args.policies or (FIRST if args.first else list(ALL)), args.largest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
