"""Whether images of the test set lie in the pool, exactly or nearly: then the student would learn from them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plada_train.decode import decode_pil
from plada_train.sources import ImageSource

THRESHOLD = 6
_PAIRS_AT_ONCE = 1 << 22
_SHOWN = 200
_SLICE = 64


@dataclass(frozen=True)
class Leakage:
    """Pool images that are, or look like, test images.

    Attributes:
        pool_count, test_count: images compared (decodable ones).
        exact: int64 (e, 2): (pool index, test position) with the same pixels after decoding.
        near: int64 (m, 3): the same and the larger Hamming distance of the two perceptual hashes, nearest first.
        threshold: largest distance that counts as near, of 64 bits.
        closest: distance of the nearest pair that is not exact, whatever the threshold; None without any.
        kept: how many of the flagged pool images the payload keeps; None if not told.
        flat: images too plain to compare (nearly one colour).
    """

    pool_count: int
    test_count: int
    exact: NDArray[np.int64]
    near: NDArray[np.int64]
    threshold: int = THRESHOLD
    closest: int | None = None
    kept: int | None = None
    flat: Mapping[str, int] = field(default_factory=dict)

    @property
    def pool_indices(self) -> NDArray[np.int64]:
        """Flagged pool images, rising."""
        return np.unique(np.concatenate([self.exact[:, 0], self.near[:, 0]]))

    def to_json(self) -> dict[str, Any]:
        """Counts, and at most 200 pairs of each kind."""
        return {
            "pool_count": self.pool_count,
            "test_count": self.test_count,
            "threshold": self.threshold,
            "closest": self.closest,
            "kept": self.kept,
            "flat": dict(self.flat),
            "exact_pairs": len(self.exact),
            "near_pairs": len(self.near),
            "test_images": len(np.unique(np.concatenate([self.exact[:, 1], self.near[:, 1]]))),
            "exact": self.exact[:_SHOWN].tolist(),
            "near": self.near[:_SHOWN].tolist(),
        }


def leakage_check(
    pool: ImageSource,
    test: ImageSource,
    *,
    threshold: int = THRESHOLD,
    kept: Iterable[int] | NDArray[np.integer] | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> Leakage:
    """Compare every pool image with every test image.

    Exact: SHA-256 of size and pixels after decoding, so another encoding of the same pixels is found. Near: both
    perceptual hashes (difference hash and DCT hash, 64 bits each, of the grey image) differ in at most ``threshold``
    bits; that finds other sizes and re-encoded copies, not crops or mirrored ones. An image that is nearly one colour
    has no hash worth comparing; such are counted.

    Args:
        pool, test: images; those that cannot be decoded are left out.
        threshold: bits of 64.
        kept: pool indices of the payload.
        threads: that decode; by default the usable cores.
        progress: show a bar.
    """
    from plada_train.loader import progress_bar, usable_cores

    with progress_bar(len(pool) + len(test), "duplicates", show=progress) as bar:
        ours = _hash_all(pool, threads or usable_cores(), bar)
        theirs = _hash_all(test, threads or usable_cores(), bar)
    exact = _same(ours, theirs)
    near, closest = _near(ours, theirs, threshold, {(int(a), int(b)) for a, b in exact})
    found = Leakage(
        int(ours.usable.sum()),
        int(theirs.usable.sum()),
        exact,
        near,
        threshold,
        closest,
        None,
        {"pool": int((ours.usable & ours.flat).sum()), "test": int((theirs.usable & theirs.flat).sum())},
    )
    if kept is None:
        return found
    chosen = np.asarray(list(kept) if not isinstance(kept, np.ndarray) else kept, np.int64)
    return Leakage(**{**found.__dict__, "kept": int(np.isin(found.pool_indices, chosen).sum())})


@dataclass(frozen=True)
class _Hashes:
    pixels: list[bytes]
    difference: NDArray[np.uint64]
    cosine: NDArray[np.uint64]
    flat: NDArray[np.bool_]
    usable: NDArray[np.bool_]


def _hash_all(source: ImageSource, threads: int, bar: Any) -> _Hashes:
    def one(index: int) -> tuple[bytes, int, int, bool]:
        try:
            image, _ = decode_pil(source.read(index))
        except OSError:
            image = None
        if image is None:
            return b"", 0, 0, True
        mark = hashlib.sha256(f"{image.width}x{image.height}".encode() + image.tobytes()).digest()
        return (mark, *perceptual_hashes(image))

    def some(start: int) -> list[tuple[bytes, int, int, bool]]:
        return [one(index) for index in range(start, min(start + _SLICE, len(source)))]

    rows: list[tuple[bytes, int, int, bool]] = []
    with ThreadPoolExecutor(threads) as workers:
        for part in workers.map(some, range(0, len(source), _SLICE)):
            rows += part
            bar.update(len(part))
    columns = list(zip(*rows)) if rows else [(), (), (), ()]
    pixels = list(columns[0])
    usable = np.array([bool(mark) for mark in pixels], bool)
    return _Hashes(
        pixels,
        np.array(columns[1], np.uint64),
        np.array(columns[2], np.uint64),
        np.array(columns[3], bool),
        usable,
    )


def perceptual_hashes(image: Image.Image) -> tuple[int, int, bool]:
    """(difference hash, DCT hash, flat) of an RGB image.

    Difference hash: the grey image at 9 x 8 pixels, one bit for each pixel that is darker than its right neighbour.
    DCT hash: at 32 x 32 pixels, the 8 x 8 lowest frequencies but for the mean, one bit for each above their median.
    Flat: the 9 x 8 image spans fewer than 16 of 256 grey levels.
    """
    grey = image.convert("L")
    small = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    difference = _bits((small[:, 1:] > small[:, :-1]).ravel())
    large = np.asarray(grey.resize((32, 32), Image.Resampling.BOX), np.float32)
    basis = _cosines()
    low = (basis @ large @ basis.T).ravel()
    cosine = _bits(low > np.median(low[1:]))
    return difference, cosine, int(small.max()) - int(small.min()) < 16


def _bits(flags: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(flags).tobytes(), "big")


@cache
def _cosines() -> NDArray[np.float32]:
    places = (np.arange(32) + 0.5) * np.pi / 32
    return np.cos(np.arange(8)[:, None] * places[None, :]).astype(np.float32)


def _same(ours: _Hashes, theirs: _Hashes) -> NDArray[np.int64]:
    where: dict[bytes, list[int]] = {}
    for index, mark in enumerate(ours.pixels):
        if mark:
            where.setdefault(mark, []).append(index)
    pairs = [(i, position) for position, mark in enumerate(theirs.pixels) if mark for i in where.get(mark, ())]
    return np.array(sorted(pairs), np.int64).reshape(-1, 2)


def _near(
    ours: _Hashes, theirs: _Hashes, threshold: int, exact: set[tuple[int, int]]
) -> tuple[NDArray[np.int64], int | None]:
    """Pairs within the threshold, and the smallest distance of all pairs that are not exact."""
    left, right = (np.flatnonzero(side.usable & ~side.flat) for side in (ours, theirs))
    rows: list[NDArray[np.int64]] = []
    closest: int | None = None
    if not left.size or not right.size:
        return np.zeros((0, 3), np.int64), None
    step = max(1, _PAIRS_AT_ONCE // len(right))
    for start in range(0, len(left), step):
        part = left[start : start + step]
        distance = np.maximum(
            popcount(ours.difference[part][:, None] ^ theirs.difference[right][None, :]),
            popcount(ours.cosine[part][:, None] ^ theirs.cosine[right][None, :]),
        )
        limit = max(threshold, int(distance.min()))
        for a, b in np.argwhere(distance <= limit).tolist():
            pair = (int(part[a]), int(right[b]))
            if pair in exact:
                continue
            value = int(distance[a, b])
            closest = value if closest is None else min(closest, value)
            if value <= threshold:
                rows.append(np.array([*pair, value], np.int64))
    found = np.array(rows, np.int64).reshape(-1, 3)
    return found[np.lexsort((found[:, 1], found[:, 0], found[:, 2]))], closest


def popcount(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Bits set in each of ``values``."""
    if hasattr(np, "bitwise_count"):
        counted: NDArray[np.uint8] = np.bitwise_count(values)
        return counted
    table = np.array([bin(i).count("1") for i in range(65_536)], np.uint8)
    halves = np.ascontiguousarray(values).view(np.uint16).reshape(*values.shape, 4)
    total: NDArray[np.uint8] = table[halves].sum(-1, dtype=np.uint8)
    return total
