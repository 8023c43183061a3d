"""Best-of-many times and peak memory of one call."""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path


def best_of(call: Callable[[], object], repeats: int = 20, budget: float = 6.0) -> tuple[float, int]:
    """Shortest wall time in seconds and the number of runs: ``repeats``, or fewer once ``budget`` seconds are spent.

    One run before the clock starts warms caches and compilers. The garbage collector rests meanwhile.
    """
    began = time.perf_counter()
    call()
    if time.perf_counter() - began > budget:  # too slow to run again: a second run is the measured one
        repeats = 1
    best, runs = float("inf"), 0
    began = time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        while runs < repeats and (runs == 0 or time.perf_counter() - began < budget):
            start = time.perf_counter()
            call()
            best = min(best, time.perf_counter() - start)
            runs += 1
    finally:
        gc.enable()
    return best, runs


def peak_memory(call: Callable[[], object]) -> int | None:
    """Bytes that one run adds to the resident set at its highest, result included; None outside Linux.

    It runs in a forked child whose high-water mark is reset first, so that earlier runs do not hide anything.
    """
    if not Path("/proc/self/clear_refs").exists():
        return None
    gc.collect()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read_end)
            ctypes.CDLL(None).malloc_trim(0)
            Path("/proc/self/clear_refs").write_text("5")
            before = _status("VmRSS")
            result = call()
            os.write(write_end, str(_status("VmHWM") - before).encode())
            del result
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return max(0, int(text)) if text else None


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")
