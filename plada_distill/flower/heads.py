"""Federated averaging of a linear classifier on frozen features: few bytes, and as a teacher far better than a small
network of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from numpy.typing import NDArray

from plada_train import Recipe, Targets, run_loop
from plada_train.heads import TensorData
from plada_train.loop import mix_seed

from ..compress import Arrays, Codec, WireError
from ..plan import Federation
from .averaging import Averaged, average, write_weights
from .records import pack, unpack

TRAIN = "train.head"


@dataclass(frozen=True)
class FeatureHolding:
    """A client's images as features of the frozen backbone that everybody has.

    Attributes:
        features: float32 (n, D), standardised with numbers that are the same for all clients.
        labels: int64 (n,).
        number: of the client.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    number: int


def make_head_app(find: Callable[[Context], FeatureHolding]) -> ClientApp:
    """A client app with the one action of :func:`average_heads`."""
    app = ClientApp()

    @app.train("head")
    def head(message: Message, context: Context) -> Message:
        return Message(_train(message.content, find(context)), reply_to=message)

    return app


def average_heads(
    grid: Grid, federation: Federation, dim: int, classes: int, *, rounds: int, epochs: int, lr: float, seed: int
) -> Averaged:
    """Weight (K, D) and bias (K,) of a linear classifier, averaged ``rounds`` times, from zeros.

    Args:
        grid: clients with :func:`make_head_app`.
        federation: quorum, timeout, codec of the weights.
        dim, classes: D and K.
        rounds, epochs, lr: epochs are per round and client; AdamW, a cosine to 0 in each round.
        seed: of the clients' order of images.

    Raises:
        UserError: too few clients answered.
    """
    codec = Codec(federation.weights)
    start = [np.zeros((classes, dim), np.float32), np.zeros(classes, np.float32)]

    def question(weights: Arrays, number: int) -> RecordDict:
        config = ConfigRecord(
            {"dim": dim, "classes": classes, "epochs": epochs, "lr": lr, "seed": seed, "round": number,
             "codec": str(codec)}
        )  # fmt: skip
        return RecordDict({"arrays": ArrayRecord({"weights": pack(codec.encode(weights))}), "task": config})

    return average(grid, federation, start, question, action=TRAIN, rounds=rounds, tag=f"head.{seed}")


def _train(content: RecordDict, holding: FeatureHolding) -> RecordDict:
    try:
        config: Any = content.config_records["task"]
        dim, classes, epochs = (int(config[name]) for name in ("dim", "classes", "epochs"))
        seed, number, lr = int(config["seed"]), int(config["round"]), float(config["lr"])
        codec = Codec.parse(str(config["codec"]))
        data = unpack(content.array_records["arrays"]["weights"])
    except (KeyError, TypeError, ValueError) as problem:
        raise WireError(f"a damaged task ({problem!r})") from None
    weights = codec.decode(data, [(classes, dim), (classes,)])
    layer = torch.nn.Linear(dim, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights[0]))
        layer.bias.copy_(torch.from_numpy(weights[1]))
    recipe = Recipe(
        epochs=epochs, lr=lr, weight_decay=0.01, batch_size=32, keep="last", amp="off",
        seed=mix_seed(seed, holding.number, number),
    )  # fmt: skip
    values = torch.from_numpy(np.ascontiguousarray(holding.features, np.float32))
    run_loop(layer, TensorData(values), Targets(holding.labels, classes), recipe, device=torch.device("cpu"))
    sent = [layer.weight.detach().numpy(), layer.bias.detach().numpy()]
    return write_weights(holding.number, len(holding.labels), sent, codec)
