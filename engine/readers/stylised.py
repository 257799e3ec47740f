"""The world `stylised`: ten regions, twelve sectors, 2010 to 2021, SYNTHETIC.

Its numbers are made up, of the right order of magnitude, and calibrated to one story: the Dutch
CO2 footprint falls by 19 % while its foreign part stays where it was. `stylised.toml` holds every
parameter and says which were calibrated; this module turns them into tables.

Notation: o region of origin, i product, r purchasing region, j purchasing sector, g gas, t year.

    h_irj  inputs of i for a unit of output of (r,j): the recipe of sector j, varied between
           regions without changing its value added
    m_ir   share imported; its odds are openness_r(t) traded_i / (1 - traded_i)
    w_oir  weight of origin o: its demand x openness x specialisation x nearness to r, varied
    c_oir  share of origin o: 1 - m_ir at home, m_ir w_oir / sum_o w_oir abroad
    A_(oi)(rj) = c_oir h_irj
    Y_(oi)r    = c_oir d_ir D_r(t), d the pattern and D the total of final demand
    s_g(rj)    = emissions of r in the first year, shared over its sectors, for a unit of that
                 year's output, x the path of intensities
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, reduce
from importlib.resources import files

import numpy as np

from engine.kernels.arrays import F64, Bool
from engine.mrio import MRIO, Labels
from engine.readers.synthetic import CURRENCY, added, balanced, made_up, required, varied

GASES = ("CO2", "CH4", "N2O")


@dataclass(frozen=True, slots=True)
class Parameters:
    """`stylised.toml`, parsed.

    Attributes:
        regions, sectors: their names.
        region, sector: columns of numbers by name, one for each region or sector.
        inputs: the recipes, (i,j), shares of the output of j.
        specialisation: (o,i).
        neighbours: whether a region is one of them, (r,).
        lockdown: share of the lockdown felt, by year.
        width: half-widths of the variation.
        nearness, other_gases, first, last, turn: as in the file.
        sha256: hash of the file.
    """

    regions: tuple[str, ...]
    sectors: tuple[str, ...]
    region: Mapping[str, F64]
    sector: Mapping[str, F64]
    inputs: F64
    specialisation: F64
    neighbours: Bool
    lockdown: Mapping[str, float]
    width: Mapping[str, float]
    nearness: float
    other_gases: float
    first: int
    last: int
    turn: int
    sha256: str


@cache
def parameters() -> Parameters:
    """The parameters, read once."""
    content = files("engine.readers").joinpath("stylised.toml").read_bytes()
    file = tomllib.loads(content.decode())
    regions, region = _columns(file["regions"])
    sectors, sector = _columns(file["sectors"])
    special = file["specialisation"]
    return Parameters(
        regions=regions,
        sectors=sectors,
        region=region | _columns(file["paths"])[1],
        sector=sector,
        inputs=np.array([file["inputs"][j] for j in sectors], dtype=np.float64).T / 100.0,
        specialisation=np.array(
            [[special.get(o, {}).get(i, 1.0) for i in sectors] for o in regions]
        ),
        neighbours=np.isin(regions, file["neighbours"]),
        lockdown=file["lockdown"],
        width=file["variation"],
        nearness=file["nearness"],
        other_gases=file["other_gases"],
        first=file["first"],
        last=file["last"],
        turn=file["turn"],
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _columns(table: Mapping[str, list[float]]) -> tuple[tuple[str, ...], dict[str, F64]]:
    """Names of the rows, and the columns by name, of a table whose first row names its columns."""
    (_, names), *rows = table.items()
    values = np.array([row for _, row in rows], dtype=np.float64).T
    columns = {str(name): column for name, column in zip(names, values, strict=True)}
    return tuple(row for row, _ in rows), columns


def years() -> tuple[int, ...]:
    """The years of this world."""
    return tuple(range(parameters().first, parameters().last + 1))


def read(year: int) -> MRIO:
    """The table of one of `years()`."""
    world = parameters()
    A, Y = _flows(world, year)
    labels = Labels(
        regions=world.regions,
        industries=tuple((r, j) for r in world.regions for j in world.sectors),
        stressors=GASES,
        stressor_units=("kt",) * len(GASES),
        currency=CURRENCY,
    )
    direct = np.stack([world.region[f"direct {gas}"] for gas in GASES])
    F_Y = direct * _index(world, "direct", year) * _open(world, year)
    s = _first_intensities() * _intensity_paths(world, year)
    provenance = made_up("stylised", files=(("stylised.toml", world.sha256),))
    return balanced(year, labels, A, Y, s, F_Y, provenance)


# --- paths over the years, all 1 in the first year ----------------------------------------------


def _index(world: Parameters, name: str, year: int, share: float = 1.0) -> F64:
    """Index of `name`, (r,): its two rates, each times `share`, and its yearly variation."""
    early, late = (share / 100.0 * world.region[f"{name} {when}"] for when in ("early", "late"))
    trend = _compounded(early, min(year, world.turn) - world.first)
    trend = trend * _compounded(late, max(year - world.turn, 0))
    if year == world.first:
        return trend
    return trend * varied(world.width[f"yearly {name}"], name, world.regions, [str(year)])[:, 0]


def _compounded(rate: F64, times: int) -> F64:
    return reduce(np.multiply, [1.0 + rate] * times, np.ones_like(rate))


def _open(world: Parameters, year: int) -> F64:
    """What the lockdown leaves of final demand and direct emissions, (r,)."""
    return 1.0 - world.lockdown.get(str(year), 0.0) * world.region["lockdown"] / 100.0


def _demand(world: Parameters, year: int) -> F64:
    """Total final demand, (r,)."""
    return world.region["demand"] * _index(world, "demand", year) * _open(world, year)


def _intensity_paths(world: Parameters, year: int) -> F64:
    """Index of the intensities, (k,n); the sectors of a region move together."""
    shares = [1.0 if gas == "CO2" else world.other_gases for gas in GASES]
    by_region = np.stack([_index(world, "intensity", year, share) for share in shares])
    return np.repeat(by_region, len(world.sectors), axis=1)


# --- structure ----------------------------------------------------------------------------------


def _flows(world: Parameters, year: int) -> tuple[F64, F64]:
    """Coefficients `A`, (n,n), and final demand `Y`, (n,r)."""
    r, s = len(world.regions), len(world.sectors)
    origins = _origins(world, year)
    A = origins[:, :, :, None] * _recipes(world)
    Y = origins * _pattern(world) * _demand(world, year)
    return A.reshape(r * s, r * s), Y.reshape(r * s, r)


def _recipes(world: Parameters) -> F64:
    """Inputs h, (i,r,j): varied between regions, each recipe's sum kept."""
    names = world.sectors, world.regions, world.sectors
    inputs = world.inputs[:, None, :] * varied(world.width["inputs"], "inputs", *names)
    return inputs * (added(world.inputs) / added(inputs))


def _pattern(world: Parameters) -> F64:
    """Share of each product in final demand, d, (i,r)."""
    names = world.sectors, world.regions
    pattern = world.sector["demand"][:, None] * varied(world.width["demand"], "demand", *names)
    return pattern / added(pattern)


def _origins(world: Parameters, year: int) -> F64:
    """Where purchases come from, c, (o,i,r): the shares add up to 1 over o."""
    names = world.regions, world.sectors, world.regions
    openness = world.region["openness"] * _compounded(
        world.region["openness growth"] / 100.0, year - world.first
    )
    odds = openness * (world.sector["traded"] / (1.0 - world.sector["traded"]))[:, None]
    imported = odds / (1.0 + odds)
    near = np.where(np.outer(world.neighbours, world.neighbours), world.nearness, 1.0)
    supply = (_demand(world, year) * openness)[:, None] * world.specialisation
    weight = supply[:, :, None] * near[:, None, :]
    weight = weight * varied(world.width["origins"], "origins", *names)
    home = np.eye(len(world.regions), dtype=bool)[:, None, :]
    abroad = np.where(home, 0.0, weight)
    return np.where(home, 1.0 - imported, imported * abroad / added(abroad))


@cache
def _first_intensities() -> F64:
    """Emission intensities of the first year, (k,n), which meet its emissions by region."""
    world = parameters()
    A, Y = _flows(world, world.first)
    x = required(A, added(Y.T)).reshape(len(world.regions), len(world.sectors))
    intensities = []
    for gas in GASES:
        names = world.regions, world.sectors
        relative = world.sector[gas] * varied(world.width["emissions"], gas, *names)
        emitted = added((relative * x).T)
        intensities.append(relative * (world.region[gas] / emitted)[:, None])
    return np.stack(intensities).reshape(len(GASES), -1)
