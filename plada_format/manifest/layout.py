"""Bytes of the manifest's header and column table. Field by field as in SPEC.md, checks in its order."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from ..errors import ErrorCode, error

SIGNATURE = b"\x89PLP\r\n\x1a\n"
MAJOR, MINOR = 1, 0
BLOCK_ENTRIES = 65_536
DIGEST_BYTES = 32
FINGERPRINT_BYTES = 16
GROUP_DIGEST_BYTES = 8
MAX_POOL_SIZE = 2**32 - 1
MAX_NAME_BYTES = 255
MAX_KEY_BYTES = 4096
MAX_TEXT_BYTES = 2**25  # one block's keys, uncompressed
MAX_GROUPS = 2**22
MAX_GROUP_TEXT_BYTES = 2**26
MAX_COLUMNS = 16
KEY_ENTRY = struct.Struct("<III")  # packed bytes, text bytes, CRC-32 of the packed bytes

_HEAD = struct.Struct("<8sBBBBI32s")
_COLUMN = struct.Struct("<HHIQ")
_CRITICAL = 1


class ColumnId(IntEnum):
    """Numbers of the columns. They lie in the file in this order."""

    NAME = 1
    KEY_TABLE = 2
    BLOCK_HASHES = 3
    GROUP_STARTS = 8
    GROUP_NAMES = 9
    KEYS = 32
    DIGESTS = 33

    @property
    def label(self) -> str:
        """The name used in error messages."""
        return self.name.lower().replace("_", " ")


_GROUP_COLUMNS = (ColumnId.GROUP_STARTS, ColumnId.GROUP_NAMES)
_REQUIRED = tuple(column for column in ColumnId if column not in _GROUP_COLUMNS)
_WITHOUT_CRC = (ColumnId.KEYS, ColumnId.DIGESTS)  # too large to read whole: key table and block hashes cover them


@dataclass(frozen=True, slots=True)
class Column:
    """Place of one column in the file, in bytes."""

    offset: int
    length: int
    crc: int


@dataclass(frozen=True, slots=True)
class Head:
    """What the header says."""

    minor: int
    pool_size: int
    root: bytes
    columns: Mapping[int, Column]

    @property
    def blocks(self) -> int:
        """Number of blocks of 65,536 entries, the last of which may be shorter."""
        return -(-self.pool_size // BLOCK_ENTRIES)

    def block_length(self, block: int) -> int:
        """Number of entries of ``block``."""
        return min(BLOCK_ENTRIES, self.pool_size - block * BLOCK_ENTRIES)


def pack_head(pool_size: int, root: bytes, columns: Mapping[ColumnId, tuple[int, int]]) -> bytes:
    """The header for ``columns``: id -> (length in bytes, CRC-32; ignored for keys and digests)."""
    out = bytearray(_HEAD.pack(SIGNATURE, MAJOR, MINOR, len(columns), 0, pool_size, root))
    for column in sorted(columns):
        length, crc = columns[column]
        flags = 0 if column in _GROUP_COLUMNS else _CRITICAL
        out += _COLUMN.pack(column, flags, 0 if column in _WITHOUT_CRC else crc, length)
    return bytes(out + zlib.crc32(out).to_bytes(4, "little"))


def parse_head(read: Callable[[int, int], bytes], size: int) -> Head:
    """Read and check the header of a file of ``size`` bytes; ``read(offset, length)`` returns fewer bytes at its end.

    Raises:
        PladaError: NOT_MANIFEST, MANIFEST_TRUNCATED, MANIFEST_VERSION or MANIFEST_CORRUPT.
    """
    fixed = read(0, _HEAD.size)
    if fixed[:8] != SIGNATURE[: len(fixed)]:
        raise error(ErrorCode.NOT_MANIFEST, "not a pool manifest: the signature is missing", offset=0, section="header")
    if len(fixed) > 8 and fixed[8] != MAJOR:
        raise error(
            ErrorCode.MANIFEST_VERSION,
            f"pool manifest of major version {fixed[8]}, this reader knows {MAJOR}",
            offset=8,
            section="header",
        )
    if len(fixed) < _HEAD.size:
        raise _cut(size)
    _, _, minor, count, reserved, pool_size, root = _HEAD.unpack(fixed)
    if not len(_REQUIRED) <= count <= MAX_COLUMNS:
        raise _corrupt(f"{count} columns, not {len(_REQUIRED)} to {MAX_COLUMNS}", 10)
    table_bytes = _COLUMN.size * count
    rest = read(_HEAD.size, table_bytes + 4)
    if len(rest) < table_bytes + 4:
        raise _cut(size)
    if int.from_bytes(rest[table_bytes:], "little") != zlib.crc32(fixed + rest[:table_bytes]):
        raise _corrupt("header CRC-32 does not match: the file is damaged", _HEAD.size + table_bytes)
    if reserved:
        raise _corrupt("reserved byte is not zero", 11)
    columns, end = _parse_columns(rest[:table_bytes], minor)
    head = Head(minor, pool_size, root, columns)
    _check_lengths(head)
    if end > size:
        raise _cut(size, end)
    if end < size:
        raise _corrupt(f"{size - end} bytes after the last column", end)
    return head


def _parse_columns(table: bytes, minor: int) -> tuple[dict[int, Column], int]:
    columns: dict[int, Column] = {}
    place = _HEAD.size + len(table) + 4
    previous = -1
    for start in range(0, len(table), _COLUMN.size):
        at = _HEAD.size + start
        number, flags, crc, length = _COLUMN.unpack_from(table, start)
        if number <= previous:
            raise _corrupt(f"column {number} after column {previous}: columns must rise", at)
        previous = number
        if flags > _CRITICAL:
            raise _corrupt(f"column {number} has reserved flags", at + 2)
        if number in ColumnId._value2member_map_:
            if flags != (0 if number in _GROUP_COLUMNS else _CRITICAL):
                raise _corrupt(f"column {number} has the wrong critical flag", at + 2)
            if number in _WITHOUT_CRC and crc:
                raise _corrupt(f"column {number} has a CRC-32 where zero belongs", at + 4)
        elif not minor:
            raise _corrupt(f"column {number} is unknown in version {MAJOR}.{minor}", at)
        elif flags & _CRITICAL:
            message = f"column {number} is needed to read this manifest and unknown here: update the reader"
            raise error(ErrorCode.MANIFEST_VERSION, message, offset=at, section="header")
        columns[number] = Column(place, length, crc)
        place += length
    if minor and all(number in ColumnId._value2member_map_ for number in columns):
        raise _corrupt(f"minor version {minor} without anything new: version {MAJOR}.{MINOR} says the same", 9)
    missing = [column.label for column in _REQUIRED if column not in columns]
    if missing:
        raise _corrupt(f"column {missing[0]} is missing", _HEAD.size)
    if (ColumnId.GROUP_STARTS in columns) != (ColumnId.GROUP_NAMES in columns):
        raise _corrupt("group starts and group names must be there both or neither", _HEAD.size)
    return columns, place


def _check_lengths(head: Head) -> None:
    size, blocks = head.pool_size, head.blocks
    bounds = {
        ColumnId.NAME: (0, MAX_NAME_BYTES),
        ColumnId.KEY_TABLE: (KEY_ENTRY.size * blocks,) * 2,
        ColumnId.BLOCK_HASHES: (DIGEST_BYTES * blocks,) * 2,
        ColumnId.GROUP_STARTS: (4, 4 * min(size, MAX_GROUPS)),
        ColumnId.GROUP_NAMES: (1, MAX_GROUP_TEXT_BYTES),
        ColumnId.KEYS: (blocks, blocks * MAX_TEXT_BYTES),
        ColumnId.DIGESTS: (DIGEST_BYTES * size,) * 2,
    }
    for index, (number, column) in enumerate(head.columns.items()):
        if number not in bounds:
            continue
        low, high = bounds[ColumnId(number)]
        bad_unit = number == ColumnId.GROUP_STARTS and column.length % 4
        if not low <= column.length <= high or bad_unit:
            message = f"{ColumnId(number).label} of {column.length} bytes cannot belong to a pool of {size}"
            raise _corrupt(message, _HEAD.size + _COLUMN.size * index + 8)


def _corrupt(message: str, offset: int) -> Exception:
    return error(ErrorCode.MANIFEST_CORRUPT, message, offset=offset, section="header")


def _cut(size: int, needed: int | None = None) -> Exception:
    wanted = "" if needed is None else f" of {needed}"
    message = f"pool manifest ends after {size}{wanted} bytes: copy it again"
    return error(ErrorCode.MANIFEST_TRUNCATED, message, offset=size, section="header")
