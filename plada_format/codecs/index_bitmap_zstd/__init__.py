"""index-bitmap-zstd (SPEC.md 6.6)."""

from __future__ import annotations

import numpy as np

from ..._types import U32
from ...engines import zstdframe
from ...engines.stream import Stream
from ..index_bitmap import bitmap, from_bitmap


class Codec:
    """The bitmap in a Zstandard frame."""

    id = 0x11
    name = "bitmap-zstd"
    profile = "full"

    def encode(self, indices: U32, pool_size: int, parameters: None = None) -> bytes:
        return zstdframe.compress(bitmap(indices, pool_size).tobytes(), (6,))

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, None]:
        buf = np.frombuffer(zstdframe.decompress(st, (pool_size + 7) // 8), np.uint8)
        return from_bitmap(st, buf, pool_size, count), None


CODEC = Codec()
