"""Federated against centralised, codecs, partitions, wrong clients: one setting, several seeds, bytes counted.

    python -m benchmarks.distill.federated --task npz:CIFAR10.npz --work DIR

Interrupt it at any time; the same command goes on. Images start from noise,
as a federation must without public images.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from plada_distill.plan import Federation, Plan
from plada_distill.settings import NetSpec, Settings

RESULTS = Path(__file__).resolve().parent / "results"
# name -> (clients, options); 0 clients: centralised. Real images per class and step are the same in all.
CELLS: dict[str, tuple[int, dict[str, Any]]] = {
    "centralised": (0, {}),
    "iid, 4 clients": (4, {}),
    "iid, 4 clients, bf16": (4, {"codec": "bf16"}),
    "iid, 4 clients, int8": (4, {"codec": "int8"}),
    "iid, 4 clients, topk 1 %": (4, {"codec": "topk:0.01"}),
    "iid, 4 clients, topk 10 %": (4, {"codec": "topk:0.1"}),
    "iid, 4 clients, pooled": (4, {"pooled": True}),
    "iid, 4 clients, dropout 30 %": (4, {"dropout": 0.3, "quorum": 0.2}),
    "iid, 5 clients": (5, {}),
    "dirichlet 0.5, 5 clients": (5, {"partition": "dirichlet:0.5"}),
    "dirichlet 0.1, 5 clients": (5, {"partition": "dirichlet:0.1"}),
    "shards 2, 5 clients": (5, {"partition": "shards:2"}),
    "iid, 5 clients, 20 % mislabelled": (5, {"mislabelled": 0.2}),
    "iid, 5 clients, 20 % mislabelled, median": (5, {"mislabelled": 0.2, "aggregation": "median"}),
    "iid, 5 clients, 20 % mislabelled, trimmed": (5, {"mislabelled": 0.2, "aggregation": "trimmed:0.2"}),
    "iid, 5 clients, 40 % mislabelled": (5, {"mislabelled": 0.4}),
    "iid, 5 clients, 40 % mislabelled, median": (5, {"mislabelled": 0.4, "aggregation": "median"}),
    "iid, 5 clients, 40 % mislabelled, trimmed": (5, {"mislabelled": 0.4, "aggregation": "trimmed:0.2"}),
}


def folder_name(name: str, cell: str, seed: int) -> str:
    """Where a cell's run lies below --work."""
    short = cell.replace(" ", "").replace(",", "-").replace("%", "")
    return f"{name}-{short}-{seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--name", default="federated")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--images-per-class", type=int, default=1)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--real-batch", type=int, default=40, help="per class, of all clients together")
    parser.add_argument("--outer-steps", type=int)
    parser.add_argument("--inner-epochs", type=int)
    parser.add_argument("--image-lr", type=float, default=0.1)
    parser.add_argument("--network-lr", type=float, default=0.01)
    parser.add_argument("--init", default="noise", choices=("noise", "real"),
                        help="real: only to compare with a centralised run; no federation has such images")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", type=int, default=3, help="trained per measurement")
    parser.add_argument("--cells", nargs="*", help="names of cells; default: all")
    args = parser.parse_args()

    import torch

    from plada_distill import LocalSource, TrainRecipe, distil, first_images, load_images, random_subset, score_set
    from plada_distill.flower.client import make_client_app
    from plada_distill.flower.grid import InProcessGrid
    from plada_distill.flower.source import FederatedSource
    from plada_train import open_task

    torch.set_num_threads(1)
    task = open_task(args.task, val_fraction=0)
    train, test = (load_images(task.split(name)) for name in ("train", "test"))
    recipe = TrainRecipe()
    out = RESULTS / f"{args.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    report = json.loads(out.read_text()) if out.exists() else {"rows": []}
    known = {(row["cell"], row["seed"]) for row in report["rows"]}
    report["arguments"] = {
        key: value for key, value in vars(args).items() if key not in ("work", "task", "cells", "seeds")
    } | {"task": task.name, "train": len(train), "test": len(test)}

    def keep(row: dict[str, Any]) -> None:
        others = json.loads(out.read_text())["rows"] if out.exists() else []  # of processes with other seeds or cells
        report["rows"] = [one for one in others if (one["cell"], one["seed"]) != (row["cell"], row["seed"])] + [row]
        out.write_text(json.dumps(report, indent=1) + "\n")
        print(f"{row['cell']}, seed {row['seed']}: {row['accuracy']['mean']:.4f}", flush=True)

    for seed in args.seeds:
        seeds = [1000 * seed + number for number in range(args.networks)]
        spec = NetSpec(args.width)
        if ("random real images", seed) not in known:
            score = score_set(random_subset(train, args.images_per_class, seed), test, spec, recipe, seeds)
            keep({"cell": "random real images", "seed": seed, "accuracy": score.to_json()})
        for cell, (clients, options) in CELLS.items():
            if (cell, seed) in known or (args.cells and cell not in args.cells):
                continue
            per_holder = args.real_batch // max(1, clients) * (len(train.class_names) if "pooled" in options else 1)
            settings = Settings(
                images_per_class=args.images_per_class, iterations=args.iterations, outer_steps=args.outer_steps,
                inner_epochs=args.inner_epochs, image_lr=args.image_lr, network_lr=args.network_lr,
                real_batch=per_holder, init=args.init, network=spec, seed=seed,
            )  # fmt: skip
            plan = Plan(settings, Federation(), args.task, 0.0, train.class_names, train.channels, train.size)
            plan = Plan.from_config(plan.to_config() | {"clients": max(1, clients)} | options)
            source: Any = LocalSource(train)
            if clients:
                federation = plan.federation
                grid = InProcessGrid(
                    make_client_app(), plan.to_config(), clients,
                    dropout=federation.dropout, stragglers=federation.stragglers, seed=seed,
                )  # fmt: skip
                source = FederatedSource(grid, plan)
            given = train if args.init == "real" else None
            initial = first_images(plan.settings, train.class_names, train.channels, train.size, given)
            folder = args.work / folder_name(args.name, cell, seed)
            outcome = distil(plan.settings, source, initial, folder=folder, save_every=10)
            score = score_set(outcome.synthetic.images, test, spec, recipe, seeds)
            facts = {
                fact: sum(entry.get(fact, 0) for entry in outcome.history)
                for fact in ("bytes_down", "bytes_up", "asked", "answered", "unusable")
            }
            loss = outcome.history[-1]["loss"]
            keep({"cell": cell, "seed": seed, "accuracy": score.to_json(), "loss": loss, **facts})


if __name__ == "__main__":
    main()
