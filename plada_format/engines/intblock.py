"""Integer block: Golomb or Exp-Golomb codes with unary part, low bits and extra bits apart (SPEC.md 5.1)."""

from __future__ import annotations

import numpy as np

from .._types import U32, AnyArray
from ..accel import backend
from ..errors import ErrorCode
from . import bits
from .stream import Stream, varint_bytes

MAX_DIVISOR = 1 << 30
MAX_ORDER = 30
_TOP = 2**32 - 1


def decode(st: Stream, n: int) -> tuple[U32, int]:
    """Read ``block(n)``.

    Returns:
        the n >= 1 values and the parameter P.
    """
    p = st.varint("the parameter of an integer block")
    order = p >> 1
    divisor = order + 1
    golomb = p % 2 == 0
    if (golomb and divisor > MAX_DIVISOR) or (not golomb and order > MAX_ORDER):
        st.fail(ErrorCode.PARAMETER, f"integer block parameter {p} out of range")
    if n > 8 * st.left:
        st.missing("an integer block")
    kernels = backend(n)
    start = st.pos
    if kernels is not None:
        values = np.empty(n, np.uint32)
        end_a = int(kernels.unary_decode(st.buf, start, values))
        wide: AnyArray = values
    else:
        ends = bits.bit_positions(st.buf[start:], n)[:n] + 8 * start
        end_a = int(ends[-1]) + 1 if len(ends) == n else -1
        wide = np.minimum(np.diff(ends, prepend=8 * start - 1) - 1, _TOP)
    if end_a < 0:
        st.missing("part A of an integer block")
    if not golomb and int(wide.max()) > 32 - order:
        st.fail(ErrorCode.INDEX_RANGE, "integer block holds a value of 2^32 or more", at=start)
    width = divisor.bit_length() - 1 if golomb else order
    if end_a + n * width > 8 * len(st.buf):
        st.missing("part B of an integer block")
    if kernels is not None:
        if golomb:
            end = int(kernels.golomb_finish(st.buf, end_a, values, divisor, width))
        else:
            end = int(kernels.exp_golomb_finish(st.buf, end_a, values, order))
    else:
        values, end = _finish(st, wide, end_a, width, divisor if golomb else 0)
    if end == -1:
        st.missing("part C of an integer block")
    if end == -2:
        st.fail(ErrorCode.INDEX_RANGE, "integer block holds a value of 2^32 or more", at=start)
    st.end_padding(end, "integer block")
    return values, p


def _finish(st: Stream, q: AnyArray, start: int, width: int, divisor: int) -> tuple[U32, int]:
    """NumPy version of the two ``*_finish`` kernels; ``divisor`` 0 means Exp-Golomb. Status as theirs."""
    n = len(q)
    values = np.empty(n, np.uint32)
    end = start + n * width
    threshold = (2 << width) - divisor
    large = False
    for part in bits.chunks(n):
        low = bits.gather(st.buf, start + width * np.arange(part.start, part.stop, dtype=np.int64), width)
        head = q[part].astype(np.int64)
        widths = (low >= threshold).astype(np.int64) if divisor else head
        at = end + np.cumsum(widths) - widths
        end = int(at[-1] + widths[-1])
        if end > 8 * len(st.buf):
            return values, -1
        extra = bits.gather(st.buf, np.minimum(at, 8 * len(st.buf) - 1), widths)
        if divisor:
            low += np.where(widths > 0, low + extra - threshold, 0)
            large = large or bool((head > _TOP // divisor).any())
            value = np.minimum(head, _TOP // divisor) * divisor + low
        else:
            value = ((((np.int64(1) << head) + extra) - 1) << width) + low
        large = large or int(value.max()) > _TOP
        values[part] = value.astype(np.uint32)
    return values, -2 if large else end


def encode(values: AnyArray, p: int | None = None) -> bytes:
    """Write ``block(len(values))`` with parameter ``p``, or with the smallest of the reference encoder's candidates.

    Args:
        values: n >= 1 integers below 2**32.
    """
    v = np.ascontiguousarray(values, np.uint32)
    if p is None:
        p = choose(v)
    kernels = backend(len(v))
    order, golomb = p >> 1, p % 2 == 0
    divisor = order + 1
    width = divisor.bit_length() - 1 if golomb else order
    if kernels is not None:
        total = kernels.golomb_cost(v, divisor, width) if golomb else kernels.exp_golomb_cost(v, order)
        out = np.zeros((int(total) + 7) // 8, np.uint8)
        # part C is what is left after parts A and B: q + 1 + width bits a value
        if golomb:
            extra_start = int(np.sum(v // np.uint32(divisor), dtype=np.int64)) + len(v) * (width + 1)
            kernels.golomb_encode(v, divisor, width, extra_start, out)
        else:
            extra_start = (int(total) - len(v) * (width + 1)) // 2 + len(v) * (width + 1)
            kernels.exp_golomb_encode(v, order, extra_start, out)
        return varint_bytes(p) + out.tobytes()
    wide = v.astype(np.int64)
    if golomb:
        q = wide // divisor
        low = wide - q * divisor
        threshold = (2 << width) - divisor
        split = low >= threshold
        extra = ((low + threshold) & 1)[split].astype(np.uint8)
        low = np.where(split, (low + threshold) >> 1, low)
    else:
        t = (wide >> order) + 1
        q = bits.bit_length(t) - 1
        low = wide & ((1 << order) - 1)
        extra = bits.variable_bits(t - (np.int64(1) << q), q)
    ends = np.cumsum(q + 1)
    unary = np.zeros(int(ends[-1]), np.uint8)
    unary[ends - 1] = 1
    return varint_bytes(p) + bits.pack(np.concatenate([unary, bits.fixed_bits(low, width), extra]))


def cost(values: U32, p: int) -> int:
    """Size in bits of the block without its parameter."""
    order, golomb = p >> 1, p % 2 == 0
    kernels = backend(len(values))
    divisor = order + 1
    width = divisor.bit_length() - 1 if golomb else order
    if kernels is not None:
        return int(kernels.golomb_cost(values, divisor, width) if golomb else kernels.exp_golomb_cost(values, order))
    n = len(values)
    if golomb:
        q = values // np.uint32(divisor)
        low = values - q * np.uint32(divisor)
        return n * (width + 1) + int(q.sum(dtype=np.int64)) + int(np.count_nonzero(low >= (2 << width) - divisor))
    q64 = bits.bit_length((values >> np.uint32(order)).astype(np.int64) + 1) - 1
    return n * (order + 1) + 2 * int(q64.sum())


def choose(values: U32) -> int:
    """Parameter of the smallest block among the reference encoder's candidates, the smaller P on ties."""
    n = len(values)
    total = int(values.sum(dtype=np.int64))
    guess = min(total * 710 // (1024 * n) + 1, MAX_DIVISOR)
    power = 1 << (guess.bit_length() - 1)
    divisors = {guess, max(guess - 1, 1), guess - guess // 8, guess + guess // 8, power, 2 * power}
    sizes = {2 * (m - 1): cost(values, 2 * (m - 1)) for m in divisors if m <= MAX_DIVISOR}
    order = min(max((total // n).bit_length() - 1, 0), MAX_ORDER)
    best = sizes[2 * order + 1] = cost(values, 2 * order + 1)
    for step in (-1, 1):
        r, here = order + step, best
        while 0 <= r <= MAX_ORDER:
            size = sizes[2 * r + 1] = cost(values, 2 * r + 1)
            if size >= here:
                break
            here, r = size, r + step
    return min(sizes, key=lambda p: (8 * len(varint_bytes(p)) + sizes[p] + 7 >> 3, p))
