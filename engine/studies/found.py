"""What a study found: rates as text, CSV, JSON and figures."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config
from engine.errors import InputError
from engine.kernels.changes import DetectionRule
from engine.kernels.operating import Scatter, decided
from engine.mrio import called
from engine.report.figures.curves import Curve, Panel, curves
from engine.report.files import as_csv
from engine.report.subject import SYNTHETIC
from engine.stores.durable import storing, write_atomically
from engine.studies.rates import LEVEL, Expected, Outcomes, Row, rates, rows, text
from engine.studies.stage import Record, Stage, Trial, true_changes

_LINE = 61  # points of a theoretical curve


@dataclass(frozen=True, slots=True)
class Characteristics:
    """What a study found.

    Attributes:
        folder: where `rates.csv`, `rates.json`, the figures and the worlds lie.
        rows: one for each pair of scenarios, stressor, consumer and size of the true change.
        aside: by scenario, how many worlds no publisher would show, and the first reason.
        lost: by scenario, in how many worlds an industry is published without its true output.
        data: what the tables are called.
        seconds: a world, of those played now by all workers together; NaN where none was missing.
    """

    folder: Path
    rows: tuple[Row, ...]
    aside: dict[str, tuple[int, str]]
    lost: dict[str, int]
    data: str
    seconds: float

    def __str__(self) -> str:
        notes = [
            f"`{name}`: {count} worlds set aside, which no publisher would show ({reason})"
            for name, (count, reason) in self.aside.items()
            if count
        ] + [
            f"`{name}`: in {count} worlds an industry lost its output to errors, and was inactive "
            "in what the engine saw"
            for name, count in self.lost.items()
            if count
        ]
        if math.isfinite(self.seconds):
            notes.append(f"a world took {self.seconds:.2g} s, workers sharing the work")
        return "\n\n".join([self.data, text(self.rows), *notes])


def found(
    folder: Path,
    config: Config,
    trial: Trial,
    stage: Stage,
    records: Sequence[Record],
    seconds: float,
) -> Characteristics:
    """Rates of every pair of scenarios.

    Raises:
        InputError: hardly any world of a scenario could be published.
    """
    listed: list[Row] = []
    aside, lost = {}, {}
    for name in trial.truths:
        own = [record for record in records if record["truth"] == name]
        shown = [record for record in own if "judged" in record]
        reasons = [str(record["aside"]) for record in own if "aside" in record]
        aside[name] = len(reasons), reasons[0] if reasons else ""
        lost[name] = sum(record["lost"] > 0 for record in shown)
        if len(shown) < 2:
            raise InputError(
                f"{len(reasons)} of {len(own)} worlds show no table that could be published "
                f"({aside[name][1]})",
                where=f"{config.path}, scenario {name}",
                remedy="its errors are larger than the tables can bear; see footfall check",
            )
        for believed in trial.believed:
            expected = _expected(config, trial, stage, name, believed)
            labels = {
                "truth": name,
                "believed": believed,
                "from_year": trial.years[0],
                "to_year": trial.years[1],
                "worlds": len(shown),
                "draws": trial.draws,
            }
            listed += rows(
                labels,
                [indicator.name for indicator in trial.question.indicators],
                [consumer.name for consumer in trial.question.consumers],
                expected.true,
                rates(_outcomes(shown, believed), expected, config.detection),
            )
    return Characteristics(folder, tuple(listed), aside, lost, _data(stage), seconds)


def _expected(config: Config, trial: Trial, stage: Stage, world: str, believed: str) -> Expected:
    true = true_changes(stage, trial, believed, config)
    return Expected(true, stage.laws[world], stage.laws[believed], trial.draws)


def _outcomes(records: Sequence[Record], believed: str) -> Outcomes:
    columns = [record["judged"][believed] for record in records]

    def stacked(name: str, kind: type) -> Any:
        return np.array([column[name] for column in columns], dtype=kind)  # None becomes NaN

    return Outcomes(
        verdict=stacked("verdict", np.int8),
        limit=stacked("limit", np.int8),
        covered=stacked("covered", np.bool_),
        error=stacked("error", np.float64),
        sigma=stacked("sigma", np.float64),
    )


def write(told: Characteristics, config: Config, trial: Trial, stage: Stage) -> None:
    """Rates as CSV and JSON, and a figure for every stressor and consumer."""
    facts = {
        "title": config.title,
        "data": told.data,
        "seed": config.sampling.seed,
        "confidence": config.detection.confidence,
        "power": config.detection.power,
        "interval_of_rates": f"Clopper-Pearson, {100 * LEVEL:g} %",
        "aside": {name: count for name, (count, _) in told.aside.items()},
        "lost": told.lost,
    }
    content = json.dumps({**facts, "rates": told.rows}, indent=1, allow_nan=False)
    with storing(told.folder):
        write_atomically(told.folder / "rates.csv", as_csv(told.rows, told.data).encode())
        write_atomically(told.folder / "rates.json", content.encode())
        for q, indicator in enumerate(trial.question.indicators):
            for c, consumer in enumerate(trial.question.consumers):
                image = _figure(told, config, trial, stage, (q, c))
                name = _file_name(indicator.name, consumer.name)
                write_atomically(told.folder / name, image)


def _figure(
    told: Characteristics, config: Config, trial: Trial, stage: Stage, place: tuple[int, int]
) -> bytes:
    """Of one stressor and consumer: a panel for each scenario of the world."""
    stressor, consumer = (
        trial.question.indicators[place[0]].name,
        trial.question.consumers[place[1]].name,
    )
    panels = []
    for world in trial.truths:
        lines = []
        for believed in trial.believed:
            wanted = (world, believed, stressor, consumer)
            own = [row for row in told.rows if _subject(row) == wanted]
            expected = _expected(config, trial, stage, world, believed)
            lines.append(_curve(own, expected, place, config.detection))
        panels.append(Panel(world, tuple(lines)))
    years = f"{trial.years[0]}-{trial.years[1]}"
    title = f"{consumer}, {stressor}, {years}: how often a true change is detected"
    return curves(panels, title, told.data, config.detection.alpha, config.detection.power)


def _subject(row: Row) -> tuple[str, str, str, str]:
    return row["truth"], row["believed"], row["stressor"], row["consumer"]


def _file_name(*names: str) -> str:
    plain = "-".join(re.sub(r"[^A-Za-z0-9_.-]+", "_", name) for name in names)
    return f"detected-{plain}.png"


def _curve(
    own: Sequence[Row], expected: Expected, place: tuple[int, int], rule: DetectionRule
) -> Curve:
    """Rates against the size of the true change, and theory's line through the same range."""
    sizes = [row["true_delta"] for row in own]
    least, most = min(0.0, *sizes), max(0.0, *sizes)
    line = np.linspace(least, most, _LINE)
    line = line[line != 0]  # where false positives of both directions are counted instead
    world, believed = (
        Scatter(law.sigma[place], law.shift[place]) for law in (expected.world, expected.believed)
    )
    falls, rises = decided(line, world, believed, rule)
    power = np.where(line < 0, falls, rises)
    return Curve(
        name=str(own[0]["believed"]),
        right=own[0]["believed"] == own[0]["truth"],
        change=[row["true_change_percent"] for row in own],
        detected=[row["detected"] for row in own],
        low=[row["detected_low"] for row in own],
        high=[row["detected_high"] for row in own],
        limit=[row["limit"] for row in own],
        line_change=list(100 * np.expm1(line)),
        line=list(power),
        none=float(sum(decided(np.zeros(()), world, believed, rule))),
    )


def _data(stage: Stage) -> str:
    """What the tables are called; the worlds themselves are made up in any case."""
    seen = (table.provenance for table in stage.tables)
    named = called((one.source, one.version) for one in seen).removeprefix(SYNTHETIC)
    return f"{SYNTHETIC}simulated worlds around {named}"
