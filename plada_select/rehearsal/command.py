"""``plada select --policy auto``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from plada_format.errors import UserError

from ..payload import PayloadSpec, short_metadata
from ..scoretable import ScoreTable
from .arms import ArmMaker
from .candidates import default_candidates
from .precheck import PreCheck, pre_check
from .run import Rehearsal, rehearse
from .trials import Arm, paired_error

if TYPE_CHECKING:
    from plada_format import Manifest
    from plada_train import Checkpoint, ImageSource, LabelledImages, Task

IMAGES_PER_COUNT = 8  # of --rehearse-images: keeps a rehearsal below ten times the cost of one training


def select_auto(
    args: argparse.Namespace, table: ScoreTable, manifest: Manifest, budget: int, wish: dict[str, Any]
) -> Rehearsal:
    """Rehearse as the flags say; prints what was seen, to stderr.

    Args:
        args: of ``plada select``; see :mod:`plada_select.rehearsal.flags`.
        table: the teacher's scores.
        manifest: of the pool.
        budget: bytes.
        wish: ``metadata`` and ``encode_options`` of the payload, ``embedding`` of the pool or None.

    Raises:
        UserError: the target does not fit the table, the proxy is the teacher's architecture, the budget is too small.
    """
    from plada_train import load_checkpoint, load_model, open_source, open_task, set_up_torch
    from plada_train.pool_order import in_pool_order

    from .rows import LazyRows
    from .students import ProxyStudent, check_proxy, open_validation, validation_images

    check_proxy(args.proxy, table.task.get("teacher"))
    set_up_torch()
    checkpoint = None if args.teacher is None else load_checkpoint(args.teacher)
    task = _open(args, table, checkpoint, open_task)
    images = in_pool_order(open_source(args.images), manifest)
    backbone = load_model(args.proxy, args.proxy_weights, num_classes=0, input_size=args.proxy_size)
    how = {"device": _device(args.device), "threads": args.threads, "progress": not args.quiet}
    fill = args.rehearse_on == "all"
    validation = open_validation(task, backbone, cache=args.cache, most=args.rehearse_val, fill=fill, **how)
    assert validation.images is not None
    held = validation_images(task, args.rehearse_val)
    spec = _spec(table, wish)
    check = _check(table, spec, budget, args, checkpoint, held)
    for line in check.lines():
        print(f"pre-check: {line}", file=sys.stderr)
    maker = ArmMaker(
        table,
        spec,
        budget,
        allow_missing_classes=args.allow_missing_classes,
        group_starts=manifest.group_starts,
        embedding=wish["embedding"],
    )
    arms = maker.arms(default_candidates(far=check.far, seed=args.seed, spread=wish["embedding"] is not None))
    rows = LazyRows(backbone, images, args.cache, "pool features", **how)
    proxy = ProxyStudent(rows, validation, table.num_classes, name=args.proxy, device=str(how["device"]))
    most = args.rehearse_images or IMAGES_PER_COUNT * max((arm.count for arm in arms), default=1)
    found = rehearse(
        arms,
        proxy,
        budget=budget,
        seeds=args.rehearse_seeds,
        images=most,
        turns=args.rehearse_turns,
        maker=maker,
        final=_final(args, images, validation.images) if args.finalists else None,
        finalists=args.finalists or 1,
        check=check,
        progress=not args.quiet,
    )
    found.facts |= {"target": args.rehearse, "proxy_weights": args.proxy_weights, "split": "val"}
    found.facts |= {"validation_images": len(held), "training_images": len(validation) - len(held)}
    for line in summary(found):
        print(line, file=sys.stderr)
    return found


def _device(name: str) -> Any:
    from plada_train import pick_device

    return pick_device(name)


def _open(args: argparse.Namespace, table: ScoreTable, checkpoint: Checkpoint | None, open_task: Any) -> Task:
    taught = {} if checkpoint is None else checkpoint.meta.get("extra", {}).get("split") or {}
    seed = taught.get("seed", 0) if args.val_seed is None else args.val_seed
    fraction = taught.get("val_fraction", 0.2) if args.val_fraction is None else args.val_fraction
    task: Task = open_task(args.rehearse, val_fraction=fraction, seed=seed)
    names = list(table.task.get("class_names") or [])
    if names and list(task.class_names) != names:
        raise UserError(f"{args.rehearse}: its class names are not those of the score table; give the teacher's target")
    if checkpoint is not None:
        known = checkpoint.metrics.get("val_images")
        if known is None:
            print(
                "plada: warning: this teacher was trained on the validation images too; the rehearsal will look better"
                " than it is",
                file=sys.stderr,
            )
        elif known != len(task.positions("val")):
            raise UserError(
                f"{args.rehearse}: {len(task.positions('val'))} validation images, the teacher had {known}; give the"
                " --val-fraction and --val-seed of 'plada teach'"
            )
    return task


def _spec(table: ScoreTable, wish: dict[str, Any]) -> PayloadSpec:
    names = list(table.task.get("class_names") or [str(c) for c in range(table.num_classes)])
    return PayloadSpec(
        pool_size=len(table),
        class_names=names,
        pool_fingerprint=bytes.fromhex(table.provenance.pool_fingerprint),
        metadata=short_metadata(table.task, wish.get("metadata")),
        encode_options=dict(wish.get("encode_options") or {}),
    )


def _check(
    table: ScoreTable,
    spec: PayloadSpec,
    budget: int,
    args: argparse.Namespace,
    checkpoint: Checkpoint | None,
    images: LabelledImages,
) -> PreCheck:
    """At about the count that the budget holds: two bytes an image are typical."""
    energies = None
    if checkpoint is not None:
        from plada_train import predict_logits

        from ..criteria import energy

        logits, status = predict_logits(
            checkpoint.model, images.source, device=_device(args.device), threads=args.threads,
            progress=not args.quiet, description="teacher on validation images",
        )  # fmt: skip
        energies = energy(logits[status < 128], table.provenance.temperature)
    return pre_check(table, max(table.num_classes, budget // 2), energies)


def _final(args: argparse.Namespace, pool: ImageSource, validation: LabelledImages) -> Any:
    from .students import TunedFinalist

    arch, weights = args.final_arch or args.proxy, args.final_weights or args.proxy_weights
    mode = "scratch" if weights == "none" else "finetune"
    return TunedFinalist(
        arch, weights, pool=pool, validation=validation, mode=mode, device=args.device, input_size=args.proxy_size,
        threads=args.threads,
    )  # fmt: skip


def summary(found: Rehearsal, most: int = 6) -> list[str]:
    """The best arms for the terminal, the chosen one marked."""
    tried = [arm for arm in found.arms if arm.trials]
    stayed = sorted(tried, key=lambda arm: (-len(arm.judged), -arm.mean, arm.bytes))[:most]
    if found.chosen not in stayed:
        stayed.append(found.chosen)
    width = max(len(arm.name) for arm in stayed)
    end = (
        f"rehearsal: class quotas doubled and halved in {len(found.facts['turns'])} rounds; {found.facts['turns_end']}"
    )
    return [end] + [
        f"rehearsal: {arm.name:{width}} {arm.count:6} images {arm.bytes:7} bytes, validation {arm.mean:.1%}"
        f"{_against(arm, found.chosen)}"
        for arm in stayed
    ]


def _against(arm: Arm, chosen: Arm) -> str:
    if arm is chosen:
        return " <- sent"
    return f" ({100 * (arm.mean - chosen.mean):+.1f} points, standard error {100 * paired_error(arm, chosen):.1f})"
