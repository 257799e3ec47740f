"""The two ways from drawn cells to a footprint: forward by output, adjoint by multipliers.

Notation as in `engine.kernels.passes`; the last axis of every drawn array is the draw. q
indicators, c consumers, r regions; parts are total, domestic, foreign, direct.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from engine.draws.attribution import Contributions, contributions, of_products
from engine.error_model import Quantity
from engine.kernels.arrays import F64
from engine.kernels.fused import Bound, Sums, bind, sweep
from engine.kernels.streams import LANES
from engine.kernels.totals import Lines, scaled, sweep_known
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
    E, F_Y = _draw_emissions(prepared, group)

    def emitted(intensities: F64, direct: F64) -> Emitted:
        counted = prepared.start.counted[:, None, None]
        return Emitted(
            np.where(counted, intensities, 0.0), _of_consumers(direct, prepared.membership)
        )

    return Drawn(
        emitted=emitted(E.whole, F_Y.whole),
        change=emitted(E.change, F_Y.change),
        gaussian=emitted(E.gaussian, F_Y.gaussian),
        Y=bind(prepared.cells[Quantity.Y], group),
        purchases=bind(prepared.cells[Quantity.PURCHASES], group),
    )


def _draw_emissions(prepared: Prepared, group: int) -> tuple[Lines, Lines]:
    """Of the indicators, by industry and by region."""
    weights = prepared.characterisation.T
    drawn = {}
    for quantity in (prepared.emissions, Quantity.F_Y):
        cells = bind(prepared.free(quantity), group)
        whole, change = sweep(cells, c=weights, g=weights), sweep(cells, c=weights, less=1.0)
        drawn[quantity] = Lines(whole.along, change.along, whole.gaussian)
    known = prepared.known
    if known is not None:
        totals = scaled(known.totals, known.entries, known.members, group)
        inside = zip(known.quantities, known.entries, known.members, strict=True)
        for quantity, entry, members in inside:
            drawn[quantity] += sweep_known(entry, members, totals, weights, group)
    return drawn[prepared.emissions], drawn[Quantity.F_Y]


def _of_consumers(regions: F64, membership: F64) -> F64:
    """(q,c,64) of (r,q,64)."""
    return _weighed(membership, regions).transpose(1, 0, 2)


def _weighed(weights: F64, lines: F64) -> F64:
    """sum_l weights[l, a] lines[l, b], (a,b,64)."""
    length, b, lanes = lines.shape
    found: F64 = weights.T @ lines.reshape(length, b * lanes)
    return found.reshape(-1, b, lanes)


class _Last:
    """A function that remembers its last result, for one who asks again of the same arrays."""

    def __init__(self, function: Callable[..., F64]) -> None:
        self._function = function
        self._of: tuple[F64, ...] = ()
        self._result: F64 | None = None

    def __call__(self, *arrays: F64) -> F64:
        same = len(self._of) == len(arrays) and all(map(operator.is_, self._of, arrays))
        if self._result is None or not same:
            self._of, self._result = arrays, self._function(*arrays)
        return self._result


class Way(Protocol):
    """What a system is solved for, and what its solution means.

    Attributes:
        y: right-hand sides, (n,k,64).
        sales: to final demand in all, (n,64); used in accounts alone.
        gaussian_y, gaussian_sales: to first order in the normals, without the estimate.
    """

    @property
    def y(self) -> F64: ...

    @property
    def sales(self) -> F64: ...

    @property
    def gaussian_y(self) -> F64: ...

    @property
    def gaussian_sales(self) -> F64: ...

    def functionals(self) -> F64:
        """As the certificate of this way takes them."""
        ...

    def footprint(self, X: F64, R: F64) -> F64:
        """(q,c,4,64), corrected by what the residual stands for."""
        ...

    def contributions(self, X: F64, R: F64) -> Contributions:
        """Of origins and industries, or of products, where asked, draws first."""
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
        self.footprint = _Last(lambda X, R: self._parts(drawn.emitted, X, R))

    def functionals(self) -> F64:
        return self._drawn.emitted.intensities

    def contributions(self, X: F64, R: F64) -> Contributions:
        if not (len(self._prepared.by_origin) or len(self._prepared.by_industry)):
            return {}
        return contributions(
            self._prepared, self._drawn.emitted.intensities, X, self._corrections(R)
        )

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
        slopes = np.ascontiguousarray(self._prepared.slopes.transpose(2, 1, 0))  # (1+c,q,n)
        of_consumers = R.transpose(1, 0, 2)
        of_home = np.matmul(slopes[1:], of_consumers)
        of_abroad = np.matmul(slopes[:1] - slopes[1:], of_consumers)
        return of_home.transpose(1, 0, 2), of_abroad.transpose(1, 0, 2)


class Adjoint:
    """X are the multipliers of each indicator: k = q. Totals only."""

    def __init__(self, prepared: Prepared, drawn: Drawn) -> None:
        self._prepared, self._drawn = prepared, drawn
        self.y, self.gaussian_y = drawn.emitted.intensities, drawn.gaussian.intensities
        self.footprint = _Last(self._footprint)

    @property
    def sales(self) -> F64:
        if not self._prepared.accounts:
            return np.zeros((len(self.y), LANES))
        return self._final.across[:, 0]

    @property
    def gaussian_sales(self) -> F64:
        return self._final.gaussian_across[:, 0]

    def functionals(self) -> F64:
        return _weighed(self._prepared.membership, self._final.along) + self._purchases.along

    @cached_property
    def _final(self) -> Sums:
        """Of what regions buy, all that is the same for every solution."""
        start, ones = self._prepared.start, np.ones((len(self._prepared.membership), 1))
        return sweep(
            self._drawn.Y, c=start.near, signed_c=0, b=ones, g=start.X0, gaussian_across=True
        )

    @cached_property
    def _purchases(self) -> Sums:
        start = self._prepared.start
        return sweep(self._drawn.purchases, c=start.near, signed_c=0, g=start.X0)

    def _footprint(self, X: F64, R: F64) -> F64:
        indirect = self._demanded(X, less=0.0) + self._corrections(R)
        return self._totals(indirect, self._drawn.emitted.direct)

    def contributions(self, X: F64, R: F64) -> Contributions:
        """Of products alone: multipliers do not tell where emissions arise."""
        if not len(self._prepared.by_product):
            return {}
        return of_products(self._prepared, X, self._demand(), self._corrections(R))

    def _demand(self) -> F64:
        """Final demand of the consumers that ask for their products, (n, consumers, 64)."""
        asked, drawn = self._prepared.by_product, self._drawn
        membership = self._prepared.membership
        own = np.eye(membership.shape[1])
        regions = sweep(drawn.Y, b=membership[:, asked]).across
        vectors = sweep(drawn.purchases, b=own[:, asked]).across
        return regions + vectors

    def residual_shift(self, R: F64) -> F64:
        return np.abs(self._corrections(R))

    def linear(self, R0: F64) -> F64:
        X0 = np.repeat(self._prepared.start.X0[..., None], LANES, axis=-1)
        indirect = self._demanded(X0, less=1.0) + self._corrections(R0)
        return self._totals(indirect, self._drawn.change.direct)

    def gaussian(self, RG: F64) -> F64:
        demanded = _of_consumers(self._final.gaussian, self._prepared.membership)
        demanded += self._purchases.gaussian.transpose(1, 0, 2)
        return self._totals(demanded + self._corrections(RG), self._drawn.gaussian.direct)

    def _demanded(self, X: F64, less: float) -> F64:
        regions = sweep(self._drawn.Y, x=X, less=less).own
        bought = sweep(self._drawn.purchases, x=X, less=less).own
        consumers = _of_consumers(regions, self._prepared.membership)
        found: F64 = consumers + bought.transpose(1, 0, 2)
        return found

    def _corrections(self, R: F64) -> F64:
        """What the residual stands for, (q,c,64)."""
        return _weighed(self._prepared.slopes, R).transpose(1, 0, 2)

    @staticmethod
    def _totals(indirect: F64, direct: F64) -> F64:
        unknown = np.full_like(indirect, np.nan)
        return np.stack([indirect + direct, unknown, unknown, direct], axis=2)
