"""Downloads in their true layouts, damaged in every way that files are: never a wrong table.

Every example writes one download (SYNTHETIC), damages one of its files in one way, and reads it.
What comes back is the undamaged table, by the names of its regions, industries and stressors, or
one `InputError` that says what, where and what to do.

Some damage leaves a file that its publisher might have written: names that are swapped, a sector
that is gone everywhere, a number that is another number, or is in another one's place. It shows
where row sums are held against column sums, or parts against a total that the file states, so
there it is refused or warned of by `footfall check`. A number that is changed into another one
elsewhere cannot be known, and is not asked for here.

The budget is fixed, and so are the examples (`derandomize`).
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from benchmarks.downloads import eora, exiobase, figaro, gloria, icio, wiod
from benchmarks.downloads.workbooks import written
from engine import readers
from engine.errors import InputError
from engine.mrio import MRIO
from engine.question import Question
from engine.readers import Eora26, Exiobase3, Figaro, Gloria, Icio, Source, Wiod
from engine.readers.fetched import MADE_UP
from engine.readers.figaro import Stressor
from engine.readers.icio import Stressor as OfIcio
from engine.readers.selecting import Rows
from engine.readers.wiod import Stressor as OfWiod
from engine.workflow import table_page

EXAMPLES = 250  # of each download
YEAR, WIOD = 2020, 2004
Draw = Callable[..., Any]
Named = dict[str, dict[Any, Any]]


# --- the downloads ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Download:
    """A publisher's download.

    Attributes:
        write: writes it to a folder, and says how it is read; `path` of that is the folder.
        balances: files in which a wrong name or number shows, since rows and columns must agree.
        totals: files in which a wrong number shows, since they state their own sums.
        unnamed: files whose rows and columns have no names of their own, so that their order is
            taken on trust. A file is meant by a part of its path, or of its member's in an archive.
        names: files of nothing but names, in the order of others' rows or columns.
        year: of the table.
    """

    write: Callable[[Path], Any]
    balances: tuple[str, ...] = ()
    totals: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    year: int = YEAR


def _figaro(layout: str, suffix: str, form: str, account: str = "ghg") -> Callable[[Path], Figaro]:
    def write(folder: Path) -> Figaro:
        areas, industries = ("AT", "GR", "FIGW1"), ("A01", "C10T12", "D35")
        worlds = {year: figaro.economy(year, areas, industries) for year in (2019, YEAR)}
        name = f"accounts.{form}" + (".gz" if form == "tsv" else "")
        figaro.write_table(folder, YEAR, worlds[YEAR], layout=layout, suffix=suffix)  # type: ignore[arg-type]
        if account == "ghg":
            figaro.write_footprints(folder / name, worlds, form=form)  # type: ignore[arg-type]
        else:
            name = name.removesuffix(".gz")
            figaro.write_accounts(folder / name, worlds, areas, form=form)  # type: ignore[arg-type]
        stressor = Stressor((name,), "kt CO2-eq", pollutant="GHG")
        return Figaro(folder, {"GHG": stressor})

    return write


def _exiobase(folder: Path) -> Exiobase3:
    world = exiobase.economy(YEAR, ("AT", "WA"), ("Coal", "Steel"), uses=7)
    exiobase.write_table(folder, YEAR, world)
    rows = ("CO2 - combustion - air", "CO2 - non combustion - Cement production - air")
    return Exiobase3(folder, "satellite", {"CO2": Rows(rows, "kt", "kg", 1e-6)})


def _wiod(release: Any) -> Callable[[Path], Wiod]:
    def write(folder: Path) -> Wiod:
        areas = {2013: ("AUS", "NLD", "RoW"), 2016: ("AUS", "NLD", "ROW")}[release]
        codes = {2013: ("AtB", "15t16"), 2016: ("A01", "C10-C12")}[release]
        world = wiod.economy(WIOD, release, areas, codes)
        wiod.write_table(folder, WIOD, world, release)
        worlds = {WIOD: world}
        if release == 2013:
            accounts = wiod.write_air(folder / "AIR_may12.zip", worlds)
        else:
            accounts = wiod.write_co2(folder / "CO2 emissions.xlsx", worlds)
        return Wiod(folder, {"CO2": OfWiod(accounts.name, "kt")}, release)

    return write


def _icio(form: str) -> Callable[[Path], Icio]:
    """A regular table, or an extended one as of 2023: an archive a year in one of several years."""

    def write(folder: Path) -> Icio:
        nested = form == "nested"
        world = icio.economy(YEAR, ("AUS", "CHN", "ROW"), ("A01_02", "C29", "D"), extended=nested)
        inner = icio.write_table(folder, YEAR, world, archive=f"{YEAR}.zip" if nested else "")
        if nested:
            with zipfile.ZipFile(folder / "ICIO-2016-2020-extended.zip", "w") as archive:
                archive.write(inner, inner.name)
            inner.unlink()
        icio.write_account(folder / "DF_MAIN.csv", {YEAR: world})
        return Icio(folder, {"GHG": OfIcio("DF_MAIN.csv", "Mt CO2-eq", "PROD_GHG", 1e-6, "T_CO2E")})

    return write


def _eora(form: Any) -> Callable[[Path], Eora26]:
    def write(folder: Path) -> Eora26:
        world = eora.economy(YEAR, ("AUS", "NLD"), ("Agriculture", "Others"))
        eora.write_year(folder, YEAR, world, form=form)
        return Eora26(folder, {"CO2": Rows((f"{eora.CO2} - Total",), "Mt", "Gg", 1e-3)})

    return write


def _gloria(folder: Path) -> Gloria:
    regions, sectors = ("NLD", "XAM"), ("Growing wheat", "Other services, n.e.c")
    gloria.write_readme(folder, regions, sectors)
    gloria.write_year(folder, YEAR, gloria.economy(YEAR, regions, sectors))
    return Gloria(
        folder, {"GHG": Rows((f"{gloria.HEAD} - {gloria.GHG}",), "Mt", gloria.UNIT, 1e-3)}
    )


# A database joins by its line here.
DOWNLOADS: Mapping[str, Download] = {
    "figaro, matrix": Download(_figaro("matrix", ".csv", "sdmx"), ("matrix",), ("accounts",)),
    "figaro, matrix, zip": Download(_figaro("matrix", ".zip", "tsv"), ("matrix",), ("accounts",)),
    "figaro, flat": Download(_figaro("flat", ".csv", "tsv", "aea"), totals=("accounts",)),
    "figaro, flat, gz": Download(_figaro("flat", ".csv.gz", "sdmx", "aea"), totals=("accounts",)),
    "exiobase": Download(_exiobase),
    "wiod 2013": Download(_wiod(2013), totals=("AIR_may12",), year=WIOD),
    "wiod 2016": Download(_wiod(2016), year=WIOD),
    "icio": Download(_icio("plain")),
    "icio, nested": Download(_icio("nested")),
    "eora26": Download(_eora("folder"), unnamed=("_bp_",), names=("labels_",)),
    "eora26, zip": Download(_eora("zip"), unnamed=("_bp_",), names=("labels_",)),
    "gloria": Download(_gloria, unnamed=(".csv",), names=("ReadMe",)),
}


@pytest.mark.parametrize("name", DOWNLOADS)
def test_a_folder_may_say_that_it_is_made_up(name: str, tmp_path: Path) -> None:
    download = DOWNLOADS[name]
    source = download.write(tmp_path)
    assert not readers.read(source, download.year).provenance.synthetic
    (tmp_path / MADE_UP).touch()
    assert readers.read(source, download.year).provenance.synthetic


# --- a file, its text, and its cells ------------------------------------------------------------


BOOKS = (".xlsx", ".xlsb", ".xls")
Packing = Callable[[bytes | None], bytes | None]


def _inside(name: str, data: bytes, draw: Draw) -> tuple[str, bytes, Packing]:
    """A text in a file, where it is, and how to put another one, or none, in its place."""
    if name.endswith(".gz"):
        return name, gzip.decompress(data), lambda new: new and gzip.compress(new, mtime=0)
    if not name.endswith(".zip"):
        return name, data, lambda new: new
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        files = {member: archive.read(member) for member in archive.namelist()}
    member = draw(st.sampled_from(sorted(files)))
    where, text, packed_there = _inside(f"{name}/{member}", files[member], draw)

    def packed(new: bytes | None) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, content in (files | {member: packed_there(new)}).items():
                if content is not None:
                    archive.writestr(zipfile.ZipInfo(one), content)
        return stream.getvalue()

    return where, text, packed


_REAL = re.compile(r"-?[0-9]+\.[0-9]+(e[+-]?[0-9]+)?|-?[0-9]+e[+-]?[0-9]+")  # as repr spells it


def _of_book(name: str, data: bytes, kind: Any, draw: Draw) -> bytes:
    """A workbook with damage to the cells of one of its sheets; what is no number there is text."""
    with CalamineWorkbook.from_object(io.BytesIO(data)) as book:
        sheets = {one: list(book.get_sheet_by_name(one).to_python()) for one in book.sheet_names}
    sheet = draw(st.sampled_from([one for one, rows in sheets.items() if rows]))
    grid = Grid([[str(cell) for cell in row] for row in sheets[sheet]], "\t")
    kind(grid, draw)
    if name.endswith(".xls"):  # as much as the writer knows of it
        grid.cells = [[c.encode("latin-1", "replace").decode("latin-1") for c in row]
                      for row in grid.cells]  # fmt: skip
    sheets[sheet] = [
        [float(cell) if _REAL.fullmatch(cell) else cell or None for cell in row]
        for row in grid.cells
    ]
    return written(name, sheets)


@dataclass(slots=True)
class Grid:
    """The cells of a text, and what separates them."""

    cells: list[list[str]]
    separator: str
    end: str = "\n"

    @classmethod
    def of(cls, text: str) -> Grid:
        first = text.split("\n", 1)[0]
        separator = max("\t;,", key=first.count) if "\t" not in first else "\t"
        lines = [line.rstrip("\r") for line in text.removesuffix("\n").split("\n")]
        if separator == "\t":
            return cls([line.split("\t") for line in lines], separator)
        return cls(list(csv.reader(lines, delimiter=separator)), separator)

    def text(self) -> str:
        return "".join(
            self.separator.join(self._spelt(cell) for cell in line) + self.end
            for line in self.cells
        )

    def _spelt(self, cell: str) -> str:
        quoted = self.separator in cell and not cell.startswith('"')
        return f'"{cell}"' if quoted else cell

    def places(self, wanted: Callable[[str], bool]) -> list[tuple[int, int]]:
        return [
            (i, j) for i, line in enumerate(self.cells) for j, cell in enumerate(line)
            if wanted(cell)
        ]  # fmt: skip


def number(cell: str) -> float | None:
    """What a cell says; Eurostat's may have a space and a flag after it."""
    text = cell.strip().partition(" ")[0]
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in text else None


def _is_number(cell: str) -> bool:
    return number(cell) is not None


def _is_name(cell: str) -> bool:
    return bool(cell.strip()) and number(cell) is None


def _one(places: list[tuple[int, int]], draw: Draw) -> tuple[int, int]:
    assume(places)
    found: tuple[int, int] = draw(st.sampled_from(places))
    return found


# --- damage to cells ----------------------------------------------------------------------------


def _some_number(grid: Grid, draw: Draw) -> list[tuple[int, int]]:
    """One of the cells with a number, or all of them."""
    places = grid.places(_is_number)
    assume(places)
    return places if draw(st.booleans()) else [_one(places, draw)]


def decimal_commas(grid: Grid, draw: Draw) -> None:
    for i, j in _some_number(grid, draw):
        grid.cells[i][j] = grid.cells[i][j].replace(".", ",")


def thousands(grid: Grid, draw: Draw) -> None:
    group, point = draw(
        st.sampled_from([(",", "."), (".", ","), (" ", "."), ("'", "."), ("\u202f", ",")])
    )
    for i, j in _some_number(grid, draw):
        value = number(grid.cells[i][j])
        if value is not None and abs(value) >= 1000 and not value.is_integer():
            spelt = f"{value:,.3f}".replace(",", "G").replace(".", point).replace("G", group)
            grid.cells[i][j] = spelt


def no_number(grid: Grid, draw: Draw) -> None:
    i, j = _one(grid.places(_is_number), draw)
    odd = ["", " ", "nan", "NaN", "NA", "#N/A", "inf", "-inf", "Infinity", "-", "..", ":", ": c",
           "n/a", "null", "None", "1e400", "-1e999", "9" * 400, "0x1F", "1_000", "１２", "1.2.3",
           "+-3", "1e", "e5", "TRUE", "(12)", "12 %", "=A1"]  # fmt: skip
    grid.cells[i][j] = draw(st.sampled_from(odd))


def repeated_row(grid: Grid, draw: Draw) -> None:
    row = draw(st.sampled_from(grid.cells))
    grid.cells.insert(draw(st.integers(0, len(grid.cells))), list(row))


def repeated_column(grid: Grid, draw: Draw) -> None:
    width = len(grid.cells[0])
    j, at = draw(st.integers(0, width - 1)), draw(st.integers(0, width))
    for line in grid.cells:
        line.insert(at, line[j])


def missing_row(grid: Grid, draw: Draw) -> None:
    del grid.cells[draw(st.integers(0, len(grid.cells) - 1))]


def missing_rows(grid: Grid, draw: Draw) -> None:
    del grid.cells[draw(st.integers(0, len(grid.cells) - 1)) :]


def missing_column(grid: Grid, draw: Draw) -> None:
    j = draw(st.integers(0, len(grid.cells[0]) - 1))
    for line in grid.cells:
        del line[j : j + 1]


def missing_cell(grid: Grid, draw: Draw) -> None:
    line = draw(st.sampled_from(grid.cells))
    del line[draw(st.integers(0, len(line) - 1))]


def extra_column(grid: Grid, draw: Draw) -> None:
    name, value = draw(st.sampled_from([("", ""), ("NOTE", "1.5"), ("NOTE", ""), ("2018 ", "7 ")]))
    at = draw(st.integers(0, len(grid.cells[0])))
    for i, line in enumerate(grid.cells):
        line.insert(at, value if i else name)


def other_order_of_rows(grid: Grid, draw: Draw) -> None:
    grid.cells[1:] = draw(st.permutations(grid.cells[1:]))


def other_order_of_columns(grid: Grid, draw: Draw) -> None:
    order = draw(st.permutations(range(len(grid.cells[0]))))
    grid.cells[:] = [[line[j] for j in order] for line in grid.cells]


def renamed(grid: Grid, draw: Draw) -> None:
    i, j = _one(grid.places(_is_name), draw)
    name = grid.cells[i][j]
    changes = [name + "X", name.lower(), name[1:], f" {name}", f"{name} ", name.replace("_", "-"),
               name.replace("GR", "EL"), "Österreich", name[::-1], ""]  # fmt: skip
    grid.cells[i][j] = draw(st.sampled_from(changes))


def renamed_everywhere(grid: Grid, draw: Draw) -> None:
    i, j = _one(grid.places(_is_name), draw)
    name = grid.cells[i][j]
    for line in grid.cells:
        line[:] = [cell.replace(name, f"{name}X") for cell in line]


def another_year_inside(grid: Grid, draw: Draw) -> None:
    for i, j in grid.places(lambda cell: cell.strip() == str(YEAR) or not _is_number(cell)):
        grid.cells[i][j] = grid.cells[i][j].replace(str(YEAR), "2031")


def trailing_separators(grid: Grid, draw: Draw) -> None:
    for line in grid.cells if draw(st.booleans()) else [draw(st.sampled_from(grid.cells))]:
        line.append("")


def quoted(grid: Grid, draw: Draw) -> None:
    places = grid.places(lambda cell: '"' not in cell)
    for i, j in places if draw(st.booleans()) else [_one(places, draw)]:
        grid.cells[i][j] = f'"{grid.cells[i][j]}"'


def half_quoted(grid: Grid, draw: Draw) -> None:
    i, j = _one(grid.places(lambda cell: True), draw)
    cell = grid.cells[i][j]
    grid.cells[i][j] = draw(st.sampled_from([f'"{cell}', f'{cell}"', f'"{cell}" "', f"'{cell}"]))


def another_separator(grid: Grid, draw: Draw) -> None:
    grid.separator = draw(st.sampled_from([s for s in ";\t,| " if s != grid.separator]))


def a_line_of_something_else(grid: Grid, draw: Draw) -> None:
    line = draw(st.sampled_from([[""], ["# downloaded"], ["", ""], ["Total"], [" "]]))
    grid.cells.insert(draw(st.integers(0, len(grid.cells))), list(line))


def lines_end(grid: Grid, draw: Draw) -> None:
    grid.end = draw(st.sampled_from(["\r\n", "\r", "\n\n", "\r\r\n"]))


CELLS = (
    decimal_commas, thousands, no_number, repeated_row, repeated_column, missing_row, missing_rows,
    missing_column, missing_cell, extra_column, renamed, renamed_everywhere, another_year_inside,
    trailing_separators, quoted, half_quoted, another_separator, a_line_of_something_else,
    lines_end,
)  # fmt: skip
BOOK_CELLS = (
    decimal_commas, no_number, repeated_row, repeated_column, missing_row, missing_rows,
    missing_column, missing_cell, extra_column, renamed, renamed_everywhere, quoted,
    a_line_of_something_else, thousands,
)  # fmt: skip
ORDER = (other_order_of_rows, other_order_of_columns)  # where rows and columns have names


# --- damage that shows in sums alone ------------------------------------------------------------


def swapped_names(grid: Grid, draw: Draw) -> None:
    """Of two industries, above their columns or before their rows."""
    across = draw(st.booleans())
    names = grid.cells[0][1:] if across else [line[0] for line in grid.cells[1:]]
    known = [at for at, name in enumerate(names, 1) if "_P" not in name and "W2" not in name]
    a, b = draw(st.lists(st.sampled_from(known), min_size=2, max_size=2, unique=True))
    cells = grid.cells
    if across:
        cells[0][a], cells[0][b] = cells[0][b], cells[0][a]
    else:
        cells[a][0], cells[b][0] = cells[b][0], cells[a][0]


def another_number(grid: Grid, draw: Draw) -> None:
    """But for what an industry buys of itself, which is in its row and its column alike."""
    i, j = _one(grid.places(_is_number), draw)
    assume(grid.cells[i][0] != grid.cells[0][j])
    grid.cells[i][j] = draw(st.sampled_from(["1e308", "1e200", "-1e30", "9" * 30, "1e15"]))


def lost_points(grid: Grid, draw: Draw) -> None:
    """A known corruption: numbers that lost their decimal point."""
    for i, j in grid.places(_is_number):
        if draw(st.booleans()):
            grid.cells[i][j] = grid.cells[i][j].replace(".", "")


def missing_sector(grid: Grid, draw: Draw) -> None:
    """Everywhere, so that every area still has as many as the others."""
    sector = draw(st.sampled_from(["A01", "C10T12", "D35"]))
    kept = [j for j, name in enumerate(grid.cells[0]) if sector not in name]
    grid.cells[:] = [
        [line[j] for j in kept] for line in grid.cells
        if not any(sector in cell for cell in line[:2])
    ]  # fmt: skip


SILENT = (swapped_names, another_number, lost_points, missing_sector)
OF_NUMBERS = (another_number, missing_cell)  # which a total of the file itself shows


# --- damage to bytes ----------------------------------------------------------------------------


def cut(data: bytes, draw: Draw) -> bytes:
    return data[: draw(st.integers(0, len(data) - 1))]


def flipped(data: bytes, draw: Draw) -> bytes:
    """One byte, or a few."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        found[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(found)


def lost(data: bytes, draw: Draw) -> bytes:
    """A piece in the middle."""
    start = draw(st.integers(0, len(data) - 1))
    return data[:start] + data[start + draw(st.integers(1, 2000)) :]


def zeroed(data: bytes, draw: Draw) -> bytes:
    start, size = draw(st.integers(0, len(data) - 1)), draw(st.integers(1, 600))
    return data[:start] + bytes(min(size, len(data) - start)) + data[start + size :]


def appended(data: bytes, draw: Draw) -> bytes:
    return data + draw(st.sampled_from([b"\0", b"\x1a", b"garbage", b"\n", data[:200], data]))


def another_file(data: bytes, draw: Draw) -> bytes:
    return draw(
        st.sampled_from(
            [b"", b"\n", b"<!DOCTYPE html><html><body>404</body></html>\n", b"PK", b"\x1f\x8b"]
        )
    )


BYTES = (cut, flipped, lost, zeroed, appended, another_file)
RENAMING = (renamed, renamed_everywhere, quoted, half_quoted, "text", *BYTES)
OF_NAMES = (*RENAMING, *ORDER)
KINDS = ("balances", "totals", "unnamed", "names")
ENCODINGS = ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7")


# --- what comes of it ---------------------------------------------------------------------------


def _by_name(table: MRIO) -> Named:
    labels = table.labels
    industries, regions, stressors = labels.industries, labels.regions, labels.stressors

    def named(values: np.ndarray, rows: Any, columns: Any) -> dict[Any, float]:
        return {
            (row, column): float(values[i, j])
            for i, row in enumerate(rows)
            for j, column in enumerate(columns)
        }

    units = {
        "currency": labels.currency,
        "year": table.year,
        **dict(zip(stressors, labels.stressor_units, strict=True)),
    }
    found: Named = {
        "units": units,
        "Z": named(table.Z, industries, industries),
        "Y": named(table.Y, industries, regions),
        "E": named(table.E, stressors, industries),
        "F_Y": named(table.F_Y, stressors, regions),
    }
    if table.published_output is not None:
        found["output"] = dict(zip(industries, map(float, table.published_output), strict=True))
    return found


def _same(one: Named, two: Named) -> bool:
    """Sums of the same cells in another order differ in their last digits."""
    return one.keys() == two.keys() and all(
        one[name].keys() == two[name].keys()
        and all(
            value == two[name][key]
            or (name != "units" and math.isclose(value, two[name][key], rel_tol=1e-9, abs_tol=1e-9))
            for key, value in one[name].items()
        )
        for name in one
    )


@dataclass(frozen=True, slots=True)
class Whole:
    """A download that is whole, and what it holds."""

    files: Mapping[str, bytes]
    source: Any
    table: Named


_WHOLE: dict[str, Whole] = {}


def _whole(name: str, folder: Path) -> Whole:
    if name not in _WHOLE:
        folder.mkdir()
        source = DOWNLOADS[name].write(folder)
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        _WHOLE[name] = Whole(files, source, _by_name(readers.read(source, DOWNLOADS[name].year)))
    return _WHOLE[name]


def _read(source: Source, year: int, folder: Path, files: Mapping[str, bytes]) -> MRIO:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return readers.read(replace(source, path=folder), year)  # type: ignore[call-arg]


def _tried(source: Source, year: int, folder: Path, files: Mapping[str, bytes]) -> Any:
    """Why it was refused, or what was read."""
    try:
        return None, _read(source, year, folder, files)
    except InputError as error:
        return error, None


def _another_number(before: bytes, after: bytes) -> bool:
    """Whether a number is another number now, and the cells around it as before.

    Where lines are lost, the first of them may have got the last one's number.
    """
    try:
        one, two = (Grid.of(data.decode(errors="replace")).cells for data in (before, after))
    except (csv.Error, IndexError):
        return False
    while one and two and one[-1] == two[-1]:
        one, two = one[:-1], two[:-1]
    if len(two) > len(one) or any(map(_another_width, one, two)):
        return False
    changed = [pair for pairs in zip(one, two, strict=False) for pair in zip(*pairs, strict=True)]
    return any(
        old != new and _is_number(old) and number(new) not in (None, number(old))
        for old, new in changed
    )


def _another_width(one: list[str], two: list[str]) -> bool:
    return len(one) != len(two)


@dataclass(frozen=True, slots=True)
class Damaged:
    """One file of a download, damaged in one way.

    Attributes:
        file: which; `after`: what it holds then, None if it is gone.
        kind: of the damage.
        of: whether the file is one of each of `KINDS`.
    """

    file: str
    after: bytes | None
    kind: Any
    of: Mapping[str, bool]


def _damaged(whole: Whole, download: Download, draw: Draw) -> Damaged:
    file = draw(st.sampled_from(sorted(whole.files)), label="file")
    before = whole.files[file]
    where, text, packed = _inside(file, before, draw)
    of = {key: any(part in where for part in getattr(download, key)) for key in KINDS}
    book = where.endswith(BOOKS)
    kinds: list[Any] = [*BYTES, "gone", "member gone"]
    kinds += BOOK_CELLS if book else (*CELLS, "text", "encoding")
    kinds += ORDER if not of["unnamed"] else ()
    kinds += SILENT if of["balances"] else OF_NUMBERS if of["totals"] else ()
    kind = draw(st.sampled_from(kinds), label="damage")
    after: bytes | None
    if kind == "gone":
        after = None
    elif kind == "member gone":  # of an archive; else the file
        after = packed(None)
    elif kind == "encoding":
        after = packed(text.decode().encode(draw(st.sampled_from(ENCODINGS))))
    elif kind == "text":  # bytes of the text, whatever it is packed in
        found = draw(st.sampled_from(BYTES))(text, draw)
        assume(not _another_number(text, found))
        after = packed(found)
    elif kind in BYTES:
        after = kind(before, draw)
        assume(not _another_number(before, after))
    elif book:
        after = packed(_of_book(where, text, kind, draw))
    else:
        grid = Grid.of(text.decode())
        kind(grid, draw)
        after = packed(grid.text().encode())
    return Damaged(file, after, kind, of)


def _believed(table: MRIO, whole: Whole, damaged: Damaged) -> None:
    """What was read is what there was, but for what nothing can tell, or `check` warns of it."""
    found, kind = _by_name(table), damaged.kind
    if damaged.of["names"] and kind in OF_NAMES:
        return  # another order of names is another table, and nothing tells which is right
    if kind in RENAMING:  # a currency is taken as it is called
        found["units"]["currency"] = whole.table["units"]["currency"]
    if not _same(found, whole.table):
        told = "\n".join(table_page.page(table, Question((), ()), ()))
        if damaged.of["totals"] and kind in OF_NUMBERS:
            assert re.search(r"warning: .* % (above|below) the account's own total", told)
        else:
            assert kind in SILENT, "another table, and not a word of it"
            assert table_page.OUT_OF_BALANCE in told


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", DOWNLOADS)
def test_damage_is_refused_or_does_no_harm(
    name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = tmp_path_factory.mktemp("downloads")
    whole, download = _whole(name, base / "whole"), DOWNLOADS[name]
    number_of = iter(range(10**9))

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def law(data: st.DataObject) -> None:
        damaged = _damaged(whole, download, data.draw)
        folder = base / f"{next(number_of)}"
        files = {one: content for one, content in whole.files.items() if one != damaged.file}
        files |= {} if damaged.after is None else {damaged.file: damaged.after}
        refused, table = _tried(whole.source, download.year, folder, files)
        shutil.rmtree(folder, ignore_errors=True)
        if table is None:
            assert all((refused.what, refused.where, refused.remedy))
        else:
            _believed(table, whole, damaged)

    law()
