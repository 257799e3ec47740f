"""No change larger than g %: the law of the normal case, both tails, and what cannot be told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri

from engine.kernels.changes import DetectionRule
from engine.kernels.equivalence import Equivalence, equivalence

RULE = DetectionRule()


def judged(
    delta: np.ndarray[Any, Any],
    observed: float,
    percents: tuple[float, ...],
    rejected: int = 0,
    numerical: float = 0.0,
) -> dict[str, Any]:
    """A first year without error, so that delta is that of the second alone."""
    first = np.full((len(delta), 1), 100.0)
    second = 100.0 * np.exp(delta[:, None])
    second[:rejected] = np.nan
    ends = np.array([100.0]), np.array([100.0 * math.exp(observed)])
    error = np.full_like(first, numerical)
    return equivalence(first, second, *ends, error, error, rule=RULE, percents=percents)


def normal(centre: float, sigma: float, draws: int = 100_000) -> np.ndarray[Any, Any]:
    """Stratified, so that tails are exact to one draw."""
    found: np.ndarray[Any, Any] = centre + sigma * ndtri((np.arange(draws) + 0.5) / draws)
    return np.random.default_rng(1).permutation(found)


def test_the_smallest_size_is_the_farther_end_of_the_interval() -> None:
    """delta ~ N(-.01, .02): the fall at -.01 - 1.96 x .02 lies farther than the rise."""
    found = judged(normal(-0.01, 0.02), -0.01, (4.0, 4.8, 5.0, 6.0))
    fall = 100 * (1 - math.exp(-0.01 - RULE.z_alpha * 0.02))
    assert fall > 100 * math.expm1(-0.01 + RULE.z_alpha * 0.02)
    assert abs(found["smallest_percent"][0] - fall) <= 4 * found["smallest_percent_mcse"][0]
    assert found["equivalence"][:, 0].tolist() == [
        "not shown",
        "needs more draws",
        "no larger change",
        "no larger change",
    ]


def test_both_tails_count() -> None:
    """Rises of 3 %: their upper end is beyond 5 %, whatever the lower one is, and so for falls."""
    for sign in (1, -1):
        found = judged(sign * normal(0.03, 0.02), sign * 0.03, (5.0,))
        assert found["equivalence"][0, 0] == "not shown"
        larger = ndtr((0.03 - math.log1p(0.05)) / 0.02) if sign > 0 else ndtr(
            (0.03 + math.log1p(-0.05)) / 0.02
        )  # fmt: skip
        assert found["p_larger"][0, 0] == pytest.approx(larger, abs=1e-3)


def test_the_mirror_image_counts_too() -> None:
    """Skewed draws: inside 10 % as they are, outside where they are mirrored at the estimate."""
    draws = normal(0.05, 0.01)
    assert judged(draws, 0.05, (10.0,))["equivalence"][0, 0] == "no larger change"
    assert judged(draws, 0.10, (10.0,))["equivalence"][0, 0] == "not shown"


def test_it_holds_whatever_the_rejected_draws_were() -> None:
    draws = normal(0.0, 0.01)
    assert judged(draws, 0.0, (3.0,), rejected=1_000)["equivalence"][0, 0] == "no larger change"
    lost = judged(draws, 0.0, (3.0,), rejected=3_000)
    assert lost["equivalence"][0, 0] == "not shown"
    assert np.isnan(lost["smallest_percent"][0])
    assert (
        judged(draws, 0.0, (3.0,), rejected=1_000)["smallest_percent"][0]
        > judged(draws, 0.0, (3.0,))["smallest_percent"][0]
    )


def test_the_probability_of_a_larger_change_has_the_bounds_of_rejected_draws() -> None:
    found = judged(normal(-0.01, 0.02, 1000), -0.01, (2.0, 5.0), rejected=50)
    p = found["p_larger"]
    np.testing.assert_allclose(found["p_larger_low"], 0.95 * p)
    np.testing.assert_allclose(found["p_larger_high"], 0.95 * p + 0.05)


def test_what_the_model_allows_no_error_is_not_assessed() -> None:
    still = judged(np.zeros(1_000), 0.0, (5.0,))
    assert still["equivalence"][0, 0] == "not assessed"
    assert np.isnan(still["smallest_percent"][0])
    blurred = judged(normal(0.0, 0.01), 0.0, (5.0,), numerical=0.1)  # a tenth of sigma, twice
    assert blurred["equivalence"][0, 0] == "not assessed"


def test_what_is_not_positive_has_no_percentages() -> None:
    first, second = np.full((500, 1), 100.0), 100 + 80 * np.linspace(-2, 2, 500)[:, None]
    ends = np.array([100.0]), np.array([101.0])
    none = np.zeros_like(first)
    found = equivalence(first, second, *ends, none, none, rule=RULE, percents=(5.0,))
    assert found["equivalence"][0, 0] == "not assessed"
    assert np.isnan(found["p_larger"][0, 0])


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.1, 0.1), st.floats(0.001, 0.1))
def test_a_larger_size_is_shown_wherever_a_smaller_one_is(centre: float, sigma: float) -> None:
    percents = (1.0, 2.0, 5.0, 10.0, 30.0)
    found = judged(normal(centre, sigma, 4_000), centre, percents)
    said = found["equivalence"][:, 0].tolist()
    order = ["not shown", "needs more draws", "no larger change"]
    ranks = [order.index(one) for one in said]
    assert ranks == sorted(ranks)
    for percent, one in zip(percents, said, strict=True):
        if one == "no larger change":
            assert found["smallest_percent"][0] <= percent
        if one == "not shown":
            assert found["smallest_percent"][0] > percent


def test_it_reads_as_words() -> None:
    assert Equivalence.SHOWN.in_words(5.0) == "no change larger than 5 %"
    assert Equivalence.NOT_SHOWN.in_words(5.0) == "not shown"
