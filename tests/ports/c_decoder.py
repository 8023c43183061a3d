"""The C decoder of ports/c as a Python object, for comparisons with plada_format.

`load()` builds the shared library with the first C compiler at hand. Nothing here knows the format: structures mirror
plada.h, and every answer is the library's own.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

PORT = Path(__file__).resolve().parents[2] / "ports" / "c"
OK = 0


class Info(ctypes.Structure):
    """plada_info."""

    _fields_ = [
        ("pool_size", ctypes.c_uint32),
        ("count", ctypes.c_uint32),
        ("num_classes", ctypes.c_uint32),
        ("file_size", ctypes.c_uint64),
        ("minor_version", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("index_codec", ctypes.c_uint8),
        ("label_codec", ctypes.c_uint8),
        ("has_fingerprint", ctypes.c_uint8),
        ("num_sections", ctypes.c_uint8),
        ("fingerprint", ctypes.c_uint8 * 16),
        ("content_digest", ctypes.c_uint8 * 8),
        ("group_digest", ctypes.c_uint8 * 8),
        ("header_length", ctypes.c_uint8),
        ("table_length", ctypes.c_uint8),
        ("table", ctypes.c_uint8 * 208),
    ]


class Options(ctypes.Structure):
    """plada_options."""

    _fields_ = [
        ("has_pool_size", ctypes.c_int),
        ("pool_size", ctypes.c_uint32),
        ("limit_pool_size", ctypes.c_uint32),
        ("limit_count", ctypes.c_uint32),
        ("fingerprint", ctypes.c_char_p),
        ("groups", ctypes.c_void_p),
        ("num_groups", ctypes.c_size_t),
        ("strict", ctypes.c_int),
    ]


class Memory(ctypes.Structure):
    """plada_memory."""

    _fields_ = [
        ("indices", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("capacity", ctypes.c_size_t),
        ("scratch", ctypes.c_void_p),
        ("scratch_words", ctypes.c_size_t),
    ]


@dataclass(frozen=True)
class Answer:
    """Error code of plada_decode (0: accepted) and what it wrote: indices uint32 (k,), labels uint16 (k,)."""

    code: int
    indices: NDArray[np.uint32]
    labels: NDArray[np.uint16]


NOTHING = (np.empty(0, np.uint32), np.empty(0, np.uint16))


class CDecoder:
    """Typed calls of the shared library."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.library.plada_default_options.restype = Options
        self.library.plada_scratch_words.restype = ctypes.c_size_t
        self.library.plada_error_name.restype = ctypes.c_char_p

    def read_header(self, data: bytes) -> tuple[int, Info]:
        """Steps 1 to 8."""
        info = Info()
        code = self.library.plada_read_header(data, ctypes.c_size_t(len(data)), ctypes.byref(info))
        return code, info

    def scratch(self, info: Info) -> NDArray[np.uint32]:
        """As many words as the library asks for."""
        return np.empty(self.library.plada_scratch_words(ctypes.byref(info)), np.uint32)

    def decode(
        self,
        data: bytes,
        *,
        pool_size: int | None = None,
        fingerprint: bytes | None = None,
        groups: ArrayLike | None = None,
        limit_pool_size: int = 1 << 28,
        limit_count: int = 1 << 25,
        strict: bool = True,
    ) -> Answer:
        """All steps, with memory of exactly the size that the library asks for."""
        options = self.library.plada_default_options()
        options.has_pool_size = pool_size is not None
        options.pool_size = pool_size or 0
        options.limit_pool_size, options.limit_count = limit_pool_size, limit_count
        options.fingerprint = fingerprint
        options.strict = strict
        if groups is not None:
            starts = np.ascontiguousarray(groups, np.uint32)
            options.groups, options.num_groups = starts.ctypes.data, len(starts)
        code, info = self.read_header(data)
        code = code or self.library.plada_check(ctypes.byref(info), ctypes.byref(options))
        if code:
            return Answer(code, *NOTHING)
        if len(data) != info.file_size:  # before the memory: a header may ask for much
            return Answer(2 if len(data) < info.file_size else 18, *NOTHING)
        indices, labels = np.empty(info.count, np.uint32), np.empty(info.count, np.uint16)
        scratch = self.scratch(info)
        memory = Memory(indices.ctypes.data, labels.ctypes.data, info.count, scratch.ctypes.data, len(scratch))
        code = self.library.plada_decode(data, ctypes.c_size_t(len(data)), ctypes.byref(options), ctypes.byref(memory))
        return Answer(code, *NOTHING) if code else Answer(OK, indices, labels)

    def _symbols(self, name: str, data: bytes, count: int) -> NDArray[np.uint8]:
        _, info = self.read_header(data)
        scratch, symbols = self.scratch(info), np.empty(count, np.uint8)
        code = getattr(self.library, name)(
            data,
            ctypes.c_size_t(len(data)),
            ctypes.byref(info),
            symbols.ctypes.data_as(ctypes.c_void_p),
            scratch.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_size_t(len(scratch)),
        )
        assert code == OK, (name, code)
        return symbols

    def weights(self, data: bytes) -> NDArray[np.float64]:
        """(k,) weights of the images."""
        _, info = self.read_header(data)
        return 2.0 ** ((self._symbols("plada_weights", data, info.count).astype(float) - 128) / 16)

    def soft_labels(self, data: bytes) -> NDArray[np.float64]:
        """(K, K) average probabilities."""
        _, info = self.read_header(data)
        classes = info.num_classes
        return self._symbols("plada_soft_labels", data, classes**2).reshape(classes, classes) / 255

    def class_name(self, data: bytes, number: int) -> tuple[int, str]:
        """Code and text of one class name."""
        _, info = self.read_header(data)
        text, length = ctypes.c_void_p(), ctypes.c_uint32()
        code = self.library.plada_class_name(
            data, ctypes.c_size_t(len(data)), ctypes.byref(info), number, ctypes.byref(text), ctypes.byref(length)
        )
        return code, "" if code else _text(text, length)

    def metadata(self, data: bytes) -> dict[str, str]:
        """All pairs."""
        _, info = self.read_header(data)
        pairs: dict[str, str] = {}
        while True:
            key, value = ctypes.c_void_p(), ctypes.c_void_p()
            key_length, value_length = ctypes.c_uint32(), ctypes.c_uint32()
            code = self.library.plada_metadata(
                data,
                ctypes.c_size_t(len(data)),
                ctypes.byref(info),
                len(pairs),
                ctypes.byref(key),
                ctypes.byref(key_length),
                ctypes.byref(value),
                ctypes.byref(value_length),
            )
            if code:
                return pairs
            pairs[_text(key, key_length)] = _text(value, value_length)

    def error_name(self, code: int) -> str:
        """Name of an error code."""
        name: bytes = self.library.plada_error_name(code)
        return name.decode()


def _text(start: ctypes.c_void_p, length: ctypes.c_uint32) -> str:
    return ctypes.string_at(start, length.value).decode() if length.value else ""


def missing() -> str | None:
    """Why the C port cannot be built here, or None."""
    if not shutil.which("make"):
        return "ports/c needs make"
    if not (shutil.which("cc") or shutil.which(os.environ.get("CC", ""))):
        return "ports/c needs a C compiler (Debian: gcc)"
    return None


def build(folder: Path, *targets: str) -> None:
    """Run ports/c/Makefile with its outputs in ``folder``."""
    names = [str(folder / target) for target in targets]
    done = subprocess.run(["make", "-s", "-C", PORT, f"B={folder}", *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def load(folder: Path) -> CDecoder:
    """Build libplada.so in ``folder`` and load it."""
    build(folder, "libplada.so")
    return CDecoder(folder / "libplada.so")
