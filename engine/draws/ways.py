"""The two ways from drawn cells to a footprint: forward by output, adjoint by multipliers.

Notation as in `engine.kernels.refine`; the last axis of every drawn array is the draw. q
indicators, c consumers, r regions; parts are total, domestic, foreign, direct.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.draws.attribution import Contributions, contributions
from engine.error_model import Quantity
from engine.kernels.arrays import F64
from engine.kernels.fused import Bound, bind, sweep
from engine.kernels.streams import LANES
from engine.plan import Direction
from engine.prepare import Prepared


@dataclass(frozen=True, slots=True, eq=False)
class Emitted:
    """Emissions, or how far they are from the estimate's.

    Attributes:
        intensities: of the indicators (in accounts, emissions), (n,q,64).
        direct: emissions of the consumers, (q,c,64).
    """

    intensities: F64
    direct: F64


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What is drawn beside the deliveries.

    Attributes:
        emitted: emissions; `change` since the estimate; `gaussian` the same to first order in
            the normals.
        Y, purchases: final demand, bound to the group's streams.
    """

    emitted: Emitted
    change: Emitted
    gaussian: Emitted
    Y: tuple[Bound, ...]
    purchases: tuple[Bound, ...]


def draw_demand_and_emissions(prepared: Prepared, group: int) -> Drawn:
    """Draw everything but the deliveries."""
    cells, weights = prepared.cells, prepared.characterisation.T
    E = bind(cells[prepared.emissions], group)
    F_Y = bind(cells[Quantity.F_Y], group)
    whole = [sweep(of, c=weights, g=weights) for of in (E, F_Y)]
    change = [sweep(of, c=weights, less=1.0) for of in (E, F_Y)]

    def emitted(intensities: F64, direct: F64) -> Emitted:
        counted = prepared.start.counted[:, None, None]
        return Emitted(
            np.where(counted, intensities, 0.0), _of_consumers(direct, prepared.membership)
        )

    return Drawn(
        emitted=emitted(whole[0].along, whole[1].along),
        change=emitted(change[0].along, change[1].along),
        gaussian=emitted(whole[0].gaussian, whole[1].gaussian),
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
        sales: to final demand in all, (n,64); `gaussian_sales` to first order in the normals.
        functionals: as the certificate of this way takes them.
        gaussian_y: y to first order in the normals, without the estimate, (n,k,64).
    """

    y: F64
    sales: F64
    functionals: F64
    gaussian_y: F64
    gaussian_sales: F64

    def changes(self) -> tuple[F64, F64]:
        """How far y and the sales are from the estimate's."""
        ...

    def footprint(self, X: F64, R: F64) -> F64:
        """(q,c,4,64), corrected by what the residual stands for."""
        ...

    def contributions(self, X: F64, R: F64) -> Contributions:
        """Of origins and industries, where asked, draws first."""
        ...

    def gross(self, X: F64) -> F64:
        """The sum of the magnitudes of what a total is made of, (q,c,64)."""
        ...

    def residual_shift(self, R: F64) -> F64:
        """How far the correction by the residual moved any part, at most, (q,c,64)."""
        ...

    def linear(self, R0: F64) -> F64:
        """First-order change of the footprint, from the residual of the estimate's solution."""
        ...

    def gaussian(self, RG: F64) -> F64:
        """The same to first order in the normals too, from the residual's own first order."""
        ...


def way_of(prepared: Prepared, drawn: Drawn) -> Way:
    """The way that `plan` chose."""
    forward = prepared.direction is Direction.FORWARD
    return Forward(prepared, drawn) if forward else Adjoint(prepared, drawn)


class Forward:
    """X is the output that each consumer requires: k = c."""

    def __init__(self, prepared: Prepared, drawn: Drawn) -> None:
        self._prepared, self._drawn = prepared, drawn
        own = np.eye(prepared.membership.shape[1])
        wanted = np.hstack([prepared.membership, np.ones((len(prepared.membership), 1))])
        bought, to_order = sweep(drawn.Y, c=wanted, g=wanted), sweep(drawn.purchases, c=own, g=own)
        self.y = bought.along[:, :-1] + to_order.along
        self.sales = bought.along[:, -1]
        self.gaussian_y = bought.gaussian[:, :-1] + to_order.gaussian
        self.gaussian_sales = bought.gaussian[:, -1]
        self.functionals = drawn.emitted.intensities

    def changes(self) -> tuple[F64, F64]:
        membership = self._prepared.membership
        wanted = np.hstack([membership, np.ones((len(membership), 1))])
        bought = sweep(self._drawn.Y, c=wanted, less=1.0).along
        to_order = sweep(self._drawn.purchases, c=np.eye(membership.shape[1]), less=1.0).along
        return bought[:, :-1] + to_order, bought[:, -1]

    def footprint(self, X: F64, R: F64) -> F64:
        return self._parts(self._drawn.emitted, X, R)

    def contributions(self, X: F64, R: F64) -> Contributions:
        if not (len(self._prepared.by_origin) or len(self._prepared.by_industry)):
            return {}
        return contributions(
            self._prepared, self._drawn.emitted.intensities, X, self._corrections(R)
        )

    def gross(self, X: F64) -> F64:
        total = np.einsum("nqd,ncd->qcd", np.abs(self._drawn.emitted.intensities), np.abs(X))
        gross: F64 = total + np.abs(self._drawn.emitted.direct)
        return gross

    def residual_shift(self, R: F64) -> F64:
        of_home, of_abroad = self._corrections(R)
        largest: F64 = np.maximum(np.abs(of_home), np.abs(of_abroad))
        return np.maximum(largest, np.abs(of_home + of_abroad))

    def linear(self, R0: F64) -> F64:
        return self._parts(self._drawn.change, self._estimate(), R0)

    def gaussian(self, RG: F64) -> F64:
        return self._parts(self._drawn.gaussian, self._estimate(), RG)

    def _estimate(self) -> F64:
        X0 = self._prepared.start.X0
        return np.repeat(X0[..., None], LANES, axis=-1)

    def _parts(self, emitted: Emitted, X: F64, R: F64) -> F64:
        intensities, direct = emitted.intensities, emitted.direct
        domestic = self._prepared.domestic[..., None]
        at_home = np.einsum("nqd,ncd->qcd", intensities, np.where(domestic, X, 0.0))
        abroad = np.einsum("nqd,ncd->qcd", intensities, np.where(domestic, 0.0, X))
        of_home, of_abroad = self._corrections(R)
        at_home += of_home
        abroad += of_abroad
        return np.stack([at_home + abroad + direct, at_home, abroad, direct], axis=2)

    def _corrections(self, R: F64) -> tuple[F64, F64]:
        """What the residual stands for in the domestic and in the foreign part, (q,c,64) each."""
        slopes = self._prepared.slopes
        of_home: F64 = np.einsum("nqc,ncd->qcd", slopes[..., 1:], R)
        of_abroad: F64 = np.einsum("nqc,ncd->qcd", slopes[..., :1] - slopes[..., 1:], R)
        return of_home, of_abroad


class Adjoint:
    """X are the multipliers of each indicator: k = q. Totals only."""

    def __init__(self, prepared: Prepared, drawn: Drawn) -> None:
        self._prepared, self._drawn = prepared, drawn
        near, X0 = prepared.start.near, prepared.start.X0
        ones = np.ones((len(prepared.membership), 1))
        final = sweep(drawn.Y, c=near, signed_c=0, b=ones, g=X0, gaussian_across=True)
        bought = sweep(drawn.purchases, c=near, signed_c=0, g=X0)
        self.y, self.gaussian_y = drawn.emitted.intensities, drawn.gaussian.intensities
        self.sales, self.gaussian_sales = final.across[:, 0], final.gaussian_across[:, 0]
        self.functionals = bought.along + np.einsum("rwd,rc->cwd", final.along, prepared.membership)
        self._gaussian_demanded = _of_consumers(
            final.gaussian, prepared.membership
        ) + bought.gaussian.transpose(1, 0, 2)

    def changes(self) -> tuple[F64, F64]:
        ones = np.ones((len(self._prepared.membership), 1))
        sales = sweep(self._drawn.Y, b=ones, less=1.0).across[:, 0]
        return self._drawn.change.intensities, sales

    def footprint(self, X: F64, R: F64) -> F64:
        indirect = self._demanded(X, less=0.0) + np.einsum("nqd,nc->qcd", R, self._prepared.slopes)
        return self._totals(indirect, self._drawn.emitted.direct)

    def contributions(self, X: F64, R: F64) -> Contributions:
        """None: multipliers do not tell where emissions arise (`engine.plan.direction`)."""
        return {}

    def gross(self, X: F64) -> F64:
        gross: F64 = np.abs(self._demanded(X, less=0.0)) + np.abs(self._drawn.emitted.direct)
        return gross

    def residual_shift(self, R: F64) -> F64:
        shift: F64 = np.einsum("nqd,nc->qcd", R, self._prepared.slopes)
        return np.abs(shift)

    def linear(self, R0: F64) -> F64:
        X0 = np.repeat(self._prepared.start.X0[..., None], LANES, axis=-1)
        indirect = self._demanded(X0, less=1.0)
        indirect += np.einsum("nqd,nc->qcd", R0, self._prepared.slopes)
        return self._totals(indirect, self._drawn.change.direct)

    def gaussian(self, RG: F64) -> F64:
        indirect = self._gaussian_demanded + np.einsum("nqd,nc->qcd", RG, self._prepared.slopes)
        return self._totals(indirect, self._drawn.gaussian.direct)

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
