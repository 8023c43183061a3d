"""Sending target images themselves: JPEGs of quality 30, packed, as many as fit in as many bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError
from plada_train.decode import decode_pil
from plada_train.sources import ImageSource, LabelledImages

from ..budget import largest_fitting
from .results import BaselineResult, Point, mean_bytes, per_class_of
from .search import smallest_reaching
from .students import HeadStudent

if TYPE_CHECKING:
    from .contest import Contest
    from .students import Student

_END = b"\xff\xd9"


class EncodedImages(ImageSource):
    """Encoded images in memory."""

    def __init__(self, files: Sequence[bytes], spec: str = "images in memory") -> None:
        self.spec, self.files = spec, files

    def __len__(self) -> int:
        return len(self.files)

    def key(self, index: int) -> str:
        return f"{self._check(index):08d}-{hashlib.sha256(self.files[index]).hexdigest()[:12]}"

    def read(self, index: int) -> bytes:
        return self.files[self._check(index)]


def jpeg_images(
    contest: Contest, selection: str = "random", *, quality: int = 30, limit: int = 1000, search: bool = True
) -> BaselineResult:
    """As many labelled target images as fit in the payload's bytes, and the student trained on them.

    Args:
        contest: what is compared; its target needs images, for K-Center also features.
        selection: ``random`` (class after class in turn, ``contest.draws`` draws) or ``kcenter``
            (:func:`k_center_order`).
        quality: of the JPEGs.
        limit: largest count that the search for the payload's accuracy tries.
        search: whether to do that.
    """
    target = contest.target
    if target is None or target.images is None:
        raise UserError("JPEG baselines need the labelled target's images")
    classes = len(contest.student.class_names)
    if selection == "kcenter":
        if target.features is None:
            raise UserError("baseline 'jpeg_kcenter' needs the target's features")
        orders = [k_center_order(target.features, target.labels, classes)]
    else:
        orders = [random_order(target.labels, classes, draw) for draw in range(contest.draws)]
    packs = [_Packs(target.images, order, quality, contest.names_text, classes) for order in orders]
    fitting = [(pack, pack.fitting(contest.budget)) for pack in packs]
    fitting = [(pack, count) for pack, count in fitting if count]
    result = BaselineResult(
        f"jpeg_{selection}",
        f"Target images as JPEG, {'K-Center' if selection == 'kcenter' else 'random'}",
        (),
        bytes=packs[0].size(1),
        count=1,
        fits=False,
        holds=contest.student.holds,
        counted=f"JPEGs of quality {quality}, labels and class names; Zstandard 22 that knows the JPEG header",
        note="not one image fits",
    )
    if fitting:
        count = round(sum(count for _, count in fitting) / len(fitting))
        note = f"{count} image{'s' if count != 1 else ''} fit" + ("" if count != 1 else "s")
        if len(fitting) < len(packs):
            note += f" in {len(fitting)} of {len(packs)} draws"
        # Several draws: one seed each. One order: every seed of the student.
        seeds = range(len(fitting)) if len(packs) > 1 else contest.seeds
        runs = [(*fitting[place % len(fitting)], seed) for place, seed in enumerate(seeds)]
        _look_at(contest.student, [pack for pack, _ in fitting], max(count for _, count in fitting))
        found = [contest.student.fit_images(pack.images(count), seed=seed) for pack, count, seed in runs]
        result = replace(
            result,
            accuracies=tuple(evaluation.accuracy for evaluation in found),
            bytes=mean_bytes([pack.size(count) for pack, count in fitting]),
            count=count,
            fits=True,
            note=note,
            per_class=per_class_of(found[0]),
        )
    if not search:
        return result
    searched = packs[:2]
    top = min(limit, min(len(pack) for pack in searched))

    def measure(count: int) -> Point:
        _look_at(contest.student, searched, count)
        accuracies = [contest.student.fit_images(pack.images(count), seed=0).accuracy for pack in searched]
        size = mean_bytes([pack.size(count) for pack in searched])
        return Point(size, count, sum(accuracies) / len(accuracies))

    start = max(classes, result.count or 1)
    need, curve = smallest_reaching(measure, contest.wanted, start, top)
    return replace(result, needed=need, curve=curve)


class _Packs:
    """The first images of an order, encoded as they are needed."""

    def __init__(
        self, images: LabelledImages, order: NDArray[np.int64], quality: int, names: bytes, num_classes: int
    ) -> None:
        self.source, self.order, self.quality, self.names = images, order, quality, names
        self.num_classes = num_classes
        self.files: list[bytes] = []
        self.labels: list[int] = []
        self._next = 0
        self._sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.order)

    def fill(self, count: int) -> None:
        """Encode until there are ``count``; unusable images are passed over."""
        while len(self.files) < count and self._next < len(self.order):
            place = int(self.order[self._next])
            self._next += 1
            file = to_jpeg(self.source.source.read(place), self.quality)
            if file is not None:
                self.files.append(file)
                self.labels.append(int(self.source.labels[place]))

    def size(self, count: int) -> int:
        if count not in self._sizes:
            self.fill(count)
            packed = pack_jpegs(
                self.files[:count], self.labels[:count], self.num_classes, quality=self.quality, extra=self.names
            )
            self._sizes[count] = len(packed)
        return self._sizes[count]

    def fitting(self, budget: int) -> int:
        """The largest count that fits, 0 if none does."""
        try:
            return largest_fitting(self.size, len(self.order), budget, guess=max(1, budget // 400), window=4)
        except UserError:
            return 0

    def images(self, count: int) -> LabelledImages:
        self.fill(count)
        labels = np.array(self.labels[:count], np.int64)
        return LabelledImages(EncodedImages(self.files[:count], "target JPEGs"), labels, self.source.class_names)


def _look_at(student: Student, packs: list[_Packs], count: int) -> None:
    """Features of the first ``count`` images of all packs in one go, and of the next ones as far as they fill the last
    batch: small requests one by one would mostly compute padding."""
    if not isinstance(student, HeadStudent):
        return
    share = -(-count * len(packs) // student.batch) * student.batch // len(packs)
    files: dict[bytes, None] = {}
    for pack in packs:
        pack.fill(max(count, share))
        files.update(dict.fromkeys(pack.files[: max(count, share)]))
    new = [file for file in files if not student.knows(file)]
    if new:
        student.features(EncodedImages(new, "target JPEGs"))


def to_jpeg(data: bytes, quality: int = 30) -> bytes | None:
    """An image file as JPEG with the standard tables, None if it cannot be decoded."""
    image, _ = decode_pil(data)
    if image is None:
        return None
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def _header(quality: int) -> bytes:
    """What every JPEG of this quality begins with: both sides know it."""
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (16, 16)).save(out, "JPEG", quality=quality)
    return out.getvalue()


def pack_jpegs(
    files: Sequence[bytes], labels: Sequence[int], num_classes: int, *, quality: int = 30, extra: bytes = b""
) -> bytes:
    """Images and labels in one Zstandard frame of level 22 whose dictionary is the JPEG header of that quality, so
    that quantisation and Huffman tables cost next to nothing.

    Layout: ``extra``, then the labels (one byte each, two above 256 classes), then the files; each file ends with its
    own end mark, which cannot occur inside a scan.
    """
    import zstandard

    width = np.uint8 if num_classes <= 256 else np.dtype("<u2")
    body = len(extra).to_bytes(2, "little") + extra + len(files).to_bytes(3, "little")
    body += np.asarray(labels).astype(width).tobytes() + b"".join(files)
    known = zstandard.ZstdCompressionDict(_header(quality), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    compressor = zstandard.ZstdCompressor(
        level=22, dict_data=known, write_checksum=False, write_content_size=False, write_dict_id=False
    )
    return compressor.compress(body)


def unpack_jpegs(data: bytes, num_classes: int, *, quality: int = 30) -> tuple[list[bytes], list[int], bytes]:
    """Files, labels and ``extra`` of :func:`pack_jpegs`."""
    import zstandard

    known = zstandard.ZstdCompressionDict(_header(quality), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    body = zstandard.ZstdDecompressor(dict_data=known).decompressobj().decompress(data)
    start = 2 + int.from_bytes(body[:2], "little")
    extra, count = body[2:start], int.from_bytes(body[start : start + 3], "little")
    width = np.dtype(np.uint8 if num_classes <= 256 else "<u2")
    place = start + 3 + count * width.itemsize
    labels = np.frombuffer(body[start + 3 : place], width).tolist()
    files = []
    for _ in range(count):
        end = body.index(_END, _scan_start(body, place)) + 2
        files.append(body[place:end])
        place = end
    return files, labels, extra


def _scan_start(body: bytes, place: int) -> int:
    """Where the first scan of the JPEG at ``place`` begins: header segments may contain what looks like an end mark."""
    place += 2
    while body[place + 1] != 0xDA:
        place += 2 + int.from_bytes(body[place + 2 : place + 4], "big")
    return place


def random_order(labels: NDArray[np.int64], num_classes: int, seed: int) -> NDArray[np.int64]:
    """All images, class after class in turn, at random within each class: every prefix is balanced as far as it goes.

    Returns:
        int64 (n,).
    """
    rng = np.random.default_rng(seed)
    members = [rng.permutation(np.flatnonzero(labels == c)) for c in range(num_classes)]
    return _in_turn([members[c] for c in rng.permutation(num_classes)])


def k_center_order(features: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """All images, class after class in turn, by greedy K-Center within each class.

    The first of a class is the one nearest to its mean; each next is the one farthest from all before (Euclidean,
    ties to the lower position).

    Returns:
        int64 (n,).
    """
    members = []
    for c in range(num_classes):
        rows = np.flatnonzero(labels == c)
        members.append(rows[_farthest_first(features[rows].astype(np.float64))] if len(rows) else rows)
    return _in_turn(members)


def _farthest_first(points: NDArray[np.float64]) -> NDArray[np.int64]:
    order = np.empty(len(points), np.int64)
    order[0] = ((points - points.mean(0)) ** 2).sum(1).argmin()
    nearest = np.full(len(points), np.inf)
    for place in range(1, len(points)):
        last = points[order[place - 1]]
        np.minimum(nearest, ((points - last) ** 2).sum(1), out=nearest)
        nearest[order[:place]] = -1
        order[place] = nearest.argmax()
    return order


def _in_turn(members: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    keys = [(turn, number, place) for number, rows in enumerate(members) for turn, place in enumerate(rows.tolist())]
    return np.array([place for _, _, place in sorted(keys)], np.int64)
