"""``plada recode``: the same content in other codecs, or without some of its optional sections."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import options
from .encode import PROFILES, class_names
from .files import check_output, output, read_bytes, say

if TYPE_CHECKING:
    from .parts import Subparsers

# As on the command line -> as plada_format names them.
SECTIONS = {"class-names": "class names", "metadata": "metadata", "weights": "weights", "soft-labels": "soft labels"}


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "recode",
        help="write a payload again with other codecs or fewer sections",
        description=(
            "Write a payload again. Without options the output equals the input, byte for byte. --profile chooses the "
            "smallest codecs that the profile allows, unless codecs are named."
        ),
    )
    parser.add_argument("input", metavar="PAYLOAD", help="payload (.plada); - for stdin")
    options.add_output(parser, "payload to write")
    coding = parser.add_argument_group("coding")
    coding.add_argument("--profile", choices=PROFILES, help="choose the smallest codecs of this profile")
    coding.add_argument("--index-codec", metavar="NAME", help="index codec, auto, or keep")
    coding.add_argument("--label-codec", metavar="NAME", help="label codec, auto, or keep")
    content = parser.add_argument_group("optional sections (kept by default)")
    choice = content.add_mutually_exclusive_group()
    names = ", ".join([*SECTIONS, "all"])
    choice.add_argument(
        "--strip", metavar="NAME", action="append", default=[], choices=[*SECTIONS, "all"], help=f"leave out: {names}"
    )
    choice.add_argument(
        "--only", metavar="NAME", action="append", default=[], choices=list(SECTIONS), help="leave out all others"
    )
    content.add_argument("--class-names", metavar="FILE", help="replace the class names; one per line")
    content.add_argument(
        "--metadata",
        metavar="KEY=VALUE",
        type=options.pair,
        action="append",
        default=[],
        help="add or replace a pair; an empty value removes it; may be repeated",
    )
    content.add_argument(
        "--set-fingerprint", metavar="HEX", type=options.fingerprint, help="say to which pool the payload belongs"
    )
    options.add_use_groups(coding)
    parser.add_argument("--manifest", metavar="FILE", help="manifest of the pool, for payloads that need its groups")
    options.add_limits(parser)
    parser.add_argument("--quiet", action="store_true", help="do not print what was written")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Recode; see ``plada recode --help``."""
    check_output(args.output, force=args.force)
    from .. import inspect, recode

    data = read_bytes(args.input)
    limits = options.limits(args)
    args.pool_size = args.fingerprint = None
    with options.opened_pool(args) as pool, options.about(args.input):
        groups = options.groups_to_use(args, pool)
        if groups is None and inspect(data).group_digest is not None:
            groups = pool.groups
        changed = recode(data, groups=groups, limits=limits, **_coding(args), **_content(args, data, groups, limits))
    with output(args.output, force=args.force) as file:
        file.write(changed)
    if not args.quiet:
        header = inspect(changed)
        target = "stdout" if args.output == "-" else args.output
        say(f"{target}: {len(changed):,} bytes, was {len(data):,} ({header.index_codec}, {header.label_codec})")
    return 0


def _coding(args: argparse.Namespace) -> dict[str, Any]:
    default = "keep" if args.profile is None else "auto"
    chosen = {"index_codec": args.index_codec or default, "label_codec": args.label_codec or default}
    return chosen if args.profile is None else chosen | {"profile": args.profile}


def _content(args: argparse.Namespace, data: bytes, groups: Any, limits: Any) -> dict[str, Any]:
    from .. import container, decode

    chosen: dict[str, Any] = {}
    if args.set_fingerprint is not None:
        chosen["pool_fingerprint"] = args.set_fingerprint
    if not (args.strip or args.only or args.class_names or args.metadata):
        return chosen
    payload = decode(data, groups=groups, limits=limits)
    present = {section.type: section.name for section in payload.header.sections[2:]}
    if "all" in args.strip:
        dropped = set(present)
    else:
        wanted = {SECTIONS[name] for name in args.strip}
        if args.only:
            wanted = set(present.values()) - {SECTIONS[name] for name in args.only}
        dropped = {kind for kind, name in present.items() if name in wanted}
    if args.class_names is not None:
        chosen["class_names"] = class_names(args.class_names)
        dropped.discard(container.CLASS_NAMES)
    if args.metadata:
        kept = {} if container.METADATA in dropped else payload.metadata
        chosen["metadata"] = {key: value for key, value in {**kept, **dict(args.metadata)}.items() if value} or None
        dropped.discard(container.METADATA)
    chosen["drop"] = sorted(dropped)
    return chosen
