"""CPU seconds of the parts of one image update, one thread: the best of several.

    python -m benchmarks.distill.cost --task npz:CIFAR10.npz --widths 32 64

Result: results/cost.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plada_distill import Images, Settings

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--images-per-class", type=int, default=10)
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64])
    parser.add_argument("--real-batch", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()

    import torch

    from plada_distill import NetSpec, Settings, load_images
    from plada_train import open_task

    torch.set_num_threads(1)
    train = load_images(open_task(args.task, val_fraction=0).split("train"))
    rows = []
    for width in args.widths:
        settings = Settings(args.images_per_class, inner_epochs=1, real_batch=args.real_batch, network=NetSpec(width))
        rows.append({"width": width, **measure(settings, train, args.repeat)})
        print(rows[-1], flush=True)
    setting = {"images_per_class": args.images_per_class, "real_batch": args.real_batch, "side": train.size}
    (RESULTS / "cost.json").write_text(json.dumps({"setting": setting, "rows": rows}, indent=1) + "\n")


def measure(settings: Settings, train: Images, repeat: int) -> dict[str, float]:
    """CPU seconds of each part."""
    from plada_distill import LocalSource, first_images
    from plada_distill.convnet import make_network
    from plada_distill.gradients import GradientRequest
    from plada_distill.matching import image_gradient, train_inner

    network = make_network(settings.network, train.channels, train.size, train.num_classes, 1)
    start = first_images(settings, train.class_names, train.channels, train.size, train)
    source = LocalSource(train)
    asked = [GradientRequest(0, step, 0, settings.real_batch, False, settings.augment) for step in range(repeat)]
    real = source.gradients(network, asked[0])

    def move(step: int) -> None:
        image_gradient(network, start.pixels, start.labels, real, settings, asked[step])

    def train_once(step: int) -> None:
        train_inner(network, start.pixels, start.labels, settings, 0, step)

    parts: dict[str, Callable[[int], object]] = {
        "real gradients": lambda step: source.gradients(network, asked[step]),
        "gradient of the images": move,
        "inner epoch": train_once,
    }
    found = {}
    for name, part in parts.items():
        times = []
        for step in range(repeat):
            begun = time.process_time()
            part(step)
            times.append(time.process_time() - begun)
        found[name] = round(min(times), 3)
    return found


if __name__ == "__main__":
    main()
