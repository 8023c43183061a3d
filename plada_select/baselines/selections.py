"""Other selections of the same pool with the teacher's labels: random, other criteria, all of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..criteria import CRITERIA
from ..safety_net import SafetyNet
from ..select import Policy, Ranking, Selection, rank
from .results import BaselineResult, Need, Point, mean_bytes, per_class_of
from .search import smallest_reaching
from .students import POOL

if TYPE_CHECKING:
    from .contest import Contest

_SEARCH_SEEDS = 2
_LOW32 = np.uint64(0xFFFFFFFF)
_WORDS = {"energy": "energy", "entropy": "entropy", "max_logit": "largest logit", "margin": "margin",
          "random": "random", "consensus": "consensus"}  # fmt: skip


def random_selection(contest: Contest, *, quotas: bool = False, search: bool = True) -> BaselineResult:
    """As many random pool images as the payload has, with the teacher's labels.

    Args:
        contest: what is compared.
        quotas: draw within the payload's number of images per class, so that only the choice inside a class differs.
        search: also look for the bytes that reach the payload's accuracy.
    """
    per_class = contest.sent.class_counts()
    rankings = [rank(contest.table, Policy("random", seed=draw)) for draw in range(contest.draws)]

    def drawn(draw: int, count: int) -> Selection:
        ranking = rankings[draw]
        if not quotas:
            return ranking.select(count)
        wanted = _scaled(per_class, count)
        keys = ranking.class_heads(np.minimum(wanted, ranking.class_counts))
        indices = np.sort((keys & _LOW32).astype(np.uint32))
        return Selection(indices, ranking.labels[indices])

    sizes, accuracies, first = [], [], None
    for draw in range(contest.draws):
        selection = drawn(draw, contest.count)
        sizes.append(contest.size_of(selection.indices, selection.labels))
        evaluation = contest.student.fit_pool(selection.indices, selection.labels, seed=draw)
        accuracies.append(evaluation.accuracy)
        first = first or evaluation
    result = BaselineResult(
        "random_quota" if quotas else "random",
        "Random pool images, the payload's class counts" if quotas else "Random pool images",
        tuple(accuracies),
        bytes=mean_bytes(sizes),
        count=contest.count,
        fits=mean_bytes(sizes) <= contest.budget,
        holds=contest.holds(POOL),
        counted="the whole file, mean of the draws",
        note=f"as many images as the payload, teacher labels, {contest.draws} draws",
        per_class=per_class_of(first),
    )
    limit = _quota_limit(rankings[0], contest) if quotas else rankings[0].usable
    return _with_need(contest, result, drawn, limit, min(_SEARCH_SEEDS, contest.draws)) if search else result


def criterion_selection(
    contest: Contest,
    criterion: str = "entropy",
    direction: str | None = None,
    safety_net: SafetyNet | str | None = "same",
    *,
    search: bool = True,
) -> BaselineResult:
    """As many pool images as the payload has, by another criterion, direction or without the Safety-Net.

    Args:
        contest: what is compared.
        criterion: see :class:`plada_select.select.Policy`.
        direction: by default that of the payload.
        safety_net: ``"same"`` as the payload, another one, or None.
        search: also look for the bytes that reach the payload's accuracy.
    """
    assert criterion in CRITERIA, criterion
    net = contest.policy.safety_net if isinstance(safety_net, str) else safety_net
    policy = replace(
        contest.policy, criterion=criterion, direction=direction or contest.policy.direction, safety_net=net
    )
    ranking = rank(contest.table, policy)
    selection = ranking.select(contest.count)
    accuracies, first = contest.train(selection)
    size = contest.size_of(selection.indices, selection.labels)
    result = BaselineResult(
        _id(contest.policy, policy),
        _title(policy),
        accuracies,
        bytes=size,
        count=contest.count,
        fits=size <= contest.budget,
        holds=contest.holds(POOL),
        counted="the whole file",
        note="as many images as the payload, " + ("no Safety-Net" if net is None else "with its Safety-Net"),
        per_class=per_class_of(first),
    )
    if not search:
        return result

    def chosen(_: int, count: int) -> Selection:
        return ranking.select(count)

    return _with_need(contest, result, chosen, ranking.usable, 1)


def opposite_energy(contest: Contest, *, search: bool = True) -> BaselineResult:
    """The other end of the payload's order."""
    other = "low" if contest.policy.direction == "high" else "high"
    return criterion_selection(contest, contest.policy.criterion, other, search=search)


def full_pool(contest: Contest) -> BaselineResult:
    """Every usable pool image with its teacher label: the plainest pseudo-labelling there is."""
    ranking = rank(contest.table, replace(contest.policy, safety_net=None))
    everything = ranking.select(ranking.usable)
    accuracies, first = contest.train(everything)
    size = contest.size_of(everything.indices, everything.labels)
    result = BaselineResult(
        "full_pool",
        "The full pool",
        accuracies,
        bytes=size,
        count=len(everything),
        fits=size <= contest.budget,
        holds=contest.holds(POOL),
        counted="the whole file: a label for every usable image",
        note="no filtering at all",
        per_class=per_class_of(first),
    )
    need = Need(size, len(everything), result.accuracy, result.accuracy >= contest.wanted)
    return replace(result, needed=need)


def _id(payload: Policy, policy: Policy) -> str:
    if policy.criterion != payload.criterion:
        return policy.criterion
    if policy.direction != payload.direction:
        return "opposite"
    return "plain" if policy.safety_net is None else policy.criterion


def _title(policy: Policy) -> str:
    end = "Lowest" if policy.direction == "low" else "Highest"
    text = f"{end} {_WORDS[policy.criterion]}"
    return text if policy.safety_net is not None else f"{text}, no class quotas"


def _scaled(per_class: np.ndarray, count: int) -> np.ndarray:
    """Class counts of ``count`` images in the payload's proportions, largest remainder, ties to the lower class."""
    exact = per_class.astype(np.float64) * count / max(1, int(per_class.sum()))
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: count - int(whole.sum())]] += 1
    return whole


def _quota_limit(ranking: Ranking, contest: Contest) -> int:
    """The largest count at which no class runs out."""
    per_class = contest.sent.class_counts()
    used = per_class > 0
    factor = float((ranking.class_counts[used] / per_class[used]).min())
    return max(contest.count, int(factor * contest.count) - contest.table.num_classes)


def _with_need(
    contest: Contest, result: BaselineResult, chosen: Callable[[int, int], Selection], limit: int, repeats: int
) -> BaselineResult:
    """Add what is needed for the payload's accuracy, where the baseline has less of it or more bytes."""
    if result.accuracy >= contest.wanted and result.fits:
        return replace(result, needed=Need(result.bytes or 0, result.count, result.accuracy, True))

    def measure(count: int) -> Point:
        if count == result.count:
            return Point(result.bytes or 0, count, result.accuracy)
        sizes, accuracies = [], []
        for repeat in range(repeats):
            selection = chosen(repeat, count)
            sizes.append(contest.size_of(selection.indices, selection.labels))
            accuracies.append(contest.student.fit_pool(selection.indices, selection.labels, seed=repeat).accuracy)
        return Point(mean_bytes(sizes), count, sum(accuracies) / repeats)

    start = contest.count if result.accuracy < contest.wanted else max(1, contest.count // 8)
    need, curve = smallest_reaching(measure, contest.wanted, start, limit)
    return replace(result, needed=need, curve=curve)
