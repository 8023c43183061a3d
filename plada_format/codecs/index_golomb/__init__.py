"""index-golomb (SPEC.md 6.2)."""

from __future__ import annotations

from ..._types import U32
from ...engines import gapclass, intblock
from ...engines.stream import Stream


class Codec:
    """Gaps as one integer block."""

    id = 0x01
    name = "golomb"
    profile = "baseline"

    def encode(self, indices: U32, pool_size: int, parameters: int | None = None) -> bytes:
        return intblock.encode(gapclass.gaps_of(indices), parameters)

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, int]:
        gaps, parameter = intblock.decode(st, count)
        st.finish()
        return gapclass.indices_from(st, gaps, pool_size), parameter


CODEC = Codec()
