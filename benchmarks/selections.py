"""The selections that every benchmark uses: uniform ones, and the acceptance set of realistic ones.

A realistic selection is drawn from a simulated ImageNet-21K pool of 14,197,114 images in folder order. Embeddings of
synsets diffuse down the WordNet tree, an image is its synset's embedding plus noise, the teacher's logits are scaled
negative squared distances to class centres, the energy is -logsumexp of the logits, and the images of lowest energy
are kept.

    python -m benchmarks.selections            # writes the 147 files of the acceptance set (21 pools; about 3 minutes)
    python -m benchmarks.selections --list

Files lie in ``.cache/selections`` (or ``$PLADA_SELECTIONS``): one ``.npz`` per selection with ``indices`` uint32 and
``labels`` uint16, and ``groups.npy``, the uint32 start offsets of the pool's synsets. Present files are kept, so the
command can be stopped and started again. Random draws are the same everywhere; the last bit of a float32 energy may
depend on the BLAS and the CPU, and so may the choice between images that tie at the cut.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).resolve().parent / "data" / "imagenet21k_synsets.csv.gz"
CHUNK = 400_000  # rows per draw of noise: part of the definition
DIMENSIONS = 16
RHO = 0.9
TEMPERATURE = 6.0
KEEP = (0.001, 0.005, 0.01, 0.05, 0.10)
COUNTS = (100, 1000)
SEEDS = (0, 1, 2)
POOL_SIZE = 14_197_114


@dataclass(frozen=True)
class Synset:
    """One group of the pool: its name, its number of images, the name of its parent ("" if it has none)."""

    name: str
    images: int
    hypernym: str


@dataclass(frozen=True, order=True)
class Setting:
    """Classes, image noise, and where the class centres lie ("far": anywhere, "near": in one region of the tree)."""

    classes: int
    noise: float
    centres: str


@dataclass(frozen=True, order=True)
class Case:
    """One file of the acceptance set: a fraction of the pool, or ``count`` images where that is not 0."""

    setting: Setting
    seed: int
    keep: float
    count: int = 0

    @property
    def name(self) -> str:
        """Name of the file without its suffix; sorts by class count, noise, seed, rate."""
        s = self.setting
        kept = f"k{self.count}" if self.count else f"p{self.keep:.3f}"
        return f"c{s.classes:03d}-n{s.noise:.2f}-{s.centres}-s{self.seed}-{kept}"


@dataclass(frozen=True)
class Selection:
    """What an encoder gets: indices uint32 (k,) increasing, labels uint16 (k,), pool size and number of classes."""

    name: str
    indices: NDArray[np.uint32]
    labels: NDArray[np.uint16]
    pool_size: int
    num_classes: int


ACCEPTANCE = (
    Setting(10, 0.40, "far"),
    Setting(10, 0.60, "far"),
    Setting(37, 0.35, "near"),
    Setting(101, 0.25, "near"),
    Setting(200, 0.25, "near"),
    Setting(200, 0.40, "near"),
    Setting(365, 0.60, "near"),
)


def cases(keep: Sequence[float] = KEEP) -> list[Case]:
    """All files of the acceptance set (105 with every rate), in a fixed order."""
    return [Case(setting, seed, rate) for setting in ACCEPTANCE for seed in SEEDS for rate in keep]


def small_cases(counts: Sequence[int] = COUNTS) -> list[Case]:
    """The small files of the acceptance set (42 with every count), in a fixed order."""
    return [
        Case(setting, seed, (count + 0.5) / POOL_SIZE, count)
        for setting in ACCEPTANCE
        for seed in SEEDS
        for count in counts
    ]


def folder() -> Path:
    """Where the files are cached."""
    return Path(os.environ.get("PLADA_SELECTIONS") or ROOT / ".cache" / "selections")


def read_synsets(path: Path = TABLE) -> list[Synset]:
    """Rows of the synset table in folder order."""
    with gzip.open(path, "rt", newline="") as file:
        return [Synset(row["synset"], int(row["images"]), row["hypernym"]) for row in csv.DictReader(file)]


def group_starts(synsets: Sequence[Synset]) -> NDArray[np.uint32]:
    """Start offset of every synset in the pool, uint32 (number of synsets,)."""
    sizes = np.array([synset.images for synset in synsets], np.int64)
    return (np.cumsum(sizes) - sizes).astype(np.uint32)


def diffuse(synsets: Sequence[Synset], rng: np.random.Generator) -> NDArray[np.float64]:
    """Embedding of every synset, float64 (number of synsets, DIMENSIONS): z = rho * parent + sqrt(1 - rho^2) * noise.

    A parent that is not in the table becomes a root of its own, shared by all who name it.
    """
    row = {synset.name: i for i, synset in enumerate(synsets)}
    embedding: dict[str, NDArray[np.float64]] = {}
    spread = np.sqrt(1 - RHO * RHO)
    for start in synsets:
        chain: list[str] = []
        node = start.name
        while node not in embedding:  # climb to the nearest known ancestor, or to a new root
            chain.append(node)
            up = synsets[row[node]].hypernym
            if up in row and up not in chain:
                node = up
            else:
                node = f"root {up}"
                if node not in embedding:
                    embedding[node] = rng.normal(size=DIMENSIONS)
        for child in reversed(chain):
            embedding[child] = RHO * embedding[node] + spread * rng.normal(size=DIMENSIONS)
            node = child
    return np.stack([embedding[synset.name] for synset in synsets])


def class_centres(synset_z: NDArray[np.float32], setting: Setting, rng: np.random.Generator) -> NDArray[np.float32]:
    """Centres of the target's classes, float32 (classes, DIMENSIONS): jittered embeddings of drawn synsets."""
    if setting.centres == "near":
        around = rng.integers(len(synset_z))
        nearest = np.argsort(((synset_z - synset_z[around]) ** 2).sum(1))[: max(5 * setting.classes, 200)]
        chosen = rng.choice(nearest, setting.classes, replace=len(nearest) < setting.classes)
    else:
        chosen = rng.choice(len(synset_z), setting.classes)
    return np.asarray(synset_z[chosen] + 0.3 * rng.normal(size=(setting.classes, DIMENSIONS)), np.float32)


def score_pool(
    synsets: Sequence[Synset], setting: Setting, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Energy float32 (N,) and best class uint16 (N,) of every image of the simulated pool."""
    rng = np.random.default_rng(seed)
    synset_z = diffuse(synsets, rng).astype(np.float32)
    centres = class_centres(synset_z, setting, rng)
    owner = np.repeat(np.arange(len(synsets), dtype=np.int32), [synset.images for synset in synsets])
    energy = np.empty(len(owner), np.float32)
    label = np.empty(len(owner), np.uint16)
    for start in range(0, len(owner), CHUNK):
        stop = min(start + CHUNK, len(owner))
        noise = rng.standard_normal((stop - start, DIMENSIONS), dtype=np.float32)
        noise *= np.float32(setting.noise)
        noise += synset_z[owner[start:stop]]
        for low, high in _blocks(stop - start, setting.classes):
            energy[start + low : start + high], label[start + low : start + high] = _score(noise[low:high], centres)
    return energy, label


def _blocks(rows: int, classes: int) -> Iterator[tuple[int, int]]:
    """Ranges whose logits stay in the cache; none is short, since BLAS treats small products by another kernel."""
    step = max(2048, 81920 // classes)
    count = max(1, rows // step)
    edges = [step * i for i in range(count)] + [rows]
    yield from pairwise(edges)


def _score(z: NDArray[np.float32], centres: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    logits = 2 * z @ centres.T
    logits -= (centres**2).sum(1)
    logits -= (z**2).sum(1, keepdims=True)
    logits *= np.float32(TEMPERATURE / DIMENSIONS)
    label = logits.argmax(1)
    top = np.take_along_axis(logits, label[:, None], 1)
    logits -= top
    energy = -(top[:, 0] + np.log(np.exp(logits, out=logits).sum(1)))
    return energy, label


def keep_lowest(
    energy: NDArray[np.float32], label: NDArray[np.uint16], keep: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
    """Indices uint32 (increasing) and labels uint16 of the floor(N * keep) images of lowest energy."""
    count = int(len(energy) * keep)
    indices = np.sort(np.argpartition(energy, count)[:count]).astype(np.uint32)
    return indices, label[indices]


def uniform(pool_size: int, count: int, num_classes: int, seed: int = 0) -> Selection:
    """``count`` indices without order or structure, labels uniform over ``num_classes``."""
    rng = np.random.default_rng(seed)
    indices = np.sort(rng.choice(pool_size, count, replace=False, shuffle=False)).astype(np.uint32)
    labels = rng.integers(num_classes, size=count).astype(np.uint16)
    name = f"uniform-N{pool_size}-k{count}-c{num_classes}-s{seed}"
    return Selection(name, indices, labels, pool_size, num_classes)


def load(case: Case) -> Selection:
    """One file of the acceptance set from the cache.

    Raises:
        FileNotFoundError: it has not been generated yet; the message names the command.
    """
    path = folder() / f"{case.name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; run: python -m benchmarks.selections")
    with np.load(path) as data:
        return Selection(case.name, data["indices"], data["labels"], POOL_SIZE, case.setting.classes)


def load_groups() -> NDArray[np.uint32]:
    """Start offsets of the synsets, uint32 (21841,)."""
    return group_starts(read_synsets())


def _save(path: Path, write: str, **arrays: NDArray[np.generic]) -> None:
    """Write a .npz (or a single .npy) whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            if write == "npy":
                np.save(file, next(iter(arrays.values())))
            else:
                np.savez(file, **arrays)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def generate(keep: Sequence[float] = KEEP, counts: Sequence[int] = COUNTS) -> None:
    """Write every missing file of the acceptance set; all settings with seed 0 come first."""
    target = folder()
    target.mkdir(parents=True, exist_ok=True)
    synsets = read_synsets()
    _save(target / "groups.npy", "npy", groups=group_starts(synsets))
    for seed in SEEDS:
        for setting in ACCEPTANCE:
            here = [c for c in (*cases(keep), *small_cases(counts)) if (c.setting, c.seed) == (setting, seed)]
            missing = [case for case in here if not (target / f"{case.name}.npz").exists()]
            if not missing:
                continue
            began = time.perf_counter()
            energy, label = score_pool(synsets, setting, seed)
            for case in missing:
                indices, labels = keep_lowest(energy, label, case.keep)
                _save(target / f"{case.name}.npz", "npz", indices=indices, labels=labels)
            print(f"{setting} seed {seed}: {len(missing)} files, {time.perf_counter() - began:.0f} s", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m benchmarks.selections``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.selections", description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the names of all files and whether they are there")
    arguments = parser.parse_args(argv)
    if arguments.list:
        for case in (*cases(), *small_cases()):
            print(case.name, "present" if (folder() / f"{case.name}.npz").exists() else "missing")
        return 0
    generate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
