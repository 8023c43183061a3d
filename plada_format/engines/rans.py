"""Static interleaved rANS: 32-bit states, 16-bit words (SPEC.md 5.4)."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from .._types import I32, I64, U16, AnyArray
from ..accel import backend
from ..errors import ErrorCode
from . import intblock
from .huffman import SymbolSet, ranks, read_symbols, write_symbols
from .stream import Stream

LOW = 1 << 16  # states live in 2^16 .. 2^32 - 1
#: (symbols from which it holds, lanes), largest first
LANES = ((131_072, 64), (65_536, 32), (0, 1))


def lanes_for(n: int) -> int:
    """Number of interleaved states for ``n`` symbols."""
    return next(lanes for least, lanes in LANES if n >= least)


@dataclass(frozen=True)
class FrequencyTable:
    """Members, precision s and frequencies that sum to 2^s (precision 0, one member: nothing is coded)."""

    members: SymbolSet
    precision: int
    frequencies: I64
    parameter: int | None = None

    @property
    def cumulative(self) -> I64:
        """c_j, the sum of the frequencies before member j."""
        return np.asarray(np.cumsum(self.frequencies) - self.frequencies, np.int64)


def normalise(counts: AnyArray, precision: int) -> I64:
    """Frequencies >= 1 with sum 2**precision by largest remainder (SPEC.md 5.4, encoder guidance)."""
    total = int(counts.sum())
    scaled = counts.astype(object) * (1 << precision) if total >= 1 << 36 else counts.astype(np.int64) << precision
    quotient = np.asarray(scaled // total, np.int64)
    remainder = np.asarray(scaled % total, np.int64)
    frequencies = np.maximum(quotient, 1)
    missing = (1 << precision) - int(frequencies.sum())
    if missing > 0:
        order = np.lexsort((np.arange(len(counts)), -remainder))
        frequencies[order[:missing]] += 1
    if missing < 0:  # take from the largest, one by one
        heap = [(-int(f), j) for j, f in enumerate(frequencies)]
        heapq.heapify(heap)
        for _ in range(-missing):
            f, j = heap[0]
            frequencies[j] -= 1
            heapq.heapreplace(heap, (f + 1, j))
    return frequencies


def table_for(values: AnyArray, alphabet: int) -> FrequencyTable:
    """The table with the smallest estimated table + stream for one or more values below ``alphabet``."""
    counts = np.bincount(values, minlength=alphabet)
    symbols = np.flatnonzero(counts)
    members = SymbolSet(symbols)
    if len(symbols) == 1:
        return FrequencyTable(members, 0, np.zeros(0, np.int64))
    present = counts[symbols].astype(np.int64)
    best: tuple[float, FrequencyTable] | None = None
    for precision in range(max((len(symbols) - 1).bit_length(), 1), 17):
        frequencies = normalise(present, precision)
        size = float((present * (precision - np.log2(frequencies))).sum())
        block = (frequencies[:-1] - 1).astype(np.uint32)
        size += intblock.cost(block, intblock.choose(block))
        if best is None or size < best[0]:
            best = size, FrequencyTable(members, precision, frequencies)
    assert best is not None
    return best[1]


def write_table(table: FrequencyTable, alphabet: int) -> bytes:
    """Write ``table(alphabet)``."""
    out = write_symbols(table.members, alphabet)
    if len(table.members.symbols) > 1:
        out += bytes([table.precision]) + intblock.encode(table.frequencies[:-1] - 1, table.parameter)
    return out


def read_table(st: Stream, alphabet: int) -> FrequencyTable:
    """Read and check ``table(alphabet)``."""
    members = read_symbols(st, alphabet)
    count = len(members.symbols)
    if count == 1:
        return FrequencyTable(members, 0, np.zeros(0, np.int64))
    precision = st.u8("the precision of a frequency table")
    if not 1 <= precision <= 16 or count > 1 << precision:
        st.fail(ErrorCode.PARAMETER, f"precision {precision} for {count} symbols", at=st.pos - 1)
    at = st.pos
    block, parameter = intblock.decode(st, count - 1)
    frequencies = np.empty(count, np.int64)
    frequencies[:-1] = block.astype(np.int64) + 1
    frequencies[-1] = (1 << precision) - int(frequencies[:-1].sum())
    if frequencies[-1] < 1:
        st.fail(ErrorCode.TABLE, f"frequencies sum to more than 2^{precision}", at=at)
    return FrequencyTable(members, precision, frequencies, parameter)


def encode(values: AnyArray, alphabet: int, table: FrequencyTable) -> bytes:
    """Write ``rans(table, len(values))``: states, then words."""
    if len(table.members.symbols) == 1:
        return b""
    rank = ranks(values, table.members, alphabet)
    lanes = lanes_for(len(rank))
    states = np.full(lanes, LOW, np.int64)
    words = np.empty(len(rank), np.uint16)
    kernels = backend(len(rank))
    if kernels is not None:
        at = int(kernels.rans_encode(rank, lanes, table.precision, table.frequencies, table.cumulative, states, words))
    else:
        at = (_encode_scalar if lanes == 1 else _encode_lanes)(rank, table, states, words)
    return states.astype("<u4").tobytes() + words[at:].astype("<u2").tobytes()


def _encode_scalar(rank: U16, table: FrequencyTable, states: I64, words: U16) -> int:
    frequency, cumulative = table.frequencies.tolist(), table.cumulative.tolist()
    shift, precision = 32 - table.precision, table.precision
    x, out = LOW, []
    for r in rank[::-1].tolist():
        f = frequency[r]
        if x >> shift >= f:
            out.append(x & 0xFFFF)
            x >>= 16
        x = (x // f << precision) + x % f + cumulative[r]
    states[0] = x
    at = len(words) - len(out)
    words[at:] = out[::-1]
    return at


def _encode_lanes(rank: U16, table: FrequencyTable, states: I64, words: U16) -> int:
    lanes, n = len(states), len(rank)
    shift, precision = 32 - table.precision, table.precision
    f_all, c_all = table.frequencies, table.cumulative
    x = states
    at = n
    for start in range((n - 1) // lanes * lanes, -1, -lanes):
        r = rank[start : start + lanes]
        f, here = f_all[r], x[: len(r)]
        full = (here >> shift) >= f
        out = here[full] & 0xFFFF
        words[at - len(out) : at] = out
        at -= len(out)
        here = np.where(full, here >> 16, here)
        q = here // f
        x[: len(r)] = (q << precision) + here - q * f + c_all[r]
    return at


def decode(st: Stream, table: FrequencyTable, n: int) -> U16:
    """Read ``rans(table, n)``: n >= 1 symbols."""
    symbols = table.members.symbols.astype(np.uint16)
    if len(symbols) == 1:
        return np.full(n, symbols[0], np.uint16)
    lanes = lanes_for(n)
    at = st.pos
    states = st.take(4 * lanes, "the rANS states").view("<u4").astype(np.int64)
    if int(states.min()) < LOW:
        st.fail(ErrorCode.CODER_STATE, "initial rANS state below 2^16", at=at)
    kernels = backend(n)
    if lanes == 1 and n < (1024 if kernels is not None else (1 << table.precision) // 4):
        return _decode_few(st, table, int(states[0]), n)
    frequency = np.repeat(table.frequencies.astype(np.int32), table.frequencies)
    bias = np.arange(1 << table.precision, dtype=np.int32)
    bias -= np.repeat(table.cumulative.astype(np.int32), table.frequencies)
    symbol = np.repeat(symbols, table.frequencies)
    out = np.empty(n, np.uint16)
    if kernels is not None:
        end = int(kernels.rans_decode(st.buf, st.pos, lanes, table.precision, states, frequency, bias, symbol, out))
    else:
        step = _decode_scalar if lanes == 1 else _decode_lanes
        end = step(st, table.precision, states, frequency, bias, symbol, out)
    if end < 0:
        st.missing("the rANS words")
    st.pos = end
    if (states != LOW).any():
        st.fail(ErrorCode.CODER_STATE, "final rANS state is not 2^16")
    return out


def _decode_few(st: Stream, table: FrequencyTable, x: int, n: int) -> U16:
    """One lane by bisection: for few symbols, a table of 2^s slots costs more than it saves."""
    f, c, mask = table.frequencies.tolist(), table.cumulative.tolist(), (1 << table.precision) - 1
    words, at, found = _words(st), 0, []
    for _ in range(n):
        slot = x & mask
        j = bisect_right(c, slot) - 1
        found.append(j)
        x = f[j] * (x >> table.precision) + slot - c[j]
        if x < LOW:
            if at == len(words):
                st.missing("the rANS words")
            x = x << 16 | int(words[at])
            at += 1
    st.pos += 2 * at
    if x != LOW:
        st.fail(ErrorCode.CODER_STATE, "final rANS state is not 2^16")
    return table.members.symbols[found].astype(np.uint16)


def _words(st: Stream) -> U16:
    left = st.left & ~1
    return st.buf[st.pos : st.pos + left].view("<u2")


def _decode_scalar(st: Stream, precision: int, states: I64, frequency: I32, bias: I32, symbol: U16, out: U16) -> int:
    words = _words(st).tolist() if st.left < 1 << 18 else _words(st)
    f, b, mask = frequency.tolist(), bias.tolist(), (1 << precision) - 1
    x, at, slots = int(states[0]), 0, []
    for _ in range(len(out)):
        slot = x & mask
        slots.append(slot)
        x = f[slot] * (x >> precision) + b[slot]
        if x < LOW:
            if at == len(words):
                return -1
            x = x << 16 | int(words[at])
            at += 1
    states[0] = x
    out[:] = symbol[slots]
    return st.pos + 2 * at


def _decode_lanes(st: Stream, precision: int, states: I64, frequency: I32, bias: I32, symbol: U16, out: U16) -> int:
    """All lanes at once; a few array operations per group of symbols, none of which allocates."""
    words = _words(st).astype(np.int64)
    lanes, mask, at, n = len(states), (1 << precision) - 1, 0, len(out)
    frequency64, bias64 = frequency.astype(np.int64), bias.astype(np.int64)
    slots = np.empty((-(-n // lanes), lanes), np.int64)
    f, low = np.empty(lanes, np.int64), np.empty(lanes, bool)
    x: I64 = states
    end = len(words)
    for group, slot in enumerate(slots):
        if group == len(slots) - 1 and n % lanes:  # the last symbols fill only some lanes
            m = n % lanes
            x, f, low, slot = x[:m], f[:m], low[:m], slot[:m]
        np.bitwise_and(x, mask, out=slot)
        np.take(frequency64, slot, out=f, mode="clip")  # "clip" skips a copy; slots are in range by the mask
        np.right_shift(x, precision, out=x)
        np.multiply(x, f, out=x)
        np.take(bias64, slot, out=f, mode="clip")
        np.add(x, f, out=x)
        np.less(x, LOW, out=low)
        needy = low.nonzero()[0]
        if len(needy):
            if at + len(needy) > end:
                return -1
            x[needy] = x[needy] << 16 | words[at : at + len(needy)]
            at += len(needy)
    out[:] = symbol[slots.reshape(-1)[:n]]
    return st.pos + 2 * at
