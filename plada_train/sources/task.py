"""Labelled datasets: images, labels, class names, and a train/validation/test split that is the same on every
machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .base import ImageSource, SubsetSource
from .folder import FolderSource
from .packed import PackedSource, read_packed_labels
from .parquet import ParquetSource, read_labels
from .paths import expand, is_folder, list_folder, stem

TRAIN, TEST, VAL = 0, 1, 2
_SPLIT_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "test": TEST,
    "testing": TEST,
    "val": VAL,
    "valid": VAL,
    "validation": VAL,
}


@dataclass(frozen=True)
class LabelledImages:
    """Images with one label each.

    Attributes:
        source: n images.
        labels: int64 (n,), 0 <= label < len(class_names).
        class_names: one per class.
    """

    source: ImageSource
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        labels = np.asarray(self.labels, np.int64)
        object.__setattr__(self, "labels", labels)
        if labels.shape != (len(self.source),):
            raise UserError(f"{self.source.spec}: {len(self.source)} images but labels of shape {labels.shape}")
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise UserError(f"{self.source.spec}: labels must lie between 0 and {len(self.class_names) - 1}")

    def __len__(self) -> int:
        return len(self.source)

    def subset(self, positions: NDArray[np.integer]) -> LabelledImages:
        """The images at ``positions``."""
        places = np.asarray(positions, np.int64)
        return LabelledImages(SubsetSource(self.source, places), self.labels[places], self.class_names)


@dataclass(frozen=True)
class Task:
    """A labelled dataset with its split.

    Attributes:
        name: short name.
        source: all images.
        labels: int64 (n,).
        class_names: one per class.
        split_of: uint8 (n,): 0 train, 1 test, 2 validation.
    """

    name: str
    source: ImageSource
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    split_of: NDArray[np.uint8]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def has(self, split: str) -> bool:
        """Whether ``train``, ``val`` or ``test`` has images."""
        return bool((self.split_of == {"train": TRAIN, "val": VAL, "test": TEST}[split]).any())

    def positions(self, split: str) -> NDArray[np.int64]:
        """Positions in :attr:`source` of ``train``, ``val``, ``test`` or ``trainval``.

        Raises:
            UserError: no such split, or it is empty.
        """
        wanted = {"train": (TRAIN,), "val": (VAL,), "test": (TEST,), "trainval": (TRAIN, VAL)}.get(split)
        if wanted is None:
            raise UserError(f"no split {split!r}: choose train, val, test or trainval")
        found = np.flatnonzero(np.isin(self.split_of, wanted))
        if not found.size:
            raise UserError(f"{self.source.spec}: the split {split!r} is empty")
        return found

    def split(self, name: str) -> LabelledImages:
        """The images of ``train``, ``val``, ``test`` or ``trainval`` (train and val together)."""
        found = self.positions(name)
        return LabelledImages(SubsetSource(self.source, found), self.labels[found], self.class_names)


def open_task(spec: str, *, val_fraction: float = 0.2, seed: int = 0, name: str | None = None) -> Task:
    """Open a labelled dataset.

    - a folder with ``train/``, ``test/`` and perhaps ``val/``, class folders inside; or class folders alone (all
      train);
    - Parquet files of the Hugging Face layout: split from the file name (``train-*.parquet``), column ``label``;
    - packed npz with ``labels``, ``names`` and ``split`` (0 train, 1 test, 2 validation).

    Where the data has no validation split, ``val_fraction`` of the training images of each class becomes one
    (:func:`stratified_holdout`).

    Args:
        spec: as for ``open_source``: ``folder:``, ``parquet:``, ``npz:``, the prefix being optional.
        val_fraction: share of each class, 0 (no validation split) up to 0.9.
        seed: of the validation split.
        name: name of the task; by default from the file name.

    Raises:
        UserError: nothing there, no labels, no class, no training image.
    """
    from .spec import split_spec

    if not 0 <= val_fraction <= 0.9:
        raise UserError(f"the validation share must lie between 0 and 0.9, not {val_fraction}")
    kind, rest = split_spec(spec)
    if kind == "folder":
        task = _from_folder(rest)
    elif kind == "parquet":
        task = _from_parquet(rest)
    elif kind == "npz":
        task = _from_packed(rest)
    else:
        raise UserError(f"{spec}: a labelled dataset is an image folder, Parquet or packed npz, not {kind}")
    if not (task.split_of == TRAIN).any():
        raise UserError(f"{spec}: no training image")
    split_of = task.split_of.copy()
    if val_fraction and not (split_of == VAL).any():
        train = np.flatnonzero(split_of == TRAIN)
        split_of[train[stratified_holdout(task.labels[train], val_fraction, seed)]] = VAL
    short = name or stem(rest.split(",")[0].rstrip("/"))
    return dataclasses.replace(task, split_of=split_of, name=short)


def stratified_holdout(labels: NDArray[np.integer], fraction: float, seed: int) -> NDArray[np.int64]:
    """Positions of a held-out part: in each class the ``round(fraction * n)`` images of smallest hash of (seed,
    position).

    A class of two images or more gives at least one and keeps at least one; a single image stays in training.

    Returns:
        int64, rising. The same on every machine and numpy version.
    """
    held: list[NDArray[np.int64]] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) < 2:
            continue
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        marks = [hashlib.sha256(f"plada holdout {seed} {member}".encode()).digest() for member in members.tolist()]
        held.append(members[sorted(range(len(members)), key=marks.__getitem__)[:count]])
    return np.sort(np.concatenate(held)).astype(np.int64) if held else np.zeros(0, np.int64)


def _from_folder(root: str) -> Task:
    source = FolderSource(root)
    parts = [source.key(index).split("/") for index in range(len(source))]
    words = {part[0].lower() for part in parts}
    has_splits = bool(words & {"train", "training"})
    depth = 1 if has_splits else 0
    kept: list[int] = []
    classes: list[str] = []
    split_of: list[int] = []
    for index, part in enumerate(parts):
        split = _SPLIT_WORDS.get(part[0].lower()) if has_splits else TRAIN
        if (
            split is None or len(part) < depth + 2
        ):  # another folder beside train/, or an image outside the class folders
            continue
        kept.append(index)
        classes.append(part[depth])
        split_of.append(split)
    if not kept:
        raise UserError(
            f"{root}: no class folders with images (expected train/<class>/ and test/<class>/, or <class>/)"
        )
    names = tuple(sorted(set(classes), key=str.encode))
    position = {name: place for place, name in enumerate(names)}
    labels = np.array([position[name] for name in classes], np.int64)
    chosen: ImageSource = source if len(kept) == len(source) else SubsetSource(source, kept)
    return Task("", chosen, labels, names, np.array(split_of, np.uint8))


def _from_parquet(files: str) -> Task:
    if is_folder(files) and not any(path.endswith(".parquet") for path in list_folder(files)):
        inner = f"{files.rstrip('/')}/data"  # a Hugging Face repository
        files = inner if is_folder(inner) else files
    paths = [path for path in expand(files, (".parquet",)) if _split_of_file(path) is not None]
    if not paths:
        paths = expand(files, (".parquet",))
    source = ParquetSource(",".join(paths))
    labels, names = read_labels(source)
    split_of = np.zeros(len(source), np.uint8)
    for number, path in enumerate(source.files):
        split_of[source._starts[number] : source._starts[number + 1]] = _split_of_file(path) or TRAIN
    return Task("", source, labels, _names_for(source.spec, labels, names), split_of)


def _split_of_file(path: str) -> int | None:
    name = stem(path).lower()
    for word, split in _SPLIT_WORDS.items():
        if name == word or name.startswith((f"{word}-", f"{word}_", f"{word}.")):
            return split
    return None


def _from_packed(files: str) -> Task:
    source = PackedSource(files)
    packed = read_packed_labels(source)
    split_of = np.zeros(len(source), np.uint8) if packed.split is None else packed.split
    if split_of.max(initial=0) > VAL:
        raise UserError(f"{source.spec}: 'split' must be 0 (train), 1 (test) or 2 (validation)")
    return Task("", source, packed.labels, _names_for(source.spec, packed.labels, packed.names), split_of)


def _names_for(spec: str, labels: NDArray[np.int64], names: tuple[str, ...] | None) -> tuple[str, ...]:
    if labels.min() < 0:
        raise UserError(f"{spec}: labels must not be negative")
    highest = int(labels.max())
    if names is None:
        if highest >= 65_536:
            raise UserError(f"{spec}: label {highest}; at most 65,536 classes")
        return tuple(f"class {number}" for number in range(highest + 1))
    if highest >= len(names):
        raise UserError(f"{spec}: label {highest}, but only {len(names)} class names")
    if len(set(names)) != len(names):
        raise UserError(f"{spec}: two classes have the same name")
    return names
