"""Bytes of our streams and files for one selection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from benchmarks import ours
from benchmarks.selections import Selection
from plada_format.engines import adaptive

#: What a decoder without Zstandard reads: the profile that `auto` keeps to in these tables.
PROFILE = "compact"
#: Whole files are made of selections up to this many images; their bytes are those of the streams and 62 to 74 more.
FILES_UP_TO = 200_000
_ALLOWED = ours.PROFILES[: ours.PROFILES.index(PROFILE) + 1]


def measure(s: Selection, groups: NDArray[np.uint32] | None) -> dict[str, int]:
    """Bytes of every stream, of the smallest pair with and without groups, and of the whole files that `auto` writes.

    ``plada.STREAM.CODEC``: every codec of the profile. ``plada.STREAM.auto``: the smallest that needs no groups;
    ``plada.STREAM.auto-groups``: the smallest of all. ``plada.both.file``, ``plada.both.file-groups``: whole files.
    ``plada.both.decisions``: mixed binary decisions of both adaptive streams without groups.

    Raises:
        RuntimeError: a stream or a file does not give back what went in.
    """
    row: dict[str, int] = {}
    for stream, wanted in (("index", s.indices), ("label", s.labels)):
        plain: list[int] = []
        grouped: list[int] = []
        for codec in ours.codecs(stream):
            if codec.profile not in _ALLOWED or (ours.needs_groups(codec) and groups is None):
                continue
            name = f"plada.{stream}.{codec.name}"
            data = ours.encode_stream(codec, stream, s, groups)
            if not np.array_equal(ours.decode_stream(codec, stream, data, s, groups), wanted):
                raise RuntimeError(f"{name} does not give back {s.name}")
            row[name] = len(data)
            (grouped if ours.needs_groups(codec) else plain).append(len(data))
        row[f"plada.{stream}.auto"] = min(plain)
        if groups is not None:
            row[f"plada.{stream}.auto-groups"] = min(plain + grouped)
    row["plada.both.decisions"] = decisions(s)
    if len(s.indices) <= FILES_UP_TO:
        row["plada.both.file"] = _file(s, None)
        if groups is not None:
            row["plada.both.file-groups"] = _file(s, groups)
    return row


def decisions(s: Selection) -> int:
    """Mixed binary decisions in both adaptive streams without groups, structure expected in both."""
    total = 0

    def count(run: Callable[[adaptive.Coder], int]) -> None:
        def counted(coder: adaptive.Coder) -> int:
            nonlocal total
            status = run(coder)
            total += coder.decisions
            return status

        adaptive.encode(len(s.indices), counted)

    count(lambda coder: adaptive.index(coder, 1, s.pool_size, coder.numbers(s.indices)))
    count(lambda coder: adaptive.labels(coder, 1, s.num_classes, s.indices, coder.numbers(s.labels), None))
    return total


def _file(s: Selection, groups: NDArray[np.uint32] | None) -> int:
    more: dict[str, Any] = {} if groups is None else {"groups": groups}
    data = pf.encode(s.indices, s.labels, pool_size=s.pool_size, num_classes=s.num_classes, profile=PROFILE, **more)
    payload = pf.decode(data, pool_size=s.pool_size, **more)
    if not (np.array_equal(payload.indices, s.indices) and np.array_equal(payload.labels, s.labels)):
        raise RuntimeError(f"the file of {s.name} does not give back what went in")
    return len(data)
