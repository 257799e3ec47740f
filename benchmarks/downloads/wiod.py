"""WIOD's tables and emission accounts, SYNTHETIC, in the layouts of the downloads."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.downloads.workbooks import Cell, written
from benchmarks.downloads.worlds import World, world
from engine.readers.wiod_flows import FINAL_USES

_AREAS = (
    "AUS AUT BEL BGR BRA CAN CHE CHN CYP CZE DEU DNK ESP EST FIN FRA GBR GRC HRV HUN IDN IND IRL "
    "ITA JPN KOR LTU LUX LVA MEX MLT NLD NOR POL PRT ROU RUS SVK SVN SWE TUR TWN USA "
)
AREAS = {
    2013: (*(area for area in _AREAS.split() if area not in ("CHE", "HRV", "NOR")), "RoW"),
    2016: (*_AREAS.split(), "ROW"),
}
_CODES = {
    2013: "AtB C 15t16 17t18 19 20 21t22 23 24 25 26 27t28 29 30t33 34t35 36t37 E F 50 51 52 H 60 "
    "61 62 63 64 J 70 71t74 L M N O P",
    2016: "A01 A02 A03 B C10-C12 C13-C15 C16 C17 C18 C19 C20 C21 C22 C23 C24 C25 C26 C27 C28 C29 "
    "C30 C31_C32 C33 D35 E36 E37-E39 F G45 G46 G47 H49 H50 H51 H52 H53 I J58 J59_J60 J61 J62_J63 "
    "K64 K65 K66 L68 M69_M70 M71 M72 M73 M74_M75 N O84 P85 Q R_S T U",
}
INDUSTRIES = {release: tuple(codes.split()) for release, codes in _CODES.items()}
_BELOW = {
    2013: ("r60", "r99", "r61", "r62", "r63", "r64", "", "r69"),
    2016: ("II_fob", "TXSP", "EXP_adj", "PURR", "PURNR", "VA", "IntTTM", "GO"),
}
POLLUTANTS = ("CO2", "CH4", "N2O", "NOX", "SOX", "CO", "NMVOC", "NH3")


def economy(
    year: int,
    release: Literal[2013, 2016] = 2016,
    areas: Sequence[str] = (),
    industries: Sequence[str] = (),
) -> World:
    """The year's economy: all areas and industries of the release if nothing else is said."""
    return world(
        areas or AREAS[release],
        industries or INDUSTRIES[release],
        uses=len(FINAL_USES[release]),
        added=6,
        seed=year,
        decimals=6,
    )


def write_table(
    folder: Path,
    year: int,
    world: World,
    release: Literal[2013, 2016],
    *,
    archive: bool = False,
) -> Path:
    """One table under the name of its download, by itself or added to the archive of all years."""
    name, sheet = f"WIOT{year}_Nov16_ROW.xlsb", str(year)
    if release == 2013:
        name, sheet = f"wiot{year % 100:02}_row_apr12.xlsx", f"WIOT_{year}"
    content = written(name, {sheet: rows(world, year, release)})
    if archive:
        path = folder / "WIOTS_in_EXCEL.zip"
        with zipfile.ZipFile(path, "a") as packed:
            packed.writestr(name, content)
        return path
    (folder / name).write_bytes(content)
    return folder / name


def rows(world: World, year: int, release: Literal[2013, 2016]) -> Iterator[list[Cell]]:
    """The rows of a table's sheet."""
    industries = [(area, code) for area in world.areas for code in world.sectors]
    uses = [(area, use) for area in world.areas for use in FINAL_USES[release]]
    old = release == 2013
    about = [f"SYNTHETIC table for {year}", f"{len(world.areas)} countries, in current prices"]
    about += ["(industry-by-industry)", "(millions of US$)", None, None]
    numbers = [f"c{place % len(world.sectors) + 1}" for place in range(len(industries))]
    names: list[list[Cell]] = [
        [*(_code(code) for _, code in industries), *("" if old else use for _, use in uses)],
        [*(f"Name of {code}" for _, code in industries), *(f"Use {use}" for _, use in uses)],
        [*(area for area, _ in industries), *(area for area, _ in uses)],
        [*numbers, *(use if old else "" for _, use in uses)],
    ]
    total: list[Cell] = [None, "Total output", None, None] if old else ["GO", "", "TOT", ""]
    for line in range(2):
        yield [about[line]]
    for line, (row, last) in enumerate(zip(names, total, strict=True), 2):
        yield [about[line], None, None, None, *row, last]
    for (area, code), number, sales, demand in zip(
        industries, numbers, world.Z.tolist(), world.Y.tolist(), strict=True
    ):
        start = [_code(code), f"Name of {code}", area, number if old else number.replace("c", "r")]
        yield [*start, *sales, *demand, sum(sales) + sum(demand)]
    bought = [world.Z.sum(axis=0), *world.added, world.Z.sum(axis=0) + world.added.sum(axis=0)]
    for code, values in zip(_BELOW[release], bought, strict=True):
        key = [None, f"Name of {code}", "TOT", code] if old else [code, None, "TOT", None]
        yield [*key, *values.tolist()]


def _code(code: str) -> Cell:
    """The code as it is kept in a workbook: 19 as a number."""
    return float(code) if code.isdigit() else code


def write_air(path: Path, worlds: Mapping[int, World], *, archive: bool = True) -> Path:
    """`AIR_may12.zip`, or the folder in it, with some cells left blank where they are zero."""
    first = next(iter(worlds.values()))
    books = {
        f"{area.upper()}_AIR_May12.xls": {
            str(year): _air(one, first.areas.index(area)) for year, one in worlds.items()
        }
        for area in first.areas
    }
    if archive:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, sheets in books.items():
                packed.writestr(name, written(name, sheets))
    else:
        path.mkdir()
        for name, sheets in books.items():
            (path / name).write_bytes(written(name, sheets))
    return path


def _air(world: World, at: int) -> Iterator[list[Cell]]:
    emitted = world.emissions.reshape(len(world.areas), -1)[at]
    shares = np.arange(1.0, len(POLLUTANTS) + 1)

    def row(name: str, code: str, amount: float) -> list[Cell]:
        return [name, code, *(share * amount or None for share in shares.tolist())]

    yield [None, None, *POLLUTANTS]
    for code, amount in zip(world.sectors, emitted.tolist(), strict=True):
        yield row(f"Name of {code}", f"sec{code}", amount)
    yield row("Extra-territorial organizations and bodies", "secQ", 0.0)
    yield row("Total intermediate consumption", "secTOT", float(emitted.sum()))
    yield []
    direct = float(world.households[at])
    yield row("Final consumption expenditure by households", "FC_HH", direct)
    yield []
    yield row("Grand Total", "total", float(emitted.sum()) + direct)


def write_co2(path: Path, worlds: Mapping[int, World], *, without: Sequence[str] = ()) -> Path:
    """`CO2 emissions.xlsx` of the JRC, or with the ending .zip the archive in which it comes."""
    first = next(iter(worlds.values()))
    sheets: dict[str, list[list[Cell]]] = {
        "Notes": [[], ["SYNTHETIC"], ["CO2 Emission in kt"]],
        "Sector": [[None, "Code", "Description"]],
    }
    for at, area in enumerate(first.areas):
        if area in without:
            continue
        by_year = [
            [*one.emissions.reshape(len(first.areas), -1)[at].tolist(), float(one.households[at])]
            for one in worlds.values()
        ]
        sheets["RoW" if area == "ROW" else area] = [
            ["", *map(str, worlds)],
            *([code, *v] for code, *v in zip((*first.sectors, "FC_HH"), *by_year, strict=True)),
        ]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("CO2 emissions.xlsx", written("CO2 emissions.xlsx", sheets))
    else:
        path.write_bytes(written(path.name, sheets))
    return path
