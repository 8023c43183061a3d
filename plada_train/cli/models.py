"""``plada train``, ``plada evaluate`` and ``plada export``."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.cli.exits import Exit
from plada_format.cli.text import printable
from plada_format.errors import UserError

from ..checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ..dataset import PayloadDataset
from ..device import pick_device, set_up_torch
from ..evaluation import Evaluation
from ..evaluation import evaluate as evaluate_model
from ..export import export_csv, export_folder, export_parquet
from ..fit import Trained, fit_classifier, recipe_for
from ..onnx_export import export_onnx
from ..sources import LabelledImages, Task, open_task

_RESUME = "resume"


def train(args: argparse.Namespace) -> int:
    """Payload and pool -> student."""
    set_up_torch(args.threads, args.deterministic)
    out = Path(args.out)
    if (out / "model.safetensors").exists() and not args.force:
        raise UserError(f"{out} already holds a model; use --force to replace it")
    if args.force:
        shutil.rmtree(out / _RESUME, ignore_errors=True)
    test = None if args.test is None else open_task(args.test, val_fraction=0).split("test")
    data = _joined(args)
    print(_joined_line(data))
    trained = fit_classifier(
        data.images,
        arch=args.arch,
        weights=args.weights,
        mode=args.recipe,
        targets=data.targets(args.targets, use_weights=not args.no_weights),
        recipe=recipe_for(
            args.recipe,
            args.weights,
            len(data),
            pool_size=data.payload.header.pool_size,
            seed=args.seed,
            epochs=args.epochs,
            batch_size=args.batch_size,
            lr=args.lr,
            weight_decay=args.weight_decay,
            augment=args.augment,
            amp=args.amp,
        ),
        input_size=args.input_size or _input_size(data),
        hidden=args.hidden,
        pool_size=data.payload.header.pool_size,
        seed=args.seed,
        cache=args.cache or out / _RESUME / "features",
        work_dir=out / _RESUME,
        device=args.device,
        threads=args.threads,
        workers=args.workers,
        progress=not args.quiet,
    )
    print(trained.summary)
    metrics = dict(trained.metrics)
    print_odd_images(metrics.get("status", {}))
    if test is not None:
        checkpoint = Checkpoint(trained.model, trained.class_names, {}, {}, "")
        found = evaluate_model(
            trained.model,
            matched(checkpoint, test),
            device=pick_device(args.device),
            threads=args.threads,
            progress=not args.quiet,
        )
        metrics["test"] = found.to_json()
        print(f"test accuracy {found.accuracy:.1%} on {found.count} images")
    _save(out, trained, metrics, args, data)
    shutil.rmtree(out / _RESUME, ignore_errors=True)
    print(f"model in {out}")
    return Exit.OK


def _save(out: Path, trained: Trained, metrics: dict[str, Any], args: argparse.Namespace, data: PayloadDataset) -> None:
    header = data.payload.header
    extra = {
        "pool_fingerprint": header.pool_fingerprint.hex() if header.pool_fingerprint else None,
        "payload_digest": header.content_digest.hex(),
        "dropped": len(data.report.bad),
    }
    out.mkdir(parents=True, exist_ok=True)
    if args.onnx:
        export_onnx(trained.model, out / "model.onnx", class_names=trained.class_names)
    settings = {name: value for name, value in vars(args).items() if name not in ("run", "action", "command")}
    for name, content in (("args.json", settings), ("metrics.json", metrics)):
        with atomic_write(out / name) as file:
            file.write(json.dumps(content, indent=2, default=str).encode() + b"\n")
    save_checkpoint(
        out, trained.model, class_names=trained.class_names, metrics=metrics, seed=trained.seed, extra=extra
    )


def evaluate(args: argparse.Namespace) -> int:
    """Accuracy of a checkpoint."""
    set_up_torch(args.threads, args.deterministic)
    checkpoint = load_checkpoint(args.model)
    images = matched(checkpoint, _task_as_taught(checkpoint, args).split(args.split))
    found = evaluate_model(
        checkpoint.model,
        images,
        device=pick_device(args.device),
        threads=args.threads,
        cache=args.cache,
        progress=not args.quiet,
    )
    text = json.dumps(found.to_json(), indent=None if args.json else 2, ensure_ascii=False)
    if args.out:
        with atomic_write(args.out) as file:
            file.write(text.encode() + b"\n")
    if args.json:
        print(text)
    else:
        _print_evaluation(found)
    return Exit.OK


def _task_as_taught(checkpoint: Checkpoint, args: argparse.Namespace) -> Task:
    """The data with the validation split that the model was trained with, where it was trained on labelled data."""
    split = checkpoint.meta.get("extra", {}).get("split") or {}
    fraction = split.get("val_fraction", 0.2 if args.split == "val" else 0)
    return open_task(args.data, val_fraction=fraction, seed=split.get("seed", 0))


def _print_evaluation(found: Evaluation) -> None:
    print(f"accuracy {found.accuracy:.2%} (standard error {found.standard_error:.2%}) on {found.count} images")
    width = min(32, max(len(printable(name)) for name in found.class_names))
    for row, value in enumerate(found.to_json()["classes"]):
        if not value["count"]:
            continue
        wrong = found.confusion[row].copy()
        wrong[row] = 0
        worst = int(wrong.argmax())
        taken = f", most taken for {printable(found.class_names[worst])} ({wrong[worst]})" if wrong[worst] else ""
        print(f"  {printable(value['name'])[:width]:{width}} {value['accuracy']:7.2%} of {value['count']}{taken}")
    print_odd_images(found.status)


def print_odd_images(status: dict[str, int]) -> None:
    """One line about images that were no plain ones, if there are any."""
    if set(status) - {"ok"}:
        print("images: " + ", ".join(f"{count} {kind}" for kind, count in sorted(status.items())))


def export(args: argparse.Namespace) -> int:
    """Payload and pool -> a dataset for others."""
    kind = args.format or {".parquet": "parquet", ".csv": "csv", "": "folder"}.get(Path(args.output).suffix)
    if kind is None:
        raise UserError(f"{args.output}: say --format parquet, csv or folder")
    data = _joined(args)
    if kind == "parquet":
        count = export_parquet(data, args.output, overwrite=args.force, progress=not args.quiet)
    elif kind == "csv":
        count = export_csv(data, args.output, overwrite=args.force)
    else:
        count = export_folder(data, args.output, overwrite=args.force, progress=not args.quiet)
    print(f"{args.output}: {count} images of {len(data.class_names)} classes")
    return Exit.OK


def matched(checkpoint: Checkpoint, images: LabelledImages) -> LabelledImages:
    """``images`` with their labels in the order of the model's classes, matched by name.

    A model without class names (``class 0`` and so on) takes the classes as they come, if there are as many.

    Raises:
        UserError: the class names differ.
    """
    known, given = checkpoint.class_names, images.class_names
    if known == given:
        return images
    if len(known) == len(given) and known == tuple(f"class {place}" for place in range(len(known))):
        return LabelledImages(images.source, images.labels, known)
    if set(known) != set(given):
        odd = sorted(set(given) ^ set(known))
        raise UserError(f"{images.source.spec}: its classes are not those of the model, for example {odd[0]!r}")
    order = [known.index(name) for name in given]
    labels = [order[label] for label in images.labels.tolist()]
    import numpy as np

    return LabelledImages(images.source, np.array(labels, np.int64), known)


def _joined(args: argparse.Namespace) -> PayloadDataset:
    return PayloadDataset(
        Path(args.payload),
        args.pool,
        args.manifest,
        missing=args.missing,
        allow_unidentified=args.allow_unidentified,
        threads=args.threads,
        progress=not args.quiet,
    )


def _joined_line(data: PayloadDataset) -> str:
    dropped = f"; trained without the others: {data.report.summary()}" if len(data.report.bad) else ""
    return f"{len(data)} images of {len(data.class_names)} classes, digests checked{dropped}"


def _input_size(data: PayloadDataset) -> int | None:
    text = data.payload.metadata.get("input", "")
    return int(text) if text.isascii() and text.isdigit() and 16 <= int(text) <= 4096 else None

