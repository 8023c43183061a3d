"""``plada distill tune``."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from plada_format.errors import UserError
from plada_train import open_task, set_up_torch
from plada_train.sources.task import VAL

from ..data import Images, load_images
from ..plan import Federation, Plan
from ..settings import NetSpec, Settings
from ..state import STATE_NAME
from ..synthetic import load_synthetic, read_tensors
from ..training import Score, TrainRecipe, accuracy
from ..tune import ByteBalance, Candidate, grid, rank_correlation, regret
from ..tune import tune as tune_on
from .runs import RUN_NAME, byte_totals, read_json, write_json

TUNE_NAME = "tune.json"


def tune(args: argparse.Namespace) -> int:
    """``plada distill tune``."""
    set_up_torch()
    folder = Path(args.folder)
    synthetic = load_synthetic(folder)
    held = float(read_json(folder / RUN_NAME).get("val_fraction", 0))
    if args.split == "val" and not held and not (open_task(args.task, val_fraction=0).split_of == VAL).any():
        raise UserError(
            f"{folder}: the run kept no validation images back (--val-fraction), so tuning on them would be tuning on"
            " training images; choose --split test, or distil again"
        )
    task = open_task(args.task, val_fraction=held)
    size, channels = synthetic.images.size, synthetic.images.channels
    test = load_images(task.split(args.split), size=size, channels=channels)
    candidates = grid(args.widths, args.depths, args.norms, args.lrs, TrainRecipe(epochs=args.epochs))
    proxy = tune_on(
        synthetic.images, test, candidates, networks=args.networks, seed=args.seed,
        journal=folder / "tune" / "distilled.json", note=_say("distilled"),
    )  # fmt: skip
    best = max(sorted(proxy), key=lambda name: proxy[name].mean)
    result: dict[str, Any] = {
        "split": args.split,
        "images": len(test),
        "best": best,
        "distilled": {name: score.to_json() for name, score in proxy.items()},
    }
    print(f"best on the distilled set: {best}")
    if args.reference != "none":
        truth, one_run = _reference(args, folder, candidates, test, held)
        result["reference"] = {
            "kind": args.reference,
            "scores": {name: score.to_json() for name, score in truth.items()},
            "regret": regret(proxy, truth),
        }
        if len(candidates) >= 3:
            names = [candidate.name() for candidate in candidates]
            result["reference"]["ranks"] = ranks = rank_correlation(
                [proxy[name].mean for name in names], [truth[name].mean for name in names]
            )
            shown = {key: "undefined" if value is None else f"{value:.3f}" for key, value in ranks.items()}
            print(f"rank correlation with {args.reference}: " + ", ".join(f"{k} {v}" for k, v in shown.items()))
        print(f"choosing on the distilled set loses {100 * result['reference']['regret']:.2f} points")
        spent = sum(byte_totals(_history(folder))[name] for name in ("bytes_down", "bytes_up"))
        if one_run and spent:
            balance = ByteBalance(spent, one_run, len(candidates))
            result["bytes"] = {
                "distillation": spent, "fedavg_run": one_run, "configurations": len(candidates),
                "break_even": balance.break_even,
            }  # fmt: skip
            print(balance.line())
    write_json(folder / TUNE_NAME, result)
    return 0


def _say(what: str) -> Any:
    def note(name: str, score: Score) -> None:
        print(f"{what}: {name}: {100 * score.mean:.2f} %", flush=True)

    return note


def _history(folder: Path) -> list[dict[str, Any]]:
    if not (folder / STATE_NAME).is_file():
        return []
    _, facts = read_tensors(folder, STATE_NAME, "plada distillation state", "a distillation run")
    return list(facts["history"])


def _reference(
    args: argparse.Namespace, folder: Path, candidates: list[Candidate], test: Images, held: float
) -> tuple[dict[str, Score], int]:
    """Scores after training on the real images, and the bytes of the mean FedAvg run (0 for central training)."""
    if args.reference == "central":
        task = open_task(args.task, val_fraction=held)
        train = load_images(task.split("train"), size=test.size, channels=test.channels)
        real = [replace(one, recipe=replace(one.recipe, epochs=args.reference_epochs)) for one in candidates]
        journal = folder / "tune" / f"central-{args.reference_epochs}.json"
        return tune_on(train, test, real, networks=args.networks, seed=args.seed, journal=journal,
                       note=_say("real")), 0  # fmt: skip
    from ..flower.client import make_client_app
    from ..flower.fedavg import fedavg
    from ..flower.grid import InProcessGrid

    plan = _plan(args, folder, test, held)
    scores: dict[str, Score] = {}
    sent: list[int] = []
    journal = folder / "tune" / f"fedavg-{args.rounds}x{args.local_epochs}.json"
    known = read_json(journal)
    for candidate in candidates:
        values: list[float] = []
        for number in range(args.networks):
            key = f"{candidate.name()} #{args.seed + number}"
            if key not in known:
                recipe = replace(candidate.recipe, epochs=args.local_epochs, batch_size=64)
                clients = InProcessGrid(make_client_app(), plan.to_config(), plan.federation.clients)
                made = fedavg(clients, plan, candidate.network, recipe, args.rounds, seed=args.seed + number)
                known[key] = [accuracy(made.network, test), made.bytes_down + made.bytes_up]
                journal.parent.mkdir(parents=True, exist_ok=True)
                write_json(journal, known)
            values.append(float(known[key][0]))
            sent.append(int(known[key][1]))
        scores[candidate.name()] = Score(tuple(values))
        _say("fedavg")(candidate.name(), scores[candidate.name()])
    return scores, sum(sent) // len(sent)


def _plan(args: argparse.Namespace, folder: Path, test: Images, held: float) -> Plan:
    """The run's own federation; for a central run one of ``--clients`` iid clients."""
    stored = read_json(folder / RUN_NAME)
    if stored.get("mode") == "federation":
        return Plan.from_config(stored["plan"])
    if not stored:
        raise UserError(f"{folder}: no {RUN_NAME}; is this the folder of a distillation run?")
    settings = Settings(network=NetSpec(), seed=args.seed)
    return Plan(
        settings, Federation(clients=args.clients), args.task, held, test.class_names, test.channels, test.size
    )
