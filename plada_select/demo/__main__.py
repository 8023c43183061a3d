"""``python -m plada_select.demo``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from plada_format.errors import PladaError, UserError

from .plan import Plan

_DATA = Path(__file__).resolve().parents[2] / "data"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; the exit code is 0 if it came to its end."""
    parser = argparse.ArgumentParser(prog="make demo", description="The whole job on real images, in some minutes.")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="folder for all files (default %(default)s)")
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with the pool and the target")
    parser.add_argument("--threads", type=int, help="threads of torch and of decoding (default: all usable cores)")
    parser.add_argument(
        "--full-pool",
        action="store_true",
        help="also what needs more passes: the whole pool, and what random images and JPEGs would need",
    )
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run has done")
    args = parser.parse_args(argv)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads slow a shared machine down
    try:
        run(Plan(_short(args.data), args.out, full_pool=args.full_pool, threads=args.threads), fresh=args.fresh)
    except (PladaError, UserError, OSError) as problem:
        print(f"demo: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; run it again to go on from there", file=sys.stderr)
        return 130
    return 0


def run(plan: Plan, *, fresh: bool = False) -> dict[str, object]:
    """All steps of a plan, and the last screen.

    Raises:
        UserError: the data is missing, or a command failed.
        OSError: a file cannot be read or written.
    """
    plan.check()
    if fresh:
        shutil.rmtree(plan.out, ignore_errors=True)
    plan.out.mkdir(parents=True, exist_ok=True)
    from plada_train import set_up_torch

    from .passes import PassCounter
    from .screen import show
    from .steps import Steps
    from .work import STEPS, Demo

    set_up_torch(plan.threads)
    with PassCounter() as counter:
        steps = Steps(plan.out / "steps", plan.identity(), counter, STEPS)
        done = Demo(plan, steps).run()
    show(plan, done, steps)
    return done


def _short(path: Path) -> Path:
    """Relative to the current folder where that is shorter to read."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


if __name__ == "__main__":
    sys.exit(main())
