"""Names, keys and group names: what text may stand in a manifest, and blocks of it."""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Sequence

from ..errors import ErrorCode, error
from .layout import MAX_KEY_BYTES

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_C1_BYTES = re.compile(b"\xc2[\x80-\x9f]")  # U+0080 to U+009F in UTF-8
_CONTROL_BYTES = bytes(value for value in (*range(0x20), 0x7F) if value != 0x0A)
LEVEL = 6  # zlib level: 9 saves about 1 % on file names and takes several times as long


def encode_text(value: object, what: str, limit: int) -> bytes:
    """``value`` as UTF-8.

    Raises:
        InvalidInputError: no string, no valid Unicode, longer than ``limit`` bytes, or with control characters.
    """
    if not isinstance(value, str):
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} is {type(value).__name__}, not a string")
    try:
        data = value.encode()
    except UnicodeEncodeError:
        message = f"{what} {value[:80]!a} holds a lone surrogate and has no UTF-8 form: rename it"
        raise error(ErrorCode.INVALID_ARGUMENT, message) from None
    if len(data) > limit:
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} {value[:40]!r}... has {len(data)} bytes, at most {limit} fit")
    # isprintable is the quick test for the common case; it also refuses harmless characters
    if not value.isprintable() and _CONTROL.search(value):
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} {value[:80]!r} holds a control character: rename it")
    return data


def pack(text: bytes) -> bytes:
    """``text`` as a zlib stream where that is shorter, else as it is."""
    packed = zlib.compress(text, LEVEL)
    return packed if len(packed) < len(text) else text


def unpack(packed: bytes, length: int, *, offset: int) -> bytes:
    """Inverse of :func:`pack`; never holds more than ``length + 1`` bytes of output.

    Raises:
        CorruptError: the stream is no single zlib stream of exactly ``length`` bytes.
    """
    if len(packed) == length:
        return packed
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(packed, length + 1)
    except zlib.error as problem:
        raise _corrupt(f"zlib stream cannot be read: {problem}", offset, "keys") from None
    if len(text) != length or not stream.eof or stream.unused_data or stream.unconsumed_tail:
        raise _corrupt(f"zlib stream does not hold exactly {length} bytes", offset, "keys")
    return text


def split_lines(
    text: bytes, count: int, *, offset: int, section: str, first: int = 0, allow_empty: bool = False
) -> list[bytes]:
    """The ``count`` lines of ``text``, each ended by a line feed, checked.

    Args:
        first: number of the first line, for messages.
        allow_empty: whether a line may hold nothing (group names) or not (keys).

    Raises:
        CorruptError: wrong number of lines, no UTF-8, control characters, empty or over-long lines.
    """
    if text.count(b"\n") != count or (count and text[-1] != 0x0A):
        raise _corrupt(f"text does not hold exactly {count} lines", offset, section)
    lines = text.split(b"\n")
    lines.pop()
    lengths = [*map(len, lines)]
    if not allow_empty and min(lengths, default=1) == 0:
        raise _corrupt(f"entry {first + lengths.index(0)} is empty", offset, section)
    if max(lengths, default=0) > MAX_KEY_BYTES:
        raise _corrupt(f"entry {first + lengths.index(max(lengths))} is over-long", offset, section)
    if len(text.translate(None, _CONTROL_BYTES)) != len(text):
        raise _corrupt(f"entry {first + _first_bad(lines)} holds a control character", offset, section)
    if not text.isascii():
        if not _is_utf8(text):
            raise _corrupt(f"entry {first + _first_bad(lines)} is not UTF-8", offset, section)
        if _C1_BYTES.search(text):
            raise _corrupt(f"entry {first + _first_bad(lines)} holds a control character", offset, section)
    return lines


def duplicate_in(lines: Sequence[bytes]) -> tuple[int, int] | None:
    """Positions of the first line that repeats an earlier one, as (earlier, later), or None."""
    if len(set(lines)) == len(lines):
        return None
    seen: dict[bytes, int] = {}
    for position, line in enumerate(lines):
        if line in seen:
            return seen[line], position
        seen[line] = position
    return None


def is_clean(data: bytes) -> bool:
    """Whether ``data`` is UTF-8 without control characters."""
    try:
        return not _CONTROL.search(data.decode())
    except UnicodeDecodeError:
        return False


def _is_utf8(text: bytes) -> bool:
    """Whether ``text`` decodes, without holding it decoded (up to four times as large)."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), 1 << 16):
            decoder.decode(text[start : start + (1 << 16)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _first_bad(lines: Sequence[bytes]) -> int:
    return next(position for position, line in enumerate(lines) if not is_clean(line))


def _corrupt(message: str, offset: int, section: str) -> Exception:
    return error(ErrorCode.MANIFEST_CORRUPT, message, offset=offset, section=section)
