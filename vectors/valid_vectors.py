"""Valid files: every codec with every shape of content, every section, the edges of every field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from build_files import assemble, block

import plada_format as pf
from plada_format.codecs import GROUPED, INDEX_CODECS, LABEL_CODECS

#: Name, bytes, tags, and what the reader is told: {"groups": [...]} or nothing.
Vector = tuple[str, bytes, list[str], dict[str, Any]]


def _lcg(n: int, bound: int, seed: int) -> np.ndarray:
    """Small fixed generator, so that no library version changes the files."""
    x, out = seed, []
    for _ in range(n):
        x = (x * 1103515245 + 12345) % 2**31
        out.append((x >> 8) % bound)
    return np.array(out, np.int64)


def _groups(pool_size: int) -> list[int]:
    """Starts of up to 24 groups of different sizes."""
    starts = {0} | {int(x) for x in _lcg(23, pool_size, pool_size % 1000 + 1) * 7 % pool_size}
    return sorted(starts)


def _index_sets() -> dict[str, tuple[int, np.ndarray]]:
    sparse = np.unique(_lcg(40, 2000, 1))
    dense = np.setdiff1d(np.arange(600), np.unique(_lcg(60, 600, 2)))
    clustered = np.unique(np.concatenate([np.arange(start, start + 9) for start in (7, 100, 104, 1500, 1990)]))
    return {
        "k0": (50, np.arange(0)),
        "n0": (0, np.arange(0)),
        "k1_first": (50, np.array([0])),
        "k1_last": (50, np.array([49])),
        "kN": (50, np.arange(50)),
        "kN_minus_1": (50, np.delete(np.arange(50), 17)),
        "one_run": (1000, np.arange(300, 420)),
        "alternating": (64, np.arange(0, 64, 2)),
        "sparse": (2000, sparse),
        "dense": (600, dense),
        "clustered": (2001, clustered[clustered < 2001]),
        "half": (256, np.flatnonzero(_lcg(256, 2, 3))),
        "huge_pool": (2**32 - 1, np.array([0, 1, 65535, 65536, 2**31, 2**32 - 2])),
    }


def _index_vectors() -> Iterator[Vector]:
    for codec in INDEX_CODECS.values():
        for shape, (n, indices) in _index_sets().items():
            if shape == "huge_pool" and "bitmap" in codec.name:
                continue  # 512 MiB
            if n == 0 and codec.id in GROUPED:
                continue  # an empty pool has no groups
            labels = _lcg(len(indices), 4, 5)
            told = {"groups": _groups(n)} if codec.id in GROUPED else {}
            settings = {"pool_size": n, "num_classes": 4, "label_codec": "fixed", **told}
            data = pf.encode(indices, labels, index_codec=codec.name, **settings)
            tags = ["index", codec.name, shape] + (["zstd"] if codec.profile == "full" and 0 < len(indices) < n else [])
            yield f"index-{codec.name}_{shape}", data, tags, told


def _label_sets() -> dict[str, tuple[int, np.ndarray]]:
    skewed = np.minimum(_lcg(300, 64, 7), _lcg(300, 64, 8))
    skewed = np.minimum(skewed, _lcg(300, 64, 9)) // 3
    every = np.arange(65536)
    return {
        "K1": (1, np.zeros(20, np.int64)),
        "K2": (2, _lcg(77, 2, 10)),
        "one_of_10": (10, np.full(33, 7)),
        "K10": (10, _lcg(200, 10, 11)),
        "skewed": (22, skewed),
        "runs": (5, np.repeat(_lcg(12, 5, 12), 1 + _lcg(12, 40, 13))),
        "K256": (256, _lcg(400, 256, 14)),
        "K257": (257, np.append(_lcg(400, 257, 15), 256)),
        "K65536_few": (65536, np.array([0, 65535, 40000, 0, 65535])),
        "K65536_all": (65536, every * 40503 % 65536),
        "k0": (10, np.zeros(0, np.int64)),
        "n1": (3, np.array([2])),
    }


def _label_vectors() -> Iterator[Vector]:
    for codec in LABEL_CODECS.values():
        for shape, (classes, labels) in _label_sets().items():
            n = len(labels) + 5
            told = {"groups": _groups(n)} if codec.id in GROUPED else {}
            settings = {"pool_size": n, "num_classes": classes, "index_codec": "runs", **told}
            data = pf.encode(np.arange(len(labels)), labels, label_codec=codec.name, **settings)
            trivial = classes == 1 or len(labels) == 0
            tags = ["label", codec.name, shape] + (["zstd"] if codec.profile == "full" and not trivial else [])
            yield f"label-{codec.name}_{shape}", data, tags, told


def _fibonacci() -> np.ndarray:
    counts = [1, 1]
    while len(counts) < 20:
        counts.append(counts[-1] + counts[-2])
    return np.repeat(np.arange(20), counts)


def _special() -> Iterator[tuple[str, bytes, list[str]]]:
    base = {"pool_size": 500, "num_classes": 3, "profile": "baseline"}
    indices, labels = np.arange(10, 400, 13), np.arange(30) % 3
    names = ["cat", "Katze ä", "猫"]
    metadata = {"task": "demo", "input_size": "224", "mean": "0.5 0.5 0.5", "a": "", "ü": "x"}
    weights = np.exp2(np.linspace(-9, 9, 30))
    soft = [[0.8, 0.1, 0.1], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]]
    fingerprint = bytes(range(1, 17))
    yield "fingerprint", pf.encode(indices, labels, pool_fingerprint=fingerprint, **base), ["fingerprint"]
    yield "class_names", pf.encode(indices, labels, class_names=names, **base), ["class names"]
    yield "class_names_empty", pf.encode(indices, labels, class_names=["", "", ""], **base), ["class names"]
    yield "metadata", pf.encode(indices, labels, metadata=metadata, **base), ["metadata"]
    yield "metadata_largest_value", pf.encode(indices, labels, metadata={"k": "v" * 65530}, **base), ["metadata"]
    yield "weights", pf.encode(indices, labels, weights=weights, **base), ["weights"]
    yield "soft_labels", pf.encode(indices, labels, soft_labels=soft, **base), ["soft labels"]
    every = {"class_names": names, "metadata": metadata, "weights": weights, "soft_labels": soft}
    yield (
        "all_sections",
        pf.encode(indices, labels, pool_fingerprint=fingerprint, extra={0xC0: b"private", 0xDF: b""}, **every, **base),
        ["all sections", "private"],
    )
    private = {kind: bytes([kind]) * 300 for kind in range(0xC0, 0xE0)}
    yield "private_32", pf.encode(indices, labels, extra=private, **base), ["private", "large header"]
    body = [(0x02, b"\x01\x00\x01"), (0x20, b"\x24")]
    content = ([0, 1, 2], [0, 1, 2])
    most = [(0x84 + n, b"x" * 200) for n in range(48)] + [(0xC0 + n, b"") for n in range(23)]
    filler = [*most[:48], *most[48:67]]
    table_room = 255 - 50 - 4
    sections: list[tuple[int, bytes]] = list(body)
    for kind, data in filler:
        cost = 3 if len(data) > 127 else 2
        if table_room >= cost:
            sections.append((kind, data))
            table_room -= cost
    yield "largest_header", assemble(sections, content=content, minor=7), ["large header", "newer minor version"]
    yield "newer_minor_2", assemble([*body, (0x90, b"new")], content=content, minor=2), ["newer minor version"]
    yield "signature_section", assemble([*body, (0xFF, bytes(64))], content=content), ["signature"]
    # parameters that the reference encoder would not choose
    gaps = [4, 0, 9, 30]
    placed = list(np.cumsum(np.array(gaps) + 1) - 1)
    for p in (0, 1, 2, 4, 8, 12, 13, 60, 61, 2**20, 2 * (2**30 - 1)):
        stream = block(gaps, p)
        data = assemble([(0x01, stream), (0x20, b"\xe4")], count=4, content=(placed, [0, 1, 2, 3]))
        yield f"index-golomb_P{p}", data, ["index", "golomb", "parameter"]
    fib = _fibonacci()
    yield (
        "label-huffman_16_bits",
        pf.encode(np.arange(len(fib)), fib, pool_size=20000, num_classes=20, index_codec="runs", label_codec="huffman"),
        ["label", "huffman", "longest code"],
    )
    lanes = np.minimum(_lcg(131072, 4, 21), _lcg(131072, 3, 22))
    spread = np.arange(131072) + np.cumsum(_lcg(131072, 2, 23) * _lcg(131072, 2, 24))
    for k in (65535, 65536, 131072):
        data = pf.encode(
            spread[:k], lanes[:k], pool_size=300_000, num_classes=4, index_codec="rans", label_codec="rans"
        )
        yield f"rans_lanes_{k}", data, ["index", "label", "rans", "lanes"]
    # a table that names a symbol which does not occur is valid
    unused = b"\x03\x00\x07\x02\x00\x03" + (0x00010000 * 4 + 0).to_bytes(4, "little")
    yield (
        "label-rans_unused_symbol",
        assemble([(0x02, b"\x01\x00\x01"), (0x23, unused)], count=1, pool_size=5, content=([0], [0])),
        ["label", "rans"],
    )


def _clustered(count: int) -> tuple[int, np.ndarray, np.ndarray, list[int]]:
    """Pool size, indices, labels of 60 classes, group starts: rates and labels go with the group."""
    sizes = 1 + _lcg(400, 300, 31)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rate = _lcg(400, 1000, 32) ** 3 // 1_000_000
    owner = np.repeat(np.arange(400), sizes)
    indices = np.flatnonzero(_lcg(len(owner), 1000, 33) < rate[owner])[:count]
    usual = _lcg(1600, 60, 34).reshape(400, 4)
    labels = usual[owner[indices], np.minimum(_lcg(len(indices), 4, 35), _lcg(len(indices), 4, 36))]
    return len(owner), indices, labels, starts.tolist()


def _adaptive() -> Iterator[Vector]:
    """Longer streams for the adaptive codecs: counters at their limits, many groups, both modes."""
    for count in (300, 10_000):
        n, indices, labels, starts = _clustered(count)
        for codec in ("adaptive", "adaptive-groups"):
            told = {"groups": starts} if codec == "adaptive-groups" else {}
            settings = {"pool_size": n, "num_classes": 60, "index_codec": codec, "label_codec": codec, **told}
            yield f"{codec}_clustered_{count}", pf.encode(indices, labels, **settings), [codec, "clustered"], told
    n, indices, labels, starts = _clustered(300)
    label_only = {"pool_size": n, "num_classes": 60, "index_codec": "golomb", "label_codec": "adaptive-groups"}
    one = {"groups": [0]}
    yield "adaptive-groups_one", pf.encode(indices, labels, **label_only, **one), ["adaptive-groups"], one
    each = {"groups": list(range(64))}
    half = np.flatnonzero(_lcg(64, 2, 37))
    single = pf.encode(half, half % 5, pool_size=64, num_classes=5, index_codec="adaptive-groups", **each)
    yield "adaptive-groups_of_one_image", single, ["adaptive-groups"], each
    stretch = np.concatenate([np.arange(200), np.arange(5000, 5400), np.arange(90_000, 90_100)])
    still = pf.encode(
        stretch,
        np.repeat([7, 300, 7], [200, 400, 100]),
        pool_size=100_000,
        num_classes=1000,
        index_codec="adaptive",
        label_codec="adaptive",
        class_names=[str(n) for n in range(1000)],
    )
    yield "adaptive_three_stretches", still, ["adaptive", "class names"], {}


def valid_vectors() -> Iterator[Vector]:
    """Every valid file."""
    yield from _index_vectors()
    yield from _label_vectors()
    for name, data, tags in _special():
        yield name, data, tags, {}
    yield from _adaptive()
