"""The budget as rows, in the run folder, in words and on the page: the same numbers everywhere."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from report_world import World, ensemble
from scipy.special import ndtri

from configs import SERIAL, SMALL, footfall, loaded, written
from engine import analysis, workflow
from engine.analysis.budget import (
    CONSECUTIVE,
    STEPWISE,
    WHOLE,
    YEARLY,
    Sampled,
    budget_tables_text,
    budget_text,
    main_decline,
    shown_entries,
)
from engine.budget import OTHERS, Budget, By, Entry, Subject
from engine.errors import DriftError
from engine.kernels.changes import DetectionRule
from engine.kernels.monte_carlo import Estimate
from engine.kernels.trend import years_to_detect
from engine.report.budget import budget_section
from engine.report.matter import Matter, Section
from engine.report.numbers import NBSP
from engine.report.tables import Table
from engine.stores.budgets import read_budget, write_budget

Row = dict[str, Any]
SHORT = ("draws = 448", "draws = 128")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    folder = tmp_path_factory.mktemp("budget")
    return workflow.run(loaded(folder, SMALL, SHORT), folder / "run", cluster=SERIAL)


@pytest.fixture(scope="module")
def rows(run: workflow.Run) -> list[Row]:
    text = workflow.detect(run, workflow.rule_of(run), form="json", table="budget")
    found: list[Row] = json.loads(text)["budget"]
    return found


def of(rows: Sequence[Row], **wanted: object) -> list[Row]:
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def test_shares_add_up_to_one_for_every_change_and_kind(rows: list[Row]) -> None:
    keys = ("consumer", "stressor", "change", "from_year", "to_year", "by")
    for values in {tuple(row[key] for key in keys) for row in rows}:
        some = of(rows, **dict(zip(keys, values, strict=True)))
        assert sum(row["share"] for row in some) == pytest.approx(1, abs=1e-9)
    assert {row["change"] for row in rows} == {YEARLY, CONSECUTIVE, WHOLE}
    assert {row["by"] for row in rows} == {by.value for by in By}


def test_sigma_is_that_of_the_stored_covariance_and_of_the_draws(
    run: workflow.Run, rows: list[Row]
) -> None:
    ensemble = run.load()
    verdicts = analysis.verdict_table(analysis.changes(ensemble))
    F = ensemble["reference"].sel(part="total")
    C = ensemble["first_order_covariance"].sel(part="total")
    for consumer in ("R0", "pair"):
        variances = []
        for years in ((2000, 2001), (2001, 2002), (2000, 2002)):
            f = F.sel(consumer=consumer, stressor="S0", year=list(years)).to_numpy()
            c = C.sel(consumer=consumer, stressor="S0", year=list(years), with_year=list(years))
            a = np.array([-1 / f[0], 1 / f[1]])
            variances.append(a @ c.to_numpy() @ a)
            change = WHOLE if years == (2000, 2002) else CONSECUTIVE
            own = of(rows, consumer=consumer, change=change, from_year=years[0], to_year=years[1])
            assert own[0]["sigma"] == pytest.approx(np.sqrt(variances[-1]), rel=1e-9)
            (verdict,) = of(
                verdicts, consumer=consumer, part="total", from_year=years[0], to_year=years[1]
            )
            assert own[0]["sigma_drawn"] == pytest.approx(verdict["sigma"], rel=1e-9)
            assert own[0]["sigma_drawn_mcse"] == pytest.approx(verdict["sigma_mcse"], rel=0.02)
        yearly = of(rows, consumer=consumer, change=YEARLY)[0]
        assert yearly["sigma"] == pytest.approx(np.sqrt(np.mean(variances[:2])), rel=1e-9)
        drawn = [r["sigma_drawn"] for r in of(rows, consumer=consumer, change=CONSECUTIVE)]
        expected = np.sqrt(np.mean(np.square(sorted(set(drawn)))))
        assert yearly["sigma_drawn"] == pytest.approx(expected, rel=1e-9)


def test_what_can_be_detected_follows_from_sigma(rows: list[Row]) -> None:
    z = DetectionRule().z_alpha + DetectionRule().z_power
    for row in rows:
        for end in ("", "_halved", "_lasting", "_without"):
            sigma = row[f"sigma{end}"]
            if sigma is None:
                assert row["entry"] == OTHERS
                continue
            assert row[f"mdc{end}"] == pytest.approx(z * sigma, rel=1e-12)
            percent = 100 * (1 - np.exp(-z * sigma))
            assert row[f"mdc_decrease_percent{end}"] == pytest.approx(percent, rel=1e-9)


# --- made budgets -------------------------------------------------------------------------------


def made(level: tuple[float, ...] = (0.01, 0.0004, 0.0009), **changed: Any) -> Budget:
    """Two entries of quantities; the first one's emissions have what is yearly."""
    first = Entry(By.QUANTITY, "E", (0.003, 0.002), (0.004, 0.002), (-0.002, -0.001),
                  (0.0, 0.0001, 0.0009), (0.0, 0.0001, 0.0009))  # fmt: skip
    second = Entry(By.QUANTITY, "Z", (-0.0005, 0.0), (0.0005, 0.001), (-0.0001, -0.0001),
                   (0.01, 0.0003, 0.0), (0.01, 0.0003, 0.0))  # fmt: skip
    subject = Subject("CO2", "kt", "NLD", (True, True), (0.0025, 0.002), level, (first, second))
    subject = replace(subject, **changed)
    return Budget(((2000, 2001), (2001, 2002)), (1.0, 0.8, 0.0), (subject,))


def with_whole(found: Budget) -> Budget:
    """Budgets always hold the whole span too."""
    (subject,) = found.subjects
    entries = tuple(
        replace(
            e, **{n: (*getattr(e, n), getattr(e, n)[0]) for n in ("covariance", "own", "lasting")}
        )
        for e in subject.entries
    )
    subject = replace(
        subject,
        variance=(*subject.variance, subject.variance[0]),
        logarithmic=(*subject.logarithmic, True),
        entries=entries,
    )
    return replace(found, pairs=(*found.pairs, (2000, 2002)), subjects=(subject,))


def test_the_average_year_has_the_mean_variances() -> None:
    rows = analysis.budget_table(with_whole(made()), DetectionRule(), (3.0,))
    E, Z = of(rows, change=YEARLY)
    assert E["sigma"] == pytest.approx(np.sqrt(0.00225))
    assert E["share"] == pytest.approx(0.0025 / 0.00225)
    assert Z["share"] == pytest.approx(-0.00025 / 0.00225)
    assert E["sigma_halved"] == pytest.approx(np.sqrt(0.00225 + 0.003 / 4 - 0.0025))
    assert E["sigma_lasting"] == pytest.approx(np.sqrt(0.00225 - 0.0015))
    assert E["sigma_without"] == pytest.approx(np.sqrt(0.00225 - 0.005 + 0.003))
    assert Z["sigma_halved"] > Z["sigma"]  # it offsets the other's errors


@pytest.mark.parametrize("percent", [2.0, 3.0, 5.0])
def test_years_to_detect_are_the_kernels(percent: float) -> None:
    """Whatever lasts changes no slope; what fades and what is yearly count as they are."""

    def years(fading: float, yearly: float) -> int | None:
        def covariance(t: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            apart = np.abs(np.subtract.outer(t, t))
            return np.asarray(fading * 0.8**apart + yearly * np.eye(len(t)))

        return years_to_detect(percent, covariance, DetectionRule())

    rows = analysis.budget_table(with_whole(made()), DetectionRule(), (percent,))
    E, Z = of(rows, change=YEARLY)
    name = f"years_{percent:g}_percent"
    assert E[name] == Z[name] == years(0.0004, 0.0009)
    assert E[f"{name}_halved"] == years(0.0004 - 0.75 * 0.0001, 0.25 * 0.0009)
    assert E[f"{name}_lasting"] == years(0.0003, 0.0)
    assert Z[f"{name}_halved"] == years(0.0004 - 0.75 * 0.0003, 0.0009)
    assert Z[f"{name}_lasting"] == years(0.0001, 0.0009)
    assert of(rows, change=CONSECUTIVE)[0][name] is None


def test_a_raw_change_has_no_percentages_and_no_years() -> None:
    found = with_whole(made(logarithmic=(False, False), level=()))
    rows = analysis.budget_table(found, DetectionRule(), (3.0,))
    E, _ = of(rows, change=YEARLY)
    assert E["scale"] == "raw"
    assert E["mdc"] > E["mdc_halved"] > 0
    assert E["mdc_decrease_percent"] is E["years_3_percent"] is None
    assert main_decline(of(rows, change=YEARLY)) is None
    assert " kt" in budget_tables_text(rows)


def test_a_mixture_of_scales_has_no_average() -> None:
    rows = analysis.budget_table(
        with_whole(made(logarithmic=(True, False))), DetectionRule(), (3.0,)
    )
    assert {row["change"] for row in rows} == {CONSECUTIVE, WHOLE}
    assert analysis.budget_text(rows) == ""


def tables_of(section: Section) -> list[Table]:
    """What is folded, figures and sentences left out."""
    return [it for it in section.folded if isinstance(it, Table)]


def folded_words(section: Section) -> str:
    return " ".join(it for it in section.folded if isinstance(it, str))


def test_the_average_is_over_steps_of_one_year() -> None:
    """2000-2001 is yearly, 2001-2006 is not; without any such step the name says so."""
    found = with_whole(made())
    gap = replace(found, pairs=((2000, 2001), (2001, 2006), (2000, 2006)))
    E, _ = of(analysis.budget_table(gap, DetectionRule(), (3.0,)), change=YEARLY)
    assert (E["from_year"], E["to_year"]) == (2000, 2001)
    assert E["sigma"] == pytest.approx(np.sqrt(0.0025))
    apart = replace(found, pairs=((2000, 2005), (2005, 2010), (2000, 2010)))
    rows = analysis.budget_table(apart, DetectionRule(), (3.0,))
    assert {row["change"] for row in rows} == {STEPWISE, CONSECUTIVE, WHOLE}
    E, _ = of(rows, change=STEPWISE)
    assert (E["from_year"], E["to_year"]) == (2000, 2010)
    assert E["sigma"] == pytest.approx(np.sqrt(0.00225))
    assert E["years_3_percent"] is not None
    for by, name in ((By.REGION, "NLD"), (By.SECTOR, "c1")):
        rows += [row | {"by": by.value, "entry": name} for row in rows if row["entry"] == "E"]
    section = budget_section(matter(rows))
    said = " ".join(
        [*section.sentences, section.figures[0].caption, tables_of(section)[0].caption,
         section.figures[0].picture.alt, analysis.budget_text(rows)]
    )  # fmt: skip
    assert "a change from one year of the run to the next" in said
    assert "yearly" not in said


def test_a_scale_that_is_not_the_verdicts_is_said() -> None:
    """One draw below zero: verdicts are on raw differences, and the budget is not."""
    budget = with_whole(made())
    for lowest, scale in ((90.0, "log"), (-1.0, "raw")):
        drawn = footprints(lowest)
        changes = analysis.changes(drawn, DetectionRule(), list(budget.pairs))
        rows = analysis.budget_table(
            budget, DetectionRule(), (3.0,), analysis.drawn_sigmas(drawn, budget)
        )
        verdicts = {
            (row["from_year"], row["to_year"]): row["scale"]
            for row in analysis.verdict_table(changes)
        }
        for row in rows:
            assert row["scale"] == "log"
            if row["change"] != YEARLY:
                assert row["scale_drawn"] == verdicts[row["from_year"], row["to_year"]]
        assert of(rows, change=YEARLY)[0]["scale_drawn"] == scale
        for by, name in ((By.REGION, "NLD"), (By.SECTOR, "c1")):
            rows += [row | {"by": by.value, "entry": name} for row in rows if row["entry"] == "E"]
        said = " ".join(budget_section(matter(rows)).sentences)
        assert ("verdicts are about differences in kt" in said) == (scale == "raw")
        assert ("verdicts are about raw differences" in analysis.budget_text(rows)) == (
            scale == "raw"
        )


def footprints(lowest: float) -> xr.Dataset:
    world = World(years=(2000, 2001, 2002), path=(100.0, 101.0, 99.0), parts=("total",), draws=64)
    drawn = ensemble(world)
    drawn["footprint"].to_numpy()[0, 1] = lowest
    return drawn


@pytest.mark.parametrize(
    ("years", "low", "high", "agree"),
    [(4, 4, 4, True), (9, 8, 10, True), (9, 9, 9, False), (None, None, None, False)],
)
def test_years_here_and_by_the_draws_are_told_apart(
    years: int | None, low: int | None, high: int | None, agree: bool
) -> None:
    rows = analysis.budget_table(with_whole(made()), DetectionRule(), (5.0,))
    for by, name in ((By.REGION, "NLD"), (By.SECTOR, "c1")):
        rows += [row | {"by": by.value, "entry": name} for row in rows if row["entry"] == "E"]
    here = 4 if years == 4 else 8
    rows = [row | {"years_5_percent": here} for row in rows]
    by_draws: Row = {
        "own": True, "part": "total", "given": "decline", "correlation": "fading alone",
        "real_sd": 0.0, "decline_percent": 5.0, "reason": "", "years": years, "years_low": low,
        "years_high": high, "most_years": 40,
    }  # fmt: skip
    alone = budget_section(matter(rows))
    assert "errors to come are of the last year's size" in " ".join(alone.notes)
    assert "under “How long" not in folded_words(alone)
    both = replace(matter(rows), beside={"years_to_detect": [by_draws]})
    said = folded_words(budget_section(both)).replace(NBSP, " ")
    there = "more than 40" if low is None else str(low) if low == high else f"{low} to {high}"
    assert (f"A fall of 5 % a year takes {here} years here, and {there} under" in said) != agree
    assert ("The two differ" in said) == (not agree)


def test_small_entries_are_left_to_the_others(rows: list[Row]) -> None:
    own = of(rows, consumer="R0", change=YEARLY, by="region")
    chosen, others = shown_entries(own, 2)
    assert len(chosen) <= 2
    assert sum(row["share"] for row in chosen) + others == pytest.approx(1)
    for one, other in pairwise(chosen):
        assert abs(one["share"]) >= abs(other["share"])


# --- in the run folder --------------------------------------------------------------------------


def test_a_budget_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    write_budget(tmp_path, made(), "a digest")
    assert read_budget(tmp_path, "a digest") == made()
    assert read_budget(tmp_path, "another") is None
    path = tmp_path / "budget.json"
    digit = path.read_text().rindex("0.")
    changed = bytearray(path.read_bytes())
    changed[digit] ^= 1  # "0" becomes "1"
    path.write_bytes(changed)
    assert read_budget(tmp_path, "a digest") is None
    (tmp_path / "budget.json").write_text('{"ensemble": "a digest"}')
    assert read_budget(tmp_path, "a digest") is None


def test_a_budget_is_made_once_anew_where_damaged_and_never_for_another_run(
    tmp_path: Path,
) -> None:
    config = loaded(tmp_path, SMALL, ("draws = 448", "draws = 64"))
    folder = tmp_path / "run"
    workflow.run(config, folder, cluster=SERIAL)
    path = folder / "base" / "budget.json"
    first, when = path.read_bytes(), path.stat().st_mtime_ns
    workflow.run(config, folder, draws=128, cluster=SERIAL)
    assert path.stat().st_mtime_ns == when
    other = loaded(tmp_path, SMALL, ("draws = 448", "draws = 64"), ("rsd = 0.1", "rsd = 0.3"))
    with pytest.raises(DriftError):
        workflow.run(other, folder, cluster=SERIAL)
    assert path.read_bytes() == first
    path.write_text("{")
    assert "budget" not in workflow.detect(workflow.open_run(folder), DetectionRule(), form="json")
    workflow.run(config, folder, draws=128, cluster=SERIAL)
    assert path.read_bytes() == first


def section_of(rows: Sequence[Row]) -> Section:
    """The section of a made budget, its first entry a region's and a sector's too."""
    more = [
        row | {"by": by.value, "entry": name}
        for by, name in ((By.REGION, "NLD"), (By.SECTOR, "c1"))
        for row in rows
        if row["entry"] == "E"
    ]
    return budget_section(replace(matter([*rows, *more]), consumer="NLD", stressor="CO2"))


# --- how good first order is ---------------------------------------------------------------------


def against(sigma_drawn: float, error: float, acceptance: float = 1.0) -> list[Row]:
    """Rows of a made budget, sigma of every change by first order over `sigma_drawn`."""
    found = with_whole(made())
    drawn = {}
    for row in analysis.budget_table(found, DetectionRule(), (3.0,)):
        key = tuple(row[k] for k in ("stressor", "consumer", "change", "from_year", "to_year"))
        sigma = Estimate(
            np.array(row["sigma"] / sigma_drawn), np.array(error * row["sigma"] / sigma_drawn)
        )
        drawn[key] = Sampled(sigma, True, acceptance)
    return analysis.budget_table(found, DetectionRule(), (3.0,), drawn)


@pytest.mark.parametrize(
    ("ratio", "error", "off"),
    [(1.0, 0.01, False), (1.12, 0.01, True), (1.12, 0.05, False), (0.88, 0.01, True),
     (1.08, 0.001, False)],
)  # fmt: skip
def test_first_order_is_off_beyond_a_tenth_and_chance(
    ratio: float, error: float, off: bool
) -> None:
    rows = against(ratio, error)
    for row in rows:
        assert row["first_order_ratio"] == pytest.approx(ratio, rel=1e-12)
        assert row["first_order_ratio_mcse"] == pytest.approx(ratio * error, rel=1e-12)
        assert row["first_order_off"] is off
        assert row["acceptance"] == 1
    warned = "first order is off by 12 %"
    for text in (budget_text(rows), budget_tables_text(rows)):
        assert (warned in text) is off
    section = section_of(rows)
    assert any("Warning: first order is off" in one for one in section.sentences) is off


def test_rejected_draws_count_against_what_better_data_would_buy() -> None:
    """As in verdicts: at 1 % rejected, z of the tail .015 / .99 in the place of that of .025."""
    rule, plain, some = DetectionRule(), against(1.0, 0.01), against(1.0, 0.01, 0.99)
    z = -float(ndtri((0.025 - 0.01) / 0.99)) + rule.z_power
    for before, row in zip(plain, some, strict=True):
        assert row["share"] == before["share"]
        assert row["mdc"] == pytest.approx(z * row["sigma"], rel=1e-12)
        assert row["mdc_halved"] > before["mdc_halved"]
    assert "1 % of the draws were rejected" in budget_tables_text(some)
    assert "rejected" not in budget_tables_text(plain)
    section = section_of(some)
    assert any("of the draws were rejected" in one for one in section.sentences)


def test_no_smallest_change_is_told_where_rejected_draws_fill_the_tail() -> None:
    rows = against(1.0, 0.01, 0.97)
    for row in rows:
        assert row["sigma"] is not None
        assert row["mdc"] is row["mdc_halved"] is row["mdc_decrease_percent"] is None
        assert row["years_3_percent"] is None
    assert "they fill the tail" in budget_text(rows)
    section = budget_section(replace(matter(rows), consumer="NLD", stressor="CO2"))
    assert len(section.sentences) == 1
    assert "no budget is told" in section.sentences[0]
    assert section.tables == section.figures == ()


def test_acceptance_is_that_of_both_years(tmp_path: Path) -> None:
    world = World(rejected=0.25, years=(2000, 2001, 2002), path=(187.2, 190.4, 193.9), draws=256)
    found = with_whole(made())
    drawn = analysis.drawn_sigmas(ensemble(world), found)
    of_years = {key[3:]: one.acceptance for key, one in drawn.items() if key[2] != YEARLY}
    assert of_years == {(2000, 2001): 1.0, (2001, 2002): 0.75, (2000, 2002): 0.75}
    (average,) = [one.acceptance for key, one in drawn.items() if key[2] == YEARLY]
    assert average == 0.75


def test_the_verb_finds_the_draws_of_its_own_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = loaded(tmp_path, SMALL, SHORT)
    rule = DetectionRule()
    assert "No complete run of this configuration" in workflow.budgeted(config, rule)
    run = workflow.run(config, cluster=SERIAL)
    (by_run,) = json.loads(
        workflow.detect(run, workflow.rule_of(run), form="json", table="budget")
    ).values()
    (by_verb,) = json.loads(workflow.budgeted(config, rule, form="json")).values()
    for one, other in zip(by_verb, by_run, strict=True):
        for name in ("sigma_drawn", "sigma_drawn_mcse", "first_order_ratio"):
            assert one[name] == pytest.approx(other[name], rel=1e-9)
    assert "sigma, drawn: " in workflow.budgeted(config, rule)
    another = loaded(tmp_path, SMALL, SHORT, ("seed = 7", "seed = 8"))
    assert "No complete run of this configuration" in workflow.budgeted(another, rule)


# --- in words -----------------------------------------------------------------------------------


def test_the_verb_needs_no_run_and_agrees_with_one(tmp_path: Path, rows: list[Row]) -> None:
    path = written(tmp_path, SMALL)
    done = footfall("budget", str(path), "--format", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)["budget"]
    assert len(told) == len(rows)
    for one, other in zip(told, rows, strict=True):
        assert one["sigma_drawn"] is None
        for name in ("share", "sigma", "sigma_halved", "sigma_lasting", "years_3_percent"):
            assert one[name] == (other[name] if other[name] is None else pytest.approx(other[name]))
    text = footfall("budget", str(path)).output
    assert text.startswith("SYNTHETIC data. ")
    for by in ("quantity: Z", "region: R0", "component: Z.own", "E.national: S0 R0"):
        assert by in text
    assert footfall("budget", str(path), "--draws", "64").exit_code == 2
    one_year = written(tmp_path, SMALL.replace("2000, 2001, 2002", "2000"), "one.toml")
    refused = footfall("budget", str(one_year))
    assert refused.exit_code != 0
    assert "one year" in refused.output


def matter(rows: Sequence[Row], *, drawn: bool = True) -> Matter:
    return Matter("R0", "S0", rows, DetectionRule(), "SYNTHETIC", "01-r0-s0", drawn)


def test_the_page_says_what_the_rows_say(rows: list[Row]) -> None:
    own = of(rows, consumer="R0", stressor="S0")
    section = budget_section(matter(own))
    yearly = of(own, change=YEARLY)
    words = " ".join(section.sentences).replace(NBSP, " ")
    best = min(
        (r for r in yearly if r["by"] in ("quantity", "region", "sector") and r["sigma_halved"]),
        key=lambda r: r["sigma_halved"],
    )
    for value in (best["mdc_decrease_percent"], best["mdc_decrease_percent_halved"]):
        assert f"{value:.1f} %" in words or f"{value:.0f} %" in words
    for by in ("quantity", "region", "sector"):
        largest = max(of(yearly, by=by), key=lambda r: r["share"])
        assert f"({100 * largest['share']:.0f} %)" in words
    (figure,) = section.figures
    assert figure.caption.startswith("Halving the error of ")
    (name, data), *_ = figure.data
    assert name == "01-r0-s0-budget"
    for by in ("quantity", "region", "sector"):
        listed, (told,) = of(data, by=by), [of(yearly, by=by)]
        assert sum(row["share"] for row in listed) == pytest.approx(
            sum(row["share"] for row in told)
        )
        assert all(row in told for row in listed if not row["entry"].startswith("other "))
    assert all(bar in figure.picture.alt for bar in ("by region", "by sector", "R0"))
    first, _ = tables_of(section)
    shares = {line.cells[0]: line.cells[1].replace(NBSP, " ") for line in first.lines}
    region = max(of(yearly, by="region"), key=lambda r: r["share"])
    assert shares[f"data of {region['entry']}"] == f"{100 * region['share']:.0f} %"
    assert budget_section(matter(own, drawn=False)).figures == ()


def test_the_page_says_when_halving_does_harm() -> None:
    rows = analysis.budget_table(with_whole(made()), DetectionRule(), (3.0,))
    section = section_of(rows)
    assert any(
        s.startswith("Halving the error of intermediate deliveries Z alone would make")
        for s in section.sentences
    )
    assert "−11" in tables_of(section)[0].lines[1].cells[1]


def test_the_page_says_when_there_is_nothing_to_divide() -> None:
    found = with_whole(made(variance=(0.0, 0.0)))
    rows = analysis.budget_table(found, DetectionRule(), (3.0,))
    section = budget_section(matter(rows))
    assert "no error of a yearly change" in section.sentences[0]
    assert section.figures == section.tables == ()
