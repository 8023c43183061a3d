"""Byte layouts of index sets and labels that a general compressor is given, each with its inverse.

Gaps are ``index - previous - 1`` with -1 before the first index, so that adjacent images give 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .selections import Selection

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Facts:
    """What a decoder is told for nothing: pool size, count, classes, bytes per gap; the indices, for labels."""

    pool_size: int
    count: int
    num_classes: int
    gap_width: int
    indices: NDArray[np.uint32]

    @property
    def label_width(self) -> int:
        """Bytes per label."""
        return 1 if self.num_classes <= 256 else 2


@dataclass(frozen=True)
class Layout:
    """A named way to write one of the two streams as bytes, and back to uint32 indices or uint16 labels."""

    name: str
    stream: str  # "index" or "label"
    pack: Callable[[Selection], bytes]
    unpack: Callable[[bytes, Facts], Array]
    width: Callable[[Facts], int]  # bytes per element, for compressors that ask


def gaps_of(indices: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Gaps less one, uint32 (k,)."""
    return (np.diff(indices.astype(np.int64), prepend=-1) - 1).astype(np.uint32)


def indices_of(gaps: Array) -> NDArray[np.uint32]:
    """Inverse of :func:`gaps_of` for gaps of any unsigned width."""
    indices = np.cumsum(gaps, dtype=np.uint32)
    indices += np.arange(len(indices), dtype=np.uint32)
    return indices


def facts_of(selection: Selection) -> Facts:
    """The side information of a selection."""
    largest = int(gaps_of(selection.indices).max(initial=0))
    width = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
    return Facts(selection.pool_size, len(selection.indices), selection.num_classes, width, selection.indices)


def narrow_gaps(selection: Selection) -> Array:
    """Gaps in the smallest of uint8, uint16, uint32 that holds all."""
    return gaps_of(selection.indices).astype(f"<u{facts_of(selection).gap_width}")


def narrow_labels(selection: Selection) -> Array:
    """Labels as uint8 for up to 256 classes, else uint16."""
    return selection.labels.astype("u1" if selection.num_classes <= 256 else "<u2")


def to_planes(values: Array) -> bytes:
    """All lowest bytes, then all second bytes, and so on."""
    return values.view(np.uint8).reshape(-1, values.itemsize).T.tobytes() if len(values) else b""


def from_planes(data: bytes, width: int) -> Array:
    """Inverse of :func:`to_planes`."""
    if width == 1:
        return np.frombuffer(data, np.uint8)
    return np.ascontiguousarray(np.frombuffer(data, np.uint8).reshape(width, -1).T).view(f"<u{width}").ravel()


def to_leb128(values: NDArray[np.uint32]) -> bytes:
    """Variable-length integers, seven bits a byte, lowest first."""
    sizes = np.ones(len(values), np.int64)
    for bits in (7, 14, 21, 28):
        sizes += values >= np.uint32(1 << bits)
    ends = np.cumsum(sizes)
    out = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    starts = ends - sizes
    for place in range(5):
        here = sizes > place
        if not here.any():
            break
        more = (sizes[here] > place + 1).astype(np.uint8) << 7
        out[starts[here] + place] = ((values[here] >> np.uint32(7 * place)) & 127).astype(np.uint8) | more
    return out.tobytes()


def from_leb128(data: bytes) -> NDArray[np.uint32]:
    """Inverse of :func:`to_leb128`."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    values = (raw[starts] & 127).astype(np.uint32)
    sizes = ends - starts
    where = np.flatnonzero(sizes)
    place = 1
    while len(where):
        values[where] |= (raw[starts[where] + place] & 127).astype(np.uint32) << np.uint32(7 * place)
        place += 1
        where = where[sizes[where] >= place]
    return values


def _bitmap(selection: Selection) -> bytes:
    mask = np.zeros(selection.pool_size, np.uint8)
    mask[selection.indices] = 1
    return np.packbits(mask, bitorder="little").tobytes()


def _from_bitmap(data: bytes, facts: Facts) -> Array:
    raw = np.frombuffer(data, np.uint8)
    where = np.flatnonzero(raw)  # most bytes are zero: unpack only the others
    bits = np.unpackbits(raw[where], bitorder="little").reshape(-1, 8)
    row, column = np.nonzero(bits)
    return (where[row] * 8 + column).astype(np.uint32)


INDEX_LAYOUTS = (
    Layout("bitmap", "index", _bitmap, _from_bitmap, lambda facts: 1),
    Layout(
        "gaps",
        "index",
        lambda s: narrow_gaps(s).tobytes(),
        lambda data, facts: indices_of(np.frombuffer(data, f"<u{facts.gap_width}")),
        lambda facts: facts.gap_width,
    ),
    Layout(
        "planes",
        "index",
        lambda s: to_planes(narrow_gaps(s)),
        lambda data, facts: indices_of(from_planes(data, facts.gap_width)),
        lambda facts: 1,
    ),
    Layout(
        "leb128",
        "index",
        lambda s: to_leb128(gaps_of(s.indices)),
        lambda data, facts: indices_of(from_leb128(data)),
        lambda facts: 1,
    ),
)

LABEL_LAYOUTS = (
    Layout(
        "bytes",
        "label",
        lambda s: narrow_labels(s).tobytes(),
        lambda data, facts: np.frombuffer(data, f"<u{facts.label_width}").astype(np.uint16),
        lambda facts: facts.label_width,
    ),
    Layout(
        "planes",
        "label",
        lambda s: to_planes(narrow_labels(s)),
        lambda data, facts: from_planes(data, facts.label_width).astype(np.uint16),
        lambda facts: 1,
    ),
)
