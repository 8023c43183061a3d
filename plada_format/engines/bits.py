"""Bit fields with NumPy (SPEC.md section 2, "Bits"); the array counterpart of the scalar kernels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .._types import I64, U32, AnyArray, Bytes

CHUNK = 1 << 16  # values handled at once: bounds temporary memory to a few MiB


def chunks(n: int, size: int = CHUNK) -> Iterator[slice]:
    """Consecutive slices that cover 0..n-1."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def gather(buf: Bytes, positions: I64, widths: int | AnyArray) -> AnyArray:
    """Fields at bit ``positions`` of ``widths`` (0..32) bits as int64; all must lie in ``buf``."""
    byte = positions >> 3
    last = len(buf) - 1
    longest = int(widths) if isinstance(widths, int) else int(widths.max(initial=0))
    value = np.zeros(len(positions), np.int64)
    if longest:
        for n in range((longest + 14) // 8):
            value |= buf[np.minimum(byte + n, last)].astype(np.int64) << (8 * n)
        value >>= positions & 7
        value &= (np.int64(1) << np.asarray(widths, np.int64)) - 1
    return value


def fixed_bits(values: AnyArray, width: int) -> Bytes:
    """Fields of equal width as an array of single bits (uint8 0 or 1)."""
    out = np.empty((len(values), width), np.uint8)
    for bit in range(width):
        out[:, bit] = (values >> bit) & 1
    return out.reshape(-1)


def variable_bits(values: AnyArray, widths: AnyArray) -> Bytes:
    """Fields of different widths (0..32) as an array of single bits."""
    parts = []
    for part in chunks(len(values)):
        w = widths[part].astype(np.int64)
        ends = np.cumsum(w)
        total = int(ends[-1])
        offset = np.arange(total) - np.repeat(ends - w, w)
        parts.append(((np.repeat(values[part].astype(np.int64), w) >> offset) & 1).astype(np.uint8))
    return np.concatenate(parts) if parts else np.zeros(0, np.uint8)


def pack(bits: Bytes) -> bytes:
    """Single bits to bytes, least significant first, zero padding."""
    return np.packbits(bits, bitorder="little").tobytes()


def bit_positions(buf: Bytes, limit: int) -> I64:
    """Positions of the one bits of ``buf``; stops after the piece that reaches ``limit`` of them."""
    found: list[I64] = []
    count = 0
    for part in chunks(len(buf), 1 << 14):  # hostile bytes may all be 0xff: 8 positions of 8 bytes each, several times
        piece = buf[part]
        byte = np.flatnonzero(piece)
        ones = np.flatnonzero(np.unpackbits(piece[byte], bitorder="little"))
        found.append(8 * (byte[ones >> 3] + part.start) + (ones & 7))
        count += len(ones)
        if count >= limit:
            break
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def bit_length(values: AnyArray) -> AnyArray:
    """Bit lengths of non-negative integers below 2**53, as int64."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def unpack_fields(buf: Bytes, start: int, width: int, n: int) -> U32:
    """``n`` fields of ``width`` bits from bit ``start``, all within ``buf``."""
    out = np.empty(n, np.uint32)
    for part in chunks(n):
        positions = start + width * np.arange(part.start, part.stop, dtype=np.int64)
        out[part] = gather(buf, positions, width)
    return out
