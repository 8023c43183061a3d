"""Distilled against random real images per class, on one machine, as a learning curve over image updates.

    python -m benchmarks.distill.centralised --task npz:CIFAR10.npz --images-per-class 1 --updates 50 100 200 --seeds 3

Each (seed, number of updates) gives one row of the result file: accuracy of networks trained on the distilled images
and on as many random real images, same network, same recipe. Interrupt it at any time; the same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from plada_distill.settings import NetSpec, Settings

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--name", required=True, help="of the result file")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--images-per-class", type=int, default=10)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--real-batch", type=int, default=256)
    parser.add_argument("--outer-steps", type=int)
    parser.add_argument("--inner-epochs", type=int)
    parser.add_argument("--image-lr", type=float, default=0.1)
    parser.add_argument("--init", default="real")
    parser.add_argument("--iterations", type=int, nargs="+", required=True, help="where to measure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", type=int, default=1, help="trained per measurement")
    parser.add_argument("--epochs", type=int, default=300, help="of those networks")
    args = parser.parse_args()

    import torch

    from plada_distill import LocalSource, TrainRecipe, distil, first_images, load_images, random_subset, score_set
    from plada_train import open_task

    torch.set_num_threads(1)
    task = open_task(args.task, val_fraction=0)
    train, test = (load_images(task.split(name)) for name in ("train", "test"))
    recipe = TrainRecipe(epochs=args.epochs)
    out = RESULTS / f"{args.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    report = json.loads(out.read_text()) if out.exists() else {"rows": []}
    known = {(row["seed"], row["iterations"]) for row in report["rows"]}
    for iterations in args.iterations:
        for seed in args.seeds:
            settings = Settings(
                images_per_class=args.images_per_class, iterations=iterations, outer_steps=args.outer_steps,
                inner_epochs=args.inner_epochs, image_lr=args.image_lr, real_batch=args.real_batch, init=args.init,
                network=NetSpec(args.width), seed=seed,
            )  # fmt: skip
            report["settings"] = {**settings.to_json(), "iterations": "see rows", "seed": "see rows"}
            report["task"] = {"name": task.name, "train": len(train), "test": len(test)}
            report["recipe"] = recipe.to_json()
            if (seed, iterations) in known:
                continue
            started = time.process_time()
            initial = first_images(settings, train.class_names, train.channels, train.size, train)
            folder = args.work / f"{args.name}-seed{seed}"
            outcome = distil(settings, LocalSource(train), initial, folder=folder, progress=True)
            distilling = time.process_time() - started
            seeds = [1000 * seed + number for number in range(args.networks)]
            spec = settings.network
            row = {
                "seed": seed,
                "iterations": iterations,
                "updates": iterations * settings.steps,
                "distilled": score_set(outcome.synthetic.images, test, spec, recipe, seeds).to_json(),
                "random": score_set(
                    random_subset(train, args.images_per_class, seed), test, spec, recipe, seeds
                ).to_json(),
                "loss": outcome.history[-1]["loss"],
                "cpu_seconds_since_last_row": round(distilling, 1),
            }
            report["rows"].append(row)
            out.write_text(json.dumps(report, indent=1) + "\n")
            print(f"{args.name}: seed {seed}, {row['updates']} updates: distilled {row['distilled']['mean']:.4f},"
                  f" random {row['random']['mean']:.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
