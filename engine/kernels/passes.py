"""What a group's passes over the deliveries add up: how far its systems are from the estimate's.

Notation. M X = y with M = diag(D) - B, lines l, positions e, all in 64 draws (last axis). Solving
for output, B is A (or Z) and D is 1 (or x, the output); solving for multipliers, both are
transposed. X0, M0: the estimate's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F64
from engine.kernels.fused import Bound, Sums, sweep
from engine.kernels.start import Start
from engine.kernels.streams import LANES


@dataclass(frozen=True, slots=True, eq=False)
class Departure:
    """How far a drawn system is from the estimate's, as far as some of its cells tell.

    Attributes:
        R: residual of the estimate's solution, (lines, k, 64).
        D: change of the diagonal, (lines, 64).
        column_sums: changes of those of A or Z, (n, 64).
        gaussian: what q sigma eps of these cells makes of B X0 and of the sales.
    """

    R: F64
    D: F64
    column_sums: F64
    gaussian: tuple[F64, F64]


def depart(
    cells: Sequence[Bound],
    start: Start,
    y: F64,
    sales: F64,
    *,
    forward: bool,
    accounts: bool,
    gaussian: bool,
) -> Departure:
    """Draw some cells, and apply their errors to the estimate's solution.

    Args:
        cells: of B; each cell's change is its own.
        y, sales: the drawn right-hand side, (lines, k, 64), and sales to final demand, (n, 64).
        forward: whether lines are rows, not columns.
        accounts: whether D depends on the sales.
        gaussian: whether to add up the errors themselves too; zero if not.
    """
    n, k = start.X0.shape
    one, none = np.ones((n, 1)), np.empty((n, 0))
    of_lines, of_positions = _summed(n, forward=forward, accounts=accounts)
    sums = sweep(
        cells,
        c=np.hstack([start.X0, of_lines]),
        b=of_positions,
        g=np.hstack([start.X0, one if accounts and forward else none]) if gaussian else none,
        gaussian_across=accounts and not forward and gaussian,
        less=1.0,
    )
    rows, columns = sums.along[:, k:], sums.across
    if not forward:
        rows, columns = columns, rows
    D = np.zeros((n, LANES))
    if accounts:
        D = np.where(start.counted[:, None], _only(rows) + sales - start.final[:, None], 0.0)
    R = y - start.y0[..., None] - D[:, None] * start.X0[..., None] + sums.along[:, :k]
    return Departure(
        R=np.where(start.counted[:, None, None], R, 0.0),
        D=D,
        column_sums=_only(columns),
        gaussian=_gaussian(sums, k, forward=forward),
    )


def _summed(n: int, *, forward: bool, accounts: bool) -> tuple[F64, F64]:
    """Columns of ones that add up lines and positions, where D or a column sum needs them."""
    one, none = np.ones((n, 1)), np.empty((n, 0))
    return one if accounts or not forward else none, one if accounts or forward else none


def _gaussian(sums: Sums, k: int, *, forward: bool) -> tuple[F64, F64]:
    of_sales = sums.gaussian[:, k:] if forward else sums.gaussian_across
    return sums.gaussian[:, :k], _only(of_sales)


def _only(sums: F64) -> F64:
    """(n, 64) of one column, zero of none."""
    only: F64 = sums.sum(axis=1)
    return only


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """The first pass over all of B.

    Attributes:
        applied: B X, of the solution that it was begun with, (lines, k, 64).
        to_estimate: B X0, of the estimate's, likewise.
        sales: sums over rows of A or Z, (n, 64); zero where D does not need them.
        column_sums: of A or Z, (n, 64).
        near: |B| w, (lines, w, 64).
        far: u |B| and v |B|, (positions, functionals + 1, 64).
        gaussian: what q sigma eps makes of B X0 and of the sales, without the cells drawn before.
    """

    applied: F64
    to_estimate: F64
    sales: F64
    column_sums: F64
    near: F64
    far: F64
    gaussian: tuple[F64, F64]


def begin(B: Sequence[Bound], start: Start, X: F64, *, forward: bool, accounts: bool) -> Begun:
    """Apply the drawn B to a solution, and to all that is the same in all draws, in one pass.

    Args:
        X: (lines, k, 64).
        forward, accounts: as for `depart`.
    """
    n, k = start.X0.shape
    one, none = np.ones((n, 1)), np.empty((n, 0))
    of_lines, of_positions = _summed(n, forward=forward, accounts=accounts)
    sums = sweep(
        B,
        c=np.hstack([start.X0, of_lines, start.near]),
        signed_c=k + of_lines.shape[1],
        x=X,
        b=np.hstack([of_positions, start.far]),
        signed_b=of_positions.shape[1],
        g=np.hstack([start.X0, one if accounts and forward else none]),
        gaussian_across=accounts and not forward,
    )
    along, near = np.split(sums.along, [k + of_lines.shape[1]], axis=1)
    across, far = np.split(sums.across, [of_positions.shape[1]], axis=1)
    rows, columns = (along[:, k:], across) if forward else (across, along[:, k:])
    return Begun(
        applied=sums.own,
        to_estimate=along[:, :k],
        sales=_only(rows),
        column_sums=_only(columns),
        near=near,
        far=far,
        gaussian=_gaussian(sums, k, forward=forward),
    )
