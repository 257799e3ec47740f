"""The 64 draws of one group in split mode: a short series in the estimate's inverse.

Notation as in `engine.kernels.refine`. With Delta = (B - B0) - (D - D0) of the split deliveries
(`engine.split`), whose unimportant cells have lost their own noise,

    R_0 = y - M X0 = (y - y0) + Delta X0,   C_k = M0^-1 R_k,   R_k+1 = Delta C_k,

X = X0 + C_0 + C_1 + ..., and the last R enters through the first-order effect of a residual, so
that `order` terms cost one product with the inverse less. Nothing bounds the error of a draw; what
is reported in the place of a certificate is the last term, and exact draws measure the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.draws.group import above_one, memory_of_thread, settled
from engine.draws.outcome import Draws, relative
from engine.draws.ways import draw_demand_and_emissions, way_of
from engine.error_model import Method
from engine.kernels.arrays import F64
from engine.kernels.fused import Bound, Sums, bind, sweep
from engine.kernels.refine import by_inverse, unit_of
from engine.kernels.streams import LANES
from engine.plan import Direction
from engine.prepare import Prepared

_LARGEST_LAST_TERM = 0.01  # relative; beyond it the series is not trusted and the draw is solved


def draw_series(prepared: Prepared, group: int) -> Draws:
    """Footprints of draws 64 group to 64 group + 63, in split mode."""
    split = prepared.split
    assert split is not None
    way = way_of(prepared, draw_demand_and_emissions(prepared, group))
    memory = memory_of_thread(sum(len(cells.value) for cells in split.kept))
    delta = (*bind(split.kept, group, keep=memory), *bind(split.rest, group))
    start = prepared.start
    counted = start.counted[:, None, None]
    n, k = start.X0.shape
    change_y, change_sales = way.changes()
    ones = np.ones((n, 1))
    first = _swept(delta, n, c=np.hstack([start.X0, ones]), b=ones)
    rows, columns = first.along[:, k], first.across[:, 0]
    if prepared.direction is Direction.ADJOINT:
        rows, columns = columns, rows
    change_D = np.zeros_like(rows)
    if prepared.method is Method.ACCOUNTS:
        change_D = np.where(prepared.active[:, None], rows + change_sales, 0.0)
    R0 = change_y - change_D[:, None] * start.X0[..., None] + first.along[:, :k]
    R = R0 = np.where(counted, R0, 0.0)
    X = np.repeat(start.X0[..., None], LANES, axis=-1)
    for _ in range(split.order - 1):
        unit = unit_of(R)
        C = by_inverse(start.inverse, R / unit) * unit
        X += C
        R = _swept(delta, n, x=C).own - change_D[:, None] * C
        R = np.where(counted, R, 0.0)
    D = prepared.D0[:, None] + change_D
    footprint, linear = way.footprint(X, R), way.linear(R0)
    last = relative(way.residual_shift(R), footprint[:, :, 0], way.gross(X), 1.0)
    return settled(
        prepared,
        group,
        footprint=footprint,
        linear=linear,
        gaussian=np.full_like(linear, np.nan),  # its variance would be another
        error=last,
        tolerance=_LARGEST_LAST_TERM,
        feasible=np.asarray((D[prepared.active] > 0).all(axis=0)),
        contributions=way.contributions(X, R),
        corrections=split.order - 1,
        above_one=above_one(prepared, split.column_sums[:, None] + columns, D),
    )


def _swept(
    delta: Sequence[Bound],
    n: int,
    *,
    c: F64 | None = None,
    x: F64 | None = None,
    b: F64 | None = None,
) -> Sums:
    """A pass over the changes of the deliveries; nothing where no cell carries an error."""
    none = np.empty((n, 0))
    c, b = none if c is None else c, none if b is None else b
    x = np.empty((n, 0, LANES)) if x is None else x
    if delta:
        return sweep(delta, c=c, x=x, b=b, less=1.0)
    along, own, across = (np.zeros((n, size.shape[1], LANES)) for size in (c, x, b))
    return Sums(along, own, across, along[:, :0], along[:, :0])
