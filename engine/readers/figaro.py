"""FIGARO, Eurostat's inter-country input-output tables, as downloaded, with its emission accounts.

One folder holds the years, of one edition, in either of the published layouts, zipped or not:

- a matrix, `matrix_eu-ic-io_ind-by-ind_25ed_2020.csv`: rows AREA_INDUSTRY and six of value added
  and taxes (`W2_D1`, ...), columns AREA_INDUSTRY and AREA_P3_S13, P3_S14, P3_S15, P51G, P5M;
- a flat file, `flatfile_eu-ic-io_ind-by-ind_25ed_2020.zip`: a row a cell; how the columns of that
  of products are called rests on one public program.

Areas and industries are read from the names, so that editions of 46 and of 50 areas are read
alike. The layouts are those of several public programs that read them; neither was tried on a
publisher's own table. Emissions come from downloads of Eurostat's datasets
(`engine.readers.air_emissions`). A folder with a file named `SYNTHETIC` holds made-up tables.
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
from engine.readers.air_emissions import HOUSEHOLDS, REST
from engine.readers.fetched import here, listed, made_up
from engine.readers.figaro_emissions import emitted, files_of, notes_of, off_totals, some, taken
from engine.readers.figaro_flows import Flows, flows_of, merged
from engine.readers.files import located, refuse_absent, sha256
from engine.readers.labelled import Layout
from engine.readers.masses import refuse_not_positive, refuse_wrong_prefix
from engine.readers.official import Official
from engine.readers.selecting import refuse_none
from engine.stores.places import Remote

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_FILE = re.compile(
    r"(matrix|flatfile)_eu-ic-io_(ind-by-ind|prod-by-prod)(?:_(\d\d)ed)?_(\d{4})(?:_(v\d+))?"
    r"\.(?:csv|zip|csv\.gz)",
    re.IGNORECASE,
)
_SYSTEMS = {"ixi": "ind-by-ind", "pxp": "prod-by-prod"}
_COLUMNS = {  # of flat files
    "ixi": ("icioiRow", "icioiCol", "refArea", "rowIi", "counterpartArea", "colIi", "obsValue"),
    "pxp": ("iciopRow", "iciopCol", "refArea", "rowPp", "counterpartArea", "colPp", "obsValue"),
}

Used = tuple[str, str, tuple[str, ...]]  # a stressor, an account, and the areas that are from it


@dataclass(frozen=True, slots=True)
class Stressor:
    """Where the emissions of one stressor come from.

    Attributes:
        accounts: downloads of Eurostat's datasets; each area is taken from the first that has a
            value for all its industries that produce anything.
        unit: the unit of the stressor, such as "kt CO2-eq".
        factor: `unit` per `file_unit`.
        file_unit: Eurostat's code of the unit in the datasets.
        pollutant: code of the pollutant in air emission accounts, such as GHG, CO2 or CH4_CO2E.
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
        refuse_not_positive(self.factor)
        refuse_wrong_prefix(self.unit, self.factor, self.file_unit)
        files = filter(None, [*self.accounts, self.footprints])
        gases = {self.pollutant, *map(air_emissions.gas_of, files)} - {None}
        if len(gases) > 1:
            raise ConfigError(
                f"is of several gases: {', '.join(sorted(map(str, gases)))}",
                where=", ".join(self.accounts),
                remedy="name accounts, `pollutant` and footprints of one; those of methane and "
                "nitrous oxide (env_ac_ch4fp, env_ac_n2ofp) are in CO2 equivalents",
            )


@dataclass(frozen=True, slots=True)
class Figaro:
    """A series of FIGARO's tables.

    Attributes:
        path: the folder with the tables and the accounts, as downloaded.
        stressors: the accounts of each stressor, by name.
        system: industry by industry, or product by product.
        merge: areas that are counted with another one, such as AL with FIGW1, where the accounts
            know fewer areas than the tables. A country that a table does not know apart is in its
            FIGW1 already.
    """

    __pydantic_config__ = _STRICT

    path: Path | Remote
    stressors: Mapping[str, Stressor]
    system: Literal["ixi", "pxp"] = "ixi"
    merge: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        refuse_none(self.stressors)
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
    refuse_absent(year, files, where=source.path)
    name, layout, edition = files[year]
    path = here(source.path / name)
    flows = _flows(path, layout, source.system)
    needed = _producing(flows)
    already = _in_the_rest(source.merge, flows.areas)
    merge = {area: other for area, other in source.merge.items() if area not in already}
    with located(str(path)):
        flows = merged(flows, merge)
    flows.Z.setflags(write=False)  # so that it need not be copied
    hashes = {name: sha256(path)}
    E, F_Y, notes, accounts = _emissions(source, year, flows, merge, needed, hashes)
    if already:
        notes.append(f"{some(already)} not apart in the tables: in their {REST} already")
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
            licence=_licence(source, accounts),
            synthetic=made_up(source.path),
            files=tuple(hashes.items()),
            accounts=tuple(accounts),
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
        mixed = [other for other, _, known in found.values() if not known.startswith(edition)]
        if mixed:
            raise TableError(
                f"{mixed[0]} and {name} are of different editions",
                where=str(source.path),
                remedy="keep one edition in a folder: editions differ by revisions, which a change "
                "between years of two of them would show",
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


def _in_the_rest(merge: Mapping[str, str], areas: Sequence[str]) -> list[str]:
    """Countries to count with the rest of the world, of which a table does so itself."""
    return [
        area
        for area, other in merge.items()
        if other == REST and REST in areas
        if area not in areas and air_emissions.is_country(area)
    ]


def _flows(path: Path, layout: str, system: str) -> Flows:
    """The monetary part, from either layout; the numbers by AREA_INDUSTRY are let go."""
    if layout == "matrix":
        cells = labelled.read(path, Layout())
    else:
        row, column, seller, sold, buyer, bought, _ = _COLUMNS[system]
        parts = {row: (seller, sold), column: (buyer, bought)}
        cells = flat.read(path, _COLUMNS[system], row=row, column=column, parts=parts)
    with located(str(path)):
        return flows_of(cells)


def _producing(flows: Flows) -> dict[str, list[str]]:
    """By area, what must have a value in its account: all that produces, and households."""
    found: dict[str, list[str]] = {area: [] for area in flows.areas}
    for (area, sector), output in zip(flows.industries, flows.output, strict=True):
        found[area] += [sector] if output > 0 else []
    return {area: [*sectors, HOUSEHOLDS] for area, sectors in found.items()}


def _emissions(
    source: Figaro,
    year: int,
    flows: Flows,
    merge: Mapping[str, str],
    needed: Mapping[str, Sequence[str]],
    hashes: dict[str, str],
) -> tuple[F64, F64, list[str], list[Used]]:
    """Emissions of industries (k,n) and of households (k,r), what must be said of them, and the
    accounts that each stressor's areas are from.
    """
    E = np.empty((len(source.stressors), len(flows.industries)))
    F_Y = np.empty((len(source.stressors), len(flows.areas)))
    notes = ["products bear the emissions of their industries"] if source.system == "pxp" else []
    parts = {area: [area] for area in flows.areas}
    for area, other in merge.items():
        parts[other].append(area)
    notes += [f"{some(more)} counted with {area}" for area, (_, *more) in parts.items() if more]
    households = [(area, HOUSEHOLDS) for area in flows.areas]
    sectors = list(dict.fromkeys(sector for _, sector in flows.industries))
    used: list[Used] = []
    for place, (name, stressor) in enumerate(source.stressors.items()):
        accounts = {}
        with located(f"stressor {name}"):
            for file in stressor.accounts:
                path = here(source.path / file)
                hashes[file] = sha256(path)
                accounts[file] = air_emissions.production(
                    path, year, stressor.file_unit, stressor.pollutant
                )
            found = taken(accounts, parts, needed, year)
            off = off_totals(found, sectors)
        E[place] = stressor.factor * emitted(found, flows.industries)
        F_Y[place] = stressor.factor * emitted(found, households)
        said = [*notes_of(found, [*flows.industries, *households]), *_taken_for(source, stressor)]
        notes += [f"{name}: {words}" for words in (*said, *off)]
        used += [(name, file, areas) for file, areas in files_of(found).items()]
    return E, F_Y, notes, used


def _taken_for(source: Figaro, stressor: Stressor) -> list[str]:
    """Footprints whose file does not say of which gas they are, beside accounts of one."""
    if stressor.pollutant is None:
        return []
    return [
        f"{file} is taken for {stressor.pollutant}: its name tells no gas"
        for file in stressor.accounts
        if air_emissions.gas_of(file) is None
        and air_emissions.holds_footprints(here(source.path / file))
    ]


def _licence(source: Figaro, accounts: Sequence[Used]) -> str:
    """Eurostat's, which is not that of all it publishes: footprints' emissions outside Europe."""
    files = list(dict.fromkeys(file for _, file, _ in accounts))
    made = [file for file in files if air_emissions.holds_footprints(here(source.path / file))]
    iea = f"; of the IEA's data in {', '.join(made)}, CC BY-NC-ND 4.0" if made else ""
    return f"CC BY 4.0 (Eurostat){iea}"
