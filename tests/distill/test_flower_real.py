"""The Flower app for real: SuperLink and SuperNodes as processes, messages over TCP. Ends in the same images as the
federation in one process, bit for bit, and the bytes on the line are those that were counted."""

from __future__ import annotations

import json
import os
import time

import pytest

pytest.importorskip("flwr")
pytest.importorskip("psutil")

import torch
from flower_processes import federation, program, submit

from plada_distill import distil, first_images, load_synthetic
from plada_distill.flower.client import make_client_app
from plada_distill.flower.grid import InProcessGrid
from plada_distill.flower.server import with_classes
from plada_distill.flower.source import FederatedSource
from plada_distill.plan import Federation, Plan
from plada_distill.settings import NetSpec, Settings
from plada_distill.state import load_state


@pytest.mark.slow
@pytest.mark.skipif(program("flower-superlink") is None, reason="flower-superlink is not installed")
@pytest.mark.skipif(
    os.environ.get("PLADA_REAL_FEDERATION") != "1", reason="minutes of Flower's own servers: make federation"
)
def test_three_processes_end_in_the_same_images_as_one(tmp_path, task_spec):
    settings = Settings(images_per_class=1, iterations=2, outer_steps=1, inner_epochs=0, real_batch=8, init="noise",
                        network=NetSpec(32, 2), augment=("flip", "scale"))  # fmt: skip
    federation_of_two = Federation(clients=2, timeout=60, retries=6, quorum=1.0)
    plan = with_classes(Plan(settings, federation_of_two, task_spec, channels=3, size=16))
    grid = InProcessGrid(make_client_app(), plan.to_config(), 2)
    expected = distil(settings, FederatedSource(grid, plan), first_images(settings, plan.class_names, 3, 16))
    out = tmp_path / "out"
    config = " ".join(
        f"{name}={json.dumps(value)}"
        for name, value in (plan.to_config() | {"out": str(out), "patience": 120.0}).items()
        if name in _LISTED
    )
    with federation(tmp_path / "flower", 2) as (relay, environment):
        submit(environment, config)
        end = time.monotonic() + 400
        while not (out / "synthetic.json").is_file() and time.monotonic() < end:
            time.sleep(0.5)
        logs = "\n".join(path.read_text(errors="replace")[-2000:] for path in (tmp_path / "flower").glob("*.log"))
        assert (out / "synthetic.json").is_file(), logs
        down, up = relay.down, relay.up
    history = load_state(out, load_synthetic(out).facts["run"]).history
    assert torch.equal(load_synthetic(out).images.pixels, expected.synthetic.images.pixels)
    counted_up = sum(entry["bytes_up"] for entry in history)
    counted_down = sum(entry["bytes_down"] for entry in history)
    print(f"up: {counted_up} counted, {up} on the line; down: {counted_down} counted, {down} on the line")
    # HTTP heads and polls come on top, and the app itself on the way down.
    assert counted_up < up < 1.15 * counted_up + 100_000
    assert counted_down < down < 1.15 * counted_down + 400_000


_LISTED = frozenset(
    {
        "task", "out", "patience", "clients", "images-per-class", "iterations", "outer-steps", "inner-epochs", "init",
        "real-batch", "augment", "width", "depth", "size", "channels", "seed", "timeout", "retries", "quorum",
    }
)  # fmt: skip
