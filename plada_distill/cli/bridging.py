"""``plada distill bridge``."""

from __future__ import annotations

import argparse
from pathlib import Path

from plada_train import set_up_torch


def bridge(args: argparse.Namespace) -> int:
    """``plada distill bridge``."""
    from ..bridge import federated_payload

    set_up_torch()
    outcome = federated_payload(
        args.task,
        Path(args.output),
        pool=args.pool,
        images=args.images,
        arch=args.arch,
        backbone=args.backbone,
        input_size=args.input_size,
        clients=args.clients,
        partition=args.partition,
        rounds=args.rounds,
        local_epochs=args.local_epochs,
        keep=args.keep,
        seed=args.seed,
        cache=args.cache,
        progress=not args.quiet,
    )
    print(f"teacher: {100 * outcome.teacher_accuracy:.2f} % on the task's test images")
    print(f"bytes: {outcome.bytes_down:,} down, {outcome.bytes_up:,} up, in all messages of all clients")
    print(f"payload: {outcome.payload}, {outcome.payload_bytes:,} bytes, {outcome.count:,} images")
    return 0
