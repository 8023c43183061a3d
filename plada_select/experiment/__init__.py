"""Tasks x keep rates x criteria x directions x Safety-Net x seeds in one resumable run. Names load when first used."""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "Grid": "grid",
    "Cell": "grid",
    "parse_net": "grid",
    "Store": "store",
    "Row": "store",
    "Experiment": "run",
    "write_tables": "tables",
    "summarise": "tables",
    "write_plots": "plots",
}
__all__ = sorted(_NAMES)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
