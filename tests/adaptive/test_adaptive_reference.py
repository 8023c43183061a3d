"""A second decoder, written from SPEC.md 5.6 to 7.7 alone, reads what the codecs write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from plada_format.codecs.index_adaptive import CODEC as INDEX
from plada_format.codecs.index_adaptive_groups import CODEC as INDEX_GROUPS
from plada_format.codecs.label_adaptive import CODEC as LABEL
from plada_format.codecs.label_adaptive_groups import CODEC as LABEL_GROUPS

A = [22, 36, 60, 98, 162, 267, 439, 721, 1179, 1921, 3108, 4971, 7812, 11952, 17624, 24743, 32768, 40793, 47912]
A += [53584, 57724, 60565, 62428, 63615, 64357, 64815, 65097, 65269, 65374, 65438, 65476, 65500, 65514]
T = [65536, 62757, 60097, 57549, 55109, 52772, 50535, 48393, 46341, 44376, 42495, 40693, 38968, 37316, 35734, 34219]
T += [32768]
HALF = 1 << 23


def squash(x: int) -> int:
    i, f = (x + 2048) >> 7, (x + 2048) % 128
    return max(32, min(65504, (A[i] * (128 - f) + A[i + 1] * f + 64) >> 7))


SQUASH = [squash(x) for x in range(-2047, 2048)]
STRETCH = [next((x for x in range(-2047, 2048) if SQUASH[x + 2047] >= 16 * q + 8), 2047) for q in range(4096)]


def log2(v: int) -> int:
    return v.bit_length() - 1


def log4(v: int) -> int:
    return 4 * log2(v) + (4 * v >> log2(v)) % 4


def clamp(v: int, low: int, high: int) -> int:
    return max(low, min(high, v))


class Decoder:
    def __init__(self, data: bytes) -> None:
        self.data, self.low, self.range, self.pos = data, 0, 2**32 - 1, 4
        self.code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        assert self.code < self.range

    def settle(self) -> None:
        while self.range < 1 << 24:
            self.code = self.code * 256 + (self.data[self.pos] if self.pos < len(self.data) else 0)
            self.pos += 1
            self.low = self.low * 256 % 2**32
            self.range *= 256
        assert self.code < self.range < 2**32

    def bit(self, p: int) -> int:
        bound = (self.range >> 16) * p
        one = self.code < bound
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
        assert not self.data or self.data[-1]
        assert self.pos >= len(self.data)
        assert self.low + self.code == v

    def mixed(self, weights: list[int], tables: list[tuple[dict[object, int], object, int]]) -> int:
        states = [table[key] for table, key, _ in tables]
        xs = [STRETCH[s >> 12] for s in states]
        p = SQUASH[clamp(sum(w * x for w, x in zip(weights, xs, strict=True)) >> 16, -2047, 2047) + 2047]
        b = self.bit(p)
        error = 65536 * b - p
        if abs(error) > 1000:
            for i, x in enumerate(xs):
                weights[i] = clamp(weights[i] + ((error * x + 16384) >> 15), -262143, 262143)
        for s, (table, key, limit) in zip(states, tables, strict=True):
            probability, count = s >> 8, s % 256
            probability += (65535 * b - probability) * (65536 * 5 // (5 * count + 8)) >> 16
            table[key] = 256 * probability + (count + 1 if count < limit else count)
        return b


def survival(n: int, k: int, t: int) -> int:
    n >>= t
    while n >= (1 << 26 if t == 0 else 1 << 25):
        n, k = n >> 1, k >> 1
    return (n - k) * 2**26 // n if t == 0 else (2 * n - k) * 2**26 // (2 * n + k)


def gap(d: Decoder, n: int, k: int) -> int:
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
    out, at = [], begin - 1
    for j in range(k):
        left = begin + n - at - 1
        at += 1 + (gap(d, left, k - j) if left > k - j else 0)
        out.append(at)
    return out


def first_state(q: int, node: int) -> int:
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
    return 256 * clamp(p, 64, 65472) + 8


class FirstStates(dict[object, int]):
    """States by (part, context, q, node); q only serves the first value."""

    def __init__(self) -> None:
        super().__init__()
        self.q = 0

    def get_state(self, part: int, context: int, q: int, node: int) -> tuple[int, int, int]:
        key = (part, context, node)
        if key not in self:
            self[key] = first_state(q, node)
        return key


def index_adaptive(data: bytes, n: int, k: int) -> list[int]:
    d = Decoder(data)
    if d.bit(32768) == 0:
        out = unstructured(d, 0, n, k)
        d.end()
        return out
    table = FirstStates()
    weights: dict[int, list[int]] = defaultdict(lambda: [10000] * 3)
    last = min(63, log4(n // k))
    fast = middle = slow = 256 * last
    seen = total = 0
    top = log2(n)
    out, before = [], -1
    for _ in range(k):
        b = middle >> 8
        q2, c2 = b, 0
        if seen:
            q2 = min(63, log4(total // seen))
            c2 = 8 * q2 + min(5, log2(seen + 1))
        contexts = [(0, b * 16 + (last >> 2), b), (1, (slow >> 8) * 16 + (fast >> 10), b), (2, c2, q2)]

        def decide(node: int, contexts: list[tuple[int, int, int]] = contexts) -> int:
            inputs = [(table, table.get_state(part, context, q, node), 250) for part, context, q in contexts]
            return d.mixed(weights[node], inputs)  # type: ignore[arg-type]

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
        assert before < n
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


def index_groups(data: bytes, n: int, k: int, groups: list[int]) -> list[int]:
    d = Decoder(data)
    table: dict[object, int] = defaultdict(lambda: HALF)
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
                return d.mixed(weights[node], [(table, (*context, node), 250) for context in contexts])

            t = 0
            while t < log2(size + 1) and decide(t):
                t += 1
            value, node = 1, 32 + 3 * t
            for _ in range(min(t, 2)):
                b = decide(node)
                value, node = 2 * value + b, node + 1 + b
            if t > 2:
                value = value * 2 ** (t - 2) + d.raw(t - 2)
            count = value - 1
            assert count <= size and count <= r and r - count <= a - size
        out += unstructured(d, begin, size, count)
        last = min(63, log4(8 * size // count) - 12 if count else log4(size) + 4)
        fast += (256 * last - fast) >> 1
        middle += (256 * last - middle) >> 2
        slow += (256 * last - slow) >> 4
    d.end()
    return out


def label_adaptive(data: bytes, alphabet: int, indices: list[int], groups: list[int] | None) -> list[int]:
    d = Decoder(data)
    depth = (alphabet - 1).bit_length()
    hashed: dict[object, int] = defaultdict(lambda: HALF)
    other: dict[object, int] = defaultdict(lambda: HALF)
    weights: dict[int, list[int]] = defaultdict(lambda: [16000] * 5)
    score, stamp = [0] * alphabet, defaultdict(lambda: -1)
    first, second, p1, p2, p3 = 0, 1, 0, 0, 0
    history, gain, seen, total, stretch, inside, before, owner = 0, 256, 0, 0, 0, 0, -1, 0
    out: list[int] = []

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
            now = int(np.searchsorted(groups, i, side="right")) - 1
            new, owner = now != owner, now
        elif seen > 2 and v > 3 * (total // seen) + 32:
            seen, total, new = 0, 0, True
        else:
            seen, total = seen + 1, total + v
            if seen > 64:
                seen, total = seen >> 1, total >> 1
        if new:
            stretch, inside, gain = j, 0, 8 * gain
            rescale()
        inside += 1
        near = min(11, log2(v if groups is None else inside))
        share = min(15, score[first] // gain)
        same = 4 * (p1 == first) + 2 * (p2 == first) + (p3 == first)

        def decide(
            weight_set: int, node: int, inputs: list[tuple[dict[object, int], object]], stretch: int = stretch
        ) -> int:
            if stamp[node] != stretch:
                stamp[node] = stretch
                other["U", node] = HALF
            ends = [(other, ("L", node), 8), (other, ("U", node), 250)]
            return d.mixed(weights[weight_set], [*((table, key, 250) for table, key in inputs), *ends])

        hit = decide(
            0,
            0,
            [
                (other, ("Y", history * 12 + near)),
                (hashed, place(first, p1, int(p2 == first))),
                (other, ("Z", (same * 16 + share) * 12 + near)),
            ],
        )
        history = (2 * history + hit) % 256
        label = first
        if not hit:
            bases = (place(p1, 0, 2), place(first, second, 3), place(first, 0, 4))
            node = 1
            for level in range(depth - 1, -1, -1):
                if (2 * node + 1) * 2**level >= 2**depth + alphabet:
                    node = 2 * node
                else:
                    node = 2 * node + decide(depth - level, node, [(hashed, (h + node) % 2**18) for h in bases])
            label = node - 2**depth
            assert label != first
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


def sample(n: int, k: int, alphabet: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About ``k`` indices in groups of different rates, labels that go with the group."""
    rng = np.random.default_rng(seed)
    groups = np.unique(np.concatenate([[0], rng.integers(1, n, max(2, n // 60))]))
    rate = rng.permutation(np.exp(rng.normal(0, 2, len(groups))))
    weight = np.repeat(rate, np.diff([*groups, n]))
    indices = np.sort(rng.choice(n, k, replace=False, p=weight / weight.sum()))
    owner = np.searchsorted(groups, indices, side="right")
    labels = (owner * 7 + rng.choice([0, 0, 0, 1, 5], size=k)) % alphabet
    return indices.astype(np.uint32), labels.astype(np.uint16), groups.astype(np.uint32)


CASES = [(40, 6, 3, 0), (5000, 600, 20, 1), (200_000, 1500, 300, 2), (3000, 2900, 2, 3), (90_000, 40, 65_536, 4)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_reads_the_streams(case: tuple[int, int, int, int]) -> None:
    n, k, alphabet, _ = case
    indices, labels, groups = sample(*case)
    for mode in (0, 1):
        assert index_adaptive(INDEX.encode(indices, n, mode), n, k) == indices.tolist()
    assert index_groups(INDEX_GROUPS.encode(indices, n, groups=groups), n, k, groups.tolist()) == indices.tolist()
    stream = LABEL.encode(labels, alphabet, indices=indices)
    assert label_adaptive(stream, alphabet, indices.tolist(), None) == labels.tolist()
    stream = LABEL_GROUPS.encode(labels, alphabet, indices=indices, pool_size=n, groups=groups)
    assert label_adaptive(stream, alphabet, indices.tolist(), groups.tolist()) == labels.tolist()


def test_examples_of_the_specification() -> None:
    indices = np.array([3, 4, 5, 17, 18, 31], np.uint32)
    labels = np.array([2, 2, 0, 1, 1, 2], np.uint16)
    groups = np.array([0, 8, 16, 30], np.uint32)
    examples: list[tuple[Callable[[], bytes], str]] = [
        (lambda: INDEX.encode(indices, 40, 0), "cc d8 19"),
        (lambda: INDEX.encode(indices, 40, 1), "58 34 fc"),
        (lambda: INDEX_GROUPS.encode(indices, 40, groups=groups), "38 ff ac df"),
        (lambda: LABEL.encode(labels, 3, indices=indices), "94 ea"),
        (lambda: LABEL_GROUPS.encode(labels, 3, indices=indices, pool_size=40, groups=groups), "94 e7"),
    ]
    for encode, expected in examples:
        assert encode() == bytes.fromhex(expected)
