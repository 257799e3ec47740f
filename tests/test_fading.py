"""Correlation between years as a law: what is put in is found, and it is a correlation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.arrays import F64
from engine.kernels.fading import (
    Fading,
    Law,
    carried,
    fading_alone,
    fitted,
    lasting_and_yearly,
    laws_told_by,
    mean_by_lag,
)
from engine.kernels.trend import information_by_year

YEARS = np.arange(2000.0, 2012.0)


def seen(law: Fading, years: F64 = YEARS) -> tuple[F64, F64, F64]:
    return mean_by_lag(law.correlation(years), years)


@pytest.mark.parametrize(
    "law",
    [
        Fading(0.3, 0.5, 0.8),
        Fading(0.0, 0.6, 0.5),
        Fading(0.2, 0.8, 0.9),
        Fading(0.0, 1.0, 0.7),
        Fading(0.7, 0.0, 0.0),
        Fading(0.0, 0.0, 0.0),
    ],
)
def test_the_law_that_is_put_in_is_found(law: Fading) -> None:
    found = fitted(*seen(law))
    assert found.lasting == pytest.approx(law.lasting, abs=1e-4)
    assert found.fading == pytest.approx(law.fading, abs=1e-4)
    assert found.phi == pytest.approx(law.phi, abs=1e-4)
    assert found.yearly == pytest.approx(1 - law.lasting - law.fading, abs=1e-4)


def test_no_law_on_the_triangle_fits_better() -> None:
    """Brute force over shares and phi, for correlations that no law has exactly."""
    rng = np.random.default_rng(4)
    for _ in range(5):
        lags, pairs = np.arange(1.0, 7.0), np.arange(6.0, 0.0, -1.0)
        rho = np.clip(0.5 + 0.5 * rng.standard_normal(6), -1, 1)

        def misfit(law: Fading, lags: F64 = lags, rho: F64 = rho, pairs: F64 = pairs) -> float:
            return float(np.square(rho - law.lasting - law.fading * law.phi**lags) @ pairs)

        tried = [
            Fading(lasting, fading, phi)
            for lasting in np.linspace(0, 1, 21)
            for fading in np.linspace(0, 1 - lasting, 21)
            for phi in np.linspace(0.01, 0.995, 30)
        ]
        assert misfit(fitted(lags, rho, pairs)) <= min(map(misfit, tried)) + 1e-6


@given(
    st.lists(st.floats(-1, 1), min_size=3, max_size=8),
    st.integers(2, 12),
)
def test_whatever_is_fitted_is_a_correlation(rho: list[float], T: int) -> None:
    lags, pairs = np.arange(1.0, len(rho) + 1), np.ones(len(rho))
    for law in (
        fitted(lags, np.array(rho), pairs),
        fading_alone(lags, np.array(rho), pairs),
        lasting_and_yearly(np.array(rho), pairs),
    ):
        R = law.correlation(np.arange(float(T)))
        assert np.allclose(np.diag(R), 1)
        assert np.linalg.eigvalsh(R)[0] > -1e-9


def test_means_are_over_the_pairs_of_each_lag() -> None:
    R = np.array([[1, 0.8, 0.1], [0.8, 1, 0.4], [0.1, 0.4, 1]])
    lags, rho, pairs = mean_by_lag(R, np.array([2000.0, 2001.0, 2002.0]))
    assert lags.tolist() == [1, 2]
    assert rho.tolist() == pytest.approx([0.6, 0.1])
    assert pairs.tolist() == [2, 1]
    apart, _, _ = mean_by_lag(R, np.array([1995.0, 2000.0, 2010.0]))
    assert apart.tolist() == [5, 10, 15]


def test_two_years_tell_two_extreme_laws_of_the_same_correlation() -> None:
    years = np.array([2000.0, 2002.0])
    assert laws_told_by(years) == (Law.LASTING, Law.FADING)
    assert laws_told_by(YEARS[:3]) == (Law.LASTING, Law.FADING)
    assert laws_told_by(YEARS[:4]) == tuple(Law)
    V = 0.05**2 * np.array([[1, 0.64], [0.64, 1]])
    lasting, fading = (carried(V, years, law) for law in laws_told_by(years))
    assert lasting.size == pytest.approx(0.05)
    assert lasting.law.lasting == pytest.approx(0.64)
    assert fading.law.phi == pytest.approx(0.8, abs=1e-4)
    assert fading.covariance(years)[0, 1] == pytest.approx(V[0, 1], rel=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.99, 0.999, 0.99999])
def test_two_years_have_the_slope_error_that_their_fading_errors_have(rho: float) -> None:
    """phi is solved for however close to one: over the two years themselves the law is exact."""
    years = np.array([2000.0, 2001.0])
    V = 0.05**2 * np.array([[1, rho], [rho, 1]])
    law = carried(V, years, Law.FADING).covariance(years)
    error, exact = (information_by_year(C, years)[-1] ** -0.5 for C in (law, V))
    assert error == pytest.approx(exact, rel=1e-4)


def test_the_two_extreme_laws_are_no_bounds() -> None:
    """One correlation of successive years, three laws: what fades slowly in part takes longest."""
    years = np.arange(2000.0, 2041.0)
    laws = Fading(0.5, 0.0, 0.0), Fading(0.0, 1.0, 0.5), Fading(0.0, 0.625, 0.8)
    assert [law.correlation(years)[0, 1] for law in laws] == pytest.approx([0.5] * 3)
    lasting, fading, slow = (
        information_by_year(law.correlation(years), years)[-1] ** -0.5 for law in laws
    )
    assert slow > 1.2 * max(lasting, fading)
