"""``plada distill bridge``."""

from __future__ import annotations

import argparse
from pathlib import Path

from plada_train import set_up_torch


def bridge(args: argparse.Namespace) -> int:
    """``plada distill bridge``."""
    from ..bridge import federated_teacher, teacher_payload

    set_up_torch()
    folder = Path(args.output)
    teacher = federated_teacher(
        args.task,
        folder / "teacher",
        images=args.images,
        arch=args.arch,
        backbone=args.backbone,
        input_size=args.input_size,
        clients=args.clients,
        partition=args.partition,
        rounds=args.rounds,
        local_epochs=args.local_epochs,
        seed=args.seed,
        cache=folder / "cache" if args.cache is None else args.cache,
        progress=not args.quiet,
    )
    print(f"teacher: {100 * teacher.accuracy:.2f} % on the task's test images")
    print(f"bytes: {teacher.bytes_down:,} down, {teacher.bytes_up:,} up, in all messages of all clients", flush=True)
    outcome = teacher_payload(
        teacher.folder, folder, pool=args.pool, images=args.images, keep=args.keep, progress=not args.quiet
    )
    print(f"payload: {folder / 'task.plada'}, {len(outcome.data):,} bytes, {len(outcome.selection):,} images")
    return 0
