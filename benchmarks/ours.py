"""plada's own codecs as subjects of the benchmarks, taken from its registry so that a new codec appears by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import plada_format as pf
from plada_format import accel
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS, PROFILES, IndexCodec, LabelCodec
from plada_format.engines.stream import Stream

from .layouts import Facts
from .peers import Subject
from .selections import Selection

__all__ = ["PROFILES", "backends", "files", "parts", "streams", "use"]


def _index(codec: IndexCodec) -> Subject:
    def decode(data: bytes, facts: Facts) -> Any:
        return codec.decode(Stream(data), facts.pool_size, facts.count)[0]

    return Subject("plada", "index", codec.name, lambda s: codec.encode(s.indices, s.pool_size), decode)


def _label(codec: LabelCodec) -> Subject:
    def decode(data: bytes, facts: Facts) -> Any:
        return codec.decode(Stream(data), facts.num_classes, facts.count)[0]

    return Subject("plada", "label", codec.name, lambda s: codec.encode(s.labels, s.num_classes), decode)


def streams() -> list[Subject]:
    """Every registered codec as a bare stream, by id."""
    index = [_index(codec) for _, codec in sorted(INDEX_CODECS.items())]
    return index + [_label(codec) for _, codec in sorted(LABEL_CODECS.items())]


def files() -> list[Subject]:
    """Whole files by ``auto``, one subject per profile."""

    def subject(profile: str) -> Subject:
        def encode(s: Selection) -> bytes:
            return pf.encode(s.indices, s.labels, pool_size=s.pool_size, num_classes=s.num_classes, profile=profile)

        def decode(data: bytes, facts: Facts) -> Any:
            payload = pf.decode(data, pool_size=facts.pool_size)
            return payload.indices, payload.labels

        return Subject("plada", "both", profile, encode, decode)

    return [subject(profile) for profile in PROFILES]


def parts(data: bytes) -> dict[str, Any]:
    """Chosen codecs, stream bytes (tables included) and overhead (all the rest) of a file without optional sections."""
    header = pf.inspect(data)
    index = sum(section.length for section in header.sections if section.type in INDEX_CODECS)
    label = sum(section.length for section in header.sections if section.type in LABEL_CODECS)
    return {
        "index_codec": header.index_codec,
        "label_codec": header.label_codec,
        "index_bytes": index,
        "label_bytes": label,
        "overhead": len(data) - index - label,
    }


def backends() -> Iterator[str]:
    """ "numba" (compiled beforehand) if it is there, then "numpy"."""
    if accel.warmup():
        yield "numba"
    yield "numpy"


def use(backend: str) -> AbstractContextManager[None]:
    """Run plada by that backend within a block."""
    return accel.use(backend)
