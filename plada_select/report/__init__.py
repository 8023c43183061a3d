"""``report.html``: what a payload holds, how it was chosen, and what it is worth; one file without scripts or network.

Importing this package is cheap; each name below loads its module when first used.
"""

from __future__ import annotations

import importlib
from typing import Any

_NAMES = {
    "Results": "results",
    "Facts": "facts",
    "read_facts": "facts",
    "render": "page",
    "write_report": "page",
    "write_selection_report": "page",
}
__all__ = sorted(_NAMES)  # noqa: PLE0605  # the names are those of the table above


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_NAMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
