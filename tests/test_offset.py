"""The offset abroad: orthants of a bivariate law, shares of a fall, and when neither is told.

Sampled numbers must lie within four of their own Monte Carlo standard errors of the truth, which a
correct kernel fails once in 16,000 comparisons; seeds are fixed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from report_world import World, ensemble

from engine.analysis import Span, offset_table, offset_text
from engine.errors import InputError
from engine.kernels.changes import DetectionRule
from engine.kernels.offset import NO_FALL, Part, offset

RULE = DetectionRule()
DRAWS = 40_000


def found(home: tuple[float, float], abroad: tuple[float, float], rho: float) -> dict[str, Any]:
    """Changes given as (mean, sd) of ln F, from 100 at home and abroad, with correlation rho."""
    u, v = np.random.default_rng(6).standard_normal((2, DRAWS))
    w = rho * u + math.sqrt(1 - rho * rho) * v
    parts = []
    for (mean, sd), error in ((home, u), (abroad, w)):
        last = 100 * np.exp(mean + sd * error)
        parts.append(
            Part(np.full(DRAWS, 100.0), last, np.array(100.0), np.array(100 * math.exp(mean)))
        )
    none = np.zeros(DRAWS)
    return offset(*parts, none, none, RULE)


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.7])
def test_with_no_change_the_corners_are_those_of_a_normal_law(rho: float) -> None:
    """P(U < 0, V > 0) = 1/4 - asin(rho) / 2 pi (Sheppard 1899)."""
    got = found((0.0, 0.1), (0.0, 0.1), rho)
    corner = 0.25 - math.asin(rho) / (2 * math.pi)
    exact = {
        "p_offset": corner,
        "p_opposite": corner,
        "p_both_fell": 0.5 - corner,
        "p_both_rose": 0.5 - corner,
        "p_home_fell": 0.5,
        "p_abroad_rose": 0.5,
    }
    for name, p in exact.items():
        for mirrored in ("", "_reflected"):
            error = got[f"{name}{mirrored}_mcse"]
            assert abs(got[f"{name}{mirrored}"] - p) < 4 * error
    assert math.isnan(got["share_median"])


def test_the_share_of_a_sure_fall_is_the_ratio_of_the_changes() -> None:
    got = found((-0.5, 0.02), (0.2, 0.05), 0.0)
    fall, rise = 1 - math.exp(-0.5), math.exp(0.2) - 1
    assert got["p_offset"] > 0.999
    assert abs(got["share_median"] - rise / fall) < 4 * got["share_median_mcse"] + 2e-3
    assert got["share_low"] < 0.35 < rise / fall < got["share_high"]


@pytest.mark.parametrize(("z", "told"), [(2.2, True), (1.7, False)])
def test_the_share_is_told_where_the_fall_is_probable_enough(z: float, told: bool) -> None:
    got = found((-0.05 * z, 0.05), (0.01, 0.05), 0.0)
    assert (got["p_home_fell"] >= 1 - NO_FALL) == told
    assert bool(np.isfinite(got["share_median"])) == told


def counted_falls(draws: int, others: int, rejected: int = 0) -> dict[str, Any]:
    """Home falls in all draws but so many, and by as much in the mirror; the first are rejected."""
    rng = np.random.default_rng(8)
    order = np.sort(rng.normal(0, 0.05, draws - rejected))
    delta = order - (order[-others - 1] + order[-others]) / 2 if others else order - order[-1] - 0.1
    delta = np.concatenate([np.full(rejected, np.nan), delta])
    one, none = np.full(draws, 100.0), np.zeros(draws)
    home = Part(
        one, 100 * np.exp(delta), np.array(100.0), np.array(100 * np.exp(np.nanmean(delta)))
    )
    last = 100 * np.exp(rng.normal(0.01, 0.05, draws))
    return offset(home, Part(one, last, np.array(100.0), np.array(101.0)), none, none, RULE)


@pytest.mark.parametrize(
    ("others", "rejected", "told"),
    [
        (0, 0, True),
        (100, 0, True),
        (240, 0, False),  # 2.4 % of the draws, and 2.5 % within their Monte Carlo error
        (100, 100, True),
        (100, 140, False),  # with all rejected draws 2.4 %
        (0, 300, False),
    ],
)
def test_the_share_is_told_where_neither_chance_nor_rejected_draws_can_turn_it(
    others: int, rejected: int, told: bool
) -> None:
    got = counted_falls(10_000, others, rejected)
    assert bool(np.isfinite(got["share_median"])) == told
    a = 1 - rejected / 10_000
    for name in ("p_offset", "p_both_fell", "p_both_rose", "p_opposite", "p_home_fell"):
        for ending in ("", "_reflected"):
            p = got[name + ending]
            assert got[f"{name}{ending}_low"] == pytest.approx(a * p)
            assert got[f"{name}{ending}_high"] == pytest.approx(a * p + 1 - a)


def test_parts_without_an_error_of_change_are_not_assessed() -> None:
    got = found((-0.5, 0.0), (0.2, 0.05), 0.0)
    assert not got["assessed"]
    assert math.isnan(got["p_offset"])
    assert math.isnan(got["share_median"])


# --- with labels ----------------------------------------------------------------------------------


def test_home_is_the_total_less_the_foreign_part() -> None:
    made = ensemble(World(consumers=("NLD", "BEL"), draws=512))
    rows = offset_table(made, Span(2000, 2005), RULE)
    pairs = [(row["from_year"], row["to_year"]) for row in rows]
    assert pairs[:2] == [(2000, 2005)] * 2
    assert len(pairs) == 2 * 6
    for row in rows:
        cell = made.sel(stressor=row["stressor"], consumer=row["consumer"])
        both = cell["footprint"].sel(year=[row["from_year"], row["to_year"]])
        change = both.diff("year").isel(year=0)
        home = (change.sel(part="domestic") + change.sel(part="direct")).to_numpy()
        abroad = change.sel(part="foreign").to_numpy()
        assert row["p_offset"] == np.mean((home < 0) & (abroad > 0))
        assert row["home_change_sd"] == pytest.approx(home.std(ddof=1))
        assert row["correlation"] == pytest.approx(np.corrcoef(home, abroad)[0, 1])
    assert "Nothing is said of causes" in offset_text(rows)


def test_some_rejected_draws_bound_the_probability() -> None:
    row = offset_table(ensemble(World(rejected=0.1)), Span(2000, 2005), RULE)[0]
    assert row["p_offset_high"] - row["p_offset_low"] == pytest.approx(1 - row["acceptance"])
    assert row["p_offset_low"] == pytest.approx(row["acceptance"] * row["p_offset"])


def test_a_year_or_part_the_run_does_not_have_is_refused() -> None:
    assert offset_table(ensemble(World(draws=64)), None, RULE) == []
    with pytest.raises(InputError, match="no year 1990"):
        offset_table(ensemble(World(draws=64)), Span(1990, 2005), RULE)
    with pytest.raises(InputError, match="no foreign part"):
        offset_table(ensemble(World(parts=("total",), draws=64)), Span(2000, 2005), RULE)
