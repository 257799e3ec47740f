"""From a job to a finished ensemble: prepare the tables, find the missing blocks, compute them.

A run looks at the ledger, never at the past: starting, resuming and extending are one thing.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from engine.blockwork import Task, compute, machine
from engine.clusters import ClusterSpec, Outcome, connect
from engine.draws import reference
from engine.error_model import ErrorModel, Errors
from engine.errors import RunError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Finding, Labels, Provenance, findings
from engine.plan import Block, SamplingPlan, tasks
from engine.prepare import Addresses, addresses, prepare
from engine.question import PARTS, Question
from engine.stores import tables as prepared_tables
from engine.stores.ensemble import Axes, Ensemble, create_or_extend
from engine.stores.lock import held

ATTEMPTS = 2  # at a block, before a run gives it up


@dataclass(frozen=True, slots=True)
class Tables:
    """How to read the table of a year, and of which years there are."""

    years: tuple[int, ...]
    read: Callable[[int], MRIO]


@dataclass(frozen=True, slots=True)
class Job:
    """One scenario of one run.

    Attributes:
        folder: the scenario's folder, `RUN/<scenario>`.
        title: what the user calls the run.
        r_max: largest spectral radius accepted.
    """

    folder: Path
    title: str
    tables: Tables
    question: Question
    errors: ErrorModel
    sampling: SamplingPlan
    r_max: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, in draws of one year each."""

    done: int
    total: int
    computed: int
    seconds: float
    dashboard: str

    @property
    def rate(self) -> float:
        """Draws a second since this run began computing."""
        return self.computed / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float:
        """At the present rate; infinite before the first block."""
        return (self.total - self.done) / self.rate if self.rate > 0 else float("inf")


Listener = Callable[[Progress], None]


def run(job: Job, cluster: ClusterSpec, listener: Listener = lambda _: None) -> Ensemble:
    """Compute whatever the ensemble lacks; returns it complete.

    Raises:
        InputError: the tables or the error model cannot be used; nothing is written.
        DriftError: the folder holds an ensemble of another job.
        LockedError: another run is writing it.
        RunError: blocks failed; the others are safe, and running again tries the failed ones.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    with held(job.folder / "lock.json") as lock:
        ensemble = _settle(job)
        missing = ensemble.missing()
        if missing:
            _compute(job, ensemble, missing, cluster, listener, lock.check)
    return ensemble


def _settle(job: Job) -> Ensemble:
    """Prepare every year, and create, check or extend the ensemble."""
    seen = {year: _look(job.tables.read(year)) for year in job.sampling.years}
    hashes = addresses([look.labels for look in seen.values()], job.question)
    references = [_prepare(job, job.tables.read(year), hashes) for year in job.sampling.years]
    return create_or_extend(
        job.folder,
        _axes(job),
        job.sampling.draws,
        identity(job, {str(year): look.sha256 for year, look in seen.items()}),
        np.stack(references),
        {
            "title": job.title,
            "scenario": job.errors.name,
            "method": str(job.errors.method),
            "synthetic": any(look.provenance.synthetic for look in seen.values()),
            "findings": {str(year): _plain(look.findings) for year, look in seen.items()},
            "tables": {str(year): _plain(look.provenance) for year, look in seen.items()},
            "machine": machine(),
        },
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """What is kept of a table once it has been looked at: everything but its arrays."""

    labels: Labels
    sha256: str
    provenance: Provenance
    findings: tuple[Finding, ...]


def _look(table: MRIO) -> _Look:
    return _Look(table.labels, table.sha256, table.provenance, tuple(findings(table)))


def _prepare(job: Job, table: MRIO, hashes: Addresses) -> F64:
    """Prepare one year on disk; returns its reference footprint, parts as asked."""
    prepared = prepare(
        table, job.errors, job.question, job.sampling.seed, r_max=job.r_max, hashes=hashes
    )
    prepared_tables.save(prepared, _table_folder(job, table.year))
    return reference(prepared)[..., list(_parts(job.question))]


def _table_folder(job: Job, year: int) -> Path:
    return job.folder / "tables" / str(year)


def _parts(question: Question) -> tuple[int, ...]:
    return tuple(PARTS.index(part) for part in question.parts)


def _axes(job: Job) -> Axes:
    question = job.question
    return Axes(
        years=job.sampling.years,
        stressors=tuple(indicator.name for indicator in question.indicators),
        stressor_units=tuple(indicator.unit for indicator in question.indicators),
        consumers=tuple(consumer.name for consumer in question.consumers),
        parts=question.parts,
        block=job.sampling.block,
    )


def _compute(
    job: Job,
    ensemble: Ensemble,
    missing: list[Block],
    cluster: ClusterSpec,
    listener: Listener,
    still_ours: Callable[[], None],
) -> None:
    total = len(job.sampling.years) * ensemble.draws
    before = total - sum(block.size for block in missing)
    with connect(cluster) as executor:
        counted = _Counted(before, total, executor.dashboard, listener)
        for _ in range(ATTEMPTS):
            failed: list[Outcome[Task, int]] = []
            for outcome in executor.map_unordered(compute, _tasks(job, missing)):
                still_ours()
                if outcome.error is None:
                    counted.add(outcome.result or 0)
                else:
                    failed.append(outcome)
            missing = [block for outcome in failed for block in outcome.task.blocks]
            if not missing:
                return
    _give_up(ensemble, failed)


class _Counted:
    """Tells the listener how far the run is."""

    def __init__(self, before: int, total: int, dashboard: str, listener: Listener) -> None:
        self._before, self._total, self._computed = before, total, 0
        self._dashboard, self._listener = dashboard, listener
        self._began = time.monotonic()
        self.add(0)

    def add(self, draws: int) -> None:
        self._computed += draws
        done, elapsed = self._before + self._computed, time.monotonic() - self._began
        self._listener(Progress(done, self._total, self._computed, elapsed, self._dashboard))


def _give_up(ensemble: Ensemble, failed: list[Outcome[Task, int]]) -> None:
    for outcome in failed:
        for block in outcome.task.blocks:
            reason = f"{type(outcome.error).__name__}: {outcome.error}"
            ensemble.record_failure(block, reason)
    first = failed[0].task.blocks[0]
    raise RunError(
        f"{len(failed)} of the blocks failed {ATTEMPTS} times; the first: {failed[0].error}",
        where=f"year {first.year}, block {first.index}",
        remedy="all other blocks are safe; mend the cause and run again",
    )


def _tasks(job: Job, missing: list[Block]) -> Iterator[Task]:
    for blocks in tasks(missing, 1):
        folder = _table_folder(job, blocks[0].year)
        yield Task(folder, job.folder, blocks, _parts(job.question))


def identity(job: Job, tables: Mapping[str, str]) -> dict[str, Any]:
    """What makes two ensembles the same: everything but the number of draws and the cluster."""
    question = job.question
    return {
        "tables": dict(tables),
        "seed": job.sampling.seed,
        "block": job.sampling.block,
        "years": list(job.sampling.years),
        "method": {"perturb": str(job.errors.method), "r_max": job.r_max},
        "scenario": job.errors.name,
        "errors": {_entry_name(entry): _plain(entry) for entry in job.errors},
        "consumers": {consumer.name: _plain(consumer) for consumer in question.consumers},
        "indicators": {indicator.name: _plain(indicator) for indicator in question.indicators},
        "parts": list(question.parts),
    }


def _entry_name(entry: Errors) -> str:
    """Entries of one quantity are told apart by the cells they select, not by their order."""
    only = "".join(f" {key}={'+'.join(names)}" for key, names in sorted(entry.only.items()))
    return f"{entry.quantity}{only}"


def _plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and mappings with any keys, as JSON knows them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {
            " | ".join(map(str, key)) if isinstance(key, tuple) else str(key): _plain(item)
            for key, item in value.items()
        }
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return value.name
    return value
