"""Numba as a lazy, optional accelerator (never needed, never changes a byte).

NumPy code is the default. The kernels of :mod:`plada_format.engines.kernels` take over when they are compiled already
(:func:`warmup`), when ``PLADA_ACCEL=numba`` asks for them, or when one call has so much to do that compiling pays.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from .engines import kernels

#: Values in one call from which compiling (about 3 s cold, 0.3 s from numba's cache) costs less than it saves.
WORTH_COMPILING = 1 << 23

_state: dict[str, Any] = {"mode": None, "compiled": None, "failed": False}


def backend(work: int) -> Any | None:
    """The kernels to use for a call that handles ``work`` values, or None for the NumPy code."""
    mode = _state["mode"] or os.environ.get("PLADA_ACCEL", "auto")
    if mode == "numpy":
        return None
    if mode == "python":
        return kernels
    if _state["compiled"] is not None:
        return _state["compiled"]
    if not _state["failed"] and (mode == "numba" or work >= WORTH_COMPILING):
        return _compile()
    return None


def warmup() -> bool:
    """Compile the kernels now (once per process; cached on disk where numba can).

    Returns:
        True if numba is there and the kernels are ready, False if the NumPy code stays in use.
    """
    return (_state["compiled"] or _compile()) is not None


@contextmanager
def use(mode: str) -> Iterator[None]:
    """Force ``"numpy"``, ``"python"`` (kernels uncompiled), ``"numba"`` or ``"auto"`` within a block; for tests."""
    before = _state["mode"]
    _state["mode"] = mode
    try:
        yield
    finally:
        _state["mode"] = before


def _compile() -> Any | None:
    try:
        import numba
    except Exception:  # absent, or broken beside this NumPy: the NumPy code serves
        _state["failed"] = True
        return None
    for cache in (True, False):  # no writable cache folder must never stop a decode
        try:
            _state["compiled"] = _jit(numba.njit, cache)
            return _state["compiled"]
        except Exception:
            continue
    _state["failed"] = True
    return None


def _jit(njit: Callable[..., Any], cache: bool) -> Any:
    # Helpers are compiled first and put in place of the plain functions inside a private copy of the module, so that
    # the plain ones stay available to tests.
    import importlib.util

    spec = importlib.util.find_spec(kernels.__name__)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in kernels.HELPERS:
        setattr(module, name, njit(cache=cache, nogil=True, inline="never")(getattr(module, name)))
    space = SimpleNamespace(**{name: njit(cache=cache, nogil=True)(getattr(module, name)) for name in kernels.NAMES})
    _exercise(space)
    return space


def _exercise(space: Any) -> None:
    """Call each kernel once with the types that the bindings use, so that everything is compiled or fails here."""
    import numpy as np

    buf = np.zeros(16, np.uint8)
    buf[:] = 0x11
    buf.flags.writeable = False
    out8 = np.zeros(64, np.uint8)
    two = np.array([1, 9], np.uint32)
    i64 = np.full(1, 1 << 16, np.int64)
    space.bitmap_scan(buf, buf.view(np.int64), np.zeros(32, np.uint32))
    space.bitmap_fill(two, out8)
    space.unary_decode(buf, 0, two.copy())
    space.fields_decode(buf, 0, 3, two.copy())
    space.golomb_finish(buf, 8, np.zeros(2, np.uint32), 3, 1)
    space.exp_golomb_finish(buf, 8, np.zeros(2, np.uint32), 1)
    space.golomb_cost(two, 3, 1)
    space.exp_golomb_cost(two, 1)
    space.golomb_encode(two, 3, 1, 8, out8)
    space.exp_golomb_encode(two, 1, 8, out8)
    space.fields_encode(two, 4, out8)
    table16, table8 = np.zeros(4, np.uint16), np.ones(4, np.uint8)
    space.huffman_decode(buf, 0, table16, table8, 2, np.zeros(2, np.uint16))
    space.huffman_encode(np.zeros(2, np.uint16), table8, table16, out8)
    slots32 = np.full(2, 1, np.int32)
    space.rans_decode(buf, 4, 1, 1, i64, slots32, slots32, table16, np.zeros(2, np.uint16))
    i64[0] = 1 << 16
    slots = np.full(2, 1, np.int64)
    space.rans_encode(np.zeros(2, np.uint16), 1, 1, slots, slots * 0, i64, np.zeros(2, np.uint16))
    space.gap_split(two, np.zeros(2, np.uint16), np.zeros(2, np.uint8), np.zeros(2, np.uint32))
    space.raw_decode(buf, 0, np.zeros(2, np.uint16), two.copy())
    space.raw_encode(np.zeros(2, np.uint8), two, out8)
    space.runs_expand(two, two, np.zeros(12, np.uint32))
