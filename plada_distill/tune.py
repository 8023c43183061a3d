"""Choose hyper-parameters and architectures on a distilled set, and check the choice: does it rank candidates as
training on the real data would, and what would asking the real data have cost?"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .data import Images
from .settings import Draw, NetSpec, seed_of
from .training import Score, TrainRecipe, score_set


@dataclass(frozen=True)
class Candidate:
    """One configuration."""

    network: NetSpec
    recipe: TrainRecipe

    def name(self) -> str:
        """For tables and as a key."""
        augment = "augmented" if self.recipe.augment else "plain"
        return f"{self.network.name()} lr {self.recipe.lr:g} {augment}"


def grid(
    widths: Sequence[int], depths: Sequence[int], norms: Sequence[str], lrs: Sequence[float], recipe: TrainRecipe
) -> list[Candidate]:
    """All combinations, in order.

    Raises:
        UserError: a value out of range, or nothing to combine.
    """
    found = [
        Candidate(NetSpec(width, depth, norm), replace(recipe, lr=lr))
        for width, depth, norm, lr in itertools.product(widths, depths, norms, lrs)
    ]
    if not found:
        raise UserError("tune: no candidates")
    return found


def tune(
    train: Images,
    test: Images,
    candidates: Sequence[Candidate],
    *,
    networks: int = 1,
    seed: int = 0,
    journal: Path | None = None,
    note: Callable[[str, Score], None] | None = None,
) -> dict[str, Score]:
    """Train every candidate on ``train`` and measure it on ``test``.

    Args:
        train: a distilled set, or real images for comparison.
        test: images that the server may look at.
        candidates: what to try.
        networks: trained per candidate, from different seeds.
        seed: of them.
        journal: results are kept here after each candidate, and not computed again.
        note: called after each.
    """
    key = {"train": train.digest(), "test": test.digest(), "networks": networks, "seed": seed}
    known = _read(journal, key)
    scores: dict[str, Score] = {}
    for candidate in candidates:
        name = candidate.name()
        mark = json.dumps([asdict(candidate.network), candidate.recipe.to_json()], sort_keys=True)
        if mark not in known:
            seeds = [seed_of(seed, Draw.TUNE, number) for number in range(networks)]
            known[mark] = list(score_set(train, test, candidate.network, candidate.recipe, seeds).values)
            if journal is not None:
                journal.parent.mkdir(parents=True, exist_ok=True)
                with atomic_write(journal) as file:
                    file.write(json.dumps({"key": key, "scores": known}, indent=1).encode() + b"\n")
        scores[name] = Score(tuple(known[mark]))
        if note is not None:
            note(name, scores[name])
    return scores


def _read(journal: Path | None, key: dict[str, Any]) -> dict[str, list[float]]:
    if journal is None or not journal.is_file():
        return {}
    try:
        plain = json.loads(journal.read_text(encoding="utf-8"))
        return dict(plain["scores"]) if plain["key"] == key else {}
    except (ValueError, KeyError, TypeError) as problem:
        raise UserError(f"{journal}: damaged ({problem}); remove it to start anew") from None


def rank_correlation(one: Sequence[float], two: Sequence[float]) -> dict[str, float | None]:
    """Spearman's rho and Kendall's tau-b of two lists in the same order; None where one list is constant.

    Raises:
        UserError: fewer than three values, or lists of different length.
    """
    from scipy.stats import kendalltau, spearmanr

    if len(one) != len(two) or len(one) < 3:
        raise UserError(f"a rank correlation needs two lists of at least 3 values, not {len(one)} and {len(two)}")
    if len(set(one)) == 1 or len(set(two)) == 1:
        return {"spearman": None, "kendall": None}
    return {"spearman": float(spearmanr(one, two).statistic), "kendall": float(kendalltau(one, two).statistic)}


def regret(proxy: dict[str, Score], truth: dict[str, Score]) -> float:
    """What choosing by ``proxy`` loses: best true mean minus the true mean of the proxy's first choice."""
    chosen = max(sorted(proxy), key=lambda name: proxy[name].mean)
    return max(score.mean for score in truth.values()) - truth[chosen].mean


@dataclass(frozen=True)
class ByteBalance:
    """Bytes to try ``configurations`` candidates: distil once and tune on the set, or run FedAvg for each.

    Attributes:
        distillation: bytes down and up of the whole distillation.
        fedavg: bytes down and up of one FedAvg run.
        configurations: how many are tried.
    """

    distillation: int
    fedavg: int
    configurations: int

    @property
    def all_fedavg(self) -> int:
        return self.fedavg * self.configurations

    @property
    def break_even(self) -> int:
        """Number of configurations from which on distillation sends fewer bytes."""
        return math.floor(self.distillation / self.fedavg) + 1

    def line(self) -> str:
        """Both terms, and which is smaller."""
        verdict = "distillation sends less" if self.distillation < self.all_fedavg else "distillation does NOT pay"
        return (
            f"distillation once: {self.distillation:,} bytes; FedAvg: {self.configurations} x {self.fedavg:,} ="
            f" {self.all_fedavg:,} bytes; {verdict} (it does from {self.break_even} configurations on)"
        )
