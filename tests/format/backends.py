"""The ways to run the codec, and the codecs that need nothing but the content."""

from __future__ import annotations

import os
from importlib.util import find_spec

from fuzz import seeds
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

BACKENDS = ["numpy", "python", *(["numba"] if find_spec("numba") else [])]
INDEX_NAMES = [INDEX_CODECS[kind].name for kind in seeds.INDEX_IDS]
LABEL_NAMES = [LABEL_CODECS[kind].name for kind in seeds.LABEL_IDS]
#: Back ends whose kernels run as plain Python, a hundred times slower.
INTERPRETED = {"python"} | ({"numba"} if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0" else set())
