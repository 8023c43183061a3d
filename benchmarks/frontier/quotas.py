"""Class quotas from learning curves, against equal ones. The target's images outside the test split say which class
gains by more images; files of as many images, coded alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

import plada_format as pf
from plada_format.engines.adaptive import compile_kernels
from plada_select.rehearsal.turns import MOST_CLASSES, exchange
from plada_select.safety_net import quotas
from plada_select.select import Ranking, Selection

from .curves import Curve, envelope
from .data import World, linear
from .measure import Bench

PER_CLASS = (4, 16, 64)  # mean images per class of the files compared
AHEAD = 4  # learning curves go to this multiple of the mean: what is rehearsed costs no bytes
EQUAL, CURVES, TURNS = "equal", "by each class's learning curve", "turned as a rehearsal does"
AGAIN = "turned twice"
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class QuotaRow:
    """One student.

    Attributes:
        task, seed, kind, per_class: which.
        count, bytes: images and bytes of the file without class names; folder order with its groups.
        judged: accuracy on the target's images outside the test split, which also chose the quotas.
        test: accuracy.
    """

    task: str
    seed: int
    kind: str
    per_class: int
    count: int
    bytes: int
    judged: float
    test: float


class Learner:
    """Students of one task and seed on given class quotas, lowest energy first in each class.

    Args:
        bench: of the task and seed.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ranking: Ranking = bench.ranking("equal quotas")
        self.available: Ints = self.ranking.class_counts
        parts = [bench.judged["train"], bench.judged["val"]]
        self.features = np.concatenate([features for features, _ in parts])
        self.labels = np.concatenate([labels for _, labels in parts])
        self.share: Floats = np.bincount(self.labels, minlength=bench.classes) / len(self.labels)

    def select(self, quota: Ints) -> Selection:
        """The first images of every class."""
        keys = self.ranking.class_heads(quota)
        indices = np.sort((keys & np.uint64(0xFFFFFFFF)).astype(np.uint32))
        return Selection(indices, self.ranking.labels[indices])

    def recalls(self, quota: Ints) -> tuple[Floats, float]:
        """Share of each class's judged images that a student gets right, and its test accuracy."""
        bench, kept = self.bench, self.select(quota)
        features = bench.world.pool["student"][bench.order[kept.indices]]
        head = linear(features, kept.labels.astype(np.int64), bench.classes, bench.seed)
        right = head.logits(self.features).argmax(1) == self.labels
        sizes = np.maximum(np.bincount(self.labels, minlength=bench.classes), 1)
        features, labels = bench.judged["test"]
        test = float((head.logits(features).argmax(1) == labels).mean())
        return np.bincount(self.labels, right, bench.classes) / sizes, test

    def judged(self, quota: Ints) -> float:
        """Accuracy on the judged images."""
        return float(self.recalls(quota)[0] @ self.share)

    def row(self, kind: str, per_class: int, quota: Ints) -> QuotaRow:
        """Select, encode, train, judge."""
        bench, kept = self.bench, self.select(quota)
        found, test = self.recalls(quota)
        size = len(
            pf.encode(kept.indices, kept.labels, pool_size=len(bench.order), num_classes=bench.classes,
                      pool_fingerprint=bytes([0x5E]) * 16, profile="compact", groups=bench.starts)
        )  # fmt: skip
        return QuotaRow(bench.name, bench.seed, kind, per_class, len(kept), size, float(found @ self.share), test)


def by_curves(levels: Sequence[int], recalls: Floats, share: Floats, available: Ints, total: int) -> Ints:
    """Quotas that gain most by the classes' own learning curves, each made concave.

    Args:
        levels: images per class at which the students were judged, from 1, rising.
        recalls: float64 (levels, K).
        share: float64 (K,), each class's part of the judged images.
        available: int64 (K,), pool images per class.
        total: images to give out; at most as many as there are.

    Returns:
        int64 (K,), sum ``total``; every class that has an image gets one, if the total allows it.
    """
    quota = np.minimum(available, 1)
    steps: list[tuple[float, int, int]] = []  # gain of an image, class, images
    for one in range(len(share)):
        known: Curve = envelope(
            (float(min(level, available[one])), float(value))
            for level, value in zip(levels, recalls[:, one], strict=True)
        )
        while len(known) > 1:  # the upper hull, from the left
            here = known[0]
            at = max(range(1, len(known)), key=lambda i: (known[i][1] - here[1]) / max(known[i][0] - here[0], 1e-9))
            images = int(known[at][0] - here[0])
            if images:
                steps.append((share[one] * (known[at][1] - here[1]) / images, one, images))
            known = known[at:]
    for _, one, images in sorted(steps, key=lambda step: (-step[0], step[1])):
        images = min(images, int(available[one] - quota[one]), total - int(quota.sum()))
        quota[one] += max(0, images)
    while quota.sum() < total:  # beyond what was rehearsed: to the smallest
        quota[min(np.flatnonzero(quota < available), key=lambda one: quota[one])] += 1
    return quota


def by_turns(learner: Learner, quota: Ints) -> Ints:
    """As a rehearsal turns quotas: every class doubled and halved alone, then
    :func:`plada_select.rehearsal.turns.exchange`. The number of images stays."""
    base = learner.judged(quota)

    def gain(one: int, count: int) -> float:
        return learner.judged(np.where(np.arange(len(quota)) == one, count, quota)) - base

    doubled = {one: gain(one, min(2 * q, int(learner.available[one]))) for one, q in enumerate(quota) if q}
    halved = {one: gain(one, q // 2) for one, q in enumerate(quota) if q > 1}
    factors = exchange(quota.tolist(), learner.available.tolist(), doubled, halved)
    weights = [int(q * 2 * factors.get(one, Decimal(1))) for one, q in enumerate(quota)]
    return quotas(learner.available, int(quota.sum()), weights)


def read(path: Path) -> list[QuotaRow]:
    """Rows that :func:`run` wrote; a last line that is not whole is passed over."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [QuotaRow(**json.loads(line)) for line in lines if line.endswith("\n")]


def run(world: World, path: Path, tasks: Sequence[str], seeds: Sequence[int]) -> None:
    """Every task, seed and size that has no rows yet; their rows come together."""
    compile_kernels()
    known = {(row.task, row.seed, row.per_class) for row in read(path)}
    for seed, task in product(seeds, tasks):
        if all((task, seed, per_class) in known for per_class in PER_CLASS):
            continue
        learner = Learner(Bench(world, task, seed))
        curves: dict[int, Floats] = {}
        for per_class in PER_CLASS:
            if (task, seed, per_class) in known:
                continue
            equal = learner.ranking.quotas(per_class * learner.bench.classes)
            assert equal is not None, "equal quotas have quotas"
            levels = [2**power for power in range((per_class * AHEAD).bit_length())]
            for level in levels:
                if level not in curves:
                    curves[level] = learner.recalls(np.minimum(learner.available, level))[0]
            recalls = np.stack([curves[level] for level in levels])
            found = {EQUAL: equal, CURVES: by_curves(levels, recalls, learner.share, learner.available, equal.sum())}
            if learner.bench.classes <= MOST_CLASSES:
                found[TURNS] = by_turns(learner, equal)
                found[AGAIN] = by_turns(learner, found[TURNS])
            rows = [learner.row(kind, per_class, quota) for kind, quota in found.items()]
            with open(path, "a", encoding="utf-8") as file:
                file.write("".join(json.dumps(asdict(row)) + "\n" for row in rows))
            print("\n".join(map(str, rows)), flush=True)


def table(path: Path) -> str:
    """Markdown: points over equal quotas with as many images, and the bytes over theirs."""
    title = "### Class quotas from learning curves\n\n"
    rows = read(path)
    if not rows:
        return title + "Not run.\n"
    tasks = list(dict.fromkeys(row.task for row in rows))
    out = ["| quotas | images per class | " + " | ".join(tasks) + " | mean | bytes | on the judging images |",
           "|---|---:|" + "---:|" * (len(tasks) + 3)]  # fmt: skip
    for kind, per_class in product((CURVES, TURNS, AGAIN), PER_CLASS):
        cells, gains, sizes, seen = [], [], [], []
        for task in tasks:
            pairs = [(own, other) for own in rows for other in rows
                     if (own.kind, other.kind) == (kind, EQUAL) and own.per_class == other.per_class == per_class
                     and own.task == other.task == task and own.seed == other.seed]  # fmt: skip
            if not pairs:
                cells.append("–")
                continue
            gains.append(fmean(100 * (own.test - other.test) for own, other in pairs))
            seen.append(fmean(100 * (own.judged - other.judged) for own, other in pairs))
            sizes.append(fmean(own.bytes / other.bytes for own, other in pairs))
            cells.append(f"{gains[-1]:+.1f}")
        if gains:
            out.append(f"| {kind} | {per_class} | " + " | ".join(cells) +
                       f" | **{fmean(gains):+.1f}** | {fmean(sizes):.2f} | {fmean(seen):+.1f} |")  # fmt: skip
    note = f"Points of test accuracy over equal quotas with as many images; seeds: {_seeds(rows)}."
    return f"{title}" + "\n".join(out) + f"\n\n{note}\n"


def _seeds(rows: Sequence[QuotaRow]) -> str:
    return ", ".join(str(seed) for seed in sorted({row.seed for row in rows}))
