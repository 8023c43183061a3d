"""Hierarchical k-means of an embedding, and a path through its clusters: the order of a pool.

Two levels: about sqrt(G) coarse clusters, each split on its own, so that no step looks at all images and all G
centres at once. The k-means itself is faiss's. Everything is drawn from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

DIMENSIONS = 64  # of the principal components that are clustered
SAMPLE = 100_000  # images that these and the coarse centres are learnt from
_BLOCK = 65_536  # images at a time
_ROUNDS = 20
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class ClusterOrder:
    """An order and its groups.

    Attributes:
        order: int64 (N,), image at each position.
        starts: uint32 (G,), first position of each group.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.uint32]


def cluster_order(features: NDArray[np.floating], *, group_size: int = 256, seed: int = 0) -> ClusterOrder:
    """Cluster an embedding and order the images along the clusters.

    Images of a group are neighbours; groups that follow each other are similar: coarse clusters, then the groups in
    each, lie on greedy nearest-neighbour paths. Within a group the source's order stays.

    Memory: 4 * 64 bytes per image for the components, 8 for the order; features are read in blocks.

    Args:
        features: float (N, D), finite; may be a memory map.
        group_size: images in a group, about; at least 2.
        seed: same seed, same features, same machine: same order.

    Raises:
        UserError: nothing to cluster, features that are not finite, or faiss is missing.
    """
    count = len(features)
    if group_size < 2:
        raise UserError(f"clusters: a group of {group_size} images; at least 2")
    if not count:
        raise UserError("clusters: no images")
    points = components(features, seed=seed)
    groups = max(1, round(count / group_size))
    coarse = max(1, round(groups**0.5))
    centres = kmeans(_sampled(points, seed), coarse, seed)
    member = nearest(points, centres)
    parts: list[NDArray[np.int64]] = []
    before: Floats | None = None
    for cluster in path(centres):
        rows = np.flatnonzero(member == cluster)
        if not rows.size:
            continue
        here = points[rows]
        split = max(1, round(len(rows) / group_size))
        leaves = kmeans(here, split, seed + 1) if split > 1 else here.mean(0, keepdims=True)
        leaf = nearest(here, leaves)
        for number in path(leaves, before):
            chosen = rows[leaf == number]
            if chosen.size:
                parts.append(chosen)
                before = leaves[number]
    sizes = np.array([len(part) for part in parts], np.int64)
    starts = (np.cumsum(sizes) - sizes).astype(np.uint32)
    return ClusterOrder(np.concatenate(parts).astype(np.int64), starts)


def components(features: NDArray[np.floating], *, seed: int = 0, most: int = DIMENSIONS) -> Floats:
    """Standardised features projected on their first principal components, scaled to length 1: float32 (N, d).

    Raises:
        UserError: features that are not a finite matrix.
    """
    if features.ndim != 2:
        raise UserError(f"clusters: features must be a matrix, not of shape {features.shape}")
    sample = np.asarray(_sampled(features, seed), np.float64)
    if not np.isfinite(sample).all():
        raise UserError("clusters: features are not finite")
    middle, spread = sample.mean(0), sample.std(0)
    scale = 1 / np.where(spread > 1e-6, spread, 1.0)
    sample = (sample - middle) * scale
    vectors = np.linalg.eigh(sample.T @ sample)[1]  # by rising variance
    basis = vectors[:, ::-1][:, : min(most, features.shape[1])]
    # A component's sign is arbitrary: make the largest entry positive.
    basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(basis.shape[1])])
    out = np.empty((len(features), basis.shape[1]), np.float32)
    for start in range(0, len(features), _BLOCK):
        block = (np.asarray(features[start : start + _BLOCK], np.float64) - middle) * scale @ basis
        if not np.isfinite(block).all():
            raise UserError("clusters: features are not finite")
        out[start : start + len(block)] = block / np.maximum(np.linalg.norm(block, axis=1, keepdims=True), 1e-9)
    return out


def _sampled(rows: NDArray[Any], seed: int) -> NDArray[Any]:
    """At most :data:`SAMPLE` rows, in their order."""
    if len(rows) <= SAMPLE:
        return np.asarray(rows)
    chosen = np.random.default_rng(seed).choice(len(rows), SAMPLE, replace=False)
    return np.asarray(rows[np.sort(chosen)])


def kmeans(points: Floats, count: int, seed: int) -> Floats:
    """Centres float32 (count, d) of ``points`` float32 (n, d), n >= count."""
    try:
        import faiss
    except ModuleNotFoundError:
        raise UserError("clustering needs faiss; install plada[cluster]") from None
    rows = np.ascontiguousarray(points, np.float32)
    count = min(count, len(rows))
    if count == 1:
        return np.asarray(rows.mean(0, keepdims=True), np.float32)
    method = faiss.Kmeans(
        rows.shape[1], count, niter=_ROUNDS, seed=seed + 1, verbose=False, min_points_per_centroid=1,
        max_points_per_centroid=1 << 20,
    )  # fmt: skip
    method.train(rows)
    return np.asarray(method.centroids, np.float32)


def nearest(points: Floats, centres: Floats) -> NDArray[np.int64]:
    """Nearest centre of each point, int64 (n,), in blocks."""
    out = np.empty(len(points), np.int64)
    squares = (centres.astype(np.float64) ** 2).sum(1)
    for start in range(0, len(points), _BLOCK):
        block = points[start : start + _BLOCK].astype(np.float64)
        out[start : start + len(block)] = (squares - 2 * block @ centres.T.astype(np.float64)).argmin(1)
    return out


def path(centres: Floats, after: Floats | None = None) -> list[int]:
    """A greedy nearest-neighbour path through all centres.

    Args:
        centres: float32 (n, d).
        after: where the path comes from; by default it starts at the centre furthest from the mean.
    """
    distances = ((centres[:, None, :].astype(np.float64) - centres[None, :, :]) ** 2).sum(2)
    if after is None:
        at = int(((centres - centres.mean(0)) ** 2).sum(1).argmax())
    else:
        at = int(((centres - after) ** 2).sum(1).argmin())
    out, left = [at], np.ones(len(centres), bool)
    left[at] = False
    while left.any():
        rest = np.flatnonzero(left)
        at = int(rest[distances[at, rest].argmin()])
        out.append(at)
        left[at] = False
    return out
