"""The federation in one process: the very ClientApp that Flower calls, real serialised messages, bytes counted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

pytest.importorskip("flwr")

from distill_setup import NET, settings
from flwr.app import Message, RecordDict

from plada_distill import LocalSource, TrainRecipe, accuracy, distil, first_images
from plada_distill.compress import Codec, WireError
from plada_distill.convnet import make_network, parameters_of
from plada_distill.flower.client import ASK, Holding, dealt_images, holding_of, make_client_app
from plada_distill.flower.fedavg import fedavg
from plada_distill.flower.fedavg_client import local_training, write_task
from plada_distill.flower.grid import InProcessGrid, message_bytes, through_the_wire
from plada_distill.flower.records import Question, read_answer, read_question, shapes_of, write_question
from plada_distill.flower.records import weight_arrays as arrays_of
from plada_distill.flower.server import run_server, with_classes
from plada_distill.flower.source import FederatedSource
from plada_distill.gradients import GradientRequest
from plada_distill.plan import Federation, Plan
from plada_format.errors import UserError


def make_plan(task_spec, **options):
    known = {one.name for one in dataclasses.fields(settings())}
    changes = {name: options.pop(name) for name in list(options) if name in known - {"augment"}}
    plan = with_classes(Plan(settings(**changes), Federation(), task_spec, channels=3, size=16))
    return Plan.from_config(plan.to_config() | {name.replace("_", "-"): value for name, value in options.items()})


def make_grid(plan, app=None):
    federation = plan.federation
    return InProcessGrid(app or make_client_app(), plan.to_config(), federation.clients,
                         dropout=federation.dropout, stragglers=federation.stragglers)  # fmt: skip


def run(plan, grid=None, **more):
    first = first_images(plan.settings, plan.class_names, plan.channels, plan.size)
    return distil(plan.settings, FederatedSource(grid or make_grid(plan), plan), first, **more)


@pytest.mark.parametrize("pooled", [False, True])
def test_one_client_is_the_centralised_run_bit_for_bit(task_spec, train_images, pooled):
    plan = make_plan(task_spec, clients=1, pooled=pooled)
    federated = run(plan)
    first = first_images(plan.settings, plan.class_names, 3, 16)
    central = distil(plan.settings, LocalSource(train_images), first)
    assert torch.equal(federated.synthetic.images.pixels, central.synthetic.images.pixels)


def test_four_iid_clients_ask_for_nearly_the_same_images(task_spec, train_images):
    """Whole classes as batches: then the clients' weighted gradients are those of all images together."""
    plan = make_plan(task_spec, clients=4, real_batch=60, augment="flip scale", iterations=2)
    federated = run(plan).synthetic.images.pixels
    first = first_images(plan.settings, plan.class_names, 3, 16)
    central = distil(plan.settings, LocalSource(train_images), first).synthetic.images.pixels
    torch.testing.assert_close(federated, central, rtol=1e-3, atol=2e-3)


def test_bytes_are_those_of_the_messages(task_spec):
    plan = make_plan(task_spec, clients=2, iterations=1, outer_steps=1)
    numbers = sum(part.numel() for part in parameters_of(make_network(NET, 3, 16, 10, 0)))
    up = {}
    for codec, size in (("float32", 4), ("bf16", 2), ("int8", 1), ("topk:0.01", 0.04)):
        (entry,) = run(make_plan(task_spec, clients=2, iterations=1, outer_steps=1, codec=codec)).history
        up[codec] = entry["bytes_up"]
        # Two clients, ten classes; names, heads and scales come on top.
        assert 20 * numbers * size < entry["bytes_up"] < 20 * (numbers * size + 700)
        assert 2 * numbers * 4 < entry["bytes_down"] < 2 * (numbers * 4 + 2000)
        assert entry["asked"] == entry["answered"] == 2 and entry["unusable"] == 0
    assert up["topk:0.01"] < up["int8"] < up["bf16"] < up["float32"]
    (pooled,) = run(make_plan(task_spec, clients=2, iterations=1, outer_steps=1, pooled=True)).history
    assert pooled["bytes_up"] < up["float32"] / 8
    (halved,) = run(make_plan(task_spec, clients=2, iterations=1, outer_steps=1, weights="bf16")).history
    assert halved["bytes_down"] < 0.75 * run(plan).history[0]["bytes_down"]


def test_messages_survive_the_wire(task_spec):
    make_grid(make_plan(task_spec, clients=1))  # gives this process an identity
    network = make_network(NET, 3, 16, 10, 5)
    request = GradientRequest(3, 1, 2**62, 7, True, ("flip", "crop"))
    question = Question(request, arrays_of(parameters_of(network)))
    from plada_distill.compress import Codec

    message = Message(write_question(question, Codec()), 4, ASK, group_id="3.1.0")
    message.metadata.__dict__["_message_id"] = "x"
    back = read_question(through_the_wire(message).content, shapes_of(parameters_of(network)))
    assert back.request == request
    assert all(np.array_equal(one, two) for one, two in zip(back.weights, question.weights))
    assert message_bytes(message) > sum(array.nbytes for array in question.weights)
    with pytest.raises(WireError):
        read_question(RecordDict(), shapes_of(parameters_of(network)))
    with pytest.raises(WireError):
        read_answer(RecordDict(), Codec(), [(1,)], range(3))


def test_absent_and_late_clients_change_little_and_resume_alike(task_spec, tmp_path):
    plan = make_plan(task_spec, clients=4, dropout=0.3, stragglers=0.2, quorum=0.25, iterations=3)
    whole = run(plan, folder=tmp_path / "whole")
    asked, answered = (sum(entry[name] for entry in whole.history) for name in ("asked", "answered"))
    assert answered < asked
    short = dataclasses.replace(plan.settings, iterations=1)
    run(dataclasses.replace(plan, settings=short), folder=tmp_path / "cut")
    resumed = run(plan, folder=tmp_path / "cut")
    assert torch.equal(whole.synthetic.images.pixels, resumed.synthetic.images.pixels)
    assert [entry["bytes_up"] for entry in whole.history] == [entry["bytes_up"] for entry in resumed.history]


def test_leftovers_live_in_the_clients_context_and_start_anew_with_each_network(task_spec, tmp_path):
    """Top-k keeps state between messages; a run that is resumed at an iteration must not notice."""
    plan = make_plan(task_spec, clients=2, codec="topk:0.05", iterations=2, outer_steps=3)
    whole = run(plan, folder=tmp_path / "whole")
    short = dataclasses.replace(plan.settings, iterations=1)
    run(dataclasses.replace(plan, settings=short), folder=tmp_path / "cut")
    resumed = run(plan, make_grid(plan), folder=tmp_path / "cut")  # new contexts: all leftovers are gone
    assert torch.equal(whole.synthetic.images.pixels, resumed.synthetic.images.pixels)
    grid = make_grid(plan)
    run(plan, grid)
    assert all("plada-left-over" in context.state for context in grid._contexts.values())


def test_too_few_answers_stop_the_run_with_a_reason(task_spec, capsys):
    plan = make_plan(task_spec, clients=2, retries=1)

    def broken(context):
        raise UserError("the disk is gone")

    with pytest.raises(UserError, match=r"fewer than 50% of the clients answered in 2 tries.*the disk is gone"):
        run(plan, make_grid(plan, make_client_app(broken)))
    assert "an answer was not used" in capsys.readouterr().err


def test_one_broken_client_of_three_is_left_out(task_spec, capsys):
    plan = make_plan(task_spec, clients=3, iterations=1, outer_steps=1)

    def find(context):
        if context.node_config["partition-id"] == 1:
            raise UserError("no data")
        return holding_of(context)

    (entry,) = run(plan, make_grid(plan, make_client_app(find))).history
    assert (entry["asked"], entry["answered"], entry["unusable"]) == (3, 2, 1)


def test_two_clients_with_one_number_count_once(task_spec, capsys):
    plan = make_plan(task_spec, clients=2, iterations=1, outer_steps=1)
    part = dealt_images(plan, 0)
    (entry,) = run(plan, make_grid(plan, make_client_app(lambda context: Holding(part, 0)))).history
    assert (entry["answered"], entry["unusable"]) == (1, 1)
    assert "two clients call themselves number 0" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["short", "nan", "class", "count", "empty"])
def test_hostile_answers_are_refused(task_spec, damage, capsys):
    plan = make_plan(task_spec, clients=2, iterations=1, outer_steps=1, quorum=0.5)
    inner = make_client_app()

    from flwr.app import ArrayRecord
    from flwr.clientapp import ClientApp

    from plada_distill.flower.records import pack, unpack

    app = ClientApp()

    @app.query("class_gradients")
    def lie(message, context):
        reply = inner(message, context)
        if context.node_config["partition-id"] == 0:
            return reply
        content = reply.content
        arrays, config = content.array_records["arrays"], content.config_records["answer"]
        data = unpack(arrays["0"])
        if damage == "short":
            arrays["0"] = pack(data[:-1])
        elif damage == "nan":
            arrays["0"] = pack(np.full(len(data) // 4, np.nan, "<f4").tobytes())
        elif damage == "class":
            config["classes"] = [*config["classes"][:-1], 99]
            arrays["99"] = arrays.pop("9")
        elif damage == "count":
            config["counts"] = [0, *config["counts"][1:]]
        else:
            content["arrays"] = ArrayRecord()
        return reply

    (entry,) = run(plan, make_grid(plan, app)).history
    assert (entry["answered"], entry["unusable"]) == (1, 1)


def test_holdings(task_spec, train_images):
    plan = make_plan(task_spec, clients=5, partition="dirichlet:0.5", mislabelled=0.4)
    parts = [dealt_images(plan, number) for number in range(5)]
    assert sum(len(part) for part in parts) == len(train_images)
    honest = make_plan(task_spec, clients=5, partition="dirichlet:0.5")
    wrong = [number for number, part in enumerate(parts)
             if not torch.equal(part.labels, dealt_images(honest, number).labels)]  # fmt: skip
    assert len(wrong) == 2
    with pytest.raises(UserError, match="deals to 5 clients"):
        dealt_images(plan, 5)
    grid = make_grid(plan)
    context = grid._contexts[1]
    context.node_config = {"partition-id": 3, "data": task_spec}
    own = holding_of(context)
    assert own.number == 3 and len(own.images) == len(train_images)
    context.node_config = {}
    with pytest.raises(UserError, match="no partition-id"):
        holding_of(context)
    context.node_config = {"partition-id": 0}
    context.run_config = plan.to_config() | {"task": ""}
    with pytest.raises(UserError, match="no data"):
        holding_of(context)
    context.run_config = plan.to_config() | {"class-names": "cat\ndog"}
    with pytest.raises(UserError, match="does not know"):
        holding_of(context)


def test_clients_may_order_their_classes_as_they_like(task_spec):
    plan = make_plan(task_spec, clients=1)
    turned = dataclasses.replace(plan, class_names=tuple(reversed(plan.class_names)))
    one, two = dealt_images(plan, 0), dealt_images(turned, 0)
    assert torch.equal(one.pixels, two.pixels) and torch.equal(one.labels, 9 - two.labels)


def test_the_server_app_waits_and_resumes(task_spec, tmp_path):
    plan = make_plan(task_spec, clients=2, iterations=1)
    first = run_server(make_grid(plan), plan, tmp_path)
    again = run_server(make_grid(plan), plan, tmp_path)
    assert torch.equal(first.synthetic.images.pixels, again.synthetic.images.pixels)
    assert first.synthetic.facts["federation"]["clients"] == 2
    with pytest.raises(UserError, match="init real"):
        run_server(make_grid(plan), make_plan(task_spec, init="real"), tmp_path)
    empty = InProcessGrid(make_client_app(), plan.to_config(), 0)
    with pytest.raises(UserError, match="no client connected"):
        run_server(empty, plan, tmp_path / "none", patience=0.01)
    with pytest.raises(UserError, match="class-names"):
        with_classes(Plan(settings(), Federation()))


def test_averaging_learns_and_one_client_is_local_training(task_spec, train_images, test_images):
    from plada_distill.settings import Draw, seed_of
    from plada_distill.training import train_on

    plan = make_plan(task_spec, clients=1)
    recipe = TrainRecipe(epochs=1, lr=0.05, batch_size=32, augment=())
    one = fedavg(make_grid(plan), plan, NET, recipe, rounds=1)
    network = make_network(NET, 3, 16, 10, seed_of(0, Draw.NETWORK))
    train_on(network, train_images, recipe, seed_of(0, Draw.TRAIN, 0, 0))
    assert all(torch.equal(a, b) for a, b in zip(parameters_of(one.network), parameters_of(network)))
    plan = make_plan(task_spec, clients=3, partition="dirichlet:0.5")
    made = fedavg(make_grid(plan), plan, NET, recipe, rounds=6)
    assert made.rounds == 6 and made.bytes_up > 6 * 3 * 4 * 2000
    assert accuracy(made.network, train_images) > 0.15


@pytest.mark.parametrize(
    "damage", [{"epochs": "many"}, {"lr": "x"}, {"round": [1]}, {"codec": "none of them"}, {"width": "wide"}]
)
def test_a_damaged_averaging_task_is_one_error(damage):
    weights = arrays_of(parameters_of(make_network(NET, 1, 28, 10, 0)))
    task = write_task(weights, NET, TrainRecipe(epochs=1), 1, Codec.parse("float32"))
    for name, value in damage.items():
        task.config_records["task"][name] = value
    with pytest.raises(WireError, match="damaged task"):
        local_training(task, None, None)  # neither plan nor images are asked for
