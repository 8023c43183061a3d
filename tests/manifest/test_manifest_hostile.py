"""Damaged and hostile manifests: only PladaError escapes, no wrong data, no memory on the word of a length."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import make_vectors as spec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plada_format.errors import ErrorCode, PladaError
from plada_format.manifest import Manifest

MANIFEST_CODES = {
    ErrorCode.NOT_MANIFEST,
    ErrorCode.MANIFEST_TRUNCATED,
    ErrorCode.MANIFEST_VERSION,
    ErrorCode.MANIFEST_CORRUPT,
    ErrorCode.MANIFEST_BLOCK,
}
SMALL = {
    "worked": spec.worked_example().bytes(),
    "zlib": spec.Pool(spec.numbered(40), zlib=True).bytes(),
    "library": spec.frozen_bytes(),
    "empty": spec.Pool([], name=b"").bytes(),
}


def content(data: bytes) -> tuple[object, ...]:
    """All that a manifest says, by way of every check."""
    manifest = Manifest.open(io.BytesIO(data))
    starts = manifest.group_starts
    return (
        manifest.name,
        manifest.root,
        list(manifest),
        None if starts is None else starts.tolist(),
        manifest.group_names,
        manifest.keys(range(len(manifest))),  # type: ignore[arg-type]
    )


def refused(data: bytes) -> PladaError:
    with pytest.raises(PladaError) as caught:
        content(data)
    assert caught.value.code in MANIFEST_CODES
    assert caught.value.section is not None
    assert caught.value.offset is not None
    return caught.value


@pytest.mark.parametrize("name", SMALL)
def test_every_flipped_bit_is_found(name: str) -> None:
    data = SMALL[name]
    for place in range(len(data) if len(data) < 4000 else 600):
        for bit in range(8):
            refused(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])


@pytest.mark.parametrize("name", SMALL)
def test_every_truncation_is_found(name: str) -> None:
    data = SMALL[name]
    for length in range(len(data)):
        assert refused(data[:length]).code == ErrorCode.MANIFEST_TRUNCATED


@pytest.mark.parametrize("name", SMALL)
def test_every_byte_at_its_extremes(name: str) -> None:
    data = SMALL[name]
    for place in range(min(len(data), 2000)):
        for value in (0, 255):
            if data[place] != value:
                refused(data[:place] + bytes([value]) + data[place + 1 :])


def test_header_mutations_with_repaired_checksum() -> None:
    """A header that lies with a right CRC-32: an error, always an error."""
    data = SMALL["worked"]
    end = spec.HEAD + 16 * data[10]
    for place in range(8, end):
        for value in {0, 1, 2, 255, *(data[place] ^ 1 << bit for bit in range(8))} - {data[place]}:
            try:
                lied = spec.patched(data, place, bytes([value]), repair=True)
            except struct.error:  # more columns than bytes: the checksum's place is outside the file
                continue
            refused(lied)


def repaired(data: bytearray) -> bytes:
    """``data`` with the CRC-32 of its small columns, of its key block and of its header made right."""
    places = spec.places(bytes(data))
    rows = {struct.unpack_from("<H", data, spec.HEAD + 16 * row)[0]: spec.HEAD + 16 * row for row in range(data[10])}
    lengths = {number: struct.unpack_from("<Q", data, row + 8)[0] for number, row in rows.items()}
    key_bytes = data[places[spec.KEYS] : places[spec.KEYS] + lengths[spec.KEYS]]
    struct.pack_into("<I", data, places[spec.KEY_TABLE] + 8, zlib.crc32(key_bytes))
    for number in (spec.NAME, spec.KEY_TABLE, spec.BLOCK_HASHES, spec.GROUP_STARTS, spec.GROUP_NAMES):
        if number in rows:
            column = data[places[number] : places[number] + lengths[number]]
            struct.pack_into("<I", data, rows[number] + 4, zlib.crc32(column))
    return spec.refresh(bytes(data))


@settings(max_examples=400)
@given(
    st.sampled_from(["worked", "zlib", "library"]),
    st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_column_mutations_with_repaired_checksums(name: str, edits: list[tuple[int, int]]) -> None:
    """Past all CRC-32s, the hashes still decide about keys and digests; name and groups are the writer's word."""
    good = SMALL[name]
    start = spec.HEAD + 16 * good[10] + 4
    data = bytearray(good)
    for place, value in edits:
        data[start + place % (len(good) - start)] = value
    try:
        found = content(repaired(data))
    except PladaError as problem:
        assert problem.code in MANIFEST_CODES
    else:
        assert found[1:3] == content(good)[1:3]


@settings(max_examples=200)
@given(st.binary(max_size=400), st.booleans())
def test_noise(data: bytes, signed: bool) -> None:
    refused((spec.SIGNATURE + b"\1\0" if signed else b"") + data)


def test_file_that_shrinks_while_open(tmp_path: Path) -> None:
    path = tmp_path / "a.pladapool"
    path.write_bytes(SMALL["worked"])
    with Manifest.open(path) as manifest:
        os.truncate(path, len(SMALL["worked"]) - 40)
        with pytest.raises(PladaError) as caught:
            manifest.keys([0])
    assert caught.value.code == ErrorCode.MANIFEST_TRUNCATED


def test_duplicates_across_blocks_are_found_by_full_verification(tmp_path: Path) -> None:
    """A foreign writer that did not check: each block is fine by itself."""
    block = 65_536
    names = [b"%d" % place for place in range(block)] + [b"17"]
    digests = [bytes(32)] * len(names)
    parts = [(names[:block], digests[:block]), (names[block:], digests[block:])]
    texts = [b"".join(name + b"\n" for name in keys) for keys, _ in parts]
    packed = [zlib.compress(texts[0]), texts[1]]
    table = b"".join(
        struct.pack("<III", len(data), len(text), zlib.crc32(data)) for data, text in zip(packed, texts, strict=True)
    )
    pool = spec.Pool(names, digests, size=len(names), block_hashes=[spec.hash_block(*part) for part in parts])

    def replace(contents: dict[int, bytes]) -> None:
        contents[spec.KEY_TABLE], contents[spec.KEYS] = table, b"".join(packed)

    pool.contents = replace
    manifest = Manifest.open(io.BytesIO(pool.bytes()))
    assert manifest.keys([17, block]) == ["17", "17"]
    with pytest.raises(PladaError, match=f"images 17 and {block} have the same key") as caught:
        manifest.verify_blocks()
    assert caught.value.code == ErrorCode.MANIFEST_CORRUPT


# name -> a sparse file's size, and its bytes at offset 0
def hostile_files() -> dict[str, tuple[int, bytes]]:
    size = 2**32 - 1
    blocks = 65_536

    def head(pool_size: int, lengths: dict[int, int]) -> bytes:
        rows = [(number, int(number not in (8, 9)), 0, length) for number, length in sorted(lengths.items())]
        out = struct.pack("<8sBBBBI32s", spec.SIGNATURE, 1, 0, len(rows), 0, pool_size, bytes(32))
        out += b"".join(struct.pack("<HHIQ", *row) for row in rows)
        return out + struct.pack("<I", zlib.crc32(out))

    promised = {1: 0, 2: 12 * blocks, 3: 32 * blocks, 8: 4 * 2**22, 9: 2**26, 32: blocks * 2**25, 33: 32 * size}
    largest = largest_block()
    bomb = spec.zlib_of_zeros(2**25 + 1000)
    spoiled = spec.Pool([b"%d" % n for n in range(65_536)], packed=bomb, text_bytes=2**25)
    good = spoiled.bytes()
    lines = spec.Pool([b"%d" % n for n in range(65_536)], text=b"\n" * 2**25, packed=zlib.compress(b"\n" * 2**25))
    return {
        "all the header can promise, absent": (500, head(size, promised)),
        "all the header can promise, as holes": (sum(promised.values()) + 164, head(size, promised)),
        "more than 2^63 bytes": (500, head(size, {**promised, 33: 2**63})),
        "a bomb in the keys": (len(good), good),
        "the largest block": (len(largest), largest),
        "nothing but line feeds": (len(lines.bytes()), lines.bytes()),
    }


def largest_block() -> bytes:
    """65,536 keys of 511 bytes, with one character that Python would hold in four bytes each: 2^25 bytes of text."""
    return spec.Pool([b"\xf0\x9f\x90\xa6" + b"%0507d" % place for place in range(65_536)]).bytes()


BOUNDED = """
import resource, sys, io
from plada_format.errors import PladaError
from plada_format.manifest import Manifest
import numpy
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (160 << 20),) * 2)  # SPEC.md: 4 * 2^25 + 2^24 bytes, and Python's own
try:
    with Manifest.open(sys.argv[1]) as manifest:
        manifest.verify_blocks([len(manifest) - 1])
        print("verified")
except PladaError as problem:
    print(problem.code.name)
"""


HOSTILE = hostile_files()


@pytest.mark.skipif(sys.platform != "linux", reason="needs RLIMIT_AS and /proc")
@pytest.mark.parametrize("name", HOSTILE)
def test_memory_is_bounded(tmp_path: Path, name: str) -> None:
    size, start = HOSTILE[name]
    outcomes = {"verified"} if name == "the largest block" else {"MANIFEST_CORRUPT", "MANIFEST_TRUNCATED"}
    path = tmp_path / "hostile.pladapool"
    with path.open("wb") as file:
        file.write(start)
        try:
            file.truncate(size)
        except OSError:
            pytest.skip("the file system has no files that large")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BOUNDED, str(path)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.stderr == ""
    assert done.stdout.strip() in outcomes
