"""label-adaptive-groups (SPEC.md 7.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import U16, U32
from ...engines import adaptive
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """label-adaptive with the pool's groups as stretches; ``groups`` are the groups' start offsets."""

    id = 0x29
    name = "adaptive-groups"
    profile = "compact"

    def encode(
        self, labels: U16, alphabet: int, parameters: None = None, *, indices: U32, pool_size: int, groups: U32
    ) -> bytes:
        starts = adaptive.check_groups(groups, pool_size)
        return adaptive.encode(
            len(labels), lambda coder: adaptive.labels(coder, 1, alphabet, indices, coder.numbers(labels), starts)
        )

    def decode(
        self, st: Stream, alphabet: int, count: int, *, indices: U32, pool_size: int, groups: U32
    ) -> tuple[U16, None]:
        starts = adaptive.check_groups(groups, pool_size)
        coder = adaptive.Coder(count, source=st)
        values: Any = coder.numbers(np.zeros(count, np.uint32))
        if adaptive.labels(coder, 1, alphabet, indices, values, starts):
            st.fail(ErrorCode.NON_CANONICAL, "a label is not written the short way", at=len(st.buf))
        coder.check_end(st)
        return np.asarray(values).astype(np.uint16), None


CODEC = Codec()
