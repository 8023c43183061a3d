"""The codec registry (SPEC.md sections 6 and 7). One folder per codec; folder, page and vectors share its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar, cast

from .._types import U32
from ..engines.stream import Stream
from ..errors import ErrorCode, error
from . import (
    index_adaptive,
    index_adaptive_groups,
    index_bitmap,
    index_bitmap_zstd,
    index_delta_zstd,
    index_golomb,
    index_rans,
    index_runs,
    label_adaptive,
    label_adaptive_groups,
    label_fixed,
    label_huffman,
    label_rans,
    label_runs,
    label_zstd,
)
from .base import PROFILES, Codec, IndexCodec, LabelCodec

_C = TypeVar("_C", bound=Codec)

_INDEX: tuple[Codec, ...] = (
    index_bitmap.CODEC,
    index_golomb.CODEC,
    index_runs.CODEC,
    index_rans.CODEC,
    index_adaptive.CODEC,
    index_adaptive_groups.CODEC,
    index_delta_zstd.CODEC,
    index_bitmap_zstd.CODEC,
)
_LABEL: tuple[Codec, ...] = (
    label_fixed.CODEC,
    label_huffman.CODEC,
    label_runs.CODEC,
    label_rans.CODEC,
    label_adaptive.CODEC,
    label_adaptive_groups.CODEC,
    label_zstd.CODEC,
)

#: Codecs by section type.
INDEX_CODECS: dict[int, Codec] = {codec.id: codec for codec in _INDEX}
LABEL_CODECS: dict[int, Codec] = {codec.id: codec for codec in _LABEL}

#: What the codecs that look beyond their stream are told, as keyword arguments of ``encode`` and ``decode``.
_BESIDE: dict[int, tuple[str, ...]] = {
    index_adaptive_groups.CODEC.id: ("groups",),
    label_adaptive.CODEC.id: ("indices",),
    label_adaptive_groups.CODEC.id: ("indices", "pool_size", "groups"),
}
#: Section types of the codecs that need the pool's groups.
GROUPED = frozenset(kind for kind, names in _BESIDE.items() if "groups" in names)
#: Section types that format 1.0 does not know.
SINCE_1_1 = frozenset((index_adaptive.CODEC.id, *_BESIDE))


@dataclass(frozen=True)
class _Bound:
    """A codec together with what it looks at beside its stream."""

    codec: Any
    beside: dict[str, Any]

    @property
    def id(self) -> int:
        return cast(int, self.codec.id)

    @property
    def name(self) -> str:
        return cast(str, self.codec.name)

    @property
    def profile(self) -> str:
        return cast(str, self.codec.profile)

    def encode(self, values: Any, bound: int, parameters: Any = None) -> bytes:
        return cast(bytes, self.codec.encode(values, bound, parameters, **self.beside))

    def decode(self, st: Stream, bound: int, count: int) -> tuple[Any, Any]:
        return cast("tuple[Any, Any]", self.codec.decode(st, bound, count, **self.beside))


def _bind(codec: Codec, beside: dict[str, Any]) -> Any:
    names = _BESIDE.get(codec.id)
    return _Bound(codec, {name: beside[name] for name in names}) if names else codec


def bind_index(kind: int, groups: U32 | None) -> IndexCodec:
    """The index codec of section type ``kind``, told the group starts if it needs them."""
    return cast(IndexCodec, _bind(INDEX_CODECS[kind], {"groups": groups}))


def bind_label(kind: int, indices: U32, pool_size: int, groups: U32 | None) -> LabelCodec:
    """The label codec of section type ``kind``, told indices and group starts if it needs them."""
    beside = {"indices": indices, "pool_size": pool_size, "groups": groups}
    return cast(LabelCodec, _bind(LABEL_CODECS[kind], beside))


def embedded_codec(kind: int) -> LabelCodec | None:
    """The label codec of that type where there are no images beside the symbols (SPEC.md 8.3, 8.4), or None."""
    return None if kind in SINCE_1_1 or kind not in LABEL_CODECS else cast(LabelCodec, LABEL_CODECS[kind])


def index_candidates(choice: str, profile: str, groups: bool = False) -> list[int]:
    """Section types that the encoder may try for ``choice`` (a codec's name or "auto"), ascending.

    Args:
        groups: whether the caller has the pool's groups; without them the codecs that need them are left out.

    Raises:
        PladaError: INVALID_ARGUMENT, no such profile or codec, or one that needs groups.
    """
    return _candidates(_INDEX, choice, profile, groups, "index")


def label_candidates(choice: str, profile: str, groups: bool = False) -> list[int]:
    """As :func:`index_candidates`, for labels."""
    return _candidates(_LABEL, choice, profile, groups, "label")


def embedded_candidates(profile: str) -> list[LabelCodec]:
    """Codecs for quantised values in ancillary sections."""
    found = (embedded_codec(kind) for kind in label_candidates("auto", profile))
    return [codec for codec in found if codec is not None]


def _candidates(codecs: tuple[_C, ...], choice: str, profile: str, groups: bool, kind: str) -> list[int]:
    if profile not in PROFILES:
        raise error(ErrorCode.INVALID_ARGUMENT, f"profile {profile!r} is not one of {', '.join(PROFILES)}")
    if choice == "auto":
        allowed = PROFILES[: PROFILES.index(profile) + 1]
        return [c.id for c in codecs if c.profile in allowed and (groups or c.id not in GROUPED)]
    known = {c.name: c.id for c in codecs}
    if choice not in known:
        raise error(ErrorCode.INVALID_ARGUMENT, f"{kind} codec {choice!r} is not one of auto, {', '.join(known)}")
    if known[choice] in GROUPED and not groups:
        raise error(ErrorCode.INVALID_ARGUMENT, f"{kind} codec {choice!r} needs the pool's groups: pass groups")
    return [known[choice]]


__all__ = [
    "GROUPED",
    "INDEX_CODECS",
    "LABEL_CODECS",
    "PROFILES",
    "SINCE_1_1",
    "Codec",
    "IndexCodec",
    "LabelCodec",
    "embedded_candidates",
    "embedded_codec",
    "index_candidates",
    "bind_index",
    "label_candidates",
    "bind_label",
]
