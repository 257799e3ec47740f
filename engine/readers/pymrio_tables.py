"""Tables that pymrio parses: EXIOBASE 3 as downloaded, and the test table pymrio carries.

EXIOBASE 3 lies in one folder, each year as the archive `IOT_{year}_{system}.zip` or a folder of
that name unpacked from it (the folder is used if both are there). Only the accounts needed are
loaded: those of the whole archive take three times the memory. Where Z is not among the files it
is `A diag(x)` with `(I - A) x = Y 1`; the provenance says so. Regions keep the names in the file.

pymrio reads archives without unpacking them, but it would also unpickle and follow any path that
an archive's own `file_parameters.json` asks for, so that file is checked before pymrio sees it.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd
import pymrio
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import required_output
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.fetched import here, listed
from engine.readers.files import located, read_bytes, refuse_unsafe, sha256
from engine.readers.nearest import nearest
from engine.stores.places import Remote

_PARAMETERS = "file_parameters.json"
_DIRECT = ("F_Y", "F_hh")  # direct emissions of final consumers, now and in older releases
# For whoever parses these specs from text: a misspelt `factor` must not quietly become 1.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_AGAIN = "the files are damaged, incomplete or not as downloaded: fetch them again"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of an extension make up a stressor.

    Attributes:
        rows: names of the rows, summed; parts of a name that has several are joined by " - ".
        unit: the unit of the stressor.
        factor: `unit` per `file_unit`.
        file_unit: the unit the rows must have in the file; empty: the same as `unit`.
    """

    __pydantic_config__ = _STRICT

    rows: tuple[str, ...]
    unit: str
    factor: float = 1.0
    file_unit: str = ""

    def __post_init__(self) -> None:
        if not self.rows or len(set(self.rows)) < len(self.rows):
            raise ConfigError(
                f"the rows {self.rows} are none, or one is named twice",
                remedy="name every row of the extension that belongs to the stressor once",
            )
        if not (np.isfinite(self.factor) and self.factor > 0):
            raise ConfigError(
                f"the factor is {self.factor}", remedy="give a positive number, such as 1e-6"
            )
        if (self.factor == 1) != (self.file_unit in ("", self.unit)):
            raise ConfigError(
                f"a factor of {self.factor} does not go with {self.file_unit!r} -> {self.unit!r}",
                remedy="state file_unit, the unit in the file, and the factor together, or neither",
            )


@dataclass(frozen=True, slots=True)
class Pymrio:
    """A series of tables that pymrio parses.

    Attributes:
        database: "exiobase3", or "test", pymrio's own made-up table.
        extension: the extension that holds the stressors, such as "satellite" or "emissions".
        stressors: the rows that make up each stressor, by name.
        path: the folder with the downloads of EXIOBASE 3; None for the test table. In an object
            store only the archives are read.
        system: classification of EXIOBASE 3, product by product or industry by industry.
        year: the year the test table is taken for, since it states none; None for EXIOBASE 3.
    """

    __pydantic_config__ = _STRICT

    database: Literal["test", "exiobase3"]
    extension: str
    stressors: Mapping[str, Selection]
    path: Path | Remote | None = None
    system: Literal["pxp", "ixi"] = "pxp"
    year: int | None = None

    def __post_init__(self) -> None:
        if self.database not in ("test", "exiobase3") or self.system not in ("pxp", "ixi"):
            raise ConfigError(
                f"there is no database {self.database!r} with system {self.system!r}",
                remedy='database is "test" or "exiobase3", system "pxp" or "ixi"',
            )
        if not self.stressors:
            raise ConfigError("no stressors are selected", remedy="select at least one")
        needs = {"test": ("year", "path"), "exiobase3": ("path", "year")}
        needed, useless = needs[self.database]
        if getattr(self, needed) is None or getattr(self, useless) is not None:
            raise ConfigError(
                f"database {self.database!r} needs {needed} and takes no {useless}",
                remedy=f"give {needed}, leave out {useless}",
            )


@dataclass(frozen=True, slots=True)
class _Files:
    """What pymrio loaded of one year, its core accounts and one extension, and where from."""

    core: Any
    extension: Any
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of EXIOBASE 3 below `place`, itself a folder or an archive: its file by account."""

    place: Path
    name: str
    files: Mapping[str, str]

    def load(self, accounts: Sequence[str]) -> Any:
        """What pymrio makes of the `accounts`."""
        if self.place.is_dir():
            return pymrio.load(self.place / self.name, subset=list(accounts))
        return pymrio.load(self.place, path_in_arc=self.name, subset=list(accounts))


def years(source: Pymrio) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none.
    """
    if source.path is None:
        return (source.year,) if source.year is not None else ()
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


def read(source: Pymrio, year: int) -> MRIO:
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
        try:
            files = _test(source) if isinstance(place, str) else _exiobase3(source, here(place))
            return _table(source, year, files)
        except (TableError, MemoryError):
            raise
        except Exception as error:  # pymrio and pandas raise anything over damaged files
            raise TableError(
                f"cannot be parsed ({type(error).__name__}: {error})", remedy=_AGAIN
            ) from error


def _place(source: Pymrio, year: int) -> Path | Remote | str:
    if source.path is None:
        return "pymrio's test table"
    name = f"IOT_{year}_{source.system}"
    if isinstance(source.path, Remote):
        return source.path / f"{name}.zip"
    folder = source.path / name
    return folder if folder.is_dir() else folder.with_name(f"{folder.name}.zip")


def _test(source: Pymrio) -> _Files:
    core = pymrio.load_test()
    names = list(core.get_extensions())
    if source.extension not in names:
        raise TableError(
            f"has no extension {source.extension!r}", remedy=nearest(source.extension, names)
        )
    provenance = Provenance(
        source="pymrio's test table, made-up numbers",
        version=f"pymrio {pymrio.__version__}",
        licence="as pymrio, LGPL-3.0",
        synthetic=True,
    )
    return _Files(core, getattr(core, source.extension), provenance)


def _exiobase3(source: Pymrio, place: Path) -> _Files:
    core, extension = _folders(place, source.extension)
    flows = "Z" if "Z" in core.files else "A"
    direct = next((name for name in _DIRECT if name in extension.files), "")
    of_core = [flows, "Y", "unit", *(["x"] if "x" in core.files else [])]
    of_extension = ["F", "unit", *([direct] if direct else [])]
    hashes = {**_hashes(core, of_core), **_hashes(extension, of_extension)}
    table = core.load(of_core)
    if str(table.meta.system or source.system).lower() != source.system:
        raise TableError(
            f"its metadata say it is {table.meta.system}, not {source.system}",
            remedy="give each archive the name it was downloaded under",
        )
    notes = [] if flows == "Z" else ["Z = A diag(x) with (I - A) x = Y 1, since Z is not given"]
    notes += [] if direct else ["no direct emissions of final consumers, taken as zero"]
    provenance = Provenance(
        source="; ".join([f"EXIOBASE 3, {place.name}, extension {source.extension}", *notes]),
        version=str(table.meta.version or "not stated"),
        licence="CC BY-SA 4.0",
        files=tuple(hashes.items()),
    )
    return _Files(table, extension.load(of_extension), provenance)


def _folders(place: Path, extension: str) -> tuple[_Folder, _Folder]:
    """The folders of the core accounts and of the extension."""
    parameters = _parameters(place)
    cores = [name for name, content in parameters.items() if content["systemtype"] == "IOSystem"]
    if len(cores) != 1:
        raise TableError(f"holds {len(cores)} tables, not one", remedy=_AGAIN)
    inside = f"{cores[0]}/" if cores[0] else ""
    if f"{inside}{extension}" not in parameters:
        others = [n.removeprefix(inside) for n in parameters if n != cores[0]]
        raise TableError(f"has no extension {extension!r}", remedy=nearest(extension, others))
    return (
        _Folder(place, cores[0], _names(parameters[cores[0]])),
        _Folder(place, f"{inside}{extension}", _names(parameters[f"{inside}{extension}"])),
    )


def _parameters(place: Path) -> dict[str, Any]:
    """The content of every file_parameters.json, by the folder it describes."""
    if place.is_dir():
        found = {
            file.parent.relative_to(place).as_posix(): read_bytes(file)
            for file in (place / _PARAMETERS, *sorted(place.glob(f"*/{_PARAMETERS}")))
        }
    else:
        with zipfile.ZipFile(place) as archive:
            refuse_unsafe(archive, "")
            names = [PurePosixPath(name) for name in archive.namelist()]
            found = {
                name.parent.as_posix(): archive.read(str(name))
                for name in names
                if name.name == _PARAMETERS
            }
    return {"" if name == "." else name: json.loads(data) for name, data in found.items()}


def _names(parameters: Any) -> dict[str, str]:
    """The file of every account; plain names of text files only, as EXIOBASE has them."""
    names = {str(account): str(file["name"]) for account, file in parameters["files"].items()}
    for account, name in names.items():
        if not re.fullmatch(r"[\w.-]+\.(txt|tsv|csv)", name):
            raise TableError(
                f"{_PARAMETERS} asks for {name!r} as account {account}",
                remedy="use the archive as downloaded, whose accounts are text files beside it",
            )
    return names


def _hashes(folder: _Folder, accounts: Sequence[str]) -> dict[str, str]:
    """Hash of the archive, or of each file of the `accounts`, which must end where a line ends.

    In an archive the checksum of each member shows whether it is whole.
    """
    missing = [account for account in accounts if account not in folder.files]
    if missing:
        raise TableError(f"{folder.name or 'the core'} has no account {missing[0]}", remedy=_AGAIN)
    if not folder.place.is_dir():
        return {folder.place.name: sha256(folder.place)}
    hashes = {}
    for name in (_PARAMETERS, *(folder.files[account] for account in accounts)):
        path = folder.place / folder.name / name
        hashes[path.relative_to(folder.place.parent).as_posix()] = sha256(path)
        if path.suffix != ".json" and not _ends_a_line(path):
            raise TableError(f"{name} ends in the middle of a line", remedy=_AGAIN)
    return hashes


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b"\n"


def _table(source: Pymrio, year: int, files: _Files) -> MRIO:
    core, extension = files.core, files.extension
    flows = core.A if core.Z is None else core.Z
    industries = _labels(flows.columns)
    _refuse_other("rows of the flows", _labels(flows.index), industries)
    _refuse_other("rows of Y", _labels(core.Y.index), industries)
    _refuse_other("columns of F", _labels(extension.F.columns), industries)
    regions = tuple(dict.fromkeys(region for region, *_ in _labels(core.Y.columns)))
    labels = Labels(
        regions=regions,
        industries=tuple((region, sector) for region, sector in industries),
        stressors=tuple(source.stressors),
        stressor_units=tuple(selection.unit for selection in source.stressors.values()),
        currency=_currency(core.unit),
    )
    Y = _by_region(_numbers(core.Y, "Y"), core.Y.columns, regions)
    direct = next(
        (f for f in (getattr(extension, n, None) for n in _DIRECT) if f is not None), None
    )
    selected = [_rows(extension.F, extension.unit, chosen) for chosen in source.stressors.values()]
    F_Y = np.zeros((len(selected), len(regions)))
    if direct is not None:
        of_consumers = [_rows(direct, extension.unit, s) for s in source.stressors.values()]
        F_Y = _by_region(np.stack(of_consumers), direct.columns, regions)
    return MRIO(
        year=year,
        labels=labels,
        Z=_numbers(core.Z, "Z") if core.Z is not None else _flows(_numbers(core.A, "A"), Y),
        Y=Y,
        E=np.stack(selected),
        F_Y=F_Y,
        published_output=None if core.x is None else _numbers(core.x, "x")[:, 0],
        provenance=files.provenance,
    )


def _flows(A: F64, Y: F64) -> F64:
    """`Z = A diag(x)` with `(I - A) x = Y 1`, (n,n), from A (n,n) and Y (n,r)."""
    x = required_output(A, Y.sum(axis=1, keepdims=True))
    flows: F64 = A * x.T
    return flows


def _labels(index: Any) -> list[tuple[str, ...]]:
    """The names along an axis, each a tuple of texts, also where pandas read numbers."""
    return [tuple(map(str, name if isinstance(name, tuple) else (name,))) for name in index]


def _refuse_other(
    what: str, found: Sequence[tuple[str, ...]], wanted: Sequence[tuple[str, ...]]
) -> None:
    for place, (one, other) in enumerate(zip_longest(found, wanted)):
        if one != other:
            names = [" ".join(name) if name else "absent" for name in (one, other)]
            raise TableError(
                f"number {place + 1} of the {what} is {names[0]}, of the columns of the flows "
                f"{names[1]}",
                remedy=_AGAIN,
            )


def _currency(unit: Any) -> str:
    found = sorted(set(unit["unit"].astype(str)))
    if len(found) != 1:
        raise TableError(
            f"the flows are in {len(found)} units ({', '.join(found[:5])})",
            remedy="use the monetary tables, all in one currency",
        )
    return f"{found[0]}, current basic prices"


def _by_region(values: F64, columns: Any, regions: Sequence[str]) -> F64:
    """Columns summed by region, (rows, r), from those by region and category."""
    region_of = np.array([region for region, *_ in _labels(columns)])
    if set(region_of) != set(regions):
        odd = sorted(set(region_of) ^ set(regions))
        raise TableError(
            f"regions differ between final demand and its emissions: {', '.join(odd)}",
            remedy=_AGAIN,
        )
    total: F64 = np.stack([values[:, region_of == r].sum(axis=1) for r in regions], axis=1)
    return total


def _rows(frame: Any, unit: Any, selection: Selection) -> F64:
    """The sum of the selected rows of an extension's account in `selection.unit`, (columns,)."""
    names = [" - ".join(name) for name in _labels(frame.index)]
    units = _units(unit)
    in_file = selection.file_unit or selection.unit
    for row in selection.rows:
        if names.count(row) != 1:
            raise TableError(
                f"the extension has {names.count(row)} rows {row!r}", remedy=nearest(row, names)
            )
        if units.get(row) != in_file:
            raise TableError(
                f"row {row!r} is in {units.get(row)}, the selection takes it for {in_file}",
                remedy="state the row's unit as file_unit, and the factor from it to unit",
            )
    chosen = frame.iloc[[names.index(row) for row in selection.rows]]
    total: F64 = selection.factor * _numbers(chosen, "the extension").sum(axis=0)
    return total


def _units(unit: Any) -> dict[str, str]:
    """Unit by row; the files hold it as a column or as part of the row's name."""
    flat = unit.reset_index()
    units = flat.pop("unit").astype(str)
    return dict(zip((" - ".join(map(str, name)) for name in flat.to_numpy()), units, strict=True))


def _numbers(frame: Any, name: str) -> F64:
    """The cells as float64; one that is not a finite number is refused, with its row and column."""
    try:
        values: F64 = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        cell = [
            " ".join(_labels(axis)[at])
            for axis, at in ((frame.index, row), (frame.columns, column))
        ]
        raise TableError(
            f"cell ({', '.join(cell)}) of {name} is {str(frame.iat[row, column])!r}, "
            f"and {len(bad) - 1} cells more are not finite numbers",
            remedy="numbers need a point, not a comma; a missing value is never read as zero",
        )
    return values
