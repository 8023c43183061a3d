"""Hypothesis strategies for what a payload holds: index sets and labels of every awkward shape, ancillary sections."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

I64 = NDArray[np.int64]
EDGES = (0, 7, 8, 63, 64, 255, 256, 1023, 65_535, 65_536, 1 << 20)
CLASSES = (1, 2, 3, 4, 5, 10, 255, 256, 257, 1000, 65_535, 65_536)


def _pool(indices: list[int], slack: int) -> tuple[int, I64]:
    """Pool size and array of sorted distinct indices with ``slack`` images after the last."""
    return (indices[-1] + 1 if indices else 0) + slack, np.array(indices, np.int64)


@st.composite
def uniform(draw: st.DrawFn, most: int = 60) -> tuple[int, I64]:
    """Any set."""
    n = draw(st.sampled_from([*range(1, 20), 64, 100, 257, 1000, 65_536, 70_000, 1 << 20]))
    chosen = draw(st.sets(st.integers(0, n - 1), max_size=min(n, most)))
    return n, np.array(sorted(chosen), np.int64)


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, I64]:
    """Stretches of kept images."""
    stretches = draw(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40)), max_size=8))
    out: list[int] = []
    at = 0
    for skip, length in stretches:
        at += skip
        out += range(at, at + length)
        at += length + 1
    return _pool(out, draw(st.integers(0, 10)))


@st.composite
def clustered(draw: st.DrawFn) -> tuple[int, I64]:
    """A few neighbourhoods in a large pool."""
    centres = draw(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=4))
    offsets = draw(st.lists(st.integers(0, 50), min_size=1, max_size=30))
    chosen = sorted({c + o for c, o in zip(itertools.cycle(centres), offsets)})
    return _pool(chosen, draw(st.sampled_from([0, 1, 7, 1000])))


@st.composite
def edges(draw: st.DrawFn) -> tuple[int, I64]:
    """Images around the edges of bytes, words and blocks of 65,536."""
    near = [e + d for e in EDGES for d in (-1, 0, 1) if e + d >= 0]
    return _pool(sorted(draw(st.sets(st.sampled_from(near)))), draw(st.sampled_from([0, 1, 6, 7, 8, 65_536])))


@st.composite
def gaps(draw: st.DrawFn) -> tuple[int, I64]:
    """Gaps of any magnitude, small ones most often."""
    exponents = draw(st.lists(st.integers(0, draw(st.integers(0, 20))), max_size=30))
    steps = [draw(st.integers(0, (1 << e) - 1)) if e else 0 for e in exponents]
    return _pool([j + v for j, v in enumerate(itertools.accumulate(steps))], draw(st.integers(0, 9)))


@st.composite
def few_or_nearly_all(draw: st.DrawFn) -> tuple[int, I64]:
    """k = 0, 1, N - 1 or N."""
    n = draw(st.sampled_from([0, 1, 2, 7, 8, 9, 16, 255, 256, 1000]))
    odd = draw(st.integers(0, max(n - 1, 0)))
    everything = np.arange(n, dtype=np.int64)
    choices = [everything, everything[:0], everything[odd : odd + 1], np.delete(everything, odd) if n else everything]
    return n, draw(st.sampled_from(choices))


@st.composite
def sparse_and_huge(draw: st.DrawFn) -> tuple[int, I64]:
    """Few images in a pool near 2^32."""
    n = draw(st.sampled_from([1 << 30, 1 << 31, (1 << 32) - 1]))
    chosen = draw(st.sets(st.one_of(st.integers(0, n - 1), st.sampled_from([0, n - 2, n - 1, 1 << 29])), max_size=6))
    return n, np.array(sorted(chosen), np.int64)


def index_sets(*, huge: bool = False) -> st.SearchStrategy[tuple[int, I64]]:
    """(N, strictly increasing indices). ``huge`` allows pools near 2^32, which bitmaps cannot take in a test."""
    shapes = [uniform(), runs(), clustered(), edges(), gaps(), few_or_nearly_all()]
    return st.one_of(*shapes, sparse_and_huge()) if huge else st.one_of(*shapes)


@st.composite
def labels_for(draw: st.DrawFn, count: int, classes: int) -> I64:
    """``count`` labels below ``classes``: uniform, constant, skewed, in runs."""
    top = classes - 1
    shape = draw(st.sampled_from(["uniform", "constant", "skewed", "runs", "rising"]))
    if shape == "constant":
        return np.full(count, draw(st.integers(0, top)), np.int64)
    if shape == "rising":
        return np.arange(count, dtype=np.int64) % classes
    if shape == "uniform":
        seed = draw(st.integers(0, 2**32 - 1))
        return np.random.default_rng(seed).integers(0, classes, count)
    few = draw(st.lists(st.integers(0, top), min_size=1, max_size=5))
    if shape == "skewed":
        ranks = np.random.default_rng(draw(st.integers(0, 999))).geometric(0.6, count) - 1
        return np.array(few, np.int64)[np.minimum(ranks, len(few) - 1)]
    lengths = draw(st.lists(st.integers(1, 40), min_size=1, max_size=6))
    pattern = [value for value, length in zip(itertools.cycle(few), lengths) for _ in range(length)]
    return np.resize(np.array(pattern, np.int64), count)


def texts(most: int = 12) -> st.SearchStrategy[str]:
    """Text that a payload may hold."""
    allowed = st.characters(exclude_categories=("Cs",), exclude_characters=[*map(chr, range(32)), "\x7f"])
    return st.text(allowed, max_size=most)


@st.composite
def contents(draw: st.DrawFn, *, huge: bool = False, ancillary: bool = True) -> dict[str, Any]:
    """Keyword arguments of ``encode``."""
    n, indices = draw(index_sets(huge=huge))
    classes = draw(st.sampled_from(CLASSES))
    out: dict[str, Any] = {
        "indices": indices,
        "labels": draw(labels_for(len(indices), classes)),
        "pool_size": n,
        "num_classes": classes,
    }
    if not ancillary:
        return out
    if draw(st.booleans()):
        out["pool_fingerprint"] = draw(st.binary(min_size=16, max_size=16).filter(any))
    if classes <= 10 and draw(st.booleans()):
        out["class_names"] = draw(st.lists(texts(), min_size=classes, max_size=classes))
    if draw(st.booleans()):
        out["metadata"] = draw(
            st.dictionaries(
                texts().filter(bool),
                texts(40),
                max_size=5,
            )
        )
    if draw(st.booleans()):
        exponents = draw(st.lists(st.floats(-9, 9), min_size=1, max_size=8))
        out["weights"] = np.exp2(np.resize(exponents, len(indices)))
    if 2 <= classes <= 10 and draw(st.booleans()):
        seed = draw(st.integers(0, 999))
        table = np.random.default_rng(seed).dirichlet(np.full(classes, draw(st.sampled_from([0.02, 1.0]))), classes)
        out["soft_labels"] = table
    if draw(st.booleans()):
        out["extra"] = draw(st.dictionaries(st.integers(0xC0, 0xDF), st.binary(max_size=30), max_size=3))
    return out
