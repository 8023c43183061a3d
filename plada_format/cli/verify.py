"""``plada verify``: every check that the format has; the exit code says what is wrong."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import PladaError, UserError
from . import options
from .exits import Exit, for_exception
from .files import is_manifest, read_bytes
from .text import one_line, printable

if TYPE_CHECKING:
    from .parts import Subparsers


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "verify",
        help="check payloads and pool manifests completely",
        description=(
            "Check everything: structure, checksums, streams, content digest, optional sections, and the pool if one "
            "is named. Exit code: 0 good, 3 not a payload or unsupported, 4 damaged, 5 wrong pool, 6 above the limits."
        ),
    )
    parser.add_argument("inputs", metavar="FILE", nargs="+", help="payload or pool manifest; - for a payload on stdin")
    options.add_pool(parser, "that the payloads must belong to; its blocks with kept images are checked too")
    options.add_limits(parser)
    parser.add_argument("--quiet", action="store_true", help="print nothing where all is good")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check every file, also after a bad one; the code of the first bad one is returned."""
    import sys

    first = Exit.OK
    with options.opened_pool(args) as pool:
        for path in args.inputs:
            try:
                with options.about(path):
                    message = _manifest(path) if is_manifest(path) else _payload(path, args, pool)
            except (PladaError, UserError, OSError) as error:
                code = for_exception(error)
                first = first or code
                notes = "".join(f"{note}: " for note in getattr(error, "__notes__", ()))
                print(f"plada: error: {printable(notes)}{one_line(error)}", file=sys.stderr)
            else:
                if not args.quiet:
                    print(f"{printable(path)}: {message}")
    return int(first)


def _payload(path: str, args: argparse.Namespace, pool: options.Pool) -> str:
    from .. import decode, join

    data = read_bytes(path)
    payload = decode(data, limits=options.limits(args), **pool.expectations())
    pool_checked = "pool not checked"
    if pool.manifest is not None:
        join(payload, pool.manifest)
        pool.manifest.verify_blocks(payload.indices)
        pool_checked = "belongs to this pool"
    elif pool.fingerprint is not None:
        pool_checked = "fingerprint as expected"
    elif pool.size is not None:
        pool_checked = "pool size as expected"
    header = payload.header
    return f"good: {header.count:,} of {header.pool_size:,} images, {header.num_classes:,} classes; {pool_checked}"


def _manifest(path: str) -> str:
    with options.opened_manifest(path) as manifest:
        manifest.verify_blocks()
        return f"good: pool manifest of {len(manifest):,} images, fingerprint {manifest.fingerprint.hex()}"
