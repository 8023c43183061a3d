"""Write the conformance vectors and their manifest.

    python vectors/generate.py            rebuild every file but those with Zstandard frames
    python vectors/generate.py --zstd     also write missing Zstandard files (frozen ones are never replaced)

Files are write-once: a format change adds files, it does not edit them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from invalid_adaptive import adaptive_vectors
from invalid_vectors import IN_1_0, invalid_vectors
from valid_vectors import valid_vectors

HERE = Path(__file__).resolve().parent


@dataclass
class Vector:
    """One file and what a reader must do with it."""

    path: str
    data: bytes
    entry: dict[str, Any] = field(default_factory=dict)
    zstd: bool = False


def vectors() -> Iterator[Vector]:
    """All vectors, valid ones first."""
    for name, data, tags, told in valid_vectors():
        entry: dict[str, Any] = {"tags": tags} | ({"caller": told} if told else {})
        if data[9] == 1:
            entry["since"] = "1.1"
        yield Vector(f"valid/{name}.plada", data, entry, "zstd" in tags)
    new = {name for name, *_ in adaptive_vectors()}
    for name, data, code, check, expectations in invalid_vectors():
        entry = {"error": int(code), "error_name": code.name, "check": check}
        if (before := IN_1_0.get(name)) is not None:
            entry["error_in_1_0"] = int(before)
        if name in new:
            entry["since"] = "1.1"
        if expectations:
            entry["caller"] = expectations
        yield Vector(f"invalid/{name}.plada", data, entry)


def describe(path: str, data: bytes, entry: dict[str, Any], zstd: bool) -> dict[str, Any]:
    """The manifest's entry of one file."""
    import plada_format as pf

    full: dict[str, Any] = {"file": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    if path.startswith("valid/"):
        groups = entry.get("caller", {}).get("groups")
        payload = pf.decode(data, groups=groups, limits=pf.Limits(2**32 - 1, 2**32 - 1))
        h = payload.header
        full |= {
            "content_digest": h.content_digest.hex(),
            "pool_size": h.pool_size,
            "count": h.count,
            "num_classes": h.num_classes,
            "index_codec": h.index_codec,
            "label_codec": h.label_codec,
            "roundtrip": not zstd,
        }
    return full | entry


def main() -> int:
    import zstandard

    entries = []
    frozen_by = zstandard.__version__
    manifest_path = HERE / "manifest.json"
    if manifest_path.exists():
        frozen_by = json.loads(manifest_path.read_text(encoding="utf-8"))["zstandard"]
    for vector in vectors():
        path = HERE / vector.path
        path.parent.mkdir(exist_ok=True)
        if vector.zstd and path.exists():
            data = path.read_bytes()
        elif vector.zstd and "--zstd" not in sys.argv:
            raise SystemExit(f"{vector.path} is missing; --zstd writes it")
        else:
            data = vector.data
            path.write_bytes(data)
        entries.append(describe(vector.path, data, vector.entry, vector.zstd))
    manifest = {
        "format": "1.1",
        "zstandard": frozen_by,
        "note": "since: the first format version whose readers behave so; 1.0 if it is not there. error: code of "
        "SPEC.md section 9; error_in_1_0: what a reader of 1.0 reports, if something else (0: it "
        "accepts the file). caller: what the reader is told (pool_size, pool_fingerprint in hex, groups as start "
        "offsets). roundtrip: decoding and "
        "encoding with the same codecs, parameters and tables gives the file back.",
        "vectors": entries,
    }
    manifest_path.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    print(f"{len(entries)} vectors, {sum(e['size'] for e in entries)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
