"""Reference decoder of the plada payload format 1.1, in the order of SPEC.md.

Sequential, to be read next to the specification and to be transcribed into other languages, not to be fast. It is a
strict reader: it makes every check of section 9, steps 1 to 14, and stops at the first one that fails. It needs only
the standard library, and the package ``zstandard`` for codecs 0x10, 0x11 and 0x30. Section 16 is not covered.

For a transcription: integers are non-negative and below 2**32, except differences of code lengths and what is marked
"64 bits". Bit positions and sizes in bits need 64 bits.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from reference_adaptive import Decoder, index_adaptive, index_groups, label_adaptive
from reference_adaptive import Reject as RejectStream

try:
    import zstandard
except ImportError:  # a baseline reader (section 13)
    zstandard = None  # type: ignore[assignment]

# Section 9: the codes that a decoder of payloads can report.
NOT_PLADA, TRUNCATED, UNSUPPORTED_VERSION, HEADER_LENGTH, HEADER_CRC, UNSUPPORTED_FLAG = 1, 2, 3, 4, 5, 6
BAD_VARINT, SECTION_ORDER, UNKNOWN_CRITICAL_SECTION, UNSUPPORTED_CODEC, MINOR_VERSION = 7, 8, 9, 10, 11
COUNT_EXCEEDS_POOL, LIMIT, POOL_SIZE_MISMATCH, POOL_MISMATCH, POOL_UNIDENTIFIED, GROUPS_MISMATCH = (
    12,
    13,
    14,
    15,
    16,
    17,
)
TRAILING_DATA, SECTION_CRC, STREAM_TRUNCATED, STREAM_OVERLONG, PADDING, PARAMETER = 18, 19, 20, 21, 22, 23
TABLE, CODER_STATE, INDEX_RANGE, LABEL_RANGE, NON_CANONICAL, ZSTD_FRAME = 24, 25, 26, 27, 28, 29
CONTENT_DIGEST, TEXT, SECTION_CONTENT, GROUPS_REQUIRED, GROUPS_FLAG = 30, 31, 32, 33, 34


class Reject(Exception):
    """The bytes are not a valid payload, or not one for this caller; ``code`` is the error code of section 9."""

    def __init__(self, code: int) -> None:
        super().__init__(f"error {code}")
        self.code = code


def need(holds: bool, code: int) -> None:
    """``holds``, else ``code``: the wording of the specification."""
    if not holds:
        raise Reject(code)


# 2 Conventions


class Stream:
    """Bytes that are read from front to back (section 2); ``short`` is the code of a read beyond their end."""

    def __init__(self, data: bytes, short: int = STREAM_TRUNCATED) -> None:
        self.data, self.short, self.pos = data, short, 0

    def take(self, size: int) -> bytes:
        """Read ``size`` bytes (64 bits)."""
        need(size <= len(self.data) - self.pos, self.short)
        self.pos += size
        return self.data[self.pos - size : self.pos]

    def uint(self, size: int) -> int:
        """Read a u8, u16 or u32."""
        return int.from_bytes(self.take(size), "little")

    def varint(self) -> int:
        """Read a varint."""
        value = 0
        for n in range(5):
            byte = self.uint(1)
            need(n < 4 or byte <= 0x0F, BAD_VARINT)
            value += (byte & 0x7F) << 7 * n
            if byte < 0x80:
                need(byte > 0 or n == 0, BAD_VARINT)
                break
        return value

    def field(self, at: int, width: int) -> int:
        """Look up the field of ``width`` bits at bit number ``at``; the caller has checked that it exists."""
        first, last = at // 8, (at + width + 7) // 8
        return (int.from_bytes(self.data[first:last], "little") >> at % 8) % (1 << width)

    def pad(self, at: int) -> None:
        """Check the padding from bit number ``at`` on, and continue at the byte after it."""
        need(self.field(at, -at % 8) == 0, PADDING)
        self.pos = (at + 7) // 8

    def end(self, code: int = STREAM_OVERLONG) -> None:
        """Check that all bytes are consumed."""
        need(self.pos == len(self.data), code)


# 5 Building blocks


def block(s: Stream, n: int) -> list[int]:
    """5.1 Integer block: n >= 1 integers below 2**32."""
    p = s.varint()
    golomb, m, order = p % 2 == 0, p // 2 + 1, p // 2
    need(m <= 2**30 if golomb else order <= 30, PARAMETER)
    b = m.bit_length() - 1 if golomb else order
    u = (2 << b) - m  # Golomb: `low` below u has no extra bit
    at, end = 8 * s.pos, 8 * len(s.data)
    quotients = []  # part A
    for _ in range(n):
        q = 0
        while at < end and s.field(at, 1) == 0:
            q, at = q + 1, at + 1
        need(at < end, STREAM_TRUNCATED)
        at += 1
        quotients.append(q)
    need(golomb or max(quotients) <= 32 - order, INDEX_RANGE)
    need(n * b <= end - at, STREAM_TRUNCATED)  # part B
    lows = [s.field(at + j * b, b) for j in range(n)]
    at += n * b
    widths = [int(low >= u) for low in lows] if golomb else quotients  # part C
    need(sum(widths) <= end - at, STREAM_TRUNCATED)
    values = []
    for q, low, width in zip(quotients, lows, widths):
        extra = s.field(at, width)
        at += width
        if golomb:
            v = q * m + (low if low < u else 2 * low + extra - u)  # 64 bits, once q <= floor((2**32 - 1) / m)
        else:
            v = (((1 << q) + extra - 1) << order) + low  # 64 bits
        need(v < 2**32, INDEX_RANGE)
        values.append(v)
    s.pad(at)
    return values


def symbols(s: Stream, a: int) -> list[int]:
    """5.2 Symbol set: the members that a table describes, of the symbols 0..a-1."""
    size = s.varint()
    need(1 <= size <= a, TABLE)
    return ascending(block(s, size), a, TABLE) if size < a else list(range(a))


def ascending(gaps: list[int], limit: int, code: int) -> list[int]:
    """5.2, 6.2: numbers from their gaps; all are below ``limit``, else ``code``."""
    numbers, least = [], 0
    for gap in gaps:
        need(least + gap < limit, code)  # 64 bits
        numbers.append(least + gap)
        least += gap + 1
    return numbers


def huffman(s: Stream, a: int, n: int) -> list[int]:
    """5.3 Canonical Huffman code: n >= 1 symbols below a."""
    members = symbols(s, a)
    if len(members) == 1:
        return members * n
    lengths, length = [], (len(members) - 1).bit_length()  # ceil(log2 U)
    for z in block(s, len(members)):
        length += z // 2 if z % 2 == 0 else -(z // 2) - 1
        need(1 <= length <= 16, TABLE)
        lengths.append(length)
    need(sum(1 << (16 - length) for length in lengths) == 1 << 16, TABLE)
    count = [lengths.count(length) for length in range(17)]
    ranked = [member for _, member in sorted(zip(lengths, members))]
    at, end = 8 * s.pos, 8 * len(s.data)
    output = []
    for _ in range(n):
        code = first = start = length = 0
        while code - first >= count[length]:  # at length 0: 0 >= 0; a complete code leaves the loop by length 16
            start, first, length = start + count[length], 2 * (first + count[length]), length + 1
            need(at < end, STREAM_TRUNCATED)
            code, at = 2 * code + s.field(at, 1), at + 1
        output.append(ranked[start + code - first])
    s.pad(at)
    return output


Table = tuple[list[int], list[int], int]  # 5.4: the members; c_0 = 0, c_1, ... c_U = 2**s; the precision s


def table(s: Stream, a: int) -> Table:
    """5.4 The transmitted table for symbols below a."""
    members = symbols(s, a)
    if len(members) == 1:
        return members, [0, 1], 0
    precision = s.uint(1)
    need(1 <= precision <= 16 and 1 << precision >= len(members), PARAMETER)
    cumulative = [0]
    for v in block(s, len(members) - 1):
        cumulative.append(cumulative[-1] + v + 1)  # 64 bits
        need(cumulative[-1] < 1 << precision, TABLE)
    return members, [*cumulative, 1 << precision], precision


def rans(s: Stream, t: Table, n: int) -> list[int]:
    """5.4 Static rANS: n >= 1 symbols."""
    members, cumulative, precision = t
    if len(members) == 1:
        return members * n
    lanes = 1 if n < 65536 else 32 if n < 131072 else 64
    states = Stream(s.take(4 * lanes))
    x = [states.uint(4) for _ in range(lanes)]
    need(min(x) >= 2**16, CODER_STATE)
    output = []
    for i in range(n):
        state = x[i % lanes]
        slot = state % (1 << precision)
        j = bisect_right(cumulative, slot) - 1  # the entry with c_j <= slot < c_(j+1)
        output.append(members[j])
        state = (cumulative[j + 1] - cumulative[j]) * (state >> precision) + slot - cumulative[j]
        if state < 2**16:
            state = state * 2**16 + s.uint(2)
        x[i % lanes] = state
    need(all(state == 2**16 for state in x), CODER_STATE)
    return output


def zstd_frame(data: bytes, size: int) -> bytes:
    """5.5 Zstandard frame: exactly one frame of ``size`` bytes (64 bits); terms of RFC 8878, 3.1.1."""
    s = Stream(data, ZSTD_FRAME)
    need(s.uint(4) == 0xFD2FB528, ZSTD_FRAME)
    descriptor = s.uint(1)
    need(descriptor & 0b1111 == 0, ZSTD_FRAME)  # Reserved_bit, Content_Checksum_flag, Dictionary_ID_flag
    single_segment = descriptor >> 5 & 1
    window = size
    if not single_segment:
        exponent, mantissa = divmod(s.uint(1), 8)
        window = (8 + mantissa) << (7 + exponent)  # Window_Size, 64 bits
        need(window <= 2**27, ZSTD_FRAME)
    field_size = (single_segment, 2, 4, 8)[descriptor >> 6]
    need(field_size > 0 and s.uint(field_size) + (256 if field_size == 2 else 0) == size, ZSTD_FRAME)
    last_block = 0
    while not last_block:
        header = s.uint(3)
        last_block, block_type, block_size = header & 1, header >> 1 & 3, header >> 3
        need(block_size <= min(window, 2**17), ZSTD_FRAME)
        s.take(1 if block_type == 1 else block_size)  # an RLE block holds one byte
    s.end(ZSTD_FRAME)
    try:
        content = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
    except zstandard.ZstdError:
        raise Reject(ZSTD_FRAME) from None
    need(len(content) == size, ZSTD_FRAME)
    return content


def planes(raw: bytes, n: int, width: int, interleaved: bool) -> list[int]:
    """6.5, 7.5: n integers of ``width`` bytes, one after another or as planes of equal significance."""
    rows = [raw[width * j : width * (j + 1)] if interleaved else raw[j::n] for j in range(n)]
    return [int.from_bytes(row, "little") for row in rows]


# 6 Index codecs: k kept of n images, 0 < k < n, from the whole stream


def index_bitmap(s: Stream, n: int, k: int) -> list[int]:
    """6.1 index-bitmap."""
    s.take((n + 7) // 8)
    s.end()
    s.pad(n)
    indices = [i for i in range(n) if s.field(i, 1) == 1]
    need(len(indices) == k, INDEX_RANGE)
    return indices


def index_golomb(s: Stream, n: int, k: int) -> list[int]:
    """6.2 index-golomb."""
    gaps = block(s, k)
    s.end()
    return ascending(gaps, n, INDEX_RANGE)


def index_runs(s: Stream, n: int, k: int) -> list[int]:
    """6.3 index-runs; all sums need 64 bits."""
    runs = s.varint()
    need(1 <= runs <= k, PARAMETER)
    skipped = [v + (j > 0) for j, v in enumerate(block(s, runs))]
    kept = [v + 1 for v in block(s, runs - 1)] if runs >= 2 else []
    s.end()
    need(sum(kept) < k, INDEX_RANGE)
    need(k + sum(skipped) <= n, INDEX_RANGE)
    indices, at = list[int](), 0
    for skip, keep in zip(skipped, [*kept, k - sum(kept)]):
        indices += range(at + skip, at + skip + keep)
        at += skip + keep
    return indices


def class_of_gaps(c: int) -> tuple[int, int]:
    """6.4: the smallest gap of class c, lo(c), and the number of its raw bits."""
    return (c, 0) if c < 8 else ((4 + c % 4) << (c // 4 - 1), c // 4 - 1)


HALVES = [65536, 62757, 60097, 57549, 55109, 52773, 50535, 48393, 46341]  # T of 6.4
HALVES += [44376, 42495, 40693, 38968, 37316, 35734, 34219, 32768]


def geometric_table(p: int, n: int, k: int) -> Table:
    """6.4: the table that P >= 1 describes."""
    size = sum(class_of_gaps(c)[0] <= n - k for c in range(124))  # at least 2, since k < n
    cumulative = []
    for j in range(size):
        z, survival = class_of_gaps(j)[0] * 2**20 // p, 0  # z: 53 bits
        if z < 17 << 12:
            i, t = (z >> 8) % 16, z % 256
            survival = (HALVES[i] - ((HALVES[i] - HALVES[i + 1]) * t >> 8)) >> (z >> 12)
        cumulative.append(((65536 - survival) * (65536 - size) >> 16) + j)
    return list(range(size)), [*cumulative, 65536], 16


def index_rans(s: Stream, n: int, k: int) -> list[int]:
    """6.4 index-rans."""
    m = k if 2 * k <= n else n - k  # 64 bits; a dense set is coded as the images that are not kept
    p = s.varint()
    t = table(s, 124) if p == 0 else geometric_table(p, n, m)
    classes = [class_of_gaps(c) for c in rans(s, t, m)]
    at = 8 * s.pos
    need(sum(width for _, width in classes) <= 8 * len(s.data) - at, STREAM_TRUNCATED)
    gaps = []
    for low, width in classes:
        gaps.append(low + s.field(at, width))
        at += width
    s.pad(at)
    s.end()
    coded = ascending(gaps, n, INDEX_RANGE)
    return coded if m == k else sorted(set(range(n)).difference(coded))


def index_delta_zstd(s: Stream, n: int, k: int) -> list[int]:
    """6.5 index-delta-zstd."""
    layout, width = divmod(s.uint(1), 16)
    need(1 <= width <= 4 and layout <= (width > 1), PARAMETER)
    gaps = planes(zstd_frame(s.data[1:], width * k), k, width, layout == 1)
    need(width == 1 or max(gaps) >> 8 * (width - 1) > 0, NON_CANONICAL)
    return ascending(gaps, n, INDEX_RANGE)


def index_bitmap_zstd(s: Stream, n: int, k: int) -> list[int]:
    """6.6 index-bitmap-zstd."""
    return index_bitmap(Stream(zstd_frame(s.data, (n + 7) // 8)), n, k)


# 7 Label codecs: n >= 1 symbols below a >= 2, from the whole stream


def label_fixed(s: Stream, n: int, a: int) -> list[int]:
    """7.1 label-fixed."""
    width = (a - 1).bit_length()  # ceil(log2 a)
    s.take((n * width + 7) // 8)
    s.end()
    s.pad(n * width)
    labels = [s.field(j * width, width) for j in range(n)]
    need(max(labels) < a, LABEL_RANGE)
    return labels


def label_huffman(s: Stream, n: int, a: int) -> list[int]:
    """7.2 label-huffman."""
    labels = huffman(s, a, n)
    s.end()
    return labels


def label_runs(s: Stream, n: int, a: int) -> list[int]:
    """7.3 label-runs; all sums need 64 bits."""
    runs = s.varint()
    need(1 <= runs <= n, PARAMETER)
    values = huffman(s, a, runs)
    lengths = [v + 1 for v in block(s, runs - 1)] if runs >= 2 else []
    s.end()
    need(all(values[j] != values[j + 1] for j in range(runs - 1)), NON_CANONICAL)
    need(sum(lengths) < n, LABEL_RANGE)
    return [label for label, length in zip(values, [*lengths, n - sum(lengths)]) for _ in range(length)]


def label_rans(s: Stream, n: int, a: int) -> list[int]:
    """7.4 label-rans."""
    labels = rans(s, table(s, a), n)
    s.end()
    return labels


def label_zstd(s: Stream, n: int, a: int) -> list[int]:
    """7.5 label-zstd."""
    layout, width = s.uint(1), 1 if a <= 256 else 2
    need(layout < width, PARAMETER)
    labels = planes(zstd_frame(s.data[1:], n * width), n, width, layout == 0)
    need(max(labels) < a, LABEL_RANGE)
    return labels


def adaptive_indices(body: bytes, n: int, k: int, groups: list[int] | None) -> list[int]:
    """6.7 index-adaptive, 6.8 index-adaptive-groups."""
    try:
        return index_adaptive(Decoder(body), n, k) if groups is None else index_groups(Decoder(body), n, k, groups)
    except RejectStream as reject:
        raise Reject(reject.code) from None


def adaptive_labels(body: bytes, a: int, indices: list[int], groups: list[int] | None) -> list[int]:
    """7.6 label-adaptive, 7.7 label-adaptive-groups."""
    try:
        return label_adaptive(Decoder(body), a, indices, groups)
    except RejectStream as reject:
        raise Reject(reject.code) from None


Codec = Callable[[Stream, int, int], list[int]]
INDEX_CODECS: dict[int, Codec] = {0x00: index_bitmap, 0x01: index_golomb, 0x02: index_runs, 0x03: index_rans}
LABEL_CODECS: dict[int, Codec] = {0x20: label_fixed, 0x21: label_huffman, 0x22: label_runs, 0x23: label_rans}
if zstandard is not None:
    INDEX_CODECS |= {0x10: index_delta_zstd, 0x11: index_bitmap_zstd}
    LABEL_CODECS |= {0x30: label_zstd}


# 8 Ancillary sections


def text(s: Stream, least: int, most: int) -> str:
    """8: a varint length of least..most, and text of that many bytes."""
    size = s.varint()
    need(least <= size <= most, SECTION_CONTENT)
    try:
        value = s.take(size).decode("utf-8")  # as RFC 3629: no surrogates, no over-long forms, at most U+10FFFF
    except UnicodeDecodeError:
        raise Reject(TEXT) from None
    need(all(c >= " " and c != "\x7f" for c in value), TEXT)
    return value


def read_class_names(body: bytes, k: int, num_classes: int) -> list[str]:
    """8.1 Class names."""
    s = Stream(body, SECTION_CONTENT)
    names = [text(s, 0, 1024) for _ in range(num_classes)]
    s.end(SECTION_CONTENT)
    return names


def read_metadata(body: bytes, k: int, num_classes: int) -> dict[str, str]:
    """8.2 Metadata."""
    need(len(body) <= 65536, SECTION_CONTENT)
    s = Stream(body, SECTION_CONTENT)
    count = s.varint()
    need(1 <= count <= 256, SECTION_CONTENT)
    pairs, previous = dict[str, str](), ""
    for _ in range(count):
        key = text(s, 1, 255)
        need(key > previous, SECTION_CONTENT)  # the order of code points is that of UTF-8 bytes
        pairs[key] = text(s, 0, 65530)
        previous = key
    s.end(SECTION_CONTENT)
    return pairs


def read_symbols(body: bytes, n: int) -> list[int]:
    """8.3, 8.4: a u8, the type of a label codec, and its stream of n symbols below 256."""
    codec = Stream(body, SECTION_CONTENT).uint(1)
    need(codec in LABEL_CODECS, UNSUPPORTED_CODEC)
    return LABEL_CODECS[codec](Stream(body[1:]), n, 256)


def read_weights(body: bytes, k: int, num_classes: int) -> list[int]:
    """8.3 Image weights: the symbols q; the weights are 2 ** ((q - 128) / 16)."""
    need(k > 0, SECTION_CONTENT)
    return read_symbols(body, k)


def read_soft_labels(body: bytes, k: int, num_classes: int) -> list[int]:
    """8.4 Average soft labels: the symbols q, row after row; the probabilities are q / 255."""
    need(2 <= num_classes <= 1024, SECTION_CONTENT)
    q = read_symbols(body, num_classes**2)
    for row in range(num_classes):
        need(sum(q[row * num_classes : (row + 1) * num_classes]) == 255, SECTION_CONTENT)
    return q


READERS = {0x80: read_class_names, 0x81: read_metadata, 0x82: read_weights, 0x83: read_soft_labels}
NAMES = {0x80: "class_names", 0x81: "metadata", 0x82: "weights", 0x83: "soft_labels"}


# 3 Container, 4 Content, 9 Order of checks


def read_section_table(s: Stream) -> list[tuple[int, int]]:
    """3.2, and step 6 of section 9: type and length of every section."""
    sections = list[tuple[int, int]]()
    while s.pos < len(s.data):
        kind, place = s.uint(1), min(len(sections), 2)  # place: 0 index stream, 1 label stream, 2 ancillary section
        need(place == 0 or kind > sections[-1][0], SECTION_ORDER)
        need(not 0x40 <= kind < 0x80, UNKNOWN_CRITICAL_SECTION)
        need(place == (0 if kind < 0x20 else 1 if kind < 0x40 else 2), SECTION_ORDER)
        known = ({*INDEX_CODECS, 0x08, 0x09}, {*LABEL_CODECS, 0x28, 0x29}, {kind})[place]
        need(kind in known, UNSUPPORTED_CODEC)
        sections.append((kind, s.varint()))
    need(len(sections) >= 2, SECTION_ORDER)
    return sections


def content_digest(n: int, k: int, num_classes: int, indices: list[int], labels: list[int]) -> bytes:
    """4: the first 8 bytes of the SHA-256 of the content."""
    content = b"".join(value.to_bytes(4, "little") for value in (n, k, num_classes, *indices))
    content += b"".join(label.to_bytes(2, "little") for label in labels)
    return hashlib.sha256(b"plada content 1\0" + content).digest()[:8]


def group_digest(starts: list[int]) -> bytes:
    """16.2: the 8 bytes that name these groups."""
    numbers = b"".join(value.to_bytes(4, "little") for value in (len(starts), *starts))
    digest = hashlib.sha256(b"PLADA-pool-groups-v1\0" + numbers).digest()[:8]
    return digest if any(digest) else digest[:7] + b"\1"


def decode(
    data: bytes,
    pool_size: int | None = None,
    pool_fingerprint: bytes | None = None,
    groups: list[int] | None = None,
    max_pool: int = 2**28,
    max_kept: int = 2**25,
) -> dict[str, Any]:
    """Read and check a payload, step by step as section 9 has it; raise Reject at the first failure."""
    signature = b"\x89PLA\r\n\x1a\n"
    need(data[:8] == signature[: len(data)], NOT_PLADA)  # step 1
    need(len(data) > 8, TRUNCATED)  # and step 2
    need(data[8] == 1, UNSUPPORTED_VERSION)
    need(len(data) > 10, TRUNCATED)  # step 3
    minor, h = data[9], data[10]
    need(h >= 54, HEADER_LENGTH)
    need(len(data) >= h, TRUNCATED)
    need(zlib.crc32(data[: h - 4]) == int.from_bytes(data[h - 4 : h], "little"), HEADER_CRC)  # step 4
    need(data[11] in (0, 1), UNSUPPORTED_FLAG)  # step 5
    grouped, table = data[11] == 1, 46 + 8 * data[11]
    need(h >= table + 8, HEADER_LENGTH)
    fixed = Stream(data[12:46])
    n, k, num_classes = fixed.uint(4), fixed.uint(4), fixed.uint(2) + 1
    fingerprint, digest = fixed.take(16), fixed.take(8)
    sections = read_section_table(Stream(data[table : h - 4], SECTION_ORDER))  # step 6
    kinds = [kind for kind, _ in sections]
    need(grouped == (kinds[0] == 0x09 or kinds[1] == 0x29), GROUPS_FLAG)
    newer = any(not (kind in READERS or 0xC0 <= kind < 0xE0 or kind == 0xFF) for kind in kinds[2:])
    lowest = int(kinds[0] in (0x08, 0x09) or kinds[1] in (0x28, 0x29))
    need(minor >= 2 if newer else minor == lowest, MINOR_VERSION)  # step 7, section 12 for a reader of 1.1
    need(k <= n, COUNT_EXCEEDS_POOL)  # step 8
    need(pool_size in (None, n), POOL_SIZE_MISMATCH)  # step 9
    need(pool_size is not None or (n <= max_pool and k <= max_kept), LIMIT)
    need(pool_fingerprint is None or fingerprint != bytes(16), POOL_UNIDENTIFIED)
    need(pool_fingerprint in (None, fingerprint), POOL_MISMATCH)
    if grouped:
        if groups is None:
            raise Reject(GROUPS_REQUIRED)
        need(group_digest(groups) == data[46:54] and groups[-1] < n, GROUPS_MISMATCH)
    file_size = h + sum(length + 4 for _, length in sections)  # step 10; 64 bits
    need(len(data) >= file_size, TRUNCATED)
    need(len(data) == file_size, TRAILING_DATA)
    bodies, rest = list[tuple[int, bytes]](), Stream(data[h:])
    for kind, length in sections:  # step 11
        body = rest.take(length)
        need(zlib.crc32(bytes([kind]) + body) == rest.uint(4), SECTION_CRC)
        bodies.append((kind, body))

    (index_codec, index_body), (label_codec, label_body) = bodies[:2]  # step 12, with the trivial streams of section 4
    need(0 < k < n or not index_body, STREAM_OVERLONG)
    if not 0 < k < n:
        indices = list(range(k))
    elif index_codec in INDEX_CODECS:
        indices = INDEX_CODECS[index_codec](Stream(index_body), n, k)
    else:
        indices = adaptive_indices(index_body, n, k, groups or [] if index_codec == 0x09 else None)
    coded = k > 0 and num_classes > 1
    need(coded or not label_body, STREAM_OVERLONG)
    if not coded:
        labels = [0] * k
    elif label_codec in LABEL_CODECS:
        labels = LABEL_CODECS[label_codec](Stream(label_body), k, num_classes)
    else:
        labels = adaptive_labels(label_body, num_classes, indices, groups if label_codec == 0x29 else None)
    need(content_digest(n, k, num_classes, indices, labels) == digest, CONTENT_DIGEST)  # step 13

    result: dict[str, Any] = {"pool_size": n, "count": k, "num_classes": num_classes}
    result |= {"indices": indices, "labels": labels, "class_names": None, "metadata": {}}
    result |= {"weights": None, "soft_labels": None, "extra": {}}
    for kind, body in bodies[2:]:  # step 14
        if kind in READERS:
            result[NAMES[kind]] = READERS[kind](body, k, num_classes)
        else:  # private, newer, or the signature
            result["extra"][kind] = body
    return result
