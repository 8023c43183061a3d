"""Hand-made files for the vectors: containers and bit strings with any fault that one asks for."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from plada_format.container import FIXED, SIGNATURE, section_crc
from plada_format.digest import content_digest
from plada_format.engines import intblock
from plada_format.engines.stream import varint_bytes


def bits(*fields: str | tuple[int, int]) -> bytes:
    """Bytes from strings of 0 and 1 (first bit first) and (value, width) fields; zero padding."""
    digits: list[int] = []
    for field in fields:
        if isinstance(field, str):
            digits += [int(c) for c in field if c in "01"]
        else:
            value, width = field
            digits += [value >> j & 1 for j in range(width)]
    return np.packbits(np.array(digits, np.uint8), bitorder="little").tobytes()


def block(values: Sequence[int], p: int) -> bytes:
    """block(len(values)) with parameter ``p``."""
    return intblock.encode(np.array(values, np.uint32), p)


def assemble(
    sections: Iterable[tuple[int, bytes]],
    *,
    pool_size: int = 100,
    count: int = 3,
    classes: int = 4,
    content: tuple[Sequence[int], Sequence[int]] | None = None,
    fingerprint: bytes = bytes(16),
    major: int = 1,
    minor: int = 0,
    flags: int = 0,
    group_digest: bytes = b"",
    length: int | None = None,
    table: bytes | None = None,
    digest: bytes | None = None,
    header_crc: int | None = None,
    break_section: int | None = None,
) -> bytes:
    """A file with correct checksums unless told otherwise.

    Args:
        sections: type and body of each.
        content: indices and labels for the digest; zeros if None.
        group_digest: 8 bytes behind the fixed part; the flag is set by ``flags``.
        length, table, digest, header_crc: replace the right value.
        break_section: type of the section whose CRC is wrong.
    """
    parts = list(sections)
    if table is None:
        table = b"".join(bytes([kind]) + varint_bytes(len(body)) for kind, body in parts)
    if digest is None:
        digest = bytes(8)
        if content is not None:
            indices, labels = (np.array(content[0], np.uint32), np.array(content[1], np.uint16))
            digest = content_digest(pool_size, classes, indices, labels)
    header = (
        SIGNATURE
        + bytes([major, minor, FIXED + len(group_digest) + len(table) + 4 if length is None else length, flags])
        + pool_size.to_bytes(4, "little")
        + count.to_bytes(4, "little")
        + (classes - 1).to_bytes(2, "little")
        + fingerprint
        + digest
        + group_digest
        + table
    )
    crc = zlib.crc32(header) if header_crc is None else header_crc
    data = header + crc.to_bytes(4, "little")
    for kind, body in parts:
        wrong = 1 if kind == break_section else 0
        data += body + (section_crc(kind, body) ^ wrong).to_bytes(4, "little")
    return data
