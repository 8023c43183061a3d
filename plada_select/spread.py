"""What lies furthest apart: greedy k-center in an embedding, one distance a point in memory, never n x n."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError


def farthest_first(points: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """The greedy k-center order: row 0, then always the row furthest from those that are chosen.

    Its first k rows cover all rows within twice the smallest radius that any k rows could (Gonzalez, 1985).

    Args:
        points: float (n, d).
        count: rows wanted, at most n.

    Returns:
        int64 (count,); the first k of them are the answer for k. Ties go to the lower row.
    """
    rows = np.asarray(points, np.float32)
    squares = np.einsum("ij,ij->i", rows, rows)
    gap = np.full(len(rows), np.inf, np.float32)
    out = np.empty(count, np.int64)
    at = 0
    for place in range(count):
        out[place] = at
        np.minimum(gap, squares + squares[at] - 2 * (rows @ rows[at]), out=gap)
        gap[at] = -np.inf
        at = int(gap.argmax())
    return out


def read_embedding(path: str, pool_size: int) -> NDArray[np.floating[Any]]:
    """A memory map of float (N, d), in pool order.

    Raises:
        UserError: not such a file.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, EOFError) as problem:
        raise UserError(f"{path}: not a readable npy file ({str(problem).splitlines()[0]})") from None
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f" or len(found) != pool_size:
        raise UserError(f"{path}: an embedding of this pool is one floating-point matrix of {pool_size} rows")
    return found
