"""Safety-Net quotas (paper section 1.3, Eq. 6: K_c proportional to N_c^alpha), with the edge rules that the paper
leaves open.

Quotas go to classes with N_c > 0 only, are capped at N_c, what a cap cuts off is spread again by the same weights, and
rounding is by largest remainder with ties to the lower class id. All of it is integer and decimal arithmetic: the same
quotas on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plada_format.errors import UserError

_DIGITS = 30
_SCALE = 10**18


@dataclass(frozen=True)
class SafetyNet:
    """Settings of the Safety-Net.

    Attributes:
        alpha: exponent; 1 keeps the pool's proportions, 0 gives equal quotas, below 0 favours rare classes.
        share: part of the budget given out by quota, 0 to 1; the rest goes by global order.
    """

    alpha: Decimal = Decimal(0)
    share: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _decimal(self.alpha, "alpha"))
        object.__setattr__(self, "share", _decimal(self.share, "share"))
        if not 0 <= self.share <= 1:
            raise UserError(f"Safety-Net share must be between 0 and 1, got {self.share}")
        if abs(self.alpha) > 16:
            raise UserError(f"Safety-Net alpha must be between -16 and 16, got {self.alpha}")


def _decimal(value: Decimal | int | float | str, name: str) -> Decimal:
    try:
        out = value if isinstance(value, Decimal) else Decimal(str(value))
    except ArithmeticError:
        out = Decimal("NaN")
    if not out.is_finite():
        raise UserError(f"Safety-Net {name} must be a number, got {value}")
    return out


def class_weights(counts: ArrayLike, alpha: Decimal | int | float | str) -> list[int]:
    """Integers proportional to N_c^alpha (to 18 digits and more), 0 where N_c is 0.

    Args:
        counts: (classes,) usable pool images per pseudo-label.
    """
    exponent = _decimal(alpha, "alpha")
    known: dict[int, int] = {0: 0}
    values = [int(n) for n in np.asarray(counts).ravel()]
    largest = max(values, default=0)
    with localcontext() as context:  # software arithmetic, so no dependence on the C library's pow
        context.prec = _DIGITS
        for n in set(values) - {0}:
            if exponent == 0:
                known[n] = 1
            elif exponent == 1:
                known[n] = n
            else:
                ratio = Decimal(n) ** exponent if exponent > 0 else (Decimal(n) / largest) ** exponent
                known[n] = max(1, int((ratio * _SCALE).to_integral_value()))
    return [known[n] for n in values]


def quotas(counts: ArrayLike, budget: int, weights: Sequence[int]) -> NDArray[np.int64]:
    """Split ``budget`` images over classes.

    Args:
        counts: (classes,) usable images per class, N_c.
        budget: images to give out, at least 0.
        weights: (classes,) integers of :func:`class_weights`.

    Returns:
        int64 (classes,): 0 <= K_c <= N_c, sum = min(budget, sum N_c).
    """
    sizes = [int(n) for n in np.asarray(counts).ravel()]
    out = [0] * len(sizes)
    active = [c for c, n in enumerate(sizes) if n > 0 and weights[c] > 0]
    left = min(budget, sum(sizes))
    while active and left > 0:
        total = sum(weights[c] for c in active)
        full = [c for c in active if left * weights[c] >= sizes[c] * total]
        if not full:
            break
        for c in full:
            out[c] = sizes[c]
            left -= sizes[c]
        capped = set(full)
        active = [c for c in active if c not in capped]
    if active and left > 0:
        total = sum(weights[c] for c in active)
        remainders = []
        for c in active:
            out[c], remainder = divmod(left * weights[c], total)
            remainders.append((-remainder, c))
        for _, c in sorted(remainders)[: left - sum(out[c] for c in active)]:
            out[c] += 1  # never above N_c: here the exact share is below it
    return np.array(out, dtype=np.int64)
