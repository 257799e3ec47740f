"""EXIOBASE 3's tables and extensions, SYNTHETIC, in the layout of the downloads."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.downloads.worlds import World, world
from engine.kernels.arrays import F64

USES = (
    "Final consumption expenditure by households",
    "Final consumption expenditure by non-profit organisations serving households (NPISH)",
    "Final consumption expenditure by government",
    "Gross fixed capital formation",
    "Changes in inventories",
    "Changes in valuables",
    "Exports: Total (fob)",
)
_AREAS = (
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK GB US JP CN "
    "CA KR BR IN MX RU AU CH TR TW NO ID ZA WA WL WE WF WM"
)
AREAS = tuple(_AREAS.split())
SECTORS = {
    "pxp": tuple(f"Product {number + 1}" for number in range(200)),
    "ixi": tuple(f"Industry {number + 1}" for number in range(163)),
}


@dataclass(frozen=True, slots=True)
class Extension:
    """Rows of an extension.

    Attributes:
        units: by name of the row.
        F: of industries, (rows, n).
        F_Y: of final consumers by area and use, (rows, r uses).
    """

    units: Mapping[str, str]
    F: F64
    F_Y: F64


def economy(
    year: int,
    areas: Sequence[str] = AREAS,
    sectors: Sequence[str] = SECTORS["pxp"],
    uses: int = len(USES),
) -> World:
    """The year's economy: 200 products of 49 areas if nothing else is said."""
    return world(areas, sectors, uses=uses, added=1, seed=year, decimals=9)


def satellite(world: World, rows: int = 4) -> Extension:
    """Emissions in kg, three quarters of the CO2 burnt, and rows of no interest."""
    names = ["CO2 - combustion - air", "CO2 - non combustion - Cement production - air"]
    names += ["CH4 - combustion - air", "N2O - combustion - air"]
    names += [f"Row {number + 1} of no interest" for number in range(max(rows - 4, 0))]
    uses = world.Y.shape[1] // len(world.areas)
    direct = np.zeros((len(world.areas), uses))
    direct[:, 0] = world.households
    share = np.array([0.75e6, 0.25e6, 1e3, 10, *np.arange(1.0, len(names) - 3)])[:, None]
    return Extension(
        dict.fromkeys(names, "kg"), share * world.emissions, share * direct.reshape(1, -1)
    )


def impacts(world: World) -> Extension:
    """A characterised total of the satellite's gases, in kg CO2 eq."""
    weights = np.array([[1.0, 1.0, 28.0, 265.0]])
    gases = satellite(world)
    name = "GHG emissions AR5 (GWP100) | GWP100 (IPCC, 2010)"
    return Extension({name: "kg CO2 eq."}, weights @ gases.F, weights @ gases.F_Y)


def write_table(
    folder: Path,
    year: int,
    world: World,
    *,
    system: Literal["pxp", "ixi"] = "pxp",
    flows: Literal["Z", "A"] = "Z",
    direct: Literal["F_Y", "F_hh", ""] = "F_Y",
    extensions: Mapping[str, Extension] | None = None,
    packed: bool = True,
    inside: str | None = None,
) -> Path:
    """One year under the name of its download: an archive, or the folder unpacked from it.

    `inside` is the folder in the archive, named like the archive if nothing is said.
    """
    name = f"IOT_{year}_{system}"
    given = {"satellite": satellite(world)} if extensions is None else extensions
    files = contents(world, system=system, flows=flows, direct=direct, extensions=given)
    folder.mkdir(parents=True, exist_ok=True)
    if not packed:
        for file, lines in files:
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(lines)
        return folder / name
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file, lines in files:
            member = f"{name}/{file}" if inside is None else f"{inside}{file}"
            with (
                archive.open(member, "w", force_zip64=True) as raw,
                io.TextIOWrapper(raw, "utf-8") as stream,
            ):
                stream.writelines(lines)
    return path


def contents(
    world: World,
    *,
    system: str = "pxp",
    flows: str = "Z",
    direct: str = "F_Y",
    extensions: Mapping[str, Extension],
    version: str = "3.8.2",
    uses: Sequence[str] = USES,
) -> Iterator[tuple[str, Iterable[str]]]:
    """The files of a release, by path, each as its lines."""
    industries = [(area, sector) for area in world.areas for sector in world.sectors]
    count = world.Y.shape[1] // len(world.areas)
    demand = [(area, use) for area in world.areas for use in uses[:count]]
    core = {flows: (2, 2), "Y": (2, 2), "unit": (2, 1)} | ({"x": (2, 1)} if flows == "Z" else {})
    yield "file_parameters.json", [_parameters("IOSystem", core)]
    about = {"description": "SYNTHETIC", "name": "EXIO3", "system": system, "version": version}
    yield "metadata.json", [json.dumps({**about, "history": []})]
    yield (
        "unit.txt",
        _texts(["region", "sector", "unit"], [(*name, "M.EUR") for name in industries]),
    )
    x = world.x
    per = 1.0 if flows == "Z" else np.where(x > 0, x, 1.0)
    rows: Iterable[F64] = (row / per for row in world.Z)
    yield f"{flows}.txt", _numbers(rows, industries, industries, "sector")
    yield "Y.txt", _numbers(world.Y, industries, demand, "category")
    if flows == "Z":
        outputs = zip(industries, x.tolist(), strict=True)
        yield (
            "x.txt",
            _texts(
                ["region", "sector", "indout"], [(*name, repr(value)) for name, value in outputs]
            ),
        )
    for name, extension in extensions.items():
        accounts = {"F": (1, 2), "unit": (1, 1)} | ({direct: (1, 2)} if direct else {})
        yield f"{name}/file_parameters.json", [_parameters("Extension", accounts)]
        yield f"{name}/unit.txt", _texts(["stressor", "unit"], extension.units.items())
        names = [(row,) for row in extension.units]
        yield f"{name}/F.txt", _numbers(extension.F, names, industries, "sector")
        if direct:
            yield f"{name}/{direct}.txt", _numbers(extension.F_Y, names, demand, "category")


def _parameters(kind: str, accounts: Mapping[str, tuple[int, int]]) -> str:
    files = {
        account: {"name": f"{account}.txt", "nr_index_col": str(index), "nr_header": str(header)}
        for account, (index, header) in accounts.items()
    }
    return json.dumps({"files": files, "systemtype": kind, "name": "x"})


def _texts(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield "\t".join(header) + "\n"
    for row in rows:
        yield "\t".join(row) + "\n"


def _numbers(
    values: Iterable[F64],
    rows: Sequence[tuple[str, ...]],
    columns: Sequence[tuple[str, str]],
    of_columns: str,
) -> Iterator[str]:
    """As pandas writes them: the names of columns in two lines, what rows are called in a third."""
    names = ("stressor",) if len(rows[0]) == 1 else ("region", "sector")
    blank = [""] * (len(names) - 1)
    for level, called in enumerate(("region", of_columns)):
        yield "\t".join([called, *blank, *(column[level] for column in columns)]) + "\n"
    yield "\t".join([*names, *[""] * len(columns)]) + "\n"
    for name, row in zip(rows, values, strict=True):
        yield "\t".join([*name, *map(repr, row.tolist())]) + "\n"
