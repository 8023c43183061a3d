"""label-runs (SPEC.md 7.3)."""

from __future__ import annotations

import numpy as np

from ..._types import U16
from ...engines import huffman, intblock
from ...engines.stream import Stream, varint_bytes
from ...errors import ErrorCode

Parameters = tuple[huffman.HuffmanTable, "int | None"]


class Codec:
    """Runs of equal labels: Huffman for the labels, an integer block for the lengths."""

    id = 0x22
    name = "runs"
    profile = "baseline"

    def encode(self, labels: U16, alphabet: int, parameters: Parameters | None = None) -> bytes:
        first = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
        table, p_lengths = parameters or (None, None)
        out = varint_bytes(len(first)) + huffman.encode(labels[first], alphabet, table)
        return out + intblock.encode(np.diff(first) - 1, p_lengths) if len(first) > 1 else out

    def decode(self, st: Stream, alphabet: int, count: int) -> tuple[U16, Parameters]:
        runs = st.varint("the number of runs")
        if not 1 <= runs <= count:
            st.fail(ErrorCode.PARAMETER, f"{runs} runs for {count} labels", at=0)
        values, table = huffman.decode(st, alphabet, runs)
        lengths = np.empty(runs, np.uint64)
        p_lengths = None
        if runs > 1:
            lengths32, p_lengths = intblock.decode(st, runs - 1)
            lengths[:-1] = lengths32
            lengths[:-1] += np.uint64(1)
        st.finish()
        if (values[1:] == values[:-1]).any():
            st.fail(ErrorCode.NON_CANONICAL, "two neighbouring runs have the same label", at=0)
        before_last = int(lengths[:-1].sum())
        if before_last >= count:
            st.fail(ErrorCode.LABEL_RANGE, f"runs of more than {count} labels", at=0)
        lengths[-1] = count - before_last
        return np.repeat(values, lengths.astype(np.int64)), (table, p_lengths)


CODEC = Codec()
