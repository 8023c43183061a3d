"""Distilled against random real images per class, on one machine, as a learning curve over image updates.

    python -m benchmarks.distill.centralised --task npz:CIFAR10.npz --name cifar10_ipc10_w32 --work DIR \
        --images-per-class 10 --width 32 --real-batch 64 --iterations 10 20 40

Each (seed, number of iterations) gives one row of the result file: accuracy of networks trained on the distilled
images; and for each seed once that of as many random real images, same network, same recipe. With ``--init real``
the distilled images start from these very images, so their accuracy is the curve at 0 updates. ``--split val``
measures on held-back training images instead, to choose rates without the test set. Interrupt it at any time; the
same command goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from plada_distill.settings import NetSpec, Settings

RESULTS = Path(__file__).resolve().parent / "results"
VAL_FRACTION = 0.1


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
    parser.add_argument("--network-lr", type=float, default=0.01)
    parser.add_argument("--init", default="real")
    parser.add_argument("--no-augment", action="store_true", help="DC instead of DSA")
    parser.add_argument("--iterations", type=int, nargs="+", required=True, help="where to measure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--networks", type=int, default=1, help="trained per measurement")
    parser.add_argument("--epochs", type=int, default=300, help="of those networks")
    parser.add_argument("--split", default="test", choices=("test", "val"))
    args = parser.parse_args()

    import torch

    from plada_distill import LocalSource, TrainRecipe, distil, first_images, load_images, random_subset, score_set
    from plada_train import open_task

    torch.set_num_threads(1)
    task = open_task(args.task, val_fraction=VAL_FRACTION if args.split == "val" else 0)
    train, test = (load_images(task.split(name)) for name in ("train", args.split))
    recipe = TrainRecipe(epochs=args.epochs)
    out = RESULTS / f"{args.name}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    report = json.loads(out.read_text()) if out.exists() else {"rows": [], "random": {}}
    known = {(row["seed"], row["iterations"]) for row in report["rows"]}
    for iterations in args.iterations:
        for seed in args.seeds:
            settings = Settings(
                images_per_class=args.images_per_class, iterations=iterations, outer_steps=args.outer_steps,
                inner_epochs=args.inner_epochs, image_lr=args.image_lr, network_lr=args.network_lr,
                real_batch=args.real_batch, init=args.init, network=NetSpec(args.width), seed=seed,
                **({"augment": ()} if args.no_augment else {}),
            )  # fmt: skip
            report["settings"] = {**settings.to_json(), "iterations": "see rows", "seed": "see rows"}
            report["task"] = {"name": task.name, "train": len(train), args.split: len(test)}
            report["recipe"] = recipe.to_json()
            if (seed, iterations) in known:
                continue
            seeds, spec = [1000 * seed + number for number in range(args.networks)], settings.network
            if str(seed) not in report["random"]:
                real = random_subset(train, args.images_per_class, seed)
                report["random"][str(seed)] = score_set(real, test, spec, recipe, seeds).to_json()
            started = time.process_time()
            initial = first_images(settings, train.class_names, train.channels, train.size, train)
            folder = args.work / f"{args.name}-seed{seed}"
            outcome = distil(settings, LocalSource(train), initial, folder=folder, save_every=5)
            row = {
                "seed": seed,
                "iterations": iterations,
                "updates": iterations * settings.steps,
                "distilled": None,
                "loss": outcome.history[-1]["loss"],
                "cpu_seconds_since_last_row": round(time.process_time() - started, 1),
            }
            row["distilled"] = score_set(outcome.synthetic.images, test, spec, recipe, seeds).to_json()
            report["rows"].append(row)
            out.write_text(json.dumps(report, indent=1) + "\n")
            print(f"{args.name}: seed {seed}, {row['updates']} updates: distilled {row['distilled']['mean']:.4f},"
                  f" random {report['random'][str(seed)]['mean']:.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
