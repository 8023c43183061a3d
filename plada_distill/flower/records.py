"""Questions and answers as Flower records. Numbers travel as plain bytes, without pickle and without array headers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from ..compress import Arrays, Codec, Shapes, WireError
from ..gradients import GradientRequest

_STYPE = "plada.bytes"


@dataclass(frozen=True)
class Question:
    """What a client is asked: a step of gradient matching.

    Attributes:
        request: where the run is.
        weights: of the network, in order of its parameters.
    """

    request: GradientRequest
    weights: Arrays


@dataclass(frozen=True)
class Answer:
    """What a client returns.

    Attributes:
        holder: number of the client.
        data: class (or -1) -> encoded gradient.
        counts: class (or -1) -> images held.
    """

    holder: int
    data: dict[int, bytes]
    counts: dict[int, int]


def pack(data: bytes) -> Array:
    """Bytes as an array record's member."""
    return Array(dtype="uint8", shape=(len(data),), stype=_STYPE, data=data)


def unpack(array: Array) -> bytes:
    """Inverse of :func:`pack`.

    Raises:
        WireError: made by something else.
    """
    if array.stype != _STYPE:
        raise WireError(f"an array of type {array.stype!r} where bytes are due")
    return bytes(array.data)


def weight_arrays(tensors: Sequence[torch.Tensor]) -> Arrays:
    """Tensors on any device -> float32 arrays."""
    return [tensor.detach().to("cpu", torch.float32).contiguous().numpy() for tensor in tensors]


def write_question(question: Question, weights: Codec) -> RecordDict:
    """Question -> records."""
    request = question.request
    config: dict[str, Any] = {
        "iteration": request.iteration,
        "step": request.step,
        "seed": request.seed,
        "batch": request.batch,
        "pooled": request.pooled,
        "augment": " ".join(request.augment),
        "weights": str(weights),
    }
    arrays = ArrayRecord({"weights": pack(weights.encode(question.weights))})
    return RecordDict({"arrays": arrays, "request": ConfigRecord(config)})


def read_question(content: RecordDict, shapes: Shapes) -> Question:
    """Records -> question.

    Raises:
        WireError: something is missing or does not fit the network.
    """
    try:
        config, arrays = content.config_records["request"], content.array_records["arrays"]
        request = GradientRequest(
            iteration=_number(config["iteration"]),
            step=_number(config["step"]),
            seed=_number(config["seed"]),
            batch=_number(config["batch"]),
            pooled=bool(config["pooled"]),
            augment=tuple(str(config["augment"]).split()),
        )
        codec = Codec.parse(str(config["weights"]))
        return Question(request, codec.decode(unpack(arrays["weights"]), shapes))
    except (KeyError, TypeError) as problem:
        raise WireError(f"a damaged question ({problem!r})") from None


def write_answer(answer: Answer) -> RecordDict:
    """Answer -> records."""
    arrays = ArrayRecord({str(label): pack(data) for label, data in sorted(answer.data.items())})
    labels = sorted(answer.counts)
    config = ConfigRecord(
        {"holder": answer.holder, "classes": labels, "counts": [answer.counts[label] for label in labels]}
    )
    return RecordDict({"arrays": arrays, "answer": config})


def read_answer(content: RecordDict, codec: Codec, shapes: Shapes, allowed: Sequence[int]) -> tuple[
    int, dict[int, list[torch.Tensor]], dict[int, int]
]:
    """Records -> (client number, class -> gradient, class -> images).

    Args:
        content: what came.
        codec: what was agreed.
        shapes: of the network's parameters.
        allowed: classes that may occur.

    Raises:
        WireError: something is missing, does not fit the network, or is not allowed.
    """
    try:
        config, arrays = content.config_records["answer"], content.array_records["arrays"]
        labels, counts = (_numbers(config[name]) for name in ("classes", "counts"))
        holder = _number(config["holder"])
        by_class = {int(name): unpack(arrays[name]) for name in arrays}
    except (KeyError, TypeError, ValueError) as problem:
        raise WireError(f"a damaged answer ({problem!r})") from None
    if len(labels) != len(counts) or sorted(by_class) != sorted(labels) or len(set(labels)) != len(labels):
        raise WireError("classes, counts and gradients do not belong together")
    if not set(labels) <= set(allowed) or min(counts, default=1) < 1 or max(counts, default=1) > 1 << 40:
        raise WireError("a class or a count out of range")
    found = {
        label: [torch.from_numpy(part) for part in codec.decode(data, shapes)] for label, data in by_class.items()
    }
    return holder, found, dict(zip(labels, counts))


def shapes_of(tensors: Sequence[torch.Tensor]) -> list[tuple[int, ...]]:
    """Shapes of the parameters, in order."""
    return [tuple(tensor.shape) for tensor in tensors]


def state_records(left: Mapping[int, Arrays]) -> ArrayRecord:
    """Leftovers of error feedback, to keep in a client's context."""
    flat = {
        str(label): np.concatenate([array.reshape(-1) for array in arrays]).astype("<f4").tobytes()
        for label, arrays in left.items()
    }
    return ArrayRecord({name: pack(data) for name, data in flat.items()})


def read_state(record: ArrayRecord, shapes: Shapes) -> dict[int, Arrays]:
    """Inverse of :func:`state_records`; leftovers of another network count as none."""
    total = 4 * sum(math.prod(shape) for shape in shapes)
    plain = Codec("float32")
    return {
        int(name): plain.decode(unpack(record[name]), shapes)
        for name in record
        if len(record[name].data) == total
    }


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _numbers(values: Any) -> list[int]:
    return [_number(value) for value in values]
