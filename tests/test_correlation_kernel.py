"""The verdict over the assumed correlation: closed forms, and that it agrees with the draws' own.

Sampled numbers must lie within four of their Monte Carlo standard errors of the truth, which a
correct kernel fails once in 16,000 comparisons; seeds are fixed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, change, rho_required
from engine.kernels.correlation import GRID, over_correlation

RULE = DetectionRule()


def two_years(
    s: float, rho: float, change: float, draws: int, seed: int = 1
) -> tuple[F64, F64, F64, F64]:
    """Normal ln F of equal sd, the second year's estimate changed by so many log points."""
    u, v = np.random.default_rng(seed).standard_normal((2, draws, 1))
    second = rho * u + math.sqrt(1 - rho * rho) * v
    ends = np.array([100.0]), np.array([100.0 * math.exp(change)])
    return ends[0] * np.exp(s * u), ends[1] * np.exp(s * second), *ends


def judged(years: tuple[F64, F64, F64, F64], declines: tuple[float, ...] = ()) -> dict[str, Any]:
    none = np.zeros_like(years[0])
    return over_correlation(*years, none, none, rule=RULE, declines=declines)


@pytest.mark.parametrize(
    ("rho", "percent"),
    [(0.0, 19.8), (0.8, 8.9), (0.9, 6.3), (0.95, 4.4), (0.98, 2.8), (0.99, 2.0)],
)
def test_the_mdc_at_five_per_cent_errors(rho: float, percent: float) -> None:
    """The known answers are in log points, to one decimal."""
    found = judged(two_years(0.05, 0.85, 0.0, 100_000))
    at = GRID.index(rho)
    error = 100 * found["mdc_mcse"][at, 0]
    assert abs(100 * found["mdc"][at, 0] - percent) <= 4 * error + 0.05


def test_required_and_break_even_correlations() -> None:
    """For 2 / 3 / 5 log points: required .990 / .977 / .936, break-even .979 / .953 / .870."""
    known = {0.02: (0.990, 0.979), 0.03: (0.977, 0.953), 0.05: (0.936, 0.870)}
    s = np.array(0.05)
    for size, (required, break_even) in known.items():
        assert rho_required(s, s, np.array(size), RULE) == pytest.approx(required, abs=5e-4)
        years = two_years(0.05, 0.85, -size, 100_000)
        percent = -100 * math.expm1(-size)  # a fall by so many per cent is that in log points
        found = judged(years, (percent,))
        name = f"rho_required_{percent:g}_percent"
        for value, truth in ((name, required), ("decided_above", break_even)):
            reach = 4 * found[f"{value}_mcse"][0] + 5e-4
            assert abs(found[value][0] - truth) <= reach


def test_at_the_model_s_own_correlation_sigma_is_that_of_the_draws() -> None:
    years = two_years(0.05, 0.7, -0.06, 4_000)
    none = np.zeros_like(years[0])
    counted, found = change(*years, none, none, RULE), judged(years)
    for name in ("sigma", "sigma_mcse", "mdc", "mdc_mcse", "mdc_decrease_percent"):
        assert found[name][-1] == pytest.approx(counted[name], rel=1e-12), name
    assert found["rho"][-1] == pytest.approx(counted["rho"])
    assert found["decided_above"] == pytest.approx(counted["rho_break_even"], rel=1e-12)
    assert found["decided_above_mcse"] == pytest.approx(counted["rho_break_even_mcse"], rel=1e-12)


def test_the_error_of_sigma_at_another_correlation_is_that_of_ensembles_drawn_again() -> None:
    """Over 400 ensembles an sd is known to 3.5 %; four of these are allowed."""
    drawn = [two_years(0.3, 0.7, 0.1, 600, seed) for seed in range(400)]
    # Unequal errors: with equal ones the first order in s1 - s2 vanishes as rho goes to one.
    found = [judged((first, second**0.5, a, b)) for first, second, a, b in drawn]
    for at in (0, 3, 6):
        values = np.array([one["sigma"][at, 0] for one in found])
        errors = np.array([one["sigma_mcse"][at, 0] for one in found])
        assert np.std(values, ddof=1) == pytest.approx(errors.mean(), rel=0.14)


def test_a_change_is_detectable_from_its_break_even_on() -> None:
    """5 log points at 5 % errors: .870, so that .8 is too little and .9 enough."""
    found = judged(two_years(0.05, 0.3, -0.05, 100_000))
    assert found["by_size"][:, 0].tolist() == [*["not detectable"] * 3, *["decrease"] * 4,
                                               "not detectable"]  # fmt: skip
    sigma = found["sigma"][:-1, 0]
    assert (np.diff(sigma) < 0).all()
    assert set(judged(two_years(0.05, 0.3, 0.05, 100_000))["by_size"][3:-1, 0]) == {"increase"}


def test_a_correlation_at_the_limit_needs_more_draws() -> None:
    size = RULE.z_alpha * 0.05 * math.sqrt(2 * (1 - 0.9))
    found = judged(two_years(0.05, 0.3, size, 2_000))["by_size"][:, 0]
    assert found[GRID.index(0.9)] == "needs more draws"
    assert found[GRID.index(0.8)] == "not detectable"
    assert found[GRID.index(0.95)] == "increase"


def test_rejected_draws_count_against_a_direction() -> None:
    """With 2 % rejected, a tail of .5 % instead of 2.5 % is needed: z = 2.5622 instead of 1.96."""
    years = two_years(0.05, 0.3, -0.05, 100_000)
    years[0][:2_000] = np.nan
    found = judged(years)
    z = 2.562157
    tail = (0.025 - 0.02) / 0.98
    assert math.erfc(z / math.sqrt(2)) / 2 == pytest.approx(tail, rel=2e-2)
    sd = [np.std(np.log(year[2_000:]), ddof=1) for year in years[:2]]
    expected = (sd[0] ** 2 + sd[1] ** 2 - (0.05 / 2.5694) ** 2) / (2 * sd[0] * sd[1])
    assert found["decided_above"][0] == pytest.approx(expected, abs=2e-3)
    years[0][:3_000] = np.nan
    assert "decrease" not in judged(years)["by_size"]


def test_what_has_no_error_or_no_draws_is_not_assessed() -> None:
    still = two_years(0.0, 0.0, -0.05, 100)
    assert set(judged(still, (2.0,))["by_size"].ravel()) == {"not assessed"}
    none = two_years(0.05, 0.5, -0.05, 1)
    found = judged(none, (2.0,))
    assert set(found["by_size"].ravel()) == {"not assessed"}
    assert np.isnan(found["rho_required_2_percent"]).all()


def test_percentages_need_logarithms() -> None:
    first, second, *ends = two_years(0.5, 0.5, -0.05, 5_000)
    found = judged((first - 50, second - 50, ends[0] - 50, ends[1] - 50), (2.0,))
    assert np.isnan(found["mdc_decrease_percent"]).all()
    assert np.isnan(found["rho_required_2_percent"]).all()
    assert np.isfinite(found["sigma"]).all()


def test_where_rejected_draws_fill_the_tail_nothing_is_detectable_at_any_correlation() -> None:
    first, second, *ends = two_years(0.01, 0.5, -0.36, 10_000)
    second[:500] = np.nan
    found = judged((first, second, *ends), (30.0,))
    assert np.all(found["mdc"] == np.inf)
    assert np.all(found["mdc_decrease_percent"] == np.inf)
    assert found["rho_required_30_percent"][0] >= 1
    assert set(found["by_size"].ravel()) == {"not detectable"}


def test_the_mdc_and_what_a_decline_requires_are_raised_by_rejected_draws() -> None:
    first, second, *ends = two_years(0.05, 0.5, -0.1, 10_000)
    second[:100] = np.nan
    found = judged((first, second, *ends), (5.0,))
    z = RULE.z_where_accepted(0.99) + RULE.z_power
    np.testing.assert_allclose(found["mdc"], z * found["sigma"], rtol=1e-12)
    at = found["rho_required_5_percent"][0]
    s1, s2 = (np.log(F[100:, 0]).std(ddof=1) for F in (first, second))
    sigma = math.sqrt(s1**2 + s2**2 - 2 * at * s1 * s2)
    assert z * sigma == pytest.approx(-math.log(0.95), rel=1e-9)
