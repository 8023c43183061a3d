"""Invalid files: at least one for every check of SPEC.md. Each fails that check and none before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from build_files import assemble, bits, block
from invalid_adaptive import adaptive_vectors

import plada_format as pf
from plada_format.engines.stream import varint_bytes
from plada_format.errors import ErrorCode as E

Vector = tuple[str, bytes, E, str, dict[str, Any]]

#: What a reader of 1.0 reports where one of 1.1 reports something else; 0: it accepts the file.
IN_1_0: dict[str, int] = {
    "header_flag_0": E.UNSUPPORTED_FLAG,
    "header_minor_1_unknown": 0,
}

INDEX = (0x02, b"\x01\x00\x01")  # one run at 0
LABEL = (0x20, b"\x24")  # 0 1 2
CONTENT = ([0, 1, 2], [0, 1, 2])
GOOD = assemble([INDEX, LABEL], content=CONTENT)
FRAME = bytes.fromhex("28b52ffd2003190000030000")  # three bytes 03 00 00 in a raw block


def _header() -> Iterator[Vector]:
    def v(name: str, data: bytes, code: E, check: str, **caller: Any) -> Vector:
        return f"header_{name}", data, code, check, caller

    yield v("empty", b"", E.TRUNCATED, "no byte at all")
    yield v("cut_in_signature", GOOD[:5], E.TRUNCATED, "fewer than 8 bytes, all as in the signature")
    yield v("wrong_byte_cut", b"\x89PLB", E.NOT_PLADA, "short and different")
    yield v("not_plada", b"GIF89a" + GOOD[6:], E.NOT_PLADA, "another signature")
    yield v("text_mode", GOOD[:4] + b"\n" + GOOD[6:], E.NOT_PLADA, "CR LF became LF")
    yield v("manifest", b"\x89PLP" + GOOD[4:], E.NOT_PLADA, "a pool manifest's signature")
    yield v("no_version", GOOD[:8], E.TRUNCATED, "byte 8 missing")
    yield v("major_0", assemble([INDEX, LABEL], major=0), E.UNSUPPORTED_VERSION, "major version 0")
    yield v(
        "major_2_bad_crc", assemble([INDEX, LABEL], major=2, header_crc=0), E.UNSUPPORTED_VERSION, "version before CRC"
    )
    yield v("major_2_cut", GOOD[:8] + b"\x02", E.UNSUPPORTED_VERSION, "version before length")
    yield v("no_length", GOOD[:10], E.TRUNCATED, "byte 10 missing")
    yield v("length_53", assemble([INDEX, LABEL], length=53), E.HEADER_LENGTH, "H below 54")
    yield v("length_0", assemble([INDEX, LABEL], length=0), E.HEADER_LENGTH, "H is 0")
    yield v("cut", GOOD[: GOOD[10] - 1], E.TRUNCATED, "fewer than H bytes")
    yield v("length_beyond_file", assemble([INDEX, LABEL], length=255), E.TRUNCATED, "H beyond the file")
    yield v("crc", assemble([INDEX, LABEL], header_crc=1), E.HEADER_CRC, "wrong header CRC")
    yield v("flipped_bit", GOOD[:13] + bytes([GOOD[13] ^ 1]) + GOOD[14:], E.HEADER_CRC, "a bit of N flipped")
    yield v("crc_before_flags", assemble([INDEX, LABEL], flags=255, header_crc=1), E.HEADER_CRC, "CRC before flags")
    for bit in range(8):
        data = assemble([INDEX, LABEL], flags=1 << bit, content=CONTENT)
        code = E.HEADER_LENGTH if bit == 0 else E.UNSUPPORTED_FLAG
        yield v(f"flag_{bit}", data, code, f"flag bit {bit}" + (" without room for a digest" if bit == 0 else ""))

    def table(name: str, kinds: list[int], code: E, check: str, **more: Any) -> Vector:
        bodies = [INDEX[1] if kind < 0x20 else LABEL[1] if kind < 0x40 else b"" for kind in kinds]
        return v(f"table_{name}", assemble(zip(kinds, bodies, strict=True), content=CONTENT, **more), code, check)

    yield table("swapped", [0x20, 0x02], E.SECTION_ORDER, "label before index")
    yield table("two_index", [0x01, 0x02], E.SECTION_ORDER, "second entry is no label section")
    yield table("index_twice", [0x02, 0x02], E.SECTION_ORDER, "same type twice")
    yield table("two_label", [0x02, 0x20, 0x21], E.SECTION_ORDER, "two label sections")
    yield table("no_label", [0x02, 0xC0], E.SECTION_ORDER, "label section missing")
    yield table("only_ancillary", [0xC0, 0xC1], E.SECTION_ORDER, "no index section")
    yield table("descending", [0x02, 0x20, 0x81, 0x80], E.SECTION_ORDER, "types not increasing")
    yield table("critical_first", [0x40, 0x80], E.UNKNOWN_CRITICAL_SECTION, "unknown critical section first")
    yield table("critical_second", [0x02, 0x41], E.UNKNOWN_CRITICAL_SECTION, "unknown critical section second")
    yield table("critical_third", [0x02, 0x20, 0x7F], E.UNKNOWN_CRITICAL_SECTION, "unknown critical section third")
    yield table("index_codec", [0x1F, 0x20], E.UNSUPPORTED_CODEC, "unknown index codec")
    yield table("label_codec", [0x02, 0x3F], E.UNSUPPORTED_CODEC, "unknown label codec")
    yield table("order_before_codec", [0x1F, 0x1F], E.UNSUPPORTED_CODEC, "first entry's codec before the second's type")
    parts = [INDEX, LABEL]
    yield v(
        "table_varint_long",
        assemble(parts, table=b"\x02\x83\x00\x20\x01"),
        E.BAD_VARINT,
        "length is not in shortest form",
    )
    yield v(
        "table_varint_2^32",
        assemble(parts, table=b"\x02\x80\x80\x80\x80\x10\x20\x01"),
        E.BAD_VARINT,
        "length of 2^32",
    )
    yield v("table_varint_6", assemble(parts, table=b"\x02\x80\x80\x80\x80\x80\x01"), E.BAD_VARINT, "varint of 6 bytes")
    yield v("table_cut_varint", assemble(parts, table=b"\x02\x03\x20\x81"), E.SECTION_ORDER, "length runs into the CRC")
    yield v("table_cut_entry", assemble(parts, table=b"\x02\x03\x20\x01\x80"), E.SECTION_ORDER, "entry without length")
    yield v("table_one", assemble(parts, table=b"\x02\x83\x80\x01"), E.SECTION_ORDER, "one entry only")
    yield v(
        "minor_1", assemble(parts, content=CONTENT, minor=1), E.MINOR_VERSION, "1.1 without anything newer than 1.0"
    )
    newer = assemble([*parts, (0x90, b"new")], content=CONTENT, minor=1)
    yield v("minor_1_unknown", newer, E.MINOR_VERSION, "1.1 with a section type that 1.1 does not define")
    yield v(
        "minor_255_private",
        assemble([*parts, (0xC0, b"")], content=CONTENT, minor=255),
        E.MINOR_VERSION,
        "a private section does not justify a newer minor version",
    )
    yield v(
        "minor_0_unknown",
        assemble([*parts, (0x84, b"")], content=CONTENT),
        E.MINOR_VERSION,
        "1.0 with a section type that 1.0 does not define",
    )
    yield v("minor_0_unknown_e0", assemble([*parts, (0xE0, b"")], content=CONTENT), E.MINOR_VERSION, "type 0xE0 in 1.0")
    yield v("k_above_N", assemble(parts, pool_size=2), E.COUNT_EXCEEDS_POOL, "k > N")
    yield v("pool_size", GOOD, E.POOL_SIZE_MISMATCH, "N is not the caller's", pool_size=101)
    big = assemble(parts, pool_size=2**28 + 1, content=CONTENT)
    yield v("limit_N", big, E.LIMIT, "N above the default limit")
    yield v("limit_k", assemble(parts, pool_size=2**28, count=2**25 + 1), E.LIMIT, "k above the default limit")
    yield v("no_fingerprint", GOOD, E.POOL_UNIDENTIFIED, "fingerprint expected, none there", pool_fingerprint="01" * 16)
    other = assemble(parts, content=CONTENT, fingerprint=b"\x02" * 16)
    yield v("fingerprint", other, E.POOL_MISMATCH, "another pool", pool_fingerprint="01" * 16)
    yield v("size_before_fingerprint", other, E.POOL_SIZE_MISMATCH, "N first", pool_size=99, pool_fingerprint="01" * 16)
    yield v("cut_last_byte", GOOD[:-1], E.TRUNCATED, "last byte missing")
    yield v("cut_after_header", GOOD[: GOOD[10]], E.TRUNCATED, "sections missing")
    yield v("length_4_GiB", assemble(parts, table=b"\x02\xff\xff\xff\xff\x0f\x20\x01"), E.TRUNCATED, "length 2^32 - 1")
    yield v("trailing", GOOD + b"\0", E.TRAILING_DATA, "one byte too many")
    yield v("twice", GOOD + GOOD, E.TRAILING_DATA, "two files in one")
    yield v("crc_index", assemble(parts, content=CONTENT, break_section=2), E.SECTION_CRC, "index CRC")
    yield v("crc_label", assemble(parts, content=CONTENT, break_section=0x20), E.SECTION_CRC, "label CRC")
    last = [*parts, (0xC0, b"abc")]
    yield v(
        "crc_private", assemble(last, content=CONTENT, break_section=0xC0), E.SECTION_CRC, "CRC of a skipped section"
    )
    yield v(
        "crc_before_streams",
        assemble([(0x02, b""), LABEL], content=CONTENT, break_section=0x20),
        E.SECTION_CRC,
        "all CRCs before the first stream",
    )
    yield v("digest", assemble(parts, digest=b"\1" * 8), E.CONTENT_DIGEST, "content digest differs")


def _index(name: str, kind: int, body: bytes, code: E, check: str, *, pool_size: int = 100, count: int = 3) -> Vector:
    label = (0x20, bytes((2 * count + 7) // 8) if count > 0 else b"")
    data = assemble([(kind, body), label], pool_size=pool_size, count=count)
    return f"index-{name}", data, code, check, {}


def _blocks(prefix: str, make: Any) -> Iterator[Vector]:
    """Faults of an integer block of 3 values that begins the stream."""
    yield make(f"{prefix}_empty", b"", E.STREAM_TRUNCATED, "parameter missing")
    yield make(f"{prefix}_varint_cut", b"\x80", E.STREAM_TRUNCATED, "parameter cut off")
    yield make(f"{prefix}_varint_long", b"\x80\x00\x07", E.BAD_VARINT, "parameter not in shortest form")
    yield make(f"{prefix}_divisor", varint_bytes(2 * 2**30) + b"\xff" * 20, E.PARAMETER, "divisor 2^30 + 1")
    yield make(f"{prefix}_order", varint_bytes(63) + b"\xff" * 20, E.PARAMETER, "order 31")
    yield make(f"{prefix}_no_parts", b"\x00", E.STREAM_TRUNCATED, "part A missing")
    yield make(f"{prefix}_part_a", b"\x00\x03", E.STREAM_TRUNCATED, "part A with 2 of 3 one bits")
    yield make(f"{prefix}_part_b", b"\x06" + bits("111", "00 00 0"), E.STREAM_TRUNCATED, "part B cut off")
    yield make(f"{prefix}_part_c", b"\x04" + bits("111", "1 1 1", "00"), E.STREAM_TRUNCATED, "part C cut off, M = 3")
    yield make(f"{prefix}_part_c_exp", b"\x01" + bits("00001 1 1", "0"), E.STREAM_TRUNCATED, "part C cut off, order 0")
    yield make(f"{prefix}_padding", b"\x00" + bits("111", "00001"), E.PADDING, "padding bit set")
    yield make(
        f"{prefix}_q_33",
        b"\x01" + bits("0" * 33, "1", "11"),
        E.INDEX_RANGE,
        "q = 33 in order 0, found before part C is missed",
    )
    yield make(f"{prefix}_q_order_30", b"\x3d" + bits("0001", "11") + bytes(20), E.INDEX_RANGE, "q = 3 in order 30")
    yield make(
        f"{prefix}_value_2^32_exp",
        b"\x01" + bits("0" * 32, "1", "11", (1, 32)),
        E.INDEX_RANGE,
        "value 2^32 in order 0",
    )
    yield make(
        f"{prefix}_value_2^32_golomb",
        varint_bytes(2 * (2**30 - 1)) + bits("00001", "11", (0, 30), (0, 30), (0, 30)),
        E.INDEX_RANGE,
        "value 2^32 with M = 2^30",
    )


def _tables(prefix: str, alphabet: int, make: Any) -> Iterator[Vector]:
    """Faults of a symbol set that begins the stream."""
    yield make(f"{prefix}_set_missing", b"", E.STREAM_TRUNCATED, "U missing")
    yield make(f"{prefix}_set_0", b"\x00", E.TABLE, "U = 0")
    yield make(f"{prefix}_set_large", varint_bytes(alphabet + 1), E.TABLE, "U above the alphabet")
    yield make(f"{prefix}_set_cut", b"\x02\x00", E.STREAM_TRUNCATED, "gaps of the symbols missing")
    yield make(f"{prefix}_set_range", b"\x02" + block([0, alphabet - 1], 1), E.TABLE, "a symbol beyond the alphabet")
    yield make(f"{prefix}_set_padding", b"\x02\x00" + bits("11", "1"), E.PADDING, "padding of the symbol block")


def _frames(prefix: str, head: bytes, make: Any) -> Iterator[Vector]:
    """Faults of a Zstandard frame that should hold the three bytes 03 00 00."""

    def bad(name: str, frame: bytes, check: str) -> Vector:
        return make(f"{prefix}_frame_{name}", head + frame, E.ZSTD_FRAME, check)

    yield bad("missing", b"", "no frame")
    yield bad("magic", b"\x29" + FRAME[1:], "wrong magic number")
    yield bad("skippable", bytes.fromhex("502a4d1800000000") + FRAME, "skippable frame first")
    yield bad("skippable_after", FRAME + bytes.fromhex("502a4d1800000000"), "skippable frame behind")
    yield bad("twice", FRAME + FRAME, "two frames")
    yield bad("trailing", FRAME + b"\0", "a byte behind the frame")
    yield bad("cut", FRAME[:-1], "last byte missing")
    yield bad("cut_header", FRAME[:5], "frame header cut")
    yield bad("checksum", FRAME[:4] + b"\x24" + FRAME[5:] + bytes(4), "content checksum")
    yield bad("dictionary", FRAME[:4] + b"\x21\x00" + FRAME[5:], "dictionary id")
    yield bad("reserved", FRAME[:4] + b"\x28" + FRAME[5:], "reserved bit")
    yield bad("no_size", FRAME[:4] + b"\x00\x00" + FRAME[6:], "no content size")
    yield bad("other_size", FRAME[:5] + b"\x04" + FRAME[6:], "content size of 4")
    yield bad("size_8_bytes", FRAME[:4] + b"\xe0" + b"\xff" * 8 + FRAME[6:], "content size of 2^64 - 1")
    yield bad("window", FRAME[:4] + b"\x40\x90\x03\x00" + FRAME[6:], "window of 2^28, content size in two bytes")
    yield bad("block_type", FRAME[:6] + b"\x1f\x00\x00\x03\x00\x00", "reserved block type")
    yield bad("block_size", FRAME[:6] + b"\x23\x00\x00\x00", "a block larger than the window")
    yield bad("short", FRAME[:6] + b"\x11\x00\x00\x03\x00", "two bytes where three are declared")
    yield bad("long", FRAME[:6] + b"\x21\x00\x00\x03\x00\x00\x00", "four bytes where three are declared")
    yield bad("corrupt", FRAME[:6] + b"\x1d\x00\x00\x03\x00\x00", "a compressed block that is none")


def _rans_faults(prefix: str, head: bytes, make: Any) -> Iterator[Vector]:
    """Faults of rans(table, 3) after ``head``, which ends with a table of two symbols, s = 1."""
    state = 0x10000
    yield make(f"{prefix}_states", head + b"\0\0\1", E.STREAM_TRUNCATED, "state cut off")
    yield make(f"{prefix}_state_low", head + (0xFFFF).to_bytes(4, "little"), E.CODER_STATE, "initial state below 2^16")
    yield make(f"{prefix}_words", head + state.to_bytes(4, "little"), E.STREAM_TRUNCATED, "word missing")
    yield make(f"{prefix}_word_half", head + state.to_bytes(4, "little") + b"\0", E.STREAM_TRUNCATED, "half a word")
    wrong = (0x10001 * 8 + 5).to_bytes(4, "little")
    yield make(f"{prefix}_final", head + wrong + b"\1\0" * 3, E.CODER_STATE, "final state is not 2^16")


def _indices() -> Iterator[Vector]:
    def at(kind: int, **more: Any) -> Any:
        return lambda name, body, code, check: _index(name, kind, body, code, check, **more)

    yield _index("trivial_k0", 0x01, b"\0", E.STREAM_OVERLONG, "k = 0 with a byte", count=0)
    yield _index("trivial_kN", 0x00, b"\x07", E.STREAM_OVERLONG, "k = N with a byte", pool_size=3)
    bitmap = at(0x00, pool_size=12)
    yield bitmap("bitmap_short", b"\x07", E.STREAM_TRUNCATED, "a byte missing")
    yield bitmap("bitmap_long", b"\x07\x00\x00", E.STREAM_OVERLONG, "a byte too many")
    yield bitmap("bitmap_padding", b"\x03\x10", E.PADDING, "bit 12 of 12 set")
    yield bitmap("bitmap_fewer", b"\x03\x00", E.INDEX_RANGE, "2 one bits, k = 3")
    yield bitmap("bitmap_more", b"\x0f\x00", E.INDEX_RANGE, "4 one bits, k = 3")
    golomb = at(0x01)
    yield from _blocks("golomb", golomb)
    yield golomb("golomb_overlong", block([1, 2, 3], 0) + b"\0", E.STREAM_OVERLONG, "a byte left over")
    yield golomb("golomb_beyond", block([1, 2, 95], 0), E.INDEX_RANGE, "last index is N + 1")
    yield golomb("golomb_beyond_order_0", block([1, 2, 95], 1), E.INDEX_RANGE, "the same with order 0")
    yield golomb("golomb_sum_2^32", block([2**32 - 1, 2**32 - 1, 2], 61), E.INDEX_RANGE, "sum wraps around in 32 bits")
    runs = at(0x02, count=9)
    yield runs("runs_empty", b"", E.STREAM_TRUNCATED, "R missing")
    yield runs("runs_0", b"\x00\x00\x01", E.PARAMETER, "R = 0")
    yield runs("runs_10", b"\x0a\x00\xff\x03\x00\xff\x01", E.PARAMETER, "R > k")
    two = varint_bytes(2) + block([0, 4], 0)
    yield runs("runs_first_block", b"\x02\x00", E.STREAM_TRUNCATED, "unkept lengths missing")
    yield runs("runs_second_block", two, E.STREAM_TRUNCATED, "run lengths missing")
    yield runs("runs_overlong", two + block([3], 0) + b"\0", E.STREAM_OVERLONG, "a byte left over")
    yield runs("runs_sum", two + block([8], 0), E.INDEX_RANGE, "first run has all k images")
    yield runs("runs_sum_large", two + block([2**32 - 1], 61), E.INDEX_RANGE, "first run has 2^32 images")
    yield runs("runs_beyond", b"\x01" + block([92], 1), E.INDEX_RANGE, "last index is N")
    yield runs(
        "runs_beyond_2^32", two[:1] + block([2**32 - 1, 2], 61) + block([1], 0), E.INDEX_RANGE, "sum wraps around"
    )
    yield runs("runs_bomb", b"\x01" + block([2**31], 61), E.INDEX_RANGE, "a run beyond the pool")
    rans = at(0x03)
    yield rans("rans_empty", b"", E.STREAM_TRUNCATED, "P missing")
    yield rans("rans_varint", b"\x80\x00", E.BAD_VARINT, "P not in shortest form")
    yield from _tables("rans", 124, lambda n, b, c, t: rans(n, b"\0" + b, c, t))
    two_members = b"\0\x02" + block([0, 0], 0)
    yield rans("rans_precision_missing", two_members, E.STREAM_TRUNCATED, "s missing")
    yield rans("rans_precision_0", two_members + b"\0", E.PARAMETER, "s = 0")
    yield rans("rans_precision_17", two_members + b"\x11" + block([1], 0), E.PARAMETER, "s = 17")
    yield rans("rans_precision_small", b"\0\x03" + block([0] * 3, 0) + b"\1" + block([0, 0], 0), E.PARAMETER, "2^s < U")
    yield rans(
        "rans_frequencies", two_members + b"\1" + block([1], 0), E.TABLE, "frequencies sum to 2^s without the last"
    )
    yield rans("rans_frequencies_large", two_members + b"\1" + block([2**32 - 1], 61), E.TABLE, "a frequency of 2^32")
    ready = two_members + b"\1" + block([0], 0)
    yield from _rans_faults("rans", ready, rans)
    single = b"\0\x01" + block([8], 0)
    yield rans("rans_raw", single, E.STREAM_TRUNCATED, "raw bits missing")
    yield rans("rans_raw_padding", single + bits("111", "1"), E.PADDING, "padding after the raw bits")
    yield rans("rans_overlong", single + bits("111") + b"\0", E.STREAM_OVERLONG, "a byte left over")
    yield rans("rans_beyond", b"\0\x01" + block([24], 1) + bits(*["11111"] * 3), E.INDEX_RANGE, "gaps beyond the pool")
    yield from _rans_faults("rans_geometric", varint_bytes(300), rans)
    delta = at(0x10)
    yield delta("delta-zstd_empty", b"", E.STREAM_TRUNCATED, "layout byte missing")
    for q in (0x00, 0x05, 0x11, 0x22, 0x31):
        yield delta(f"delta-zstd_layout_{q:02x}", bytes([q]) + FRAME, E.PARAMETER, f"layout byte {q:#04x}")
    yield from _frames("delta-zstd", b"\1", delta)
    wide = bytes.fromhex("28b52ffd2006310000") + bytes([3, 0, 0, 0, 0, 0])
    yield delta("delta-zstd_wide", b"\2" + wide, E.NON_CANONICAL, "two bytes per gap where one would do")
    yield delta("delta-zstd_beyond", b"\1" + FRAME[:9] + b"\x62\0\0", E.INDEX_RANGE, "last index is N")
    zbitmap = at(0x11, pool_size=20)
    yield from _frames("bitmap-zstd", b"", zbitmap)
    yield zbitmap("bitmap-zstd_padding", FRAME[:9] + b"\3\0\x10", E.PADDING, "bit 20 of 20 set")
    yield zbitmap("bitmap-zstd_fewer", FRAME, E.INDEX_RANGE, "2 one bits, k = 3")
    yield zbitmap("bitmap-zstd_more", FRAME[:9] + b"\x0f\0\0", E.INDEX_RANGE, "4 one bits, k = 3")


def _label(name: str, kind: int, body: bytes, code: E, check: str, *, count: int = 3, classes: int = 6) -> Vector:
    index = (0x02, b"\x01\x00\x01" if 0 < count < 100 else b"")
    return f"label-{name}", assemble([index, (kind, body)], count=count, classes=classes), code, check, {}


def _labels() -> Iterator[Vector]:
    def at(kind: int, **more: Any) -> Any:
        return lambda name, body, code, check: _label(name, kind, body, code, check, **more)

    yield _label("trivial_k0", 0x20, b"\0", E.STREAM_OVERLONG, "k = 0 with a byte", count=0)
    yield _label("trivial_K1", 0x21, b"\1\0", E.STREAM_OVERLONG, "K = 1 with bytes", classes=1)
    fixed = at(0x20)
    yield fixed("fixed_short", b"\0", E.STREAM_TRUNCATED, "a byte missing")
    yield fixed("fixed_long", b"\0\0\0", E.STREAM_OVERLONG, "a byte too many")
    yield fixed("fixed_padding", b"\0\2", E.PADDING, "padding bit set")
    yield fixed("fixed_range", bits("101", "011", "100"), E.LABEL_RANGE, "label 6 of 6 classes")
    huffman = at(0x21)
    yield from _tables("huffman", 6, huffman)
    three = b"\x03" + block([0, 0, 0], 0)
    lengths = three + block([0, 0, 1], 0)  # 2 2 1
    yield huffman("huffman_lengths_missing", three, E.STREAM_TRUNCATED, "lengths missing")
    yield huffman("huffman_length_0", three + block([3, 0, 0], 0), E.TABLE, "length 0")
    yield huffman("huffman_length_17", three + block([30, 0, 0], 0), E.TABLE, "length 17")
    yield huffman("huffman_length_huge", three + block([2**32 - 2, 0, 0], 61), E.TABLE, "length 2^31 + 1")
    yield huffman("huffman_incomplete", three + block([0, 0, 0], 0), E.TABLE, "three words of two bits")
    yield huffman("huffman_oversubscribed", three + block([1, 0, 0], 0), E.TABLE, "three words of one bit")
    yield huffman("huffman_codes_missing", lengths, E.STREAM_TRUNCATED, "code words missing")
    yield _label(
        "huffman_codes_cut",
        0x21,
        lengths + bits("10 10 10 10", ""),
        E.STREAM_TRUNCATED,
        "the fifth word is missing",
        count=5,
    )
    yield _label(
        "huffman_word_cut",
        0x21,
        lengths + bits("0 0 0 0 0 0 0 1"),
        E.STREAM_TRUNCATED,
        "the eighth word is cut",
        count=8,
    )
    yield huffman("huffman_padding", lengths + bits("10 10 10", "1"), E.PADDING, "padding bit set")
    yield huffman("huffman_overlong", lengths + bits("10 10 10") + b"\0", E.STREAM_OVERLONG, "a byte left over")
    yield huffman("huffman_one_symbol_overlong", b"\1" + block([2], 0) + b"\0", E.STREAM_OVERLONG, "one symbol, a byte")
    runs = at(0x22, count=9)
    table = b"\x02" + block([0, 0], 0) + block([0, 0], 0)  # symbols 0 and 1, one bit each
    yield runs("runs_empty", b"", E.STREAM_TRUNCATED, "R missing")
    yield runs("runs_0", b"\0" + table, E.PARAMETER, "R = 0")
    yield runs("runs_10", b"\x0a" + table + b"\xff" * 9, E.PARAMETER, "R > n")
    yield runs("runs_table", b"\2\0", E.TABLE, "table of no symbols")
    yield runs("runs_lengths", b"\2" + table + bits("01"), E.STREAM_TRUNCATED, "lengths missing")
    yield runs(
        "runs_overlong", b"\2" + table + bits("01") + block([2], 0) + b"\0", E.STREAM_OVERLONG, "a byte left over"
    )
    yield runs("runs_equal", b"\2" + table + bits("11") + block([2], 0), E.NON_CANONICAL, "neighbouring runs alike")
    yield runs(
        "runs_equal_first", b"\2" + table + bits("11") + block([20], 0), E.NON_CANONICAL, "alike before too long"
    )
    yield runs("runs_sum", b"\2" + table + bits("01") + block([8], 0), E.LABEL_RANGE, "first run has all n labels")
    yield runs("runs_sum_large", b"\2" + table + bits("01") + block([2**32 - 1], 61), E.LABEL_RANGE, "a run of 2^32")
    rans = at(0x23)
    yield from _tables("rans", 6, rans)
    members = b"\x02" + block([0, 0], 0)
    yield rans("rans_precision_missing", members, E.STREAM_TRUNCATED, "s missing")
    yield rans("rans_precision_0", members + b"\0", E.PARAMETER, "s = 0")
    yield rans("rans_precision_17", members + b"\x11" + block([1], 0), E.PARAMETER, "s = 17")
    yield rans("rans_precision_small", b"\3" + block([0] * 3, 0) + b"\1" + block([0, 0], 0), E.PARAMETER, "2^s < U")
    yield rans("rans_frequencies", members + b"\1" + block([1], 0), E.TABLE, "frequencies sum to 2^s without the last")
    yield from _rans_faults("rans", members + b"\1" + block([0], 0), rans)
    good = pf.encode([0, 1, 2], [0, 1, 1], pool_size=9, num_classes=2, index_codec="runs", label_codec="rans")
    s = pf.inspect(good).sections[1]
    stream = good[s.offset : s.offset + s.length]
    yield _label("rans_overlong", 0x23, stream + b"\0\0", E.STREAM_OVERLONG, "a word left over", classes=2)
    yield _label("rans_one_symbol_overlong", 0x23, b"\1\0\1\0", E.STREAM_OVERLONG, "one symbol, a byte")
    zstd = at(0x30)
    yield zstd("zstd_empty", b"", E.STREAM_TRUNCATED, "layout byte missing")
    yield zstd("zstd_layout_1", b"\1" + FRAME, E.PARAMETER, "byte planes of one byte")
    yield _label("zstd_layout_2", 0x30, b"\2" + FRAME, E.PARAMETER, "layout byte 2", classes=300)
    yield from _frames("zstd", b"\0", zstd)
    yield zstd("zstd_range", b"\0" + FRAME[:9] + b"\6\0\0", E.LABEL_RANGE, "label 6 of 6 classes")


def _ancillary() -> Iterator[Vector]:
    def v(name: str, kind: int, body: bytes, code: E, check: str, **more: Any) -> Vector:
        arguments: dict[str, Any] = {"content": CONTENT} | more
        return f"section_{name}", assemble([INDEX, LABEL, (kind, body)], **arguments), code, check, {}

    names = b"\1a\1b\1c\1d"
    yield v("names_cut", 0x80, names[:-2], E.SECTION_CONTENT, "a name missing")
    yield v("names_text_cut", 0x80, names[:-1], E.SECTION_CONTENT, "a name cut off")
    yield v("names_overlong", 0x80, names + b"\0", E.SECTION_CONTENT, "bytes left over")
    yield v("names_long", 0x80, b"\x81\x08" + b"x" * 1025 + b"\0\0\0", E.SECTION_CONTENT, "a name of 1,025 bytes")
    yield v("names_varint", 0x80, b"\x81\x00a\0\0\0", E.BAD_VARINT, "length not in shortest form")
    for name, text in (
        ("continuation", b"\x80"),
        ("overlong", b"\xc0\x80"),
        ("surrogate", b"\xed\xa0\x80"),
        ("above", b"\xf4\x90\x80\x80"),
        ("cut", b"\xe7\x8c"),
        ("control", b"\x1f"),
        ("delete", b"\x7f"),
        ("nul", b"\x00"),
    ):
        body = bytes([len(text)]) + text + b"\0\0\0"
        yield v(f"names_utf8_{name}", 0x80, body, E.TEXT, f"class name with {text!r}")
    yield v("metadata_empty", 0x81, b"", E.SECTION_CONTENT, "count missing")
    yield v("metadata_0", 0x81, b"\0", E.SECTION_CONTENT, "no pairs")
    yield v("metadata_257", 0x81, b"\x81\x02" + b"\1a\0" * 257, E.SECTION_CONTENT, "257 pairs")
    yield v("metadata_no_key", 0x81, b"\1\0\0", E.SECTION_CONTENT, "empty key")
    yield v("metadata_long_key", 0x81, b"\1\x80\x02" + b"k" * 256 + b"\0", E.SECTION_CONTENT, "key of 256 bytes")
    yield v("metadata_order", 0x81, b"\2\1b\0\1a\0", E.SECTION_CONTENT, "keys descend")
    yield v("metadata_equal", 0x81, b"\2\1a\0\1a\0", E.SECTION_CONTENT, "keys repeat")
    yield v("metadata_value_cut", 0x81, b"\1\1a\2x", E.SECTION_CONTENT, "value cut off")
    yield v("metadata_overlong", 0x81, b"\1\1a\1x\0", E.SECTION_CONTENT, "bytes left over")
    yield v("metadata_key_text", 0x81, b"\1\1\xff\0", E.TEXT, "key is not UTF-8")
    yield v("metadata_value_text", 0x81, b"\1\1a\1\n", E.TEXT, "value holds a line feed")
    yield v(
        "metadata_large",
        0x81,
        b"\1\1a" + varint_bytes(65535) + b"x" * 65535,
        E.SECTION_CONTENT,
        "more than 65,536 bytes",
    )
    yield v("metadata_varint", 0x81, b"\x81\x00", E.BAD_VARINT, "count not in shortest form")
    yield v("weights_empty", 0x82, b"", E.SECTION_CONTENT, "codec id missing")
    yield v("weights_codec", 0x82, b"\x2f", E.UNSUPPORTED_CODEC, "unknown codec")
    yield v("weights_index_codec", 0x82, b"\x01", E.UNSUPPORTED_CODEC, "an index codec's id")
    yield v("weights_short", 0x82, b"\x20\x80\x80", E.STREAM_TRUNCATED, "two weights of three")
    yield v("weights_long", 0x82, b"\x20\x80\x80\x80\x80", E.STREAM_OVERLONG, "four weights for three images")
    yield v("weights_table", 0x82, b"\x21\x00", E.TABLE, "the embedded codec's own code")
    empty = assemble([(0, b""), (0x20, b""), (0x82, b"\x20")], count=0, content=([], []))
    yield "section_weights_k0", empty, E.SECTION_CONTENT, "weights without images", {}
    rows = bytes([255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255])
    yield v("soft_empty", 0x83, b"", E.SECTION_CONTENT, "codec id missing")
    yield v("soft_codec", 0x83, b"\x40", E.UNSUPPORTED_CODEC, "unknown codec")
    yield v("soft_short", 0x83, b"\x20" + rows[:-1], E.STREAM_TRUNCATED, "a probability missing")
    yield v("soft_sum", 0x83, b"\x20" + rows[:-1] + b"\xfe", E.SECTION_CONTENT, "a row sums to 254")
    one = assemble([INDEX, (0x20, b""), (0x83, b"\x20\xff")], classes=1, content=([0, 1, 2], [0, 0, 0]))
    yield "section_soft_K1", one, E.SECTION_CONTENT, "one class", {}
    content = ([0, 1, 2], [0, 0, 0])
    many = assemble([INDEX, (0x20, bytes(5)), (0x83, b"\x20")], classes=1025, content=content)
    yield "section_soft_K1025", many, E.SECTION_CONTENT, "1,025 classes", {}
    wrong = assemble([INDEX, LABEL, (0x80, b"")], digest=b"\1" * 8)
    yield "section_after_digest", wrong, E.CONTENT_DIGEST, "the digest before ancillary sections", {}


def invalid_vectors() -> Iterator[Vector]:
    """Name, bytes, error code, what is wrong and what the caller expects, of every invalid file."""
    yield from _header()
    yield from _indices()
    yield from _labels()
    yield from _ancillary()
    yield from adaptive_vectors()
