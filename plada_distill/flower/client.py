"""The client: a Flower ClientApp that answers with gradients on its own images, and trains on them for FedAvg."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from plada_format.errors import UserError

from ..compress import ErrorFeedback
from ..convnet import load_parameters, make_network, parameters_of
from ..data import Images, load_images
from ..gradients import LocalSource
from ..partition import deal, mislabel, wrong_clients
from ..plan import Plan
from .records import (
    Answer,
    read_question,
    read_state,
    shapes_of,
    state_records,
    weight_arrays,
    write_answer,
)

ASK = "query.class_gradients"
_LEFT = "plada-left-over"


@dataclass(frozen=True)
class Holding:
    """A client's images and its number."""

    images: Images
    number: int


Holdings = Callable[[Context], Holding]


def make_client_app(holdings: Holdings | None = None) -> ClientApp:
    """The app that SuperNodes run, and that the in-process grid calls.

    Args:
        holdings: gives a client its images; by default :func:`holding_of`.
    """
    app = ClientApp()
    find = holdings or holding_of

    @app.query("class_gradients")
    def class_gradients(message: Message, context: Context) -> Message:
        plan = Plan.from_config(context.run_config)
        return Message(answer(message.content, context, plan, find(context)), reply_to=message)

    from .fedavg_client import register

    register(app, find)
    return app


def answer(content: RecordDict, context: Context, plan: Plan, holding: Holding) -> RecordDict:
    """Answer one question about class gradients. Leftovers of error feedback stay in the context."""
    images, settings, federation = holding.images, plan.settings, plan.federation
    network = make_network(settings.network, images.channels, images.size, images.num_classes, 0)
    shapes = shapes_of(parameters_of(network))
    question = read_question(content, shapes)
    load_parameters(network, [torch.from_numpy(array) for array in question.weights])
    if federation.clip:
        from ..privacy import noisy_gradients

        found = noisy_gradients(network, images, question.request, federation)
    else:
        found = LocalSource(images, holding.number).gradients(network, question.request)
    codec = federation.codec
    data: dict[int, bytes] = {}
    if codec.name == "topk":
        feedback = ErrorFeedback()
        if question.request.step > 0 and _LEFT in context.state:
            feedback = ErrorFeedback.restore(read_state(context.state.array_records[_LEFT], shapes))
        for label, gradient in found.by_class.items():
            data[label] = feedback.encode(codec, label, weight_arrays(gradient))
        context.state[_LEFT] = state_records(feedback.export())
    else:
        data = {label: codec.encode(weight_arrays(gradient)) for label, gradient in found.by_class.items()}
    return write_answer(Answer(holding.number, data, found.counts))


def holding_of(context: Context) -> Holding:
    """The images of a client.

    A client with ``data`` in its node configuration (a labelled data set, as ``plada teach`` takes it) uses the
    training split of that, all of it. Otherwise this is a simulation: the plan's task is dealt out, and
    ``partition-id`` says which part is this client's.

    Raises:
        UserError: neither is given, or the class names are not the plan's.
    """
    plan = Plan.from_config(context.run_config)
    node = context.node_config
    if "partition-id" not in node:
        raise UserError("this client has no partition-id in its node configuration (--node-config 'partition-id=0')")
    number = int(node["partition-id"])
    if "data" in node:
        return Holding(_own_images(str(node["data"]), plan.size, plan.channels, plan.class_names), number)
    if not plan.task:
        raise UserError("this client has no data: neither data in its node configuration nor a task in the plan")
    return Holding(dealt_images(plan, number), number)


def dealt_images(plan: Plan, number: int) -> Images:
    """Part ``number`` of the plan's task, with wrong labels where the plan says so.

    Raises:
        UserError: no such part.
    """
    federation, seed = plan.federation, plan.settings.seed
    if not 0 <= number < federation.clients:
        raise UserError(f"partition-id {number}, but the plan deals to {federation.clients} clients")
    everything = _own_images(plan.task, plan.size, plan.channels, plan.class_names, plan.val_fraction)
    labels = everything.labels.numpy()
    part = everything.subset(deal(labels, federation.clients, federation.partition, seed)[number])
    if number in wrong_clients(federation.clients, federation.mislabelled, seed):
        part = part.relabelled(mislabel(part.labels.numpy(), part.num_classes, seed, number))
    return part


@lru_cache(maxsize=4)
def _own_images(
    spec: str, size: int, channels: int, class_names: tuple[str, ...], val_fraction: float = 0.0
) -> Images:
    from plada_train import open_task

    task = open_task(spec, val_fraction=val_fraction)
    if class_names and set(task.class_names) - set(class_names):
        strange = ", ".join(sorted(set(task.class_names) - set(class_names))[:5])
        raise UserError(f"{spec}: classes that the plan does not know: {strange}")
    images = load_images(task.split("train"), size=size, channels=channels)
    if not class_names or task.class_names == class_names:
        return images
    number_of = np.array([class_names.index(name) for name in task.class_names], np.int64)
    return Images(images.pixels, torch.from_numpy(number_of[images.labels.numpy()]), class_names)


__all__ = ["ASK", "Array", "ArrayRecord", "ConfigRecord", "Holding", "answer", "holding_of", "make_client_app"]
