"""Whole blocks in, manifest file out: the part that building and merging share."""

from __future__ import annotations

import os
import shutil
import tempfile
import zlib
from array import array
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..atomic import atomic_write
from ..errors import ErrorCode, PladaError, UserError, error
from .hashing import block_hash, fingerprint_of, root_hash
from .layout import (
    BLOCK_ENTRIES,
    KEY_ENTRY,
    MAX_GROUP_TEXT_BYTES,
    MAX_GROUPS,
    MAX_NAME_BYTES,
    MAX_POOL_SIZE,
    ColumnId,
    pack_head,
)
from .text import encode_text, unpack
from .unique import first_duplicate, hash_keys


class ManifestWriter:
    """Collects blocks in files without a name, so that nothing is left of them whatever ends the process.

    Args:
        path: where the manifest will stand.
        name: name of the pool.
        overwrite: whether to replace a file at ``path``.

    Raises:
        UserError: ``path`` exists and ``overwrite`` is false.
        InvalidInputError: ``name`` does not fit.
        OSError: the folder cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], name: str, *, overwrite: bool) -> None:
        self.path = Path(path)
        self._name = encode_text(name, "pool name", MAX_NAME_BYTES)
        self._overwrite = overwrite
        if not overwrite and self.path.exists():
            raise UserError(f"{self.path} exists; use --force to replace it")
        self._packed = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 - closed by close()
        self._digests = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
        self._table = bytearray()
        self._block_hashes = bytearray()
        self._hashes: list[NDArray[np.int64]] = []
        self._count = 0
        self._group_starts = array("L" if array("I").itemsize < 4 else "I")
        self._group_text = bytearray()
        self._last_group: bytes | None = None
        self._cached: tuple[int, list[bytes]] = (-1, [])

    def append_block(self, keys: list[bytes], packed: bytes, digests: bytes) -> None:
        """Append one block. All blocks but the last hold 65,536 entries.

        Args:
            keys: the block's keys, checked, each different from the others.
            packed: the same as stored.
            digests: 32 * len(keys) bytes.
        """
        if self._count % BLOCK_ENTRIES or self._count + len(keys) > MAX_POOL_SIZE:
            raise refuse(f"a block of {len(keys)} entries cannot follow {self._count} entries")
        text_bytes = sum(map(len, keys)) + len(keys)
        self._table += KEY_ENTRY.pack(len(packed), text_bytes, zlib.crc32(packed))
        self._block_hashes += block_hash(keys, digests)
        self._hashes.append(hash_keys(keys))
        self._packed.write(packed)
        self._digests.write(digests)
        self._count += len(keys)

    def start_group(self, name: bytes, start: int) -> None:
        """Begin a run of images of group ``name`` at position ``start``, unless the run before has the same name."""
        if name == self._last_group:
            return
        if len(self._group_starts) == MAX_GROUPS or len(self._group_text) + len(name) + 1 > MAX_GROUP_TEXT_BYTES:
            raise refuse(
                f"more than {MAX_GROUPS} runs of groups, or {MAX_GROUP_TEXT_BYTES} bytes of names, at image {start}:"
                " order the pool by group, or build it without groups"
            )
        self._group_starts.append(start)
        self._group_text += name + b"\n"
        self._last_group = name

    def finish(self) -> bytes:
        """Check that all keys differ, write the file, return the fingerprint (16 bytes).

        Raises:
            InvalidInputError: two keys are equal; the message names both positions.
            UserError, OSError: the file cannot be written.
        """
        pair = first_duplicate(self._hashes, self._key_at)
        if pair is not None:
            raise twice(*pair, self._key_at(pair[0]))
        small = {
            ColumnId.NAME: self._name,
            ColumnId.KEY_TABLE: bytes(self._table),
            ColumnId.BLOCK_HASHES: bytes(self._block_hashes),
        }
        if self._group_starts:
            small[ColumnId.GROUP_STARTS] = np.array(self._group_starts, "<u4").tobytes()
            small[ColumnId.GROUP_NAMES] = bytes(self._group_text)
        sizes = {column: (len(data), zlib.crc32(data)) for column, data in small.items()}
        sizes[ColumnId.KEYS] = (self._packed.tell(), 0)
        sizes[ColumnId.DIGESTS] = (self._digests.tell(), 0)
        root = root_hash(self._count, bytes(self._block_hashes))
        with atomic_write(self.path, overwrite=self._overwrite) as file:
            file.write(pack_head(self._count, root, sizes))
            for column in sorted(small):
                file.write(small[column])
            for spool in (self._packed, self._digests):
                spool.seek(0)
                shutil.copyfileobj(spool, file, 1 << 20)
        return fingerprint_of(root)

    def close(self) -> None:
        """Drop the collected blocks. No error if called twice."""
        self._packed.close()
        self._digests.close()

    def _key_at(self, position: int) -> bytes:
        block, offset = divmod(position, BLOCK_ENTRIES)
        if self._cached[0] != block:
            place = sum(KEY_ENTRY.unpack_from(self._table, KEY_ENTRY.size * earlier)[0] for earlier in range(block))
            packed_bytes, text_bytes, _ = KEY_ENTRY.unpack_from(self._table, KEY_ENTRY.size * block)
            self._packed.seek(place)
            text = unpack(self._packed.read(packed_bytes), text_bytes, offset=place)
            self._packed.seek(0, os.SEEK_END)
            self._cached = (block, text.split(b"\n"))
        return self._cached[1][offset]


def refuse(message: str) -> PladaError:
    """The error for entries that no manifest can hold."""
    return error(ErrorCode.INVALID_ARGUMENT, message)


def twice(earlier: int, later: int, key: bytes) -> PladaError:
    """The error for two equal keys."""
    return refuse(f"images {earlier} and {later} have the same key {key.decode()!r}: keys must be unique")
