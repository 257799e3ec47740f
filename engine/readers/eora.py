"""Eora26, the version of Eora with 26 sectors in every country, in basic prices, as downloaded.

One folder holds the years, each as `Eora26_2015_bp.zip` or unpacked, in the folder itself or in one
called `2015` or `Eora26_2015_bp`. A year is text files of tab-separated numbers without names:

- `Eora26_2015_bp_T.txt`: intermediate deliveries; `_FD`: final demand; `_VA`: value added;
- `Eora26_2015_bp_Q.txt`: satellite accounts of industries; `_QY`: of final consumers;
- `labels_T.txt`, `labels_FD.txt`, `labels_VA.txt`, `labels_Q.txt`: what the rows and columns are,
  in the archive, or for all years in `indices.zip` or beside it.

So names cannot tell whether rows were reordered; their numbers are checked.

The region ROW is none: its one row and column are statistical discrepancies, what it takes to
balance the table. They are left out, as pymrio and most users do, or kept as an industry and
consumer that emits nothing; what they amount to is said with the table. Row sums then differ from
column sums, which is reported as for any table.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from pydantic import ConfigDict

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.fetched import here, listed, made_up
from engine.readers.files import located, refuse_absent, sha256
from engine.readers.folding import Columns
from engine.readers.nameless import Sheet, Size, numbers
from engine.readers.nearest import nearest
from engine.readers.opening import members, opened
from engine.readers.selecting import (
    Rows,
    Selected,
    refuse_extensions,
    refuse_none,
    selected,
    units_of,
)
from engine.stores.places import Place, Remote

DISCREPANCIES = "ROW"
_NAME = re.compile(r"Eora26_((?:19|20)\d\d)_bp(\.zip|_T\.txt|)", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_UNIT = re.compile(r"\(([^()]*)\)")
_PARTS = ("T", "FD", "VA", "Q", "QY")
_LABELS = ("T", "FD", "VA", "Q")
_AGAIN = "download the year again, with its labels"


@dataclass(frozen=True, slots=True)
class Eora26:
    """A series of Eora26's tables.

    Attributes:
        path: the folder with the years, as downloaded.
        stressors: the rows of `labels_Q.txt` that make up each stressor, by name; a row is called
            `Total CO2 emissions (Gg) from EDGAR - Total`, and its unit is what stands in brackets.
        discrepancies: whether the statistical discrepancies, ROW, are left out or kept.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

    path: Path | Remote
    stressors: Mapping[str, Rows]
    discrepancies: Literal["left out", "kept"] = "left out"

    def __post_init__(self) -> None:
        refuse_none(self.stressors)
        refuse_extensions(self.stressors)


@dataclass(frozen=True, slots=True)
class _Names:
    """What the rows and columns are.

    Attributes:
        industries: (region, sector) of the rows and columns of T.
        demand: the region of each column of FD.
        accounts, units: of the rows of Q.
        added: how many rows of value added there are.
    """

    industries: tuple[tuple[str, str], ...]
    demand: tuple[str, ...]
    accounts: tuple[str, ...]
    units: tuple[str, ...]
    added: int


def years(source: Eora26) -> tuple[int, ...]:
    """The years there are tables of, ascending.

    Raises:
        TableError: there are none, or two of one year.
    """
    return tuple(sorted(_holders(source.path)))


def read(source: Eora26, year: int) -> MRIO:
    """The table of one year.

    Raises:
        TableError: a file is missing, damaged, or of another size than its labels.
    """
    with located(f"{source.path}, year {year}"):
        sheets = _sheets(source.path, _holder(source.path, year), year)
        sides = _sides(_names(sheets), source.discrepancies == "kept")
        chosen = selected(source.stressors, sides.names.accounts, sides.names.units)
        n, kept = len(sides.names.industries), list(sides.kept)
        columns, lost = np.zeros(n), np.zeros(n)
        Z = _flows(_rows(sheets["T"], n, n), n, sides.inputs, kept, columns, lost)
        width = len(sides.names.demand)
        Y = _flows(_rows(sheets["FD"], n, width), width, sides.finals, kept, None, lost)
        for _, rows in _rows(sheets["VA"], sides.names.added, n):
            columns += rows.sum(axis=0)
        height = len(sides.names.accounts)
        E = _sums(_rows(sheets["Q"], height, n), n, chosen)
        F_Y = _sums(_rows(sheets["QY"], height, width), width, chosen)
    gone = sorted(set(range(n)) - set(kept))
    emitted = E[:, gone].sum(axis=1) + np.delete(F_Y, sides.finals.taken, axis=1).sum(axis=1)
    notes = [_note(source, float(lost[kept].sum()), columns[gone].sum(), emitted)] if gone else []
    paths = dict.fromkeys(sheet.path for sheet in sheets.values())
    Z.setflags(write=False)  # so that it need not be copied
    return MRIO(
        year=year,
        labels=Labels(
            regions=sides.regions,
            industries=tuple(sides.names.industries[at] for at in kept),
            stressors=tuple(source.stressors),
            stressor_units=units_of(source.stressors),
            currency="thousand USD, current basic prices",
        ),
        Z=Z,
        Y=Y,
        E=sides.inputs.of(E),
        F_Y=sides.finals.of(F_Y),
        published_output=columns[kept],
        provenance=Provenance(
            source="; ".join(["Eora26", *notes]),
            version="",
            licence="Eora's licence: academic use with a login, commercial use by agreement",
            synthetic=made_up(source.path),
            files=tuple((path.name, sha256(path)) for path in paths),
        ),
    )


def variances(source: Eora26, year: int, sheets: Mapping[str, str]) -> dict[str, F64]:
    """Squares of standard deviations added up as their values are: Z, Y, E and F_Y, as asked.

    Args:
        sheets: by part (T, FD, Q, QY): the file of its standard deviations, in the same place.

    Raises:
        TableError: as of `read`; or a deviation is negative.
    """
    with located(f"{source.path}, year {year}"):
        holder = _holder(source.path, year)
        sides = _sides(_names(_sheets(source.path, holder, year)), source.discrepancies == "kept")
        chosen = selected(source.stressors, sides.names.accounts, sides.names.units).squared()
        there = _inside(source.path / holder if holder else source.path, year)
        n, width, height = (
            len(names)
            for names in (sides.names.industries, sides.names.demand, sides.names.accounts)
        )
        found: dict[str, F64] = {}
        for part, name in sheets.items():
            if name.lower() not in there:
                raise TableError(f"has no file {name}", remedy=nearest(name, there))
            of_demand, flows = part in ("FD", "QY"), part in ("T", "FD")
            across = width if of_demand else n
            squares = _squared(there[name.lower()], n if flows else height, across)
            columns = sides.finals if of_demand else sides.inputs
            quantity = {"T": "Z", "FD": "Y", "Q": "E", "QY": "F_Y"}[part]
            found[quantity] = (
                _flows(squares, across, columns, sides.kept, None, np.zeros(n))
                if flows
                else columns.of(_sums(squares, across, chosen))
            )
    return found


def _squared(sheet: Sheet, height: int, width: int) -> Iterator[tuple[int, F64]]:
    for first, rows in _rows(sheet, height, width):
        if (rows < 0).any():
            raise TableError("has negative deviations", where=sheet.where, remedy=_AGAIN)
        yield first, rows**2


@dataclass(frozen=True, slots=True)
class _Sides:
    """What of the files is in a table, and where.

    Attributes:
        names: of the files.
        kept: the rows of T that are industries of the table.
        regions: of the table.
        inputs: T's columns.
        finals: FD's columns.
    """

    names: _Names
    kept: tuple[int, ...]
    regions: tuple[str, ...]
    inputs: Columns
    finals: Columns


def _sides(names: _Names, keep: bool) -> _Sides:
    kept = [at for at, (name, _) in enumerate(names.industries) if keep or name != DISCREPANCIES]
    regions = tuple(dict.fromkeys(names.industries[at][0] for at in kept))
    place = {region: at for at, region in enumerate(regions)}
    wanted = [at for at, region in enumerate(names.demand) if region in place]
    return _Sides(
        names,
        tuple(kept),
        regions,
        Columns(kept, range(len(kept)), len(kept)),
        Columns(wanted, [place[names.demand[at]] for at in wanted], len(regions)),
    )


def _flows(
    batches: Iterable[tuple[int, F64]],
    width: int,
    columns: Columns,
    kept: Sequence[int],
    sums: F64 | None,
    lost: F64,
) -> F64:
    """Rows that are kept, with their columns added up; also what columns are lost of each row.

    Args:
        sums: what every column adds up to is added to it, in place, where it is given.
        lost: what the columns that are not taken add up to is added to it, in place.
    """
    total: F64 = np.zeros((len(kept), columns.size))
    place = {row: at for at, row in enumerate(kept)}
    gone = np.setdiff1d(np.arange(width), np.asarray(columns.taken))
    for first, rows in batches:
        if sums is not None:
            sums += rows.sum(axis=0)
        lost[first : first + len(rows)] += rows[:, gone].sum(axis=1)
        found = columns.of(rows)
        mine = [at for at in range(len(rows)) if first + at in place]
        total[[place[first + at] for at in mine]] = found[mine]
    return total


def _sums(batches: Iterable[tuple[int, F64]], width: int, chosen: Selected) -> F64:
    """Stressors by column, (k, width)."""
    total: F64 = np.zeros((chosen.stressors, width))
    for first, rows in batches:
        chosen.add(total, first, rows)
    return total


def _rows(sheet: Sheet, height: int, width: int) -> Iterator[tuple[int, F64]]:
    return numbers(sheet, "\t", Size(height, width, "the labels"))


def _note(source: Eora26, delivered: float, bought: float, emitted: F64) -> str:
    """What is left out with the discrepancies."""
    told = [
        f"{amount:.6g} {asked.unit} {name}"
        for (name, asked), amount in zip(source.stressors.items(), emitted, strict=True)
    ]
    return (
        f"statistical discrepancies ({DISCREPANCIES}) left out: {delivered:.6g} thousand USD are "
        f"delivered to them, their column adds up to {bought:.6g}, they emit {', '.join(told)}"
    )


def _holders(folder: Place) -> dict[int, str]:
    """By year: the archive or folder that holds it, by its name in the folder; the folder is ''."""
    found: dict[int, str] = {}
    for name in listed(folder):
        match = _NAME.fullmatch(name)
        inside = isinstance(folder, Path) and (folder / name).is_dir()
        if match and match[2] and not inside:
            year, holder = int(match[1]), name if match[2].lower() == ".zip" else ""
        elif inside and (_YEAR.fullmatch(name) or (match and not match[2])):
            year, holder = int(match[1] if match else name), name
        else:
            continue
        if year in found:
            raise TableError(
                f"{found[year] or 'the folder'} and {holder or 'the folder'} both hold {year}",
                where=str(folder),
                remedy="keep one of them",
            )
        found[year] = holder
    if not found:
        raise TableError(
            "holds no Eora26 in basic prices",
            where=str(folder),
            remedy="give the folder with the downloads under their own names, such as "
            "Eora26_2015_bp.zip",
        )
    return found


def _holder(folder: Place, year: int) -> str:
    holders = _holders(folder)
    refuse_absent(year, holders, what="Eora26")
    return holders[year]


def _sheets(folder: Place, holder: str, year: int) -> dict[str, Sheet]:
    """Every file of a year, by its part or `labels_...`; all labels are from one place."""
    place = folder / holder if holder else folder
    available = _inside(place, year)
    if not any(name.startswith("labels_") for name in available):
        available |= _beside(place) or _beside(folder)
    wanted = {part: f"Eora26_{year}_bp_{part}.txt" for part in _PARTS}
    wanted |= {f"labels_{part}": f"labels_{part}.txt" for part in _LABELS}
    missing = [name for name in wanted.values() if name.lower() not in available]
    if missing:
        raise TableError(f"lacks {', '.join(missing)}", remedy=_AGAIN)
    return {part: available[name.lower()] for part, name in wanted.items()}


def _inside(place: Place, year: int) -> dict[str, Sheet]:
    """The text files of an archive or folder, by their names in small letters."""
    if place.name.lower().endswith(".zip"):
        path = here(place)
        found: dict[str, Sheet] = {}
        for member in members(path):
            name = PurePosixPath(member).name.lower()
            if name in found:
                raise TableError(f"holds {name} twice", where=str(path), remedy=_AGAIN)
            found[name] = Sheet(path, member)
        return found
    names = listed(place)
    archive = f"Eora26_{year}_bp.zip"
    if archive in names:
        return _inside(place / archive, year)
    texts = [name for name in names if name.lower().endswith(".txt")]
    return {name.lower(): Sheet(here(place / name)) for name in texts}


def _beside(place: Place) -> dict[str, Sheet]:
    """Labels that lie beside the archives, for all years."""
    if place.name.lower().endswith(".zip"):
        return {}
    names = listed(place)
    if "indices.zip" in names:
        return _inside(place / "indices.zip", 0)
    labels = [name for name in names if name.startswith("labels_") and name.endswith(".txt")]
    return {name.lower(): Sheet(here(place / name)) for name in labels}


def _names(sheets: Mapping[str, Sheet]) -> _Names:
    industries = [(line[1], line[3]) for line in _lines(sheets["labels_T"], 4)]
    demand = [line[1] for line in _lines(sheets["labels_FD"], 4)]
    if repeated := [name for name, times in Counter(industries).items() if times > 1]:
        raise TableError(
            f"{' '.join(repeated[0])} is there twice", where=sheets["labels_T"].where, remedy=_AGAIN
        )
    if odd := sorted({region for region, _ in industries} ^ set(demand)):
        raise TableError(
            f"regions differ between industries and final demand: {', '.join(odd[:8])}",
            remedy=_AGAIN,
        )
    accounts = _lines(sheets["labels_Q"], 1)
    units = [match[1] if (match := _UNIT.search(line[0])) else "" for line in accounts]
    return _Names(
        tuple(industries),
        tuple(demand),
        tuple(" - ".join(filter(None, line[:2])) for line in accounts),
        tuple(units),
        len(_lines(sheets["labels_VA"], 1)),
    )


def _lines(sheet: Sheet, least: int) -> list[list[str]]:
    """The cells of every line of labels; a tab at its end makes none."""
    with opened(sheet.path, sheet.member) as stream:
        data = stream.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(
            f"is not UTF-8 ({error.reason})", where=sheet.where, remedy=_AGAIN
        ) from error
    lines = [[cell.strip() for cell in line.split("\t")] for line in text.splitlines()]
    for number, line in enumerate(lines, 1):
        if len(line) < least or not all(line[:least]):
            raise TableError(
                f"has fewer than {least} labels",
                where=f"{sheet.where}, line {number}",
                remedy=_AGAIN,
            )
    return lines
