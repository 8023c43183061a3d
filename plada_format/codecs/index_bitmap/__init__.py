"""index-bitmap (SPEC.md 6.1)."""

from __future__ import annotations

import numpy as np

from ..._types import U32, Bytes
from ...accel import backend
from ...engines import bits
from ...engines.stream import Stream
from ...errors import ErrorCode


def bitmap(indices: U32, pool_size: int) -> Bytes:
    """ceil(N / 8) bytes, one bit per pool image."""
    out = np.zeros((pool_size + 7) // 8, np.uint8)
    kernels = backend(len(indices))
    if kernels is not None:
        kernels.bitmap_fill(indices, out)
        return out
    byte = indices >> np.uint32(3)
    starts = np.flatnonzero(np.diff(byte, prepend=byte[0] ^ np.uint32(1)))
    out[byte[starts]] = np.bitwise_or.reduceat(np.uint8(1) << (indices & np.uint32(7)).astype(np.uint8), starts)
    return out


def from_bitmap(st: Stream, buf: Bytes, pool_size: int, count: int, *, at: int = 0) -> U32:
    """Positions of the one bits; padding and their number are checked. ``at``: stream offset for messages."""
    if pool_size & 7 and int(buf[-1]) >> (pool_size & 7):
        st.fail(ErrorCode.PADDING, "padding bits of the bitmap are not zero", at=at)
    kernels = backend(count)
    if kernels is not None:
        out = np.empty(count, np.uint32)
        aligned = buf if buf.ctypes.data % 8 == 0 else _read_only(buf.copy())  # numba types depend on alignment
        words = aligned[: len(buf) & ~7].view("<i8").astype(np.int64, copy=False)
        found = int(kernels.bitmap_scan(aligned, words, out))
    else:
        positions = bits.bit_positions(buf, count + 1)
        found, out = len(positions), positions.astype(np.uint32)
    if found != count:
        more = "more" if found < 0 or found > count else "fewer"
        st.fail(ErrorCode.INDEX_RANGE, f"the bitmap has {more} one bits than the {count} of the header", at=at)
    return out


def _read_only(buf: Bytes) -> Bytes:
    buf.flags.writeable = False
    return buf


class Codec:
    """One bit for every pool image."""

    id = 0x00
    name = "bitmap"
    profile = "baseline"

    def encode(self, indices: U32, pool_size: int, parameters: None = None) -> bytes:
        return bitmap(indices, pool_size).tobytes()

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, None]:
        buf = st.take((pool_size + 7) // 8, "the bitmap")
        st.finish()
        return from_bitmap(st, buf, pool_size, count), None


CODEC = Codec()
