"""label-adaptive (SPEC.md 7.6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import U16, U32
from ...engines import adaptive
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """Labels by binary arithmetic coding: by their frequencies so far (mode 0), or with mixed contexts, which are the
    indices' gaps and the labels before (mode 1). ``parameters`` is the mode.
    """

    id = 0x28
    name = "adaptive"
    profile = "compact"

    def encode(
        self, labels: U16, alphabet: int, parameters: int | None = None, *, indices: U32, pool_size: int | None = None
    ) -> bytes:
        if parameters is not None:
            return self._encode(labels, alphabet, parameters, indices)
        mixed = self._encode(labels, alphabet, 1, indices)
        if len(mixed) < 0.98 * adaptive.entropy(labels):  # mode 0 cannot win
            return mixed
        return min(mixed, self._encode(labels, alphabet, 0, indices), key=len)

    @staticmethod
    def _encode(labels: U16, alphabet: int, mode: int, indices: U32) -> bytes:
        def run(coder: adaptive.Coder) -> int:
            coder.flag(mode)
            return adaptive.labels(coder, mode, alphabet, indices, coder.numbers(labels), None)

        return adaptive.encode(len(labels), run)

    def decode(
        self, st: Stream, alphabet: int, count: int, *, indices: U32, pool_size: int | None = None
    ) -> tuple[U16, int]:
        coder = adaptive.Coder(count, source=st)
        mode = coder.flag()
        values: Any = coder.numbers(np.zeros(count, np.uint32))
        if adaptive.labels(coder, mode, alphabet, indices, values, None):
            st.fail(ErrorCode.NON_CANONICAL, "a label is not written the short way", at=len(st.buf))
        coder.check_end(st)
        return np.asarray(values).astype(np.uint16), mode


CODEC = Codec()
