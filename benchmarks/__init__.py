"""Commands that measure. Run them from the repository's top folder: ``python -m benchmarks.<name>``. One core each."""

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):  # before numpy loads its BLAS
    os.environ.setdefault(_name, "1")
