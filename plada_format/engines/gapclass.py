"""Gap classes and the geometric frequency table of index-rans (SPEC.md 6.4)."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from .._types import I64, U16, U32, AnyArray
from ..accel import backend
from ..errors import ErrorCode
from . import bits
from .huffman import SymbolSet
from .rans import FrequencyTable
from .stream import Stream

CLASSES = 124
PRECISION = 16
_HALVING = (
    65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341,
    44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768,
)  # fmt: skip


#: lo(c), the smallest gap of every class
LOWEST = tuple(c if c < 8 else (4 + c % 4) << (c // 4 - 1) for c in range(CLASSES))


def survival(a: int, half_life: int) -> int:
    """S(a): 65536 times the modelled probability of a gap of at least ``a``."""
    z = (a << 20) // half_life
    if z >= 17 << 12:
        return 0
    i, t = (z >> 8) % 16, z % 256
    return (_HALVING[i] - ((_HALVING[i] - _HALVING[i + 1]) * t >> 8)) >> (z >> 12)


def geometric_table(pool_size: int, count: int, half_life: int) -> FrequencyTable:
    """The table computed from P = ``half_life`` >= 1 (in 1/256 gaps)."""
    n = bisect_right(LOWEST, pool_size - count)
    cumulative = [((65536 - survival(low, half_life)) * (65536 - n) >> 16) + c for c, low in enumerate(LOWEST[:n])]
    cumulative.append(65536)
    return FrequencyTable(SymbolSet(np.arange(n)), PRECISION, np.diff(cumulative).astype(np.int64))


def geometric_half_life(pool_size: int, count: int) -> int:
    """The encoder's P for an unstructured set: the half-life of the gaps' geometric distribution, in 1/256."""
    return min(max(round(256 * math.log(2) / math.log1p(count / (pool_size - count))), 1), 2**32 - 1)


def split(gaps: U32) -> tuple[U16, AnyArray, AnyArray]:
    """Class, number of raw bits and raw bits of every gap."""
    kernels = backend(len(gaps))
    if kernels is not None:
        classes, widths = np.empty(len(gaps), np.uint16), np.empty(len(gaps), np.uint8)
        raw = np.empty(len(gaps), np.uint32)
        kernels.gap_split(gaps, classes, widths, raw)
        return classes, widths, raw
    wide = gaps.astype(np.int64)
    width64 = np.maximum(bits.bit_length(wide) - 3, 0)  # e - 2
    large = wide >= 8
    classes64 = np.where(large, 4 * width64 + 4 + ((wide >> width64) & 3), wide)
    width64[~large] = 0
    return classes64.astype(np.uint16), width64.astype(np.uint8), wide & ((np.int64(1) << width64) - 1)


def pack_raw(widths: AnyArray, raw: AnyArray) -> bytes:
    """The raw bits of all gaps, padded."""
    kernels = backend(len(widths))
    if kernels is not None:
        out = np.zeros((int(widths.sum(dtype=np.int64)) + 7) // 8, np.uint8)
        kernels.raw_encode(widths, raw, out)
        return out.tobytes()
    return bits.pack(bits.variable_bits(raw, widths))


def read_raw(st: Stream, classes: U16) -> U32:
    """Gaps from their classes and the raw bits at the stream's position."""
    gaps = np.empty(len(classes), np.uint32)
    kernels = backend(len(classes))
    start = 8 * st.pos
    if kernels is not None:
        end = int(kernels.raw_decode(st.buf, start, classes, gaps))
    else:
        end = start
        for part in bits.chunks(len(classes)):
            c = classes[part].astype(np.int64)
            widths: I64 = np.where(c < 8, 0, (c >> 2) - 1)
            at = end + np.cumsum(widths) - widths
            end = int(at[-1] + widths[-1])
            if end > 8 * len(st.buf):
                end = -1
                break
            raw = bits.gather(st.buf, np.minimum(at, 8 * len(st.buf) - 1), widths) if len(st.buf) else np.zeros_like(c)
            gaps[part] = np.where(c < 8, c, (4 + (c & 3)) << widths) + raw
    if end < 0:
        st.missing("the raw bits of gaps")
    st.end_padding(end, "raw bits of gaps")
    return gaps


def gaps_of(indices: U32) -> U32:
    """g_0 = i_0, g_j = i_j - i_(j-1) - 1."""
    gaps = np.empty(len(indices), np.uint32)
    gaps[0] = indices[0]
    np.subtract(indices[1:], indices[:-1], out=gaps[1:])
    gaps[1:] -= np.uint32(1)
    return gaps


def indices_from(st: Stream, gaps: U32, pool_size: int) -> U32:
    """Running sum of the gaps; the last index must be below ``pool_size``."""
    if len(gaps) + int(gaps.sum(dtype=np.uint64)) > pool_size:
        st.fail(ErrorCode.INDEX_RANGE, f"indices reach beyond the pool of {pool_size} images", at=0)
    out = np.cumsum(gaps, dtype=np.uint32)
    out += np.arange(len(gaps), dtype=np.uint32)
    return out
