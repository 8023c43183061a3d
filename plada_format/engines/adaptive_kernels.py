"""Loops of the adaptive codecs (SPEC.md 5.6 to 5.8): binary arithmetic coder, mixed decisions, index and label models.

Each function serves the encoder and the decoder, so that the two cannot drift apart: ``io[ENCODING]`` says which. They
run compiled on arrays, or as they are on lists, which plain Python indexes several times faster than NumPy arrays; for
the same reason the coder is written out where it is used most. A decoder that runs past the end of ``buf`` reads zeros.
No array bound can be passed whatever the bytes: every context is clamped.
"""

from __future__ import annotations

from .._types import AnyArray

# Slots of ``io``
LOW, RANGE, CODE, POS, ENCODING, DECISIONS = 0, 1, 2, 3, 4, 5

# A writer stops when less than this is free: one image takes less
SPARE = 160

# Slots of the index model: NODES decisions in each context of the three inputs
NODES = 128
SLOTS_SLOW = 64 * 16 * NODES
SLOTS_SINCE = 2 * 64 * 16 * NODES
INDEX_SLOTS = SLOTS_SINCE + 64 * 8 * NODES
GROUP_SLOTS = SLOTS_SINCE + 32 * 16 * NODES

# Slots of the label model: a hashed table, those of the hit decision, then two for every node of the tree of labels
HASHED = 1 << 18
SLOTS_HISTORY = HASHED
SLOTS_SHARE = SLOTS_HISTORY + 256 * 12
SLOTS_TREE = SLOTS_SHARE + 8 * 16 * 12


def carry(buf: AnyArray, at: int) -> int:
    """Add one to the bytes before ``at``, which end in no more 255s than there are bytes."""
    at -= 1
    while buf[at] == 255:
        buf[at] = 0
        at -= 1
    buf[at] += 1
    return 0


def settle(io: AnyArray, buf: AnyArray) -> int:
    """Move bytes between ``buf`` and the coder until the range is 2^24 or more."""
    while io[1] < 16777216:
        at = io[3]
        if io[4] == 1:
            if io[0] > 4294967295:
                carry(buf, at)
            buf[at] = (io[0] >> 24) & 255
        else:
            io[2] = (io[2] << 8) + (buf[at] if at < len(buf) else 0)
        io[3] = at + 1
        io[0] = (io[0] << 8) & 4294967295
        io[1] <<= 8
    return 0


def code_bit(io: AnyArray, buf: AnyArray, p: int, bit: int) -> int:
    """One binary decision whose bit is 1 with probability ``p`` / 65536; returns the bit."""
    bound = (io[1] >> 16) * p
    if io[4] == 0:
        bit = 1 if io[2] < bound else 0
    if bit == 1:
        io[1] = bound
    else:
        io[0] += bound
        io[1] -= bound
        io[2] -= bound
    settle(io, buf)
    return bit


def code_raw(io: AnyArray, buf: AnyArray, width: int, value: int) -> int:
    """``width`` bits of probability 1/2, eight or fewer at a time, most significant first; returns their value."""
    result = 0
    while width > 0:
        n = 8 if width > 8 else width
        width -= n
        part = io[1] >> n
        last = (1 << n) - 1
        v = (value >> width) & last
        if io[4] == 0:
            v = io[2] // part
            if v > last:
                v = last
        io[0] += v * part
        io[2] -= v * part
        io[1] = io[1] - v * part if v == last else part
        settle(io, buf)
        result = (result << n) + v
    return result


def hashed(a: int, b: int, c: int) -> int:
    """Where the slots of a context of two labels and a kind start in the hashed table; below 2**53 throughout."""
    return ((a * 40503 + b * 60493 + c * 7919) & 4294967295) * 1540483 >> 8 & (HASHED - 1)


def log4(quarter: AnyArray, v: int) -> int:
    """4 * floor(log2 v) plus the next two bits of v >= 1; ``quarter`` tabulates it below 4096."""
    q: int = 0
    while v >= 4096:
        v >>= 1
        q += 4
    q += quarter[v]
    return q


def code_uniform(io: AnyArray, buf: AnyArray, n: int, value: int) -> int:
    """A number below ``n``, all alike; what is decoded may be ``n`` or more where ``n`` is above 65,536."""
    shift = 0
    high: int = n - 1
    while high >= 65536:
        high >>= 1
        shift += 1
    part = io[1] // (high + 1)
    v = value >> shift
    if io[4] == 0:
        v = min(high, 0 | int(io[2] // part))
    io[0] += v * part
    io[2] -= v * part
    io[1] = io[1] - v * part if v == high else part
    settle(io, buf)
    if shift == 0:
        return v
    return (v << shift) + code_raw(io, buf, shift, value & ((1 << shift) - 1))


def survival(n: int, k: int, t: int) -> int:
    """2^26 times (1 - k/n) to the power 2^t, for k < n and k << t below n / 32 unless t is 0."""
    if t == 0:
        while n >= 67108864:
            n >>= 1
            k >>= 1
        return ((n - k) << 26) // n
    n >>= t
    while n >= 33554432:
        n >>= 1
        k >>= 1
    return ((2 * n - k) << 26) // (2 * n + k)


def uniform_gap(io: AnyArray, buf: AnyArray, power: AnyArray, n: int, k: int, gap: int) -> int:
    """The gap before the first of ``k`` images among ``n`` without structure (0 < k < n); returns it.

    Returns more than n - k where the bytes say so, or where a writer's buffer is full.
    """
    value = 0
    while k > 1:
        ratio = (n - (n >> 2)) // k
        width = 0
        while ratio > 1:
            ratio >>= 1
            width += 1
        t0 = width - 6 if width > 6 else 0
        r = survival(n - (1 << width >> 1), k, t0)
        for _ in range(width - t0):
            r = (r * r) >> 26
        p = r >> 10
        p = 32 if p < 32 else 65504 if p > 65504 else p
        if code_bit(io, buf, p, 1 if (gap - value) >> width > 0 else 0) == 0:
            rest = gap - value
            low = 0
            if width > 0:
                r = survival(n - 1 - (1 << width >> 1), k - 1, t0)
                for t in range(t0, width):
                    power[t] = r
                    r = (r * r) >> 26
                for t in range(width - 1, t0 - 1, -1):
                    r = power[t]
                    low = 2 * low + code_bit(io, buf, (r << 16) // (67108864 + r), (rest >> t) & 1)
                if t0 > 0:
                    low = (low << t0) + code_raw(io, buf, t0, rest & ((1 << t0) - 1))
            return value + low
        value += 1 << width
        n -= 1 << width
        if n <= k:
            return value
        if io[4] == 1 and io[3] + SPARE > len(buf):
            return 4294967295
    return value + code_uniform(io, buf, n, gap - value)


def index_uniform(io: AnyArray, buf: AnyArray, power: AnyArray, n: int, indices: AnyArray) -> int:
    """All indices of a set without structure; returns 0, 1 if one would be ``n`` or more, 2 if ``buf`` is full."""
    k = len(indices)
    at = -1
    for j in range(k):
        left = n - at - 1
        gap = 0
        if io[4] == 1:
            gap = indices[j] - at - 1
        if io[4] == 1 and io[3] + SPARE > len(buf):
            return 2
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
    quarter: AnyArray,
    start: AnyArray,
    n: int,
    indices: AnyArray,
) -> int:
    """All indices by mixed contexts; returns 0, 1 if one would be ``n`` or more, 2 if ``buf`` is full."""
    low = io[0]
    span = io[1]
    code = io[2]
    at = io[3]
    encoding = io[4] == 1
    end = len(buf)
    decisions = 0
    k = len(indices)
    last = min(63, log4(quarter, n // k))
    fast = last << 8
    middle = last << 8
    slow = last << 8
    seen = 0
    total = 0
    top = log4(quarter, n) >> 2
    before = -1
    v = 0
    e = 0
    for j in range(k):
        if encoding:
            v = indices[j] - before
            if indices[j] >= n:
                return 1
            e = log4(quarter, v) >> 2
            if at + SPARE > end:
                return 2
        b = middle >> 8
        g = b
        d = 0
        i2 = 0
        if seen > 0:
            g = min(63, log4(quarter, total // seen))
            d = quarter[seen + 1] >> 2
            if d > 5:
                d = 5
            i2 = g * 8
        s0 = (b * 16 + (last >> 2)) * NODES
        s1 = SLOTS_SLOW + ((slow >> 8) * 16 + (fast >> 10)) * NODES
        s2 = SLOTS_SINCE + (i2 + d) * NODES
        i0 = b * NODES
        i2 = g * NODES
        t = (b + 2) >> 2
        if t >= top:
            t = top - 1
        kind = 0
        node = 3 * t
        if top == 0:
            kind = 4
        # kind 0: is e above t? 1: going up; 2: going down; 3: the bit below the leading one; 4: e is known to be t
        while kind < 4:
            v0 = table[s0 + node]
            if v0 == 0:
                v0 = start[i0 + node]
            v1 = table[s1 + node]
            if v1 == 0:
                v1 = start[i0 + node]
            v2 = table[s2 + node]
            if v2 == 0:
                v2 = start[i2 + node]
            w = 4 * node
            decisions += 1
            x0 = stretch[v0 >> 12]
            x1 = stretch[v1 >> 12]
            x2 = stretch[v2 >> 12]
            x = (weight[w] * x0 + weight[w + 1] * x1 + weight[w + 2] * x2) >> 16
            p = squash[0 if x < -2047 else 4094 if x > 2047 else x + 2047]
            bound = (span >> 16) * p
            if encoding:
                bit = (v >> (t - 1)) & 1 if kind == 3 else 1 if e > t else 0
            else:
                bit = 1 if code < bound else 0
            if bit == 1:
                span = bound
            else:
                low += bound
                span -= bound
                code -= bound
            while span < 16777216:
                if encoding:
                    if low > 4294967295:
                        carry(buf, at)
                    buf[at] = (low >> 24) & 255
                else:
                    code = (code << 8) + (buf[at] if at < end else 0)
                at += 1
                low = (low << 8) & 4294967295
                span <<= 8
            error = 65536 * bit - p
            if error > 1000 or error < -1000:
                x0 = weight[w] + ((error * x0 + 16384) >> 15)
                x1 = weight[w + 1] + ((error * x1 + 16384) >> 15)
                x2 = weight[w + 2] + ((error * x2 + 16384) >> 15)
                weight[w] = 262143 if x0 > 262143 else -262143 if x0 < -262143 else x0
                weight[w + 1] = 262143 if x1 > 262143 else -262143 if x1 < -262143 else x1
                weight[w + 2] = 262143 if x2 > 262143 else -262143 if x2 < -262143 else x2
            target = 65535 * bit
            table[s0 + node] = v0 + ((((target - (v0 >> 8)) * rate[v0 & 255]) >> 16) << 8) + (v0 & 255 < 250)
            table[s1 + node] = v1 + ((((target - (v1 >> 8)) * rate[v1 & 255]) >> 16) << 8) + (v1 & 255 < 250)
            table[s2 + node] = v2 + ((((target - (v2 >> 8)) * rate[v2 & 255]) >> 16) << 8) + (v2 & 255 < 250)
            if kind == 3:
                rest = bit
                kind = 5
            elif bit == 1:
                t += 1
                kind = 4 if kind == 2 or t == top else 1
            elif kind == 1 or t == 0:
                kind = 4
            else:
                t -= 1
                kind = 2
            node = 3 * t + kind
            if kind == 4 and t > 0:
                node = 96 + t
                kind = 3
        if t == 0:
            v = 1
        elif t == 1:
            v = 2 + rest
        else:
            io[0] = low
            io[1] = span
            io[2] = code
            io[3] = at
            v = ((2 + rest) << (t - 1)) + code_raw(io, buf, t - 1, v & ((1 << (t - 1)) - 1))
            low = io[0]
            span = io[1]
            code = io[2]
            at = io[3]
        before += v
        if before >= n:
            return 1
        indices[j] = before
        last = min(63, log4(quarter, v))
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
    io[0] = low
    io[1] = span
    io[2] = code
    io[3] = at
    io[5] = decisions
    return 0


def code_mixed(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight: AnyArray,
    stretch: AnyArray,
    squash: AnyArray,
    rate: AnyArray,
    w: int,
    s0: int,
    s1: int,
    s2: int,
    bit: int,
) -> int:
    """A decision predicted by the mixture of three adaptive probabilities; returns the bit."""
    v0 = table[s0]
    v1 = table[s1]
    v2 = table[s2]
    x0 = stretch[v0 >> 12]
    x1 = stretch[v1 >> 12]
    x2 = stretch[v2 >> 12]
    x = (weight[w] * x0 + weight[w + 1] * x1 + weight[w + 2] * x2) >> 16
    p = squash[0 if x < -2047 else 4094 if x > 2047 else x + 2047]
    bit = code_bit(io, buf, p, bit)
    error = 65536 * bit - p
    if error > 1000 or error < -1000:
        weight[w] = max(-262143, min(262143, weight[w] + ((error * x0 + 16384) >> 15)))
        weight[w + 1] = max(-262143, min(262143, weight[w + 1] + ((error * x1 + 16384) >> 15)))
        weight[w + 2] = max(-262143, min(262143, weight[w + 2] + ((error * x2 + 16384) >> 15)))
    target = 65535 * bit
    table[s0] = v0 + ((((target - (v0 >> 8)) * rate[v0 & 255]) >> 16) << 8) + (v0 & 255 < 250)
    table[s1] = v1 + ((((target - (v1 >> 8)) * rate[v1 & 255]) >> 16) << 8) + (v1 & 255 < 250)
    table[s2] = v2 + ((((target - (v2 >> 8)) * rate[v2 & 255]) >> 16) << 8) + (v2 & 255 < 250)
    io[5] += 1
    return bit


def expected(size: int, mean: int) -> int:
    """Class 0..63 of the images expected in a group of class ``size`` where the mean gap has class ``mean``."""
    return max(0, min(63, size - mean + 24))


def index_groups(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight: AnyArray,
    stretch: AnyArray,
    squash: AnyArray,
    rate: AnyArray,
    quarter: AnyArray,
    power: AnyArray,
    n: int,
    starts: AnyArray,
    indices: AnyArray,
) -> int:
    """All indices, group by group: a count by mixed contexts, then positions without structure.

    ``starts`` (groups,) increase from 0 and stay below ``n``.
    Returns 0, 1 if a count or a position is impossible, 2 if ``buf`` is full.
    """
    k = len(indices)
    last = min(63, log4(quarter, 8 * n // k) - 12)
    fast = last << 8
    middle = last << 8
    slow = last << 8
    done = 0
    group = 0
    while done < k:
        begin = starts[group]
        end = starts[group + 1] if group + 1 < len(starts) else n
        size = end - begin
        count = 0
        if io[4] == 1:
            while done + count < k and indices[done + count] < end:
                count += 1
            if io[3] + SPARE > len(buf):
                return 2
        if k - done >= n - begin:  # everything from here on is kept
            count = size
        else:
            q = log4(quarter, size)
            s0 = (expected(q, middle >> 8) * 16 + (expected(q, last) >> 2)) * NODES
            s1 = SLOTS_SLOW + (expected(q, slow >> 8) * 16 + (expected(q, fast >> 8) >> 2)) * NODES
            s2 = SLOTS_SINCE + ((q >> 2) * 16 + (expected(q, last) >> 2)) * NODES
            top = log4(quarter, size + 1) >> 2
            v = count + 1
            e = log4(quarter, v) >> 2
            t = 0
            while t < top:
                if code_mixed(
                    io, buf, table, weight, stretch, squash, rate, 4 * t, s0 + t, s1 + t, s2 + t, 1 if e > t else 0
                ) == 0:  # fmt: skip
                    break
                t += 1
            rest = v - (1 << t)
            value = 1
            node = 32 + 3 * t
            done_bits = 0
            while done_bits < t and done_bits < 2:
                bit = code_mixed(
                    io, buf, table, weight, stretch, squash, rate, 4 * node, s0 + node, s1 + node, s2 + node,
                    (rest >> (t - 1 - done_bits)) & 1,
                )  # fmt: skip
                value = 2 * value + bit
                node += 1 + bit
                done_bits += 1
            if t > 2:
                value = (value << (t - 2)) + code_raw(io, buf, t - 2, rest & ((1 << (t - 2)) - 1))
            count = value - 1
            if count > size or count > k - done or k - done - count > n - end:
                return 1
        at = begin - 1
        for j in range(count):
            left = end - at - 1
            gap = 0
            if io[4] == 1:
                gap = indices[done + j] - at - 1
                if io[3] + SPARE > len(buf):
                    return 2
            if left > count - j:
                gap = uniform_gap(io, buf, power, left, count - j, gap)
                if gap > left - (count - j):
                    return 1
            at += gap + 1
            indices[done + j] = at
        done += count
        last = log4(quarter, size) + 4
        if count > 0:
            last = log4(quarter, 8 * size // count) - 12
        if last > 63:
            last = 63
        fast += ((last << 8) - fast) >> 1
        middle += ((last << 8) - middle) >> 2
        slow += ((last << 8) - slow) >> 4
        group += 1
    return 0


def labels_mixed(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight: AnyArray,
    stretch: AnyArray,
    squash: AnyArray,
    rate: AnyArray,
    quarter: AnyArray,
    score: AnyArray,
    stamp: AnyArray,
    alphabet: int,
    starts: AnyArray,
    indices: AnyArray,
    labels: AnyArray,
) -> int:
    """All labels by mixed contexts; returns 0, 1 if a hit is written as a miss, 2 if ``buf`` is full.

    ``score`` (alphabet,) is zero, ``stamp`` (twice the next power of two) is -1. ``starts`` (groups,) are the offsets
    at which stretches of images of one kind begin; if there are none, a long gap begins a new stretch.
    """
    low = io[0]
    span = io[1]
    code = io[2]
    at = io[3]
    encoding = io[4] == 1
    end = len(buf)
    decisions = 0
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
    bit = 0
    stretch_at = 0
    inside = 0
    groups = len(starts)
    group = 0
    seen = 0
    total = 0
    for j in range(len(labels)):
        if encoding:
            label = labels[j]
            if at + SPARE > end:
                return 2
        gap = indices[j] - before
        before = indices[j]
        new = 0
        if groups > 0:
            while group + 1 < groups and starts[group + 1] <= before:
                group += 1
                new = 1
        elif seen > 2 and gap > 3 * (total // seen) + 32:
            new = 1
            seen = 0
            total = 0
        else:
            seen += 1
            total += gap
            if seen > 64:
                seen >>= 1
                total >>= 1
        if new == 1:
            stretch_at = j
            inside = 0
            gain *= 8
            if gain > 16777216:
                gain >>= 16
                for i in range(alphabet):
                    score[i] >>= 16
        inside += 1
        gap = 11 if gap > 2047 else quarter[gap] >> 2
        if groups > 0:
            gap = 11 if inside > 2047 else quarter[inside] >> 2
        share = score[first] // gain
        if share > 15:
            share = 15
        same = (4 if p1 == first else 0) + (2 if p2 == first else 0) + (1 if p3 == first else 0)
        s0 = SLOTS_HISTORY + history * 12 + gap
        s1 = hashed(first, p1, 1 if p2 == first else 0)
        s2 = SLOTS_SHARE + (same * 16 + share) * 12 + gap
        s3 = SLOTS_TREE
        h0 = 0
        h1 = 0
        h2 = 0
        w = 0
        node = 0
        level = depth
        # node 0: is the label ``first``? Then down the tree of labels, whose root is node 1
        while level >= 0:
            v0 = table[s0]
            v1 = table[s1]
            v2 = table[s2]
            v3 = table[s3]
            s4 = s3 + 2 * size
            v4 = table[s4]
            if stamp[node] != stretch_at:
                stamp[node] = stretch_at
                v4 = 8388608
            decisions += 1
            x0 = stretch[v0 >> 12]
            x1 = stretch[v1 >> 12]
            x2 = stretch[v2 >> 12]
            x3 = stretch[v3 >> 12]
            x4 = stretch[v4 >> 12]
            x = (
                weight[w] * x0 + weight[w + 1] * x1 + weight[w + 2] * x2 + weight[w + 3] * x3 + weight[w + 4] * x4
            ) >> 16
            p = squash[0 if x < -2047 else 4094 if x > 2047 else x + 2047]
            bound = (span >> 16) * p
            if encoding:
                bit = (label >> level) & 1 if node > 0 else 1 if label == first else 0
            else:
                bit = 1 if code < bound else 0
            if bit == 1:
                span = bound
            else:
                low += bound
                span -= bound
                code -= bound
            while span < 16777216:
                if encoding:
                    if low > 4294967295:
                        carry(buf, at)
                    buf[at] = (low >> 24) & 255
                else:
                    code = (code << 8) + (buf[at] if at < end else 0)
                at += 1
                low = (low << 8) & 4294967295
                span <<= 8
            error = 65536 * bit - p
            if error > 1000 or error < -1000:
                x0 = weight[w] + ((error * x0 + 16384) >> 15)
                x1 = weight[w + 1] + ((error * x1 + 16384) >> 15)
                x2 = weight[w + 2] + ((error * x2 + 16384) >> 15)
                weight[w] = 262143 if x0 > 262143 else -262143 if x0 < -262143 else x0
                weight[w + 1] = 262143 if x1 > 262143 else -262143 if x1 < -262143 else x1
                weight[w + 2] = 262143 if x2 > 262143 else -262143 if x2 < -262143 else x2
                x3 = weight[w + 3] + ((error * x3 + 16384) >> 15)
                x4 = weight[w + 4] + ((error * x4 + 16384) >> 15)
                weight[w + 3] = 262143 if x3 > 262143 else -262143 if x3 < -262143 else x3
                weight[w + 4] = 262143 if x4 > 262143 else -262143 if x4 < -262143 else x4
            target = 65535 * bit
            table[s0] = v0 + ((((target - (v0 >> 8)) * rate[v0 & 255]) >> 16) << 8) + (v0 & 255 < 250)
            table[s1] = v1 + ((((target - (v1 >> 8)) * rate[v1 & 255]) >> 16) << 8) + (v1 & 255 < 250)
            table[s2] = v2 + ((((target - (v2 >> 8)) * rate[v2 & 255]) >> 16) << 8) + (v2 & 255 < 250)
            table[s3] = v3 + ((((target - (v3 >> 8)) * rate[v3 & 255]) >> 16) << 8) + (v3 & 255 < 8)
            table[s4] = v4 + ((((target - (v4 >> 8)) * rate[v4 & 255]) >> 16) << 8) + (v4 & 255 < 250)
            if node == 0:
                history = (2 * history + bit) & 255
                if bit == 1:
                    label = first
                    break
                h0 = hashed(p1, 0, 2)
                h1 = hashed(first, second, 3)
                h2 = hashed(first, 0, 4)
                node = 1
            else:
                node = 2 * node + bit
            level -= 1
            while level >= 0 and (2 * node + 1) << level >= size + alphabet:
                node = 2 * node  # no labels on the side of the ones
                level -= 1
            if level < 0:
                label = node - size
                if label == first:
                    return 1  # a hit, written as a miss
            s0 = (h0 + node) & (HASHED - 1)
            s1 = (h1 + node) & (HASHED - 1)
            s2 = (h2 + node) & (HASHED - 1)
            s3 = SLOTS_TREE + node
            w = 5 * (depth - level)
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
    io[0] = low
    io[1] = span
    io[2] = code
    io[3] = at
    io[5] = decisions
    return 0


NAMES = ("index_groups", "index_uniform", "index_mixed", "labels_mixed")
HELPERS = (
    "carry",
    "settle",
    "code_bit",
    "code_raw",
    "code_uniform",
    "survival",
    "code_mixed",
    "expected",
    "hashed",
    "log4",
    "uniform_gap",
)
