"""A federation as a source of gradients: ask, wait, check, combine, count bytes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from flwr.app import Message, RecordDict
from flwr.serverapp import Grid
from torch import nn

from plada_format.errors import UserError

from ..aggregate import aggregate
from ..compress import Codec, WireError
from ..convnet import load_parameters, parameters_of
from ..gradients import POOLED, GradientRequest, Gradients
from ..plan import Plan
from ..privacy import Ledger
from ..settings import Draw, seed_of
from .client import ASK
from .grid import exchange
from .records import Question, read_answer, shapes_of, weight_arrays, write_question


class FederatedSource:
    """Asks the clients behind a grid.

    Args:
        grid: Flower's, or :class:`plada_distill.flower.grid.InProcessGrid`.
        plan: what both sides agreed on.
        ledger: notes every question, where answers are private.

    Attributes:
        last_problem: why the last unusable answer was not used, or empty.
    """

    def __init__(self, grid: Grid, plan: Plan, ledger: Ledger | None = None) -> None:
        self.grid = grid
        self.ledger = ledger
        self.plan = plan
        self.last_problem = ""
        self._warned: set[str] = set()

    def identity(self) -> str:
        return f"federation {self.plan.identity()}"

    def gradients(self, network: nn.Module, request: GradientRequest) -> Gradients:
        """See :class:`plada_distill.gradients.GradientSource`.

        With weights sent as bf16 the network is rounded first, so that both sides work with the same. Facts:
        ``bytes_down``, ``bytes_up`` (of all serialised messages, unusable answers too), ``asked``, ``answered``,
        ``unusable``.

        Raises:
            UserError: too few clients answered, in every try.
        """
        weights = Codec(self.plan.federation.weights)
        parameters = parameters_of(network)
        shapes = shapes_of(parameters)
        values = weight_arrays(parameters)
        if weights.name != "float32":
            values = weights.decode(weights.encode(values), shapes)
            load_parameters(network, [torch.from_numpy(value) for value in values])
        content = write_question(Question(request, values), weights)
        facts = {"bytes_down": 0, "bytes_up": 0, "asked": 0, "answered": 0, "unusable": 0}
        federation = self.plan.federation
        for attempt in range(federation.retries + 1):
            group = f"{request.iteration}.{request.step}.{attempt}"
            asked = self._choose(request, attempt)
            if self.ledger is not None:
                self.ledger.spend()
            answers = self._exchange(content, asked, group, shapes, request, facts)
            if len(answers) >= max(1, round(federation.quorum * len(asked))):
                combined = aggregate(answers, federation.aggregation)
                combined.facts = facts
                device = parameters[0].device
                combined.by_class = {
                    label: [part.to(device) for part in parts] for label, parts in combined.by_class.items()
                }
                return combined
        why = f"; the last problem was: {self.last_problem}" if self.last_problem else ""
        raise UserError(
            f"iteration {request.iteration + 1}, step {request.step + 1}: fewer than"
            f" {federation.quorum:.0%} of the clients answered in {federation.retries + 1} tries{why}"
        )

    def _choose(self, request: GradientRequest, attempt: int) -> list[int]:
        nodes = sorted(self.grid.get_node_ids())
        if not nodes:
            return []
        federation = self.plan.federation
        count = max(1, round(federation.fraction * len(nodes)))
        seed = seed_of(self.plan.settings.seed, Draw.CHOICE, request.iteration, request.step, attempt)
        return sorted(nodes[place] for place in np.random.default_rng(seed).permutation(len(nodes))[:count])

    def _exchange(
        self,
        content: RecordDict,
        nodes: Sequence[int],
        group: str,
        shapes: Sequence[tuple[int, ...]],
        request: GradientRequest,
        facts: dict[str, int],
    ) -> dict[int, Gradients]:
        federation = self.plan.federation
        messages = [Message(content, node, ASK, ttl=federation.timeout, group_id=group) for node in nodes]
        facts["asked"] += len(messages)
        answers: dict[int, Gradients] = {}
        allowed = [POOLED] if request.pooled else range(len(self.plan.class_names))
        for reply in exchange(self.grid, messages, federation.timeout, facts):
            try:
                holder, found, counts = self._read(reply, shapes, allowed)
                if holder in answers:
                    raise WireError(f"two clients call themselves number {holder}")
            except WireError as problem:
                self._note(str(problem))
                facts["unusable"] += 1
                continue
            answers[holder] = Gradients(found, counts)
        facts["answered"] += len(answers)
        return answers

    def _read(self, reply: Message, shapes: Sequence[tuple[int, ...]], allowed: Sequence[int]) -> Any:
        if reply.has_error():
            lines = (reply.error.reason or "no reason given").strip().splitlines()
            raise WireError(f"a client failed: {lines[-1]}")
        return read_answer(reply.content, self.plan.federation.codec, shapes, allowed)

    def _note(self, problem: str) -> None:
        self.last_problem = problem
        if problem not in self._warned and len(self._warned) < 20:
            self._warned.add(problem)
            print(f"plada: warning: an answer was not used: {problem}", file=sys.stderr)
