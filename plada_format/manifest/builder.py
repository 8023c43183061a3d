"""Write a pool manifest as a stream of entries, in bounded memory, whole or not at all."""

from __future__ import annotations

import os
from types import TracebackType

from ..errors import UserError
from .layout import BLOCK_ENTRIES, DIGEST_BYTES, MAX_KEY_BYTES, MAX_POOL_SIZE, MAX_TEXT_BYTES
from .text import duplicate_in, encode_text, pack
from .writer import ManifestWriter, refuse, twice


class ManifestBuilder:
    """Streams the entries of a pool, in pool order, into a manifest file.

    Use it as a context manager: the file appears, complete, when the block ends without an exception::

        with ManifestBuilder("tin-50k.pladapool", name="tin-50k") as builder:
            builder.add("n01443537/n01443537_0.JPEG", hashlib.sha256(image_bytes).digest(), group="n01443537")

    To build in parallel or to resume, build one manifest per range of indices (each range but the last a multiple of
    ``BLOCK_ENTRIES`` long) and join them with :func:`merge_manifests`: the bytes are those of one single build.

    Memory: one block of entries, 16 bytes per entry to find duplicate keys, 4 bytes and the name per group.
    Disk: twice the size of the file, in the same folder, until it is done; a killed build leaves no manifest.

    Args:
        path: where the manifest will stand.
        name: name of the pool, for people: UTF-8, at most 255 bytes, no control characters.
        overwrite: whether to replace a file at ``path``.

    Raises:
        UserError: ``path`` exists and ``overwrite`` is false.
        InvalidInputError: ``name`` does not fit.
        OSError: the folder cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str, overwrite: bool = False) -> None:
        self._writer = ManifestWriter(path, name, overwrite=overwrite)
        self.path = self._writer.path
        self._keys: list[bytes] = []
        self._key_bytes = 0
        self._rows = bytearray()
        self._count = 0
        self._grouped: bool | None = None
        self._open = True
        self._fingerprint: bytes | None = None

    def __len__(self) -> int:
        """Number of entries added."""
        return self._count

    @property
    def fingerprint(self) -> bytes:
        """The pool's fingerprint, 16 bytes, once the manifest is written; UserError before."""
        if self._fingerprint is None:
            raise UserError("the manifest has no fingerprint before it is finished")
        return self._fingerprint

    def add(self, key: str, digest: bytes, group: str | None = None) -> None:
        """Append the next image of the pool.

        Args:
            key: name of the image inside the pool, unique. At most 4,096 bytes of UTF-8, no control characters;
                advised: a relative path with ``/`` between its parts, in Unicode normal form C.
            digest: SHA-256 of the image file's bytes, 32 bytes.
            group: the image's group. Give it for all images or for none; ``""`` says that this image has none.

        Raises:
            InvalidInputError: an argument does not fit (the entry is not added), or the block of 65,536 entries that
                this entry completes holds a key twice.
        """
        if not self._open:
            raise refuse("this manifest is finished: start another")
        data = encode_text(key, f"key of image {self._count}", MAX_KEY_BYTES)
        if not data:
            raise refuse(f"key of image {self._count} is empty")
        if not isinstance(digest, bytes) or len(digest) != DIGEST_BYTES:
            raise refuse(f"digest of image {self._count} ({key!r}) must be bytes of length {DIGEST_BYTES}")
        if self._count == MAX_POOL_SIZE:
            raise refuse(f"a pool holds at most {MAX_POOL_SIZE} images")
        if self._key_bytes + len(data) + 1 > MAX_TEXT_BYTES:
            raise refuse(
                f"image {self._count}: the keys of its block of {BLOCK_ENTRIES} take more than {MAX_TEXT_BYTES} bytes:"
                " shorten them"
            )
        self._add_group(group)
        self._keys.append(data)
        self._key_bytes += len(data) + 1
        self._rows += digest
        self._count += 1
        if len(self._keys) == BLOCK_ENTRIES:
            self._flush()

    def finish(self) -> bytes:
        """Check that all keys differ, write the file, return the fingerprint (16 bytes). The ``with`` block calls it.

        Raises:
            InvalidInputError: two keys are equal; the message names both positions.
            UserError, OSError: the file cannot be written.
        """
        if self._fingerprint is not None:
            return self._fingerprint
        if not self._open:
            raise refuse("this manifest was given up: start another")
        try:
            self._flush()
            self._fingerprint = self._writer.finish()
        finally:
            self.close()
        return self._fingerprint

    def close(self) -> None:
        """Give up what is not written. No error if called twice."""
        self._open = False
        self._writer.close()

    def __enter__(self) -> ManifestBuilder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.finish()
        finally:
            self.close()

    def _add_group(self, group: str | None) -> None:
        grouped = group is not None
        if self._grouped is not None and self._grouped != grouped:
            raise refuse(
                f"image {self._count} has {'a' if grouped else 'no'} group, unlike those before: give all or none"
            )
        if group is not None:
            name = encode_text(group, f"group of image {self._count}", MAX_KEY_BYTES)
            self._writer.start_group(name, self._count)
        self._grouped = grouped

    def _flush(self) -> None:
        if not self._keys:
            return
        pair = duplicate_in(self._keys)
        if pair is not None:
            base = self._count - len(self._keys)
            self.close()
            raise twice(base + pair[0], base + pair[1], self._keys[pair[0]])
        self._writer.append_block(self._keys, pack(b"\n".join(self._keys) + b"\n"), bytes(self._rows))
        self._keys, self._rows, self._key_bytes = [], bytearray(), 0
