"""``plada decode``: a payload becomes a table, with file names and class names where the pool's manifest is at hand."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import options
from .files import check_output, output, read_bytes

if TYPE_CHECKING:
    from .. import Payload
    from .parts import Subparsers

_SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".npz": "npz"}


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "decode",
        help="turn a payload into a table of images and labels",
        description=(
            "Write index and label of every kept image, with class_name and weight where the payload has them, and "
            "with the image's key in the pool where --manifest is given. Everything is checked before it is written."
        ),
    )
    parser.add_argument("input", metavar="PAYLOAD", help="payload (.plada); - for stdin")
    options.add_output(parser, "table to write", default="-")
    parser.add_argument(
        "--format", choices=("csv", "parquet", "npz"), help="kind of table (default: by OUTPUT's name, else csv)"
    )
    options.add_pool(parser, "to check against and to take keys from")
    options.add_limits(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decode; see ``plada decode --help``."""
    check_output(args.output, force=args.force)
    from .. import decode, join
    from .tables import write_table

    kind = args.format or next((kind for end, kind in _SUFFIXES.items() if args.output.lower().endswith(end)), "csv")
    data = read_bytes(args.input)
    with options.opened_pool(args) as pool:
        with options.about(args.input):
            payload = decode(data, limits=options.limits(args), **pool.expectations())
        keys = None
        if pool.manifest is not None:
            with options.about(args.manifest):
                keys, _ = join(payload, pool.manifest)
    with output(args.output, force=args.force, binary=kind != "csv") as file:
        write_table(file, kind, _columns(payload, keys), _settings(payload))
    return 0


def _columns(payload: Payload, keys: list[str] | None) -> dict[str, Any]:
    columns: dict[str, Any] = {"index": payload.indices}
    if keys is not None:
        columns["key"] = keys
    columns["label"] = payload.labels
    if payload.class_names is not None:
        names = payload.class_names
        columns["class_name"] = [names[label] for label in payload.labels.tolist()]
    elif keys is not None:
        columns["class_name"] = [str(label) for label in payload.labels.tolist()]
    if payload.weights is not None:
        columns["weight"] = payload.weights
    return columns


def _settings(payload: Payload) -> dict[str, Any]:
    """What else NPZ and Parquet keep, so that ``plada encode`` gives an equal payload back."""
    header = payload.header
    settings: dict[str, Any] = {"pool_size": header.pool_size, "num_classes": header.num_classes}
    if header.pool_fingerprint is not None:
        settings["pool_fingerprint"] = header.pool_fingerprint.hex()
    if payload.class_names is not None:
        settings["class_names"] = list(payload.class_names)
    if payload.metadata:
        settings["metadata"] = dict(payload.metadata)
    if payload.soft_labels is not None:
        settings["soft_labels"] = payload.soft_labels
    return settings
