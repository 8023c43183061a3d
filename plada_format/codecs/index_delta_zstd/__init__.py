"""index-delta-zstd (SPEC.md 6.5)."""

from __future__ import annotations

import numpy as np

from ..._types import U32
from ...engines import gapclass, zstdframe
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """Gaps of equal width in bytes, as planes or interleaved, in a Zstandard frame."""

    id = 0x10
    name = "delta-zstd"
    profile = "full"

    def encode(self, indices: U32, pool_size: int, parameters: int | None = None) -> bytes:
        gaps = gapclass.gaps_of(indices)
        width = max((int(gaps.max()).bit_length() + 7) // 8, 1)
        table = gaps.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width]
        layouts = (0, 1) if parameters is None and width > 1 else ((parameters or 0) >> 4,)
        streams = [
            bytes([layout << 4 | width]) + zstdframe.compress((table if layout else table.T).tobytes(), (6,))
            for layout in layouts
        ]
        return min(streams, key=len)

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, int]:
        parameter = st.u8("the layout byte")
        width, layout = parameter & 15, parameter >> 4
        if not 1 <= width <= 4 or layout > 1 or (layout and width == 1):
            st.fail(ErrorCode.PARAMETER, f"layout byte {parameter:#04x}", at=0)
        data = np.frombuffer(zstdframe.decompress(st, width * count), np.uint8)
        table = np.zeros((count, 4), np.uint8)
        table[:, :width] = data.reshape(count, width) if layout else data.reshape(width, count).T
        gaps = table.view("<u4").reshape(-1).astype(np.uint32)
        if width > 1 and int(gaps.max()) >> (8 * (width - 1)) == 0:
            st.fail(ErrorCode.NON_CANONICAL, f"gaps take {width} bytes but fit in {width - 1}", at=0)
        return gapclass.indices_from(st, gaps, pool_size), parameter


CODEC = Codec()
