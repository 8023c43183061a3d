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

# Slots of the label model: a hashed table, then those of one input of the question
HASHED = 1 << 18
LABEL_SLOTS = HASHED + 8 * 16 * 12

# A probability of 1/2 that has seen nothing
HALF = 0


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
    weight0: AnyArray,
    weight1: AnyArray,
    weight2: AnyArray,
    squash: AnyArray,
    next0: AnyArray,
    next1: AnyArray,
    quarter: AnyArray,
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
        rate = 14 if j < 256 else 15 if j < 16384 else 16
        if encoding:
            v = indices[j] - before
            if indices[j] >= n:
                return 1
            e = log4(quarter, v) >> 2
            if at + SPARE > end:
                return 2
        b = middle >> 8
        c0 = (b * 16 + (last >> 2)) * NODES
        c1 = SLOTS_SLOW + ((slow >> 8) * 16 + (fast >> 10)) * NODES
        c2 = b * 8 + 7
        if seen > 0:
            mean = total // seen
            c2 = min(63, log4(quarter, mean)) * 8 + (5 if seen > 30 else quarter[seen + 1] >> 2)
        c2 = SLOTS_SINCE + c2 * NODES
        t = (b + 2) >> 2
        if t >= top:
            t = top - 1
        kind = 0
        node = 3 * t
        if top == 0:
            kind = 4
        # kind 0: is e above t? 1: going up; 2: going down; 3: the bit below the leading one; 4: e is known to be t
        while kind < 4:
            s0 = c0 + node
            s1 = c1 + node
            s2 = c2 + node
            v0 = table[s0]
            v1 = table[s1]
            v2 = table[s2]
            x0 = v0 >> 4
            x1 = v1 >> 4
            x2 = v2 >> 4
            w0 = weight0[node]
            w1 = weight1[node]
            w2 = weight2[node]
            p = squash[(w0 * x0 + w1 * x1 + w2 * x2) >> 16]
            bound = (span >> 16) * p
            decisions += 1
            if encoding:
                one = (v >> (t - 1)) & 1 == 1 if kind == 3 else e > t
            else:
                one = code < bound
            if one:
                span = bound
                p -= 65536
                table[s0] = next1[v0]
                table[s1] = next1[v1]
                table[s2] = next1[v2]
            else:
                low += bound
                span -= bound
                code -= bound
                table[s0] = next0[v0]
                table[s1] = next0[v1]
                table[s2] = next0[v2]
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
            if p > 2000 or p < -2000:
                w0 -= (p * x0) >> rate
                w1 -= (p * x1) >> rate
                w2 -= (p * x2) >> rate
                weight0[node] = 262143 if w0 > 262143 else -262143 if w0 < -262143 else w0
                weight1[node] = 262143 if w1 > 262143 else -262143 if w1 < -262143 else w1
                weight2[node] = 262143 if w2 > 262143 else -262143 if w2 < -262143 else w2
            if kind == 3:
                break
            if one:
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
        else:
            rest = 3 if one else 2
            w = t - 1
            while w > 0:  # code_raw, written out
                part = 8 if w > 8 else w
                w -= part
                most = (1 << part) - 1
                value = (v >> w) & most
                part = span >> part
                if not encoding:
                    value = code // part
                    if value > most:
                        value = most
                rest = rest * (most + 1) + value
                value *= part
                low += value
                code -= value
                span = span - value if value == most * part else part
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
            v = rest
        before += v
        if before >= n:
            return 1
        indices[j] = before
        last = quarter[v] if v < 4096 else min(63, log4(quarter, v))
        s = last << 8
        fast += (s - fast) >> 2
        middle += (s - middle) >> 3
        slow += (s - slow) >> 5
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
    weight0: AnyArray,
    weight1: AnyArray,
    weight2: AnyArray,
    squash: AnyArray,
    next0: AnyArray,
    next1: AnyArray,
    node: int,
    s0: int,
    s1: int,
    s2: int,
    bit: int,
) -> int:
    """A decision of weight set ``node`` predicted by the mixture of three adaptive probabilities; returns the bit."""
    v0 = table[s0]
    v1 = table[s1]
    v2 = table[s2]
    x0 = v0 >> 4
    x1 = v1 >> 4
    x2 = v2 >> 4
    p = squash[(weight0[node] * x0 + weight1[node] * x1 + weight2[node] * x2) >> 16]
    bit = code_bit(io, buf, p, bit)
    if bit == 1:
        p -= 65536
        table[s0] = next1[v0]
        table[s1] = next1[v1]
        table[s2] = next1[v2]
    else:
        table[s0] = next0[v0]
        table[s1] = next0[v1]
        table[s2] = next0[v2]
    if p > 2000 or p < -2000:
        weight0[node] = max(-262143, min(262143, weight0[node] - ((p * x0) >> 15)))
        weight1[node] = max(-262143, min(262143, weight1[node] - ((p * x1) >> 15)))
        weight2[node] = max(-262143, min(262143, weight2[node] - ((p * x2) >> 15)))
    io[5] += 1
    return bit


def expected(size: int, mean: int) -> int:
    """Class 0..63 of the images expected in a group of class ``size`` where the mean gap has class ``mean``."""
    return max(0, min(63, size - mean + 24))


def index_groups(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight0: AnyArray,
    weight1: AnyArray,
    weight2: AnyArray,
    squash: AnyArray,
    next0: AnyArray,
    next1: AnyArray,
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
            top = min(31, log4(quarter, size + 1) >> 2)  # count + 1 is below 2^32; nodes end at 127
            v = count + 1
            e = log4(quarter, v) >> 2
            t = 0
            while t < top:
                if code_mixed(
                    io, buf, table, weight0, weight1, weight2, squash, next0, next1, t,
                    s0 + t, s1 + t, s2 + t, 1 if e > t else 0,
                ) == 0:  # fmt: skip
                    break
                t += 1
            rest = v - (1 << t)
            value = 1
            node = 32 + 3 * t
            done_bits = 0
            while done_bits < t and done_bits < 2:
                bit = code_mixed(
                    io, buf, table, weight0, weight1, weight2, squash, next0, next1, node,
                    s0 + node, s1 + node, s2 + node, (rest >> (t - 1 - done_bits)) & 1,
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


def labels_plain(io: AnyArray, buf: AnyArray, ones: AnyArray, both: AnyArray, labels: AnyArray) -> int:
    """All labels by their frequencies so far; returns 0, or 2 if ``buf`` is full.

    ``ones`` and ``both`` (labels,) are zero: ones and decisions at each node of the tree.
    """
    low = io[0]
    span = io[1]
    code = io[2]
    at = io[3]
    encoding = io[4] == 1
    end = len(buf)
    alphabet = len(ones)
    depth = 0
    label = 0
    for j in range(len(labels)):
        if encoding:
            if at + SPARE > end:
                return 2
            label = labels[j] + alphabet
            depth = 0
            while label >> depth > 1:
                depth += 1
        node = 1
        while node < alphabet:
            c1 = ones[node]
            c = both[node]
            p = ((2 * c1 + 1) << 15) // (c + 1)
            p = 32 if p < 32 else 65504 if p > 65504 else p
            bound = (span >> 16) * p
            if encoding:
                depth -= 1
                one = (label >> depth) & 1 == 1
            else:
                one = code < bound
            if c == 65535:
                c >>= 1
                c1 >>= 1
            both[node] = c + 1
            if one:
                span = bound
                ones[node] = c1 + 1
                node = 2 * node + 1
            else:
                low += bound
                span -= bound
                code -= bound
                ones[node] = c1
                node = 2 * node
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
        labels[j] = node - alphabet
    io[0] = low
    io[1] = span
    io[2] = code
    io[3] = at
    return 0


def labels_mixed(
    io: AnyArray,
    buf: AnyArray,
    table: AnyArray,
    weight0: AnyArray,
    weight1: AnyArray,
    weight2: AnyArray,
    weight3: AnyArray,
    squash: AnyArray,
    next0: AnyArray,
    next1: AnyArray,
    quarter: AnyArray,
    short: AnyArray,
    fresh: AnyArray,
    stamp: AnyArray,
    score: AnyArray,
    scaled: AnyArray,
    starts: AnyArray,
    indices: AnyArray,
    labels: AnyArray,
) -> int:
    """All labels by mixed contexts; returns 0, 1 if a hit is written as a miss, 2 if ``buf`` is full.

    ``short``, ``fresh``, ``stamp`` (labels,) hold states of the tree's nodes and the stretch in which the second was
    written, -1 at first. ``score`` and ``scaled`` (labels,) are zero: a score, and how often all scores had been
    rescaled when it was written; the two leaders' are always up to date. ``starts`` (groups,) are the offsets at which
    stretches of images of one kind begin; if there are none, a long gap begins a new stretch. The last weight set is
    the question's.
    """
    low = io[0]
    span = io[1]
    code = io[2]
    at = io[3]
    encoding = io[4] == 1
    end = len(buf)
    decisions = 0
    alphabet = len(score)
    question = len(weight0) - 1
    first = 0
    second = 1
    p1 = 0
    p2 = 0
    p3 = 0
    gain = 256
    rescaled = 0
    before = -1
    label = 0
    path = 0
    length = 0
    stretch_at = 0
    inside = 0
    groups = len(starts)
    group = 0
    seen = 0
    total = 0
    v2 = HALF
    for j in range(len(labels)):
        rate = 14 if j < 256 else 15 if j < 16384 else 16
        if encoding:
            label = labels[j]
            if at + SPARE > end:
                return 2
        gap = indices[j] - before
        before = indices[j]
        new = False
        if groups > 0:
            while group + 1 < groups and starts[group + 1] <= before:
                group += 1
                new = True
        elif seen > 2 and gap > 3 * (total // seen) + 32:
            new = True
            seen = 0
            total = 0
        else:
            seen += 1
            total += gap
            if seen > 64:
                seen >>= 1
                total >>= 1
        if new:
            stretch_at = j
            inside = 0
            v2 = HALF
            gain *= 8
            if gain > 16777216:
                gain >>= 16
                rescaled += 1
                score[first] >>= 16
                score[second] >>= 16
        if groups > 0:
            inside += 1
            gap = inside
        gap = 11 if gap > 2047 else quarter[gap] >> 2
        share = score[first] // gain
        if share > 15:
            share = 15
        # Is the label ``first``?
        s0 = hashed(first, p1, 1 if p2 == first else 0)
        s1 = (4 if p1 == first else 0) + (2 if p2 == first else 0) + (1 if p3 == first else 0)
        s1 = HASHED + (s1 * 16 + share) * 12 + gap
        v0 = table[s0]
        v1 = table[s1]
        x0 = v0 >> 4
        x1 = v1 >> 4
        x2 = v2 >> 4
        w0 = weight0[question]
        w1 = weight1[question]
        w2 = weight2[question]
        p = squash[(w0 * x0 + w1 * x1 + w2 * x2) >> 16]
        bound = (span >> 16) * p
        decisions += 1
        hit = label == first if encoding else code < bound
        if hit:
            span = bound
            p -= 65536
            table[s0] = next1[v0]
            table[s1] = next1[v1]
            v2 = next1[v2]
        else:
            low += bound
            span -= bound
            code -= bound
            table[s0] = next0[v0]
            table[s1] = next0[v1]
            v2 = next0[v2]
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
        if p > 2000 or p < -2000:
            w0 -= (p * x0) >> rate
            w1 -= (p * x1) >> rate
            w2 -= (p * x2) >> rate
            weight0[question] = 262143 if w0 > 262143 else -262143 if w0 < -262143 else w0
            weight1[question] = 262143 if w1 > 262143 else -262143 if w1 < -262143 else w1
            weight2[question] = 262143 if w2 > 262143 else -262143 if w2 < -262143 else w2
        if hit:
            label = first
            score[label] += gain
        else:
            c0 = hashed(first, second, 3)
            c1 = hashed(first, 0, 4)
            node = 1
            level = 0
            if encoding:
                path = label + alphabet
                length = 0
                while path >> length > 1:
                    length += 1
            while node < alphabet:
                s0 = (c0 + node) & (HASHED - 1)
                s1 = (c1 + node) & (HASHED - 1)
                v0 = table[s0]
                v1 = table[s1]
                u = short[node]
                v = HALF
                if stamp[node] == stretch_at:
                    v = fresh[node]
                else:
                    stamp[node] = stretch_at
                x0 = v0 >> 4
                x1 = v1 >> 4
                x2 = u >> 4
                x3 = v >> 4
                w0 = weight0[level]
                w1 = weight1[level]
                w2 = weight2[level]
                w3 = weight3[level]
                p = squash[(w0 * x0 + w1 * x1 + w2 * x2 + w3 * x3) >> 16]
                bound = (span >> 16) * p
                decisions += 1
                one = (path >> (length - level - 1)) & 1 == 1 if encoding else code < bound
                if one:
                    span = bound
                    p -= 65536
                    table[s0] = next1[v0]
                    table[s1] = next1[v1]
                    fresh[node] = next1[v]
                    u = next1[u]
                else:
                    low += bound
                    span -= bound
                    code -= bound
                    table[s0] = next0[v0]
                    table[s1] = next0[v1]
                    fresh[node] = next0[v]
                    u = next0[u]
                short[node] = u - 1 if u & 8 else u
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
                if p > 2000 or p < -2000:
                    w0 -= (p * x0) >> rate
                    w1 -= (p * x1) >> rate
                    w2 -= (p * x2) >> rate
                    w3 -= (p * x3) >> rate
                    weight0[level] = 262143 if w0 > 262143 else -262143 if w0 < -262143 else w0
                    weight1[level] = 262143 if w1 > 262143 else -262143 if w1 < -262143 else w1
                    weight2[level] = 262143 if w2 > 262143 else -262143 if w2 < -262143 else w2
                    weight3[level] = 262143 if w3 > 262143 else -262143 if w3 < -262143 else w3
                node = 2 * node + 1 if one else 2 * node
                level += 1
            label = node - alphabet
            if label == first:
                return 1  # a hit, written as a miss
            points = score[label]
            if label != second and scaled[label] != rescaled:
                points = 0 if rescaled - scaled[label] > 1 else points >> 16  # below 2^29: two shifts leave nothing
            points += gain
            score[label] = points
            scaled[label] = rescaled
            if points > score[first]:
                scaled[second] = rescaled
                second = first
                first = label
            elif label != second and points > score[second]:
                scaled[second] = rescaled
                second = label
        labels[j] = label
        gain += gain >> 4
        if gain > 16777216:
            gain >>= 16
            rescaled += 1
            score[first] >>= 16
            score[second] >>= 16
        p3 = p2
        p2 = p1
        p1 = label
    io[0] = low
    io[1] = span
    io[2] = code
    io[3] = at
    io[5] = decisions
    return 0


NAMES = ("index_groups", "index_uniform", "index_mixed", "labels_mixed", "labels_plain")
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
