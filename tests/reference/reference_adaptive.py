"""Reference decoder of the adaptive codecs, from SPEC.md 5.6 to 5.8, 6.7, 6.8, 7.6, 7.7, to be read beside them.

Standard library only. :mod:`reference_decoder` uses it for whole files.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from functools import cache

STREAM_OVERLONG, CODER_STATE, INDEX_RANGE, NON_CANONICAL = 21, 25, 26, 28


class Reject(Exception):
    """The stream is not valid; ``code`` is the error code of section 9."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


def need(holds: bool, code: int) -> None:
    """``holds``, else ``code``."""
    if not holds:
        raise Reject(code)


A = [22, 36, 60, 98, 162, 267, 439, 721, 1179, 1921, 3108, 4971, 7812, 11952, 17624, 24743, 32768, 40793, 47912]
A += [53584, 57724, 60565, 62428, 63615, 64357, 64815, 65097, 65269, 65374, 65438, 65476, 65500, 65514]
T = [65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341, 44376, 42495, 40693, 38968, 37316, 35734, 34219]
T += [32768]
N_SEEN = [0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 28, 36, 52, 84]


@cache
def squash(x: int) -> int:
    """5.7: probability of x, in 1/65536."""
    i, f = (x + 2048) >> 7, (x + 2048) % 128
    return max(32, min(65504, (A[i] * (128 - f) + A[i + 1] * f + 64) >> 7))


@cache
def state(p: int, level: int) -> int:
    """5.7: the state of a probability."""
    p = max(64, min(65472, p))
    return 16 * next(x for x in range(-2047, 2048) if squash(x) >= p) + level


@cache
def learn(s: int, bit: int) -> int:
    """5.7: next(bit, s)."""
    x, level = s >> 4, s % 16
    p = squash(x)
    p += (65535 * bit - p) * (65536 * 5 // (5 * N_SEEN[level] + 8)) >> 16
    if bit:
        while x < 2047 and squash(x) < p:
            x += 1
    else:
        while x > -2047 and squash(x) > p:
            x -= 1
    if level < 15 and x % (N_SEEN[level + 1] - N_SEEN[level]) == 0:
        level += 1
    return 16 * x + level


def log2(v: int) -> int:
    return v.bit_length() - 1


def log4(v: int) -> int:
    return 4 * log2(v) + (4 * v >> log2(v)) % 4


def clamp(v: int, low: int, high: int) -> int:
    return max(low, min(high, v))


class Decoder:
    """5.6 and 5.7; ``trace`` has a line for each decision, as in the worked examples."""

    def __init__(self, data: bytes) -> None:
        self.data, self.low, self.range, self.pos = data, 0, 2**32 - 1, 4
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self.trace: list[str] = []
        self.about = ""
        need(self.code < self.range, CODER_STATE)

    def settle(self) -> None:
        while self.range < 1 << 24:
            self.code = self.code * 256 + (self.data[self.pos] if self.pos < len(self.data) else 0)
            self.pos += 1
            self.low = self.low * 256 % 2**32
            self.range *= 256
        assert self.code < self.range < 2**32  # holds whatever the bytes

    def bit(self, p: int) -> int:
        bound = (self.range >> 16) * p
        one = self.code < bound
        line = f"{self.about}  p {p:5d}  bit {int(one)}  low {self.low:08x}  range {self.range:08x}"
        self.trace.append("    " + line.lstrip())
        self.about = ""
        if one:
            self.range = bound
        else:
            self.low, self.code, self.range = self.low + bound, self.code - bound, self.range - bound
        self.settle()
        return int(one)

    def number(self, n: int) -> int:
        part = self.range // n
        v = min(n - 1, self.code // part)
        self.low += v * part
        self.code -= v * part
        self.range = self.range - v * part if v == n - 1 else part
        self.settle()
        return v

    def raw(self, w: int) -> int:
        value = 0
        while w > 0:
            r = min(w, 8)
            value = value * 2**r + self.number(2**r)
            w -= r
        return value

    def end(self) -> None:
        v = -(-self.low // 2**32) * 2**32
        if v >= self.low + self.range:
            v = -(-self.low // 2**24) * 2**24
        need(not self.data or self.data[-1] != 0, NON_CANONICAL)
        need(self.pos >= len(self.data), STREAM_OVERLONG)
        need(self.low + self.code == v, CODER_STATE)

    def mixed(self, weights: list[int], tables: list[tuple[dict[object, int], object]], name: str, r: int = 15) -> int:
        states = [table[key] for table, key in tables]
        xs = [s >> 4 for s in states]
        x = clamp(sum(w * x for w, x in zip(weights, xs, strict=True)) >> 16, -2047, 2047)
        p = squash(x)
        self.about = f"{name:8s} states {' '.join(f'{s:6d}' for s in states)}  x {x:5d}"
        b = self.bit(p)
        d = p - 65536 * b
        if abs(d) > 2000:
            for i, x in enumerate(xs):
                weights[i] = clamp(weights[i] - (d * x >> r), -262143, 262143)
        for s, (table, key) in zip(states, tables, strict=True):
            table[key] = learn(s, b)
        return b


def survival(n: int, k: int, t: int) -> int:
    """5.8."""
    n >>= t
    while n >= (1 << 26 if t == 0 else 1 << 25):
        n, k = n >> 1, k >> 1
    return (n - k) * 2**26 // n if t == 0 else (2 * n - k) * 2**26 // (2 * n + k)


def gap(d: Decoder, n: int, k: int) -> int:
    """5.8: a gap in a set without structure."""
    value = 0
    while k > 1:
        width = log2(max(1, (n - (n >> 2)) // k))
        t0 = max(0, width - 6)
        r = survival(n - (2**width >> 1), k, t0)
        for _ in range(width - t0):
            r = r * r >> 26
        if d.bit(clamp(r >> 10, 32, 65504)) == 0:
            low = 0
            if width > 0:
                powers = {t0: survival(n - 1 - (2**width >> 1), k - 1, t0)}
                for t in range(t0, width):
                    powers[t + 1] = powers[t] ** 2 >> 26
                for t in range(width - 1, t0 - 1, -1):
                    low = 2 * low + d.bit(powers[t] * 65536 // (2**26 + powers[t]))
                low = low * 2**t0 + d.raw(t0)
            return value + low
        value += 2**width
        n -= 2**width
        if n <= k:
            return value
    s = 0
    while (n - 1) >> s > 65535:
        s += 1
    return value + d.number(((n - 1) >> s) + 1) * 2**s + d.raw(s)


def unstructured(d: Decoder, begin: int, n: int, k: int) -> list[int]:
    """6.7, mode 0: k of the n images from ``begin`` on."""
    out, at = [], begin - 1
    for j in range(k):
        left, m = begin + n - at - 1, k - j
        skipped = gap(d, left, m) if left > m else 0
        need(skipped <= left - m, INDEX_RANGE)
        at += 1 + skipped
        out.append(at)
    return out


@cache
def first_state(q: int, node: int) -> int:
    """6.7: F(q, node)."""
    h = (355 * (((18 + 4 * (q % 4)) << (q >> 2)) - 8)) >> 5

    def s(a: int) -> int:
        z = a * 2**20 // h
        if z >= 17 * 2**12:
            return 0
        i, t = (z >> 8) % 16, z % 256
        return (T[i] - (((T[i] - T[i + 1]) * t) >> 8)) >> (z >> 12)

    t, kind = divmod(node, 3)
    if node > 96:
        p = 65536 * s(2 ** (node - 97)) // (65536 + s(2 ** (node - 97)))
    elif kind == 0:
        p = s(2 ** (t + 1) - 1)
    elif kind == 1:
        p = s(2**t)
    else:
        p = 65536 * (s(2 ** (t + 1) - 1) - s(2 ** (t + 2) - 1)) // max(1, 65536 - s(2 ** (t + 2) - 1))
    return state(p, 8)


class FirstStates(dict[object, int]):
    """States by (part, context, node) of the index model."""

    def __missing__(self, key: object) -> int:
        part, context, node = key  # type: ignore[misc]
        return first_state(4 * (context % 16) + 2 if part < 2 else context >> 3, node)


class CountStates(dict[object, int]):
    """States by (part, context, node) of the counts in groups."""

    def __missing__(self, key: object) -> int:
        part, context, node = key  # type: ignore[misc]
        e = context >> 4 if part < 2 else 4 * (context % 16) + 2
        m = (4 + e % 4) << (e >> 2)
        return state(65536 * m // (m + 8192), 5) if node == 0 else 0


def pace(j: int) -> int:
    """5.7: r for image j."""
    return 14 if j < 256 else 15 if j < 16384 else 16


def index_adaptive(d: Decoder, n: int, k: int) -> list[int]:
    """6.7 index-adaptive."""
    if d.bit(32768) == 0:
        out = unstructured(d, 0, n, k)
        d.end()
        return out
    table = FirstStates()
    weights: dict[int, list[int]] = defaultdict(lambda: [7000] * 3)
    last = min(63, log4(n // k))
    fast = middle = slow = 256 * last
    seen = total = 0
    top = log2(n)
    out, before = [], -1
    for j in range(k):
        b = middle >> 8
        c2 = 8 * min(63, log4(total // seen)) + min(5, log2(seen + 1)) if seen else 8 * b + 7
        contexts = [(0, b * 16 + (last >> 2)), (1, (slow >> 8) * 16 + (fast >> 10)), (2, c2)]

        def decide(node: int, contexts: list[tuple[int, int]] = contexts, r: int = pace(j)) -> int:
            return d.mixed(weights[node], [(table, (*context, node)) for context in contexts], f"node {node}", r)

        t = min((b + 2) >> 2, top - 1)
        if decide(3 * t):
            t += 1
            while t < top and decide(3 * t + 1):
                t += 1
        else:
            while t > 0:
                t -= 1
                if decide(3 * t + 2):
                    t += 1
                    break
        v = 1
        if t > 0:
            v = (2 + decide(96 + t)) * 2 ** (t - 1) + d.raw(t - 1)
        before += v
        need(before < n, INDEX_RANGE)
        out.append(before)
        last = min(63, log4(v))
        fast += (256 * last - fast) >> 2
        middle += (256 * last - middle) >> 3
        slow += (256 * last - slow) >> 5
        if seen > 2 and v > 8 * (total // seen) + 8:
            seen = total = 0
        else:
            seen, total = seen + 1, total + v
            if seen > 64:
                seen, total = seen >> 1, total >> 1
    d.end()
    return out


def index_groups(d: Decoder, n: int, k: int, groups: list[int]) -> list[int]:
    """6.8 index-adaptive-groups."""
    table = CountStates()
    weights: dict[int, list[int]] = defaultdict(lambda: [16000] * 3)
    last = min(63, log4(8 * n // k) - 12)
    fast = middle = slow = 256 * last
    out: list[int] = []
    for begin, stop in zip(groups, [*groups[1:], n], strict=True):
        size, r, a = stop - begin, k - len(out), n - begin
        if r == 0:
            break
        if r >= a:
            count = size
        else:
            q = log4(size)

            def expected(m: int, q: int = q) -> int:
                return clamp(q - m + 24, 0, 63)

            contexts = [
                (0, expected(middle >> 8) * 16 + (expected(last) >> 2)),
                (1, expected(slow >> 8) * 16 + (expected(fast >> 8) >> 2)),
                (2, (q >> 2) * 16 + (expected(last) >> 2)),
            ]

            def decide(node: int, contexts: list[tuple[int, int]] = contexts) -> int:
                return d.mixed(weights[node], [(table, (*context, node)) for context in contexts], f"node {node}")

            t = 0
            while t < min(31, log2(size + 1)) and decide(t):
                t += 1
            value, node = 1, 32 + 3 * t
            for _ in range(min(t, 2)):
                b = decide(node)
                value, node = 2 * value + b, node + 1 + b
            if t > 2:
                value = value * 2 ** (t - 2) + d.raw(t - 2)
            count = value - 1
            need(count <= size and count <= r and r - count <= a - size, INDEX_RANGE)
        out += unstructured(d, begin, size, count)
        last = min(63, log4(8 * size // count) - 12 if count else log4(size) + 4)
        fast += (256 * last - fast) >> 1
        middle += (256 * last - middle) >> 2
        slow += (256 * last - slow) >> 4
    d.end()
    return out


def label_adaptive(d: Decoder, alphabet: int, indices: list[int], groups: list[int] | None) -> list[int]:
    """7.6 label-adaptive, or 7.7 with groups."""
    out: list[int] = []
    if groups is None and d.bit(32768) == 0:
        counts = defaultdict(lambda: (0, 0))
        for _ in indices:
            node = 1
            while node < alphabet:
                ones, both = counts[node]
                b = d.bit(clamp((2 * ones + 1) * 32768 // (both + 1), 32, 65504))
                if both == 65535:
                    ones, both = ones >> 1, both >> 1
                counts[node] = (ones + b, both + 1)
                node = 2 * node + b
            out.append(node - alphabet)
        d.end()
        return out
    states: dict[object, int] = defaultdict(int)
    weights: dict[int, list[int]] = defaultdict(lambda: [18000] * 4)
    weights[-1] = [18000] * 3
    score, stamp = [0] * alphabet, defaultdict(lambda: -1)
    first, second, p1, p2, p3 = 0, 1, 0, 0, 0
    gain, seen, total, stretch, inside, before, owner = 256, 0, 0, 0, 0, -1, 0

    def place(a: int, b: int, c: int) -> int:
        return (40503 * a + 60493 * b + 7919 * c) % 2**32 * 1540483 // 256 % 2**18

    def rescale() -> None:
        nonlocal gain
        if gain > 2**24:
            gain >>= 16
            score[:] = [s >> 16 for s in score]

    for j, i in enumerate(indices):
        v, before, new = i - before, i, False
        if groups is not None:
            now = bisect_right(groups, i) - 1
            new, owner = now != owner, now
        elif seen > 2 and v > 3 * (total // seen) + 32:
            seen, total, new = 0, 0, True
        else:
            seen, total = seen + 1, total + v
            if seen > 64:
                seen, total = seen >> 1, total >> 1
        if new:
            stretch, inside, gain = j, 0, 8 * gain
            states["W"] = 0
            rescale()
        inside += 1
        near = min(11, log2(v if groups is None else inside))
        share = min(15, score[first] // gain)
        same = 4 * (p1 == first) + 2 * (p2 == first) + (p3 == first)
        question = [("H", place(first, p1, int(p2 == first))), ("Z", (same * 16 + share) * 12 + near), "W"]
        label = first
        if d.mixed(weights[-1], [(states, key) for key in question], "question", pace(j)) == 0:
            bases = (place(first, second, 3), place(first, 0, 4))
            node, level = 1, 0
            while node < alphabet:
                if stamp[node] != stretch:
                    stamp[node], states["U", node] = stretch, 0
                keys = [*(("H", (h + node) % 2**18) for h in bases), ("L", node), ("U", node)]
                b = d.mixed(weights[level], [(states, key) for key in keys], f"node {node}", pace(j))
                if states["L", node] % 16 == 8:
                    states["L", node] -= 1
                node, level = 2 * node + b, level + 1
            label = node - alphabet
            need(label != first, NON_CANONICAL)
        score[label] += gain
        if label != first:
            if score[label] > score[first]:
                first, second = label, first
            elif label != second and score[label] > score[second]:
                second = label
        gain += gain >> 4
        rescale()
        out.append(label)
        p1, p2, p3 = label, p1, p2
    d.end()
    return out
