"""The ways to run the codec, and what its codecs need besides the content."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import numpy as np

from fuzz import seeds
from fuzz.anatomy import groups_for
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

BACKENDS = ["numpy", "python", *(["numba"] if find_spec("numba") else [])]
INDEX_NAMES = [INDEX_CODECS[kind].name for kind in seeds.INDEX_IDS]
LABEL_NAMES = [LABEL_CODECS[kind].name for kind in seeds.LABEL_IDS]
#: Back ends whose kernels run as plain Python, a hundred times slower.
INTERPRETED = {"python"} | ({"numba"} if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0" else set())


def told(pool_size: int, *codecs: str) -> dict[str, Any]:
    """The groups, as an argument of ``encode`` and ``decode``, if one of the codecs needs them."""
    if "adaptive-groups" not in codecs or pool_size == 0:
        return {}
    return {"groups": np.array(groups_for(pool_size), np.uint32)}


def interpreted(backend: str, codec: str) -> bool:
    """Whether the codec's loops run as plain Python; adaptive ones have no NumPy form."""
    return backend in INTERPRETED or (backend == "numpy" and codec.startswith("adaptive"))
