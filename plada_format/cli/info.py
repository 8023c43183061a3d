"""``plada info``: what a payload or a pool manifest says about itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import options
from .files import is_manifest, read_bytes
from .text import grouped, printable, table

if TYPE_CHECKING:
    from .parts import Subparsers

_NAMES_SHOWN = 20


def add(subparsers: Subparsers) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "info",
        help="show what a payload or a pool manifest says about itself",
        description="Show header, sections, class names and metadata. 'plada verify' checks the rest.",
    )
    parser.add_argument("input", metavar="FILE", help="payload or pool manifest; - for a payload on stdin")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe; see ``plada info --help``."""
    with options.about(args.input):
        facts = _manifest(args.input) if is_manifest(args.input) else _payload(args.input)
    if args.json:
        import json

        print(json.dumps(facts, indent=2, ensure_ascii=True))
    else:
        print(table(_rows(facts)))
    return 0


def _payload(path: str) -> dict[str, Any]:
    from .. import container, sections
    from ..engines.stream import Stream
    from ..errors import ErrorCode

    data = memoryview(read_bytes(path))
    header = container.parse_header(data)
    container.check_size(header, len(data))
    container.check_sections(header, data)
    texts: dict[str, Any] = {}
    for section in header.sections[2:]:
        body = data[section.offset : section.offset + section.length]
        stream = Stream(body, base=section.offset, section=section.name, truncated=ErrorCode.SECTION_CONTENT)
        if section.type == container.CLASS_NAMES:
            texts["class_names"] = list(sections.read_names(stream, header.num_classes))
        elif section.type == container.METADATA:
            texts["metadata"] = sections.read_metadata(stream)
    return {
        "file": "stdin" if path == "-" else path,
        "kind": "payload",
        "bytes": len(data),
        "format_version": ".".join(map(str, header.version)),
        "pool_size": header.pool_size,
        "count": header.count,
        "num_classes": header.num_classes,
        "index_codec": header.index_codec,
        "label_codec": header.label_codec,
        "pool_fingerprint": None if header.pool_fingerprint is None else header.pool_fingerprint.hex(),
        "content_digest": header.content_digest.hex(),
        "group_digest": None if header.group_digest is None else header.group_digest.hex(),
        "sections": [{"name": s.name, "type": s.type, "bytes": s.length} for s in header.sections],
        **texts,
    }


def _manifest(path: str) -> dict[str, Any]:
    with options.opened_manifest(path) as manifest:
        groups = manifest.group_starts
        return {
            "file": path,
            "kind": "pool manifest",
            "name": manifest.name,
            "images": len(manifest),
            "groups": None if groups is None else len(groups),
            "fingerprint": manifest.fingerprint.hex(),
            "root": manifest.root.hex(),
        }


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, value in facts.items():
        if name == "sections":
            rows += [(f"section {section['name']}", f"{grouped(section['bytes'])} bytes") for section in value]
        elif name == "count":
            share = f" ({value / facts['pool_size']:.3%} of the pool)" if facts["pool_size"] else ""
            rows.append(("kept images", grouped(value) + share))
        elif name == "class_names":
            rows.append(("class names", _some(value)))
        elif name == "metadata":
            rows += [(f"metadata {printable(key)}", printable(text, 200)) for key, text in value.items()]
        else:
            shown = "none" if value is None else grouped(value) if isinstance(value, int) else printable(str(value))
            rows.append((name.replace("_", " "), shown))
    return rows


def _some(names: list[str]) -> str:
    shown = ", ".join(printable(name, 80) for name in names[:_NAMES_SHOWN])
    return shown + (f", ... ({len(names):,} in all)" if len(names) > _NAMES_SHOWN else "")
