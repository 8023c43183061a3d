"""A decoded payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ._types import U16, U32
from .container import Header


@dataclass(frozen=True, eq=False)
class Payload:
    """Content and sections of one file; arrays are read-only.

    Equality compares pool size, classes, fingerprint, indices, labels and every ancillary section, not the coding.

    Attributes:
        header: the file's header.
        indices: uint32 (k,), strictly increasing pool indices.
        labels: uint16 (k,), one class for each index.
        class_names: K names, or None.
        metadata: strings by name; empty if the file has none.
        weights: float32 (k,) positive image weights, or None.
        soft_labels: float32 (K, K), row c = class probabilities of the images labelled c, or None.
        extra: bodies of the sections that this version does not interpret (private, newer, signature), by type.
    """

    header: Header
    indices: U32
    labels: U16
    class_names: tuple[str, ...] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    weights: NDArray[np.float32] | None = None
    soft_labels: NDArray[np.float32] | None = None
    extra: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def pool_size(self) -> int:
        """N."""
        return self.header.pool_size

    @property
    def num_classes(self) -> int:
        """K."""
        return self.header.num_classes

    @property
    def pool_fingerprint(self) -> bytes | None:
        """16 bytes, or None if the payload does not name its pool."""
        return self.header.pool_fingerprint

    def class_counts(self) -> NDArray[np.int64]:
        """Images per class, int64 (K,)."""
        return np.bincount(self.labels, minlength=self.num_classes)

    def __len__(self) -> int:
        return len(self.indices)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Payload):
            return NotImplemented
        mine, theirs = self.header, other.header
        return (
            (mine.pool_size, mine.num_classes, mine.pool_fingerprint)
            == (theirs.pool_size, theirs.num_classes, theirs.pool_fingerprint)
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.labels, other.labels)
            and self.class_names == other.class_names
            and dict(self.metadata) == dict(other.metadata)
            and _same(self.weights, other.weights)
            and _same(self.soft_labels, other.soft_labels)
            and dict(self.extra) == dict(other.extra)
        )

    def __hash__(self) -> int:
        return hash((self.header.pool_size, self.header.num_classes, self.header.content_digest))

    def __repr__(self) -> str:
        h = self.header
        pool = h.pool_fingerprint.hex() if h.pool_fingerprint else "unidentified"
        more = [s.name for s in h.sections[2:]]
        extra = f", {', '.join(more)}" if more else ""
        return (
            f"<Payload: {h.count} of {h.pool_size} images, {h.num_classes} classes, {h.file_size} bytes "
            f"({h.index_codec} {h.sections[0].length} + {h.label_codec} {h.sections[1].length}), pool {pool}{extra}>"
        )


def _same(a: NDArray[np.float32] | None, b: NDArray[np.float32] | None) -> bool:
    return a is b if a is None or b is None else np.array_equal(a, b)
