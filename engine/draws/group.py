"""The 64 draws of one group at once: the same draws as the reference path, certified as closely.

    draw emissions and demand -> solve for the important cells' errors -> pass over all deliveries
    -> correct until certified -> parts

Notation as in `engine.kernels.passes`; the last axis of every drawn array is the draw. What cannot
be certified within the tolerance is solved directly, and counted.
"""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from engine.draws.attribution import Contributions
from engine.draws.direct import draw_directly
from engine.draws.outcome import DIRECTLY, Draws, Status, relative
from engine.draws.ways import Way, draw_demand_and_emissions, way_of
from engine.kernels.arrays import F64, Bool
from engine.kernels.certificate import Certificate
from engine.kernels.fused import Bound, Memory, bind, bind_with
from engine.kernels.passes import Begun, Departure, begin, depart
from engine.kernels.refine import Rough, System, refine
from engine.kernels.repair import own_weights
from engine.kernels.streams import LANES
from engine.prepare import Prepared


def draw_group(prepared: Prepared, group: int) -> Draws:
    """Footprints of draws 64 group to 64 group + 63."""
    way = way_of(prepared, draw_demand_and_emissions(prepared, group))
    B, important = _deliveries(prepared, group)
    start, whole = prepared.start, prepared.kept.whole
    departed = departure(prepared, way, important, gaussian=True)
    foreseen = Rough(important, whole, departed.D).solve(start, departed.R)
    X = start.X0[..., None] + foreseen
    begun = begin(B, start, X, forward=prepared.forward, accounts=prepared.accounts)
    D, feasible = _diagonal(prepared, begun.sales + way.sales)
    y = np.where(start.counted[:, None, None], way.y, 0.0)
    certificate = Certificate(start, begun, D, y, way.functionals(), prepared.r_max, entries=len(B))
    system = System(B, D, y, Rough(important, whole, D - prepared.D0[:, None]))
    unproved = feasible & ~certificate.proved
    if unproved.any():
        negative = _negative(prepared, group)
        certificate.prove_with(own_weights(system, negative, start, unproved, prepared.r_max))
    found = refine(
        system,
        start,
        X,
        begun,
        certificate,
        lambda X, R, bound: _certified_error(way, X, R, bound, prepared),
        prepared.tolerance,
    )
    return settled(
        prepared,
        group,
        footprint=way.footprint(found.X, found.R),
        linear=way.linear(_first_residual(prepared, begun, D, y)),
        gaussian=way.gaussian(_gaussian_residual(prepared, departed, begun, way)),
        error=found.error,
        tolerance=prepared.tolerance,
        feasible=feasible,
        contributions=way.contributions(found.X, found.R),
        corrections=1 + found.corrections,  # that by the important cells counts as one
        above_one=above_one(prepared, begun.column_sums, D),
    )


def _deliveries(prepared: Prepared, group: int) -> tuple[tuple[Bound, ...], tuple[Bound, ...]]:
    """A or Z for the group, and its important cells."""
    cells, kept = prepared.cells[prepared.matrix], prepared.kept
    important = sum(len(some.value) for some in kept.cells)
    memory = memory_of_thread(important + kept.rows)
    if not kept.whole:
        return bind_with(cells, kept.cells, kept.slots, group, memory, kept.rows)
    B = bind(cells, group, keep=memory)
    return B, tuple(bound for bound in B if len(bound.kept)) or bind(kept.cells, group)


def _negative(prepared: Prepared, group: int) -> tuple[Bound, ...]:
    """The deliveries below zero: their sign is that of the estimate in every draw."""
    below = [(cells, cells.value < 0) for cells in prepared.cells[prepared.matrix]]
    return bind([cells.only(some) for cells, some in below if some.any()], group)


_of_thread = threading.local()


def memory_of_thread(rows: int) -> Memory:
    """This thread's room for kept factors: what they are depends on nothing left in it."""
    memory: Memory = getattr(_of_thread, "memory", None) or Memory()
    _of_thread.memory = memory
    memory.clear(rows)
    return memory


def departure(
    prepared: Prepared, way: Way, cells: tuple[Bound, ...], *, gaussian: bool
) -> Departure:
    """How far the drawn system is from the estimate's, as far as some deliveries tell."""
    return depart(
        cells,
        prepared.start,
        way.y,
        way.sales,
        forward=prepared.forward,
        accounts=prepared.accounts,
        gaussian=gaussian,
    )


def _diagonal(prepared: Prepared, x: F64) -> tuple[F64, Bool]:
    """D, (n,64), and in which draws every active industry has output."""
    if not prepared.accounts:
        return np.ones_like(x), np.ones(LANES, dtype=np.bool_)
    active = prepared.active
    return np.where(active[:, None], x, 1.0), np.asarray((x[active] > 0).all(axis=0))


def _first_residual(prepared: Prepared, begun: Begun, D: F64, y: F64) -> F64:
    R0 = y - D[:, None] * prepared.start.X0[..., None] + begun.to_estimate
    return np.where(prepared.start.counted[:, None, None], R0, 0.0)


def _gaussian_residual(prepared: Prepared, departed: Departure, begun: Begun, way: Way) -> F64:
    """The residual of the estimate's solution to first order in the normals, (n,k,64)."""
    both = zip(departed.gaussian, begun.gaussian, strict=True)
    applied, sales = (some + others for some, others in both)
    D = sales + way.gaussian_sales if prepared.accounts else np.zeros_like(sales)
    RG = way.gaussian_y - D[:, None] * prepared.start.X0[..., None] + applied
    return np.where(prepared.start.counted[:, None, None], RG, 0.0)


def _certified_error(way: Way, X: F64, R: F64, bound: F64, prepared: Prepared) -> F64:
    """Relative, (64,), infinite in draws without a certificate."""
    if not prepared.forward:
        bound = bound.transpose(1, 0, 2)  # functionals are consumers, right-hand sides indicators
    total = way.footprint(X, R)[:, :, 0]
    return relative(bound + way.residual_shift(R), total, prepared.usual, prepared.tolerance)


def above_one(prepared: Prepared, columns: F64, D: F64) -> NDArray[np.int32]:
    """Industries whose coefficients add up to more than one, (64,)."""
    above = (columns > D) & (D > 0) & prepared.start.counted[:, None]
    count: NDArray[np.int32] = above.sum(axis=0, dtype=np.int32)
    return count


def settled(
    prepared: Prepared,
    group: int,
    footprint: F64,
    linear: F64,
    gaussian: F64,
    error: F64,
    tolerance: float,
    feasible: Bool,
    contributions: Contributions,
    corrections: int,
    above_one: NDArray[np.int32],
) -> Draws:
    """The draws of a group, draws first; those with too large an error are solved directly.

    Args:
        error: relative, of each draw, (64,).
        feasible: whether every active industry has output, (64,).
    """
    footprint, linear, gaussian = (
        np.moveaxis(array, -1, 0).copy() for array in (footprint, linear, gaussian)
    )
    status = np.where(feasible, Status.ACCEPTED, Status.REJECTED_OUTPUT).astype(np.uint8)
    made = np.full(LANES, corrections, dtype=np.uint8)
    certified = np.where(feasible, error, np.nan)
    for lane in np.flatnonzero(feasible & ~(error <= tolerance)):
        one = draw_directly(prepared, LANES * group + int(lane))
        footprint[lane], status[lane] = one.footprint, one.status
        certified[lane], made[lane] = one.certified_error, DIRECTLY
        for name, array in contributions.items():
            array[lane] = one.contributions.get(name, np.nan)
    for array in (footprint, linear, gaussian, *contributions.values()):
        array[status != Status.ACCEPTED] = np.nan
    return Draws(footprint, linear, gaussian, status, certified, made, above_one, **contributions)
