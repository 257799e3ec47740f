"""The loop a user would write: numpy normals, lognormal factors, one LU solution, all in float64.

It is written with care (no copies, arrays made once, the transpose LAPACK likes, the adjoint
solution where only totals are asked) and may use every core through BLAS where that is faster. Like
the usual loop it keeps dense arrays, and draws normals for their zeros too, on one core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from benchmarks.bars import EMISSIONS_RSD, Bar, rsd
from engine.error_model import Quantity
from engine.kernels.arrays import F64
from engine.kernels.leontief import per_unit_output
from engine.mrio import MRIO


@dataclass(frozen=True, slots=True, eq=False)
class Uncertain:
    """An array with lognormal errors of mean one: sigma, and the shift that keeps the mean."""

    values: F64
    sigma: F64
    shift: F64

    @classmethod
    def of(cls, values: F64, sizes: F64) -> Uncertain:
        """From relative standard deviations."""
        variance = np.log1p(sizes**2)
        return cls(values, np.sqrt(variance), variance / 2)


class Naive:
    """Draws of one bar's footprints, one after the other."""

    def __init__(self, table: MRIO, bar: Bar, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        A = per_unit_output(table.Z, table.x, table.active)
        q = len(bar.question.indicators)
        s = per_unit_output(table.E[:q], table.x, table.active)
        names = table.labels.regions
        chosen = [names.index(consumer.name) for consumer in bar.question.consumers]
        homes = np.array([region for region, _ in table.labels.industries])
        self._domestic = homes[:, None] == np.array(names)[chosen]
        self._by_parts = bar.question.parts != ("total",)
        self._direct = table.F_Y[np.ix_(range(q), chosen)]
        sizes = {
            Quantity.A: (A, rsd(table.Z)),
            Quantity.S: (s, np.full(s.shape, EMISSIONS_RSD)),
            Quantity.Y: (table.Y[:, chosen], rsd(table.Y[:, chosen])),
        }
        weights = {e.quantity: [c.weight**0.5 for c in e.components] for e in bar.errors}
        self._weights = weights
        self._arrays = {
            name: Uncertain.of(values, errors) if name in weights else values
            for name, (values, errors) in sizes.items()
        }

    def draw(self) -> F64:
        """Footprints of one draw, (indicators, consumers) or (indicators, consumers, parts)."""
        A, s, Y = (self._drawn(name) for name in (Quantity.A, Quantity.S, Quantity.Y))
        system = np.negative(A, out=A)
        system.flat[:: len(system) + 1] += 1.0
        # A row-major matrix is its own transpose to LAPACK, so nothing is copied.
        factors = scipy.linalg.lu_factor(system.T, overwrite_a=True, check_finite=False)
        if not self._by_parts:
            multipliers = scipy.linalg.lu_solve(factors, s.T, check_finite=False).T
            return multipliers @ Y + self._direct
        X = scipy.linalg.lu_solve(factors, Y, trans=1, check_finite=False)
        total, at_home = s @ X, s @ (X * self._domestic)
        return np.stack([total + self._direct, at_home, total - at_home], axis=-1)

    def run(self, draws: int) -> None:
        """Compute so many draws."""
        for _ in range(draws):
            self.draw()

    def _drawn(self, name: Quantity) -> F64:
        array = self._arrays[name]
        if not isinstance(array, Uncertain):
            return array.copy() if name is Quantity.A else array
        factor = self._normals(array.values.shape, self._weights[name])
        factor *= array.sigma
        factor -= array.shift
        np.exp(factor, out=factor)
        factor *= array.values
        return factor

    def _normals(self, shape: tuple[int, ...], weights: list[float]) -> F64:
        """The standardised errors: one normal a cell and component."""
        normals = self._random.standard_normal(shape)
        if weights == [1.0]:
            return normals
        normals *= weights[0]
        for weight in weights[1:]:
            normals += weight * self._random.standard_normal(shape)
        return normals
