"""Fresh valid payloads of every codec and every kind of parameter, also such as the encoder would never choose."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from fuzz.anatomy import digest_of, groups_for, varint
from plada_format import container
from plada_format.codecs import GROUPED, INDEX_CODECS, LABEL_CODECS, bind_index, bind_label, embedded_codec
from plada_format.digest import content_digest
from plada_format.engines import gapclass, huffman, rans

#: All codecs by section type, and those of embedded streams, which have no images beside them.
INDEX_IDS, LABEL_IDS = tuple(sorted(INDEX_CODECS)), tuple(sorted(LABEL_CODECS))
EMBEDDED_IDS = tuple(kind for kind in LABEL_IDS if embedded_codec(kind))
#: Fresh payloads with Zstandard frames are few: they are slow to make, and their decoder is not ours.
_INDEX_CHOICE, _LABEL_CHOICE = (
    tuple(kind for kind in kinds for _ in range(1 if kind & 0x10 or not kind & 0x0F else 3))
    for kinds in (INDEX_IDS, LABEL_IDS)
)
CORPUS = Path(__file__).parent / "corpus"
_COUNTS = (1, 2, 3, 5, 8, 17, 40, 90, 200)
_CLASSES = (1, 2, 3, 4, 10, 10, 100, 256, 257, 1000, 65_536)


def corpus() -> list[bytes]:
    """The files of fuzz/corpus in the order of their names."""
    return [path.read_bytes() for path in sorted(CORPUS.glob("*.plada"))]


def index_set(rng: random.Random) -> tuple[int, list[int]]:
    """Pool size and strictly increasing indices of one of several shapes."""
    shape = rng.randrange(8)
    k = rng.choice(_COUNTS)
    if shape == 0:  # uniform
        n = k + rng.choice((0, 1, 7, k, 20 * k, 1000, 1 << 16, (1 << 20) - k))
        return n, sorted(rng.sample(range(n), k))
    if shape == 1:  # runs
        out: list[int] = []
        at = 0
        for _ in range(rng.randrange(1, 12)):
            at += rng.choice((0, 1, 2, 9, 200))
            run = rng.choice((1, 1, 2, 7, 40))
            out += range(at, at + run)
            at += run + 1
        return at + rng.choice((0, 0, 1, 100)), out
    if shape == 2:  # dense: a few are missing
        n = rng.choice((8, 9, 16, 100, 1000))
        missing = set(rng.sample(range(n), min(rng.randrange(0, 6), n - 1)))
        return n, [i for i in range(n) if i not in missing]
    if shape == 3:  # around the edges of bytes and blocks
        edges = [e + d for e in (0, 7, 8, 255, 256, 65_535, 65_536) for d in (-1, 0, 1) if e + d >= 0]
        chosen = sorted(set(rng.sample(edges, rng.randrange(1, 8))))
        return chosen[-1] + 1 + rng.choice((0, 1, 8, 100_000)), chosen
    if shape == 4:  # geometric gaps
        at, out = -1, []
        for _ in range(k):
            at += 1 + int(rng.expovariate(1 / rng.choice((0.5, 5, 100))))
            out.append(at)
        return at + 1 + rng.choice((0, 3)), out
    if shape == 5:  # one very large gap
        return 1 << 20, [0, rng.randrange(1, (1 << 20) - 1), (1 << 20) - 1]
    if shape == 6:  # nothing or everything
        n = rng.choice((0, 1, 8, 50))
        return n, list(range(n)) if rng.random() < 0.5 else []
    step = rng.choice((2, 3, 8, 64))  # equal gaps
    return step * k + rng.randrange(step), list(range(0, step * k, step))


def labels(rng: random.Random, count: int, classes: int) -> list[int]:
    """Labels of one of several distributions."""
    shape = rng.randrange(4)
    if shape == 0:
        return [rng.randrange(classes) for _ in range(count)]
    if shape == 1:
        return [rng.randrange(classes)] * count
    few = [rng.randrange(classes) for _ in range(rng.choice((2, 3, 5)))]
    if shape == 2:
        return [few[min(int(rng.expovariate(1.5)), len(few) - 1)] for _ in range(count)]
    out: list[int] = []
    while len(out) < count:
        out += [rng.choice(few)] * rng.choice((1, 2, 10))
    return out[:count]


def _parameter(rng: random.Random, largest: int, n: int) -> int:
    """A block parameter whose stream stays small."""
    if rng.random() < 0.5:
        return 2 * rng.randrange(0, 31) + 1
    least = largest * n // 20_000  # keep the unary part below 20,000 bits
    return 2 * (least + rng.choice((0, 1, 2, 3, 7, 63, 1000)))


def _members(rng: random.Random, values: Any, alphabet: int, most: int = 4096) -> huffman.SymbolSet:
    """The symbols in use and perhaps some that are not."""
    used = {int(v) for v in values}
    if rng.random() < 0.4 and alphabet <= most:
        used = set(range(alphabet))
    elif rng.random() < 0.5:
        used |= {rng.randrange(alphabet) for _ in range(rng.randrange(1, 5))}
    return huffman.SymbolSet(np.array(sorted(used), np.int64), _parameter(rng, alphabet, len(used)))


def huffman_table(rng: random.Random, values: Any, alphabet: int) -> huffman.HuffmanTable:
    """A complete code of random shape over the symbols of ``values`` and perhaps others."""
    members = _members(rng, values, alphabet)
    count = len(members.symbols)
    if count == 1:
        return huffman.HuffmanTable(members, np.zeros(0, np.int64))
    lengths = [0]
    slack = 16 - (count - 1).bit_length()
    while len(lengths) < count:
        j = rng.randrange(len(lengths)) if rng.random() < 0.5 else len(lengths) - 1
        # a leaf may only be split while the others can still take the rest
        if lengths[j] >= 16 or (slack <= 2 and lengths[j] >= (count - 1).bit_length()):
            j = lengths.index(min(lengths))
        lengths[j] += 1
        lengths.append(lengths[j])
    rng.shuffle(lengths)
    return huffman.HuffmanTable(members, np.array(lengths, np.int64), 2 * rng.randrange(6) + rng.randrange(2))


def frequency_table(rng: random.Random, values: Any, alphabet: int) -> rans.FrequencyTable:
    """Random frequencies over the symbols of ``values`` and perhaps others."""
    members = _members(rng, values, alphabet, most=300)
    count = len(members.symbols)
    if count == 1:
        return rans.FrequencyTable(members, 0, np.zeros(0, np.int64))
    precision = rng.randrange(max((count - 1).bit_length(), 1), 17)
    total = 1 << precision
    cuts = sorted(rng.sample(range(1, total), count - 1))
    if rng.random() < 0.3:  # nearly everything on one symbol
        cuts = list(range(1, count))
    frequencies = np.array([b - a for a, b in zip([0, *cuts], [*cuts, total])], np.int64)
    return rans.FrequencyTable(members, precision, frequencies, _parameter(rng, total, count))


def index_stream(rng: random.Random, kind: int, indices: Any, pool_size: int) -> bytes:
    """The stream of one codec, with its own choice of parameters or a random one."""
    if len(indices) in (0, pool_size):
        return b""
    array = np.array(indices, np.uint32)
    codec = bind_index(kind, np.array(groups_for(pool_size), np.uint32))
    parameters: Any = None
    if rng.random() < 0.6:
        if codec.name == "rans" and 2 * len(array) > pool_size:  # a dense set is coded by what it leaves out
            gaps = gapclass.gaps_of(np.setdiff1d(np.arange(pool_size, dtype=np.uint32), array))
        else:
            gaps = gapclass.gaps_of(array)
        if codec.name == "golomb":
            parameters = _parameter(rng, int(gaps.max()), len(gaps))
        elif codec.name == "runs":
            parameters = (_parameter(rng, int(gaps.max()), len(gaps)), _parameter(rng, len(gaps), len(gaps)))
        elif codec.name == "rans":
            half_life = rng.choice((1, 5, 200, 3000, 1 << 20))
            classes = gapclass.split(gaps)[0]
            if rng.random() < 0.5:
                parameters = (half_life, gapclass.geometric_table(pool_size, len(gaps), half_life))
            else:
                parameters = (0, frequency_table(rng, classes, gapclass.CLASSES))
        elif codec.name == "adaptive":
            parameters = rng.randrange(2)
    return codec.encode(array, pool_size, parameters)


def label_stream(
    rng: random.Random, kind: int, values: Any, alphabet: int, indices: Any = (), pool_size: int = 0
) -> bytes:
    """As :func:`index_stream`, for labels; adaptive codecs look at the indices, too."""
    if len(values) == 0 or alphabet == 1:
        return b""
    array = np.array(values, np.uint16)
    codec = bind_label(kind, np.array(indices, np.uint32), pool_size, np.array(groups_for(pool_size), np.uint32))
    parameters: Any = None
    if rng.random() < 0.6:
        if codec.name == "huffman":
            parameters = huffman_table(rng, values, alphabet)
        elif codec.name == "rans":
            parameters = frequency_table(rng, values, alphabet)
        elif codec.name == "runs":
            lengths = _parameter(rng, len(values), len(values))
            parameters = (huffman_table(rng, values, alphabet), lengths)
    return codec.encode(array, alphabet, parameters)


def _text(rng: random.Random) -> str:
    """Some characters, not always in a Unicode normalisation form."""
    return "".join(rng.choice("ab z0\u00e9e\u0301\u00df\u4e2d\U0001f600") for _ in range(rng.randrange(0, 9)))


def _prefixed(text: str) -> bytes:
    data = text.encode()
    return varint(len(data)) + data


def ancillary(rng: random.Random, values: list[int], classes: int) -> dict[int, bytes]:
    """Bodies of a few ancillary sections."""
    out: dict[int, bytes] = {}
    if classes <= 100 and rng.random() < 0.3:
        out[container.CLASS_NAMES] = b"".join(_prefixed(_text(rng)) for _ in range(classes))
    if rng.random() < 0.25:
        pairs = {_text(rng) or "a": _text(rng) for _ in range(rng.randrange(1, 5))}
        ordered = sorted(pairs.items(), key=lambda pair: pair[0].encode())
        out[container.METADATA] = varint(len(pairs)) + b"".join(_prefixed(a) + _prefixed(b) for a, b in ordered)
    kinds = EMBEDDED_IDS
    if values and rng.random() < 0.2:
        kind = rng.choice(kinds)
        out[container.WEIGHTS] = bytes([kind]) + label_stream(rng, kind, labels(rng, len(values), 256), 256)
    if 2 <= classes <= 16 and rng.random() < 0.3:
        rows = []
        for _ in range(classes):
            cuts = sorted(rng.choice((0, 255, rng.randrange(256))) for _ in range(classes - 1))
            rows += [b - a for a, b in zip([0, *cuts], [*cuts, 255])]
        kind = rng.choice(kinds)
        out[container.SOFT_LABELS] = bytes([kind]) + label_stream(rng, kind, rows, 256)
    if rng.random() < 0.1:
        out[rng.choice((0xC0, 0xDF, 0xFF))] = rng.randbytes(rng.randrange(0, 20))
    return out


def assemble(
    pool_size: int, indices: list[int], values: list[int], classes: int, index_kind: int, label_kind: int,
    index: bytes, label: bytes, more: dict[int, bytes], fingerprint: bytes | None = None,
) -> bytes:  # fmt: skip
    """A file around two streams."""
    digest = content_digest(pool_size, classes, np.array(indices, np.uint32), np.array(values, np.uint16))
    return container.build(
        pool_size=pool_size,
        count=len(indices),
        num_classes=classes,
        pool_fingerprint=fingerprint,
        content_digest=digest,
        group_digest=digest_of(groups_for(pool_size)) if pool_size else None,
        sections=[(index_kind, index), (label_kind, label), *sorted(more.items())],
    )


def fresh(rng: random.Random) -> bytes:
    """A valid payload, mostly of a few dozen to a few hundred bytes."""
    while True:
        pool_size, indices = index_set(rng)
        classes = rng.choice(_CLASSES)
        values = labels(rng, len(indices), classes)
        index_kind = rng.choice(_INDEX_CHOICE)
        if pool_size > 16_000 and index_kind in (0x00, 0x11):
            index_kind = 0x01
        label_kind = rng.choice(_LABEL_CHOICE)
        if pool_size == 0 and {index_kind, label_kind} & GROUPED:
            continue
        index = index_stream(rng, index_kind, indices, pool_size)
        label = label_stream(rng, label_kind, values, classes, indices, pool_size)
        if len(index) + len(label) > 4000:
            continue
        more = ancillary(rng, values, classes)
        fingerprint = rng.randbytes(16) if rng.random() < 0.3 else None
        return assemble(pool_size, indices, values, classes, index_kind, label_kind, index, label, more, fingerprint)


def _large_soft_labels(rng: random.Random) -> bytes:
    """A table of soft labels with 65,536 or more entries in a small file."""
    classes = rng.choice((256, 362, 363))
    rows = [0] * (classes * classes)
    for c in range(classes):
        rows[c * classes + rng.choice((c, rng.randrange(classes)))] = 255
    kind = rng.choice((0x21, 0x22, 0x23, 0x23))
    body = bytes([kind]) + label_stream(rng, kind, rows, 256)
    return assemble(8, [2, 5], [1, 0], classes, 0x00, 0x20, b"\x24", bind_label(0x20, (), 0, None).encode(
        np.array([1, 0], np.uint16), classes), {0x83: body})  # fmt: skip


def many_lanes(rng: random.Random) -> bytes:
    """A small file of 65,536 or more symbols, where rANS has 32 or 64 lanes."""
    if rng.random() < 0.3:
        return _large_soft_labels(rng)
    k = 65_536
    values = [3] * k
    for _ in range(rng.randrange(1, 40)):
        values[rng.randrange(k)] = rng.randrange(10)
    kind = rng.choice((0x21, 0x22, 0x23, 0x23))
    if rng.random() < 0.5:  # dense: the labels' lanes
        missing = set(rng.sample(range(k + 9), 9))
        indices = [i for i in range(k + 9) if i not in missing]
        return assemble(k + 9, indices, values, 10, 0x02, kind, index_stream(rng, 0x02, indices, k + 9),
                        label_stream(rng, kind, values, 10), {})  # fmt: skip
    indices = list(range(0, 2 * k, 2))  # the gaps' lanes
    table = rans.FrequencyTable(huffman.SymbolSet(np.array([0, 1]), 1), 16, np.array([1, 65_535]), 1)
    array = np.array(indices, np.uint32)
    stream = bind_index(0x03, None).encode(array, 2 * k, (0, table))
    return assemble(2 * k, indices, values, 10, 0x03, kind, stream, label_stream(rng, kind, values, 10), {})
