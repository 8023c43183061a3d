"""Atheris target: any bytes through every check of ``fuzz.oracle``."""

from __future__ import annotations

import sys
from pathlib import Path

if str(Path(__file__).resolve().parents[1]) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fuzz.harness import instrumented, start

with instrumented():
    from fuzz import oracle


def test_one_input(data: bytes) -> None:
    """Refused with a PladaError, or canonical."""
    oracle.examine(data)


if __name__ == "__main__":
    start(test_one_input)
