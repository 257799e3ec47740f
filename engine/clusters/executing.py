"""Mapping a function over tasks: one after another, or on Dask workers in bounded waves.

Every executor offers the same (slots, a dashboard link, `map_unordered`), so that nothing else ever
sees a future, and laptop mode is no special case.

A worker that dies takes with it what it worked on and what waited beside it, and nobody can tell
which task was to blame. So each death counts against all of them; who has been there three times is
tried again alone, after all the others, where only its own deaths can count.
"""

from __future__ import annotations

import logging
import os
import platform
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from engine.clusters.workers import refuse_if_different
from engine.errors import PlanError, StoppedError, WorkerDiedError

_LOG = logging.getLogger("footfall")
# Of every scheduler that is ours: who is to blame for a death is found out here.
OURS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.comm.timeouts.connect": "60s",
}
# Of those with workers on other nodes, which may vanish without a word.
OURS_ELSEWHERE = OURS | {"distributed.scheduler.worker-ttl": "120s"}
TaskType = TypeVar("TaskType")
Result = TypeVar("Result")

WAVE = 2  # tasks in flight for each slot: one at work, one waiting beside it
ALONE_AFTER, GIVEN_UP_AFTER = 3, 8  # deaths of workers that a task was on
PATIENCE = 60.0  # seconds that a scheduler may take to answer, or a result to arrive
_TICK = 1.0  # seconds between two looks at the workers
_SILENT = 120.0  # seconds without a worker after which it is said, and then ever more rarely
_TOGETHER = 256  # results fetched at once


@dataclass(frozen=True, slots=True)
class Outcome(Generic[TaskType, Result]):
    """What became of one task: its result, or the exception that stopped it.

    Attributes:
        account: where it was worked on and how it failed, for a log; empty where it did not.
        seconds: of work; 0 where it failed.
    """

    task: TaskType
    result: Result | None
    error: Exception | None
    account: str = ""
    seconds: float = 0.0


def _nothing() -> None:
    pass


class Cluster(Protocol):
    """Something that runs tasks."""

    slots: int
    dashboard: str

    def map_unordered(
        self,
        function: Callable[[TaskType], Result],
        tasks: Iterable[TaskType],
        check: Callable[[], None] = _nothing,
    ) -> Iterator[Outcome[TaskType, Result]]:
        """Apply `function` to every task; yield outcomes as they come, in any order.

        Tasks are taken from the iterable as slots come free.

        Args:
            check: asked again and again, also while no outcome comes; what it raises ends it all.

        Raises:
            StoppedError: there is no scheduler any more, or no worker will come any more.
            PlanError: no worker can start, or one is not like this process.
        """
        ...


class Watch(Protocol):
    """What the way of connecting knows of its workers."""

    def hopeless(self, connected: int) -> str:
        """Why no worker will come any more; empty while there is hope."""
        ...

    def why(self, name: str, address: str) -> str:
        """What is known of the death of a worker."""
        ...


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Workers that something else starts anew, of which no more is known than where they were.

    Attributes:
        fate: what is said of a death; `{address}` stands for the worker's.
    """

    fate: str

    def hopeless(self, connected: int) -> str:
        return ""

    def why(self, name: str, address: str) -> str:
        return self.fate.format(address=address)


class Serial:
    """One task after another, in the caller's thread."""

    slots = 1
    dashboard = ""

    def map_unordered(
        self,
        function: Callable[[TaskType], Result],
        tasks: Iterable[TaskType],
        check: Callable[[], None] = _nothing,
    ) -> Iterator[Outcome[TaskType, Result]]:
        for task in tasks:
            check()
            yield Outcome(task, *attempt(function, task))


def attempt(
    function: Callable[[TaskType], Result], task: TaskType
) -> tuple[Result | None, Exception | None, str, float]:
    """On a worker: the result and its seconds, or the exception and an account of it."""
    refuse_if_different()
    began = time.monotonic()
    try:
        return function(task), None, "", time.monotonic() - began
    except Exception as error:
        job = next((f", job {os.environ[n]}" for n in _JOB_NUMBERS if n in os.environ), "")
        place = f"on {platform.node()}, pid {os.getpid()}{job}"
        return None, error, f"{place}\n{traceback.format_exc()}", 0.0


_JOB_NUMBERS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")


@dataclass(frozen=True, slots=True)
class _Try(Generic[TaskType]):
    """A task, and how many workers died with it."""

    task: TaskType
    deaths: int = 0


class Distributed:
    """Tasks on Dask workers, a bounded wave at a time, so that graphs stay small.

    Workers may come late and go: the wave follows the slots that are connected.
    """

    def __init__(self, client: Client, slots: int, dashboard: str, watch: Watch) -> None:
        self._client, self._watch, self._met = client, watch, False
        self.slots, self.dashboard = slots, dashboard

    def map_unordered(
        self,
        function: Callable[[TaskType], Result],
        tasks: Iterable[TaskType],
        check: Callable[[], None] = _nothing,
    ) -> Iterator[Outcome[TaskType, Result]]:
        wave = _Wave(self._client, self._watch, function, iter(tasks), self._met)
        try:
            while wave.goes_on():
                check()
                yield from wave.outcomes()
        finally:
            self._met = wave.met
            wave.cancel()


class _Wave(Generic[TaskType, Result]):
    """The tasks in flight, and those that wait to be."""

    def __init__(
        self,
        client: Client,
        watch: Watch,
        function: Callable[[TaskType], Result],
        fresh: Iterator[TaskType],
        met: bool,
    ) -> None:
        self._client, self._watch, self._function = client, watch, function
        self._fresh, self._exhausted = fresh, False
        self._again: deque[_Try[TaskType]] = deque()
        self._alone: deque[_Try[TaskType]] = deque()
        self._group, self._numbers = f"attempt-{uuid4().hex}", count()
        self._asked: dict[Any, tuple[Future[Any], _Try[TaskType]]] = {}
        self._ended: SimpleQueue[Future[Any]] = SimpleQueue()
        self.slots, self._looked = 0, -_TICK
        self.met = met  # whether there ever was a worker
        self._seen, self._patience = time.monotonic(), _SILENT

    def goes_on(self) -> bool:
        """Fill the wave; whether anything is left to wait for."""
        self._look()
        self._fill()
        if not self._asked and not self._again and self._exhausted and self._alone and self.slots:
            self._submit(self._alone.popleft())
        return bool(self._asked or self._again or self._alone or not self._exhausted)

    def _fill(self) -> None:
        while len(self._asked) < WAVE * self.slots and (following := self._following()):
            self._submit(following)

    def _following(self) -> _Try[TaskType] | None:
        if not self._exhausted:
            for task in self._fresh:
                return _Try(task)
            self._exhausted = True
        return self._again.popleft() if self._again else None

    def _submit(self, one: _Try[TaskType]) -> None:
        # Of one group: the scheduler then keeps what waits and gives it to whoever has least to do.
        # Tasks of many groups it deals out in turn where there are 20 workers or more, to the busy
        # and the idle alike.
        key = (self._group, next(self._numbers))
        future = self._client.submit(attempt, self._function, one.task, key=key, pure=False)
        self._asked[future.key] = (future, one)
        future.add_done_callback(self._ended.put)

    def outcomes(self) -> list[Outcome[TaskType, Result]]:
        """What has ended by now; waits a moment for the first."""
        finished, found = [], []
        for future in self._gone():
            if future.key not in self._asked:
                continue
            _, one = self._asked.pop(future.key)
            if future.status == "finished":
                finished.append((future, one))
            elif future.status == "error":
                found += self._failed(future, one)
            else:  # the scheduler was lost; should it come back, it knows nothing of this task
                self._again.append(one)
        self._fill()  # before results are fetched, which may take a second of many workers
        return found + self._fetched(finished)

    def _gone(self) -> list[Future[Any]]:
        gone: list[Future[Any]] = []
        with suppress(Empty):
            gone.append(self._ended.get(timeout=_TICK))
            while len(gone) < _TOGETHER:
                gone.append(self._ended.get_nowait())
        return gone

    def _failed(self, future: Future[Any], one: _Try[TaskType]) -> list[Outcome[TaskType, Result]]:
        error = future.exception()
        if isinstance(error, PlanError):
            raise error
        if not isinstance(error, KilledWorker):
            return [Outcome(one.task, None, error, f"{type(error).__name__}: {error}")]
        one = _Try(one.task, one.deaths + 1)
        if one.deaths < GIVEN_UP_AFTER:
            (self._again if one.deaths < ALONE_AFTER else self._alone).append(one)
            return []
        worker = error.last_worker
        why = self._watch.why(str(worker.name), worker.address)
        died = WorkerDiedError(
            f"{one.deaths} workers died with it, the last {GIVEN_UP_AFTER - ALONE_AFTER} with "
            f"nothing else at work; {why.splitlines()[0]}",
            where=f"worker {worker.name}",
            remedy="see `footfall logs`; if memory ran out, give workers more or fewer threads",
        )
        return [Outcome(one.task, None, died, f"worker {worker.name} at {worker.address}\n{why}")]

    def _fetched(
        self, finished: list[tuple[Future[Any], _Try[TaskType]]]
    ) -> list[Outcome[TaskType, Result]]:
        if not finished:
            return []
        futures = [future for future, _ in finished]
        try:
            results = in_time(PATIENCE, lambda: self._client.gather(futures))
        except Exception:  # a worker has died with its results, or one cannot be read
            return [outcome for pair in finished for outcome in self._fetched_alone(*pair)]
        return [
            Outcome(one.task, *result) for (_, one), result in zip(finished, results, strict=True)
        ]

    def _fetched_alone(
        self, future: Future[Any], one: _Try[TaskType]
    ) -> list[Outcome[TaskType, Result]]:
        try:
            return [Outcome(one.task, *in_time(_TICK, future.result))]
        except (TimeoutError, OSError, KilledWorker):
            self._again.append(one)
            return []
        except Exception as error:
            return [Outcome(one.task, None, error, f"{type(error).__name__}: {error}")]

    def _look(self) -> None:
        """Count the slots that are connected, now and then."""
        if time.monotonic() - self._looked < _TICK:
            return
        if self._client.status == "connecting":
            self.slots = 0
        elif self._client.status != "running":
            raise lost("the connection to the scheduler is lost")
        else:
            try:
                threads = in_time(PATIENCE, self._client.nthreads)
            except TimeoutError:
                raise lost(f"the scheduler has not answered for {PATIENCE:.0f} s") from None
            except OSError:  # gone between two looks; the client tries to connect again
                threads = {}
            self.slots = sum(threads.values())
            self.met |= bool(threads)
            if why := self._watch.hopeless(len(threads)):
                raise lost(why) if self.met else _never(why)
        self._looked = time.monotonic()
        self._say_if_alone()

    def _say_if_alone(self) -> None:
        """A run without workers waits as long as it may, but not in silence."""
        if self.slots:
            self._seen, self._patience = self._looked, _SILENT
        elif self._looked - self._seen >= self._patience:
            self._patience *= 2
            _LOG.warning(
                "no worker has been connected for %.0f s: they wait for their turn, or cannot "
                "start; see the cluster's queue, and `logs` in the run folder",
                self._looked - self._seen,
            )

    def cancel(self) -> None:
        """Ask for nothing more."""
        futures = [future for future, _ in self._asked.values()]
        if futures and self._client.status == "running":
            with suppress(Exception):
                in_time(_TICK * 10, lambda: self._client.cancel(futures, force=True))


def dashboard_here(client: Client) -> str:
    """Where the dashboard of a scheduler in this process is, on the loopback address; or nowhere.

    Left to itself distributed names this machine's outer address, where nothing listens.
    """
    port = urlsplit(str(client.dashboard_link)).port
    return f"http://127.0.0.1:{port}/status" if port else ""


def lost(why: str) -> StoppedError:
    """A run that stops because the cluster is gone."""
    return StoppedError(
        why,
        where="cluster",
        remedy="every finished block is safe; the same command goes on with the others",
    )


def _never(why: str) -> PlanError:
    """The same start would fail in the same way: this is not put back into a queue."""
    return PlanError(
        f"no worker has ever connected; {why}",
        where="cluster",
        remedy="mend what it names, in the profile or on the cluster; then the same command again",
    )


def in_time(seconds: float, function: Callable[[], Any]) -> Any:
    """The result of a call, or a `TimeoutError` if it does not come in time.

    The call itself cannot be stopped; it is left behind, and does not hold the process up.
    """
    answers: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put((function(), None))
        except BaseException as error:
            answers.put((None, error))

    Thread(target=ask, name="footfall asks", daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return answer
