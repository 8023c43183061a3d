"""What no payload can hold is refused with a message that names the argument and the entry."""

from __future__ import annotations

import decimal
import fractions
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import plada_format as pf

NAN, INF = float("nan"), float("inf")


def refused(**changes: Any) -> str:
    """The message for a small payload with some arguments changed."""
    arguments: dict[str, Any] = {"indices": [2, 5, 7], "labels": [0, 1, 1], "pool_size": 9, "num_classes": 2} | changes
    with pytest.raises(pf.PladaError) as caught:
        pf.encode(**arguments)
    problem = caught.value
    assert problem.code is pf.ErrorCode.INVALID_ARGUMENT
    assert isinstance(problem, pf.InvalidInputError)
    assert "\n" not in str(problem)
    return problem.message


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([2, 7, 5], ["indices[2]", "5", "7"]),
        ([2, 5, 5], ["indices[2]", "repeats", "5"]),
        ([-1, 5, 7], ["indices[0]", "-1", "negative"]),
        ([2, 5, 9], ["indices[2]", "9", "pool_size"]),
        ([2, 5, 2**63], ["indices[2]"]),
        ([2, 5, 2**70], ["indices[2]", str(2**70)]),
        ([2, -(2**70), 7], ["indices[1]", "range"]),
        ([2.0, 5.5, 7], ["indices[1]", "5.5"]),
        ([2, NAN, 7], ["indices[1]", "nan"]),
        ([2, 5, INF], ["indices[2]", "inf"]),
        ([2, 5, 1e300], ["indices[2]"]),
        ([True, False, True], ["indices", "bool"]),
        ([2, None, 7], ["indices[1]", "None"]),
        ([2, "x", 7], ["indices"]),
        (["2", "5", "7"], ["indices"]),
        ([2, decimal.Decimal("2.5"), 7], ["indices[1]", "2.5"]),
        ([2, fractions.Fraction(1, 3), 7], ["indices[1]"]),
        ([2 + 1j, 5, 7], ["indices", "complex"]),
        ([[2, 5, 7]], ["indices", "(1, 3)"]),
        ([[2], [5, 7]], ["indices"]),
        (7, ["indices", "()"]),
        (None, ["indices"]),
        ({2, 5, 7}, ["indices"]),
        (b"\2\5\7", ["indices"]),
        (np.array([2, 5, 7], "M8[s]"), ["indices", "datetime64"]),
        (np.array([2, 5, 7], object)[:2].reshape(1, 2), ["indices"]),
        (np.array([2, True, 7], object), ["indices[1]", "True"]),
        (np.zeros((0, 3)), ["indices", "(0, 3)"]),
        ([2, 5], ["3 labels", "2 indices"]),
    ],
    ids=str,
)
def test_indices(indices: Any, words: list[str]) -> None:
    message = refused(indices=indices)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 2], ["labels[2]", "2", "num_classes"]),
        ([0, -1, 1], ["labels[1]", "-1"]),
        ([0, 1, 65_537], ["labels[2]"]),
        ([0, 1], ["2 labels", "3 indices"]),
        ([0, 1, 1, 1], ["4 labels"]),
        ([0, 0.5, 1], ["labels[1]", "0.5"]),
        ([[0, 1, 1]], ["labels", "(1, 3)"]),
        ([0, NAN, 1], ["labels[1]"]),
        (["a", "b", "c"], ["labels"]),
        ([True, True, False], ["labels", "bool"]),
    ],
    ids=str,
)
def test_labels(labels: Any, words: list[str]) -> None:
    message = refused(labels=labels)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pool_size": -1}, ["pool_size"]),
        ({"pool_size": 2**32}, ["pool_size", str(2**32)]),
        ({"pool_size": 9.0}, ["pool_size", "9.0"]),
        ({"pool_size": True}, ["pool_size"]),
        ({"pool_size": "9"}, ["pool_size"]),
        ({"num_classes": 0}, ["num_classes"]),
        ({"num_classes": 65_537}, ["num_classes"]),
        ({"num_classes": None}, ["num_classes"]),
        ({"pool_fingerprint": bytes(16)}, ["pool_fingerprint", "zero"]),
        ({"pool_fingerprint": b"short"}, ["pool_fingerprint", "16"]),
        ({"pool_fingerprint": "0" * 16}, ["pool_fingerprint"]),
        ({"index_codec": "zip"}, ["index", "zip", "golomb"]),
        ({"label_codec": "golomb"}, ["label", "golomb", "huffman"]),
        ({"profile": "tiny"}, ["profile", "tiny", "baseline"]),
        ({"class_names": ["a"]}, ["class_names", "1 names", "2"]),
        ({"class_names": "ab"}, ["class_names"]),
        ({"class_names": ["a", 5]}, ["class name 1", "int"]),
        ({"class_names": ["a", "b\n"]}, ["class name 1", "control"]),
        ({"class_names": ["a", "\x7f"]}, ["class name 1", "control"]),
        ({"class_names": ["a", "\ud800"]}, ["class name 1", "surrogate"]),
        ({"class_names": ["a", "x" * 1025]}, ["class name 1", "1025"]),
        ({"class_names": ["a", "\u00e9" * 513]}, ["class name 1", "1026"]),
        ({"class_names": 7}, ["class_names"]),
        ({"metadata": {"": "x"}}, ["metadata key", "0 bytes"]),
        ({"metadata": {"k" * 256: "x"}}, ["metadata key", "256"]),
        ({"metadata": {"k": "x" * 65_536}}, ["metadata", "65536"]),
        ({"metadata": {"k": 5}}, ["metadata 'k'", "int"]),
        ({"metadata": {5: "k"}}, ["metadata key", "int"]),
        ({"metadata": {"k\n": "x"}}, ["control"]),
        ({"metadata": {str(n): "" for n in range(257)}}, ["257"]),
        ({"metadata": {"a": "x" * 40_000, "b": "x" * 40_000}}, ["metadata", "65536"]),
        ({"metadata": {"e\u0301": "", "\u00e9": ""}}, ["twice"]),
        ({"metadata": ["a"]}, ["metadata"]),
        ({"weights": [1, 2]}, ["weights", "3"]),
        ({"weights": [1, 0, 2]}, ["weights[1]"]),
        ({"weights": [1, 2, -1]}, ["weights[2]", "-1"]),
        ({"weights": [1, NAN, 2]}, ["weights[1]", "nan"]),
        ({"weights": [1, INF, 2]}, ["weights[1]", "inf"]),
        ({"weights": [[1, 1, 1]]}, ["weights"]),
        ({"weights": ["a", "b", "c"]}, ["weights"]),
        ({"weights": [[1], [1, 2]]}, ["weights"]),
        ({"soft_labels": [[1, 0], [0.5, 0.4]]}, ["soft_labels[1]"]),
        ({"soft_labels": [[1, 0], [1.5, -0.5]]}, ["soft_labels[1]"]),
        ({"soft_labels": [[NAN, 1], [0, 1]]}, ["soft_labels[0]"]),
        ({"soft_labels": [[1, 0]]}, ["soft_labels", "(1, 2)"]),
        ({"soft_labels": [[1], [0, 1]]}, ["soft_labels"]),
        ({"soft_labels": [[1.0]], "num_classes": 1, "labels": [0, 0, 0]}, ["soft labels", "1024"]),
        ({"extra": {0x82: b""}}, ["private"]),
        ({"extra": {0x100: b""}}, ["private"]),
        ({"extra": {"a": b""}}, ["private"]),
        ({"extra": {0xC0: "text"}}, ["0xc0"]),
        ({"extra": {0xC0: 5}}, ["0xc0"]),
        ({"groups": [1, 2]}, ["groups"]),
        ({"groups": [0, 9]}, ["groups[1]"]),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_other_arguments(changes: dict[str, Any], words: list[str]) -> None:
    message = refused(**changes)
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    "kind", ["int8", "uint8", "int16", "uint32", "int64", "uint64", "float16", "float32", "float64", "object"]
)
def test_every_kind_of_whole_number_is_taken(kind: str) -> None:
    values = np.array([2, 5, 7]).astype(kind)
    expected = pf.encode([2, 5, 7], [0, 1, 1], pool_size=9, num_classes=2)
    assert pf.encode(values, np.array([0, 1, 1]).astype(kind), pool_size=9, num_classes=2) == expected
    assert pf.encode(list(values), (0, 1, 1), pool_size=np.int64(9), num_classes=np.uint8(2)) == expected
    assert pf.encode(np.array([2, 9, 5, 9, 7])[::2], [0, 1, 1], pool_size=9, num_classes=2) == expected
    big_endian = np.array([2, 5, 7], ">u4")
    assert pf.encode(big_endian, [0, 1, 1], pool_size=9, num_classes=2) == expected


def test_arguments_are_not_changed() -> None:
    indices, labels = np.array([2, 5, 7], np.uint32), np.array([0, 1, 1], np.uint16)
    pf.encode(indices, labels, pool_size=9, num_classes=2)
    assert indices.tolist() == [2, 5, 7]
    assert labels.tolist() == [0, 1, 1]
    assert indices.flags.writeable and labels.flags.writeable


@given(
    st.lists(st.one_of(st.integers(-3, 12), st.floats(allow_nan=True), st.none(), st.booleans()), max_size=6),
    st.lists(st.one_of(st.integers(-2, 3), st.floats()), max_size=6),
    st.integers(-1, 12),
    st.integers(-1, 4),
)
def test_anything_is_taken_or_refused_with_a_plada_error(indices: Any, labels: Any, n: int, k: int) -> None:
    try:
        data = pf.encode(indices, labels, pool_size=n, num_classes=k)
    except pf.PladaError as problem:
        assert problem.code is pf.ErrorCode.INVALID_ARGUMENT
    else:
        assert pf.decode(data).indices.tolist() == [int(i) for i in indices]
        assert pf.decode(data).labels.tolist() == [int(v) for v in labels]


def test_sparse_codecs_in_a_pool_of_2_to_the_32() -> None:
    n = 2**32 - 1
    for indices in ([], [0], [n - 1], [0, n - 1], [n // 2], [0, 1, 2, n - 3, n - 2, n - 1]):
        for codec in ("golomb", "runs", "rans", "delta-zstd"):
            data = pf.encode(indices, [0] * len(indices), pool_size=n, num_classes=2, index_codec=codec)
            assert len(data) < 160
            p = pf.decode(data, pool_size=n)
            assert p.indices.tolist() == indices
            assert pf.recode(data, limits=pf.Limits(n, n)) == data
