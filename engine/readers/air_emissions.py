"""Emission accounts of industries and households for FIGARO's tables, from Eurostat's datasets.

Two kinds of dataset hold them, told apart by their dimensions:

- the air emission accounts (`env_ac_ainah_r2`): by reporting country, industry and pollutant;
- the footprints made with FIGARO (`env_ac_ghgfp`, `env_ac_co2fp`, ...): by origin, industry and
  destination, a dataset a gas. Summed over destinations (`c_dest` WORLD) and uses (`na_item` TOTAL)
  they are the production accounts of all areas of FIGARO; by destination they are the published
  footprints. Those of methane and nitrous oxide are in CO2 equivalents.

Their codes of industries differ from the tables': `D` is `D35` there, `C10-C12` is `C10T12`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from engine.errors import TableError
from engine.readers.eurostat import Value, dimensions, observations

AREAS = {"EL": "GR", "UK": "GB", "WRL_REST": "FIGW1"}  # Eurostat's codes, and FIGARO's for them
HOUSEHOLDS, WORLD, TOTAL, TOTAL_HH = "HH", "WORLD", "TOTAL", "TOTAL_HH"
REST = "FIGW1"  # of the world: all countries that a table, or an account, does not know apart
_COUNTRY = re.compile(r"(?!EU|EA)[A-Z]{2}")  # no union, and no other sum of countries
_DATASET = re.compile(r"env_ac_([a-z0-9]+)fp", re.IGNORECASE)
_GASES = {  # of footprints, as the air emission accounts call them
    "ghg": "GHG", "co2": "CO2", "ch4": "CH4_CO2E", "n2o": "N2O_CO2E", "hfc": "HFC_CO2E",
    "pfc": "PFC_CO2E", "nf3sf6": "NF3_SF6_CO2E",
}  # fmt: skip
_RANGE = re.compile(r"([A-Z])([0-9]{2})([-_])\1([0-9]{2})")
_LETTERS = {"D": "D35", "O": "O84", "P": "P85"}
_WHOLE_SECTIONS = {"B05-B09": "B", "F41-F43": "F", "I55_I56": "I", "L68": "L", "U99": "U"}


def code(nace: str) -> str:
    """An industry's code in FIGARO's tables, from that of the accounts."""
    nace = _WHOLE_SECTIONS.get(nace, _LETTERS.get(nace, nace))
    if match := _RANGE.fullmatch(nace):
        letter, first, sign, last = match.groups()
        return f"{letter}{first}{'T' if sign == '-' else '_'}{last}"
    return nace


def not_apart(areas: Collection[str], known: Collection[str]) -> list[str]:
    """Countries of an account that are in the rest of the world of a table of some areas.

    Its own rest of the world is without them.
    """
    if REST not in known:
        return []
    return sorted(area for area in known if is_country(area) and area not in areas)


def is_country(area: str) -> bool:
    """Whether a code is a country's in FIGARO's spelling, which has GR for EL."""
    return bool(_COUNTRY.fullmatch(area)) and area not in AREAS


def gas_of(file: str) -> str | None:
    """Whose footprints a download holds, by its name, which alone tells; None where it does not."""
    dataset = _DATASET.search(file)
    return _GASES.get(dataset[1].lower()) if dataset else None


def production(
    path: Path, year: int, unit: str, pollutant: str | None = None
) -> dict[tuple[str, str], Value]:
    """What industries and households emitted, by area and industry as FIGARO names them.

    Args:
        path: a download of one of the two kinds of dataset.
        year: of which.
        unit: code of the unit wanted, such as THS_T.
        pollutant: code of the pollutant, which air emission accounts hold several of.

    Raises:
        TableError: the dataset is of neither kind, or holds no such unit, pollutant or year.
    """
    asked = {"unit": [unit]}
    if holds_footprints(path):
        asked |= {"c_dest": [WORLD], "na_item": [TOTAL]}
    else:
        if not pollutant:
            raise TableError(
                "holds several pollutants",
                where=str(path),
                remedy='name the one wanted, such as `pollutant = "GHG"`',
            )
        asked["airpol"] = [pollutant]
    return {
        (area, industry): value for (area, _, industry), value in _named(path, year, asked).items()
    }


def published(
    path: Path,
    year: int,
    unit: str,
    areas: Collection[str],
    industries: Collection[str],
    merge: Mapping[str, str] | None = None,
) -> tuple[dict[str, float], bool]:
    """The published footprints of areas: over all origins and industries, with households; and
    whether some of them are sums of several areas.

    An area is left out where one of its values is missing. With `merge`, what is an area's counts
    for the other one; what is that of a country that is none of the areas, for the rest of the
    world's. An area that the dataset has in its rest of the world cannot be counted with another
    one: both are left out.

    Raises:
        TableError: the dataset holds no footprints, or no such unit or year.
    """
    if not holds_footprints(path):
        raise TableError(
            "holds no footprints",
            where=str(path),
            remedy="give env_ac_ghgfp, env_ac_co2fp or another of their kind",
        )
    totals: dict[str, list[float | None]] = {}
    found = _named(path, year, {"unit": [unit], "na_item": [TOTAL]})
    moved = dict(merge or {})
    more = not_apart(areas, {origin for origin, _, _ in found}) if REST in areas else []
    moved |= dict.fromkeys(more, moved.get(REST, REST))
    wanted, known = {*industries, HOUSEHOLDS}, {*areas, *more}
    for (origin, destination, industry), value in found.items():
        if origin in known and destination in known and industry in wanted:
            totals.setdefault(moved.get(destination, destination), []).append(value.number)
    rest, named = moved.get(REST, REST), {destination for _, destination, _ in found}
    for area, other in (merge or {}).items():
        if area not in named and other != rest:
            totals |= {other: [None], rest: [None]}
    sums = {
        area: math.fsum(value for value in values if value is not None)
        for area, values in totals.items()
        if None not in values
    }
    return sums, not named.isdisjoint(moved)


def _named(
    path: Path, year: int, asked: Mapping[str, Collection[str]]
) -> dict[tuple[str, str, str], Value]:
    """Values by origin, destination (empty where there is none) and industry."""
    found = observations(path, year, asked)
    if not found.values:
        words = ", ".join(f"{name} {' '.join(codes)}" for name, codes in asked.items())
        raise TableError(
            f"holds nothing of {words}",
            where=f"{path}, year {year}",
            remedy="download the dataset with these codes in it",
        )
    at = {name: place for place, name in enumerate(found.dimensions)}
    values: dict[tuple[str, str, str], Value] = {}
    for key, value in found.values.items():
        origin, destination = (
            AREAS.get(key[at[name]], key[at[name]]) if name in at else ""
            for name in ("c_orig" if "c_orig" in at else "geo", "c_dest")
        )
        name = (origin, destination, code(key[at["nace_r2"]]))
        if name in values:  # D and D35, say, of one release that holds both
            if values[name] == value:
                continue
            raise TableError(
                f"{' '.join(name)} is there under two codes, with different values",
                where=f"{path}, year {year}",
                remedy="download the dataset with one of the codes",
            )
        values[name] = value
    return values


def holds_footprints(path: Path) -> bool:
    """Whether a download is of footprints; else it is of air emission accounts.

    Raises:
        TableError: it is of neither.
    """
    found = set(dimensions(path))
    if found == {"c_orig", "c_dest", "nace_r2", "na_item", "unit"}:
        return True
    if found == {"airpol", "nace_r2", "unit", "geo"}:
        return False
    raise TableError(
        f"has the dimensions {', '.join(sorted(found))}",
        where=str(path),
        remedy="give env_ac_ainah_r2, env_ac_ghgfp, env_ac_co2fp or another of their kind",
    )
