"""Encode, decode, inspect, read, write, recode: the whole public surface for payloads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

from . import container, sections, validate
from ._types import U16, U32
from .atomic import atomic_write
from .codecs import (
    GROUPED,
    LABEL_CODECS,
    bind_index,
    bind_label,
    index_candidates,
    label_candidates,
)
from .container import Header
from .digest import content_digest
from .engines.stream import Stream
from .errors import ErrorCode, error
from .limits import MAX_POOL, Limits
from .manifest.hashing import group_digest
from .payload import Payload

DEFAULT_PROFILE = "compact"
#: A bitmap is tried if it is at most this many times as large as the best other stream before compression.
BITMAP_WORTH = 512
Buffer = bytes | bytearray | memoryview
_KEEP: Any = object()
_TRIVIAL = b""


def encode(
    indices: ArrayLike,
    labels: ArrayLike,
    *,
    pool_size: int,
    num_classes: int,
    pool_fingerprint: bytes | None = None,
    class_names: Sequence[str] | None = None,
    metadata: Mapping[str, str] | None = None,
    weights: ArrayLike | None = None,
    soft_labels: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    extra: Mapping[int, bytes] | None = None,
    index_codec: str = "auto",
    label_codec: str = "auto",
    profile: str = DEFAULT_PROFILE,
) -> bytes:
    """Write a payload.

    Args:
        indices: (k,) strictly increasing pool indices below ``pool_size``.
        labels: (k,) class of each, below ``num_classes``.
        pool_size: N, 0 to 2**32 - 1.
        num_classes: K, 1 to 65,536.
        pool_fingerprint: 16 bytes that identify the pool; None writes "not identified".
        class_names: K strings of at most 1,024 UTF-8 bytes.
        metadata: at most 256 pairs, 65,536 bytes in all.
        weights: (k,) positive numbers, kept as 2^(q/16) with 8-bit q.
        soft_labels: (K, K) average class probabilities of the images of each hard label, kept in 1/255.
        groups: (G,) start offsets of the pool's groups, 0 first, strictly increasing, below ``pool_size``. With them
            "auto" may use codecs that a reader can only decode if it has the same groups.
        extra: bodies of private sections by type, 0xC0 to 0xDF.
        index_codec, label_codec: a codec's name, or "auto": the smallest of those that ``profile`` allows.
        profile: "baseline" (static codecs), "compact" (also adaptive ones) or "full" (also Zstandard).

    Returns:
        The file. The same arguments give the same bytes, with or without numba.

    Raises:
        PladaError: INVALID_ARGUMENT with the name of the argument and the entry; MISSING_DEPENDENCY.
    """
    n, classes = validate.shape_numbers(pool_size, num_classes)
    kept = validate.indices_array(indices, n)
    hard = validate.labels_array(labels, classes, len(kept))
    starts = None if groups is None else validate.group_starts(groups, n)
    streams = _smallest(
        _index_streams(kept, n, index_codec, profile, starts),
        _label_streams(hard, classes, label_codec, profile, kept, n, starts),
    )
    more: dict[int, bytes] = {}
    if class_names is not None:
        more[container.CLASS_NAMES] = sections.write_names(class_names, classes)
    if metadata:
        more[container.METADATA] = sections.write_metadata(metadata)
    if weights is not None:
        symbols = sections.quantise_weights(weights, len(kept))
        if len(kept):
            more[container.WEIGHTS] = sections.write_symbols(symbols, profile)
    if soft_labels is not None:
        symbols = sections.quantise_soft_labels(soft_labels, classes)
        more[container.SOFT_LABELS] = sections.write_symbols(symbols, profile)
    for kind, body in (extra or {}).items():
        if kind not in container.PRIVATE:
            validate.refuse(f"extra section type {kind!r} is not private (0xC0 to 0xDF)")
        if not isinstance(body, bytes | bytearray | memoryview):
            validate.refuse(f"extra section {kind:#x} is of type {type(body).__name__}, expected bytes")
        more[kind] = bytes(body)
    return container.build(
        pool_size=n,
        count=len(kept),
        num_classes=classes,
        pool_fingerprint=validate.fingerprint(pool_fingerprint),
        content_digest=content_digest(n, classes, kept, hard),
        group_digest=None if starts is None else group_digest(starts),
        sections=[*streams, *sorted(more.items())],
    )


def _index_streams(indices: U32, pool_size: int, choice: str, profile: str, groups: U32 | None) -> dict[int, bytes]:
    """Stream by section type, of each index codec that may be used."""
    kinds = index_candidates(choice, profile, groups is not None)
    if len(indices) in (0, pool_size):
        return {kinds[0]: _TRIVIAL}
    streams: dict[int, bytes] = {}
    # codecs that walk the whole pool come last, and not at all where that could not pay: 512 MiB for two images
    for codec in sorted((bind_index(kind, groups) for kind in kinds), key=lambda c: "bitmap" in c.name):
        if streams and "bitmap" in codec.name:
            smallest = min(map(len, streams.values()))
            if pool_size // 8 > BITMAP_WORTH * (smallest + 64):
                continue
        streams[codec.id] = codec.encode(indices, pool_size)
    return streams


def _label_streams(
    labels: U16, num_classes: int, choice: str, profile: str, indices: U32, pool_size: int, groups: U32 | None
) -> dict[int, bytes]:
    """As :func:`_index_streams`, of each label codec."""
    kinds = label_candidates(choice, profile, groups is not None)
    if len(labels) == 0 or num_classes == 1:
        return {kinds[0]: _TRIVIAL}
    return {kind: bind_label(kind, indices, pool_size, groups).encode(labels, num_classes) for kind in kinds}


def _smallest(index: dict[int, bytes], label: dict[int, bytes]) -> list[tuple[int, bytes]]:
    """Index and label section of the fewest bytes, the group digest included; fewer needs, then lower ids win ties."""

    def best(grouped: bool) -> tuple[int, int, list[tuple[int, bytes]]] | None:
        sections = []
        for streams in (index, label):
            allowed = [(len(body), kind) for kind, body in streams.items() if grouped or kind not in GROUPED]
            if not allowed:
                return None
            kind = min(allowed)[1]
            sections.append((kind, streams[kind]))
        digest = container.GROUP_DIGEST if any(kind in GROUPED for kind, _ in sections) else 0
        return sum(len(body) for _, body in sections) + digest, digest, sections

    found = [choice for choice in (best(False), best(True)) if choice is not None]
    return min(found, key=lambda choice: choice[:2])[2]


def _view(data: Buffer) -> memoryview:
    try:
        return memoryview(data).cast("B")
    except (TypeError, ValueError, BufferError) as problem:  # ValueError: big-endian, structured or object arrays
        validate.refuse(f"data is {type(data).__name__}, expected a contiguous buffer of bytes: {problem}")


def inspect(data: Buffer) -> Header:
    """Read the header alone (at most 255 bytes of ``data`` are looked at); nothing behind it is checked.

    Raises:
        PladaError: steps 1 to 8 of SPEC.md section 9.
    """
    return container.parse_header(_view(data)[:255])


def decode(
    data: Buffer,
    *,
    pool_size: int | None = None,
    pool_fingerprint: bytes | None = None,
    groups: ArrayLike | None = None,
    limits: Limits | None = None,
) -> Payload:
    """Read and check a whole payload.

    Args:
        data: the file, any contiguous buffer.
        pool_size: N of the caller's pool; anything else is an error, and ``limits`` do not apply.
        pool_fingerprint: 16 bytes of the caller's pool; a payload without one is an error, too.
        groups: (G,) start offsets of the caller's groups; looked at only if a codec of the payload needs them.
        limits: largest N and k to accept if ``pool_size`` is not given.

    Raises:
        PladaError: with the code of the first failed check in the order of SPEC.md section 9. Nothing else escapes.
    """
    return _decode(data, pool_size, pool_fingerprint, groups, limits or Limits()).payload


@dataclass
class _Decoded:
    """A payload and what is needed to write it again byte for byte."""

    payload: Payload
    groups: U32 | None
    index_parameters: Any
    label_parameters: Any
    symbols: dict[int, tuple[U16, tuple[int, Any]]]


def _decode(
    data: Buffer, pool_size: int | None, fingerprint: bytes | None, groups: ArrayLike | None, limits: Limits
) -> _Decoded:
    view = _view(data)
    header = container.parse_header(view)
    _check_expectations(header, pool_size, fingerprint, limits)
    starts = _check_groups(header, groups)
    container.check_size(header, len(view))
    container.check_sections(header, view)
    index, label = (_stream(view, s) for s in header.sections[:2])
    indices, index_parameters = _read_indices(header, index, starts)
    labels, label_parameters = _read_labels(header, label, indices, starts)
    if content_digest(header.pool_size, header.num_classes, indices, labels) != header.content_digest:
        raise error(
            ErrorCode.CONTENT_DIGEST, "the decoded content does not match its digest", offset=38, section="header"
        )
    decoded = _Decoded(Payload(header, indices, labels), starts, index_parameters, label_parameters, {})
    _read_ancillary(decoded, view)
    for array in (indices, labels, decoded.payload.weights, decoded.payload.soft_labels):
        if array is not None:
            array.flags.writeable = False
    return decoded


def _check_expectations(header: Header, pool_size: int | None, fingerprint: bytes | None, limits: Limits) -> None:
    """Step 9, without the groups."""

    def fail(code: ErrorCode, message: str, offset: int) -> None:
        raise error(code, message, offset=offset, section="header")

    if pool_size is not None:
        if header.pool_size != validate.integer(pool_size, "pool_size", 0, 2**32 - 1):
            fail(
                ErrorCode.POOL_SIZE_MISMATCH, f"made for a pool of {header.pool_size} images, yours has {pool_size}", 12
            )
    else:
        if header.pool_size > limits.max_pool:
            fail(ErrorCode.LIMIT, f"pool of {header.pool_size} images, limit {limits.max_pool}: pass pool_size", 12)
        if header.count > limits.max_kept:
            fail(ErrorCode.LIMIT, f"{header.count} kept images, limit {limits.max_kept}: pass pool_size", 16)
    expected = validate.fingerprint(fingerprint)
    if expected is not None:
        if header.pool_fingerprint is None:
            fail(ErrorCode.POOL_UNIDENTIFIED, "the payload does not say to which pool it belongs", 22)
        elif header.pool_fingerprint != expected:
            fail(
                ErrorCode.POOL_MISMATCH,
                f"made for pool {header.pool_fingerprint.hex()}, yours is {expected.hex()}",
                22,
            )


def _check_groups(header: Header, groups: ArrayLike | None) -> U32 | None:
    """The rest of step 9: the group starts if the payload needs them, else None."""
    if header.group_digest is None:
        return None
    if groups is None:
        raise error(
            ErrorCode.GROUPS_REQUIRED,
            f"made with the pool's groups ({header.group_digest.hex()}): pass groups, or a manifest that has them",
            offset=container.FIXED,
            section="header",
        )
    starts = validate.group_starts(groups, MAX_POOL)
    found = group_digest(starts)
    if found != header.group_digest or int(starts[-1]) >= header.pool_size:
        raise error(
            ErrorCode.GROUPS_MISMATCH,
            f"made with the groups {header.group_digest.hex()}, yours are {found.hex()}",
            offset=container.FIXED,
            section="header",
        )
    return starts


def _stream(view: memoryview, s: container.Section, truncated: ErrorCode = ErrorCode.STREAM_TRUNCATED) -> Stream:
    return Stream(view[s.offset : s.offset + s.length], base=s.offset, section=s.name, truncated=truncated)


def _read_indices(header: Header, st: Stream, groups: U32 | None) -> tuple[U32, Any]:
    if header.count in (0, header.pool_size):
        st.finish()
        return np.arange(header.count, dtype=np.uint32), None
    return bind_index(header.sections[0].type, groups).decode(st, header.pool_size, header.count)


def _read_labels(header: Header, st: Stream, indices: U32, groups: U32 | None) -> tuple[U16, Any]:
    if header.count == 0 or header.num_classes == 1:
        st.finish()
        return np.zeros(header.count, np.uint16), None
    codec = bind_label(header.sections[1].type, indices, header.pool_size, groups)
    return codec.decode(st, header.num_classes, header.count)


def _read_ancillary(decoded: _Decoded, view: memoryview) -> None:
    """Step 14."""
    header = decoded.payload.header
    found: dict[str, Any] = {}
    extra: dict[int, bytes] = {}
    for s in header.sections[2:]:
        st = _stream(view, s, ErrorCode.SECTION_CONTENT)
        if s.type == container.CLASS_NAMES:
            found["class_names"] = sections.read_names(st, header.num_classes)
        elif s.type == container.METADATA:
            found["metadata"] = sections.read_metadata(st)
        elif s.type == container.WEIGHTS:
            if header.count == 0:
                st.fail(ErrorCode.SECTION_CONTENT, "weights without images")
            decoded.symbols[s.type] = sections.read_symbols(st, header.count)
            found["weights"] = sections.weights_from(decoded.symbols[s.type][0])
        elif s.type == container.SOFT_LABELS:
            decoded.symbols[s.type] = sections.read_soft_symbols(st, header.num_classes)
            found["soft_labels"] = sections.soft_labels_from(decoded.symbols[s.type][0], header.num_classes)
        else:
            extra[s.type] = st.buf.tobytes()
    payload = decoded.payload
    decoded.payload = Payload(header, payload.indices, payload.labels, extra=extra, **found)


def read(path_or_file: str | os.PathLike[str] | BinaryIO, **expectations: Any) -> Payload:
    """:func:`decode` the content of a path or a binary file object; keyword arguments as there.

    Raises:
        OSError: the file cannot be read.
        PladaError: as :func:`decode`.
    """
    if isinstance(path_or_file, str | os.PathLike):
        return decode(Path(path_or_file).read_bytes(), **expectations)
    return decode(path_or_file.read(), **expectations)


def write(
    path: str | os.PathLike[str], indices: ArrayLike, labels: ArrayLike, *, overwrite: bool = True, **arguments: Any
) -> bytes:
    """:func:`encode` into a file, which appears whole or not at all; returns the bytes.

    Raises:
        UserError: the file exists and ``overwrite`` is false.
        OSError, PladaError: as :func:`encode`.
    """
    data = encode(indices, labels, **arguments)
    with atomic_write(path, overwrite=overwrite) as file:
        file.write(data)
    return data


def recode(
    data: Buffer,
    *,
    index_codec: str = "keep",
    label_codec: str = "keep",
    profile: str = DEFAULT_PROFILE,
    drop: Iterable[str | int] = (),
    pool_fingerprint: bytes | None = _KEEP,
    class_names: Sequence[str] | None = _KEEP,
    metadata: Mapping[str, str] | None = _KEEP,
    groups: ArrayLike | None = None,
    limits: Limits | None = None,
) -> bytes:
    """Write a payload again with other codecs or sections.

    With no argument but ``data`` the result is ``data``, byte for byte: codecs, parameters and tables are kept.

    Args:
        index_codec, label_codec: "keep", "auto" or a codec's name.
        profile: what "auto" may use.
        drop: ancillary sections to leave out, by name ("metadata", ...) or type.
        pool_fingerprint, class_names, metadata: replace what the file has; None removes it.
        groups: group starts, for a file that needs them or a result that may use them.

    Raises:
        PladaError: as :func:`decode` and :func:`encode`.
    """
    decoded = _decode(data, None, None, groups, limits or Limits())
    payload, header = decoded.payload, decoded.payload.header
    starts = decoded.groups
    if groups is not None and not index_codec == label_codec == "keep":
        starts = validate.group_starts(groups, header.pool_size)
    if index_codec == "keep":
        index = {header.sections[0].type: _rewrite_index(decoded, _view(data))}
    else:
        index = _index_streams(payload.indices, header.pool_size, index_codec, profile, starts)
    if label_codec == "keep":
        label = {header.sections[1].type: _rewrite_label(decoded, _view(data))}
    else:
        label = _label_streams(
            payload.labels, header.num_classes, label_codec, profile, payload.indices, header.pool_size, starts
        )
    more = dict(payload.extra)
    for s in header.sections[2:]:
        if s.type in decoded.symbols:
            more[s.type] = _rewrite_symbols(decoded, s, _view(data))
        elif s.type not in more:  # text as it stands: it need not be in normalisation form C
            more[s.type] = bytes(_view(data)[s.offset : s.offset + s.length])
    if class_names is not _KEEP:
        more.pop(container.CLASS_NAMES, None)
        if class_names is not None:
            more[container.CLASS_NAMES] = sections.write_names(class_names, header.num_classes)
    if metadata is not _KEEP:
        more.pop(container.METADATA, None)
        if metadata:
            more[container.METADATA] = sections.write_metadata(metadata)
    for unwanted in drop:
        kinds = [s.type for s in header.sections[2:] if unwanted in (s.type, s.name)]
        if not kinds:
            validate.refuse(f"drop: the file has no ancillary section {unwanted!r}")
        more.pop(kinds[0], None)
    changed = sorted(more.items()) != [
        (s.type, bytes(_view(data)[s.offset : s.offset + s.length])) for s in header.sections[2:]
    ]
    kept_header = pool_fingerprint is _KEEP and index_codec == label_codec == "keep"
    if container.SIGNATURE_SECTION in more and (changed or not kept_header):
        del more[container.SIGNATURE_SECTION]  # it signed other bytes
    unknown = any(kind not in container.SECTION_NAMES and kind not in container.PRIVATE for kind in more)
    return container.build(
        minor=header.version[1] if unknown else None,
        pool_size=header.pool_size,
        count=header.count,
        num_classes=header.num_classes,
        pool_fingerprint=header.pool_fingerprint
        if pool_fingerprint is _KEEP
        else validate.fingerprint(pool_fingerprint),
        content_digest=header.content_digest,
        group_digest=None if starts is None else group_digest(starts),
        sections=[*_smallest(index, label), *sorted(more.items())],
    )


def _is_zstd(profile: str) -> bool:
    return profile == "full"


def _rewrite_index(decoded: _Decoded, view: memoryview) -> bytes:
    """The stream from content and parameters; Zstandard frames, the exception of section 11, are copied."""
    header = decoded.payload.header
    s = header.sections[0]
    codec = bind_index(s.type, decoded.groups)
    if s.length == 0 or _is_zstd(codec.profile):
        return bytes(view[s.offset : s.offset + s.length])
    return codec.encode(decoded.payload.indices, header.pool_size, decoded.index_parameters)


def _rewrite_label(decoded: _Decoded, view: memoryview) -> bytes:
    header = decoded.payload.header
    s = header.sections[1]
    codec = bind_label(s.type, decoded.payload.indices, header.pool_size, decoded.groups)
    if s.length == 0 or _is_zstd(codec.profile):
        return bytes(view[s.offset : s.offset + s.length])
    return codec.encode(decoded.payload.labels, header.num_classes, decoded.label_parameters)


def _rewrite_symbols(decoded: _Decoded, s: container.Section, view: memoryview) -> bytes:
    symbols, keep = decoded.symbols[s.type]
    if _is_zstd(LABEL_CODECS[keep[0]].profile):
        return bytes(view[s.offset : s.offset + s.length])
    return sections.write_symbols(symbols, DEFAULT_PROFILE, keep)
