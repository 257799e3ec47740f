"""FIGARO, Eurostat's inter-country input-output tables, as downloaded, with its emission accounts.

One folder holds the years, of one edition, in either of the published layouts, zipped or not:

- a matrix, `matrix_eu-ic-io_ind-by-ind_25ed_2020.csv`: rows AREA_INDUSTRY and six of value added
  and taxes (`W2_D1`, ...), columns AREA_INDUSTRY and AREA_P3_S13, P3_S14, P3_S15, P51G, P5M;
- a flat file, `flatfile_eu-ic-io_ind-by-ind_25ed_2020.zip`: a row a cell.

Areas and industries are read from the names, so that editions of 46 and of 50 areas are read
alike. Emissions come from downloads of Eurostat's datasets (`engine.readers.air_emissions`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance
from engine.readers import air_emissions, figaro_official, flat, labelled
from engine.readers.air_emissions import HOUSEHOLDS
from engine.readers.eurostat import Value, flags_in_words
from engine.readers.fetched import here, listed
from engine.readers.figaro_flows import Flows, flows_of, merged
from engine.readers.files import located, sha256
from engine.readers.labelled import Labelled, Layout
from engine.readers.official import Official
from engine.stores.places import Remote

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_FILE = re.compile(
    r"(matrix|flatfile)_eu-ic-io_(ind-by-ind|prod-by-prod)(?:_(\d\d)ed)?_(\d{4})(?:_(v\d+))?"
    r"\.(?:csv|zip|csv\.gz)",
    re.IGNORECASE,
)
_SYSTEMS = {"ixi": "ind-by-ind", "pxp": "prod-by-prod"}
_COLUMNS = ("icioiRow", "icioiCol", "refArea", "rowIi", "counterpartArea", "colIi", "obsValue")


@dataclass(frozen=True, slots=True)
class Stressor:
    """Where the emissions of one stressor come from.

    Attributes:
        accounts: downloads of Eurostat's datasets; each area is taken from the first that has a
            value for all its industries that produce anything.
        unit: the unit of the stressor, such as "kt CO2-eq".
        factor: `unit` per `file_unit`.
        file_unit: Eurostat's code of the unit in the datasets.
        pollutant: code of the pollutant in air emission accounts, such as GHG, CO2 or CH4.
        footprints: a download of published footprints, which the table's own are held against;
            if not given, the first of the accounts that holds any.
    """

    __pydantic_config__ = _STRICT

    accounts: tuple[str, ...]
    unit: str
    factor: float = 1.0
    file_unit: str = "THS_T"
    pollutant: str | None = None
    footprints: str | None = None

    def __post_init__(self) -> None:
        if not self.accounts:
            raise ConfigError("no accounts are named", remedy="name at least one download")
        if not (np.isfinite(self.factor) and self.factor > 0):
            raise ConfigError(
                f"the factor is {self.factor}", remedy="give a positive number, such as 1e-3"
            )


@dataclass(frozen=True, slots=True)
class Figaro:
    """A series of FIGARO's tables.

    Attributes:
        path: the folder with the tables and the accounts, as downloaded.
        stressors: the accounts of each stressor, by name.
        system: industry by industry, or product by product.
        merge: areas that are counted with another one, such as AL with FIGW1, where the accounts
            know fewer areas than the tables.
    """

    __pydantic_config__ = _STRICT

    path: Path | Remote
    stressors: Mapping[str, Stressor]
    system: Literal["ixi", "pxp"] = "ixi"
    merge: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.stressors:
            raise ConfigError("no stressors are named", remedy="name at least one")
        for area, other in self.merge.items():
            if other in self.merge:
                raise ConfigError(
                    f"{area} is merged with {other}, which is merged itself",
                    remedy="name the area that stays",
                )


def years(source: Figaro) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none, or two of one year.
    """
    return tuple(sorted(_files(source)))


def read(source: Figaro, year: int) -> MRIO:
    """The table of one year.

    Raises:
        TableError: the table or an account is missing, damaged or incomplete.
    """
    files = _files(source)
    if year not in files:
        raise TableError(
            f"holds no table of {year}",
            where=str(source.path),
            remedy=f"use one of {', '.join(map(str, sorted(files)))}",
        )
    name, layout, edition = files[year]
    path = here(source.path / name)
    with located(f"{path}, year {year}"):
        flows = merged(flows_of(_cells(path, layout)), source.merge)
    hashes = {name: sha256(path)}
    E, F_Y, notes = _emissions(source, year, flows, hashes)
    return MRIO(
        year=year,
        labels=Labels(
            regions=flows.areas,
            industries=flows.industries,
            stressors=tuple(source.stressors),
            stressor_units=tuple(stressor.unit for stressor in source.stressors.values()),
            currency="million EUR, current basic prices",
        ),
        Z=flows.Z,
        Y=flows.Y,
        E=E,
        F_Y=F_Y,
        published_output=flows.output,
        provenance=Provenance(
            source="; ".join([f"FIGARO, {_SYSTEMS[source.system]}", *notes]),
            version=edition,
            licence="CC BY 4.0 (Eurostat)",
            files=tuple(hashes.items()),
        ),
    )


def official(source: Figaro, year: int, labels: Labels) -> tuple[Official, ...]:
    """The footprints that Eurostat publishes, of the stressors it publishes them of.

    Raises:
        TableError: a download is missing or damaged, or lacks the year or the unit.
    """
    found = (
        figaro_official.footprints(
            source.path,
            name,
            (stressor.footprints,) if stressor.footprints else stressor.accounts,
            stressor.file_unit,
            stressor.factor,
            year,
            labels,
            source.merge,
        )
        for name, stressor in source.stressors.items()
    )
    return tuple(one for one in found if one is not None)


def traps(source: Figaro) -> tuple[str, ...]:
    """What to beware of in these tables."""
    products = (figaro_official.PRODUCTS,) if source.system == "pxp" else ()
    return products + figaro_official.TRAPS


def _files(source: Figaro) -> dict[int, tuple[str, str, str]]:
    """By year: the file, which layout it has, and the edition."""
    found: dict[int, tuple[str, str, str]] = {}
    for name in listed(source.path):
        match = _FILE.fullmatch(name)
        if match is None or match[2].lower() != _SYSTEMS[source.system]:
            continue
        year, edition = int(match[4]), f"20{match[3]} edition" if match[3] else "2022 edition"
        if year in found:
            raise TableError(
                f"{found[year][0]} and {name} are both of {year}",
                where=str(source.path),
                remedy="keep one edition and one layout of each year in a folder",
            )
        edition = " ".join(filter(None, [edition, match[5]]))
        found[year] = (name, match[1].lower(), edition)
    if not found:
        raise TableError(
            f"holds no {_SYSTEMS[source.system]} table of FIGARO",
            where=str(source.path),
            remedy="give the folder with the downloads under their own names, such as "
            f"matrix_eu-ic-io_{_SYSTEMS[source.system]}_25ed_2020.csv",
        )
    return found


def _cells(path: Path, layout: str) -> Labelled:
    """Numbers by AREA_INDUSTRY, from either layout."""
    if layout == "matrix":
        return labelled.read(path, Layout())
    return flat.read(path, _COLUMNS, row=0, column=1, value=6)


def _emissions(
    source: Figaro, year: int, flows: Flows, hashes: dict[str, str]
) -> tuple[F64, F64, list[str]]:
    """Emissions of industries (k,n) and of households (k,r), and what must be said of them."""
    E = np.empty((len(source.stressors), len(flows.industries)))
    F_Y = np.empty((len(source.stressors), len(flows.areas)))
    notes = ["products bear the emissions of their industries"] if source.system == "pxp" else []
    for place, (name, stressor) in enumerate(source.stressors.items()):
        with located(f"stressor {name}"):
            accounts = {}
            for file in stressor.accounts:
                path = here(source.path / file)
                hashes[file] = sha256(path)
                accounts[file] = air_emissions.production(
                    path, year, stressor.file_unit, stressor.pollutant
                )
            E[place], F_Y[place], said = _of_stressor(accounts, flows, year)
        E[place] *= stressor.factor
        F_Y[place] *= stressor.factor
        notes += [f"{name}: {words}" for words in said]
    return E, F_Y, notes


def _of_stressor(
    accounts: Mapping[str, Mapping[tuple[str, str], Value]], flows: Flows, year: int
) -> tuple[F64, F64, list[str]]:
    """Each area from the first account that has it whole."""
    producing = dict(zip(flows.industries, flows.output > 0, strict=True))
    taken: dict[str, str] = {}
    lacking: dict[str, list[str]] = {}
    for area in flows.areas:
        needed = [sector for (where, sector), any_ in producing.items() if where == area and any_]
        for file, account in accounts.items():
            missing = [
                code
                for code in (*needed, HOUSEHOLDS)
                if account.get((area, code), Value(None)).number is None
            ]
            if not missing:
                taken[area] = file
                break
            lacking.setdefault(area, missing)
    unmet = [area for area in flows.areas if area not in taken]
    if unmet:
        area = unmet[0]
        raise TableError(
            f"no account has all of {area}: {_some(lacking[area])} missing or confidential"
            + (f"; nor of {_some(unmet[1:])}" if unmet[1:] else ""),
            where=f"{', '.join(accounts)}, year {year}",
            remedy="add an account that has them (env_ac_ghgfp has all areas), or `merge` areas "
            "that it does not know apart",
        )

    def value(area: str, code: str) -> float:
        number = accounts[taken[area]].get((area, code), Value(None)).number
        return 0.0 if number is None else number

    E = np.array([value(area, sector) for area, sector in flows.industries])
    F_Y = np.array([value(area, HOUSEHOLDS) for area in flows.areas])
    used = {file: [area for area in flows.areas if taken[area] == file] for file in accounts}
    notes = [f"{file} for {_some(areas)}" for file, areas in used.items() if areas]
    read = [*flows.industries, *((area, HOUSEHOLDS) for area in flows.areas)]
    used_values = (accounts[taken[area]].get((area, code)) for area, code in read)
    flagged = flags_in_words(value.flags for value in used_values if value is not None)
    notes += [f"values flagged {flagged}"] if flagged else []
    return E, F_Y, notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more
