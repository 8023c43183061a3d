"""Where a run stands, on disk after every iteration: a killed run goes on and ends in the same images."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from plada_format.atomic import atomic_write
from plada_format.errors import UserError

from .settings import Settings
from .synthetic import read_tensors

STATE_NAME = "state.safetensors"
_KIND = "plada distillation state"


@dataclass
class State:
    """Everything that the next iteration depends on. Networks are drawn anew in each, so none is kept.

    Attributes:
        images: float32 (m, C, S, S).
        momentum: like ``images``.
        history: one entry per finished iteration.
    """

    images: torch.Tensor
    momentum: torch.Tensor
    history: list[dict[str, Any]] = field(default_factory=list)


def run_identity(settings: Settings, initial: torch.Tensor, source: str) -> str:
    """Digest of all that determines the result. The number of iterations is left out: a run may be prolonged."""
    plain = {key: value for key, value in settings.to_json().items() if key != "iterations"}
    total = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    total.update(initial.detach().cpu().contiguous().numpy().tobytes())
    total.update(source.encode())
    return total.hexdigest()


def save_state(folder: Path, state: State, run: str) -> None:
    """Write the state, atomically."""
    from safetensors.torch import save

    facts = {"kind": _KIND, "run": run, "history": state.history}
    text = json.dumps(facts, ensure_ascii=False, allow_nan=False)
    tensors = {"images": state.images.detach().cpu(), "momentum": state.momentum.detach().cpu()}
    with atomic_write(folder / STATE_NAME) as file:
        file.write(save(tensors, metadata={"plada": text}))


def load_state(folder: Path, run: str) -> State | None:
    """The state of ``run`` in ``folder``, or None if there is none.

    Raises:
        UserError: damaged, or of another run.
    """
    path = folder / STATE_NAME
    if not path.is_file():
        return None
    tensors, facts = read_tensors(path, STATE_NAME, _KIND, "a distillation run")
    if facts.get("run") != run:
        raise UserError(f"{folder} holds a run with other data or settings; choose another folder, or --force")
    try:
        return State(tensors["images"], tensors["momentum"], list(facts["history"]))
    except (KeyError, TypeError) as problem:
        raise UserError(f"{path}: damaged ({problem!r}); remove it to start anew") from None
