"""Every step of the main job under kill -9 and with a full disk: nothing half-written, the next run ends the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from step_world import CODES, World, run_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and limits on file sizes")

STEPS = (
    "pool build", "pool verify", "teach head", "teach all weights", "score", "score merge", "select", "report",
    "train head", "train all weights", "evaluate", "export parquet", "export csv", "export folder",
)  # fmt: skip
HALF_WAY = ("resume", ".parts")  # folders of work in progress; what else is visible must be whole


def visible(out: Path) -> dict[str, bytes]:
    """Files that a user would take for results."""
    found = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_file() and not any(part.startswith(".") or part.endswith(HALF_WAY) for part in name.split("/")):
            found[name] = content(path)
    return found


def content(path: Path) -> bytes:
    """What must be the same in every run: of models the weights, of the records no times and paths."""
    if path.name == "model.safetensors":
        from plada_train import load_checkpoint

        return load_checkpoint(path).digest.encode()
    if path.name in ("args.json", "metrics.json", "model.json"):
        json.loads(path.read_bytes())
        return b"a whole JSON file"
    return path.read_bytes()


@pytest.fixture(scope="module")
def clean(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[dict[str, bytes], int]]:
    """What every step leaves when nothing goes wrong, and the size of its largest file."""
    found = {}
    for step in STEPS:
        out = tmp_path_factory.mktemp("clean")
        code, lines = run_child(world.steps(out)[step])
        assert code == CODES.get(step, 0), (step, lines)
        assert all(line.startswith("plada: warning: ") for line in lines), (step, lines)
        found[step] = visible(out), max(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return found


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_write(
    step: str, world: World, clean: dict[str, tuple[dict[str, bytes], int]], out: Path
) -> None:
    """kill -9 in place of the first, second, third, fifth, ... fsync of the step, each time from nothing."""
    whole, _ = clean[step]
    place, kills = 1, 0
    while True:
        shutil.rmtree(out)
        out.mkdir()
        code, lines = run_child(world.steps(out)[step], kill_at=place)
        if code == CODES.get(step, 0):
            break
        assert code == -signal.SIGKILL, lines
        kills += 1
        for name, data in visible(out).items():
            assert data == whole[name], f"{name} after a kill at {place}"
        code, lines = run_child(world.steps(out)[step])
        if code != CODES.get(step, 0):  # killed after the last rename, before the folder was synced: all is there
            assert code == 1 and len(lines) == 1 and "--force" in lines[0], lines
        assert visible(out) == whole, f"after a kill at {place} and a second run"
        place += 1 + place // 3
    assert kills >= 2


@pytest.mark.parametrize("step", STEPS)
def test_full_disk(step: str, world: World, clean: dict[str, tuple[dict[str, bytes], int]], out: Path) -> None:
    """The largest file of the step does not fit: one line, no rubbish; and with room the same result as ever."""
    whole, largest = clean[step]
    code, lines = run_child(world.steps(out)[step], limit=max(1, largest - 1))
    errors = [line for line in lines if not line.startswith("plada: warning: ")]
    assert code == 1 and len(errors) == 1, (code, lines)
    assert errors[0].startswith("plada: error: ") and "File too large" in errors[0] and "/" in errors[0], errors
    for name, data in visible(out).items():
        assert data == whole[name], name
    assert not [path for path in out.rglob("*") if path.name.endswith(".tmp")]
    assert run_child(world.steps(out)[step])[0] == CODES.get(step, 0)
    assert visible(out) == whole
