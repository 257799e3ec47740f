"""EXIOBASE 3's downloads, written small in their true layout, and what is read from them."""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pymrio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine
from benchmarks.downloads import exiobase as downloads
from benchmarks.downloads.exiobase import Extension
from benchmarks.downloads.worlds import World
from engine.errors import ConfigError, InputError, TableError
from engine.kernels.leontief import output_by_rounds, required_output
from engine.mrio import MRIO
from engine.readers import files, read, years
from engine.readers.exiobase import Exiobase3
from engine.readers.selecting import Rows

REGIONS, SECTORS = ("AT", "WA"), ("Coal", "Steel")
USES = ("Households", "Changes in inventories")
ROWS = ("CO2 - combustion - air", "CO2 - cement - air", "CH4 - agriculture - air", "Jobs")
INDUSTRIES = [(region, sector) for region in REGIONS for sector in SECTORS]

Z = np.array([[20.0, 3, 30, 1], [4, 10, 2, 5], [40, 6, 10, 7], [1, 2, 3, 4]])
Y = np.array([[40.0, -1, 10, 2], [7, 1, 8, 0], [20, 3, 30, 4], [5, 6, 50, 8]])
X = Z.sum(1) + Y.sum(1)
F = np.arange(1.0, 17).reshape(4, 4) * 1e6
F_Y = np.arange(1.0, 17).reshape(4, 4) * 1e5

WORLD = World(REGIONS, SECTORS, Z, Y, np.zeros((1, 4)), F[0], F_Y[0, ::2])
SATELLITE = Extension(dict(zip(ROWS, ("kg", "kg", "kg", "1000 p"), strict=True)), F, F_Y)
CO2 = Rows(ROWS[:2], "kt", factor=1e-6, file_unit="kg")
STRESSORS = {"CO2": CO2, "CH4": Rows((ROWS[2],), "kg")}


def release(flows: str = "Z", direct: str = "F_Y") -> dict[str, str]:
    """The files of a tiny release, by their path in the archive's folder."""
    given = {"satellite": SATELLITE}
    lines = downloads.contents(WORLD, flows=flows, direct=direct, extensions=given, uses=USES)
    return {name: "".join(body) for name, body in lines}


def zipped(folder: Path, content: Mapping[str, str], inside: str = "IOT_2015_pxp/") -> Exiobase3:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "IOT_2015_pxp.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in content.items():
            archive.writestr(inside + name, body.encode("utf-8", "surrogateescape"))
    return Exiobase3(folder, "satellite", STRESSORS)


def unpacked(folder: Path, content: Mapping[str, str]) -> Exiobase3:
    for name, body in content.items():
        path = folder / "IOT_2015_pxp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode("utf-8", "surrogateescape"))
    return Exiobase3(folder, "satellite", STRESSORS)


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


@pytest.mark.parametrize("inside", ["IOT_2015_pxp/", ""])
def test_an_archive_as_downloaded_is_read_without_unpacking(tmp_path: Path, inside: str) -> None:
    source = zipped(tmp_path, release(), inside)
    assert years(source) == (2015,)
    table = read(source, 2015)
    check_is_the_release(table)
    np.testing.assert_allclose(table.published_output, X)
    assert [p.name for p in tmp_path.iterdir()] == ["IOT_2015_pxp.zip"]
    archive = tmp_path / "IOT_2015_pxp.zip"
    assert table.provenance.files == (
        (archive.name, hashlib.sha256(archive.read_bytes()).hexdigest()),
    )
    assert table.provenance.version == "3.8.2"
    assert table.provenance.licence == "CC BY-SA 4.0"
    assert table.provenance.source == "EXIOBASE 3, pxp, extension satellite"
    assert not table.provenance.synthetic


@pytest.mark.parametrize("version", ["3.9.6", "v3.10.2", "not stated"])
def test_later_releases_have_the_licence_of_their_records(tmp_path: Path, version: str) -> None:
    content = release()
    content["metadata.json"] = content["metadata.json"].replace("3.8.2", version)
    table = read(zipped(tmp_path, content), 2015)
    assert table.provenance.version == version
    assert table.provenance.licence.startswith("LICENSE.txt of the release's record")


def test_an_unpacked_archive_is_read_alike_whatever_the_working_directory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere" / "satellite").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "elsewhere")
    table = read(unpacked(tmp_path / "here", release()), 2015)
    check_is_the_release(table)
    assert table.sha256 == read(zipped(tmp_path / "zip", release()), 2015).sha256
    named = {name.removeprefix("IOT_2015_pxp/") for name, _ in table.provenance.files}
    assert named == set(release()) - {"metadata.json"}


def test_an_archive_unpacked_into_a_folder_of_its_name_is_read_alike(tmp_path: Path) -> None:
    source = zipped(tmp_path, release())
    with zipfile.ZipFile(tmp_path / "IOT_2015_pxp.zip") as archive:
        archive.extractall(tmp_path / "IOT_2015_pxp")
    assert (tmp_path / "IOT_2015_pxp" / "IOT_2015_pxp" / "Z.txt").is_file()
    check_is_the_release(read(source, 2015))


@pytest.mark.parametrize("write", [zipped, unpacked])
def test_without_Z_it_follows_from_A_and_final_demand_and_is_said_so(
    tmp_path: Path, write: Callable[..., Exiobase3]
) -> None:
    table = read(write(tmp_path, release(flows="A", direct="F_hh")), 2015)
    check_is_the_release(table, rtol=1e-13)
    assert "Z = A diag(x)" in table.provenance.source
    assert table.published_output is None


@pytest.mark.parametrize("radius", [0.1, 0.6, 0.95])
def test_output_round_by_round_is_the_direct_solution(radius: float) -> None:
    rng = np.random.default_rng(5)
    A = rng.random((40, 40))
    A *= radius / np.abs(np.linalg.eigvals(A)).max()
    y = rng.normal(1.0, 2.0, 40)
    np.testing.assert_allclose(output_by_rounds(A, y), required_output(A, y), rtol=1e-11)
    with pytest.raises(np.linalg.LinAlgError):
        output_by_rounds(A / radius * 1.01, y)


def test_A_that_no_output_meets_is_refused(tmp_path: Path) -> None:
    content = edited("A.txt", repr(float(20 / X[0])), "1.5", "A")
    with pytest.raises(TableError, match=r"no output meets final demand"):
        read(zipped(tmp_path, content), 2015)


def test_without_direct_emissions_they_are_zero_and_said_so(tmp_path: Path) -> None:
    table = read(zipped(tmp_path, release(direct="")), 2015)
    np.testing.assert_array_equal(table.F_Y, np.zeros((2, 2)))
    assert "no direct emissions of final consumers in satellite" in table.provenance.source


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


def test_a_stressor_may_come_from_another_extension(tmp_path: Path) -> None:
    """The characterised total of `impacts` is the sum of the gases with the weights it has."""
    world = downloads.economy(2019, ("NL", "DE", "WF"), ("A", "B"))
    both = {"satellite": downloads.satellite(world), "impacts": downloads.impacts(world)}
    downloads.write_table(tmp_path, 2019, world, system="ixi", extensions=both)
    kg = {"unit": "kt", "file_unit": "kg", "factor": 1e-6}
    stressors = {
        "CO2": Rows(tuple(both["satellite"].units)[:2], **kg),
        "CH4": Rows(("CH4 - combustion - air",), **kg),
        "N2O": Rows(("N2O - combustion - air",), **kg),
        "GHG": Rows(
            tuple(both["impacts"].units),
            "kt CO2 eq.",
            factor=1e-6,
            file_unit="kg CO2 eq.",
            extension="impacts",
        ),
    }
    table = read(Exiobase3(tmp_path, "satellite", stressors, "ixi"), 2019)
    weights = np.array([1.0, 28, 265])
    np.testing.assert_allclose(weights @ table.E[:3], table.E[3], rtol=1e-14)
    np.testing.assert_allclose(weights @ table.F_Y[:3], table.F_Y[3], rtol=1e-14)
    np.testing.assert_allclose(table.E[0], world.emissions, rtol=1e-14)
    assert "extensions satellite, impacts" in table.provenance.source


def reordered(body: str, headers: int, names: int, seed: int) -> str:
    """The same rows and columns in another order."""
    frame = pd.read_csv(io.StringIO(body), sep="\t", header=None, dtype=str, keep_default_na=False)
    rng = np.random.default_rng(seed)
    rows = [*range(headers), *rng.permutation(range(headers, len(frame)))]
    columns = [*range(names), *rng.permutation(range(names, frame.shape[1]))]
    return frame.iloc[rows, columns].to_csv(sep="\t", header=False, index=False)


def test_rows_and_columns_are_matched_by_name_not_by_place(tmp_path: Path) -> None:
    content = release()
    wide = {"Z.txt": 2, "Y.txt": 2, "satellite/F.txt": 1, "satellite/F_Y.txt": 1}
    for seed, (name, names) in enumerate(wide.items()):
        content[name] = reordered(content[name], 3, names, seed)
    content["x.txt"] = reordered(content["x.txt"], 1, 3, 9)
    one, two = read(zipped(tmp_path / "a", release()), 2015), read(zipped(tmp_path, content), 2015)
    assert set(one.labels.industries) == set(two.labels.industries)
    at = [two.labels.industries.index(name) for name in one.labels.industries]
    regions = [two.labels.regions.index(name) for name in one.labels.regions]
    assert np.array_equal(one.Z, two.Z[np.ix_(at, at)])
    assert np.array_equal(one.Y, two.Y[np.ix_(at, regions)])
    assert np.array_equal(one.E, two.E[:, at])
    assert np.array_equal(one.F_Y, two.F_Y[:, regions])
    assert one.published_output is not None
    assert two.published_output is not None
    assert np.array_equal(one.published_output, two.published_output[at])


def test_what_is_not_selected_may_be_empty(tmp_path: Path) -> None:
    content = edited("satellite/F.txt", "13000000.0", "")
    check_is_the_release(read(zipped(tmp_path, content), 2015))


@pytest.mark.parametrize("flows", ["Z", "A"])
def test_blanks_of_an_industry_without_output_are_zero_and_told(tmp_path: Path, flows: str) -> None:
    """As in release 3.10: its emissions are in no footprint. Those of all others are refused."""
    idle = np.arange(4) != 3
    world = replace(WORLD, Z=Z * idle * idle[:, None], Y=Y * idle[:, None])
    whole = {name: "".join(b) for name, b in downloads.contents(
        world, flows=flows, extensions={"satellite": SATELLITE}, uses=USES)}  # fmt: skip
    name = "satellite/F.txt"
    lines = whole[name].splitlines()
    blank = [line.rpartition("\t")[0] + "\t" for line in lines[3:]]
    content = {**whole, name: "\n".join([*lines[:3], *blank]) + "\n"}
    one, two = (read(zipped(tmp_path / at, c), 2015) for at, c in (("a", whole), ("b", content)))
    assert np.array_equal(two.E, one.E * idle)
    assert np.array_equal(two.Z, one.Z)
    said = "satellite is blank for 1 industry without output, taken as zero"
    assert said in two.provenance.source
    assert "blank" not in one.provenance.source
    with pytest.raises(TableError, match=r"CO2 - combustion - air, WA Steel\) holds no number"):
        read(zipped(tmp_path / "c", {**content, "Y.txt": release()["Y.txt"]}), 2015)
    active = {**release(), name: content[name]}
    with pytest.raises(TableError, match=r"CO2 - combustion - air, WA Steel\) holds no number"):
        read(zipped(tmp_path / "d", active), 2015)


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
        (edited("Z.txt", "30.0", "30,0"), r"Z.txt.*AT Coal, column WA Coal: '30,0' is not"),
        (edited("Z.txt", "30.0", ""), r"Z.txt.*AT Coal, column WA Coal: '' is not a finite"),
        (edited("Z.txt", "30.0", "-inf"), r"Z.txt.*AT Coal, column WA Coal: '-inf' is not"),
        (edited("A.txt", repr(float(20 / X[0])), "nan", "A"), r"A.txt.*column AT Coal: 'nan'"),
        (
            edited("Y.txt", "\t-1.0", "\tx"),
            r"Y.txt.*AT Coal, column AT Changes in inventories: 'x'",
        ),
        (edited("Y.txt", "\t-1.0", ""), r"Y.txt.*6 cells between .*first row of numbers 5"),
        (
            edited("satellite/F.txt", "1000000.0", "?"),
            r"CO2 - combustion - air, column AT Coal: '\?",
        ),
        (edited("satellite/F.txt", "1000000.0", ""), r"CO2 - combustion - air, AT Coal\) holds no"),
        (edited("satellite/F_Y.txt", "100000.0", ""), r"- air, AT Households\) holds no number"),
        (edited("Z.txt", "AT\tSteel", "AT\tStahl"), r"Z.*AT Steel is missing"),
        (edited("Z.txt", "AT\tSteel", "AT\tCoal"), r"Z.*AT Steel is missing"),
        (edited("Y.txt", "WA\tSteel", "WA\tCoal"), r"Y.*WA Steel is missing"),
        (edited("x.txt", "WA\tSteel", "WA\tCoal"), r"x.*WA Steel is missing"),
        (edited("satellite/F.txt", "Coal\tSteel", "Coal\tCoal"), "F.*AT Steel is missing"),
        (edited("satellite/F_Y.txt", "WA\tWA", "WB\tWB"), "regions differ .*: WA, WB"),
        (edited("satellite/F_Y.txt", USES[1], USES[0]), "column of final demand is there twice"),
        (edited("Y.txt", "WA\tWA", "WB\tWB"), "regions differ .*: WA, WB"),
        (edited("unit.txt", "M.EUR", "TJ"), r"flows are in 2 units \(M.EUR, TJ\)"),
        (edited("unit.txt", "WA\tSteel\tM.EUR\n", ""), "WA - Steel has no unit, nor have 0 more"),
        (edited("unit.txt", "M.EUR", '".EUR'), "has no unit"),
        (edited("unit.txt", "unit", "units"), "is no table with a column `unit`"),
        (edited("satellite/unit.txt", "CO2 - cement", "CO2 - combustion"), "has a row twice"),
        (edited("satellite/unit.txt", "kg", "t"), "row 'CO2 - combustion - air' is in t"),
        (edited("satellite/unit.txt", "\tkg", ""), "is no table with a column `unit`"),
        (
            edited("satellite/F.txt", "combustion", "x"),
            "no rows 'CO2 - combustion.*\n.*did you mean",
        ),
        (edited("satellite/F.txt", "cement", "combustion"), "has 2 rows 'CO2 - combustion"),
        (edited("metadata.json", '"pxp"', '"ixi"'), "metadata say it is ixi, not pxp"),
        (edited("metadata.json", "{", "["), "metadata.json.*cannot be parsed"),
        (edited("file_parameters.json", "Y.txt", "Y.pkl"), "asks for 'Y.pkl'"),
        (edited("file_parameters.json", "Y.txt", "../Y.txt"), "asks for '../Y.txt'"),
        (edited("file_parameters.json", '"Y"', '"Yy"'), "the core has no account Y|no account Y"),
        (edited("satellite/file_parameters.json", '"F_Y"', '"F_X"'), "F_Y.txt.*does not name it"),
        (edited("file_parameters.json", '"x"', '"y"'), "x.txt.*json does not name it"),
        (edited("file_parameters.json", '"Z"', '"z"'), "Z.txt.*json does not name it"),
        (edited("file_parameters.json", "IOSystem", "Other"), "holds 0 tables"),
        (edited("satellite/file_parameters.json", "Extension", "IOSystem"), "holds 2 tables"),
        (edited("file_parameters.json", "{", "["), "cannot be parsed"),
        (edited("file_parameters.json", "files", "fils"), "cannot be parsed .KeyError"),
        (edited("file_parameters.json", '"2"', '"two"'), "cannot be parsed"),
        (edited("file_parameters.json", '"2"', '"3"'), r"names of 3 parts|cells between|missing"),
        (without("file_parameters.json"), "holds 0 tables"),
        (without("Y.txt"), r"Y\.txt.*cannot be read|has no file"),
        (without("satellite/file_parameters.json"), "has no extension 'satellite'"),
    ],
)
@pytest.mark.parametrize("write", [zipped, unpacked])
def test_a_release_that_is_not_whole_is_refused(
    tmp_path: Path, write: Callable[..., Exiobase3], content: dict[str, str], message: str
) -> None:
    with pytest.raises(TableError, match=message) as caught:
        read(write(tmp_path, content), 2015)
    assert "IOT_2015_pxp" in caught.value.where
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["Z.txt", "unit.txt", "satellite/unit.txt"])
def test_a_wrong_encoding_is_refused(tmp_path: Path, name: str) -> None:
    content = release()
    content[name] = content[name].replace("o", "\udce4", 1)
    with pytest.raises(TableError, match=r"not UTF-8") as caught:
        read(unpacked(tmp_path, content), 2015)
    assert name.rpartition("/")[2] in caught.value.where


def read_or_refuse(source: Exiobase3) -> MRIO | None:
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
    content["impacts/file_parameters.json"] = '{"files": {}, "systemtype": "Extension"}'
    source = replace(zipped(tmp_path, content), extension="satelite")
    with pytest.raises(TableError, match=r"no extension 'satelite'.*\n.*mean 'satellite'"):
        read(source, 2015)
    with pytest.raises(TableError, match=r"impacts has no account unit"):
        read(replace(source, extension="impacts"), 2015)


def test_unsafe_archives_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = zipped(tmp_path, {"../../x": "", **release()})
    with pytest.raises(TableError, match="leaves its folder"):
        read(source, 2015)
    monkeypatch.setattr(files, "BOMB_SIZE", 10**5)
    read(zipped(tmp_path, {**release(), "never_read.txt": "0" * 10**6}), 2015)
    source = zipped(tmp_path, {**release(), "Y.txt": "0" * 10**6})
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
        found = read_or_refuse(Exiobase3(Path(folder), "satellite", STRESSORS))
        assert found is None or found.sha256 == table.sha256


@pytest.mark.parametrize("wrong", [{"system": "ixp"}, {"stressors": {}}])
def test_a_source_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(Exiobase3(Path(), "satellite", STRESSORS), **wrong)
    assert caught.value.remedy


def test_the_shipped_configuration_reads_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXIOBASE3", str(tmp_path))
    config = engine.load_config(Path("configs/exiobase3.toml"))
    assert isinstance(config.tables, Exiobase3)
    world = downloads.economy(2010, ("NL", "DE"), ("A", "B"))
    names = [row for chosen in config.tables.stressors.values() for row in chosen.rows]
    satellite = downloads.satellite(world, len(names))
    renamed = Extension(dict.fromkeys(names, "kg"), satellite.F, satellite.F_Y)
    downloads.write_table(tmp_path, 2010, world, extensions={"air_emissions": renamed})
    table = read(config.tables, 2010)
    np.testing.assert_allclose(table.E[0], 1e-6 * satellite.F.sum(axis=0), rtol=1e-14)


@pytest.mark.realdata
def test_the_exiobase_mock_gives_the_numbers_pymrios_own_parser_gives(
    data: Path, tmp_path: Path
) -> None:
    mock = data / "pymrio_mocks" / "mock_mrios" / "exio3_mock"
    (tmp_path / "IOT_2009_pxp").symlink_to(mock)
    rows = ("emission_type1", "emission_type2")
    stressors = {"both": Rows(rows, "t", factor=1e-3, file_unit="kg")}
    table = read(Exiobase3(tmp_path, "satellite", stressors), 2009)
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


@pytest.mark.parametrize("flows", ["Z", "A"])
@pytest.mark.parametrize("direct", ["F_Y", "F_hh"])
def test_a_generated_download_gives_the_numbers_pymrios_own_parser_gives(
    tmp_path: Path, flows: str, direct: str
) -> None:
    world = downloads.economy(2012, ("NL", "DE", "WF"), ("A", "B", "C"))
    path = downloads.write_table(tmp_path, 2012, world, flows=flows, direct=direct)
    rows = tuple(downloads.satellite(world).units)[:2]
    table = read(Exiobase3(tmp_path, "satellite", {"CO2": Rows(rows, "kg")}), 2012)
    theirs = pymrio.parse_exiobase3(path)
    theirs.calc_all()
    np.testing.assert_allclose(table.Z, theirs.Z.to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(table.x, theirs.x.to_numpy()[:, 0], rtol=1e-12)
    np.testing.assert_allclose(table.E[0], theirs.satellite.F.loc[list(rows)].sum(), rtol=1e-14)
    direct_of = theirs.satellite.F_Y.loc[list(rows)].sum().groupby(level="region", sort=False)
    np.testing.assert_allclose(table.F_Y[0], direct_of.sum(), rtol=1e-14)
