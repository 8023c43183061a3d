"""``plada encode``: a table of indices and labels becomes a payload."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from . import options
from .files import check_output, output, read_bytes, read_text, say

if TYPE_CHECKING:
    from .parts import Subparsers
    from .tables import Table

PROFILES = ("baseline", "compact", "full")
_TABLE_BYTES = 1 << 40  # the user's own table, not a stranger's file


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "encode",
        help="make a payload from a table of indices and labels",
        description="Make a payload from a CSV, Parquet or NPZ table with columns index, label and perhaps weight.",
    )
    parser.add_argument("input", metavar="TABLE", help="CSV, Parquet or NPZ file; - for stdin")
    options.add_output(parser, "payload to write (.plada)")
    parser.add_argument("--format", choices=("csv", "parquet", "npz"), help="kind of TABLE (default: by its content)")
    options.add_pool(parser, "that the indices refer to")
    content = parser.add_argument_group("content")
    content.add_argument("--num-classes", metavar="K", type=options.count, help="number of classes, 1 to 65,536")
    content.add_argument("--class-names", metavar="FILE", help="text file with one class name per line, in class order")
    content.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        type=options.pair,
        action="append",
        default=[],
        help="a pair of strings to send along; may be repeated",
    )
    content.add_argument("--soft-labels", metavar="FILE", help="K x K average soft labels as .npy or CSV")
    content.add_argument("--sort", action="store_true", help="sort the rows by index first")
    coding = parser.add_argument_group("coding")
    coding.add_argument("--profile", choices=PROFILES, help="codecs that 'auto' may use (default: the library's)")
    coding.add_argument("--index-codec", metavar="NAME", help="index codec (default auto: the smallest)")
    coding.add_argument("--label-codec", metavar="NAME", help="label codec (default auto: the smallest)")
    options.add_use_groups(coding)
    parser.add_argument("--quiet", action="store_true", help="do not print what was written")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Encode; see ``plada encode --help``."""
    check_output(args.output, force=args.force)
    from .. import encode, inspect
    from .tables import format_of, read_table

    content = read_bytes(args.input, _TABLE_BYTES)
    with options.about(args.input):
        table = read_table(content, args.format or format_of(args.input, content))
        del content
    if args.sort:
        table = table.sorted()
    with options.opened_pool(args) as pool:
        settings = _settings(args, table, pool) | {"groups": options.groups_to_use(args, pool)}
        with options.about(args.input):
            data = encode(table.index, table.label, weights=table.weight, **settings)
    with output(args.output, force=args.force) as file:
        file.write(data)
    if not args.quiet:
        header = inspect(data)
        say(
            f"{args.output if args.output != '-' else 'stdout'}: {len(data):,} bytes, {header.count:,} of "
            f"{header.pool_size:,} images, {header.num_classes:,} classes ({header.index_codec}, {header.label_codec})"
        )
    return 0


def _settings(args: argparse.Namespace, table: Table, pool: options.Pool) -> dict[str, Any]:
    """What flags say, and where they are silent, what the table says."""
    stored = table.settings
    chosen: dict[str, Any] = {
        "pool_size": stored.get("pool_size") if pool.size is None else pool.size,
        "pool_fingerprint": pool.fingerprint,
        "class_names": stored.get("class_names"),
        "metadata": {**stored.get("metadata", {}), **dict(args.metadata)} or None,
        "soft_labels": stored.get("soft_labels"),
        "num_classes": args.num_classes,
    }
    if args.fingerprint is None and pool.manifest is None and "pool_fingerprint" in stored:
        try:
            chosen["pool_fingerprint"] = options.fingerprint(stored["pool_fingerprint"])
        except argparse.ArgumentTypeError as problem:
            raise UserError(f"{args.input}: {problem}") from None
    if args.class_names is not None:
        chosen["class_names"] = class_names(args.class_names)
    if args.soft_labels is not None:
        chosen["soft_labels"] = _matrix(args.soft_labels)
    if chosen["num_classes"] is None:
        names = chosen["class_names"]
        chosen["num_classes"] = stored.get("num_classes") if names is None else len(names)
    if chosen["pool_size"] is None:
        raise UserError("how large is the pool? Give --manifest FILE or --pool-size N")
    if chosen["num_classes"] is None:
        raise UserError("how many classes are there? Give --num-classes K or --class-names FILE")
    for name in ("profile", "index_codec", "label_codec"):
        if getattr(args, name) is not None:
            chosen[name] = getattr(args, name)
    return chosen


def class_names(path: str) -> list[str]:
    """One name per line; only line feeds (after a carriage return or not) end a line."""
    return read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")


def _matrix(path: str) -> Any:
    import io

    import numpy as np

    content = read_bytes(path)
    try:
        if content[:6] == b"\x93NUMPY":
            return np.load(io.BytesIO(content), allow_pickle=False)
        return np.loadtxt(io.StringIO(content.decode("utf-8-sig")), delimiter=",", ndmin=2)
    except ValueError as problem:
        raise UserError(f"{path}: no table of numbers ({problem})") from None
