"""A folder of image files. Order: bytes of the relative path. Groups: the folders."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from plada_format.errors import UserError

from .base import MAX_IMAGE_BYTES, ImageSource, PackedStrings, is_image_name
from .paths import file_system, is_remote, remote_errors


class FolderSource(ImageSource):
    """All image files below a folder.

    Key: path relative to the folder, ``/`` between parts, Unicode normal form C. Order: the UTF-8 bytes of the key, as
    ``LC_ALL=C sort`` has it; upper case before lower case, ``img10`` before ``img2``. Group: the key up to its last
    ``/``.
    Hidden files and files without a known image extension are not part of the source.

    Args:
        root: local folder or fsspec URL.

    Raises:
        UserError: no such folder, no image in it, a name that is no Unicode text, or two names equal in normal form C.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/") or "/"
        self.spec = f"folder:{root}"
        self._keys = PackedStrings()
        self._renamed: dict[int, str] = {}  # position -> real path, where normalising changed it
        previous: bytes | None = None
        for key, real in _walk_remote(self.root) if is_remote(root) else _walk(self.root):
            data = key.encode()
            if previous is not None and data <= previous:
                raise UserError(f"{root}: two image paths are the same in Unicode normal form C: {key!r}")
            previous = data
            if key != real:
                self._renamed[len(self._keys)] = real
            self._keys.append(key)
        self._keys.freeze()
        if not len(self._keys):
            raise UserError(f"{root}: no image file found below this folder")
        self.has_groups = any("/" in self._keys[index] for index in range(len(self._keys)))

    def __len__(self) -> int:
        return len(self._keys)

    def key(self, index: int) -> str:
        return self._keys[self._check(index)]

    def group(self, index: int) -> str | None:
        return self.key(index).rpartition("/")[0] if self.has_groups else None

    def path(self, index: int) -> str:
        """Full path (or URL) of image ``index``."""
        return f"{self.root}/{self._renamed.get(self._check(index), self._keys[index])}"

    def read(self, index: int) -> bytes:
        path = self.path(index)
        if is_remote(path):
            system, inner = file_system(path)
            with remote_errors(path):
                return bytes(system.cat_file(inner, end=MAX_IMAGE_BYTES))
        with open(path, "rb") as file:
            return file.read(MAX_IMAGE_BYTES)


def _walk(root: str) -> Iterator[tuple[str, str]]:
    """(key, real relative path) of each image, in byte order, one folder in memory at a time."""
    if not os.path.isdir(root):
        raise UserError(f"{root}: no such folder")
    yield from _walk_below(root, "", "", (os.path.realpath(root),))


def _walk_below(root: str, prefix: str, real_prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    folder = f"{root}/{real_prefix}"
    entries: list[tuple[bytes, str, bool]] = []
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.startswith("."):
                continue
            is_dir = entry.is_dir()
            if not is_dir and not (is_image_name(entry.name) and entry.is_file()):
                continue
            # With the "/" a folder sorts exactly where the paths below it belong.
            text = _normal(entry.name, folder) + ("/" if is_dir else "")
            entries.append((text.encode(), entry.name, is_dir))
    for data, name, is_dir in sorted(entries):
        key = prefix + data.decode()
        if not is_dir:
            yield key, real_prefix + name
            continue
        real = os.path.realpath(f"{folder}{name}")
        if real in above:
            raise UserError(f"{folder}{name}: a link to a folder above it; remove it")
        yield from _walk_below(root, key, f"{real_prefix}{name}/", (*above, real))


def _walk_remote(root: str) -> Iterator[tuple[str, str]]:
    system, inner = file_system(root)
    with remote_errors(root):
        found = system.find(inner) if system.isdir(inner) else None
    if found is None:
        raise UserError(f"{root}: no such folder")
    start = len(inner.rstrip("/")) + 1
    names = (name[start:] for name in found)
    kept = (name for name in names if is_image_name(name) and not any(part.startswith(".") for part in name.split("/")))
    # Web servers list links, in which "a b" is "a%20b"; a pool's keys are the same wherever it lies.
    plain = unquote if root.partition("://")[0].lower() in ("http", "https") else str
    yield from sorted(((_normal(plain(name), root), name) for name in kept), key=lambda pair: pair[0].encode())


def _normal(name: str, where: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where}: file name {os.fsencode(name)!r} is no UTF-8 text; rename it") from None
    return unicodedata.normalize("NFC", name)
