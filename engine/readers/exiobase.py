"""EXIOBASE 3, monetary, product by product or industry by industry, as downloaded.

One folder holds the years, each as the archive `IOT_{year}_{system}.zip` or a folder of that name
unpacked from it (the folder is used if both are there). What lies where in a release is in
`engine.readers.exiobase_release`. Of an extension only the rows selected are kept. Where Z is not
among the files it is `A diag(x)` with `(I - A) x = Y 1`; the provenance says so. Regions keep the
names in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import output_by_rounds
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.exiobase_release import AGAIN, Folder, Release, release
from engine.readers.fetched import here, listed
from engine.readers.files import located
from engine.readers.labelled import Name
from engine.readers.selections import Selection
from engine.stores.places import Remote

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Exiobase3:
    """A series of tables of EXIOBASE 3.

    Attributes:
        path: the folder with the downloads. In an object store only the archives are read.
        extension: the extension that holds the stressors, such as "satellite" (to release 3.8) or
            "air_emissions" (from 3.9); a stressor may name another, such as "impacts".
        stressors: the rows that make up each stressor, by name.
        system: classification, product by product or industry by industry.
    """

    __pydantic_config__ = _STRICT

    path: Path | Remote
    extension: str
    stressors: Mapping[str, Selection]
    system: Literal["pxp", "ixi"] = "pxp"

    def __post_init__(self) -> None:
        if self.system not in ("pxp", "ixi"):
            raise ConfigError(
                f"there is no system {self.system!r}", remedy='system is "pxp" or "ixi"'
            )
        if not self.stressors:
            raise ConfigError("no stressors are selected", remedy="select at least one")


def years(source: Exiobase3) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none.
    """
    name = re.compile(f"IOT_([0-9]{{4}})_{source.system}(\\.zip)?")
    matches = [name.fullmatch(file) for file in listed(source.path)]
    found = {int(match[1]) for match in matches if match}
    if not found:
        raise TableError(
            f"holds no IOT_YEAR_{source.system}.zip and no folder of that name",
            where=str(source.path),
            remedy="give the folder with the archives as downloaded, and pxp or ixi as they have",
        )
    return tuple(sorted(found))


def read(source: Exiobase3, year: int) -> MRIO:
    """The table of one year.

    Raises:
        TableError: the year is missing, or a file is missing, damaged, unsafe, or holds something
            else than the selection asks for. Nothing is repaired.
    """
    place = _place(source, year)
    if year not in years(source):
        raise TableError(
            f"there is no table of {year}",
            where=str(place),
            remedy=f"use one of {', '.join(map(str, years(source)))}",
        )
    with located(f"{place}, year {year}"):
        return _table(source, year, release(here(place)))


def _place(source: Exiobase3, year: int) -> Path | Remote:
    name = f"IOT_{year}_{source.system}"
    if isinstance(source.path, Remote):
        return source.path / f"{name}.zip"
    folder = source.path / name
    return folder if folder.is_dir() else folder.with_name(f"{folder.name}.zip")


def _table(source: Exiobase3, year: int, found: Release) -> MRIO:
    metadata = found.metadata()
    if str(metadata.get("system") or source.system).lower() != source.system:
        raise TableError(
            f"its metadata say it is {metadata['system']}, not {source.system}",
            remedy="give each archive the name it was downloaded under",
        )
    core = found.core
    used = {name: found.extension(name) for name in _extensions(source)}
    units = {name: folder.units() for name, folder in used.items()}
    currency = _currency(core)
    flows = "Z" if "Z" in core.accounts else "A"
    Z, industries = _square(core, flows)
    Y, regions = _demand(core, industries)
    E = np.empty((len(source.stressors), len(industries)))
    F_Y = np.zeros((len(source.stressors), len(regions)))
    for name, folder in used.items():
        mine = {
            place: chosen
            for place, chosen in enumerate(source.stressors.values())
            if (chosen.extension or source.extension) == name
        }
        with located(f"{name} F"):
            of_industries = _selected(folder, "F", mine, units[name])
            E[list(mine)] = _ordered(of_industries.values.T, of_industries.columns, industries).T
        if direct := folder.direct():
            with located(f"{name} {direct}"):
                of_consumers = _selected(folder, direct, mine, units[name])
                F_Y[list(mine)] = _by_region(of_consumers.values, of_consumers.columns, regions)
    output = _published(core, industries) if "x" in core.accounts else None
    if flows == "A":
        Z *= _output(Z, Y)
    return MRIO(
        year=year,
        labels=Labels(
            regions=regions,
            industries=industries,
            stressors=tuple(source.stressors),
            stressor_units=tuple(chosen.unit for chosen in source.stressors.values()),
            currency=currency,
        ),
        Z=Z,
        Y=Y,
        E=E,
        F_Y=F_Y,
        published_output=output,
        provenance=_provenance(core, used, str(metadata.get("version") or "not stated")),
    )


def _output(A: F64, Y: F64) -> F64:
    """`x` with `(I - A) x = Y 1`, (n,)."""
    try:
        return output_by_rounds(A, Y.sum(axis=1))
    except np.linalg.LinAlgError as error:
        raise TableError(
            "no output meets final demand: the rounds of A do not die out", remedy=AGAIN
        ) from error


def _extensions(source: Exiobase3) -> list[str]:
    """The extensions that hold stressors, each once."""
    chosen = source.stressors.values()
    return list(dict.fromkeys(one.extension or source.extension for one in chosen))


def _currency(core: Folder) -> str:
    found = sorted(set(core.units().values()))
    if len(found) != 1:
        raise TableError(
            f"the flows are in {len(found)} units ({', '.join(found[:5])})",
            remedy="use the monetary tables, all in one currency",
        )
    return f"{found[0]}, current basic prices"


def _square(core: Folder, account: str) -> tuple[F64, tuple[tuple[str, str], ...]]:
    """Z or A, (n,n), and its industries in the order of the columns."""
    table = core.read(account)
    with located(account):
        industries = tuple((region, sector) for region, sector in _pairs(table.columns))
        return _ordered(table.values, table.rows, industries), industries


def _demand(core: Folder, industries: Sequence[Name]) -> tuple[F64, tuple[str, ...]]:
    """Y by region, (n,r), and the regions in the order of its columns."""
    table = core.read("Y", most_rows=len(industries))
    with located("Y"):
        regions = tuple(dict.fromkeys(region for region, _ in _pairs(table.columns)))
        by_region = _by_region(table.values, table.columns, regions)
        return _ordered(by_region, table.rows, industries), regions


def _published(core: Folder, industries: Sequence[Name]) -> F64:
    """The publisher's own output, (n,)."""
    x = core.read("x", most_rows=len(industries))
    with located("x"):
        if len(x.columns) != 1:
            raise TableError(f"has {len(x.columns)} columns, not one", remedy=AGAIN)
        return _ordered(x.values, x.rows, industries)[:, 0]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What was selected of an account, (selections, columns), in the selections' units."""

    values: F64
    columns: tuple[Name, ...]


def _selected(
    folder: Folder, account: str, chosen: Mapping[int, Selection], units: Mapping[str, str]
) -> _Rows:
    """The rows of an account that are selected; the others are read and forgotten."""
    columns = folder.columns(account)
    wanted = {row for selection in chosen.values() for row in selection.rows}
    names: list[str] = []
    kept: dict[str, F64] = {}
    for found, values in folder.batches(account):
        for name, row in zip((" - ".join(parts) for parts in found), values, strict=True):
            names.append(name)
            if name in wanted:
                kept[name] = row.copy()
    for selection in chosen.values():
        selection.refuse_others(names, units)
    for name, row in kept.items():
        if np.isnan(row).any():
            place = int(np.isnan(row).argmax())
            raise TableError(
                f"cell ({name}, {' '.join(columns[place])}) holds no number, nor do "
                f"{int(np.isnan(row).sum()) - 1} more",
                remedy=f"{AGAIN}; a missing value is never read as zero",
            )
    sums = [
        selection.factor * np.stack([kept[row] for row in selection.rows]).sum(axis=0)
        for selection in chosen.values()
    ]
    return _Rows(np.stack(sums), columns)


def _pairs(names: Sequence[Name]) -> Sequence[Name]:
    """The names, which must be of two parts, a region's first."""
    if len(names[0]) != 2:
        raise TableError(
            f"its columns have names of {len(names[0])} parts, not a region and another",
            remedy=AGAIN,
        )
    return names


def _ordered(values: F64, found: Sequence[Name], wanted: Sequence[Name]) -> F64:
    """Rows of `values`, named `found`, in the order `wanted`; as they are if they have it."""
    if tuple(found) == tuple(wanted):
        return values
    at = {name: place for place, name in enumerate(found)}
    known = set(wanted)
    for said, wrong in {
        "is missing": [name for name in wanted if name not in at],
        "is not among the columns of the flows": [name for name in found if name not in known],
        "is there twice": [name for place, name in enumerate(found) if at[name] != place],
    }.items():
        if wrong:
            raise TableError(
                f"{' '.join(wrong[0])} {said}, and {len(wrong) - 1} more", remedy=AGAIN
            )
    ordered: F64 = values[[at[name] for name in wanted]]
    return ordered


def _by_region(values: F64, columns: Sequence[Name], regions: Sequence[str]) -> F64:
    """Columns summed by region, (rows, r), from those by region and category."""
    region_of = np.array([region for region, _ in _pairs(columns)])
    if set(region_of) != set(regions):
        odd = sorted(set(region_of) ^ set(regions))
        raise TableError(
            f"regions differ between final demand and its emissions: {', '.join(odd)}",
            remedy=AGAIN,
        )
    if len(set(columns)) < len(columns):
        raise TableError("a column of final demand is there twice", remedy=AGAIN)
    total: F64 = np.stack([values[:, region_of == r].sum(axis=1) for r in regions], axis=1)
    return total


def _provenance(core: Folder, used: Mapping[str, Folder], version: str) -> Provenance:
    """Where it comes from, and what was assumed."""
    files = {"Z" if "Z" in core.accounts else "A", "Y", "unit", *{"x"} & set(core.accounts)}
    hashes = core.hashes(sorted(files))
    for folder in used.values():
        direct = [folder.direct()] if folder.direct() else []
        hashes |= folder.hashes(["F", "unit", *direct])
    named = f"extension{'s' if len(used) > 1 else ''} {', '.join(used)}"
    notes = []
    if "Z" not in core.accounts:
        notes.append("Z = A diag(x) with (I - A) x = Y 1, since Z is not given")
    notes += [
        f"no direct emissions of final consumers in {name}, taken as zero"
        for name, folder in used.items()
        if not folder.direct()
    ]
    return Provenance(
        source="; ".join([f"EXIOBASE 3, {core.place.name}, {named}", *notes]),
        version=version,
        licence="CC BY-SA 4.0",
        files=tuple(hashes.items()),
    )
