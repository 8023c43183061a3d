"""Orders of a pool: by given groups, and by clusters of features laid out along a line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
_DIMENSIONS, _ROUNDS = 64, 40


def ranks_by(group: NDArray[np.integer], within: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort images by (group, within).

    Returns:
        Rank of every image, int64 (n,), and the start of every group that has an image, int64 (groups,).
    """
    order = np.lexsort((within, group))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank, np.flatnonzero(np.diff(group[order], prepend=group[order[:1]] - 1))


def cluster(features: Float32, count: int, seed: int = 0) -> tuple[Float32, NDArray[np.int64]]:
    """k-means (k-means++ start) on directions, reduced to their principal axes.

    Args:
        features: float32 (n, D).
        count: of clusters.

    Returns:
        Centres float32 (count, d), none empty, and the cluster of every image, int64 (n,).
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    unit = unit - unit.mean(0)
    _, axes = np.linalg.eigh(unit.T @ unit)
    points = np.ascontiguousarray(unit @ axes[:, : -_DIMENSIONS - 1 : -1])
    centres = _first_centres(points, count, np.random.default_rng(seed))
    for _ in range(_ROUNDS):
        owner = _nearest(points, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, owner, points)
        sizes = np.bincount(owner, minlength=count)
        moved = np.where(sizes[:, None] > 0, sums / np.maximum(sizes, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved.astype(np.float32)
    owner = _nearest(points, centres)
    full = np.unique(owner)
    return centres[full], np.searchsorted(full, owner)


def _first_centres(points: Float32, count: int, rng: np.random.Generator) -> Float32:
    chosen = [int(rng.integers(len(points)))]
    distance = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < count:
        chosen.append(int(rng.choice(len(points), p=distance / distance.sum(dtype=np.float64))))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
    return points[chosen]


def _nearest(points: Float32, centres: Float32) -> NDArray[np.int64]:
    return np.asarray(((centres**2).sum(1) - 2 * points @ centres.T).argmin(1))


def path_order(centres: Float32) -> NDArray[np.int64]:
    """The centres along one path, int64 (n,): the shortest links between ends of paths are made first."""
    n = len(centres)
    square = (centres.astype(np.float64) ** 2).sum(1)
    distance = square[:, None] + square - 2 * centres.astype(np.float64) @ centres.T
    paths: list[list[int]] = [[i] for i in range(n)]
    of = list(range(n))
    for link in np.argsort(distance, axis=None, kind="stable"):
        a, b = divmod(int(link), n)
        left, right = paths[of[a]], paths[of[b]]
        if of[a] == of[b] or a not in (left[0], left[-1]) or b not in (right[0], right[-1]):
            continue
        if left[-1] != a:
            left.reverse()
        if right[0] != b:
            right.reverse()
        target = of[a]
        for i in right:
            of[i] = target
        left += right
    return np.array(paths[of[0]], np.int64)
