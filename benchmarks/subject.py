"""The engine as a contender: the only module that knows its modes and how they are asked for.

A **mode** is a way to compute a draw, with the error it promises. To add one, add a line to
`MODES`: `draw` computes the draws of a group from what `in_mode` makes of a prepared table, and
`group` says how many they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Protocol

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.bars import Bar
from benchmarks.timing import cores
from engine.draws import DIRECTLY, Status, draw_directly, draw_prepared, perturbed
from engine.error_model import Method, Quantity
from engine.kernels.arrays import F64, Bool
from engine.kernels.fused import bind, sweep
from engine.kernels.leontief import output, per_unit_output
from engine.mrio import MRIO
from engine.plan import GROUP
from engine.prepare import Prepared, prepare
from engine.split import Keep, split

SEED = 2026


class Group(Protocol):
    """What a mode returns for some draws; see `engine.draws.Draws`."""

    footprint: F64
    status: NDArray[np.uint8]
    certified_error: F64


@dataclass(frozen=True, slots=True, eq=False)
class Singles:
    """Draws solved directly, one after the other."""

    footprint: F64
    status: NDArray[np.uint8]
    certified_error: F64


def directly(prepared: Prepared, draws: Iterable[int]) -> Singles:
    """The engine's own float64 path, against which it tests the fast one."""
    found = [draw_directly(prepared, number) for number in draws]
    return Singles(
        np.stack([one.footprint for one in found]),
        np.array([one.status for one in found], dtype=np.uint8),
        np.array([one.certified_error for one in found]),
    )


@dataclass(frozen=True, slots=True)
class Mode:
    """One way to compute a draw.

    Attributes:
        promise: largest relative error of a total that it lets pass; None where it is estimated
            and not certified.
        group: draws computed together.
        tolerance: certified relative error asked for.
        keep: in split mode, what is kept of the cells' own noise.
        draw: what computes a group.
    """

    name: str
    promise: float | None
    group: int
    tolerance: float = 1e-6
    keep: Keep | None = None
    draw: Callable[[Prepared, Iterable[int]], Group] = draw_prepared


# The most exact fast mode first: the others' standard deviations are compared with its own.
MODES = (
    Mode("exact 1e-9", 1e-9, GROUP, tolerance=1e-9),
    Mode("exact 1e-6", 1e-6, GROUP),
    Mode("split 99.9 %", None, GROUP, keep=Keep(0.999)),
    Mode("split, 1 % of cells", None, GROUP, keep=Keep(fraction=0.01)),
    Mode("reference", 1e-9, 1, draw=directly),
)


def fused_pass(prepared: Prepared, mode: Mode) -> tuple[Callable[[int], object], int] | None:
    """One pass over all cells for one group of draws on one thread, and the factors it generates.

    None where a mode has no such pass.
    """
    if mode.group == 1:
        return None
    matrix = prepared.cells[prepared.matrix]
    column = np.ones((len(prepared.active), 1))

    def run(groups: int) -> None:
        for group in range(groups):
            sweep(bind(matrix, group), c=column)

    return run, GROUP * sum(len(cells.value) for cells in matrix)


def ready(tables: Sequence[MRIO], bar: Bar) -> list[Prepared]:
    """The tables of some years prepared for a bar."""
    return [prepare(table, bar.errors, bar.question, SEED) for table in tables]


def in_mode(prepared: Sequence[Prepared], mode: Mode) -> list[Prepared]:
    """Prepared tables of all years, as a mode wants them."""
    asked = [replace(table, tolerance=mode.tolerance) for table in prepared]
    return asked if mode.keep is None else split(asked, mode.keep)


class Subject:
    """Draws groups on a pool of threads, each draw number once."""

    def __init__(self, prepared: Prepared, mode: Mode, workers: int | None = None) -> None:
        self.mode = mode
        self.workers = workers or cores()
        self.outcomes: Counter[Status] = Counter()
        self.largest_bound = 0.0
        self._directly = 0
        self._prepared = prepared
        self._pool = ThreadPoolExecutor(self.workers)
        self._groups = count()

    @property
    def step(self) -> int:
        """Draws that keep every thread busy once."""
        return self.mode.group * self.workers

    def draw(self, draws: int) -> None:
        """Compute so many draws, in whole groups."""
        groups = [next(self._groups) for _ in range(-(-draws // self.mode.group))]
        for drawn in self._pool.map(self._group, groups):
            self.outcomes.update(Status(status) for status in drawn.status.tolist())
            solved = getattr(drawn, "corrections", np.zeros(0)).tolist()
            self._directly += solved.count(DIRECTLY)
            accepted = drawn.certified_error[drawn.status == Status.ACCEPTED]
            self.largest_bound = max([self.largest_bound, *accepted.tolist()])

    def _group(self, index: int) -> Group:
        size = self.mode.group
        return self.mode.draw(self._prepared, range(index * size, (index + 1) * size))

    def facts(self) -> dict[str, Any]:
        """What became of the draws."""
        drawn = sum(self.outcomes.values())
        return {
            "draws": drawn,
            "not accepted": drawn - self.outcomes[Status.ACCEPTED],
            "solved directly": self._directly if self.mode.group > 1 else drawn,
            "largest certified error": self.largest_bound,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Footprints, (draws, indicators, consumers, parts), and whether each draw was accepted."""

    footprint: F64
    accepted: Bool


def footprints(prepared: Prepared, mode: Mode, draws: int) -> Drawn:
    """The first draws, in whole groups, computed on all threads."""
    size = mode.group
    starts = range(0, draws, size)
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(cores()) as pool:
        groups = list(pool.map(lambda n: mode.draw(prepared, range(n, n + size)), starts))
    return Drawn(
        np.concatenate([group.footprint for group in groups]),
        np.concatenate([group.status for group in groups]) == Status.ACCEPTED,
    )


def direct(prepared: Prepared, number: int) -> F64:
    """Draw `number` solved anew, directly in float64, (indicators, consumers, parts).

    The inputs are the engine's own, bit for bit; nothing after them is.
    """
    cells = perturbed(prepared, number)
    Y = cells[Quantity.Y]
    if prepared.method is Method.COEFFICIENTS:
        A, s = cells[Quantity.A], cells[Quantity.S]
    else:
        x = output(cells[Quantity.Z], Y)
        A = per_unit_output(cells[Quantity.Z], x, prepared.active)
        s = per_unit_output(cells[Quantity.E], x, prepared.active)
    system = np.eye(len(A)) - A
    demand = Y @ prepared.membership + cells[Quantity.PURCHASES]
    X = scipy.linalg.solve(system, demand, check_finite=False)
    intensities = prepared.characterisation @ s
    total = intensities @ X
    at_home = intensities @ (X * prepared.domestic)
    final = prepared.characterisation @ cells[Quantity.F_Y] @ prepared.membership
    return np.stack([total + final, at_home, total - at_home, final], axis=-1)


def error(drawn: Drawn, truths: Mapping[int, F64]) -> float:
    """Largest error of some draws' totals, relative; NaN if none was accepted.

    Args:
        truths: by number of the draw, as `direct` finds it.
    """
    worst = [np.nan]
    for number, whole in truths.items():
        if drawn.accepted[number]:
            true = whole[..., 0]
            there = np.abs(true) > 1e-6 * np.abs(true).max(axis=1, keepdims=True)
            gap = np.abs(drawn.footprint[number, ..., 0] - true)
            worst.append(float((gap[there] / np.abs(true[there])).max()))
    return float(np.nanmax(worst)) if len(worst) > 1 else np.nan
