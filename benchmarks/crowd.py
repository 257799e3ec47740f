"""256 workers that do nothing, against one scheduler: are they fed?

The scheduler, the client and the engine's executor are in this process, as in a controller's job;
the workers are objects, many in each of a few other processes, that sleep where they would draw.
All share the cores of this machine, so that a scheduler with a core of its own does no worse. What
a worker does for itself beside its tasks, on cores that are its own elsewhere, is turned off: its
profiler and the watch on its machine. Heartbeats stay.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import dask
from distributed import Client, LocalCluster, Worker, get_worker

from benchmarks.records import Record, Result
from benchmarks.settings import ROOT, Settings, say
from benchmarks.timing import Spread
from engine.blockwork import Task
from engine.clusters.admitting import check
from engine.clusters.executing import OURS, WAVE, Distributed
from engine.plan import Block
from engine.runs import PLANNED
from engine.workflow.scaling import SCHEDULING, Scaling

_LONGER = f"the same gaps, tasks of {PLANNED:g} s"
_ALONE = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "1h",
}
_ARRIVING = 180  # seconds for all workers to be there


@dataclass(frozen=True, slots=True)
class Rest:
    """When a worker was at a task, by the clock of this machine."""

    worker: str
    began: float
    ended: float


def rest(seconds: float, task: Task) -> Rest:
    """The task that takes its time and no processor."""
    began = time.time()
    time.sleep(seconds)
    return Rest(get_worker().address, began, time.time())


def measure_crowd(settings: Settings) -> Iterator[Result]:
    """How much of the workers' time is fed, tasks a second, and bytes of a wave."""
    count, processes, seconds, waves = (16, 2, 0.5, 4) if settings.quick else (256, 4, 4.0, 10)
    say(f"  {count} workers in {processes} processes")
    case = f"{count} workers that sleep, in {processes} processes, {_cut(seconds)}"
    with _crowd(count, processes) as client:
        executor = Distributed(client, count, "", _Unwatched())
        list(executor.map_unordered(partial(rest, 0.0), _tasks(count)))  # imports
        yield from _fed(case, client, executor, waves * count, seconds)
        yield from _rates(case, executor, settings)


def _cut(seconds: float) -> str:
    return f"tasks of {seconds:g} s in place of {PLANNED:g} s"


def _fed(
    case: str, client: Client, executor: Distributed, tasks: int, seconds: float
) -> Iterator[Record]:
    sent = client.scheduler_comm.byte_count
    began = time.perf_counter()
    outcomes = list(executor.map_unordered(partial(rest, seconds), _tasks(tasks)))
    took = time.perf_counter() - began
    sent = client.scheduler_comm.byte_count - sent
    rests = [one.result for one in outcomes if one.result is not None]
    if len(rests) != tasks:
        raise RuntimeError(f"{tasks - len(rests)} tasks failed: {outcomes[0].account}")
    whole = sum(one.ended - one.began for one in rests) / (executor.slots * took)
    facts = {"tasks": tasks, "seconds": took, _LONGER: at_length(whole, seconds, PLANNED)}
    yield Record("crowd", case, "fed, start and last wave included", _once(whole), "of the time",
                 facts=facts)  # fmt: skip
    gaps = _gaps(rests)
    between = 1 - sum(gaps) / (sum(gaps) + len(gaps) * seconds)
    yield Record("crowd", case, "fed, between two tasks", _once(between), "of the time",
                 facts={"longest gap, s": max(gaps)})  # fmt: skip
    model = Scaling(0.0, 0.0, tasks, seconds, seconds, own=1, held=False)
    predicted = model.drawing(executor.slots)
    facts = {"predicted": predicted, "predicted / measured": predicted / took}
    yield Record("crowd", case, "from the first task to the last", _once(took), "s", facts=facts)
    wave = sent / tasks * WAVE * executor.slots
    facts = {"a task": sent / tasks, "limit": 2.0**20}
    yield Record("crowd", case, "sent to the scheduler for a wave", _once(wave), "B", facts=facts)


def at_length(share: float, seconds: float, planned: float) -> float:
    """The share of the time that is fed where tasks last longer and the gaps between them do not.

    A gap g after each task of s seconds leaves s / (s + g) = `share`, and one of P s P / (P + g).
    """
    gap = seconds * (1 / share - 1)
    return planned / (planned + gap)


def _gaps(rests: list[Rest]) -> list[float]:
    """Seconds in which a worker waited between two of its tasks."""
    of = defaultdict(list)
    for one in sorted(rests, key=lambda one: one.began):
        of[one.worker].append(one)
    return [later.began - earlier.ended for own in of.values() for earlier, later in pairwise(own)]


def _rates(case: str, executor: Distributed, settings: Settings) -> Iterator[Record]:
    tasks, seconds, own = 8 * executor.slots, [], []
    for _ in range(settings.repeats):
        began, busy = time.perf_counter(), time.process_time()
        list(executor.map_unordered(partial(rest, 0.0), _tasks(tasks)))
        seconds.append((time.perf_counter() - began) / tasks)
        own.append((time.process_time() - busy) / tasks)
    spread = Spread.of(own)
    facts = {
        f"share of a task of {PLANNED:g} s on 256 workers": 256 * spread.median / PLANNED,
        f"workers that one core feeds with tasks of {PLANNED:g} s": PLANNED / spread.median,
        "predicted": SCHEDULING,
        "predicted / measured": SCHEDULING / spread.median,
    }
    yield Record("crowd", case, "an empty task, the controller's processor time", spread,
                 "s a task", facts=facts)  # fmt: skip
    spread = Spread.of(seconds)
    facts = {"tasks a second": 1 / spread.median}
    yield Record("crowd", case, "an empty task, workers on the same cores", spread, "s a task",
                 facts=facts)  # fmt: skip


def _once(value: float) -> Spread:
    return Spread.of([value])


def _tasks(count: int) -> Iterator[Task]:
    """Tasks of 20 blocks each under paths of usual length, as a run sends them."""
    table, ensemble = ROOT / "runs/wiod13/base/tables-0123456789ab/2005", ROOT / "runs/wiod13/base"
    for number in range(count):
        blocks = tuple(Block(2005, 20 * number + index, 256) for index in range(20))
        yield Task(table, ensemble, blocks, (0, 1, 2, 3))


class _Unwatched:
    def hopeless(self, connected: int) -> str:
        return ""

    def why(self, name: str, address: str) -> str:
        return ""


@contextmanager
def _crowd(count: int, processes: int) -> Iterator[Client]:
    """A scheduler here, and workers in processes of their own, all on loopback."""
    share = count // processes
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(OURS))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=0, host="127.0.0.1", dashboard_address="127.0.0.1:0",
                scheduler_kwargs={"dashboard": False}, silence_logs=50,
            )
        )  # fmt: skip
        client = stack.enter_context(Client(cluster))
        for number in range(processes):
            address = cluster.scheduler_address
            command = [sys.executable, "-m", "benchmarks.crowd", address, str(share)]
            process = subprocess.Popen([*command, str(Path(folder) / str(number))], cwd=ROOT)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        client.wait_for_workers(share * processes, timeout=_ARRIVING)
        check(client)
        yield client


async def _hold(address: str, count: int, folder: str) -> None:
    for name in ("distributed", "distributed.worker", "distributed.core"):
        logging.getLogger(name).setLevel(logging.ERROR)
    dask.config.set(_ALONE)
    workers = [
        Worker(address, nthreads=1, memory_limit=0, local_directory=folder, host="127.0.0.1",
               dashboard_address="127.0.0.1:0", death_timeout=60)
        for _ in range(count)
    ]  # fmt: skip
    for worker in workers:
        await worker
    await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    asyncio.run(_hold(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
