"""Targets, offset, decoupling and databases, from a configuration to detect and the page."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from report_world import World, ensemble, subject

from configs import SERIAL, SMALL, loaded
from engine import workflow
from engine.analysis import (
    BetweenDatabases,
    Decoupling,
    Output,
    PriorRatio,
    Published,
    Span,
    Target,
    acceptance_table,
    acceptance_text,
    databases_table,
    databases_text,
    decoupling_table,
    decoupling_text,
    offset_table,
    offset_text,
    target_table,
    target_text,
)
from engine.errors import FootfallError
from engine.kernels.changes import DetectionRule
from engine.report import numbers, write
from engine.report.matter import Matter
from engine.report.offset import offset_section
from engine.report.targets import target_section
from engine.workflow.checking import check

ASKED = """
[[targets]]
name = "a fifth less"
year = 2002
base_year = 2000
reduction = 20
source = "assumption"

[[targets]]
name = "no more"
year = 2002
base_years = [2000, 2001]
share = 1.05
consumers = ["R0"]
source = "assumption"
prior = { mean = 1.0, sd = 0.1, source = "assumption" }

[offset]

[decoupling]
gdp = "gdp.csv"
rsd = 0.01
correlation = 0.5
source = "SYNTHETIC"

[between_databases]
file = "databases.csv"
source = "SYNTHETIC"

[method]"""
GDP = "consumer,year,gdp\nR0,2000,100\nR0,2002,104\n"
DATABASES = "database,consumer,stressor,year,footprint\n" + "".join(
    f"{name},R0,S0,{year},{10 * math.exp(0.3 * ((place * year) % 3))}\n"
    for place, name in enumerate("ABC", start=1)
    for year in (2000, 2001, 2002)
)


def files(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "gdp.csv").write_text(GDP)
    (folder / "databases.csv").write_text(DATABASES)
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    folder = files(tmp_path_factory.mktemp("asked"))
    config = loaded(folder, SMALL, ("\n[method]", ASKED))
    return workflow.run(config, folder / "run", cluster=SERIAL)


def words(page: Path) -> str:
    found: list[str] = []
    parser = HTMLParser(convert_charrefs=True)
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(page.read_text(encoding="utf-8"))
    return " ".join("".join(found).split()).replace("\xa0", " ")


def chance(row: dict[str, Any], name: str) -> str:
    """A probability of the JSON as the page prints it."""
    return numbers.probability(row[name], row["draws"]).replace("\xa0", " ")


def refuse_what_no_page_says(said: str) -> None:
    low = said.lower()
    assert not re.search(r"significan(?!t digit)|\bprove[sdn]?\b|cannot be seen|leakage", low)
    assert not re.search(r"\b(nan|NaN|inf)\b|\bNone\b(?! of)", said)
    assert not re.search(r"probability (of|that the target is met is) [<>]?\s*(100|0) %", low)


def test_every_topic_is_told_as_text_json_and_csv(run: workflow.Run) -> None:
    rule = workflow.rule_of(run)
    told = json.loads(workflow.detect(run, rule, form="json"))
    assert list(told)[-5:] == ["target", "acceptance", "offset", "decoupling", "databases"]
    text = workflow.detect(run, rule)
    for line in (
        "target a fifth less: at most 80 % of 2000 in 2002 (assumption)",
        "target no more: at most 105 % of 2000, 2001 in 2002 (assumption)",
        "offset abroad, 2000-2002",
        "decoupling, 2000-2002; GDP: SYNTHETIC",
        "pair, S0 left out: no GDP of 2000 and 2002",
        "yearly changes in several databases (SYNTHETIC)",
    ):
        assert line in text
    assert len(told["target"]) == 2 * 2 + 2
    csv = workflow.detect(run, rule, form="csv", table="target").splitlines()
    assert len(csv) == 1 + len(told["target"])
    assert "verdict" in csv[0]


def test_alpha_moves_the_acceptance_limit(run: workflow.Run) -> None:
    limits = []
    for alpha in (0.05, 0.2):
        told = workflow.detect(run, workflow.rule_of(run, alpha), form="json", table="target")
        limits.append(json.loads(told)["target"][0]["acceptance_limit"])
    assert limits[0] < limits[1]


def test_the_page_says_what_the_json_says(run: workflow.Run, tmp_path: Path) -> None:
    page = workflow.report(run, folder=tmp_path)
    said = words(page)
    told: dict[str, list[dict[str, Any]]] = json.loads((tmp_path / "verdicts.json").read_text())
    target = next(row for row in told["target"] if row["consumer"] == "R0")
    assert "Target a fifth less: at most 80 % of 2000 in 2002. The estimate" in said
    assert said.count("Target a fifth less, source: assumption.") == 1
    away = 100 * (1 - target["estimate_share"] / 0.8)
    assert target["overshoot_percent"] == pytest.approx(away)
    assert f"% {'below' if away > 0 else 'above'} the target" in said
    decimals = numbers.places(100 * target["sigma"] * target["estimate_share"])
    limit = numbers.number(100 * target["acceptance_limit_share"], decimals)
    assert f"An estimate conforms up to {limit} %" in said
    assert f"probability that the target is met is {chance(target, 'p_conforms')}" in said
    offset = next(row for row in told["offset"] if row["to_year"] - row["from_year"] == 2)
    assert f"With a probability of {chance(offset, 'p_offset')} emissions within R0" in said
    assert f"with {chance(offset, 'p_both_fell')} both fell" in said
    gdp = next(row for row in told["decoupling"] if not row["left_out"])
    assert "real GDP rose by 4.0 %" in said
    assert f"(absolute decoupling); with {chance(gdp, 'p_relative')} it grew less" in said
    assert "2000–2002: left out, no GDP of 2000 and 2002." in said
    assert (
        "Warning: the error model of this page leaves a yearly change a standard uncertainty"
        in said
    )
    assert "The red line is what a target allows" in said
    refuse_what_no_page_says(said)
    named = re.findall(r'href="(report-data/[^"]+)"', page.read_text(encoding="utf-8"))
    for topic in ("target", "acceptance", "offset"):
        assert sum(topic in name for name in named) >= 2  # of two consumers
    for name in named:
        assert (tmp_path / name).read_text().count("\n") > 1


def test_risks_are_told_as_the_joint_probabilities_that_they_are() -> None:
    target = Target("b", 2005, (2000,), 1.1, "s", prior=PriorRatio(1.0, 0.1, "s"))
    rows = target_table(ensemble(World(draws=256)), [target], DetectionRule())
    totals = [row for row in rows if row["consumer"] == "NLD"]
    matter = Matter("NLD", "CO2", totals, DetectionRule(), "SYNTHETIC", "stem", drawn=False)
    said = " ".join(target_section(matter).sentences)
    assert "the probability that the target is missed and nevertheless found to conform" in said
    assert "the probability that it is met and nevertheless not found to conform" in said


def offset_said(rows: list[dict[str, Any]]) -> list[str]:
    matter = Matter("NLD", "CO2", rows, DetectionRule(), "SYNTHETIC", "stem", drawn=False)
    return [sentence.replace(numbers.NBSP, " ") for sentence in offset_section(matter).sentences]


def test_a_change_that_is_not_assessed_has_no_probability_of_a_fall() -> None:
    rows = offset_table(ensemble(World(rho=1.0)), Span(2000, 2005), DetectionRule())
    (only,) = offset_said(rows[:1])
    assert "not assessed" in only
    assert "97.5 %" not in only


def test_what_did_not_change_neither_rose_nor_fell() -> None:
    rows = offset_table(ensemble(World()), Span(2000, 2005), DetectionRule())
    first, _ = offset_said([rows[0] | {"home_change": 0.0}])
    assert "emissions within NLD did not change (standard uncertainty" in first
    assert "by 0" not in first


WORLDS = {
    "usual": World(),
    "few draws": World(draws=64),
    "not assessed": World(rho=1.0),
    "no errors": World(s=0.0),
    "not positive": World(shift=180.0, s=0.1),
    "some rejected": World(rejected=0.1),
    "all rejected": World(rejected=1.0),
    "very skewed": World(s=0.6, rho=0.5),
}
HOSTILE = "<script>alert(1)</script>\" onload='x' $\\frac{1}{0}$ {{7*7}}"


@pytest.mark.parametrize("name", WORLDS)
def test_a_page_of_any_world_has_words_for_all_of_it(tmp_path: Path, name: str) -> None:
    made, rule = ensemble(WORLDS[name]), DetectionRule()
    targets = [
        Target(HOSTILE, 2005, (2000,), 0.9, HOSTILE),
        Target("b", 2005, (2000, 2001), 1.1, "s", prior=PriorRatio(1.0, 0.1, "s")),
    ]
    output = tuple(Output("NLD", year, 700.0 + year, 0.0) for year in (2000, 2005))
    decoupling = Decoupling(Span(2000, 2005), output, 0.9, HOSTILE)
    rows = tuple(
        Published(one, "NLD", "CO2", year, 180.0 + (year * len(one)) % 7)
        for one in ("A", "BB", "CCC")
        for year in range(2000, 2006)
    )
    topics = {
        "target": target_table(made, targets, rule),
        "acceptance": acceptance_table(made, targets, rule),
        "offset": offset_table(made, Span(2000, 2005), rule),
        "decoupling": decoupling_table(made, decoupling, rule),
        "databases": databases_table(made, BetweenDatabases(rows, HOSTILE), rule),
    }
    texts = (target_text, acceptance_text, offset_text, decoupling_text, databases_text)
    for told, text in zip(topics.values(), texts, strict=True):
        if told:
            refuse_what_no_page_says(text(told))
    page = write(subject(WORLDS[name], topics=topics), tmp_path)
    said = words(page)
    refuse_what_no_page_says(said)
    assert "<script>" not in page.read_text(encoding="utf-8")
    assert "Is the target met?" in said
    assert ("Did emissions abroad rise while those at home fell?" in said) == bool(topics["offset"])


def test_check_tells_how_far_databases_are_apart(tmp_path: Path) -> None:
    config = loaded(files(tmp_path / "c"), SMALL, ("\n[method]", ASKED))
    lines = "\n".join(check(config))
    assert "R0, S0: yearly changes of 3 databases differ with a standard deviation of" in lines


def test_the_preview_warns_before_any_draw(run: workflow.Run, tmp_path: Path) -> None:
    """The same spread as `detect`, beside the root mean square of its own yearly sigmas."""
    config = loaded(files(tmp_path / "p"), SMALL, ("\n[method]", ASKED))
    rule = workflow.rule_of(run)
    told = json.loads(workflow.previewed(config, rule, form="json"))
    drawn = json.loads(workflow.detect(run, rule, form="json", table="databases"))["databases"]
    (row,), (sampled,) = told["databases"], drawn
    assert row["between_sigma"] == sampled["between_sigma"]
    own = [
        one["sigma"]
        for one in told["preview"]
        if (one["consumer"], one["part"]) == ("R0", "total")
        and one["to_year"] == one["from_year"] + 1
    ]
    assert len(own) == 2
    assert row["model_sigma"] == pytest.approx(math.hypot(*own) / math.sqrt(2), rel=1e-12)
    assert row["model_sigma_mcse"] is None
    assert row["model_smaller"]
    text = workflow.previewed(config, rule)
    assert "warning: R0, S0: the error model leaves less error of a yearly change" in text
    plain = loaded(tmp_path, SMALL)
    assert "databases" not in workflow.previewed(plain, rule)
    assert list(json.loads(workflow.previewed(plain, rule, form="json"))) == ["preview"]


REFUSED = [
    (("year = 2002\nbase_year", "year = 2030\nbase_year"), "year 2030 is not in the run"),
    (("base_year = 2000", "base_year = 1990"), "year 1990 is not in the run"),
    (("base_year = 2000", "base_year = 2002"), "belongs to its own base"),
    (("base_year = 2000", "base_year = 2000\nbase_years = [2000]"), "either `base_year` or"),
    (("share = 1.05", "share = 0.0"), "leaves nothing to hold"),
    (("share = 1.05", "share = -0.5"), "leaves nothing to hold"),
    (("reduction = 20", "reduction = 100"), "leaves nothing to hold"),
    (("share = 1.05", "share = 1.05\nreduction = 5"), "either `share` or"),
    (('name = "no more"', 'name = "a fifth less"'), "two targets are called"),
    (('consumers = ["R0"]', 'consumers = ["R9"]'), "none of the consumers"),
    (("sd = 0.1,", "sd = 0.0,"), "does not exist"),
    (("mean = 1.0,", "mean = 1e300,"), "says nothing of a share of the base"),
    (("mean = 1.0,", "mean = 1e-4,"), "says nothing of a share of the base"),
    (("sd = 0.1,", "sd = 1e-6,"), "with the standard deviation 1e-06 cannot be used"),
    (("sd = 0.1,", "sd = 11.0,"), "with the standard deviation 11 cannot be used"),
    (("reduction = 20\nsource = ", 'reduction = 20\nsource = ""#'), "no source is stated"),
    (("[offset]", "[offset]\nfrom_year = 1999"), "year 1999 is not in the run"),
    (("[offset]", "[offset]\nfrom_year = 2002"), "no change from 2002 to 2002"),
    (("correlation = 0.5", "correlation = 1.5"), "not a correlation"),
    (("correlation = 0.5\n", ""), "correlation"),
    (("rsd = 0.01\n", ""), "given nowhere"),
    (("rsd = 0.01", "rsd = 1.5"), "no error of GDP"),
    (('gdp = "gdp.csv"', 'gdp = "none.csv"'), "none.csv"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED)
def test_what_cannot_be_asked_is_refused(
    tmp_path: Path, change: tuple[str, str], said: str
) -> None:
    old, new = change
    assert old in ASKED
    with pytest.raises(FootfallError) as caught:
        loaded(files(tmp_path / "c"), SMALL, ("\n[method]", ASKED.replace(old, new)))
    assert said in str(caught.value)
    assert caught.value.remedy


def test_an_offset_without_the_foreign_part_is_refused(tmp_path: Path) -> None:
    parts = ('stressors = ["S0"]', 'stressors = ["S0"]\nparts = ["total", "domestic"]')
    with pytest.raises(FootfallError, match="needs the foreign part"):
        loaded(files(tmp_path / "c"), SMALL, ("\n[method]", ASKED), parts)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gdp.csv", GDP + "R0,2002,104\n", "R0 2002 is repeated"),
        ("gdp.csv", GDP.replace("104", "-1"), "has no logarithm"),
        ("gdp.csv", GDP.replace("R0", "R9"), "GDP of none of R0, pair"),
        ("gdp.csv", "consumer,year,gdp,rsd\nR0,2000,1,0.1\n", "given twice"),
        ("databases.csv", DATABASES.replace("S0", "S9"), "has no footprint"),
        ("databases.csv", DATABASES.replace("A,R0,S0,2001", "A,R0,S0,2000"), "is repeated"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    folder = files(tmp_path / "c")
    (folder / name).write_text(text)
    with pytest.raises(FootfallError) as caught:
        loaded(folder, SMALL, ("\n[method]", ASKED))
    assert said in str(caught.value)


def test_the_page_tells_the_largest_error_of_every_sampled_number(
    run: workflow.Run, tmp_path: Path
) -> None:
    said = words(workflow.report(run, folder=tmp_path))
    told: dict[str, list[dict[str, Any]]] = json.loads((tmp_path / "verdicts.json").read_text())
    totals = [row for row in told["trend"] if row["part"] == "total"]
    largest = max(row["slope_percent_mcse"] for row in totals)
    assert f"trendslope_percent{numbers.two_digits(largest)}" in said.replace(" ", "")
