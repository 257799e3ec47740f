"""OECD's ICIO downloads, written small in their true layouts, and what is read from them."""

from __future__ import annotations

import errno
import os
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pymrio
import pytest

import engine
from benchmarks.downloads import icio as downloads
from benchmarks.downloads.worlds import World
from engine import readers
from engine.errors import ConfigError, TableError
from engine.mrio import SILENT, findings
from engine.readers import Aggregated, Aggregation, icio_flows
from engine.readers.files import sha256
from engine.readers.icio import Icio, Stressor

AREAS = ("AUS", "CHN", "MEX", "NLD", "ROW")
INDUSTRIES = ("A01_02", "C29", "D", "O")
GHG = {"GHG": Stressor("DF_MAIN.csv", "Mt CO2-eq", "PROD_GHG", 1e-6, "T_CO2E")}
TABLE = "2018_SML.csv"


@pytest.fixture
def world() -> World:
    return downloads.economy(2018, AREAS, INDUSTRIES)


@pytest.fixture
def extended() -> World:
    return downloads.economy(2018, AREAS, INDUSTRIES, extended=True)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    downloads.write_table(tmp_path, 2018, world)
    downloads.write_account(tmp_path / "DF_MAIN.csv", {2018: world})
    return tmp_path


def changed(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def test_a_table_is_read_as_it_was_written(folder: Path, world: World) -> None:
    table = readers.read(Icio(folder, GHG), 2018)
    assert readers.years(Icio(folder, GHG)) == (2018,)
    assert table.labels.regions == AREAS
    assert table.labels.industries == tuple((a, i) for a in AREAS for i in INDUSTRIES)
    assert np.array_equal(table.Z, world.Z)
    assert np.allclose(table.Y, world.Y.reshape(20, 5, 6).sum(axis=2), rtol=1e-14)
    assert np.allclose(table.E[0], world.emissions, rtol=1e-8)
    assert np.allclose(table.F_Y[0], world.households, rtol=1e-8)
    assert table.published_output is not None
    assert np.allclose(table.published_output, table.x, atol=0.02)  # value added has 3 decimals
    assert table.labels.currency == "million USD, current basic prices"
    assert table.provenance.version == "2023 edition"
    assert {name for name, _ in table.provenance.files} == {TABLE, "DF_MAIN.csv"}


@pytest.mark.parametrize("edition", ["2018", "2021", "2023", "2025"])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_edition_holds_the_same(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    edition: Literal["2018", "2021", "2023", "2025"],
    zipped: bool,
) -> None:
    archives = {
        "2018": "ICIO2018_2018.zip", "2021": "ICIO_2015-2018.zip",
        "2023": "ICIO-2016-2020-small.zip", "2025": "2016-2022_SML.zip",
    }  # fmt: skip
    other = tmp_path_factory.mktemp("other")
    archive = archives[edition] if zipped else ""
    downloads.write_table(other, 2018, world, edition=edition, archive=archive)
    if zipped and edition != "2018":
        later = downloads.economy(2017, AREAS, INDUSTRIES)
        downloads.write_table(other, 2017, later, edition=edition, archive=archive)
        assert readers.years(Icio(other, GHG)) == (2017, 2018)
    downloads.write_account(other / "DF_MAIN.csv", {2018: world})
    one, two = readers.read(Icio(folder, GHG), 2018), readers.read(Icio(other, GHG), 2018)
    assert one.labels == two.labels
    for name in ("Z", "Y", "E", "F_Y", "published_output"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_the_order_of_rows_and_columns_does_not_matter(folder: Path) -> None:
    before = readers.read(Icio(folder, GHG), 2018)
    lines = [line.split(",") for line in (folder / TABLE).read_text().splitlines()]
    order = [0, *np.random.default_rng(1).permutation(range(1, len(lines[0])))]
    body = [lines[0], *lines[:0:-1]]
    (folder / TABLE).write_text("\n".join(",".join(line[i] for i in order) for line in body) + "\n")
    after = readers.read(Icio(folder, GHG), 2018)
    at = [after.labels.industries.index(name) for name in before.labels.industries]
    of = [after.labels.regions.index(name) for name in before.labels.regions]
    assert np.array_equal(before.Z, after.Z[np.ix_(at, at)])
    assert np.allclose(before.Y, after.Y[np.ix_(at, of)], rtol=1e-14)
    assert np.array_equal(before.E, after.E[:, at])


def test_split_industries_are_added_up_and_demand_is_of_the_whole(
    tmp_path: Path, extended: World
) -> None:
    downloads.write_table(tmp_path, 2018, extended)
    downloads.write_account(tmp_path / "DF_MAIN.csv", {2018: extended})
    table = readers.read(Icio(tmp_path, GHG), 2018)
    assert table.labels.regions == AREAS
    assert table.labels.industries == tuple((a, i) for a in AREAS for i in INDUSTRIES)
    to = [AREAS.index(downloads.SPLIT.get(area, area)) for area in extended.areas]
    place = np.repeat(np.array(to) * 4, 4) + np.tile(range(4), len(to))
    S = np.zeros((20, 36))
    S[place, np.arange(36)] = 1
    assert np.allclose(table.Z, S @ extended.Z @ S.T, rtol=1e-13)
    assert np.allclose(table.E[0], S @ extended.emissions, rtol=1e-8)
    assert table.E.sum() == pytest.approx(extended.emissions.sum(), rel=1e-8)
    assert "industries of MX1, MX2, CN1, CN2 are added up" in table.provenance.source


def test_a_whole_beside_its_parts_is_refused(tmp_path: Path, extended: World) -> None:
    """China would be counted twice, and every row would still balance."""
    s = len(INDUSTRIES)
    at = {area: slice(s * i, s * i + s) for i, area in enumerate(extended.areas)}
    Z, Y = extended.Z.copy(), extended.Y.copy()
    Z[at["CHN"]], Y[at["CHN"]] = Z[at["CN1"]] + Z[at["CN2"]], Y[at["CN1"]] + Y[at["CN2"]]
    Z[:, at["CHN"]] = Z[:, at["CN1"]] + Z[:, at["CN2"]]
    left = Z.sum(axis=1) + Y.sum(axis=1) - Z.sum(axis=0)
    doubled = replace(extended, Z=Z, Y=Y, added=np.stack([0.1 * left, 0.9 * left]))
    downloads.write_table(tmp_path, 2018, doubled)
    downloads.write_account(tmp_path / "DF_MAIN.csv", {2018: extended})
    with pytest.raises(TableError, match="industries of CHN are the sum of its parts'"):
        readers.read(Icio(tmp_path, GHG), 2018)


def test_split_industries_that_are_kept_emit_alike(tmp_path: Path, extended: World) -> None:
    downloads.write_table(tmp_path, 2018, extended)
    downloads.write_account(tmp_path / "DF_MAIN.csv", {2018: extended})
    folded = readers.read(Icio(tmp_path, GHG), 2018)
    table = readers.read(Icio(tmp_path, GHG, split="kept"), 2018)
    assert table.labels.regions == AREAS
    assert table.Z.shape == (36, 36)
    assert ("CHN", "C29 CN2") in table.labels.industries
    assert table.Z.sum() == pytest.approx(folded.Z.sum(), rel=1e-13)
    assert np.allclose(table.Y.sum(axis=0), folded.Y.sum(axis=0), rtol=1e-13)
    assert table.E.sum() == pytest.approx(folded.E.sum(), rel=1e-13)
    at = [table.labels.industries.index(("CHN", f"D {part}")) for part in ("CN1", "CN2")]
    intensity = table.E[0, at] / table.published_output[at]  # type: ignore[index]
    assert intensity[0] == pytest.approx(intensity[1], rel=1e-12)


def test_the_earlier_account_is_read_by_its_own_codes(folder: Path, world: World) -> None:
    old = downloads.economy(2018, AREAS, ("01T02", "29", "35"))
    downloads.write_table(folder, 2018, old, edition="2021")
    (folder / TABLE).unlink()
    downloads.write_account(
        folder / "IO_GHG_2021.csv", {2018: old, 2017: world}, form="teco2", measure="PROD_CO2",
        rest="ROW",
    )  # fmt: skip
    stressor = Stressor("IO_GHG_2021.csv", "kt", "PROD_CO2", 1e-3, "TONNE")
    table = readers.read(Icio(folder, {"CO2": stressor}), 2018)
    assert np.allclose(table.E[0], old.emissions * 1e3, rtol=1e-8)
    assert np.allclose(table.F_Y[0], old.households * 1e3, rtol=1e-8)
    assert table.provenance.version == "2021 edition"
    assert table.provenance.licence == "OECD Terms and Conditions"  # CC BY 4.0 came in 2024


def test_an_account_with_units_and_no_powers_of_ten_is_refused(folder: Path) -> None:
    """Its numbers may be millions of what they seem."""
    old = downloads.economy(2018, AREAS, ("01T02", "29", "35"))
    downloads.write_table(folder, 2018, old, edition="2021")
    (folder / TABLE).unlink()
    account = folder / "IO_GHG_2021.csv"
    downloads.write_account(account, {2018: old}, form="teco2", measure="PROD_CO2", rest="ROW")
    changed(account, lambda text: re.sub(r"\|(PowerCode Code|6)\n", r"\n", text))
    stressor = Stressor(account.name, "kt", "PROD_CO2", 1e-3, "TONNE")
    with pytest.raises(TableError, match="has no column PowerCode Code"):
        readers.read(Icio(folder, {"CO2": stressor}), 2018)


def test_industries_that_the_account_spells_otherwise_are_found(folder: Path) -> None:
    new = downloads.economy(2018, AREAS, ("A01", "C24A", "C24B", "C302T309"))
    downloads.write_table(folder, 2018, new, edition="2025")
    downloads.write_account(folder / "DF_MAIN.csv", {2018: new})
    theirs = {",C24A,": ",C241_2431,", ",C24B,": ",C242_2432,", ",C302T309,": ",C30X301,"}
    for ours, spelt in theirs.items():
        changed(folder / "DF_MAIN.csv", lambda text, a=ours, b=spelt: text.replace(a, b))  # type: ignore[misc]
    table = readers.read(Icio(folder, GHG), 2018)
    assert np.allclose(table.E[0], new.emissions, rtol=1e-8)
    assert table.provenance.version == "2025 edition"


def test_an_area_without_account_is_refused_or_named(folder: Path) -> None:
    changed(
        folder / "DF_MAIN.csv",
        lambda text: "".join(li + "\n" for li in text.splitlines() if ",WXD," not in li),
    )
    with pytest.raises(TableError, match="has nothing of ROW"):
        readers.read(Icio(folder, GHG), 2018)
    stressor = replace(GHG["GHG"], without=("ROW",))
    table = readers.read(Icio(folder, {"GHG": stressor}), 2018)
    assert table.E[0, -4:].sum() == 0
    assert table.F_Y[0, -1] == 0
    assert table.E.sum() > 0
    assert "ROW not in the account, taken as emitting nothing" in table.provenance.source
    (found,) = (one for one in findings(table) if one.kind == SILENT)
    share = table.x[-4:].sum() / table.x.sum()
    assert (found.count, found.detail) == (1, f"GHG: ROW ({share:.2%} of all output)")
    for name in ("rest", "ROW"):  # even where they all are called what it was
        lines = [f"{area},{'NLD' if area == 'NLD' else name}\n" for area in AREAS]
        (folder / "map.csv").write_text("".join(["from,to\n", *lines]))
        folded = Aggregated(Icio(folder, {"GHG": stressor}), Aggregation(folder / "map.csv"))
        (found,) = (one for one in findings(readers.read(folded, 2018)) if one.kind == SILENT)
        assert found.detail == "GHG: ROW, before it was folded with others"


def test_an_area_without_account_that_sells_nothing_is_no_finding(
    folder: Path, world: World
) -> None:
    busy = np.arange(20) < 16
    idle = replace(world, Z=world.Z * busy * busy[:, None], Y=world.Y * busy[:, None])
    left = idle.Z.sum(axis=1) + idle.Y.sum(axis=1) - idle.Z.sum(axis=0)
    idle = replace(idle, added=np.stack([0.1 * left, 0.9 * left]))
    downloads.write_table(folder, 2018, idle)
    changed(
        folder / "DF_MAIN.csv",
        lambda text: "".join(li + "\n" for li in text.splitlines() if ",WXD," not in li),
    )
    table = readers.read(Icio(folder, {"GHG": replace(GHG["GHG"], without=("ROW",))}), 2018)
    assert table.provenance.lacking == (("GHG", "ROW"),)
    assert all(one.kind != SILENT for one in findings(table))
    for area, said in (("NLD", "in the account"), ("RWO", "not in the table")):
        stressor = replace(GHG["GHG"], without=("ROW", area))
        with pytest.raises(TableError, match=f"{area} of `without` is {said}"):
            readers.read(Icio(folder, {"GHG": stressor}), 2018)


def test_industries_that_miss_the_accounts_own_total_are_told(folder: Path) -> None:
    """An industry of the account that the table does not have is in no footprint."""
    assert "warning" not in readers.read(Icio(folder, GHG), 2018).provenance.source
    path = folder / "DF_MAIN.csv"
    (line,) = (li for li in path.read_text().splitlines() if "PROD_GHG,NLD,_T," in li)
    head, _, total = line.rpartition(",")
    changed(path, lambda text: text.replace(line, f"{head},{1.1 * float(total):.9g}"))
    source = readers.read(Icio(folder, GHG), 2018).provenance.source
    assert "of 1 areas are more than 1% from the account's own total, NLD by -9.1%" in source


def test_households_are_found_named_or_said_to_be_nowhere(folder: Path) -> None:
    changed(folder / "DF_MAIN.csv", lambda text: text.replace(",HH,", ",HHX,"))
    with pytest.raises(TableError, match="has 0 of the codes HH, DMHH, DHH"):
        readers.read(Icio(folder, GHG), 2018)
    for code, said in (("HHX", False), ("none", True)):
        stressor = replace(GHG["GHG"], households=code)
        table = readers.read(Icio(folder, {"GHG": stressor}), 2018)
        assert bool(table.F_Y.sum() == 0) is said
        assert ("no direct emissions of final consumers" in table.provenance.source) is said


def test_households_that_are_there_are_not_left_out(folder: Path) -> None:
    stressor = replace(GHG["GHG"], households="none")
    with pytest.raises(TableError, match="has HH, which is what final consumers emit"):
        readers.read(Icio(folder, {"GHG": stressor}), 2018)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("NLD_C29,", "NLD_C99,", 1), "column AUS_C99 is missing"),
        (lambda t: t.replace("\nNLD_C29,", "\nNLD_C99,"), "row NLD_C99 belongs to no area"),
        (lambda t: t.replace("\nNLD_C29,", "\nAUS_C29,"), "row AUS_C29 is there twice"),
        (lambda t: t.replace(",NLD_GFCF,", ",NLD_P9,"), "column"),
        (lambda t: t.replace("\nNLD_C29,", "\nNLDC29,"), "row NLDC29 belongs to no area"),
        (lambda t: t[: t.index("\nROW_O,") + 1], "row ROW_O is missing"),
        (lambda t: t[: t.index("\nOUT,") + 1], "the row of output is missing"),
        (
            lambda t: t + t[t.index("\nOUT,") + 1 :].replace("OUT", "TOTAL"),
            "has two rows of output",
        ),
        (lambda t: t[: len(t) * 2 // 3], "has"),
        (lambda t: t.replace("\nNLD_C29,", "\nNLD_C29,,", 1).replace(",", ",", 1), "has"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(
    folder: Path, change: Callable[[str], str], said: str
) -> None:
    changed(folder / TABLE, change)
    with pytest.raises(TableError) as caught:
        readers.read(Icio(folder, GHG), 2018)
    assert said in caught.value.what
    assert TABLE in caught.value.where


def test_a_table_whose_numbers_lost_their_points_is_refused(folder: Path) -> None:
    """A known corruption of `2020_SML.csv`; the row of output is as it was."""
    readers.read(Icio(folder, GHG), 2018)
    lines = [line.split(",") for line in (folder / TABLE).read_text().splitlines()]
    body = [[name, *(cell.replace(".", "") for cell in cells)] for name, *cells in lines[1:-1]]
    text = "\n".join(map(",".join, [lines[0], *body, lines[-1]])) + "\n"
    (folder / TABLE).write_text(text)
    with pytest.raises(TableError, match=r"does not balance: the row of .* output is st") as caught:
        readers.read(Icio(folder, GHG), 2018)
    assert TABLE in caught.value.where


def test_a_blank_cell_is_refused_not_zero(folder: Path) -> None:
    lines = (folder / TABLE).read_text().splitlines()
    cells = lines[3].split(",")
    cells[2] = ""
    (folder / TABLE).write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]) + "\n")
    with pytest.raises(TableError, match="row AUS_D has blank cells"):
        readers.read(Icio(folder, GHG), 2018)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("2018,PROD_GHG,NLD,C29,", "2018,PROD_GHG,NLD,C28,"), "has no C29"),
        (lambda t: t.replace("2018,PROD_GHG,NLD,C29,", "2018,PROD_GHG,NLD,D,"), "D is there twice"),
        (lambda t: t.replace(",T_CO2E,", ",KT,"), "has PROD_GHG in KT, the configuration takes"),
        (lambda t: t.replace("GHG,NLD,C29,T_CO2E", "GHG,NLD,C29,KT"), "has no C29 of NLD"),
        (lambda t: re.sub("(,PROD_GHG,NLD,C29,.*,).*", r"\1", t), "has no C29 of NLD"),
        (lambda t: t.replace("PROD_GHG", "PROD_CO2"), "holds nothing of 2018, PROD_GHG"),
        (lambda t: t.replace("MEASURE,REF_AREA", "MEASURE,AREA", 1), "its first line"),
        (lambda t: t.replace(",6,", ",x,", 1), "as its power of ten"),
    ],
)
def test_an_account_that_is_not_whole_is_refused(
    folder: Path, change: Callable[[str], str], said: str
) -> None:
    changed(folder / "DF_MAIN.csv", change)
    with pytest.raises(TableError) as caught:
        readers.read(Icio(folder, GHG), 2018)
    assert said in caught.value.what
    assert "DF_MAIN.csv" in caught.value.where


def test_two_tables_of_a_year_are_refused(folder: Path, world: World) -> None:
    downloads.write_table(folder, 2018, world, archive="ICIO2018_2018.zip", edition="2018")
    with pytest.raises(TableError, match=r"are both of 2018"):
        readers.years(Icio(folder, GHG))


def test_the_unit_of_an_account_must_be_the_one_stated(folder: Path, world: World) -> None:
    stressor = Stressor("DF_MAIN.csv", "Mt CO2-eq", "PROD_GHG", 1e-6)
    with pytest.raises(TableError, match="in T_CO2E, the configuration takes it for Mt CO2-eq"):
        readers.read(Icio(folder, {"GHG": stressor}), 2018)
    stressor = Stressor("DF_MAIN.csv", "T_CO2E", "PROD_GHG", 1e-6)
    with pytest.raises(TableError, match="is in T_CO2E, the stressor's own unit, and the factor"):
        readers.read(Icio(folder, {"GHG": stressor}), 2018)
    table = readers.read(Icio(folder, {"GHG": replace(stressor, factor=None)}), 2018)
    assert np.allclose(table.E[0], world.emissions * 1e6, rtol=1e-8)


def test_an_account_without_units_is_taken_for_the_unit_stated(tmp_path: Path) -> None:
    old = downloads.economy(2018, AREAS, ("01T02", "29", "35"))
    downloads.write_table(tmp_path, 2018, old, edition="2021")
    account = tmp_path / "IO_GHG_2021.csv"
    downloads.write_account(account, {2018: old}, form="teco2", measure="PROD_CO2", rest="ROW")
    changed(account, lambda text: re.sub(r"\|(Unit Code\|PowerCode Code|TONNE\|6)\n", r"\n", text))
    own = Stressor(account.name, "kt", "PROD_CO2")
    table = readers.read(Icio(tmp_path, {"CO2": own}), 2018)
    assert np.allclose(table.E[0], old.emissions, rtol=1e-8)
    assert "PROD_CO2 in no stated unit, taken for kt" in table.provenance.source
    stated = replace(own, file_unit="Mt", factor=1e3)
    table = readers.read(Icio(tmp_path, {"CO2": stated}), 2018)
    assert np.allclose(table.E[0], old.emissions * 1e3, rtol=1e-8)
    assert "PROD_CO2 in no stated unit, taken for Mt" in table.provenance.source
    with pytest.raises(TableError, match=r"in no stated unit, taken for kt, .* factor is 1000"):
        readers.read(Icio(tmp_path, {"CO2": replace(own, factor=1e3)}), 2018)
    with pytest.raises(ConfigError, match="Mt"):
        replace(own, file_unit="Mt", factor=1.0)


def test_the_account_by_scope_has_the_rest_of_the_world_and_no_consumers(
    tmp_path: Path, world: World
) -> None:
    downloads.write_table(tmp_path, 2018, world)
    downloads.write_account(tmp_path / "DF_SCOPE.csv", {2018: world}, form="scope")
    stressor = Stressor("DF_SCOPE.csv", "Mt CO2-eq", "S1", 1e-6, "T_CO2E")
    with pytest.raises(TableError, match="has 0 of the codes HH"):
        readers.read(Icio(tmp_path, {"GHG": stressor}), 2018)
    stressor = replace(stressor, households="none")
    table = readers.read(Icio(tmp_path, {"GHG": stressor}), 2018)
    assert np.allclose(table.E[0], world.emissions, rtol=1e-8)
    assert not table.F_Y.any()
    assert "no direct emissions of final consumers, taken as zero" in table.provenance.source
    assert all(one.kind != SILENT for one in findings(table))
    changed(tmp_path / "DF_SCOPE.csv", lambda text: text.replace(",UNIT_MULT,", ",MULT,", 1))
    with pytest.raises(TableError, match="has no column UNIT_MULT"):
        readers.read(Icio(tmp_path, {"GHG": stressor}), 2018)


def test_per_head_values_beside_the_totals_are_not_taken(folder: Path, world: World) -> None:
    """A measure may be there in several units."""
    changed(
        folder / "DF_MAIN.csv",
        lambda text: text + "".join(
            line.replace(",T_CO2E,6,", ",T_CO2E_PS,0,") + "\n"
            for line in text.splitlines() if ",PROD_GHG," in line
        ),
    )  # fmt: skip
    table = readers.read(Icio(folder, GHG), 2018)
    assert np.allclose(table.E[0], world.emissions, rtol=1e-8)


def nested(folder: Path, world: World) -> Path:
    """Extended tables as they were published in 2023: an archive a year in one of several years."""
    downloads.write_table(folder, 2018, world, archive="2018.zip")
    outer = folder / "ICIO-2016-2020-extended.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(folder / "2018.zip", "2018.zip")
    (folder / "2018.zip").unlink()
    return outer


def test_an_archive_in_an_archive_is_read(tmp_path: Path, extended: World) -> None:
    for name in ("plain", "nested"):
        (tmp_path / name).mkdir()
        downloads.write_account(tmp_path / name / "DF_MAIN.csv", {2018: extended})
    downloads.write_table(tmp_path / "plain", 2018, extended)
    outer = nested(tmp_path / "nested", extended)
    plain, table = (readers.read(Icio(tmp_path / name, GHG), 2018) for name in ("plain", "nested"))
    assert readers.years(Icio(outer.parent, GHG)) == (2018,)
    assert table.sha256 == plain.sha256
    assert (outer.name, sha256(outer)) in table.provenance.files


def test_a_damaged_archive_in_an_archive_is_named_by_both(tmp_path: Path, extended: World) -> None:
    outer = nested(tmp_path, extended)
    with zipfile.ZipFile(outer) as archive:
        whole = archive.read("2018.zip")
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("2018.zip", whole[: len(whole) // 2])
    with pytest.raises(TableError, match="is damaged") as caught:
        readers.read(Icio(tmp_path, GHG), 2018)
    assert f"{outer}, 2018.zip" in caught.value.where
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("older.zip", whole)
    with pytest.raises(TableError, match=r"holds the archive older\.zip, whose name is of no year"):
        readers.years(Icio(tmp_path, GHG))


def test_no_room_to_unpack_an_inner_archive_is_no_damage(
    tmp_path: Path, extended: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    nested(tmp_path, extended)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(TableError, match=r"cannot be unpacked \(No space left") as caught:
        readers.read(Icio(tmp_path, GHG), 2018)
    assert "TMPDIR" in caught.value.remedy


def test_a_folder_without_tables_says_what_they_are_called(tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        readers.years(Icio(tmp_path, GHG))
    assert "2016-2022_SML.zip" in caught.value.remedy


def test_full_lists_have_the_published_sizes() -> None:
    assert (len(downloads.AREAS), len(downloads.INDUSTRIES)) == (77, 45)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["ICIO2018_2010.CSV", "ICIO2018_2010.zip", "ICIO2016_2003.csv"])
def test_the_same_as_pymrio_reads(name: str) -> None:
    path = Path(os.environ["FOOTFALL_DATA"], "pymrio_mocks/mock_mrios/oecd_mock", name)
    ours, theirs = icio_flows.read(path, "", keep_split=False), pymrio.parse_oecd(path)
    at = list(ours.industries)
    assert set(at) == set(theirs.Z.index)
    assert np.allclose(ours.Z, theirs.Z.loc[at, at], rtol=1e-14, atol=0)
    Y = theirs.Y.T.groupby(level="region").sum().T.rename(columns={"ALL": "DISC"})
    assert set(Y.columns) == set(ours.areas)
    assert np.allclose(ours.Y, Y.loc[at, list(ours.areas)], rtol=1e-14, atol=0)


def test_a_configuration_reads_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "icio.toml").write_text(
        f"""
title = "ICIO, SYNTHETIC"

[tables]
reader = "icio"
path = "{folder}"
years = [2018]

[tables.stressors.GHG]
account = "DF_MAIN.csv"
measure = "PROD_GHG"
unit = "Mt"
file_unit = "T_CO2E"
factor = 1e-6

[question]
consumers = ["NLD"]
stressors = ["GHG"]

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
    config = engine.load_config(tmp_path / "icio.toml")
    assert isinstance(config.tables, Icio)
    assert readers.read(config.tables, 2018).labels.stressor_units == ("Mt",)


def test_specs_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no stressors"):
        Icio(tmp_path, {})
    with pytest.raises(ConfigError, match="no factor from 'T_CO2E' to 'Mt'"):
        Stressor("a", "Mt", "PROD_GHG", file_unit="T_CO2E")
    with pytest.raises(ConfigError, match="the factor is 0"):
        Stressor("a", "kt", "PROD_GHG", factor=0.0)
    for code, factor in (("T_CO2E", 1e-3), ("TONNE", 1.0)):
        with pytest.raises(ConfigError, match=f"does not make Mt CO2-eq of {code}"):
            Stressor("a", "Mt CO2-eq", "PROD_GHG", factor, code)
