"""Makes the repository's own packages importable when pytest is started without ``python -m``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

BACKENDS = ["numpy", "python", *(["numba"] if find_spec("numba") else [])]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way to run the codec in turn: NumPy, the kernels as plain Python, the kernels compiled."""
    from plada_format import accel

    with accel.use(request.param):
        yield request.param
