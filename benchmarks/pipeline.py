"""Suites for what surrounds a draw: a whole run, the ensemble on disk, the scheduler."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

import engine
from benchmarks.records import Record, Result, Skipped, compared
from benchmarks.settings import ROOT, Settings, say, wiod
from benchmarks.timing import Contender, cores, interleaved
from engine.clusters import Cluster, ClusterSpec, Executor, connect
from engine.draws import draw_prepared
from engine.plan import GROUP, Block
from engine.prepare import Prepared, prepare
from engine.question import with_units
from engine.stores.ensemble import Axes, BlockResults, Ensemble, create_or_extend
from engine.stores.layout import BLOCK_ARRAYS, forms

_QUIET = {"dashboard": False}


# --- run ----------------------------------------------------------------------------------------


def measure_run(settings: Settings) -> Iterator[Result]:
    """Whole runs from a configuration, beside their draws alone, and a worker's start."""
    yield from _whole(settings, "laptop", 2048)
    known = wiod()
    if settings.quick or known.absent:
        reason = known.absent or "too long for a quick look"
        yield Skipped("run", "wiod13, end to end", "engine.run", reason)
    else:
        yield from _whole(settings, "wiod13", 64)
    start = Contender("a process that imports what a worker needs", _start, fixed=True)
    timed = interleaved([start], 1 if settings.quick else settings.repeats, 0.0)
    yield Record("run", "starting", start.name, timed[start.name].spread, "s")


def _whole(settings: Settings, name: str, draws: int) -> Iterator[Record]:
    config = engine.load_config(ROOT / "configs" / f"{name}.toml")
    if settings.quick:
        draws = 2 * GROUP
        sampling = replace(
            config.sampling, draws=draws, block=GROUP, years=config.sampling.years[:2]
        )
        config = replace(config, sampling=sampling)
    years = config.sampling.years
    work = f"{draws} draws x {len(years)} years"
    say(f"  {name}, {work}")
    prepared = [_prepared(config, year) for year in years]
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()

        def run(times: int) -> None:
            for _ in range(times):
                place = Path(folder) / str(next(numbers))
                engine.run(config, place, draws=draws, cluster=ClusterSpec(**_QUIET))

        contenders = [
            Contender("engine.run", run, fixed=True),
            Contender("its draws alone", _drawing(prepared, draws), fixed=True),
        ]
        timed = interleaved(contenders, settings.repeats, 0.0, settings.budget)
    facts = {
        name: {"draw-years a second": one.rate(draws * len(years)).median}
        for name, one in timed.items()
    }
    case = f"{name}.toml, {work}, {cores()} threads"
    yield from compared("run", case, timed, "engine.run", "s", facts)


def _prepared(config: engine.Config, year: int) -> Prepared:
    table = engine.open_table(config.tables, year)
    question = with_units(config.question, table.labels)
    scenario = config.scenarios[0]
    return prepare(table, scenario, question, config.sampling.seed, r_max=config.r_max)


def _drawing(prepared: list[Prepared], draws: int) -> Callable[[int], None]:
    groups = [(one, first) for one in prepared for first in range(0, draws, GROUP)]

    def run(times: int) -> None:
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(lambda g: draw_prepared(g[0], range(g[1], g[1] + GROUP)), groups * times))

    return run


def _start(times: int) -> None:
    for _ in range(times):
        command = [sys.executable, "-c", "import engine.blockwork"]
        subprocess.run(command, check=True, cwd=ROOT)


# --- store --------------------------------------------------------------------------------------


def measure_store(settings: Settings) -> Iterator[Result]:
    """Writing blocks of an ensemble and reading it, beside plain files of the same bytes."""
    years = tuple(range(2010, 2013 if settings.quick else 2022))
    names = tuple(f"R{number:02d}" for number in range(46))
    stressors = ("CO2", "CH4", "N2O")
    axes = Axes(
        years, stressors, ("kt",) * 3, names, ("total", "domestic", "foreign", "direct"), 256
    )
    blocks = 2 if settings.quick else 8
    disk = ROOT / "benchmarks" / "results"  # the usual temporary folder may be memory
    disk.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        reference = np.ones((len(years), *axes.cells))
        ensemble = create_or_extend(
            Path(folder) / "one", axes, 256 * blocks, {}, reference, {"title": "SYNTHETIC"}
        )
        results = made_up(axes)
        size = len(_bytes(results))
        case = f"a block of {size / 2**20:.2g} MiB"
        writing = [
            Contender("write and fsync a plain file", _plain(Path(folder), results)),
            Contender("write a block", _blocks(ensemble, results)),
        ]
        timed = interleaved(writing, settings.repeats, settings.least)
        facts = {name: {"MB/s": one.rate(size / 1e6).median} for name, one in timed.items()}
        yield from compared("store", case, timed, writing[0].name, "s a block", facts)
        for block in ensemble.missing():
            ensemble.write(block, results, {})
        yield from _reading(settings, ensemble, size * blocks * len(years), Path(folder))


def _reading(settings: Settings, ensemble: Ensemble, size: int, folder: Path) -> Iterator[Record]:
    (folder / "all").write_bytes(bytes(size))
    reading = {
        "read a plain file": lambda: np.fromfile(folder / "all"),
        "open": ensemble.dataset,
        "open and load": lambda: ensemble.dataset().load(),
        "open and load one consumer": lambda: ensemble.dataset().isel(consumer=0).load(),
        "verify every block": ensemble.verify,
        "list missing blocks": ensemble.missing,
    }
    contenders = [Contender(name, _repeated(act)) for name, act in reading.items()]
    timed = interleaved(contenders, settings.repeats, settings.least)
    case = f"an ensemble of {len(ensemble.blocks())} blocks, {size / 2**20:.3g} MiB, cached pages"
    yield from compared("store", case, timed, contenders[0].name, "s", {})


def made_up(axes: Axes) -> BlockResults:
    """One block of every array there is, floats that do not compress, and counts of nothing."""
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {}
    for name in BLOCK_ARRAYS:
        form = forms(axes)[name]
        shape = (axes.block, *form.shape(axes, axes.block)[2:])
        counts = np.dtype(form.dtype).kind in "iu"
        values = np.zeros(shape) if counts else np.exp(random.standard_normal(shape))
        arrays[name] = values.astype(form.dtype)
    return BlockResults(**arrays)


def _bytes(results: BlockResults) -> bytes:
    return b"".join(getattr(results, name).tobytes() for name in BLOCK_ARRAYS)


def _blocks(ensemble: Ensemble, results: BlockResults) -> Callable[[int], None]:
    blocks: list[Block] = ensemble.blocks()
    numbers = count()

    def run(times: int) -> None:
        for _ in range(times):
            ensemble.write(blocks[next(numbers) % len(blocks)], results, {})

    return run


def _plain(folder: Path, results: BlockResults) -> Callable[[int], None]:
    content = _bytes(results)

    def run(times: int) -> None:
        for _ in range(times):
            with (folder / "plain").open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())

    return run


def _repeated(act: Callable[[], object]) -> Callable[[int], None]:
    def run(times: int) -> None:
        for _ in range(times):
            act()

    return run


# --- scheduler ----------------------------------------------------------------------------------


def nothing(task: int) -> int:
    """The task that costs nothing; workers import it by this name."""
    return task


def measure_scheduler(settings: Settings) -> Iterator[Result]:
    """What a task costs when it does nothing, by executor; and connecting to it."""
    starting: dict[str, float] = {}
    with ExitStack() as stack:
        contenders = []
        for executor in Executor:
            if settings.quick and executor is Executor.PROCESSES:
                reason = "starting them takes too long for a quick look"
                yield Skipped("scheduler", "an empty task", str(executor), reason)
                continue
            spec = ClusterSpec(executor, **_QUIET)
            say(f"  {executor}")
            began = time.perf_counter()
            cluster = stack.enter_context(connect(spec))
            starting[executor] = time.perf_counter() - began
            contenders.append(Contender(str(executor), _tasks(cluster), spec.slots))
        timed = interleaved(contenders, settings.repeats, settings.least)
    facts = {name: {"connecting, s": starting[name]} for name in timed}
    yield from compared("scheduler", "an empty task", timed, "serial", "s a task", facts)


def _tasks(cluster: Cluster) -> Callable[[int], None]:
    def run(tasks: int) -> None:
        for outcome in cluster.map_unordered(nothing, range(tasks)):
            if outcome.error is not None:
                raise outcome.error

    return run
