"""Gradients as bytes: four codecs, and the reader that trusts nobody.

A gradient is a list of tensors whose shapes both sides know from the network. The bytes hold no shapes, only numbers:

- ``float32``: as they are, little endian.
- ``bf16``: the upper half of each float32, rounded to nearest, ties to even.
- ``int8``: each output row (first dimension) of a tensor has a float32 scale, its largest magnitude / 127; numbers
  are rounded to nearest. All scales first, then all numbers. Rows, since the distance compares rows.
- ``topk``: of all numbers of the gradient together the share with the largest magnitude: count (uint32), then, in one
  Zstd frame, the gaps between their places, low bytes of uint32 before high bytes; then the values as bf16. What is
  left out stays with the client (:class:`ErrorFeedback`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

CODECS = ("float32", "bf16", "int8", "topk")
_COUNT_BYTES = 4

Arrays = list[NDArray[np.float32]]
Shapes = Sequence[tuple[int, ...]]


class WireError(ValueError):
    """Bytes of a client that are no gradient of this network."""


@dataclass(frozen=True)
class Codec:
    """How gradients travel.

    Attributes:
        name: one of ``CODECS``.
        keep: for ``topk``, the share of numbers that is sent.
    """

    name: str = "float32"
    keep: float = 0.01

    def __post_init__(self) -> None:
        if self.name not in CODECS:
            raise UserError(f"gradient codec: choose one of {', '.join(CODECS)}, not {self.name!r}")
        if not 0 < self.keep <= 1:
            raise UserError(f"gradient codec: the share to keep must lie in (0, 1], not {self.keep}")

    @classmethod
    def parse(cls, text: str) -> Codec:
        """``float32``, ``bf16``, ``int8``, ``topk`` or ``topk:0.05``."""
        name, _, share = text.partition(":")
        if not share:
            return cls(name)
        try:
            return cls(name, float(share))
        except ValueError:
            raise UserError(f"gradient codec: {text!r} is not topk:SHARE, such as topk:0.01") from None

    def __str__(self) -> str:
        return f"topk:{self.keep:g}" if self.name == "topk" else self.name

    def encode(self, arrays: Arrays) -> bytes:
        """Gradient -> bytes. Numbers must be finite.

        Raises:
            UserError: a number is not finite.
        """
        if not all(bool(np.isfinite(array).all()) for array in arrays):
            raise UserError("a gradient with a number that is not finite cannot be sent; lower the learning rate")
        if self.name == "int8":
            return _encode_int8(arrays)
        flat = _flat(arrays)
        if self.name == "float32":
            return flat.astype("<f4").tobytes()
        if self.name == "bf16":
            return _to_bf16(flat).tobytes()
        return _encode_topk(flat, self.keep)

    def decode(self, data: bytes, shapes: Shapes) -> Arrays:
        """Bytes -> gradient. Never allocates more than the shapes say.

        Raises:
            WireError: the bytes do not fit the shapes, or hold a number that is not finite.
        """
        if self.name == "int8":
            arrays = _decode_int8(data, shapes)
        else:
            total = sum(math.prod(shape) for shape in shapes)
            if self.name == "topk":
                flat = _decode_topk(data, total)
            else:
                width = 4 if self.name == "float32" else 2
                if len(data) != width * total:
                    raise WireError(f"{len(data)} bytes where {width * total} are due")
                flat = np.frombuffer(data, "<f4").astype(np.float32) if width == 4 else _from_bf16(data)
            arrays = _shaped(flat, shapes)
        if not all(bool(np.isfinite(array).all()) for array in arrays):
            raise WireError("a number is not finite")
        return arrays


class ErrorFeedback:
    """What a client did not send is added to what it sends next, for each class on its own.

    A fresh network makes old leftovers meaningless: :meth:`reset` at step 0.
    """

    def __init__(self) -> None:
        self._left: dict[int, Arrays] = {}

    def reset(self) -> None:
        """Forget everything."""
        self._left.clear()

    def encode(self, codec: Codec, label: int, arrays: Arrays) -> bytes:
        """As :meth:`Codec.encode`, with what was left over of this class before."""
        left = self._left.get(label)
        full = arrays if left is None else [new + old for new, old in zip(arrays, left)]
        data = codec.encode(full)
        sent = codec.decode(data, [array.shape for array in full])
        self._left[label] = [one - two for one, two in zip(full, sent)]
        return data

    def export(self) -> dict[int, Arrays]:
        """The leftovers by class, to keep between messages."""
        return self._left

    @classmethod
    def restore(cls, left: dict[int, Arrays]) -> ErrorFeedback:
        """Inverse of :meth:`export`."""
        one = cls()
        one._left = dict(left)
        return one


def _flat(arrays: Arrays) -> NDArray[np.float32]:
    return np.concatenate([array.reshape(-1) for array in arrays]).astype(np.float32, copy=False)


def _shaped(flat: NDArray[np.float32], shapes: Shapes) -> Arrays:
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes)]


def _to_bf16(values: NDArray[np.float32]) -> NDArray[np.uint16]:
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    # Rounding the largest finite numbers up would give infinity.
    return np.where((rounded & 0x7FFF) == 0x7F80, rounded - 1, rounded).astype("<u2")


def _from_bf16(data: bytes | memoryview) -> NDArray[np.float32]:
    return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)


def _rows(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, numbers in each) of a tensor; one-dimensional tensors are a single row."""
    return (1, math.prod(shape)) if len(shape) < 2 else (shape[0], math.prod(shape[1:]))


def _encode_int8(arrays: Arrays) -> bytes:
    scales: list[NDArray[np.float32]] = []
    numbers: list[NDArray[np.int8]] = []
    for array in arrays:
        rows = array.reshape(_rows(array.shape))
        scale = (np.abs(rows).max(1, initial=0) / np.float32(127)).astype(np.float32)
        safe = np.where(scale > 0, scale, 1)[:, None]
        scales.append(scale)
        numbers.append(np.clip(np.rint(rows / safe), -127, 127).astype(np.int8))
    return np.concatenate(scales).astype("<f4").tobytes() + b"".join(part.tobytes() for part in numbers)


def _decode_int8(data: bytes, shapes: Shapes) -> Arrays:
    plans = [_rows(tuple(shape)) for shape in shapes]
    scales_end = 4 * sum(rows for rows, _ in plans)
    due = scales_end + sum(rows * length for rows, length in plans)
    if len(data) != due:
        raise WireError(f"{len(data)} bytes where {due} are due")
    scales, numbers = np.frombuffer(data[:scales_end], "<f4"), np.frombuffer(data, np.int8, offset=scales_end)
    arrays: Arrays = []
    row = place = 0
    for (rows, length), shape in zip(plans, shapes):
        part = numbers[place : place + rows * length].reshape(rows, length).astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # hostile scales; the caller refuses what is not finite
            arrays.append((part * scales[row : row + rows, None]).astype(np.float32).reshape(shape))
        row, place = row + rows, place + rows * length
    return arrays


def _encode_topk(flat: NDArray[np.float32], keep: float) -> bytes:
    import zstandard

    count = max(1, min(len(flat), round(keep * len(flat))))
    # By magnitude, then by place, so that equal numbers are chosen alike everywhere.
    order = np.lexsort((np.arange(len(flat)), -np.abs(flat)))[:count]
    places = np.sort(order).astype(np.int64)
    gaps = np.diff(places, prepend=-1) - 1
    planes = gaps.astype("<u4").view(np.uint8).reshape(-1, 4).T
    frame = zstandard.ZstdCompressor(level=9).compress(np.ascontiguousarray(planes).tobytes())
    head = count.to_bytes(_COUNT_BYTES, "little") + len(frame).to_bytes(_COUNT_BYTES, "little")
    return head + frame + _to_bf16(flat[places]).tobytes()


def _decode_topk(data: bytes, total: int) -> NDArray[np.float32]:
    import zstandard

    if len(data) < 2 * _COUNT_BYTES:
        raise WireError("too short")
    count, length = (int.from_bytes(data[at : at + _COUNT_BYTES], "little") for at in (0, _COUNT_BYTES))
    start = 2 * _COUNT_BYTES
    if not 1 <= count <= total or len(data) != start + length + 2 * count:
        raise WireError(f"{count} kept numbers of {total} do not fit {len(data)} bytes")
    try:
        # The size that the frame claims is not believed: at most what the count allows is ever made.
        reader = zstandard.ZstdDecompressor().stream_reader(data[start : start + length], read_size=length or 1)
        planes = reader.read(4 * count + 1)
    except zstandard.ZstdError as problem:
        raise WireError(f"damaged Zstd frame ({problem})") from None
    if len(planes) != 4 * count:
        raise WireError(f"{len(planes)} bytes of places where {4 * count} are due")
    gaps = np.ascontiguousarray(np.frombuffer(planes, np.uint8).reshape(4, count).T).view("<u4").reshape(-1)
    places = np.cumsum(gaps.astype(np.int64) + 1) - 1
    if places[-1] >= total:
        raise WireError("a place lies outside the gradient")
    flat = np.zeros(total, np.float32)
    flat[places] = _from_bf16(data[start + length :])
    return flat
