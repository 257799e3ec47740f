"""Looking every year: published tables of repeated tests, simulation, and the limit that allows."""

from __future__ import annotations

import numpy as np
import pytest

from engine.kernels.arrays import F64
from engine.kernels.sequential import constant_limit, false_detection
from engine.kernels.trend import information_by_year, of_differences

Z = 1.959963985


def equal_steps(looks: int) -> F64:
    return np.arange(1.0, looks + 1)


@pytest.mark.parametrize(
    ("looks", "expected"),
    [(1, 0.050), (2, 0.083), (3, 0.107), (4, 0.126), (5, 0.142), (10, 0.193), (20, 0.248)],
)
def test_repeated_tests_of_growing_data_err_as_published(looks: int, expected: float) -> None:
    """Armitage, McPherson & Rowe 1969, table 2: nominal level 5 %, normal response."""
    assert round(false_detection(equal_steps(looks), Z), 3) == expected


@pytest.mark.parametrize(
    ("looks", "expected"), [(1, 1.960), (2, 2.178), (3, 2.289), (4, 2.361), (5, 2.413), (10, 2.555)]
)
def test_the_limit_is_that_of_pocock(looks: int, expected: float) -> None:
    """Jennison & Turnbull 2000, table 2.1, alpha = 0.05."""
    assert round(constant_limit(equal_steps(looks), 0.05), 3) == expected


def slopes_by_year(V: F64, worlds: int, seed: int) -> F64:
    """Slopes of the first 2, 3, ... years in their standard errors, where there is no trend."""
    T, rng = len(V), np.random.default_rng(seed)
    z = rng.standard_normal((worlds, T)) @ np.linalg.cholesky(V).T
    found = []
    for k in range(1, T):
        w = np.linalg.solve(of_differences(V[: k + 1, : k + 1]), np.ones(k))
        found.append(np.diff(z[:, : k + 1], axis=1) @ w / w.sum() ** 0.5)
    return np.stack(found, axis=1)


def test_twelve_years_looked_at_every_year_show_a_false_trend_in_28_percent() -> None:
    """Independent errors of equal size, slopes of 2 to 12 years, 5 % two-sided at each look."""
    years = np.arange(12.0)
    exact = false_detection(information_by_year(np.eye(12), years), Z)
    assert round(exact, 2) == 0.28
    worlds = 40_000
    share = np.mean((np.abs(slopes_by_year(np.eye(12), worlds, seed=1)) > Z).any(axis=1))
    assert abs(share - exact) < 4 * (exact * (1 - exact) / worlds) ** 0.5  # fails by chance 6e-5


def test_the_limit_holds_over_all_looks_for_correlated_years_of_unequal_error() -> None:
    years = np.arange(9.0)
    s = np.linspace(1, 3, 9)
    V = np.outer(s, s) * (0.4 + 0.4 * 0.7 ** np.abs(np.subtract.outer(years, years)))
    V += 0.2 * np.diag(s**2)
    limit = constant_limit(information_by_year(V, years), 0.05)
    worlds = 40_000
    share = np.mean((np.abs(slopes_by_year(V, worlds, seed=2)) > limit).any(axis=1))
    assert abs(share - 0.05) < 4 * (0.05 * 0.95 / worlds) ** 0.5


def test_a_look_that_adds_nothing_changes_nothing() -> None:
    once = np.array([1.0, 2.0, 3.0])
    again = np.array([1.0, 1.0, 2.0, 2.0 + 1e-12, 3.0, 3.0])
    assert false_detection(again, Z) == false_detection(once, Z)
    nearly = np.array([1.0, 1.002, 2.0, 3.0])
    assert false_detection(nearly, Z) == pytest.approx(false_detection(once, Z), abs=3e-3)
    assert false_detection(nearly, Z) > false_detection(once, Z)
