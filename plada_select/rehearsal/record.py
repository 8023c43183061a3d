"""A rehearsal on disk: ``NAME.rehearsal.json`` beside the payload, with every trial."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import plada_format as pf
from plada_format.atomic import atomic_write
from plada_format.errors import PladaError, UserError

from .rule import RULE

if TYPE_CHECKING:
    from .run import Rehearsal

FORMAT, VERSION = "plada rehearsal", 1


def rehearsal_path(payload_path: str | os.PathLike[str]) -> Path:
    """Where the rehearsal of a payload lies."""
    path = Path(payload_path)
    base = path.with_suffix("") if path.suffix == ".plada" else path
    return base.with_name(base.name + ".rehearsal.json")


def to_json(found: Rehearsal, payload: bytes) -> dict[str, Any]:
    """Plain values; ``payload`` is the file that came of it, named by its content digest."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "content": pf.inspect(payload).content_digest.hex(),
        "rule": RULE,
        "chosen": found.chosen.name,
        **found.to_json(),
    }


def write_rehearsal(found: Rehearsal, payload: bytes, payload_path: str | os.PathLike[str]) -> Path:
    """Write the record; it appears whole or not at all."""
    path = rehearsal_path(payload_path)
    with atomic_write(path) as file:
        file.write((json.dumps(to_json(found, payload), indent=1, sort_keys=True) + "\n").encode())
    return path


def read_rehearsal(payload_path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The record beside a payload; None where there is none, or where it is of another payload.

    Raises:
        UserError: damaged.
    """
    path = rehearsal_path(payload_path)
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_bytes())
        if found["format"] != FORMAT or found["version"] != VERSION:
            raise ValueError(f"version {found['version']}")
        content = pf.inspect(Path(payload_path).read_bytes()).content_digest.hex()
        return dict(found) if found["content"] == content else None
    except PladaError:
        return None
    except (ValueError, KeyError, TypeError) as reason:
        raise UserError(f"{path}: no rehearsal that this version reads ({reason}); select again") from None
