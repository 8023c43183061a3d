# ruff: noqa: E501  (one vector, one line)
"""Conformance vectors for pool manifests, made from SPEC.md's words alone: nothing of plada_format is imported here.

    python tests/manifest/make_vectors.py [vectors/manifest]

Writes ``valid/``, ``invalid/`` and ``manifest.json``. All bytes are the same on every machine: zlib streams come from the
small encoder below, because those of zlib libraries differ. One vector with a stream of a real zlib library is a frozen
file (``valid/frozen_zlib.pladapool``), which this generator lists and never rebuilds.
"""

from __future__ import annotations

import hashlib
import json
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIGNATURE = bytes.fromhex("89504c500d0a1a0a")
NAME, KEY_TABLE, BLOCK_HASHES, GROUP_STARTS, GROUP_NAMES, KEYS, DIGESTS = 1, 2, 3, 8, 9, 32, 33
NOT_MANIFEST, TRUNCATED, VERSION, CORRUPT, BLOCK = 40, 41, 42, 43, 44
HEAD = 48  # bytes before the column table
FROZEN = "valid/frozen_zlib.pladapool"


def sha(*pieces: bytes) -> bytes:
    return hashlib.sha256(b"".join(pieces)).digest()


def leb128(value: int) -> bytes:
    out = []
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def hash_block(keys: Sequence[bytes], digests: Sequence[bytes]) -> bytes:
    entries = (leb128(len(key)) + key + digest for key, digest in zip(keys, digests, strict=True))
    return sha(b"PLADA-pool-block-v1\0", *entries)


def hash_root(size: int, hashes: Sequence[bytes]) -> bytes:
    return sha(b"PLADA-pool-root-v1\0", struct.pack("<I", size), *hashes)


def hash_groups(starts: Sequence[int]) -> bytes:
    return sha(b"PLADA-pool-groups-v1\0", struct.pack(f"<{len(starts) + 1}I", len(starts), *starts))[:8]


class Bits:
    """Deflate's bit order: fields low bit first, Huffman codes high bit first."""

    def __init__(self) -> None:
        self.value, self.count = 0, 0

    def put(self, value: int, width: int) -> None:
        self.value |= value << self.count
        self.count += width

    def code(self, value: int, width: int) -> None:
        self.put(int(f"{value:0{width}b}"[::-1], 2), width)

    def symbol(self, symbol: int) -> None:
        """A literal/length symbol in the fixed Huffman code of RFC 1951, 3.2.6."""
        if symbol < 144:
            self.code(0x30 + symbol, 8)
        elif symbol < 256:
            self.code(0x190 + symbol - 144, 9)
        elif symbol < 280:
            self.code(symbol - 256, 7)
        else:
            self.code(0xC0 + symbol - 280, 8)

    def bytes(self) -> bytes:
        return self.value.to_bytes(-(-self.count // 8), "little")


def deflate(text: bytes) -> bytes:
    """A zlib stream: one fixed-Huffman block; repeats of the last 16 bytes become matches of 3 to 10 bytes."""
    bits = Bits()
    bits.put(1, 1)
    bits.put(1, 2)
    place = 0
    while place < len(text):
        best, distance = 0, 0
        for back in range(1, min(16, place) + 1):
            length = 0
            while length < 10 and place + length < len(text) and text[place + length] == text[place + length - back]:
                length += 1
            if length > best:
                best, distance = length, back
        if best < 3:
            bits.symbol(text[place])
            place += 1
            continue
        bits.symbol(257 + best - 3)
        base, code, extra = next(row for row in reversed(DISTANCES) if distance >= row[0])
        bits.code(code, 5)
        bits.put(distance - base, extra)
        place += best
    bits.symbol(256)
    return b"\x78\x01" + bits.bytes() + struct.pack(">I", zlib.adler32(text))


DISTANCES = [
    (1, 0, 0),
    (2, 1, 0),
    (3, 2, 0),
    (4, 3, 0),
    (5, 4, 1),
    (7, 5, 1),
    (9, 6, 2),
    (13, 7, 2),
]  # base, code, extra


@dataclass
class Pool:
    """The parts of a manifest of one block, each of which a vector may spoil before the checksums are made."""

    keys: list[bytes]
    digests: list[bytes] = field(default_factory=list)
    name: bytes = b"vectors"
    groups: list[tuple[int, bytes]] = field(default_factory=list)
    zlib: bool = False
    size: int | None = None
    text: bytes | None = None
    text_bytes: int | None = None
    packed: bytes | None = None
    packed_bytes: int | None = None
    packed_crc: int | None = None
    block_hashes: list[bytes] | None = None
    root: bytes | None = None
    minor: int = 0
    extra: list[tuple[int, int, bytes]] = field(default_factory=list)  # id, flags, content
    columns: Callable[[list[list[int]]], None] = lambda rows: None  # edits rows [id, flags, crc, length]
    contents: Callable[[dict[int, bytes]], None] = lambda contents: None  # edits column contents, before CRCs

    def __post_init__(self) -> None:
        self.digests = self.digests or [sha(key) for key in self.keys]

    def bytes(self) -> bytes:
        size = len(self.keys) if self.size is None else self.size
        text = b"".join(key + b"\n" for key in self.keys) if self.text is None else self.text
        packed = (deflate(text) if self.zlib else text) if self.packed is None else self.packed
        hashes = [hash_block(self.keys, self.digests)] if self.keys else []
        hashes = hashes if self.block_hashes is None else self.block_hashes
        root = hash_root(size, hashes) if self.root is None else self.root
        row = struct.pack(
            "<III",
            len(packed) if self.packed_bytes is None else self.packed_bytes,
            len(text) if self.text_bytes is None else self.text_bytes,
            zlib.crc32(packed) if self.packed_crc is None else self.packed_crc,
        )
        contents = {NAME: self.name, KEY_TABLE: row if self.keys else b"", BLOCK_HASHES: b"".join(hashes)}
        if self.groups:
            contents[GROUP_STARTS] = b"".join(struct.pack("<I", start) for start, _ in self.groups)
            contents[GROUP_NAMES] = b"".join(name + b"\n" for _, name in self.groups)
        contents[KEYS] = packed
        contents[DIGESTS] = b"".join(self.digests)
        self.contents(contents)
        flags = {number: int(number not in (GROUP_STARTS, GROUP_NAMES)) for number in contents}
        for number, flag, content in self.extra:
            contents[number], flags[number] = content, flag
        rows = [
            [
                number,
                flags[number],
                0 if number in (KEYS, DIGESTS) else zlib.crc32(contents[number]),
                len(contents[number]),
            ]
            for number in sorted(contents)
        ]
        self.columns(rows)
        head = struct.pack("<8sBBBBI32s", SIGNATURE, 1, self.minor, len(rows), 0, size, root)
        head += b"".join(struct.pack("<HHIQ", *each) for each in rows)
        return head + struct.pack("<I", zlib.crc32(head)) + b"".join(contents[number] for number in sorted(contents))


def refresh(data: bytes) -> bytes:
    """``data`` with its header CRC-32 made right again."""
    end = HEAD + 16 * data[10]
    return data[:end] + struct.pack("<I", zlib.crc32(data[:end])) + data[end + 4 :]


def patched(data: bytes, place: int, new: bytes, *, repair: bool = False) -> bytes:
    data = data[:place] + new + data[place + len(new) :]
    return refresh(data) if repair else data


def places(data: bytes) -> dict[int, int]:
    """Offset of each column."""
    found, place = {}, HEAD + 16 * data[10] + 4
    for row in range(data[10]):
        number, _, _, length = struct.unpack_from("<HHIQ", data, HEAD + 16 * row)
        found[number] = place
        place += length
    return found


ANIMALS = [b"cat/1.jpg", b"cat/2.jpg", b"dog/1.jpg"]
BIRDS = ["oiseaux/m\u00e9sange.png".encode(), "\u9ce5/\U0001f426.jpg".encode()]


def worked_example() -> Pool:
    return Pool([b"cat/1", b"cat/2", b"dog/1"], name=b"pets", groups=[(0, b"cat"), (2, b"dog")])


def numbered(count: int) -> list[bytes]:
    return [b"images/%04d.jpg" % number for number in range(count)]


def valid() -> dict[str, tuple[str, Pool]]:
    many = numbered(40)
    future = Pool(list(ANIMALS), minor=7, extra=[(10, 0, b"later"), (50, 0, b"")])
    return {
        "worked_example": ("the worked example of SPEC.md: three images, two groups", worked_example()),
        "empty": ("N = 0: no blocks, all columns but the name empty", Pool([], name=b"")),
        "one": ("N = 1, key of one byte, stored", Pool([b"x"])),
        "zlib": ("keys as a zlib stream", Pool(list(many), zlib=True)),
        "unicode": ("keys, name and group names beyond ASCII", Pool(BIRDS, name="\u9ce5".encode(), groups=[(0, BIRDS[0])])),
        "long_key": ("key of 4096 bytes (two-byte length in the block hash) and of 127 and 128", Pool([b"k" * n for n in (127, 128, 4096)])),
        "long_name": ("name of 255 bytes", Pool([b"x"], name=b"n" * 255)),
        "groups_each": ("every image its own group", Pool(list(ANIMALS), groups=[(0, b"a"), (1, b"b"), (2, b"c")])),
        "groups_again": ("a group name that returns, and the empty one", Pool(list(ANIMALS), groups=[(0, b"a"), (1, b""), (2, b"a")])),
        "group_long": ("group name of 4096 bytes", Pool([b"x"], groups=[(0, b"g" * 4096)])),
        "minor_later": ("minor version 7 with two unknown ancillary columns, to be skipped", future),
        "same_digest": ("two images with the same bytes: allowed, keys differ", Pool([b"a", b"b"], [sha(b"z")] * 2)),
    }  # fmt: skip


def invalid() -> dict[str, tuple[int, str, str, bytes]]:
    """name -> (error code, stage at which it appears, what is wrong, bytes)."""
    good, pool = worked_example().bytes(), worked_example
    at = places(good)
    out: dict[str, tuple[int, str, str, bytes]] = {}

    def add(name: str, code: int, stage: str, what: str, data: bytes) -> None:
        out[name] = (code, stage, what, data)

    def rows(edit: Callable[[list[list[int]]], None]) -> bytes:
        spoiled = pool()
        spoiled.columns = edit
        return spoiled.bytes()

    def keys(name: str, what: str, text: bytes, **more: Any) -> None:
        add(f"keys_{name}", CORRUPT, "block", what, Pool(list(ANIMALS), text=text, **more).bytes())

    def groups(name: str, what: str, pairs: list[tuple[int, bytes]]) -> None:
        add(f"groups_{name}", CORRUPT, "groups", what, Pool(list(ANIMALS), groups=pairs).bytes())

    add("signature", NOT_MANIFEST, "open", "first byte wrong", patched(good, 0, b"\x88"))
    add("signature_text_mode", NOT_MANIFEST, "open", "line ends converted", good.replace(b"\r\n", b"\n", 1))
    add("payload_signature", NOT_MANIFEST, "open", "another format of the same family", patched(good, 1, b"PLD"))
    add("empty_file", TRUNCATED, "open", "no bytes", b"")
    add("cut_signature", TRUNCATED, "open", "ends inside the signature", good[:5])
    add("cut_version", TRUNCATED, "open", "ends before the version", good[:8])
    add("cut_header", TRUNCATED, "open", "ends inside the fixed header", good[:20])
    add("cut_table", TRUNCATED, "open", "ends inside the column table", good[:100])
    add("cut_last_byte", TRUNCATED, "open", "last byte missing", good[:-1])
    add("major_2", VERSION, "open", "major version 2, header CRC-32 right", patched(good, 8, b"\2", repair=True))
    add(
        "major_2_bad_crc",
        VERSION,
        "open",
        "major version 2, header CRC-32 wrong: the version comes first",
        patched(good, 8, b"\2"),
    )
    add("major_0", VERSION, "open", "major version 0", patched(good, 8, b"\0", repair=True))
    add("major_2_cut", VERSION, "open", "major version 2, ends right after it", patched(good, 8, b"\2")[:9])
    add("columns_4", CORRUPT, "open", "4 columns", patched(good, 10, b"\4", repair=True))
    add("columns_17", CORRUPT, "open", "17 columns", patched(good, 10, b"\x11"))
    add("header_crc", CORRUPT, "open", "header CRC-32 wrong", patched(good, 20, b"\xff\xff"))
    add("reserved", CORRUPT, "open", "reserved byte not zero", patched(good, 11, b"\1", repair=True))
    add("column_order", CORRUPT, "open", "column table not in rising order", rows(lambda r: r.reverse()))
    add("column_twice", CORRUPT, "open", "a column twice", rows(lambda r: r.insert(1, [NAME, 1, 0, 0])))
    add("column_flags", CORRUPT, "open", "reserved column flag", rows(lambda r: r[0].__setitem__(1, 3)))
    add("column_not_critical", CORRUPT, "open", "name without critical flag", rows(lambda r: r[0].__setitem__(1, 0)))
    add("groups_critical", CORRUPT, "open", "group starts with critical flag", rows(lambda r: r[3].__setitem__(1, 1)))
    add("digests_crc", CORRUPT, "open", "CRC-32 given for digests", rows(lambda r: r[6].__setitem__(2, 5)))
    add("keys_crc_given", CORRUPT, "open", "CRC-32 given for keys", rows(lambda r: r[5].__setitem__(2, 5)))
    add(
        "unknown_minor_0",
        CORRUPT,
        "open",
        "unknown ancillary column in version 1.0",
        Pool([b"x"], extra=[(10, 0, b"?")]).bytes(),
    )
    add("minor_without_news", CORRUPT, "open", "minor version 1, no unknown column", Pool([b"x"], minor=1).bytes())
    add(
        "unknown_critical",
        VERSION,
        "open",
        "unknown critical column in version 1.1",
        Pool([b"x"], minor=1, extra=[(10, 1, b"?")]).bytes(),
    )
    for number, label in [
        (NAME, "name"),
        (KEY_TABLE, "key_table"),
        (BLOCK_HASHES, "hashes"),
        (KEYS, "keys"),
        (DIGESTS, "digests"),
    ]:
        lost = Pool(
            list(ANIMALS),
            contents=lambda contents, number=number: contents.pop(number) and None,
            minor=1,
            extra=[(40, 0, b"")],
        )
        add(f"missing_{label}", CORRUPT, "open", f"column {number} missing", lost.bytes())
    for number, label in [(GROUP_STARTS, "starts"), (GROUP_NAMES, "names")]:
        lost = pool()
        lost.contents = lambda contents, number=number: contents.pop(number) and None
        add(f"missing_group_{label}", CORRUPT, "open", f"column {number} missing, its partner there", lost.bytes())
    add("long_name", CORRUPT, "open", "name of 256 bytes", Pool([b"x"], name=b"n" * 256).bytes())
    for number, label in [(KEY_TABLE, "key_table"), (BLOCK_HASHES, "hashes"), (DIGESTS, "digests")]:
        longer = pool()
        longer.contents = lambda contents, number=number: contents.__setitem__(number, contents[number] + b"\0")
        add(f"length_{label}", CORRUPT, "open", f"column {number} one byte too long", longer.bytes())
    add("length_group_starts", CORRUPT, "open", "group starts of 5 bytes", rows(lambda r: r[3].__setitem__(3, 5)))
    add(
        "length_groups_many",
        CORRUPT,
        "open",
        "more groups than images",
        Pool([b"x"], groups=[(0, b"a"), (1, b"b")]).bytes(),
    )
    add(
        "length_group_names",
        CORRUPT,
        "open",
        "group names of 2^26 + 1 bytes",
        rows(lambda r: r[4].__setitem__(3, 2**26 + 1)),
    )
    add(
        "length_keys",
        CORRUPT,
        "open",
        "keys of 2^25 + 1 bytes in one block",
        rows(lambda r: r[5].__setitem__(3, 2**25 + 1)),
    )
    add("length_huge", CORRUPT, "open", "digests of 2^64 - 1 bytes", rows(lambda r: r[6].__setitem__(3, 2**64 - 1)))
    add(
        "size_huge",
        CORRUPT,
        "open",
        "N = 2^32 - 1 and columns of three images",
        patched(good, 12, b"\xff" * 4, repair=True),
    )
    add("size_zero", CORRUPT, "open", "N = 0 and columns of three images", patched(good, 12, b"\0" * 4, repair=True))
    add("trailing", CORRUPT, "open", "one byte after the last column", good + b"\0")
    add("crc_name", CORRUPT, "open", "CRC-32 of the name wrong", patched(good, at[NAME], b"P"))
    add("crc_key_table", CORRUPT, "open", "CRC-32 of the key table wrong", patched(good, at[KEY_TABLE], b"\x1f"))
    add("crc_hashes", CORRUPT, "open", "CRC-32 of the block hashes wrong", patched(good, at[BLOCK_HASHES], b"\0\0\0"))
    add("name_utf8", CORRUPT, "open", "name is not UTF-8", Pool([b"x"], name=b"\xff").bytes())
    add("name_control", CORRUPT, "open", "name with a line feed", Pool([b"x"], name=b"a\nb").bytes())
    add("table_packed_zero", CORRUPT, "open", "key block of no bytes", Pool([b"x"], packed_bytes=0).bytes())
    add(
        "table_packed_larger",
        CORRUPT,
        "open",
        "key block larger stored than as text",
        Pool([b"xy"], text=b"xy\n", packed=b"xy\n\n").bytes(),
    )
    add(
        "table_text_short",
        CORRUPT,
        "open",
        "text of 5 bytes for 3 keys",
        Pool(list(ANIMALS), text_bytes=5, packed=b"abc").bytes(),
    )
    add("table_text_long", CORRUPT, "open", "text of 4098 bytes for one key", Pool([b"x"], text_bytes=4098).bytes())
    add(
        "table_sum",
        CORRUPT,
        "open",
        "key blocks do not fill the key column",
        Pool(list(ANIMALS), packed_bytes=29).bytes(),
    )
    add("root", CORRUPT, "open", "root hash is not that of the block hashes", Pool([b"x"], root=bytes(32)).bytes())
    add(
        "root_of_other_size",
        CORRUPT,
        "open",
        "root hash made with another N",
        Pool([b"x"], root=hash_root(2, [hash_block([b"x"], [sha(b"x")])])).bytes(),
    )
    add("crc_groups", CORRUPT, "groups", "CRC-32 of the group starts wrong", patched(good, at[GROUP_STARTS] + 4, b"\1"))
    add("crc_group_names", CORRUPT, "groups", "CRC-32 of the group names wrong", patched(good, at[GROUP_NAMES], b"b"))
    groups("first", "first group does not start at 0", [(1, b"a"), (2, b"b")])
    groups("order", "group starts do not rise", [(0, b"a"), (2, b"b"), (1, b"c")])
    groups("twice", "two groups with one start", [(0, b"a"), (1, b"b"), (1, b"c")])
    groups("outside", "group start is N", [(0, b"a"), (3, b"b")])
    groups("same_name", "neighbouring groups of the same name", [(0, b"a"), (1, b"a")])
    groups("lines", "more names than groups", [(0, b"a\nb")])
    groups("control", "tabulator in a group name", [(0, b"a\tb")])
    groups("utf8", "group name is not UTF-8", [(0, b"\xc3(")])
    groups("long", "group name of 4097 bytes", [(0, b"g" * 4097)])
    no_end = Pool(list(ANIMALS), groups=[(0, b"a")])
    no_end.contents = lambda contents: contents.__setitem__(GROUP_NAMES, b"\na")
    add("groups_no_end", CORRUPT, "groups", "names do not end with a line feed", no_end.bytes())
    add("keys_crc", BLOCK, "block", "CRC-32 of a key block wrong", patched(good, at[KEYS], b"k"))
    add(
        "digest_flip",
        BLOCK,
        "block",
        "one bit of a digest flipped",
        patched(good, len(good) - 1, bytes([good[-1] ^ 1])),
    )
    other = Pool([b"cat/1.jpg", b"cat/3.jpg", b"dog/1.jpg"], [sha(key) for key in ANIMALS])
    other.block_hashes = [hash_block(ANIMALS, other.digests)]
    add("key_exchanged", BLOCK, "block", "another key, all CRC-32 right", other.bytes())
    swapped = Pool(list(ANIMALS), [sha(key) for key in reversed(ANIMALS)])
    swapped.block_hashes = [hash_block(ANIMALS, [sha(key) for key in ANIMALS])]
    add("digests_swapped", BLOCK, "block", "digests of two images exchanged", swapped.bytes())
    keys("lines", "two keys where three belong", b"cat/1.jpg\ncat/2.jpg-dog/1.jpg\n")
    keys("no_end", "last key not ended by a line feed", b"\ncat/1.jpg\ncat/2.jpg\ndog/1.jpg")
    keys("empty", "an empty key", b"cat/1.jpg\n\ndog/1.jpg\n")
    keys("control", "key with U+0001", b"cat/1.jpg\nca\x01t\ndog/1.jpg\n")
    keys("delete", "key with U+007F", b"cat/1.jpg\nca\x7ft\ndog/1.jpg\n")
    keys("c1", "key with U+0085", b"cat/1.jpg\nca\xc2\x85t\ndog/1.jpg\n")
    keys("utf8", "key is not UTF-8", b"cat/1.jpg\nca\xfft\ndog/1.jpg\n")
    keys("utf8_overlong", "key with an over-long UTF-8 form", b"cat/1.jpg\nca\xc0\xaft\ndog/1.jpg\n")
    keys("surrogate", "key with a UTF-8 coded surrogate", b"cat/1.jpg\n\xed\xa0\x80\ndog/1.jpg\n")
    keys("twice", "the same key twice", b"cat/1.jpg\ncat/1.jpg\ndog/1.jpg\n")
    keys("long", "key of 4097 bytes", b"a\nb\n" + b"k" * 4097 + b"\n")
    many = numbered(40)
    text = b"".join(key + b"\n" for key in many)
    stream = deflate(text)

    def zlibs(name: str, what: str, packed: bytes, text_bytes: int = len(text)) -> None:
        add(f"zlib_{name}", CORRUPT, "block", what, Pool(list(many), packed=packed, text_bytes=text_bytes).bytes())

    zlibs("method", "compression method 7", b"\x77\x09" + stream[2:])
    zlibs("header_check", "zlib header check wrong", b"\x78\x02" + stream[2:])
    zlibs("window", "window of 64 KiB", b"\x88\x1c" + stream[2:])
    zlibs("dictionary", "preset dictionary", b"\x78\x20" + bytes(4) + stream[2:])
    zlibs("raw", "deflate without the zlib wrapper", stream[2:-4])
    zlibs("cut", "stream ends early", stream[:-5])
    zlibs("no_check", "Adler-32 missing", stream[:-4])
    zlibs("check", "Adler-32 wrong", stream[:-1] + bytes([stream[-1] ^ 1]))
    zlibs("after", "a byte after the stream", stream + b"\0")
    zlibs("two", "two streams", deflate(text[:300]) + deflate(text[300:]))
    zlibs("shorter", "stream holds fewer bytes than the key table says", stream, len(text) + 1)
    zlibs("longer", "stream holds more bytes than the key table says", stream, len(text) - 1)
    bomb = zlib_of_zeros(1 << 20)
    zlibs("bomb", "stream holds 1 MiB, the key table says 600 bytes", bomb[: len(text) - 8], len(text))
    zlibs("block_type", "reserved deflate block type", b"\x78\x01\x07" + stream[3:])
    return out


def zlib_of_zeros(count: int) -> bytes:
    """A zlib stream of at least ``count`` zero bytes, by matches of 258 at distance 1."""
    bits = Bits()
    bits.put(1, 1)
    bits.put(1, 2)
    bits.symbol(0)
    for _ in range(-(-count // 258)):
        bits.symbol(285)
        bits.code(0, 5)
    bits.symbol(256)
    return b"\x78\x01" + bits.bytes() + struct.pack(">I", 1)


def recipes() -> list[dict[str, Any]]:
    """Pools too large to ship, given by a rule: their hashes tell whether blocks are cut and numbered rightly."""
    out = []
    for size in (65_535, 65_536, 65_537, 131_073):
        names = [b"%d" % number for number in range(size)]
        digests = [sha(name) for name in names]
        hashes = [hash_block(names[s : s + 65_536], digests[s : s + 65_536]) for s in range(0, size, 65_536)]
        root = hash_root(size, hashes)
        out.append(
            {
                "pool_size": size,
                "key": "the index in decimal",
                "digest": "SHA-256 of the key",
                "block_hashes": [value.hex() for value in hashes],
                "root": root.hex(),
                "fingerprint": root[:16].hex(),
            }
        )
    return out


def expectation(pool: Pool) -> dict[str, Any]:
    root = hash_root(len(pool.keys), [hash_block(pool.keys, pool.digests)] if pool.keys else [])
    short = len(pool.keys) <= 3 and all(len(key) < 100 for key in pool.keys)
    return {
        "pool_size": len(pool.keys),
        "pool_name": pool.name.decode(),
        "root": root.hex(),
        "fingerprint": root[:16].hex(),
        "group_digest": hash_groups([start for start, _ in pool.groups]).hex() if pool.groups else None,
        "keys": [key.decode() for key in pool.keys] if short else None,
    }


def files() -> tuple[dict[str, bytes], dict[str, Any]]:
    """All files by relative path, and the content of manifest.json without the frozen files' hashes."""
    content: dict[str, bytes] = {}
    listed: list[dict[str, Any]] = []
    for name, (what, pool) in sorted(valid().items()):
        path = f"valid/{name}.pladapool"
        content[path] = pool.bytes()
        listed.append({"file": path, "tests": what, "sha256": sha(content[path]).hex(), "expect": expectation(pool)})
    for name, (code, stage, what, data) in sorted(invalid().items()):
        path = f"invalid/{name}.pladapool"
        content[path] = data
        listed.append({"file": path, "tests": what, "sha256": sha(data).hex(), "error": code, "stage": stage})
    frozen = {
        "file": FROZEN,
        "tests": "stream of a zlib library with dynamic Huffman codes; frozen, not rebuilt",
        "frozen": True,
        "expect": expectation(Pool(numbered(500))),
    }
    listed.append(frozen)
    note = (
        "stage: 'open' = the error appears when the manifest is opened, 'groups' = when its groups are read,"
        " 'block' = when images of the (only) block are read. 'recipes' give pools too large to ship."
    )
    return content, {"format": "PLADA pool manifest 1.0", "about": note, "vectors": listed, "recipes": recipes()}


def frozen_bytes() -> bytes:
    """What the frozen file was made with, once (zlib 1.x, level 6)."""
    pool = Pool(numbered(500))
    pool.packed = zlib.compress(b"".join(key + b"\n" for key in pool.keys), 6)
    pool.text_bytes = sum(map(len, pool.keys)) + 500
    return pool.bytes()


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "vectors/manifest")
    content, listing = files()
    for path, data in content.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    if not (root / FROZEN).exists():
        (root / FROZEN).write_bytes(frozen_bytes())
    for entry in listing["vectors"]:
        entry["sha256"] = sha((root / entry["file"]).read_bytes()).hex()
    (root / "manifest.json").write_text(json.dumps(listing, indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
