"""The files beside the page: every sampled number has its Monte Carlo error, figures are JSON's."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_world import World, ensemble, subject
from test_report import table, verdicts

from engine.analysis import (
    PriorRatio,
    RealVariability,
    Span,
    Target,
    Trend,
    acceptance_table,
    along_correlation,
    offset_table,
    scenario_table,
    target_table,
    verdict_table,
    years_to_detect_table,
)
from engine.kernels.changes import DetectionRule
from engine.report import Subject, write
from engine.report.chapters import PART_TITLES
from engine.report.sections import sections

RULE = DetectionRule()
WORLDS = {
    "usual": World(),
    "raw": World(shift=180.0, s=0.1),
    "rejected": World(rejected=0.01),
    "one year": World(years=(2000,), path=(180.0,)),
}
# What is no estimate from draws: labels, what was asked, and what the published tables say.
NOT_SAMPLED = {
    *("year", "from_year", "to_year", "draws", "against", "confidence", "mode", "power", "rho"),
    "scenarios",
    *("reference", "reference_change", "relative_change", "reference_delta", "asymmetric"),
}


def with_scenarios(world: World) -> Subject:
    """A page with two more scenarios beside its own, `central`."""
    made = subject(world)
    if len(world.years) == 1:
        return made
    rows = {"central": verdict_table(made.changes)}
    for name, rho in (("forgetful", 0.4), ("large", 0.86)):
        other = subject(World(**{**_fields(world), "rho": rho, "s": 2 * world.s}))
        rows[name] = verdict_table(other.changes)
    return subject(world, topics={"scenarios": scenario_table(rows)})


def _fields(world: World) -> dict[str, Any]:
    return {name: getattr(world, name) for name in World.__dataclass_fields__}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {
        name: write(with_scenarios(world), tmp_path_factory.mktemp(name))
        for name, world in WORLDS.items()
    }


def files(page: Path) -> dict[str, list[dict[str, str]]]:
    return {path.stem: table(path) for path in (page.parent / "report-data").glob("*.csv")}


def is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


@pytest.mark.parametrize("name", WORLDS)
def test_every_sampled_number_of_a_csv_has_its_monte_carlo_error(
    pages: dict[str, Path], name: str
) -> None:
    beside = files(pages[name]) | {"verdicts": table(pages[name].parent / "verdicts.csv")}
    assert any("levels" in stem for stem in beside)
    for stem, rows in beside.items():
        for row in rows:
            for column, value in row.items():
                bound = column.startswith("rho") and stem.endswith("correlation")
                if column.endswith("_mcse") or column in NOT_SAMPLED or bound:
                    continue
                if is_number(value) and not column.endswith("_gain"):
                    assert is_number(row[f"{column}_mcse"]), (stem, column)


@pytest.mark.parametrize("name", WORLDS)
def test_levels_are_in_the_json_with_their_errors(pages: dict[str, Path], name: str) -> None:
    world, levels = WORLDS[name], verdicts(pages[name])["levels"]
    assert len(levels) == len(world.years) * len(world.parts)
    for row in levels:
        for quantity in ("mean", "median", "sd", "q025", "q250", "q750", "q975"):
            assert row[f"{quantity}_mcse"] > 0, quantity
    assert {row["part"] for row in levels} == {"total", *PART_TITLES}


@pytest.mark.parametrize("name", WORLDS)
def test_the_figures_are_drawn_from_rows_of_the_json(pages: dict[str, Path], name: str) -> None:
    """Number for number: what is printed with all its digits reads back as the same."""
    told = verdicts(pages[name])
    source = {
        "levels": told["levels"],
        "parts": told["levels"],
        "changes": told["changes"],
        "correlation": told["correlation_curves"],
        "correlation-observed": told["changes"],
        "correlation-scenarios": told.get("scenarios", []),
    }
    drawn = files(pages[name])
    assert {stem.removeprefix("01-nld-co2-") for stem in drawn} <= set(source)
    for stem, rows in drawn.items():
        same = {
            json.dumps({k: as_text(v) for k, v in row.items()})
            for row in source[stem.removeprefix("01-nld-co2-")]
        }
        for row in rows:
            kept = {name: value for name, value in row.items() if name != "data"}
            assert json.dumps(kept) in same, stem


def as_text(value: Any) -> str:
    return "" if value is None else str(value)


def test_the_other_scenarios_are_marked_by_name_and_correlation(pages: dict[str, Path]) -> None:
    page = pages["usual"]
    text = page.read_text(encoding="utf-8")
    picture = next(part for part in text.split("<figure>") if "Smallest detectable" in part)
    for name in ("central (here)", "forgetful", "large"):
        assert name in picture
    marked = files(page)["01-nld-co2-correlation-scenarios"]
    assert {row["scenario"] for row in marked} == {"forgetful", "large"}
    assert all(float(row["rho_mcse"]) > 0 for row in marked)
    assert "Dotted lines: the correlations of the other scenarios" in picture


# --- the curves over the correlation --------------------------------------------------------------


def test_along_the_correlation_stands_what_the_changes_say_at_their_own() -> None:
    """At two correlations of the grid around a change's own, sigma^2 is linear in rho."""
    drawn = ensemble(World())
    found = along_correlation(drawn, [(2000, 2001), (2002, 2003)], RULE)
    for pair, (first, last) in enumerate(((2000, 2001), (2002, 2003))):
        change = next(
            row
            for row in verdict_table(subject(World()).changes)
            if (row["from_year"], row["to_year"], row["part"]) == (first, last, "total")
        )
        at = found.isel(pair=pair, stressor=0, consumer=0)
        squares = np.square(at["detection_limit"].to_numpy() / RULE.z_alpha)
        assert np.interp(change["rho"], at["rho"], squares) == pytest.approx(
            change["sigma"] ** 2, rel=1e-9
        )
        assert np.all(np.diff(at["mdc_decrease"]) < 0)


def test_the_errors_of_the_curves_are_those_of_ensembles_drawn_again() -> None:
    """Over 200 ensembles an sd is known to 5 %; four of these are allowed: 1 in 16,000 fails.

    Unequal errors, since with equal ones sigma at a correlation of one has no first order.
    """
    seen, said = [], []
    for seed in range(200):
        one = ensemble(World(years=(2000, 2001), path=(1.0, 1.0), draws=256, seed=seed, s=0.2))
        one["footprint"][:, 1] **= 0.6
        one["reference"][1] **= 0.6
        found = along_correlation(one, [(2000, 2001)], RULE).isel(pair=0, stressor=0, consumer=0)
        at = found.sel(rho=[0.0, 0.9, 1.0])
        seen.append(at["detection_limit"].to_numpy())
        said.append(at["detection_limit_mcse"].to_numpy())
    scatter, stated = np.std(seen, axis=0, ddof=1), np.sqrt(np.mean(np.square(said), axis=0))
    np.testing.assert_allclose(stated / scatter, 1.0, atol=4 * 0.05)


def test_where_too_many_draws_are_rejected_the_curves_are_without_end() -> None:
    drawn = ensemble(World(rejected=0.2))
    found = along_correlation(drawn, [(2003, 2004), (2004, 2005)], RULE)
    assert np.isfinite(found["mdc_decrease"].isel(pair=0)).all()
    assert np.isinf(found["mdc_decrease"].isel(pair=1)).all()
    assert np.isnan(found["mdc_decrease_mcse"].isel(pair=1)).all()


# --- sections beside the verdicts -----------------------------------------------------------------

# What was asked or published, and what is exact, of the tables that figures of sections show.
OF_TOPICS = NOT_SAMPLED | {
    *("share", "limit", "estimate", "estimate_share", "base_estimate", "margin", "true_share"),
    *("prior_mean", "prior_sd", "overshoot_percent", "acceptance", "home_change"),
    *("abroad_change", "most_years", "years", "real_sd", "real_phi"),
}


def test_figures_of_sections_tell_the_error_of_every_sampled_number() -> None:
    drawn = ensemble(World(draws=512, path=(187.0, 180.0, 175.0, 170.0, 165.0, 150.0)))
    with_prior, without = (
        Target(name, 2005, (2000,), 0.85, "assumption", prior=prior)
        for name, prior in (("sure", PriorRatio(0.85, 0.05, "assumption")), ("unsure", None))
    )
    trend = Trend((3.0,), (RealVariability(0.02, 0.3, "assumption"),))
    topics = {
        "target": target_table(drawn, [with_prior, without], RULE),
        "acceptance": acceptance_table(drawn, [without], RULE),
        "offset": offset_table(drawn, Span(2000, 2005), RULE),
        "years_to_detect": years_to_detect_table({"central": drawn}, "central", RULE, trend),
    }
    made = sections(topics, "NLD", "CO2", RULE, "toy", "toy", drawn=True)
    told = [figure for section in made for figure in section.figures]
    assert len(told) == len(topics)
    for figure in told:
        for name, rows in figure.data:
            assert rows
            for row in rows:
                asked = row.get("given") == "decline"
                for column, value in row.items():
                    if not isinstance(value, float) or column.endswith("_mcse"):
                        continue
                    if column in OF_TOPICS or (asked and column == "decline_percent"):
                        continue
                    assert row[f"{column}_mcse"] is not None, (name, column)
