"""What else could be sent in as many bytes, for the same student: its classifier in few bits, target images, or
distilled ones."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plada_select.baselines.jpeg import EncodedImages, k_center_order, pack_jpegs, random_order, to_jpeg
from plada_select.baselines.weights import PoolBasis, compress, quantise_rows
from plada_train import Head, extract_features

from . import distilled
from .data import TaskData, World, linear

COMPONENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
LEVELS = {8: 127, 4: 7, 3: 3}  # largest magnitude by bits
BASIS_IMAGES = 2048  # pool images from which both sides compute the components
QUALITY = 30
PROBE, JPEG_RANDOM, JPEG_CENTRE, DISTILLED = "linear probe", "JPEG, random", "JPEG, k-center", "distilled images"
KINDS = (PROBE, JPEG_RANDOM, JPEG_CENTRE, DISTILLED)
FEW = 50  # classes: one image for each of more takes hours to distil, and more bytes than are compared
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class OtherRow:
    """One thing sent in place of a payload.

    Attributes:
        task, seed, kind: which.
        policy: how: bits of a weight, or the quality of the JPEGs.
        count: principal components, or images.
        bytes: of all that is sent, without container and class names.
        val, test: the linear student's accuracies.
    """

    task: str
    seed: int
    kind: str
    policy: str
    count: int
    bytes: int
    val: float
    test: float

    @property
    def judged(self) -> float:
        """The training images gave the probe its weights, and the JPEGs are some of them: validation images alone."""
        return self.val


def read(path: Path) -> list[OtherRow]:
    """Rows that :func:`run` wrote; a last line that is not whole is passed over."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [OtherRow(**json.loads(line)) for line in lines if line.endswith("\n")]


def run(world: World, path: Path, tasks: Sequence[str], seeds: Sequence[int], largest: int) -> None:
    """Every task, seed and kind that has no row yet; a kind's rows come together."""
    known = {(row.task, row.seed, row.kind) for row in read(path)}
    basis = PoolBasis(np.asarray(world.pool["student"][:BASIS_IMAGES]))
    for seed in seeds:
        for task in tasks:
            for kind in KINDS:
                if (task, seed, kind) in known:
                    continue
                data = world.task(task, seed)
                if kind == PROBE:
                    rows = list(probes(data, seed, basis))
                elif kind == DISTILLED:
                    rows = list(distilled_images(data, seed) if data.task.num_classes <= FEW else ())
                else:
                    rows = list(jpegs(data, seed, kind, largest))
                with open(path, "a", encoding="utf-8") as file:
                    file.write("".join(json.dumps(asdict(row)) + "\n" for row in rows))
                best = max(rows, key=lambda row: row.test, default=None)
                print(f"{task} {seed} {kind}: {len(rows)} rows, best {best}", flush=True)


def probes(data: TaskData, seed: int, basis: PoolBasis) -> Iterator[OtherRow]:
    """The student's linear classifier, trained on the target's training images, on the first principal components of
    the pool's features (both sides can compute them), and on all features; with few bits a weight."""
    features = {name: data.split("student", name) for name in ("train", "val", "test")}
    projected = {name: (basis.project(values), labels) for name, (values, labels) in features.items()}
    classes = data.task.num_classes
    for count in (*COMPONENTS, basis.rank):
        given = {name: (values[:, :count], labels) for name, (values, labels) in projected.items()}
        head = linear(*given["train"], classes, seed)
        for bits, top in LEVELS.items():
            size, received = pack(head, top)
            right = {name: _accuracy(received, *given[name]) for name in ("val", "test")}
            yield OtherRow(data.task.name, seed, PROBE, f"{bits} bits", count, size, **right)


def pack(head: Head, top: int) -> tuple[int, Head]:
    """A linear head with weights of at most ``top`` in magnitude, a float16 scale and bias per class: bytes after
    Zstandard 22, and the head as received."""
    weight, bias = head.layers[0]
    divisor = max(float(np.abs(weight).max()), float(np.abs(bias).max()) / 1000, 1e-30)  # logits may be scaled
    weight, small = weight / divisor, (bias / divisor).astype(np.float16)
    if top == 127:
        packed = quantise_rows(weight)
        values, scales = packed.values, packed.scales
    else:
        scales = np.maximum(np.abs(weight).max(1) / top, 1e-7).astype(np.float16)
        values = np.clip(np.rint(weight / scales.astype(np.float32)[:, None]), -top, top).astype(np.int8)
    received = values.astype(np.float32) * scales.astype(np.float32)[:, None]
    size = len(compress(values.tobytes() + scales.tobytes() + small.tobytes()))
    return size, Head(((received, small.astype(np.float32)),))


def jpegs(data: TaskData, seed: int, kind: str, largest: int) -> Iterator[OtherRow]:
    """Target training images of quality 30, class after class in turn: at random, or the most typical first and then
    the furthest from those (k-center). From one image per class on, or from the most that fits if that is fewer."""
    classes = data.task.num_classes
    places = data.task.positions("train")
    values, labels = data.split("student", "train")
    order = random_order(labels, classes, seed) if kind == JPEG_RANDOM else k_center_order(values, labels, classes)
    files: list[bytes] = []
    given: list[int] = []

    def size(count: int) -> int:
        while len(files) < min(count, len(order)):
            at = int(order[len(files)])
            file = to_jpeg(data.task.source.read(int(places[at])), QUALITY)
            assert file is not None, "the tasks' images can all be decoded"
            files.append(file)
            given.append(int(labels[at]))
        return len(pack_jpegs(files[:count], given[:count], classes, quality=QUALITY))

    count = classes
    while count > 1 and size(count) > largest:
        count //= 2
    while count <= len(order) and size(count) <= largest:
        right = _judge(data, seed, files[:count], given[:count])
        yield OtherRow(data.task.name, seed, kind, f"quality {QUALITY}", count, size(count), **right)
        count *= 2


def distilled_images(data: TaskData, seed: int) -> Iterator[OtherRow]:
    """One distilled image per class, as JPEGs of each quality."""
    classes = data.task.num_classes
    labels = list(range(classes))
    for quality, files in distilled.files(data, seed):
        size, right = len(pack_jpegs(files, labels, classes, quality=quality)), _judge(data, seed, files, labels)
        yield OtherRow(data.task.name, seed, DISTILLED, f"quality {quality}", classes, size, **right)


def _judge(data: TaskData, seed: int, files: Sequence[bytes], labels: Sequence[int]) -> dict[str, float]:
    """The student's accuracies, trained on these files."""
    world, source = data.world, EncodedImages(files, "JPEGs")
    found = extract_features(world.models["student"], source, cache=world.cache, threads=world.threads, progress=False)
    head = linear(found.values, np.array(labels, np.int64), data.task.num_classes, seed)
    return {name: _accuracy(head, *data.split("student", name)) for name in ("val", "test")}


def _accuracy(head: Head, features: Floats, labels: NDArray[np.int64]) -> float:
    return float((head.logits(features).argmax(1) == labels).mean())
