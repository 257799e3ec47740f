"""A prediction of what a run needs, and how it reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.clusters import Allocation, Batch, ClusterSpec, Executor, Profile
from engine.plan import GROUP, Needs, SamplingPlan, Shape
from engine.runs import blocks_of_task, seconds_of_task
from engine.workflow.scaling import Scaling, hours

# Seconds until workers are at work, measured: imports and compiled kernels from their cache.
_STARTING = {Executor.SERIAL: 0.5, Executor.THREADS: 1.5, Executor.PROCESSES: 5.0}
_STARTING_ELSEWHERE = 15.0  # once the queue has let a job start


@dataclass(frozen=True, slots=True)
class Planned:
    """A run's predicted needs, and what this machine has.

    Attributes:
        shape: of the scenario that needs most.
        why: the reason for the direction in which its draws are solved.
        split: whether split mode is asked for.
        peak: bytes at most, of all processes here or of the job that prepares.
        available: bytes where it prepares; None for what only the queue knows.
    """

    needs: Needs
    shape: Shape
    why: str
    split: bool
    sampling: SamplingPlan
    scenarios: int
    cluster: Profile
    peak: int
    available: int | None

    @property
    def seconds(self) -> float:
        """Of all scenarios, from the start to the last block."""
        return self.scaling.seconds(self.cluster.slots)

    @property
    def scaling(self) -> Scaling:
        """The same run on any number of workers."""
        blocks = self.sampling.draws // self.sampling.block * len(self.sampling.years)
        return Scaling(
            preparing=self.needs.starting * self.scenarios,
            starting=self._starting,
            blocks=blocks * self.scenarios,
            block=self.needs.seconds * self.cluster.slots / blocks,
            task=seconds_of_task(self.cluster),
            own=self._own_cores,
            held=isinstance(self.cluster, ClusterSpec | Allocation),
        )

    @property
    def _own_cores(self) -> int:
        match self.cluster:
            case ClusterSpec():
                return 0  # the workers' prepare the tables
            case Batch():
                return self.cluster.controller.cores
            case Allocation():
                return self.cluster.cores  # of the task that is the run's own
            case _:
                return 1

    @property
    def _starting(self) -> float:
        if isinstance(self.cluster, ClusterSpec):
            return _STARTING[self.cluster.executor]
        return _STARTING_ELSEWHERE

    def summary(self) -> str:
        """One line, for the start of a run."""
        plan = self.sampling
        return (
            f"{plan.draws} draws x {len(plan.years)} years x {self.scenarios} scenario(s) on "
            f"{self.cluster.slots} {self.cluster.kind}; about "
            f"{duration(self.seconds)}, {size(self.peak)} of memory"
        )

    def extended(self, draws: int) -> Planned:
        """The same for so many draws a year: time and disk grow, memory does not."""
        more = draws / self.sampling.draws
        needs = replace(
            self.needs,
            seconds=self.needs.seconds * more,
            ensemble=round(self.needs.ensemble * more),
        )
        return replace(self, needs=needs, sampling=replace(self.sampling, draws=draws))

    def lines(self) -> Iterator[str]:
        """Everything predicted, line by line."""
        plan, needs, shape = self.sampling, self.needs, self.shape
        blocks = plan.draws // plan.block * len(plan.years)
        scaling, slots = self.scaling, self.cluster.slots
        factors = f"{shape.kept / shape.cells:.0%} kept in memory" if shape.cells else "none"
        yield self.summary()
        yield f"blocks:            {blocks} of {plan.block} draws for a scenario, {self._bunched()}"
        yield f"direction:         {shape.direction}, {shape.columns} at once, {self.why}"
        yield f"cells with errors: {shape.cells:,} a year, {shape.normals:.3g} normals each"
        yield f"factors of cells:  {factors}, for {GROUP} draws at a time; others drawn twice"
        yield f"memory, shared:    {size(needs.shared)} of prepared tables"
        yield f"memory, each slot: {size(needs.workspace)}"
        yield f"memory, preparing: {size(needs.preparing)}"
        yield f"memory, peak:      {size(self.peak)}{self._of_available()}"
        if shape.rebalanced:
            yield "every draw:        balanced, and solved directly with and without that; roughly"
        else:
            yield f"memory, directly:  {self._directly()}"
        yield f"ensemble:          {size(needs.ensemble * self.scenarios)} in the run folder"
        yield f"prepared tables:   {size(needs.prepared * self.scenarios)} on disk, while it runs"
        yield f"time, preparing:   {duration(scaling.preparing + scaling.starting)}"
        yield f"time, drawing:     {duration(scaling.drawing(slots))} (speed measured now)"
        if self.split:
            yield "                   at most: most draws of split mode take a fraction of that"
        yield f"core-hours:        {hours(scaling.core_hours(slots))}"
        yield f"workers that help: {self._helping()}"

    def _bunched(self) -> str:
        """How many blocks of all scenarios make a task, while there are plenty."""
        scaling = self.scaling
        most = blocks_of_task(scaling.task, scaling.block, scaling.blocks, self.cluster.slots)
        return "each one task" if most == 1 else f"up to {most} in one task"

    def _helping(self) -> str:
        """How many threads there is work for."""
        most, slots = self.scaling.most, self.cluster.slots
        why = "a block each" if most == self.scaling.blocks else "as many as the scheduler feeds"
        end = f"; of the {slots:,} asked for, {slots - most:,} WAIT" if slots > most else ""
        return f"{most:,} of one thread, {why}; more than {most:,} workers wait{end}"

    def _of_available(self) -> str:
        if self.available is None:
            return " in the job that prepares, of whatever the queue gives it"
        return f" of {size(self.available)} available"

    def _directly(self) -> str:
        """What draws that cannot be certified add to the peak."""
        added = self.needs.directly
        if self.available is None or not isinstance(self.cluster, ClusterSpec):
            return f"{size(added)} more in each slot for a draw not certified"
        fits = self.peak + self.cluster.slots * added <= self.available
        end = "which fits" if fits else "which does NOT FIT in all slots at once: use fewer workers"
        return f"{size(added)} more in each slot for a draw not certified, {end}"


def size(amount: float) -> str:
    return f"{amount / 2**30:.2f} GiB" if amount >= 2**30 else f"{amount / 2**20:.0f} MiB"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
