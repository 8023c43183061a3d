"""Federated averaging of a ConvNet on the same federation: the price and the result of one ordinary training run."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from flwr.serverapp import Grid
from torch import nn

from ..compress import Codec
from ..convnet import load_parameters, make_network, parameters_of
from ..plan import Plan
from ..settings import Draw, NetSpec, seed_of
from ..training import TrainRecipe
from .averaging import average
from .fedavg_client import TRAIN, write_task
from .records import weight_arrays


@dataclass
class FedAvgResult:
    """A network trained by averaging.

    Attributes:
        network: the result.
        rounds: made.
        bytes_down, bytes_up: of all serialised messages.
    """

    network: nn.Sequential
    rounds: int
    bytes_down: int
    bytes_up: int


def fedavg(grid: Grid, plan: Plan, spec: NetSpec, recipe: TrainRecipe, rounds: int, *, seed: int = 0) -> FedAvgResult:
    """Average the clients' networks, weighted by their images, ``rounds`` times.

    Args:
        grid: the clients.
        plan: images, timeout, quorum, codec of the weights (``float32`` or ``bf16``, both ways).
        spec: architecture.
        recipe: of each client's local epochs; ``epochs`` is per round.
        rounds: how many.
        seed: of the first weights.

    Raises:
        UserError: too few clients answered.
    """
    network = make_network(spec, plan.channels, plan.size, len(plan.class_names), seed_of(seed, Draw.NETWORK))
    codec = Codec(plan.federation.weights)
    made = average(
        grid,
        plan.federation,
        weight_arrays(parameters_of(network)),
        lambda weights, number: write_task(weights, spec, recipe, number, codec),
        action=TRAIN,
        rounds=rounds,
        tag=f"fedavg.{seed}",
    )
    load_parameters(network, [torch.from_numpy(array) for array in made.weights])
    return FedAvgResult(network, made.rounds, made.bytes_down, made.bytes_up)
