"""Scalar kernels: plain functions on flat arrays that numba can compile and plain Python can run.

They allocate nothing and raise nothing. Callers guarantee the array sizes named in each docstring; what depends on
hostile bytes is checked here and comes back as a negative status. Loads are written ``(0 | int(a[i]))``: a Python
integer without numba, a signed 64-bit one with it (numba would turn mixed signedness into floating point).
"""

from __future__ import annotations

import numpy as np

from .._types import AnyArray

CTZ8 = np.array([8 if v == 0 else (v & -v).bit_length() - 1 for v in range(256)], np.uint8)
# de Bruijn sequence: multiplying it by 2^n puts a different 5-bit pattern on top for each n
CTZ32 = np.zeros(32, np.uint8)
CTZ32[[((0x077CB531 << n) & 0xFFFFFFFF) >> 27 for n in range(32)]] = range(32)


def bitmap_scan(buf: AnyArray, words: AnyArray, out: AnyArray) -> int:
    """Positions of the one bits of ``buf`` into ``out``; their count, or -1 if they are more than ``len(out)``.

    ``words`` holds as many whole groups of 8 bytes as there are, as little-endian int64.
    """
    count = 0
    limit = len(out)
    for group in range(len(words)):
        word = 0 | int(words[group])
        if word == 0:
            continue
        for half in range(0, 64, 32):
            value = (word >> half) & 0xFFFFFFFF
            while value:
                if count == limit:
                    return -1
                lowest = value & -value
                out[count] = 64 * group + half + int(CTZ32[((lowest * 0x077CB531) & 0xFFFFFFFF) >> 27])
                count += 1
                value ^= lowest
    for byte in range(8 * len(words), len(buf)):
        value = 0 | int(buf[byte])
        while value:
            if count == limit:
                return -1
            out[count] = 8 * byte + int(CTZ8[value])
            count += 1
            value &= value - 1
    return count


def bitmap_fill(indices: AnyArray, out: AnyArray) -> int:
    """Set the bits ``indices`` in the zeroed ``out``."""
    for j in range(len(indices)):
        i = 0 | int(indices[j])
        out[i >> 3] |= 1 << (i & 7)
    return 0


def unary_decode(buf: AnyArray, start_byte: int, q: AnyArray) -> int:
    """Part A of an integer block: zero-bit counts before each of the next ``len(q)`` one bits, clipped to 2**32-1.

    Returns the bit position after the last one bit, or -1 if the buffer ends before.
    """
    count = 0
    n = len(q)
    previous = 8 * start_byte
    for byte in range(start_byte, len(buf)):
        value = 0 | int(buf[byte])
        while value:
            position = 8 * byte + (0 | int(CTZ8[value]))
            gap = position - previous
            q[count] = gap if gap < 0xFFFFFFFF else 0xFFFFFFFF
            previous = position + 1
            count += 1
            if count == n:
                return previous
            value &= value - 1
    return -1


def fields_decode(buf: AnyArray, start: int, width: int, out: AnyArray) -> int:
    """``len(out)`` fields of ``width`` bits from bit ``start``; the caller has checked that they lie in the buffer."""
    mask = (1 << width) - 1
    byte = start >> 3
    ready = 0
    have = 0
    if width and len(out):
        ready = (0 | int(buf[byte])) >> (start & 7)
        have = 8 - (start & 7)
        byte += 1
    for j in range(len(out)):
        while have < width:
            ready |= (0 | int(buf[byte])) << have
            byte += 1
            have += 8
        out[j] = ready & mask
        ready >>= width
        have -= width
    return start + width * len(out)


def golomb_finish(buf: AnyArray, start: int, values: AnyArray, divisor: int, width: int) -> int:
    """Parts B and C of a Golomb block. ``values`` holds q on entry, v on return; part B lies in the buffer.

    Returns the bit position after part C; -1: part C is cut off; -2: a value of 2**32 or more.
    """
    n = len(values)
    bits = 8 * len(buf)
    threshold = (2 << width) - divisor
    mask = (1 << width) - 1
    extra_at = start + n * width
    most = 0xFFFFFFFF // divisor
    large = False
    byte = start >> 3
    ready = 0
    have = 0
    if width:
        ready = (0 | int(buf[byte])) >> (start & 7)
        have = 8 - (start & 7)
        byte += 1
    for j in range(n):
        while have < width:
            ready |= (0 | int(buf[byte])) << have
            byte += 1
            have += 8
        low = ready & mask
        ready >>= width
        have -= width
        if low >= threshold:
            if extra_at >= bits:
                return -1
            low = 2 * low + (((0 | int(buf[extra_at >> 3])) >> (extra_at & 7)) & 1) - threshold
            extra_at += 1
        q = 0 | int(values[j])
        if q > most or q * divisor + low > 0xFFFFFFFF:
            large = True
        else:
            values[j] = q * divisor + low
    if large:
        return -2
    return extra_at


def exp_golomb_finish(buf: AnyArray, start: int, values: AnyArray, order: int) -> int:
    """Parts B and C of an Exp-Golomb block; as :func:`golomb_finish`. All q are at most 32 - order."""
    n = len(values)
    size = len(buf)
    mask = (1 << order) - 1
    large = False
    byte = start >> 3
    ready = 0
    have = 0
    if order:
        ready = (0 | int(buf[byte])) >> (start & 7)
        have = 8 - (start & 7)
        byte += 1
    extra_start = start + n * order
    extra_byte = extra_start >> 3
    extra = 0
    extra_have = 0
    if extra_start & 7:
        extra = (0 | int(buf[extra_byte])) >> (extra_start & 7)
        extra_have = 8 - (extra_start & 7)
        extra_byte += 1
    for j in range(n):
        while have < order:
            ready |= (0 | int(buf[byte])) << have
            byte += 1
            have += 8
        q = 0 | int(values[j])
        while extra_have < q:
            if extra_byte == size:
                return -1
            extra |= (0 | int(buf[extra_byte])) << extra_have
            extra_byte += 1
            extra_have += 8
        top = (1 << q) + (extra & ((1 << q) - 1)) - 1
        extra >>= q
        extra_have -= q
        value = (top << order) + (ready & mask)
        ready >>= order
        have -= order
        if value > 0xFFFFFFFF:
            large = True
        else:
            values[j] = value
    if large:
        return -2
    return 8 * extra_byte - extra_have


def put(out: AnyArray, position: int, width: int, value: int) -> int:
    """Write a field into zeroed bits."""
    byte = position >> 3
    shift = position & 7
    value <<= shift
    left = width + shift
    while left > 0:
        out[byte] |= value & 0xFF
        value >>= 8
        byte += 1
        left -= 8
    return position + width


def bit_length(value: int) -> int:
    """Number of bits of a non-negative integer below 2**33."""
    n = 0
    if value >= 1 << 16:
        value >>= 16
        n = 16
    if value >= 1 << 16:
        value >>= 16
        n += 16
    if value >= 1 << 8:
        value >>= 8
        n += 8
    while value:
        value >>= 1
        n += 1
    return n


def golomb_cost(values: AnyArray, divisor: int, width: int) -> int:
    """Sum of the bits of parts A, B, C of a Golomb block."""
    threshold = (2 << width) - divisor
    total = len(values) * (width + 1)
    for j in range(len(values)):
        v = 0 | int(values[j])
        q = v // divisor
        total += q
        if v - q * divisor >= threshold:
            total += 1
    return total


def exp_golomb_cost(values: AnyArray, order: int) -> int:
    """Sum of the bits of parts A, B, C of an Exp-Golomb block."""
    total = len(values) * (order + 1)
    for j in range(len(values)):
        total += 2 * (bit_length(((0 | int(values[j])) >> order) + 1) - 1)
    return total


def golomb_encode(values: AnyArray, divisor: int, width: int, extra_start: int, out: AnyArray) -> int:
    """Write the three parts into the zeroed ``out`` of the right size; ``extra_start`` = bits of A and B."""
    n = len(values)
    threshold = (2 << width) - divisor
    unary_at = 0
    extra_at = extra_start
    low_at = extra_start - n * width
    byte = low_at >> 3
    have = low_at & 7
    ready = 0
    for j in range(n):
        v = 0 | int(values[j])
        q = v // divisor
        low = v - q * divisor
        unary_at += q
        out[unary_at >> 3] |= 1 << (unary_at & 7)
        unary_at += 1
        if low >= threshold:
            out[extra_at >> 3] |= ((low + threshold) & 1) << (extra_at & 7)
            extra_at += 1
            low = (low + threshold) >> 1
        ready |= low << have
        have += width
        while have >= 8:
            out[byte] |= ready & 0xFF
            ready >>= 8
            byte += 1
            have -= 8
    if ready:
        out[byte] |= ready
    return extra_at


def exp_golomb_encode(values: AnyArray, order: int, extra_start: int, out: AnyArray) -> int:
    """As :func:`golomb_encode`."""
    n = len(values)
    unary_at = 0
    low_at = extra_start - n * order
    extra_at = extra_start
    for j in range(n):
        v = 0 | int(values[j])
        t = (v >> order) + 1
        q = bit_length(t) - 1
        unary_at += q
        out[unary_at >> 3] |= 1 << (unary_at & 7)
        unary_at += 1
        low_at = put(out, low_at, order, v & ((1 << order) - 1))
        extra_at = put(out, extra_at, q, t - (1 << q))
    return extra_at


def fields_encode(values: AnyArray, width: int, out: AnyArray) -> int:
    """Fields of ``width`` bits into the zeroed ``out``."""
    byte = 0
    ready = 0
    have = 0
    for j in range(len(values)):
        ready |= (0 | int(values[j])) << have
        have += width
        while have >= 8:
            out[byte] = ready & 0xFF
            ready >>= 8
            byte += 1
            have -= 8
    if have:
        out[byte] = ready
    return 0


def huffman_decode(
    buf: AnyArray, start: int, symbol_of: AnyArray, length_of: AnyArray, longest: int, out: AnyArray
) -> int:
    """Decode ``len(out)`` code words from the byte boundary ``start`` (in bits) by tables over ``longest`` bits.

    Returns the bit position after the last word, or -1 if the buffer ends within a word.
    """
    size = len(buf)
    mask = (1 << longest) - 1
    byte = start >> 3
    ready = 0
    have = 0
    for j in range(len(out)):
        while have < longest:  # beyond the end: zeros, which the final check below unmasks
            if byte < size:
                ready |= (0 | int(buf[byte])) << have
            byte += 1
            have += 8
        slot = ready & mask
        length = 0 | int(length_of[slot])
        out[j] = symbol_of[slot]
        ready >>= length
        have -= length
        if 8 * byte - have > 8 * size:
            return -1
    return 8 * byte - have


def huffman_encode(words: AnyArray, lengths: AnyArray, reversed_code: AnyArray, out: AnyArray) -> int:
    """Write the code words ``words`` (ranks into ``lengths`` and ``reversed_code``) into the zeroed ``out``."""
    position = 0
    for j in range(len(words)):
        w = 0 | int(words[j])
        position = put(out, position, (0 | int(lengths[w])), (0 | int(reversed_code[w])))
    return position


def rans_decode(
    buf: AnyArray,
    start: int,
    lanes: int,
    precision: int,
    states: AnyArray,
    slot_frequency: AnyArray,
    slot_bias: AnyArray,
    slot_rank: AnyArray,
    out: AnyArray,
) -> int:
    """Decode ``len(out)`` ranks. ``states`` int64 (lanes,) hold the initial states; tables have 2**precision slots.

    Returns the byte position after the last word, or -1 if a word is missing. The final states are in ``states``.
    """
    mask = (1 << precision) - 1
    size = len(buf)
    position = start
    lane = 0
    for j in range(len(out)):
        x = 0 | int(states[lane])
        slot = x & mask
        out[j] = slot_rank[slot]
        x = (0 | int(slot_frequency[slot])) * (x >> precision) + (0 | int(slot_bias[slot]))
        if x < 65536:
            if position + 2 > size:
                return -1
            x = (x << 16) | int(buf[position]) | ((0 | int(buf[position + 1])) << 8)
            position += 2
        states[lane] = x
        lane += 1
        if lane == lanes:
            lane = 0
    return position


def rans_encode(
    ranks: AnyArray,
    lanes: int,
    precision: int,
    frequency: AnyArray,
    cumulative: AnyArray,
    states: AnyArray,
    words: AnyArray,
) -> int:
    """Encode backwards; ``words`` (uint16, one per symbol) fills from its end. Returns the first used slot."""
    n = len(ranks)
    at = len(words)
    for j in range(n - 1, -1, -1):
        lane = j % lanes
        x = 0 | int(states[lane])
        r = 0 | int(ranks[j])
        f = 0 | int(frequency[r])
        if (x >> (32 - precision)) >= f:
            at -= 1
            words[at] = x & 0xFFFF
            x >>= 16
        q = x // f
        states[lane] = (q << precision) + (x - q * f) + (0 | int(cumulative[r]))
    return at


def gap_split(gaps: AnyArray, classes: AnyArray, widths: AnyArray, raw: AnyArray) -> int:
    """Class, number of raw bits and raw bits of every gap (SPEC.md 6.4)."""
    total = 0
    for j in range(len(gaps)):
        v = 0 | int(gaps[j])
        if v < 8:
            classes[j] = v
            widths[j] = 0
            raw[j] = 0
        else:
            e = bit_length(v) - 1
            classes[j] = 8 + 4 * (e - 3) + ((v >> (e - 2)) & 3)
            widths[j] = e - 2
            raw[j] = v & ((1 << (e - 2)) - 1)
            total += e - 2
    return total


def raw_decode(buf: AnyArray, start: int, classes: AnyArray, gaps: AnyArray) -> int:
    """Add the raw bits to the classes. Returns the bit position after them, or -1 if the buffer ends before."""
    size = len(buf)
    byte = start >> 3  # start is a byte boundary
    ready = 0
    have = 0
    for j in range(len(classes)):
        c = 0 | int(classes[j])
        if c < 8:
            gaps[j] = c
        else:
            width = (c >> 2) - 1
            while have < width:
                if byte == size:
                    return -1
                ready |= (0 | int(buf[byte])) << have
                byte += 1
                have += 8
            gaps[j] = ((4 + (c & 3)) << width) + (ready & ((1 << width) - 1))
            ready >>= width
            have -= width
    return 8 * byte - have


def raw_encode(widths: AnyArray, raw: AnyArray, out: AnyArray) -> int:
    """Write the raw bits of every gap into the zeroed ``out``."""
    position = 0
    for j in range(len(widths)):
        position = put(out, position, (0 | int(widths[j])), (0 | int(raw[j])))
    return position


def runs_expand(skipped: AnyArray, lengths: AnyArray, out: AnyArray) -> int:
    """Indices of alternating runs, coded as in SPEC.md 6.3; the caller has checked that they fill ``out`` exactly."""
    position = -1
    at = 0
    for run in range(len(lengths)):
        position += 1 + (0 | int(skipped[run]))
        for _ in range((0 | int(lengths[run])) + 1):
            out[at] = position
            at += 1
            position += 1
    return at


NAMES = (
    "bitmap_scan",
    "bitmap_fill",
    "unary_decode",
    "fields_decode",
    "golomb_finish",
    "exp_golomb_finish",
    "golomb_cost",
    "exp_golomb_cost",
    "golomb_encode",
    "exp_golomb_encode",
    "fields_encode",
    "huffman_decode",
    "huffman_encode",
    "rans_decode",
    "rans_encode",
    "gap_split",
    "raw_decode",
    "raw_encode",
    "runs_expand",
)
HELPERS = ("put", "bit_length")
