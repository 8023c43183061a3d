"""What a reader accepts when the caller does not say which pool it has (SPEC.md section 10)."""

from __future__ import annotations

from dataclasses import dataclass

MAX_POOL = 2**32 - 1
MAX_CLASSES = 65_536


@dataclass(frozen=True)
class Limits:
    """Upper bounds for files whose pool size the caller does not confirm.

    Attributes:
        max_pool: largest N. With ``pool_size`` given to :func:`plada_format.decode`, N must equal that instead.
        max_kept: largest k. With ``pool_size`` given, k <= N is enough.
    """

    max_pool: int = 2**28
    max_kept: int = 2**25
