"""Bytes of a manifest by offset. Plain reads, no mapping: a file that shrinks meanwhile is an error, not a crash."""

from __future__ import annotations

import io
import os
import threading
from typing import BinaryIO

from ..errors import ErrorCode, error


class Source:
    """A file that counts what is read from it. Safe to use from several threads."""

    def __init__(self, source: str | os.PathLike[str] | BinaryIO) -> None:
        self._owned = isinstance(source, str | os.PathLike)
        if isinstance(source, str | os.PathLike):
            self._file: BinaryIO | io.FileIO = io.FileIO(source)
        else:
            self._file = source
        self._lock = threading.Lock()
        self.bytes_read = 0
        self.size = self._file.seek(0, os.SEEK_END)

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``, or fewer at the end of the file."""
        length = max(0, min(length, self.size - offset))
        pieces = []
        with self._lock:
            self._file.seek(offset)
            while length:
                piece = self._file.read(length)  # an unbuffered file may give less than asked for
                if not piece:
                    break
                pieces.append(piece)
                length -= len(piece)
                self.bytes_read += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read_exact(self, offset: int, length: int) -> bytes:
        """As :meth:`read`; MANIFEST_TRUNCATED if bytes are missing."""
        data = self.read(offset, length)
        if len(data) < length:
            message = f"pool manifest shrank while it was read: {length - len(data)} bytes are gone"
            raise error(ErrorCode.MANIFEST_TRUNCATED, message, offset=offset + len(data))
        return data

    def close(self) -> None:
        """Close the file if it was opened here."""
        if self._owned:
            self._file.close()
