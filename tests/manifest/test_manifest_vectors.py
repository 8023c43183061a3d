"""The conformance vectors: read as they say, complete, and rebuilt byte for byte."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import make_vectors as spec
import pytest

from plada_format.errors import ErrorCode, PladaError
from plada_format.manifest import Manifest, ManifestBuilder

ROOT = Path(__file__).parents[2] / "vectors" / "manifest"
LISTING: dict[str, Any] = json.loads((ROOT / "manifest.json").read_text())
VECTORS: list[dict[str, Any]] = LISTING["vectors"]
VALID = [vector for vector in VECTORS if "expect" in vector]
INVALID = [vector for vector in VECTORS if "error" in vector]


def named(vector: dict[str, Any]) -> str:
    return str(vector["file"])


def test_every_file_is_listed_and_as_listed() -> None:
    there = {str(path.relative_to(ROOT).as_posix()) for path in ROOT.rglob("*") if path.is_file()}
    assert there == {vector["file"] for vector in VECTORS} | {"manifest.json"}
    for vector in VECTORS:
        assert hashlib.sha256((ROOT / vector["file"]).read_bytes()).hexdigest() == vector["sha256"], vector["file"]
    assert len(VALID) + len(INVALID) == len(VECTORS)


def test_rebuilt_byte_for_byte(tmp_path: Path) -> None:
    frozen = tmp_path / spec.FROZEN
    frozen.parent.mkdir()
    frozen.write_bytes((ROOT / spec.FROZEN).read_bytes())
    subprocess.run([sys.executable, spec.__file__, str(tmp_path)], check=True)
    for path in [*(vector["file"] for vector in VECTORS), "manifest.json"]:
        assert (tmp_path / path).read_bytes() == (ROOT / path).read_bytes(), path


def test_hex_dump_of_the_specification() -> None:
    """The worked example in SPEC.md is the vector of that name."""
    text = (ROOT.parents[1] / "SPEC.md").read_text(encoding="utf-8")
    dump = text[text.index("### 16.9 Worked example") :]
    rows = re.findall(r"^    ([0-9a-f]{4})  ((?:[0-9a-f]{2} ?)+)", dump, re.MULTILINE)
    data = b"".join(bytes.fromhex(row) for _, row in rows)
    assert data == (ROOT / "valid/worked_example.pladapool").read_bytes()
    places = [int(place, 16) for place, _ in rows]
    lengths = [len(bytes.fromhex(row)) for _, row in rows]
    assert places == [sum(lengths[:row]) for row in range(len(rows))]


def test_every_manifest_code_has_a_vector() -> None:
    codes = {code for code in ErrorCode if code == ErrorCode.NOT_MANIFEST or code.name.startswith("MANIFEST_")}
    assert {vector["error"] for vector in INVALID} == {int(code) for code in codes}


@pytest.mark.parametrize("vector", VALID, ids=named)
def test_valid(vector: dict[str, Any]) -> None:
    expect = vector["expect"]
    with Manifest.open(ROOT / vector["file"]) as manifest:
        manifest.verify_blocks()
        assert len(manifest) == expect["pool_size"]
        assert manifest.name == expect["pool_name"]
        assert manifest.root.hex() == expect["root"]
        assert manifest.fingerprint.hex() == expect["fingerprint"]
        assert (manifest.group_digest or b"").hex() == (expect["group_digest"] or "")
        if expect["keys"] is not None:
            assert [key for key, _ in manifest] == expect["keys"]


@pytest.mark.parametrize("vector", INVALID, ids=named)
def test_invalid(vector: dict[str, Any]) -> None:
    stages = ["open", "groups", "block"]
    before = stages.index(vector["stage"])
    with pytest.raises(PladaError) as caught:
        reached = -1
        with Manifest.open(ROOT / vector["file"]) as manifest:
            reached = 0
            if before >= 1:
                _ = manifest.group_starts, manifest.group_names
                reached = 1
            if before >= 2:
                manifest.keys([0])
                reached = 2
    assert reached == before - 1, "the error came at another stage"
    assert caught.value.code == vector["error"]
    assert caught.value.offset is not None and caught.value.section is not None


@pytest.mark.parametrize("recipe", LISTING["recipes"], ids=lambda recipe: str(recipe["pool_size"]))
def test_recipes(tmp_path: Path, recipe: dict[str, Any]) -> None:
    with ManifestBuilder(tmp_path / "a.pladapool", name="recipe") as builder:
        for place in range(recipe["pool_size"]):
            builder.add(str(place), hashlib.sha256(b"%d" % place).digest())
    assert builder.fingerprint.hex() == recipe["fingerprint"]
    with Manifest.open(tmp_path / "a.pladapool") as manifest:
        manifest.verify_blocks()
        assert manifest.root.hex() == recipe["root"]
        assert manifest.blocks == len(recipe["block_hashes"])


def test_our_builder_writes_the_worked_example(tmp_path: Path) -> None:
    pool = spec.worked_example()
    groups = ["cat", "cat", "dog"]
    with ManifestBuilder(tmp_path / "a.pladapool", name="pets") as builder:
        for key, digest, group in zip(pool.keys, pool.digests, groups, strict=True):
            builder.add(key.decode(), digest, group)
    assert (tmp_path / "a.pladapool").read_bytes() == (ROOT / "valid/worked_example.pladapool").read_bytes()
