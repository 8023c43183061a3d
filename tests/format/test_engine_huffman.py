"""Canonical Huffman codes of at most 16 bits (SPEC.md 5.2, 5.3)."""

from __future__ import annotations

import heapq
import itertools
import random

import numpy as np
import pytest
from backends import BACKENDS, INTERPRETED
from hypothesis import given
from hypothesis import strategies as st

from fuzz.reference import decoder as reference
from fuzz.reference import outcome
from fuzz.seeds import huffman_table
from plada_format import PladaError, accel
from plada_format.engines import huffman, intblock
from plada_format.engines.stream import Stream, varint_bytes
from plada_format.errors import ErrorCode


def unlimited_cost(counts: list[int]) -> int:
    """Bits of an optimal code without a limit: the sum of all inner nodes of Huffman's tree."""
    heap = sorted(counts)
    total = 0
    while len(heap) > 1:
        node = heapq.heappop(heap) + heapq.heappop(heap)
        total += node
        heapq.heappush(heap, node)
    return total


def best_limited_cost(counts: list[int], longest: int) -> int:
    """Bits of an optimal code of at most ``longest`` bits, by trying every complete set of lengths."""
    ordered = sorted(counts, reverse=True)
    best = None
    for lengths in itertools.combinations_with_replacement(range(1, longest + 1), len(counts)):
        if sum(2 ** (longest - x) for x in lengths) == 2**longest:
            cost = sum(c * x for c, x in zip(ordered, lengths))
            best = cost if best is None else min(best, cost)
    assert best is not None
    return best


def assert_complete(lengths: np.ndarray, longest: int = 16) -> None:
    assert lengths.min() >= 1
    assert lengths.max() <= longest
    assert int((1 << (longest - lengths)).sum()) == 1 << longest


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=120))
def test_optimal_where_the_limit_does_not_bind(counts: list[int]) -> None:
    lengths = huffman.optimal_lengths(np.array(counts))
    assert_complete(lengths)
    # counts up to 1000 of 120 symbols: no code word of an optimal code is longer than 16 bits
    assert int((lengths * counts).sum()) == unlimited_cost(counts)
    for a, b in itertools.combinations(range(len(counts)), 2):
        if counts[a] > counts[b]:
            assert lengths[a] <= lengths[b]


@given(st.lists(st.integers(1, 10_000), min_size=2, max_size=7), st.integers(3, 5))
def test_optimal_under_a_limit(counts: list[int], longest: int) -> None:
    lengths = huffman.optimal_lengths(np.array(counts), longest)
    assert_complete(lengths, longest)
    assert int((lengths * counts).sum()) == best_limited_cost(counts, longest)


def test_fibonacci_counts_meet_the_limit() -> None:
    counts = [1, 1]
    while len(counts) < 40:
        counts.append(counts[-1] + counts[-2])
    lengths = huffman.optimal_lengths(np.array(counts))
    assert_complete(lengths)
    assert lengths.max() == 16
    cost = int((lengths * np.array(counts)).sum())
    assert unlimited_cost(counts) < cost < 1.01 * unlimited_cost(counts)


@pytest.mark.parametrize("size", [2, 3, 255, 256, 257, 32_768, 32_769, 65_535, 65_536])
def test_lengths_of_equal_counts(size: int) -> None:
    lengths = huffman.optimal_lengths(np.ones(size, np.int64))
    assert_complete(lengths)
    assert lengths.max() - lengths.min() <= 1


@pytest.mark.codec
@given(st.data(), st.sampled_from([2, 3, 4, 17, 256, 1000, 65_536]), st.integers(0, 2**32 - 1))
def test_round_trip_with_any_complete_code(data: st.DataObject, alphabet: int, seed: int) -> None:
    values = np.array(data.draw(st.lists(st.integers(0, alphabet - 1), min_size=1, max_size=60)), np.uint16)
    table = huffman_table(random.Random(seed), values, alphabet) if data.draw(st.booleans()) else None
    if table is not None and len(table.lengths):
        assert_complete(table.lengths)
    streams = set()
    for mode in BACKENDS:
        with accel.use(mode):
            streams.add(huffman.encode(values, alphabet, table))
    (stream,) = streams
    reader = reference.Stream(stream)
    assert reference.huffman(reader, alphabet, len(values)) == values.tolist()
    reader.end()
    for mode in BACKENDS:
        with accel.use(mode):
            st_ = Stream(stream)
            found, read = huffman.decode(st_, alphabet, len(values))
            st_.finish()
            assert found.tolist() == values.tolist()
            assert huffman.encode(found, alphabet, read) == stream


@pytest.mark.codec
@given(st.binary(max_size=40), st.sampled_from([2, 3, 5, 16, 300]), st.integers(1, 20))
def test_any_bytes_read_as_the_specification_says(data: bytes, alphabet: int, n: int) -> None:
    r = reference.Stream(data)
    expected = outcome(lambda: (reference.huffman(r, alphabet, n), r.pos))
    for mode in BACKENDS:
        with accel.use(mode):
            st_ = Stream(data)
            try:
                found: object = (huffman.decode(st_, alphabet, n)[0].tolist(), st_.pos)
            except PladaError as problem:
                found = problem.code.name
            assert found == expected, mode


def lengths_block(lengths: list[int]) -> bytes:
    """The "lengths" part for all symbols of an alphabet."""
    d = np.diff(lengths, prepend=(len(lengths) - 1).bit_length())
    return varint_bytes(len(lengths)) + intblock.encode(np.where(d >= 0, 2 * d, -2 * d - 1), 1)


@pytest.mark.parametrize(
    "lengths",
    [[1, 1, 1], [1, 2, 3], [2, 2], [16, 16], [1, 1, 16], [17, 1], [0, 1], [1, 17], [0, 0], [-1, 1], [1 << 20, 1]],
)
def test_impossible_codes_are_refused(lengths: list[int], backend: str) -> None:
    with pytest.raises(PladaError) as caught:
        huffman.decode(Stream(lengths_block(lengths) + b"\0" * 8), len(lengths), 3)
    assert caught.value.code is ErrorCode.TABLE


@pytest.mark.parametrize("size", [0, 6, 7, 200])
def test_impossible_symbol_counts_are_refused(size: int, backend: str) -> None:
    with pytest.raises(PladaError) as caught:
        huffman.decode(Stream(varint_bytes(size) + b"\x01\xff\xff\xff"), 5, 3)
    assert caught.value.code is ErrorCode.TABLE


@pytest.mark.codec
def test_words_of_16_bits_across_pieces(backend: str) -> None:
    """The NumPy decoder works in pieces of 65,536 bytes; words may begin in one and end in the next."""
    n = 40_000 if backend in INTERPRETED else 300_000
    counts = [2**j for j in range(16)]
    rng = np.random.default_rng(3)
    values = np.concatenate([np.arange(17), rng.choice(17, n - 17)]).astype(np.uint16)
    table = huffman.HuffmanTable(huffman.SymbolSet(np.arange(17)), np.array([16, 16, *range(15, 0, -1)], np.int64), 3)
    assert len(counts) == 16
    stream = huffman.encode(values, 17, table)
    found, _ = huffman.decode(Stream(stream), 17, n)
    assert np.array_equal(found, values)
    for cut in (1, 2, 70_000):
        with pytest.raises(PladaError) as caught:
            huffman.decode(Stream(stream[:-cut]), 17, n)
        assert caught.value.code is ErrorCode.STREAM_TRUNCATED
