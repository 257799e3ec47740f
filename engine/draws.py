"""One draw of one year: the whole model, slow, obvious and in float64.

    perturb the cells -> coefficients -> certify -> solve -> footprint by part

This is the reference path. Every faster path draws the same inputs and is held against it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from engine.error_model import ErrorModel, Method, Quantity
from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import output, parts, per_unit_output
from engine.kernels.perturb import perturb
from engine.kernels.solve import certify_radius, error_bound, solve
from engine.mrio import MRIO
from engine.prepare import Prepared, prepare
from engine.question import Consumer, Indicator, Question

NEGLIGIBLE = 1e-6  # of an indicator's largest footprint
TOLERANCE = 1e-9  # largest certified relative error of a footprint that is accepted


class Status(IntEnum):
    """What became of a draw."""

    ACCEPTED = 0
    REJECTED_RADIUS = 1
    REJECTED_OUTPUT = 2
    FAILED = 3

    @property
    def meaning(self) -> str:
        """In words, for reports."""
        return {
            Status.ACCEPTED: "accepted",
            Status.REJECTED_RADIUS: "rejected: spectral radius not certified below r_max",
            Status.REJECTED_OUTPUT: "rejected: an active industry lost its output",
            Status.FAILED: "failed: the solution's error could not be certified",
        }[self]


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Footprints of some draws of one year.

    Attributes:
        footprint: (draws, indicators, consumers, parts), NaN where a draw was not accepted;
            parts are total, domestic, foreign, direct.
        status: a `Status` each, (draws,).
        certified_error: bound on the relative error of the totals, (draws,).
        column_sums_above_one: industries whose coefficients add up to more than one: in
            accounts, those with negative implied value added, (draws,).
    """

    footprint: F64
    status: NDArray[np.uint8]
    certified_error: F64
    column_sums_above_one: NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """The coefficients of one draw; `feasible` is False where an output was not positive."""

    A: F64
    s: F64
    Y: F64
    F_Y: F64
    purchases: F64
    feasible: bool


def draw(
    table: MRIO,
    errors: ErrorModel,
    seed: int,
    draws: Iterable[int],
    question: Question | None = None,
    *,
    r_max: float = 0.99,
) -> Draws:
    """The whole model in one call: footprints of `draws` of one year.

    Args:
        question: all regions and all stressors if not given.

    Raises:
        ConfigError: the error model or question names what the table does not have.
        TableError: the table's own spectral radius is not below one.
    """
    asked = everything(table) if question is None else question
    # One BLAS thread, as in every run: the bits of a solution depend on their number.
    with threadpool_limits(1, user_api="blas"):
        return draw_prepared(prepare(table, errors, asked, seed, r_max=r_max), draws)


def everything(table: MRIO) -> Question:
    """Every region and every stressor of a table."""
    labels = table.labels
    return Question(
        consumers=tuple(Consumer(region, (region,)) for region in labels.regions),
        indicators=tuple(
            Indicator(name, unit, {name: 1.0})
            for name, unit in zip(labels.stressors, labels.stressor_units, strict=True)
        ),
    )


def draw_prepared(prepared: Prepared, draws: Iterable[int]) -> Draws:
    """Footprints of `draws`, each computed alone, so that no draw depends on its neighbours."""
    rows = [_one(prepared, number) for number in draws]
    footprints, statuses, bounds, counts = zip(*rows, strict=True)
    return Draws(
        np.stack(footprints),
        np.array(statuses, dtype=np.uint8),
        np.array(bounds),
        np.array(counts, dtype=np.int32),
    )


def reference(prepared: Prepared) -> F64:
    """The footprint of the estimate itself, (indicators, consumers, parts).

    Raises:
        TableError: it is no acceptable draw of itself.
    """
    footprint, status, _, _ = _footprint(prepared, _system(prepared, None))
    if status is not Status.ACCEPTED:
        raise TableError(
            f"the table without errors is {status.meaning} (r_max {prepared.r_max:g})",
            where=f"year {prepared.year}",
            remedy="look for industries that buy nearly all they sell (footfall check names them), "
            "or raise r_max",
        )
    return footprint


def _one(prepared: Prepared, number: int) -> tuple[F64, Status, float, int]:
    return _footprint(prepared, _system(prepared, number))


def _system(prepared: Prepared, number: int | None) -> System:
    """Coefficients of one draw, or of the estimate where `number` is None."""
    cells = dict(prepared.values) if number is None else perturbed(prepared, number)
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


def perturbed(prepared: Prepared, number: int) -> dict[Quantity, F64]:
    """Every quantity in draw `number`; what carries no error is the estimate itself."""
    return {
        quantity: perturb(values, prepared.errors.get(quantity, ()), number)
        for quantity, values in prepared.values.items()
    }


def _footprint(prepared: Prepared, system: System) -> tuple[F64, Status, float, int]:
    counted = int((system.A.sum(axis=0) > 1).sum())
    if not system.feasible:
        return _nothing(prepared), Status.REJECTED_OUTPUT, np.nan, counted
    weights = certify_radius(system.A, prepared.weights, prepared.r_max)
    if weights is None:
        return _nothing(prepared), Status.REJECTED_RADIUS, np.nan, counted
    demand = system.Y @ prepared.membership + system.purchases
    intensities = prepared.characterisation @ system.s
    solved = solve(system.A, intensities, demand)
    direct = prepared.characterisation @ (system.F_Y @ prepared.membership)
    footprint = parts(intensities, solved.X, prepared.domestic, direct)
    bound = error_bound(solved, system.A, intensities, demand, weights)
    gross = np.abs(intensities) @ np.abs(solved.X) + np.abs(direct)
    error = _relative(bound, footprint[..., 0], gross)
    if not error <= TOLERANCE:
        return _nothing(prepared), Status.FAILED, error, counted
    return footprint, Status.ACCEPTED, error, counted


def _relative(bound: F64, total: F64, gross: F64) -> float:
    """The largest bound on an error, relative to its total.

    A total that is nothing beside its indicator's largest, such as that of a consumer whose demand
    reaches no emissions, has no relative error worth the name and does not fail the others.
    """
    nothing = NEGLIGIBLE * gross.max(axis=1, keepdims=True)
    counts = (np.abs(total) > nothing) | (bound > TOLERANCE * nothing)
    size = np.where(counts, np.abs(total), 1.0)
    ratio = np.divide(bound, size, out=np.full_like(bound, np.inf), where=size > 0)
    return float(np.where(counts, ratio, 0.0).max())


def _nothing(prepared: Prepared) -> F64:
    indicators, consumers = len(prepared.characterisation), prepared.membership.shape[1]
    return np.full((indicators, consumers, 4), np.nan)
