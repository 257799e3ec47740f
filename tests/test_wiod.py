"""WIOD's downloads, written small in their true layout, and what is read from them."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pymrio
import pytest
from openpyxl import load_workbook
from python_calamine import CalamineWorkbook

import engine
from benchmarks.downloads import wiod as downloads
from benchmarks.downloads.workbooks import written
from benchmarks.downloads.worlds import World
from engine.errors import ConfigError, TableError
from engine.mrio import MRIO
from engine.readers import read, years
from engine.readers.wiod import Stressor, Wiod

AREAS = {2013: ("AUS", "ROM", "NLD", "RoW"), 2016: ("AUS", "ROU", "NLD", "ROW")}
CODES = {2013: ("AtB", "19", "15t16", "P"), 2016: ("A01", "C10-C12", "Q", "U")}
CO2 = {
    2013: {"CO2": Stressor("AIR_may12.zip", "kt")},
    2016: {"CO2": Stressor("CO2 emissions.xlsx", "kt")},
}
TABLE = {2013: "wiot04_row_apr12.xlsx", 2016: "WIOT2004_Nov16_ROW.xlsb"}
Release = Literal[2013, 2016]
both = pytest.mark.parametrize("release", [2013, 2016])


def economy(release: Release, year: int = 2004) -> World:
    return downloads.economy(year, release, AREAS[release], CODES[release])


def quiet(world: World) -> World:
    """The same, with an industry that emits nothing: its cells of AIR are blank."""
    return replace(world, emissions=np.where(np.arange(16) % 4 == 3, 0.0, world.emissions))


@pytest.fixture
def folders(tmp_path: Path) -> dict[int, tuple[Wiod, World]]:
    found = {}
    for release in (2013, 2016):
        world = quiet(economy(release))
        folder = tmp_path / str(release)
        folder.mkdir()
        downloads.write_table(folder, 2004, world, release)
        named = replace(world, areas=AREAS[2016][:3] + AREAS[release][3:])
        if release == 2013:
            downloads.write_air(folder / "AIR_may12.zip", {2004: named})
        else:
            downloads.write_co2(folder / "CO2 emissions.xlsx", {2003: named, 2004: named})
        found[release] = (Wiod(folder, CO2[release], release), world)
    return found


@both
def test_a_table_is_read_as_it_was_written(
    folders: dict[int, tuple[Wiod, World]], release: Release
) -> None:
    source, world = folders[release]
    assert years(source) == (2004,)
    table = read(source, 2004)
    regions = ("AUS", "ROU", "NLD", AREAS[release][3])
    assert table.labels.regions == regions
    assert table.labels.industries == tuple((r, c) for r in regions for c in CODES[release])
    assert table.labels.currency == "millions of US$, current basic prices"
    assert np.array_equal(table.Z, world.Z)
    np.testing.assert_allclose(table.Y, world.Y.reshape(16, 4, 5).sum(axis=2), rtol=1e-15)
    assert np.array_equal(table.E[0], world.emissions)
    assert np.array_equal(table.F_Y[0], world.households)
    assert table.published_output is not None
    np.testing.assert_allclose(table.published_output, table.x, rtol=1e-14)
    assert table.provenance.version == f"release {release}"
    said = table.provenance.source
    assert ("4 blank cells are zero by the accounts' own totals" in said) == (release == 2013)
    assert ("region ROM of the file is ROU" in said) == (release == 2013)
    assert {name for name, _ in table.provenance.files} == {
        TABLE[release],
        CO2[release]["CO2"].accounts,
    }


@both
def test_the_archive_of_all_years_holds_the_same(
    folders: dict[int, tuple[Wiod, World]], release: Release
) -> None:
    source, world = folders[release]
    plain = read(source, 2004)
    assert isinstance(source.path, Path)
    (source.path / TABLE[release]).unlink()
    downloads.write_table(source.path, 2003, world, release, archive=True)
    downloads.write_table(source.path, 2004, world, release, archive=True)
    assert years(source) == (2003, 2004)
    assert read(source, 2004).sha256 == plain.sha256


def test_accounts_are_read_packed_and_unpacked(folders: dict[int, tuple[Wiod, World]]) -> None:
    for release, name, write in (
        (2013, "AIR_may12", downloads.write_air),
        (2016, "co2em56.zip", downloads.write_co2),
    ):
        source, world = folders[release]
        assert isinstance(source.path, Path)
        named = {2004: replace(world, areas=("AUS", "ROU", "NLD", "RoW"))}
        unpacked = {"archive": False} if release == 2013 else {}
        write(source.path / name, named, **unpacked)
        other = replace(source, stressors={"CO2": Stressor(name, "kt")})
        assert read(other, 2004).sha256 == read(source, 2004).sha256


def test_other_pollutants_are_in_tonnes(folders: dict[int, tuple[Wiod, World]]) -> None:
    source, world = folders[2013]
    gas = Stressor("AIR_may12.zip", "kt", "CH4", 1e-3, "t")
    table = read(replace(source, stressors={"CH4": gas}), 2004)
    np.testing.assert_allclose(table.E[0], 2e-3 * world.emissions, rtol=1e-15)
    np.testing.assert_allclose(table.F_Y[0], 2e-3 * world.households, rtol=1e-15)
    with pytest.raises(TableError, match="CH4 is in t, the stressor takes it for kt"):
        read(replace(source, stressors={"CH4": Stressor("AIR_may12.zip", "kt")}), 2004)
    with pytest.raises(TableError, match=r"0 columns 'NOx'.*\n.*mean 'NOX'"):
        read(replace(source, stressors={"NOx": Stressor("AIR_may12.zip", "t", "NOx")}), 2004)


Rows = list[list[Any]]


def changed(source: Wiod, name: str, change: Callable[[Rows], None], at: int = 0) -> None:
    """Rewrite a workbook of the folder, with one of its sheets changed."""
    assert isinstance(source.path, Path)
    path = source.path / name
    book = CalamineWorkbook.from_path(path)
    sheets = {
        sheet: book.get_sheet_by_name(sheet).to_python(skip_empty_area=False)
        for sheet in book.sheet_names
    }
    change(sheets[book.sheet_names[at]])
    path.write_bytes(
        written(
            name,
            {s: [[c if c != "" else None for c in r] for r in rows] for s, rows in sheets.items()},
        )
    )


def cell(row: int, column: int, value: object) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        rows[row][column] = value

    return change


def cut(start: int, stop: int) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        del rows[start:stop]

    return change


@both
def test_the_order_of_rows_and_columns_does_not_matter(
    folders: dict[int, tuple[Wiod, World]], release: Release
) -> None:
    source, _ = folders[release]
    before = read(source, 2004)

    def shuffled(rows: Rows) -> None:
        rng = np.random.default_rng(3)
        columns = [0, 1, 2, 3, *rng.permutation(range(4, len(rows[6])))]
        order = [*range(6), *rng.permutation(range(6, len(rows)))]
        padded = [[*row, *[""] * (len(rows[6]) - len(row))] for row in rows]
        rows[:] = [[padded[at][column] for column in columns] for at in order]

    changed(source, TABLE[release], shuffled)
    after = read(source, 2004)
    at = [after.labels.industries.index(name) for name in before.labels.industries]
    regions = [after.labels.regions.index(name) for name in before.labels.regions]
    assert np.array_equal(before.Z, after.Z[np.ix_(at, at)])
    np.testing.assert_allclose(before.Y, after.Y[np.ix_(at, regions)], rtol=1e-14)
    assert np.array_equal(before.E, after.E[:, at])
    assert np.array_equal(before.F_Y, after.F_Y[:, regions])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (cell(8, 7, None), r"'' is no number"),
        (cell(8, 7, "1.234,5"), r"row 9, AUS Q, column AUS U: '1.234,5' is no number"),
        (cell(8, 21, "#REF!"), r"column AUS CONS_np: '#REF!' is no number"),
        (cell(8, 0, "QQ"), r"row AUS Q is missing, and 0 more"),
        (cell(8, 0, "A01"), r"row AUS A01 is there twice"),
        (cell(8, 2, ""), r"row AUS Q is missing"),
        (cell(2, 5, "A02"), r"column AUS C10-C12 is missing"),
        (cell(2, 5, "A01"), r"column AUS A01 is there twice"),
        (cell(4, 5, "AUT"), r"column AUS C10-C12 is missing|AUT .* is missing"),
        (cell(2, 21, "CONS"), r"column AUS CONS_np is missing"),
        (cell(4, 21, ""), r"has 2 columns of total output, not one"),
        (cell(3, 0, ""), r"has not the six rows of names"),
        (cell(1, 0, "43 countries, in previous year's prices"), r"not in current prices"),
        (cut(8, 9), r"row AUS Q is missing, and 0 more"),
        (cut(12, 99), r"row NLD A01 is missing, and 9 more"),
        (cut(0, 99), r"is empty"),
        (lambda rows: rows.append(rows[8]), r"row AUS Q is there twice"),
        (cell(8, 7, 1e7), r"does not balance: the row of AUS_Q .* its output is stated as"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(
    folders: dict[int, tuple[Wiod, World]], change: Callable[[Rows], None], said: str
) -> None:
    source, _ = folders[2016]
    changed(source, TABLE[2016], change)
    with pytest.raises(TableError, match=said) as caught:
        read(source, 2004)
    assert TABLE[2016] in caught.value.where
    assert caught.value.remedy


def test_a_sheet_of_another_year_is_refused(folders: dict[int, tuple[Wiod, World]]) -> None:
    for release, other in ((2013, "wiot05_row_apr12.xlsx"), (2016, "WIOT2005_Nov16_ROW.xlsb")):
        source, _ = folders[release]
        assert isinstance(source.path, Path)
        (source.path / TABLE[release]).rename(source.path / other)
        with pytest.raises(TableError, match=r"has 0 sheets of 2005"):
            read(source, 2005)


@pytest.mark.parametrize(
    ("sheet", "change", "said"),
    [
        (3, cell(1, 2, None), r"ROU, year 2004: industry A01 is blank"),
        (3, cell(1, 2, "12,5"), r"industry A01: '12,5' is no number"),
        (3, cell(1, 0, "A1"), r"ROU, year 2004: has no industry A01"),
        (3, cell(1, 0, "Q"), r"sheet ROU: industry Q is there twice"),
        (3, cell(0, 2, "2014"), r"has 0 columns '2004'"),
        (3, cut(5, 6), r"has no industry FC_HH"),
        (3, lambda rows: rows.append(["Z", 1.0, 2.0]), r"industry Z is none of the table's"),
    ],
)
def test_an_account_that_is_not_whole_is_refused(
    folders: dict[int, tuple[Wiod, World]],
    sheet: int,
    change: Callable[[Rows], None],
    said: str,
) -> None:
    source, _ = folders[2016]
    changed(source, "CO2 emissions.xlsx", change, sheet)
    with pytest.raises(TableError, match=said) as caught:
        read(source, 2004)
    assert "CO2 emissions.xlsx" in caught.value.where
    assert caught.value.remedy


def test_a_country_that_the_accounts_lack_is_named(folders: dict[int, tuple[Wiod, World]]) -> None:
    source, world = folders[2016]
    assert isinstance(source.path, Path)
    downloads.write_co2(source.path / "CO2 emissions.xlsx", {2004: world}, without=["NLD"])
    with pytest.raises(TableError, match=r"has no sheet of NLD"):
        read(source, 2004)
    source, world = folders[2013]
    assert isinstance(source.path, Path)
    fewer = replace(world, areas=("AUS", "ROU", "NLX", "ROW"))
    downloads.write_air(source.path / "AIR_may12.zip", {2004: fewer})
    with pytest.raises(TableError, match=r"holds 0 workbooks of NLD"):
        read(source, 2004)
    downloads.write_air(source.path / "AIR_may12.zip", {2005: world})
    with pytest.raises(TableError, match=r"has no sheet '2004'|holds 0 workbooks of ROU"):
        read(source, 2004)


def test_rows_that_end_before_the_last_year_are_told_of(
    folders: dict[int, tuple[Wiod, World]],
) -> None:
    """A cell of 2003 is lost: the number of 2005 is in the column of 2004."""
    source, world = folders[2016]
    assert isinstance(source.path, Path)
    path = source.path / "CO2 emissions.xlsx"
    downloads.write_co2(path, {2003: world, 2004: world, 2005: world})
    assert "warning" not in read(source, 2004).provenance.source
    book = load_workbook(path)
    row = book["NLD"][3]
    for cell, after in zip(row[1:], [*row[2:], None], strict=True):
        cell.value = after.value if after else None
    book.save(path)
    said = read(source, 2004).provenance.source
    assert f"warning: NLD {CODES[2016][1]} and 0 rows more end before the last year" in said


def test_a_blank_is_zero_only_where_the_accounts_total_says_so(
    folders: dict[int, tuple[Wiod, World]],
) -> None:
    source, _ = folders[2013]

    def blank(row: int) -> Callable[[Rows], None]:
        def change(rows: Rows) -> None:
            rows[row][2] = None

        return change

    for row, said in ((1, "industry AtB is blank"), (8, "industry FC_HH is blank")):
        with pytest.raises(TableError, match=rf"NLD, year 2004: {said}"):
            read(with_air_of_the_netherlands(source, blank(row)), 2004)


def with_air_of_the_netherlands(source: Wiod, change: Callable[[Rows], None]) -> Wiod:
    """The accounts, one country's changed, unpacked beside the others."""
    assert isinstance(source.path, Path)
    (source.path / "changed").mkdir(exist_ok=True)
    with zipfile.ZipFile(source.path / "AIR_may12.zip") as archive:
        for name in archive.namelist():
            sheet = CalamineWorkbook.from_object(io.BytesIO(archive.read(name)))
            rows = sheet.get_sheet_by_index(0).to_python(skip_empty_area=False)
            cells = [[c if c != "" else None for c in row] for row in rows]
            if name.startswith("NLD"):
                change(cells)
            (source.path / "changed" / name).write_bytes(written(name, {"2004": cells}))
    return replace(source, stressors={"CO2": Stressor("changed", "kt")})


@pytest.mark.parametrize("row", [1, 8])
def test_a_cell_that_is_lost_shows_in_the_accounts_own_totals(
    folders: dict[int, tuple[Wiod, World]], row: int
) -> None:
    """Methane's number is carbon dioxide's then; of industries, and of households."""
    source, world = folders[2013]
    assert "warning" not in read(source, 2004).provenance.source

    def lost(rows: Rows) -> None:
        rows[4][2] = 0.0  # a blank would need the total, which is not met any more
        del rows[row][2]

    def thirtyfold(rows: Rows) -> None:
        rows[4][2], rows[row][2] = 0.0, 30 * rows[row][2]

    emitted, direct = world.emissions.reshape(4, 4)[2], world.households[2]
    off, of = (emitted[0], emitted.sum()) if row == 1 else (direct, emitted.sum() + direct)
    said = read(with_air_of_the_netherlands(source, lost), 2004).provenance.source
    apart = f"NLD are {100 * off / of:.2g} % above the account's own total"
    what = "the emissions of" if row == 1 else "with households, those of"
    assert f"CO2: warning: {what} {apart}" in said
    if row == 1:
        with pytest.raises(TableError, match=r"emissions of NLD are .* % above the account's own"):
            read(with_air_of_the_netherlands(source, thirtyfold), 2004)
    else:
        said = read(with_air_of_the_netherlands(source, thirtyfold), 2004).provenance.source
        assert "warning: with households, those of NLD are" in said


@pytest.mark.parametrize("name", [TABLE[2016], "CO2 emissions.xlsx"])
def test_a_damaged_workbook_is_refused_or_gives_the_undamaged_table(
    folders: dict[int, tuple[Wiod, World]], name: str
) -> None:
    source, _ = folders[2016]
    assert isinstance(source.path, Path)
    whole = read(source, 2004)
    path = source.path / name
    body, rng = path.read_bytes(), np.random.default_rng(6)
    for _ in range(60):
        at = int(rng.integers(len(body)))
        piece = rng.bytes(int(rng.integers(1, 9)))
        path.write_bytes(body[:at] + (piece + body[at + len(piece) :]) * int(rng.integers(2)))
        found = read_or_refuse(source)
        assert found is None or found.sha256 == whole.sha256


def read_or_refuse(source: Wiod) -> MRIO | None:
    """The table, or None where an error says where and what to do; anything else is raised."""
    try:
        return read(source, 2004)
    except TableError as error:
        if not (error.where and error.remedy):
            raise
        return None


def test_folders_without_tables_or_with_two_of_a_year(
    folders: dict[int, tuple[Wiod, World]], tmp_path: Path
) -> None:
    source, _ = folders[2013]
    assert isinstance(source.path, Path)
    with pytest.raises(TableError, match=r"holds no table of 2011.*\n.*2004"):
        read(source, 2011)
    with pytest.raises(TableError, match=r"holds no table of WIOD's release 2016") as caught:
        years(replace(source, release=2016))
    assert "WIOT2014_Nov16_ROW.xlsb" in caught.value.remedy
    (source.path / "WIOT04_ROW_Sep12.xlsx").touch()
    with pytest.raises(TableError, match=r"are both of 2004"):
        years(source)
    empty = replace(source, stressors={"CO2": Stressor("nothing.xlsx", "kt")})
    (source.path / "WIOT04_ROW_Sep12.xlsx").unlink()
    with pytest.raises(TableError, match=r"nothing.xlsx.*cannot be read"):
        read(empty, 2004)
    (source.path / "notes.txt").touch()
    with pytest.raises(TableError, match=r"holds 0 workbooks"):
        read(replace(source, stressors={"CO2": Stressor("notes.txt", "kt")}), 2004)


def test_specs_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no stressors"):
        Wiod(tmp_path, {})
    with pytest.raises(ConfigError, match="no release 2012"):
        Wiod(tmp_path, CO2[2016], 2012)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="from 'Mt' to itself"):
        Stressor("a", "Mt", factor=1e-3)


def test_a_configuration_reads_it(folders: dict[int, tuple[Wiod, World]], tmp_path: Path) -> None:
    (tmp_path / "wiod.toml").write_text(
        f"""
title = "WIOD, SYNTHETIC"

[tables]
reader = "wiod"
release = 2016
path = "{folders[2016][0].path}"
years = [2004]

[tables.stressors.CO2]
accounts = "CO2 emissions.xlsx"
unit = "Mt"
file_unit = "kt"
factor = 1e-3

[question]
consumers = ["NLD"]
stressors = ["CO2"]

[method]
perturb = "coefficients"

[sampling]
seed = 1
draws = 8

[[scenarios.base.errors]]
quantity = "s"
rsd = 0.1
source = "assumption"
components = [{{ name = "own", weight = 1.0, group = "cell", time = "yearly" }}]
"""
    )
    config = engine.load_config(tmp_path / "wiod.toml")
    assert isinstance(config.tables, Wiod)
    assert read(config.tables, 2004).labels.stressor_units == ("Mt",)


def check_is_pymrios(source: Wiod, year: int) -> None:
    """Z, Y, CO2 and households' CO2 are those of pymrio's own parser."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pymrio.parse_wiod(source.path, year)
    table = read(source, year)
    assert [tuple(map(str, name)) for name in theirs.Z.index] == list(table.labels.industries)
    assert np.array_equal(table.Z, theirs.Z.to_numpy())
    Y = theirs.Y.T.groupby(level="region", sort=False).sum().T
    np.testing.assert_allclose(table.Y, Y.to_numpy(), rtol=1e-14)
    for place, name in enumerate(source.stressors):
        assert np.array_equal(table.E[place], theirs.AIR.F.loc[name].to_numpy())
        direct = theirs.AIR.F_Y.loc[name].groupby(level=0, sort=False).sum()
        assert np.array_equal(table.F_Y[place], direct[list(table.labels.regions)].to_numpy())


AIR = {
    "CO2": Stressor("AIR_may12", "kt"),
    "CH4": Stressor("AIR_may12", "t", "CH4"),
    "NH3": Stressor("AIR_may12", "t", "NH3"),
}


@pytest.mark.realdata
def test_the_mock_gives_the_numbers_pymrios_own_parser_gives(data: Path) -> None:
    mock = data / "pymrio_mocks" / "mock_mrios" / "wiod_mock"
    check_is_pymrios(Wiod(mock, AIR, 2013), 2009)


def test_a_generated_download_gives_the_numbers_pymrios_own_parser_gives(tmp_path: Path) -> None:
    areas, codes = ("AUS", "ROM", "USA", "RoW"), ("AtB", "C", "19", "P")
    world = quiet(downloads.economy(2006, 2013, areas, codes))
    rows = [list(row) for row in downloads.rows(world, 2006, 2013)]
    for row in rows[2:]:  # pymrio looks for c35 at the end of the industries
        row[:] = ["c35" if cell == "c4" else cell for cell in row]
    (tmp_path / "wiot06_row_apr12.xlsx").write_bytes(
        written("wiot06_row_apr12.xlsx", {"WIOT_2006": rows})
    )
    named = replace(world, areas=("AUS", "ROU", "USA", "ROW"))
    downloads.write_air(tmp_path / "AIR_may12", {2006: named}, archive=False)
    check_is_pymrios(Wiod(tmp_path, AIR, 2013), 2006)
