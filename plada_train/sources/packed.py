"""Packed npz: all encoded files one after the other in one array, and their offsets."""

from __future__ import annotations

import threading
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .base import MAX_IMAGE_BYTES, ImageSource
from .paths import expand, open_file, stem


class PackedSource(ImageSource):
    """Images of ``.npz`` files with ``data`` uint8 (all encoded files) and ``offsets`` (n + 1): file i is
    ``data[offsets[i]:offsets[i+1]]``.

    Key: ``<file name without extension>/<position in that file, 8 digits>``. Groups: none, or the array ``group`` (n)
        of
    integers with ``group_names``, if every file has them. The file is decompressed into memory once per process, on
    first use.

    Args:
        files: see :func:`plada_train.sources.paths.expand`.

    Raises:
        UserError: no file, not this layout, offsets that do not rise or do not fit the data.
    """

    def __init__(self, files: str) -> None:
        self.spec = f"npz:{files}"
        self.files = expand(files, (".npz",))
        self._stems = [stem(path) for path in self.files]
        if len(set(self._stems)) != len(self._stems):
            raise UserError(f"{files}: two files have the same name; keys would not be unique")
        self._lock = threading.Lock()
        self._data: dict[int, NDArray[np.uint8]] = {}
        self._offsets: list[NDArray[np.int64]] = []
        self._groups: list[tuple[NDArray[np.int64], list[str]]] = []
        for path in self.files:
            arrays = read_arrays(path, ("offsets", "group", "group_names"))
            if "offsets" not in arrays:
                raise UserError(f"{path}: no array 'offsets'; a packed image file holds 'data' and 'offsets'")
            offsets = arrays["offsets"]
            if offsets.dtype.kind not in "iu" or offsets.ndim != 1 or len(offsets) < 2:
                raise UserError(f"{path}: 'offsets' must be a list of at least two integers")
            offsets = offsets.astype(np.int64)
            lengths = np.diff(offsets)
            if offsets[0] != 0 or lengths.min() < 0 or lengths.max() > MAX_IMAGE_BYTES:
                raise UserError(f"{path}: 'offsets' must begin with 0 and rise by at most {MAX_IMAGE_BYTES} bytes")
            self._offsets.append(offsets)
            if "group" in arrays and "group_names" in arrays:
                self._groups.append(_groups_of(path, arrays["group"], arrays["group_names"], len(lengths)))
        self.has_groups = len(self._groups) == len(self.files)
        self._starts = np.cumsum([0] + [len(offsets) - 1 for offsets in self._offsets])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def key(self, index: int) -> str:
        number, place = self._locate(index)
        return f"{self._stems[number]}/{place:08d}"

    def group(self, index: int) -> str | None:
        if not self.has_groups:
            return None
        number, place = self._locate(index)
        ids, names = self._groups[number]
        return names[int(ids[place])]

    def read(self, index: int) -> bytes:
        number, place = self._locate(index)
        data = self._data.get(number)
        if data is None:
            data = self._load(number)
        offsets = self._offsets[number]
        return data[offsets[place] : offsets[place + 1]].tobytes()

    def _load(self, number: int) -> NDArray[np.uint8]:
        with self._lock:
            if number not in self._data:
                path = self.files[number]
                data = read_arrays(path, ("data",)).get("data")
                if data is None or data.dtype != np.uint8 or data.ndim != 1:
                    raise OSError(f"{path}: no one-dimensional uint8 array 'data'")
                if self._offsets[number][-1] != len(data):
                    raise OSError(f"{path}: 'offsets' end at {self._offsets[number][-1]}, 'data' has {len(data)} bytes")
                self._data[number] = data
            return self._data[number]

    def _locate(self, index: int) -> tuple[int, int]:
        self._check(index)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return number, int(index - self._starts[number])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_data")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()
        self._data = {}


@dataclass(frozen=True)
class PackedLabels:
    """The label arrays of packed files, joined: labels int64 (n,), split uint8 (n,) with 0 train, 1 test, 2 val,
    and class names.
    """

    labels: NDArray[np.int64]
    split: NDArray[np.uint8] | None
    names: tuple[str, ...] | None


def read_packed_labels(source: PackedSource) -> PackedLabels:
    """Labels, split and class names beside the images of ``source``.

    Raises:
        UserError: a file without labels, lengths that differ, names that differ between files, labels outside the
            names.
    """
    labels: list[NDArray[np.int64]] = []
    splits: list[NDArray[np.uint8]] = []
    names: tuple[str, ...] | None = None
    for number, path in enumerate(source.files):
        arrays = read_arrays(path, ("labels", "split", "names"))
        count = len(source._offsets[number]) - 1
        if "labels" not in arrays:
            raise UserError(f"{path}: no array 'labels'; this is a pool, not a labelled dataset")
        for name in ("labels", "split"):
            if name in arrays and (arrays[name].shape != (count,) or arrays[name].dtype.kind not in "iu"):
                raise UserError(f"{path}: '{name}' must hold one integer for each of the {count} images")
        labels.append(arrays["labels"].astype(np.int64))
        if "split" in arrays:
            splits.append(arrays["split"].astype(np.uint8))
        here = tuple(str(name) for name in arrays["names"].tolist()) if "names" in arrays else None
        if number and here != names:
            raise UserError(f"{path}: its class names differ from those of {source.files[0]}")
        names = here
    if splits and len(splits) != len(labels):
        raise UserError(f"{source.spec}: some files have 'split' and some have not")
    return PackedLabels(np.concatenate(labels), np.concatenate(splits) if splits else None, names)


def read_arrays(path: str, wanted: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Those of the ``wanted`` arrays that an npz file holds. Never unpickles.

    Raises:
        UserError: no npz file, or an array that numpy can only read by unpickling.
    """
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted if name in archive.files}
    except FileNotFoundError:
        raise
    except (ValueError, zipfile.BadZipFile, EOFError, AttributeError, TypeError, zipfile.LargeZipFile) as problem:
        raise UserError(
            f"{path}: not a readable npz file ({str(problem).splitlines()[0] if str(problem) else 'damaged'})"
        ) from None


def _groups_of(path: str, ids: NDArray[Any], names: NDArray[Any], count: int) -> tuple[NDArray[np.int64], list[str]]:
    texts = [str(name) for name in names.tolist()]
    if ids.shape != (count,) or ids.dtype.kind not in "iu" or (count and not 0 <= ids.min() <= ids.max() < len(texts)):
        raise UserError(f"{path}: 'group' must hold, for each of the {count} images, a position in 'group_names'")
    return ids.astype(np.int64), texts
