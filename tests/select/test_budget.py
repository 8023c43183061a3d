"""The budget search on size functions whose answer is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_format.errors import UserError
from plada_select.budget import SMALL, WINDOW, largest_fitting


def brute_force(size_of, maximum: int, budget: int) -> int:
    return max((m for m in range(1, maximum + 1) if size_of(m) <= budget), default=0)


@given(st.integers(1, 5000), st.integers(0, 9000), st.floats(0.1, 3), st.integers(1, 6000))
def test_exact_on_monotone_sizes(maximum: int, budget: int, slope: float, guess: int) -> None:
    def size_of(m: int) -> int:
        return 70 + math.ceil(slope * m)

    want = brute_force(size_of, maximum, budget)
    if want == 0:
        with pytest.raises(UserError, match=f"{size_of(1)}"):
            largest_fitting(size_of, maximum, budget, guess=guess)
    else:
        assert largest_fitting(size_of, maximum, budget, guess=guess) == want


@given(st.integers(200, 20_000), st.integers(1, 10_000), st.integers(0, 2**32), st.integers(1, 4000))
def test_fits_and_the_next_does_not_on_bumpy_sizes(maximum: int, budget: int, seed: int, guess: int) -> None:
    def size_of(m: int) -> int:
        return 70 + int(0.7 * m) + (m * 2654435761 + seed) % 7  # up to six bytes of noise, about eight counts

    if budget < size_of(1) or budget < 100:
        return
    calls = []
    got = largest_fitting(lambda m: (calls.append(m), size_of(m))[1], maximum, budget, guess=guess)
    assert size_of(got) <= budget
    assert got == maximum or size_of(got + 1) > budget
    best = brute_force(size_of, maximum, budget)
    assert got == best if got <= SMALL else best - 10 < got <= best  # the noise is worth nine counts
    assert len(calls) == len(set(calls))
    assert len(calls) <= 3 * WINDOW + 40


def test_few_calls_on_large_counts() -> None:
    calls = []

    def size_of(m: int) -> int:
        calls.append(m)
        return 64 + int(m * (6 + math.log2(14_197_114 / m)) / 8)

    got = largest_fitting(size_of, 14_197_114, 150_000, guess=150_000)
    assert size_of(got) <= 150_000 < size_of(got + 1)
    assert max(calls) < 2 * got  # never encodes much more than fits
    assert len(calls) < WINDOW + 20


def test_everything_fits() -> None:
    assert largest_fitting(lambda m: m, 500, 10_000) == 500


def test_one_image_too_large() -> None:
    with pytest.raises(UserError, match=r"10 bytes is too small.*99"):
        largest_fitting(lambda m: 98 + m, 500, 10)
