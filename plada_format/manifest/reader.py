"""Read a pool manifest in part, and check every part before use."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from itertools import pairwise
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ErrorCode, PladaError, error
from .hashing import block_hash, fingerprint_of, group_digest, root_hash
from .layout import BLOCK_ENTRIES, DIGEST_BYTES, KEY_ENTRY, MAX_KEY_BYTES, MAX_TEXT_BYTES, ColumnId, parse_head
from .source import Source
from .text import duplicate_in, is_clean, split_lines, unpack
from .unique import first_duplicate, hash_keys

_CORRUPT, _BLOCK = ErrorCode.MANIFEST_CORRUPT, ErrorCode.MANIFEST_BLOCK


class Manifest:
    """A pool manifest on disk. Opening reads the header, the key table and the block hashes (44 bytes per
    65,536 images); keys and digests are read and verified block by block, when they are asked for.

    Get one with :meth:`open`; close it, or use it as a context manager. ``len(manifest)`` is the pool size;
    iterating yields ``(key, digest)`` for every image, in order, verified.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._head = parse_head(source.read, source.size)
        name = self._column(ColumnId.NAME)
        table = self._column(ColumnId.KEY_TABLE)
        self._block_hashes = self._column(ColumnId.BLOCK_HASHES)
        if not is_clean(name):
            raise self._error(_CORRUPT, "pool name is not UTF-8 free of control characters", ColumnId.NAME)
        self._name = name.decode()
        self._table = np.frombuffer(table, "<u4").reshape(-1, 3)
        self._places = self._check_table()
        if root_hash(len(self), self._block_hashes) != self._head.root:
            raise self._error(_CORRUPT, "block hashes do not give the header's root hash", ColumnId.BLOCK_HASHES)
        self._verified: set[int] = set()
        self._keys: tuple[int, list[bytes], bytes] = (-1, [], b"")  # last block read: number, keys, as stored
        self._rows: tuple[int, bytes] = (-1, b"")
        self._groups: tuple[NDArray[np.uint32], list[str]] | None = None

    @classmethod
    def open(cls, source: str | os.PathLike[str] | BinaryIO) -> Manifest:
        """Open a manifest.

        Args:
            source: a path, or a seekable binary file, which the caller keeps open and closes.

        Raises:
            PladaError: NOT_MANIFEST, MANIFEST_TRUNCATED, MANIFEST_VERSION or MANIFEST_CORRUPT.
            OSError: the file cannot be read.
        """
        opened = Source(source)
        try:
            return cls(opened)
        except BaseException:
            opened.close()
            raise

    def close(self) -> None:
        """Close the file, if :meth:`open` opened it. No error if called twice."""
        self._source.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Pool size N."""
        return self._head.pool_size

    def __repr__(self) -> str:
        return f"Manifest({self.name!r}, {len(self)} images, fingerprint {self.fingerprint.hex()})"

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        for block in range(self.blocks):
            keys, _, rows = self.block_content(block)
            for offset, key in enumerate(keys):
                yield key.decode(), rows[DIGEST_BYTES * offset : DIGEST_BYTES * (offset + 1)]

    @property
    def name(self) -> str:
        """Name of the pool, for people. No part of its identity."""
        return self._name

    @property
    def root(self) -> bytes:
        """SHA-256 root over all keys and image digests, 32 bytes."""
        return self._head.root

    @property
    def fingerprint(self) -> bytes:
        """The 16 bytes that payloads carry to name this pool."""
        return fingerprint_of(self.root)

    @property
    def version(self) -> tuple[int, int]:
        """Format version of the file, (major, minor)."""
        return 1, self._head.minor

    @property
    def blocks(self) -> int:
        """Number of blocks of 65,536 images (the last may be shorter)."""
        return self._head.blocks

    @property
    def column_bytes(self) -> dict[str, int]:
        """Size of each column on disk in bytes, by name."""
        known = {int(column): column.label for column in ColumnId}
        return {known.get(number, f"column {number}"): column.length for number, column in self._head.columns.items()}

    @property
    def bytes_read(self) -> int:
        """Bytes read from the file so far."""
        return self._source.bytes_read

    @property
    def has_groups(self) -> bool:
        """Whether the pool has groups."""
        return ColumnId.GROUP_STARTS in self._head.columns

    @property
    def group_starts(self) -> NDArray[np.uint32] | None:
        """Start offset of each run of images of equal group, uint32, shape (G,), first 0, rising; None without groups.

        Raises:
            PladaError: MANIFEST_CORRUPT, the group columns are damaged.
        """
        return self._load_groups()[0] if self.has_groups else None

    @property
    def group_names(self) -> list[str]:
        """Name of each run, length G; empty without groups. Raises as :attr:`group_starts`."""
        return list(self._load_groups()[1]) if self.has_groups else []

    @property
    def group_digest(self) -> bytes | None:
        """The 8 bytes by which payloads name the groups, or None without groups. Raises as :attr:`group_starts`."""
        return group_digest(self._load_groups()[0]) if self.has_groups else None

    def group_of(self, indices: ArrayLike) -> NDArray[np.uint32]:
        """Number of the group (row of :attr:`group_names`) of each image, uint32, shape of ``indices``.

        Raises:
            PladaError: the pool has no groups, an index is outside of it, or the group columns are damaged.
        """
        wanted = self._indices(indices)
        if not self.has_groups:
            raise error(ErrorCode.INVALID_ARGUMENT, f"pool {self.name!r} has no groups")
        return (np.searchsorted(self._load_groups()[0], wanted, side="right") - 1).astype(np.uint32)

    def key(self, index: int) -> str:
        """Key of one image. Raises as :meth:`keys`."""
        return self.keys([index])[0]

    def keys(self, indices: ArrayLike) -> list[str]:
        """Keys of images, in the order asked for. Reads and verifies the blocks that hold them, one block in memory.

        Args:
            indices: integers in [0, N), shape (n,).

        Raises:
            InvalidInputError: an index is no integer or outside the pool.
            PladaError: MANIFEST_BLOCK or MANIFEST_CORRUPT, a block is damaged.
        """
        wanted = self._indices(indices)
        out = [""] * len(wanted)
        for block, places in self._by_block(wanted):
            keys = self._load_keys(block)
            offsets = (wanted[places] - block * BLOCK_ENTRIES).tolist()
            for place, offset in zip(places.tolist(), offsets, strict=True):
                out[place] = keys[offset].decode()
        return out

    def digests(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """SHA-256 of images, uint8, shape (n, 32), in the order asked for. Arguments and errors as :meth:`keys`."""
        wanted = self._indices(indices)
        out = np.empty((len(wanted), DIGEST_BYTES), np.uint8)
        for block, places in self._by_block(wanted):
            rows = np.frombuffer(self._load_rows(block), np.uint8).reshape(-1, DIGEST_BYTES)
            out[places] = rows[wanted[places] - block * BLOCK_ENTRIES]
        return out

    def check_image(self, index: int, data: bytes | bytearray | memoryview) -> bool:
        """Whether ``data``, the bytes of an image file, are those of image ``index``. Raises as :meth:`keys`."""
        return hashlib.sha256(data).digest() == self.digests([index]).tobytes()

    def verify_blocks(self, indices: ArrayLike | None = None) -> None:
        """Verify the blocks that hold ``indices``; None = the whole manifest, groups and uniqueness of keys included.

        Verified means: read, decoded, and hashed to the block hash under the fingerprint. With None, memory is 16 bytes
        per image.

        Raises:
            PladaError: MANIFEST_BLOCK or MANIFEST_CORRUPT, naming the first bad block; or InvalidInputError.
        """
        if indices is not None:
            for block in np.unique(self._indices(indices) // BLOCK_ENTRIES).tolist():
                if block not in self._verified:
                    self._verify(block)
            return
        if self.has_groups:
            self._load_groups()
        hashes = []
        for block in range(self.blocks):
            self._verify(block)
            hashes.append(hash_keys(self._keys[1]))
        pair = first_duplicate(hashes, lambda place: self._load_keys(place // BLOCK_ENTRIES)[place % BLOCK_ENTRIES])
        if pair is not None:
            raise self._error(_CORRUPT, f"images {pair[0]} and {pair[1]} have the same key", ColumnId.KEYS)

    def block_content(self, block: int) -> tuple[list[bytes], bytes, bytes]:
        """Keys (UTF-8), keys as stored, and digests (32 bytes each) of one block, verified. Errors as :meth:`keys`."""
        if not 0 <= block < self.blocks:
            raise error(ErrorCode.INVALID_ARGUMENT, f"block {block} is not in [0, {self.blocks})")
        self._verify(block)
        return self._keys[1], self._keys[2], self._rows[1]

    def _verify(self, block: int) -> None:
        keys, rows = self._read_keys(block), self._read_rows(block)
        if block_hash(keys, rows) != self._block_hashes[DIGEST_BYTES * block : DIGEST_BYTES * (block + 1)]:
            message = f"images {self._span(block)}: keys or digests do not match the block hash: copy the file again"
            raise self._error(_BLOCK, message, ColumnId.DIGESTS, DIGEST_BYTES * BLOCK_ENTRIES * block)
        self._verified.add(block)

    def _load_keys(self, block: int) -> list[bytes]:
        if block not in self._verified:
            self._verify(block)
        return self._read_keys(block)

    def _load_rows(self, block: int) -> bytes:
        if block not in self._verified:
            self._verify(block)
        return self._read_rows(block)

    def _read_keys(self, block: int) -> list[bytes]:
        if self._keys[0] == block:
            return self._keys[1]
        self._keys = (-1, [], b"")  # never two blocks in memory
        packed_bytes, text_bytes, crc = self._table[block].tolist()
        count, place = self._head.block_length(block), int(self._places[block])
        at = self._head.columns[ColumnId.KEYS].offset + place
        packed = self._source.read_exact(at, packed_bytes)
        if zlib.crc32(packed) != crc:
            message = f"CRC-32 of the keys of images {self._span(block)} does not match: copy the file again"
            raise self._error(_BLOCK, message, ColumnId.KEYS, place)
        text = unpack(packed, text_bytes, offset=at)
        keys = split_lines(text, count, offset=at, section="keys", first=block * BLOCK_ENTRIES)
        pair = duplicate_in(keys)
        if pair is not None:
            first, second = (block * BLOCK_ENTRIES + offset for offset in pair)
            raise self._error(_CORRUPT, f"images {first} and {second} have the same key", ColumnId.KEYS, place)
        self._keys = (block, keys, packed)
        return keys

    def _read_rows(self, block: int) -> bytes:
        if self._rows[0] == block:
            return self._rows[1]
        at = self._head.columns[ColumnId.DIGESTS].offset + DIGEST_BYTES * BLOCK_ENTRIES * block
        rows = self._source.read_exact(at, DIGEST_BYTES * self._head.block_length(block))
        self._rows = (block, rows)
        return rows

    def _check_table(self) -> NDArray[np.int64]:
        """Offset of each block inside the key column, and one past the last; int64, shape (blocks + 1,)."""
        packed, text = self._table[:, 0].astype(np.int64), self._table[:, 1].astype(np.int64)
        counts = np.full(self.blocks, BLOCK_ENTRIES, np.int64)
        if self.blocks:
            counts[-1] = self._head.block_length(self.blocks - 1)
        bad = (text < 2 * counts) | (text > np.minimum(MAX_TEXT_BYTES, counts * (MAX_KEY_BYTES + 1)))
        bad |= (packed < 1) | (packed > text)
        if bad.any():
            block = int(bad.argmax())
            message = f"lengths of key block {block} are impossible: {packed[block]} and {text[block]} bytes"
            raise self._error(_CORRUPT, message, ColumnId.KEY_TABLE, KEY_ENTRY.size * block)
        places = np.concatenate([np.zeros(1, np.int64), np.cumsum(packed)])
        if int(places[-1]) != self._head.columns[ColumnId.KEYS].length:
            raise self._error(_CORRUPT, "key blocks do not fill the key column exactly", ColumnId.KEY_TABLE)
        return places

    def _load_groups(self) -> tuple[NDArray[np.uint32], list[str]]:
        if self._groups is None:
            starts = np.frombuffer(self._column(ColumnId.GROUP_STARTS), "<u4").astype(np.uint32)
            text = self._column(ColumnId.GROUP_NAMES)
            if starts[0] != 0 or (starts[1:] <= starts[:-1]).any() or int(starts[-1]) >= len(self):
                message = "group starts must begin with 0, rise strictly and stay inside the pool"
                raise self._error(_CORRUPT, message, ColumnId.GROUP_STARTS)
            at, label = self._head.columns[ColumnId.GROUP_NAMES].offset, ColumnId.GROUP_NAMES.label
            names = split_lines(text, len(starts), offset=at, section=label, allow_empty=True)
            for row, (name, following) in enumerate(pairwise(names)):
                if name == following:
                    raise self._error(_CORRUPT, f"groups {row} and {row + 1} are one run", ColumnId.GROUP_NAMES)
            starts.flags.writeable = False
            self._groups = starts, [name.decode() for name in names]
        return self._groups

    def _column(self, column: ColumnId) -> bytes:
        entry = self._head.columns[column]
        data = self._source.read_exact(entry.offset, entry.length)
        if zlib.crc32(data) != entry.crc:
            raise self._error(_CORRUPT, f"CRC-32 of the {column.label} does not match: copy the file again", column)
        return data

    def _indices(self, indices: ArrayLike) -> NDArray[np.int64]:
        array = np.asarray(indices)
        if array.ndim == 1 and not array.size:
            return np.empty(0, np.int64)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            message = f"indices must be a one-dimensional array of integers, not {array.dtype} of shape {array.shape}"
            raise error(ErrorCode.INVALID_ARGUMENT, message)
        outside = (array < 0) | (array >= len(self))
        if outside.any():
            place = int(outside.argmax())
            message = f"index {array[place]} (entry {place}) is outside the pool of {len(self)} images"
            raise error(ErrorCode.INVALID_ARGUMENT, message)
        return array.astype(np.int64)

    @staticmethod
    def _by_block(wanted: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        blocks = wanted // BLOCK_ENTRIES
        order = np.argsort(blocks, kind="stable")
        numbers, starts = np.unique(blocks[order], return_index=True)
        yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=False)

    def _span(self, block: int) -> str:
        first = block * BLOCK_ENTRIES
        return f"{first} to {first + self._head.block_length(block) - 1}"

    def _error(self, code: ErrorCode, message: str, column: ColumnId, inside: int = 0) -> PladaError:
        offset = self._head.columns[column].offset + inside
        return error(code, message, offset=offset, section=column.label)
