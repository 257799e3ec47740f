"""What verdicts hang on, judged together and turned round: tables, text and page tell the same."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from report_world import World, ensemble, subject
from test_report import Page, digits

from configs import SERIAL, SMALL, loaded
from engine import analysis, workflow
from engine.analysis import Family
from engine.analysis.families import coherent, family_pairs
from engine.config.asked import remembered, to_remember
from engine.errors import ConfigError, InputError
from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.conclusions import Conclusion, conclusion
from engine.report import correlation as correlation_section
from engine.report import families as families_section
from engine.report import write
from engine.report.matter import Matter
from engine.report.scenarios import over_scenarios
from engine.workflow import telling, topics

RULE = DetectionRule()
DECADE = World(
    years=tuple(range(2000, 2012)),
    path=tuple(190 * 0.985**t * (1 + 0.045 * (-1) ** t) for t in range(12)),
    draws=5_000,
    s=0.05,
    rho=0.6,
)
YEARLY = (Family("consecutive years"),)

SCENARIO = """
[[scenarios.lasting.errors]]
quantity = "E"
rsd = 0.02
source = "assumption"
components = [
  { name = "national", weight = 0.99, group = ["stressor", "region"], time = "persistent" },
  { name = "own", weight = 0.01, group = "cell", time = "yearly" },
]
"""
ASKED = """
[detection]
equivalence = [20.0, 5.0]

[families."every pair"]
pairs = "all"

[families."consumers"]
pairs = "whole"
over = ["consumers"]

[families."parts"]
pairs = "whole"
over = ["parts"]
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    """A small run of two scenarios that asks for everything here."""
    folder = tmp_path_factory.mktemp("run")
    text = SMALL.replace("[cluster]", f"{ASKED}\n[cluster]").replace("448", "256") + SCENARIO
    return workflow.run(loaded(folder, text), folder / "out", cluster=SERIAL)


@pytest.fixture(scope="module")
def tables(run: workflow.Run) -> dict[str, list[dict[str, Any]]]:
    """All tables of its first scenario."""
    return told(run)


def told(run: workflow.Run, **options: Any) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(
        workflow.detect(run, RULE, form="json", **options)
    )
    return found


def families_of(
    drawn: xr.Dataset, families: tuple[Family, ...] = YEARLY, rule: DetectionRule = RULE
) -> list[dict[str, Any]]:
    years = drawn["year"].to_numpy().tolist()
    found = analysis.changes(drawn, rule, analysis.families_pairs(years, families))
    return analysis.family_table(drawn, found, rule, families)


# --- what is asked --------------------------------------------------------------------------------


def test_what_is_asked_is_read_and_remembered(tmp_path: Path) -> None:
    asked = loaded(tmp_path, SMALL, ("[cluster]", f"{ASKED}\n[cluster]")).asked
    assert asked.equivalence == (5.0, 20.0)
    assert asked.families == (
        Family("every pair", "all"),
        Family("consumers", "whole", ("consumers",)),
        Family("parts", "whole", ("parts",)),
    )
    assert remembered(json.loads(json.dumps(to_remember(asked)))) == asked


def test_consecutive_years_are_a_family_unless_others_are_declared(tmp_path: Path) -> None:
    asked = loaded(tmp_path, SMALL).asked
    assert asked.families == YEARLY
    assert asked.equivalence == ()


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("[detection]\nequivalence = 0.0", "0 % cannot be ruled out"),
        ("[detection]\nequivalence = [5.0, 100.0]", "100 % cannot be ruled out"),
        ('[families.mine]\npairs = "some"', "pairs"),
        ('[families.mine]\nover = ["years"]', "over"),
        ('[families.mine]\nevery = "all"', "unknown key `every`"),
        ('[families." "]\npairs = "all"', "a family has no name"),
    ],
)
def test_what_cannot_be_asked_is_refused(tmp_path: Path, lines: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        loaded(tmp_path, SMALL, ("[cluster]", f"{lines}\n\n[cluster]"))


def test_the_pairs_of_a_family() -> None:
    years = [2005, 2000, 2001]
    assert family_pairs(years, "consecutive") == [(2000, 2001), (2001, 2005)]
    assert family_pairs(years, "from the first") == [(2000, 2001), (2000, 2005)]
    assert family_pairs(years, "whole") == [(2000, 2005)]
    assert family_pairs(years, "all") == [(2000, 2001), (2000, 2005), (2001, 2005)]


# --- scenarios ------------------------------------------------------------------------------------


def test_the_conclusion_is_that_of_the_verdicts_of_every_scenario(run: workflow.Run) -> None:
    tables = {name: told(run, scenario=name) for name in ("base", "lasting")}
    rows = tables["base"]["scenarios"]
    assert rows == tables["lasting"]["scenarios"]
    assert len(rows) == 2 * len(tables["base"]["changes"])
    label = ("stressor", "consumer", "part", "from_year", "to_year")
    verdicts: dict[tuple[Any, ...], list[str]] = {}
    for name, found in tables.items():
        for change in found["changes"]:
            verdicts.setdefault(tuple(change[key] for key in label), []).append(change["verdict"])
            (row,) = (
                row
                for row in rows
                if row["scenario"] == name and all(row[key] == change[key] for key in label)
            )
            assert row["verdict"] == change["verdict"]
            assert row["sigma"] == change["sigma"]
            assert row["p_decrease_mcse"] == change["p_decrease_mcse"]
    for row in rows:
        assert row["conclusion"] == conclusion(verdicts[tuple(row[key] for key in label)])
    assert len({row["conclusion"] for row in rows}) > 1


def test_a_run_of_one_scenario_has_nothing_to_compare(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALL, ("448", "64"), ("[2000, 2001, 2002]", "[2000, 2001]"))
    assert "scenarios" not in told(workflow.run(config, tmp_path / "out"))


def test_a_scenario_that_is_not_drawn_yet_leaves_it_open(
    run: workflow.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = type(run.ensemble()).missing

    def unfinished(ensemble: Any) -> Any:
        return ensemble.blocks() if ensemble.path.name == "lasting" else missing(ensemble)

    monkeypatch.setattr(type(run.ensemble()), "missing", unfinished)
    rows = told(run)["scenarios"]
    waiting = [row for row in rows if row["scenario"] == "lasting"]
    assert {row["verdict"] for row in waiting} == {"needs more draws"}
    assert {row["sigma"] for row in waiting} == {None}
    assert {row["conclusion"] for row in rows} <= {"open", "depends"}


def rows_over(verdicts: dict[str, str], years: tuple[int, int] = (2000, 2005)) -> list[Any]:
    change = {
        "stressor": "CO2", "unit": "Mt", "consumer": "NLD", "part": "total",
        "from_year": years[0], "to_year": years[1],
    }  # fmt: skip
    return analysis.scenario_table(
        {name: [change | {"verdict": verdict}] for name, verdict in verdicts.items()}
    )


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({"a": "decrease", "b": "decrease"}, "is detectable in every one, a fall."),
        ({"a": "increase", "b": "increase"}, "is detectable in every one, a rise."),
        ({"a": "not detectable", "b": "borderline"}, "is detectable in none."),
        ({"a": "not assessed", "b": "not assessed"}, "is assessed in none."),
        (
            {"a": "decrease", "b": "increase"},
            "is a fall in a and a rise in b: they contradict each other.",
        ),
        (
            {"a": "decrease", "b": "not detectable"},
            "is a fall in a; not detectable in b: it depends on which of them holds.",
        ),
        (
            {"a": "not detectable", "b": "not assessed"},
            "is not detectable in a; not assessed in b: it depends on which of them holds.",
        ),
        (
            {"a": "decrease", "b": "needs more draws"},
            "needs more draws before they can be compared (a fall in a so far).",
        ),
    ],
)
def test_each_conclusion_has_its_words(verdicts: dict[str, str], said: str) -> None:
    found = over_scenarios(rows_over(verdicts))
    assert found == f"Over the two scenarios of the error model the change 2000–2005 {said}"


# --- correlation ----------------------------------------------------------------------------------


def correlation_of(drawn: xr.Dataset) -> list[dict[str, Any]]:
    years = drawn["year"].to_numpy().tolist()
    found = analysis.changes(drawn, RULE, analysis.consecutive_and_whole(years))
    return analysis.correlation_table(drawn, found, RULE, (2.0, 5.0))


def test_the_own_correlation_has_the_counted_verdict_and_the_grid_its_size() -> None:
    drawn = ensemble(World(draws=4_000))
    rows = correlation_of(drawn)
    counted = analysis.verdict_table(analysis.changes(drawn, RULE))
    key = ("stressor", "consumer", "part", "from_year", "to_year")
    by_key = {tuple(row[name] for name in key): row for row in counted}
    for row in rows:
        change = by_key[tuple(row[name] for name in key)]
        assert row["rho_break_even"] == change["rho_break_even"]
        if row["model"] == "own":
            assert row["verdict"] == change["verdict"]
            assert row["rho"] == pytest.approx(change["rho"])
            assert row["sigma"] == pytest.approx(change["sigma"])
        elif row["verdict"] in ("decrease", "increase"):
            assert row["rho"] > change["rho_break_even"]
        elif row["verdict"] == "not detectable":
            assert row["rho"] < change["rho_break_even"]
    for name in ("sigma", "mdc", "decided_above", "rho_required_2_percent"):
        assert all(row[f"{name}_mcse"] >= 0 for row in rows)


def test_nothing_over_the_correlation_is_left_open_at_the_last_look() -> None:
    drawn = ensemble(World(draws=256))
    pairs = analysis.consecutive_and_whole(drawn["year"].to_numpy().tolist())
    found = analysis.changes(drawn, RULE, pairs)
    rows = analysis.correlation_table(drawn, found, RULE, (2.0,))
    last = analysis.correlation_table(drawn, analysis.at_last_look(found), RULE, (2.0,), final=True)
    assert "needs more draws" in {row["by_size"] for row in rows}
    assert "open" in {row["conclusion"] for row in rows}
    for before, after in zip(rows, last, strict=True):
        for name in ("verdict", "by_size"):
            waits = before[name] == "needs more draws"
            assert after[name] == ("borderline" if waits else before[name])
        assert after["conclusion"] != "open"


VERDICTS_OVER = {
    "detectable at every one of them": ("decrease", "decrease", "decrease"),
    "detectable at some of them only": ("not detectable", "decrease", "not assessed"),
    "detectable in opposite directions at different ones": ("decrease", "decrease", "increase"),
    "detectable at none": ("not detectable", "borderline", "not detectable"),
    "not assessed at some and not detectable at others": (
        "not detectable", "not detectable", "not assessed",
    ),
    "not assessed": ("not assessed", "not assessed", "not assessed"),
    "open until more draws are made": ("not detectable", "needs more draws", "not detectable"),
}  # fmt: skip


def test_every_conclusion_over_the_correlation_has_words_and_counts_add_up() -> None:
    """One change of each kind, one more at every correlation: eight in all."""
    kinds = [*VERDICTS_OVER.values(), ("increase", "increase", "increase")]
    template = [row for row in correlation_of(ensemble(World(draws=64))) if row["part"] == "total"]
    rows = [
        template[0]
        | {"from_year": 2000 + at, "to_year": 2001 + at, "verdict": verdict, "rho": rho}
        | {"model": "own" if place == 2 else "assumed", "conclusion": conclusion(verdicts).value}
        for at, verdicts in enumerate(kinds)
        for place, (verdict, rho) in enumerate(zip(verdicts, (0.0, 0.9, 0.95), strict=True))
    ]
    matter = Matter("NLD", "CO2", rows, RULE, "SYNTHETIC", "stem", drawn=False)
    said = correlation_section.correlation_section(matter).sentences[0]
    listed = said.removesuffix(".").partition("of eight changes ")[2].replace(" and one", ", one")
    assert listed.replace(" and, one", " and one").split(", ") == [
        f"{'two are' if words.startswith('detectable at every') else 'one is'} {words}"
        for words in VERDICTS_OVER
    ]
    assert "only above" not in said


def test_a_verdict_over_correlations_can_be_robust_and_not() -> None:
    robust = World(path=(180.0, 90.0), years=(2000, 2001))
    never = World(path=(180.0, 180.0), years=(2000, 2001))
    for world, expected in ((robust, Conclusion.ROBUST), (never, Conclusion.ROBUSTLY_NOT)):
        assert {row["conclusion"] for row in correlation_of(ensemble(world))} == {expected}


# --- families -------------------------------------------------------------------------------------


def test_a_family_s_table_has_the_numbers_of_its_changes() -> None:
    drawn = ensemble(DECADE)
    rows = [row for row in families_of(drawn) if row["part"] == "total"]
    assert len(rows) == 11
    found = {
        row["to_year"]: row
        for row in analysis.verdict_table(analysis.changes(drawn, RULE))
        if row["part"] == "total" and row["to_year"] == row["from_year"] + 1
    }
    (critical,) = {row["critical"] for row in rows}
    assert RULE.z_alpha < critical < 2.8376 + 4 * rows[0]["critical_mcse"]  # Bonferroni's
    for row in rows:
        change = found[row["to_year"]]
        assert row["verdict"] == change["verdict"]
        assert row["statistic"] == pytest.approx(abs(change["reference_delta"]) / change["sigma"])
        half = critical * change["sigma"]
        centre = change["reference_delta"]
        assert row["simultaneous_low"] == pytest.approx(np.expm1(centre - half))
        assert row["simultaneous_high"] == pytest.approx(np.expm1(centre + half))
        crossed = row["simultaneous_low"] < 0 < row["simultaneous_high"]
        if row["simultaneous"] in ("decrease", "increase"):
            assert not crossed
        if row["simultaneous"] == "not detectable":
            assert crossed
        assert row["simultaneous_low"] <= change["relative_low"]
        assert row["simultaneous_high"] >= change["relative_high"]
        assert row["p_two_sided"] == pytest.approx(2 * (1 + change["against"]) / 5_001)
        assert row["p_two_sided"] <= row["p_benjamini_hochberg"] <= row["p_holm"]
        assert row["adjusted"] == row["simultaneous"]
    assert 0 < rows[0]["found_together"] < rows[0]["found_alone"]


def test_no_family_is_bolder_than_a_change_alone() -> None:
    said = [str(verdict) for verdict in (Verdict.NOT_DETECTABLE, Verdict.NEEDS_MORE_DRAWS)]
    said += ["decrease"]
    for alone in said:
        for adjusted in said:
            assert said.index(coherent(alone, adjusted)) <= said.index(alone)
            assert said.index(coherent(alone, adjusted)) <= said.index(adjusted)


def test_holm_needs_draws() -> None:
    few = families_of(ensemble(replace(DECADE, draws=1_000)))
    decided = [row for row in few if row["verdict"] in ("decrease", "increase")]
    assert decided
    assert {row["holm"] for row in decided} == {"needs more draws"}
    assert {row["holm_draws"] for row in few} == {4_400}


def test_families_gather_consumers_and_parts() -> None:
    world = World(consumers=("NLD", "BEL", "LUX"), stressors=("CO2", "CH4"), draws=512)
    families = (
        Family("over consumers", "whole", ("consumers",)),
        Family("over parts", "whole", ("parts",)),
        Family("over all", "whole", ("consumers", "stressors", "parts")),
    )
    rows = families_of(ensemble(world), families)
    groups = {}
    for row in rows:
        groups.setdefault((row["family"], row["of"]), []).append(row)
    assert {name: len(own) for name, own in groups.items()} == {
        ("over consumers", "all consumers, CO2"): 3,
        ("over consumers", "all consumers, CH4"): 3,
        **{("over parts", f"{c}, {s}, each part"): 3 for c in world.consumers
           for s in world.stressors},
        ("over all", "all consumers, all stressors, each part"): 18,
    }  # fmt: skip
    for (name, _), own in groups.items():
        method = "max-|t|" if name == "over parts" else "Benjamini-Yekutieli"
        assert {row["method"] for row in own} == {method}
        assert {row["members"] for row in own} == {len(own)}


def test_what_is_not_assessed_is_in_no_family() -> None:
    """The years without an error drop out, and the rest is judged as if they were not asked."""
    drawn = ensemble(DECADE)
    drawn["footprint"][:, 5] = drawn["footprint"][:, 4]
    drawn["reference"][5] = drawn["reference"][4]
    rows = [row for row in families_of(drawn) if row["part"] == "total"]
    assert {row["members"] for row in rows} == {10}
    assert {row["changes"] for row in rows} == {11}
    (still,) = (row for row in rows if row["verdict"] == "not assessed")
    assert still["adjusted"] == still["holm"] == "not assessed"
    assert still["statistic"] is None
    one = families_of(ensemble(World(rho=1.0)))
    assert {row["members"] for row in one} == {0}
    assert {row["critical"] for row in one} == {None}


def test_rejected_draws_leave_the_whole_family() -> None:
    rows = families_of(ensemble(World(rejected=0.01, draws=2_000)))
    assert {row["family_draws"] for row in rows} == {1_980}
    lost = families_of(ensemble(World(rejected=0.2, path=(190.0, 90.0, 180.0, 85.0, 180.0, 90.0))))
    assert not {row["adjusted"] for row in lost} & {"decrease", "increase"}


def test_nothing_is_left_open_at_the_last_look() -> None:
    rows = families_of(ensemble(replace(DECADE, draws=200)))
    assert "needs more draws" in {row["adjusted"] for row in rows}
    final = analysis.adjusted_at_last_look(rows)
    for before, after in zip(rows, final, strict=True):
        for name in ("verdict", "adjusted", "simultaneous", "holm"):
            waits = before[name] == "needs more draws"
            assert after[name] == ("borderline" if waits else before[name])
        assert after["open_together"] == 0
        assert after["found_together"] == before["found_together"]
    assert "more draws" not in families_section.sentence(final)
    assert any(row["open_together"] for row in rows)


# --- as a user meets it ---------------------------------------------------------------------------


def test_every_sampled_number_has_its_error(tables: dict[str, list[dict[str, Any]]]) -> None:
    sampled = {
        "scenarios": ("sigma", "p_decrease", "mdc"),
        "correlation": ("sigma", "mdc", "decided_above", "rho_break_even"),
        "families": (
            "sigma", "statistic", "critical", "false_alarm", "simultaneous_low", "p_two_sided",
            "p_holm", "p_benjamini_yekutieli", "p_benjamini_hochberg",
        ),
        "equivalence": ("p_larger", "smallest_percent"),
    }  # fmt: skip
    for name, numbers in sampled.items():
        rows = tables[name]
        assert rows
        for number in numbers:
            known = [row for row in rows if row[number] is not None]
            assert known, (name, number)
            assert all(row[f"{number}_mcse"] is not None for row in known), (name, number)


@pytest.mark.parametrize(
    ("options", "used"),
    [
        ({"table": "changes", "form": "json"}, set()),
        ({"form": "csv"}, set()),
        ({"table": "families", "form": "json"}, {"families"}),
        ({"form": "json"}, {topic.name for topic in topics.TOPICS}),
    ],
)
def test_only_what_is_asked_is_computed(
    run: workflow.Run, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], used: set[str]
) -> None:
    computed: set[str] = set()

    def watched(topic: topics.Topic) -> topics.Topic:
        def rows(case: topics.Case) -> list[dict[str, Any]]:
            computed.add(topic.name)
            return topic.rows(case) if topic.name == "families" else []

        return replace(topic, rows=rows)

    several = tuple(watched(topic) for topic in topics.TOPICS)
    monkeypatch.setattr(topics, "TOPICS", several)
    monkeypatch.setattr(telling, "TOPICS", several)
    workflow.detect(run, RULE, **options)
    assert computed == used


def test_a_table_that_is_not_there_is_refused_with_those_that_are(run: workflow.Run) -> None:
    for name in ("target", "nonsense"):
        with pytest.raises(InputError, match="there is no table") as caught:
            workflow.detect(run, RULE, form="json", table=name)
        for there in ("changes", "scenarios", "families", "years_to_detect"):
            assert there in caught.value.remedy


def test_csv_is_one_table_with_the_rows_of_the_json(
    run: workflow.Run, tables: dict[str, list[dict[str, Any]]]
) -> None:
    assert workflow.detect(run, RULE, form="csv") == workflow.detect(
        run, RULE, form="csv", table="changes"
    )
    text = workflow.detect(run, RULE, form="csv", table="families")
    rows = list(csv.DictReader(StringIO(text)))
    assert len(rows) == len(tables["families"])
    assert list(rows[0]) == list(tables["families"][0])


def test_every_row_has_the_columns_of_the_first(tables: dict[str, list[dict[str, Any]]]) -> None:
    for rows in tables.values():
        assert {tuple(row) for row in rows} == {tuple(rows[0])}


def test_the_text_has_a_line_a_consumer(run: workflow.Run) -> None:
    text = workflow.detect(run, RULE)
    assert "verdicts over 2 scenarios: base, lasting" in text
    assert text.count("rho for -2 %") == 1
    assert "all consumers, S0" in text
    assert "Benjamini-Yekutieli" in text
    assert "not to detect a change does not show that there was none" in text


def test_what_a_size_rules_out_is_monotone(tables: dict[str, list[dict[str, Any]]]) -> None:
    rows = tables["equivalence"]
    small, large = ([row for row in rows if row["percent"] == g] for g in (5.0, 20.0))
    for less, more in zip(small, large, strict=True):
        assert less["smallest_percent"] == more["smallest_percent"]
        assert less["p_larger"] >= more["p_larger"]
        if less["equivalence"] == "no larger change":
            assert more["said"] == "no change larger than 20 %"


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(run: workflow.Run) -> Path:
    return workflow.report(run)


def page_rows(page: Path, topic: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((page.parent / "verdicts.json").read_text())[topic]
    return found


def test_under_each_headline_stands_the_range_of_verdicts(page: Path) -> None:
    read = Page(page).words
    rows = page_rows(page, "scenarios")
    for consumer in ("R0", "pair"):
        own = [row for row in rows if row["consumer"] == consumer]
        sentence = over_scenarios(own)
        assert sentence.startswith("Over the two scenarios of the error model the change 2000–2002")
        assert " ".join(sentence.split()) in read
        steps = {
            (row["from_year"], row["to_year"]): row["conclusion"]
            for row in own
            if row["part"] == "total" and row["to_year"] == row["from_year"] + 1
        }
        named = digits(sentence.partition(" the change 2000–2002 ")[2].partition(".")[2])
        assert {int(year) for year in named} <= {second for _, second in steps}


def test_sections_stand_in_order(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    titles = (
        "Over the scenarios", "The verdict over the correlation", "How many looks",
        "Was there no large change?",
    )  # fmt: skip
    places = [text.index(f"<h3>{title}") for title in titles]
    assert places == sorted(places)


def test_the_page_says_what_the_rows_say(page: Path) -> None:
    read = Page(page).words
    for family in analysis.grouped(
        [row for row in page_rows(page, "families") if row["consumer"] == "R0"]
    ):
        sentence = families_section.sentence(family)
        assert " ".join(sentence.split()) in read
        assert "significan" not in sentence
        first = family[0]
        assert f"{first['critical']:.2f}" in sentence or first["method"] != "max-|t|"
        assert digits(sentence.split("probability of")[1])[0] == round(100 * first["false_alarm"])
    for row in page_rows(page, "equivalence"):
        if (row["consumer"], row["part"]) == ("R0", "total") and row["percent"] == 5.0:
            assert f"{row['from_year']}–{row['to_year']}" in read


def test_a_page_without_errors_says_that_nothing_hangs_on_them(tmp_path: Path) -> None:
    world = World(s=0.0)
    drawn = ensemble(world)
    topics = {"correlation": correlation_of(drawn), "families": families_of(drawn)}
    path = write(subject(world, topics=topics), tmp_path)
    read = Page(path).words
    assert "No change has an error in both years" in read
    assert "none of the changes is assessed" in read


@pytest.mark.parametrize(
    "world",
    [
        World(rho=1.0),
        World(shift=180.0, s=0.1),
        World(rejected=0.1),
        World(rejected=1.0),
        World(years=(2000, 2001), path=(180.0, 190.0)),
        World(years=(1995, 2000, 2010), path=(180.0, 198.0, 160.0)),
        World(parts=("total",)),
        World(s=0.6, rho=0.5, method="coefficients"),
    ],
    ids=("still", "raw", "rejected", "all rejected", "one pair", "apart", "totals", "skewed"),
)
def test_no_world_breaks_the_page(tmp_path: Path, world: World) -> None:
    world = replace(world, draws=256)
    drawn = ensemble(world)
    years = drawn["year"].to_numpy().tolist()
    found = analysis.changes(drawn, RULE, analysis.consecutive_and_whole(years))
    every = (*YEARLY, Family("all", "all", ("parts",)))
    rows = analysis.verdict_table(analysis.changes(drawn, RULE))
    topics = {
        "scenarios": analysis.scenario_table({"a": rows, "b": rows, "c": None}),
        "correlation": correlation_of(drawn),
        "families": families_of(drawn, every),
        "equivalence": analysis.equivalence_table(drawn, found, RULE, (5.0, 50.0)),
    }
    texts = (
        analysis.scenario_text(topics["scenarios"]),
        analysis.correlation_text(topics["correlation"]),
        analysis.family_text(topics["families"]),
        analysis.equivalence_text(topics["equivalence"]),
    )
    made = subject(world, topics=topics)
    words = Page(write(made, tmp_path)).words
    for said in (*texts, words):
        assert "nan" not in said.split()
        assert "None" not in said.replace("None of", "")
        assert "inf" not in said.split()


def test_the_sentences_on_correlation_name_what_is_required() -> None:
    rows = [row for row in correlation_of(ensemble(World(draws=4_000))) if row["part"] == "total"]
    own = [row for row in rows if row["model"] == "own"]
    steps = [row for row in own if row["to_year"] == row["from_year"] + 1]
    required = [row["rho_required_5_percent"] for row in steps]
    made = correlation_section._needed([[row] for row in steps])
    numbers = digits(made)
    assert numbers[0] == 80
    of_five = numbers[numbers.index(2) + 1 : -2]  # after those of 2 %, before "5 %" and the error
    assert numbers[-2] == 5
    assert min(of_five) == pytest.approx(min(required), abs=5e-3)
    assert max(of_five) == pytest.approx(max(required), abs=5e-3)
    errors = [
        row[f"rho_required_{percent}_percent_mcse"] for row in steps for percent in ("2", "5")
    ]
    assert numbers[-1] == pytest.approx(max(errors), rel=0.5)
