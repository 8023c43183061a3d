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
    """

    rate: Decimal = Decimal(0)
    agreement: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("rate", "agreement"):
            try:
                value = Decimal(str(getattr(self, name)))
            except ArithmeticError:
                value = Decimal("NaN")
            if not value.is_finite() or not 0 <= value <= 100:
                raise UserError(f"{name} must be a number from 0 to 100, got {getattr(self, name)}")
            object.__setattr__(self, name, value)

    def __bool__(self) -> bool:
        return bool(self.rate or self.agreement)

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return {"rate": str(self.rate), "agreement": str(self.agreement)}

    @property
    def name(self) -> str:
        """Such as "rate 0.25, agreement 1"."""
        parts = [("rate", self.rate), ("agreement", self.agreement)]
        return ", ".join(f"{word} {value}" for word, value in parts if value)
