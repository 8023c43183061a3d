"""The server: a Flower ServerApp that runs the whole distillation over the clients that are connected."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from plada_format.errors import UserError

from ..loop import Outcome, distil, first_images
from ..plan import Plan
from .source import FederatedSource

_POLL = 1.0  # seconds


def make_server_app() -> ServerApp:
    """The app that a SuperLink runs. Beside the plan it takes from the run configuration:

    - ``out``: folder for checkpoints and result, on the server; a run that was stopped goes on there.
    - ``patience``: seconds to wait for all clients of the plan to connect; then it starts with those that are there.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        config = context.run_config
        run_server(
            grid, Plan.from_config(config), Path(str(config.get("out", "distdd-out"))),
            patience=float(config.get("patience", 300)),
        )  # fmt: skip

    return app


def run_server(grid: Grid, plan: Plan, folder: Path, *, patience: float = 300.0, progress: bool = False) -> Outcome:
    """Distil over ``grid`` into ``folder``; resumes what is there.

    Raises:
        UserError: no client came; the plan starts from images that a federation does not have.
    """
    if plan.settings.init == "real":
        raise UserError("init real: the server of a federation has no training images; choose noise or pool")
    plan = with_classes(plan)
    wait_for_clients(grid, plan.federation.clients, patience)
    initial = first_images(plan.settings, plan.class_names, plan.channels, plan.size)
    facts = {"federation": plan.to_config()}
    return distil(plan.settings, FederatedSource(grid, plan), initial, folder=folder, progress=progress, facts=facts)


def with_classes(plan: Plan) -> Plan:
    """The plan with class names: its own, or those of its task.

    Raises:
        UserError: neither.
    """
    if plan.class_names:
        return plan
    if not plan.task:
        raise UserError("the plan has neither class-names nor a task that has them")
    from plada_train import open_task

    return dataclasses.replace(plan, class_names=open_task(plan.task, val_fraction=0).class_names)


def wait_for_clients(grid: Grid, count: int, patience: float) -> int:
    """Wait until ``count`` clients are connected, ``patience`` seconds at most; returns how many are.

    Raises:
        UserError: none.
    """
    end = time.monotonic() + patience
    while (found := len(list(grid.get_node_ids()))) < count and time.monotonic() < end:
        time.sleep(_POLL)
    if not found:
        raise UserError(f"no client connected within {patience:g} seconds")
    return found
