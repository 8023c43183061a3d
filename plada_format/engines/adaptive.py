"""Bindings of the adaptive codecs' kernels: tables, the coder's beginning and end, checks (SPEC.md 5.6 to 5.8)."""

from __future__ import annotations

import math
import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import accel
from .._types import U16, U32, AnyArray
from ..errors import ErrorCode, error
from . import adaptive_kernels as kernels
from .gapclass import survival
from .stream import Stream

#: Anchors of the logistic function at x = -2048, -1920 ... 2048, times 65536.
LOGISTIC = (
    22, 36, 60, 98, 162, 267, 439, 721, 1179, 1921, 3108, 4971, 7812, 11952, 17624, 24743, 32768, 40793, 47912,
    53584, 57724, 60565, 62428, 63615, 64357, 64815, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
)  # fmt: skip
#: Observations that each level of a state stands for.
OBSERVATIONS = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 36, 52, 84)
#: First weights, in 1/65536.
WEIGHT_INDEX = 7000
WEIGHT_COUNT = 16000
WEIGHT_LABEL = 18000


@cache
def squash_table() -> tuple[int, ...]:
    """Probabilities of x = -2047..2047, in 1/65536."""
    table = []
    for x in range(1, 4096):
        i, f = x >> 7, x & 127
        p = (LOGISTIC[i] * (128 - f) + LOGISTIC[i + 1] * f + 64) >> 7
        table.append(max(32, min(65504, p)))
    return tuple(table)


@cache
def wide_squash_table() -> tuple[int, ...]:
    """squash_table() for x = 0..32767, then -32768..-1, constant beyond its ends."""
    table = squash_table()
    return table[2047:] + table[-1:] * 30720 + table[:1] * 30721 + table[:2047]


@cache
def next_tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The state after each state s when the decision was 0 and when it was 1 (SPEC.md 5.7), at place s mod 65536."""
    squash = np.array(squash_table(), np.int64)  # entry i is that of x = i - 2047
    here = np.arange(4095)
    numbers = list(range(-32768, 32768))  # one object for each number: lists of them stay small
    tables = []
    for bit in (0, 1):
        columns = []
        for level, count in enumerate(OBSERVATIONS):
            p = squash + (((65535 * bit - squash) * (65536 * 5 // (5 * count + 8))) >> 16)
            if bit:
                there = np.maximum(here, np.minimum(np.searchsorted(squash, p, "left"), 4094)) - 2047
            else:
                there = np.minimum(here, np.maximum(np.searchsorted(squash, p, "right") - 1, 0)) - 2047
            step = (*OBSERVATIONS, 1 << 20)[level + 1] - count
            columns.append(16 * there + level + ((there % step == 0) & (level < 15)))
        states = np.concatenate([np.zeros(16, np.int64), np.stack(columns, 1).ravel()])
        tables.append(tuple(numbers[v + 32768] for v in np.roll(states, 32768).tolist()))
    return tables[0], tables[1]


@cache
def quarter_table() -> tuple[int, ...]:
    """4 * floor(log2 v) plus the next two bits, v < 4096."""
    table = [0]
    for v in range(1, 4096):
        e = v.bit_length() - 1
        table.append(4 * e + (((v << 2) >> e) & 3))
    return tuple(table)


def state_of(p: int, level: int) -> int:
    """The state of probability ``p`` / 65536 that counts as seen OBSERVATIONS[level] times."""
    return 16 * (bisect_left(squash_table(), max(64, min(65472, p))) - 2047) + level


@cache
def start_table() -> tuple[int, ...]:
    """First state of every decision node for gaps of mean class q = 0..63: those of a geometric distribution."""
    table = []
    for q in range(64):
        half_life = (355 * (((18 + 4 * (q & 3)) << (q >> 2)) - 8)) >> 5
        above = [survival((1 << t) - 1, half_life) for t in range(46)]  # P(v >= 2^t)
        for node in range(kernels.NODES):
            t, kind = divmod(node, 3)
            if node > 96:
                p = survival(1 << (node - 97), half_life)
                p = (p << 16) // (65536 + p)
            elif kind == 0:
                p = above[t + 1]
            elif kind == 1:
                p = survival(1 << t, half_life)
            else:
                p = 65536 * (above[t + 1] - above[t + 2]) // max(1, 65536 - above[t + 2])
            table.append(state_of(p, 8))
    return tuple(table)


_compiled: dict[str, Any] = {}
_shared: dict[Any, Any] = {}

#: Images in one call from which compiling pays: about 4 s once on a machine, 0.4 s from numba's cache, against plain
#: Python about 13 microseconds an image for each of the streams that the encoder tries.
WORTH_COMPILING = 60_000


def _numba(work: int) -> Any | None:
    mode = accel._state["mode"] or os.environ.get("PLADA_ACCEL", "auto")
    if mode in ("numpy", "python"):
        return None
    if "space" in _compiled:
        return _compiled["space"]
    if mode == "numba" or accel._state["compiled"] is not None or work >= WORTH_COMPILING:
        return compile_kernels()
    return None


def compile_kernels() -> Any | None:
    """Compile this module's kernels; None where numba is missing or fails."""
    try:
        import numba
    except Exception:
        _compiled["space"] = None
        return None
    import importlib.util

    for disk in (True, False):
        try:
            spec = importlib.util.find_spec(kernels.__name__)
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            for name in kernels.HELPERS:
                setattr(module, name, numba.njit(cache=disk, nogil=True)(getattr(module, name)))
            space = SimpleNamespace(
                **{name: numba.njit(cache=disk, nogil=True)(getattr(module, name)) for name in kernels.NAMES}
            )
            _compiled["space"] = space
            return space
        except Exception:
            continue
    _compiled["space"] = None
    return None


class Coder:
    """One arithmetic-coded stream with the tables that its kernels share, as lists or as int64 arrays."""

    def __init__(self, work: int, capacity: int = 0, source: Stream | None = None) -> None:
        """A writer into a buffer of ``capacity`` bytes, or a reader of all of ``source``; ``work`` images follow."""
        self.fast = _numba(work)
        self.run: Any = self.fast or kernels
        io = [0, 0xFFFFFFFF, 0, 0, 1 if source is None else 0, 0]
        if source is None:
            self.buf: Any = np.zeros(capacity, np.uint8) if self.fast else bytearray(capacity)
        else:
            self.buf = source.buf.copy() if self.fast else source.buf.tobytes()
            io[kernels.CODE] = int.from_bytes(source.buf[:4].tobytes().ljust(4, b"\0"), "big")
            io[kernels.POS] = 4
            if io[kernels.CODE] == 0xFFFFFFFF:
                source.fail(ErrorCode.CODER_STATE, f"the {source.section} section starts with ff ff ff ff")
        self.io = self.ints(io)

    @property
    def decisions(self) -> int:
        """Mixed decisions of the last kernel that ran."""
        return int(self.io[kernels.DECISIONS])

    def ints(self, values: Any) -> Any:
        """A table of the kind that these kernels index fastest."""
        return np.array(values, np.int64) if self.fast else list(values)

    def small(self, values: Any) -> Any:
        """A larger table below 2**31."""
        return np.array(values, np.int32) if self.fast else list(values)

    def numbers(self, values: AnyArray) -> Any:
        """Indices or labels for the kernels to read or fill."""
        return values.astype(np.int64) if self.fast else array("I", values.astype(np.uint32).tobytes())

    def model(self, table: Any, sets: Sequence[int], inputs: int = 3) -> tuple[Any, ...]:
        """States, first weights of all sets for each input, and the shared tables, in the kernels' order."""
        return (
            table,
            *(self.small(sets) for _ in range(inputs)),
            self.shared(np.int32, wide_squash_table),
            self.shared(np.int16, lambda: next_tables()[0], 0),
            self.shared(np.int16, lambda: next_tables()[1], 1),
            self.shared(np.int64, quarter_table),
        )

    def shared(self, dtype: Any, make: Callable[[], tuple[int, ...]], part: int = 0) -> Any:
        """A table that no kernel changes, made once."""
        if not self.fast:
            return make()
        if (dtype, part) not in _shared:
            _shared[dtype, part] = np.array(make(), dtype)
        return _shared[dtype, part]

    def flag(self, bit: int = 0) -> int:
        """A decision of probability 1/2 outside the kernels."""
        io = [int(x) for x in self.io]
        buf = self.buf
        bit = kernels.code_bit(io, buf, 32768, bit)  # type: ignore[arg-type]
        for n, value in enumerate(io):
            self.io[n] = value
        return bit

    def last_value(self) -> int:
        """The value in the coder's final interval that leaves the most zero bytes behind it."""
        low, span = int(self.io[kernels.LOW]), int(self.io[kernels.RANGE])
        for unit in (1 << 32, 1 << 24):
            value = -(-low // unit) * unit
            if value < low + span:
                return value
        raise AssertionError("an interval of 2^24 or more holds a multiple of 2^24")

    def finish(self) -> bytes:
        """End of an encoded stream: the shortest bytes that decode to it."""
        value = self.last_value()
        at = int(self.io[kernels.POS])
        out = bytearray(bytes(self.buf[:at]))
        if value >> 32:
            value -= 1 << 32
            at -= 1
            while out[at] == 255:
                out[at] = 0
                at -= 1
            out[at] += 1
        out += value.to_bytes(4, "big")
        return bytes(out).rstrip(b"\0")

    def check_end(self, st: Stream) -> None:
        """After decoding: the stream is the one that an encoder would have written."""
        end = min(int(self.io[kernels.POS]), len(st.buf))
        st.pos = len(st.buf)
        if len(st.buf) and int(st.buf[-1]) == 0:
            st.fail(ErrorCode.NON_CANONICAL, f"the {st.section} section ends with a zero byte", at=len(st.buf) - 1)
        if end < len(st.buf):
            st.pos = end
            st.finish()
        if int(self.io[kernels.LOW]) + int(self.io[kernels.CODE]) != self.last_value():
            st.fail(ErrorCode.CODER_STATE, f"the {st.section} section does not end as its content demands", at=end)


def encode(count: int, run: Callable[[Coder], int]) -> bytes:
    """The stream that ``run`` writes with a fresh coder; the buffer grows until it suffices."""
    capacity = 8 * count + 4096
    for _ in range(8):
        coder = Coder(count, capacity)
        if run(coder) == 0:
            return coder.finish()
        capacity *= 4
    raise error(ErrorCode.INVALID_ARGUMENT, "indices or labels outside their range cannot be coded")


def index(coder: Coder, mode: int, pool_size: int, values: Any) -> int:
    """Code ``values``, 0 < k < N strictly increasing indices; mode 0 is without structure, 1 with mixed contexts."""
    if mode == 0:
        return int(coder.run.index_uniform(coder.io, coder.buf, coder.ints([0] * 33), pool_size, values))
    model = coder.model(start_states(bool(coder.fast)), [WEIGHT_INDEX] * kernels.NODES)
    return int(coder.run.index_mixed(coder.io, coder.buf, *model, pool_size, values))


def start_states(fast: bool) -> Any:
    """First states of all contexts of the index model, as a list or as an int16 array."""
    if fast:
        rows = np.array(start_table(), np.int16).reshape(64, kernels.NODES)
        return np.concatenate([np.tile(rows[2::4].ravel(), 128), np.repeat(rows, 8, axis=0).ravel()])
    first = [start_table()[n : n + kernels.NODES] for n in range(0, 64 * kernels.NODES, kernels.NODES)]
    table = [state for row in first[2::4] for state in row] * 128
    for row in first:
        table += row * 8
    return table


def count_states(fast: bool) -> Any:
    """First states of the counts in groups, as a list or as an int16 array: only the question of any image has one."""
    table = np.zeros(kernels.GROUP_SLOTS, np.int16) if fast else [kernels.HALF] * kernels.GROUP_SLOTS
    for e in range(64):
        m = (4 + (e & 3)) << (e >> 2)
        state = state_of(65536 * m // (m + 8192), 5)
        row = 16 * e * kernels.NODES
        for at in range(row, row + 16 * kernels.NODES, kernels.NODES):
            table[at] = table[at + kernels.SLOTS_SLOW] = state
        if e & 3 == 2:
            first = kernels.SLOTS_SINCE + (e >> 2) * kernels.NODES
            for at in range(first, kernels.GROUP_SLOTS, 16 * kernels.NODES):
                table[at] = state
    return table


def labels(coder: Coder, mode: int, alphabet: int, indices: U32, values: Any, starts: U32 | None) -> int:
    """Code ``values``, labels below ``alphabet`` >= 2 of ``indices``; mode 0 by frequencies, 1 with mixed contexts.

    ``starts`` are checked group offsets or None.
    """
    if mode == 0:
        ones, both = coder.ints([0] * alphabet), coder.ints([0] * alphabet)
        return int(coder.run.labels_plain(coder.io, coder.buf, ones, both, values))
    depth = (alphabet - 1).bit_length()
    blank = np.zeros(kernels.LABEL_SLOTS, np.int16) if coder.fast else [kernels.HALF] * kernels.LABEL_SLOTS
    model = coder.model(blank, [WEIGHT_LABEL] * (depth + 1), 4)
    nodes = [coder.small([first] * alphabet) for first in (kernels.HALF, kernels.HALF, -1)]
    groups = coder.numbers(np.zeros(0, np.uint32) if starts is None else starts)
    score, scaled = coder.ints([0] * alphabet), coder.ints([0] * alphabet)
    return int(
        coder.run.labels_mixed(
            coder.io, coder.buf, *model, *nodes, score, scaled, groups, coder.numbers(indices), values
        )
    )


def index_groups(coder: Coder, pool_size: int, groups: U32, values: Any) -> int:
    """Code ``values`` group by group."""
    starts = coder.numbers(check_groups(groups, pool_size))
    model = coder.model(count_states(bool(coder.fast)), [WEIGHT_COUNT] * kernels.NODES)
    power = coder.ints([0] * 33)
    return int(coder.run.index_groups(coder.io, coder.buf, *model, power, pool_size, starts, values))


def bound(pool_size: int, count: int) -> float:
    """log2 of the number of index sets, in bytes."""
    total = math.lgamma(pool_size + 1) - math.lgamma(count + 1) - math.lgamma(pool_size - count + 1)
    return total / math.log(2) / 8


def entropy(labels: U16) -> float:
    """Bytes of an ideal code for ``labels`` that knows their frequencies."""
    counts = np.bincount(labels)
    counts = counts[counts > 0]
    return float((counts * np.log2(len(labels) / counts)).sum()) / 8


def check_groups(groups: U32, pool_size: int) -> U32:
    """Start offsets of groups as uint32: the first is 0, they increase strictly and stay below the pool size."""
    starts = np.asarray(groups)
    if starts.ndim != 1 or not len(starts) or starts.dtype.kind not in "ui":
        raise error(ErrorCode.INVALID_ARGUMENT, "groups must be a one-dimensional array of start offsets")
    wide = starts.astype(np.int64)
    if wide[0] != 0 or wide[-1] >= pool_size or (np.diff(wide) <= 0).any():
        raise error(
            ErrorCode.INVALID_ARGUMENT,
            f"groups must start with 0, increase strictly and stay below the pool size {pool_size}",
        )
    return wide.astype(np.uint32)
