"""From a profile to something that maps a function over tasks. The only importer of Dask.

Every executor offers the same three things (slots, a dashboard link, `map_unordered`), so that
nothing else ever sees a future, and laptop mode is no special case.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

import dask
import scipy.linalg  # noqa: F401  # scipy brings a BLAS of its own; only a loaded one can be limited
from distributed import Client, Future, LocalCluster, WorkerPlugin, as_completed
from threadpoolctl import threadpool_info, threadpool_limits

from engine.errors import PlanError

TaskType = TypeVar("TaskType")
Result = TypeVar("Result")

WAVE = 2  # tasks in flight for each slot: one at work, one waiting beside it


class Executor(StrEnum):
    """Where tasks run."""

    SERIAL = "serial"
    THREADS = "threads"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """A cluster profile.

    Attributes:
        executor: `threads` in this process, `processes` on this machine, or `serial`, which
            runs one task after another in the caller's own thread (for debugging).
        workers: tasks that run at once; None for one a core.
        dashboard: whether to serve Dask's dashboard, on the loopback address only.
    """

    executor: Executor = Executor.THREADS
    workers: int | None = None
    dashboard: bool = True

    @property
    def slots(self) -> int:
        """How many tasks run at once.

        Raises:
            PlanError: more workers than cores, or none.
        """
        cores = len(os.sched_getaffinity(0))
        if self.executor is Executor.SERIAL:
            return 1
        if self.workers is None:
            return cores
        if self.workers < 1:
            raise PlanError(
                f"{self.workers} workers cannot do anything",
                where="cluster.workers",
                remedy="ask for one or more, or leave it out for one a core",
            )
        return self.workers


@dataclass(frozen=True, slots=True)
class Outcome(Generic[TaskType, Result]):
    """What became of one task: its result, or the exception that stopped it."""

    task: TaskType
    result: Result | None
    error: Exception | None


class Cluster(Protocol):
    """Something that runs tasks."""

    slots: int
    dashboard: str

    def map_unordered(
        self, function: Callable[[TaskType], Result], tasks: Iterable[TaskType]
    ) -> Iterator[Outcome[TaskType, Result]]:
        """Apply `function` to every task; yield outcomes as they come, in any order."""
        ...


def one_blas_thread() -> AbstractContextManager[object]:
    """Hold this process's BLAS to one thread: the bits of a result depend on their number."""
    limits: AbstractContextManager[object] = threadpool_limits(1, user_api="blas")
    return limits


@contextmanager
def connect(spec: ClusterSpec) -> Iterator[Cluster]:
    """Start the cluster of a profile and stop it at the end; BLAS keeps to one thread throughout.

    One thread, because parallelism is over draws (also the faster way), and because the bits of
    a BLAS result depend on its number of threads.
    """
    with one_blas_thread():
        if spec.executor is Executor.SERIAL:
            yield _Serial()
            return
        with _local(spec) as client:
            client.register_plugin(_OneBlasThread())
            crowded = [info for info in client.run(_blas_threads).values() if max(info) > 1]
            if crowded:
                raise PlanError(
                    f"a worker's BLAS runs {max(map(max, crowded))} threads",
                    where="cluster",
                    remedy="unset OPENBLAS_NUM_THREADS and MKL_NUM_THREADS, then run again",
                )
            yield _Distributed(client, spec)


@contextmanager
def _local(spec: ClusterSpec) -> Iterator[Client]:
    processes = spec.executor is Executor.PROCESSES
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "60s"}),
        LocalCluster(
            n_workers=spec.slots if processes else 1,
            threads_per_worker=1 if processes else spec.slots,
            processes=processes,
            host="127.0.0.1" if processes else None,
            # Loopback and any free port; left to itself distributed listens on all addresses.
            dashboard_address="127.0.0.1:0",
            worker_dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": spec.dashboard},
            memory_limit=0,  # `plan` refuses what does not fit; pausing workers would hide it
            silence_logs=40,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


class _OneBlasThread(WorkerPlugin):
    """Hold every worker process to one BLAS thread for as long as it lives."""

    name = "one-blas-thread"

    def setup(self, worker: Any) -> None:
        self.limits = threadpool_limits(1, user_api="blas")


def _blas_threads() -> list[int]:
    return [1, *(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")]


class _Serial:
    """One task after another, in the caller's thread."""

    slots = 1
    dashboard = ""

    def map_unordered(
        self, function: Callable[[TaskType], Result], tasks: Iterable[TaskType]
    ) -> Iterator[Outcome[TaskType, Result]]:
        for task in tasks:
            try:
                yield Outcome(task, function(task), None)
            except Exception as error:
                yield Outcome(task, None, error)


class _Distributed:
    """Tasks on Dask workers, a bounded wave at a time, so that graphs stay small."""

    def __init__(self, client: Client, spec: ClusterSpec) -> None:
        self._client = client
        self.slots = spec.slots
        # In one process distributed names this machine's outer address, where nothing listens.
        port = urlsplit(str(client.dashboard_link)).port
        self.dashboard = f"http://127.0.0.1:{port}/status" if spec.dashboard else ""

    def map_unordered(
        self, function: Callable[[TaskType], Result], tasks: Iterable[TaskType]
    ) -> Iterator[Outcome[TaskType, Result]]:
        waiting = iter(tasks)
        asked: dict[Future[Any], TaskType] = {}

        def submit(task: TaskType) -> Future[Any]:
            future = self._client.submit(function, task, pure=False)
            asked[future] = task
            return future

        wave = as_completed([submit(task) for task in islice(waiting, WAVE * self.slots)])
        try:
            for future in wave:
                task = asked.pop(future)
                for following in islice(waiting, 1):
                    wave.add(submit(following))
                error = future.exception()
                yield Outcome(task, None if error else future.result(), error)
        finally:
            self._client.cancel(list(asked), force=True)
