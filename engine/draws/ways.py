"""The two ways from drawn cells to a footprint: forward by output, adjoint by multipliers.

Notation as in `engine.kernels.refine`; the last axis of every drawn array is the draw. q
indicators, c consumers, r regions; parts are total, domestic, foreign, direct.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.error_model import Quantity
from engine.kernels.arrays import F64
from engine.kernels.fused import Bound, bind, sweep
from engine.plan import Direction
from engine.prepare import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What is drawn beside the deliveries.

    Attributes:
        intensities: of the indicators (in accounts, emissions), (n,q,64).
        direct, direct_change: emissions of the consumers, and how far they are from the
            estimate, (q,c,64).
        Y, purchases: final demand, bound to the group's streams.
    """

    intensities: F64
    direct: F64
    direct_change: F64
    Y: tuple[Bound, ...]
    purchases: tuple[Bound, ...]


def draw_demand_and_emissions(prepared: Prepared, group: int) -> Drawn:
    """Draw everything but the deliveries."""
    cells, weights = prepared.cells, prepared.characterisation.T
    emitted = sweep(bind(cells[prepared.emissions], group), c=weights).along
    F_Y = bind(cells[Quantity.F_Y], group)
    direct, change = (sweep(F_Y, c=weights, less=less).along for less in (0.0, 1.0))
    return Drawn(
        intensities=np.where(prepared.start.counted[:, None, None], emitted, 0.0),
        direct=_of_consumers(direct, prepared.membership),
        direct_change=_of_consumers(change, prepared.membership),
        Y=bind(cells[Quantity.Y], group),
        purchases=bind(cells[Quantity.PURCHASES], group),
    )


def _of_consumers(regions: F64, membership: F64) -> F64:
    """(q,c,64) of (r,q,64)."""
    found: F64 = np.einsum("rqd,rc->qcd", regions, membership)
    return found


class Way(Protocol):
    """What a system is solved for, and what its solution means.

    Attributes:
        y: right-hand sides, (n,k,64).
        sales: to final demand in all, (n,64).
        functionals: as the certificate of this way takes them.
    """

    y: F64
    sales: F64
    functionals: F64

    def footprint(self, X: F64, R: F64) -> F64:
        """(q,c,4,64), corrected by what the residual stands for."""
        ...

    def gross(self, X: F64) -> F64:
        """The sum of the magnitudes of what a total is made of, (q,c,64)."""
        ...

    def residual_shift(self, R: F64) -> F64:
        """How far the correction by the residual moved the totals, (q,c,64)."""
        ...

    def linear(self, R0: F64) -> F64:
        """First-order change of the footprint, from the residual of the estimate's solution."""
        ...


def way_of(prepared: Prepared, drawn: Drawn) -> Way:
    """The way that `plan` chose."""
    forward = prepared.direction is Direction.FORWARD
    return Forward(prepared, drawn) if forward else Adjoint(prepared, drawn)


class Forward:
    """X is the output that each consumer requires: k = c."""

    def __init__(self, prepared: Prepared, drawn: Drawn) -> None:
        self._prepared, self._drawn = prepared, drawn
        c = prepared.membership.shape[1]
        ones = np.ones((len(prepared.membership), 1))
        bought = sweep(drawn.Y, c=np.hstack([prepared.membership, ones])).along
        self.y = bought[:, :-1] + sweep(drawn.purchases, c=np.eye(c)).along
        self.sales = bought[:, -1]
        self.functionals = drawn.intensities

    def footprint(self, X: F64, R: F64) -> F64:
        return self._parts(self._drawn.intensities, X, R, self._drawn.direct)

    def gross(self, X: F64) -> F64:
        total = np.einsum("nqd,ncd->qcd", np.abs(self._drawn.intensities), np.abs(X))
        gross: F64 = total + np.abs(self._drawn.direct)
        return gross

    def residual_shift(self, R: F64) -> F64:
        shift: F64 = np.einsum("nq,ncd->qcd", self._prepared.slopes[..., 0], R)
        return np.abs(shift)

    def linear(self, R0: F64) -> F64:
        change = self._drawn.intensities - self._prepared.intensities[..., None]
        X0 = np.repeat(self._prepared.start.X0[..., None], change.shape[-1], axis=-1)
        return self._parts(change, X0, R0, self._drawn.direct_change)

    def _parts(self, intensities: F64, X: F64, R: F64, direct: F64) -> F64:
        domestic, slopes = self._prepared.domestic[..., None], self._prepared.slopes
        at_home = np.einsum("nqd,ncd->qcd", intensities, np.where(domestic, X, 0.0))
        abroad = np.einsum("nqd,ncd->qcd", intensities, np.where(domestic, 0.0, X))
        at_home += np.einsum("nqc,ncd->qcd", slopes[..., 1:], R)
        abroad += np.einsum("nqc,ncd->qcd", slopes[..., :1] - slopes[..., 1:], R)
        return np.stack([at_home + abroad + direct, at_home, abroad, direct], axis=2)


class Adjoint:
    """X are the multipliers of each indicator: k = q. Totals only."""

    def __init__(self, prepared: Prepared, drawn: Drawn) -> None:
        self._prepared, self._drawn = prepared, drawn
        near, nothing = prepared.start.near, np.ones((len(prepared.membership), 1))
        final = sweep(drawn.Y, c=near, signed_c=0, b=nothing)
        bought = sweep(drawn.purchases, c=near, signed_c=0).along
        self.y = drawn.intensities
        self.sales = final.across[:, 0]
        self.functionals = np.einsum("rwd,rc->cwd", final.along, prepared.membership) + bought

    def footprint(self, X: F64, R: F64) -> F64:
        indirect = self._demanded(X, less=0.0) + np.einsum("nqd,nc->qcd", R, self._prepared.slopes)
        return self._totals(indirect, self._drawn.direct)

    def gross(self, X: F64) -> F64:
        gross: F64 = np.abs(self._demanded(X, less=0.0)) + np.abs(self._drawn.direct)
        return gross

    def residual_shift(self, R: F64) -> F64:
        shift: F64 = np.einsum("nqd,nc->qcd", R, self._prepared.slopes)
        return np.abs(shift)

    def linear(self, R0: F64) -> F64:
        X0 = np.repeat(self._prepared.start.X0[..., None], R0.shape[-1], axis=-1)
        indirect = self._demanded(X0, less=1.0)
        indirect += np.einsum("nqd,nc->qcd", R0, self._prepared.slopes)
        return self._totals(indirect, self._drawn.direct_change)

    def _demanded(self, X: F64, less: float) -> F64:
        regions = sweep(self._drawn.Y, x=X, less=less).own
        bought = sweep(self._drawn.purchases, x=X, less=less).own
        consumers = _of_consumers(regions, self._prepared.membership)
        found: F64 = consumers + bought.transpose(1, 0, 2)
        return found

    @staticmethod
    def _totals(indirect: F64, direct: F64) -> F64:
        unknown = np.full_like(indirect, np.nan)
        return np.stack([indirect + direct, unknown, unknown, direct], axis=2)
