"""Makes the repository's packages importable when pytest starts without ``python -m``; back ends as a fixture."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for _path in (ROOT, ROOT / "tests" / "format"):
    if str(_path) not in sys.path:
        sys.path.insert(0, str(_path))

from backends import BACKENDS  # noqa: E402  # the path comes first


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each way to run the codec in turn: NumPy, the kernels as plain Python, the kernels compiled."""
    from plada_format import accel

    with accel.use(request.param):
        yield request.param
