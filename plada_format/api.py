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
from .codecs import INDEX_CODECS, LABEL_CODECS, index_candidates, label_candidates
from .container import Header
from .digest import content_digest
from .engines.stream import Stream
from .errors import ErrorCode, error
from .limits import Limits
from .payload import Payload

DEFAULT_PROFILE = "full"
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
        groups: uint32 start offsets of the pool's groups. Checked; no codec of format 1.0 uses them.
        extra: bodies of private sections by type, 0xC0 to 0xDF.
        index_codec, label_codec: a codec's name, or "auto": the smallest of those that ``profile`` allows.
        profile: "baseline" (static codecs), "compact" (the same in format 1.0) or "full" (also Zstandard).

    Returns:
        The file. The same arguments give the same bytes, with or without numba.

    Raises:
        PladaError: INVALID_ARGUMENT with the name of the argument and the entry; MISSING_DEPENDENCY.
    """
    n, classes = validate.shape_numbers(pool_size, num_classes)
    kept = validate.indices_array(indices, n)
    hard = validate.labels_array(labels, classes, len(kept))
    if groups is not None:
        validate.group_starts(groups, n)
    index_section = _best_index(kept, n, index_codec, profile)
    label_section = _best_label(hard, classes, label_codec, profile)
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
        minor=container.MINOR,
        pool_size=n,
        count=len(kept),
        num_classes=classes,
        pool_fingerprint=validate.fingerprint(pool_fingerprint),
        content_digest=content_digest(n, classes, kept, hard),
        sections=[index_section, label_section, *sorted(more.items())],
    )


def _best_index(indices: U32, pool_size: int, choice: str, profile: str) -> tuple[int, bytes]:
    candidates = index_candidates(choice, profile)
    if len(indices) in (0, pool_size):
        return candidates[0].id, _TRIVIAL
    # codecs that walk the whole pool come last, and not at all where that could not pay: 512 MiB for two images
    candidates.sort(key=lambda c: "bitmap" in c.name)
    best: tuple[int, bytes] | None = None
    for codec in candidates:
        if best and "bitmap" in codec.name and pool_size // 8 > BITMAP_WORTH * (len(best[1]) + 64):
            continue
        stream = codec.encode(indices, pool_size)
        if best is None or (len(stream), codec.id) < (len(best[1]), best[0]):
            best = codec.id, stream
    assert best is not None
    return best


def _best_label(labels: U16, num_classes: int, choice: str, profile: str) -> tuple[int, bytes]:
    candidates = label_candidates(choice, profile)
    if len(labels) == 0 or num_classes == 1:
        return candidates[0].id, _TRIVIAL
    return min(((c.id, c.encode(labels, num_classes)) for c in candidates), key=lambda s: (len(s[1]), s[0]))


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
        groups: uint32 start offsets of the pool's groups. Checked; no codec of format 1.0 uses them.
        limits: largest N and k to accept if ``pool_size`` is not given.

    Raises:
        PladaError: with the code of the first failed check in the order of SPEC.md section 9. Nothing else escapes.
    """
    return _decode(data, pool_size, pool_fingerprint, groups, limits or Limits()).payload


@dataclass
class _Decoded:
    """A payload and what is needed to write it again byte for byte."""

    payload: Payload
    index_parameters: Any
    label_parameters: Any
    symbols: dict[int, tuple[U16, tuple[int, Any]]]


def _decode(
    data: Buffer, pool_size: int | None, fingerprint: bytes | None, groups: ArrayLike | None, limits: Limits
) -> _Decoded:
    view = _view(data)
    header = container.parse_header(view)
    _check_expectations(header, pool_size, fingerprint, limits)
    if groups is not None:
        validate.group_starts(groups, header.pool_size)
    container.check_size(header, len(view))
    container.check_sections(header, view)
    index, label = (_stream(view, s) for s in header.sections[:2])
    indices, index_parameters = _read_indices(header, index)
    labels, label_parameters = _read_labels(header, label)
    if content_digest(header.pool_size, header.num_classes, indices, labels) != header.content_digest:
        raise error(
            ErrorCode.CONTENT_DIGEST, "the decoded content does not match its digest", offset=38, section="header"
        )
    decoded = _Decoded(Payload(header, indices, labels), index_parameters, label_parameters, {})
    _read_ancillary(decoded, view)
    for array in (indices, labels, decoded.payload.weights, decoded.payload.soft_labels):
        if array is not None:
            array.flags.writeable = False
    return decoded


def _check_expectations(header: Header, pool_size: int | None, fingerprint: bytes | None, limits: Limits) -> None:
    """Step 9."""

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


def _stream(view: memoryview, s: container.Section, truncated: ErrorCode = ErrorCode.STREAM_TRUNCATED) -> Stream:
    return Stream(view[s.offset : s.offset + s.length], base=s.offset, section=s.name, truncated=truncated)


def _read_indices(header: Header, st: Stream) -> tuple[U32, Any]:
    if header.count in (0, header.pool_size):
        st.finish()
        return np.arange(header.count, dtype=np.uint32), None
    return INDEX_CODECS[header.sections[0].type].decode(st, header.pool_size, header.count)


def _read_labels(header: Header, st: Stream) -> tuple[U16, Any]:
    if header.count == 0 or header.num_classes == 1:
        st.finish()
        return np.zeros(header.count, np.uint16), None
    return LABEL_CODECS[header.sections[1].type].decode(st, header.num_classes, header.count)


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
    limits: Limits | None = None,
) -> bytes:
    """Write a payload again with other codecs or sections.

    With no argument but ``data`` the result is ``data``, byte for byte: codecs, parameters and tables are kept.

    Args:
        index_codec, label_codec: "keep", "auto" or a codec's name.
        profile: what "auto" may use.
        drop: ancillary sections to leave out, by name ("metadata", ...) or type.
        pool_fingerprint, class_names, metadata: replace what the file has; None removes it.

    Raises:
        PladaError: as :func:`decode` and :func:`encode`.
    """
    decoded = _decode(data, None, None, None, limits or Limits())
    payload, header = decoded.payload, decoded.payload.header
    index_section = (header.sections[0].type, _rewrite_index(decoded, _view(data)))
    if index_codec != "keep":
        index_section = _best_index(payload.indices, header.pool_size, index_codec, profile)
    label_section = (header.sections[1].type, _rewrite_label(decoded, _view(data)))
    if label_codec != "keep":
        label_section = _best_label(payload.labels, header.num_classes, label_codec, profile)
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
        minor=header.version[1] if unknown else container.MINOR,
        pool_size=header.pool_size,
        count=header.count,
        num_classes=header.num_classes,
        pool_fingerprint=header.pool_fingerprint
        if pool_fingerprint is _KEEP
        else validate.fingerprint(pool_fingerprint),
        content_digest=header.content_digest,
        sections=[index_section, label_section, *sorted(more.items())],
    )


def _is_zstd(profile: str) -> bool:
    return profile == "full"


def _rewrite_index(decoded: _Decoded, view: memoryview) -> bytes:
    """The stream from content and parameters; Zstandard frames, the exception of section 11, are copied."""
    header = decoded.payload.header
    s = header.sections[0]
    codec = INDEX_CODECS[s.type]
    if s.length == 0 or _is_zstd(codec.profile):
        return bytes(view[s.offset : s.offset + s.length])
    return codec.encode(decoded.payload.indices, header.pool_size, decoded.index_parameters)


def _rewrite_label(decoded: _Decoded, view: memoryview) -> bytes:
    header = decoded.payload.header
    s = header.sections[1]
    codec = LABEL_CODECS[s.type]
    if s.length == 0 or _is_zstd(codec.profile):
        return bytes(view[s.offset : s.offset + s.length])
    return codec.encode(decoded.payload.labels, header.num_classes, decoded.label_parameters)


def _rewrite_symbols(decoded: _Decoded, s: container.Section, view: memoryview) -> bytes:
    symbols, keep = decoded.symbols[s.type]
    if _is_zstd(LABEL_CODECS[keep[0]].profile):
        return bytes(view[s.offset : s.offset + s.length])
    return sections.write_symbols(symbols, DEFAULT_PROFILE, keep)
