"""Worker processes: how well they share a run, and how often they open a year's table."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import engine
from benchmarks.planned import written
from benchmarks.records import Record, Result
from benchmarks.settings import ROOT, Settings, say
from benchmarks.timing import Spread
from engine import blockwork
from engine.blockwork import Task, compute
from engine.clusters import Cluster, ClusterSpec, Executor, connect, one_blas_thread
from engine.draws import draw_prepared
from engine.jobs import Settled, settled
from engine.question import with_units
from engine.stores.ensemble import open_ensemble
from engine.stores.tables import load
from engine.workflow.reading import Reader
from engine.workflow.running import job_of

Work = Callable[[], float]  # does it, and returns its seconds


def measure_workers(settings: Settings) -> Iterator[Result]:
    """One worker process and two, the same work and the same for each; and loads of tables."""
    place = ROOT / "benchmarks" / "results"  # the usual temporary folder may be memory
    place.mkdir(exist_ok=True)
    n, years, draws, block = (120, 2, 512, 64) if settings.quick else (1200, 2, 4096, 256)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        config = engine.load_config(written(Path(folder), n, years, draws, block))
        with _settled(config, Path(folder) / "run") as one:
            case = f"SYNTHETIC, n = {n}, {draws} draws x {years} years, blocks of {block}"
            yield from _shared(settings, case, config, one)
    n, years, draws = (120, 3, 256) if settings.quick else (600, 6, 1024)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        config = engine.load_config(written(Path(folder), n, years, draws))
        for workers in (2,) if settings.quick else (2, 4):
            with _settled(config, Path(folder) / f"run{workers}") as one:
                yield _loads(one, workers, n)


@contextmanager
def _settled(config: engine.Config, folder: Path) -> Iterator[Settled]:
    tables, sampling = Reader(config), config.sampling
    question = with_units(config.question, tables.read(sampling.years[0]).labels)
    job = job_of(config, config.scenarios[0], folder, question, sampling, tables.read)
    with one_blas_thread(), settled([job], elsewhere=False) as ready:
        yield ready[0]


# --- strong and weak scaling --------------------------------------------------------------------


def _shared(settings: Settings, case: str, config: engine.Config, one: Settled) -> Iterator[Record]:
    """Interleaved rounds: a noisy minute hits all alike, and efficiencies are taken in a round."""
    tasks = list(one.tasks())
    took: list[float] = []
    with ExitStack() as stack:
        works: dict[str, Work] = {}
        for workers in (1, 2):
            say(f"  {workers} worker processes")
            spec = ClusterSpec(Executor.PROCESSES, workers, dashboard=False)
            cluster = stack.enter_context(connect(spec))
            works[f"{workers} workers"] = _drawing(one, cluster, tasks, took)
            if workers == 1:
                works["1 workers, half"] = _drawing(one, cluster, tasks[::2], [])
            spawn = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=spawn))
            works[f"{workers} alone"] = _alone(pool, tasks)
        seconds = _rounds(works, settings.repeats, settings.budget)
        took.clear()
        works["1 workers"]()
        stored = _storing(one, took)
    yield from _told(case, config, seconds)
    yield Record("workers", case, "storing and looking up, of a block's time",
                 Spread.of([stored]), "of the time")  # fmt: skip


def _told(case: str, config: engine.Config, seconds: Mapping[str, list[float]]) -> Iterator[Record]:
    for name, words in {
        "1 workers": "1 worker process",
        "2 workers": "2 worker processes",
        "1 workers, half": "1 worker process, half of the draws",
        "1 alone": "1 process that draws alone: no scheduler, no store",
        "2 alone": "2 processes that draw alone",
    }.items():
        spread, facts = Spread.of(seconds[name]), {}
        if name.endswith("workers"):
            count = int(name[0])
            spec = ClusterSpec(Executor.PROCESSES, count, dashboard=False)
            predicted = engine.plan_run(config, cluster=spec).scaling.drawing(count)
            facts = {"predicted": predicted, "predicted / measured": predicted / spread.median}
        yield Record("workers", case, words, spread, "s", facts=facts)
    for words, alone, together, ideal in (
        ("strong scaling, 1 to 2 worker processes", "1 workers", "2 workers", 2),
        ("weak scaling, 1 to 2 worker processes", "1 workers, half", "2 workers", 1),
        ("the machine's own: drawing alone, 1 to 2 processes", "1 alone", "2 alone", 2),
        ("drawing, of the time of 1 worker process", "1 alone", "1 workers", 1),
        ("drawing, of the time of 2 worker processes", "2 alone", "2 workers", 1),
    ):
        pairs = zip(seconds[alone], seconds[together], strict=True)
        share = Spread.of([one / (ideal * two) for one, two in pairs])
        yield Record("workers", case, words, share, "of the ideal")


def _rounds(works: Mapping[str, Work], repeats: int, budget: float) -> dict[str, list[float]]:
    for work in works.values():
        work()  # compiles, imports and opens tables
    seconds: dict[str, list[float]] = {name: [] for name in works}
    names, began = list(works), time.perf_counter()
    for turn in range(repeats):
        if turn and time.perf_counter() - began > budget:
            break
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            seconds[name].append(works[name]())
    return seconds


def _drawing(one: Settled, cluster: Cluster, tasks: list[Task], took: list[float]) -> Work:
    def work() -> float:
        for block in one.ensemble.blocks():
            one.ensemble.forget(block)
        began = time.perf_counter()
        for outcome in cluster.map_unordered(compute, tasks):
            if outcome.error is not None:
                raise outcome.error
            took.append(outcome.seconds)
        return time.perf_counter() - began

    return work


def _storing(one: Settled, took: list[float]) -> float:
    """Of a task's seconds on its worker, the share in which it does not draw."""
    drawing = [entry.receipt["seconds"] for entry in one.ensemble.ledger.entries().values()]
    return max(1e-9, 1 - median(drawing) / median(took))


def _alone(pool: ProcessPoolExecutor, tasks: list[Task]) -> Work:
    def work() -> float:
        began = time.perf_counter()
        list(pool.map(draw_alone, tasks))
        return time.perf_counter() - began

    return work


def draw_alone(task: Task) -> None:
    """On a process of the pool: the draws of a task, thrown away."""
    with one_blas_thread():
        table = blockwork._table(task.table, open_ensemble(task.ensemble).digest)
        for block in task.blocks:
            draw_prepared(table, block.draws)


# --- tables on workers --------------------------------------------------------------------------


def _loads(one: Settled, workers: int, n: int) -> Record:
    """How often a worker opens the table of a year, on average."""
    say(f"  loads of tables on {workers} worker processes")
    loads: dict[int, int] = {}
    tasks = list(one.tasks())
    with connect(ClusterSpec(Executor.PROCESSES, workers, dashboard=False)) as cluster:
        for outcome in cluster.map_unordered(counting_loads, tasks):
            if outcome.result is None:
                raise RuntimeError(outcome.account)
            worker, count = outcome.result
            loads[worker] = max(loads.get(worker, 0), count)
    years = len(one.job.sampling.years)
    case = f"SYNTHETIC, n = {n}, {len(tasks)} tasks of {years} years on {workers} worker processes"
    unit, spread = "of one a year and worker", [count / years for count in loads.values()]
    return Record("workers", case, "loads of a table", Spread.of(spread), unit,
                  facts={"one load takes, s": _load_time(one)})  # fmt: skip


def counting_loads(task: Task) -> tuple[int, int]:
    """On a worker: the task, then this process and the tables it has opened so far."""
    compute(task)
    return os.getpid(), blockwork._loaded.cache_info().misses


def _load_time(one: Settled) -> float:
    seconds = []
    for year in one.job.sampling.years:
        began = time.perf_counter()
        load(one.tables / str(year), one.ensemble.digest)
        seconds.append(time.perf_counter() - began)
    return median(seconds)
