"""One draw of one year: the whole model, slow, obvious and in float64.

    perturb the cells -> balance them, if asked -> coefficients -> certify -> solve -> parts

This is the reference path. The faster one draws the same inputs and is held against it, and what
it cannot certify is solved here; so is every draw that is balanced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from engine.draws.attribution import Contributions, contributions, of_products
from engine.draws.outcome import Status, relative
from engine.error_model import Method, Quantity
from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.kernels.balancing import balance
from engine.kernels.leontief import multipliers, output, parts, per_unit_output
from engine.kernels.perturb import estimate, perturb
from engine.kernels.solve import Solved, certify_radius, error_bound, solve
from engine.kernels.totals import known_factors
from engine.plan import Direction
from engine.prepare import Known, Margins, Prepared

TOLERANCE = 1e-9  # certified relative error that suffices of what is solved directly, at least


@dataclass(frozen=True, slots=True, eq=False)
class Single:
    """What became of one draw: its footprint, (indicators, consumers, parts), and diagnostics.

    Attributes:
        contributions: those asked for, (indicators, consumers, places).
        footprint_unbalanced: of the same cells as they were drawn, where they are balanced.
    """

    footprint: F64
    status: Status
    certified_error: float
    column_sums_above_one: int
    contributions: Contributions = field(default_factory=dict)
    footprint_unbalanced: F64 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """The coefficients of one draw; `feasible` is False where an output was not positive."""

    A: F64
    s: F64
    Y: F64
    F_Y: F64
    purchases: F64
    feasible: bool


def reference(prepared: Prepared) -> F64:
    """The footprint of the estimate itself, (indicators, consumers, parts).

    Raises:
        TableError: it is no acceptable draw of itself.
    """
    return estimated(prepared).footprint


def estimated(prepared: Prepared) -> Single:
    """The estimate itself, as if it were a draw.

    Raises:
        TableError: it is no acceptable draw of itself.
    """
    system = _system(prepared, perturbed(prepared, None))
    found = _footprint(prepared, system, _known_solution(prepared))
    if found.status is not Status.ACCEPTED:
        raise TableError(
            f"the table without errors is {found.status.meaning} (r_max {prepared.r_max:g})",
            where=f"year {prepared.year}",
            remedy="look for industries that buy nearly all they sell (footfall check names them), "
            "or raise r_max",
        )
    return found


def draw_directly(prepared: Prepared, number: int) -> Single:
    """One draw, computed alone."""
    cells = perturbed(prepared, number)
    drawn = _footprint(prepared, _system(prepared, cells))
    if prepared.margins is None:
        return drawn
    whole, left = balanced(prepared.margins, cells)
    if whole is None:
        counted = drawn.column_sums_above_one
        found = Single(_nothing(prepared), Status.REJECTED_BALANCE, np.nan, counted)
    else:
        found = _footprint(prepared, _system(prepared, whole))
        found = replace(found, certified_error=found.certified_error + left)
    return replace(found, footprint_unbalanced=drawn.footprint)


def balanced(
    margins: Margins, cells: Mapping[Quantity, F64]
) -> tuple[dict[Quantity, F64] | None, float]:
    """The cells with [Z Y] balanced to the margins, all else as it is, and how far they may be off.

    Where balancing fails there are no cells.
    """
    Z, Y = cells[Quantity.Z], cells[Quantity.Y]
    found = balance(np.hstack([Z, Y]), margins.rows, margins.columns)
    if not found.converged:
        return None, found.left
    Z, Y = np.split(found.table, [len(Z)], axis=1)
    return {**cells, Quantity.Z: Z, Quantity.Y: Y}, found.left


def _system(prepared: Prepared, cells: Mapping[Quantity, F64]) -> System:
    """Coefficients of the cells of one draw, or of the estimate."""
    Y, F_Y, purchases = cells[Quantity.Y], cells[Quantity.F_Y], cells[Quantity.PURCHASES]
    if prepared.method is Method.COEFFICIENTS:
        return System(cells[Quantity.A], cells[Quantity.S], Y, F_Y, purchases, True)
    x = output(cells[Quantity.Z], Y)
    active = prepared.active
    return System(
        A=per_unit_output(cells[Quantity.Z], x, active),
        s=per_unit_output(cells[Quantity.E], x, active),
        Y=Y,
        F_Y=F_Y,
        purchases=purchases,
        feasible=bool(np.all(x[active] > 0)),
    )


def perturbed(prepared: Prepared, number: int | None) -> dict[Quantity, F64]:
    """Every quantity in draw `number`, or its estimate where that is None."""
    found = {
        quantity: estimate(cells) if number is None else perturb(cells, number)
        for quantity, cells in prepared.cells.items()
    }
    if prepared.known is not None and number is not None:
        _share_out(prepared.known, number, found)
    return found


def _share_out(known: Known, number: int, found: Mapping[Quantity, F64]) -> None:
    """Put cells with a known total in the place of those with their own errors alone."""
    factors = known_factors(known.totals, known.entries, known.members, number)
    for quantity, cells, factor in zip(known.quantities, known.entries, factors, strict=True):
        found[quantity][cells.positions()] = cells.value * factor


def _known_solution(prepared: Prepared) -> Solved:
    """The estimate's own, found when it was prepared; it is certified like any other."""
    X0, slopes = prepared.start.X0, prepared.slopes
    forward = prepared.direction is Direction.FORWARD
    output, multipliers = (X0, slopes[..., 0]) if forward else (slopes, X0)
    return Solved(output * prepared.D0[:, None], np.abs(multipliers).T)


def _nothing(prepared: Prepared) -> F64:
    """The footprint of a draw that was not accepted."""
    return np.full((len(prepared.characterisation), prepared.membership.shape[1], 4), np.nan)


def _footprint(prepared: Prepared, system: System, solved: Solved | None = None) -> Single:
    counted = int((system.A.sum(axis=0) > 1).sum())
    nothing = _nothing(prepared)
    if not system.feasible:
        return Single(nothing, Status.REJECTED_OUTPUT, np.nan, counted)
    weights = certify_radius(system.A, prepared.weights, prepared.r_max)
    if weights is None:
        return Single(nothing, Status.REJECTED_RADIUS, np.nan, counted)
    demand = system.Y @ prepared.membership + system.purchases
    intensities = prepared.characterisation @ system.s
    if solved is None:
        solved = solve(system.A, intensities, demand)
    direct = prepared.characterisation @ (system.F_Y @ prepared.membership)
    footprint = parts(intensities, solved.X, prepared.domestic, direct)
    bound = error_bound(solved, system.A, intensities, demand, weights)
    tolerance = max(TOLERANCE, prepared.tolerance)
    error = float(relative(bound, footprint[..., 0], prepared.usual, tolerance))
    if not error <= tolerance:
        return Single(nothing, Status.FAILED, error, counted)
    uncorrected = np.zeros((*footprint.shape[:2], 1))
    told = contributions(
        prepared, intensities.T[..., None], solved.X[..., None], (uncorrected, uncorrected)
    )
    if len(prepared.by_product):
        m = multipliers(system.A, intensities)
        y = demand[:, prepared.by_product]
        told |= of_products(prepared, m.T[..., None], y[..., None], uncorrected)
    told = {name: array[0] for name, array in told.items()}
    return Single(footprint, Status.ACCEPTED, error, counted, told)
