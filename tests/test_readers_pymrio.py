"""Tables through pymrio: EXIOBASE 3 in the layout it is downloaded in, and pymrio's test table."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymrio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ConfigError, InputError, TableError
from engine.mrio import MRIO
from engine.readers import Pymrio, files, read, years
from engine.readers.pymrio_tables import Selection

REGIONS, SECTORS = ("AT", "WA"), ("Coal", "Steel")
CATEGORIES = ("Households", "Changes in inventories")
ROWS = ("CO2 - combustion - air", "CO2 - cement - air", "CH4 - agriculture - air", "Jobs")
ROW_UNITS = ("kg", "kg", "kg", "1000 p")
INDUSTRIES = [(region, sector) for region in REGIONS for sector in SECTORS]
DEMAND = [(region, category) for region in REGIONS for category in CATEGORIES]

Z = np.array([[20.0, 3, 30, 1], [4, 10, 2, 5], [40, 6, 10, 7], [1, 2, 3, 4]])
Y = np.array([[40.0, -1, 10, 2], [7, 1, 8, 0], [20, 3, 30, 4], [5, 6, 50, 8]])
X = Z.sum(1) + Y.sum(1)
F = np.arange(1.0, 17).reshape(4, 4) * 1e6
F_Y = np.arange(1.0, 17).reshape(4, 4) * 1e5

CO2 = Selection(ROWS[:2], "kt", factor=1e-6, file_unit="kg")
STRESSORS = {"CO2": CO2, "CH4": Selection((ROWS[2],), "kg")}


def text(values: np.ndarray, rows: list[tuple[str, ...]], columns: list[tuple[str, ...]]) -> str:
    """A table as pandas writes it: the names of columns in one line each, those of rows before."""
    names = [("region", "sector"), ("stressor",)][len(rows[0]) == 1]
    depth = len(rows[0])
    head = [
        "\t".join(
            [
                ("region", "sector" if columns is INDUSTRIES else "category")[level],
                *[""] * (depth - 1),
                *(c[level] for c in columns),
            ]
        )
        for level in range(2)
    ]
    body = [
        "\t".join([*row, *map(repr, map(float, line))])
        for row, line in zip(rows, values, strict=True)
    ]
    return "\n".join([*head, "\t".join([*names, *[""] * len(columns)]), *body]) + "\n"


def parameters(kind: str, accounts: dict[str, tuple[int, int]]) -> str:
    described = {
        name: {"name": f"{name}.txt", "nr_index_col": str(index), "nr_header": str(header)}
        for name, (index, header) in accounts.items()
    }
    return json.dumps({"files": described, "systemtype": kind, "name": "x"})


def release(flows: str = "Z", direct: str = "F_Y") -> dict[str, str]:
    """The files of a tiny release, by their path in the archive's folder."""
    rows = [(row,) for row in ROWS]
    core = {"Y": (2, 2), "unit": (2, 1), flows: (2, 2)}
    satellite = {"F": (1, 2), "unit": (1, 1), "S": (1, 2)}
    content = {
        f"{flows}.txt": text(Z if flows == "Z" else Z / X, INDUSTRIES, INDUSTRIES),
        "Y.txt": text(Y, INDUSTRIES, DEMAND),
        "unit.txt": "region\tsector\tunit\n" + "".join(f"{r}\t{s}\tM.EUR\n" for r, s in INDUSTRIES),
        "metadata.json": json.dumps(
            {"description": "d", "name": "n", "system": "pxp", "version": "3.8.2", "history": []}
        ),
        "satellite/F.txt": text(F, rows, INDUSTRIES),
        "satellite/S.txt": "never read",
        "satellite/unit.txt": "\tunit\n"
        + "".join(f"{row}\t{unit}\n" for row, unit in zip(ROWS, ROW_UNITS, strict=True)),
    }
    if flows == "Z":
        core["x"] = (2, 1)
        content["x.txt"] = "region\tsector\tindout\n" + "".join(
            f"{r}\t{s}\t{x!r}\n" for (r, s), x in zip(INDUSTRIES, (X + 1).tolist(), strict=True)
        )
    if direct:
        satellite[direct] = (1, 2)
        content[f"satellite/{direct}.txt"] = text(F_Y, rows, DEMAND)
    content["file_parameters.json"] = parameters("IOSystem", core)
    content["satellite/file_parameters.json"] = parameters("Extension", satellite)
    return content


def zipped(folder: Path, content: dict[str, str], inside: str = "IOT_2015_pxp/") -> Pymrio:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "IOT_2015_pxp.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in content.items():
            archive.writestr(inside + name, body)
    return Pymrio("exiobase3", "satellite", STRESSORS, path=folder)


def unpacked(folder: Path, content: dict[str, str]) -> Pymrio:
    for name, body in content.items():
        path = folder / "IOT_2015_pxp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode("utf-8", "surrogateescape"))
    return Pymrio("exiobase3", "satellite", STRESSORS, path=folder)


def check_is_the_release(table: MRIO, rtol: float = 1e-15) -> None:
    assert table.year == 2015
    assert table.labels.regions == REGIONS
    assert table.labels.industries == tuple(INDUSTRIES)
    assert table.labels.stressors == ("CO2", "CH4")
    assert table.labels.stressor_units == ("kt", "kg")
    assert table.labels.currency == "M.EUR, current basic prices"
    np.testing.assert_allclose(table.Z, Z, rtol)
    np.testing.assert_allclose(table.Y, [[39, 12], [8, 8], [23, 34], [11, 58]], rtol)
    np.testing.assert_allclose(table.E, [[6, 8, 10, 12], [9e6, 10e6, 11e6, 12e6]], rtol)
    np.testing.assert_allclose(table.F_Y, [[1.4, 2.2], [1.9e6, 2.3e6]], rtol)


# --- EXIOBASE 3 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["IOT_2015_pxp/", ""])
def test_an_archive_as_downloaded_is_read_without_unpacking(tmp_path: Path, inside: str) -> None:
    source = zipped(tmp_path, release(), inside)
    assert years(source) == (2015,)
    table = read(source, 2015)
    check_is_the_release(table)
    np.testing.assert_allclose(table.published_output, X + 1)
    assert [p.name for p in tmp_path.iterdir()] == ["IOT_2015_pxp.zip"]
    archive = tmp_path / "IOT_2015_pxp.zip"
    assert table.provenance.files == (
        (archive.name, hashlib.sha256(archive.read_bytes()).hexdigest()),
    )
    assert table.provenance.version == "3.8.2"
    assert table.provenance.source == "EXIOBASE 3, IOT_2015_pxp.zip, extension satellite"
    assert not table.provenance.synthetic


def test_an_unpacked_archive_is_read_alike_whatever_the_working_directory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere" / "satellite").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    table = read(unpacked(tmp_path / "here", release()), 2015)
    check_is_the_release(table)
    assert table.sha256 == read(zipped(tmp_path / "zip", release()), 2015).sha256
    named = {name.removeprefix("IOT_2015_pxp/") for name, _ in table.provenance.files}
    assert named == set(release()) - {"metadata.json", "satellite/S.txt"}


@pytest.mark.parametrize("write", [zipped, unpacked])
def test_without_Z_it_follows_from_A_and_final_demand_and_is_said_so(
    tmp_path: Path, write: Callable[..., Pymrio]
) -> None:
    table = read(write(tmp_path, release(flows="A", direct="F_hh")), 2015)
    check_is_the_release(table, rtol=1e-13)
    assert "Z = A diag(x)" in table.provenance.source
    assert table.published_output is None


def test_without_direct_emissions_they_are_zero_and_said_so(tmp_path: Path) -> None:
    table = read(zipped(tmp_path, release(direct="")), 2015)
    np.testing.assert_array_equal(table.F_Y, np.zeros((2, 2)))
    assert "no direct emissions" in table.provenance.source


def test_the_folder_is_used_where_both_are_there_and_only_the_system_asked_for(
    tmp_path: Path,
) -> None:
    unpacked(tmp_path, release())
    source = zipped(tmp_path, {})
    (tmp_path / "IOT_2016_ixi.zip").touch()
    (tmp_path / "IOT_2014_pxp.zip.part").touch()
    assert years(source) == (2015,)
    check_is_the_release(read(source, 2015))
    with pytest.raises(TableError, match=r"no table of 2016.*\n.*2015"):
        read(source, 2016)
    with pytest.raises(TableError, match="holds no IOT_YEAR_ixi"):
        years(replace(source, path=tmp_path / "IOT_2015_pxp", system="ixi"))
    with pytest.raises(TableError, match="nowhere: cannot be read"):
        years(replace(source, path=tmp_path / "nowhere"))


def edited(name: str, old: str, new: str, flows: str = "Z") -> dict[str, str]:
    content = release(flows)
    assert old in content[name]
    return {**content, name: content[name].replace(old, new, 1)}


def without(name: str) -> dict[str, str]:
    content = release()
    del content[name]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (edited("Z.txt", "30.0", "30,0"), r"cell \(AT Coal, WA Coal\) of Z is '30,0'"),
        (edited("Z.txt", "30.0", ""), r"cell \(AT Coal, WA Coal\) of Z is 'nan'"),
        (edited("Z.txt", "30.0", "-inf"), r"cell \(AT Coal, WA Coal\) of Z is '-inf'"),
        (
            edited("A.txt", repr(float(20 / X[0])), "nan", "A"),
            r"cell \(AT Coal, AT Coal\) of A is 'nan'",
        ),
        (edited("Y.txt", "\t-1.0", "\tx"), r"\(AT Coal, AT Changes in inventories\) of Y is 'x'"),
        (edited("satellite/F.txt", "1000000.0", "?"), r"CO2 - combustion - air, AT Coal\)"),
        (edited("satellite/F_Y.txt", "100000.0", ""), r"CO2 - combustion - air, AT Households\)"),
        (edited("Z.txt", "AT\tSteel", "AT\tStahl"), "number 2 of the rows of the flows"),
        (edited("Z.txt", "AT\tSteel", "AT\tCoal"), "number 2 of the rows of the flows"),
        (edited("Y.txt", "WA\tSteel", "WA\tCoal"), "number 4 of the rows of Y is WA Coal"),
        (edited("satellite/F.txt", "Coal\tSteel", "Steel\tCoal"), "number 1 of the columns of F"),
        (edited("satellite/F_Y.txt", "WA\tWA", "WB\tWB"), "regions differ .*: WA, WB"),
        (edited("Y.txt", "WA\tWA", "WB\tWB"), "without a final demand column: WA"),
        (edited("unit.txt", "M.EUR", "TJ"), r"flows are in 2 units \(M.EUR, TJ\)"),
        (edited("satellite/unit.txt", "kg", "t"), "row 'CO2 - combustion - air' is in t"),
        (
            edited("satellite/F.txt", "combustion", "x"),
            "0 rows 'CO2 - combustion.*\n.*did you mean",
        ),
        (edited("satellite/F.txt", "cement", "combustion"), "has 2 rows 'CO2 - combustion"),
        (edited("metadata.json", '"pxp"', '"ixi"'), "metadata say it is ixi, not pxp"),
        (edited("file_parameters.json", "Y.txt", "Y.pkl"), "asks for 'Y.pkl'"),
        (edited("file_parameters.json", "Y.txt", "../Y.txt"), "asks for '../Y.txt'"),
        (
            edited("file_parameters.json", '"Y"', '"Yy"'),
            "the core has no account Y|has no account Y",
        ),
        (edited("file_parameters.json", "IOSystem", "Other"), "holds 0 tables"),
        (edited("satellite/file_parameters.json", "Extension", "IOSystem"), "holds 2 tables"),
        (edited("file_parameters.json", "{", "["), "cannot be parsed"),
        (edited("file_parameters.json", "files", "fils"), "cannot be parsed .KeyError"),
        (edited("file_parameters.json", '"2"', '"two"'), "cannot be parsed"),
        (without("file_parameters.json"), "holds 0 tables|cannot be read"),
        (without("Y.txt"), r"cannot be parsed|Y\.txt: cannot be read"),
        (without("satellite/file_parameters.json"), "has no extension 'satellite'"),
    ],
)
@pytest.mark.parametrize("write", [zipped, unpacked])
def test_a_release_that_is_not_whole_is_refused(
    tmp_path: Path, write: Callable[..., Pymrio], content: dict[str, str], message: str
) -> None:
    with pytest.raises(TableError, match=message) as caught:
        read(write(tmp_path, content), 2015)
    assert "IOT_2015_pxp" in caught.value.where
    assert caught.value.remedy


def test_a_wrong_encoding_is_refused(tmp_path: Path) -> None:
    content = edited("Z.txt", "AT\tSteel", "AT\tSt\udce4hl")
    with pytest.raises(TableError, match=r"cannot be parsed .UnicodeDecodeError"):
        read(unpacked(tmp_path, content), 2015)


def read_or_refuse(source: Pymrio) -> MRIO | None:
    """The table, or None where an error says where and what to do; anything else is raised."""
    try:
        return read(source, 2015)
    except InputError as error:
        if not (error.where and error.remedy):
            raise
        return None


@pytest.mark.parametrize("name", ["Z.txt", "Y.txt", "satellite/F.txt", "satellite/F_Y.txt"])
def test_a_text_file_truncated_anywhere_is_refused_or_gives_the_whole_table(
    tmp_path: Path, name: str
) -> None:
    """It is refused unless exactly the lines of rows that nobody selected are gone."""
    body = release()[name]
    source = unpacked(tmp_path, release())
    whole, path = read(source, 2015), tmp_path / "IOT_2015_pxp" / name
    accepted = 0
    for end in range(len(body)):
        path.write_text(body[:end])
        found = read_or_refuse(source)
        accepted += found is not None
        assert found is None or found.sha256 == whole.sha256
    assert accepted == name.startswith("satellite")  # whose last row is Jobs


def test_other_extensions_and_misspelt_ones_are_named(tmp_path: Path) -> None:
    content = release()
    content["impacts/file_parameters.json"] = parameters("Extension", {})
    source = replace(zipped(tmp_path, content), extension="satelite")
    with pytest.raises(TableError, match=r"no extension 'satelite'.*\n.*mean 'satellite'"):
        read(source, 2015)
    with pytest.raises(TableError, match=r"impacts has no account F"):
        read(replace(source, extension="impacts"), 2015)


def test_unsafe_archives_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = zipped(tmp_path, {"../../x": "", **release()})
    with pytest.raises(TableError, match="leaves its folder"):
        read(source, 2015)
    source = zipped(tmp_path, {**release(), "bomb.txt": "0" * 10**6})
    monkeypatch.setattr(files, "BOMB_SIZE", 10**5)
    with pytest.raises(TableError, match="would expand"):
        read(source, 2015)


@pytest.fixture(scope="module")
def whole() -> tuple[bytes, MRIO]:
    with tempfile.TemporaryDirectory() as folder:
        source = zipped(Path(folder), release())
        return (Path(folder) / "IOT_2015_pxp.zip").read_bytes(), read(source, 2015)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(spot=st.floats(0, 1, exclude_max=True), piece=st.binary(max_size=30), cut=st.booleans())
def test_a_damaged_archive_is_refused_or_gives_the_undamaged_table(
    whole: tuple[bytes, MRIO], spot: float, piece: bytes, cut: bool
) -> None:
    data, table = whole
    at = int(spot * len(data))
    damaged = data[:at] + piece + (b"" if cut else data[at + len(piece) :])
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "IOT_2015_pxp.zip").write_bytes(damaged)
        found = read_or_refuse(Pymrio("exiobase3", "satellite", STRESSORS, path=Path(folder)))
        assert found is None or found.sha256 == table.sha256


# --- pymrio's own table ---------------------------------------------------------------------------

AIR = Selection(("emission_type1 - air",), "kg")
TEST = Pymrio("test", "emissions", {"air": AIR}, year=2011)


def test_the_test_table_is_pymrios_and_says_that_it_is_made_up() -> None:
    assert years(TEST) == (2011,)
    table, theirs = read(TEST, 2011), pymrio.load_test()
    np.testing.assert_array_equal(table.Z, theirs.Z.to_numpy())
    np.testing.assert_allclose(table.Y.sum(axis=1), theirs.Y.sum(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(table.E[0], theirs.emissions.F.to_numpy()[0])
    theirs.calc_all()
    np.testing.assert_allclose(table.x, theirs.x.to_numpy()[:, 0], rtol=1e-12)
    assert table.provenance.synthetic
    assert table.labels.industries[0] == ("reg1", "food")
    with pytest.raises(TableError, match=r"no table of 2012.*\n.*2011"):
        read(TEST, 2012)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"extension": "emision"}, "no extension 'emision'.*\n.*did you mean 'emissions'"),
        ({"extension": "meta"}, "no extension 'meta'"),
        (
            {"stressors": {"air": Selection(("emission_type1",), "kg")}},
            "mean 'emission_type1 - air'",
        ),
        (
            {"stressors": {"air": Selection(AIR.rows, "kt")}},
            "is in kg, the selection takes it for kt",
        ),
    ],
)
def test_a_selection_that_the_test_table_lacks_is_refused(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        read(replace(TEST, **changed), 2011)


# --- specs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": ()},
        {"rows": ("a", "a")},
        {"factor": 0.0},
        {"factor": float("nan")},
        {"factor": 2.0},
        {"factor": 1e-6, "file_unit": "kg"},
        {"file_unit": "t"},
    ],
)
def test_a_selection_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        Selection(**{"rows": ("a",), "unit": "kg", **wrong})
    assert caught.value.remedy


@pytest.mark.parametrize(
    "wrong",
    [
        {"database": "eora"},
        {"system": "ixp"},
        {"stressors": {}},
        {"year": None},
        {"path": Path()},
        {"database": "exiobase3"},
    ],
)
def test_a_source_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(TEST, **wrong)
    assert caught.value.remedy


# --- real layout ----------------------------------------------------------------------------------


@pytest.mark.realdata
def test_the_exiobase_mock_gives_the_numbers_pymrios_own_parser_gives(
    data: Path, tmp_path: Path
) -> None:
    mock = data / "pymrio_mocks" / "mock_mrios" / "exio3_mock"
    (tmp_path / "IOT_2009_pxp").symlink_to(mock)
    rows = ("emission_type1", "emission_type2")
    stressors = {"both": Selection(rows, "t", factor=1e-3, file_unit="kg")}
    table = read(Pymrio("exiobase3", "satellite", stressors, path=tmp_path), 2009)
    theirs = pymrio.parse_exiobase3(mock)
    theirs.calc_all()
    np.testing.assert_allclose(table.Z, theirs.Z.to_numpy(), rtol=1e-9)
    np.testing.assert_allclose(table.x, theirs.x.to_numpy()[:, 0], rtol=1e-9)
    by_region = theirs.Y.T.groupby(level="region", sort=False).sum().T
    np.testing.assert_allclose(table.Y, by_region.to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(table.E[0], theirs.satellite.F.sum() / 1e3, rtol=1e-12)
    direct = theirs.satellite.F_Y.T.groupby(level="region", sort=False).sum().T.sum()
    np.testing.assert_allclose(table.F_Y[0], direct / 1e3, rtol=1e-12)
    assert table.labels.regions == ("AUS", "BRA", "FIN", "FRA", "KOR", "WWF")
    assert table.provenance.version == "v3.4_mock"
