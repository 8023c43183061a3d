"""How often a pseudo-label is wrong, by how rare it is among its neighbours. True classes serve this analysis alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.atomic import atomic_write
from plada_select.criteria import energy

from .data import LABELS, World, find

#: Folders whose images belong to a class of the target; classes that no folder shows are left out.
FOLDERS = {
    "cifar10": {
        "automobile": "n02814533 n03100240 n03670208 n04285008",
        "bird": "n01855672 n02002724 n02056570 n02058221",
        "cat": "n02123045 n02123394 n02124075",
        "dog": "n02085620 n02094433 n02099601 n02099712 n02106662 n02113799",
        "frog": "n01641577 n01644900",
        "ship": "n03662601 n03447447",
        "truck": "n03796401",
    },
    "caltech101": {
        "barrel": "n02795169",
        "binocular": "n02841315",
        "butterfly": "n02279972 n02281406",
        "cannon": "n02950826",
        "chair": "n04099969",
        "cougar_body": "n02125311",
        "cougar_face": "n02125311",
        "crayfish": "n01984695",
        "dragonfly": "n02268443",
        "elephant": "n02504458",
        "lamp": "n03637318",
        "lobster": "n01983481 n01984695",
        "pizza": "n07873807",
        "scorpion": "n01770393",
        "trilobite": "n01768244",
        "umbrella": "n04507155",
        "watch": "n04328186",
    },
}
BINS = (0.0, 1.0, 2.0, 4.0, 6.0, np.inf)  # bits of surprise
KEEP = (0.01, 0.05, 1.0)  # of each class, lowest energy first


@dataclass(frozen=True)
class LabelRow:
    """Images of one bin.

    Attributes:
        task, groups, keep, low, high: which: target, what the neighbourhood is, share of each class that is looked at,
            bits of surprise of the label among all pool images of its group.
        count: images.
        wrong: of them, with a label whose class their folder does not show.
    """

    task: str
    groups: str
    keep: float
    low: float
    high: float
    count: int
    wrong: int


def surprise(labels: NDArray[np.int64], group: NDArray[np.int64], num_classes: int) -> NDArray[np.float64]:
    """Bits: minus the binary logarithm of the share of an image's label in its group, float64 (N,)."""
    cell = group * num_classes + labels
    size = (int(group.max()) + 1) * num_classes
    share = np.bincount(cell, minlength=size)[cell] / np.bincount(group)[group]
    bits: NDArray[np.float64] = -np.log2(share)
    return bits


def measure(
    task: str, groups: str, logits: NDArray[np.float32], group: NDArray[np.int64], fits: NDArray[np.bool_]
) -> Iterator[LabelRow]:
    """Rows of one target and kind of neighbourhood.

    Args:
        task, groups: their names.
        logits: float32 (N, K), of the teacher.
        group: int64 (N,), group of each pool image.
        fits: bool (N, K), whether the image's folder shows that class.
    """
    labels, classes = logits.argmax(1), logits.shape[1]
    bits, scores = surprise(labels, group, classes), energy(logits)
    shown: NDArray[np.bool_] = np.asarray(fits.any(0))
    wrong: NDArray[np.bool_] = ~fits[np.arange(len(labels)), labels]
    rank = np.empty(len(labels))
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        rank[rows[np.argsort(scores[rows], kind="stable")]] = (np.arange(len(rows)) + 0.5) / max(1, len(rows))
    for keep in KEEP:
        for low, high in pairwise(BINS):
            chosen = shown[labels] & (rank <= keep) & (bits >= low) & (bits < high)
            yield LabelRow(task, groups, keep, low, high, int(chosen.sum()), int(wrong[chosen].sum()))


def run(world: World, path: Path, seed: int = 0) -> list[LabelRow]:
    """Measure and write a CSV file."""
    from .measure import Bench

    with np.load(find(world.data, LABELS)) as arrays:
        folders = [str(name) for name in arrays["wnids"]]
        folder = arrays["label"][: len(world.source)].astype(np.int64)
    rows: list[LabelRow] = []
    for task, shows in FOLDERS.items():
        bench = Bench(world, task, seed)
        fits = np.zeros((len(folders), bench.classes), bool)
        for name, those in shows.items():
            for one in those.split():
                fits[folders.index(one), bench.class_names.index(name)] = True
        logits = bench.logits()[np.argsort(bench.order)]  # shuffled order
        order, starts = world.by_cluster()
        cluster = np.empty(len(order), np.int64)
        cluster[order] = np.searchsorted(starts, np.arange(len(order)), side="right") - 1
        for name, group in (("folder", folder), ("cluster", cluster)):
            rows += measure(task, name, logits, group, fits[folder])
    _write(rows, path)
    return rows


def _write(rows: Sequence[LabelRow], path: Path) -> None:
    names = [field.name for field in fields(LabelRow)]
    lines = [",".join(names)] + [",".join(str(value) for value in asdict(row).values()) for row in rows]
    with atomic_write(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def table(path: Path) -> str:
    """Markdown of that file: share of wrong labels by bin."""
    title = "### Wrong pseudo-labels by surprise among their neighbours\n\n"
    if not path.exists():
        return title + "Not run.\n"
    with open(path, encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    bins = [f"{low:g} to {high:g} bits" if high < np.inf else f"{low:g} and more" for low, high in pairwise(BINS)]
    out = ["| task | neighbours | surest of each class | " + " | ".join(bins) + " | all |",
           "|---|---|---:|" + "---:|" * (len(bins) + 1)]  # fmt: skip
    for key in dict.fromkeys((row["task"], row["groups"], row["keep"]) for row in rows):
        mine = [row for row in rows if (row["task"], row["groups"], row["keep"]) == key]
        counts = [(int(row["count"]), int(row["wrong"])) for row in mine]
        counts.append((sum(count for count, _ in counts), sum(wrong for _, wrong in counts)))
        cells = [f"{100 * wrong / count:.0f} % of {count:,}" if count else "–" for count, wrong in counts]
        out.append(f"| {key[0]} | {key[1]} | {float(key[2]):.0%} | " + " | ".join(cells) + " |")
    return title + "\n".join(out) + "\n"
