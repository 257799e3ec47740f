"""Decoupling and databases: closed forms against many draws, intervals that hold what they say.

Sampled numbers must lie within four of their own Monte Carlo standard errors of the truth, which a
correct kernel fails once in 16,000 comparisons; seeds are fixed.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from report_world import World, ensemble
from scipy.stats import norm

from engine.analysis import (
    BetweenDatabases,
    Decoupling,
    Output,
    Published,
    Span,
    databases_table,
    databases_text,
    decoupling_table,
    decoupling_text,
)
from engine.kernels.between import between
from engine.kernels.changes import DetectionRule
from engine.kernels.decoupling import decoupling, p_below, sigma_of_growth

RULE = DetectionRule()


def test_growth_has_the_variance_of_a_difference() -> None:
    a = math.sqrt(math.log1p(0.02**2))
    assert sigma_of_growth(0.02, 0.02, 0.0) == pytest.approx(a * math.sqrt(2))
    assert sigma_of_growth(0.02, 0.02, 1.0) == 0
    assert sigma_of_growth(0.0, 0.02, 0.7) == pytest.approx(a)


def test_probabilities_are_those_of_two_independent_normal_laws() -> None:
    s, mean, g, sigma = 0.04, -0.03, 0.02, 0.015
    delta = mean + s * np.random.default_rng(9).standard_normal(40_000)
    found = decoupling(delta, np.array(mean), g, sigma)
    absolute = norm.cdf(-mean / s) * norm.cdf(g / sigma)
    relative = norm.cdf((g - mean) / math.hypot(s, sigma))
    for name, exact in (("p_absolute", absolute), ("p_relative", relative)):
        for mirrored in ("", "_reflected"):
            error = found[f"{name}{mirrored}_mcse"]
            assert abs(found[f"{name}{mirrored}"] - exact) < 4 * error
    assert found["p_gdp_rose"] == pytest.approx(norm.cdf(g / sigma))


def test_they_are_what_drawing_gdp_beside_each_draw_would_count() -> None:
    rng = np.random.default_rng(10)
    delta = rng.gamma(3.0, 0.02, 4000) - 0.08
    found = decoupling(delta, np.array(-0.02), 0.01, 0.02)
    growth = 0.01 + 0.02 * rng.standard_normal((4000, 400))
    counted = float(np.mean(delta[:, None] < growth))
    assert abs(found["p_relative"] - counted) < 4 * 0.5 / math.sqrt(4000 * 400)
    both = float(np.mean((delta[:, None] < 0) & (growth > 0)))
    assert abs(found["p_absolute"] - both) < 4 * 0.5 / math.sqrt(400)


def test_probabilities_hold_whatever_the_rejected_draws_did() -> None:
    delta = np.random.default_rng(12).normal(-0.03, 0.04, 900)
    found = decoupling(delta, np.array(-0.03), 0.02, 0.015, 100)
    for name in ("p_absolute", "p_relative", "p_absolute_reflected", "p_relative_reflected"):
        assert found[f"{name}_low"] == pytest.approx(0.9 * found[name])
        assert found[f"{name}_high"] == pytest.approx(0.9 * found[name] + 0.1)
    gdp = (Output("NLD", 2000, 100.0, 0.01), Output("NLD", 2005, 110.0, 0.01))
    asked = Decoupling(Span(2000, 2005), gdp, 0.5, "assumption")
    (row,) = decoupling_table(ensemble(World(rejected=0.1)), asked, RULE)
    a = row["acceptance"]
    assert a < 1
    for name in ("p_absolute", "p_relative"):
        assert row[f"{name}_high"] == pytest.approx(a * row[name] + 1 - a)


def test_gdp_without_an_error_is_a_plain_count() -> None:
    delta = np.array([-0.02, -0.01, 0.0, 0.01, 0.02, 0.03])
    found = decoupling(delta, np.array(0.0), 0.01, 0.0)
    assert found["p_absolute"] == pytest.approx(2 / 6)
    assert found["p_relative"] == pytest.approx(3 / 6)
    assert p_below(np.array(0.01), 0.01, 0.0) == 0
    assert decoupling(delta, np.array(0.0), -0.01, 0.0)["p_absolute"] == 0


def test_consumers_without_gdp_are_left_out_with_a_word() -> None:
    made = ensemble(World(consumers=("NLD", "BEL"), draws=512))
    output = tuple(Output("NLD", year, 700.0 + year - 2000, 0.01) for year in (2000, 2005))
    asked = Decoupling(Span(2000, 2005), output, 0.9, "assumption")
    told, left = decoupling_table(made, asked, RULE)
    assert told["left_out"] == ""
    assert told["gdp_change"] == pytest.approx(5 / 700)
    assert told["intensity_change"] == pytest.approx((198.5 / 187.2) / (705 / 700) - 1)
    assert told["p_absolute"] <= told["p_relative"]
    assert told["p_absolute"] <= told["p_decrease"]
    assert left["left_out"] == "no GDP of 2000 and 2005"
    assert left["p_absolute"] is None
    assert "BEL, CO2 left out: no GDP of 2000 and 2005" in decoupling_text([told, left])
    assert decoupling_table(made, None, RULE) == []
    for world, word in ((World(rho=1.0, draws=64), "no error"), (World(shift=180.0), "logarithm")):
        row = decoupling_table(ensemble(world), asked, RULE)[0]
        assert word in row["left_out"]


# --- between databases ----------------------------------------------------------------------------


def test_two_databases_have_the_sd_of_half_their_difference() -> None:
    first, second = np.array([0.0, 0.1, 0.1]), np.array([5.0, 5.0, 5.04])
    found = between(np.stack([first, second]))
    assert found is not None
    apart = np.diff(first) - np.diff(second)
    # Two deviations of +-d/2 and one degree of freedom a year.
    assert found.sigma == pytest.approx(math.sqrt(np.mean(np.square(apart) / 2)))
    assert (found.databases, found.changes) == (2, 4)


@pytest.mark.parametrize(("n", "years"), [(2, 2), (3, 6), (5, 12)])
def test_degrees_of_freedom_of_a_full_table(n: int, years: int) -> None:
    found = between(np.random.default_rng(1).standard_normal((n, years)))
    changes = years - 1
    exact = (n - 1) * changes**2 / (changes + (changes - 1) / 2)
    assert found is not None
    assert found.freedom == pytest.approx(exact)
    assert found.low < found.sigma < found.high


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Errors new every year, five databases, ten years: sigma of a change is sqrt(2) times theirs.

    Satterthwaite's chi-square is an approximation: within two points of 95 % in 2000 worlds, whose
    own standard error is 0.5 points.
    """
    rng = np.random.default_rng(12)
    truth, inside = 0.03 * math.sqrt(2), 0
    for _ in range(2000):
        level = rng.standard_normal((5, 1)) + rng.standard_normal(10)
        found = between(level + 0.03 * rng.standard_normal((5, 10)))
        assert found is not None
        inside += found.low < truth < found.high
    assert abs(inside / 2000 - 0.95) < 0.02


def test_gaps_and_lone_databases_tell_nothing() -> None:
    table = np.full((3, 4), np.nan)
    table[0] = [1.0, 1.1, 1.2, 1.3]
    assert between(table) is None
    table[1, 2:] = [2.0, 2.2]
    found = between(table)
    assert found is not None
    assert (found.databases, found.changes) == (2, 2)


def test_a_model_with_less_error_than_databases_differ_by_is_warned_of() -> None:
    made = ensemble(World(s=0.02, rho=0.95, draws=512))
    rng = np.random.default_rng(2)
    rows = tuple(
        Published(name, "NLD", "CO2", year, 190 * math.exp(0.05 * rng.standard_normal()))
        for name in "ABCD"
        for year in range(1999, 2006)
    )
    (row,) = databases_table(made, BetweenDatabases(rows, "assumption"), RULE)
    assert (row["databases"], row["first_year"], row["last_year"]) == (4, 1999, 2005)
    assert row["model_smaller"]
    assert row["beyond_doubt"]
    assert "warning: NLD, CO2" in databases_text([row])
    wide = ensemble(World(s=0.3, rho=0.0, draws=512))
    (other,) = databases_table(wide, BetweenDatabases(rows, "assumption"), RULE)
    assert not other["model_smaller"]
    assert "warning" not in databases_text([other])
    assert databases_table(made, None, RULE) == []
