"""Files that promise much and hold little, for the memory tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fuzz.anatomy import SIGNATURE, Anatomy, Piece, varint
from fuzz.seeds import LABEL_IDS
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS, embedded_codec

MIB = 1 << 20
FRAME = b"\x28\xb5\x2f\xfd"


class Hostile(NamedTuple):
    """A file and the names of the codes that a decoder may report for it."""

    name: str
    data: bytes
    codes: tuple[str, ...]


def build(n: int, k: int, classes: int, *pieces: tuple[int, bytes]) -> bytes:
    """A file with right checksums around any streams; the content digest is wrong."""
    file = Anatomy(bytearray(46), [Piece(kind, body) for kind, body in pieces])
    file.fixed[:8] = SIGNATURE
    file.fixed[8] = 1
    file.set_number(12, 4, n)
    file.set_number(16, 4, k)
    file.set_number(20, 2, classes - 1)
    return file.build()


def rle_frame(size: int, byte: bytes = b"\0", *, declared: int | None = None) -> bytes:
    """A Zstandard frame of ``size`` equal bytes in 4 bytes per 128 KiB."""
    out = FRAME + b"\xe0" + (size if declared is None else declared).to_bytes(8, "little")
    while size:
        part = min(size, 1 << 17)
        size -= part
        out += (part << 3 | 2 | (size == 0)).to_bytes(3, "little") + byte
    return out


def _all_present(bits: int) -> bytes:
    """``block`` of so many zeros, unary: all bits one."""
    return b"\0" + ((1 << bits) - 1).to_bytes((bits + 7) // 8, "little")


def small_files() -> Iterator[Hostile]:
    """A few dozen bytes that announce up to 2^25 images (the default limit) in a pool of 2^28."""
    k, n = 1 << 25, 1 << 28
    digest = ("CONTENT_DIGEST",)
    one_label = (0x21, b"\1\0\1")  # Huffman with one symbol: labels out of nothing
    for name, body, codes in (
        ("bitmap", b"\xff" * 20, ("STREAM_TRUNCATED",)),
        ("golomb", b"\0" + b"\xff" * 20, ("STREAM_TRUNCATED",)),
        ("golomb, widest", varint((2 << 30) - 2) + b"\xff" * 20, ("STREAM_TRUNCATED",)),
        ("runs", varint(k) + b"\0" + b"\xff" * 20, ("STREAM_TRUNCATED",)),
        ("one run", b"\1\0\1", digest),
        ("rans, two symbols", b"\0\2\0\3\20\1\1" + b"\xff" * 24, ("STREAM_TRUNCATED", "CODER_STATE", "TABLE")),
        ("rans, one class", b"\0\1\0\1", digest),
        ("rans, geometric", b"\1" + b"\0\0\1\0" * 64, ("CODER_STATE", "STREAM_TRUNCATED", "STREAM_OVERLONG")),
        ("delta-zstd, lying", b"\1" + rle_frame(16, declared=k), ("ZSTD_FRAME",)),
        ("delta-zstd, bomb", b"\4" + rle_frame(4 * k), ("NON_CANONICAL",)),
        ("delta-zstd, huge", b"\1" + rle_frame(16, declared=1 << 62), ("ZSTD_FRAME",)),
        ("bitmap-zstd, lying", rle_frame(16, declared=n // 8), ("ZSTD_FRAME",)),
        ("bitmap-zstd, bomb", rle_frame(n // 8), ("INDEX_RANGE",)),
    ):
        kind = next(c.id for c in INDEX_CODECS.values() if name.replace("one run", "runs").split(",")[0] == c.name)
        yield Hostile(f"index {name}", build(n, k, 3, (kind, body), one_label), codes)
    everything = (0x02, b"\1\0\1")  # one run from 0 on
    for name, body, codes in (
        ("fixed", b"\0" * 20, ("STREAM_TRUNCATED",)),
        ("huffman", b"\2\0\3" + b"\0" * 20, ("STREAM_TRUNCATED",)),
        ("huffman, one symbol", b"\1\0\1", digest),
        ("runs", varint(k) + b"\1\0\1\0" + b"\xff" * 20, ("STREAM_TRUNCATED",)),
        ("runs, one", b"\1\1\0\1", digest),
        ("rans, one symbol", b"\1\0\1", digest),
        ("rans", b"\2\0\3\20\1\1" + b"\0\0\1\0" * 64, ("CODER_STATE", "STREAM_TRUNCATED", "TABLE")),
        ("zstd, bomb", b"\0" + rle_frame(k), digest),
        ("zstd, lying", b"\0" + rle_frame(9, declared=k), ("ZSTD_FRAME",)),
    ):
        kind = next(c.id for c in LABEL_CODECS.values() if name.split(",")[0] == c.name)
        yield Hostile(f"label {name}", build(n, k, 3, everything, (kind, body)), codes)
    yield Hostile("dense rans", build(k + 5, k, 3, (0x03, b"\0\1\0\1"), one_label), digest)
    yield Hostile("k = N", build(k, k, 1, (0x00, b""), (0x20, b"")), digest)
    huge = (1 << 32) - 1
    yield Hostile("N and k above the limits", build(huge, huge, 65_536, (0x00, b""), (0x20, b"\0")), ("LIMIT",))
    length = Anatomy(bytearray(build(9, 2, 3)[:46]), [Piece(0x01, b"\0", varint(huge)), Piece(0x20, b"")])
    yield Hostile("section of 4 GiB", length.build(), ("TRUNCATED",))


def filled_files() -> Iterator[Hostile]:
    """Files whose bytes are there but make a careless decoder take many times their size."""
    ones, zeros = b"\xff" * MIB, b"\0" * MIB
    one_label, few = (0x20, b"\0"), (0x00, b"\1" + bytes(6))
    any_code = (
        "PADDING",
        "INDEX_RANGE",
        "STREAM_OVERLONG",
        "STREAM_TRUNCATED",
        "CODER_STATE",
        "CONTENT_DIGEST",
        "SECTION_CONTENT",
    )
    yield Hostile("one gap, 1 MiB of ones", build(1 << 20, 1, 2, (0x01, b"\0" + ones), one_label), any_code)
    yield Hostile("two gaps, 1 MiB of zeros", build(1 << 20, 2, 2, (0x01, b"\0" + zeros), one_label), any_code)
    yield Hostile("one image, 1 MiB of ones", build(1 << 23, 1, 2, (0x00, ones), one_label), any_code)
    frame = rle_frame(MIB, b"\xff")
    yield Hostile("one image, bitmap frame of ones", build(1 << 23, 1, 2, (0x11, frame), one_label), any_code)
    gaps = _all_present(1 << 21)
    yield Hostile("2 Mi gaps of 0", build(1 << 25, 1 << 21, 2, (0x01, gaps), (0x21, b"\1\0\1")), any_code)
    runs = varint(1 << 20) + _all_present(1 << 20) + _all_present((1 << 20) - 1)
    yield Hostile("1 Mi runs", build(1 << 25, 1 << 21, 2, (0x02, runs), (0x21, b"\1\0\1")), any_code)
    words = b"\0\0\1\0" + b"\x10" + b"\xff\x7f" * 40_000
    table = varint(65_536) + b"\x10" + _all_present(65_535)
    yield Hostile("65,536 frequencies, one label", build(50, 1, 65_536, few, (0x23, table + words)), any_code)
    lengths = varint(65_536) + _all_present(65_536)
    yield Hostile("65,536 code words, one label", build(50, 1, 65_536, few, (0x21, lengths + b"\0\0")), any_code)
    names = b"\2\xc4\x81" * 65_536
    empty = ((0x00, b""), (0x20, b""))
    yield Hostile("65,536 names of one character", build(9, 0, 65_536, *empty, (0x80, names)), any_code)
    yield Hostile("65,536 empty names", build(9, 0, 65_536, *empty, (0x80, bytes(65_536))), any_code)
    pairs = b"\x80\x02" + b"".join(bytes((2, 97 + j // 16, 97 + j % 16, 100)) + b"x" * 100 for j in range(256))
    yield Hostile("256 pairs", build(9, 0, 2, *empty, (0x81, pairs)), any_code)


def soft_label_files() -> Iterator[Hostile]:
    """Tables of 1,024 times 1,024 probabilities."""
    rows = (255 * np.eye(1024)).astype(np.uint16).reshape(-1)
    for codec in (found for kind in LABEL_IDS if (found := embedded_codec(kind))):
        body = bytes([codec.id]) + codec.encode(rows, 256)
        data = build(9, 0, 1024, (0x00, b""), (0x20, b""), (0x83, body))
        yield Hostile(f"soft labels, {codec.name}", data, ("CONTENT_DIGEST",))
    for kind, body in ((0x21, b"\1\0\1"), (0x23, b"\1\0\1"), (0x22, b"\1\1\0\1")):
        data = build(9, 0, 1024, (0x00, b""), (0x20, b""), (0x83, bytes([kind]) + body))
        yield Hostile(f"soft labels out of nothing, {kind:#x}", data, ("CONTENT_DIGEST", "SECTION_CONTENT"))
