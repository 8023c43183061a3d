"""A Flower grid without a server: every message is serialised as Flower would, handed to the very ClientApp, and the
answer serialised back."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterable, MutableMapping
from typing import Any

import numpy as np
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents

from ..settings import Draw, seed_of

_CLIENT_FAILED = 2  # Flower's code of an exception in the ClientApp


def message_bytes(message: Message) -> int:
    """Bytes of a message as Flower sends it: all objects that it consists of, serialised.

    The same count for both transports. What TCP, TLS, HTTP and polling add comes on top.
    """
    return sum(len(one.deflate()) for one in get_all_nested_objects(message).values())


def exchange(
    grid: Grid, messages: list[Message], timeout: float, counters: MutableMapping[str, int]
) -> list[Message]:
    """Send, wait, return the answers that came in time; adds to ``bytes_down`` and ``bytes_up`` of ``counters``.

    Answers that came too late are counted and dropped.
    """
    counters["bytes_down"] += sum(message_bytes(message) for message in messages)
    replies = list(grid.send_and_receive(messages, timeout=timeout))
    late = grid.late if isinstance(grid, InProcessGrid) else []
    counters["bytes_up"] += sum(message_bytes(reply) for reply in (*replies, *late))
    late.clear()
    return replies


def through_the_wire(message: Message) -> Message:
    """Serialise and read back, so that what arrives is what bytes can carry."""
    objects = get_all_nested_objects(message)
    arrived: Any = inflate_object_from_contents(
        message.object_id, {name: one.deflate() for name, one in objects.items()}
    )
    arrived.metadata.__dict__["_message_id"] = message.metadata.message_id
    return arrived  # type: ignore[no-any-return]


class InProcessGrid(Grid):
    """All clients in this process.

    Args:
        app: the client's app.
        run_config: the plan, see :meth:`plada_distill.plan.Plan.to_config`.
        clients: how many; their node ids are 1, 2, ..., their ``partition-id`` 0, 1, ...
        dropout: chance that a message gets no answer at all.
        stragglers: chance that an answer comes too late.
        seed: of these absences.

    Attributes:
        late: answers that were sent too late to be used, by message; the caller empties it.
    """

    def __init__(
        self,
        app: ClientApp,
        run_config: dict[str, bool | float | int | str],
        clients: int,
        *,
        dropout: float = 0.0,
        stragglers: float = 0.0,
        seed: int = 0,
    ) -> None:
        _identify()
        self._app = app
        self._chances = (dropout, stragglers)
        self._seed = seed
        self._run: Any = None
        self._replies: dict[str, Message] = {}
        self.late: list[Message] = []
        self._contexts = {
            number + 1: Context(
                run_id=0,
                node_id=number + 1,
                node_config={"partition-id": number, "num-partitions": clients},
                state=RecordDict(),
                run_config=dict(run_config),
            )
            for number in range(clients)
        }

    def set_run(self, run: Any) -> None:
        self._run = run

    @property
    def run(self) -> Any:
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        return sorted(self._contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        names = []
        for message in messages:
            name = uuid.uuid4().hex
            message.metadata.__dict__["_message_id"] = name
            names.append(name)
            self._deliver(message)
        return names

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        return [self._replies.pop(name) for name in list(message_ids) if name in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        return self.pull_messages(self.push_messages(messages))

    def _deliver(self, message: Message) -> None:
        node = message.metadata.dst_node_id
        absent, slow = self._fate(message.metadata.group_id, node)
        if absent:
            return
        arrived = through_the_wire(message)
        try:
            reply = self._app(arrived, self._contexts[node])
        except Exception as problem:  # a client's failure is an answer, as it is in Flower
            text = "".join(traceback.format_exception_only(problem)).strip()
            reply = Message(Error(_CLIENT_FAILED, text), reply_to=arrived)
        back = through_the_wire(reply)
        if slow:
            self.late.append(back)
        else:
            self._replies[message.metadata.message_id] = back

    def _fate(self, turn: str, node: int) -> tuple[bool, bool]:
        """Depends on the turn (the message's group) alone, so that a resumed run meets the same absences."""
        if not any(self._chances):
            return False, False
        generator = np.random.default_rng(seed_of(self._seed, Draw.ABSENCE, node, *turn.encode()))
        absent, slow = (bool(draw < chance) for draw, chance in zip(generator.random(2), self._chances))
        return absent, slow


def _identify() -> None:
    """Newer Flower refuses to make a message in a process that has no identity; a server's own has one."""
    try:
        from flwr.supercore.task_identity import TaskIdentity
    except ImportError:
        return
    for name in ("run_id", "node_id", "task_id"):
        if getattr(TaskIdentity, f"_{name}", 0) is None:
            setattr(TaskIdentity, name, 1)


