"""A payload taken apart so that any piece can be changed, and put together again with or without right checksums.

Deliberately independent of ``plada_format.container``: a fuzzer that shares the parser's mistakes cannot see them.
"""

from __future__ import annotations

import hashlib
import zlib
from dataclasses import dataclass, field

SIGNATURE = b"\x89PLA\r\n\x1a\n"
FIXED = 46
GROUPS_FLAG = 1


def groups_for(pool_size: int) -> list[int]:
    """Group starts of the one grouping that fuzzing knows for each pool size; none for an empty pool."""
    starts, x = {0}, pool_size
    for _ in range(pool_size % 23):
        x = (x * 1103515245 + 12345) % (1 << 31)
        starts.add(x % pool_size)
    return sorted(starts) if pool_size else []


def digest_of(groups: list[int]) -> bytes:
    """The group digest of SPEC.md 16.2."""
    numbers = b"".join(start.to_bytes(4, "little") for start in (len(groups), *groups))
    digest = hashlib.sha256(b"PLADA-pool-groups-v1\0" + numbers).digest()[:8]
    return digest if any(digest) else digest[:7] + b"\x01"


def varint(value: int) -> bytes:
    """LEB128, shortest form."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """Value and position behind it, leniently; None if the bytes end before."""
    value = shift = 0
    while at < len(data):
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            return None
    return None


@dataclass(slots=True)
class Piece:
    """One section.

    Attributes:
        type: section type.
        body: its bytes.
        length: bytes to write into the table in place of the varint of ``len(body)``.
        crc_error: xor onto the right CRC.
    """

    type: int
    body: bytes
    length: bytes | None = None
    crc_error: int = 0


@dataclass(slots=True)
class Anatomy:
    """A file in pieces.

    Attributes:
        fixed: the 46 bytes before group digest and section table.
        pieces: sections in file order.
        table: section table to write in place of the one of ``pieces``.
        header_length: value of the byte H in place of the right one.
        header_crc_error: xor onto the right CRC of the header.
        tail: bytes behind the last section.
        cut: length to which the whole file is cut in the end.
        digest: group digest to write where the flag is set, in place of that of :func:`groups_for` the pool size.
    """

    fixed: bytearray
    pieces: list[Piece] = field(default_factory=list)
    header_length: int | None = None
    header_crc_error: int = 0
    tail: bytes = b""
    cut: int | None = None
    table: bytes | None = None
    digest: bytes | None = None

    def copy(self) -> Anatomy:
        """An independent copy."""
        pieces = [Piece(p.type, p.body, p.length, p.crc_error) for p in self.pieces]
        return Anatomy(
            bytearray(self.fixed),
            pieces,
            self.header_length,
            self.header_crc_error,
            self.tail,
            self.cut,
            self.table,
            self.digest,
        )

    def number(self, at: int, size: int) -> int:
        """Little-endian number among the fixed bytes."""
        return int.from_bytes(self.fixed[at : at + size], "little")

    def set_number(self, at: int, size: int, value: int) -> None:
        """Write a little-endian number, modulo its size, into the fixed bytes."""
        self.fixed[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "little")

    @property
    def pool_size(self) -> int:
        """N."""
        return self.number(12, 4)

    @property
    def count(self) -> int:
        """k."""
        return self.number(16, 4)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.number(20, 2) + 1

    def right_table(self) -> bytes:
        """The section table that belongs to the pieces."""
        return b"".join(
            [bytes((p.type,)) + (varint(len(p.body)) if p.length is None else p.length) for p in self.pieces]
        )

    def build(self) -> bytes:
        """The file."""
        table = self.right_table() if self.table is None else self.table
        head = bytearray(self.fixed)
        if self.fixed[11] & GROUPS_FLAG:
            table = (digest_of(groups_for(self.pool_size)) if self.digest is None else self.digest) + table
        length = FIXED + len(table) + 4
        head[10] = (length if self.header_length is None else self.header_length) & 0xFF
        head += table
        parts = [bytes(head), (zlib.crc32(head) ^ self.header_crc_error).to_bytes(4, "little")]
        for p in self.pieces:
            crc = zlib.crc32(p.body, zlib.crc32(bytes((p.type,)))) ^ p.crc_error
            parts += [p.body, crc.to_bytes(4, "little")]
        parts.append(self.tail)
        data = b"".join(parts)
        return data if self.cut is None else data[: self.cut]


def parse(data: bytes) -> Anatomy | None:
    """Take a file apart; None if its table leads nowhere. Wrong checksums become right ones."""
    if len(data) < FIXED + 4 or data[:8] != SIGNATURE:
        return None
    end = data[10] - 4
    if not FIXED <= end <= len(data) - 4:
        return None
    anatomy = Anatomy(bytearray(data[:FIXED]))
    at, body = FIXED, end + 4
    if data[11] & GROUPS_FLAG:
        at += 8
        if data[FIXED:at] != digest_of(groups_for(anatomy.pool_size)):
            anatomy.digest = data[FIXED:at]
    while at < end:
        found = read_varint(data, at + 1)
        if found is None:
            return None
        length, behind = found
        if behind > end or body + length + 4 > len(data):
            return None
        anatomy.pieces.append(Piece(data[at], data[body : body + length]))
        at, body = behind, body + length + 4
    anatomy.tail = data[body:]
    return anatomy


def repair(data: bytes) -> bytes:
    """The same file with every checksum right, as far as its table can be followed."""
    anatomy = parse(data)
    return data if anatomy is None else anatomy.build()
