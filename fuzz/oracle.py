"""What must hold for any bytes: refused with a PladaError, or a payload that is written again byte for byte.

Limits of all fuzzing: k <= 2^16 and N <= 2^20, as the memory and time bounds below assume.
"""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np

import plada_format as pf
from fuzz import reference
from fuzz.anatomy import digest_of, groups_for, parse
from plada_format import accel, api
from plada_format.digest import content_digest
from plada_format.engines.stream import Stream

LIMITS = pf.Limits(max_pool=1 << 20, max_kept=1 << 16)
ZSTD_TYPES = frozenset((0x10, 0x11, 0x30))
BASE_MEMORY = 8 << 20


class Finding(AssertionError):
    """Something that must not happen; the message says what."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one file: accepted (error None) or refused."""

    error: pf.PladaError | None
    payload: pf.Payload | None

    @property
    def name(self) -> str:
        """Name of the error code, or "accepted"."""
        return "accepted" if self.error is None else self.error.code.name


_KNOWN: dict[bytes, Any] = {}


def know(groups: list[int]) -> None:
    """Let :func:`groups_of` find other groups than those of :func:`groups_for` by their digest."""
    _KNOWN[digest_of(groups)] = np.array(groups, np.uint32)


def groups_of(data: bytes) -> Any:
    """The groups that a caller who has this file's pool passes, or None: known ones, or those of :func:`groups_for`."""
    pool_size = int.from_bytes(data[12:16], "little") if len(data) > 60 else 0
    if not pool_size or not data[11] & 1:
        return None
    if data[46:54] in _KNOWN:
        return _KNOWN[data[46:54]]
    return np.array(groups_for(pool_size), np.uint32)


def memory_bound(size: int, count: int, pool_size: int, index_type: int | None, soft_classes: int = 0) -> int:
    """Bytes that a decoder may allocate (SPEC.md section 10) for a file of ``size`` bytes.

    Args:
        count, pool_size: k and N of the header, 0 if it cannot be read.
        index_type: the index codec's id; only 0x11 unpacks a bitmap.
        soft_classes: K if there are soft labels, whose table has K * K entries.
    """
    bitmap = pool_size // 4 if index_type == 0x11 else 0
    return BASE_MEMORY + 64 * count + 32 * size + bitmap + 64 * soft_classes * soft_classes


def bound_for(data: bytes) -> int:
    """:func:`memory_bound` of a file as its header announces it."""
    try:
        header = pf.inspect(data)
    except pf.PladaError:
        return memory_bound(len(data), 0, 0, None)
    types = [s.type for s in header.sections]
    soft = header.num_classes if 0x83 in types and header.num_classes <= 1024 else 0
    return memory_bound(len(data), header.count, header.pool_size, types[0], soft)


def examine(data: bytes, limits: pf.Limits = LIMITS, **expectations: Any) -> Verdict:
    """Decode, and check everything that must hold.

    Raises:
        Finding: the decoder broke a promise.
    """
    groups = expectations.pop("groups", None)
    groups = groups_of(data) if groups is None else groups
    try:
        payload = pf.decode(data, groups=groups, limits=limits, **expectations)
    except pf.PladaError as problem:
        if problem.code >= pf.ErrorCode.NOT_MANIFEST:
            raise Finding(f"decoder reports {problem.code!r}: {problem}") from problem
        if problem.offset is not None and not 0 <= problem.offset <= len(data):
            raise Finding(f"offset {problem.offset} outside the file of {len(data)} bytes: {problem}") from problem
        if "\n" in str(problem):
            raise Finding(f"message of several lines: {problem}") from problem
        return Verdict(problem, None)
    except Exception as problem:
        raise Finding(f"{type(problem).__name__} escapes from decode: {problem}") from problem
    _check_payload(payload, len(data), limits)
    try:
        again = pf.recode(data, groups=groups, limits=limits)
    except Exception as problem:
        raise Finding(f"recode fails on a file that decode accepts: {problem!r}") from problem
    if again != data:
        raise Finding(f"not canonical: {len(data)} bytes are written again as {len(again)} other ones")
    return Verdict(None, payload)


def _check_payload(p: pf.Payload, size: int, limits: pf.Limits) -> None:
    h = p.header
    k = h.count
    problems = [
        (h.file_size != size, "size"),
        (p.indices.dtype != np.uint32 or p.indices.shape != (k,), "indices: type or shape"),
        (p.labels.dtype != np.uint16 or p.labels.shape != (k,), "labels: type or shape"),
        (k > h.pool_size or k > limits.max_kept or h.pool_size > limits.max_pool, "limits"),
        (p.class_names is not None and len(p.class_names) != h.num_classes, "number of class names"),
        (p.weights is not None and (p.weights.shape != (k,) or p.weights.dtype != np.float32), "weights"),
        (p.indices.flags.writeable or p.labels.flags.writeable, "arrays are writeable"),
    ]
    if k:
        indices = p.indices
        problems.append((int(indices[-1]) >= h.pool_size, "index beyond the pool"))
        problems.append((k > 1 and not bool((indices[1:] > indices[:-1]).all()), "indices do not increase"))
        problems.append((int(p.labels.max()) >= h.num_classes, "label beyond the classes"))
        if p.weights is not None:
            problems.append((not bool((p.weights > 0).all()), "weight not positive"))
    if p.soft_labels is not None:
        sums = p.soft_labels.sum(1, dtype=np.float64)
        problems.append((p.soft_labels.shape != (h.num_classes, h.num_classes), "shape of soft labels"))
        problems.append((not bool((np.abs(sums - 1) < 1e-4).all()), "soft labels do not sum to 1"))
    for wrong, what in problems:
        if wrong:
            raise Finding(f"accepted payload: {what}")


def same_everywhere(data: bytes, limits: pf.Limits = LIMITS, modes: tuple[str, ...] = ("numpy", "numba")) -> None:
    """All back ends accept the same, with the same content, or refuse with the same code at the same place.

    Raises:
        Finding: they differ.
    """
    seen: list[tuple[str, Any]] = []
    for mode in modes:
        with accel.use(mode):
            try:
                seen.append((mode, pf.decode(data, groups=groups_of(data), limits=limits)))
            except pf.PladaError as problem:
                seen.append((mode, (problem.code, problem.offset, problem.section)))
            except Exception as problem:
                raise Finding(f"{type(problem).__name__} escapes from decode with {mode}: {problem}") from problem
    first = seen[0][1]
    for mode, result in seen[1:]:
        if result != first:
            raise Finding(f"{seen[0][0]} gives {first}, {mode} gives {result}")


def same_as_reference(data: bytes, limits: pf.Limits = LIMITS) -> None:
    """The decoder and the one written from SPEC.md alone agree: same content, or the same error code.

    Raises:
        Finding: they differ.
    """
    try:
        p = pf.decode(data, groups=groups_of(data), limits=limits)
        found = ("accepted", p.indices.tolist(), p.labels.tolist())
    except pf.PladaError as problem:
        found = (problem.code.name, [], [])
    groups = groups_of(data)
    name, content = reference.verdict(
        data,
        groups=None if groups is None else groups.tolist(),
        max_pool=limits.max_pool,
        max_kept=limits.max_kept,
    )
    expected = (name, content["indices"], content["labels"]) if content else (name, [], [])
    if found != expected:
        raise Finding(f"decode gives {str(found)[:80]}, SPEC.md says {str(expected)[:80]}")


def memory_of(data: bytes, limits: pf.Limits = LIMITS) -> int:
    """Bytes at the peak of decoding, as tracemalloc sees them (NumPy reports its arrays to it).

    Raises:
        Finding: more than the bound, or a MemoryError.
    """
    tracemalloc.start()
    try:
        pf.decode(data, groups=groups_of(data), limits=limits)
    except pf.PladaError:
        pass
    except Exception as problem:
        raise Finding(f"{type(problem).__name__} escapes from decode: {problem}") from problem
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    bound = bound_for(data)
    if peak > bound:
        raise Finding(f"decoding {len(data)} bytes takes {peak} bytes of memory, the bound is {bound}")
    return peak


def with_right_digest(data: bytes) -> bytes | None:
    """The file with the digest of what its streams decode to, or None if they do not."""
    try:
        header = pf.inspect(data)
        view = memoryview(data)
        index, label = (Stream(view[s.offset : s.offset + s.length]) for s in header.sections[:2])
        groups = api._check_groups(header, groups_of(data))
        indices, _ = api._read_indices(header, index, groups)
        labels, _ = api._read_labels(header, label, indices, groups)
    except pf.PladaError:
        return None
    file = parse(data)
    if file is None:
        return None
    file.fixed[38:46] = content_digest(header.pool_size, header.num_classes, indices, labels)
    return file.build()
