"""WIOD, the World Input-Output Database, releases 2013 and 2016, as downloaded.

One folder holds the years, a workbook each, by itself or in the archive it comes in (a workbook is
used if both are there):

- release 2013 (Timmer et al. 2015): `wiot09_row_sep12.xlsx`, 41 regions, 35 industries, 1995-2011;
- release 2016: `WIOT2014_Nov16_ROW.xlsb`, 44 regions, 56 industries, 2000-2014.

The layout of release 2013 is that of pymrio's parser, the one of release 2016 that of several
public programs that read it; neither was tried on a publisher's own table. The emission accounts
are those of `engine.readers.wiod_emissions`. Romania, ROM in some early years, is ROU in all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.balance import refuse_unbalanced
from engine.readers.fetched import here, listed, made_up
from engine.readers.files import located, refuse_absent, sha256
from engine.readers.opening import members
from engine.readers.selecting import conversion, refuse_none
from engine.readers.wiod_emissions import Emissions, emissions
from engine.readers.wiod_flows import AGAIN, Flows, flows_of
from engine.readers.workbooks import Workbook, workbook
from engine.stores.places import Remote

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_TABLES = {
    2013: re.compile(r"wiot(\d\d)_row_[a-z]{3}\d\d\.xlsx", re.IGNORECASE),
    2016: re.compile(r"WIOT(\d{4})_[a-z]+16_ROW\.xls[bx]", re.IGNORECASE),
}
_EXAMPLES = {2013: "wiot09_row_sep12.xlsx", 2016: "WIOT2014_Nov16_ROW.xlsb"}


@dataclass(frozen=True, slots=True)
class Stressor:
    """Where the emissions of one stressor come from.

    Attributes:
        accounts: the download in the folder: `AIR_may12.zip` or the folder unpacked from it,
            `CO2 emissions.xlsx` or the archive in which it comes.
        unit: the unit of the stressor, such as "kt".
        pollutant: as the accounts call it; empty: as the stressor is called.
        factor: `unit` per `file_unit`; must be given, be it 1, where the two differ.
        file_unit: the unit of the accounts, kt of CO2 and t of all else; empty: the same as `unit`.
    """

    __pydantic_config__ = _STRICT

    accounts: str
    unit: str
    pollutant: str = ""
    factor: float | None = None
    file_unit: str = ""

    def __post_init__(self) -> None:
        conversion(self.unit, self.file_unit, self.factor)


@dataclass(frozen=True, slots=True)
class Wiod:
    """A series of tables of WIOD.

    Attributes:
        path: the folder with the tables and the accounts, as downloaded.
        stressors: the accounts of each stressor, by name.
        release: 2013 or 2016.
    """

    __pydantic_config__ = _STRICT

    path: Path | Remote
    stressors: Mapping[str, Stressor]
    release: Literal[2013, 2016] = 2016

    def __post_init__(self) -> None:
        if self.release not in _TABLES:
            raise ConfigError(f"there is no release {self.release}", remedy="give 2013 or 2016")
        refuse_none(self.stressors)


def years(source: Wiod) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none, or two of one year.
    """
    return tuple(sorted(_files(source)))


def read(source: Wiod, year: int) -> MRIO:
    """The table of one year.

    Raises:
        TableError: the table or an account is missing, damaged or incomplete.
    """
    files = _files(source)
    refuse_absent(year, files, where=source.path)
    name, member = files[year]
    path = here(source.path / name)
    with workbook(path, member) as book, located(f"year {year}"):
        flows = flows_of(book.rows(_sheet(book, year)), source.release)
        refuse_unbalanced(
            flows.Z.sum(axis=1) + flows.Y.sum(axis=1),
            flows.output,
            flows.industries,
            "its output is stated as",
            AGAIN,
        )
    hashes = {name: sha256(path)}
    E, F_Y, notes = _emissions(source, year, flows, hashes)
    notes += [f"region {name} of the file is ROU" for name in flows.renamed]
    return MRIO(
        year=year,
        labels=Labels(
            regions=flows.regions,
            industries=flows.industries,
            stressors=tuple(source.stressors),
            stressor_units=tuple(stressor.unit for stressor in source.stressors.values()),
            currency=f"{flows.unit}, current basic prices",
        ),
        Z=flows.Z,
        Y=flows.Y,
        E=E,
        F_Y=F_Y,
        published_output=flows.output,
        provenance=Provenance(
            source="; ".join(["WIOD", *notes]),
            version=f"release {source.release}",
            licence="CC BY 4.0",
            synthetic=made_up(source.path),
            files=tuple(hashes.items()),
        ),
    )


def _files(source: Wiod) -> dict[int, tuple[str, str]]:
    """By year: the file in the folder, and which member of it, if it is an archive."""
    names = listed(source.path)
    found = _by_year(source, [(name, "") for name in names])
    archives = [name for name in names if re.fullmatch(r"wiots?.*\.zip", name, re.IGNORECASE)]
    inside = [(name, member) for name in archives for member in members(here(source.path / name))]
    found = _by_year(source, inside) | found
    if not found:
        raise TableError(
            f"holds no table of WIOD's release {source.release}",
            where=str(source.path),
            remedy="give the folder with the downloads under their own names, such as "
            f"{_EXAMPLES[source.release]} or WIOTS_in_EXCEL.zip",
        )
    return found


def _by_year(source: Wiod, files: list[tuple[str, str]]) -> dict[int, tuple[str, str]]:
    found: dict[int, tuple[str, str]] = {}
    for name, member in files:
        match = _TABLES[source.release].fullmatch(PurePosixPath(member or name).name)
        if match is None:
            continue
        year = int(match[1]) if len(match[1]) == 4 else 1970 + (int(match[1]) - 70) % 100
        if year in found:
            raise TableError(
                f"{' '.join(found[year]).strip()} and {name} {member}".strip()
                + f" are both of {year}",
                where=str(source.path),
                remedy="keep one table of each year in a folder",
            )
        found[year] = (name, member)
    return found


def _sheet(book: Workbook, year: int) -> str:
    """The sheet of the year, `2014` or `WIOT_2009`; the only one, if it names no year."""
    found = [name for name in book.sheets if str(year) in name]
    if not found and len(book.sheets) == 1 and not re.search(r"\d{4}", book.sheets[0]):
        found = book.sheets
    if len(found) != 1:
        raise TableError(
            f"has {len(found)} sheets of {year} (its sheets are {', '.join(book.sheets[:5])})",
            remedy="give each table the name it was downloaded under",
        )
    return found[0]


def _emissions(
    source: Wiod, year: int, flows: Flows, hashes: dict[str, str]
) -> tuple[F64, F64, list[str]]:
    """Emissions of industries (k,n) and of households (k,r), and what must be said of them."""
    E = np.empty((len(source.stressors), len(flows.industries)))
    F_Y = np.empty((len(source.stressors), len(flows.regions)))
    notes = []
    for place, (name, stressor) in enumerate(source.stressors.items()):
        with located(f"stressor {name}"):
            path = here(source.path / stressor.accounts)
            pollutant = stressor.pollutant or name
            found = emissions(path, year, pollutant, flows.industries)
            _refuse_unit(stressor, pollutant, found)
        E[place] = [found.industries[industry] for industry in flows.industries]
        F_Y[place] = [found.households[region] for region in flows.regions]
        factor = conversion(stressor.unit, stressor.file_unit, stressor.factor)
        E[place] *= factor
        F_Y[place] *= factor
        hashes |= dict(found.files)
        notes += [
            f"{name}: {words}" for words in (f"{pollutant} of {stressor.accounts}", *found.notes)
        ]
    return E, F_Y, notes


def _refuse_unit(stressor: Stressor, pollutant: str, found: Emissions) -> None:
    in_file = stressor.file_unit or stressor.unit
    if in_file != found.unit:
        raise TableError(
            f"{pollutant} is in {found.unit}, the stressor takes it for {in_file}",
            where=stressor.accounts,
            remedy="state the accounts' unit as file_unit, and the factor from it to unit",
        )
