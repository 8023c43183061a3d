"""Who holds which images: iid, Dirichlet, shards; and clients whose labels are wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .settings import Draw, seed_of

KINDS = ("iid", "dirichlet", "shards")
_TRIES = 1000


@dataclass(frozen=True)
class Partition:
    """How images are dealt out.

    Attributes:
        kind: ``iid``: shuffled and cut evenly; ``dirichlet``: each class is cut by shares drawn from a Dirichlet
            distribution, the smaller ``alpha`` the more unequal; ``shards``: sorted by class, cut into
            ``clients * per_client`` pieces, and ``per_client`` pieces dealt to each.
        alpha: of ``dirichlet``.
        per_client: of ``shards``.
    """

    kind: str = "iid"
    alpha: float = 0.5
    per_client: int = 2

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"partition: choose one of {', '.join(KINDS)}, not {self.kind!r}")
        if not 0 < self.alpha < float("inf") or self.per_client < 1:
            raise UserError("partition: alpha must be above 0, shards per client at least 1")

    @classmethod
    def parse(cls, text: str) -> Partition:
        """``iid``, ``dirichlet:0.1`` or ``shards:2``."""
        kind, _, value = text.partition(":")
        try:
            if kind == "dirichlet" and value:
                return cls(kind, alpha=float(value))
            if kind == "shards" and value:
                return cls(kind, per_client=int(value))
        except UserError:
            raise
        except ValueError:
            raise UserError(f"partition: {text!r} is not iid, dirichlet:ALPHA or shards:N") from None
        if value:
            raise UserError(f"partition: {text!r} is not iid, dirichlet:ALPHA or shards:N")
        return cls(kind)

    def __str__(self) -> str:
        if self.kind == "dirichlet":
            return f"dirichlet:{self.alpha:g}"
        return f"shards:{self.per_client}" if self.kind == "shards" else self.kind


def deal(
    labels: NDArray[np.integer], clients: int, partition: Partition, seed: int, *, at_least: int = 1
) -> list[NDArray[np.int64]]:
    """Positions for each client, rising; together all images, each exactly once.

    Args:
        labels: (n,), of the images.
        clients: how many.
        partition: how.
        seed: of the draw.
        at_least: images that each client must get; Dirichlet draws are repeated until it holds.

    Raises:
        UserError: fewer images than clients need, or no draw found.
    """
    labels = np.asarray(labels, np.int64)
    count = len(labels)
    if clients < 1 or count < clients * at_least:
        raise UserError(f"{count} images cannot be dealt to {clients} clients with at least {at_least} each")
    generator = np.random.default_rng(seed_of(seed, Draw.PARTITION, clients))
    if partition.kind == "iid":
        return [np.sort(part) for part in np.array_split(generator.permutation(count), clients)]
    if partition.kind == "shards":
        pieces = clients * partition.per_client
        if count < pieces:
            raise UserError(f"{count} images do not give {pieces} shards")
        by_class = generator.permutation(count)
        by_class = by_class[np.argsort(labels[by_class], kind="stable")]
        shards = np.array_split(by_class, pieces)
        order = generator.permutation(pieces).reshape(clients, partition.per_client)
        return [np.sort(np.concatenate([shards[piece] for piece in row])) for row in order]
    for _ in range(_TRIES):
        dealt: list[list[NDArray[np.int64]]] = [[] for _ in range(clients)]
        for label in np.unique(labels):
            members = generator.permutation(np.flatnonzero(labels == label))
            shares = generator.dirichlet(np.full(clients, partition.alpha))
            cuts = np.round(np.cumsum(shares)[:-1] * len(members)).astype(np.int64)
            for holder, part in zip(dealt, np.split(members, cuts)):
                holder.append(part)
        parts = [np.sort(np.concatenate(holder)) for holder in dealt]
        if min(len(part) for part in parts) >= at_least:
            return parts
    raise UserError(
        f"no Dirichlet draw with alpha {partition.alpha:g} gives each of {clients} clients {at_least} images;"
        " choose a larger alpha or fewer clients"
    )


def wrong_clients(clients: int, share: float, seed: int) -> list[int]:
    """Numbers of the clients whose labels are wrong: ``round(share * clients)`` of them, drawn from the seed.

    Raises:
        UserError: the share lies outside [0, 1].
    """
    if not 0 <= share <= 1:
        raise UserError(f"the share of mislabelled clients must lie in [0, 1], not {share}")
    generator = np.random.default_rng(seed_of(seed, Draw.MISLABEL, clients))
    return sorted(generator.permutation(clients)[: round(share * clients)].tolist())


def mislabel(labels: NDArray[np.integer], num_classes: int, seed: int, client: int) -> NDArray[np.int64]:
    """Every label replaced by another class, drawn evenly: what a careless or hostile client would hold.

    Raises:
        UserError: fewer than two classes.
    """
    if num_classes < 2:
        raise UserError("labels of a single class cannot be wrong")
    generator = np.random.default_rng(seed_of(seed, Draw.MISLABEL, client, 1))
    moved = generator.integers(1, num_classes, len(labels))
    return (np.asarray(labels, np.int64) + moved) % num_classes
