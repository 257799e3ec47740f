"""SYNTHETIC tables of realistic spread, sparsity and block structure; they describe no economy.

Regions differ in size by orders of magnitude, small ones are more open; a sector buys its inputs
by a recipe, mostly at home; foreign sources are few and uneven. About half of the cells are zero,
the others spread over ten orders of magnitude. Output solves `x = A x + Y 1`, so that Z, x and Y
belong together.

Notation: r origin, i product, c purchasing region, j purchasing sector;
A_(ri)(cj) = recipe_ij x (share bought at home | share imported x share of origin r).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance

BASE_YEAR = 2000
SHAPES = {
    60: (6, 10),
    120: (10, 12),
    600: (20, 30),
    1200: (24, 50),
    2944: (46, 64),
    9800: (49, 200),
}
STRESSORS = ("CO2", "CH4", "N2O")
_SMALLEST = 1e-6  # million EUR; smaller flows are zero


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A table to be made.

    Attributes:
        regions, sectors: how many.
        density: by which the shares of cells that are not zero are multiplied, at most 1.3.
        seed: of everything that does not change from year to year.
    """

    regions: int
    sectors: int
    density: float = 1.0
    seed: int = 1

    @classmethod
    def of(cls, n: int, density: float = 1.0) -> Synthetic:
        """A table of one of the known sizes."""
        return cls(*SHAPES[n], density=density)

    @property
    def n(self) -> int:
        """How many industries."""
        return self.regions * self.sectors


def make(world: Synthetic, year: int = BASE_YEAR) -> MRIO:
    """The table of one year; years differ by some percent in every cell, zeros last."""
    R, S = world.regions, world.sectors
    random = np.random.default_rng([world.seed, 0])
    size = _shares(random, R, 1.5)
    weight = _shares(random, S, 1.2)
    openness = np.clip(0.12 * (size / size.mean()) ** -0.25, 0.03, 0.5)
    near = np.exp(random.normal(0, 1.0, (R, R)))
    changes = np.random.default_rng([world.seed, year])
    A = _coefficients(world, random, size, openness, near)
    Y = _demand(random, size, weight, openness, near)
    s = 0.2 * np.exp(random.normal(0, 2.0, (3, 1, S)) + random.normal(0, 0.7, (3, R, S)))
    s = s.reshape(3, R * S) * (random.random((3, R * S)) >= 0.05)
    F_Y = 1e6 * np.outer([1.0, 0.02, 0.005], size)
    if year != BASE_YEAR:
        for row in range(len(A)):
            A[row] *= np.exp(0.04 * changes.standard_normal(len(A)))
        Y *= np.exp(0.03 * changes.standard_normal(Y.shape))
        s *= np.exp(0.03 * changes.standard_normal(s.shape))
    x = _required(A, Y.sum(axis=1))
    A *= x
    A[_SMALLEST > A] = 0.0
    x = A.sum(axis=1) + Y.sum(axis=1)
    return MRIO(
        year=year,
        labels=_labels(R, S),
        Z=A,
        Y=Y,
        E=s * x,
        F_Y=F_Y,
        provenance=Provenance(
            source="SYNTHETIC: made up to measure speed; it describes no real economy",
            version=f"{R} regions, {S} sectors, density {world.density:g}, seed {world.seed}",
            licence="BSD-3-Clause",
            synthetic=True,
        ),
    )


def _shares(random: np.random.Generator, count: int, sd: float) -> F64:
    shares = np.exp(random.normal(0, sd, count))
    return shares / shares.sum()


def _coefficients(
    world: Synthetic, random: np.random.Generator, size: F64, openness: F64, near: F64
) -> F64:
    """A, (n,n), one purchasing region after the other."""
    R, S = world.regions, world.sectors
    at_home, abroad = (min(1.0, share * world.density) for share in (0.75, 0.42))
    recipe = np.exp(random.normal(0, 2.6, (S, S))) * (random.random((S, S)) < 0.9)
    recipe[np.diag_indices(S)] += np.exp(random.normal(1.5, 1.0, S))
    A = np.zeros((R, S, R, S))
    for c in range(R):
        inputs = recipe * np.exp(random.normal(0, 1.0, (S, S)))
        inputs *= random.uniform(0.3, 0.7, S) / inputs.sum(axis=0)
        imported = np.clip(openness[c] * np.exp(random.normal(0, 0.7, S)), 0.005, 0.9)[:, None]
        source = (size * near[:, c])[:, None] * np.exp(random.normal(0, 1.5, (R, S)))
        bought = inputs * imported * source[:, :, None]
        bought *= np.exp(1.5 * random.standard_normal((R, S, S)))
        bought *= random.random((R, S, S), dtype=np.float32) < abroad
        bought[c] = 0.0
        found = bought.sum(axis=(0, 1))
        wanted = (inputs * imported).sum(axis=0)
        bought *= np.divide(wanted, found, out=np.zeros(S), where=found > 0)
        bought[c] = inputs * (1.0 - imported) * (random.random((S, S)) < at_home)
        A[:, :, c, :] = bought
    return A.reshape(R * S, R * S)


def _demand(random: np.random.Generator, size: F64, weight: F64, openness: F64, near: F64) -> F64:
    """Y, (n,r), in million EUR."""
    R, S = len(size), len(weight)
    Y = np.zeros((R, S, R))
    for c in range(R):
        wanted = 1e8 * size[c] * weight * np.exp(random.normal(0, 0.8, S))
        source = (size * near[:, c])[:, None] * np.exp(random.normal(0, 1.0, (R, S)))
        Y[:, :, c] = wanted * openness[c] * source * (random.random((R, S)) < 0.7)
        Y[c, :, c] = wanted * (1.0 - openness[c])
    return Y.reshape(R * S, R)


def _required(A: F64, y: F64) -> F64:
    """`x = A x + y` by iteration: column sums are at most 0.7, and nothing is factorised."""
    x = y.copy()
    while True:
        better = A @ x + y
        if np.abs(better - x).max() <= 1e-14 * better.max():
            return better
        x = better


def _labels(regions: int, sectors: int) -> Labels:
    names = tuple(f"R{number:02d}" for number in range(regions))
    return Labels(
        regions=names,
        industries=tuple((name, f"P{number:03d}") for name in names for number in range(sectors)),
        stressors=STRESSORS,
        stressor_units=("kt",) * len(STRESSORS),
        currency="million EUR, synthetic constant prices",
    )
