"""OECD's ICIO tables and emission accounts, SYNTHETIC, in the layouts of the downloads."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TextIO

import numpy as np

from benchmarks.downloads.worlds import World, world

USES = ("HFCE", "NPISH", "GGFC", "GFCF", "INVNT", "DPABR")
_AREAS = (
    "ARG AUS AUT BEL BGD BGR BLR BRA BRN CAN CHE CHL CHN CIV CMR COL CRI CYP CZE DEU DNK EGY ESP "
    "EST FIN FRA GBR GRC HKG HRV HUN IDN IND IRL ISL ISR ITA JOR JPN KAZ KHM KOR LAO LTU LUX LVA "
    "MAR MEX MLT MMR MYS NGA NLD NOR NZL PAK PER PHL POL PRT ROU RUS SAU SEN SGP SVK SVN SWE THA "
    "TUN TUR TWN UKR USA VNM ZAF ROW"
)
AREAS = tuple(_AREAS.split())
SPLIT = {"MX1": "MEX", "MX2": "MEX", "CN1": "CHN", "CN2": "CHN"}
_INDUSTRIES = (
    "A01_02 A03 B05_06 B07_08 B09 C10T12 C13T15 C16 C17_18 C19 C20 C21 C22 C23 C24 C25 C26 C27 "
    "C28 C29 C30 C31T33 D E F G H49 H50 H51 H52 H53 I J58T60 J61 J62_63 K L M N O P Q R S T"
)
INDUSTRIES = tuple(_INDUSTRIES.split())


@dataclass(frozen=True, slots=True)
class Style:
    """How an edition writes: its name of a table, rows of taxes and value added, and totals."""

    taxes: Literal["TLS", "TAXSUB"]
    added: str
    row_total: str
    column_total: str
    uses: tuple[str, ...]


STYLES = {
    "2018": Style("TAXSUB", "VALU", "OUTPUT", "TOTAL", (*USES[:5], "P33")),
    "2021": Style("TAXSUB", "VALU", "OUTPUT", "TOTAL", USES),
    "2023": Style("TLS", "VA", "OUT", "OUT", USES),
    "2025": Style("TLS", "VA", "OUT", "OUT", USES),
}


def economy(
    year: int,
    areas: Sequence[str] = AREAS,
    industries: Sequence[str] = INDUSTRIES,
    *,
    extended: bool = False,
) -> World:
    """The year's economy: 45 industries of 77 areas if nothing else is said.

    In an extended one the industries of CHN and MEX are empty, those of CN1, CN2, MX1 and MX2 take
    their place, and final demand is CHN's and MEX's alone.
    """
    parts = [part for part, whole in SPLIT.items() if extended and whole in areas]
    made = world((*areas, *parts), industries, uses=len(USES), added=2, seed=year, decimals=3)
    if not parts:
        return made
    s, u = len(industries), len(USES)
    empty = np.repeat([area in SPLIT.values() for area in made.areas], s)
    Z = np.where(empty[:, None] | empty[None, :], 0.0, made.Z)
    Y = np.where(empty[:, None], 0.0, made.Y)
    households = made.households.copy()
    for part in parts:
        at, to = made.areas.index(part), made.areas.index(SPLIT[part])
        Y[:, to * u : (to + 1) * u] += Y[:, at * u : (at + 1) * u]
        Y[:, at * u : (at + 1) * u] = 0.0
        households[to] += households[at]
        households[at] = 0.0
    Y = np.round(Y, 3)
    left = Z.sum(axis=1) + Y.sum(axis=1) - Z.sum(axis=0)
    return replace(
        made,
        Z=Z,
        Y=Y,
        added=np.round(np.stack([0.1 * left, 0.9 * left]), 3),
        emissions=np.where(empty, 0.0, made.emissions),
        households=households,
    )


def write_table(
    folder: Path,
    year: int,
    world: World,
    *,
    edition: Literal["2018", "2021", "2023", "2025"] = "2023",
    archive: str = "",
    name: str = "",
) -> Path:
    """One table under the name of its download, or added to an archive of several years."""
    extended = any(area in SPLIT for area in world.areas)
    names = {
        "2018": f"ICIO2018_{year}.CSV",
        "2021": f"ICIO2021_{year}.csv",
        "2023": f"{year}.csv" if extended else f"{year}_SML.csv",
        "2025": f"{year}.csv" if extended else f"{year}_SML.csv",
    }
    member = name or names[edition]
    with _open(folder / (archive or member), member) as stream:
        for line in _matrix(world, STYLES[edition]):
            stream.write(line + "\n")
    return folder / (archive or member)


def _matrix(world: World, style: Style) -> Iterator[str]:
    industries = [f"{area}_{sector}" for area in world.areas for sector in world.sectors]
    consuming = [at for at, area in enumerate(world.areas) if area not in SPLIT]
    uses = [f"{world.areas[at]}_{use}" for at in consuming for use in style.uses]
    u = len(style.uses)
    Y = world.Y[:, [at * u + use for at in consuming for use in range(u)]]
    yield ",".join(["V1", *industries, *uses, style.column_total])
    for name, row, last in zip(industries, world.Z, Y, strict=True):
        yield ",".join([name, *map(_number, [*row, *last, row.sum() + last.sum()])])
    blank = [0.0] * len(uses)
    taxes, value = world.added
    if style.taxes == "TLS":
        yield ",".join(["TLS", *map(_number, [*taxes, *blank, taxes.sum()])])
    else:
        for at, area in enumerate(area for area in world.areas if area not in SPLIT):
            mine = taxes if at == 0 else np.zeros_like(taxes)
            yield ",".join([f"{area}_TAXSUB", *map(_number, [*mine, *blank, mine.sum()])])
    yield ",".join([style.added, *map(_number, [*value, *blank, value.sum()])])
    out = world.Z.sum(axis=0) + taxes + value
    yield ",".join([style.row_total, *map(_number, [*out, *Y.sum(axis=0), out.sum()])])


def _number(value: float) -> str:
    return "0" if value == 0 else f"{value:.6f}".rstrip("0").rstrip(".")


_ACCOUNTS = {  # how each of them begins
    "sdmx": "TIME_PERIOD,MEASURE,REF_AREA,ACTIVITY,UNIT_MEASURE,UNIT_MULT,OBS_VALUE\n",
    "scope": "TIME_PERIOD,MEASURE,EMISSIONS_ORIGIN_AREA,ACTIVITY,EMISSIONS_SCOPE,UNIT_MEASURE,"
    "UNIT_MULT,OBS_VALUE\n",
    "teco2": "\ufeffVAR|COU|PAR|IND|TIME|Value|Unit Code|PowerCode Code\n",
}


def write_account(
    path: Path,
    worlds: Mapping[int, World],
    *,
    form: Literal["sdmx", "scope", "teco2"] = "sdmx",
    measure: str = "PROD_GHG",
    rest: str = "WXD",
) -> Path:
    """Production-based emissions, in million tonnes, of areas as the accounts know them."""
    with _open(path, path.with_suffix(".csv").name) as stream:
        stream.write(_ACCOUNTS[form])
        for year, one in worlds.items():
            for area, values in _by_area(one).items():
                named = rest if area == "ROW" else area
                values["TOTAL"] = sum(values.values())
                for industry, value in values.items():
                    stream.writelines(_emitted(form, year, measure, named, industry, value))
    return path


def _emitted(
    form: str, year: int, measure: str, area: str, industry: str, value: float
) -> Iterator[str]:
    """The lines of one number, and of others beside it."""
    if form == "sdmx":
        code = {"TOTAL": "_T"}.get(industry, industry)
        yield f"{year},{measure},{area},{code},T_CO2E,6,{value:.9g}\n"
        yield f"{year},FD_GHG,{area},{code},T_CO2E,6,{2 * value:.9g}\n"
    elif form == "teco2":
        code = {"HH": "DMHH"}.get(industry, f"D{industry}")
        for partner, times in (("WLD", 1.0), ("AUS", 0.5)):
            number = f"{times * value:.9g}"
            yield f"{measure}|{area}|{partner}|{code}|{year}|{number}|TONNE|6\n"
    elif industry not in ("HH", "TOTAL"):
        for scope, times in (("S1", 1.0), ("S2", 0.2), ("S3U", 0.5), ("S3D", 0.4), ("_T", 2.1)):
            number = f"{times * value:.9g}"
            yield f"{year},{measure},{area},{industry},{scope},T_CO2E,6,{number}\n"


def _by_area(world: World) -> dict[str, dict[str, float]]:
    """By area and industry, the parts of CHN and MEX together, with HH."""
    found: dict[str, dict[str, float]] = {}
    emitted = world.emissions.reshape(len(world.areas), len(world.sectors))
    for a, area in enumerate(world.areas):
        mine = found.setdefault(SPLIT.get(area, area), {"HH": 0.0})
        mine["HH"] += float(world.households[a])
        for sector, value in zip(world.sectors, emitted[a], strict=True):
            mine[sector] = mine.get(sector, 0.0) + float(value)
    return found


@contextmanager
def _open(path: Path, member: str) -> Iterator[TextIO]:
    if path.suffix == ".zip":
        with (
            zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
            archive.open(member, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8") as stream,
        ):
            yield stream
    else:
        with path.open("w", encoding="utf-8") as stream:
            yield stream
