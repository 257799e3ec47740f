"""The verbs of footfall, from a configuration on: check, plan, preview, run, detect, report.

The command line and `import engine` both speak through these functions.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import xarray as xr

from engine import analysis, readers, wording
from engine.clusters import ClusterSpec, Executor, one_blas_thread
from engine.config import Config
from engine.draws import reference
from engine.error_model import (
    ByLabel,
    Constant,
    ErrorModel,
    Period,
    factor_correlation,
    inter_year_correlation,
    only_independent_cells,
)
from engine.errors import InputError, PlanError, StoreError
from engine.jobs import Job, settled
from engine.kernels.changes import DetectionRule, spent_at_look
from engine.kernels.speed import measure
from engine.mrio import MRIO, Labels, findings
from engine.plan import (
    GROUP,
    Direction,
    Needs,
    SamplingPlan,
    Shape,
    needs,
    whole_blocks,
)
from engine.prepare import addresses, prepare
from engine.question import Consumer, Question, with_units
from engine.report import Assumption, Subject, write
from engine.runs import Listener
from engine.runs import run as run_jobs
from engine.stores.ensemble import Ensemble, open_ensemble
from engine.stores.record import Looks, Record, read_record, write_record
from engine.twin import twin

# Measured memory of what a plan's own process does not hold yet: scheduler, dashboard and compiler
# in this process; and each idle worker process.
_CLUSTER, _WORKER = 50 * 2**20, 185 * 2**20


def run_folder(config: Config) -> Path:
    """Where a configuration's run lives unless the user says otherwise: `runs/<name>`."""
    return Path("runs") / config.name


# --- check --------------------------------------------------------------------------------------


def check(config: Config) -> Iterator[str]:
    """Read every table and resolve every name; yields what was found, line by line.

    Raises:
        InputError: the first thing that makes a run impossible.
    """
    tables = _Reader(config)
    question, before = config.question, None
    for year in config.sampling.years:
        table = tables.read(year)
        question = with_units(question, table.labels)
        for scenario in config.scenarios:
            reference(prepare(table, scenario, question, config.sampling.seed, r_max=config.r_max))
        if _origin(table) != before:
            before = _origin(table)
            yield before
        yield f"{year}: sha256 {table.sha256[:16]}"
        for finding in findings(table):
            yield f"  {finding.kind}: {finding.count} ({finding.detail})"
    yield "consumers: " + ", ".join(_membership(consumer) for consumer in question.consumers)
    yield "stressors: " + ", ".join(f"{i.name} [{i.unit}]" for i in question.indicators)
    for scenario in config.scenarios:
        yield from _described_errors(scenario, config.sampling.years, _buys(question))


def _buys(question: Question) -> bool:
    """Whether a demand vector is among the consumers."""
    return any(consumer.purchases is not None for consumer in question.consumers)


def _origin(table: MRIO) -> str:
    labels, provenance = table.labels, table.provenance
    unsaid = provenance.synthetic and "SYNTHETIC" not in provenance.source
    name = f"{'SYNTHETIC: ' if unsaid else ''}{provenance.source} {provenance.version}".strip()
    return (
        f"{name}; licence {provenance.licence}\n"
        f"{len(labels.industries)} industries, {len(labels.regions)} regions, "
        f"{', '.join(labels.stressors)}; {labels.currency}\n"
        f"regions: {' '.join(labels.regions)}\n"
        f"sectors: {', '.join(labels.sectors)}"
    )


def _membership(consumer: Consumer) -> str:
    if consumer.purchases is not None:
        return f"{consumer.name} (purchases, home {', '.join(consumer.members)})"
    regions = len(consumer.members)
    return consumer.name if regions == 1 else f"{consumer.name} ({regions} regions)"


def _described_errors(
    scenario: ErrorModel, years: tuple[int, ...], purchases: bool
) -> Iterator[str]:
    yield f"scenario {scenario.name}, perturbing {scenario.method}:"
    first, second = years[0], years[min(1, len(years) - 1)]
    for entry in scenario:
        rho = math.fsum(
            component.weight * inter_year_correlation(component.time, first, second)
            for component in entry.components
        )
        yield f"  {wording.quantity(entry)}: {wording.size(entry.size)}"
        rsd = entry.size.rsd if isinstance(entry.size, Constant) else None
        if wording.largest(entry.size) > 1:
            yield "    warning: an rsd above 1 is more than 100 %; sizes are fractions"
        factors = f", of factors {factor_correlation(rho, rsd, rsd):.4g}" if rsd else ""
        yield f"    correlation of {first} and {second}: of eps {rho:.4g}{factors}"
        yield f"    source: {entry.source}"
        if isinstance(entry.size, ByLabel):
            for unmet in entry.size.unmet:
                yield f"    warning: cannot be met by a mean-one lognormal: {unmet}"
        if any(isinstance(component.time, Period) for component in entry.components):
            yield "    warning: `period` errors manufacture a change at every benchmark"
    for words in wording.exact_in_words(scenario, purchases):
        yield f"  {words}: taken as exact"
    if only_independent_cells(scenario):
        yield "  warning: all errors are independent cells, which is optimistic (Rodrigues 2018)"


class _Reader:
    """Reads tables and refuses years that do not belong together."""

    def __init__(self, config: Config) -> None:
        self._tables = config.tables
        self._first: tuple[int, Labels] | None = None
        self.synthetic = False  # whether a table read so far is

    def read(self, year: int) -> MRIO:
        table = readers.read(self._tables, year)
        self.synthetic |= table.provenance.synthetic
        self._first = self._first or (year, table.labels)
        readers.refuse_mixed(*self._first, year, table.labels)
        return table


# --- plan ---------------------------------------------------------------------------------------


# Seconds until workers are at work, measured: imports and compiled kernels from their cache.
_STARTING = {Executor.SERIAL: 0.5, Executor.THREADS: 1.5, Executor.PROCESSES: 5.0}


@dataclass(frozen=True, slots=True)
class Planned:
    """A run's predicted needs, and what this machine has.

    Attributes:
        shape: of the scenario that needs most.
        why: the reason for the direction in which its draws are solved.
        split: whether split mode is asked for.
    """

    needs: Needs
    shape: Shape
    why: str
    split: bool
    sampling: SamplingPlan
    scenarios: int
    cluster: ClusterSpec
    peak: int
    available: int

    @property
    def seconds(self) -> float:
        """Of all scenarios."""
        each = self.needs.starting + self.needs.seconds
        return each * self.scenarios + _STARTING[self.cluster.executor]

    def summary(self) -> str:
        """One line, for the start of a run."""
        plan = self.sampling
        return (
            f"{plan.draws} draws x {len(plan.years)} years x {self.scenarios} scenario(s) on "
            f"{self.cluster.slots} {self.cluster.executor}; about "
            f"{_duration(self.seconds)}, {_size(self.peak)} of memory"
        )

    def extended(self, draws: int) -> Planned:
        """The same for so many draws a year: time and disk grow, memory does not."""
        more = draws / self.sampling.draws
        needs = replace(
            self.needs,
            seconds=self.needs.seconds * more,
            ensemble=round(self.needs.ensemble * more),
        )
        return replace(self, needs=needs, sampling=replace(self.sampling, draws=draws))

    def lines(self) -> Iterator[str]:
        """Everything predicted, line by line."""
        plan, needs, shape = self.sampling, self.needs, self.shape
        blocks = plan.draws // plan.block * len(plan.years)
        starting = needs.starting * self.scenarios + _STARTING[self.cluster.executor]
        factors = f"{shape.kept / shape.cells:.0%} kept in memory" if shape.cells else "none"
        yield self.summary()
        yield f"blocks:            {blocks} of {plan.block} draws, each one task, for a scenario"
        yield f"direction:         {shape.direction}, {shape.columns} at once, {self.why}"
        yield f"cells with errors: {shape.cells:,} a year, {shape.normals:.3g} normals each"
        yield f"factors of cells:  {factors}, for {GROUP} draws at a time; others drawn twice"
        yield f"memory, shared:    {_size(needs.shared)} of prepared tables"
        yield f"memory, each slot: {_size(needs.workspace)}"
        yield f"memory, preparing: {_size(needs.preparing)}"
        yield f"memory, peak:      {_size(self.peak)} of {_size(self.available)} available"
        yield f"memory, directly:  {self._directly()}"
        yield f"disk:              {_size((needs.ensemble + needs.prepared) * self.scenarios)}"
        yield f"time, preparing:   {_duration(starting)}"
        yield f"time, drawing:     {_duration(needs.seconds * self.scenarios)} (speed measured now)"
        if self.split:
            yield "                   at most: most draws of split mode take a fraction of that"

    def _directly(self) -> str:
        """What draws that cannot be certified add to the peak."""
        added = self.needs.directly
        fits = self.peak + self.cluster.slots * added <= self.available
        end = "which fits" if fits else "which does NOT FIT in all slots at once: use fewer workers"
        return f"{_size(added)} more in each slot for a draw not certified, {end}"


def _size(amount: float) -> str:
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan(
    config: Config, *, draws: int | None = None, cluster: ClusterSpec | None = None
) -> Planned:
    """Predict memory, disk and time; compute nothing of the run.

    Raises:
        PlanError: the run cannot fit this machine's memory.
    """
    sampling, cluster = _sampling(config, draws), cluster or config.cluster
    slots, processes = cluster.slots, cluster.executor is Executor.PROCESSES
    with one_blas_thread():
        rates = measure()
    baseline = psutil.Process().memory_info().rss + (slots * _WORKER if processes else _CLUSTER)
    available = psutil.virtual_memory().available
    table = readers.read(config.tables, sampling.years[0])
    shapes = [
        _shape(table, config.question, scenario, sampling.years) for scenario in config.scenarios
    ]
    largest = max(shapes, key=lambda shape: shape.cells * shape.normals)
    needed = needs(largest, sampling, slots, rates)
    peak = needed.peak(slots, baseline)
    if peak > available:
        raise PlanError(
            f"the run needs {_size(peak)} of memory, this machine has {_size(available)} free",
            where="cluster.workers",
            remedy=f"use fewer than {slots} workers, or a smaller table",
        )
    return Planned(
        needs=needed,
        shape=largest,
        why=_why(config.question, largest.direction),
        split=config.keep is not None,
        sampling=sampling,
        scenarios=len(config.scenarios),
        cluster=cluster,
        peak=peak,
        available=available,
    )


def _why(question: Question, way: Direction) -> str:
    if way is Direction.ADJOINT:
        return "one an indicator: totals alone are asked, of more consumers than indicators"
    if question.attributed:
        return "one a consumer: contributions are asked"
    if {"domestic", "foreign"} & set(question.parts):
        return "one a consumer: domestic or foreign parts are asked"
    return "one a consumer: there are no more of them than indicators"


def _sampling(config: Config, draws: int | None) -> SamplingPlan:
    if draws is None:
        return config.sampling
    return replace(config.sampling, draws=whole_blocks(draws, config.sampling.block))


def _shape(table: MRIO, question: Question, scenario: ErrorModel, years: tuple[int, ...]) -> Shape:
    """Sizes of a run whose tables are all like this one.

    Args:
        years: over which the normals of a cell are averaged: AR(1) needs one to eight of them.
    """
    flows = {"Z": table.Z, "A": table.Z, "E": table.E, "s": table.E, "Y": table.Y, "F_Y": table.F_Y}
    cells = {q: int(np.count_nonzero(values)) for q, values in flows.items()}
    drawn = [
        (
            cells.get(entry.quantity, 0),
            sum(len(component.time.nodes(year)) for year in years) / len(years),
        )
        for entry in scenario
        for component in entry.components
        if component.group == ("cell",)
    ]
    perturbed = sum(cells.get(entry.quantity, 0) for entry in scenario)
    return Shape(
        n=len(table.labels.industries),
        r=len(table.labels.regions),
        k=len(table.labels.stressors),
        q=len(question.indicators),
        c=len(question.consumers),
        parts=len(question.parts),
        cells=perturbed,
        normals=sum(count * nodes for count, nodes in drawn) / max(perturbed, 1),
        direction=question.direction,
        contributions=8
        * len(question.indicators)
        * (
            len(question.by_origin) * len(table.labels.regions)
            + len(question.by_industry) * len(table.labels.industries)
        ),
        negative=bool(table.Z.min(initial=0.0) < 0),
    )


# --- preview ------------------------------------------------------------------------------------


def preview(
    config: Config, rule: DetectionRule | None = None, scenario: str | None = None
) -> xr.Dataset:
    """The answer to first order, without a draw: levels, changes, and what verdicts would be.

    Args:
        rule: confidence and power; the configuration's own if not given.
        scenario: which one; the first if not given.

    Raises:
        InputError: the configuration or a table cannot be used.
    """
    errors, tables = _scenario(config, scenario), _Reader(config)
    question, years = config.question, config.sampling.years
    labels = [tables.read(years[0]).labels]  # of all years: `_Reader` refuses others
    hashes, question = addresses(labels, question), with_units(question, labels[0])
    prepared = [
        prepare(
            tables.read(year),
            errors,
            question,
            config.sampling.seed,
            r_max=config.r_max,
            hashes=hashes,
        )
        for year in years
    ]
    previewed = analysis.preview(twin(prepared), question, rule or config.detection)
    return previewed.assign_attrs(
        title=config.title, scenario=errors.name, synthetic=tables.synthetic
    )


def _scenario(config: Config, name: str | None) -> ErrorModel:
    known = {scenario.name: scenario for scenario in config.scenarios}
    if name is not None and name not in known:
        raise InputError(
            f"there is no scenario `{name}`",
            where=str(config.path),
            remedy=f"it has {', '.join(known)}",
        )
    return config.errors if name is None else known[name]


def previewed(
    config: Config,
    rule: DetectionRule,
    scenario: str | None = None,
    form: str = "text",
    *,
    all_pairs: bool = False,
    all_parts: bool = False,
) -> str:
    """The table of `preview` as text, CSV or JSON, in the form of `detect`.

    Args:
        form: "text", "csv" or "json". CSV and JSON hold every pair of years and every part.
        all_pairs: every pair of years in the text, not the consecutive ones and the whole span.
        all_parts: every part in the text, not the total alone.

    Raises:
        InputError: the configuration or a table cannot be used.
    """
    found = preview(config, rule, scenario)
    if form != "text" and not found.sizes["pair"]:
        raise InputError(
            "the configuration has one year, so there is no change to preview",
            where=str(config.path),
            remedy="ask for two years or more; the text shows levels",
        )
    match form:
        case "csv":
            return analysis.to_csv(analysis.preview_table(found))
        case "json":
            return analysis.to_json(analysis.preview_table(found))
        case _:
            mark = "SYNTHETIC data. " if found.attrs["synthetic"] else ""
            title = f"{mark}{found.attrs['title']}; scenario {found.attrs['scenario']}; "
            shown = analysis.preview_text(found, all_pairs=all_pairs, all_parts=all_parts)
            return f"{title}{found.attrs['basis']}\n\n{shown}"


# --- run ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder and the scenarios in it."""

    folder: Path
    record: Record

    def ensemble(self, scenario: str | None = None) -> Ensemble:
        """The stored ensemble of a scenario, of the first one if none is named.

        Raises:
            StoreError: there is no such scenario in this run.
        """
        names = self.record.scenarios
        name = scenario or names[0]
        if name not in names:
            raise StoreError(
                f"there is no scenario `{name}`",
                where=str(self.folder),
                remedy=f"it has {', '.join(names)}",
            )
        return open_ensemble(self.folder / name)

    def open(self, scenario: str | None = None) -> xr.Dataset:
        """The labelled ensemble of a scenario, read from disk as it is used.

        Raises:
            StoreError: it is not complete; running again completes it.
        """
        return self.ensemble(scenario).dataset()

    def load(self, scenario: str | None = None) -> xr.Dataset:
        """The same, read into memory at once.

        Raises:
            StoreError: it is not complete, or damaged on disk.
        """
        try:
            with self.open(scenario) as ensemble:
                return ensemble.load()
        except (RuntimeError, ValueError) as error:  # what zarr's codecs raise on damaged bytes
            raise StoreError(
                f"a block is damaged ({error})",
                where=str(self.folder),
                remedy="`footfall status --verify` names it, then `footfall run` computes it anew",
            ) from error


def run(
    config: Config,
    folder: str | Path | None = None,
    *,
    draws: int | None = None,
    cluster: ClusterSpec | None = None,
    listener: Listener = lambda _: None,
) -> Run:
    """Run, resume or extend every scenario of a configuration.

    Args:
        folder: the run folder, `runs/<config name>` if not given.
        draws: draws a year instead of the configuration's own, rounded up to whole blocks.
        cluster: where to run, instead of the configuration's own. Processes need a script whose
            own work stands under `if __name__ == "__main__":`; threads do not.
        listener: told of progress after every block.

    Raises:
        InputError: the configuration or a table cannot be used.
        StoreError: the folder holds another run, is in use, or cannot be written.
        RunError: the run stopped before it was complete.
    """
    folder = Path(folder) if folder else run_folder(config)
    cluster = cluster or config.cluster
    sampling = _sampling(config, draws)
    tables = _Reader(config)
    question = with_units(config.question, tables.read(sampling.years[0]).labels)
    jobs = [
        Job(
            folder=folder / scenario.name,
            title=config.title,
            read=tables.read,
            question=question,
            errors=scenario,
            sampling=sampling,
            r_max=config.r_max,
            tolerance=config.tolerance,
            keep=config.keep,
        )
        for scenario in config.scenarios
    ]
    began = time.time()
    with one_blas_thread(), settled(jobs) as ready:
        record = _record(config, question, _earlier(folder))
        write_record(folder, record)
        try:
            run_jobs(ready, cluster, listener)
        finally:
            sittings = (*record.sittings, _sitting(began, sampling, cluster))
            record = replace(record, sittings=sittings)
            write_record(folder, record)
    return Run(folder, record)


def _sitting(began: float, sampling: SamplingPlan, cluster: ClusterSpec) -> dict[str, Any]:
    return {
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 1),
        "draws": sampling.draws,
        "executor": str(cluster.executor),
        "workers": cluster.slots,
        "host": platform.node(),
    }


def _earlier(folder: Path) -> Record | None:
    """What the folder remembers; nothing where there is no readable record."""
    try:
        return read_record(folder)
    except StoreError:
        return None


def _record(
    config: Config,
    question: Question,
    earlier: Record | None,
) -> Record:
    return Record(
        title=config.title,
        scenarios=tuple(scenario.name for scenario in config.scenarios),
        confidence=config.detection.confidence,
        power=config.detection.power,
        config=config.path.read_text(encoding="utf-8-sig"),
        assumptions={
            s.name: wording.assumptions(s, purchases=_buys(question)) for s in config.scenarios
        },
        indicators=tuple(
            {
                "name": indicator.name,
                "unit": indicator.unit,
                "weights": ", ".join(f"{w:g} x {name}" for name, w in indicator.weights.items()),
                "source": indicator.source,
            }
            for indicator in question.indicators
        ),
        sittings=earlier.sittings if earlier else (),
        looks=earlier.looks if earlier else None,
    )


def open_run(folder: str | Path) -> Run:
    """An existing run folder.

    Raises:
        StoreError: it holds no run.
    """
    return Run(Path(folder), read_record(Path(folder)))


def folder_of(run: Path) -> Path:
    """A run folder, given itself or the configuration it came from."""
    return Path("runs") / run.stem if run.suffix == ".toml" else run


# --- what the user reads ------------------------------------------------------------------------


def status(folder: Path, scenario: str | None = None, *, verify: bool = False) -> Iterator[str]:
    """Blocks done, missing and failed of each scenario; with `verify`, every block read again.

    Damaged blocks are taken out of the ledger, so that the next run computes them anew.

    Raises:
        StoreError: the folder holds no run, or the scenario does not exist.
    """
    for name in [scenario] if scenario else _scenarios_in(folder):
        ensemble = open_ensemble(folder / name)
        progress = ensemble.progress()
        done, total = sum(progress.done.values()), progress.blocks * len(progress.done)
        yield f"{name}: {done} of {total} blocks of {ensemble.axes.block} draws done"
        for block, reason in progress.failures.items():
            yield f"  failed: year {block.year}, block {block.index}: {reason}"
        if verify:
            yield from _verified(ensemble)


def _verified(ensemble: Ensemble) -> Iterator[str]:
    problems = ensemble.verify()
    for problem in problems:
        if problem.block is None:
            yield f"  damaged: {problem.reason}"
            continue
        ensemble.forget(problem.block)
        yield f"  damaged: year {problem.block.year}, block {problem.block.index}: {problem.reason}"
    if problems:
        yield "  damaged blocks are marked missing; `footfall run` mends everything"
    else:
        yield "  verified: every finished block is what the ledger says"


def _scenarios_in(folder: Path) -> list[str]:
    found = sorted(path.parent.name for path in folder.glob("*/ensemble.zarr"))
    if not found:
        raise StoreError(
            "holds no run", where=str(folder), remedy="start one with `footfall run CONFIG`"
        )
    return found


# --- verdicts and report ------------------------------------------------------------------------


def rule_of(run: Run, alpha: float | None = None, power: float | None = None) -> DetectionRule:
    """The detection rule of a run, with another error level or power where given.

    Raises:
        ConfigError: not a probability.
    """
    return overridden(DetectionRule(run.record.confidence, run.record.power), alpha, power)


def overridden(rule: DetectionRule, alpha: float | None, power: float | None) -> DetectionRule:
    """The rule with another error level or power where given.

    Raises:
        ConfigError: not a probability.
    """
    confidence = rule.confidence if alpha is None else 1 - alpha
    return replace(rule, confidence=confidence, power=rule.power if power is None else power)


def detect(
    run: Run,
    rule: DetectionRule,
    scenario: str | None = None,
    form: str = "text",
    *,
    all_pairs: bool = False,
    all_parts: bool = False,
    by: str | None = None,
) -> str:
    """The table of verdicts as text, CSV or JSON.

    Args:
        form: "text", "csv" or "json". CSV and JSON hold every pair of years and every part.
        all_pairs: every pair of years in the text, not the consecutive ones and the whole span.
        all_parts: every part in the text, not the total alone.
        by: "origin" or "industry": contributions in the place of parts; the text has the largest.

    Raises:
        StoreError: the ensemble is not complete.
        InputError: it has one year only, or not the contributions asked for.
    """
    ensemble = run.load(scenario)
    if ensemble.sizes["year"] < 2:
        raise InputError(
            "the run has one year, so there is no change to judge",
            where=str(run.folder),
            remedy="run a configuration of two years or more; `footfall report` shows levels",
        )
    if by is None:
        controlled = analysis.of_ensemble(ensemble, rule)
        rows = analysis.verdict_table(_changes(ensemble, rule, run.record.looks))
        rows = analysis.with_controlled(rows, controlled)
    else:
        every = all_pairs or form != "text"
        rows = _contributions(ensemble, by, rule, run.record.looks, every=every)
    title = f"{run.record.title}; scenario {scenario or run.record.scenarios[0]}"
    title += f"\n{analysis.solving_text(ensemble)}"
    if run.record.looks:
        title += f"\n{run.record.looks.in_words(ensemble.sizes['draw'])}"
    mark = "SYNTHETIC data. " if ensemble.attrs["synthetic"] else ""
    match form:
        case "csv":
            return analysis.to_csv(rows)
        case "json":
            return analysis.to_json(rows)
        case _:
            if by is not None:
                return f"{mark}{title}\n\n{analysis.contribution_text(rows)}"
            shown = [row for row in rows if all_parts or row["part"] == "total"]
            table = analysis.text_table(shown, all_pairs=all_pairs)
            return f"{mark}{title}\n\n{table}\n{analysis.linearity_text(controlled)}".rstrip()


def report(run: Run, scenario: str | None = None, folder: Path | None = None) -> Path:
    """Write the page of one scenario and the data of its figures; returns the page.

    Args:
        folder: where to, `RUN/report-<scenario>` if not given.

    Raises:
        StoreError: the ensemble is not complete, or the page cannot be written.
    """
    name = scenario or run.record.scenarios[0]
    folder = folder or run.folder / f"report-{name}"
    ensemble, looks = run.load(name), run.record.looks
    rule = at_look(rule_of(run), looks, ensemble.sizes["draw"])
    subject = Subject(
        title=run.record.title,
        scenario=name,
        other_scenarios=tuple(other for other in run.record.scenarios if other != name),
        ensemble=ensemble,
        changes=_changes(ensemble, rule_of(run), looks),
        levels=analysis.levels(ensemble, rule),
        controlled=analysis.of_ensemble(ensemble, rule),
        rule=rule,
        assumptions=tuple(Assumption(**row) for row in run.record.assumptions[name]),
        indicators=run.record.indicators,
        reproduce=_reproduction(run, ensemble),
        contributions=tuple(
            row
            for by in analysis.kinds(ensemble)
            for row in _contributions(ensemble, by, rule_of(run), looks)
        ),
    )
    try:
        return write(subject, folder)
    except OSError as error:
        raise StoreError(
            f"the report cannot be written ({error})",
            where=str(folder),
            remedy="free space or name another folder with --output",
        ) from error


def _changes(
    ensemble: xr.Dataset,
    rule: DetectionRule,
    looks: Looks | None,
    pairs: list[tuple[int, int]] | None = None,
) -> xr.Dataset:
    """Changes of an ensemble, judged as the look that it is; none where it has one year.

    Args:
        pairs: of years; every pair if not given.
    """
    if ensemble.sizes["year"] < 2:
        return xr.Dataset()
    draws = ensemble.sizes["draw"]
    found = analysis.changes(ensemble, at_look(rule, looks, draws), pairs)
    return analysis.at_last_look(found) if looks and looks.final(draws) else found


def _contributions(
    ensemble: xr.Dataset,
    by: str,
    rule: DetectionRule,
    looks: Looks | None,
    *,
    every: bool = False,
) -> list[dict[str, Any]]:
    """Changes of every contribution over the longest time, or of `every` pair of years."""
    years = sorted(int(year) for year in ensemble["year"].to_numpy())
    if len(years) < 2:
        return []
    pairs = None if every else [(years[0], years[-1])]
    found = _changes(analysis.attributed(ensemble, by), rule, looks, pairs)
    return analysis.contribution_table(ensemble, found, by)


def at_look(rule: DetectionRule, looks: Looks | None, draws: int) -> DetectionRule:
    """The rule with what may be spent on a verdict at the look that so many draws are.

    A run of one look, taken when the user said so, spends all.
    """
    if looks is None:
        return rule
    spent = spent_at_look(looks.number(draws), rule.monte_carlo_error)
    return replace(rule, monte_carlo_error=spent)


def _reproduction(run: Run, ensemble: xr.Dataset) -> dict[str, str]:
    identity = json.loads(ensemble.attrs["identity"])
    machine = json.loads(ensemble.attrs["machine"])
    sittings, draws, looks = run.record.sittings, ensemble.sizes["draw"], run.record.looks
    where = {f"{s['workers']} {s['executor']} on {s['host']}" for s in sittings}
    return {
        "command": f"footfall run CONFIG --draws {draws}, CONFIG as below",
        **({"judged as": looks.in_words(draws)} if looks else {}),
        "seed": str(identity["seed"]),
        "digest of the ensemble": ensemble.attrs["digest"],
        "tables (sha256 of numbers and labels)": ", ".join(
            f"{year} {sha[:16]}" for year, sha in identity["tables"].items()
        ),
        "versions": ", ".join(f"{name} {v}" for name, v in machine["versions"].items()),
        "BLAS": ", ".join(machine["blas"]),
        "computed": "; ".join(sorted(where)),
        "wall time": _duration(sum(float(s["seconds"]) for s in sittings)),
        "configuration": run.record.config,
    }
