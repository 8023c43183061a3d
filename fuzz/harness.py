"""What the Atheris targets share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("PLADA_ACCEL", "numpy")  # coverage sees Python, not compiled kernels


@contextmanager
def instrumented() -> Iterator[None]:
    """Import with coverage of the codec."""
    import atheris

    with atheris.instrument_imports(include=["plada_format"]):
        yield


def start(target: Callable[[bytes], None], mutator: Callable[[bytes, int, int], bytes] | None = None) -> None:
    """Hand over to libFuzzer, whose options stand on the command line."""
    import atheris

    more: dict[str, Any] = {} if mutator is None else {"custom_mutator": mutator}
    atheris.Setup(sys.argv, target, **more)
    atheris.Fuzz()
