"""Ancillary sections: class names, metadata, weights, soft labels (SPEC.md section 8)."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._types import U16, AnyArray
from .codecs import embedded_candidates, embedded_codec
from .engines.stream import Stream, varint_bytes
from .errors import ErrorCode, error

MAX_NAME = 1024
MAX_KEY = 255
MAX_VALUE = 65_530
MAX_PAIRS = 256
MAX_METADATA = 65_536
MAX_SOFT_CLASSES = 1024
ALPHABET = 256  # symbols of quantised weights and probabilities


def _has_control(text: str) -> bool:
    return any(c < " " or c == "\x7f" for c in text)


def _text_bytes(text: str, what: str, most: int, least: int = 0) -> bytes:
    """Check a string for writing; UTF-8 in normalisation form C."""
    if not isinstance(text, str):
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} is {type(text).__name__}, not str")
    try:
        data = unicodedata.normalize("NFC", text).encode()
    except UnicodeEncodeError:
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} holds a lone surrogate") from None
    if _has_control(text):
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} holds a control character: {text!r}")
    if not least <= len(data) <= most:
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what} has {len(data)} bytes, allowed are {least} to {most}")
    return data


def _prefixed(data: bytes) -> bytes:
    return varint_bytes(len(data)) + data


def _read_text(st: Stream, what: str, most: int, least: int = 0) -> str:
    length = st.varint(f"the length of {what}")
    if not least <= length <= most:
        st.fail(ErrorCode.SECTION_CONTENT, f"{what} of {length} bytes, allowed are {least} to {most}")
    at = st.pos
    try:
        text = st.take(length, what).tobytes().decode("utf-8")
    except UnicodeDecodeError as problem:
        st.fail(ErrorCode.TEXT, f"{what} is not UTF-8", at=at + problem.start)
    if _has_control(text):
        st.fail(ErrorCode.TEXT, f"{what} holds a control character", at=at)
    return text


def _finish(st: Stream) -> None:
    if st.left:
        st.fail(ErrorCode.SECTION_CONTENT, f"{st.left} bytes left over in the {st.section} section")


def write_names(names: Sequence[str], num_classes: int) -> bytes:
    """Body of the class names section."""
    sized = isinstance(names, Collection) and not isinstance(names, str)
    if not sized or len(names) != num_classes:
        count = f"{len(names)} names" if sized else f"of type {type(names).__name__}"
        raise error(ErrorCode.INVALID_ARGUMENT, f"class_names is {count}, expected {num_classes} names")
    return b"".join(_prefixed(_text_bytes(name, f"class name {n}", MAX_NAME)) for n, name in enumerate(names))


def read_names(st: Stream, num_classes: int) -> tuple[str, ...]:
    """The K class names."""
    names = tuple(_read_text(st, "a class name", MAX_NAME) for _ in range(num_classes))
    _finish(st)
    return names


def write_metadata(metadata: Mapping[str, str]) -> bytes:
    """Body of the metadata section; keys sorted bytewise."""
    if not isinstance(metadata, Mapping):
        raise error(ErrorCode.INVALID_ARGUMENT, f"metadata is of type {type(metadata).__name__}, expected a mapping")
    by_key: dict[bytes, bytes] = {}
    for key, value in metadata.items():
        name = _text_bytes(key, "a metadata key", MAX_KEY, 1)
        if name in by_key:
            raise error(
                ErrorCode.INVALID_ARGUMENT, f"metadata key {key!r} occurs twice in Unicode normalisation form C"
            )
        by_key[name] = _prefixed(name) + _prefixed(_text_bytes(value, f"metadata {key!r}", MAX_VALUE))
    pairs = [by_key[name] for name in sorted(by_key)]
    body = varint_bytes(len(pairs)) + b"".join(pairs)
    if len(pairs) > MAX_PAIRS or len(body) > MAX_METADATA:
        raise error(
            ErrorCode.INVALID_ARGUMENT,
            f"metadata of {len(pairs)} pairs and {len(body)} bytes; at most {MAX_PAIRS} and {MAX_METADATA}",
        )
    return body


def read_metadata(st: Stream) -> dict[str, str]:
    """The metadata pairs in file order."""
    if st.left > MAX_METADATA:
        st.fail(ErrorCode.SECTION_CONTENT, f"metadata of {st.left} bytes, at most {MAX_METADATA}")
    count = st.varint("the number of metadata pairs")
    if not 1 <= count <= MAX_PAIRS:
        st.fail(ErrorCode.SECTION_CONTENT, f"{count} metadata pairs, allowed are 1 to {MAX_PAIRS}", at=0)
    pairs: dict[str, str] = {}
    previous = b""
    for _ in range(count):
        at = st.pos
        key = _read_text(st, "a metadata key", MAX_KEY, 1)
        if key.encode() <= previous:
            st.fail(ErrorCode.SECTION_CONTENT, "metadata keys do not increase", at=at)
        previous = key.encode()
        pairs[key] = _read_text(st, "a metadata value", MAX_VALUE)
    _finish(st)
    return pairs


def _numbers(values: ArrayLike, what: str) -> AnyArray:
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as problem:  # nested lists of different lengths
        raise error(ErrorCode.INVALID_ARGUMENT, f"{what}: {problem}") from None


def quantise_weights(weights: ArrayLike, count: int) -> U16:
    """Symbols q of positive finite weights, (k,): weight = 2^((q - 128) / 16), clipped to 2^-8 .. 2^7.94."""
    w = _numbers(weights, "weights")
    if w.dtype.kind not in "fiu" or w.shape != (count,):
        raise error(ErrorCode.INVALID_ARGUMENT, f"weights of shape {w.shape}, {w.dtype}; expected {count} numbers")
    w = w.astype(np.float64)
    bad = ~(np.isfinite(w) & (w > 0))
    if bad.any():
        entry = int(np.argmax(bad))
        raise error(ErrorCode.INVALID_ARGUMENT, f"weights[{entry}] = {w[entry]} is not a positive finite number")
    symbols: U16 = np.clip(np.rint(128 + 16 * np.log2(w)), 0, 255).astype(np.uint16)
    return symbols


def weights_from(symbols: U16) -> NDArray[np.float32]:
    """Weights of the symbols, float32 (k,)."""
    return np.exp2((symbols.astype(np.float32) - 128) / 16, dtype=np.float32)


def quantise_soft_labels(table: ArrayLike, num_classes: int) -> U16:
    """Flat symbols (K * K,) of a (K, K) table of probabilities: largest remainder to a row sum of 255."""
    p = _numbers(table, "soft_labels")
    if not 2 <= num_classes <= MAX_SOFT_CLASSES:
        raise error(ErrorCode.INVALID_ARGUMENT, f"soft labels need 2 to {MAX_SOFT_CLASSES} classes, not {num_classes}")
    if p.dtype.kind not in "fiu" or p.shape != (num_classes, num_classes):
        raise error(
            ErrorCode.INVALID_ARGUMENT, f"soft_labels of shape {p.shape}, expected {(num_classes, num_classes)} numbers"
        )
    p = p.astype(np.float64)
    bad = ~np.isfinite(p).all(1) | (p < 0).any(1) | ~(np.abs(p.sum(1) - 1) < 1e-3)
    if bad.any():
        row = int(np.argmax(bad))
        raise error(ErrorCode.INVALID_ARGUMENT, f"soft_labels[{row}] is no probability distribution")
    scaled = 255 * p / p.sum(1, keepdims=True)
    q = np.floor(scaled).astype(np.int64)
    rank = np.argsort(np.argsort(-(scaled - q), axis=1, kind="stable"), axis=1, kind="stable")
    q += rank < (255 - q.sum(1))[:, None]
    symbols: U16 = q.reshape(-1).astype(np.uint16)
    return symbols


def soft_labels_from(symbols: U16, num_classes: int) -> NDArray[np.float32]:
    """Probabilities of the symbols, float32 (K, K)."""
    return symbols.reshape(num_classes, num_classes).astype(np.float32) / np.float32(255)


def write_symbols(symbols: U16, profile: str, keep: tuple[int, Any] | None = None) -> bytes:
    """Codec id and stream of quantised values: those of ``keep``, or the smallest that the profile allows."""
    if keep:
        codec = embedded_codec(keep[0])
        assert codec is not None
        return bytes([keep[0]]) + codec.encode(symbols, ALPHABET, keep[1])
    return min((bytes([c.id]) + c.encode(symbols, ALPHABET) for c in embedded_candidates(profile)), key=len)


def read_symbols(st: Stream, count: int) -> tuple[U16, tuple[int, Any]]:
    """``count`` >= 1 quantised values; also codec id and parameters, for recoding."""
    kind = st.u8("the codec id")
    codec = embedded_codec(kind)
    if codec is None:
        st.fail(ErrorCode.UNSUPPORTED_CODEC, f"no label codec {kind:#04x} for quantised values", at=0)
    st.truncated = ErrorCode.STREAM_TRUNCATED
    symbols, parameters = codec.decode(st, ALPHABET, count)
    return symbols, (kind, parameters)


def read_soft_symbols(st: Stream, num_classes: int) -> tuple[U16, tuple[int, Any]]:
    """The K * K symbols of the soft label table; rows sum to 255."""
    if not 2 <= num_classes <= MAX_SOFT_CLASSES:
        st.fail(ErrorCode.SECTION_CONTENT, f"soft labels with {num_classes} classes", at=0)
    symbols, keep = read_symbols(st, num_classes * num_classes)
    sums = symbols.reshape(num_classes, num_classes).sum(1)
    if (sums != 255).any():
        row = int(np.argmax(sums != 255))
        st.fail(ErrorCode.SECTION_CONTENT, f"soft label row {row} sums to {sums[row]} instead of 255", at=0)
    return symbols, keep
