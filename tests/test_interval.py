"""The interval that says what the verdict says: by rank, by law, and how often it holds the truth.

Rates are held within four standard errors (false failure 1 in 16,000), with fixed seeds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict, change
from engine.kernels.equivalence import Equivalence, equivalence
from engine.kernels.interval import ends, mirrored, rank_of_end, spanning

RULE = DetectionRule()
HALF = 0.025


def of_change(first: F64, second: F64, estimates: tuple[Any, Any], rule: DetectionRule) -> Any:
    exact = np.zeros(first.shape)
    return change(first, second, *map(np.asarray, estimates), exact, exact, rule)


# --- ranks ----------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-3, 3), min_size=2, max_size=120),
    st.integers(0, 4),
    st.sampled_from([0.25, 0.1, 0.05, 0.025, 0.005]),
    st.integers(-4, 4),
)
def test_an_end_excludes_what_the_count_speaks_against(
    values: list[int], rejected: int, half: float, value: int
) -> None:
    """Ties and all: beyond the upper end exactly where (1 + count + R)/(1 + D + R) < alpha/2."""
    x = np.array(values, dtype=np.float64)
    low, high = ends(x, rejected, half).value
    # In whole numbers, for all of these halves are multiples of 1/1000.
    every = 1 + len(x) + rejected
    beyond = 1000 * (1 + int(np.sum(x >= value)) + rejected) < round(1000 * half) * every
    below = 1000 * (1 + int(np.sum(x <= value)) + rejected) < round(1000 * half) * every
    assert (value > high) == beyond
    assert (value < low) == below


def test_known_ranks() -> None:
    """Of 999 draws 24 lie beyond, for (1 + 24)/1000 is not below .025 any more."""
    assert rank_of_end(999, 0, HALF) == 24
    assert rank_of_end(1000, 0, HALF) == 25
    assert rank_of_end(39, 0, HALF) == 0
    assert rank_of_end(40, 0, HALF) == 1
    assert rank_of_end(1000, 10, HALF) == 15
    assert rank_of_end(1000, 26, HALF) == -1
    x = np.random.default_rng(1).permutation(1000.0 * np.arange(1, 1000))
    assert ends(x, 0, HALF).value.tolist() == [24_000.0, 976_000.0]


def test_where_no_draw_is_an_end_the_interval_has_none() -> None:
    for draws, rejected in ((39, 0), (1000, 26)):
        found = ends(np.arange(float(draws)), rejected, HALF)
        assert found.value.tolist() == [-np.inf, np.inf]
        assert np.isnan(found.mcse).all()
    assert np.isnan(ends(np.zeros((1, 3)), 0, HALF).value).all()


def test_mirrored_ends_are_the_ends_of_the_mirrored_draws() -> None:
    x, centre = np.random.default_rng(2).lognormal(size=(777, 5)), np.arange(5.0)
    found, expected = mirrored(ends(x, 3, HALF), centre), ends(2 * centre - x, 3, HALF)
    assert (found.value == expected.value).all()
    assert found.mcse == pytest.approx(expected.mcse, rel=1e-9)
    both = spanning(ends(x, 3, HALF), expected)
    assert (both.value[0] == np.minimum(ends(x, 3, HALF).value[0], expected.value[0])).all()
    assert (both.value[1] == np.maximum(ends(x, 3, HALF).value[1], expected.value[1])).all()
    assert both.value.sum(axis=0) == pytest.approx(2 * centre)  # in the middle is the estimate


# --- verdicts -------------------------------------------------------------------------------------


def excludes_zero(found: Any, name: str) -> Any:
    return (found[f"{name}_low"] > 0) | (found[f"{name}_high"] < 0)


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    draws=st.sampled_from([30, 150, 700, 3000]),
    rejected=st.sampled_from([0, 1, 10, 60]),
    rsds=st.sampled_from([(0.1, 0.1), (0.5, 0.1), (0.05, 0.6)]),
    confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]),
    spent=st.sampled_from([0.01, 0.5]),
    log=st.booleans(),
)
def test_a_decided_verdict_and_an_interval_without_zero_are_one(
    seed: int,
    draws: int,
    rejected: int,
    rsds: tuple[float, float],
    confidence: float,
    spent: float,
    log: bool,
) -> None:
    """No verdict with zero in its interval, no `not detectable` without: of delta, of the relative
    change and of the raw one, for changes from clear falls to clear rises."""
    rng = np.random.default_rng(seed)
    sizes = np.linspace(-4, 4, 25)
    u, v = rng.standard_normal((2, draws + rejected, len(sizes)))
    s1, s2 = (math.sqrt(math.log1p(rsd**2)) for rsd in rsds)
    first = np.exp(s1 * u - s1 * s1 / 2)
    second = np.exp(s2 * (0.8 * u + 0.6 * v) - s2 * s2 / 2)
    ratio = np.exp(sizes * math.hypot(s1, s2))
    estimates = np.ones(len(sizes)), ratio
    second = second * ratio
    if not log:  # one draw below zero makes it so
        first[0] = -0.01
    first[draws:] = np.nan
    found = of_change(first, second, estimates, DetectionRule(confidence, monte_carlo_error=spent))
    assert (found["scale"] == ("log" if log else "raw")).all()
    detected = np.isin(found["verdict"], [Verdict.DECREASE.value, Verdict.INCREASE.value])
    names = ("interval", "relative", "change") if log else ("interval", "change")
    for name in names:
        assert excludes_zero(found, name)[detected].all(), name
        assert not excludes_zero(found, name)[found["verdict"] == "not detectable"].any(), name
    assert (found["interval_high"][found["verdict"] == "decrease"] < 0).all()
    assert (found["interval_low"][found["verdict"] == "increase"] > 0).all()


def test_what_equivalence_shows_holds_the_whole_interval() -> None:
    """`No change larger than g` where it is shown, and the smallest g is the farther end."""
    rng = np.random.default_rng(5)
    u, v = rng.standard_normal((2, 4000, 40))
    first, second = np.exp(0.3 * u), np.exp(0.1 * v) * np.linspace(0.9, 1.1, 40)
    estimates, exact = (np.ones(40), np.linspace(0.9, 1.1, 40)), np.zeros(first.shape)
    percents = (30.0, 60.0, 90.0)
    found = of_change(first, second, estimates, RULE)
    told = equivalence(first, second, *estimates, exact, exact, rule=RULE, percents=percents)
    fall, rise = -100 * found["relative_low"], 100 * found["relative_high"]
    assert told["smallest_percent"] == pytest.approx(np.maximum(fall, rise), rel=1e-12)
    assert len(set(told["equivalence"].ravel())) == 3
    for percent, said in zip(percents, told["equivalence"], strict=True):
        inside = told["smallest_percent"] < percent
        assert inside[said == Equivalence.SHOWN].all()
        assert not inside[said == Equivalence.NOT_SHOWN].any()


# --- laws -----------------------------------------------------------------------------------------


def test_the_closed_form_of_unequal_errors() -> None:
    """Normal draws with a bias b about the estimate: `delta^ -+ (z sigma + |b|)`."""
    s1, s2 = (math.sqrt(math.log1p(rsd**2)) for rsd in (0.5, 0.1))
    sigma, b = math.sqrt(s1**2 + s2**2 - 2 * 0.95 * s1 * s2), (s1**2 - s2**2) / 2
    W = b + sigma * np.random.default_rng(6).standard_normal(200_000)
    found = of_change(np.ones(len(W)), np.exp(0.2 + W), (1.0, math.exp(0.2)), RULE)
    for end, sign in (("low", -1), ("high", 1)):
        truths = {
            "interval": 0.2 + sign * (1.959964 * sigma + b),
            "quantile": 0.2 + b + sign * 1.959964 * sigma,
        }
        for name, truth in truths.items():
            error = found[f"{name}_{end}_mcse"]
            assert abs(found[f"{name}_{end}"] - truth) <= 4 * error, name
            assert 0.5 < error / (2.671 * sigma / math.sqrt(len(W))) < 2
    assert found["relative_low"] == pytest.approx(math.expm1(found["interval_low"]), rel=1e-12)


def test_a_law_that_is_symmetric_about_the_estimate_has_one_interval() -> None:
    """Exactly where draws mirror each other exactly; the order of ranks then changes nothing."""
    z = np.random.default_rng(7).standard_normal(5000)
    delta = 0.3 + 0.1 * np.concatenate([z, -z])
    found = of_change(np.ones(len(delta)), np.exp(delta), (1.0, math.exp(0.3)), RULE)
    for end in ("low", "high"):
        alone, both = found[f"quantile_{end}"], found[f"interval_{end}"]
        assert abs(both - alone) < found[f"interval_{end}_mcse"] / 2


def test_the_raw_change_is_mirrored_where_delta_is() -> None:
    """On the log scale by F^/F, the factor of a draw's error; on the raw one by the difference."""
    rng = np.random.default_rng(8)
    first, second = np.exp(0.5 * rng.standard_normal((2, 2000)))
    found = of_change(first, 2 * second, (1.0, 2.0), RULE)
    raw = np.sort([2 * second - first, 2 / second - 1 / first])
    m = rank_of_end(2000, 0, HALF)
    assert found["change_low"] == pytest.approx(raw[:, m - 1].min(), rel=1e-12)
    assert found["change_high"] == pytest.approx(raw[:, -m].max(), rel=1e-12)
    first[0] = -1.0
    found = of_change(first, 2 * second, (1.0, 2.0), RULE)
    for end in ("low", "high"):
        assert found[f"change_{end}"] == pytest.approx(found[f"interval_{end}"], rel=1e-12)


# --- how often it holds the truth -----------------------------------------------------------------


@pytest.mark.parametrize("draws", [60, 199])
def test_the_truth_is_held_as_often_as_said_whatever_the_law(draws: int) -> None:
    """Errors of a skewed law, known only by so many draws; 20,000 worlds whose truth is zero.

    The mirrored interval misses with probability m/(D + 1) on either side, exactly; that of the
    draws alone misses far too often, and what spans both never more than the mirrored one.
    """
    worlds, rng = 20_000, np.random.default_rng(9)
    estimate = rng.exponential(size=worlds) - 1
    drawn = ends(estimate + rng.exponential(size=(draws, worlds)) - 1, 0, HALF)
    back = mirrored(drawn, estimate)
    m = rank_of_end(draws, 0, HALF)
    for missed in (back.value[0] > 0, back.value[1] < 0):
        rate = m / (draws + 1)
        assert abs(missed.mean() - rate) <= 4 * math.sqrt(rate * (1 - rate) / worlds)
    both = spanning(drawn, back)

    def held(low: F64, high: F64) -> float:
        return float(np.mean((low <= 0) & (high >= 0)))

    assert held(*both.value) >= held(*back.value)
    assert held(*both.value) >= 0.95 - 4 * math.sqrt(0.05 * 0.95 / worlds)
    assert held(*drawn.value) < 0.92
