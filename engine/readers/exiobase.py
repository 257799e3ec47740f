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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import output, output_by_rounds
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.exiobase_accounts import (
    by_region,
    demand,
    ordered,
    published_output,
    selected,
    square,
)
from engine.readers.exiobase_release import AGAIN, Folder, Release, release
from engine.readers.fetched import here, listed, made_up
from engine.readers.files import located
from engine.readers.labelled import Name
from engine.readers.selecting import Rows, refuse_none, units_of
from engine.stores.places import Remote

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Exiobase3:
    """A series of tables of EXIOBASE 3.

    Attributes:
        path: the folder with the downloads. In an object store only the archives are read.
        extension: the extension that holds the stressors, such as "satellite" (to release 3.8) or
            "air_emissions" (from 3.9); a stressor may name another, such as "impacts" (to 3.8).
        stressors: the rows that make up each stressor, by name.
        system: classification, product by product or industry by industry.
    """

    __pydantic_config__ = _STRICT

    path: Path | Remote
    extension: str
    stressors: Mapping[str, Rows]
    system: Literal["pxp", "ixi"] = "pxp"

    def __post_init__(self) -> None:
        if self.system not in ("pxp", "ixi"):
            raise ConfigError(
                f"there is no system {self.system!r}", remedy='system is "pxp" or "ixi"'
            )
        refuse_none(self.stressors)


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
    flows = "Z" if core.has("Z") else "A"
    Z, industries = square(core, flows)
    Y, regions = demand(core, industries)
    if flows == "A":
        Z *= _output(Z, Y)
    inactive = {industries[at] for at in np.flatnonzero(output(Z, Y) <= 0)}
    notes = []
    E = np.empty((len(source.stressors), len(industries)))
    F_Y = np.zeros((len(source.stressors), len(regions)))
    for name, folder in used.items():
        chosen = {
            stressor: rows
            for stressor, rows in source.stressors.items()
            if (rows.extension or source.extension) == name
        }
        places = [place for place, stressor in enumerate(source.stressors) if stressor in chosen]
        with located(f"{name} F"):
            values, columns, filled = selected(folder, "F", chosen, units[name], inactive)
            E[places] = ordered(values.T, columns, industries).T
            notes += [_filled(name, len(filled))] if filled else []
        if direct := folder.direct():
            with located(f"{name} {direct}"):
                values, columns, _ = selected(folder, direct, chosen, units[name])
                F_Y[places] = by_region(values, columns, regions)
    published = published_output(core, industries) if core.has("x") else None
    Z.setflags(write=False)  # so that it need not be copied
    return MRIO(
        year=year,
        labels=Labels(
            regions=regions,
            industries=industries,
            stressors=tuple(source.stressors),
            stressor_units=units_of(source.stressors),
            currency=_currency(core, industries),
        ),
        Z=Z,
        Y=Y,
        E=E,
        F_Y=F_Y,
        published_output=published,
        provenance=replace(
            _provenance(
                core,
                source.system,
                flows,
                used,
                notes,
                str(metadata.get("version") or "not stated"),
            ),
            synthetic=made_up(source.path),
        ),
    )


def _filled(extension: str, count: int) -> str:
    """What is said of blanks that were read as zero."""
    some = "1 industry" if count == 1 else f"{count} industries"
    return (
        f"{extension} is blank for {some} without output, taken as zero: what an industry emits "
        "that sells nothing is in no footprint, unless it is folded with others"
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


def _currency(core: Folder, industries: Sequence[Name]) -> str:
    units = core.units()
    without = [" - ".join(name) for name in industries if " - ".join(name) not in units]
    if without:
        raise TableError(
            f"{without[0]} has no unit, nor have {len(without) - 1} more",
            where="unit",
            remedy=AGAIN,
        )
    found = sorted(set(units.values()))
    if len(found) != 1:
        raise TableError(
            f"the flows are in {len(found)} units ({', '.join(found[:5])})",
            remedy="use the monetary tables, all in one currency",
        )
    return f"{found[0]}, current basic prices"


def _provenance(
    core: Folder,
    system: str,
    flows: str,
    used: Mapping[str, Folder],
    filled: Sequence[str],
    version: str,
) -> Provenance:
    """Where it comes from, the same of all years, and what was assumed."""
    hashes = core.hashes([flows, "Y", "unit", *(["x"] if core.has("x") else [])])
    for folder in used.values():
        direct = [folder.direct()] if folder.direct() else []
        hashes |= folder.hashes(["F", "unit", *direct])
    named = f"extension{'s' if len(used) > 1 else ''} {', '.join(used)}"
    notes = list(filled)
    if flows == "A":
        notes.append("Z = A diag(x) with (I - A) x = Y 1, since Z is not given")
    notes += [
        f"no direct emissions of final consumers in {name}, taken as zero"
        for name, folder in used.items()
        if not folder.direct()
    ]
    return Provenance(
        source="; ".join([f"EXIOBASE 3, {system}, {named}", *notes]),
        version=version,
        licence=_licence(version),
        files=tuple(hashes.items()),
    )


def _licence(version: str) -> str:
    """That of a release; from 3.9 on the record's own text holds, which no archive has in it."""
    if re.match(r"v?3\.[3-8]", version):
        return "CC BY-SA 4.0"
    return "LICENSE.txt of the release's record on Zenodo; CC BY-SA 4.0 to 3.8.2"
