"""index-runs (SPEC.md 6.3)."""

from __future__ import annotations

import numpy as np

from ..._types import U32
from ...accel import backend
from ...engines import intblock
from ...engines.stream import Stream, varint_bytes
from ...errors import ErrorCode


class Codec:
    """Alternating stretches of unkept and kept images."""

    id = 0x02
    name = "runs"
    profile = "baseline"

    def encode(self, indices: U32, pool_size: int, parameters: tuple[int, int | None] | None = None) -> bytes:
        first = np.flatnonzero(np.diff(indices, prepend=indices[0]) != 1)  # index 0 always starts a run
        starts = indices[first].astype(np.int64)
        lengths = np.diff(first, append=len(indices))
        skipped = np.diff(starts, prepend=0)
        skipped[1:] -= lengths[:-1] + 1
        p_skipped, p_lengths = parameters or (None, None)
        out = varint_bytes(len(starts)) + intblock.encode(skipped, p_skipped)
        return out + intblock.encode(lengths[:-1] - 1, p_lengths) if len(starts) > 1 else out

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, tuple[int, int | None]]:
        runs = st.varint("the number of runs")
        if not 1 <= runs <= count:
            st.fail(ErrorCode.PARAMETER, f"{runs} runs for {count} images", at=0)
        skipped, p_skipped = intblock.decode(st, runs)
        lengths, p_lengths = intblock.decode(st, runs - 1) if runs > 1 else (np.zeros(0, np.uint32), None)
        st.finish()
        last = count - int(lengths.sum(dtype=np.uint64)) - (runs - 1)
        if last < 1:
            st.fail(ErrorCode.INDEX_RANGE, f"runs of more than {count} images", at=0)
        if count + int(skipped.sum(dtype=np.uint64)) + runs - 1 > pool_size:
            st.fail(ErrorCode.INDEX_RANGE, f"indices reach beyond the pool of {pool_size} images", at=0)
        return _expand(skipped, np.append(lengths, np.uint32(last - 1)), count), (p_skipped, p_lengths)


def _expand(skipped: U32, lengths: U32, count: int) -> U32:
    """Indices of runs given as coded (first skip as it is, all else minus 1), whose sums have been checked."""
    kernels = backend(count)
    if kernels is not None:
        out = np.empty(count, np.uint32)
        kernels.runs_expand(skipped, lengths, out)
        return out
    out = np.ones(count, np.uint32)
    out[0] = skipped[0]
    starts = np.cumsum(lengths[:-1], dtype=np.int64) + np.arange(1, len(lengths))
    out[starts] = skipped[1:] + np.uint32(2)
    return np.cumsum(out, dtype=np.uint32)


CODEC = Codec()
