"""The verb `plan`: memory, disk and time predicted, before anything of the run is computed."""

from __future__ import annotations

import math
import os
from dataclasses import replace

import numpy as np
import psutil

from engine import readers
from engine.clusters import (
    Allocation,
    Batch,
    ClusterSpec,
    Executor,
    Kubernetes,
    Profile,
    bytes_of,
    one_blas_thread,
    with_site_defaults,
)
from engine.config import Config
from engine.error_model import (
    DirichletShares,
    Empirical,
    ErrorModel,
    Law,
    Quantity,
    kind,
    most_draws,
    refuse_more_draws,
)
from engine.errors import PlanError
from engine.kernels.speed import measure
from engine.mrio import MRIO, Labels
from engine.plan import Direction, Needs, SamplingPlan, Shape, needs, whole_blocks
from engine.question import Question
from engine.workflow.planned import Planned, size

# Measured memory of what a plan's own process does not hold yet: scheduler, dashboard and compiler
# in this process; and each idle worker process.
_CLUSTER, _WORKER = 50 * 2**20, 185 * 2**20


def plan(
    config: Config,
    *,
    draws: int | None = None,
    cluster: Profile | None = None,
    submitted: bool = False,
) -> Planned:
    """Predict memory, disk and time; compute nothing of the run.

    Args:
        draws: draws a year instead of the configuration's own.
        cluster: where to run, instead of the configuration's own.
        submitted: whether a job of that batch system prepares the tables, and not this machine.

    Raises:
        PlanError: the run cannot fit the memory of the machine or job that prepares it, a worker
            that of its job, or there are more workers here than cores.
    """
    sampling, cluster = sampling_of(config, draws), cluster or config.cluster
    if isinstance(cluster, Batch | Allocation):
        cluster = with_site_defaults(cluster)
    _refuse_more_workers_than_cores(cluster)
    here = isinstance(cluster, ClusterSpec)
    slots = cluster.slots
    processes = isinstance(cluster, ClusterSpec) and cluster.executor is Executor.PROCESSES
    with one_blas_thread():
        rates = measure()
    baseline = psutil.Process().memory_info().rss + (slots * _WORKER if processes else _CLUSTER)
    available = _room(cluster, submitted=submitted)
    table = readers.read(config.tables, sampling.years[0])
    shapes = [
        _shape(table, config.question, scenario, sampling.years) for scenario in config.scenarios
    ]
    largest = max(shapes, key=lambda shape: shape.cells * shape.normals)
    needed = needs(largest, sampling, slots, rates)
    # Elsewhere this machine only prepares, and each worker holds what its own slots need.
    peak = needed.peak(slots if here else 0, baseline)
    if isinstance(cluster, Batch | Allocation | Kubernetes):
        _refuse_small_jobs(needed, cluster)
    if available is not None and peak > available:
        raise _too_large(peak, available, cluster, submitted=submitted)
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


def _refuse_more_workers_than_cores(cluster: Profile) -> None:
    """Here a worker is a thread that computes all the time: more than cores only wait for each
    other, and each takes memory. Elsewhere a job's threads are the cores it asks for."""
    cores = len(os.sched_getaffinity(0))
    if isinstance(cluster, ClusterSpec) and cluster.slots > cores:
        raise PlanError(
            f"{cluster.slots} workers are more than the {cores} cores of this machine",
            where="cluster.workers",
            remedy=f"ask for {cores} or fewer, or leave it out for one a core; "
            "`footfall plan --scaling` tells what more cores would bring",
        )


def _room(cluster: Profile, *, submitted: bool) -> int | None:
    """Bytes of memory where tables are prepared; None for what only the queue knows."""
    match cluster:
        case Batch() if submitted:
            memory = cluster.controller.memory
        case Allocation() if submitted:
            memory = cluster.memory  # of the task in which the run prepares
        case _:
            available: int = psutil.virtual_memory().available
            return available
    return None if memory is None else bytes_of(memory)


def _too_large(peak: int, room: int, cluster: Profile, *, submitted: bool) -> PlanError:
    if submitted and isinstance(cluster, Batch | Allocation):
        key = "controller.memory" if isinstance(cluster, Batch) else "cluster.memory"
        return PlanError(
            f"preparing the tables needs {size(peak)} of memory, the job has {size(room)}",
            where=key,
            remedy="give it more: `memory` under `[controller]`"
            if isinstance(cluster, Batch)
            else "give each task more `memory`",
        )
    return PlanError(
        f"the run needs {size(peak)} of memory, this machine has {size(room)} free",
        where="cluster.workers",
        remedy=f"use fewer than {cluster.slots} workers, or a smaller table"
        if isinstance(cluster, ClusterSpec)
        else "run it on a machine with more memory, or `footfall submit` it to one",
    )


def _refuse_small_jobs(needed: Needs, cluster: Batch | Allocation | Kubernetes) -> None:
    threads = cluster.cores or 1
    peak = needed.of_worker(threads, _WORKER)
    if cluster.memory is not None and peak > bytes_of(cluster.memory):
        raise PlanError(
            f"a worker of {threads} threads needs {size(peak)} of memory, its job has "
            f"{cluster.memory}",
            where="cluster.memory",
            remedy="give each job more memory or fewer cores",
        )


def _why(question: Question, way: Direction) -> str:
    if way is Direction.ADJOINT:
        return "one an indicator: totals alone are asked, of more consumers than indicators"
    if question.attributed:
        return "one a consumer: contributions are asked"
    if {"domestic", "foreign"} & set(question.parts):
        return "one a consumer: domestic or foreign parts are asked"
    return "one a consumer: there are no more of them than indicators"


def sampling_of(config: Config, draws: int | None) -> SamplingPlan:
    if draws is None:
        return config.sampling
    sampling = replace(config.sampling, draws=whole_blocks(draws, config.sampling.block))
    for scenario in config.scenarios:
        refuse_more_draws(scenario, sampling.draws)
    return sampling


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
    from_files = [entry for entry in scenario if isinstance(entry.size, Empirical)]
    of_shares = [entry for entry in scenario if isinstance(entry.size, DirichletShares)]
    tabulated = [entry for entry in scenario if entry.law is not Law.LOGNORMAL]
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
        shared=_shared(table.labels, scenario, years),
        direction=question.direction,
        contributions=8
        * len(question.indicators)
        * (
            len(question.by_origin) * len(table.labels.regions)
            + len(question.by_industry) * len(table.labels.industries)
            + len(question.by_product) * len(table.labels.sectors)
        ),
        negative=bool(table.Z.min(initial=0.0) < 0),
        tabulated=sum(cells.get(entry.quantity, 0) for entry in (*tabulated, *of_shares)),
        shares=sum(cells.get(entry.quantity, 0) for entry in of_shares),
        realised=sum(cells.get(entry.quantity, 0) for entry in from_files),
        realisations=most_draws(scenario) or 0,
        rebalanced=scenario.rebalance is not None,
        **_known_totals(table, scenario),
    )


def _known_totals(table: MRIO, scenario: ErrorModel) -> dict[str, int]:
    """Known totals and the cells that have one, of one year, at most."""
    names = _names(table.labels)
    totals = members = 0
    for entry in scenario.totals:
        wanted = entry.only.get("stressor", table.labels.stressors)
        chosen = [stressor in wanted for stressor in table.labels.stressors]
        for quantity in entry.quantities:
            flows = table.F_Y if quantity is Quantity.F_Y else table.E
            members += int(np.count_nonzero(flows[chosen]))
        totals += math.prod(len(entry.only.get(key, range(names[key]))) for key in entry.by)
    return {"totals": min(totals, members), "members": members}


def _names(labels: Labels) -> dict[str, int]:
    """How many names each kind of label has."""
    return {
        "all": 1,
        "region": len(labels.regions),
        "sector": len(labels.sectors),
        "stressor": len(labels.stressors),
    }


def _shared(labels: Labels, scenario: ErrorModel, years: tuple[int, ...]) -> int:
    """Normals that groups of cells share, of one draw of the year that has most of them."""
    names = _names(labels)
    components = [component for entry in scenario for component in entry.components]
    return sum(
        math.prod(names[kind(key)] for key in component.group)
        * max(len(component.time.nodes(year)) for year in years)
        for component in components
        if component.group != ("cell",)
    )
