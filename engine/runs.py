"""From settled jobs to finished ensembles: compute the missing blocks on a cluster.

A run looks at the ledger, never at the past: starting, resuming and extending are one thing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.blockwork import Task, compute
from engine.clusters import ClusterSpec, Outcome, connect
from engine.errors import RunError
from engine.jobs import Settled
from engine.stores.ensemble import open_ensemble

ATTEMPTS = 2  # at a block, before a run gives it up


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


def run(settled: Sequence[Settled], cluster: ClusterSpec, listener: Listener) -> None:
    """Compute whatever the ensembles lack.

    Raises:
        LockedError: another run has taken one of them over.
        RunError: blocks failed; the others are safe, and running again tries the failed ones.
    """
    waiting = [task for one in settled for task in one.tasks()]
    if not waiting:
        return
    total = sum(len(one.ensemble.axes.years) * one.ensemble.draws for one in settled)
    before = total - sum(block.size for task in waiting for block in task.blocks)
    with connect(cluster) as executor:
        counted = _Counted(before, total, executor.dashboard, listener)
        for _ in range(ATTEMPTS):
            failed: list[Outcome[Task, int]] = []
            for outcome in executor.map_unordered(compute, waiting):
                for one in settled:
                    one.lock.check()
                if outcome.error is None:
                    counted.add(outcome.result or 0)
                else:
                    failed.append(outcome)
            waiting = [outcome.task for outcome in failed]
            if not waiting:
                return
    _give_up(failed)


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
    for outcome in failed:
        for block in outcome.task.blocks:
            reason = f"{type(outcome.error).__name__}: {outcome.error}"
            open_ensemble(outcome.task.ensemble).record_failure(block, reason)
    task, error = failed[0].task, failed[0].error
    raise RunError(
        f"{len(failed)} of the blocks failed {ATTEMPTS} times; the first: {error}",
        where=f"{task.ensemble.name}, year {task.blocks[0].year}, block {task.blocks[0].index}",
        remedy="all other blocks are safe; mend the cause and run again",
    )
