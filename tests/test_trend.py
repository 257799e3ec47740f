"""Slopes and years to detect, against textbook formulas, brute force and printed numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule
from engine.kernels.trend import ar1_correlation, power_of_slope, slope, years_to_detect

RULE = DetectionRule()


def with_intercept(z: F64, V: F64, years: F64) -> tuple[float, float]:
    """The textbook: (X' V^-1 X)^-1 X' V^-1 z with X = [1, t]."""
    X, inverse = np.column_stack([np.ones_like(years), years]), np.linalg.inv(V)
    covariance = np.linalg.inv(X.T @ inverse @ X)
    found = covariance @ X.T @ inverse @ z
    return float(found[1]), float(covariance[1, 1] ** 0.5)


def made(seed: int, T: int) -> tuple[F64, F64, F64]:
    rng = np.random.default_rng(seed)
    years = 1990.0 + np.cumsum(rng.integers(1, 4, T))
    root = rng.normal(size=(T, T + 3))
    return rng.normal(size=T), root @ root.T, years


@given(st.integers(0, 10**6), st.integers(2, 12))
def test_the_slope_is_that_of_generalised_least_squares(seed: int, T: int) -> None:
    z, V, years = made(seed, T)
    found, (value, error) = slope(z, V, years), with_intercept(z, V, years - years[0])
    assert found.value == pytest.approx(value, rel=1e-6, abs=1e-9)
    assert found.error == pytest.approx(error, rel=1e-6)


@given(st.integers(0, 10**6), st.integers(2, 8), st.floats(0, 1e3))
def test_an_error_of_all_years_changes_no_slope(seed: int, T: int, c: float) -> None:
    z, V, years = made(seed, T)
    one, other = slope(z, V, years), slope(z + c, V + c, years)
    assert other.value == pytest.approx(one.value, rel=1e-6, abs=1e-8)
    assert other.error == pytest.approx(one.error, rel=1e-6)


def test_a_covariance_of_nothing_but_lasting_errors_tells_nothing() -> None:
    found = slope(np.arange(5.0), np.full((5, 5), 0.04), np.arange(5.0))
    assert np.isnan(found.value)
    assert np.isnan(found.error)
    mixed = slope(np.arange(5.0), 0.04 + 1e-4 * np.eye(5), np.arange(5.0))
    assert mixed.value == pytest.approx(1.0)
    assert mixed.error == pytest.approx(0.01 / 10**0.5)  # sd / sqrt(sum (t - 2)^2)


def test_the_factor_of_a_sampled_covariance() -> None:
    z, V, years = made(3, 6)
    known, sampled = slope(z, V, years), slope(z, V, years, draws=100)
    assert sampled.value == pytest.approx(known.value)
    assert sampled.error / known.error == pytest.approx((99 / 93) ** 0.5)
    assert slope(z, V, years, draws=7).error == np.inf


@pytest.mark.parametrize(
    ("phi", "expected"), [(0.0, (8, 6, 4)), (0.5, (10, 7, 4)), (0.9, (8, 4, 2)), (0.95, (5, 3, 1))]
)
def test_years_to_detect_two_three_and_five_percent(phi: float, expected: tuple[int, ...]) -> None:
    """s = 5 %, known covariance, 80 % power: mid correlation is the worst for a trend."""
    for percent, years in zip((2, 3, 5), expected, strict=True):
        found = years_to_detect(percent, lambda t: 0.05**2 * ar1_correlation(t, phi), RULE)
        assert found == years


def test_a_trend_that_takes_too_long_has_no_year() -> None:
    assert years_to_detect(0.01, lambda t: 0.05**2 * np.eye(len(t)), RULE, most=30) is None


def test_the_power_at_the_year_found_is_at_least_what_was_asked() -> None:
    fall = -np.log1p(-0.03)

    def power(last: int) -> float:
        years = np.arange(last + 1.0)
        found = slope(-fall * years, 0.05**2 * np.eye(last + 1), years)
        return power_of_slope(found.value, found.error, RULE)

    assert power(6) >= 0.8 > power(5)
    assert power_of_slope(2.0, 1.0, RULE) == pytest.approx(norm.cdf(2 - norm.ppf(0.975)))
