"""From a federation to a payload. Clients train a linear classifier on a frozen backbone by federated averaging; the
server, which never sees their images, labels the public pool with it, selects, and encodes.

This is the only module of this package that uses ``plada_select``, and only when called.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plada_format.errors import UserError

from .partition import Partition, deal
from .plan import Federation

if TYPE_CHECKING:
    from plada_select.pipeline import Outcome

_POOL_SAMPLE = 1024  # public images whose features give mean and spread


@dataclass(frozen=True)
class FederatedTeacher:
    """A linear classifier on a frozen backbone that a federation trained.

    Attributes:
        folder: checkpoint.
        accuracy: on the task's test images.
        bytes_down, bytes_up: between server and all clients, of all serialised messages. The backbone, which every
            client must have, is not in it.
    """

    folder: Path
    accuracy: float
    bytes_down: int
    bytes_up: int


def federated_teacher(
    task: str,
    folder: Path,
    *,
    images: str,
    arch: str = "tf_efficientnet_lite0",
    backbone: str = "wheel",
    input_size: int | None = None,
    clients: int = 4,
    partition: str = "iid",
    rounds: int = 20,
    local_epochs: int = 2,
    lr: float = 1e-3,
    seed: int = 0,
    cache: str | Path,
    progress: bool = True,
) -> FederatedTeacher:
    """Train a classifier by federated averaging, test it, and save it in ``folder``.

    Features are standardised with mean and spread over public pool images, so that no statistic of private images
    has to travel.

    Args:
        task: labelled data, dealt to the clients.
        folder: of the checkpoint.
        images: of the pool.
        arch, backbone, input_size: the frozen network that every client has, see ``plada_train.load_model``.
        clients, partition: the federation.
        rounds, local_epochs, lr: of the averaging.
        seed: of partition and training.
        cache: folder for features.
        progress: show bars.

    Raises:
        UserError: unusable data, or too few clients answered.
    """
    from plada_train import (
        Head,
        attach_head,
        evaluate,
        extract_features,
        load_model,
        open_source,
        open_task,
        save_checkpoint,
    )  # fmt: skip

    from .flower.grid import InProcessGrid
    from .flower.heads import FeatureHolding, average_heads, make_head_app

    store = Path(cache)
    target = open_task(task, val_fraction=0, seed=seed)
    train = target.split("train")
    model = load_model(arch, backbone, input_size=input_size)
    source = open_source(images)
    sample = np.arange(min(_POOL_SAMPLE, len(source)), dtype=np.int64)
    public = extract_features(model, source, sample, cache=store, progress=progress, description="pool sample")
    middle, scale = _standardisation(public.values[public.status < 128])
    private = extract_features(model, train.source, cache=store, progress=progress, description="clients' features")
    usable = private.status < 128
    features = ((private.values - middle) * scale).astype(np.float32)[usable]
    labels = train.labels[usable]
    parts = deal(labels, clients, Partition.parse(partition), seed)

    def holding(context: Any) -> FeatureHolding:
        number = int(context.node_config["partition-id"])
        return FeatureHolding(features[parts[number]], labels[parts[number]], number)

    grid = InProcessGrid(make_head_app(holding), {}, clients)
    made = average_heads(
        grid, Federation(clients=clients), model.feature_dim, target.num_classes,
        rounds=rounds, epochs=local_epochs, lr=lr, seed=seed,
    )  # fmt: skip
    weight, bias = (array.astype(np.float64) for array in made.weights)
    folded = (weight * scale).astype(np.float32), (bias - (weight * scale) @ middle).astype(np.float32)
    teacher = attach_head(model, Head((folded,)))
    result = evaluate(teacher, target.split("test"), cache=store, progress=progress)
    metrics = {"test_accuracy": result.accuracy, "clients": clients, "rounds": made.rounds}
    folder.mkdir(parents=True, exist_ok=True)
    save_checkpoint(folder, teacher, class_names=target.class_names, metrics=metrics, seed=seed)
    return FederatedTeacher(folder, result.accuracy, made.bytes_down, made.bytes_up)


def _standardisation(values: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not len(values):
        raise UserError("no pool image can be decoded")
    middle = values.mean(0, dtype=np.float64)
    spread = values.std(0, dtype=np.float64)
    return middle, 1 / np.where(spread > 1e-6, spread, 1.0)


def teacher_payload(
    teacher: Path, folder: Path, *, pool: str, images: str, keep: str = "1%", progress: bool = True
) -> Outcome:
    """What the server does with a teacher: score the pool, select (equal class quotas, lowest energy) and encode.

    Args:
        teacher: checkpoint folder.
        folder: ``table/`` and ``task.plada`` go here.
        pool, images: manifest and images of the pool.
        keep: share of the pool.
        progress: show bars.
    """
    from plada_format.manifest import Manifest
    from plada_select.pipeline import select_payload, write_outcome
    from plada_select.safety_net import SafetyNet
    from plada_select.score import open_context, score_pool
    from plada_select.scoretable import ScoreTable
    from plada_select.select import Policy
    from plada_train import load_checkpoint, open_source

    manifest = Manifest.open(pool)
    context = open_context(open_source(images), manifest, load_checkpoint(teacher), folder / "table")
    score_pool(context, progress=progress)
    table = ScoreTable.open(folder / "table", pool_fingerprint=manifest.fingerprint, pool_size=len(manifest))
    policy = Policy(criterion="energy", direction="low", safety_net=SafetyNet())
    outcome = select_payload(table, policy, keep=keep)
    write_outcome(outcome, folder / "task.plada")
    return outcome
