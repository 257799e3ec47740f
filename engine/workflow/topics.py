"""What is told of a scenario beside its verdicts: a table a topic, for text, CSV, JSON and page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import xarray as xr

from engine import analysis
from engine.analysis import Asked
from engine.config.asked import remembered
from engine.errors import StoreError
from engine.kernels.changes import DetectionRule
from engine.stores.budgets import read_budget
from engine.workflow.folders import Run
from engine.workflow.judging import at_look, changes

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)  # no slots: what several topics need is found once
class Case:
    """A scenario of a run as it is judged.

    Attributes:
        run: the run, other scenarios included.
        scenario: its name.
        ensemble: in memory.
        rule: the detection rule asked for.
    """

    run: Run
    scenario: str
    ensemble: xr.Dataset
    rule: DetectionRule

    @property
    def asked(self) -> Asked:
        """What the configuration asks beyond verdicts."""
        return remembered(self.run.record.asked)

    @property
    def at_look(self) -> DetectionRule:
        """The rule with what the draws' own scatter may spend on a verdict at this look."""
        return at_look(self.rule, self.run.record.looks, self.ensemble.sizes["draw"])

    @property
    def at_last_look(self) -> bool:
        """Whether no more draws will be made, so that what needs them is borderline."""
        looks = self.run.record.looks
        return looks is not None and looks.final(self.ensemble.sizes["draw"])

    @property
    def years(self) -> list[int]:
        """Ascending."""
        return sorted(int(year) for year in self.ensemble["year"].to_numpy())

    @cached_property
    def every_change(self) -> xr.Dataset:
        """Changes between all pairs of years, judged at this look; none where there is one year."""
        return changes(self.ensemble, self.rule, self.run.record.looks)

    @cached_property
    def watched_changes(self) -> xr.Dataset:
        """Changes between consecutive years and over the whole span, judged at this look."""
        pairs = analysis.consecutive_and_whole(self.years)
        return changes(self.ensemble, self.rule, self.run.record.looks, pairs)


def case_of(run: Run, rule: DetectionRule, scenario: str | None, ensemble: xr.Dataset) -> Case:
    """The case of a scenario, of the first one if none is named, whose ensemble is at hand."""
    return Case(run, scenario or run.record.scenarios[0], ensemble, rule)


def _budget(case: Case) -> list[Row]:
    """Where the uncertainty of changes comes from, as it was found when the run began."""
    ensemble = case.ensemble
    found = read_budget(case.run.folder / case.scenario, str(ensemble.attrs.get("digest", "")))
    if found is None or not found.subjects:
        return []
    drawn = analysis.drawn_sigmas(ensemble, found)
    return analysis.budget_table(found, case.rule, case.asked.trend.declines, drawn)


@dataclass(frozen=True, slots=True)
class Topic:
    """A table of plain rows, and how it reads.

    Attributes:
        name: how it is asked for, and its key in JSON.
        rows: one flat row a line, with its labels first, such as `stressor`, `consumer`, `part`;
            none where there is nothing to tell.
        text: for a terminal, short: the totals alone where there are parts too.
    """

    name: str
    rows: Callable[[Case], list[Row]]
    text: Callable[[Sequence[Row]], str]


def _scenarios(case: Case) -> list[Row]:
    """Verdicts on every change in every scenario, where there are two or more."""
    names = case.run.record.scenarios
    if len(names) < 2 or len(case.years) < 2:
        return []
    return analysis.scenario_table({name: _verdicts_in(case, name) for name in names})


def _verdicts_in(case: Case, scenario: str) -> list[Row] | None:
    """Rows of verdicts; None for a scenario that is not drawn completely."""
    if scenario == case.scenario:
        return analysis.verdict_table(case.every_change)
    if case.run.ensemble(scenario).missing():
        return None
    ensemble = case.run.load(scenario, without=[f"by_{by}" for by in analysis.By])
    return analysis.verdict_table(changes(ensemble, case.rule, case.run.record.looks))


def _correlation(case: Case) -> list[Row]:
    if len(case.years) < 2:
        return []
    found = case.watched_changes
    declines = case.asked.trend.declines
    return analysis.correlation_table(
        case.ensemble, found, case.at_look, declines, final=case.at_last_look
    )


def _families(case: Case) -> list[Row]:
    if len(case.years) < 2:
        return []
    families = case.asked.families
    pairs = analysis.families_pairs(case.years, families)
    found = analysis.changes(case.ensemble, case.at_look, pairs)
    rows = analysis.family_table(case.ensemble, found, case.at_look, families)
    return analysis.adjusted_at_last_look(rows) if case.at_last_look else rows


def _equivalence(case: Case) -> list[Row]:
    percents = case.asked.equivalence
    if len(case.years) < 2 or not percents:
        return []
    found = case.watched_changes
    rows = analysis.equivalence_table(case.ensemble, found, case.at_look, percents)
    return analysis.equivalence_at_last_look(rows) if case.at_last_look else rows


def _trend(case: Case) -> list[Row]:
    return analysis.trend_table(
        case.ensemble, case.at_look, case.asked.trend, final=case.at_last_look
    )


def _years_to_detect(case: Case) -> list[Row]:
    return analysis.years_to_detect_table(
        {case.scenario: case.ensemble, **_others(case)}, case.scenario, case.rule, case.asked.trend
    )


def _others(case: Case) -> dict[str, xr.Dataset]:
    """The other scenarios of the run, read as they are used; those that are complete."""
    found = {}
    for name in case.run.record.scenarios:
        if name != case.scenario:
            with suppress(StoreError):
                found[name] = case.run.open(name)
    return found


def _targets(case: Case) -> list[Row]:
    return analysis.target_table(
        case.ensemble, case.asked.targets, case.at_look, final=case.at_last_look
    )


def _acceptance(case: Case) -> list[Row]:
    return analysis.acceptance_table(case.ensemble, case.asked.targets, case.at_look)


def _offset(case: Case) -> list[Row]:
    return analysis.offset_table(case.ensemble, case.asked.offset, case.rule)


def _decoupling(case: Case) -> list[Row]:
    return analysis.decoupling_table(case.ensemble, case.asked.decoupling, case.rule)


def _databases(case: Case) -> list[Row]:
    return analysis.databases_table(case.ensemble, case.asked.between_databases, case.rule)


def _rebalancing(case: Case) -> list[Row]:
    return analysis.rebalancing_table(case.ensemble, case.at_look)


TOPICS: tuple[Topic, ...] = (
    Topic("scenarios", _scenarios, analysis.scenario_text),
    Topic("correlation", _correlation, analysis.correlation_text),
    Topic("families", _families, analysis.family_text),
    Topic("equivalence", _equivalence, analysis.equivalence_text),
    Topic("trend", _trend, analysis.trend_text),
    Topic("years_to_detect", _years_to_detect, analysis.years_to_detect_text),
    Topic("budget", _budget, analysis.budget_text),
    Topic("target", _targets, analysis.target_text),
    Topic("acceptance", _acceptance, analysis.acceptance_text),
    Topic("offset", _offset, analysis.offset_text),
    Topic("decoupling", _decoupling, analysis.decoupling_text),
    Topic("databases", _databases, analysis.databases_text),
    Topic("rebalancing", _rebalancing, analysis.rebalancing_text),
)


def told(case: Case) -> Iterator[tuple[Topic, list[Row]]]:
    """Every topic of which there is something to tell, with its rows."""
    for topic in TOPICS:
        if rows := topic.rows(case):
            yield topic, rows
