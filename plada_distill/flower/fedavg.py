"""Federated averaging on the same federation: the price of one training run, and a teacher for a payload."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from flwr.app import Message
from flwr.serverapp import Grid
from torch import nn

from plada_format.errors import UserError

from ..compress import Codec, WireError
from ..convnet import load_parameters, make_network, parameters_of
from ..plan import Plan
from ..settings import Draw, NetSpec, seed_of
from ..training import TrainRecipe
from .fedavg_client import TRAIN, write_task
from .grid import exchange
from .records import shapes_of, unpack, weight_arrays


@dataclass
class FedAvgResult:
    """A network trained by averaging.

    Attributes:
        network: the result.
        rounds: made.
        bytes_down, bytes_up: of all serialised messages.
    """

    network: nn.Sequential
    rounds: int = 0
    bytes_down: int = 0
    bytes_up: int = 0


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
    size, channels, classes = plan.size, plan.channels, len(plan.class_names)
    network = make_network(spec, channels, size, classes, seed_of(seed, Draw.NETWORK))
    shapes = shapes_of(parameters_of(network))
    codec, federation = Codec(plan.federation.weights), plan.federation
    result = FedAvgResult(network)
    counters = {"bytes_down": 0, "bytes_up": 0}
    for number in range(rounds):
        content = write_task(weight_arrays(parameters_of(network)), spec, recipe, number, codec)
        nodes = sorted(grid.get_node_ids())
        messages = [
            Message(content, node, TRAIN, ttl=federation.timeout, group_id=f"fedavg.{seed}.{number}")
            for node in nodes
        ]
        answers: dict[int, tuple[int, list[np.ndarray]]] = {}
        problem = ""
        for reply in exchange(grid, messages, federation.timeout, counters):
            try:
                if reply.has_error():
                    raise WireError(reply.error.reason or "a client failed")
                config = reply.content.config_records["answer"]
                data = unpack(reply.content.array_records["arrays"]["weights"])
                answers[int(config["holder"])] = (int(config["count"]), codec.decode(data, shapes))  # type: ignore[arg-type]
            except (WireError, KeyError, TypeError) as found:
                problem = str(found)
        if len(answers) < max(1, round(federation.quorum * len(nodes))):
            raise UserError(f"federated averaging, round {number + 1}: too few clients answered ({problem})")
        total = sum(count for count, _ in answers.values())
        average = [np.zeros(shape, np.float64) for shape in shapes]
        for _, (count, arrays) in sorted(answers.items()):
            for sum_so_far, array in zip(average, arrays):
                sum_so_far += array.astype(np.float64) * (count / total)
        load_parameters(network, [torch.from_numpy(array.astype(np.float32)) for array in average])
        result.rounds += 1
        result.bytes_down, result.bytes_up = counters["bytes_down"], counters["bytes_up"]
    return result
