"""Changes judged together: critical values that theory gives, laws of adjustment, false alarms.

Sampled numbers must lie within four of their Monte Carlo standard errors of the truth, which a
correct kernel fails once in 16,000 comparisons; seeds are fixed.
"""

from __future__ import annotations

import doctest
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import studentized_range

from engine.kernels import families
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.families import (
    adjusted,
    benjamini_hochberg,
    benjamini_yekutieli,
    by_counting,
    counted,
    holm,
    holm_needs,
    simultaneous,
)

RULE = DetectionRule()
SURE = DetectionRule(monte_carlo_error=1e-6)


def independent_years(years: int, draws: int, seed: int, pairs: str) -> F64:
    """Deltas of independent normal years of equal sd, (draws, pairs)."""
    F = np.random.default_rng(seed).standard_normal((draws, years))
    chosen = pairwise(range(years)) if pairs == "consecutive" else combinations(range(years), 2)
    return np.stack([F[:, t] - F[:, s] for s, t in chosen], axis=1)


def bonferroni(m: int) -> float:
    return float(-ndtri(RULE.alpha / (2 * m)))


# --- known answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("years", "pairs", "known", "of_bonferroni"),
    [
        (12, "all", 3.2680, 3.3678),
        (12, "consecutive", 2.809, 2.8376),
        (6, "all", 2.8497, None),
        (6, "consecutive", 2.542, None),
    ],
)
def test_the_critical_value_of_independent_years(
    years: int, pairs: str, known: float, of_bonferroni: float | None
) -> None:
    delta = independent_years(years, 100_000, 3, pairs)
    m = delta.shape[1]
    critical = simultaneous(delta, np.zeros(m), 0, RULE).critical
    # The known answers are printed to four digits, the critical value is known to about 0.004.
    assert abs(critical.value - known) <= 4 * critical.mcse + 5e-4
    assert RULE.z_alpha < critical.value < bonferroni(m) + 4 * critical.mcse
    if of_bonferroni is not None:
        assert bonferroni(m) == pytest.approx(of_bonferroni, abs=5e-5)


@pytest.mark.parametrize(("years", "known"), [(12, 3.2680), (6, 2.8497)])
def test_all_pairs_of_independent_years_are_a_studentised_range(years: int, known: float) -> None:
    """max |x_i - x_j| / (sqrt 2 sd) is the range of the years over sqrt 2."""
    by_theory = studentized_range.ppf(0.95, years, np.inf) / np.sqrt(2)
    assert by_theory == pytest.approx(known, abs=5e-5)


def some_beyond(limit: float, years: int) -> float:
    """P(some |x_t+1 - x_t| > limit sqrt 2) of independent standard normal years.

    The joint density of all steps so far being short and the last year being y is carried from year
    to year, by the trapezoidal rule on a grid of 1/200.
    """
    y = np.linspace(-7, 7, 2_801)
    step, density = y[1] - y[0], np.exp(-np.square(y) / 2) / np.sqrt(2 * np.pi)
    reach, held = limit * np.sqrt(2), density
    for _ in range(years - 1):
        below = np.concatenate([[0], np.cumsum((held[1:] + held[:-1]) / 2)]) * step
        held = density * (np.interp(y + reach, y, below) - np.interp(y - reach, y, below))
    return float(1 - held.sum() * step)


@pytest.mark.parametrize(("years", "known"), [(12, 2.809), (6, 2.542)])
def test_consecutive_changes_of_independent_years_are_a_walk_with_short_steps(
    years: int, known: float
) -> None:
    assert some_beyond(known - 5e-4, years) > 0.05 > some_beyond(known + 5e-4, years)


def test_eleven_years_without_a_change_show_one_in_two_cases_out_of_five() -> None:
    """39 %: fewer than 43 %, since each consecutive change correlates by -1/2 with the next."""
    delta = independent_years(12, 100_000, 5, "consecutive")
    found = simultaneous(delta, np.zeros(11), 0, RULE).false_alarm
    known = some_beyond(RULE.z_alpha, 12)
    assert known == pytest.approx(0.39, abs=0.005)
    assert abs(found.value - known) <= 4 * found.mcse


def test_one_change_is_judged_as_it_is_alone() -> None:
    delta = np.random.default_rng(4).standard_normal((100_000, 1))
    critical = simultaneous(delta, np.zeros(1), 0, RULE).critical
    assert abs(critical.value - RULE.z_alpha) <= 4 * critical.mcse


def test_changes_that_are_one_and_the_same_cost_nothing() -> None:
    delta = np.repeat(np.random.default_rng(4).standard_normal((50_000, 1)), 9, axis=1)
    critical = simultaneous(delta, np.zeros(9), 0, RULE).critical
    assert abs(critical.value - RULE.z_alpha) <= 4 * critical.mcse


def test_the_monte_carlo_errors_are_those_of_ensembles_drawn_again() -> None:
    """Over 300 ensembles an sd is known to 4.1 %; four of these are allowed."""
    rng = np.random.default_rng(6)
    found = [
        simultaneous(4 + np.diff(np.exp(0.3 * rng.standard_normal((1500, 8))), axis=1), at, 0, RULE)
        for at in np.tile([3.7, *[4.0] * 6], (300, 1))  # the first change has a bias of .3
    ]
    for name in ("critical", "statistic", "half_width"):
        values = np.array([np.atleast_1d(getattr(one, name).value)[0] for one in found])
        errors = np.array([np.atleast_1d(getattr(one, name).mcse)[0] for one in found])
        assert np.std(values, ddof=1) == pytest.approx(errors.mean(), rel=0.17), name


# --- what it is for -------------------------------------------------------------------------------


def test_no_change_in_any_year_gives_a_false_alarm_in_one_family_of_twenty() -> None:
    """4,000 worlds whose estimates err by the law of the draws; and 39 % of them unadjusted."""
    worlds = independent_years(12, 4_000, 7, "consecutive")
    delta = independent_years(12, 100_000, 8, "consecutive")
    found = simultaneous(delta, np.zeros(11), 0, RULE)
    statistic = np.abs(worlds) / delta.std(axis=0, ddof=1)
    alarms = (statistic > found.critical.value).any(axis=1).mean()
    assert abs(alarms - 0.05) <= 4 * np.sqrt(0.05 * 0.95 / 4_000) + 0.002  # c's own error
    alone = (statistic > RULE.z_alpha).any(axis=1).mean()
    assert abs(alone - found.false_alarm.value) <= 4 * np.sqrt(0.39 * 0.61 / 4_000)


def test_verdicts_have_the_direction_of_the_estimate_and_wait_near_the_limit() -> None:
    delta = independent_years(6, 20_000, 9, "consecutive")
    sd = delta.std(axis=0, ddof=1)
    c = simultaneous(delta, np.zeros(5), 0, RULE).critical.value
    observed = sd * np.array([-1.2 * c, 1.2 * c, c, 0.8 * c, 0.0])
    assert simultaneous(observed + delta, observed, 0, RULE).verdict.tolist() == [
        "decrease",
        "increase",
        "needs more draws",
        "not detectable",
        "not detectable",
    ]


def test_more_draws_do_not_move_the_limit() -> None:
    few, many = (
        simultaneous(independent_years(12, draws, 10, "consecutive"), np.zeros(11), 0, RULE)
        for draws in (2_000, 128_000)
    )
    reach = 4 * np.hypot(few.critical.mcse, many.critical.mcse)
    assert abs(few.critical.value - many.critical.value) <= reach
    assert few.critical.mcse == pytest.approx(8 * many.critical.mcse, rel=0.5)


def test_twice_the_draws_seldom_turn_a_verdict_round() -> None:
    """Estimates all around the limit: what is decided at 1,000 draws flips in 1 % of cases at most.

    2,400 changes in 400 ensembles; a rate of 1 % would show as at most 43 with four standard
    errors, were they independent.
    """
    flips = decided = 0
    for seed in range(400):
        delta = independent_years(7, 2_000, 100 + seed, "consecutive")
        observed = 2.6 * np.sqrt(2) * np.array([0.8, 0.9, 0.97, 1.03, 1.1, 1.2])
        delta += observed
        early, late = (simultaneous(d, observed, 0, RULE).verdict for d in (delta[:1_000], delta))
        both = (early != "needs more draws") & (late != "needs more draws")
        decided += int(both.sum())
        flips += int((both & (early != late)).sum())
    assert decided > 1_000
    assert flips <= 0.01 * decided + 4 * np.sqrt(0.01 * decided)


def test_a_direction_holds_whatever_the_rejected_draws_were() -> None:
    delta = independent_years(6, 20_000, 11, "consecutive")
    sd = delta.std(axis=0, ddof=1)
    largest = np.abs((delta - delta.mean(axis=0)) / sd).max(axis=1)
    observed = 3.0 * sd  # beyond c = 2.54
    delta += observed - delta.mean(axis=0)
    assert set(simultaneous(delta, observed, 0, RULE).verdict) == {"increase"}
    # Of 20,500 draws 1,025 may lie beyond: 500 rejected ones leave 525 of those accepted.
    worst = np.sort(largest)[-525]
    assert worst < 3.0
    assert set(simultaneous(delta, observed, 500, RULE).verdict) == {"increase"}
    assert set(simultaneous(delta, observed, 1_100, RULE).verdict) == {"not detectable"}


def test_errors_that_shrink_over_the_years_give_no_more_false_alarms() -> None:
    """Errors of 60 % that become 5 % over three years, correlating by .95: draws have a bias of up
    to half an sd, and the limit c sd alone would be passed more often than it says. 20,000 worlds.
    """
    s = np.sqrt(np.log1p(np.square([0.6, 0.2, 0.05])))
    rng = np.random.default_rng(13)

    def errors(many: int) -> F64:
        lasting, own = rng.standard_normal((many, 1)), rng.standard_normal((many, 3))
        return np.diff(s * (np.sqrt(0.95) * lasting + np.sqrt(0.05) * own) - s * s / 2, axis=1)

    worlds, W = errors(20_000), errors(100_000)
    found = simultaneous(W, np.zeros(2), 0, RULE)  # draws about an estimate of zero
    b, sd = W.mean(axis=0), W.std(axis=0, ddof=1)
    assert found.half_width.value == pytest.approx(found.critical.value * sd + np.abs(b), rel=1e-9)
    assert (found.statistic.value == 0).all()
    error = 4 * np.sqrt(0.05 * 0.95 / 20_000)
    assert (np.abs(worlds) > found.half_width.value).any(axis=1).mean() <= 0.05 + error
    assert (np.abs(worlds) > found.critical.value * sd).any(axis=1).mean() > 0.05 + error


def test_a_false_alarm_has_the_bounds_of_rejected_draws() -> None:
    found = simultaneous(independent_years(6, 900, 3, "consecutive"), np.zeros(5), 100, RULE)
    p = float(found.false_alarm.value)
    assert found.false_alarm_low.value == pytest.approx(0.9 * p)
    assert found.false_alarm_high.value == pytest.approx(0.9 * p + 0.1)


def test_too_few_draws_decide_nothing() -> None:
    delta = independent_years(6, 8, 12, "consecutive")
    found = simultaneous(100 + delta, 100 * np.ones(5), 0, RULE)
    assert set(found.verdict) == {Verdict.NEEDS_MORE_DRAWS.value}


# --- by counting ----------------------------------------------------------------------------------


def tails_of(against: list[int], draws: int = 100_000, rejected: int = 0) -> families.Counted:
    m = len(against)
    return counted(np.array(against), np.full(m, draws), np.full(m, rejected), RULE)


def test_p_counts_the_draw_that_is_the_estimate() -> None:
    tails = tails_of([0, 24, 600], draws=999)
    assert tails.value.value.tolist() == [0.002, 0.05, 1.0]
    assert tails_of([24], draws=999, rejected=10).value.value[0] == pytest.approx(70 / 1010)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_are_ordered_as_theory_has_it(ps: list[float]) -> None:
    p = np.array(ps)
    m = len(p)
    hochberg, yekutieli, stepped = benjamini_hochberg(p), benjamini_yekutieli(p), holm(p)
    harmonic = np.sum(1 / np.arange(1, m + 1))
    tiny = 1e-12
    assert (p <= hochberg + tiny).all()
    assert (hochberg <= yekutieli + tiny).all()
    assert (hochberg <= stepped + tiny).all()
    assert (p <= stepped).all()
    assert (stepped <= np.minimum(1, m * p) + tiny).all()
    assert (yekutieli <= np.minimum(1, hochberg * harmonic) + tiny).all()
    order = np.argsort(p)
    for each in (hochberg, yekutieli, stepped):
        assert (np.diff(each[order]) >= -tiny).all()
    shuffled = np.random.default_rng(m).permutation(m)
    assert holm(p[shuffled]) == pytest.approx(stepped[shuffled])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=20))
def test_an_adjusted_verdict_is_never_bolder_than_the_plain_one(against: list[int]) -> None:
    tails = tails_of(against)
    observed = -np.ones(len(against))
    plain = by_counting(tails, observed, lambda p: p, RULE)
    for adjust in (holm, benjamini_hochberg, benjamini_yekutieli):
        found = by_counting(tails, observed, adjust, RULE)
        assert not ((found == "decrease") & (plain != "decrease")).any()
        assert not ((plain == "not detectable") & (found != "not detectable")).any()


def test_the_textbook_example_of_the_false_discovery_rate() -> None:
    """Benjamini & Hochberg (1995), section 3.2: of fifteen, four are found, Bonferroni's three."""
    p = np.array(
        [.0001, .0004, .0019, .0095, .0201, .0278, .0298, .0344, .0459, .3240, .4262, .5719, .6528,
         .7590, 1.0]
    )  # fmt: skip
    assert (benjamini_hochberg(p) <= 0.05).sum() == 4
    assert (holm(p) <= 0.05).sum() == 3
    assert (benjamini_yekutieli(p) <= 0.05).sum() == 3


def test_holm_needs_draws_in_the_smallest_tail() -> None:
    assert holm_needs(11, RULE) == 4_400
    assert holm_needs(66, RULE) == 26_400
    few, enough = tails_of([0] * 11, draws=4_399), tails_of([0] * 11, draws=4_400)
    observed = np.ones(11)
    assert set(by_counting(few, observed, holm, RULE, 4_400)) == {"needs more draws"}
    assert set(by_counting(enough, observed, holm, RULE, 4_400)) == {"increase"}


def test_what_the_counting_cannot_tell_needs_more_draws() -> None:
    """At 10,000 draws a tail of 2.5 % is known to 0.4 points."""
    tails = tails_of([249, 200, 300], draws=10_000)
    alone = by_counting(tails, np.ones(3), lambda p: p, RULE)
    assert alone.tolist() == ["needs more draws", "increase", "not detectable"]


def test_the_error_of_an_adjusted_p_is_the_factor_s_own() -> None:
    tails = tails_of([10, 5_000, 20_000], draws=100_000)
    found = adjusted(tails, holm)
    assert found.value[0] == pytest.approx(3 * tails.value.value[0])
    assert found.mcse[0] == pytest.approx(3 * tails.value.mcse[0])


def test_examples() -> None:
    assert doctest.testmod(families).failed == 0
