"""What the estimate gives to the solution of a year's draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from engine.error_model import Method, Quantity
from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.kernels.elementary import log_sd
from engine.kernels.inverse import MISSING, what_matters
from engine.kernels.perturb import LOG2E, Cells
from engine.kernels.start import (
    HEADROOM,
    Estimate,
    Kept,
    Start,
    all_important,
    important,
    near_weights,
    residual_variance,
    robust_weights,
    squared_errors,
)
from engine.mrio import MRIO
from engine.plan import Direction
from engine.prepare.prepared import Known
from engine.question import Asked


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    start: Start
    weights: F64
    D0: F64
    slopes: F64
    kept: Kept
    usual: F64


def solution_of(
    way: Direction,
    matrix: F64,
    emissions: F64,
    table: MRIO,
    asked: Asked,
    cells: Mapping[Quantity, tuple[Cells, ...]],
    known: Known | None,
    method: Method,
) -> Solution:
    """Everything the estimate gives to the solution of its draws (`engine.kernels.refine`).

    Args:
        matrix: the deliveries.
        emissions: of the indicators, as intensities in coefficients, (q,n).
    """
    accounts = method is Method.ACCOUNTS
    counted = table.active if accounts else np.ones_like(table.active)
    D0 = np.where(counted, table.x, 1.0) if accounts else np.ones(len(table.x))
    demand = table.Y @ asked.membership + asked.purchases
    forward = way is Direction.FORWARD
    estimate = Estimate(matrix if forward else matrix.T, D0, counted)
    squares = squared_errors(cells[method.matrix])
    weights = robust_weights(estimate, squares, D0, left=forward)
    weights = np.where(counted, weights, 1.0)
    _refuse_uncertified(weights, table.year)
    g = np.where(counted, emissions, 0.0).T  # (n,q)
    solve_demand = estimate.solve if forward else estimate.solve_left
    solve_emissions = estimate.solve_left if forward else estimate.solve
    output, multipliers = solve_demand(demand), solve_emissions(g)
    required, passed_on = np.abs(output).sum(axis=1), np.abs(multipliers).sum(axis=1)
    X0, y0, scale = (output, demand, passed_on) if forward else (multipliers, g, required)
    scale = scale / (scale.max() or 1.0) + 1e-3
    of_y = (
        _demand_variance(cells, asked)
        if forward
        else _emission_variance(cells, asked, known, method)
    )
    natural = np.abs(D0[:, None] * X0).sum(axis=1)
    variance = residual_variance(squares, X0, of_y, natural)
    missing = 0.0 if all_important(cells[method.matrix]) else MISSING
    inverse = what_matters(estimate.inverse(), np.sqrt(variance), scale, missing)
    kept = important(cells[method.matrix], inverse, variance, scale)
    nothing = np.empty((len(D0), 0))
    if forward:
        domestic = [solve_emissions(g * home[:, None]) for home in asked.domestic.T]
        slopes = np.stack([multipliers, *domestic], axis=2)
        u = HEADROOM * np.abs(solve_emissions(np.abs(g)))
        near, far = nothing, np.column_stack([u, np.where(counted, weights, 0.0)])
    else:
        rest = squares - squared_errors(kept.cells)
        near, far = near_weights(estimate, inverse, squares, rest, X0, D0), nothing
        slopes = output
    y0, final = np.where(counted[:, None], y0, 0.0), table.Y.sum(axis=1)
    start = Start(X0, y0, final, inverse, scale, near, far, counted)
    return Solution(start, weights, D0, slopes, kept, _usual(multipliers, demand))


def _usual(multipliers: F64, demand: F64) -> F64:
    """What each consumer's demand would carry at the middle multiplier, (q,c)."""
    sizes = np.abs(multipliers)
    middle = [np.median(size[size > 0]) if (size > 0).any() else 0.0 for size in sizes.T]
    return np.outer(middle, np.abs(demand).sum(axis=0))


def _demand_variance(cells: Mapping[Quantity, tuple[Cells, ...]], asked: Asked) -> F64:
    """Of what the consumers ask of every industry, (n,)."""
    bought = squared_errors(cells[Quantity.Y]) @ np.square(asked.membership).sum(axis=1)
    found: F64 = bought + squared_errors(cells[Quantity.PURCHASES]).sum(axis=1)
    return found


def _emission_variance(
    cells: Mapping[Quantity, tuple[Cells, ...]], asked: Asked, known: Known | None, method: Method
) -> F64:
    """Of every industry's emissions in all indicators, (n,)."""
    entries = cells[method.emissions]
    if known is not None:
        inside = zip(known.quantities, known.entries, known.members, strict=True)
        entries = known.free.get(method.emissions, entries) + tuple(
            replace(one, log2_sd=(log_sd(some.rsd) * LOG2E).astype(np.float32))
            for quantity, one, some in inside
            if quantity is method.emissions
        )
    emitted: F64 = squared_errors(entries) @ np.square(asked.characterisation).sum(axis=0)
    return emitted


def _refuse_uncertified(weights: F64, year: int) -> None:
    if not np.all(np.isfinite(weights) & (weights > 0)):
        raise TableError(
            "the spectral radius of the coefficients (of their magnitudes, where cells are "
            "negative) is not below one, so no footprint can be certified",
            where=f"year {year}",
            remedy="look for industries that buy more than they sell (footfall check names them)",
        )
