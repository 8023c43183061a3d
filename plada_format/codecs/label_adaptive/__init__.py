"""label-adaptive (SPEC.md 7.6)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..._types import U16, U32
from ...engines import adaptive
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """Labels by binary arithmetic coding; contexts are the indices' gaps and the labels before."""

    id = 0x28
    name = "adaptive"
    profile = "compact"

    def encode(
        self, labels: U16, alphabet: int, parameters: None = None, *, indices: U32, pool_size: int | None = None
    ) -> bytes:
        return adaptive.encode(
            len(labels), lambda coder: adaptive.labels(coder, alphabet, indices, coder.numbers(labels), None)
        )

    def decode(
        self, st: Stream, alphabet: int, count: int, *, indices: U32, pool_size: int | None = None
    ) -> tuple[U16, None]:
        coder = adaptive.Coder(count, source=st)
        values: Any = coder.numbers(np.zeros(count, np.uint32))
        if adaptive.labels(coder, alphabet, indices, values, None):
            st.fail(ErrorCode.NON_CANONICAL, "a label is not written the short way", at=len(st.buf))
        coder.check_end(st)
        return np.asarray(values).astype(np.uint16), None


CODEC = Codec()
