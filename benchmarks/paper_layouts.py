"""The byte layouts of the PLADA paper (arXiv 2602.23358, Appendix E), as far as its tables let one recover them.

Two representations of the kept indices, ``idx`` (a list) and ``bmp`` (a bit mask over the pool), each at four stages:

=======  =========================================================  =======================================
stage    idx                                                        bmp
=======  =========================================================  =======================================
raw      k uint32 indices, k uint16 labels                          ceil(N/8) mask bytes, k uint16 labels
compact  k gaps of one width for all (1, 2 or 4 bytes by the        mask, k labels of 1 or 2 bytes
         largest gap), k labels of 1 byte if K <= 256 else 2
huffman  an order-0 Huffman code over the bytes of compact          the same over the bytes of its mask
zstd     Zstandard level 19 over compact                            the same
=======  =========================================================  =======================================

Raw and Compact reproduce the paper's cells (see :mod:`benchmarks.check_paper`). What the paper leaves open is settled
in the way that suits the competitor: Huffman and Zstd may code the index bytes and the label bytes apart or in one
run, whichever is smaller, and Huffman's table costs what a decoder needs at least: ``min(256, 1 + 2 * distinct)``
bytes per table (256 code lengths, or a count and (symbol, length) pairs). The same size without any table is reported
as ``huffman_*_bare``. A byte string with only one distinct value costs one bit per byte, which is also what the
paper's masks show (never below N/64 bytes).
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping

import numpy as np
import zstandard
from numpy.typing import NDArray

from .selections import Selection

#: The stages that the paper sends: Huffman (table counted) and Zstd-19.
COMPRESSED = ("huffman_idx", "huffman_bmp", "zstd19_idx", "zstd19_bmp")


def gap_bytes(indices: NDArray[np.uint32]) -> bytes:
    """Differences of the indices (the first counted from 0) in the smallest of uint8, uint16, uint32 that holds all."""
    gaps = np.diff(indices.astype(np.int64), prepend=0)
    return gaps.astype(gap_dtype(int(gaps.max(initial=0)))).tobytes()


def gap_dtype(largest: int) -> str:
    """NumPy dtype of the gap array: one width for all gaps."""
    return "u1" if largest < 1 << 8 else "<u2" if largest < 1 << 16 else "<u4"


def mask_bytes(indices: NDArray[np.uint32], pool_size: int) -> bytes:
    """One bit per pool image, most significant bit first."""
    mask = np.zeros(pool_size, np.uint8)
    mask[indices] = 1
    return np.packbits(mask).tobytes()


def label_bytes(labels: NDArray[np.uint16], num_classes: int) -> bytes:
    """One byte per label for up to 256 classes, else two."""
    return labels.astype("u1" if num_classes <= 256 else "<u2").tobytes()


def raw_size(pool_size: int, count: int, layout: str) -> int:
    """Bytes of the Raw stage; ``layout`` is "idx", "bmp" or "all" (no filter: labels only)."""
    return {"idx": 6 * count, "bmp": math.ceil(pool_size / 8) + 2 * count, "all": 2 * pool_size}[layout]


def compact_size(pool_size: int, count: int, label_width: int, gap_width: int | None) -> int:
    """Bytes of the Compact stage: the list with gaps of ``gap_width`` bytes, or the mask where that is None."""
    index = math.ceil(pool_size / 8) if gap_width is None else gap_width * count
    return index + label_width * count


def code_lengths(counts: Mapping[int, int]) -> dict[int, int]:
    """Length in bits of a Huffman code for each symbol with a positive count; a single symbol gets one bit."""
    heap: list[tuple[int, int, tuple[int, ...]]] = [
        (count, symbol, (symbol,)) for symbol, count in counts.items() if count > 0
    ]
    lengths = {symbol: 0 for _, symbol, _ in heap}
    if len(heap) == 1:
        return {heap[0][1]: 1}
    heapq.heapify(heap)
    while len(heap) > 1:
        low, high = heapq.heappop(heap), heapq.heappop(heap)
        merged = low[2] + high[2]
        for symbol in merged:
            lengths[symbol] += 1
        heapq.heappush(heap, (low[0] + high[0], min(low[1], high[1]), merged))
    return lengths


def huffman_size(data: bytes, *, table: bool = True) -> int:
    """Bytes of ``data`` under its own order-0 Huffman code over bytes, with or without the table."""
    if not data:
        return 0
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    present = {symbol: int(count) for symbol, count in enumerate(counts) if count}
    bits = sum(present[symbol] * length for symbol, length in code_lengths(present).items())
    return (bits + 7) // 8 + (min(256, 1 + 2 * len(present)) if table else 0)


def zstd_size(data: bytes, level: int = 19) -> int:
    """Bytes of one Zstandard frame with content size and without checksum."""
    return len(zstandard.ZstdCompressor(level=level).compress(data))


def paper_sizes(selection: Selection) -> dict[str, int]:
    """Bytes of every stage and representation for one selection.

    Keys: ``raw_idx``, ``compact_idx``, ``huffman_idx``, ``huffman_idx_bare``, ``zstd19_idx`` and the same with ``bmp``.
    """
    n, k = selection.pool_size, len(selection.indices)
    labels = label_bytes(selection.labels, selection.num_classes)
    sizes: dict[str, int] = {}
    for layout, index in (("idx", gap_bytes(selection.indices)), ("bmp", mask_bytes(selection.indices, n))):
        sizes[f"raw_{layout}"] = raw_size(n, k, layout)
        sizes[f"compact_{layout}"] = len(index) + len(labels)
        for name, table in ((f"huffman_{layout}", True), (f"huffman_{layout}_bare", False)):
            apart = huffman_size(index, table=table) + huffman_size(labels, table=table)
            sizes[name] = min(apart, huffman_size(index + labels, table=table))
        sizes[f"zstd19_{layout}"] = min(zstd_size(index) + zstd_size(labels), zstd_size(index + labels))
    return sizes


def best_paper_size(sizes: Mapping[str, int]) -> tuple[str, int]:
    """Name and bytes of the smallest of the paper's Huffman (table counted) and Zstd-19 layouts."""
    best = min(COMPRESSED, key=lambda name: sizes[name])
    return best, sizes[best]


def log2_choose(n: int, k: int) -> float:
    """log2 of the number of k-subsets of n, by the log-gamma function; 0 for k = 0 and k = n."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)


def mask_entropy_bytes(n: int, keep: float) -> float:
    """Bytes of n independent bits of probability ``keep``."""
    return -n * (keep * math.log2(keep) + (1 - keep) * math.log2(1 - keep)) / 8
