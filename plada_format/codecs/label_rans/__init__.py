"""label-rans (SPEC.md 7.4)."""

from __future__ import annotations

from ..._types import U16
from ...engines import rans
from ...engines.stream import Stream


class Codec:
    """Static interleaved rANS with a transmitted table."""

    id = 0x23
    name = "rans"
    profile = "baseline"

    def encode(self, labels: U16, alphabet: int, parameters: rans.FrequencyTable | None = None) -> bytes:
        table = parameters or rans.table_for(labels, alphabet)
        return rans.write_table(table, alphabet) + rans.encode(labels, alphabet, table)

    def decode(self, st: Stream, alphabet: int, count: int) -> tuple[U16, rans.FrequencyTable]:
        table = rans.read_table(st, alphabet)
        labels = rans.decode(st, table, count)
        st.finish()
        return labels, table


CODEC = Codec()
