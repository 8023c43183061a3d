"""Static rANS, gap classes, the geometric table (SPEC.md 5.4, 6.4)."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest
from backends import BACKENDS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fuzz.reference import decoder as reference
from fuzz.reference import outcome
from fuzz.seeds import frequency_table
from plada_format import PladaError, accel
from plada_format.engines import gapclass, rans
from plada_format.engines.huffman import SymbolSet
from plada_format.engines.stream import Stream
from plada_format.errors import ErrorCode

TOP = 2**32 - 1
LOWS = [*gapclass.LOWEST, 2**32]
ROOT = Path(__file__).resolve().parents[2]


@given(st.lists(st.integers(1, 2**30), min_size=2, max_size=300), st.integers(0, 16))
def test_normalised_frequencies(counts: list[int], above: int) -> None:
    precision = min((len(counts) - 1).bit_length() + above, 16)
    f = rans.normalise(np.array(counts, np.int64), precision)
    assert int(f.sum()) == 1 << precision
    assert int(f.min()) >= 1
    total = sum(counts)
    exact = [c * 2**precision / total for c in counts]
    if all(e >= 1 for e in exact):  # nothing had to be raised to 1: the largest remainder errs by less than 1
        assert max(abs(float(a) - e) for a, e in zip(f, exact)) < 1
    for a, b in zip(range(len(counts) - 1), range(1, len(counts))):
        if counts[a] >= counts[b] + 1:
            assert f[a] >= f[b] - 1


def test_normalised_sums_of_2_to_the_40_and_of_65536_symbols() -> None:
    f = rans.normalise(np.array([1, 2**40], np.int64), 16)
    assert f.tolist() == [1, 65_535]
    assert rans.normalise(np.arange(1, 65_537), 16).tolist() == [1] * 65_536
    assert rans.normalise(np.array([10**6, 1, 1, 1]), 2).tolist() == [1, 1, 1, 1]


@pytest.mark.codec
@given(st.data(), st.sampled_from([2, 3, 17, 256, 1000]), st.integers(0, 2**32 - 1))
def test_round_trip_with_any_table(data: st.DataObject, alphabet: int, seed: int) -> None:
    values = np.array(data.draw(st.lists(st.integers(0, alphabet - 1), min_size=1, max_size=60)), np.uint16)
    own = data.draw(st.booleans())
    table = rans.table_for(values, alphabet) if own else frequency_table(random.Random(seed), values, alphabet)
    if table.precision:
        assert int(table.frequencies.sum()) == 1 << table.precision
    streams = set()
    for mode in BACKENDS:
        with accel.use(mode):
            streams.add(rans.write_table(table, alphabet) + rans.encode(values, alphabet, table))
    (stream,) = streams
    r = reference.Stream(stream)
    assert reference.rans(r, reference.table(r, alphabet), len(values)) == values.tolist()
    r.end()
    for mode in BACKENDS:
        with accel.use(mode):
            st_ = Stream(stream)
            read = rans.read_table(st_, alphabet)
            assert rans.decode(st_, read, len(values)).tolist() == values.tolist()
            st_.finish()
            assert rans.write_table(read, alphabet) + rans.encode(values, alphabet, read) == stream


@pytest.mark.codec
@given(st.binary(max_size=40), st.sampled_from([2, 3, 5, 124]), st.integers(1, 12))
def test_any_bytes_read_as_the_specification_says(data: bytes, alphabet: int, n: int) -> None:
    r = reference.Stream(data)
    expected = outcome(lambda: (reference.rans(r, reference.table(r, alphabet), n), r.pos))
    for mode in BACKENDS:
        with accel.use(mode):
            st_ = Stream(data)
            try:
                found: object = (rans.decode(st_, rans.read_table(st_, alphabet), n).tolist(), st_.pos)
            except PladaError as problem:
                found = problem.code.name
            assert found == expected, mode


EDGES = [n + d for n in (65_536, 131_072) for d in (-1, 0, 1)]


@pytest.mark.codec
@pytest.mark.parametrize("n", [1, 31, 32, 33, *EDGES])
def test_lanes_change_where_the_specification_says(n: int, backend: str) -> None:
    rng = np.random.default_rng(n)
    values = np.minimum(rng.geometric(0.9, n) - 1, 6).astype(np.uint16)
    table = rans.FrequencyTable(SymbolSet(np.arange(7)), 16, np.array([58_000, 6_000, 1_000, 500, 30, 5, 1], np.int64))
    stream = rans.encode(values, 7, table)
    lanes = 1 if n < 65_536 else 32 if n < 131_072 else 64
    assert rans.lanes_for(n) == lanes
    assert len(stream) >= 4 * lanes
    st_ = Stream(stream)
    assert np.array_equal(rans.decode(st_, table, n), values)
    assert st_.left == 0
    plain = (list(range(7)), [*table.cumulative.tolist(), 1 << 16], 16)
    assert reference.rans(reference.Stream(stream), plain, n) == values.tolist()
    for lane in {0, lanes - 1}:
        for state, code in ((0xFFFF, ErrorCode.CODER_STATE), (0, ErrorCode.CODER_STATE)):
            bad = bytearray(stream)
            bad[4 * lane : 4 * lane + 4] = state.to_bytes(4, "little")
            assert _code(bytes(bad), table, n) is code
    assert _code(stream[:-1], table, n) is ErrorCode.STREAM_TRUNCATED
    assert _code(stream[: 4 * lanes - 1], table, n) is ErrorCode.STREAM_TRUNCATED
    # one symbol more than was coded: a final state that is not the first one, or no word left
    if rans.lanes_for(n + 1) == lanes:
        assert _code(stream, table, n + 1) in (ErrorCode.CODER_STATE, ErrorCode.STREAM_TRUNCATED)


def _code(stream: bytes, table: rans.FrequencyTable, n: int) -> ErrorCode:
    with pytest.raises(PladaError) as caught:
        rans.decode(Stream(stream), table, n)
    return caught.value.code


@pytest.mark.codec
@pytest.mark.parametrize("precision", range(1, 17))
def test_every_precision(precision: int, backend: str) -> None:
    size = min(1 << precision, 300)
    rng = np.random.default_rng(precision)
    values = rng.integers(0, size, 2000).astype(np.uint16)
    frequencies = rans.normalise(np.bincount(values, minlength=size) + 1, precision)
    table = rans.FrequencyTable(SymbolSet(np.arange(size)), precision, frequencies)
    assert np.array_equal(rans.decode(Stream(rans.encode(values, size, table)), table, 2000), values)


@pytest.mark.codec
def test_extreme_frequencies(backend: str) -> None:
    """f = 2^16 - 1 and f = 1 side by side: the largest and the smallest steps of the state."""
    table = rans.FrequencyTable(SymbolSet(np.arange(2)), 16, np.array([65_535, 1], np.int64))
    for values in ([0] * 3000, [1] * 3000, [0, 1] * 1500):
        array = np.array(values, np.uint16)
        stream = rans.encode(array, 2, table)
        assert np.array_equal(rans.decode(Stream(stream), table, len(array)), array)
        assert len(stream) == pytest.approx(4 + 2 * sum(values), abs=4)


@pytest.mark.codec
@given(hnp.arrays(np.uint32, st.integers(1, 60), elements=st.one_of(st.integers(0, 40), st.integers(0, TOP))))
def test_gap_classes_round_trip(values: np.ndarray) -> None:
    seen = set()
    for mode in BACKENDS:
        with accel.use(mode):
            classes, widths, raw = gapclass.split(values)
            packed = gapclass.pack_raw(widths, raw)
            seen.add((tuple(classes.tolist()), tuple(widths.tolist()), tuple(raw.tolist()), packed))
            st_ = Stream(packed)
            assert gapclass.read_raw(st_, classes).tolist() == values.tolist()
            assert st_.left == 0
    assert len(seen) == 1
    for v, c, w in zip(values.tolist(), classes.tolist(), widths.tolist()):
        assert LOWS[c] <= v < LOWS[c + 1]
        assert (LOWS[c], w) == reference.class_of_gaps(c)


def test_classes_cover_all_gaps_without_a_hole() -> None:
    assert sorted(set(LOWS)) == LOWS
    assert LOWS[0] == 0
    assert LOWS[-1] == 2**32
    for c in range(8, gapclass.CLASSES):
        assert LOWS[c + 1] - LOWS[c] == 1 << (c // 4 - 1)


@given(
    st.one_of(st.integers(1, TOP), st.integers(1, 5000)),
    st.one_of(st.integers(2, TOP), st.integers(2, 300)),
    st.data(),
)
def test_geometric_table_is_a_distribution(half_life: int, pool_size: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, pool_size - 1))
    table = gapclass.geometric_table(pool_size, count, half_life)
    assert int(table.frequencies.sum()) == 65_536
    assert int(table.frequencies.min()) >= 1
    assert table.precision == 16
    cumulative = [*table.cumulative.tolist(), 65_536]
    assert (table.members.symbols.tolist(), cumulative, 16) == reference.geometric_table(half_life, pool_size, count)
    last = len(table.frequencies) - 1
    assert LOWS[last] <= pool_size - count < LOWS[last + 1]


@given(st.integers(1, TOP), st.lists(st.integers(0, TOP), min_size=2, max_size=20))
def test_survival_never_rises(half_life: int, gaps: list[int]) -> None:
    survival = [gapclass.survival(a, half_life) for a in sorted(gaps)]
    assert survival == sorted(survival, reverse=True)
    assert all(0 <= s <= 65_536 for s in survival)
    assert gapclass.survival(0, half_life) == 65_536


def test_survival_halves_every_half_life() -> None:
    for gaps in (1, 5, 100, 12_345):
        for n in range(1, 16):
            assert gapclass.survival(n * gaps, 256 * gaps) == 65_536 >> n


def test_halving_table_is_that_of_the_specification() -> None:
    text = (ROOT / "SPEC.md").read_text(encoding="utf-8")
    found = re.search(r"T\[0\.\.16\] = ([\d ]+)\n", text)
    assert found
    numbers = tuple(int(n) for n in found[1].split())
    assert numbers == gapclass._HALVING == tuple(reference.HALVES)
    assert numbers == tuple(round(65_536 * 2 ** (-i / 16)) for i in range(17))


@given(st.integers(1, TOP), st.data())
def test_half_life_is_a_valid_parameter(pool_size: int, data: st.DataObject) -> None:
    if pool_size > 1:
        count = data.draw(st.integers(1, pool_size - 1))
        assert 1 <= gapclass.geometric_half_life(pool_size, count) <= TOP
