"""The SYNTHETIC economies that are written as downloads: every cell follows from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.kernels.arrays import F64

HOME, IMPORTED = 0.4, 0.15  # what an industry buys at home and from abroad, of its output


@dataclass(frozen=True, slots=True)
class World:
    """One year of a balanced economy.

    Attributes:
        areas: r of them.
        sectors: as many in every area.
        Z: intermediate deliveries, (n,n), rounded as publishers round.
        Y: final demand by area and use, (n, r uses).
        added: value added and taxes, (rows, n): what is left of output after inputs.
        emissions: of each industry, (n,).
        households: direct emissions of final consumers, (r,).
    """

    areas: tuple[str, ...]
    sectors: tuple[str, ...]
    Z: F64
    Y: F64
    added: F64
    emissions: F64
    households: F64

    @property
    def x(self) -> F64:
        """Output, (n,)."""
        x: F64 = self.Z.sum(axis=1) + self.Y.sum(axis=1)
        return x

    @property
    def footprints(self) -> F64:
        """By industry of origin and area of destination, (n,r), without households' own."""
        uses = self.Y.shape[1] // len(self.areas)
        Y = self.Y.reshape(len(self.Y), len(self.areas), uses).sum(axis=2)
        A = self.Z / self.x
        intensity = self.emissions / self.x
        traced: F64 = intensity[:, None] * np.linalg.solve(np.eye(len(A)) - A, Y)
        return traced


def world(
    areas: Sequence[str], sectors: Sequence[str], *, uses: int, added: int, seed: int, decimals: int
) -> World:
    """An economy in which every industry sells to most others, most of it at home."""
    rng = np.random.default_rng(seed)
    r, s = len(areas), len(sectors)
    n = r * s
    weights = rng.lognormal(0.0, 1.5, (n, n)) * (rng.random((n, n)) < 0.7)
    home = np.kron(np.eye(r), np.ones((s, s))) > 0
    output = rng.lognormal(8.0, 1.0, n)
    Z = np.zeros((n, n))
    for mask, share in ((home, HOME), (~home, IMPORTED)):
        part = np.where(mask, weights, 0.0)
        Z += part * (share / np.maximum(part.sum(axis=0), 1e-12)) * output
    del weights
    Z = np.round(Z, decimals)
    Y = rng.lognormal(0.0, 1.0, (n, r * uses))
    Y *= np.repeat(np.kron(np.eye(r), np.ones((s, 1))) * 20 + 1, uses, axis=1)
    scale = output / Y.sum(axis=1)
    Y = np.round(Y * scale[:, None] * 0.5, decimals)
    x = Z.sum(axis=1) + Y.sum(axis=1)
    return World(
        tuple(areas),
        tuple(sectors),
        Z,
        Y,
        _added(rng, x - Z.sum(axis=0), added, decimals),
        np.round(x * rng.lognormal(-2.0, 1.0, n), 3),
        np.round(Y.sum(axis=0).reshape(r, uses).sum(axis=1) * 0.02, 3),
    )


def followed(before: World, *, seed: int, decimals: int, growth: float, cleaner: float) -> World:
    """The year after: cells grow at rates that differ, emissions per output fall."""
    rng = np.random.default_rng(seed)
    Z, Y = (
        np.round(cells * rng.lognormal(growth, 0.03, cells.shape), decimals)
        for cells in (before.Z, before.Y)
    )
    x = Z.sum(axis=1) + Y.sum(axis=1)
    less = x / before.x * rng.lognormal(-cleaner, 0.02, len(x))
    return World(
        before.areas,
        before.sectors,
        Z,
        Y,
        _added(rng, x - Z.sum(axis=0), len(before.added), decimals),
        np.round(before.emissions * less, 3),
        np.round(before.households * rng.lognormal(-cleaner, 0.02, len(before.areas)), 3),
    )


def folded(world: World, area: str, other: str) -> World:
    """The economy in which one area is a part of another."""
    kept = [name for name in world.areas if name != area]
    onto = np.zeros((len(kept), len(world.areas)))
    for at, name in enumerate(world.areas):
        onto[kept.index(other if name == area else name), at] = 1
    industries = np.kron(onto, np.eye(len(world.sectors)))
    uses = np.kron(onto, np.eye(world.Y.shape[1] // len(world.areas)))
    return replace(
        world,
        areas=tuple(kept),
        Z=industries @ world.Z @ industries.T,
        Y=industries @ world.Y @ uses.T,
        added=world.added @ industries.T,
        emissions=industries @ world.emissions,
        households=onto @ world.households,
    )


def _added(rng: np.random.Generator, left: F64, rows: int, decimals: int) -> F64:
    """What inputs leave of output, split over rows, (rows, n)."""
    split: F64 = rng.dirichlet(np.ones(rows), len(left)).T
    return np.round(split * left, decimals)
