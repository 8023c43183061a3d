"""Varints, bit fields and integer blocks (SPEC.md sections 2 and 5.1)."""

from __future__ import annotations

import numpy as np
import pytest
from backends import BACKENDS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fuzz.reference import decoder as reference
from fuzz.reference import outcome
from plada_format import PladaError, accel
from plada_format.engines import bits, intblock
from plada_format.engines.stream import Stream, varint_bytes
from plada_format.errors import ErrorCode

TOP = 2**32 - 1
values32 = st.one_of(
    st.integers(0, TOP), st.integers(0, 300), st.sampled_from([2**b + d for b in range(32) for d in (-1, 0)])
)
parameters = st.one_of(
    st.integers(0, 30).map(lambda r: 2 * r + 1),
    st.integers(1, 1 << 30).map(lambda m: 2 * (m - 1)),
    st.sampled_from([0, 2, 4, 6, 2 * ((1 << 30) - 1), 2 * ((1 << 29) - 1), 2 << 29]),
)


def failure(call: object, *arguments: object) -> ErrorCode:
    """The code of the error that ``call(*arguments)`` must raise."""
    with pytest.raises(PladaError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


@given(values32)
def test_varint_round_trip_and_shortest(value: int) -> None:
    data = varint_bytes(value)
    st_ = Stream(data)
    assert st_.varint("x") == value
    assert st_.left == 0
    assert len(data) == max((value.bit_length() + 6) // 7, 1)
    for end in range(len(data)):
        assert failure(Stream(data[:end]).varint, "x") is ErrorCode.STREAM_TRUNCATED


@pytest.mark.parametrize(
    "data",
    [
        "8000",
        "8100",
        "ffff8000",
        "80808000",
        "8080808000",
        "8080808010",
        "ffffffff1f",
        "ffffffff8f",
        "8080808080",
        "ffffffffff",
    ],
)
def test_other_varints_are_refused(data: str) -> None:
    assert failure(Stream(bytes.fromhex(data)).varint, "x") is ErrorCode.BAD_VARINT


def test_largest_varint() -> None:
    assert Stream(bytes.fromhex("ffffffff0f")).varint("x") == TOP


@given(st.binary(max_size=6))
def test_varint_as_the_specification_reads_it(data: bytes) -> None:
    expected = outcome(reference.Stream(data).varint)
    try:
        found: object = Stream(data).varint("x")
    except PladaError as problem:
        found = problem.code.name
    assert found == expected


@pytest.mark.codec
@given(st.lists(values32, min_size=1, max_size=40), st.integers(0, 32), st.integers(0, 17))
def test_fields_of_one_width(values: list[int], width: int, start: int) -> None:
    masked = [v & ((1 << width) - 1) for v in values]
    number = sum(v << (start + width * j) for j, v in enumerate(masked))
    size = (start + width * len(values) + 7) // 8
    buf = np.frombuffer(number.to_bytes(max(size, 1), "little"), np.uint8)
    assert bits.unpack_fields(buf, start, width, len(values)).tolist() == masked
    out = np.zeros(len(values), np.uint32)
    from plada_format.engines import kernels

    if size:
        kernels.fields_decode(buf, start, width, out)
        assert out.tolist() == masked
    assert bits.pack(bits.fixed_bits(np.array(masked, np.int64), width)) == (number >> start).to_bytes(
        (width * len(values) + 7) // 8, "little"
    )


@given(st.lists(st.tuples(values32, st.integers(0, 32)), max_size=40))
def test_fields_of_many_widths(pairs: list[tuple[int, int]]) -> None:
    values = np.array([v & ((1 << w) - 1) for v, w in pairs], np.int64)
    widths = np.array([w for _, w in pairs], np.int64)
    ends = np.cumsum(widths)
    number = sum(int(v) << int(e - w) for v, w, e in zip(values, widths, ends))
    total = int(ends[-1]) if pairs else 0
    assert bits.pack(bits.variable_bits(values, widths)) == number.to_bytes((total + 7) // 8, "little")
    if total:
        buf = np.frombuffer(number.to_bytes((total + 7) // 8, "little"), np.uint8)
        at = np.minimum(ends - widths, 8 * len(buf) - 1)
        assert bits.gather(buf, at, widths).tolist() == values.tolist()


@given(hnp.arrays(np.uint8, st.integers(0, 200)), st.integers(1, 300))
def test_positions_of_one_bits(buf: np.ndarray, limit: int) -> None:
    every = np.flatnonzero(np.unpackbits(buf, bitorder="little")).tolist()
    found = bits.bit_positions(buf, limit).tolist()
    assert found[:limit] == every[:limit]


def test_positions_of_one_bits_across_pieces() -> None:
    buf = np.zeros((1 << 21) + 9, np.uint8)
    where = [0, 7, 8 * (1 << 14) - 1, 8 * (1 << 14), 8 * (1 << 20) - 1, 8 * (1 << 20), 8 * len(buf) - 1]
    for bit in where:
        buf[bit >> 3] |= 1 << (bit & 7)
    assert bits.bit_positions(buf, 100).tolist() == where
    assert bits.bit_positions(buf, 2).tolist()[:2] == where[:2]


@given(hnp.arrays(np.uint32, st.integers(1, 50), elements=st.integers(0, TOP)))
def test_bit_length(values: np.ndarray) -> None:
    from plada_format.engines import kernels

    expected = [int(v).bit_length() for v in values]
    assert bits.bit_length(values).tolist() == expected
    assert [kernels.bit_length(int(v)) for v in values] == expected


@pytest.mark.codec
@given(st.data(), parameters, st.integers(1, 12))
def test_block_with_every_parameter(data: st.DataObject, p: int, count: int) -> None:
    divisor = p // 2 + 1 if p % 2 == 0 else 1 << (p // 2)
    largest = min(TOP, 400 * divisor) if p % 2 == 0 else TOP
    values = data.draw(st.lists(st.integers(0, largest), min_size=count, max_size=count))
    streams = set()
    for mode in BACKENDS:
        with accel.use(mode):
            streams.add(intblock.encode(np.array(values, np.uint32), p))
    (stream,) = streams
    assert reference.block(reference.Stream(stream), count) == values
    for mode in BACKENDS:
        with accel.use(mode):
            st_ = Stream(stream)
            found, parameter = intblock.decode(st_, count)
            assert found.tolist() == values
            assert found.dtype == np.uint32
            assert (parameter, st_.left) == (p, 0)
            assert intblock.cost(np.array(values, np.uint32), p) <= 8 * (len(stream) - len(varint_bytes(p)))
            assert intblock.cost(np.array(values, np.uint32), p) > 8 * (len(stream) - len(varint_bytes(p))) - 8
            for end in range(len(stream)):
                code = failure(intblock.decode, Stream(stream[:end]), count)
                assert code in (ErrorCode.STREAM_TRUNCATED, ErrorCode.PADDING)


@pytest.mark.codec
@given(st.binary(max_size=30), st.integers(1, 6), st.one_of(st.none(), parameters))
def test_block_of_any_bytes_reads_as_the_specification_says(data: bytes, count: int, p: int | None) -> None:
    if p is not None:
        data = varint_bytes(p) + data
    r = reference.Stream(data)
    expected = outcome(lambda: (reference.block(r, count), r.pos))
    for mode in BACKENDS:
        with accel.use(mode):
            st_ = Stream(data)
            try:
                found: object = (intblock.decode(st_, count)[0].tolist(), st_.pos)
            except PladaError as problem:
                found = problem.code.name
            assert found == expected, mode


@pytest.mark.parametrize("p", [2 << 30, (2 << 30) + 2, 2 * 31 + 1, TOP, TOP - 1])
def test_block_parameter_out_of_range(p: int, backend: str) -> None:
    assert failure(intblock.decode, Stream(varint_bytes(p) + b"\xff" * 20), 2) is ErrorCode.PARAMETER


@pytest.mark.parametrize("p", [(2 << 30) - 2, 61, 59, 1, (2 << 29) - 2])
def test_block_holds_the_largest_value_and_no_larger_one(p: int, backend: str) -> None:
    stream = intblock.encode(np.array([TOP, 0, TOP], np.uint32), p)
    assert intblock.decode(Stream(stream), 3)[0].tolist() == [TOP, 0, TOP]
    number = int.from_bytes(stream[len(varint_bytes(p)) :], "little")
    # one more zero bit at the front of part A: q grows by one, and everything behind moves
    larger = varint_bytes(p) + (number << 1).to_bytes(len(stream) + 9, "little")
    assert failure(intblock.decode, Stream(larger), 3) is ErrorCode.INDEX_RANGE


@pytest.mark.codec
@given(hnp.arrays(np.uint32, st.integers(1, 60), elements=st.one_of(st.integers(0, 40), st.integers(0, TOP))))
def test_chosen_parameter_is_near_the_best(values: np.ndarray) -> None:
    chosen = set()
    for mode in BACKENDS:
        with accel.use(mode):
            chosen.add(intblock.choose(values))
    (p,) = chosen
    cost = intblock.cost(values, p)
    # every Exp-Golomb order: the search over orders is a descent and may not miss the valley by much
    best = min(intblock.cost(values, 2 * r + 1) for r in range(31))
    assert cost <= best + 8 + best // 8


def test_geometric_gaps_cost_no_more_than_one_percent_above_their_entropy() -> None:
    rng = np.random.default_rng(0)
    for mean in (2.0, 9.0, 100.0, 5000.0):
        q = 1 / (mean + 1)
        values = (rng.geometric(q, 20_000) - 1).astype(np.uint32)
        entropy = -(np.log2(q) + mean * np.log2(1 - q)) * len(values)
        assert 8 * len(intblock.encode(values)) <= 1.035 * entropy if mean < 3 else 1.012 * entropy
