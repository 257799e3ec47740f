"""The statistics of one change: closed forms, exact laws of verdicts, degenerate cases.

Sampled numbers must lie within four of their own Monte Carlo standard errors of the truth, which
a correct kernel fails once in 16,000 comparisons; seeds are fixed.
"""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from engine.errors import ConfigError
from engine.kernels.arrays import F64
from engine.kernels.changes import (
    DetectionRule,
    Verdict,
    at_last_look,
    change,
    decrease_percent,
    increase_percent,
    mdc,
    numerical_error,
    rho_break_even,
    rho_required,
    sigma_of_rho,
    spent_at_look,
    verdicts,
    whatever_rejected,
)
from engine.kernels.monte_carlo import (
    Estimate,
    clopper_pearson,
    correlation,
    mean,
    outside,
    probability,
    quantiles,
    relative_sd,
    sd,
)

RULE = DetectionRule()


def log_sds(*rsds: float) -> list[float]:
    return [math.sqrt(math.log1p(rsd * rsd)) for rsd in rsds]


def lognormal_pair(
    rsds: tuple[float, float],
    rho: float,
    estimates: tuple[float, float],
    draws: int,
    seed: int,
    cells: tuple[int, ...] = (),
) -> tuple[F64, F64]:
    """Footprints of one sector whose intensity alone errs, with mean-one lognormal factors."""
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, draws, *cells))
    a, b = log_sds(*rsds)
    first = estimates[0] * np.exp(a * u - a * a / 2)
    second = estimates[1] * np.exp(b * (rho * u + math.sqrt(1 - rho * rho) * v) - b * b / 2)
    return first, second


def judged(
    first: F64, second: F64, estimates: tuple[Any, Any], rule: DetectionRule = RULE
) -> dict[str, Any]:
    none = np.zeros_like(first)
    return change(
        first, second, np.asarray(estimates[0]), np.asarray(estimates[1]), none, none, rule
    )


def assert_within(found: dict[str, Any], name: str, truth: float, errors: float = 4) -> None:
    gap, error = abs(found[name] - truth), found[f"{name}_mcse"]
    assert gap <= errors * error, f"{name} = {found[name]} +- {error}, truth {truth}"


# --- closed forms ---------------------------------------------------------------------------------


def test_one_sector_has_the_law_of_the_closed_form() -> None:
    first, second = lognormal_pair((0.5, 0.1), 0.95, (100.0, 100.0), 200_000, seed=1)
    found = judged(first, second, (100.0, 100.0))
    s1, s2 = log_sds(0.5, 0.1)
    sigma = math.sqrt(s1**2 + s2**2 - 2 * 0.95 * s1 * s2)
    centre = (s1**2 - s2**2) / 2
    assert sigma == pytest.approx(0.378899, abs=5e-7)
    assert centre == pytest.approx(0.106597, abs=5e-7)
    assert_within(found, "sigma", 0.378899)
    assert_within(found, "delta_mean", 0.106597)
    assert_within(found, "delta_median", 0.106597)
    assert_within(found, "p_decrease", 1 - 0.610772)
    assert_within(found, "p_decrease_reflected", 1 - 0.389228)
    assert_within(found, "s1", s1)
    assert_within(found, "s2", s2)
    assert_within(found, "rho", 0.95)
    assert_within(found, "mdc", (1.959964 + 0.841621) * sigma)
    assert_within(found, "rho_break_even", (s1**2 + s2**2) / (2 * s1 * s2))
    for end, z in (("low", -1.959964), ("high", 1.959964)):
        reach = z * sigma + math.copysign(centre, z)  # both laws, of the draws and mirrored
        assert_within(found, f"interval_{end}", reach)
        assert_within(found, f"relative_{end}", math.expm1(reach))
        assert_within(found, f"quantile_{end}", centre + z * sigma)
    assert_within(found, "change_mean", 0.0)
    # Raw differences: sums of lognormals, var(F) = (F rsd)^2, rho_F of the factors.
    rho_F = math.expm1(0.95 * s1 * s2) / 0.05
    assert_within(found, "change_sd", 100 * math.sqrt(0.25 + 0.01 - 2 * rho_F * 0.05))
    assert found["verdict"] == Verdict.NOT_DETECTABLE
    assert found["scale"] == "log"


def test_standard_errors_of_the_closed_form() -> None:
    """Of a normal: sigma/sqrt(D) of the mean, sigma/sqrt(2 D) of sigma, (1-rho^2)/sqrt(D)."""
    first, second = lognormal_pair((0.5, 0.1), 0.95, (100.0, 100.0), 200_000, seed=2)
    found = judged(first, second, (100.0, 100.0))
    root = math.sqrt(200_000)
    sigma = 0.378899
    assert found["delta_mean_mcse"] == pytest.approx(sigma / root, rel=0.01)
    assert found["sigma_mcse"] == pytest.approx(sigma / root / math.sqrt(2), rel=0.02)
    assert found["rho_mcse"] == pytest.approx((1 - 0.95**2) / root, rel=0.02)
    p = 0.389228
    assert found["p_decrease_mcse"] == pytest.approx(math.sqrt(p * (1 - p)) / root, rel=0.01)


@pytest.mark.parametrize("ratio", [0.7, 0.95, 1.0, 1.2])
@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_probability_of_an_increase_at_equal_sigma(ratio: float, rho: float) -> None:
    first, second = lognormal_pair((0.1, 0.1), rho, (1.0, ratio), 50_000, seed=3)
    found = judged(first, second, (1.0, ratio))
    (sigma,) = log_sds(0.1)
    p = stats.norm.cdf(math.log(ratio) / (sigma * math.sqrt(2 * (1 - rho))))
    assert_within(found, "p_decrease", 1 - p)
    assert_within(found, "p_decrease_reflected", 1 - p)


def test_probability_of_a_rise_after_lenzen_wood_and_wiedmann() -> None:
    """Arithmetic, not a reproduction of their study: Phi(1.2265) = 89 %."""
    z = ndtri((np.arange(100_000) + 0.5) / 100_000)
    found = judged(np.ones(len(z)), np.exp(0.1 * (1.2265 + z)), (1.0, math.exp(0.12265)))
    assert 1 - found["p_decrease"] == pytest.approx(0.89, abs=5e-5)


def test_an_all_persistent_error_is_not_assessed() -> None:
    """The same factor in both years cancels up to rounding, whatever the change."""
    first, _ = lognormal_pair((0.3, 0.3), 0.0, (50.0, 50.0), 640, seed=4)
    for factor in (1.0, 1.1, 0.3):
        found = judged(first, first * factor, (50.0, 50.0 * factor))
        assert found["verdict"] == Verdict.NOT_ASSESSED
        assert found["sigma"] < 1e-15
        assert not found["asymmetric"]


def test_minimum_detectable_change_in_log_points() -> None:
    printed = {0.0: 19.8, 0.8: 8.9, 0.9: 6.3, 0.95: 4.4, 0.98: 2.8, 0.99: 2.0}
    for rho, points in printed.items():
        sigma = sigma_of_rho(np.array(0.05), np.array(0.05), np.array(rho))
        assert round(100 * float(mdc(sigma, RULE)), 1) == points


def test_correlation_required_and_at_break_even() -> None:
    s = np.array(0.05)
    printed = {0.02: (0.990, 0.979), 0.03: (0.977, 0.953), 0.05: (0.936, 0.870)}
    for points, (required, break_even) in printed.items():
        assert round(float(rho_required(s, s, np.array(points), RULE)), 3) == required
        assert round(float(rho_break_even(s, s, np.array(points), RULE)), 3) == break_even


def test_break_even_is_where_the_observed_change_equals_its_threshold() -> None:
    s1, s2, delta = np.array(0.05), np.array(0.08), np.array(-0.1)
    sigma = sigma_of_rho(s1, s2, rho_break_even(s1, s2, delta, RULE))
    assert abs(delta) / sigma == pytest.approx(RULE.z_alpha, rel=1e-12)
    sigma = sigma_of_rho(s1, s2, rho_required(s1, s2, delta, RULE))
    assert mdc(sigma, RULE) == pytest.approx(abs(delta), rel=1e-12)
    no_change = rho_break_even(s1, s2, np.array(0.0), RULE)
    assert no_change > 1  # never
    assert rho_break_even(s1, s2, np.array(1.0), RULE) < -1  # always
    assert np.isnan(rho_break_even(np.array(0.0), s2, delta, RULE))


def test_sigma_keeps_its_digits_where_errors_nearly_cancel() -> None:
    sigma = sigma_of_rho(np.array(0.3), np.array(0.3), np.array(1 - 1e-12))
    # 1 - (1 - 1e-12) is 1.0000889e-12 in binary
    assert sigma == pytest.approx(0.3 * math.sqrt(2 * (1 - (1 - 1e-12))), rel=1e-12)


def test_percentages_of_a_rise_and_a_fall() -> None:
    log_two = np.array(math.log(2))
    assert increase_percent(log_two) == pytest.approx(100)
    assert decrease_percent(log_two) == pytest.approx(50)
    first, second = lognormal_pair((0.1, 0.1), 0.5, (1.0, 1.0), 1000, seed=5)
    found = judged(first, second, (1.0, 1.0))
    rise, fall = found["mdc_increase"], found["mdc_decrease"]
    assert found["mdc_increase_percent"] == pytest.approx(100 * (math.exp(rise) - 1))
    assert found["mdc_decrease_percent"] == pytest.approx(100 * (1 - math.exp(-fall)))
    # The errors are of one size, so that delta has no bias beyond Monte Carlo error.
    assert rise == fall == found["mdc"]


def test_at_its_mdc_a_change_under_a_biased_law_is_missed_once_in_five() -> None:
    """Errors of 50 % that become 10 %: a fall has to overcome the bias twice, a rise never.

    40,000 published estimates of a true change of the stated size, each judged by P and P_r of its
    own normal law; their count is known to .2 %, the stated sizes to .3 % of power.
    """
    first, second = lognormal_pair((0.5, 0.1), 0.95, (1.0, 1.0), 40_000, seed=31)
    found = judged(first, second, (1.0, 1.0))
    s1, s2 = log_sds(0.5, 0.1)
    sigma = float(sigma_of_rho(np.array(s1), np.array(s2), np.array(0.95)))
    b = (s1**2 - s2**2) / 2
    assert_within(found, "mdc_decrease", (RULE.z_alpha + RULE.z_power) * sigma + 2 * b)
    assert_within(found, "mdc_increase", (RULE.z_alpha + RULE.z_power) * sigma)

    def power(true: float) -> float:
        errors = b + sigma * np.random.default_rng(32).standard_normal(40_000)
        estimate, sign = true + errors, math.copysign(1, true)
        against = np.maximum(
            stats.norm.cdf(-sign * (estimate + b) / sigma),  # 1 - P or P
            stats.norm.cdf(-sign * (estimate - b) / sigma),  # the same mirrored
        )
        return float(np.mean(against < RULE.alpha / 2))

    assert power(-float(found["mdc_decrease"])) == pytest.approx(0.80, abs=0.016)
    assert power(float(found["mdc_increase"])) == pytest.approx(0.80, abs=0.016)
    assert power(-float(found["mdc"])) < 0.65


# --- rejected draws -------------------------------------------------------------------------------


def with_rejected(draws: int, rejected: int) -> dict[str, Any]:
    """A fall by 30 % with errors of 1 %, so many draws of which were not accepted."""
    first, second = lognormal_pair((0.01, 0.01), 0.0, (100.0, 70.0), draws, seed=41)
    second[:rejected] = np.nan
    return judged(first, second, (100.0, 70.0))


def test_where_rejected_draws_fill_the_tail_no_change_of_any_size_is_detectable() -> None:
    found = with_rejected(10_000, 500)
    assert found["verdict"] == Verdict.NOT_DETECTABLE
    for name in ("", "_increase", "_increase_percent", "_decrease", "_decrease_percent"):
        assert found[f"mdc{name}"] == np.inf
        assert np.isnan(found[f"mdc{name}_mcse"])
    assert found["rho_break_even"] >= 1  # never


def test_the_mdc_and_the_break_even_ask_for_what_a_verdict_asks() -> None:
    """With a the acceptance, a change is decided when `a (1 - P) + 1 - a < alpha/2`."""
    found, a = with_rejected(10_000, 100), 0.99
    z = RULE.z_where_accepted(a)
    assert a * stats.norm.sf(z) + 1 - a == pytest.approx(RULE.alpha / 2, rel=1e-9)
    assert z > RULE.z_alpha
    assert found["mdc"] == pytest.approx((z + RULE.z_power) * found["sigma"], rel=1e-12)
    s1, s2, delta = (found[name] for name in ("s1", "s2", "reference_delta"))
    assert found["rho_break_even"] == pytest.approx(
        float(rho_break_even(s1, s2, delta, RULE, a)), rel=1e-9
    )
    assert float(rho_required(s1, s2, np.array(0.02), RULE, a)) == pytest.approx(
        float((s1**2 + s2**2 - (0.02 / (z + RULE.z_power)) ** 2) / (2 * s1 * s2)), rel=1e-9
    )


def test_without_rejected_draws_nothing_is_raised() -> None:
    assert RULE.z_where_accepted(1.0) == RULE.z_alpha
    assert RULE.z_where_accepted(1 - RULE.alpha / 2) == np.inf
    assert RULE.z_where_accepted(0.0) == np.inf
    sigma = np.array(0.05)
    assert mdc(sigma, RULE) == mdc(sigma, RULE, 1.0) == (RULE.z_alpha + RULE.z_power) * sigma


def test_standard_errors_follow_their_numbers_through_exp() -> None:
    first, second = lognormal_pair((0.5, 0.5), 0.0, (1.0, 1.0), 5000, seed=21)
    found = judged(first, second, (1.0, 1.0))
    ends = quantiles(np.log(second / first), [0.025, 0.975])
    for at, end in enumerate(("low", "high")):
        assert found[f"quantile_{end}"] == ends.value[at]
        assert found[f"quantile_{end}_mcse"] == ends.mcse[at]
        expected = np.exp(found[f"interval_{end}"]) * found[f"interval_{end}_mcse"]
        assert found[f"relative_{end}_mcse"] == pytest.approx(expected, rel=1e-12)
    step = 1e-6
    for name, convert in (("mdc_increase", increase_percent), ("mdc_decrease", decrease_percent)):
        slope = (convert(found[name] + step) - convert(found[name] - step)) / (2 * step)
        expected = slope * found[f"{name}_mcse"]
        assert found[f"{name}_percent_mcse"] == pytest.approx(expected, rel=1e-6)
    assert found["mdc_mcse"] / found["mdc"] == pytest.approx(
        found["sigma_mcse"] / found["sigma"], rel=1e-12
    )


# --- Monte Carlo standard errors ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("mean", mean),
        ("sd", sd),
        ("relative sd", lambda x: relative_sd(3 - 2 * x)),
        ("correlation", lambda x: correlation(x, 0.8 * x + np.roll(x, 1, axis=1))),
        ("probability", lambda x: probability((x < -1).sum(axis=0), len(x))),
        ("median", lambda x: quantiles(x, [0.5])),
        ("quantile .025", lambda x: quantiles(x, [0.025])),
        ("quantile .975", lambda x: quantiles(x, [0.975])),
    ],
)
def test_standard_errors_are_those_of_repeated_ensembles(name: str, statistic: Any) -> None:
    """4,000 ensembles of 640 draws: the sd of a statistic over them is known to 1.1 % (4 s.e.:
    4.5 %); the root mean square of the stated errors is allowed 3 % more, tail quantiles 12 %,
    since the distance between order statistics is itself noisy."""
    x = np.random.default_rng(6).standard_normal((640, 4000))
    found: Estimate = statistic(x)
    actual = found.value.std()
    stated = math.sqrt(np.mean(np.square(found.mcse)))
    assert stated == pytest.approx(actual, rel=0.165 if "quantile" in name else 0.075)


def test_quantiles_at_ranks_that_do_not_exist_have_no_standard_error() -> None:
    x = np.arange(20.0)
    found = quantiles(x, [0.025, 0.5, 0.975])
    assert np.isnan(found.mcse).tolist() == [True, False, True]
    assert found.value.tolist() == [0.0, 9.5, 19.0]


def test_quantiles_are_those_of_hyndman_and_fan_type_8_and_mirror_exactly() -> None:
    x = np.random.default_rng(7).lognormal(size=(333, 5))
    p = [0.025, 0.25, 0.5, 0.8, 0.975]
    found = quantiles(x, p)
    expected = np.quantile(x, p, axis=0, method="median_unbiased")
    assert found.value == pytest.approx(expected, rel=1e-13)
    mirrored = quantiles(-x, [1 - one for one in p])
    assert mirrored.value == pytest.approx(-found.value, rel=1e-12)
    assert mirrored.mcse == pytest.approx(found.mcse, rel=1e-9)


@pytest.mark.parametrize("trials", [1, 2, 65, 1001, 100_001])
def test_clopper_pearson_against_scipy(trials: int) -> None:
    for k in {0, 1, trials // 40, trials // 2, trials - 1, trials}:
        low, high = clopper_pearson(np.array(k), trials, 0.99)
        exact = stats.binomtest(k, trials).proportion_ci(0.99, method="exact")
        assert (float(low), float(high)) == pytest.approx((exact.low, exact.high), abs=1e-12)
        for p in (0.001, 0.025, 0.4, 0.99):
            below, above = outside(np.array(k), trials, p, 0.99)
            assert (below, above) == (exact.high < p, exact.low > p)


# --- verdicts -------------------------------------------------------------------------------------


def verdict_of(against_decrease: int, draws: int, rejected: int = 0) -> str:
    return str(
        verdicts(
            np.array(against_decrease),
            np.array(draws - against_decrease),
            draws,
            rejected,
            np.array(True),
            RULE,
        )
    )


@settings(deadline=None)
@given(st.data())
def test_the_rule_word_for_word_where_nothing_is_rejected(data: st.DataObject) -> None:
    draws = data.draw(st.integers(2, 20_000))
    count = data.draw(st.integers(0, draws))
    tails = [stats.binomtest(1 + c, 1 + draws) for c in (count, draws - count)]
    intervals = [tail.proportion_ci(0.99, method="exact") for tail in tails]
    if any(i.low <= 0.025 <= i.high for i in intervals):
        expected = Verdict.NEEDS_MORE_DRAWS
    elif (1 + count) / (1 + draws) < 0.025:
        expected = Verdict.DECREASE
    elif (1 + draws - count) / (1 + draws) < 0.025:
        expected = Verdict.INCREASE
    else:
        expected = Verdict.NOT_DETECTABLE
    assert verdict_of(count, draws) == expected


@settings(deadline=None)
@given(st.integers(2, 20_000), st.integers(0, 500), st.integers(0, 500))
def test_a_decided_verdict_holds_over_the_acceptance_bounds(
    draws: int, count: int, rejected: int
) -> None:
    count = min(count, draws)
    found = verdict_of(count, draws, rejected)
    accepted_share = draws / (draws + rejected)
    worst = accepted_share * count / draws + 1 - accepted_share
    if found == Verdict.DECREASE:
        assert worst < 0.025
        assert verdict_of(count, draws) == Verdict.DECREASE
    if verdict_of(count, draws) == Verdict.NEEDS_MORE_DRAWS:
        assert found == Verdict.NEEDS_MORE_DRAWS  # which comes before everything decided
    if verdict_of(count, draws) == Verdict.NOT_DETECTABLE:
        assert found == Verdict.NOT_DETECTABLE


def test_rejected_draws_take_a_verdict_away() -> None:
    assert verdict_of(0, 10_000) == Verdict.DECREASE
    assert verdict_of(0, 10_000, rejected=100) == Verdict.DECREASE
    assert verdict_of(0, 10_000, rejected=1000) == Verdict.NOT_DETECTABLE
    assert verdict_of(0, 10_000, rejected=255) == Verdict.NEEDS_MORE_DRAWS


@pytest.mark.parametrize("draws", [320, 640, 1280])
def test_doubling_the_draws_flips_a_decided_verdict_in_at_most_one_run_of_a_hundred(
    draws: int,
) -> None:
    """Exact, over both binomial laws, at the worst of all true probabilities near the threshold."""
    reach = draws // 5
    first = np.arange(reach)
    at_first = np.array([verdict_of(c, draws) for c in range(reach)])
    at_second = np.array([verdict_of(c, 2 * draws) for c in range(2 * reach)])
    decided = [Verdict.DECREASE, Verdict.NOT_DETECTABLE]
    total = first[:, None] + first
    flips = at_first[:, None] != at_second[total]
    flips &= np.isin(at_first, decided)[:, None] & np.isin(at_second, decided)[total]
    for p in np.linspace(0.005, 0.06, 56):
        law = stats.binom.pmf(first, draws, p)
        assert law @ flips @ law <= 0.01


def test_more_draws_never_manufacture_a_verdict() -> None:
    """A tail of 3 % is not below 2.5 %, however many draws say so."""
    found = [verdict_of(round(0.03 * draws), draws) for draws in (10**3, 10**4, 10**5, 10**6)]
    assert found == ["needs more draws", *["not detectable"] * 3]


def test_a_few_draws_decide_nothing_and_spend_the_error_over_looks() -> None:
    assert verdict_of(0, 64) == Verdict.NEEDS_MORE_DRAWS
    assert sum(spent_at_look(k) for k in range(1, 10_000)) == pytest.approx(0.01, rel=2e-4)
    stricter = DetectionRule(monte_carlo_error=spent_at_look(3))
    none, draws = np.array(0), 320
    for rule, expected in ((RULE, Verdict.DECREASE), (stricter, Verdict.NEEDS_MORE_DRAWS)):
        assert verdicts(none, np.array(draws), draws, 0, np.array(True), rule) == expected
    assert at_last_look(Verdict.NEEDS_MORE_DRAWS) is Verdict.BORDERLINE
    assert at_last_look(Verdict.DECREASE) is Verdict.DECREASE


@pytest.mark.parametrize("factor", [1.1, 1 / 1.1])
def test_ties_speak_against_both_directions(factor: float) -> None:
    """Three quarters of the draws see no change, the others that of the estimate: no verdict,
    though no draw speaks for the opposite direction, forward or mirrored."""
    first = np.ones(4000)
    second = np.where(np.arange(4000) % 4 == 0, factor, 1.0)
    found = judged(first, second, (1.0, factor))
    assert found["p_decrease"] == (0 if factor > 1 else 0.25)
    assert found["verdict"] == Verdict.NOT_DETECTABLE


def test_asymmetric_when_only_one_of_the_two_probabilities_decides() -> None:
    first, second = lognormal_pair((0.5, 0.1), 0.95, (1.0, 2.0), 20_000, seed=8)
    found = judged(first, second, (1.0, 2.0))
    # Forward mean .8 = 2.1 sd above zero; mirrored .587 = 1.5 sd.
    assert 1 - found["p_decrease"] > 0.975
    assert 1 - found["p_decrease_reflected"] < 0.975
    assert found["asymmetric"]
    assert found["verdict"] == Verdict.NOT_DETECTABLE
    found = judged(first, 1.5 * second, (1.0, 3.0))
    assert not found["asymmetric"]
    assert found["verdict"] == Verdict.INCREASE


def test_numerical_error_of_both_years_must_be_shown_many_times_over() -> None:
    rng = np.random.default_rng(9)
    first, second = np.exp(0.01 * rng.standard_normal((2, 1000)))
    sigma = sd(np.log(second / first)).value
    for factor, assessed in ((0.99, True), (1.01, False)):
        error = factor * sigma / 10 / 2  # of each year, relative
        found = change(
            first, second, np.array(1.0), np.array(1.0), error * first, error * second, RULE
        )
        assert (found["verdict"] != Verdict.NOT_ASSESSED) == assessed


def test_an_error_as_large_as_the_footprint_is_without_bound_on_the_log_scale() -> None:
    F, log = np.array([[1.0, 2.0]]).T, np.array(True)
    bound = numerical_error(F[:, 0], F[:, 0], np.array([1.0, 0.1]), np.zeros(2), log)
    assert bound == np.inf
    raw = numerical_error(F[:, 0], F[:, 0], np.array([1.0, 0.1]), np.zeros(2), ~log)
    assert raw == pytest.approx(1.0)


def test_every_verdict_says_what_it_means() -> None:
    assert [verdict.value for verdict in Verdict] == [
        "decrease",
        "increase",
        "not detectable",
        "not assessed",
        "needs more draws",
        "borderline",
    ]
    assert len({verdict.meaning for verdict in Verdict}) == len(Verdict)
    assert [verdict.detected for verdict in Verdict] == [True, True, *[False] * 4]
    assert pickle.loads(pickle.dumps(Verdict.DECREASE)) is Verdict.DECREASE


@pytest.mark.parametrize("field", ["confidence", "power", "monte_carlo_error"])
@pytest.mark.parametrize("value", [0.0, -0.1, 1.0, 95.0, math.nan])
def test_a_rule_refuses_what_is_no_probability(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=field):
        DetectionRule(**{field: value})


def test_alpha_has_the_digits_that_were_written() -> None:
    assert DetectionRule(confidence=0.95).alpha == 0.05
    assert DetectionRule(confidence=0.95).interval == (0.025, 0.975)
    assert DetectionRule(confidence=0.9).interval == (0.05, 0.95)


# --- invariances ----------------------------------------------------------------------------------

SWAPPED = {"decrease": "increase", "increase": "decrease"}
SIGNED = ("delta_mean", "delta_median", "reference_delta", "reference_change", "change_mean")


def several_pairs(seed: int) -> tuple[F64, F64, tuple[F64, F64]]:
    """Twelve changes, from clear falls to clear rises, one cell on the raw scale, some rejected."""
    ratios = np.linspace(0.5, 2.0, 12)
    first, second = lognormal_pair((0.2, 0.15), 0.5, (1.0, 1.0), 3000, seed, (12,))
    second = second * ratios
    first[5, 3] = -0.1
    first[7], second[11] = np.nan, np.nan
    return first, second, (np.ones(12), ratios)


def test_swapping_the_years_swaps_the_verdict_and_every_sign() -> None:
    first, second, (a, b) = several_pairs(seed=10)
    there, back = judged(first, second, (a, b)), judged(second, first, (b, a))
    assert [SWAPPED.get(v, v) for v in there["verdict"]] == back["verdict"].tolist()
    assert set(there["verdict"]) >= {"decrease", "increase", "not detectable"}
    for name in SIGNED:
        assert back[name] == pytest.approx(-there[name], rel=1e-11, abs=1e-13)
    for name in ("sigma", "mdc", "rho", "rho_break_even", "change_sd"):
        assert back[name] == pytest.approx(there[name], rel=1e-11)
        assert back[f"{name}_mcse"] == pytest.approx(there[f"{name}_mcse"], rel=1e-11)
    assert back["s1"] == pytest.approx(there["s2"], rel=1e-11)
    assert back["p_decrease"] == pytest.approx(1 - there["p_decrease"], abs=1e-15)
    log = there["scale"] == "log"
    assert log.sum() == 11
    swapped_low = 1 / (1 + there["relative_high"][log]) - 1
    assert back["relative_low"][log] == pytest.approx(swapped_low, rel=1e-9)
    assert (back["asymmetric"] == there["asymmetric"]).all()


@pytest.mark.parametrize("unit", [1e-9, 3.0, 1e12])
def test_units_change_nothing_but_raw_numbers(unit: float) -> None:
    first, second, (a, b) = several_pairs(seed=11)
    plain = judged(first, second, (a, b))
    scaled = judged(unit * first, unit * second, (unit * a, unit * b))
    assert (scaled["verdict"] == plain["verdict"]).all()
    log = plain["scale"] == "log"
    for name in ("sigma", "s1", "rho", "mdc", "relative_low", "p_decrease", "rho_break_even"):
        for each in (name, f"{name}_mcse"):
            assert scaled[each][log] == pytest.approx(plain[each][log], rel=1e-9), each
    for name in ("change_mean", "change_sd", "change_low", "reference_change"):
        assert scaled[name] == pytest.approx(unit * plain[name], rel=1e-9)
    assert scaled["sigma"][~log] == pytest.approx(unit * plain["sigma"][~log], rel=1e-9)


def test_a_verdict_does_not_hang_on_rounding() -> None:
    first, second, estimates = several_pairs(seed=12)
    plain = judged(first, second, estimates)["verdict"]
    rng = np.random.default_rng(13)
    for _ in range(20):
        noise = 1 + 1e-15 * rng.integers(-2, 3, (2, *first.shape))
        assert (judged(first * noise[0], second * noise[1], estimates)["verdict"] == plain).all()


def test_cells_are_judged_alone() -> None:
    first, second, (a, b) = several_pairs(seed=14)
    together = judged(first, second, (a, b))
    for cell in range(12):
        alone = judged(first[:, cell], second[:, cell], (a[cell], b[cell]))
        for name, value in alone.items():
            if together[name].dtype.kind == "f":
                expected = together[name][cell]
                assert value == pytest.approx(expected, rel=1e-12, nan_ok=True), name
            else:
                assert value == together[name][cell], name


# --- rejected draws, raw scale, degenerate cases --------------------------------------------------


def test_a_rejected_draw_leaves_the_pair_and_widens_the_probability() -> None:
    first, second = lognormal_pair((0.1, 0.1), 0.5, (1.0, 0.9), 1000, seed=15)
    whole = judged(first[100:], second[100:], (1.0, 0.9))
    first[:60], second[40:100] = np.nan, np.nan
    found = judged(first, second, (1.0, 0.9))
    assert found["draws"] == 900
    assert found["acceptance"] == pytest.approx(0.9)
    assert found["sigma"] == whole["sigma"]
    p = whole["p_decrease"]
    assert found["p_decrease"] == p
    assert found["p_decrease_low"] == pytest.approx(0.9 * p)
    assert found["p_decrease_high"] == pytest.approx(0.9 * p + 0.1)


def test_the_bounds_of_a_probability_have_the_error_of_a_count_over_all_draws() -> None:
    """`a p` is k of n draws, accepted or not, and `1 - (a p + 1 - a)` another k: binomial both."""
    n, D, k = 1000, 900, 300
    p = Estimate(np.array(k / D), np.sqrt(np.array(k / D * (1 - k / D) / D)))
    found = whatever_rejected("p", p, D, n - D)
    for end, count in (("low", k), ("high", k + n - D)):
        assert found[f"p_{end}"] == pytest.approx(count / n)
        binomial = math.sqrt(count / n * (1 - count / n) / n)
        assert found[f"p_{end}_mcse"] == pytest.approx(binomial, rel=1e-12)
    same = whatever_rejected("p", p, D, 0)
    assert same["p_low_mcse"] == same["p_high_mcse"] == p.mcse


def test_a_footprint_that_is_not_always_positive_is_judged_by_raw_differences() -> None:
    rng = np.random.default_rng(16)
    first, second = 1 + rng.standard_normal((2, 50_000)), 5 + rng.standard_normal((2, 50_000))
    found = judged(first.T, second.T, (np.ones(2), np.full(2, 5.0)))
    assert (found["scale"] == "raw").all()
    for name in ("relative_low", "relative_high", "mdc_increase_percent", "mdc_decrease_percent"):
        assert np.isnan(found[name]).all()
    one = {name: values[0] for name, values in found.items()}
    assert_within(one, "sigma", math.sqrt(2))
    assert_within(one, "delta_mean", 4.0)
    assert_within(one, "change_low", 4 - 1.959964 * math.sqrt(2))
    assert_within(one, "rho", 0.0)
    assert_within(one, "mdc", 2.801585 * math.sqrt(2))
    assert_within(one, "rho_break_even", (2 - (4 / 1.959964) ** 2) / 2)
    assert found["relative_change"] == pytest.approx(4.0)
    assert (found["verdict"] == Verdict.INCREASE).all()


def test_an_estimate_that_is_not_positive_is_judged_by_raw_differences() -> None:
    first, second = lognormal_pair((0.1, 0.1), 0.0, (1.0, 1.0), 1000, seed=17)
    found = judged(first, second, (0.0, 1.0))
    assert found["scale"] == "raw"
    assert np.isnan(found["relative_change"])
    assert found["reference_delta"] == 1.0


@pytest.mark.parametrize("draws", [0, 1, 2, 3])
@pytest.mark.parametrize("rejected", [0, 1, 5])
def test_too_few_draws_give_no_numbers_and_no_verdict(draws: int, rejected: int) -> None:
    first, second = lognormal_pair((0.1, 0.1), 0.0, (1.0, 1.0), draws + rejected, 18, (3,))
    first[:rejected] = np.nan
    found = judged(first, second, (np.ones(3), np.ones(3)))
    assert (found["draws"] == draws).all()
    if draws < 2:
        assert set(found["verdict"]) == {Verdict.NOT_ASSESSED}
        assert np.isnan(found["sigma"]).all()
        assert np.isnan(found["p_decrease"]).all()
        assert np.isnan(found["rho_break_even"]).all()
    else:
        assert not set(found["verdict"]) & {Verdict.DECREASE, Verdict.INCREASE}
        assert np.isfinite(found["sigma"]).all()


def test_a_part_that_does_not_exist_is_not_assessed() -> None:
    zero = np.zeros((500, 1))
    found = judged(zero, zero, (np.zeros(1), np.zeros(1)))
    assert found["verdict"] == Verdict.NOT_ASSESSED
    assert found["scale"] == "raw"
    assert found["sigma"] == found["sigma_mcse"] == 0
    assert np.isnan(found["rho"])


def test_one_year_without_error() -> None:
    _, second = lognormal_pair((0.1, 0.1), 0.0, (1.0, 2.0), 5000, seed=19)
    found = judged(np.ones(5000), second, (1.0, 2.0))
    assert found["s1"] == 0
    assert found["sigma"] == pytest.approx(found["s2"], rel=1e-12)
    assert np.isnan(found["rho"])
    assert np.isnan(found["rho_break_even"])
    assert found["verdict"] == Verdict.INCREASE


def test_inputs_are_not_touched() -> None:
    first, second, estimates = several_pairs(seed=20)
    copies = first.copy(), second.copy()
    judged(first, second, estimates)
    assert np.array_equal(first, copies[0], equal_nan=True)
    assert np.array_equal(second, copies[1], equal_nan=True)
