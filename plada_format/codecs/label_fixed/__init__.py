"""label-fixed (SPEC.md 7.1)."""

from __future__ import annotations

import numpy as np

from ..._types import U16
from ...accel import backend
from ...engines import bits
from ...engines.stream import Stream
from ...errors import ErrorCode


class Codec:
    """ceil(log2 A) bits per label."""

    id = 0x20
    name = "fixed"
    profile = "baseline"

    def encode(self, labels: U16, alphabet: int, parameters: None = None) -> bytes:
        width = (alphabet - 1).bit_length()
        kernels = backend(len(labels))
        if kernels is not None:
            out = np.zeros((len(labels) * width + 7) // 8, np.uint8)
            kernels.fields_encode(labels.astype(np.uint32), width, out)
            return out.tobytes()
        # pieces of a multiple of 8 labels end on byte boundaries
        return b"".join(bits.pack(bits.fixed_bits(labels[part], width)) for part in bits.chunks(len(labels)))

    def decode(self, st: Stream, alphabet: int, count: int) -> tuple[U16, None]:
        width = (alphabet - 1).bit_length()
        start = 8 * st.pos
        st.take((count * width + 7) // 8, "the labels")
        st.finish()
        st.end_padding(start + count * width, "labels")
        kernels = backend(count)
        if kernels is not None:
            wide = np.empty(count, np.uint32)
            kernels.fields_decode(st.buf, start, width, wide)
        else:
            wide = bits.unpack_fields(st.buf, start, width, count)
        if int(wide.max()) >= alphabet:
            entry = int(np.argmax(wide >= alphabet))
            st.fail(ErrorCode.LABEL_RANGE, f"label {wide[entry]} of entry {entry}, the largest is {alphabet - 1}", at=0)
        return wide.astype(np.uint16), None


CODEC = Codec()
