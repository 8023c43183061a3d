"""Reading position in one section, and varints (SPEC.md section 2)."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from .._types import Bytes
from ..errors import ErrorCode, error


class Stream:
    """The bytes of one coded stream with a position; every read is checked.

    Attributes:
        buf: read-only uint8 array of the whole stream.
        pos: next byte.
        base: offset of the stream in the file, for messages.
        section: name for messages.
        truncated: code for missing bytes.
    """

    __slots__ = ("base", "buf", "pos", "section", "truncated")

    def __init__(
        self,
        data: bytes | memoryview | Bytes,
        *,
        base: int = 0,
        section: str = "stream",
        truncated: ErrorCode = ErrorCode.STREAM_TRUNCATED,
    ) -> None:
        buf = np.frombuffer(data, np.uint8) if not isinstance(data, np.ndarray) else data.view()
        buf.flags.writeable = False
        self.buf: Bytes = buf
        self.pos = 0
        self.base = base
        self.section = section
        self.truncated = truncated

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self.buf) - self.pos

    def fail(self, code: ErrorCode, message: str, *, at: int | None = None) -> NoReturn:
        """Raise the error with the file offset of byte ``at`` (default: the position)."""
        raise error(code, message, offset=self.base + (self.pos if at is None else at), section=self.section)

    def missing(self, what: str) -> NoReturn:
        """Raise the code for missing bytes at the end of the stream."""
        self.fail(self.truncated, f"the {self.section} section ends within {what}", at=len(self.buf))

    def u8(self, what: str) -> int:
        """Next byte."""
        if self.pos >= len(self.buf):
            self.missing(what)
        self.pos += 1
        return int(self.buf[self.pos - 1])

    def varint(self, what: str) -> int:
        """Next varint below 2**32, shortest form only."""
        value = 0
        start = self.pos
        for n in range(5):
            byte = self.u8(what)
            if n == 4 and byte > 0x0F:
                self.fail(ErrorCode.BAD_VARINT, f"{what}: varint of 2^32 or more", at=start)
            value |= (byte & 0x7F) << (7 * n)
            if byte < 0x80:
                if byte == 0 and n:
                    self.fail(ErrorCode.BAD_VARINT, f"{what}: varint is not in its shortest form", at=start)
                return value
        raise AssertionError("unreachable: the fifth byte is final or refused")

    def take(self, count: int, what: str) -> Bytes:
        """Next ``count`` bytes, no copy."""
        if count > self.left:
            self.missing(what)
        self.pos += count
        return self.buf[self.pos - count : self.pos]

    def end_padding(self, bit: int, what: str) -> None:
        """Go to the byte after bit position ``bit``; the bits between must be zero."""
        byte, used = bit >> 3, bit & 7
        if used:
            if int(self.buf[byte]) >> used:
                self.fail(ErrorCode.PADDING, f"{what}: padding bits are not zero", at=byte)
            byte += 1
        self.pos = byte

    def finish(self) -> None:
        """Every byte must have been read."""
        if self.left:
            self.fail(ErrorCode.STREAM_OVERLONG, f"{self.left} bytes left over in the {self.section} section")


def varint_bytes(value: int) -> bytes:
    """Shortest LEB128 form of 0 <= value < 2**32."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
