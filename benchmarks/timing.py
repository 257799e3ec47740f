"""Interleaved repeats: every contender once a round, so that a noisy minute hits all alike.

Ratios are taken round by round and only then summarised.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from threadpoolctl import threadpool_limits

Rounds = Sequence[float]


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, with the smallest and largest of the rounds it comes from."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Rounds) -> Spread:
        """The spread of some rounds."""
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class Contender:
    """Something to time.

    Attributes:
        run: does so many units of work.
        step: units come in multiples of this.
        blas: threads BLAS may use meanwhile. None: one and one a core are both timed, and the
            faster of the two counts, for many threads slow small or crowded machines down.
        fixed: always one step, however short, and the first one counts.
    """

    name: str
    run: Callable[[int], object]
    step: int = 1
    blas: int | None = 1
    fixed: bool = False


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds a unit, round by round, with so many threads of BLAS."""

    seconds: Rounds
    blas: int

    @property
    def spread(self) -> Spread:
        """Of the rounds."""
        return Spread.of(self.seconds)

    def rate(self, work: float) -> Spread:
        """Units of work a second, if a unit of time is so much work."""
        return Spread.of([work / seconds for seconds in self.seconds])


def interleaved(
    contenders: Sequence[Contender],
    repeats: int,
    least: float,
    budget: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timed]:
    """Time every contender once a round, nobody always first.

    Args:
        repeats: rounds, at most.
        least: seconds one measurement should take; units are added until it does.
        budget: seconds after which no further round begins.
    """
    entries = [(one, blas) for one in contenders for blas in _threads(one)]
    counts = [_count(one, blas, least, clock) for one, blas in entries]
    seconds: list[list[float]] = [[] for _ in entries]
    began = clock()
    for turn in range(repeats):
        if turn and clock() - began > budget:
            break
        order = [(turn + place) % len(entries) for place in range(len(entries))]
        for place in order:
            (one, blas), count = entries[place], counts[place]
            seconds[place].append(_timed(one, blas, count, clock) / count)
    found: dict[str, Timed] = {}
    for (one, blas), rounds in zip(entries, seconds, strict=True):
        timed, best = Timed(rounds, blas), found.get(one.name)
        if best is None or timed.spread.median < best.spread.median:
            found[one.name] = timed
    return found


def ratios(timed: Mapping[str, Timed], base: str) -> dict[str, Spread]:
    """How many times faster than `base` each contender is, round by round."""
    yardstick = timed[base].seconds
    return {
        name: Spread.of([b / own for b, own in zip(yardstick, one.seconds, strict=True)])
        for name, one in timed.items()
    }


def _threads(one: Contender) -> list[int]:
    return sorted({1, cores()}) if one.blas is None else [one.blas]


def _count(one: Contender, blas: int, least: float, clock: Callable[[], float]) -> int:
    """How many units make a measurement; finding out also warms up."""
    if one.fixed:
        return one.step
    _timed(one, blas, one.step, clock)  # the first call may compile, so it tells nothing
    count = one.step
    while (elapsed := _timed(one, blas, count, clock)) < least / 2:
        # Never far beyond the aim at once: the first units may be slow or fast.
        steps = min(10.0, max(2.0, least / max(elapsed, 1e-9)))
        count = one.step * math.ceil(count / one.step * steps)
    return count


def _timed(one: Contender, blas: int, count: int, clock: Callable[[], float]) -> float:
    with threadpool_limits(blas, user_api="blas"):
        began = clock()
        one.run(count)
        return clock() - began
