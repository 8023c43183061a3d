"""The smallest size at which a baseline is as accurate as the payload."""

from __future__ import annotations

from collections.abc import Callable

from .results import Need, Point


def smallest_reaching(
    measure: Callable[[int], Point], wanted: float, start: int, limit: int, *, precision: float = 0.1
) -> tuple[Need, tuple[Point, ...]]:
    """Double the count from ``start`` until ``wanted`` is reached, then halve the bracket to ``precision``.

    Accuracy is noisy, so this finds a crossing, not necessarily the first; every count is measured once.

    Args:
        measure: count -> point.
        wanted: accuracy to reach.
        start: first count, at least 1.
        limit: largest count.
        precision: the bracket's relative width at which to stop.

    Returns:
        What is needed, and all points by count.
    """
    seen: dict[int, Point] = {}

    def at(count: int) -> Point:
        if count not in seen:
            seen[count] = measure(count)
        return seen[count]

    low, high = 0, max(1, min(start, limit))
    while at(high).accuracy < wanted and high < limit:
        low, high = high, min(limit, 2 * high)
    reached = at(high).accuracy >= wanted
    while reached and low and high - low > max(1, precision * high):
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle).accuracy >= wanted else (middle, high)
    best = at(high)
    points = tuple(seen[count] for count in sorted(seen))
    return Need(best.bytes, best.count, best.accuracy, reached), points
