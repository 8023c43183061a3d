"""Adaptive codecs on wrong bytes: a numbered error or a content that encodes to exactly these bytes, never else."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_format import accel
from plada_format.codecs.index_adaptive import CODEC as INDEX
from plada_format.codecs.index_adaptive_groups import CODEC as INDEX_GROUPS
from plada_format.codecs.label_adaptive import CODEC as LABEL
from plada_format.codecs.label_adaptive_groups import CODEC as LABEL_GROUPS
from plada_format.engines import adaptive
from plada_format.engines.stream import Stream
from plada_format.errors import ErrorCode, PladaError

N, K = 5000, 20
INDICES = np.sort(np.random.default_rng(1).choice(N, 60, replace=False)).astype(np.uint32)
LABELS = np.random.default_rng(2).integers(K, size=60).astype(np.uint16)
GROUPS = np.arange(0, N, 137, dtype=np.uint32)
ALLOWED = {
    ErrorCode.CODER_STATE,
    ErrorCode.STREAM_OVERLONG,
    ErrorCode.NON_CANONICAL,
    ErrorCode.INDEX_RANGE,
}


def _decode(which: int, data: bytes) -> bytes:
    """Decode and encode again."""
    k = len(INDICES)
    if which == 0:
        indices, mode = INDEX.decode(Stream(data), N, k)
        assert len(indices) == k and int(indices[-1]) < N and (np.diff(indices.astype(np.int64)) > 0).all()
        return INDEX.encode(indices, N, mode)
    if which == 1:
        indices, _ = INDEX_GROUPS.decode(Stream(data), N, k, groups=GROUPS)
        assert len(indices) == k and int(indices[-1]) < N and (np.diff(indices.astype(np.int64)) > 0).all()
        return INDEX_GROUPS.encode(indices, N, groups=GROUPS)
    if which == 2:
        labels, mode = LABEL.decode(Stream(data), K, k, indices=INDICES)
        assert labels.max() < K
        return LABEL.encode(labels, K, mode, indices=INDICES)
    labels, _ = LABEL_GROUPS.decode(Stream(data), K, k, indices=INDICES, pool_size=N, groups=GROUPS)
    assert labels.max() < K
    return LABEL_GROUPS.encode(labels, K, indices=INDICES, pool_size=N, groups=GROUPS)


VALID = [
    INDEX.encode(INDICES, N),
    INDEX_GROUPS.encode(INDICES, N, groups=GROUPS),
    LABEL.encode(LABELS, K, indices=INDICES),
    LABEL_GROUPS.encode(LABELS, K, indices=INDICES, pool_size=N, groups=GROUPS),
]


@pytest.mark.parametrize("which", range(4))
def test_valid_streams_come_back(which: int) -> None:
    assert _decode(which, VALID[which]) == VALID[which]


@given(st.integers(0, 3), st.binary(max_size=120))
def test_any_bytes(which: int, data: bytes) -> None:
    try:
        again = _decode(which, data)
    except PladaError as problem:
        assert problem.code in ALLOWED
    else:
        assert again == data


@given(st.integers(0, 3), st.data())
def test_damaged_streams(which: int, data: st.DataObject) -> None:
    stream = bytearray(VALID[which])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, 3))
    test = bytes(stream[: len(stream) - cut]) + data.draw(st.binary(max_size=2))
    try:
        again = _decode(which, test)
    except PladaError as problem:
        assert problem.code in ALLOWED
    else:
        assert again == test


@pytest.mark.parametrize("which", range(4))
def test_each_end_has_its_code(which: int) -> None:
    good = VALID[which]
    with pytest.raises(PladaError) as caught:
        _decode(which, good + b"\0")
    assert caught.value.code == ErrorCode.NON_CANONICAL
    with pytest.raises(PladaError) as caught:
        _decode(which, good + b"\1\1\1\1\1")
    assert caught.value.code == ErrorCode.STREAM_OVERLONG
    with pytest.raises(PladaError) as caught:
        _decode(which, b"\xff\xff\xff\xff" + good)
    assert caught.value.code == ErrorCode.CODER_STATE


@pytest.mark.parametrize(
    "groups", [[], [1, 5], [0, 5, 5], [0, 9, 3], [0, N], [[0, 1]], [0.0, 5.0]], ids=lambda groups: str(groups)
)
def test_bad_groups_are_refused(groups: list[int]) -> None:
    with pytest.raises(PladaError) as caught:
        INDEX_GROUPS.encode(INDICES, N, groups=np.array(groups))
    assert caught.value.code == ErrorCode.INVALID_ARGUMENT


def test_indices_outside_the_pool_are_refused() -> None:
    for mode in (0, 1):
        with pytest.raises(PladaError) as caught:
            INDEX.encode(np.array([3, 70], np.uint32), 50, mode)
        assert caught.value.code == ErrorCode.INVALID_ARGUMENT


def test_tables_are_the_stated_ones() -> None:
    squash, wide, after = adaptive.squash_table(), adaptive.wide_squash_table(), adaptive.next_tables()
    assert len(squash) == 4095 and squash[2047] == 32768 and squash[0] == 32 and squash[-1] == 65504
    assert all(a <= b for a, b in pairwise(squash))
    assert len(wide) == 65536 and all(wide[x] == squash[max(-2047, min(2047, x)) + 2047] for x in range(-32768, 32768))
    for x in range(-2047, 2048):
        for level in range(16):
            zero, one = (table[16 * x + level] for table in after)
            assert -2047 <= zero >> 4 <= x <= one >> 4 <= 2047
            assert level <= zero % 16 <= min(15, level + 1) and level <= one % 16 <= min(15, level + 1)
    assert all(squash[x + 2047] + squash[2047 - x] in range(65535, 65538) for x in range(-1900, 1901))


def test_many_classes_and_stretches_do_not_multiply() -> None:
    """Each label of its own group, so that scores are rescaled after every fifth: that must not cost K steps each."""
    k, alphabet = 2000, 65_536
    indices = np.arange(k, dtype=np.uint32)
    labels = (np.arange(k) * 7919 % alphabet).astype(np.uint16)
    with accel.use("python"):
        began = time.process_time()
        stream = LABEL_GROUPS.encode(labels, alphabet, indices=indices, pool_size=k + 1, groups=indices)
        found, _ = LABEL_GROUPS.decode(Stream(stream), alphabet, k, indices=indices, pool_size=k + 1, groups=indices)
        seconds = time.process_time() - began
    np.testing.assert_array_equal(found, labels)
    assert seconds < 3  # 9 s and more if all scores were walked through
