"""What one page is about."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import xarray as xr

from engine.kernels.changes import DetectionRule
from engine.mrio import called, silent_in

SYNTHETIC = "SYNTHETIC: "


@dataclass(frozen=True, slots=True)
class Assumption:
    """One entry of the error model, in words."""

    quantity: str
    size: str
    correlation: str
    source: str


@dataclass(frozen=True, slots=True)
class Other:
    """Another scenario of the run: its error model in words, and its page, if it is written.

    Attributes:
        page: relative to this one; empty if there is none.
    """

    name: str
    model: tuple[Assumption, ...] = ()
    page: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """Everything one page is about: one scenario of one run.

    Attributes:
        title: what the user calls the run.
        scenario: the scenario of the error model this page shows.
        other_scenarios: the other scenarios of the run.
        ensemble: the opened ensemble, with its facts as attributes.
        changes: `engine.analysis.changes.changes` of the ensemble.
        levels: `engine.analysis.changes.levels` of the ensemble.
        rule: the detection rule the changes were judged by.
        assumptions: the error model, one row an entry.
        indicators: name, unit, weights and source of each indicator.
        reproduce: what to type, and what it ran on; shown in this order.
        contributions: `engine.analysis.contribution_table` of the longest change, of each kind of
            contributions that the ensemble holds.
        controlled: `engine.analysis.of_ensemble`; None where the ensemble keeps no first order.
        names: what codes are called.
        topics: what is told beside the verdicts, rows by topic (`engine.workflow.topics`).
    """

    title: str
    scenario: str
    other_scenarios: tuple[Other, ...]
    ensemble: xr.Dataset
    changes: xr.Dataset
    levels: xr.Dataset
    rule: DetectionRule
    assumptions: tuple[Assumption, ...]
    indicators: tuple[Mapping[str, str], ...]
    reproduce: Mapping[str, str]
    contributions: tuple[dict[str, Any], ...] = ()
    controlled: xr.Dataset | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether any of the tables was made up."""
        return bool(self.ensemble.attrs["synthetic"])

    @property
    def data(self) -> str:
        """What the tables are called, with the word SYNTHETIC first where they are made up."""
        tables = self.fact("tables").values()
        listed = called((table["source"], table["version"]) for table in tables)
        marked = not self.synthetic or listed.startswith(SYNTHETIC)
        return listed if marked else f"{SYNTHETIC}{listed}"

    @property
    def silent(self) -> str:
        """Regions without any emissions, in words; empty if there are none."""
        return silent_in(self.fact("findings"))

    def fact(self, name: str) -> Any:
        """What the ensemble says of itself; nested facts are stored as JSON text."""
        value = self.ensemble.attrs[name]
        return json.loads(value) if isinstance(value, str) else value
