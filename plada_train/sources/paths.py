"""Local and remote paths alike: brace and glob expansion, listing, opening. Remote ones go through fsspec."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from plada_format.errors import UserError

_BRACE = re.compile(r"\{(\d+)\.\.(\d+)\}")
_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]*://")
_MAX_SHARDS = 1_000_000


def is_remote(path: str) -> bool:
    """Whether ``path`` is an fsspec URL such as ``s3://bucket/folder``."""
    return bool(_URL.match(path))


def file_system(path: str) -> tuple[Any, str]:
    """The fsspec file system of a URL and the path inside it.

    Raises:
        UserError: no such protocol, or its package is not installed.
    """
    try:
        import fsspec  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise UserError(f"{path}: remote paths need fsspec (pip install 'plada[train]')") from None
    try:
        system, inner = fsspec.core.url_to_fs(path)
    except (ValueError, ImportError) as problem:
        raise UserError(f"{path}: {problem}") from None
    return system, inner


def open_file(path: str) -> BinaryIO:
    """Open a local or remote file for reading bytes. The caller closes it."""
    if is_remote(path):
        system, inner = file_system(path)
        with remote_errors(path):
            return cast(BinaryIO, system.open(inner, "rb"))
    return open(path, "rb")


def read_part(path: str, start: int, end: int) -> bytes:
    """Bytes ``start`` to ``end`` of a remote file (fewer at its end).

    Raises:
        OSError: it cannot be read, or the server does not give parts of files.
    """
    system, inner = file_system(path)
    with remote_errors(path):
        data = bytes(system.cat_file(inner, start=start, end=end))
    if len(data) > end - start:
        raise OSError(f"{path}: the server gives whole files only (no range requests); download it first")
    return data


@contextmanager
def remote_errors(path: str) -> Iterator[None]:
    """Turn whatever a file system's client raises into an OSError that names the path."""
    try:
        yield
    except OSError:
        raise
    except Exception as problem:
        text = str(problem).strip() or type(problem).__name__
        raise OSError(f"{path}: {text.splitlines()[0]}") from None


def is_folder(path: str) -> bool:
    if is_remote(path):
        system, inner = file_system(path)
        with remote_errors(path):
            return bool(system.isdir(inner))
    return os.path.isdir(path)


def list_folder(path: str) -> list[str]:
    """Paths of the files directly inside a folder, sorted by the bytes of their names."""
    if is_remote(path):
        system, inner = file_system(path)
        with remote_errors(path):
            entries = system.ls(inner, detail=True)
        names = [system.unstrip_protocol(entry["name"]) for entry in entries if entry["type"] == "file"]
    else:
        with os.scandir(path) as entries:
            names = [os.path.join(path, entry.name) for entry in entries if entry.is_file()]
    return sorted(names, key=_bytes_of)


def expand(text: str, extensions: tuple[str, ...]) -> list[str]:
    """The files that ``text`` names: a path, a comma list, ``{000..012}``, a glob, or a folder of ``extensions``.

    A comma list keeps the given order; what a glob or folder finds is sorted by the bytes of the path.

    Raises:
        UserError: nothing is found, or a file is named twice.
    """
    files: list[str] = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        for path in _braces(part):
            files += _one(path, extensions)
    if not files:
        raise UserError(f"{text}: no file found (looked for {', '.join(extensions)})")
    if len(set(files)) != len(files):
        twice = next(name for name in files if files.count(name) > 1)
        raise UserError(f"{text}: {twice} is named twice")
    return files


def _one(path: str, extensions: tuple[str, ...]) -> list[str]:
    if "*" in path or "?" in path:
        if is_remote(path):
            system, inner = file_system(path)
            with remote_errors(path):
                found = [system.unstrip_protocol(name) for name in system.glob(inner)]
        else:
            import glob

            found = glob.glob(path)
        return sorted(found, key=_bytes_of)
    if is_folder(path):
        return [name for name in list_folder(path) if name.lower().endswith(extensions)]
    if not is_remote(path) and not os.path.isfile(path):
        raise UserError(f"{path}: no such file or folder")
    return [path]


def _braces(text: str) -> list[str]:
    match = _BRACE.search(text)
    if not match:
        return [text]
    first, last = match.group(1), match.group(2)
    low, high = int(first), int(last)
    if not low <= high < low + _MAX_SHARDS:
        raise UserError(f"{text}: {{{first}..{last}}} must rise and name at most {_MAX_SHARDS} shards")
    width = len(first) if first.startswith("0") else 0
    heads = [f"{text[: match.start()]}{number:0{width}d}" for number in range(low, high + 1)]
    return [head + tail for head in heads for tail in _braces(text[match.end() :])]


def _bytes_of(name: str) -> bytes:
    return os.fsencode(name)


def stem(path: str) -> str:
    """File name without folders and without its last extension."""
    return os.path.splitext(path.rstrip("/").rsplit("/", 1)[-1])[0]
