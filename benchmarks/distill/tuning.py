"""Is a distilled set good for choosing a network, and what does it cost in bytes? Distils over a federation, then ranks
candidates on the result and by federated averaging, with the commands a user would type.

    python -m benchmarks.distill.tuning --task npz:FASHION.npz --name tune_fashion_ipc1_w16 --work DIR

Result: results/NAME.json, the ``tune.json`` of ``plada distill tune`` with the commands and the set's own accuracy.
Interrupt it at any time; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--images-per-class", default="1")
    parser.add_argument("--iterations", default="50")
    parser.add_argument("--outer-steps")
    parser.add_argument("--inner-epochs")
    parser.add_argument("--image-lr", default="1")
    parser.add_argument("--network-lr", default="0.01")
    parser.add_argument("--width", default="16")
    parser.add_argument("--real-batch", default="10", help="of each client")
    parser.add_argument("--clients", default="4")
    parser.add_argument("--partition", default="iid")
    parser.add_argument("--codec", default="float32")
    parser.add_argument("--widths", nargs="+", default=["8", "16", "32"])
    parser.add_argument("--depths", nargs="+", default=["2", "3"])
    parser.add_argument("--norms", nargs="+", default=["instance", "none"])
    parser.add_argument("--lrs", nargs="+", default=["0.01", "0.1"])
    parser.add_argument("--rounds", default="10")
    parser.add_argument("--networks", default="2", help="trained per candidate")
    parser.add_argument("--epochs", default="300", help="on the distilled set")
    parser.add_argument("--split", default="test", choices=("val", "test"))
    args = parser.parse_args()

    from plada_format.cli.main import main as plada

    folder = args.work / args.name
    distilling = [
        "distill", "federate", args.task, "-o", str(folder), "--init", "noise", "--networks", "2", "--quiet",
        "--save-every", "10",
    ]  # fmt: skip
    for name in ("images_per_class", "iterations", "outer_steps", "inner_epochs", "image_lr", "network_lr", "width",
                 "real_batch", "clients", "partition", "codec"):  # fmt: skip
        if getattr(args, name) is not None:
            distilling += [f"--{name.replace('_', '-')}", getattr(args, name)]
    if not (folder / "evaluation.json").is_file() and plada(distilling):
        raise SystemExit("distillation failed")
    tuning = [
        "distill", "tune", str(folder), "--task", args.task, "--reference", "fedavg", "--rounds", args.rounds,
        "--networks", args.networks, "--epochs", args.epochs, "--split", args.split, "--quiet",
        "--widths", *args.widths, "--depths", *args.depths, "--norms", *args.norms, "--lrs", *args.lrs,
    ]  # fmt: skip
    if plada(tuning):
        raise SystemExit("tuning failed")
    plada(["distill", "report", str(folder), "--quiet"])
    shown = {
        "distill": [word for word in distilling if word not in (args.task, str(folder))],
        "tune": [word for word in tuning if word not in (args.task, str(folder))],
    }
    result = {
        "commands": shown,
        "evaluation": json.loads((folder / "evaluation.json").read_text()),
        "tune": json.loads((folder / "tune.json").read_text()),
    }
    (RESULTS / f"{args.name}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
