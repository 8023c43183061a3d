"""Loader and scoring together against the bare model on preloaded tensors: same model, batch size, precision and run.

    python -m benchmarks.scoring.run [--images tests/data/pool_2k.npz] [--output benchmarks/scoring/results.csv]

Default: tf_efficientnet_lite0 at 128 px from 64-px JPEG files, on the CPU. Variant for a GPU (``make bench-gpu``):

    python -m benchmarks.scoring.run --device cuda --arch convnextv2_tiny --input-size 224 --batch-size 256 \\
        --count 65536 --workers 8

Files are read, hashed and compared with the manifest, decoded, resized on the device, scored, and the chunk is written:
``score_chunk`` as in production. Rounds of both kinds alternate, so that a busy machine slows both; the ratio is that
of the medians. Fails below 0.85 unless --no-limit is given.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np

import plada_format as pf
from plada_select.score import open_context, score_chunk
from plada_train import ImageSource, load_checkpoint, load_model, open_source, save_checkpoint

LIMIT = 0.85
ROOT = Path(__file__).parent.parent.parent


class Repeated(ImageSource):
    """A source repeated until it has ``count`` images, under new keys."""

    has_groups = False

    def __init__(self, source: ImageSource, count: int) -> None:
        self.source, self.count, self.spec = source, count, f"{source.spec} repeated"

    def __len__(self) -> int:
        return self.count

    def key(self, index: int) -> str:
        """Unique key."""
        return f"{index // len(self.source)}/{self.source.key(index % len(self.source))}"

    def read(self, index: int) -> bytes:
        """Bytes of the image."""
        return self.source.read(index % len(self.source))


def bare_rate(context: Any, batches: int) -> float:
    """Images/s of the model alone on tensors that are ready on the device."""
    import torch

    predictor = context.predictor
    size = predictor.preprocess.stored_size
    images = torch.randint(0, 256, (predictor.batch_size, size, size, 3), dtype=torch.uint8)
    pixels = predictor.normalise(images)
    began = time.perf_counter()
    for _ in range(batches):
        last = predictor.forward(pixels)
    last.float().cpu()  # waits for a GPU
    return float(predictor.batch_size * batches / (time.perf_counter() - began))


def full_rate(context: Any) -> float:
    """Images/s of reading, decoding, scoring and writing one chunk."""
    began = time.perf_counter()
    report = score_chunk(context, 0)
    Path(report.path).unlink()
    return float(report.rows / (time.perf_counter() - began))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", default=str(ROOT / "tests" / "data" / "pool_2k.npz"))
    parser.add_argument("--arch", default="tf_efficientnet_lite0")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--input-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--count", type=int, default=1024, help="images per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--compile", default="off")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("results.csv"))
    parser.add_argument("--no-limit", action="store_true", help="only measure")
    args = parser.parse_args()
    source = Repeated(open_source(args.images), args.count)
    with tempfile.TemporaryDirectory() as scratch:
        model = load_model(args.arch, "none", num_classes=args.classes, input_size=args.input_size)
        teacher = save_checkpoint(Path(scratch) / "teacher", model, class_names=[str(c) for c in range(args.classes)])
        with pf.ManifestBuilder(Path(scratch) / "pool", name="benchmark") as builder:
            for i in range(len(source)):
                builder.add(source.key(i), source.image_digest(i))
        context = open_context(
            source,
            pf.Manifest.open(Path(scratch) / "pool"),
            load_checkpoint(teacher),
            Path(scratch) / "table",
            device=args.device,
            dtype=args.dtype,
            batch_size=args.batch_size,
            compile_model=args.compile,
            threads=args.threads,
            workers=args.workers,
            chunk_rows=args.count,
        )
        batches = max(1, args.count // args.batch_size)
        bare_rate(context, 2)  # warm-up
        bare, full = [], []
        for _ in range(args.rounds):
            bare.append(bare_rate(context, batches))
            full.append(full_rate(context))
    ratio = statistics.median(full) / statistics.median(bare)
    row = {
        "arch": args.arch,
        "input_size": args.input_size,
        "device": context.provenance.device,
        "dtype": context.provenance.dtype,
        "compiled": context.provenance.compiled,
        "batch_size": args.batch_size,
        "images_per_round": args.count,
        "rounds": args.rounds,
        "bare_images_per_s": round(statistics.median(bare), 1),
        "full_images_per_s": round(statistics.median(full), 1),
        "ratio": round(ratio, 3),
        "ratio_of_rounds_min": round(float(np.min(np.divide(full, bare))), 3),
        "ratio_of_rounds_max": round(float(np.max(np.divide(full, bare))), 3),
    }
    print(", ".join(f"{key} {value}" for key, value in row.items()))
    print(context.meter.line())
    with open(args.output, "w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    if ratio < LIMIT and not args.no_limit:
        print(f"below the limit of {LIMIT}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
