"""label-zstd (SPEC.md 7.5)."""

from __future__ import annotations

import numpy as np

from ..._types import U16
from ...engines import zstdframe
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """Labels of one or two bytes in a Zstandard frame."""

    id = 0x30
    name = "zstd"
    profile = "full"

    def encode(self, labels: U16, alphabet: int, parameters: int | None = None) -> bytes:
        if alphabet <= 256:
            return b"\0" + zstdframe.compress(labels.astype(np.uint8).tobytes(), (3, 4))
        table = labels.astype("<u2").view(np.uint8).reshape(-1, 2)
        streams = [
            bytes([layout]) + zstdframe.compress((table.T if layout else table).tobytes(), (3, 4))
            for layout in ((0, 1) if parameters is None else (parameters,))
        ]
        return min(streams, key=len)

    def decode(self, st: Stream, alphabet: int, count: int) -> tuple[U16, int]:
        planes = st.u8("the layout byte")
        if planes > (alphabet > 256):
            st.fail(ErrorCode.PARAMETER, f"layout byte {planes:#04x}", at=0)
        width = 2 if alphabet > 256 else 1
        data = np.frombuffer(zstdframe.decompress(st, width * count), np.uint8)
        if width == 1:
            labels = data.astype(np.uint16)
        else:
            table = data.reshape(2, count).T if planes else data.reshape(count, 2)
            labels = np.ascontiguousarray(table).view("<u2").reshape(-1).astype(np.uint16)
        if int(labels.max()) >= alphabet:
            entry = int(np.argmax(labels >= alphabet))
            st.fail(
                ErrorCode.LABEL_RANGE, f"label {labels[entry]} of entry {entry}, the largest is {alphabet - 1}", at=0
            )
        return labels, planes


CODEC = Codec()
