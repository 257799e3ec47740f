"""From settled jobs to finished ensembles: compute the missing blocks on a cluster.

A run looks at the ledger, never at the past: starting, resuming and extending are one thing.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from statistics import median

from engine.blockwork import Task, compute
from engine.clusters import Cluster, ClusterSpec, Executor, Outcome, Profile, connect
from engine.errors import RunError, StoreError, WorkerDiedError
from engine.jobs import Settled
from engine.plan import Block
from engine.stores.durable import make_folder, storing
from engine.stores.ensemble import Failure, open_ensemble
from engine.stores.lock import Lock, held
from engine.stores.places import Place, aside

ATTEMPTS = 2  # at a block, before a run gives it up
# Tasks in a row that the store refuses, for each slot and at least, before a run stops: a full disk
# or a revoked right refuses all the others too, which would be drawn for nothing.
_REFUSED, _REFUSED_AT_LEAST = 4, 8
# Seconds a task is to last: scheduling and a worker's walk to the table then cost next to nothing,
# while a lost worker loses little. On this machine blocks are handed out one by one unless they are
# very short.
PLANNED, _PLANNED_HERE = 20.0, 0.25
_TASKS_A_SLOT = 4  # at least: with fewer, slots would stand idle at the end
_REMEMBERED = 64  # blocks whose time tells how long the next ones take


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is, in draws of one year each, over all its scenarios."""

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


@dataclass(slots=True, eq=False)
class Sitting:
    """A run folder held by its lock, and the workers of a profile, connected when first needed.

    The lock is the folder's: its record, logs, keys and jobs are no single scenario's.
    """

    folder: Place
    cluster: Profile
    lock: Lock
    _open: ExitStack
    _workers: Cluster | None = None

    def workers(self) -> Cluster:
        """The workers, who stay until the end of the sitting.

        Raises:
            LockedError: another run has taken the folder over, and with it keys and jobs.
        """
        if self._workers is None:
            self.lock.confirm()
            self._workers = self._open.enter_context(connect(self.cluster, aside(self.folder)))
        return self._workers


@contextmanager
def sitting(folder: Place, cluster: Profile) -> Iterator[Sitting]:
    """Hold a run folder; at the end workers are stopped first, and then the lock is released.

    Raises:
        LockedError: another run is at work in the folder, or has taken it over.
        StoreError: it cannot be written.
    """
    with storing(folder):
        make_folder(folder)
    with held(folder / "lock.json") as lock, ExitStack() as open_things:
        yield Sitting(folder, cluster, lock, open_things)


def run(settled: Sequence[Settled], here: Sitting, listener: Listener) -> None:
    """Compute whatever the ensembles lack, until their ledgers lack nothing.

    Raises:
        LockedError: another run has taken the folder over.
        StoppedError: the cluster was lost; the same command goes on.
        RunError: blocks failed, or the store refused one after another; the others are safe, and
            running again tries the failed ones.
    """
    waiting = [task for one in settled for task in one.tasks()]
    if not waiting:
        return
    total = sum(len(one.ensemble.axes.years) * one.ensemble.draws for one in settled)
    before = total - sum(block.size for task in waiting for block in task.blocks)
    executor = here.workers()
    counted = _Counted(before, total, executor.dashboard, listener)
    pace = _Pace(seconds_of_task(here.cluster))
    given_up: list[Outcome[Task, int]] = []
    tries: Counter[tuple[Place, Block]] = Counter()
    in_a_row = again = 0
    tasks = pace.bunched(waiting, executor)
    while waiting:
        waiting = []
        for outcome in executor.map_unordered(compute, tasks, here.lock.check):
            in_a_row = in_a_row + 1 if isinstance(outcome.error, StoreError) else 0
            if in_a_row >= max(_REFUSED_AT_LEAST, _REFUSED * executor.slots):
                raise _refused(in_a_row, outcome)
            if outcome.error is None:
                counted.add(sum(block.size for block in outcome.task.blocks))
                pace.learn(outcome)
            elif _is_last(outcome, tries):
                given_up.append(outcome)
            else:
                waiting += outcome.task.singly()
        if not waiting and (waiting := _taken_out(settled, given_up)):
            counted.add(-sum(block.size for task in waiting for block in task.blocks))
            again += 1
            if again > ATTEMPTS:
                raise _never_complete(waiting)
        tasks = iter(waiting)
    if given_up:
        here.lock.confirm()
        _give_up(given_up)


def _taken_out(settled: Sequence[Settled], given_up: Sequence[Outcome[Task, int]]) -> list[Task]:
    """What was drawn and is not in the ledger, as after `status --verify` found it damaged."""
    failed = {(one.task.ensemble, block) for one in given_up for block in one.task.blocks}
    lacking = (task for one in settled for task in one.tasks())
    return [task for task in lacking if (task.ensemble, task.blocks[0]) not in failed]


def _never_complete(lacking: Sequence[Task]) -> RunError:
    return RunError(
        f"{len(lacking)} blocks were drawn {ATTEMPTS + 1} times, and are not in the ledger",
        where=f"{lacking[0].ensemble.name}, year {lacking[0].blocks[0].year}",
        remedy="see with `footfall status --verify` and `ls` who removes them, then run again",
    )


def _refused(tasks: int, last: Outcome[Task, int]) -> RunError:
    error = last.error
    assert isinstance(error, StoreError)
    return RunError(
        f"the store refused {tasks} tasks one after another; the last: {error.what}",
        where=error.where,
        remedy=error.remedy,
    )


def _is_last(outcome: Outcome[Task, int], tries: Counter[tuple[Place, Block]]) -> bool:
    """Whether a task that failed is not tried again; of several blocks, one may be to blame."""
    task = outcome.task
    if len(task.blocks) > 1:
        return False
    key = (task.ensemble, task.blocks[0])
    tries[key] += 1
    return tries[key] == ATTEMPTS or isinstance(outcome.error, WorkerDiedError)


def seconds_of_task(cluster: Profile) -> float:
    """Seconds a task is to last."""
    if isinstance(cluster, ClusterSpec):
        return 0.0 if cluster.executor is Executor.SERIAL else _PLANNED_HERE
    return PLANNED


def blocks_of_task(planned: float, seconds: float, left: int, slots: int) -> int:
    """Blocks of the next task, when so many are left for so many slots.

    Args:
        planned: seconds the task is to last.
        seconds: that a block takes.
    """
    wanted = round(planned / max(seconds, 1e-6))
    return max(1, min(wanted, left // (_TASKS_A_SLOT * max(slots, 1))))


class _Pace:
    """How long a block takes, as far as is known, and so how many make a task."""

    def __init__(self, planned: float) -> None:
        self._planned = planned
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def learn(self, outcome: Outcome[Task, int]) -> None:
        if outcome.seconds > 0:
            self._seconds.append(outcome.seconds / len(outcome.task.blocks))

    def bunched(self, singles: Sequence[Task], executor: Cluster) -> Iterator[Task]:
        """The tasks of one block each, bunched as they are asked for, never two years together.

        The first ones are handed out one by one, and tell how long the others will take.
        """
        done = 0
        while done < len(singles):
            most = self.blocks(len(singles) - done, executor.slots)
            bunch = [singles[done]]
            for single in singles[done + 1 : done + most]:
                if (single.ensemble, single.table) != (bunch[0].ensemble, bunch[0].table):
                    break
                bunch.append(single)
            done += len(bunch)
            yield replace(bunch[0], blocks=tuple(b for one in bunch for b in one.blocks))

    def blocks(self, left: int, slots: int) -> int:
        """Blocks of the next task, when so many are left for so many slots."""
        if not self._seconds:
            return 1
        return blocks_of_task(self._planned, median(self._seconds), left, slots)


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


def _give_up(failed: list[Outcome[Task, int]]) -> None:
    """Enter in the ledgers why."""
    blocks = 0
    for outcome in failed:
        ensemble = open_ensemble(outcome.task.ensemble)
        for block in outcome.task.blocks:
            if ensemble.holds(block):  # done before its neighbour failed
                continue
            blocks += 1
            reason = f"{type(outcome.error).__name__}: {outcome.error}"
            ensemble.record_failure(block, Failure(reason, outcome.account))
    task, error = failed[0].task, failed[0].error
    raise RunError(
        f"{blocks} of the blocks failed {ATTEMPTS} times; the first: {error}",
        where=f"{task.ensemble.name}, year {task.blocks[0].year}, block {task.blocks[0].index}",
        remedy="all other blocks are safe; mend the cause and run again",
    )
