"""What an experiment compares: a grid of cells, each with a name that stays the same from run to run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from plada_format.errors import UserError

from ..safety_net import SafetyNet
from ..select import Policy, parse_fraction

OFF = "off"


def parse_net(text: str) -> SafetyNet | None:
    """The Safety-Net of ``alpha:share``, or None for ``off``.

    Raises:
        UserError: neither.
    """
    if text == OFF:
        return None
    alpha, separator, share = text.partition(":")
    if not separator:
        raise UserError(f"safety-net: {text!r} is neither 'off' nor ALPHA:SHARE, such as 0:1")
    return SafetyNet(alpha, share)  # type: ignore[arg-type]


def net_text(net: SafetyNet | None) -> str:
    """Inverse of :func:`parse_net`, which knows no factors; these follow."""
    if net is None:
        return OFF
    return f"{net.alpha}:{net.share}" + "".join(f", class {one} x {factor}" for one, factor in net.factors)


@dataclass(frozen=True)
class Cell:
    """One student: a policy at a keep rate, with one seed of everything random (validation split, teacher, random
    selection, student)."""

    seed: int
    policy: Policy
    keep: str

    @property
    def name(self) -> str:
        """The policy in words; the same for all keep rates and seeds."""
        return policy_name(self.policy)

    def key(self, task: str) -> str:
        """Identifies the cell in a folder of results."""
        return "|".join((task, str(self.seed), self.name, str(parse_fraction(self.keep).normalize())))


def policy_name(policy: Policy) -> str:
    """Such as "low energy, quotas 0:1"."""
    end = "random" if policy.criterion == "random" else f"{policy.direction} {policy.criterion}"
    end = end if policy.safety_net is None else f"{end}, quotas {net_text(policy.safety_net)}"
    return f"{end}, {policy.refine.name}" if policy.refine else end


@dataclass(frozen=True)
class Grid:
    """All combinations.

    Attributes:
        tasks: name -> dataset spec.
        keeps: fractions of the pool, as ``plada select --keep`` takes them.
        criteria, directions, nets: of the policies. Random selection has one direction.
        seeds: number of seeds.
        baselines: ids of :mod:`plada_select.baselines`, beside the reference payload.
        reference: keep rate of the reference payload: lowest energy with equal class quotas.

    Raises:
        UserError: something is empty or unknown.
    """

    tasks: Mapping[str, str]
    keeps: tuple[str, ...] = ("1%",)
    criteria: tuple[str, ...] = ("energy",)
    directions: tuple[str, ...] = ("low",)
    nets: tuple[SafetyNet | None, ...] = (None,)
    seeds: int = 3
    baselines: tuple[str, ...] = ()
    reference: str = "1%"

    def __post_init__(self) -> None:
        for name in ("tasks", "keeps", "criteria", "directions", "nets"):
            if not getattr(self, name):
                raise UserError(f"experiment: no {name}")
        if self.seeds < 1:
            raise UserError(f"experiment: {self.seeds} seeds; at least one is needed")
        for keep in (*self.keeps, self.reference):
            parse_fraction(keep)
        from ..baselines import IDS

        unknown = [name for name in self.baselines if name not in IDS]
        if unknown:
            raise UserError(f"experiment: no baseline {unknown[0]!r}; there are {', '.join(IDS)}")
        self.policies()

    @property
    def reference_policy(self) -> Policy:
        """Of the payload that baselines are compared with."""
        return Policy(safety_net=SafetyNet())

    def policies(self) -> list[Policy]:
        """Every policy once."""
        found: dict[str, Policy] = {}
        for criterion in self.criteria:
            for direction in ("low",) if criterion == "random" else self.directions:
                for net in self.nets:
                    policy = Policy(criterion, direction, net)
                    found.setdefault(policy_name(policy), policy)
        return list(found.values())

    def cells(self, seed: int) -> Iterator[Cell]:
        """All cells of a task with one seed."""
        for policy in self.policies():
            if policy.criterion == "random":
                policy = Policy("random", "low", policy.safety_net, seed=seed)
            for keep in self.keeps:
                yield Cell(seed, policy, keep)
