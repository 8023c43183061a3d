"""The server's side of plada: teacher, scores over the pool, selection, payload. Importing this package imports nothing
heavy."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "Provenance": "scoretable",
    "ScoreTable": "scoretable",
    "merge": "scoretable",
    "write_table": "scoretable",
    "Policy": "select",
    "Ranking": "select",
    "Refine": "refine",
    "Selection": "select",
    "parse_bytes": "select",
    "parse_fraction": "select",
    "rank": "select",
    "SafetyNet": "safety_net",
    "quotas": "safety_net",
    "class_weights": "safety_net",
    "largest_fitting": "budget",
    "PayloadSpec": "payload",
    "fit_budget": "payload",
    "Outcome": "pipeline",
    "select_payload": "pipeline",
    "write_outcome": "pipeline",
    "read_outcome": "pipeline",
    "ScoreContext": "score",
    "open_context": "score",
    "score_chunk": "score",
    "score_pool": "score",
    "average_soft_labels": "soft",
}
_MODULES = {
    "budget",
    "criteria",
    "bitcost",
    "payload",
    "pipeline",
    "raterank",
    "refine",
    "safety_net",
    "scoretable",
    "score",
    "select",
    "soft",
    "spread",
    "tensorfile",
}
__all__ = sorted(_NAMES)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        return getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
