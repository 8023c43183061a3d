"""Loops of the adaptive codecs (SPEC.md 5.6 to 5.9): binary arithmetic coder, mixed decisions, index and label models.

Each function serves the encoder and the decoder, so that the two cannot drift apart: ``io[ENCODING]`` says which, and
``bit`` is the bit to write (ignored when decoding). They run compiled on arrays, or as they are on lists, which plain
Python indexes several times faster than NumPy arrays. ``buf`` is zeroed and long enough when encoding; a decoder that
runs past its end reads zeros. No bounds can be exceeded whatever the bytes: every context is clamped.
"""

from __future__ import annotations

from .._types import AnyArray

# Slots of ``io``
LOW, RANGE, CODE, POS, ENCODING, DECISIONS = 0, 1, 2, 3, 4, 5

# Slots of the index model: three inputs of a decision node each
NODES = 96
SLOTS_FAST = 0
SLOTS_SLOW = 64 * 16 * NODES
SLOTS_SINCE = 2 * 64 * 16 * NODES
SLOTS_MANTISSA = SLOTS_SINCE + 64 * 6 * NODES
INDEX_SLOTS = SLOTS_MANTISSA + 32 * 16

# Slots of the label model: a hashed table, then those of the fast input and of the hit decision
HASH_BITS = 18
HASHED = 1 << HASH_BITS
SLOTS_HISTORY = HASHED
SLOTS_SHARE = SLOTS_HISTORY + 256 * 12
SLOTS_TREE = SLOTS_SHARE + 8 * 16 * 12


def code_bit(io: AnyArray, buf: AnyArray, p: int, bit: int) -> int:
    """One binary decision whose bit is 1 with probability ``p`` / 65536; returns the bit."""
    low = io[0]
    span = io[1]
    bound = (span >> 16) * p
    if io[4] == 0:
        bit = 1 if io[2] < bound else 0
        if bit == 0:
            io[2] -= bound
    if bit == 1:
        span = bound
    else:
        low += bound
        span -= bound
        if low > 4294967295:
            low -= 4294967296
            if io[4] == 1:  # carry into the bytes already written
                at = io[3] - 1
                while buf[at] == 255:
                    buf[at] = 0
                    at -= 1
                buf[at] += 1
    while span < 16777216:
        at = io[3]
        if io[4] == 1:
            buf[at] = low >> 24
        elif at < len(buf):
            io[2] = (io[2] << 8) + buf[at]
        else:
            io[2] = io[2] << 8
        io[3] = at + 1
        low = (low << 8) & 4294967295
        span <<= 8
    io[0] = low
    io[1] = span
    return bit


def code_raw(io: AnyArray, buf: AnyArray, width: int, value: int) -> int:
    """``width`` bits of probability 1/2, most significant first; returns their value."""
    result = 0
    while width > 0:
        width -= 1
        result = 2 * result + code_bit(io, buf, 32768, (value >> width) & 1)
    return result


def code_single(io: AnyArray, buf: AnyArray, table: AnyArray, rate: AnyArray, s: int, bit: int) -> int:
    """A decision predicted by one adaptive probability."""
    v = table[s]
    p = v >> 8
    bit = code_bit(io, buf, 32 if p < 32 else 65504 if p > 65504 else p, bit)
    n = v & 255
    table[s] = ((p + (((65535 * bit - p) * rate[n]) >> 16)) << 8) + (n + 1 if n < 250 else n)
    return bit


def code_mixed(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight: AnyArray,
    stretch: AnyArray,
    squash: AnyArray,
    rate: AnyArray,
    trust: AnyArray,
    w: int,
    s0: int,
    s1: int,
    s2: int,
    s3: int,
    bit: int,
) -> int:
    """A decision predicted by the mixture of three adaptive probabilities, or four if ``s3`` is not negative."""
    v0 = table[s0]
    v1 = table[s1]
    v2 = table[s2]
    v3 = 0
    n0 = v0 & 255
    n1 = v1 & 255
    n2 = v2 & 255
    x0 = (stretch[v0 >> 12] * trust[n0]) >> 8
    x1 = (stretch[v1 >> 12] * trust[n1]) >> 8
    x2 = (stretch[v2 >> 12] * trust[n2]) >> 8
    x3 = 0
    dot = weight[w] * x0 + weight[w + 1] * x1 + weight[w + 2] * x2
    if s3 >= 0:
        v3 = table[s3]
        x3 = (stretch[v3 >> 12] * trust[v3 & 255]) >> 8
        dot += weight[w + 3] * x3
    x = dot >> 16
    p = squash[2047 + (2047 if x > 2047 else -2047 if x < -2047 else x)]
    # code_bit, in place: a call costs as much as the coder itself in plain Python
    low = io[0]
    span = io[1]
    bound = (span >> 16) * p
    if io[4] == 0:
        bit = 1 if io[2] < bound else 0
        if bit == 0:
            io[2] -= bound
    if bit == 1:
        span = bound
    else:
        low += bound
        span -= bound
        if low > 4294967295:
            low -= 4294967296
            if io[4] == 1:
                at = io[3] - 1
                while buf[at] == 255:
                    buf[at] = 0
                    at -= 1
                buf[at] += 1
    while span < 16777216:
        at = io[3]
        if io[4] == 1:
            buf[at] = low >> 24
        elif at < len(buf):
            io[2] = (io[2] << 8) + buf[at]
        else:
            io[2] = io[2] << 8
        io[3] = at + 1
        low = (low << 8) & 4294967295
        span <<= 8
    io[0] = low
    io[1] = span
    # learn
    error = 65536 * bit - p
    target = 65535 * bit
    weight[w] = clamp(weight[w] + ((error * x0 + 16384) >> 15))
    weight[w + 1] = clamp(weight[w + 1] + ((error * x1 + 16384) >> 15))
    weight[w + 2] = clamp(weight[w + 2] + ((error * x2 + 16384) >> 15))
    p = v0 >> 8
    table[s0] = ((p + (((target - p) * rate[n0]) >> 16)) << 8) + (n0 + 1 if n0 < 250 else n0)
    p = v1 >> 8
    table[s1] = ((p + (((target - p) * rate[n1]) >> 16)) << 8) + (n1 + 1 if n1 < 250 else n1)
    p = v2 >> 8
    table[s2] = ((p + (((target - p) * rate[n2]) >> 16)) << 8) + (n2 + 1 if n2 < 250 else n2)
    if s3 >= 0:
        weight[w + 3] = clamp(weight[w + 3] + ((error * x3 + 16384) >> 15))
        p = v3 >> 8
        n0 = v3 & 255
        table[s3] = ((p + (((target - p) * rate[n0]) >> 16)) << 8) + (n0 + 1 if n0 < 5 else n0)
    io[5] += 1
    return bit


def clamp(x: int) -> int:
    """Weights stay within 18 bits and a sign."""
    return 262143 if x > 262143 else -262143 if x < -262143 else x


def log4(quarter: AnyArray, v: int) -> int:
    """4 * floor(log2 v) plus the next two bits of v >= 1; ``quarter`` tabulates it below 4096."""
    q = 0
    while v >= 4096:
        v >>= 1
        q += 4
    return q + quarter[v]


def uniform_gap(io: AnyArray, buf: AnyArray, power: AnyArray, n: int, k: int, gap: int) -> int:
    """The gap before the first of ``k`` images among ``n`` without structure (k < n); returns it."""
    ratio = n // k
    t0 = 0
    while ratio >= 128:
        ratio >>= 1
        t0 += 1
    a = n >> t0
    if t0 == 0:
        b = k
        while a >= 67108864:
            a >>= 1
            b >>= 1
        r = ((a - b) << 26) // a
    else:
        r = ((2 * a - k) << 26) // (2 * a + k)
    t = 0
    power[0] = r
    while r > 40265318:
        r = (r * r) >> 26
        t += 1
        power[t] = r
    p = r >> 10
    p = 32 if p < 32 else 65504 if p > 65504 else p
    width = t + t0
    value = 0
    while value <= n - k and code_bit(io, buf, p, 1 if (gap - value) >> width > 0 else 0) == 1:
        value += 1 << width
    rest = gap - value
    low = 0
    while t > 0:
        t -= 1
        r = power[t]
        low = 2 * low + code_bit(io, buf, (r << 16) // (67108864 + r), (rest >> (t + t0)) & 1)
    if t0 > 0:
        low = (low << t0) + code_raw(io, buf, t0, rest & ((1 << t0) - 1))
    return value + low


def index_uniform(io: AnyArray, buf: AnyArray, power: AnyArray, n: int, indices: AnyArray) -> int:
    """All indices of a set without structure; returns 0, or 1 if one would be ``n`` or more."""
    k = len(indices)
    at = -1
    for j in range(k):
        left = n - at - 1
        gap = 0
        if io[4] == 1:
            gap = indices[j] - at - 1
        if left > k - j:
            gap = uniform_gap(io, buf, power, left, k - j, gap)
            if gap > left - (k - j):
                return 1
        at += gap + 1
        indices[j] = at
    return 0


def index_mixed(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight: AnyArray,
    stretch: AnyArray,
    squash: AnyArray,
    rate: AnyArray,
    trust: AnyArray,
    quarter: AnyArray,
    start: AnyArray,
    n: int,
    indices: AnyArray,
) -> int:
    """All indices by mixed contexts; returns 0, or 1 if one would be ``n`` or more."""
    k = len(indices)
    last = log4(quarter, n // k)
    fast = last << 8
    middle = last << 8
    slow = last << 8
    seen = 0
    total = 0
    top = log4(quarter, n) >> 2
    at = -1
    v = 0
    e = 0
    for j in range(k):
        if io[4] == 1:
            v = indices[j] - at
            e = log4(quarter, v) >> 2
        a = fast >> 8
        b = middle >> 8
        c = slow >> 8
        g = b
        d = 0
        if seen > 0:
            g = log4(quarter, total // seen)
            d = 1
            t = seen + 1
            while t > 3 and d < 5:
                t >>= 1
                d += 1
        s0 = SLOTS_FAST + (b * 16 + (last >> 2 if last < 64 else 15)) * NODES
        s1 = SLOTS_SLOW + (c * 16 + (a >> 2 if a < 64 else 15)) * NODES
        s2 = SLOTS_SINCE + ((g if seen > 0 else 0) * 6 + d) * NODES
        i0 = b * NODES
        i2 = g * NODES
        t = (b + 2) >> 2
        if t >= top:
            t = top - 1 if top > 0 else 0
        kind = 0
        found = 0 if top > 0 else 1
        got = 0
        while found == 0:
            node = 3 * t + kind
            if table[s0 + node] == 0:
                table[s0 + node] = start[i0 + node]
            if table[s1 + node] == 0:
                table[s1 + node] = start[i0 + node]
            if table[s2 + node] == 0:
                table[s2 + node] = start[i2 + node]
            bit = code_mixed(
                io, buf, table, weight, stretch, squash, rate, trust,
                4 * node, s0 + node, s1 + node, s2 + node, -1, 1 if e > t else 0,
            )  # fmt: skip
            if bit == 1:
                t += 1
                if kind == 2 or t == top:
                    found = 1
                kind = 1
            elif kind == 1 or t == 0:
                found = 1
            else:
                kind = 2
                t -= 1
        got = t
        if got > 0:
            rest = v - (1 << got)
            s0 = SLOTS_MANTISSA + 16 * got + (b >> 2)
            low = code_single(io, buf, table, rate, s0, (rest >> (got - 1)) & 1)
            if got > 1:
                got -= 1
                low = (low << got) + code_raw(io, buf, got, rest & ((1 << got) - 1))
            v = (1 << t) + low
        else:
            v = 1
        at += v
        if at >= n:
            return 1
        indices[j] = at
        last = log4(quarter, v)
        fast += ((last << 8) - fast) >> 2
        middle += ((last << 8) - middle) >> 3
        slow += ((last << 8) - slow) >> 5
        if seen > 2 and v > 8 * (total // seen) + 8:
            seen = 0
            total = 0
        else:
            seen += 1
            total += v
            if seen > 64:
                seen >>= 1
                total >>= 1
    return 0


def labels_mixed(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight: AnyArray,
    stretch: AnyArray,
    squash: AnyArray,
    rate: AnyArray,
    trust: AnyArray,
    quarter: AnyArray,
    score: AnyArray,
    alphabet: int,
    indices: AnyArray,
    labels: AnyArray,
) -> int:
    """All labels by mixed contexts. ``score`` (alphabet,) is zero; returns 0."""
    depth = 0
    while (1 << depth) < alphabet:
        depth += 1
    size = 1 << depth
    first = 0
    second = 1
    p1 = 0
    p2 = 0
    p3 = 0
    history = 0
    gain = 256
    before = -1
    label = 0
    for j in range(len(labels)):
        if io[4] == 1:
            label = labels[j]
        gap = log4(quarter, indices[j] - before) >> 2
        before = indices[j]
        if gap > 11:
            gap = 11
        share = score[first] // gain
        if share > 15:
            share = 15
        same = (4 if p1 == first else 0) + (2 if p2 == first else 0) + (1 if p3 == first else 0)
        s0 = ((first * 40503 + p1 * 60493 + (7919 if p2 == first else 0) + 12345) * 2654435 >> 8) & (HASHED - 1)
        hit = code_mixed(
            io, buf, table, weight, stretch, squash, rate, trust, 0,
            SLOTS_HISTORY + history * 12 + gap, s0, SLOTS_SHARE + (same * 16 + share) * 12 + gap, -1,
            1 if label == first else 0,
        )  # fmt: skip
        history = (2 * history + hit) & 255
        if hit == 1:
            label = first
        else:
            s0 = ((p1 * 40503 + 1) * 2654435 >> 8) & (HASHED - 1)
            s1 = ((first * 40503 + second * 60493 + 2) * 2654435 >> 8) & (HASHED - 1)
            s2 = ((first * 40503 + 3) * 2654435 >> 8) & (HASHED - 1)
            node = 1
            level = depth
            while level > 0:
                level -= 1
                bit = (label >> level) & 1
                if (2 * node + 1) << level >= size + alphabet:
                    node = 2 * node  # the branch of ones has no labels
                else:
                    node = 2 * node + code_mixed(
                        io, buf, table, weight, stretch, squash, rate, trust, 4 * (depth - level),
                        (s0 + node) & (HASHED - 1), (s1 + node) & (HASHED - 1), (s2 + node) & (HASHED - 1),
                        SLOTS_TREE + node, bit,
                    )  # fmt: skip
            label = node - size
        labels[j] = label
        points = score[label] + gain
        score[label] = points
        if label != first:
            if points > score[first]:
                second = first
                first = label
            elif label != second and points > score[second]:
                second = label
        gain += gain >> 4
        if gain > 16777216:
            gain >>= 16
            for i in range(alphabet):
                score[i] >>= 16
        p3 = p2
        p2 = p1
        p1 = label
    return 0


NAMES = ("index_uniform", "index_mixed", "labels_mixed")
HELPERS = ("clamp", "log4", "code_bit", "code_raw", "code_single", "code_mixed", "uniform_gap")
