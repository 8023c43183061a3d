"""Safety-Net quotas (paper section 1.3, Eq. 6: K_c proportional to N_c^alpha), with the edge rules that the paper
leaves open.

Quotas go to classes with N_c > 0 only, are capped at N_c, what a cap cuts off is spread again by the same weights, and
rounding is by largest remainder with ties to the lower class id. All of it is integer and decimal arithmetic: the same
quotas on every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plada_format.errors import UserError

_DIGITS = 30
_SCALE = 10**18
#: Of a class's quota, least and most.
FACTORS = Decimal("0.001"), Decimal(1000)


@dataclass(frozen=True)
class SafetyNet:
    """Settings of the Safety-Net.

    Attributes:
        alpha: exponent; 1 keeps the pool's proportions, 0 gives equal quotas, below 0 favours rare classes.
        share: part of the budget given out by quota, 0 to 1; the rest goes by global order.
        factors: of single classes' quotas, by class id: 2 doubles it beside the others. Given as a mapping or as pairs;
            kept as pairs by rising id, without factors of 1.
    """

    alpha: Decimal = Decimal(0)
    share: Decimal = Decimal(1)
    factors: tuple[tuple[int, Decimal], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _decimal(self.alpha, "alpha"))
        object.__setattr__(self, "share", _decimal(self.share, "share"))
        if not 0 <= self.share <= 1:
            raise UserError(f"Safety-Net share must be between 0 and 1, got {self.share}")
        if abs(self.alpha) > 16:
            raise UserError(f"Safety-Net alpha must be between -16 and 16, got {self.alpha}")
        given = {int(one): factor for one, factor in dict(self.factors).items()}
        found = tuple((one, _decimal(given[one], f"factor of class {one}")) for one in sorted(given))
        for one, factor in found:
            if not FACTORS[0] <= factor <= FACTORS[1] or one < 0:
                raise UserError(
                    f"Safety-Net factor of class {one} must be between {FACTORS[0]} and {FACTORS[1]}, got {factor}"
                )
        object.__setattr__(self, "factors", tuple((one, factor) for one, factor in found if factor != 1))

    def to_json(self) -> dict[str, Any]:
        """Plain values; the factors only where there are any."""
        more = {"factors": {str(one): str(factor) for one, factor in self.factors}} if self.factors else {}
        return {"alpha": str(self.alpha), "share": str(self.share), **more}


def _decimal(value: Decimal | int | float | str, name: str) -> Decimal:
    try:
        out = value if isinstance(value, Decimal) else Decimal(str(value))
    except ArithmeticError:
        out = Decimal("NaN")
    if not out.is_finite():
        raise UserError(f"Safety-Net {name} must be a number, got {value}")
    return out


def parse_factors(texts: Sequence[str], class_names: Sequence[str]) -> tuple[tuple[int, Decimal], ...]:
    """Factors of ``CLASS=F``, the class by name or, where no class or more than one has that name, by id.

    Raises:
        UserError: not of that form, no such class, or one class twice.
    """
    known = {name: one for one, name in enumerate(class_names) if class_names.count(name) == 1}
    out: dict[int, Decimal] = {}
    for text in texts:
        name, separator, factor = text.rpartition("=")
        if not separator or (name not in known and not name.isdecimal()):
            raise UserError(f"class factor {text!r} is not CLASS=FACTOR with a class of the table, such as cat=2")
        one = known[name] if name in known else int(name)
        if one in out:
            raise UserError(f"class factor {text!r}: that class has one already")
        out[one] = _decimal(factor, f"factor of class {name}")
    return tuple(out.items())


def class_weights(
    counts: ArrayLike, alpha: Decimal | int | float | str, factors: Mapping[int, Decimal] | None = None
) -> list[int]:
    """Integers proportional to N_c^alpha (to 18 digits and more) times the class's factor, 0 where N_c is 0.

    Args:
        counts: (classes,) usable pool images per pseudo-label.
        alpha: exponent.
        factors: by class id; 1 where none is given.

    Raises:
        UserError: a factor of a class that there is not.
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
    weights = [known[n] for n in values]
    if factors:
        if max(factors) >= len(weights):
            raise UserError(f"Safety-Net factor of class {max(factors)}: there are {len(weights)} classes")
        exact = {one: Fraction(factor) for one, factor in factors.items()}
        scale = lcm(*(factor.denominator for factor in exact.values()))
        weights = [int(weight * exact.get(one, Fraction(1)) * scale) for one, weight in enumerate(weights)]
    return weights


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
