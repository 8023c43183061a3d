"""plada's own codecs as subjects of the benchmarks, taken from its registry so that a new codec appears by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from inspect import Parameter, signature
from typing import Any

import numpy as np

import plada_format as pf
from plada_format import accel
from plada_format._types import U32
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS, PROFILES
from plada_format.engines.stream import Stream

from .layouts import Facts
from .peers import Subject
from .selections import Selection

__all__ = [
    "PROFILES",
    "backends",
    "codecs",
    "decode_stream",
    "encode_stream",
    "files",
    "needs_groups",
    "parts",
    "streams",
    "use",
]


@cache
def _beside(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names of what a codec looks at beside its stream: its keyword-only arguments."""
    return tuple(name for name, value in signature(function).parameters.items() if value.kind is Parameter.KEYWORD_ONLY)


def needs_groups(codec: Any) -> bool:
    """Whether the codec works only with the pool's groups."""
    return "groups" in _beside(codec.encode)


def encode_stream(codec: Any, stream: str, s: Selection, groups: U32 | None = None) -> bytes:
    """The bare index or label stream of a selection by any codec; ``groups`` for those that need them."""
    known = {"indices": s.indices, "pool_size": s.pool_size, "groups": groups}
    more = {name: known[name] for name in _beside(codec.encode)}
    if stream == "index":
        return bytes(codec.encode(s.indices, s.pool_size, **more))
    return bytes(codec.encode(s.labels, s.num_classes, **more))


def decode_stream(codec: Any, stream: str, data: bytes, s: Selection, groups: U32 | None = None) -> Any:
    """Inverse of :func:`encode_stream`: the index or label array. Of ``s`` only what a decoder knows is used."""
    known = {"indices": s.indices, "pool_size": s.pool_size, "groups": groups}
    more = {name: known[name] for name in _beside(codec.decode)}
    bound = s.pool_size if stream == "index" else s.num_classes
    return codec.decode(Stream(data), bound, len(s.indices), **more)[0]


def codecs(stream: str) -> list[Any]:
    """The codecs of a stream ("index" or "label"), by id."""
    return [codec for _, codec in sorted((INDEX_CODECS if stream == "index" else LABEL_CODECS).items())]


def _subject(codec: Any, stream: str) -> Subject:
    def decode(data: bytes, facts: Facts) -> Any:
        told = Selection("", facts.indices, np.zeros(0, np.uint16), facts.pool_size, facts.num_classes)
        return decode_stream(codec, stream, data, told)

    return Subject("plada", stream, codec.name, lambda s: encode_stream(codec, stream, s), decode)


def streams() -> list[Subject]:
    """Every codec that needs no groups as a bare stream, by id."""
    found = ((codec, stream) for stream in ("index", "label") for codec in codecs(stream))
    return [_subject(codec, stream) for codec, stream in found if not needs_groups(codec)]


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
