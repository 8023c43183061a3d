"""index-runs (SPEC.md 6.3)."""

from __future__ import annotations

import numpy as np

from ..._types import U32
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
        skipped32, p_skipped = intblock.decode(st, runs)
        lengths = np.empty(runs, np.uint64)
        p_lengths = None
        if runs > 1:
            lengths32, p_lengths = intblock.decode(st, runs - 1)
            lengths[:-1] = lengths32
            lengths[:-1] += np.uint64(1)
        st.finish()
        before_last = int(lengths[:-1].sum())
        if before_last >= count:
            st.fail(ErrorCode.INDEX_RANGE, f"runs of more than {count} images", at=0)
        lengths[-1] = count - before_last
        skipped = skipped32.astype(np.uint64)
        skipped[1:] += np.uint64(1)
        if count + int(skipped.sum()) > pool_size:
            st.fail(ErrorCode.INDEX_RANGE, f"indices reach beyond the pool of {pool_size} images", at=0)
        out = np.ones(count, np.uint32)
        out[0] = skipped[0]
        out[np.cumsum(lengths[:-1]).astype(np.int64)] += skipped[1:].astype(np.uint32)
        return np.cumsum(out, dtype=np.uint32), (p_skipped, p_lengths)


CODEC = Codec()
