"""Codecs of gradients: inverse up to a stated error, and safe against any bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from plada_distill.compress import CODECS, Codec, ErrorFeedback, WireError
from plada_format.errors import UserError

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
SHAPES = st.lists(npst.array_shapes(min_dims=1, max_dims=4, max_side=5), min_size=1, max_size=4)
GRADIENTS = SHAPES.flatmap(
    lambda shapes: st.tuples(*(npst.arrays(np.float32, shape, elements=FLOATS) for shape in shapes))
)
CODEC = st.sampled_from([Codec("float32"), Codec("bf16"), Codec("int8"), Codec("topk", 0.3), Codec("topk", 1.0)])


@given(GRADIENTS, CODEC)
def test_error_is_what_the_codec_promises(arrays, codec):
    arrays = list(arrays)
    data = codec.encode(arrays)
    back = codec.decode(data, [array.shape for array in arrays])
    total = sum(array.size for array in arrays)
    if codec.name == "float32":
        assert all(np.array_equal(one, two) for one, two in zip(arrays, back)) and len(data) == 4 * total
    elif codec.name == "bf16":
        assert len(data) == 2 * total
        for one, two in zip(arrays, back):
            assert (np.abs(one - two) <= np.abs(one) * 2.0**-8 + 1e-38).all()
    elif codec.name == "int8":
        for one, two in zip(arrays, back):
            rows = (1, -1) if one.ndim < 2 else (len(one), -1)
            gap, largest = np.abs(one - two).reshape(rows), np.abs(one).reshape(rows).max(1)
            assert (gap <= largest[:, None] * (0.5 / 127 * 1.001) + 1e-40).all()
    else:
        kept = max(1, round(codec.keep * total))
        flat, sent = (np.concatenate([array.reshape(-1) for array in some]) for some in (arrays, back))
        assert np.count_nonzero(sent) <= kept
        largest = np.sort(np.abs(flat))[::-1][:kept]
        assert (np.abs(np.sort(np.abs(sent))[::-1][:kept] - largest) <= largest * 2.0**-8 + 1e-38).all()


@given(GRADIENTS, st.integers(1, 4))
def test_what_was_left_out_is_sent_later(arrays, times):
    """After every message: sent so far + left over = all that was meant, up to rounding."""
    arrays = [np.clip(array, -1e6, 1e6) for array in arrays]
    codec, feedback = Codec("topk", 0.2), ErrorFeedback()
    sent = [np.zeros(array.shape, np.float64) for array in arrays]
    for _ in range(times):
        data = feedback.encode(codec, 3, arrays)
        for total, part in zip(sent, codec.decode(data, [array.shape for array in arrays])):
            total += part
    for total, left, array in zip(sent, feedback.export()[3], arrays):
        np.testing.assert_allclose(total + left, array.astype(np.float64) * times, rtol=1e-4, atol=1e-4 * 1e6)
    again = ErrorFeedback.restore(feedback.export())
    assert again.encode(codec, 3, arrays) == ErrorFeedback.restore(feedback.export()).encode(codec, 3, arrays)
    feedback.reset()
    assert feedback.export() == {}


@given(st.binary(max_size=200), st.sampled_from(CODECS), SHAPES)
def test_any_bytes_are_a_gradient_or_an_error(data, name, shapes):
    try:
        arrays = Codec(name, 0.5).decode(data, shapes)
    except WireError:
        return
    assert [array.shape for array in arrays] == [tuple(shape) for shape in shapes]
    assert all(np.isfinite(array).all() for array in arrays)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_damaged_message_of_kept_places_is_refused_or_read(place, value):
    array = np.random.default_rng(1).normal(size=(40, 25)).astype(np.float32)
    data = bytearray(Codec("topk", 0.1).encode([array]))
    data[place % len(data)] = value
    try:
        (back,) = Codec("topk", 0.1).decode(bytes(data), [array.shape])
    except WireError:
        return
    assert back.shape == array.shape and np.isfinite(back).all()


def test_a_small_frame_that_grows_without_end_is_cut_off():
    import zstandard

    frame = zstandard.ZstdCompressor(level=19).compress(b"\0" * 50_000_000)
    data = (1).to_bytes(4, "little") + len(frame).to_bytes(4, "little") + frame + b"\0\0"
    with pytest.raises(WireError, match="where 4 are due"):
        Codec("topk").decode(data, [(10,)])


def test_sizes():
    """The point of it: 320,010 numbers in a hundredth of the bytes."""
    array = np.random.default_rng(0).normal(size=320_010).astype(np.float32)
    sizes = {str(codec): len(codec.encode([array])) for codec in map(Codec.parse, ("float32", "int8", "topk:0.01"))}
    assert sizes["float32"] == 1_280_040 and sizes["int8"] == 320_014
    assert sizes["topk:0.01"] < 3200 * 3.4 < 0.01 * sizes["float32"]


def test_names():
    for text in ("float32", "bf16", "int8", "topk:0.05"):
        assert str(Codec.parse(text)) == text
    for text in ("gzip", "topk:none", "topk:0", "topk:2"):
        with pytest.raises(UserError):
            Codec.parse(text)
    with pytest.raises(UserError, match="not finite"):
        Codec("bf16").encode([np.array([math.inf], np.float32)])
    assert np.isfinite(Codec("bf16").decode(Codec("bf16").encode([np.array([np.finfo(np.float32).max])]), [(1,)])[0])
