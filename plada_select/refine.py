"""Settings of rate-aware selection; the work is in :mod:`plada_select.raterank`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from plada_format.errors import UserError


@dataclass(frozen=True)
class Refine:
    """Settings.

    Attributes:
        rate: lambda, doublings of the rank that a bit is worth; 0 ignores bits.
        agreement: tau, doublings of the rank that a bit of surprise of the label in its group is worth.
        spread: choose what lies furthest apart among so many times as many candidates; 0 does not. Needs an embedding
            of the pool; not together with a rate.
    """

    rate: Decimal = Decimal(0)
    agreement: Decimal = Decimal(0)
    spread: int = 0

    def __post_init__(self) -> None:
        for name in ("rate", "agreement"):
            try:
                value = Decimal(str(getattr(self, name)))
            except ArithmeticError:
                value = Decimal("NaN")
            if not value.is_finite() or not 0 <= value <= 100:
                raise UserError(f"{name} must be a number from 0 to 100, got {getattr(self, name)}")
            object.__setattr__(self, name, value)
        if not isinstance(self.spread, int) or not (self.spread == 0 or 2 <= self.spread <= 1000):
            raise UserError(f"spread must be 0 or a whole number from 2 to 1000, got {self.spread}")
        if self.spread and self.rate:
            raise UserError("spread and rate do not go together: set one of them to 0")

    def __bool__(self) -> bool:
        return bool(self.rate or self.agreement or self.spread)

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        out = {"rate": str(self.rate), "agreement": str(self.agreement)}
        return out | ({"spread": str(self.spread)} if self.spread else {})

    @property
    def name(self) -> str:
        """Such as "rate 0.25, agreement 1"."""
        parts = [("rate", self.rate), ("agreement", self.agreement), ("spread", self.spread)]
        return ", ".join(f"{word} {value}" for word, value in parts if value)
