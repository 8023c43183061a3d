"""The client's part of federated averaging: train the network that came on the own images, send it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict

from ..compress import Codec, WireError
from ..convnet import load_parameters, make_network, parameters_of
from ..plan import Plan
from ..settings import Draw, NetSpec, seed_of
from ..training import TrainRecipe, train_on
from .averaging import write_weights
from .records import pack, shapes_of, unpack, weight_arrays

if TYPE_CHECKING:
    from flwr.clientapp import ClientApp

    from .client import Holding

TRAIN = "train.fedavg"


def register(app: ClientApp, find: Callable[[Context], Holding]) -> None:
    """Add the action to the client's app."""

    @app.train("fedavg")
    def fedavg(message: Message, context: Context) -> Message:
        plan = Plan.from_config(context.run_config)
        return Message(local_training(message.content, plan, find(context)), reply_to=message)


def write_task(weights: list[Any], spec: NetSpec, recipe: TrainRecipe, round_number: int, codec: Codec) -> RecordDict:
    """What the server sends: weights, architecture, recipe of the local epochs."""
    config = ConfigRecord(
        {
            "width": spec.width,
            "depth": spec.depth,
            "norm": spec.norm,
            "epochs": recipe.epochs,
            "lr": recipe.lr,
            "momentum": recipe.momentum,
            "weight-decay": recipe.weight_decay,
            "batch-size": recipe.batch_size,
            "augment": " ".join(recipe.augment),
            "round": round_number,
            "codec": str(codec),
        }
    )
    return RecordDict({"arrays": ArrayRecord({"weights": pack(codec.encode(weights))}), "task": config})


def local_training(content: RecordDict, plan: Plan, holding: Holding) -> RecordDict:
    """Train on the client's images; the result and the number of images.

    Raises:
        WireError: a damaged task.
    """
    try:
        config: Any = content.config_records["task"]
        arrays = content.array_records["arrays"]
        spec = NetSpec.from_json(config)
        recipe = TrainRecipe(
            epochs=int(config["epochs"]),
            lr=float(config["lr"]),
            momentum=float(config["momentum"]),
            weight_decay=float(config["weight-decay"]),
            batch_size=int(config["batch-size"]),
            augment=tuple(str(config["augment"]).split()),
        )
        codec, number = Codec.parse(str(config["codec"])), int(config["round"])
        data = unpack(arrays["weights"])
    except (KeyError, TypeError, ValueError) as problem:
        raise WireError(f"a damaged task ({problem!r})") from None
    images = holding.images
    network = make_network(spec, images.channels, images.size, images.num_classes, 0)
    weights = codec.decode(data, shapes_of(parameters_of(network)))
    load_parameters(network, [torch.from_numpy(array) for array in weights])
    train_on(network, images, recipe, seed_of(plan.settings.seed, Draw.TRAIN, holding.number, number))
    return write_weights(holding.number, len(images), weight_arrays(parameters_of(network)), codec)
