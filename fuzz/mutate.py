"""Structure-aware mutation: take a real payload apart, change what a hostile writer would, repair the checksums.

Without repair, nearly every mutant would end at the first CRC-32. All choices come from the given ``random.Random``:
the same seed and the same files give the same mutants.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from fuzz.anatomy import Anatomy, Piece, parse, read_varint, varint

LARGEST = 48_000  # bytes of a mutant
_INDEX = (0x00, 0x01, 0x02, 0x03, 0x08, 0x09, 0x10, 0x11)
_LABEL = (0x20, 0x21, 0x22, 0x23, 0x28, 0x29, 0x30)
_ANCILLARY = (0x80, 0x81, 0x82, 0x83, 0x84, 0xC0, 0xDF, 0xE0, 0xFF)
_OTHER = (0x04, 0x08, 0x1F, 0x24, 0x3F, 0x40, 0x7F)
_BYTES = (0x00, 0x01, 0x02, 0x0F, 0x10, 0x7F, 0x80, 0xFE, 0xFF)
_VARINTS = (0, 1, 2, 3, 7, 8, 16, 17, 61, 62, 63, 123, 124, 125, 127, 128, 255, 256, 257, 65_535, 65_536, 65_537,
            1 << 20, (1 << 31) - 2, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)  # fmt: skip
_NUMBERS = (0, 1, 2, 7, 8, 9, 255, 256, 65_535, 65_536, 65_537, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, (1 << 31) - 1,
            1 << 31, (1 << 32) - 1)  # fmt: skip
_STATES = (0, 1, 0xFFFF, 0x10000, 0x10001, 0x1FFFF, 0x80000000, 0xFFFFFFFF)
_BAD_VARINTS = (b"\x80\x00", b"\x81\x00", b"\xff\xff\xff\xff\x1f", b"\x80\x80\x80\x80\x80\x00", b"\x80",
                b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x80\x10", b"\x80\x80\x80\x80\x00")  # fmt: skip
_TEXT = (
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\xc0\x80",
    b"\xf4\x90\x80\x80",
    b"\x7f",
    b"\x1f",
    b"\x00",
    b"\xe2\x82",
    b"\xc2\x80",
)


# --- bytes of one body ------------------------------------------------------------------------------------------------


def _flip_bit(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)


def _set_byte(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        body[rng.randrange(len(body))] = rng.choice(_BYTES)


def _flip_bit_early(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        body[rng.randrange(min(len(body), 8))] ^= 1 << rng.randrange(8)


def _set_last_byte(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        body[-1] = rng.choice((0, 1, body[-1] | 0x80, body[-1] ^ 0x40, body[-1] >> 1, 0xFF))


def _add_to_byte(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        at = rng.randrange(len(body))
        body[at] = (body[at] + rng.choice((-2, -1, 1, 2))) & 0xFF


def _insert(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    at = rng.randrange(len(body) + 1)
    body[at:at] = rng.choice((b"\0", b"\xff", b"\x01", rng.randbytes(rng.randrange(1, 9)), bytes(rng.randrange(1, 40))))


def _delete(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        at = rng.randrange(len(body))
        del body[at : at + rng.choice((1, 1, 2, 4, 16))]


def _repeat(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        at = rng.randrange(len(body))
        piece = body[at : at + rng.randrange(1, 33)]
        body[at:at] = piece * rng.choice((1, 1, 2, 8))


def _cut(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        del body[-rng.choice((1, 1, 2, 3, len(body), rng.randrange(1, len(body) + 1))) :]


def _append(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    body += rng.choice((b"\0", b"\x01", b"\xff", rng.randbytes(rng.randrange(1, 20)), b"\xff" * rng.randrange(1, 600)))


def _fill(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        at = rng.randrange(len(body))
        end = min(len(body), at + rng.choice((2, 4, 16, 1000)))
        body[at:end] = bytes((rng.choice((0, 0xFF, 0x80, 0x55)),)) * (end - at)


def _splice(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    if others:
        other = rng.choice(others)
        body[rng.randrange(len(body) + 1) :] = other[rng.randrange(len(other) + 1) :]


def _paste(rng: random.Random, body: bytearray, others: Sequence[bytes]) -> None:
    if others and body:
        other = rng.choice(others)
        start = rng.randrange(len(other) + 1)
        piece = other[start : start + rng.randrange(1, 17)]
        at = rng.randrange(len(body))
        body[at : at + len(piece)] = piece


def _first_varint(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    _change_varint(rng, body, 0)


def _second_varint(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    found = read_varint(body, 0)
    if found:
        _change_varint(rng, body, found[1])


def _any_varint(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if body:
        _change_varint(rng, body, rng.randrange(min(len(body), 12)))


def _change_varint(rng: random.Random, body: bytearray, at: int) -> None:
    found = read_varint(body, at)
    if not found:
        return
    value, end = found
    how = rng.randrange(5)
    if how == 0:
        body[at:end] = varint(rng.choice(_VARINTS))
    elif how == 1:
        body[at:end] = rng.choice(_BAD_VARINTS)
    elif how == 2:
        body[at:end] = varint(value * 2)
    else:
        body[at:end] = varint(max(value + rng.choice((-2, -1, 1, 2)), 0))


def _state(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if len(body) >= 4:
        at = rng.randrange(len(body) - 3)
        body[at : at + 4] = (rng.choice(_STATES) if rng.random() < 0.7 else rng.getrandbits(32)).to_bytes(4, "little")


def _garbage(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    """A parameter and random bytes: in short streams these reach the largest values."""
    if rng.random() < 0.3:  # few values with nearly 32 bits
        body[:] = varint(rng.choice((57, 59, 61, (2 << 30) - 2, (2 << 29) - 2)))
        body += bytes((rng.choice((0x02, 0x04, 0x08, 0x10, 0x24)),)) + rng.randbytes(rng.randrange(3, 14))
        return
    ones = bytes((rng.choice((0xFF, 0x01, 0x80, 0x00)),)) * rng.randrange(0, 3)
    body[:] = varint(rng.choice(_VARINTS)) + ones + rng.randbytes(rng.randrange(0, 24))


def _swap_words(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    if len(body) >= 4:
        a, b = rng.randrange(len(body) - 1), rng.randrange(len(body) - 1)
        body[a : a + 2], body[b : b + 2] = body[b : b + 2], body[a : a + 2]
        # overlapping slices may have changed nothing but the order: the length stays


def _bad_text(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    piece = rng.choice(_TEXT)
    at = rng.randrange(len(body) + 1)
    body[at : at + len(piece)] = piece


def _pairs(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    """Metadata with pairs repeated, left out or in another order."""
    found = read_varint(body, 0)
    pairs: list[bytes] = []
    while found and found[1] < len(body):
        start = at = found[1]
        for _part in range(2):
            size = read_varint(body, at)
            if size is None:
                return
            at = size[1] + size[0]
        pairs.append(bytes(body[start:at]))
        found = (0, at)
    if not pairs:
        return
    how = rng.randrange(3)
    if how == 0:
        pairs.insert(rng.randrange(len(pairs) + 1), rng.choice(pairs))
    elif how == 1:
        rng.shuffle(pairs)
    else:
        del pairs[rng.randrange(len(pairs))]
    body[:] = varint(len(pairs)) + b"".join(pairs)


def _zstd(rng: random.Random, body: bytearray, _: Sequence[bytes]) -> None:
    """Edit a Zstandard frame: descriptor, sizes, block headers, further frames."""
    start = body.find(b"\x28\xb5\x2f\xfd")
    if start < 0 or len(body) < start + 10:
        return
    how = rng.randrange(12)
    if how == 0:
        body[start + 4] ^= 1 << rng.randrange(8)
    elif how == 1:
        body[start + 4] = rng.choice((0x00, 0x20, 0x24, 0x60, 0x80, 0xA0, 0xC0, 0xE0))
    elif how == 2:
        body[start + 5] = rng.choice((0, 1, 0x7F, 0x80, 0x88, 0x89, 0xF8, 0xFF, (body[start + 5] + 1) & 0xFF))
    elif how == 3:
        body += rng.choice(
            (b"\x28\xb5\x2f\xfd\x20\x00\x01\x00\x00", b"\x50\x2a\x4d\x18\x00\x00\x00\x00", b"\x01\x00\x00")
        )
    elif how == 4:  # an RLE block instead of whatever is there
        field = (1, 2, 4, 8)[body[start + 4] >> 6]
        block = (
            rng.choice((0, 1, 5, 100, 1 << 17, (1 << 17) + 1, (1 << 21) - 1)) << 3 | 2 | rng.randrange(2)
        ).to_bytes(3, "little")
        body[start + 5 + field :] = block * rng.choice((1, 1, 2, 50)) + b"\x07"
    elif how == 5:  # sizes of a raw block
        at = start + 5 + (1, 2, 4, 8)[body[start + 4] >> 6]
        for n in range(at, min(at + 3, len(body))):
            body[n] ^= rng.randrange(4)
    elif how == 6:
        body[start:start] = rng.choice((b"\x50\x2a\x4d\x18\x01\x00\x00\x00\x07", b"\x28"))
    elif how == 7:
        at = rng.randrange(start, len(body))
        body[at] = rng.randrange(256)
    else:
        _zstd_content(rng, body, start)


def _zstd_content(rng: random.Random, body: bytearray, start: int) -> None:
    """Change what a frame holds, or how the frame says it, and write it again."""
    try:
        import zstandard

        content = bytearray(zstandard.ZstdDecompressor().decompress(bytes(body[start:]), max_output_size=1 << 16))
    except Exception:
        return  # no library, or no frame any more
    size = len(content)
    how = rng.randrange(4)
    if how == 0 and start == 1:  # a byte more for each gap or label than there must be
        width = max(body[0] & 15, 1)
        body[0] = body[0] + 1 & 0xFF
        if body[0] >> 4:
            content = bytearray(b"".join(bytes(content[at : at + width]) + b"\0" for at in range(0, size, width)))
        else:
            content += bytes(size // width)
    elif how == 1:  # the same content in a frame with other fields
        options = {"write_checksum": rng.random() < 0.5, "write_content_size": rng.random() < 0.8}
        body[start:] = zstandard.ZstdCompressor(level=rng.choice((1, 3)), **options).compress(bytes(content))
        return
    else:
        rng.choice((_flip_bit, _set_byte, _fill, _delete, _append))(rng, content, ())
    size = len(content)
    if 0 < size <= LARGEST:
        fields = b"\x20" + bytes((size,)) if size < 256 else b"\xa0" + size.to_bytes(4, "little")
        body[start:] = b"\x28\xb5\x2f\xfd" + fields + (size << 3 | 1).to_bytes(3, "little") + content


BodyEdit = Callable[[random.Random, bytearray, Sequence[bytes]], None]
_BODY_EDITS: tuple[BodyEdit, ...] = (
    _flip_bit, _flip_bit, _flip_bit, _flip_bit_early, _flip_bit_early, _set_byte, _set_byte, _set_last_byte,
    _add_to_byte, _insert, _delete, _repeat, _cut, _append, _fill, _splice, _paste,
    _first_varint, _first_varint, _second_varint, _any_varint, _state, _state, _swap_words, _garbage,
)  # fmt: skip


# --- the whole file ---------------------------------------------------------------------------------------------------


def _edit_body(rng: random.Random, file: Anatomy, donors: Sequence[Anatomy]) -> None:
    if not file.pieces:
        return
    # index and label streams most of all
    piece = file.pieces[
        rng.randrange(min(len(file.pieces), 2)) if rng.random() < 0.75 else rng.randrange(len(file.pieces))
    ]
    body = bytearray(piece.body)
    if piece.type in (0x10, 0x11, 0x30) and rng.random() < 0.4:
        edit: BodyEdit = _zstd
    elif piece.type in (0x80, 0x81) and rng.random() < 0.5:
        edit = _bad_text if piece.type == 0x80 or rng.random() < 0.5 else _pairs
    else:
        edit = rng.choice(_BODY_EDITS)
    others: list[bytes] = []
    if edit is _splice or edit is _paste:
        others = [p.body for f in donors for p in f.pieces if p.type == piece.type] or [piece.body]
    edit(rng, body, others)
    piece.body = bytes(body[:LARGEST])


def _near(rng: random.Random, value: int) -> int:
    return rng.choice(
        (value - 1, value + 1, value - 8, value + 8, value * 2, value // 2, value ^ (1 << rng.randrange(32)))
    )


def _edit_pool_size(rng: random.Random, file: Anatomy, _: Sequence[Anatomy]) -> None:
    value = rng.choice(
        (file.count, file.count + 1, _near(rng, file.pool_size), _near(rng, file.pool_size), rng.choice(_NUMBERS))
    )
    file.set_number(12, 4, value)


def _edit_count(rng: random.Random, file: Anatomy, _: Sequence[Anatomy]) -> None:
    file.set_number(
        16, 4, rng.choice((file.pool_size, _near(rng, file.count), _near(rng, file.count), rng.choice(_NUMBERS)))
    )


def _edit_classes(rng: random.Random, file: Anatomy, _: Sequence[Anatomy]) -> None:
    file.set_number(20, 2, rng.choice((0, 1, 2, 255, 256, 65_535, _near(rng, file.num_classes - 1), file.num_classes)))


def _edit_fixed(rng: random.Random, file: Anatomy, _: Sequence[Anatomy]) -> None:
    how = rng.randrange(10)
    if how < 3:  # rare fields: signature, versions, flags
        file.fixed[rng.choice((0, 3, 7, 8, 9, 9, 11))] ^= 1 << rng.randrange(8)
    elif how == 3:
        file.fixed[22:38] = rng.choice((bytes(16), rng.randbytes(16), b"\0" * 15 + b"\1"))
    elif how == 4:
        file.fixed[38 + rng.randrange(8)] ^= 1 << rng.randrange(8)
    elif how == 5:
        file.header_length = rng.choice((0, 49, 50, 53, 54, 58, 255, rng.randrange(256)))
    elif how == 6:
        file.header_crc_error = 1 << rng.randrange(32)
    elif how == 7:
        file.fixed[9] = rng.choice((0, 1, 1, 2, 255))
    elif how == 8:
        file.fixed[11] ^= 1
        if rng.random() < 0.3:
            file.digest = rng.choice((b"", rng.randbytes(8)))
    elif file.pieces:
        rng.choice(file.pieces).crc_error = 1 << rng.randrange(32)


def _edit_table(rng: random.Random, file: Anatomy, donors: Sequence[Anatomy]) -> None:
    pieces = file.pieces
    how = rng.randrange(11)
    if how == 0 and len(pieces) > 1:
        a, b = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        pieces[a], pieces[b] = pieces[b], pieces[a]
    elif how == 1 and pieces:
        del pieces[rng.randrange(len(pieces))]
    elif how == 2 and pieces:
        p = rng.choice(pieces)
        pieces.insert(rng.randrange(len(pieces) + 1), Piece(p.type, p.body))
    elif how == 3 and pieces:
        p = rng.choice(pieces)
        wrong = rng.choice((len(p.body) - 1, len(p.body) + 1, 0, *_NUMBERS)) % (1 << 32)
        p.length = varint(wrong)
    elif how == 4 and pieces:
        rng.choice(pieces).length = rng.choice(_BAD_VARINTS)
    elif how == 5:
        table = bytearray(file.right_table())
        rng.choice((_flip_bit, _set_byte, _insert, _delete, _cut))(rng, table, ())
        file.table = bytes(table[:210])
    elif how in (6, 7):  # a section that is new here
        kind = rng.choice(_ANCILLARY + _OTHER)
        pieces.append(Piece(kind, rng.randbytes(rng.randrange(0, 12))))
        if rng.random() < 0.8:
            pieces.sort(key=lambda p: p.type)
        if kind in (0x84, 0xE0) and rng.random() < 0.5:
            file.fixed[9] = rng.choice((1, 2))
    elif donors:  # a section from another file
        donor = rng.choice(donors)
        if donor.pieces:
            p = rng.choice(donor.pieces)
            same = [
                n
                for n, mine in enumerate(pieces)
                if (mine.type >> 5 == p.type >> 5 and p.type < 0x80) or mine.type == p.type
            ]
            if same:
                pieces[same[0]] = Piece(p.type, p.body)
            else:
                pieces.append(Piece(p.type, p.body))
                pieces.sort(key=lambda p: p.type)


def _edit_type(rng: random.Random, file: Anatomy, _: Sequence[Anatomy]) -> None:
    if file.pieces:
        n = rng.randrange(len(file.pieces))
        if rng.random() < 0.2:
            file.pieces[n].type = rng.randrange(256)
        else:
            file.pieces[n].type = rng.choice((_INDEX, _LABEL, _ANCILLARY)[min(n, 2)] + _OTHER[:2])


def _edit_size(rng: random.Random, file: Anatomy, _: Sequence[Anatomy]) -> None:
    if rng.random() < 0.4:
        file.tail += rng.choice((b"\0", file.tail or b"PLA", rng.randbytes(rng.randrange(1, 40))))
    else:
        size = sum(len(p.body) + 6 for p in file.pieces) + 50
        file.cut = max(rng.choice((size - 1, size - 4, size - 5, 0, 7, 8, 10, 11, 46, 53, rng.randrange(size))), 0)


FileEdit = Callable[[random.Random, Anatomy, Sequence[Anatomy]], None]
_FILE_EDITS: tuple[FileEdit, ...] = (
    *[_edit_body] * 20, *[_edit_pool_size] * 3, *[_edit_count] * 3, _edit_classes, _edit_classes, _edit_fixed,
    _edit_table, _edit_table, _edit_type, _edit_size,
)  # fmt: skip


def structured(rng: random.Random, file: Anatomy, donors: Sequence[Anatomy] = ()) -> bytes:
    """A mutant of ``file`` by one or a few edits of its structure; checksums are right unless an edit spoils one.

    Args:
        donors: files whose sections may be taken over.
    """
    mutant = file.copy()
    edits = 1
    while edits < 6 and rng.random() < 0.3:
        edits += 1
    for _ in range(edits):
        rng.choice(_FILE_EDITS)(rng, mutant, donors)
    return mutant.build()[:LARGEST]


def raw(rng: random.Random, data: bytes) -> bytes:
    """A mutant by one to three edits of its bytes that know nothing of the structure; checksums stay wrong."""
    body = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(_BODY_EDITS)(rng, body, [data])
    return bytes(body[:LARGEST])


def mutate(rng: random.Random, data: bytes, donors: Sequence[bytes] = ()) -> bytes:
    """:func:`structured` for files that can be taken apart, :func:`raw` for others."""
    file = parse(data)
    if file is None:
        return raw(rng, data)
    return structured(rng, file, [f for f in map(parse, donors) if f is not None])
