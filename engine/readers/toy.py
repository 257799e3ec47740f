"""Synthetic worlds, computed rather than read: known answers, random tables, the default world.

one_sector    one region with one sector: its footprint is F = s y / (1 - a) + F_Y
two_regions   Z = [[20,30],[40,10]], Y = [[40,10],[20,30]], E = (50,30): F = (51,29)
random        regions x sectors x stressors of varied numbers, with zeros and negative cells
stylised      ten regions, twelve sectors, 2010 to 2021: see `engine.readers.stylised`

Regions are called R0, R1, ...; sectors P0, P1, ...; the stressors of `random` S0, S1, ... Nothing
is drawn in sequence: `engine.readers.synthetic` makes every number from the names of its cell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import StrEnum

import numpy as np

from engine.error_model import AR1_WINDOW
from engine.errors import ConfigError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels
from engine.readers import stylised
from engine.readers.nearest import nearest
from engine.readers.synthetic import CURRENCY, added, balanced, made_up, uniforms, varied


class World(StrEnum):
    """The synthetic worlds."""

    ONE_SECTOR = "one_sector"
    TWO_REGIONS = "two_regions"
    RANDOM = "random"
    STYLISED = "stylised"


@dataclass(frozen=True, slots=True)
class Toy:
    """A synthetic world and its parameters; a parameter of another world is refused.

    Attributes:
        world: which world.
        Z, Y, E, F_Y: of `one_sector`, in the base year.
        growth: by how much emissions grow from year to year, .02 for 2 % (`one_sector`,
            `two_regions`); the footprint grows alike.
        base: the year from which they grow.
        seed, regions, sectors, stressors: of `random`.
        zeros: share of the cells of `Z`, `E` and the imports in `Y` that are zero (`random`).
        negatives: share of the imports in `Y` that are negative, as inventories are (`random`).
    """

    world: World = World.STYLISED
    Z: float = 20.0
    Y: float = 80.0
    E: float = 50.0
    F_Y: float = 0.0
    growth: float = 0.0
    base: int = 2000
    seed: int = 1
    regions: int = 3
    sectors: int = 4
    stressors: int = 2
    zeros: float = 0.2
    negatives: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "world", _world(self.world))
        for parameter in fields(self)[1:]:
            value = getattr(self, parameter.name)
            if parameter.name in _PARAMETERS[self.world]:
                _check(parameter.name, value)
            elif value != parameter.default:
                known = ", ".join(_PARAMETERS[self.world])
                raise ConfigError(
                    f"the world `{self.world}` has no parameter `{parameter.name}`",
                    where=f"tables.{parameter.name}",
                    remedy=f"leave it out; known: {known}" if known else "leave it out",
                )


_PARAMETERS: dict[World, tuple[str, ...]] = {
    World.ONE_SECTOR: ("Z", "Y", "E", "F_Y", "growth", "base"),
    World.TWO_REGIONS: ("growth", "base"),
    World.RANDOM: ("seed", "regions", "sectors", "stressors", "zeros", "negatives"),
    World.STYLISED: (),
}
_MOST = 1e12  # keeps every sum finite
_RANGES: dict[str, tuple[float, float]] = {
    "Z": (0, _MOST),
    "Y": (1e-6, _MOST),  # demand, or there is no footprint
    "E": (0, _MOST),
    "F_Y": (0, _MOST),
    "growth": (-0.5, 0.5),
    "base": AR1_WINDOW,
    "seed": (0, 2**63 - 1),
    "regions": (1, 200),
    "sectors": (1, 1000),
    "stressors": (1, 100),
    "zeros": (0, 0.9),
    "negatives": (0, 0.9),
}
_WHOLE = ("base", "seed", "regions", "sectors", "stressors")


def _world(name: str) -> World:
    try:
        return World(name)
    except ValueError:
        raise ConfigError(
            f"there is no world `{name}`",
            where="tables.world",
            remedy=nearest(str(name), map(str, World)),
        ) from None


def _check(name: str, value: float) -> None:
    low, high = _RANGES[name]
    kind = "a whole number" if name in _WHOLE else "a number"
    number = isinstance(value, int if name in _WHOLE else (int, float))
    if isinstance(value, bool) or not number or not low <= value <= high:
        raise ConfigError(
            f"{value!r} is not {kind} from {low:g} to {high:g}",
            where=f"tables.{name}",
            remedy="give such a number, or leave it out",
        )


def years(source: Toy) -> tuple[int, ...]:
    """The years there are tables of, ascending; those of AR(1) errors where any year would do."""
    if source.world is World.STYLISED:
        return stylised.years()
    first, last = AR1_WINDOW
    return tuple(range(first, last + 1))


def read(source: Toy, year: int) -> MRIO:
    """The table of one year; the same bits on every machine.

    Raises:
        ConfigError: the world has no such year.
    """
    possible = years(source)
    if year not in possible:
        raise ConfigError(
            f"the world `{source.world}` has no year {year}",
            where="tables.years",
            remedy=f"use years from {possible[0]} to {possible[-1]}",
        )
    match source.world:
        case World.ONE_SECTOR:
            return _one_sector(source, year)
        case World.TWO_REGIONS:
            return _two_regions(source, year)
        case World.RANDOM:
            return _random(source, year)
        case World.STYLISED:
            return stylised.read(year)


def _one_sector(source: Toy, year: int) -> MRIO:
    grown = _grown(source, year)
    return MRIO(
        year=year,
        labels=_labels(1, 1, ("CO2",)),
        Z=np.array([[source.Z]], dtype=np.float64),
        Y=np.array([[source.Y]], dtype=np.float64),
        E=np.array([[grown * source.E]]),
        F_Y=np.array([[grown * source.F_Y]]),
        provenance=made_up(source.world),
    )


def _two_regions(source: Toy, year: int) -> MRIO:
    return MRIO(
        year=year,
        labels=_labels(2, 1, ("CO2",)),
        Z=np.array([[20.0, 30.0], [40.0, 10.0]]),
        Y=np.array([[40.0, 10.0], [20.0, 30.0]]),
        E=_grown(source, year) * np.array([[50.0, 30.0]]),
        F_Y=np.zeros((1, 2)),
        provenance=made_up(source.world),
    )


def _grown(source: Toy, year: int) -> float:
    """Index of emissions, 1 in the base year."""
    index = math.prod([1.0 + source.growth] * abs(year - source.base))
    return index if year >= source.base else 1.0 / index


def _random(source: Toy, year: int) -> MRIO:
    """A table whose cells vary about lasting levels from year to year; zeros last."""
    stressors = tuple(f"S{number}" for number in range(source.stressors))
    labels = _labels(source.regions, source.sectors, stressors)
    regions, industries = labels.regions, [" ".join(names) for names in labels.industries]
    A = _cells(source, year, "Z", industries, industries)
    A = A * (0.2 + 0.5 * uniforms(f"inputs {source.seed}", industries)) / (added(A) + 1e-9)
    abroad = _cells(source, year, "Y", industries, regions) / len(regions)
    drawn_down = uniforms(f"inventories {source.seed}", industries, regions) < source.negatives
    at_home = 1.0 + 2.0 * uniforms(f"home {source.seed}", industries, [str(year)])
    home = np.array([[region == own for region in regions] for own, _ in labels.industries])
    return balanced(
        year,
        labels,
        A=A,
        Y=100.0 * np.where(home, at_home, np.where(drawn_down, -0.1, 1.0) * abroad),
        s=_cells(source, year, "E", stressors, industries),
        F_Y=100.0 * varied(0.5, f"F_Y {source.seed}", stressors, regions),
        provenance=made_up(source.world),
    )


def _cells(source: Toy, year: int, name: str, rows: Sequence[str], columns: Sequence[str]) -> F64:
    """Cells between 0 and 1, a share of them zero, 10 % up or down from year to year."""
    purpose = f"{name} {source.seed}"
    there = uniforms(f"{purpose} zero", rows, columns) >= source.zeros
    level = uniforms(purpose, rows, columns)
    return there * level * varied(0.1, f"{purpose} {year}", rows, columns)


def _labels(regions: int, sectors: int, stressors: tuple[str, ...]) -> Labels:
    names = tuple(f"R{number}" for number in range(regions))
    return Labels(
        regions=names,
        industries=tuple((name, f"P{number}") for name in names for number in range(sectors)),
        stressors=stressors,
        stressor_units=("kt",) * len(stressors),
        currency=CURRENCY,
    )
