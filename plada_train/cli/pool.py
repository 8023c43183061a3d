"""``plada pool build|info|verify``."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

import plada_format as pf
from plada_format.atomic import atomic_write
from plada_format.cli.exits import Exit
from plada_format.cli.text import printable
from plada_format.errors import UserError

from ..pool import PoolReport, build_manifest, verify_pool
from ..sources import open_source
from ..wheel_weights import cache_folder
from .order import ordered

_SHOWN = 20


def build(args: argparse.Namespace) -> int:
    """Hash a source into a manifest."""
    target = Path(args.manifest)
    if target.exists() and not args.force:
        raise UserError(f"{target} exists; use --force to replace it")  # before a backbone has run for hours
    found = build_manifest(
        ordered(open_source(args.source), args),
        target,
        name=args.name or target.stem,
        groups=not args.no_groups,
        overwrite=args.force,
        threads=args.threads,
        decode=args.decode,
        progress=not args.quiet,
    )
    with pf.Manifest.open(target) as manifest:
        found |= {"manifest": str(target), "manifest_bytes": target.stat().st_size, "name": manifest.name}
        found["groups"] = len(manifest.group_names)
    if args.json:
        print(json.dumps(found))
        return Exit.OK
    print(f"{target}: {found['count']} images, {found['manifest_bytes']} bytes, fingerprint {found['fingerprint']}")
    _print_status(found["status"])
    return Exit.OK


def info(args: argparse.Namespace) -> int:
    """Show a manifest."""
    with pf.Manifest.open(args.manifest) as manifest:
        starts = manifest.group_starts
        sizes = [] if starts is None else np.diff(np.append(starts.astype(np.int64), len(manifest))).tolist()
        facts: dict[str, Any] = {
            "name": manifest.name,
            "images": len(manifest),
            "fingerprint": manifest.fingerprint.hex(),
            "root": manifest.root.hex(),
            "group_runs": len(sizes),
            "first_key": manifest.key(0) if len(manifest) else None,
            "last_key": manifest.key(len(manifest) - 1) if len(manifest) else None,
            "file_bytes": Path(args.manifest).stat().st_size,
        }
        groups = list(zip(manifest.group_names, sizes))
    if args.json:
        print(json.dumps(facts | ({"groups": groups} if args.groups else {})))
        return Exit.OK
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):12} {printable(str(value))}")
    if args.groups:
        for group, size in groups:
            print(f"{size:9}  {printable(group)}")
    return Exit.OK


def verify(args: argparse.Namespace) -> int:
    """Compare images with a manifest; exit code 5 if they differ."""
    source = open_source(args.source)
    with pf.Manifest.open(args.manifest) as manifest:
        indices = None
        if args.sample is not None:
            count = min(args.sample, len(manifest))
            indices = np.sort(np.random.default_rng(args.seed).choice(len(manifest), count, replace=False))
        elif args.payload is not None:
            data = Path(args.payload).read_bytes()
            payload = pf.decode(
                data, pool_size=len(manifest), pool_fingerprint=manifest.fingerprint, groups=manifest.group_starts
            )
            indices = payload.indices.astype(np.int64)
        mark = hashlib.sha256(f"{manifest.root.hex()} {args.source} {args.sample} {args.seed} {args.payload}".encode())
        state = cache_folder() / "verify" / f"{mark.hexdigest()[:24]}.json"
        if args.no_resume:
            state.unlink(missing_ok=True)
        report = verify_pool(
            source,
            manifest,
            indices,
            threads=args.threads,
            decode=args.decode,
            progress=not args.quiet,
            state_file=state,
        )
        if args.list:
            with atomic_write(args.list) as file:
                file.write("".join(f"{line}\n" for line in _lines(report, manifest)).encode())
        _print_report(args, report, manifest, len(source))
    return Exit.OK if report.ok else Exit.POOL


def _print_report(args: argparse.Namespace, report: PoolReport, manifest: pf.Manifest, available: int) -> None:
    if args.json:
        print(json.dumps(report.to_json() | {"ok": report.ok, "pool_size": len(manifest), "source_size": available}))
        return
    print(report.summary())
    if report.by_position:
        print("keys differ (renamed file?): images were compared by position")
    if available != len(manifest):
        print(f"the source has {available} images, the pool {len(manifest)}", file=sys.stderr)
    lines = _lines(report, manifest)
    for line in lines[:_SHOWN]:
        print(f"  {printable(line.replace(chr(9), '  '))}")
    if len(lines) > _SHOWN:
        print(f"  and {len(lines) - _SHOWN} more (--list FILE writes all)")
    _print_status(report.status)


def _lines(report: PoolReport, manifest: pf.Manifest) -> list[str]:
    lines = []
    for kind in ("missing", "changed", "unreadable"):
        indices = getattr(report, kind)
        lines += [f"{kind}\t{index}\t{key}" for index, key in zip(indices.tolist(), manifest.keys(indices))]
    return lines


def _print_status(status: dict[str, int]) -> None:
    if status:
        print("decoded: " + ", ".join(f"{count} {kind}" for kind, count in sorted(status.items())))
