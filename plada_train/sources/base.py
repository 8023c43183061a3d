"""What every image source is: an ordered collection of encoded images with keys."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

# Kinds of file that decode.py can read; anything else in a folder or a tar shard is no image.
EXTENSIONS = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
MAX_IMAGE_BYTES = 1 << 28  # no single encoded image is larger; a longer claim in a file is an error


class ImageSource(ABC):
    """Encoded images in a canonical order, each with a unique key.

    The order is a property of the content (names, positions), never of a loader or of the machine. Positions run from
    0.
    A source can be pickled to worker processes, and several threads may read from it; reading positions in
    rising order is the fast way.

    Attributes:
        spec: the text that opens this source again.
        has_groups: whether :meth:`group` gives names.
    """

    spec: str = ""
    has_groups: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def key(self, index: int) -> str:
        """Name of image ``index``: unique in the source, no control characters."""

    @abstractmethod
    def read(self, index: int) -> bytes:
        """The encoded file of image ``index``, as stored.

        Raises:
            OSError: it cannot be read.
            IndexError: there is no such image.
        """

    def group(self, index: int) -> str | None:
        """Name of the group of image ``index`` (its folder), or None in a source without groups."""
        return None

    def image_digest(self, index: int) -> bytes:
        """SHA-256 of the encoded file of image ``index``, 32 bytes."""
        return hashlib.sha256(self.read(index)).digest()

    def find(self, keys: Sequence[str]) -> NDArray[np.int64]:
        """Positions of ``keys``, int64 (len(keys),), -1 where the source has no such image. One pass over all keys."""
        wanted: dict[str, list[int]] = {}
        for place, key in enumerate(keys):
            wanted.setdefault(key, []).append(place)
        found = np.full(len(keys), -1, np.int64)
        for index in range(len(self)):
            for place in wanted.get(self.key(index), ()):
                found[place] = index
        return found

    def _check(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.spec}: no image {index}, there are {len(self)}")
        return int(index)


class SubsetSource(ImageSource):
    """The images of ``source`` at ``indices``, in that order (repeats allowed)."""

    source: ImageSource
    indices: NDArray[np.int64]

    def __init__(self, source: ImageSource, indices: Iterable[int] | NDArray[np.integer]) -> None:
        given = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices))
        if given.size and given.dtype.kind not in "iu":
            raise TypeError(f"indices must be integers, not {given.dtype}")
        chosen = given.astype(np.int64)
        if chosen.ndim != 1 or (chosen.size and not 0 <= chosen.min() <= chosen.max() < len(source)):
            raise IndexError(f"indices must be a list of positions between 0 and {len(source) - 1}")
        inner, self.indices = source, chosen
        if isinstance(source, SubsetSource):  # one level is enough
            inner, self.indices = source.source, source.indices[chosen]
        self.source = inner
        self.spec = f"{inner.spec} ({len(chosen)} of {len(inner)} images)"
        self.has_groups = source.has_groups

    def __len__(self) -> int:
        return len(self.indices)

    def key(self, index: int) -> str:
        return self.source.key(int(self.indices[self._check(index)]))

    def group(self, index: int) -> str | None:
        return self.source.group(int(self.indices[self._check(index)]))

    def read(self, index: int) -> bytes:
        return self.source.read(int(self.indices[self._check(index)]))


class PackedStrings:
    """Many short strings in two flat buffers: about 1.1 bytes per character plus 8 per string, not 60 as Python
    objects.
    """

    def __init__(self) -> None:
        self._text = bytearray()
        self._ends: array[int] | NDArray[np.int64] = array("q")

    def append(self, text: str) -> None:
        """Add a string at the end. Not possible after :meth:`freeze`."""
        assert isinstance(self._ends, array)
        self._text += text.encode()
        self._ends.append(len(self._text))

    def freeze(self) -> PackedStrings:
        """Pack the offsets; returns itself."""
        self._ends = np.array(self._ends, np.int64)
        return self

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:
        start = 0 if index == 0 else int(self._ends[index - 1])
        return self._text[start : int(self._ends[index])].decode()


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image: known extension, not hidden."""
    return name.lower().endswith(EXTENSIONS) and not name.rsplit("/", 1)[-1].startswith(".")
