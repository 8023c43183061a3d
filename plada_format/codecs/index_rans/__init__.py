"""index-rans (SPEC.md 6.4)."""

from __future__ import annotations

import numpy as np

from ..._types import U32
from ...engines import gapclass, rans
from ...engines.stream import Stream, varint_bytes


def _others(indices: U32, pool_size: int) -> U32:
    """The images of the pool that are not listed."""
    rest = np.ones(pool_size, bool)
    rest[indices] = False
    return np.flatnonzero(rest).astype(np.uint32)


class Codec:
    """Gap classes by static rANS, with a transmitted or a geometric table; raw bits beside."""

    id = 0x03
    name = "rans"
    profile = "baseline"

    def encode(self, indices: U32, pool_size: int, parameters: tuple[int, rans.FrequencyTable] | None = None) -> bytes:
        if 2 * len(indices) > pool_size:
            indices = _others(indices, pool_size)
        classes, widths, raw = gapclass.split(gapclass.gaps_of(indices))
        if parameters:
            half_life, table = parameters
        else:
            half_life, table = self._smaller(classes, pool_size)
        head = varint_bytes(half_life) + (b"" if half_life else rans.write_table(table, gapclass.CLASSES))
        return head + rans.encode(classes, gapclass.CLASSES, table) + gapclass.pack_raw(widths, raw)

    @staticmethod
    def _smaller(
        classes: np.ndarray[tuple[int], np.dtype[np.uint16]], pool_size: int
    ) -> tuple[int, rans.FrequencyTable]:
        """Geometric or transmitted table, by estimated size."""
        counts = np.bincount(classes, minlength=gapclass.CLASSES)
        half_life = gapclass.geometric_half_life(pool_size, len(classes))
        geometric = gapclass.geometric_table(pool_size, len(classes), half_life)
        fixed = 8 * len(varint_bytes(half_life)) + float(
            (counts[: len(geometric.frequencies)] * (geometric.precision - np.log2(geometric.frequencies))).sum()
        )
        sent = rans.table_for(classes, gapclass.CLASSES)
        used = counts[sent.members.symbols]
        cost = 8.0 + 8 * len(rans.write_table(sent, gapclass.CLASSES))
        if sent.precision:
            cost += float((used * (sent.precision - np.log2(sent.frequencies))).sum())
        return (0, sent) if cost < fixed else (half_life, geometric)

    def decode(self, st: Stream, pool_size: int, count: int) -> tuple[U32, tuple[int, rans.FrequencyTable]]:
        dense = 2 * count > pool_size
        if dense:
            count = pool_size - count
        half_life = st.varint("the half-life of index-rans")
        if half_life:
            table = gapclass.geometric_table(pool_size, count, half_life)
        else:
            table = rans.read_table(st, gapclass.CLASSES)
        classes = rans.decode(st, table, count)
        gaps = gapclass.read_raw(st, classes)
        st.finish()
        indices = gapclass.indices_from(st, gaps, pool_size)
        return _others(indices, pool_size) if dense else indices, (half_life, table)


CODEC = Codec()
