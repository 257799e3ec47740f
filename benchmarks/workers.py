"""Worker processes: how well they share a run, and how often they open a year's table."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import engine
from benchmarks.planned import written
from benchmarks.records import Record, Result, Skipped
from benchmarks.settings import ROOT, Settings, say
from benchmarks.timing import Spread
from engine import blockwork
from engine.blockwork import Task, compute
from engine.clusters import Cluster, ClusterSpec, Executor, connect, one_blas_thread
from engine.draws import draw_prepared
from engine.jobs import Settled, settled
from engine.question import with_units
from engine.stores.ensemble import open_ensemble
from engine.stores.lock import held
from engine.stores.tables import load
from engine.workflow.reading import Reader
from engine.workflow.running import job_of


def measure_workers(settings: Settings) -> Iterator[Result]:
    """One worker process and two, the same work and the same for each; and loads of tables."""
    place = ROOT / "benchmarks" / "results"  # the usual temporary folder may be memory
    place.mkdir(exist_ok=True)
    n, years, draws, block = (120, 2, 512, 64) if settings.quick else (1200, 2, 2048, 256)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        config = engine.load_config(written(Path(folder), n, years, draws, block))
        with _settled(config, Path(folder) / "run") as one:
            case = f"SYNTHETIC, n = {n}, {draws} draws x {years} years, blocks of {block}"
            yield from _shared(settings, case, config, one)
    if settings.quick:
        reason = "starting processes takes too long for a quick look"
        yield Skipped("workers", "tables of several years", "loads of a table", reason)
        return
    n, years, draws = 600, 6, 1024
    with tempfile.TemporaryDirectory(dir=place) as folder:
        config = engine.load_config(written(Path(folder), n, years, draws))
        for workers in (2, 4):
            with _settled(config, Path(folder) / f"run{workers}") as one:
                yield _loads(one, workers, n)


@contextmanager
def _settled(config: engine.Config, folder: Path) -> Iterator[Settled]:
    tables, sampling = Reader(config), config.sampling
    question = with_units(config.question, tables.read(sampling.years[0]).labels)
    job = job_of(config, config.scenarios[0], folder, question, sampling, tables.read)
    with (
        held(folder / "lock.json") as lock,
        one_blas_thread(),
        settled([job], lock, elsewhere=False) as ready,
    ):
        yield ready[0]


# --- strong and weak scaling --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Took:
    """One round of some work.

    Attributes:
        wall: seconds from its first task to its last result.
        tasks: seconds that workers were at tasks, summed; the rest they waited for one.
        drawing: of these, seconds in which blocks were drawn; in the rest tables were opened and
            blocks stored.
        processor: seconds of processor time in tasks, whoever else wanted the processor.
    """

    wall: float
    tasks: float
    drawing: float
    processor: float


Work = Callable[[], Took]


def _shared(settings: Settings, case: str, config: engine.Config, one: Settled) -> Iterator[Record]:
    """Interleaved rounds: a noisy minute hits all alike, and efficiencies are taken in a round."""
    tasks = list(one.tasks())
    with ExitStack() as stack:
        works: dict[str, Work] = {}
        for workers in (1, 2):
            say(f"  {workers} worker processes")
            spec = ClusterSpec(Executor.PROCESSES, workers, dashboard=False)
            cluster = stack.enter_context(connect(spec))
            works[f"{workers} workers"] = _drawing(one, cluster, tasks)
            if workers == 1:
                works["1 workers, half"] = _drawing(one, cluster, tasks[::2])
            spawn = multiprocessing.get_context("spawn")
            pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=spawn))
            works[f"{workers} alone"] = _alone(pool, tasks)
        rounds = _rounds(works, settings.repeats, settings.budget)
    yield from _walls(case, config, rounds)
    yield from _shares(case, rounds)


def _walls(
    case: str, config: engine.Config, rounds: Mapping[str, Sequence[Took]]
) -> Iterator[Record]:
    for name, words in {
        "1 workers": "1 worker process",
        "2 workers": "2 worker processes",
        "1 workers, half": "1 worker process, half of the draws",
        "1 alone": "1 process that draws alone: no scheduler, no store",
        "2 alone": "2 processes that draw alone",
    }.items():
        spread, facts = Spread.of([took.wall for took in rounds[name]]), {}
        if name.endswith("workers"):
            count = int(name[0])
            spec = ClusterSpec(Executor.PROCESSES, count, dashboard=False)
            predicted = engine.plan_run(config, cluster=spec).scaling.drawing(count)
            facts = {"predicted": predicted, "predicted / measured": predicted / spread.median}
        yield Record("workers", case, words, spread, "s", facts=facts)


def _shares(case: str, rounds: Mapping[str, Sequence[Took]]) -> Iterator[Record]:
    one, two, half = rounds["1 workers"], rounds["2 workers"], rounds["1 workers, half"]
    alone, both = rounds["1 alone"], rounds["2 alone"]
    for words, ideal in {
        "strong scaling, 1 to 2 worker processes": _over(one, two, 0.5),
        "weak scaling, 1 to 2 worker processes": _over(half, two),
        "the machine's own: drawing alone, 1 to 2 processes": _over(alone, both, 0.5),
        "1 worker process beside 1 that draws alone": _over(alone, one),
        "2 worker processes beside 2 that draw alone": _over(both, two),
    }.items():
        yield Record("workers", case, words, Spread.of(ideal), "of the ideal")
    for words, share in {
        "1 worker at tasks": [took.tasks / took.wall for took in one],
        "2 workers at tasks": [took.tasks / took.wall / 2 for took in two],
        "at a task, but not drawing": [max(1e-9, 1 - t.drawing / t.tasks) for t in one],
    }.items():
        yield Record("workers", case, words, Spread.of(share), "of the time")
    slower = Spread.of([b.processor / a.processor for a, b in zip(one, two, strict=True)])
    words = "processor time of the same tasks, on 2 workers and on 1"
    yield Record("workers", case, words, slower, "of the ideal")


def _over(some: Sequence[Took], others: Sequence[Took], ideal: float = 1.0) -> list[float]:
    return [ideal * a.wall / b.wall for a, b in zip(some, others, strict=True)]


def _rounds(works: Mapping[str, Work], repeats: int, budget: float) -> dict[str, list[Took]]:
    for work in works.values():
        work()  # compiles, imports and opens tables
    rounds: dict[str, list[Took]] = {name: [] for name in works}
    names, began = list(works), time.perf_counter()
    for turn in range(repeats):
        if turn and time.perf_counter() - began > budget:
            break
        for place in range(len(names)):
            name = names[(turn + place) % len(names)]
            rounds[name].append(works[name]())
    return rounds


def _drawing(one: Settled, cluster: Cluster, tasks: list[Task]) -> Work:
    def work() -> Took:
        for block in one.ensemble.blocks():
            one.ensemble.forget(block)
        began, within, processor = time.perf_counter(), 0.0, 0.0
        for outcome in cluster.map_unordered(timed_compute, tasks):
            if outcome.result is None:
                raise RuntimeError(outcome.account)
            within += outcome.seconds
            processor += outcome.result
        wall = time.perf_counter() - began
        entries = one.ensemble.ledger.entries().values()
        return Took(wall, within, sum(entry.receipt["seconds"] for entry in entries), processor)

    return work


def timed_compute(task: Task) -> float:
    """On a worker: the task, and its processor time."""
    began = time.thread_time()
    compute(task)
    return time.thread_time() - began


def _alone(pool: ProcessPoolExecutor, tasks: list[Task]) -> Work:
    def work() -> Took:
        began = time.perf_counter()
        list(pool.map(draw_alone, tasks))
        wall = time.perf_counter() - began
        return Took(wall, wall, wall, 0.0)

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
