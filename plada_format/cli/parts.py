"""The installed parts of plada, each of which adds its own subcommands."""

from __future__ import annotations

import argparse
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[Any]

GROUP = "plada.commands"

# What this distribution itself brings; also used where the package runs from a source tree that nobody installed.
_OWN = (
    EntryPoint("format", "plada_format.cli.commands:register", GROUP),
    EntryPoint("train", "plada_train.commands:register", GROUP),
    EntryPoint("select", "plada_select.commands:register", GROUP),
    EntryPoint("distill", "plada_distill.commands:register", GROUP),
)

# The extra that brings a library, and the one that serves a part's other needs.
_EXTRA_OF_LIBRARY = {
    "numba": "fast", "matplotlib": "report", "flwr": "distill", "scipy": "distill", "dp_accounting": "distill",
    "ray": "ray", "cryptography": "sign",
}  # fmt: skip
_EXTRA_OF_PART = {"plada_train": "train", "plada_select": "select", "plada_distill": "distill"}


def register_all(subparsers: Subparsers) -> dict[str, str]:
    """Let every installed part add its subcommands.

    Returns:
        Name of each part that failed -> why, in one line. A failing part never takes the others down.
    """
    failed: dict[str, str] = {}
    for name, point in _find().items():
        try:
            point.load()(subparsers)
        except ModuleNotFoundError as error:
            module = point.value.partition(":")[0]
            if error.name is not None and (module == error.name or module.startswith(error.name + ".")):
                if point not in _OWN:
                    failed[name] = f"{error.name} is not installed"
                continue  # this part is simply not here
            failed[name] = _describe(error)
        except Exception as error:
            failed[name] = _describe(error)
    return failed


def _find() -> dict[str, EntryPoint]:
    """Own parts first, in a fixed order, then everybody else's by name."""
    points = {point.name: point for point in _OWN}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        points.setdefault(point.name, point)
    return points


def _describe(error: Exception) -> str:
    from .text import one_line

    return f"{type(error).__name__}: {one_line(error)}"


def missing_library(error: ImportError, part: str) -> str:
    """One line for a command whose library is absent or broken.

    Args:
        error: what the import raised.
        part: top-level package of the command that was run, such as ``plada_train``.
    """
    from .text import one_line

    library = (error.name or "").partition(".")[0]
    extra = _EXTRA_OF_LIBRARY.get(library) or _EXTRA_OF_PART.get(part)
    if not isinstance(error, ModuleNotFoundError) or not library:
        return f"{library or 'a library'} is installed but does not load ({one_line(error)}); 'plada doctor' says more"
    if extra is None:
        return f"this needs {library}, which is not installed: pip install {library}"
    return f'this needs {library}, which is not installed: pip install "plada[{extra}]"'
