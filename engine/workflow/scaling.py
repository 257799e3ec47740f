"""What a run takes on 1 to 1,000 workers: wall time and core-hours, from a handful of sizes.

A worker here is one thread that computes one task at a time. Blocks of a run last alike, so the
slowest worker computes ceil(blocks / workers) of them: the last wave is rarely full, and with more
workers than blocks some never get one. The scheduler serves one task after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.runs import blocks_of_task

# Seconds that controller and scheduler are busy with one task: sent, assigned, fetched. Measured
# with 256 workers (`scripts/bench crowd`).
SCHEDULING = 3e-3
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)


@dataclass(frozen=True, slots=True)
class Scaling:
    """A run, as far as it matters to how many workers it is given.

    Attributes:
        preparing: seconds in which the controller prepares every table; workers come after it.
        starting: seconds until workers are at work, once the queue has let their jobs start.
        blocks: of all years and scenarios.
        block: seconds in which one worker draws a block and stores it.
        task: seconds a task is to last; several short blocks make one.
        own: cores that the run itself holds from its start to its end, beside the workers'.
        held: whether the workers' cores are this run's while tables are prepared, too.
    """

    preparing: float
    starting: float
    blocks: int
    block: float
    task: float
    own: int
    held: bool

    def seconds(self, workers: int) -> float:
        """From the start of the run to its end, without waiting in a queue."""
        return self.preparing + self.starting + self.drawing(workers)

    def drawing(self, workers: int) -> float:
        """From the first block to the last: by the slowest worker, or by the scheduler."""
        waves = -(-self.blocks // workers)
        return max(waves * self.block, self.tasks(workers) * SCHEDULING)

    def tasks(self, workers: int) -> int:
        """Tasks that the blocks are cut into: the fewer are left, the shorter."""
        left, count = self.blocks, 0
        while left > 0:
            left -= blocks_of_task(self.task, self.block, left, workers)
            count += 1
        return count

    def core_hours(self, workers: int) -> float:
        """Hours of all cores that are held, idle or not."""
        whole = self.seconds(workers)
        of_workers = whole if self.held else whole - self.preparing
        return (self.own * whole + workers * of_workers) / 3600

    def at_work(self, workers: int) -> float:
        """The share of the workers' time, from their start on, in which they draw."""
        return self.blocks * self.block / (workers * (self.starting + self.drawing(workers)))

    @property
    def most(self) -> int:
        """The workers that help: one for each block, or fewer that the scheduler just feeds."""
        few, enough = 0, self.blocks
        while enough - few > 1:
            middle = (few + enough) // 2
            if self.drawing(middle) <= self.tasks(middle) * SCHEDULING:
                enough = middle
            else:
                few = middle
        return enough

    def table(self) -> Iterator[str]:
        """A line for each number of workers."""
        yield f"{'workers':>9} {'time':>9} {'core-hours':>11} {'at work':>8}"
        for workers in COUNTS:
            yield (
                f"{workers:>9,} {_clock(self.seconds(workers)):>9} "
                f"{hours(self.core_hours(workers)):>11} {self.at_work(workers):>8.0%}"
            )


def hours(amount: float) -> str:
    """Hours with two digits where they are few."""
    return f"{amount:,.0f}" if amount >= 100 else f"{amount:.2g}"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
