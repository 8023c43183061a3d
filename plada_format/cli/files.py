"""Bytes in, bytes out: files, ``-``, and never half of one."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ..atomic import atomic_write
from ..errors import ErrorCode, UserError, error

# The largest payload within the default limits is below 200 MB; a device that never ends must not fill the memory.
MAX_BYTES = 1 << 30


def read_bytes(path: str, max_bytes: int = MAX_BYTES) -> bytes:
    """The content of ``path``, or of stdin for ``-``.

    Raises:
        OSError: the file cannot be read.
        PladaError: LIMIT, more than ``max_bytes``.
    """
    if path == "-":
        if sys.stdin is None:
            raise UserError("stdin is closed")
        return _read(sys.stdin.buffer, max_bytes)
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes:
            return file.read()
        return _read(file, max_bytes)


def _read(file: BinaryIO, max_bytes: int) -> bytes:
    """All of ``file``, in pieces: one large read would reserve ``max_bytes`` at once."""
    content = io.BytesIO()
    while piece := file.read(1 << 20):
        content.write(piece)
        if content.tell() > max_bytes:
            raise error(ErrorCode.LIMIT, f"more than {max_bytes:,} bytes")
    return content.getvalue()


def read_text(path: str) -> str:
    """A UTF-8 text file; a byte order mark is dropped."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise UserError(f"{path}: no UTF-8 text ({problem.reason} at byte {problem.start})") from None


@contextmanager
def output(path: str, *, force: bool, binary: bool = True) -> Iterator[BinaryIO]:
    """A file to write to that appears whole or not at all; stdout for ``-``; devices and pipes are written directly.

    Raises:
        UserError: ``path`` exists and ``force`` is false, or bytes would go to a terminal.
        OSError: it cannot be written.
    """
    if path == "-":
        if sys.stdout is None:
            raise UserError("stdout is closed")
        if binary and sys.stdout.isatty():
            raise UserError("not writing bytes to a terminal: name a file, or redirect")
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    check_output(path, force=force)
    try:
        if _special(path):
            with open(path, "wb") as file:  # renaming over /dev/null would replace the device
                yield file
        else:
            with atomic_write(os.path.realpath(path), overwrite=force) as file:
                yield file
    except OSError as problem:
        if problem.filename is None:  # a full disk does not say which
            problem.add_note(path)
        raise


def check_output(path: str, *, force: bool) -> None:
    """Fail before any work is done where :func:`output` would fail after it."""
    if path == "-":
        return
    if os.path.isdir(path):
        raise UserError(f"{path} is a directory")
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise UserError(f"{path}: there is no folder {folder}")
    if not force and os.path.lexists(path) and not _special(path):
        raise UserError(f"{path} exists; use --force to replace it")


def say(message: str) -> None:
    """One line for the user, on stderr, so that stdout stays data."""
    print(message, file=sys.stderr)


def _special(path: str) -> bool:
    return os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode)


def is_manifest(path: str) -> bool:
    """Whether a file starts like a pool manifest (so that one command serves payloads and manifests)."""
    from ..manifest.layout import SIGNATURE

    if path == "-":
        return False
    with open(path, "rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE or path.lower().endswith(".pladapool")
