"""The 64 draws of one group in split mode: a short series in the estimate's inverse.

Notation as in `engine.kernels.passes`. With Delta = (B - B0) - (D - D0) of the split deliveries
(`engine.split`), whose unimportant cells have lost their own noise,

    R_0 = y - M X0 = (y - y0) + Delta X0,   C_k = M0^-1 R_k,   R_k+1 = Delta C_k,

X = X0 + C_0 + C_1 + ..., and the last R enters through the first-order effect of a residual, so
that `order` terms cost one product with the inverse less. The products take the entries of the
inverse that matter, which leaves an error that more terms do not lower: some thousandths of a
standard deviation. Nothing bounds the error of a draw; what is reported in the place of a
certificate is the last term, and exact draws measure all of it.
"""

from __future__ import annotations

import numpy as np

from engine.draws.group import above_one, departure, memory_of_thread, settled
from engine.draws.outcome import Draws, relative
from engine.draws.ways import draw_demand_and_emissions, way_of
from engine.kernels.fused import bind, sweep
from engine.kernels.refine import unit_of
from engine.prepare import Prepared

_LARGEST_LAST_TERM = 0.01  # relative; beyond it the series is not trusted and the draw is solved


def draw_series(prepared: Prepared, group: int) -> Draws:
    """Footprints of draws 64 group to 64 group + 63, in split mode."""
    split, start = prepared.split, prepared.start
    assert split is not None
    way = way_of(prepared, draw_demand_and_emissions(prepared, group))
    memory = memory_of_thread(sum(len(cells.value) for cells in split.kept))
    delta = (*bind(split.kept, group, keep=memory), *bind(split.rest, group))
    departed = departure(prepared, way, delta, gaussian=False)
    X, R = start.X0[..., None], departed.R
    for _ in range(split.order - 1):
        unit = unit_of(R)
        C = start.inverse.apply((R / unit).astype(np.float32)) * unit
        X = X + C
        R = sweep(delta, x=C, less=1.0).own - departed.D[:, None] * C
        R = np.where(start.counted[:, None, None], R, 0.0)
    D = prepared.D0[:, None] + departed.D
    footprint, linear = way.footprint(X, R), way.linear(departed.R)
    last = relative(way.residual_shift(R), footprint[:, :, 0], prepared.usual, 1.0)
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
        above_one=above_one(prepared, split.column_sums[:, None] + departed.column_sums, D),
    )
