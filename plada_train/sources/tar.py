"""WebDataset tar shards, read with our own header parser: images only, nothing is unpacked, nothing is unpickled."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .base import MAX_IMAGE_BYTES, ImageSource, PackedStrings, is_image_name
from .paths import expand, is_remote, open_file, read_part

_BLOCK = 512
_MAX_NAME = 4096  # a GNU or pax long name beyond this is no name


class TarSource(ImageSource):
    """The images of tar shards, in the order of shards and members.

    Key: ``<shard file name without extension>/<member name>``. Group: the folder part of the member name if any member
    has one, else the shard. Only regular members with an image extension count; links, devices, sparse files and all
    other kinds of member are passed over, never followed. Compressed tars are refused (no random access).

    Args:
        shards: see :func:`plada_train.sources.paths.expand`.

    Raises:
        UserError: no shard or no image found; a damaged, truncated or compressed tar (shard and byte offset are named).
        OSError: a shard cannot be read; a server that gives whole files only.
    """

    def __init__(self, shards: str) -> None:
        self.spec = f"tar:{shards}"
        self.files = expand(shards, (".tar",))
        stems = [os.path.splitext(path.rsplit("/", 1)[-1])[0] for path in self.files]
        if len(set(stems)) != len(stems):
            raise UserError(f"{shards}: two shards have the same file name; keys would not be unique")
        self._stems = stems
        self._names = PackedStrings()
        shard_of, offsets, sizes = array("i"), array("q"), array("q")
        for number, path in enumerate(self.files):
            seen: set[str] = set()
            with open_file(path) as file:
                for name, offset, size in _members(file, path):
                    if name in seen:
                        raise UserError(f"{path}: member {name!r} at byte {offset} appears twice")
                    seen.add(name)
                    self._names.append(name)
                    shard_of.append(number)
                    offsets.append(offset)
                    sizes.append(size)
        self._names.freeze()
        self._shard_of: NDArray[np.int32] = np.array(shard_of, np.int32)
        self._offsets: NDArray[np.int64] = np.array(offsets, np.int64)
        self._sizes: NDArray[np.int64] = np.array(sizes, np.int64)
        if not len(offsets):
            raise UserError(f"{shards}: no image member in {len(self.files)} shard(s)")
        self._folders = any("/" in self._names[index] for index in range(len(offsets)))
        self.has_groups = True
        self._handles = _Handles(self.files)
        if is_remote(self.files[0]):
            self.read(0)  # says now what would else be said of every image

    def __len__(self) -> int:
        return len(self._offsets)

    def key(self, index: int) -> str:
        return f"{self._stems[self._shard_of[self._check(index)]]}/{self._names[index]}"

    def group(self, index: int) -> str | None:
        if self._folders:
            return str(self._names[self._check(index)]).rpartition("/")[0]
        return self._stems[int(self._shard_of[self._check(index)])]

    def read(self, index: int) -> bytes:
        self._check(index)
        offset, size = int(self._offsets[index]), int(self._sizes[index])
        data = self._handles.read(int(self._shard_of[index]), offset, size)
        if len(data) != size:
            raise OSError(f"{self.files[self._shard_of[index]]}: {size} bytes expected at {offset}, {len(data)} there")
        return data


class _Handles:
    """Reads at given offsets. Each thread keeps the file that it read last; nothing is shared, so no locks."""

    def __init__(self, files: list[str]) -> None:
        self._files = files
        self._local = threading.local()

    def read(self, number: int, offset: int, size: int) -> bytes:
        path = self._files[number]
        if is_remote(path):
            return read_part(path, offset, offset + size)
        # After a fork the child must not share a file position with its parent.
        if getattr(self._local, "owner", None) != (os.getpid(), number):
            self._local.file = open(path, "rb", buffering=0)  # noqa: SIM115 - lives until the next shard
            self._local.owner = (os.getpid(), number)
        self._local.file.seek(offset)
        return bytes(self._local.file.read(size))

    def __getstate__(self) -> list[str]:
        return self._files

    def __setstate__(self, state: list[str]) -> None:
        self.__init__(state)  # type: ignore[misc]


def _members(file: BinaryIO, path: str) -> Iterator[tuple[str, int, int]]:
    """(name, offset of the data, size) of each image member."""
    end = file.seek(0, os.SEEK_END)
    offset = 0
    long_name: str | None = None
    long_size: int | None = None
    while offset + _BLOCK <= end:
        file.seek(offset)
        head = file.read(_BLOCK)
        if not any(head):
            return  # end mark
        if (
            offset == 0
            and head[257:262] != b"ustar"
            and (head[:2] in (b"\x1f\x8b", b"BZ") or head[:4] == b"\x28\xb5\x2f\xfd")
        ):
            raise UserError(f"{path}: a compressed tar cannot be read at random; decompress it")
        _check_sum(head, path, offset)
        kind = head[156:157]
        size = _number(head[124:136], path, offset) if long_size is None or kind in b"xgLK" else long_size
        data = offset + _BLOCK
        if data + size > end:
            raise UserError(
                f"{path}: truncated: the member at byte {offset} claims {size} bytes, {end - data} are left"
            )
        if kind == b"L":  # GNU: the data is the next member's name
            long_name = _text(_small(file, data, size, path), path, offset)
        elif kind == b"x":  # pax: records for the next member
            records = _pax(_small(file, data, size, path), path, offset)
            long_name = records.get("path", long_name)
            if "size" in records:
                long_size = _decimal(records["size"], path, offset)
        elif kind not in (b"g", b"K"):
            if kind in (b"0", b"\0", b"7"):
                name = long_name if long_name is not None else _short_name(head, path, offset)
                if is_image_name(name):
                    if size > MAX_IMAGE_BYTES:
                        raise UserError(
                            f"{path}: member {name!r} at byte {offset} has {size} bytes; no image is that large"
                        )
                    yield _safe(name, path, offset), data, size
            long_name = long_size = None
        offset = data + -(-size // _BLOCK) * _BLOCK
    if offset < end:
        raise UserError(f"{path}: truncated at byte {end}: {end - offset} bytes of a header")
    # Writers that were killed leave no end mark; all members are whole, so that is no error.


def _small(file: BinaryIO, offset: int, size: int, path: str) -> bytes:
    if size > 1 << 20:
        raise UserError(f"{path}: extended header of {size} bytes at byte {offset}")
    file.seek(offset)
    return file.read(size)


def _check_sum(head: bytes, path: str, offset: int) -> None:
    stored = _number(head[148:156], path, offset)
    if stored != sum(head[:148]) + 8 * 32 + sum(head[156:]):
        raise UserError(f"{path}: no tar header at byte {offset} (wrong checksum)")


def _number(field: bytes, path: str, offset: int) -> int:
    if field[:1] == b"\x80":  # GNU binary number
        return int.from_bytes(field[1:], "big")
    text = field.split(b"\0", 1)[0].strip()
    try:
        return int(text or b"0", 8)
    except ValueError:
        raise UserError(f"{path}: no tar header at byte {offset} (number field {field!r})") from None


def _decimal(text: str, path: str, offset: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise UserError(f"{path}: extended header at byte {offset}: size {text[:20]!r}")
    return int(text)


def _pax(data: bytes, path: str, offset: int) -> dict[str, str]:
    records: dict[str, str] = {}
    place = 0
    while place < len(data):
        head, separator, _ = data[place : place + 20].partition(b" ")
        if not separator or not head.isdigit():
            raise UserError(f"{path}: extended header at byte {offset} is damaged")
        length = int(head)
        record = data[place + len(head) + 1 : place + length]
        if length <= len(head) + 1 or not record.endswith(b"\n"):
            raise UserError(f"{path}: extended header at byte {offset} is damaged")
        key, _, value = record[:-1].partition(b"=")
        if key in (b"path", b"size"):
            records[key.decode()] = _text(value, path, offset)
        place += length
    return records


def _short_name(head: bytes, path: str, offset: int) -> str:
    name = _text(head[:100], path, offset)
    prefix = _text(head[345:500], path, offset) if head[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(data: bytes, path: str, offset: int) -> str:
    try:
        return data.split(b"\0", 1)[0].decode()
    except UnicodeDecodeError:
        raise UserError(f"{path}: the member name at byte {offset} is no UTF-8 text") from None


def _safe(name: str, path: str, offset: int) -> str:
    while name.startswith("./"):
        name = name[2:]
    if not name or len(name) > _MAX_NAME or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise UserError(f"{path}: member name {name[:80]!r} at byte {offset} cannot be a key")
    return name
