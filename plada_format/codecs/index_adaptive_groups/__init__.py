"""index-adaptive-groups (SPEC.md 6.8)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import U32
from ...engines import adaptive
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """How many images of each of the pool's groups are kept, then which; ``groups`` are the groups' start offsets."""

    id = 0x09
    name = "adaptive-groups"
    profile = "compact"

    def encode(self, indices: U32, pool_size: int, parameters: None = None, *, groups: U32) -> bytes:
        return adaptive.encode(
            len(indices), lambda coder: adaptive.index_groups(coder, pool_size, groups, coder.numbers(indices))
        )

    def decode(self, st: Stream, pool_size: int, count: int, *, groups: U32) -> tuple[U32, None]:
        coder = adaptive.Coder(count, source=st)
        values: Any = coder.numbers(np.zeros(count, np.uint32))
        if adaptive.index_groups(coder, pool_size, groups, values):
            st.fail(ErrorCode.INDEX_RANGE, "a count or a position is outside its group", at=len(st.buf))
        coder.check_end(st)
        return np.asarray(values, np.uint32), None


CODEC = Codec()
