"""What is told of a scenario beside its verdicts: a table a topic, for text, CSV, JSON and page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from engine import analysis
from engine.analysis import Asked
from engine.config.asked import remembered
from engine.kernels.changes import DetectionRule
from engine.workflow.folders import Run
from engine.workflow.judging import at_look

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
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
    def final(self) -> bool:
        """Whether what the draws leave open is to stay open."""
        looks = self.run.record.looks
        return looks is not None and looks.final(self.ensemble.sizes["draw"])


def case_of(run: Run, rule: DetectionRule, scenario: str | None, ensemble: xr.Dataset) -> Case:
    """The case of a scenario, of the first one if none is named, whose ensemble is at hand."""
    return Case(run, scenario or run.record.scenarios[0], ensemble, rule)


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


def _targets(case: Case) -> list[Row]:
    return analysis.target_table(case.ensemble, case.asked.targets, case.at_look, final=case.final)


def _acceptance(case: Case) -> list[Row]:
    return analysis.acceptance_table(case.ensemble, case.asked.targets, case.at_look)


def _offset(case: Case) -> list[Row]:
    return analysis.offset_table(case.ensemble, case.asked.offset, case.rule)


def _decoupling(case: Case) -> list[Row]:
    return analysis.decoupling_table(case.ensemble, case.asked.decoupling, case.rule)


def _databases(case: Case) -> list[Row]:
    return analysis.databases_table(case.ensemble, case.asked.between_databases, case.rule)


TOPICS: tuple[Topic, ...] = (
    Topic("target", _targets, analysis.target_text),
    Topic("acceptance", _acceptance, analysis.acceptance_text),
    Topic("offset", _offset, analysis.offset_text),
    Topic("decoupling", _decoupling, analysis.decoupling_text),
    Topic("databases", _databases, analysis.databases_text),
)


def told(case: Case) -> Iterator[tuple[Topic, list[Row]]]:
    """Every topic of which there is something to tell, with its rows."""
    for topic in TOPICS:
        if rows := topic.rows(case):
            yield topic, rows
