"""Operating characteristics: how often verdicts are right, in worlds whose truth is known.

The configuration's tables are taken for the truth of two years, and the second year's emissions
scaled so that every consumer's footprint changes by exactly the size asked. The composition stays
the second year's: without a true change the footprint is kept and what it is made of changes, so
that lasting errors do not cancel exactly. A world then publishes estimates with errors of one
scenario (`engine.worlds`), and the engine, which sees these alone, judges the change with a
scenario it believes in, the same or another. What is counted is the verdicts.

A study is interrupted without loss: every world is a line of `worlds.jsonl`, a world does not
depend on how many there are, and the same command plays those that are missing.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.clusters import ClusterSpec, connect, one_blas_thread
from engine.config import Config
from engine.errors import ConfigError, DriftError, InputError, RunError
from engine.jobs import Job, identity
from engine.kernels.changes import DetectionRule
from engine.kernels.operating import Scatter, decided
from engine.question import Question
from engine.report.figures.curves import Curve, Panel, curves
from engine.report.files import as_csv
from engine.report.subject import SYNTHETIC
from engine.runs import Listener, Progress
from engine.stores.durable import make_folder, storing, write_atomically
from engine.stores.identity import canonical, differences, text_digest
from engine.stores.lock import held
from engine.studies.rates import LEVEL, Expected, Outcomes, Row, rates, rows, text
from engine.studies.stage import (
    Record,
    Stage,
    Task,
    Trial,
    played,
    stage_of,
    standing,
    true_changes,
)
from engine.workflow.reading import Reader

WORLDS, DRAWS = 200, 1024
CHANGES = (0.0, -0.01, -0.02, -0.03, -0.05, -0.10)
_IDENTITY, _WORLDS = "study.json", "worlds.jsonl"
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


def characterise(
    config: Config,
    folder: str | Path | None = None,
    *,
    worlds: int = WORLDS,
    draws: int = DRAWS,
    changes: Sequence[float] = CHANGES,
    years: tuple[int, int] | None = None,
    truth: str | None = None,
    believed: str | None = None,
    stressor: str | None = None,
    consumer: str | None = None,
    cluster: ClusterSpec | None = None,
    listener: Listener = lambda _: None,
) -> Characteristics:
    """False positives, power and coverage of a configuration's verdicts, by simulation.

    Args:
        folder: of the study, `runs/<config name>-operating` if not given.
        worlds: of each scenario.
        draws: of each world.
        changes: true changes of the footprint between the two years, relative: -.02 for a fall of
            2 %. The minimum detectable fall is always added.
        years: the two years; the last two if not given.
        truth, believed: the scenario of the world, and the one the engine believes in; every one
            if not given.
        stressor, consumer: one of the configuration's; all if not given.
        cluster: where to run, instead of the configuration's own.
        listener: told of progress after every world, in draws of one year.

    Raises:
        InputError: the configuration or a table cannot be used, or what is asked.
        DriftError: the folder holds another study.
        RunError: a world failed; the others are safe.
    """
    folder = Path(folder) if folder else Path("runs") / f"{config.name}-operating"
    trial = _trial(config, draws, changes, years, truth, believed, stressor, consumer)
    if worlds < 2:
        raise ConfigError(
            f"{worlds} worlds tell no rate", where="worlds", remedy="ask for a few hundred"
        )
    with one_blas_thread():
        stage = stage_of(config, trial)
        described = canonical(_identity(config, trial, stage))
        digest = text_digest(described)
        with storing(folder):
            make_folder(folder)
        with held(folder / "lock.json") as lock, standing(digest, stage):
            known = _resumed(folder, described)
            asked = [(name, world) for world in range(worlds) for name in trial.truths]
            tasks = [Task(config, trial, digest, *one) for one in asked if one not in known]
            counted = _Counted(len(asked) - len(tasks), len(tasks), trial, listener)
            for record in _play(tasks, cluster or config.cluster) if tasks else ():
                lock.check()
                _append(folder, record)
                known[record["truth"], record["world"]] = record
                counted.add()
            seconds = counted.seconds / len(tasks) if tasks else math.nan
            records = [known[one] for one in asked]
            listed, aside = _found(config, trial, stage, records)
            lost = {n: sum(_lost(r) for r in records if r["truth"] == n) for n in trial.truths}
            found = Characteristics(folder, tuple(listed), aside, lost, _data(stage), seconds)
            drawn = _figures(config, trial, stage, listed, found.data)
            _written(folder, found, config, drawn)
            return found


def percentages(text: str) -> tuple[float, ...]:
    """`0,-1,-2.5` as shares.

    Raises:
        ConfigError: something in it is no number.
    """
    try:
        return tuple(float(part) / 100 for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"`{text}` is not a list of numbers",
            where="--changes",
            remedy="give percentages separated by commas, such as 0,-1,-2.5",
        ) from None


# --- what is asked ------------------------------------------------------------------------------


def _trial(
    config: Config,
    draws: int,
    changes: Sequence[float],
    years: tuple[int, int] | None,
    truth: str | None,
    believed: str | None,
    stressor: str | None,
    consumer: str | None,
) -> Trial:
    known = config.sampling.years
    if len(known) < 2:
        raise InputError(
            "the configuration has one year, so there is no change",
            where=str(config.path),
            remedy="name two years or more",
        )
    pair = known[-2:] if years is None else years
    for year in pair:
        _known(year, known, "year", config)
    if pair[0] >= pair[1]:
        raise ConfigError(
            f"{pair[0]} does not come before {pair[1]}",
            where="years",
            remedy="name the earlier year first",
        )
    if draws < 2:
        raise ConfigError(
            f"{draws} draws tell no probability", where="draws", remedy="ask for a thousand"
        )
    for change in changes:
        if not -1 < change < math.inf:
            raise ConfigError(
                f"a footprint cannot change by {100 * change:g} %",
                where="changes",
                remedy="give changes above -100 %",
            )
    scenarios = tuple(scenario.name for scenario in config.scenarios)
    for name in (truth, believed):
        if name is not None:
            _known(name, scenarios, "scenario", config)
    return Trial(
        years=(pair[0], pair[1]),
        question=_question(config, stressor, consumer),
        truths=scenarios if truth is None else (truth,),
        believed=scenarios if believed is None else (believed,),
        changes=tuple(sorted(set(changes), reverse=True)),
        draws=draws,
    )


def _question(config: Config, stressor: str | None, consumer: str | None) -> Question:
    """The configuration's, for totals alone."""
    asked = config.question
    consumers, indicators = asked.consumers, asked.indicators
    if stressor is not None:
        _known(stressor, [one.name for one in indicators], "stressor", config)
        indicators = tuple(one for one in indicators if one.name == stressor)
    if consumer is not None:
        _known(consumer, [one.name for one in consumers], "consumer", config)
        consumers = tuple(one for one in consumers if one.name == consumer)
    return Question(consumers, indicators, parts=("total",))


def _known(name: object, known: Iterable[object], what: str, config: Config) -> None:
    listed = list(known)
    if name not in listed:
        raise InputError(
            f"there is no {what} {name}",
            where=str(config.path),
            remedy=f"it has {', '.join(map(str, listed))}",
        )


def _identity(config: Config, trial: Trial, stage: Stage) -> dict[str, Any]:
    """Everything that decides a world and what is said of it."""
    hashes = {table.year: table.sha256 for table in stage.tables}
    jobs = [
        Job(
            folder=Path(),
            title=config.title,
            read=Reader(config).read,
            question=trial.question,
            errors=errors,
            sampling=replace(config.sampling, years=trial.years),
            r_max=config.r_max,
            tolerance=config.tolerance,
        )
        for errors in stage.models.values()
    ]
    return {
        "scenarios": {job.errors.name: identity(job, hashes) for job in jobs},
        "truths": sorted(trial.truths),
        "believed": sorted(trial.believed),
        "changes": list(trial.changes),
        "draws": trial.draws,
        "confidence": config.detection.confidence,
        "power": config.detection.power,
    }


# --- worlds on disk -----------------------------------------------------------------------------


def _resumed(folder: Path, described: str) -> dict[tuple[str, int], Record]:
    """The worlds that were played before; a new folder learns what it is about.

    Raises:
        DriftError: they belong to another study.
    """
    study, lines = folder / _IDENTITY, folder / _WORLDS
    with storing(folder):
        if not study.exists():
            write_atomically(lines, b"")
            write_atomically(study, described.encode())
            return {}
        written = study.read_text(encoding="utf-8")
        if written != described:
            fields = list(differences(json.loads(written), json.loads(described)))
            raise DriftError(
                f"holds another study; {'; '.join(fields[:3])}",
                where=str(folder),
                remedy="give this study a folder of its own (more worlds are welcome)",
            )
        text = lines.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if whole != text:  # a kill left half a line
            write_atomically(lines, whole.encode())
    records = [json.loads(line) for line in whole.splitlines()]
    return {(record["truth"], record["world"]): record for record in records}


def _append(folder: Path, record: Record) -> None:
    with storing(folder), (folder / _WORLDS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record, allow_nan=False) + "\n")


def _play(tasks: Sequence[Task], cluster: ClusterSpec) -> Iterator[Record]:
    with connect(cluster) as executor:
        for outcome in executor.map_unordered(played, tasks):
            if outcome.result is None:
                raise RunError(
                    f"a world failed: {type(outcome.error).__name__}: {outcome.error}",
                    where=f"scenario {outcome.task.truth}, world {outcome.task.world}",
                    remedy="the other worlds are safe; mend the cause and run again",
                ) from outcome.error
            yield outcome.result


class _Counted:
    """Tells the listener how far the study is, in draws of one year."""

    def __init__(self, before: int, waiting: int, trial: Trial, listener: Listener) -> None:
        self._each = 2 * trial.draws * len(trial.believed)
        self._before, self._total, self._computed = before, before + waiting, 0
        self._listener, self._began = listener, time.monotonic()
        self._tell()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def add(self) -> None:
        self._computed += 1
        self._tell()

    def _tell(self) -> None:
        done, total = ((self._before + self._computed), self._total)
        each = self._each
        self._listener(Progress(each * done, each * total, each * self._computed, self.seconds, ""))


# --- what was found -----------------------------------------------------------------------------


def _found(
    config: Config,
    trial: Trial,
    stage: Stage,
    records: Sequence[Record],
) -> tuple[list[Row], dict[str, tuple[int, str]]]:
    """Rows of every pair of scenarios, and the worlds set aside."""
    listed: list[Row] = []
    aside = {}
    for name in trial.truths:
        own = [record for record in records if record["truth"] == name]
        shown = [record for record in own if "judged" in record]
        reasons = [str(record["aside"]) for record in own if "aside" in record]
        aside[name] = len(reasons), reasons[0] if reasons else ""
        if len(shown) < 2:
            raise InputError(
                f"{len(reasons)} of {len(own)} worlds show no table that could be published "
                f"({aside[name][1]})",
                where=f"{config.path}, scenario {name}",
                remedy="errors this large leave industries without output; see footfall check",
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
    return listed, aside


def _lost(record: Record) -> bool:
    return bool(record.get("lost", 0))


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


def _written(folder: Path, found: Characteristics, config: Config, drawn: Drawn) -> None:
    """Rates as CSV and JSON, and a figure for every stressor and consumer."""
    facts = {
        "title": config.title,
        "data": found.data,
        "seed": config.sampling.seed,
        "confidence": config.detection.confidence,
        "power": config.detection.power,
        "interval_of_rates": f"Clopper-Pearson, {100 * LEVEL:g} %",
        "aside": {name: count for name, (count, _) in found.aside.items()},
        "lost": found.lost,
    }
    content = json.dumps({**facts, "rates": found.rows}, indent=1, allow_nan=False)
    with storing(folder):
        write_atomically(folder / "rates.csv", as_csv(found.rows, found.data).encode())
        write_atomically(folder / "rates.json", content.encode())
        for name, image in drawn.items():
            write_atomically(folder / name, image)


Drawn = dict[str, bytes]


def _figures(config: Config, trial: Trial, stage: Stage, listed: Sequence[Row], data: str) -> Drawn:
    drawn = {}
    for q, indicator in enumerate(trial.question.indicators):
        for c, consumer in enumerate(trial.question.consumers):
            panels = []
            for world in trial.truths:
                lines = [
                    _curve(
                        [
                            row
                            for row in listed
                            if (row["truth"], row["believed"]) == (world, believed)
                            and (row["stressor"], row["consumer"])
                            == (indicator.name, consumer.name)
                        ],
                        _expected(config, trial, stage, world, believed),
                        (q, c),
                        config.detection,
                    )
                    for believed in trial.believed
                ]
                panels.append(Panel(world, tuple(lines)))
            title = (
                f"{consumer.name}, {indicator.name}, {trial.years[0]}-{trial.years[1]}: "
                "how often a true change is detected"
            )
            name = _file_name(indicator.name, consumer.name)
            drawn[name] = curves(
                panels, title, data, config.detection.alpha, config.detection.power
            )
    return drawn


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
    sources = dict.fromkeys(
        f"{table.provenance.source} {table.provenance.version}".strip() for table in stage.tables
    )
    named = "; ".join(sources).removeprefix(SYNTHETIC)
    return f"{SYNTHETIC}simulated worlds around {named}"
