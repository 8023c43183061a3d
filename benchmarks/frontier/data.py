"""Pool and tasks of the frontier: features of two frozen backbones, and the pool's orders."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_train.decode import decode_pil
from plada_train.sources import ImageSource

if TYPE_CHECKING:
    from plada_train import Head, Task

TASKS = {
    "pacs_photo": "pacs_photo_64.npz",
    "bccd": "bccd_cells3_64.npz",
    "rsscn7": "rsscn7_64.npz",
    "fashion": "fashion_mnist_6k_28_png.npz",
    "blood": "blood_pbc8_64.npz",
    "caltech101": "caltech101_64.npz",
    "cifar10": "cifar10_12k_webp_lossless.npz",
}
POOL = ("tin64_shard0.npz", "tin64_shard1.npz")
LABELS = "tin64_labels_ANALYSIS_ONLY.npz"  # the folder (wnid) and number of each file: what a folder of images has
TEACHER = ("tf_efficientnet_lite0", "wheel")
STUDENT = ("mobilenetv2_100", "mobilenetv2_100_in1k_features_fp16.safetensors")
INPUT = 128
VIEWED = 10_000  # images of the pool whose mirror images are looked at, too
Floats = NDArray[np.float32]


def find(folder: Path, name: str) -> Path:
    """The file of that name below ``folder``."""
    found = sorted(folder.rglob(name))
    if not found:
        raise SystemExit(f"{folder}: no file named {name}")
    return found[0]


def linear(features: Floats, labels: NDArray[np.int64], num_classes: int, seed: int) -> Head:
    """As ``plada train --recipe head`` trains a linear classifier: teacher and students of the frontier."""
    from plada_train import Recipe, Targets, train_head

    return train_head(features, Targets(labels, num_classes), recipe=Recipe.head(len(labels), seed))


@dataclass
class World:
    """What all tasks share.

    Attributes:
        data: folder with the packed files.
        cache: feature cache folder.
    """

    data: Path
    cache: Path
    threads: int | None = None

    @cached_property
    def models(self) -> dict[str, Any]:
        """The teacher's and the student's frozen backbones."""
        from plada_train import load_model

        weights = str(find(self.data, STUDENT[1]))
        return {
            "teacher": load_model(*TEACHER, num_classes=0, input_size=INPUT),
            "student": load_model(STUDENT[0], weights, num_classes=0, input_size=INPUT),
        }

    @cached_property
    def source(self) -> Any:
        """The pool, shuffled as its files are."""
        from plada_train import open_source

        return open_source("npz:" + ",".join(str(find(self.data, name)) for name in POOL))

    @cached_property
    def pool(self) -> dict[str, Floats]:
        """Features float32 (N, D) of both backbones, in the shuffled order; one file each, read where needed."""
        return {role: self._pool(role) for role in ("teacher", "student")}

    @cached_property
    def mirrored(self) -> Floats:
        """The teacher's features of the first :data:`VIEWED` images of the shuffled pool, mirrored."""
        path = self.cache / "pool-mirrored.npy"
        if not path.exists():
            np.save(path, self._features("teacher", _Mirrored(self.source, VIEWED)))
        return _mapped(path)

    def _pool(self, role: str) -> Floats:
        path = self.cache / f"pool-{role}.npy"
        if not path.exists():
            np.save(path, self._features(role, self.source))
        return _mapped(path)

    @cached_property
    def by_folder(self) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """The order by folder and file number, int64 (N,), and the folders' start offsets, uint32 (G,)."""
        with np.load(find(self.data, LABELS)) as arrays:
            folder = arrays["label"][: len(self.source)].astype(np.int64)
            number = arrays["file_number"][: len(self.source)].astype(np.int64)
        order = np.lexsort((number, folder))
        starts = np.flatnonzero(np.diff(folder[order], prepend=-1))
        return order, starts.astype(np.uint32)

    @cached_property
    def embedding(self) -> Floats:
        """64 principal components of the teacher's backbone, float32 (N, 64), in the shuffled order."""
        path = self.cache / "pool-components.npy"
        if not path.exists():
            from plada_train.clusters import components

            np.save(path, components(self.pool["teacher"]))
        return _mapped(path)

    def by_cluster(self, role: str = "teacher", group_size: int = 256) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """The order by clusters of a backbone's features, and the clusters' start offsets; computed once."""
        path = self.cache / f"order-cluster-{role}-{group_size}.npz"
        if not path.exists():
            from plada_train.clusters import cluster_order

            found = cluster_order(self.pool[role], group_size=group_size)
            np.savez(path, order=found.order, starts=found.starts)
        with np.load(path) as arrays:
            return arrays["order"], arrays["starts"]

    def task(self, name: str, seed: int) -> TaskData:
        """A task with the split of this seed."""
        from plada_train import open_task

        task = open_task(str(find(self.data, TASKS[name])), seed=seed, name=name)
        return TaskData(self, task)

    def _features(self, role: str, source: Any) -> Floats:
        from plada_train import extract_features

        found = extract_features(self.models[role], source, cache=self.cache, threads=self.threads, progress=False)
        return found.values


def _mapped(path: Path) -> Floats:
    found: Floats = np.load(path, mmap_mode="r")
    return found


class _Mirrored(ImageSource):
    """The first images of a source, mirrored, as PNG."""

    def __init__(self, source: Any, count: int) -> None:
        self.spec, self.source, self.count = f"mirrored {source.spec}", source, count

    def __len__(self) -> int:
        return self.count

    def key(self, index: int) -> str:
        return str(self.source.key(index))

    def read(self, index: int) -> bytes:
        from PIL import ImageOps

        image, _ = decode_pil(self.source.read(index))
        assert image is not None, "the pool's images can all be decoded"
        out = io.BytesIO()
        ImageOps.mirror(image).save(out, "PNG", compress_level=1)
        return out.getvalue()


class TaskData:
    """A task and its features: one file each, read where needed."""

    def __init__(self, world: World, task: Task) -> None:
        self.world, self.task = world, task
        self.labels = task.labels

    def split(self, role: str, *names: str) -> tuple[Floats, NDArray[np.int64]]:
        """Features and labels of these splits together, for one backbone."""
        path = self.world.cache / f"task-{self.task.name}-{role}.npy"
        if not path.exists():
            np.save(path, self.world._features(role, self.task.source))
        places = np.concatenate([self.task.positions(name) for name in names])
        return np.load(path, mmap_mode="r")[places], self.labels[places]
