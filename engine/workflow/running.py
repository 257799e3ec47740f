"""The verb `run`: every scenario drawn, with a record of each sitting."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from engine import wording
from engine.clusters import ClusterSpec, Profile, one_blas_thread
from engine.config import Config
from engine.config.asked import to_remember
from engine.error_model import ErrorModel
from engine.errors import StoreError
from engine.jobs import Job, refuse_drift, settled
from engine.mrio import MRIO
from engine.plan import SamplingPlan
from engine.prepare import exact_in_short
from engine.question import Question, with_units
from engine.runs import Listener, Sitting, sitting
from engine.runs import run as run_jobs
from engine.stores.ensemble import noted
from engine.stores.places import Place, Remote, place
from engine.stores.record import Record, remembered, write_record
from engine.workflow.checking import buys
from engine.workflow.folders import Run, run_folder
from engine.workflow.planning import sampling_of
from engine.workflow.reading import Reader


def run(
    config: Config,
    folder: str | Path | Remote | None = None,
    *,
    draws: int | None = None,
    cluster: Profile | None = None,
    listener: Listener = lambda _: None,
    teller: Callable[[str], None] = lambda _: None,
) -> Run:
    """Run, resume or extend every scenario of a configuration.

    Args:
        folder: the run folder, a path or a URL ("s3://bucket/runs/x"); `runs/<config name>` if
            not given.
        draws: draws a year instead of the configuration's own, rounded up to whole blocks.
        cluster: where to run, instead of the configuration's own. Processes need a script whose
            own work stands under `if __name__ == "__main__":`; threads do not.
        listener: told of progress after every block.
        teller: told in words, before the first draw, of what has no error at all.

    Raises:
        InputError: the configuration or a table cannot be used.
        StoreError: the folder holds another run, is in use, or cannot be written.
        RunError: the run stopped before it was complete.
    """
    folder = place(folder) if folder else run_folder(config)
    asked = _asked(config, folder, draws)  # what cannot be is refused before a folder is made
    with sitting(folder, cluster or config.cluster) as here:
        return _run(here, config, asked, listener, teller)


def run_in(
    here: Sitting,
    config: Config,
    *,
    draws: int | None = None,
    listener: Listener = lambda _: None,
    teller: Callable[[str], None] = lambda _: None,
) -> Run:
    """Run, resume or extend in a sitting, whose workers stay for what is run in it next.

    Args and errors are those of `run`.
    """
    return _run(here, config, _asked(config, here.folder, draws), listener, teller)


class _Asked(NamedTuple):
    """What is to be run."""

    question: Question
    sampling: SamplingPlan
    jobs: list[Job]


def _asked(config: Config, folder: Place, draws: int | None) -> _Asked:
    sampling, tables = sampling_of(config, draws), Reader(config)
    question = with_units(config.question, tables.read(sampling.years[0]).labels)
    jobs = [
        job_of(config, scenario, folder, question, sampling, tables.read)
        for scenario in config.scenarios
    ]
    return _Asked(question, sampling, jobs)


def _run(
    here: Sitting,
    config: Config,
    asked: _Asked,
    listener: Listener,
    teller: Callable[[str], None],
) -> Run:
    folder, cluster = here.folder, here.cluster
    question, sampling, jobs = asked
    began = time.time()
    elsewhere = draws_elsewhere(cluster)
    with one_blas_thread(), settled(jobs, here.lock, elsewhere=elsewhere) as ready:
        for one in ready:
            if words := exact_in_short(one.exact):
                teller(f"scenario {one.job.errors.name}, without any error: {words}")
        here.lock.confirm()
        record = _record(config, question, remembered(folder))
        write_record(folder, record)

        def enter() -> Record:
            here.lock.confirm()
            sittings = (*record.sittings, _sitting(began, sampling, cluster))
            write_record(folder, entered := replace(record, sittings=sittings))
            return entered

        try:
            run_jobs(ready, here, listener)
        except BaseException:
            with suppress(StoreError):  # why the run ended matters more than that it is told
                enter()
            raise
        return Run(folder, enter())


def refuse_another_run(config: Config, folder: Place, sampling: SamplingPlan) -> None:
    """Refuse a folder that holds another run, reading no more than the table of its first year.

    Raises:
        DriftError: naming what differs.
        StoreError: the folder cannot be read.
    """
    there = [scenario for scenario in config.scenarios if noted(folder / scenario.name)]
    if not there:
        return
    tables = Reader(config)
    table = tables.read(sampling.years[0])
    question = with_units(config.question, table.labels)
    for scenario in there:
        refuse_drift(job_of(config, scenario, folder, question, sampling, tables.read), table)


def draws_elsewhere(cluster: Profile) -> bool:
    """Whether machines draw that see nothing of this one but the run folder."""
    return not isinstance(cluster, ClusterSpec)


def job_of(
    config: Config,
    scenario: ErrorModel,
    folder: Place,
    question: Question,
    sampling: SamplingPlan,
    read: Callable[[int], MRIO],
) -> Job:
    """The job of one scenario in a run folder; `question` has units."""
    return Job(
        folder=folder / scenario.name,
        title=config.title,
        read=read,
        question=question,
        errors=scenario,
        sampling=sampling,
        r_max=config.r_max,
        tolerance=config.tolerance,
        keep=config.keep,
    )


def _sitting(began: float, sampling: SamplingPlan, cluster: Profile) -> dict[str, Any]:
    return {
        "started": datetime.fromtimestamp(began, UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 1),
        "draws": sampling.draws,
        "executor": cluster.kind,
        "workers": cluster.slots,
        "host": platform.node(),
    }


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
        asked=to_remember(config.asked),
        config=config.path.read_text(encoding="utf-8-sig"),
        assumptions={
            s.name: wording.assumptions(s, purchases=buys(question)) for s in config.scenarios
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
        names=dict(config.names),
    )
