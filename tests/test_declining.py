"""The slope of every draw: against normal theory, repeated sampling, and what must not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.declining import (
    NO_ERROR,
    TOO_FEW_DRAWS,
    Numerical,
    declining,
    looking_back,
    scatter,
)
from engine.kernels.monte_carlo import covariances_without, jackknifed
from engine.kernels.trend import (
    ar1_correlation,
    hartlap,
    information_by_year,
    of_differences,
    slope,
)

RULE = DetectionRule()
YEARS = np.arange(2000.0, 2006.0)
V = 0.03**2 * (0.5 + 0.3 * ar1_correlation(YEARS, 0.7) + 0.2 * np.eye(6))
ROOT = np.linalg.cholesky(V)
PATH = -0.012 * (YEARS - 2000) + 0.004 * np.array([0, 1, -1, 2, 0, -1])
EXACT = Numerical(np.zeros(5))


def drawn(rng: np.random.Generator, draws: int, centre: F64 = PATH) -> F64:
    return centre + rng.standard_normal((draws, 6)) @ ROOT.T


def found(z: F64, real: F64 | None = None, centre: F64 = PATH, **changed: Any) -> dict[str, Any]:
    given = {"numerical": EXACT, "rejected": 0, "rule": RULE} | changed
    return declining(z, centre, YEARS, np.zeros((6, 6)) if real is None else real, **given)


def real(sd: float, phi: float) -> F64:
    return sd**2 * ar1_correlation(YEARS, phi)


@pytest.mark.parametrize("added", [np.zeros((6, 6)), real(0.02, 0.0), real(0.01, 0.6)])
def test_many_draws_give_the_slope_and_p_of_normal_theory(added: F64) -> None:
    known = slope(PATH, V + added, YEARS)
    told = found(drawn(np.random.default_rng(1), 40_000), added)
    assert abs(told["slope"] - known.value) < 4 * told["slope_mcse"]
    assert abs(told["error"] - known.error) < 4 * told["error_mcse"]
    P = norm.cdf(-known.value / known.error)
    for name in ("p_decrease", "p_decrease_reflected"):
        assert abs(told[name] - P) < 4 * told[f"{name}_mcse"]
    assert told["mdc"] == pytest.approx((RULE.z_alpha + RULE.z_power) * told["error"])
    for end, z in (("slope_low", -RULE.z_alpha), ("slope_high", RULE.z_alpha)):
        assert abs(told[end] - (known.value + z * known.error)) < 4 * told[f"{end}_mcse"]


@pytest.mark.parametrize("added", [np.zeros((6, 6)), real(0.01, 0.3)])
def test_monte_carlo_errors_are_the_scatter_of_repeated_runs(added: F64) -> None:
    """300 runs know their scatter to 4.1 %; 4 times that, and 2 % for the errors' own mean."""
    rng = np.random.default_rng(2)
    runs = [found(drawn(rng, 400), added) for _ in range(300)]
    # The ends of intervals are half the distance of order statistics, itself known to some 20 %,
    # and where two ends are equal in truth the farther one scatters less than either.
    for name, slack in (("slope_low", 0.4), ("slope_high", 0.4)):
        scatter_of_runs = np.std([run[name] for run in runs], ddof=1)
        stated = np.mean([run[f"{name}_mcse"] for run in runs])
        assert 1 - slack < stated / scatter_of_runs < 1 + slack, name
    for name in ("slope", "error", "mdc", "p_decrease", "misfit"):
        scatter_of_runs = np.std([run[name] for run in runs], ddof=1)
        stated = np.mean([run[f"{name}_mcse"] for run in runs])
        assert stated / scatter_of_runs == pytest.approx(1, abs=0.18), name


def test_the_factor_on_the_inverse_counts_differences_and_not_years() -> None:
    rng, D, h = np.random.default_rng(3), 24, np.ones(5)
    known = h @ np.linalg.inv(of_differences(V)) @ h
    sampled = np.array(
        [
            h @ np.linalg.solve(of_differences(np.cov(drawn(rng, D).T)), h) / known
            for _ in range(2000)
        ]
    )
    error = sampled.std() / 2000**0.5
    assert abs(hartlap(D, 5) * sampled.mean() - 1) < 4 * error
    assert abs(hartlap(D, 6) * sampled.mean() - 1) > 4 * error  # not with as many as years


def test_the_standard_error_is_that_of_the_weights_that_were_used() -> None:
    """Weights chosen on the draws they are judged by look better than they are."""
    rng, D, p = np.random.default_rng(4), 32, 5
    stated, true, naive = [], [], []
    for _ in range(1200):
        z = drawn(rng, D)
        sampled = of_differences(np.cov(z.T))
        w = np.linalg.solve(sampled, np.ones(5))
        w /= w.sum()
        true.append(w @ of_differences(V) @ w)
        naive.append(w @ sampled @ w)
        stated.append(found(z)["error"] ** 2)
    ratio = np.array(stated) / np.mean(true)
    within = 4 * ratio.std() / 1200**0.5 + 4 * np.std(true) / np.mean(true) / 1200**0.5
    assert abs(ratio.mean() - (D - p) / (D - p - 2)) < within  # 8 % too wide with 32 draws
    assert np.mean(naive) / np.mean(true) < 0.8


def test_an_error_of_all_years_changes_nothing() -> None:
    rng = np.random.default_rng(5)
    z, common = drawn(rng, 512), rng.standard_normal((512, 1))
    one, other = found(z), found(z + 0.2 * common)
    for name, value in one.items():
        same = value if isinstance(value, (str, bool)) else pytest.approx(value, rel=1e-6)
        assert other[name] == same, name


def test_errors_that_leave_no_difference_uncertain_are_not_assessed() -> None:
    rng = np.random.default_rng(6)
    lasting = PATH + 0.05 * rng.standard_normal((512, 1)) + np.zeros(6)
    assert found(lasting) == {"verdict": Verdict.NOT_ASSESSED, "reason": NO_ERROR}
    noisy = lasting + 1e-9 * rng.standard_normal((512, 6))
    assert found(noisy, numerical=Numerical(np.full(5, 1e-8)))["verdict"] is Verdict.NOT_ASSESSED
    periods = PATH + 0.05 * rng.standard_normal((512, 2))[:, [0, 0, 0, 1, 1, 1]]
    assert found(periods)["reason"] == NO_ERROR
    # Real variability gives the slope an error of its own.
    told = found(lasting, real(0.02, 0.0))
    assert told["verdict"] in (Verdict.NOT_DETECTABLE, Verdict.DECREASE)
    assert told["error"] == pytest.approx(0.02 / 17.5**0.5)  # sd / sqrt(sum (t - mean)^2)


def test_draws_that_are_no_exact_solutions_are_held_against_their_own_deviation() -> None:
    rng = np.random.default_rng(7)
    z, away = drawn(rng, 512), rng.standard_normal((128, 6))
    assert found(z, numerical=Numerical(np.zeros(5), 1e-4 * away))["reason"] == ""
    assert found(z, numerical=Numerical(np.zeros(5), 1e-2 * away))["reason"] == NO_ERROR
    assert found(z, numerical=Numerical(np.zeros(5), away[:0]))["reason"] == NO_ERROR
    common = np.broadcast_to(away[:, :1], (128, 6))
    assert found(z, numerical=Numerical(np.zeros(5), common))["reason"] == ""


def test_too_few_draws_are_said_to_be_so() -> None:
    assert found(drawn(np.random.default_rng(8), 7))["reason"] == TOO_FEW_DRAWS
    assert found(drawn(np.random.default_rng(8), 64))["reason"] == ""


def test_verdicts_take_rejected_draws_and_monte_carlo_error_into_account() -> None:
    rng = np.random.default_rng(9)
    steep, z = 4 * PATH, drawn(rng, 2048)
    assert found(z + 3 * PATH, centre=steep)["verdict"] is Verdict.DECREASE
    assert found(z - 5 * PATH, centre=-steep)["verdict"] is Verdict.INCREASE
    flat = found(z - PATH, centre=0 * PATH)
    assert flat["verdict"] is Verdict.NOT_DETECTABLE
    for added in (None, real(0.005, 0.0)):
        some = found(z + 3 * PATH, added, centre=steep, rejected=200)
        assert some["verdict"] is Verdict.NOT_DETECTABLE
        assert some["p_decrease_low"] == pytest.approx(some["p_decrease"] * 2048 / 2248)
        assert some["p_decrease_high"] == pytest.approx(some["p_decrease_low"] + 200 / 2248)
        edge = PATH * RULE.z_alpha * found(z, added)["error"] / -slope(PATH, V, YEARS).value
        at_edge = found(drawn(rng, 256, edge), added, centre=edge)
        assert at_edge["verdict"] is Verdict.NEEDS_MORE_DRAWS


def test_without_a_trend_p_is_extreme_as_often_as_it_says() -> None:
    """The estimate errs by V, the draws are spread about it by V: P is uniform."""
    rng, worlds = np.random.default_rng(10), 1000
    extreme = 0
    for _ in range(worlds):
        centre = rng.standard_normal(6) @ ROOT.T
        P = found(drawn(rng, 256, centre), centre=centre)["p_decrease"]
        extreme += P < 0.05 or P > 0.95
    # Counting 256 draws blurs the limit itself: by less than 0.5 points.
    assert abs(extreme / worlds - 0.1) < 4 * (0.1 * 0.9 / worlds) ** 0.5 + 0.005


@pytest.mark.parametrize("rejected", [0, 5, 40])
@pytest.mark.parametrize("added", [np.zeros((6, 6)), real(0.01, 0.3)])
def test_a_slope_is_decided_where_its_interval_excludes_zero(added: F64, rejected: int) -> None:
    """From clear falls to clear rises, by skewed draws that are not centred at the estimate."""
    rng, seen = np.random.default_rng(14), set()
    for steps in np.linspace(-0.08, 0.1, 19):
        centre = PATH + steps * (YEARS - 2000)
        skewed = 0.05 * np.exp(0.8 * rng.standard_normal((1500, 6))) * np.linspace(1, 0.2, 6)
        told = found(centre + skewed, added, centre, rejected=rejected)
        seen.add(told["verdict"])
        excluded = told["slope_low"] > 0 or told["slope_high"] < 0
        if told["verdict"].detected:
            assert excluded
            assert (told["slope_high"] < 0) == (told["verdict"] is Verdict.DECREASE)
        if told["verdict"] is Verdict.NOT_DETECTABLE:
            assert not excluded
    assert Verdict.NOT_DETECTABLE in seen
    if rejected == 40:  # 40 of 1,540 fill the tail of .025
        assert told["slope_low"] == -np.inf
        assert not {Verdict.DECREASE, Verdict.INCREASE} & seen
    else:
        assert seen >= {Verdict.DECREASE, Verdict.INCREASE}


def test_real_variability_widens_and_never_sharpens() -> None:
    z = drawn(np.random.default_rng(11), 1024)
    errors = [found(z, real(sd, 0.3))["error"] for sd in (0.0, 0.01, 0.02, 0.05)]
    assert errors == sorted(errors)
    without, little = found(z), found(z, real(1e-6, 0.0))
    assert little["p_decrease"] == pytest.approx(without["p_decrease"], abs=2e-3)
    assert little["slope"] == pytest.approx(without["slope"], rel=1e-6)


def test_two_years_are_their_change() -> None:
    z = drawn(np.random.default_rng(12), 1024)[:, :2]
    told = declining(z, PATH[:2], YEARS[:2], np.zeros((2, 2)), Numerical(np.zeros(1)), 0, RULE)
    assert told["slope"] == pytest.approx(PATH[1] - PATH[0])
    assert told["slope_mcse"] == pytest.approx(0, abs=1e-12)
    assert told["error"] == pytest.approx(np.diff(z).std(ddof=1) * (1023 / 1021) ** 0.5)
    assert told["misfit"] is None


# --- looking back ---------------------------------------------------------------------------------


def test_the_earliest_year_is_the_first_whose_slope_shows() -> None:
    z = drawn(np.random.default_rng(13), 20_000, 4 * PATH)
    told = looking_back(z, 4 * PATH, YEARS, np.zeros((6, 6)), RULE)
    t = [(b := slope(4 * PATH[:k], V[:k, :k], YEARS[:k])).value / b.error for k in range(2, 7)]
    first = next(int(YEARS[1 + i]) for i, value in enumerate(t) if value < -RULE.z_alpha)
    assert told["earliest"] == first
    assert told["earliest_soonest"] <= first
    assert told["earliest_adjusted"] >= first
    assert told["lasting_from"] >= first
    assert told["looks"] == 5
    assert 0.05 < told["false_detection"] < 0.25
    assert told["limit_adjusted"] > RULE.z_alpha
    flat = looking_back(z - 4 * PATH, 0 * PATH, YEARS, np.zeros((6, 6)), RULE)
    assert flat["earliest"] is flat["earliest_adjusted"] is flat["lasting_from"] is None


def test_what_looks_cost_is_known_within_its_monte_carlo_error() -> None:
    rng = np.random.default_rng(14)
    runs = [looking_back(drawn(rng, 256), PATH, YEARS, np.zeros((6, 6)), RULE) for _ in range(100)]
    for name in ("false_detection", "limit_adjusted"):
        spread = np.std([run[name] for run in runs], ddof=1)
        stated = np.sqrt(np.mean([run[f"{name}_mcse"] ** 2 for run in runs]))
        assert stated / spread == pytest.approx(1, abs=0.35)  # 4 of 7 %, and the jackknife's own


# --- pieces ---------------------------------------------------------------------------------------


def test_information_of_the_first_years_is_that_of_their_slope() -> None:
    information = information_by_year(V, YEARS)
    for k in range(2, 7):
        known = slope(PATH[:k], V[:k, :k], YEARS[:k]).error
        assert information[k - 2] ** -0.5 == pytest.approx(known)
    assert np.isnan(information_by_year(np.ones((4, 4)), YEARS[:4])).all()


def test_leaving_draws_out_is_what_it_says() -> None:
    x = drawn(np.random.default_rng(15), 53)
    without = covariances_without(x, 8)
    for g, kept in enumerate(without):
        cut = np.r_[: 6 * g, (53 if g == 7 else 6 * (g + 1)) : 53]
        assert kept == pytest.approx(np.cov(x[cut].T), rel=1e-9)
    # Of a mean the jackknife is the textbook's standard error, where groups are single draws.
    values = x[:, 0]
    means = (values.sum() - values) / 52
    assert jackknifed(means) == pytest.approx(values.std(ddof=1) / 53**0.5)


def test_scatter_is_shown_of_ten_years_and_more_only() -> None:
    years = np.arange(2000.0, 2010.0)
    wave = 0.02 * (-1.0) ** np.arange(10)
    line = np.polyfit(years, wave, 1)
    expected = np.sqrt(np.sum((wave - np.polyval(line, years)) ** 2) / 8)
    assert scatter(wave - 0.03 * years, years) == pytest.approx(expected)
    assert scatter(wave[:9], years[:9]) is None


def test_probabilities_that_all_draws_agree_on_keep_the_error_of_the_draws_that_are_missing() -> (
    None
):
    """With a steep fall every draw has P near one; a rare draw with another is not among 400."""
    steep = PATH - 0.5 * (YEARS - 2000)
    told = found(drawn(np.random.default_rng(9), 400, steep), real(0.01, 0.0), steep)
    assert told["p_decrease"] > 0.999999
    assert told["p_decrease_mcse"] >= 1 / 402


def test_rejected_draws_raise_the_mdc_of_a_slope_and_may_leave_none() -> None:
    z = drawn(np.random.default_rng(10), 4000)
    plain, some, many = (found(z, rejected=rejected) for rejected in (0, 40, 200))
    factor = RULE.z_where_accepted(4000 / 4040) + RULE.z_power
    assert some["mdc"] == pytest.approx(factor * some["error"])
    assert some["mdc"] > plain["mdc"]
    assert many["mdc"] == many["mdc_decrease"] == np.inf
    assert many["verdict"] is Verdict.NOT_DETECTABLE


def test_the_least_fall_found_overcomes_the_bias_of_its_slope() -> None:
    z = drawn(np.random.default_rng(11), 4000)
    up, down = (found(z + by * (YEARS - 2000)) for by in (0.01, -0.01))
    assert up["mdc_decrease"] - up["mdc"] == pytest.approx(0.02, abs=4 * 2 * 0.01 / 4000**0.5)
    assert down["mdc_decrease"] == down["mdc"]


def test_rejected_draws_raise_the_limits_of_looking_back() -> None:
    steep = PATH - 0.05 * (YEARS - 2000)
    z, none = drawn(np.random.default_rng(12), 4000, steep), np.zeros((6, 6))
    plain, some, many = (
        looking_back(z, steep, YEARS, none, RULE, acceptance) for acceptance in (1.0, 0.99, 0.95)
    )
    assert plain["limit"] == RULE.z_alpha
    assert some["limit"] == RULE.z_where_accepted(0.99) < some["limit_adjusted"]
    assert plain["limit_adjusted"] < some["limit_adjusted"]
    assert some["false_detection"] < plain["false_detection"]
    assert plain["earliest"] is not None
    assert many["earliest"] is many["earliest_adjusted"] is many["lasting_from"] is None
