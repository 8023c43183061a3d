"""index-adaptive (SPEC.md 6.7)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import U32
from ...engines import adaptive
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """Gaps by binary arithmetic coding: without a model of structure (mode 0), or with mixed contexts (mode 1).

    ``parameters`` is the mode.
    """

    id = 0x08
    name = "adaptive"
    profile = "compact"

    def encode(self, indices: U32, pool_size: int, parameters: int | None = None) -> bytes:
        if parameters is not None:
            return self._encode(indices, pool_size, parameters)
        mixed = self._encode(indices, pool_size, 1)
        if len(mixed) < 0.98 * adaptive.bound(pool_size, len(indices)):  # mode 0 cannot win
            return mixed
        return min(mixed, self._encode(indices, pool_size, 0), key=len)

    @staticmethod
    def _encode(indices: U32, pool_size: int, mode: int) -> bytes:
        def run(coder: adaptive.Coder) -> int:
            coder.flag(mode)
            return adaptive.index(coder, mode, pool_size, coder.numbers(indices))

        return adaptive.encode(len(indices), run)

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, int]:
        coder = adaptive.Coder(count, source=st)
        mode = coder.flag()
        values: Any = coder.numbers(np.zeros(count, np.uint32))
        if adaptive.index(coder, mode, pool_size, values):
            st.fail(ErrorCode.INDEX_RANGE, f"an index is not below the pool size {pool_size}", at=len(st.buf))
        coder.check_end(st)
        return np.asarray(values, np.uint32), mode


CODEC = Codec()
