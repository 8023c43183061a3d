"""Quota rules: total, caps, proportions, ties."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_format.errors import UserError
from plada_select.safety_net import SafetyNet, class_weights, parse_factors, quotas

COUNTS = st.lists(st.integers(0, 300), min_size=1, max_size=12)
ALPHAS = st.sampled_from(["-0.2", "0", "0.5", "1", "2"])


@given(COUNTS, ALPHAS, st.integers(0, 4000))
def test_total_caps_and_empty_classes(counts: list[int], alpha: str, budget: int) -> None:
    out = quotas(counts, budget, class_weights(counts, alpha))
    assert out.sum() == min(budget, sum(counts))
    assert (out >= 0).all()
    assert (out <= counts).all()


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=10), ALPHAS, st.data())
def test_quota_is_within_one_of_the_exact_share_below_the_caps(
    counts: list[int], alpha: str, data: st.DataObject
) -> None:
    weights = class_weights(counts, alpha)
    budget = data.draw(st.integers(0, sum(counts)))
    exact = [Fraction(budget * w, sum(weights)) for w in weights]
    if any(share >= n for share, n in zip(exact, counts)):
        return
    for got, share in zip(quotas(counts, budget, weights), exact):
        assert abs(Fraction(int(got)) - share) < 1


def test_alpha_one_is_the_pools_proportions() -> None:
    counts = [100, 300, 600]
    assert quotas(counts, 100, class_weights(counts, 1)).tolist() == [10, 30, 60]


def test_alpha_zero_is_equal_and_ties_go_to_the_lower_class() -> None:
    counts = [50, 50, 50]
    assert quotas(counts, 8, class_weights(counts, 0)).tolist() == [3, 3, 2]
    assert quotas(counts, 7, class_weights(counts, 0)).tolist() == [3, 2, 2]


def test_negative_alpha_favours_the_tail_as_the_paper_says() -> None:
    weights = class_weights([1_000_000, 1_000], "-0.2")
    assert weights[1] / weights[0] == pytest.approx(1000**0.2, rel=1e-12)


def test_a_cap_spreads_the_surplus_by_the_same_weights() -> None:
    counts = [2, 100, 100, 0]
    assert quotas(counts, 62, class_weights(counts, 0)).tolist() == [2, 30, 30, 0]
    # the surplus of the first cap fills the second class too
    counts = [1, 12, 100]
    assert quotas(counts, 33, class_weights(counts, 0)).tolist() == [1, 12, 20]


def test_weights_are_exact_where_the_exponent_is() -> None:
    assert class_weights([3, 0, 7], 1) == [3, 0, 7]
    assert class_weights([3, 0, 7], 0) == [1, 0, 1]


@pytest.mark.parametrize(("alpha", "share"), [("0", "1.1"), ("0", "-0.1"), ("x", "1"), ("nan", "1"), ("99", "1")])
def test_bad_settings(alpha: str, share: str) -> None:
    with pytest.raises(UserError, match="Safety-Net"):
        SafetyNet(alpha, share)  # type: ignore[arg-type]


def test_floats_mean_what_they_print() -> None:
    assert SafetyNet(-0.2, 0.5) == SafetyNet(Decimal("-0.2"), Decimal("0.5"))  # type: ignore[arg-type]


def test_many_classes_in_reasonable_time() -> None:
    counts = np.random.default_rng(0).integers(0, 700, 21_841)
    out = quotas(counts, 141_971, class_weights(counts, "-0.2"))
    assert out.sum() == 141_971


@given(st.lists(st.integers(50, 10_000), min_size=2, max_size=8), ALPHAS, st.data())
def test_a_factor_multiplies_one_quota_beside_the_others(counts: list[int], alpha: str, data: st.DataObject) -> None:
    one = data.draw(st.integers(0, len(counts) - 1))
    factor = data.draw(st.sampled_from([Decimal("0.5"), Decimal(2), Decimal("0.3"), Decimal(8)]))
    plain, turned = class_weights(counts, alpha), class_weights(counts, alpha, {one: factor})
    for other in range(len(counts)):
        by = Fraction(factor) if other == one else Fraction(1)
        assert Fraction(turned[other], turned[one]) == Fraction(plain[other], plain[one]) * by / Fraction(factor)


def test_factors_are_kept_in_order_and_checked() -> None:
    net = SafetyNet(factors=((3, "2"), (1, 0.5), (2, 1)))  # type: ignore[arg-type]
    assert net.factors == ((1, Decimal("0.5")), (3, Decimal(2))) and net == SafetyNet(
        factors=tuple(dict(net.factors).items())
    )
    assert net.to_json() == {"alpha": "0", "share": "1", "factors": {"1": "0.5", "3": "2"}}
    assert "factors" not in SafetyNet().to_json()
    assert SafetyNet(factors={"10": "3", "2": "2"}).factors == ((2, Decimal(2)), (10, Decimal(3)))  # type: ignore[arg-type]
    for wrong in (((1, 0),), ((1, -2),), ((1, 2000),), ((-1, 2),), ((1, "x"),)):
        with pytest.raises(UserError, match="factor of class"):
            SafetyNet(factors=wrong)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="there are 2 classes"):
        class_weights([5, 5], 0, {2: Decimal(2)})


def test_factors_are_read_by_name_or_id() -> None:
    names = ["cat", "dog", "a=b", "7"]
    found = dict(parse_factors(["dog=2", "a=b=0.5", "7=3", "1000=4"], names))
    assert found == {1: Decimal(2), 2: Decimal("0.5"), 3: Decimal(3), 1000: Decimal(4)}
    with pytest.raises(UserError, match="factor"):
        parse_factors(["cat=2"], ["cat", "cat"])
    for wrong in (["cow=2"], ["cat"], ["=2"], ["cat=2", "cat=3"], ["cat=much"]):
        with pytest.raises(UserError, match="factor"):
            parse_factors(wrong, names)
