"""Federated averaging of any list of arrays over a Flower grid: rounds, weights by images, quorum, bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from plada_format.errors import UserError

from ..compress import Arrays, Codec, WireError
from ..plan import Federation
from .grid import exchange
from .records import pack, unpack


@dataclass
class Averaged:
    """What the rounds gave.

    Attributes:
        weights: float32 arrays, as those that it started from.
        rounds: made.
        bytes_down, bytes_up: of all serialised messages.
    """

    weights: Arrays
    rounds: int = 0
    bytes_down: int = 0
    bytes_up: int = 0


def average(
    grid: Grid,
    federation: Federation,
    start: Arrays,
    question: Callable[[Arrays, int], RecordDict],
    *,
    action: str,
    rounds: int,
    tag: str,
) -> Averaged:
    """Ask every client to train from the current weights, average what comes back by the clients' images, repeat.

    Args:
        grid: the clients.
        federation: quorum, timeout, codec of the weights (both ways).
        start: the first weights.
        question: weights and round -> what is sent.
        action: Flower's message type.
        rounds: how many.
        tag: tells runs apart in message groups.

    Raises:
        UserError: too few clients answered in a round.
    """
    codec = Codec(federation.weights)
    shapes = [array.shape for array in start]
    result = Averaged(start)
    counters = {"bytes_down": 0, "bytes_up": 0}
    for number in range(rounds):
        content = question(result.weights, number)
        nodes = sorted(grid.get_node_ids())
        messages = [
            Message(content, node, action, ttl=federation.timeout, group_id=f"{tag}.{number}") for node in nodes
        ]
        answers: dict[int, tuple[int, Arrays]] = {}
        problem = "no answer"
        for reply in exchange(grid, messages, federation.timeout, counters):
            try:
                holder, count, weights = _read(reply, codec, shapes)
                answers[holder] = (count, weights)
            except WireError as found:
                problem = str(found)
        if len(answers) < max(1, round(federation.quorum * len(nodes))):
            raise UserError(f"federated averaging, round {number + 1}: too few clients answered ({problem})")
        total = sum(count for count, _ in answers.values())
        sums = [np.zeros(shape, np.float64) for shape in shapes]
        for _, (count, arrays) in sorted(answers.items()):
            for sum_so_far, array in zip(sums, arrays):
                sum_so_far += array.astype(np.float64) * (count / total)
        result.weights = [array.astype(np.float32) for array in sums]
        result.rounds += 1
    result.bytes_down, result.bytes_up = counters["bytes_down"], counters["bytes_up"]
    return result


def write_weights(holder: int, count: int, weights: Arrays, codec: Codec) -> RecordDict:
    """A client's answer: its weights and how many images they were trained on."""
    arrays = ArrayRecord({"weights": pack(codec.encode(weights))})
    return RecordDict({"arrays": arrays, "answer": ConfigRecord({"holder": holder, "count": count})})


def _read(reply: Message, codec: Codec, shapes: list[tuple[int, ...]]) -> tuple[int, int, Arrays]:
    if reply.has_error():
        raise WireError(reply.error.reason or "a client failed")
    try:
        config = reply.content.config_records["answer"]
        holder, count = config["holder"], config["count"]
        data = unpack(reply.content.array_records["arrays"]["weights"])
    except (KeyError, TypeError) as problem:
        raise WireError(f"a damaged answer ({problem!r})") from None
    if not isinstance(holder, int) or not isinstance(count, int) or not 1 <= count <= 1 << 40:
        raise WireError("a client number or a count out of range")
    return holder, count, codec.decode(data, shapes)
