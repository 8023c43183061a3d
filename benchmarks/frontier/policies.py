"""What the frontier compares."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from plada_select.refine import Refine
from plada_select.safety_net import SafetyNet
from plada_select.select import Policy

from .scores import BY_CLASS, CALIBRATED, ONE_VIEW, TWO_VIEWS

EQUAL = SafetyNet(Decimal("0"), Decimal("1"))
#: The paper's recipe, its Safety-Net, its entropy; and random choice. Sent in the paper's layouts.
PAPER = {
    "paper: lowest energy": Policy(),
    "paper: Safety-Net 0.5": Policy(safety_net=SafetyNet(Decimal("0.5"), Decimal("0.5"))),
    "paper: Safety-Net -0.2": Policy(safety_net=SafetyNet(Decimal("-0.2"), Decimal("0.5"))),
    "paper: highest energy": Policy(direction="high"),
    "paper: lowest entropy": Policy(criterion="entropy"),
    "random": Policy("random"),
}
#: Ours; auto chooses among these and the policies above.
OURS = {
    "equal quotas": Policy(safety_net=EQUAL),
    "equal quotas, rate 0.25": Policy(safety_net=EQUAL, refine=Refine(Decimal("0.25"), Decimal("0"))),
    "equal quotas, rate 0.5": Policy(safety_net=EQUAL, refine=Refine(Decimal("0.5"), Decimal("0"))),
    "equal quotas, rate 1": Policy(safety_net=EQUAL, refine=Refine(Decimal("1"), Decimal("0"))),
    "equal quotas, agreement 0.5": Policy(safety_net=EQUAL, refine=Refine(Decimal("0"), Decimal("0.5"))),
    "equal quotas, rate 0.25, agreement 0.5": Policy(safety_net=EQUAL, refine=Refine(Decimal("0.25"), Decimal("0.5"))),
    "equal quotas, spread 5": Policy(safety_net=EQUAL, refine=Refine(spread=5)),
    "equal quotas, margin": Policy("margin", safety_net=EQUAL),
    "equal quotas, highest energy": Policy(direction="high", safety_net=EQUAL),
    "equal quotas, random": Policy("random", safety_net=EQUAL),
    "equal quotas, spread 2": Policy(safety_net=EQUAL, refine=Refine(spread=2)),
    "equal quotas, spread 20": Policy(safety_net=EQUAL, refine=Refine(spread=20)),
    "equal quotas, margin, spread 5": Policy("margin", safety_net=EQUAL, refine=Refine(spread=5)),
    "equal quotas, calibrated energy": Policy(safety_net=EQUAL),
    "calibrated energy": Policy(),
    "energy standardised by class": Policy(),
}
#: Against each other alone: only a fifth of the pool has a second view.
VIEWS = {
    "a fifth of the pool: equal quotas": Policy(safety_net=EQUAL),
    "a fifth of the pool: equal quotas, two views": Policy(safety_net=EQUAL),
}
#: Policies whose scores are not the teacher's as they are.
SCORES = {
    "equal quotas, calibrated energy": CALIBRATED,
    "calibrated energy": CALIBRATED,
    "energy standardised by class": BY_CLASS,
    "a fifth of the pool: equal quotas": ONE_VIEW,
    "a fifth of the pool: equal quotas, two views": TWO_VIEWS,
}
ALL = {**PAPER, **OURS}
#: Run first, so that an unfinished run already has the headline.
FIRST = ("paper: lowest energy", "equal quotas", "equal quotas, rate 0.25", "equal quotas, rate 1")


def policy_of(name: str, seed: int) -> Policy:
    """The policy of that name; random ones draw by the seed."""
    policy = {**ALL, **VIEWS}[name]
    return replace(policy, seed=seed) if policy.criterion == "random" else policy
