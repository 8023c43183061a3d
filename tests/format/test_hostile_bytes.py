"""Whatever the bytes: a payload, or a PladaError with a code of the specification. Nothing else escapes."""

from __future__ import annotations

import random
import struct
import zlib

import pytest
from backends import BACKENDS
from hypothesis import example, given, settings
from hypothesis import strategies as st

import plada_format as pf
from fuzz import mutate, oracle, seeds
from fuzz.anatomy import SIGNATURE, digest_of, groups_for, parse, repair
from plada_format import ErrorCode
from plada_format.codecs import GROUPED, INDEX_CODECS, LABEL_CODECS, SINCE_1_1

small = st.integers(0, 40)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Right header and checksums around arbitrary streams."""
    n = draw(st.one_of(small, st.sampled_from([255, 256, 1000, 1 << 20, 2**32 - 1])))
    k = draw(st.one_of(st.integers(0, min(n, 40)), st.sampled_from([n, 1 << 16, 2**32 - 1])))
    classes = draw(st.sampled_from([1, 2, 3, 256, 257, 65_536]))
    index = draw(st.one_of(st.sampled_from(sorted(INDEX_CODECS)), st.integers(0, 255)))
    label = draw(st.one_of(st.sampled_from(sorted(LABEL_CODECS)), st.integers(0, 255)))
    kinds = [
        index,
        label,
        *draw(st.lists(st.sampled_from([0x80, 0x81, 0x82, 0x83, 0x84, 0xC0, 0xFF]), max_size=3, unique=True)),
    ]
    bodies = [draw(st.binary(max_size=40)) for _ in kinds]
    table = b"".join(bytes((kind, len(body))) for kind, body in zip(kinds, bodies))
    minor = draw(st.sampled_from([0, 1])) if draw(st.integers(0, 7)) == 0 else int(bool(SINCE_1_1 & {index, label}))
    flags = int(bool(GROUPED & {index, label})) ^ int(draw(st.integers(0, 15)) == 0)
    digest = digest_of(groups_for(n)) if flags else b""
    head = SIGNATURE + bytes((1, minor, 50 + len(digest) + len(table), flags))
    head += struct.pack("<IIH", n, k, classes - 1) + bytes(24) + digest + table
    out = head + zlib.crc32(head).to_bytes(4, "little")
    for kind, body in zip(kinds, bodies):
        out += body + zlib.crc32(bytes((kind,)) + body).to_bytes(4, "little")
    return out


@pytest.mark.codec
@settings(max_examples=300)
@given(files())
def test_arbitrary_streams_under_right_checksums(data: bytes) -> None:
    verdict = oracle.examine(data)
    oracle.same_as_reference(data)
    oracle.same_everywhere(data, modes=tuple(BACKENDS))
    if verdict.name == "CONTENT_DIGEST":
        right = oracle.with_right_digest(data)
        assert right is not None
        assert oracle.examine(right).name != "CONTENT_DIGEST"
        oracle.same_as_reference(right)


@given(st.binary(max_size=300))
@example(b"")
@example(SIGNATURE)
@example(SIGNATURE[:5])
def test_arbitrary_bytes(data: bytes) -> None:
    expected = {"TRUNCATED"} if SIGNATURE.startswith(data) else {"NOT_PLADA"}
    if not data.startswith(SIGNATURE):
        assert oracle.examine(data).name in expected
    behind = SIGNATURE + data
    assert oracle.examine(behind).name in ("TRUNCATED", "UNSUPPORTED_VERSION", "HEADER_LENGTH", "HEADER_CRC")
    oracle.same_as_reference(behind)
    oracle.examine(repair(behind))


@pytest.mark.codec
@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_mutants_of_real_payloads(seed: int, change: int) -> None:
    rng = random.Random(change)
    data = seeds.fresh(random.Random(seed))
    assert oracle.examine(data).error is None
    donor = parse(seeds.fresh(rng))
    file = parse(data)
    assert file is not None and donor is not None
    mutant = mutate.structured(rng, file, [donor])
    oracle.examine(mutant)
    oracle.same_as_reference(mutant)
    oracle.same_everywhere(mutant, modes=("numpy", "python"))


def spoiled(at: int, value: int) -> bytes:
    """A payload with one byte of its fixed header replaced and its checksums right."""
    file = parse(pf.encode([1, 5], [0, 1], pool_size=9, num_classes=2, profile="baseline"))
    assert file is not None
    file.fixed[at] = value
    file.header_length = value if at == 10 else None
    return file.build()


@pytest.mark.parametrize(
    ("data", "code", "offset"),
    [
        (b"", ErrorCode.TRUNCATED, 0),
        (SIGNATURE, ErrorCode.TRUNCATED, 8),
        (SIGNATURE + b"\1\0", ErrorCode.TRUNCATED, 10),
        (b"\x89PLA\n\x1a\n", ErrorCode.NOT_PLADA, 0),
        (spoiled(8, 2), ErrorCode.UNSUPPORTED_VERSION, 8),
        (spoiled(8, 0), ErrorCode.UNSUPPORTED_VERSION, 8),
        (spoiled(10, 53), ErrorCode.HEADER_LENGTH, 10),
        (spoiled(11, 1), ErrorCode.GROUPS_FLAG, 11),
        (spoiled(11, 2), ErrorCode.UNSUPPORTED_FLAG, 11),
        (spoiled(11, 128), ErrorCode.UNSUPPORTED_FLAG, 11),
        (spoiled(9, 1), ErrorCode.MINOR_VERSION, 9),
        (spoiled(16, 10), ErrorCode.COUNT_EXCEEDS_POOL, 16),
        (spoiled(15, 0xFF), ErrorCode.LIMIT, 12),
        (spoiled(38, 0xFF), ErrorCode.CONTENT_DIGEST, 38),
    ],
)
def test_header_errors_name_the_place(data: bytes, code: ErrorCode, offset: int) -> None:
    with pytest.raises(pf.PladaError) as caught:
        pf.decode(data)
    assert (caught.value.code, caught.value.offset) == (code, offset)


def test_converted_line_ends_are_explained() -> None:
    data = pf.encode([1, 5], [0, 1], pool_size=9, num_classes=2)
    for damaged in (data.replace(b"\r\n", b"\n"), data.replace(b"\n", b"\r\n")):
        with pytest.raises(pf.NotPladaError, match="binary"):
            pf.decode(damaged)
