"""The codec registry (SPEC.md sections 6 and 7). One folder per codec; folder, page and vectors share its name."""

from __future__ import annotations

from typing import TypeVar

from ..errors import ErrorCode, error
from . import (
    index_bitmap,
    index_bitmap_zstd,
    index_delta_zstd,
    index_golomb,
    index_rans,
    index_runs,
    label_fixed,
    label_huffman,
    label_rans,
    label_runs,
    label_zstd,
)
from .base import PROFILES, IndexCodec, LabelCodec

_C = TypeVar("_C", IndexCodec, LabelCodec)

_INDEX: tuple[IndexCodec, ...] = (
    index_bitmap.CODEC,
    index_golomb.CODEC,
    index_runs.CODEC,
    index_rans.CODEC,
    index_delta_zstd.CODEC,
    index_bitmap_zstd.CODEC,
)
_LABEL: tuple[LabelCodec, ...] = (
    label_fixed.CODEC,
    label_huffman.CODEC,
    label_runs.CODEC,
    label_rans.CODEC,
    label_zstd.CODEC,
)

#: Codecs by section type.
INDEX_CODECS: dict[int, IndexCodec] = {codec.id: codec for codec in _INDEX}
LABEL_CODECS: dict[int, LabelCodec] = {codec.id: codec for codec in _LABEL}


def _within(profile: str, codec_profile: str) -> bool:
    return PROFILES.index(codec_profile) <= PROFILES.index(profile)


def index_candidates(choice: str, profile: str) -> list[IndexCodec]:
    """Index codecs that the encoder may try for ``choice`` (a name or "auto"), by id."""
    _check_profile(profile)
    if choice == "auto":
        return [c for c in _INDEX if _within(profile, c.profile)]
    return [_named(choice, {c.name: c for c in _INDEX}, "index")]


def label_candidates(choice: str, profile: str) -> list[LabelCodec]:
    """As :func:`index_candidates`, for labels."""
    _check_profile(profile)
    if choice == "auto":
        return [c for c in _LABEL if _within(profile, c.profile)]
    return [_named(choice, {c.name: c for c in _LABEL}, "label")]


def _check_profile(profile: str) -> None:
    if profile not in PROFILES:
        raise error(ErrorCode.INVALID_ARGUMENT, f"profile {profile!r} is not one of {', '.join(PROFILES)}")


def _named(choice: str, known: dict[str, _C], kind: str) -> _C:
    if choice not in known:
        raise error(ErrorCode.INVALID_ARGUMENT, f"{kind} codec {choice!r} is not one of auto, {', '.join(known)}")
    return known[choice]


__all__ = [
    "INDEX_CODECS",
    "LABEL_CODECS",
    "PROFILES",
    "IndexCodec",
    "LabelCodec",
    "index_candidates",
    "label_candidates",
]
