"""The recovered layouts of the paper, the Huffman size, and log2 C(N, k)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import check_paper
from benchmarks import paper_layouts as paper
from benchmarks.selections import Selection, uniform


@pytest.mark.parametrize("checks", [check_paper.raw_checks, check_paper.compact_checks, check_paper.derived_checks])
def test_printed_figures(checks: object) -> None:
    wrong = [check.where for check in checks() if not check.ok]  # type: ignore[operator]
    assert wrong == []


def test_a_wrong_layout_is_noticed() -> None:
    """The checks can fail: a uint16 index, or a label of one byte, misses the printed decimals."""
    n, k = check_paper.FULL, check_paper.kept(check_paper.FULL, 0.01)
    assert check_paper.Check("", 831.86, "KB", paper.raw_size(n, k, "idx")).ok
    assert not check_paper.Check("", 831.86, "KB", 4 * k).ok
    assert not check_paper.Check("", 1.96, "MB", paper.compact_size(n, k, 1, None)).ok


def test_gap_width_is_one_for_all() -> None:
    def widths(*indices: int) -> int:
        return len(paper.gap_bytes(np.array(indices, np.uint32))) // len(indices)

    assert widths(0, 255, 300) == 1
    assert widths(0, 256, 300) == 2
    assert widths(0, 65_535) == 2
    assert widths(0, 65_536, 65_537) == 4


def test_sizes_of_a_small_selection() -> None:
    s = Selection("tiny", np.array([3, 4, 700], np.uint32), np.array([0, 1, 1], np.uint16), 1000, 2)
    sizes = paper.paper_sizes(s)
    assert sizes["raw_idx"] == 18 and sizes["raw_bmp"] == 125 + 6
    assert sizes["compact_idx"] == 6 + 3 and sizes["compact_bmp"] == 125 + 3
    assert sizes["huffman_idx"] >= sizes["huffman_idx_bare"] >= 3
    name, best = paper.best_paper_size(sizes)
    assert (
        best
        == sizes[name]
        == min(v for k, v in sizes.items() if k in ("huffman_idx", "huffman_bmp", "zstd19_idx", "zstd19_bmp"))
    )


@given(st.binary(min_size=1, max_size=400))
def test_huffman_is_a_complete_code_near_the_entropy(data: bytes) -> None:
    counts = {value: data.count(value) for value in set(data)}
    lengths = paper.code_lengths(counts)
    kraft = sum(2.0**-length for length in lengths.values())
    assert kraft == (0.5 if len(counts) == 1 else 1.0)
    bits = sum(counts[value] * lengths[value] for value in counts)
    entropy = -sum(count * math.log2(count / len(data)) for count in counts.values())
    assert entropy - 1e-6 <= bits <= entropy + len(data)
    assert paper.huffman_size(data, table=False) == (bits + 7) // 8
    assert paper.huffman_size(data) == (bits + 7) // 8 + min(256, 1 + 2 * len(counts))


@given(st.integers(0, 300), st.data())
def test_log2_choose(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert paper.log2_choose(n, k) == pytest.approx(math.log2(math.comb(n, k)), abs=1e-9)


def test_log2_choose_at_the_working_point() -> None:
    assert paper.log2_choose(14_197_122, 141_971) / 141_971 == pytest.approx(8.079, abs=5e-4)
    assert paper.log2_choose(14_197_122, 141_971) / 8000 == pytest.approx(143.4, abs=0.05)


def test_uniform_mask_has_the_printed_entropy() -> None:
    s = uniform(100_000, 1000, 10)
    mask = np.unpackbits(np.frombuffer(paper.mask_bytes(s.indices, 100_000), np.uint8))[:100_000]
    assert np.array_equal(np.flatnonzero(mask), s.indices)
    assert paper.mask_entropy_bytes(100_000, 0.01) * 8 == pytest.approx(paper.log2_choose(100_000, 1000), rel=0.001)
