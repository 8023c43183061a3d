"""The largest selection whose whole encoded file fits a number of bytes.

The encoded size is not monotone in the count, so the rule is: bracket the crossing to 64 counts, then go down that
window one by one. The result fits, and one image more in the policy's order would not.
"""

from __future__ import annotations

from collections.abc import Callable

from plada_format.errors import UserError

WINDOW = 64
SMALL = 4096


def largest_fitting(
    size_of: Callable[[int], int], maximum: int, budget: int, *, guess: int = 1024, window: int = WINDOW
) -> int:
    """A count m with size_of(m) <= budget and, unless m is ``maximum``, size_of(m + 1) > budget.

    Args:
        size_of: bytes of the file that holds the policy's first m images; called once per m.
        maximum: largest count, at least 1.
        budget: bytes.
        guess: where to start; changes the cost, and the result only where the sizes cross the budget in places more
            than a window apart.

    Raises:
        UserError: a single image does not fit; the message names the size that it needs.
    """
    known: dict[int, int] = {}

    def size(count: int) -> int:
        if count not in known:
            known[count] = size_of(count)
        return known[count]

    low, high = _bracket(size, maximum, budget, max(1, min(guess, maximum)))
    if high is None:
        return low
    turn, rose = 0, False
    while high - low > window:
        if turn % 3 == 0:  # where a straight line crosses, half a window early
            slope = (size(high) - size(low)) / (high - low)
            crossing = low + (budget - size(low)) / slope if slope > 0 else (low + high) / 2
            probe = int(crossing) - window // 2
        elif turn % 3 == 1:  # one window from there: mostly this closes the bracket
            probe = low + window if rose else high - window
        else:  # the guarantee: halve
            probe = (low + high) // 2
        probe = min(max(probe, low + 1), high - 1)
        rose = size(probe) <= budget
        low, high = (probe, high) if rose else (low, probe)
        turn += 1
    best = _scan(size, low, maximum, budget, window)
    return _scan(size, best, maximum, budget, window) if best <= SMALL else best


def _scan(size: Callable[[int], int], low: int, maximum: int, budget: int, window: int) -> int:
    """The largest of the ``window`` counts above ``low`` that fits; beyond them as long as one more fits."""
    best = next((count for count in range(min(maximum, low + window), low, -1) if size(count) <= budget), low)
    while best < maximum and size(best + 1) <= budget:
        best += 1
    return best


def _bracket(size: Callable[[int], int], maximum: int, budget: int, start: int) -> tuple[int, int | None]:
    """(fits, does not fit); the second is None when the maximum fits. Never encodes much more than twice what fits."""
    low, high, count = 0, None, start
    while True:
        needed = size(count)
        if needed <= budget:
            low = count
            if count == maximum:
                return low, None
            if high is not None:
                return low, high
            ratio = min(8.0, max(1.1, 1.05 * budget / max(needed, 1)))
            count = min(maximum, max(count + WINDOW, int(count * ratio)))
        else:
            high = count
            if low:
                return low, high
            if count == 1:
                raise UserError(f"budget: {budget} bytes is too small, the smallest file (one image) has {needed}")
            count = max(1, min(count // 2, int(count * budget / needed)))
