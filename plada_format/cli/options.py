"""Options that several commands share, and what they mean once parsed."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import PladaError, UserError

if TYPE_CHECKING:
    from .. import Limits, Manifest


def count(text: str) -> int:
    """A whole number below 2^32, digits grouped with ',' or '_' if the user likes."""
    plain = text.replace(",", "").replace("_", "")
    if not (plain.isascii() and plain.isdigit()) or int(plain) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 4,294,967,295")
    return int(plain)


def fingerprint(text: str) -> bytes:
    """32 hexadecimal digits, as ``plada info`` prints them."""
    try:
        value = bytes.fromhex(text)
    except ValueError:
        value = b""
    if len(value) != 16:
        raise argparse.ArgumentTypeError(f"{text!r} is not a pool fingerprint: 32 hexadecimal digits")
    return value


def pair(text: str) -> tuple[str, str]:
    """``KEY=VALUE``."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def add_output(parser: argparse.ArgumentParser, what: str, default: str | None = None) -> None:
    """OUTPUT and ``--force``."""
    if default is None:
        parser.add_argument("output", metavar="OUTPUT", help=f"{what}; - for stdout")
    else:
        parser.add_argument("output", metavar="OUTPUT", nargs="?", default=default, help=f"{what}; default - (stdout)")
    parser.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")


def add_pool(parser: argparse.ArgumentParser, verb: str) -> None:
    """``--manifest`` or ``--pool-size`` and ``--fingerprint``."""
    group = parser.add_argument_group("pool")
    group.add_argument("--manifest", metavar="FILE", help=f"manifest of the pool (.pladapool) {verb}")
    group.add_argument("--pool-size", metavar="N", type=count, help="number of images in the pool")
    group.add_argument("--fingerprint", metavar="HEX", type=fingerprint, help="fingerprint of the pool, 32 hex digits")


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Limits for payloads from strangers whose pool size is not known beforehand."""
    group = parser.add_argument_group("limits where the pool size is not given")
    group.add_argument("--max-pool", metavar="N", type=count, help="largest pool accepted (default 2^28)")
    group.add_argument("--max-kept", metavar="N", type=count, help="most kept images accepted (default 2^25)")


def add_use_groups(parser: argparse._ActionsContainer) -> None:
    """``--use-groups``, for commands that write payloads."""
    parser.add_argument(
        "--use-groups",
        action="store_true",
        help="let the codecs use the groups of --manifest; only readers with the same groups can decode the result",
    )


def groups_to_use(args: argparse.Namespace, pool: Pool) -> Any:
    """Group starts that ``--use-groups`` asks for, or None.

    Raises:
        UserError: there are none.
    """
    if not args.use_groups:
        return None
    if pool.manifest is None:
        raise UserError("--use-groups needs --manifest: the groups stand there")
    if pool.groups is None:
        raise UserError(f"{args.manifest}: the pool has no groups; leave out --use-groups")
    return pool.groups


class Pool(NamedTuple):
    """What the user says about the pool."""

    size: int | None
    fingerprint: bytes | None
    groups: Any  # uint32 array or None
    manifest: Manifest | None

    def expectations(self) -> dict[str, Any]:
        """Keyword arguments of :func:`plada_format.decode`."""
        return {"pool_size": self.size, "pool_fingerprint": self.fingerprint, "groups": self.groups}


@contextmanager
def opened_pool(args: argparse.Namespace) -> Iterator[Pool]:
    """The pool that the options name.

    Raises:
        UserError: ``--manifest`` together with options that it already answers.
        PladaError: the manifest is damaged.
    """
    if args.manifest is None:
        yield Pool(args.pool_size, args.fingerprint, None, None)
        return
    if args.pool_size is not None or args.fingerprint is not None:
        raise UserError("--manifest says the pool's size and fingerprint: leave out --pool-size and --fingerprint")
    with opened_manifest(args.manifest) as manifest:
        with about(args.manifest):
            groups = manifest.group_starts
        yield Pool(len(manifest), manifest.fingerprint, groups, manifest)


@contextmanager
def opened_manifest(path: str) -> Iterator[Manifest]:
    """An open pool manifest, closed afterwards."""
    from .. import Manifest

    with about(path):
        manifest = Manifest.open(path)
    try:
        yield manifest
    finally:
        close = getattr(manifest, "close", None)
        if close is not None:
            close()


def limits(args: argparse.Namespace) -> Limits:
    """The limits that the options set."""
    from .. import Limits

    chosen = {"max_pool": args.max_pool, "max_kept": args.max_kept}
    return Limits(**{name: value for name, value in chosen.items() if value is not None})


@contextmanager
def about(path: str) -> Iterator[None]:
    """Errors raised inside name the file that they are about."""
    try:
        yield
    except (PladaError, UserError) as error:
        error.add_note("stdin" if path == "-" else path)
        raise
