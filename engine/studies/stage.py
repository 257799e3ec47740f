"""What every world of a study has in common, and the playing of one world."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.config import Config
from engine.draws import estimated
from engine.error_model import ErrorModel
from engine.errors import InputError, TableError
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import mdc
from engine.kernels.first_order import law_of_delta
from engine.kernels.operating import Scatter, scatter_of
from engine.mrio import MRIO
from engine.prepare import Addresses, addresses
from engine.question import Question
from engine.studies.sight import Judged, judged, view
from engine.twin import twin
from engine.workflow.reading import Reader
from engine.worlds import Truth, publish, seed_for, truth

Record = dict[str, Any]  # of one world, as JSON knows it


@dataclass(frozen=True, slots=True)
class Trial:
    """What a study asks.

    Attributes:
        years: between which footprints change.
        question: consumers and indicators; totals only.
        truths: scenarios that worlds draw their errors from.
        believed: scenarios that the engine takes for the truth.
        changes: true changes relative to the first year, -.02 for a fall of 2 %; the minimum
            detectable fall of each consumer is always added as the last.
        draws: of each world.
    """

    years: tuple[int, int]
    question: Question
    truths: tuple[str, ...]
    believed: tuple[str, ...]
    changes: tuple[float, ...]
    draws: int

    @property
    def scenarios(self) -> tuple[str, ...]:
        """All that are used, each once."""
        return tuple(dict.fromkeys((*self.truths, *self.believed)))


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """What all worlds of a study share.

    Attributes:
        tables: true, of both years as they are; a change is imposed afterwards.
        truths: ready to be published, by scenario.
        models: by scenario.
        footprints: of the true tables, (2,q,c).
        laws: of delta around its estimate to first order at the true tables, by scenario, (q,c).
    """

    tables: tuple[MRIO, ...]
    truths: Mapping[str, Truth]
    models: Mapping[str, ErrorModel]
    hashes: Addresses
    footprints: F64
    laws: Mapping[str, Scatter]


def stage_of(config: Config, trial: Trial) -> Stage:
    """Read the true tables and prepare them for every scenario.

    Raises:
        InputError: a table or error model cannot be used, or a footprint is not positive, so that
            no relative change can be imposed on it.
    """
    reader = Reader(config)
    tables = tuple(reader.read(year) for year in trial.years)
    hashes = addresses([tables[0].labels], trial.question)
    models = {s.name: _in_worlds(s) for s in config.scenarios if s.name in trial.scenarios}
    seed = seed_for(config.sampling.seed, "worlds")
    truths, laws, footprints = {}, {}, None
    for name, errors in models.items():
        whole = truth(
            tables,
            errors,
            seed,
            trial.question,
            r_max=config.r_max,
            tolerance=config.tolerance,
            hashes=hashes,
        )
        if footprints is None:
            footprints = np.stack([estimated(p).footprint[..., 0] for p in whole.prepared])
            _refuse_not_positive(footprints, trial)
        laws[name] = first_order(whole)
        if name in trial.truths:
            truths[name] = whole
    assert footprints is not None
    return Stage(tables, truths, models, hashes, footprints, laws)


def _in_worlds(errors: ErrorModel) -> ErrorModel:
    """The model with known totals taken from the tables, and none that is stated.

    A stated total belongs to the tables as they are; here they are the truth, and every world's
    publisher states what its own cells add up to.
    """
    totals = tuple(replace(known, stated=None, rescale=False) for known in errors.totals)
    return replace(errors, totals=totals)


def first_order(true: Truth) -> Scatter:
    """The law of delta around its estimate, to first order at the true tables of two years."""
    law = twin(true.prepared)
    F, C = law.footprint[..., 0], law.covariance[..., 0]
    positive: Bool = np.asarray((F > 0).all(axis=0))
    return scatter_of(law_of_delta(F[0], F[1], C[0, 0], C[1, 1], C[0, 1], positive))


def _refuse_not_positive(footprints: F64, trial: Trial) -> None:
    for t, q, c in np.argwhere(footprints <= 0):
        raise InputError(
            f"the footprint is {footprints[t, q, c]:g}, so no relative change can be imposed on it",
            where=f"consumer {trial.question.consumers[c].name}, "
            f"{trial.question.indicators[q].name}, {trial.years[t]}",
            remedy="ask for other consumers or another stressor",
        )


def true_changes(stage: Stage, trial: Trial, believed: str, config: Config) -> F64:
    """delta of the true footprints, (q,c,sizes); the last is the fall believed detectable."""
    least = mdc(stage.laws[believed].sigma, config.detection)[..., None]
    fixed = np.broadcast_to(np.log1p(trial.changes), (*least.shape[:2], len(trial.changes)))
    return np.concatenate([fixed, -least], axis=-1)


# --- one world ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """One world to be played: everything by name, so that any worker can do it."""

    config: Config
    trial: Trial
    digest: str
    truth: str
    world: int


_stages: dict[str, Stage] = {}
_setting = threading.Lock()


@contextmanager
def standing(digest: str, stage: Stage) -> Iterator[None]:
    """Keep a stage for the tasks that this process plays itself."""
    _stages[digest] = stage
    try:
        yield
    finally:
        _stages.pop(digest, None)


def _stage_for(task: Task) -> Stage:
    """The stage of a task's study; another process sets it once."""
    with _setting:
        if task.digest not in _stages:
            _stages[task.digest] = stage_of(task.config, task.trial)
        return _stages[task.digest]


def played(task: Task) -> Record:
    """Publish one world and judge it with every believed scenario."""
    config, trial = task.config, task.trial
    stage = _stage_for(task)
    record: Record = {"truth": task.truth, "world": task.world}
    seed = seed_for(config.sampling.seed, f"world {task.world}")
    try:
        published = publish(stage.truths[task.truth], task.world)
        seen = {
            name: view(
                published,
                stage.models[name],
                seed,
                trial.draws,
                r_max=config.r_max,
                tolerance=config.tolerance,
                hashes=stage.hashes,
            )
            for name in trial.believed
        }
    except TableError as error:
        return record | {"aside": f"{error.where}: {error.what}"}
    levelled = (stage.footprints[0] / stage.footprints[1])[..., None]
    judgements = {}
    for name, one in seen.items():
        true = true_changes(stage, trial, name, config)
        judgements[name] = _listed(judged(one, true, levelled * np.exp(true), config.detection))
    return record | {"lost": published.lost, "judged": judgements}


def _listed(one: Judged) -> Record:
    return {
        "verdict": one.verdict.tolist(),
        "limit": one.limit.tolist(),
        "covered": one.covered.astype(np.int8).tolist(),
        "error": _or_null(one.error),
        "sigma": _or_null(one.sigma),
    }


def _or_null(values: F64) -> list[list[float | None]]:
    return [[float(v) if np.isfinite(v) else None for v in row] for row in values]
