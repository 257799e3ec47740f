"""Emission accounts in WIOD's industries, of the two kinds that are published.

- `AIR_may12.zip`, with release 2013, by Genty, Arto & Neuwahl (2012): a workbook a country,
  `AUS_AIR_May12.xls`, in it a sheet a year, in it a row an industry and a column a pollutant, CO2
  in kt and the others in t. The zip, or the folder unpacked from it.
- `CO2 emissions.xlsx`, with release 2016, by Corsatea et al. (2019, JRC116234): a sheet a country,
  in it a row an industry and a column a year, CO2 in kt. The workbook, or `co2em56.zip`, in which
  it comes. The file that the JRC offered in 2023 has no sheet of the Netherlands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from engine.errors import TableError
from engine.readers.files import located, sha256, unreadable
from engine.readers.nearest import nearest
from engine.readers.opening import members
from engine.readers.own_totals import gap, told
from engine.readers.wiod_flows import RENAMED, Industry
from engine.readers.workbooks import number, text, workbook

HOUSEHOLDS = "FC_HH"
_TOTALS = ("TOT", "total")  # of industries; with households, which pymrio's mock does not meet
_OUTSIDE = "Q"  # extra-territorial bodies, which no table of release 2013 has
_OF_TOTAL = 1e-6  # how near the industries' sum must be to the account's own total
_AGAIN = "download the accounts again, and give them as they are"

Account = dict[str, float | None]  # by industry, households and totals; None where it is blank


@dataclass(frozen=True, slots=True)
class Emissions:
    """What industries and households emitted in a year.

    Attributes:
        unit: kt or t.
        industries: by region and industry.
        households: by region.
        notes: what had to be assumed.
        files: names and hashes of the files used.
    """

    unit: str
    industries: Mapping[Industry, float]
    households: Mapping[str, float]
    notes: tuple[str, ...]
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _File:
    """A workbook, by itself or in an archive."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.member or self.path.name).name


def emissions(path: Path, year: int, pollutant: str, industries: Sequence[Industry]) -> Emissions:
    """The account of a year, of a table's industries.

    Args:
        path: the accounts, of either kind.
        year: of which.
        pollutant: as the accounts call it, such as CO2.
        industries: all that must have a value.

    Raises:
        TableError: the accounts are missing, damaged or of neither kind, or lack a region, an
            industry, the year or the pollutant.
    """
    files = _files(path)
    needed: dict[str, list[str]] = {}
    for region, code in industries:
        needed.setdefault(region, []).append(code)
    by_year = len(files) == 1 and files[0].name.lower().endswith(".xlsx")
    short: list[str] = []
    if by_year:
        accounts, short = _of_sheets(files[0], year, pollutant, list(needed))
    else:
        files = [_file_of(region, files, path) for region in needed]
        pairs = zip(needed, files, strict=True)
        accounts = {region: _of_file(file, year, pollutant) for region, file in pairs}
    of_industries: dict[Industry, float] = {}
    households: dict[str, float] = {}
    blanks, outside = 0, 0.0
    gaps: dict[str, list[float]] = {}
    for region, codes in needed.items():
        with located(f"{path}, {region}, year {year}"):
            values = _complete(accounts[region], codes)
            gaps[region] = _off_totals(accounts[region], values)
        blanks += sum(accounts[region][code] is None for code in codes)
        outside += values.get(_OUTSIDE, 0.0) if _OUTSIDE not in codes else 0.0
        of_industries |= {(region, code): values[code] for code in codes}
        households[region] = values[HOUSEHOLDS]
    unit = "kt" if by_year or pollutant == "CO2" else "t"
    notes = [f"{blanks} blank cells are zero by the accounts' own totals"] if blanks else []
    notes += [f"{outside:.6g} {unit} of industry {_OUTSIDE} are in no table"] if outside else []
    notes += short
    with located(f"{path}, year {year}"):
        off, with_households = (
            {region: found[at] for region, found in gaps.items()} for at in range(len(_TOTALS))
        )
        notes += told(off, "the emissions of", again=_AGAIN)
        notes += told(with_households, "with households, those of")
    hashed = sorted({file.path for file in files})
    return Emissions(
        unit=unit,
        industries=of_industries,
        households=households,
        notes=tuple(notes),
        files=tuple((file.relative_to(path.parent).as_posix(), sha256(file)) for file in hashed),
    )


def _files(path: Path) -> list[_File]:
    """The workbooks there: one of all countries, or one a country."""
    if path.is_dir():
        try:
            found = [_File(file) for file in sorted(path.iterdir())]
        except OSError as error:
            raise unreadable(path, error) from error
    elif path.suffix.lower() == ".zip":
        found = [_File(path, member) for member in members(path)]
    else:
        found = [_File(path)]
    books = [file for file in found if file.name.lower().endswith((".xls", ".xlsx"))]
    kinds = {file.name.rpartition(".")[2].lower() for file in books}
    if not books or len(kinds) > 1 or (kinds == {"xlsx"} and len(books) > 1):
        raise TableError(
            f"holds {len(books)} workbooks ({', '.join(file.name for file in books[:5])})",
            where=str(path),
            remedy="give AIR_may12.zip or its folder, or `CO2 emissions.xlsx` or its archive",
        )
    return books


def _file_of(region: str, files: Sequence[_File], path: Path) -> _File:
    mine = [file for file in files if file.name.upper().startswith(f"{region.upper()}_")]
    if len(mine) != 1:
        raise TableError(
            f"holds {len(mine)} workbooks of {region}",
            where=str(path),
            remedy="give the archive as downloaded, one workbook a country",
        )
    return mine[0]


def _of_file(file: _File, year: int, pollutant: str) -> Account:
    """A country's account, from the sheet of the year and the column of the pollutant."""
    with workbook(file.path, file.member) as book:
        rows = book.rows(str(year))
        place = _column(next(rows), pollutant, 2)
        return _account((text(row[1]).removeprefix("sec"), row[place]) for row in rows)


def _of_sheets(
    file: _File, year: int, pollutant: str, regions: Sequence[str]
) -> tuple[dict[str, Account], list[str]]:
    """The accounts of all countries, from a sheet each and the column of the year.

    Beside them a warning of rows that end before the last year: they state no total, and where a
    cell was lost the numbers behind it are in the columns of other years.
    """
    if pollutant != "CO2":
        raise TableError(
            f"holds CO2, not {pollutant}", where=file.name, remedy='state pollutant = "CO2"'
        )
    accounts: dict[str, Account] = {}
    short: list[str] = []
    with workbook(file.path, file.member) as book:
        sheet_of = {RENAMED.get(name, name).upper(): name for name in book.sheets}
        for region in regions:
            if region.upper() not in sheet_of:
                raise TableError(
                    f"has no sheet of {region}",
                    remedy="a file of 2023 lacks the Netherlands (NLD): use one of another date, "
                    "with a sheet of every country",
                )
            rows = book.rows(sheet_of[region.upper()])
            with located(f"sheet {sheet_of[region.upper()]}"):
                header = next(rows)
                place = _column(header, str(year), 1)
                last = max(at for at, cell in enumerate(header) if text(cell))
                named = [row for row in rows if text(row[0])]
                accounts[region] = _account((text(row[0]), row[place]) for row in named)
                short += [f"{region} {text(row[0])}" for row in named if not text(row[last])]
    if not short:
        return accounts, []
    return accounts, [
        f"warning: {short[0]} and {len(short) - 1} rows more end before the last year: where a "
        "cell was lost, later years are in the place of earlier ones"
    ]


def _column(header: Sequence[object], name: str, first: int) -> int:
    """Where the column of that name is, of those from `first` on."""
    names = [text(cell) for cell in header[first:]]
    if names.count(name) != 1:
        raise TableError(
            f"has {names.count(name)} columns {name!r}", remedy=nearest(name, filter(None, names))
        )
    return first + names.index(name)


def _account(cells: Iterator[tuple[str, object]]) -> Account:
    """Numbers by code; rows without a code are none."""
    account: Account = {}
    for code, cell in cells:
        if not code:
            continue
        if code in account:
            raise TableError(f"industry {code} is there twice", remedy=_AGAIN)
        value = number(cell)
        if value is None and text(cell):
            raise TableError(f"{cell!r} is no number", where=f"industry {code}", remedy=_AGAIN)
        account[code] = value
    return account


def _complete(account: Account, codes: Sequence[str]) -> dict[str, float]:
    """The account without its totals; a blank is zero where the total leaves nothing for it."""
    wanted = [*codes, HOUSEHOLDS]
    missing = [code for code in wanted if code not in account]
    if missing:
        raise TableError(
            f"has no industry {missing[0]}, and {len(missing) - 1} more",
            remedy=nearest(missing[0], account),
        )
    odd = [code for code in account if code not in (*wanted, *_TOTALS, _OUTSIDE)]
    if odd:
        raise TableError(f"industry {odd[0]} is none of the table's", remedy=nearest(odd[0], codes))
    blank = [code for code in wanted if account[code] is None]
    summed = math.fsum(
        value or 0.0 for code, value in account.items() if code not in (HOUSEHOLDS, *_TOTALS)
    )
    total = account.get(_TOTALS[0])
    if blank and (
        HOUSEHOLDS in blank or total is None or abs(total - summed) > _OF_TOTAL * abs(total)
    ):
        raise TableError(
            f"industry {HOUSEHOLDS if HOUSEHOLDS in blank else blank[0]} is blank, and the "
            "account's total does not show it to be zero",
            remedy=f"{_AGAIN}; a missing value is never read as zero",
        )
    return {code: value or 0.0 for code, value in account.items() if code not in _TOTALS}


def _off_totals(account: Account, values: Mapping[str, float]) -> list[float]:
    """How far industries, and these with households, are from the account's own totals of them.

    A cell that was lost from a row puts the number of another pollutant in its place.
    """
    industries = [value for code, value in values.items() if code != HOUSEHOLDS]
    parts = (industries, [*industries, values[HOUSEHOLDS]])
    stated = zip(parts, map(account.get, _TOTALS), strict=True)
    return [0.0 if total is None else gap(some, total) for some, total in stated]
