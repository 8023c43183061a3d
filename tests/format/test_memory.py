"""Nothing is allocated on the word of a header: the bound of SPEC.md section 10, by tracemalloc and by RLIMIT_AS."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import hostile
import numpy as np
import pytest
from backends import told

import plada_format as pf
from fuzz import oracle, seeds
from plada_format import accel
from plada_format.codecs import INDEX_CODECS, LABEL_CODECS

ROOT = Path(__file__).resolve().parents[2]
ANY = pf.Limits(2**32 - 1, 2**32 - 1)
SMALL, FILLED, SOFT = (list(f()) for f in (hostile.small_files, hostile.filled_files, hostile.soft_label_files))
K = 100_000


def with_right_digest(data: bytes) -> bytes:
    """So that decoding goes on behind the content, where it can."""
    try:
        pf.decode(data, groups=oracle.groups_of(data), limits=ANY)
    except pf.PladaError as problem:
        if problem.code is pf.ErrorCode.CONTENT_DIGEST:
            return oracle.with_right_digest(data) or data
    return data


def traced(data: bytes) -> tuple[int, str]:
    """Peak of the memory that decoding takes, and what came of it."""
    tracemalloc.start()
    try:
        pf.decode(data, groups=oracle.groups_of(data), limits=ANY)
        return tracemalloc.get_traced_memory()[1], "accepted"
    except pf.PladaError as problem:
        return tracemalloc.get_traced_memory()[1], problem.code.name
    finally:
        tracemalloc.stop()


def assert_within_bound(data: bytes, what: str) -> str:
    pf.decode(pf.encode([1], [1], pool_size=3, num_classes=2, index_codec="delta-zstd"))  # imports count for nobody
    peak, outcome = traced(data)
    bound = oracle.bound_for(data)
    assert peak <= bound, f"{what}: {peak:,} bytes, the bound is {bound:,} ({outcome})"
    return outcome


@pytest.mark.parametrize("mode", ["numpy", "numba"])
@pytest.mark.parametrize("file", FILLED + SOFT, ids=lambda f: f.name)
def test_bound_on_hostile_files(file: hostile.Hostile, mode: str) -> None:
    if mode == "numba":
        pytest.importorskip("numba")
    with accel.use(mode):
        traced(b"")
        pf.warmup() if mode == "numba" else None
        assert assert_within_bound(file.data, file.name) in file.codes
        right = with_right_digest(file.data)
        if right != file.data:
            outcome = assert_within_bound(right, file.name)
            assert outcome in ("accepted", "SECTION_CONTENT", "PADDING")


def index_sets() -> dict[str, tuple[int, np.ndarray]]:
    rng = np.random.default_rng(1)
    return {
        "sparse": (100 * K, np.sort(rng.choice(100 * K, K, replace=False))),
        "half": (2 * K, np.sort(rng.choice(2 * K, K, replace=False))),
        "dense": (K + K // 4, np.sort(rng.choice(K + K // 4, K, replace=False))),
        "one run": (3 * K, np.arange(K) + 77),
        "alternating": (2 * K, 2 * np.arange(K)),
    }


def label_sets() -> dict[str, tuple[int, np.ndarray]]:
    rng = np.random.default_rng(2)
    return {
        "all of 65,536": (65_536, rng.permutation(np.arange(K) % 65_536)),
        "skewed": (10, np.minimum(rng.geometric(0.7, K) - 1, 9)),
        "alternating": (2, np.arange(K) % 2),
        "constant": (1000, np.full(K, 7)),
    }


@pytest.mark.parametrize("name", index_sets())
def test_bound_on_index_codecs(name: str) -> None:
    n, indices = index_sets()[name]
    for codec in (INDEX_CODECS[kind] for kind in seeds.INDEX_IDS):
        settings = {"pool_size": n, "num_classes": 1, "index_codec": codec.name, **told(n, codec.name)}
        kept = indices[: K // 20] if codec.name.startswith("adaptive") else indices  # tracing plain Python is slow
        data = pf.encode(kept, np.zeros(len(kept), int), **settings)
        with accel.use("numpy"):
            assert assert_within_bound(data, f"{codec.name}, {name}") == "accepted"


@pytest.mark.parametrize("name", label_sets())
def test_bound_on_label_codecs(name: str) -> None:
    classes, labels = label_sets()[name]
    for codec in (LABEL_CODECS[kind] for kind in seeds.LABEL_IDS):
        kept = labels[: K // 20] if codec.name.startswith("adaptive") else labels
        settings = {"pool_size": K, "num_classes": classes, "label_codec": codec.name, **told(K, codec.name)}
        data = pf.encode(np.arange(len(kept)), kept, weights=2.0 ** (kept % 5), **settings)
        with accel.use("numpy"):
            assert assert_within_bound(data, f"{codec.name}, {name}") == "accepted"


def test_inspect_takes_next_to_nothing() -> None:
    for file in SMALL:
        tracemalloc.start()
        header = pf.inspect(file.data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert header.count >= 0
        assert peak < 100_000


CHILD = """
import json, resource, sys
sys.path[:0] = [{root!r}, {here!r}]
import hostile
import plada_format as pf
from fuzz import oracle, seeds
from pathlib import Path

pf.decode(pf.encode([1], [1], pool_size=3, num_classes=2, index_codec="delta-zstd", label_codec="zstd"))
files = [*hostile.small_files(), *hostile.filled_files(), *hostile.soft_label_files()]
page = resource.getpagesize()
for file in files:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * page
    # an index stream that ends early must be refused on far less than the announced k would need
    short = {{"STREAM_TRUNCATED", "ZSTD_FRAME", "LIMIT", "TRUNCATED"}}.issuperset(file.codes)
    early = short and "label" not in file.name
    room = 32 << 20 if early else oracle.bound_for(file.data) + (16 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
    try:
        pf.decode(file.data)
        outcome = "accepted"
    except pf.PladaError as problem:
        outcome = problem.code.name
    except BaseException as problem:
        outcome = type(problem).__name__
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(json.dumps([file.name, outcome, file.codes]), flush=True)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_hostile_files_under_a_limited_address_space() -> None:
    code = CHILD.format(root=str(ROOT), here=str(Path(__file__).parent))
    environment = {"PLADA_ACCEL": "numpy", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    outcomes = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(outcomes) == len(SMALL) + len(FILLED) + len(SOFT)
    wrong = [(name, outcome) for name, outcome, codes in outcomes if outcome not in codes]
    assert not wrong
