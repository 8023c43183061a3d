"""Many clients' gradients -> one: weighted, plain, or robust against a minority of wrong ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from plada_format.errors import UserError

from .gradients import Gradients

RULES = ("weighted", "mean", "median", "trimmed")


@dataclass(frozen=True)
class Aggregation:
    """How the clients' gradients of one class become one.

    Attributes:
        rule: ``weighted`` by the images that a client holds of the class; ``mean``, each client alike; ``median`` of
            each coordinate; ``trimmed``: mean of each coordinate without the highest and the lowest share ``trim``.
        trim: share cut off at either end, rounded down to whole clients.
    """

    rule: str = "weighted"
    trim: float = 0.2

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise UserError(f"aggregation: choose one of {', '.join(RULES)}, not {self.rule!r}")
        if not 0 <= self.trim < 0.5:
            raise UserError(f"aggregation: the trimmed share must lie in [0, 0.5), not {self.trim}")

    @classmethod
    def parse(cls, text: str) -> Aggregation:
        """``weighted``, ``mean``, ``median``, ``trimmed`` or ``trimmed:0.1``."""
        name, _, share = text.partition(":")
        try:
            return cls(name, float(share)) if share else cls(name)
        except UserError:
            raise
        except ValueError:
            raise UserError(f"aggregation: {text!r} is not trimmed:SHARE, such as trimmed:0.2") from None

    def __str__(self) -> str:
        return f"trimmed:{self.trim:g}" if self.rule == "trimmed" else self.rule

    def combine(self, stacks: Sequence[torch.Tensor], weights: Sequence[float]) -> torch.Tensor:
        """Tensors of one shape, one per client, and the clients' weights -> one tensor."""
        stack = torch.stack(list(stacks))
        if self.rule == "median":  # torch.median takes the lower of two middle values
            ordered = stack.sort(0).values
            middle = len(stacks) // 2
            return ordered[middle] if len(stacks) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
        if self.rule == "trimmed":
            cut = int(self.trim * len(stacks))
            return stack.sort(0).values[cut : len(stacks) - cut].mean(0)
        if self.rule == "mean":
            return stack.mean(0)
        shares = torch.tensor(weights, dtype=torch.float64)
        shares = (shares / shares.sum()).to(stack.dtype).view(-1, *([1] * (stack.ndim - 1))).to(stack.device)
        return (stack * shares).sum(0)


def aggregate(answers: Mapping[int, Gradients], rule: Aggregation) -> Gradients:
    """Combine clients' answers class by class; a class that nobody answered for is absent.

    Args:
        answers: client number -> its gradients. The order of arrival does not matter: sums run by number.
        rule: how.

    Returns:
        Gradients whose counts are the sums of the clients'. A class of a single client comes back as it is.
    """
    by_class: dict[int, list[torch.Tensor]] = {}
    counts: dict[int, int] = {}
    for label in sorted({label for answer in answers.values() for label in answer.by_class}):
        holders = [answer for _, answer in sorted(answers.items()) if label in answer.by_class]
        weights = [float(holder.counts[label]) for holder in holders]
        counts[label] = sum(holder.counts[label] for holder in holders)
        if len(holders) == 1:
            by_class[label] = holders[0].by_class[label]
            continue
        parts = zip(*(holder.by_class[label] for holder in holders))
        by_class[label] = [rule.combine(part, weights) for part in parts]
    return Gradients(by_class, counts)
