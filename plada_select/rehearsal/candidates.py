"""What a rehearsal tries: policies, each at several counts below the one that fills the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from plada_format.errors import UserError

from ..experiment.grid import parse_net, policy_name
from ..refine import Refine
from ..select import Policy

#: Parts of the largest count within the budget: more images are not always better (papers: CUB at 1 % beats 5 %).
PARTS = (Decimal("1"), Decimal("0.5"), Decimal("0.25"))

# criterion, direction, Safety-Net, and perhaps rate, agreement and spread
_NEAR = (
    ("energy", "low", "0:1"),
    ("energy", "low", "0:1", "0.25", "0"),
    ("energy", "low", "0:1", "0.25", "0.5"),
    ("margin", "low", "0:1"),
    ("entropy", "low", "0:1"),
    ("energy", "low", "off"),
    ("consensus", "low", "0:1"),
    ("energy", "low", "0.5:0.5"),
    ("energy", "low", "-0.2:0.5"),
    ("random", "low", "0:1"),
    ("random", "low", "off"),
    ("energy", "high", "0:1"),
    ("entropy", "high", "0:1"),
    ("energy", "high", "off"),
)
_SPREAD = (("energy", "low", "0:1", "0", "0", 5), ("margin", "low", "0:1", "0", "0", 5))
_FAR_FIRST = (("random", "low", "0:1"), ("energy", "high", "0:1"), ("energy", "high", "off"), ("random", "low", "off"))


@dataclass(frozen=True)
class Candidate:
    """A policy, and the part of its largest count within the budget."""

    policy: Policy
    part: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        object.__setattr__(self, "part", Decimal(self.part))
        if not 0 < self.part <= 1:
            raise UserError(f"rehearsal: part {self.part} of the count must lie above 0 and be at most 1")

    @property
    def name(self) -> str:
        """In words; candidates of equal names are equal."""
        return policy_name(self.policy) + ("" if self.part == 1 else f", {self.part} of the count")


def default_candidates(
    *, far: bool = False, seed: int = 0, parts: Sequence[Decimal] = PARTS, spread: bool = False
) -> list[Candidate]:
    """The grid of ``--policy auto``, the most promising first.

    Args:
        far: put first what suits a target that the pool does not cover (random and most uncertain images).
        seed: of the random criterion.
        spread: also try what lies furthest apart (needs an embedding of the pool).
        parts: of the count; all policies come at the first one before any at the second.
    """
    order: list[tuple[Any, ...]] = [_NEAR[0], *(_SPREAD if spread else ()), *_NEAR[1:]]
    if far:
        order = [*_FAR_FIRST, *(row for row in order if row not in _FAR_FIRST)]
    policies = [
        Policy(criterion, direction, parse_net(net), seed=seed, refine=Refine(*refine) if refine else None)
        for criterion, direction, net, *refine in order
    ]
    return [Candidate(policy, part) for part in parts for policy in policies]
