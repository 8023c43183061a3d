"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import UserError

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path``; on success fsync and rename it there, on any exception remove it.

    Raises:
        UserError: the file exists and ``overwrite`` is false.
        OSError: the folder cannot be written.
    """
    target = Path(path)
    if not overwrite and target.exists():
        raise UserError(f"{target} exists; use --force to replace it")
    # The name is known before the file is there: a signal that arrives in between leaves nothing behind.
    name = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    try:
        with open(name, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(name, target)
        else:  # link fails if somebody else was faster
            try:
                os.link(name, target)
            except FileExistsError:
                raise UserError(f"{target} exists; use --force to replace it") from None
            os.unlink(name)
        sync_folder(target.parent)
    except BaseException as problem:
        name.unlink(missing_ok=True)
        if isinstance(problem, OSError) and problem.errno in _NO_ROOM and problem.filename is None:
            problem.filename = str(target)  # writing to a descriptor does not say to which file
        raise


def sync_folder(folder: Path) -> None:
    """Make what was made, renamed or removed in a folder durable."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
