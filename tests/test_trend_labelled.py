"""Trends with labels: rows, text, configuration and page say the same, and say what they assume."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from report_world import World, ensemble, subject

from configs import SERIAL, SMALL, loaded
from engine import workflow
from engine.analysis import (
    RealVariability,
    Trend,
    to_csv,
    to_json,
    trend_table,
    trend_text,
    years_to_detect_table,
    years_to_detect_text,
)
from engine.config.asked import remembered, to_remember
from engine.errors import ConfigError
from engine.kernels.changes import DetectionRule
from engine.kernels.trend import ar1_correlation, slope, years_to_detect
from engine.report import write
from engine.report.matter import Matter
from engine.report.numbers import NBSP, number
from engine.report.years import years_section

RULE = DetectionRule()
REAL = RealVariability(0.02, 0.3, "a study")
ASKED = Trend((2.0, 3.0, 5.0), (REAL,))
YEARS = tuple(range(2000, 2012))
FALLING = World(
    years=YEARS,
    path=tuple(190 * 0.975**t * (1 + 0.01 * (-1) ** t) for t in range(12)),
    draws=1024,
)


def trends(world: World, asked: Trend = ASKED) -> list[dict[str, Any]]:
    return trend_table(ensemble(world), RULE, asked)


def outlook(world: World, asked: Trend = ASKED) -> list[dict[str, Any]]:
    return years_to_detect_table({"central": ensemble(world)}, "central", RULE, asked)


def total(rows: list[dict[str, Any]], **labels: Any) -> list[dict[str, Any]]:
    wanted = {"part": "total"} | labels
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


# --- slopes ---------------------------------------------------------------------------------------


def test_a_row_holds_the_slope_of_its_draws() -> None:
    drawn, rows = ensemble(FALLING), trends(FALLING)
    assert len(rows) == 4 * 2  # parts, and with and without real variability
    z = np.log(drawn["footprint"].sel(part="foreign").to_numpy()[:, :, 0, 0])
    centre = np.log(drawn["reference"].sel(part="foreign").to_numpy()[:, 0, 0])
    t = np.array(YEARS, dtype=float)
    added = {0.0: np.zeros((12, 12)), 0.02: 0.02**2 * ar1_correlation(t, 0.3)}
    for row in total(rows, part="foreign"):
        known = slope(centre, np.cov(z.T) + added[row["real_sd"]], t)
        assert row["slope_percent"] == pytest.approx(100 * np.expm1(known.value))
        assert row["error_percent"] == pytest.approx(
            100 * np.exp(known.value) * known.error, rel=0.02
        )
        assert row["slope_low_percent"] < row["slope_percent"] < row["slope_high_percent"]
        assert (row["from_year"], row["to_year"], row["years"]) == (2000, 2011, 12)
        assert (row["consumer"], row["stressor"], row["unit"]) == ("NLD", "CO2", "Mt")


def test_two_questions_are_kept_apart() -> None:
    alone, with_real = total(trends(FALLING))
    assert (alone["variability"], alone["real_source"]) == ("measurement error alone", "")
    assert with_real["real_source"] == "a study"
    assert with_real["error_percent"] > alone["error_percent"]
    assert with_real["p_decrease"] <= alone["p_decrease"]
    assert alone["method"] != with_real["method"]
    assert alone["verdict"] == with_real["verdict"] == "falling"
    assert alone["scatter_percent"] is not None
    short = World(years=YEARS[:9], path=FALLING.path[:9], draws=256)
    assert all(row["scatter_percent"] is None for row in trends(short))


def test_the_order_of_the_years_does_not_matter() -> None:
    drawn = ensemble(World(draws=256))
    turned = drawn.isel(year=[3, 0, 5, 1, 4, 2])
    assert trend_table(turned, RULE, ASKED) == trend_table(drawn, RULE, ASKED)


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (World(rho=1.0, draws=256), "no error"),
        (World(s=0.0, draws=256), "no error"),
        (World(shift=180.0, s=0.1, draws=256), "not positive"),
        (World(rejected=1.0, draws=256), "too few draws"),
    ],
)
def test_what_cannot_be_assessed_says_why(world: World, reason: str) -> None:
    for rows, answer in ((trends(world), "verdict"), (outlook(world), "years")):
        for row in rows:
            # With real variability the slope has an error, whatever the draws lack.
            if answer == "verdict" and row["real_sd"] and reason == "no error":
                assert row["verdict"] != "not assessed"
                continue
            assert reason in row["reason"]
            assert row[answer] in ("not assessed", None)
        json.loads(to_json({"rows": rows}))
        assert len({tuple(row) for row in rows}) == 1
    assert reason in trend_text(trends(world, Trend()))
    assert reason in years_to_detect_text(outlook(world))


def test_rejected_draws_widen_what_p_may_be() -> None:
    alone, _ = total(trends(World(rejected=0.1, draws=512)))
    assert alone["acceptance"] == pytest.approx(0.9, abs=0.01)
    width = alone["p_decrease_high"] - alone["p_decrease_low"]
    assert width == pytest.approx(1 - alone["acceptance"])


def test_a_run_that_may_look_no_more_leaves_open_verdicts_borderline() -> None:
    world = World(path=tuple(180 * 0.988**t for t in range(6)), draws=256, parts=("total",))
    rows = trend_table(ensemble(world), RULE, Trend())
    last = trend_table(ensemble(world), RULE, Trend(), final=True)
    assert rows[0]["verdict"] == "needs more draws"
    assert last[0]["verdict"] == "borderline"


def test_a_footprint_that_fell_first_and_rose_in_the_end_shows_no_decline() -> None:
    world = World(path=(180.0, 140.0, 150.0, 180.0, 200.0, 230.0), draws=256, parts=("total",))
    (row,) = trends(world, Trend())
    assert row["slope_percent"] > 0
    assert row["earliest"] == 2001
    assert row["lasting_from"] is None
    assert "2001" not in trend_text([row])


# --- years to detect ------------------------------------------------------------------------------


def test_years_are_those_of_the_law_that_the_draws_have() -> None:
    """AR(1) errors over twelve years: the fitted law is theirs, and so are the years."""
    world = replace(FALLING, draws=8192, parts=("total",), rho=0.8, s=0.12)
    s = np.log(ensemble(world)["footprint"].to_numpy()[:, :, 0, 0, 0]).std(axis=0).mean()
    for row in total(outlook(world), given="decline", correlation="lasting, fading and yearly"):

        def covariance(t: Any, real: float = row["real_sd"]) -> Any:
            return s**2 * ar1_correlation(t, 0.8) + real**2 * ar1_correlation(t, 0.3)

        known = years_to_detect(row["decline_percent"], covariance, RULE)
        assert known is not None
        assert row["years_low"] - 1 <= known <= row["years_high"] + 1
        assert row["fading"] == pytest.approx(1, abs=0.1)
        assert row["phi"] == pytest.approx(0.8, abs=0.05)
        assert row["fit_ratio"] == pytest.approx(1, abs=0.05)
        assert 0 < row["fit_ratio_mcse"] < 0.05
        assert row["years_low"] <= row["years"] <= row["years_high"]


def test_the_curve_and_the_asked_declines_are_one() -> None:
    rows = total(outlook(FALLING), correlation="lasting, fading and yearly")
    for real in (0.0, 0.02):
        curve = {
            row["years"]: row["decline_percent"]
            for row in rows
            if row["given"] == "years" and row["real_sd"] == real
        }
        assert list(curve) == list(range(1, 41))
        for row in rows:
            if row["given"] == "decline" and row["real_sd"] == real:
                enough = [n for n, least in curve.items() if least <= row["decline_percent"]]
                assert row["years"] == enough[0]
                assert row["beyond_run"] == (enough[0] > 11)


def test_the_curve_is_known_within_its_monte_carlo_error() -> None:
    """40 runs know their scatter to 11 %; 4 times that."""
    world = World(years=YEARS[:6], path=FALLING.path[:6], draws=512, parts=("total",))
    found = []
    for seed in range(40):
        rows = total(outlook(replace(world, seed=seed), Trend()), given="years")
        found.append([(row["decline_percent"], row["decline_percent_mcse"]) for row in rows[:5]])
    numbers = np.array(found)
    scatter = numbers[:, :, 0].std(axis=0, ddof=1)
    stated = np.sqrt(np.square(numbers[:, :, 1]).mean(axis=0))
    assert stated / scatter == pytest.approx(np.ones(5), abs=0.45)


def test_a_correlation_in_the_middle_is_the_worst_for_a_trend() -> None:
    rows = total(outlook(replace(FALLING, s=0.07)), given="decline", decline_percent=2.0)
    at = {row["correlation"]: row["years"] for row in rows if row["real_sd"] == 0}
    assert at["AR(1), phi = 0.5"] > at["AR(1), phi = 0"]
    assert at["AR(1), phi = 0.5"] > at["AR(1), phi = 0.9"]


def test_two_years_tell_a_bracket_and_say_so() -> None:
    world = World(years=(2000, 2001), path=(180.0, 176.0), draws=512)
    rows = total(outlook(world), given="decline", real_sd=0.0)
    laws = [row["correlation"] for row in rows if row["decline_percent"] == 3.0]
    assert laws[:2] == ["lasting and yearly", "fading alone"]
    lasting, fading = (row for row in rows[:6] if row["decline_percent"] == 3.0)
    assert lasting["lasting"] == pytest.approx(fading["phi"], abs=1e-3)
    assert lasting["fading"] == 0
    assert fading["fading"] == 1
    assert lasting["fit_ratio"] == pytest.approx(1, abs=1e-3)
    matter = Matter("NLD", "CO2", rows, RULE, "SYNTHETIC", "stem", drawn=False)
    section = years_section(matter)
    told = (*section.sentences, *section.notes, *(s for s in section.folded if isinstance(s, str)))
    said = " ".join(told).replace(NBSP, " ")
    for row, what in ((lasting, "lasts for good"), (fading, "it fades with the years")):
        assert f"{number(row['fit_ratio'], 2)} times the draws' own, if " in said
        assert what in said
    assert "can take longer than either" in said
    assert "lies between" not in said


def test_other_scenarios_have_lines_of_totals() -> None:
    both = {"central": ensemble(World(draws=256)), "bold": ensemble(World(draws=256, rho=0.2))}
    rows = years_to_detect_table(both, "bold", RULE, Trend())
    others = [row for row in rows if not row["own"]]
    assert {row["part"] for row in others} == {"total"}
    assert {row["scenario"] for row in others} == {"central"}
    assert {row["part"] for row in rows if row["own"]} == {"total", "domestic", "foreign", "direct"}
    assert "central" not in years_to_detect_text(rows)


# --- text, CSV, JSON ------------------------------------------------------------------------------


def test_text_is_one_table_of_totals() -> None:
    text = trend_text(trends(replace(FALLING, draws=256, consumers=("NLD", "BEL"))))
    assert text.count("NLD, CO2") == text.count("BEL, CO2") == 2
    assert "foreign" not in text
    assert "retrospective" in text
    assert "sd 2 %, phi 0.3" in text
    years = years_to_detect_text(outlook(FALLING))
    assert "3 % a year" in years
    assert "AR(1)" not in years
    for rows in (trends(FALLING), outlook(FALLING)):
        header, *lines = to_csv(rows).splitlines()
        assert header.startswith("stressor,unit,consumer,part")
        assert len(lines) == len(rows)
        assert list(rows[0])[:4] == ["stressor", "unit", "consumer", "part"]


# --- configuration and run ------------------------------------------------------------------------

TREND = '[trend]\ndeclines = [4.0]\nreal_variability = [{ sd = 0.02, source = "a study" }]\n'


def test_a_run_remembers_what_is_asked_and_tells_it(tmp_path: Path) -> None:
    config = loaded(
        tmp_path, SMALL, ("draws = 448", "draws = 128"), ("[method]", TREND + "[method]")
    )
    assert config.asked.trend == Trend((4.0,), (RealVariability(0.02, 0.0, "a study"),))
    assert remembered(json.loads(json.dumps(to_remember(config.asked)))) == config.asked
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)
    told = json.loads(workflow.detect(run, RULE, form="json"))
    assert {row["real_sd"] for row in told["trend"]} == {0.0, 0.02}
    asked = [row for row in told["years_to_detect"] if row["given"] == "decline"]
    assert {row["decline_percent"] for row in asked} == {4.0}
    text = workflow.detect(run, RULE)
    assert "Is it declining?" in text
    assert "How long until a steady decline shows" in text
    assert workflow.detect(run, RULE, form="csv", table="trend").startswith("stressor,")
    page = workflow.report(run).read_text(encoding="utf-8")
    assert "Is it declining?" in page
    assert "How long until a decline shows" in page


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('{ sd = 2.0, source = "a study" }', "0.02 is 2 %"),
        ('{ sd = 0.0, source = "a study" }', "cannot be meant"),
        ('{ sd = 0.02, phi = 1.0, source = "a study" }', "cannot be used"),
        ('{ sd = 0.02, phi = -0.5, source = "a study" }', "cannot be used"),
        ('{ sd = 0.02, source = " " }', "no source"),
        ("{ sd = 0.02 }", "source"),
        ('{ sd = 0.02, source = "a" }, { sd = 0.02, source = "b" }', "given twice"),
        ('{ sd = 0.02, source = "a", rho = 0.1 }', "unknown key `rho`"),
    ],
)
def test_real_variability_that_cannot_be_meant_is_refused(
    tmp_path: Path, entry: str, message: str
) -> None:
    section = f"[trend]\nreal_variability = [{entry}]\n"
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, SMALL, ("[method]", section + "[method]"))
    assert message in str(caught.value)
    assert "trend.real_variability.0" in caught.value.where or message == "given twice"


SLOWLY = (180.0, 180.0, 180.0, 179.9, 179.9, 179.8)


# --- the page -------------------------------------------------------------------------------------


def page_of(world: World, folder: Path, asked: Trend = ASKED) -> tuple[str, str]:
    """The words and the HTML of a page with both topics."""
    drawn: dict[str, xr.Dataset] = {
        "central": ensemble(world),
        "bold": ensemble(replace(world, s=0.08)),
    }
    topics = {
        "trend": trend_table(drawn["central"], RULE, asked),
        "years_to_detect": years_to_detect_table(drawn, "central", RULE, asked),
    }
    text = write(subject(world, topics=topics), folder).read_text(encoding="utf-8")
    plain = unescape(re.sub(r"<svg.*?</svg>|<[^>]*>", " ", text, flags=re.DOTALL))
    return " ".join(plain.replace("\xa0", " ").split()), text


def test_the_page_says_the_numbers_of_the_json(tmp_path: Path) -> None:
    words, _ = page_of(FALLING, tmp_path)
    told = json.loads((tmp_path / "verdicts.json").read_text(encoding="utf-8"))
    alone, with_real = total(told["trend"])
    assert f"falls by {-alone['slope_percent']:.2f} % a year" in words
    low, high = (
        f"{alone[f'slope_{end}_percent']:.2f}".replace("-", "−") for end in ("low", "high")
    )
    assert f"(95 % interval {low} to {high} %), which is detectable" in words
    assert f"falls by {-with_real['slope_percent']:.2f} % a year" in words
    assert "source: a study" in words
    assert "(retrospective)" in words
    assert f"first shows in {alone['earliest']}" in words
    assert f"probability of {100 * alone['false_detection']:.0f} %, not 5 %" in words
    assert (
        f"over all eleven looks together, it first shows in {alone['earliest_adjusted']}" in words
    )
    assert "Whether one year differs" in words
    for row in told["years_to_detect"]:
        if row["own"] and row["given"] == "decline" and row["part"] == "total":
            low, high = row["years_low"], row["years_high"]
            shown = f"{low}" if low == high else f"{low} to {high}"
            if row["correlation"].startswith("lasting, fading") and not row["real_sd"]:
                unit = "year" if shown == "1" else "years"
                assert f"{row['decline_percent']:g} %" in words
                assert f"after {shown} {unit}" in words


def test_the_figure_has_a_line_a_scenario_and_its_data(tmp_path: Path) -> None:
    _, text = page_of(FALLING, tmp_path)
    (figure,) = (f for f in re.findall(r"<figure>.*?</figure>", text, re.DOTALL) if "-years" in f)
    for name in (">central<", ">bold<", "with real 2"):
        assert name in figure
    rows = (tmp_path / "report-data" / "01-nld-co2-years.csv").read_text(encoding="utf-8")
    assert "bold" in rows
    assert "SYNTHETIC" in figure


@pytest.mark.parametrize(
    ("world", "said"),
    [
        (World(years=(2000, 2001), path=(180.0, 176.0), draws=256), "cannot tell whether"),
        (World(draws=256, rho=1.0), "not assessed"),
        (World(draws=256, shift=180.0, s=0.1), "no logarithm"),
        (World(draws=256, rejected=1.0), "too few draws"),
        (World(draws=256, s=0.004), "more than their errors explain"),
        (
            World(draws=256, path=(180.0, 180.0, 180.0, 179.9, 179.9, 179.8)),
            "in none of the five years",
        ),
        (World(draws=64, s=0.6, rho=0.2), "more than 40 years"),
    ],
)
def test_every_case_has_words(tmp_path: Path, world: World, said: str) -> None:
    words, _ = page_of(world, tmp_path, Trend((0.3, 3.0)))
    assert said in words
    section = words.rpartition("Is it declining?")[2].partition("Is the answer numerically")[0]
    assert not re.search(r"\b(nan|inf|None)\b", section)
    assert not re.search(r"significan|\bprove|cannot be seen", section)
    assert not re.search(r"probability[^.;]*[^.\d]100 %", section)
