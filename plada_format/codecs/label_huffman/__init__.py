"""label-huffman (SPEC.md 7.2)."""

from __future__ import annotations

from ..._types import U16
from ...engines import huffman
from ...engines.stream import Stream


class Codec:
    """Canonical Huffman code of at most 16 bits."""

    id = 0x21
    name = "huffman"
    profile = "baseline"

    def encode(self, labels: U16, alphabet: int, parameters: huffman.HuffmanTable | None = None) -> bytes:
        return huffman.encode(labels, alphabet, parameters)

    def decode(self, st: Stream, alphabet: int, count: int) -> tuple[U16, huffman.HuffmanTable]:
        labels, table = huffman.decode(st, alphabet, count)
        st.finish()
        return labels, table


CODEC = Codec()
