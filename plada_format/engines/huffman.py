"""Symbol sets and canonical Huffman codes (SPEC.md 5.2 and 5.3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._types import I64, U16, U32, AnyArray
from ..accel import backend
from ..errors import ErrorCode
from . import bits, intblock
from .stream import Stream, varint_bytes

LONGEST = 16


@dataclass(frozen=True)
class SymbolSet:
    """The symbols that a table describes, ascending, with the block parameter that wrote them (None: all symbols)."""

    symbols: I64
    parameter: int | None = None


def read_symbols(st: Stream, alphabet: int) -> SymbolSet:
    """Read ``symbols(alphabet)``."""
    count = st.varint("the number of symbols in a table")
    if not 1 <= count <= alphabet:
        st.fail(ErrorCode.TABLE, f"a table of {count} symbols out of {alphabet}")
    if count == alphabet:
        return SymbolSet(np.arange(alphabet))
    at = st.pos
    gaps, parameter = intblock.decode(st, count)
    symbols = np.cumsum(gaps.astype(np.int64) + 1) - 1
    if int(symbols[-1]) >= alphabet:
        st.fail(ErrorCode.TABLE, f"a table names symbol {symbols[-1]}, the largest is {alphabet - 1}", at=at)
    return SymbolSet(symbols, parameter)


def write_symbols(members: SymbolSet, alphabet: int) -> bytes:
    """Write ``symbols(alphabet)``."""
    count = varint_bytes(len(members.symbols))
    if len(members.symbols) == alphabet:
        return count
    gaps = np.diff(members.symbols, prepend=-1) - 1
    return count + intblock.encode(gaps, members.parameter)


def ranks(values: AnyArray, members: SymbolSet, alphabet: int) -> U16:
    """Position of every value in the symbol set."""
    lookup = np.zeros(alphabet, np.uint16)
    lookup[members.symbols] = np.arange(len(members.symbols))
    return np.asarray(lookup[values], np.uint16)


@dataclass(frozen=True)
class HuffmanTable:
    """What is transmitted of a code: symbols, lengths (empty if one symbol) and the parameter of their block."""

    members: SymbolSet
    lengths: I64
    parameter: int | None = None


def optimal_lengths(counts: AnyArray, longest: int = LONGEST) -> I64:
    """Optimal code lengths of at most ``longest`` bits for two or more positive counts (package-merge).

    Only the number of leaves in each level's used prefix is kept: a symbol's length is the number of levels whose
    prefix reaches its rank.
    """
    n = len(counts)
    order = np.lexsort((np.arange(n), counts))
    leaves = counts[order].astype(np.int64)
    merged, leaf_flags = leaves, [np.ones(n, bool)]
    for _ in range(longest - 1):
        usable = len(merged) & ~1
        packages = merged[0:usable:2] + merged[1:usable:2]
        together = np.concatenate([leaves, packages])
        rank = np.argsort(together, kind="stable")
        merged = together[rank]
        leaf_flags.append(rank < n)
    lengths = np.zeros(n, np.int64)
    need = 2 * n - 2
    for flags in reversed(leaf_flags):
        used = int(np.count_nonzero(flags[:need]))
        lengths[order[:used]] += 1
        need = 2 * (need - used)
    return lengths


def table_for(values: AnyArray, alphabet: int) -> HuffmanTable:
    """The optimal table for one or more values below ``alphabet``."""
    counts = np.bincount(values, minlength=alphabet)
    symbols = np.flatnonzero(counts)
    lengths = optimal_lengths(counts[symbols]) if len(symbols) > 1 else np.zeros(0, np.int64)
    return HuffmanTable(SymbolSet(symbols), lengths)


def _start(count: int) -> int:
    return (count - 1).bit_length()


def write_table(table: HuffmanTable, alphabet: int) -> bytes:
    """Write the parts "set" and "lengths"."""
    out = write_symbols(table.members, alphabet)
    if len(table.members.symbols) > 1:
        d = np.diff(table.lengths, prepend=_start(len(table.lengths)))
        out += intblock.encode(np.where(d >= 0, 2 * d, -2 * d - 1), table.parameter)
    return out


def read_table(st: Stream, alphabet: int) -> HuffmanTable:
    """Read and check the parts "set" and "lengths"."""
    members = read_symbols(st, alphabet)
    count = len(members.symbols)
    if count == 1:
        return HuffmanTable(members, np.zeros(0, np.int64))
    at = st.pos
    zigzag, parameter = intblock.decode(st, count)
    z = zigzag.astype(np.int64)
    lengths = np.cumsum(np.where(z & 1, -(z >> 1) - 1, z >> 1)) + _start(count)
    if int(lengths.min()) < 1 or int(lengths.max()) > LONGEST:
        st.fail(ErrorCode.TABLE, f"code length outside 1..{LONGEST}", at=at)
    if int((np.int64(1) << (LONGEST - lengths)).sum()) != 1 << LONGEST:
        st.fail(ErrorCode.TABLE, "the prefix code is not complete", at=at)
    return HuffmanTable(members, lengths, parameter)


@lru_cache(maxsize=LONGEST)
def _bit_reversal(width: int) -> I64:
    """The numbers 0 .. 2^width - 1 with their bits in reverse order."""
    flipped = np.zeros(1, np.int64)
    for _ in range(width):
        flipped = np.concatenate([2 * flipped, 2 * flipped + 1])
    return flipped


def _reversed_codes(lengths: I64) -> tuple[I64, I64]:
    """Order of the symbols by (length, symbol), and each symbol's code word with its bits reversed."""
    order = np.lexsort((np.arange(len(lengths)), lengths))
    steps = np.int64(1) << (LONGEST - lengths[order])
    left_aligned = np.cumsum(steps) - steps  # 16-bit code words, first bit on top
    flipped = left_aligned.copy()
    for shift, mask in ((1, 0x5555), (2, 0x3333), (4, 0x0F0F), (8, 0x00FF)):
        flipped = ((flipped >> shift) & mask) | ((flipped & mask) << shift)
    codes = np.empty(len(lengths), np.int64)
    codes[order] = flipped
    return order, codes


def encode(values: AnyArray, alphabet: int, table: HuffmanTable | None = None) -> bytes:
    """Write ``huffman(alphabet, len(values))``."""
    table = table or table_for(values, alphabet)
    out = write_table(table, alphabet)
    if len(table.members.symbols) == 1:
        return out
    words = ranks(values, table.members, alphabet)
    _, codes = _reversed_codes(table.lengths)
    kernels = backend(len(words))
    if kernels is not None:
        lengths = table.lengths.astype(np.uint8)
        counts = np.bincount(words, minlength=len(lengths))
        buffer = np.zeros((int((counts * table.lengths).sum()) + 7) // 8, np.uint8)
        kernels.huffman_encode(words, lengths, codes.astype(np.uint16), buffer)
        return out + buffer.tobytes()
    return out + bits.pack(bits.variable_bits(codes[words], table.lengths[words]))


def decode(st: Stream, alphabet: int, n: int) -> tuple[U16, HuffmanTable]:
    """Read ``huffman(alphabet, n)``, n >= 1."""
    table = read_table(st, alphabet)
    symbols = table.members.symbols.astype(np.uint16)
    if len(symbols) == 1:
        return np.full(n, symbols[0], np.uint16), table
    if n * int(table.lengths.min()) > 8 * st.left:
        st.missing("the Huffman codes")
    longest = int(table.lengths.max())
    order, _ = _reversed_codes(table.lengths)
    # in code order each symbol owns 2^(longest - length) slots in a row; the stream gives the bits in reverse
    owners = np.repeat(order, 1 << (longest - table.lengths[order]))[_bit_reversal(longest)]
    symbol_of = symbols[owners]
    length_of = table.lengths.astype(np.uint8)[owners]
    kernels = backend(n)
    if kernels is not None:
        out = np.empty(n, np.uint16)
        end = int(kernels.huffman_decode(st.buf, 8 * st.pos, symbol_of, length_of, longest, out))
    else:
        out, end = _decode_numpy(st, symbol_of, length_of, longest, n)
    if end < 0:
        st.missing("the Huffman codes")
    st.end_padding(end, "Huffman codes")
    return out, table


def _decode_numpy(st: Stream, symbol_of: U16, length_of: AnyArray, longest: int, n: int) -> tuple[U16, int]:
    """Look up a word at every bit position of a piece, then walk from word to word.

    The walk is the only scalar step: one addition and one lookup per symbol.
    """
    out = np.empty(n, np.uint16)
    mask = (1 << longest) - 1
    total = 8 * len(st.buf)
    position, done = 8 * st.pos, 0
    while done < n:
        byte = position >> 3
        piece = st.buf[byte : byte + (1 << 16) + 2].astype(np.uint32)
        body = min(1 << 16, len(st.buf) - byte)
        if body <= 0:
            return out, -1
        padded = np.zeros(body + 2, np.uint32)
        padded[: len(piece)] = piece[: body + 2]
        window: U32 = padded[:body] | padded[1 : body + 1] << np.uint32(8) | padded[2:] << np.uint32(16)
        slots = ((window[:, None] >> np.arange(8, dtype=np.uint32)) & np.uint32(mask)).reshape(-1)
        step = length_of[slots].tobytes()
        at, end = position - 8 * byte, 8 * body
        walk = []
        left = n - done
        while at < end and left:
            walk.append(at)
            at += step[at]
            left -= 1
        out[done : done + len(walk)] = symbol_of[slots[walk]]
        done += len(walk)
        position = 8 * byte + at
    return out, position if position <= total else -1
