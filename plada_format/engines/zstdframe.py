"""Exactly one strict Zstandard frame (SPEC.md 5.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ErrorCode, error
from .stream import Stream

if TYPE_CHECKING:
    import zstandard

LEVEL = 22
MAX_WINDOW = 1 << 27
MAX_BLOCK = 1 << 17
_MAGIC = b"\x28\xb5\x2f\xfd"


def _library(section: str | None, decoding: bool) -> zstandard:  # type: ignore[valid-type]  # module as a type
    try:
        import zstandard
    except ImportError:
        code = ErrorCode.UNSUPPORTED_CODEC if decoding else ErrorCode.MISSING_DEPENDENCY
        raise error(code, "the package zstandard is not installed", section=section) from None
    return zstandard


def compress(data: bytes, min_match: tuple[int, ...]) -> bytes:
    """The smallest frame (content size, no checksum, no dictionary id) over the given shortest match lengths.

    Level 22 looks for matches of 3 bytes, which pays for text but not for bitmaps and gaps.
    """
    zstd = _library(None, False)
    frames = []
    for length in min_match:
        parameters = zstd.ZstdCompressionParameters.from_level(  # type: ignore[attr-defined]
            LEVEL, source_size=len(data), min_match=length, write_content_size=1, write_checksum=0, write_dict_id=0
        )
        frames.append(bytes(zstd.ZstdCompressor(compression_params=parameters).compress(data)))  # type: ignore[attr-defined]
    return min(frames, key=len)


def decompress(st: Stream, size: int) -> bytes:
    """The rest of the stream as one frame of exactly ``size`` > 0 bytes; allocates no more than that."""
    frame = bytes(st.buf[st.pos :])
    problem = _frame_problem(frame, size)
    if problem:
        st.fail(ErrorCode.ZSTD_FRAME, f"Zstandard frame: {problem}")
    zstd = _library(st.section, True)
    try:
        data = zstd.ZstdDecompressor(max_window_size=2**31).decompress(frame)  # type: ignore[attr-defined]
    except zstd.ZstdError as problem_found:  # type: ignore[attr-defined]
        st.fail(ErrorCode.ZSTD_FRAME, f"Zstandard frame: {problem_found}")
    if len(data) != size:
        st.fail(ErrorCode.ZSTD_FRAME, f"Zstandard frame holds {len(data)} bytes instead of {size}")
    st.pos = len(st.buf)
    return bytes(data)


def _frame_problem(frame: bytes, size: int) -> str | None:
    """Walk frame header and blocks; what is wrong with them, or None."""
    if frame[:4] != _MAGIC:
        return "wrong magic number"
    if len(frame) < 6:
        return "cut off in its header"
    descriptor = frame[4]
    if descriptor & 0x08:
        return "reserved bit set"
    if descriptor & 0x04:
        return "has a checksum"
    if descriptor & 0x03:
        return "has a dictionary id"
    single = bool(descriptor & 0x20)
    at, window = 5, size
    if not single:
        exponent, mantissa = frame[5] >> 3, frame[5] & 7
        window = (1 << (7 + exponent)) * (8 + mantissa)
        if window > MAX_WINDOW:
            return "window above 2^27"
        at = 6
    field = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    if not field:
        return "has no content size"
    if len(frame) < at + field:
        return "cut off in its header"
    declared = int.from_bytes(frame[at : at + field], "little") + (256 if field == 2 else 0)
    if declared != size:
        return f"declares {declared} bytes instead of {size}"
    at += field
    while True:
        if len(frame) < at + 3:
            return "cut off in a block header"
        header = int.from_bytes(frame[at : at + 3], "little")
        kind = header >> 1 & 3
        if kind == 3:
            return "reserved block type"
        if header >> 3 > min(window, MAX_BLOCK):
            return f"block of {header >> 3} bytes"
        at += 3 + (1 if kind == 1 else header >> 3)
        if len(frame) < at:
            return "cut off in a block"
        if header & 1:
            break
    return None if at == len(frame) else f"followed by {len(frame) - at} bytes"
