"""The server rehearses the client: which policy and how many images give the best student for a number of bytes,
judged on images of the target outside its test split. Names load when first used."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "ArmMaker": "arms",
    "Candidate": "candidates",
    "default_candidates": "candidates",
    "Arm": "trials",
    "Trial": "trials",
    "successive_halving": "halving",
    "pick": "rule",
    "PreCheck": "precheck",
    "pre_check": "precheck",
    "LazyRows": "rows",
    "ProxyStudent": "students",
    "TunedFinalist": "students",
    "Validation": "students",
    "open_validation": "students",
    "Rehearsal": "run",
    "rehearse": "run",
    "read_rehearsal": "record",
    "rehearsal_path": "record",
    "write_rehearsal": "record",
}
__all__ = sorted(_NAMES)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
