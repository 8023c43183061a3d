"""A second decoder, written from SPEC.md 5.6 to 7.7 alone, reads what the codecs write."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from plada_format.codecs.index_adaptive import CODEC as INDEX
from plada_format.codecs.index_adaptive_groups import CODEC as INDEX_GROUPS
from plada_format.codecs.label_adaptive import CODEC as LABEL
from plada_format.codecs.label_adaptive_groups import CODEC as LABEL_GROUPS

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "reference"))

from reference_adaptive import Decoder, index_adaptive, index_groups, label_adaptive, learn  # noqa: E402  # a script


def sample(n: int, k: int, alphabet: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """About ``k`` indices in groups of different rates, labels that go with the group."""
    rng = np.random.default_rng(seed)
    groups = np.unique(np.concatenate([[0], rng.integers(1, n, max(2, n // 60))]))
    rate = rng.permutation(np.exp(rng.normal(0, 2, len(groups))))
    weight = np.repeat(rate, np.diff([*groups, n]))
    indices = np.sort(rng.choice(n, k, replace=False, p=weight / weight.sum()))
    owner = np.searchsorted(groups, indices, side="right")
    labels = (owner * 7 + rng.choice([0, 0, 0, 1, 5], size=k)) % alphabet
    return indices.astype(np.uint32), labels.astype(np.uint16), groups.astype(np.uint32)


CASES = [
    (40, 6, 3, 0),
    (17_500, 17_000, 2, 5),
    (5000, 600, 20, 1),
    (200_000, 1500, 300, 2),
    (3000, 2900, 2, 3),
    (90_000, 40, 65_536, 4),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reference_reads_the_streams(case: tuple[int, int, int, int]) -> None:
    n, k, alphabet, _ = case
    indices, labels, groups = sample(*case)
    for mode in (0, 1):
        assert index_adaptive(Decoder(INDEX.encode(indices, n, mode)), n, k) == indices.tolist()
    assert (
        index_groups(Decoder(INDEX_GROUPS.encode(indices, n, groups=groups)), n, k, groups.tolist()) == indices.tolist()
    )
    for mode in (0, 1):
        stream = LABEL.encode(labels, alphabet, mode, indices=indices)
        assert label_adaptive(Decoder(stream), alphabet, indices.tolist(), None) == labels.tolist()
    stream = LABEL_GROUPS.encode(labels, alphabet, indices=indices, pool_size=n, groups=groups)
    assert label_adaptive(Decoder(stream), alphabet, indices.tolist(), groups.tolist()) == labels.tolist()


def examples() -> dict[str, tuple[bytes, list[str]]]:
    """Streams of the worked examples and a line for each of their decisions."""
    n, k, alphabet = 40, 6, 3
    indices = np.array([3, 4, 5, 17, 18, 31], np.uint32)
    labels = np.array([2, 2, 0, 1, 1, 2], np.uint16)
    groups = np.array([0, 8, 16, 30], np.uint32)
    out = {}

    def add(name: str, stream: bytes, read: Callable[[Decoder], list[int]], content: np.ndarray) -> None:
        decoder = Decoder(stream)
        assert read(decoder) == content.tolist()
        out[name] = stream, decoder.trace

    for mode in (0, 1):
        stream = INDEX.encode(indices, n, mode)
        add(f"index-adaptive {mode}", stream, lambda d: index_adaptive(d, n, k), indices)
        stream = LABEL.encode(labels, alphabet, mode, indices=indices)
        add(f"label-adaptive {mode}", stream, lambda d: label_adaptive(d, alphabet, indices.tolist(), None), labels)
    stream = INDEX_GROUPS.encode(indices, n, groups=groups)
    add("index-adaptive-groups", stream, lambda d: index_groups(d, n, k, groups.tolist()), indices)
    stream = LABEL_GROUPS.encode(labels, alphabet, indices=indices, pool_size=n, groups=groups)
    add(
        "label-adaptive-groups",
        stream,
        lambda d: label_adaptive(d, alphabet, indices.tolist(), groups.tolist()),
        labels,
    )
    return out


def test_examples_of_next() -> None:
    assert learn(0, 1) == 6033 and learn(0, 0) == -6031
    assert learn(learn(0, 1), 1) == 8386 and learn(learn(0, 1), 0) == 2


if __name__ == "__main__":  # prints the worked examples
    for name, (stream, trace) in examples().items():
        print(name, stream.hex(" "), *trace, sep="\n")
