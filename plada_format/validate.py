"""Arguments of the encoder: refused with a message that names the first bad entry."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike

from ._types import U16, U32, AnyArray
from .errors import ErrorCode, error
from .limits import MAX_CLASSES, MAX_POOL


def refuse(message: str) -> NoReturn:
    """Raise INVALID_ARGUMENT."""
    raise error(ErrorCode.INVALID_ARGUMENT, message)


def integer(value: Any, name: str, least: int, most: int) -> int:
    """A whole number between two bounds; bool is refused."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        refuse(f"{name} is {value!r}, expected a whole number")
    if not least <= value <= most:
        refuse(f"{name} = {value}, allowed are {least} to {most}")
    return int(value)


def _integers(values: ArrayLike, name: str) -> AnyArray:
    """One-dimensional array of whole numbers below 2**63."""
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as problem:
        refuse(f"{name}: {problem}")
    if array.ndim != 1:
        refuse(f"{name} has shape {array.shape}, expected one dimension")
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.dtype.kind == "f":
        array = array.astype(np.float64)  # float16 cannot hold the bound
        bad = ~(np.isfinite(array) & (array == np.floor(array)) & (np.abs(array) < 2**53))
        if bad.any():
            entry = int(np.argmax(bad))
            refuse(f"{name}[{entry}] = {array[entry]} is not a whole number")
        return array.astype(np.int64)
    if array.dtype.kind == "O":
        for entry, value in enumerate(array):
            if isinstance(value, bool) or not isinstance(value, int | np.integer):
                refuse(f"{name}[{entry}] = {value!r} is not a whole number")
            if not -(2**63) <= value < 2**63:
                refuse(f"{name}[{entry}] = {value} is out of range")
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        refuse(f"{name} has dtype {array.dtype}, expected integers")
    return array


def _in_range(array: AnyArray, name: str, bound: int, what: str) -> None:
    if array.size and (int(array.min()) < 0 or int(array.max()) >= bound):
        bad = (array < 0) | (array >= bound)
        entry = int(np.argmax(bad))
        reason = "is negative" if array[entry] < 0 else f"is not below {what} = {bound}"
        refuse(f"{name}[{entry}] = {array[entry]} {reason}")


def indices_array(indices: ArrayLike, pool_size: int) -> U32:
    """Strictly increasing pool indices as uint32."""
    array = _integers(indices, "indices")
    _in_range(array, "indices", pool_size, "pool_size")
    down = array[1:] <= array[:-1]
    if down.any():
        entry = int(np.argmax(down)) + 1
        problem = "repeats" if array[entry] == array[entry - 1] else "is below"
        refuse(f"indices[{entry}] = {array[entry]} {problem} indices[{entry - 1}] = {array[entry - 1]}: sort them")
    return np.ascontiguousarray(array, np.uint32)


def labels_array(labels: ArrayLike, num_classes: int, count: int) -> U16:
    """Labels below ``num_classes`` as uint16."""
    array = _integers(labels, "labels")
    if len(array) != count:
        refuse(f"{len(array)} labels for {count} indices")
    _in_range(array, "labels", num_classes, "num_classes")
    return np.ascontiguousarray(array, np.uint16)


def group_starts(groups: ArrayLike, pool_size: int) -> U32:
    """Start offsets of the pool's groups: 0 first, strictly increasing, below the pool size."""
    array = _integers(groups, "groups")
    _in_range(array, "groups", pool_size, "pool_size")
    if len(array) == 0 or array[0] != 0:
        refuse("groups must begin with offset 0")
    down = array[1:] <= array[:-1]
    if down.any():
        entry = int(np.argmax(down)) + 1
        refuse(f"groups[{entry}] = {array[entry]} is not above groups[{entry - 1}] = {array[entry - 1]}")
    return np.ascontiguousarray(array, np.uint32)


def fingerprint(value: bytes | None) -> bytes | None:
    """16 bytes, not all zero (all zero means "none" in a file)."""
    if value is None:
        return None
    if not isinstance(value, bytes | bytearray | memoryview) or len(bytes(value)) != 16:
        refuse("pool_fingerprint must be 16 bytes")
    if not any(bytes(value)):
        refuse("pool_fingerprint is all zero, which means 'none'; pass None")
    return bytes(value)


def shape_numbers(pool_size: Any, num_classes: Any) -> tuple[int, int]:
    """Checked N and K."""
    return integer(pool_size, "pool_size", 0, MAX_POOL), integer(num_classes, "num_classes", 1, MAX_CLASSES)
