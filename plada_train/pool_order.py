"""The order of a pool: as its source has it, by key, or by cluster, with the groups that the codecs can use.

The order and the groups are part of the protocol: they are fixed when the pool is built and travel in its manifest, so
a client needs neither the features nor the clustering.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .sources import ImageSource, SubsetSource

if TYPE_CHECKING:
    import plada_format as pf

ORDERS = ("source", "key", "cluster")


class OrderedSource(SubsetSource):
    """All images of ``source`` in another order, perhaps with groups of their own. Keys stay as they are.

    Args:
        source: N images.
        order: int64 (N,), a permutation: position i holds image ``order[i]``.
        groups: start offsets uint32 (G,) of runs of positions, or None to keep the source's own groups.
        names: G names.
        kind: word for the spec.
    """

    def __init__(
        self,
        source: ImageSource,
        order: NDArray[np.integer],
        groups: NDArray[np.integer] | None = None,
        names: Sequence[str] | None = None,
        kind: str = "ordered",
    ) -> None:
        places = np.asarray(order, np.int64)
        if len(places) != len(source) or not _is_permutation(places):
            raise UserError(f"{source.spec}: an order names each of the {len(source)} images once")
        super().__init__(source, places)
        mark = hashlib.sha256(places.tobytes())
        self._starts = None if groups is None else np.asarray(groups, np.int64)
        self._names = None if names is None else list(names)
        if self._starts is not None:
            if self._names is None or len(self._names) != len(self._starts):
                raise UserError(f"{source.spec}: {len(self._starts)} groups need as many names")
            mark.update(self._starts.tobytes())
            self.has_groups = True
        self.spec = f"{source.spec} ({kind} {mark.hexdigest()[:16]})"

    def group(self, index: int) -> str | None:
        """Name of the run that holds position ``index``."""
        if self._starts is None or self._names is None:
            return super().group(index)
        return self._names[int(np.searchsorted(self._starts, self._check(index), side="right")) - 1]


def _is_permutation(order: NDArray[np.int64]) -> bool:
    seen = np.zeros(len(order), bool)
    if len(order) and not 0 <= order.min() <= order.max() < len(order):
        return False
    seen[order] = True
    return bool(seen.all())


def order_by_key(source: ImageSource) -> OrderedSource:
    """Byte-wise by key (UTF-8); the group of an image is its folder in the key where the source has no groups.

    Memory: all keys, about 100 bytes each.

    Raises:
        UserError: two images have the same key.
    """
    keys = [source.key(index).encode() for index in range(len(source))]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
    for first, second in pairwise(order):
        if keys[first] == keys[second]:
            raise UserError(f"{source.spec}: two images have the key {keys[first].decode()!r}")
    if source.has_groups:
        return OrderedSource(source, order, kind="by key")
    folders = [keys[place].rpartition(b"/")[0].decode() for place in order]
    starts = [place for place, folder in enumerate(folders) if not place or folder != folders[place - 1]]
    return OrderedSource(source, order, np.array(starts), [folders[place] for place in starts], kind="by key")


def order_by_cluster(
    source: ImageSource, features: NDArray[np.floating], *, group_size: int = 256, seed: int = 0
) -> OrderedSource:
    """By hierarchical clusters of an embedding, similar clusters beside each other; the leaves are the groups.

    Args:
        source: N images.
        features: float (N, D), for example of a generic pretrained backbone; may be a memory map, or
            :class:`plada_train.block_features.BlockFeatures`.
        group_size: images in a group, about.
        seed: of the sample and the start of the clustering.

    Raises:
        UserError: another number of features, or features that are not finite.
    """
    from .clusters import cluster_order

    if len(features) != len(source):
        raise UserError(f"{source.spec}: {len(source)} images, but features of {len(features)}")
    found = cluster_order(features, group_size=group_size, seed=seed)
    width = len(str(len(found.starts) - 1))
    names = [f"c{number:0{width}d}" for number in range(len(found.starts))]
    return OrderedSource(source, found.order, found.starts, names, kind="by cluster")


def in_pool_order(source: ImageSource, manifest: pf.Manifest) -> ImageSource:
    """The images of a source in the order of the pool; the source itself where that is its order.

    Raises:
        UserError: images of the pool are missing.
    """
    from .pool import resolve_keys

    wanted = np.arange(len(manifest), dtype=np.int64)
    places = resolve_keys(source, manifest, wanted)
    missing = np.flatnonzero(places < 0)
    if missing.size:
        raise UserError(
            f"{source.spec}: {missing.size} of the pool's {len(manifest)} images are missing"
            f" (first: {manifest.key(int(missing[0]))}); use the images that the manifest was built from"
        )
    return source if np.array_equal(places, wanted) and len(source) == len(manifest) else SubsetSource(source, places)
