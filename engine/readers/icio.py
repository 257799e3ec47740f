"""OECD's Inter-Country Input-Output tables (ICIO), as downloaded, with OECD's emission accounts.

One folder holds the years of one edition, zipped or not, in any of the published layouts:

- 2016 and 2018: an archive a year, `ICIO2018_2010.zip`, with `ICIO2018_2010.CSV` in it;
- 2021: an archive of several years, `ICIO_2015-2018.zip`, with `ICIO2021_2018.csv`;
- 2023 and 2025: an archive of several years, `2016-2022_SML.zip` (regular) or
  `ICIO-2016-2020-extended.zip`, with `2022_SML.csv` or `2022.csv`, or with an archive a year,
  `2018.zip`, in which that is.

Every table is a matrix of AREA_INDUSTRY, with columns of final demand (AREA_HFCE, ...; HFCE_AREA
in 2016) and rows of value added, taxes and output. Areas, industries and uses are read from the
names. Extended tables split the industries of China (CN1, CN2) and Mexico (MX1, MX2) by whether
they process for export; final demand is CHN's and MEX's alone.

The layouts of the extended tables and of 2025 rest on documentation and on what users of the files
have published, not on a file that was seen here.
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
from engine.readers import icio_flows, oecd_emissions
from engine.readers.balance import refuse_unbalanced
from engine.readers.fetched import here, listed, made_up
from engine.readers.files import located, refuse_absent, sha256
from engine.readers.icio_flows import Flows
from engine.readers.masses import refuse_not_positive, refuse_wrong_prefix
from engine.readers.nested import unpacked
from engine.readers.opening import members
from engine.readers.selecting import refuse_none
from engine.stores.places import Place, Remote

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_OF_YEAR = re.compile(
    r"(?:ICIO(?P<edition>20\d\d)_)?(?P<year>(?:19|20)\d\d)(?P<form>[._](?:SML|EXT))?"
    r"\.(?P<kind>csv|zip|csv\.gz)",
    re.IGNORECASE,
)
_OF_YEARS = re.compile(
    r"(?:ICIO(?:20\d\d)?[-_])?(?:19|20)\d\d-(?:19|20)\d\d(?:[-_](?:SML|EXT|small|extended))?\.zip",
    re.IGNORECASE,
)
# The first industry of an edition, by which a table tells which one it belongs to.
_EDITIONS = {
    "C01T05AGR": "2016 edition",
    "01T03": "2018 edition",
    "01T02": "2021 edition",
    "A01_02": "2023 edition",
    "A01": "2025 edition",
}
_LICENCES = {  # of what was published since July 2024
    "2025 edition": "OECD Terms and Conditions, by default CC BY 4.0",
}


@dataclass(frozen=True, slots=True)
class Stressor:
    """Where the emissions of one stressor come from.

    Attributes:
        account: OECD's download: `DF_MAIN.csv` or `DF_SCOPE.csv` of the greenhouse gas footprints,
            or its archive, or the bulk file of an earlier dataset (TECO2, `IO_GHG_2021`).
        unit: the unit of the stressor, such as "Mt CO2-eq".
        measure: OECD's code of production-based emissions: PROD_GHG, PROD_CO2, ...; S1 of
            `DF_SCOPE.csv`.
        factor: `unit` per `file_unit`, after the account's own power of ten; must be given where
            the two differ, be it 1.
        file_unit: OECD's code of the account's unit, such as T_CO2E; `unit` itself if left out. An
            account that states no units is taken to be in it.
        households: the account's code of what final consumers emit themselves; where left out HH
            or DMHH; `none` where the account has them nowhere, and they are taken as zero.
        without: areas that the account does not know, taken as emitting nothing.
    """

    __pydantic_config__ = _STRICT

    account: str
    unit: str
    measure: str
    factor: float | None = None
    file_unit: str | None = None
    households: str | None = None
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.factor is None and self.file_unit not in (None, self.unit):
            raise ConfigError(
                f"no factor from {self.file_unit!r} to {self.unit!r}",
                remedy="state the factor, 1 if they are the same",
            )
        if self.factor is not None:
            refuse_not_positive(self.factor)
            if self.file_unit is not None:
                refuse_wrong_prefix(self.unit, self.factor, self.file_unit)


@dataclass(frozen=True, slots=True)
class Icio:
    """A series of OECD's ICIO tables.

    Attributes:
        path: the folder with the tables and the accounts, as downloaded.
        stressors: the account of each stressor, by name.
        split: what becomes of the industries of CN1, CN2, MX1 and MX2 of an extended table:
            `folded` adds them up to those of CHN and MEX; `kept` leaves them apart, as industries
            `29 CN2` of CHN, with its emissions divided by output.
    """

    __pydantic_config__ = _STRICT

    path: Path | Remote
    stressors: Mapping[str, Stressor]
    split: Literal["folded", "kept"] = "folded"

    def __post_init__(self) -> None:
        refuse_none(self.stressors)


@dataclass(frozen=True, slots=True)
class _File:
    """A table of one year: a file, or a member of an archive, which may be one itself."""

    name: str
    member: str = ""

    def __str__(self) -> str:
        return f"{self.name}, {self.member}" if self.member else self.name

    def flows(self, path: Path, *, keep_split: bool) -> Flows:
        """What it holds; `path` is where it lies."""
        if not self.member.lower().endswith(".zip"):
            return icio_flows.read(path, self.member, keep_split=keep_split)
        with unpacked(path, self.member) as inner:
            return icio_flows.read(inner, "", keep_split=keep_split)


def years(source: Icio) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none, or two of one year.
    """
    return tuple(sorted(_files(source.path)))


def read(source: Icio, year: int) -> MRIO:
    """The table of one year.

    Raises:
        TableError: the table or an account is missing, damaged or incomplete.
    """
    files = _files(source.path)
    refuse_absent(year, files, where=source.path)
    file = files[year]
    path = here(source.path / file.name)
    with located(f"{path}, year {year}"):
        flows = file.flows(path, keep_split=source.split == "kept")
        refuse_unbalanced(
            flows.Z.sum(axis=1) + flows.Y.sum(axis=1),
            flows.output,
            flows.industries,
            "its output is stated as",
            icio_flows.AGAIN,
        )
    hashes = {file.name: sha256(path)}
    E, F_Y, notes = _emissions(source, year, flows, hashes)
    edition = next((name for code, name in _EDITIONS.items() if code in flows.codes), "")
    flows.Z.setflags(write=False)  # so that it need not be copied
    return MRIO(
        year=year,
        labels=Labels(
            regions=flows.areas,
            industries=flows.industries,
            stressors=tuple(source.stressors),
            stressor_units=tuple(stressor.unit for stressor in source.stressors.values()),
            currency="million USD, current basic prices",
        ),
        Z=flows.Z,
        Y=flows.Y,
        E=E,
        F_Y=F_Y,
        published_output=flows.output,
        provenance=Provenance(
            source="; ".join(["OECD ICIO", *flows.notes, *notes]),
            version=edition or "edition not recognised",
            licence=_LICENCES.get(edition, "OECD Terms and Conditions"),
            synthetic=made_up(source.path),
            files=tuple(hashes.items()),
            lacking=tuple(
                (name, area) for name, one in source.stressors.items() for area in one.without
            ),
        ),
    )


def _files(folder: Place) -> dict[int, _File]:
    """By year: the file, or the archive and its member."""
    found: dict[int, _File] = {}

    def add(year: int, file: _File) -> None:
        if year in found:
            raise TableError(
                f"{found[year]} and {file} are both of {year}",
                where=str(folder),
                remedy="keep one edition, in one form (regular or extended), in a folder",
            )
        found[year] = file

    for name in listed(folder):
        if match := _OF_YEAR.fullmatch(name):
            add(int(match["year"]), _File(name))
        elif _OF_YEARS.fullmatch(name):
            for member in members(here(folder / name)):
                if match := _OF_YEAR.fullmatch(PurePosixPath(member).name):
                    add(int(match["year"]), _File(name, member))
                elif member.lower().endswith(".zip"):
                    raise TableError(
                        f"holds the archive {member}, whose name is of no year",
                        where=str(folder / name),
                        remedy="unpack it, and put the tables into the folder in its place",
                    )
    if not found:
        raise TableError(
            "holds no ICIO table",
            where=str(folder),
            remedy="give the folder with the downloads under their own names, such as "
            "2016-2022_SML.zip or ICIO2018_2010.zip",
        )
    return found


def _emissions(
    source: Icio, year: int, flows: Flows, hashes: dict[str, str]
) -> tuple[F64, F64, list[str]]:
    """Emissions of industries (k,n) and of consumers (k,r), and what must be said of them."""
    E = np.zeros((len(source.stressors), len(flows.industries)))
    F_Y = np.zeros((len(source.stressors), len(flows.areas)))
    notes: list[str] = []
    for place, (name, stressor) in enumerate(source.stressors.items()):
        path = here(source.path / stressor.account)
        hashes[stressor.account] = sha256(path)
        with located(f"{path}, year {year}, stressor {name}"):
            account = oecd_emissions.production(
                path, year, stressor.measure, stressor.file_unit, stressor.unit
            )
            factor = 1.0 if stressor.factor is None else stressor.factor
            unit = account.unit or stressor.file_unit or stressor.unit
            told = unit if account.unit else f"no stated unit, taken for {unit}"
            if unit == stressor.unit and factor != 1:
                raise TableError(
                    f"is in {told}, the stressor's own unit, and the factor is {factor}",
                    remedy="state the account's unit as `file_unit` beside the factor, or neither",
                )
            found = oecd_emissions.matched(account, flows, stressor.households, stressor.without)
        E[place] = found.industries * factor
        F_Y[place] = found.households * factor
        notes += [f"{name}: {stressor.account}, {stressor.measure} in {told}"]
        notes += [f"{name}: {words}" for words in found.notes]
    return E, F_Y, notes
