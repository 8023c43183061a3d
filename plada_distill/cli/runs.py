"""``plada distill run`` and ``federate``."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError
from plada_train import open_source, open_task, pick_device, set_up_torch

from ..data import Images, load_images, load_pixels, normalise
from ..gradients import LocalSource
from ..loop import Evaluator, Outcome, distil, first_images
from ..plan import Federation, Plan
from ..settings import NetSpec, Settings
from ..state import STATE_NAME
from ..synthetic import SyntheticSet
from ..training import TrainRecipe, random_subset, score_set

if TYPE_CHECKING:
    from plada_train import Task

RUN_NAME, EVALUATION_NAME, LEDGER_NAME = "run.json", "evaluation.json", "answers.log"


def run(args: argparse.Namespace) -> int:
    """``plada distill run``."""
    set_up_torch(args.threads)
    folder, settings = _folder(args), _settings(args)
    task = open_task(args.task, val_fraction=args.val_fraction)
    train = load_images(task.split("train"), size=args.size)
    test = _test_images(task, train, args)
    initial = first_images(settings, train.class_names, train.channels, train.size, _start(args, train))
    record = {"mode": "central", "task": args.task, "val_fraction": args.val_fraction}
    write_json(folder / RUN_NAME, record | {"settings": settings.to_json()})
    device = pick_device(args.device)
    outcome = distil(
        settings, LocalSource(train.to(device)), initial, folder=folder, device=device, save_every=args.save_every,
        evaluate=_evaluator(test, settings, args), evaluate_every=args.evaluate_every, progress=not args.quiet,
        facts={"task": task.name},
    )  # fmt: skip
    return _finish(folder, outcome, settings, train, test, args)


def federate(args: argparse.Namespace) -> int:
    """``plada distill federate``."""
    from ..flower.client import make_client_app
    from ..flower.grid import InProcessGrid
    from ..flower.source import FederatedSource
    from ..privacy import Ledger, statement

    set_up_torch(args.threads)
    folder, settings = _folder(args), _settings(args)
    task = open_task(args.task, val_fraction=args.val_fraction)
    train = load_images(task.split("train"), size=args.size)
    test = _test_images(task, train, args)
    plain = Plan(
        settings, Federation(), args.task, args.val_fraction, train.class_names, train.channels, train.size
    ).to_config()
    names = ("clients", "partition", "fraction", "codec", "weights", "aggregation", "dropout", "stragglers", "quorum",
             "mislabelled", "clip", "noise", "sample_rate", "delta")  # fmt: skip
    if args.clip and args.aggregation == "weighted":
        args.aggregation = "mean"  # counts of classes are private then
    plan = Plan.from_config(plain | {name.replace("_", "-"): getattr(args, name) for name in names})
    federation = plan.federation
    grid = InProcessGrid(
        make_client_app(), plan.to_config(), federation.clients,
        dropout=federation.dropout, stragglers=federation.stragglers, seed=settings.seed,
    )  # fmt: skip
    ledger = Ledger(folder / LEDGER_NAME) if federation.clip else None
    initial = first_images(settings, plan.class_names, plan.channels, plan.size, _start(args, train))
    record = {"mode": "federation", "task": args.task, "val_fraction": args.val_fraction}
    write_json(folder / RUN_NAME, record | {"plan": plan.to_config()})
    outcome = distil(
        settings, FederatedSource(grid, plan, ledger), initial, folder=folder, save_every=args.save_every,
        evaluate=_evaluator(test, settings, args), evaluate_every=args.evaluate_every, progress=not args.quiet,
        facts={"task": task.name, "federation": plan.to_config()},
    )  # fmt: skip
    totals = byte_totals(outcome.history)
    print(f"bytes: {totals['bytes_down']:,} down, {totals['bytes_up']:,} up, in all messages of all clients")
    print(statement(federation, 0 if ledger is None else ledger.count()))
    return _finish(folder, outcome, settings, train, test, args)


def byte_totals(history: list[dict[str, Any]]) -> dict[str, int]:
    """Sums over all iterations of bytes and of answers."""
    names = ("bytes_down", "bytes_up", "asked", "answered", "unusable")
    return {name: sum(int(entry.get(name, 0)) for entry in history) for name in names}


def _settings(args: argparse.Namespace) -> Settings:
    return Settings(
        images_per_class=args.images_per_class,
        iterations=args.iterations,
        outer_steps=args.outer_steps,
        inner_epochs=args.inner_epochs,
        image_lr=args.image_lr,
        network_lr=args.network_lr,
        real_batch=args.real_batch,
        init=args.init,
        distance=args.distance,
        pooled=args.pooled,
        augment=tuple(args.augment),
        network=NetSpec(args.width, args.depth, args.norm),
        seed=args.seed,
    )


def _folder(args: argparse.Namespace) -> Path:
    folder = Path(args.output)
    if args.force and folder.exists():
        if any(folder.iterdir()) and not (folder / STATE_NAME).is_file() and not (folder / RUN_NAME).is_file():
            raise UserError(f"{folder} holds something else than a distillation run; --force does not remove that")
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _test_images(task: Task, train: Images, args: argparse.Namespace) -> Images | None:
    if args.networks < 1 and not args.evaluate_every:
        return None
    return load_images(task.split("test"), size=train.size, channels=train.channels)


def _start(args: argparse.Namespace, train: Images) -> Images | None:
    """What the synthetic images start from, beside noise."""
    import torch

    if args.init == "real":
        return train
    if args.init != "pool":
        return None
    if not args.init_images:
        raise UserError("--init pool needs --init-images: public images to start from")
    source = open_source(args.init_images)
    most = min(len(source), 4 * args.images_per_class * train.num_classes)
    pixels, _ = load_pixels(source, range(most), size=train.size, channels=train.channels)
    return Images(normalise(pixels), torch.zeros(len(pixels), dtype=torch.int64), ("public",))


def _recipe(args: argparse.Namespace) -> TrainRecipe:
    return TrainRecipe(epochs=args.epochs, augment=tuple(args.augment))


def _evaluator(test: Images | None, settings: Settings, args: argparse.Namespace) -> Evaluator | None:
    if test is None or not args.evaluate_every:
        return None
    found = test

    def evaluate(images: Images) -> dict[str, Any]:
        return {"accuracy": score_set(images, found, settings.network, _recipe(args), [settings.seed]).mean}

    return evaluate


def _finish(
    folder: Path,
    outcome: Outcome,
    settings: Settings,
    train: Images,
    test: Images | None,
    args: argparse.Namespace,
) -> int:
    if test is not None and args.networks > 0:
        seeds = [1000 * settings.seed + number for number in range(args.networks)]
        recipe, spec = _recipe(args), settings.network
        sets = {
            "distilled": outcome.synthetic.images,
            "distilled as 8-bit pictures": SyntheticSet(outcome.synthetic.images).as_pictures().images,
        }
        counts = train.labels.bincount(minlength=train.num_classes)
        if int(counts.min()) >= settings.images_per_class:
            sets["random real images"] = random_subset(train, settings.images_per_class, settings.seed)
        scores = {name: score_set(images, test, spec, recipe, seeds) for name, images in sets.items()}
        write_json(
            folder / EVALUATION_NAME,
            {
                "test_images": len(test),
                "network": spec.name(),
                "recipe": recipe.to_json(),
                "scores": {name: score.to_json() for name, score in scores.items()},
            },
        )
        for name, score in scores.items():
            print(f"{name}: {100 * score.mean:.2f} % +- {100 * score.std:.2f} ({len(score.values)} networks)")
    print(f"synthetic set: {folder}")
    return 0


def write_json(path: Path, values: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object written by a run, or {} if there is none.

    Raises:
        UserError: damaged.
    """
    if not path.is_file():
        return {}
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise UserError(f"{path}: damaged ({problem})") from None
    if not isinstance(plain, dict):
        raise UserError(f"{path}: damaged (no object)")
    return plain



