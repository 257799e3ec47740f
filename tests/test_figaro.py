"""FIGARO's downloads, written small in their true layout, and what is read from them."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import engine
from benchmarks.downloads import figaro as downloads
from benchmarks.downloads.worlds import World, folded
from engine import readers
from engine.errors import ConfigError, TableError
from engine.kernels.leontief import output
from engine.readers import air_emissions, flat
from engine.readers.figaro import Figaro, Stressor
from engine.readers.own_totals import gap
from engine.workflow.checking import check

AREAS = ("AT", "GR", "NL", "FIGW1")
INDUSTRIES = ("A01", "C10T12", "C31_32", "D35", "O84")
GHG = {"GHG": Stressor(("ghg.tsv.gz",), "kt CO2-eq")}


@pytest.fixture
def world() -> World:
    return downloads.economy(2020, AREAS, INDUSTRIES)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    downloads.write_table(tmp_path, 2020, world)
    downloads.write_footprints(tmp_path / "ghg.tsv.gz", {2020: world})
    return tmp_path


def changed(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def test_a_matrix_is_read_as_it_was_written(folder: Path, world: World) -> None:
    table = readers.read(Figaro(folder, GHG), 2020)
    assert readers.years(Figaro(folder, GHG)) == (2020,)
    assert table.labels.regions == AREAS
    assert table.labels.industries == tuple((a, i) for a in AREAS for i in INDUSTRIES)
    assert np.array_equal(table.Z, world.Z)
    assert np.allclose(table.Y, world.Y.reshape(20, 4, 5).sum(axis=2), rtol=1e-15)
    assert np.array_equal(table.E[0], world.emissions)
    assert np.array_equal(table.F_Y[0], world.households)
    assert table.published_output is not None
    assert np.allclose(table.published_output, table.x, atol=0.02)  # 26 cells, 3 decimals each
    assert table.labels.currency == "million EUR, current basic prices"
    assert table.provenance.version == "2025 edition"
    assert table.provenance.licence == (
        "CC BY 4.0 (Eurostat); of the IEA's data in ghg.tsv.gz, CC BY-NC-ND 4.0"
    )
    assert {name for name, _ in table.provenance.files} == {
        "matrix_eu-ic-io_ind-by-ind_25ed_2020.csv",
        "ghg.tsv.gz",
    }


@pytest.mark.parametrize("layout", ["matrix", "flat"])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".zip"])
@pytest.mark.parametrize("form", ["tsv", "sdmx"])
def test_every_layout_holds_the_same(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    layout: Literal["matrix", "flat"],
    suffix: Literal[".csv", ".csv.gz", ".zip"],
    form: Literal["tsv", "sdmx"],
) -> None:
    other = tmp_path_factory.mktemp("other")
    downloads.write_table(other, 2020, world, layout=layout, suffix=suffix, edition="26ed")
    downloads.write_footprints(other / "ghg.tsv.gz", {2020: world}, form=form)
    one, two = readers.read(Figaro(folder, GHG), 2020), readers.read(Figaro(other, GHG), 2020)
    assert one.labels == two.labels
    for name in ("Z", "Y", "E", "F_Y", "published_output"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_the_order_of_rows_and_columns_does_not_matter(folder: Path, world: World) -> None:
    before = readers.read(Figaro(folder, GHG), 2020)
    path = folder / "matrix_eu-ic-io_ind-by-ind_25ed_2020.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    order = [0, *np.random.default_rng(1).permutation(range(1, len(lines[0])))]
    body = [lines[0], *lines[:0:-1]]
    path.write_text("\n".join(",".join(line[i] for i in order) for line in body) + "\n")
    after = readers.read(Figaro(folder, GHG), 2020)
    at = [after.labels.industries.index(name) for name in before.labels.industries]
    assert np.array_equal(before.Z, after.Z[np.ix_(at, at)])
    assert np.array_equal(before.E, after.E[:, at])


def test_products_are_read_without_their_prefix(tmp_path: Path, world: World) -> None:
    downloads.write_table(tmp_path, 2020, world, system="prod-by-prod", edition="")
    downloads.write_footprints(tmp_path / "ghg.tsv.gz", {2020: world})
    table = readers.read(Figaro(tmp_path, GHG, "pxp"), 2020)
    assert table.labels.sectors == INDUSTRIES
    assert np.array_equal(table.Z, world.Z)
    assert table.provenance.version == "2022 edition"
    assert "products bear the emissions of their industries" in table.provenance.source


def test_published_footprints_are_those_of_the_table(folder: Path, world: World) -> None:
    table = readers.read(Figaro(folder, GHG), 2020)
    A = table.Z / output(table.Z, table.Y)
    multipliers = table.E[0] / table.x @ np.linalg.inv(np.eye(20) - A)
    expected = multipliers @ table.Y + table.F_Y[0]
    published, summed = air_emissions.published(
        folder / "ghg.tsv.gz", 2020, "THS_T", AREAS, INDUSTRIES
    )
    assert not summed
    assert [published[area] for area in AREAS] == pytest.approx(list(expected), rel=1e-12)


def test_areas_come_from_the_first_account_that_has_them_whole(folder: Path, world: World) -> None:
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, ["AT", "GR"])
    changed(
        folder / "aea.tsv", lambda text: text.replace("A,GHG,D,THS_T,EL\t", "A,GHG,D5,THS_T,EL\t")
    )
    stressor = Stressor(("aea.tsv", "ghg.tsv.gz"), "Mt", 1e-3, pollutant="GHG")
    table = readers.read(Figaro(folder, {"GHG": stressor}), 2020)
    assert np.allclose(table.E[0], world.emissions / 1e3, rtol=1e-15)
    assert "GHG: aea.tsv for AT;" in table.provenance.source
    assert "GHG: ghg.tsv.gz for GR, NL, FIGW1" in table.provenance.source
    assert "GHG: aea.tsv has not all of GR" in table.provenance.source
    assert "not all of GR," not in table.provenance.source
    assert "GHG: ghg.tsv.gz is taken for GHG: its name tells no gas" in table.provenance.source


def test_confidential_and_missing_values_are_refused_not_zero(folder: Path, world: World) -> None:
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, AREAS)
    lines = (folder / "aea.tsv").read_text().splitlines()
    lines = [
        line.partition("\t")[0] + "\t: c" if line.startswith("A,GHG,C10-C12,THS_T,NL") else line
        for line in lines
    ]
    (folder / "aea.tsv").write_text("\n".join(lines) + "\n")
    source = Figaro(folder, {"GHG": Stressor(("aea.tsv",), "kt", pollutant="GHG")})
    with pytest.raises(TableError) as caught:
        readers.read(source, 2020)
    assert "no account has all of NL: C10T12 missing or confidential" in caught.value.what


def test_flags_are_told(folder: Path, world: World) -> None:
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, AREAS)
    changed(folder / "aea.tsv", lambda text: text.replace(" \n", " p\n").replace(" p", " ", 1))
    source = Figaro(folder, {"GHG": Stressor(("aea.tsv",), "kt", pollutant="GHG")})
    assert "values flagged p" in readers.read(source, 2020).provenance.source


def test_merged_areas_add_up(folder: Path, world: World) -> None:
    downloads.write_footprints(
        folder / "fewer.tsv", {2020: downloads.economy(2020, AREAS[1:], INDUSTRIES)}
    )
    fewer = {"GHG": Stressor(("fewer.tsv",), "kt")}
    with pytest.raises(TableError, match="no account has all of AT"):
        readers.read(Figaro(folder, fewer), 2020)
    whole = readers.read(Figaro(folder, GHG), 2020)
    table = readers.read(Figaro(folder, fewer, merge={"AT": "FIGW1"}), 2020)
    assert table.labels.regions == ("GR", "NL", "FIGW1")
    assert table.Z.shape == (15, 15)
    assert table.Z.sum() == pytest.approx(whole.Z.sum(), rel=1e-14)
    assert table.Y[-5:, -1].sum() == pytest.approx(
        whole.Y[np.ix_([*range(5), *range(15, 20)], [0, 3])].sum(), rel=1e-14
    )


def test_a_merged_area_that_the_accounts_know_apart_is_added(folder: Path, world: World) -> None:
    whole = readers.read(Figaro(folder, GHG), 2020)
    table = readers.read(Figaro(folder, GHG, merge={"AT": "FIGW1", "NL": "FIGW1"}), 2020)
    by_area = whole.E.reshape(4, 5)
    assert np.allclose(table.E.reshape(2, 5), [by_area[1], by_area[[0, 2, 3]].sum(axis=0)])
    assert np.allclose(table.F_Y[0], [whole.F_Y[0, 1], whole.F_Y[0, [0, 2, 3]].sum()])
    assert "AT, NL counted with FIGW1" in table.provenance.source
    assert np.allclose(table.Z[5:, 5:], sum(
        whole.Z[np.ix_(rows, columns)]
        for rows in (range(5), range(10, 15), range(15, 20))
        for columns in (range(5), range(10, 15), range(15, 20))
    ))  # fmt: skip
    assert table.published_output is not None
    assert np.allclose(table.published_output, table.x, atol=0.1)


def test_an_area_merged_is_taken_whole_from_one_account_or_not_at_all(
    folder: Path, world: World
) -> None:
    """The rest of the world of an account has within it what the account does not know apart."""
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, ["AT", "GR"])
    downloads.write_footprints(
        folder / "fewer.tsv", {2020: downloads.economy(2020, AREAS[1:], INDUSTRIES)}
    )
    stressor = Stressor(("aea.tsv", "fewer.tsv"), "kt", pollutant="GHG")
    source = Figaro(folder, {"GHG": stressor}, merge={"AT": "FIGW1"})
    rest = downloads.economy(2020, AREAS[1:], INDUSTRIES).emissions[10:]
    assert np.array_equal(readers.read(source, 2020).E[0, -5:], rest)
    lines = (folder / "ghg.tsv.gz", folder / "part.tsv")
    text = gzip.decompress(lines[0].read_bytes()).decode()
    lines[1].write_text(text.replace("A,AT,WORLD,D,", "A,AT,WORLD,D5,"))
    part = Figaro(folder, {"GHG": Stressor(("part.tsv",), "kt")}, merge={"AT": "FIGW1"})
    with pytest.raises(TableError, match="no account has all of FIGW1: AT D35 missing"):
        readers.read(part, 2020)


def test_what_an_account_does_not_know_is_in_its_rest_of_the_world_and_nowhere_else(
    folder: Path, world: World
) -> None:
    """AT of the tables is within WRL_REST of the account: with GR it would emit nothing."""
    downloads.write_footprints(folder / "fewer.tsv", {2020: folded(world, "AT", "FIGW1")})
    fewer = {"GHG": Stressor(("fewer.tsv",), "kt")}
    with pytest.raises(TableError, match="no account has all of GR: AT A01, AT C10T12") as caught:
        readers.read(Figaro(folder, fewer, merge={"AT": "GR"}), 2020)
    assert 'under [tables.merge] AT = "FIGW1"' in caught.value.remedy
    table = readers.read(Figaro(folder, fewer, merge={"AT": "GR", "FIGW1": "GR"}), 2020)
    assert table.E.sum() == pytest.approx(world.emissions.sum(), rel=1e-12)
    whole = readers.read(Figaro(folder, GHG, merge={"AT": "GR"}), 2020)
    assert whole.E[0, :5] == pytest.approx(world.emissions[:5] + world.emissions[5:10])


def test_a_merged_area_that_an_account_names_without_values_is_not_lost(
    folder: Path, world: World
) -> None:
    text = gzip.decompress((folder / "ghg.tsv.gz").read_bytes()).decode()
    blank = re.sub(r"(?m)^(A,AT,\w+,.*\t).*$", r"\1: ", text)
    (folder / "blank.tsv").write_text(blank)
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, ["GR"])
    stressor = Stressor(("aea.tsv", "blank.tsv"), "kt", pollutant="GHG")
    for other in ("GR", "FIGW1"):
        with pytest.raises(TableError, match=f"no account has all of {other}: AT A01"):
            readers.read(Figaro(folder, {"GHG": stressor}, merge={"AT": other}), 2020)


def test_the_remedy_names_all_areas_that_no_account_knows(folder: Path, world: World) -> None:
    fewer = folded(folded(world, "AT", "FIGW1"), "NL", "FIGW1")
    downloads.write_footprints(folder / "fewer.tsv", {2020: fewer})
    with pytest.raises(TableError, match=r"no account has all of AT: .* nor of NL") as caught:
        readers.read(Figaro(folder, {"GHG": Stressor(("fewer.tsv",), "kt")}), 2020)
    assert 'under [tables.merge] AT = "FIGW1", NL = "FIGW1"' in caught.value.remedy
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, ["GR"])
    stressor = Stressor(("aea.tsv",), "kt", pollutant="GHG")
    with pytest.raises(TableError) as caught:
        readers.read(Figaro(folder, {"GHG": stressor}), 2020)
    assert "merge" not in caught.value.remedy


def test_lines_for_a_later_edition_leave_an_earlier_one_as_it_is(
    folder: Path, world: World
) -> None:
    downloads.write_table(folder, 2020, folded(world, "AT", "FIGW1"))
    downloads.write_footprints(folder / "ghg.tsv.gz", {2020: folded(world, "AT", "FIGW1")})
    plain, lines = Figaro(folder, GHG), Figaro(folder, GHG, merge={"AT": "FIGW1"})
    one, two = readers.read(plain, 2020), readers.read(lines, 2020)
    for name in ("Z", "Y", "E", "F_Y", "published_output"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert "; AT not apart in the tables: in their FIGW1 already" in two.provenance.source
    assert readers.official(plain, 2020, one.labels) == readers.official(lines, 2020, two.labels)
    for merge in ({"AT": "GR"}, {"EL": "FIGW1"}, {"AUT": "FIGW1"}):
        with pytest.raises(TableError, match=r"has no area '.*' to merge"):
            readers.read(Figaro(folder, GHG, merge=merge), 2020)


def test_a_country_that_the_table_does_not_know_is_in_its_rest_of_the_world(
    folder: Path, world: World
) -> None:
    """Accounts of a later edition know more areas, which are not in their rest of the world."""
    fewer = folded(world, "AT", "FIGW1")
    downloads.write_table(folder, 2020, fewer)
    table = readers.read(Figaro(folder, GHG), 2020)
    assert table.labels.regions == ("GR", "NL", "FIGW1")
    np.testing.assert_allclose(table.E[0], fewer.emissions, rtol=1e-14)
    np.testing.assert_allclose(table.F_Y[0], fewer.households, rtol=1e-14)
    assert "AT of ghg.tsv.gz counted with FIGW1" in table.provenance.source
    (official,) = readers.official(Figaro(folder, GHG), 2020, table.labels)
    total = sum(official.footprints.values())
    assert total == pytest.approx(world.emissions.sum() + world.households.sum(), rel=1e-9)
    text = gzip.decompress((folder / "ghg.tsv.gz").read_bytes()).decode()
    secret = re.sub(r"(A,AT,WORLD,D,TOTAL,THS_T\t).*", r"\1: c", text)
    (folder / "ghg.tsv.gz").write_bytes(gzip.compress(secret.encode()))
    with pytest.raises(TableError, match="no account has all of FIGW1: AT D35 missing or conf"):
        readers.read(Figaro(folder, GHG), 2020)


@pytest.mark.parametrize(
    ("file", "row", "said"),
    [
        (
            "aea.tsv",
            "A,GHG,D,THS_T,NL",
            r"warning: the emissions of NL are ([\d.]+) % above the acc",
        ),
        ("aea.tsv", "A,GHG,HH,THS_T,NL", r"the emissions of NL are ([\d.]+) % above the account's"),
        ("ghg.tsv", "A,NL,WORLD,D,TOTAL,THS_T", r"of NL are ([\d.]+) % above .*, in ghg.tsv"),
        (
            "ghg.tsv",
            "A,WORLD,WORLD,D,TOTAL,THS_T",
            r"over all areas, those of D35 are ([\d.]+) % be",
        ),
    ],
)
def test_parts_that_are_not_their_accounts_total_are_told_of_or_refused(
    folder: Path, world: World, file: str, row: str, said: str
) -> None:
    downloads.write_accounts(folder / "aea.tsv", {2020: world}, AREAS)
    downloads.write_footprints(folder / "ghg.tsv", {2020: world})
    source = Figaro(folder, {"GHG": Stressor((file,), "kt CO2-eq", pollutant="GHG")})
    assert "warning" not in readers.read(source, 2020).provenance.source

    def times(factor: float) -> None:
        changed(
            folder / file,
            lambda text: re.sub(
                rf"({row}\t)(\S+)", lambda found: f"{found[1]}{factor * float(found[2])!r}", text
            ),
        )

    times(1.001)
    assert re.search(said, readers.read(source, 2020).provenance.source)
    times(1e3)
    with pytest.raises(TableError, match=r"the account's own total"):
        readers.read(source, 2020)


def test_rounding_is_no_difference_from_a_total() -> None:
    assert gap([0.1, 0.2, 0.3], 0.7) == 0  # 0.05 on each of the four
    assert gap([0.1, 0.2, 0.3], 0.9) == pytest.approx(-1 / 3)
    assert gap([0.14, 0.24, 0.34], 0.75) == pytest.approx(-0.04)
    assert gap([1e9, 2e9], 3e9 * (1 + 1e-7)) == 0
    assert gap([1.0, 2.0, 3.0], 0.0) == np.inf
    assert gap([], 0.0) == 0


@pytest.mark.parametrize("other", ["26ed", ""])
def test_editions_are_not_mixed(folder: Path, world: World, other: str) -> None:
    downloads.write_table(folder, 2019, world, edition=other)
    with pytest.raises(TableError, match="are of different editions"):
        readers.years(Figaro(folder, GHG))


@pytest.mark.parametrize("suffix", [".csv", ".zip"])
def test_a_flat_file_of_products_has_columns_of_its_own(
    tmp_path: Path, world: World, suffix: Literal[".csv", ".zip"]
) -> None:
    path = downloads.write_table(
        tmp_path, 2020, world, layout="flat", system="prod-by-prod", suffix=suffix
    )
    downloads.write_footprints(tmp_path / "ghg.tsv.gz", {2020: world})
    table = readers.read(Figaro(tmp_path, GHG, "pxp"), 2020)
    assert table.labels.sectors == INDUSTRIES
    assert np.array_equal(table.Z, world.Z)
    if suffix == ".csv":
        head = "iciopRow,iciopCol,refArea,rowPp,counterpartArea,colPp,obsValue\n"
        assert path.read_text().startswith(head)


FLAT = "flatfile_eu-ic-io_ind-by-ind_25ed_2020.csv"


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        (r"(\nNL_A01,GR_A01,.*,).*", r"\1x", "line {}, NL_A01 GR_A01 .* column obsV", "'x' is not"),
        (r"(\nNL_A01,GR_A01,.*,).*", r"\1inf", "line {}, NL_A01 GR_A01 .* obsV", "'inf' is not"),
        (r"(\nNL_A01,GR_A01,)", r"\1NL,", "line {}, NL_A01 GR_A01 ", "has 8 cells, .* above 7"),
        (r"(\nNL_A01,GR_A01,)", r"\n\1", "line {}", "has 0 cells, the lines above 7"),
        (r"\nNL_A01,GR_A01,", r"\nNL_A01,GR_D35,", "line {}", "Col is GR_D35, but colIi is A01"),
        (r"\nNL_A01,GR_A01,(.*)A01,", r"\nNL_A01,GR_D35,\1D35,", "", r"L_A01, GR_D35\) .* twice"),
        (r"\nNL_A01,GR_A01,.*", "", "", r"\(NL_A01, GR_A01\) is missing, and 0 more"),
    ],
)
def test_a_flat_file_that_is_not_whole_says_where(
    folder: Path, world: World, old: str, new: str, where: str, said: str
) -> None:
    (folder / MATRIX).unlink()
    downloads.write_table(folder, 2020, world, layout="flat")
    text = (folder / FLAT).read_text()
    (folder / FLAT).write_text(re.sub(old, new, text, count=1))
    with pytest.raises(TableError, match=said) as caught:
        readers.read(Figaro(folder, GHG), 2020)
    line = 2 + text.count("\n", 0, text.index("\nNL_A01,GR_A01,"))
    assert re.fullmatch(f".*{FLAT}.*{where.format(line)}.*", caught.value.where)
    assert caught.value.where.count(FLAT) == 1


@pytest.mark.parametrize("batch", [200, 2**20])
@pytest.mark.parametrize("column", ["icioiRow", "icioiCol", "refArea", "rowIi", "counterpartArea"])
def test_lines_of_a_flat_file_whose_names_contradict_each_other_are_refused(
    folder: Path, world: World, monkeypatch: pytest.MonkeyPatch, batch: int, column: str
) -> None:
    """One column of it has slid down by a line, or two of its cells are swapped."""
    (folder / MATRIX).unlink()
    downloads.write_table(folder, 2020, world, layout="flat")
    head, *lines = [line.split(",") for line in (folder / FLAT).read_text().splitlines()]
    place = head.index(column)
    names = [line[place] for line in lines]
    monkeypatch.setattr(flat, "_BATCH", batch)
    swapped = [*names]
    at = names.index("NL" if "Area" in column else "D35" if column == "rowIi" else "NL_D35")
    swapped[0], swapped[at] = swapped[at], swapped[0]
    for damaged in ([names[-1], *names[:-1]], swapped):
        for line, name in zip(lines, damaged, strict=True):
            line[place] = name
        text = "".join(",".join(line) + "\n" for line in [head, *lines])
        (folder / FLAT).write_text(text)
        with pytest.raises(TableError, match=r"icioi(Row|Col) is \w+, but \w+ is"):
            readers.read(Figaro(folder, GHG), 2020)


@pytest.mark.parametrize("batch", [200, 2**20])
def test_the_order_of_a_flat_files_lines_does_not_matter(
    folder: Path, world: World, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    expected = readers.read(Figaro(folder, GHG), 2020)
    (folder / MATRIX).unlink()
    downloads.write_table(folder, 2020, world, layout="flat")
    head, *lines = (folder / FLAT).read_text().splitlines()
    by_column = sorted(lines, key=lambda line: line.split(",")[1])
    (folder / FLAT).write_text("\n".join([head, *by_column, ""]))
    monkeypatch.setattr(flat, "_BATCH", batch)
    table = readers.read(Figaro(folder, GHG), 2020)
    at = [table.labels.industries.index(name) for name in expected.labels.industries]
    assert np.array_equal(table.Z[np.ix_(at, at)], expected.Z)


MATRIX = "matrix_eu-ic-io_ind-by-ind_25ed_2020.csv"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.replace("NL_A01,", "NL_A99,", 1), "column NL_A01 is missing"),
        (lambda t: t.replace("\nNL_A01,", "\nNL_A99,"), "row NL_A01 is missing"),
        (lambda t: t.replace("\nNL_A01,", "\nGR_A01,"), "row GR_A01 is there twice"),
        (lambda t: t.replace(",NL_P5M,", ",NL_P9,"), "column NL_P5M is missing"),
        (lambda t: t.replace("\nW2_D1,", "\nW2_D2,"), "row W2_D1 is missing"),
        (lambda t: t.replace("\nNL_A01,", "\nNLA01,"), "'NLA01' is no AREA_INDUSTRY"),
        (lambda t: t[: t.index("\nW2_D1,") + 1], "row W2_D1 is missing"),
        (lambda t: t[: len(t) * 2 // 3], "has"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(
    folder: Path, change: Callable[[str], str], said: str
) -> None:
    changed(folder / MATRIX, change)
    with pytest.raises(TableError) as caught:
        readers.read(Figaro(folder, GHG), 2020)
    assert said in caught.value.what
    assert MATRIX in caught.value.where


def test_two_tables_of_a_year_are_refused(folder: Path, world: World) -> None:
    downloads.write_table(folder, 2020, world, layout="flat")
    with pytest.raises(TableError, match=r"are both of 2020"):
        readers.years(Figaro(folder, GHG))


def test_a_folder_that_says_it_is_made_up_is_read_so(folder: Path) -> None:
    assert not readers.read(Figaro(folder, GHG), 2020).provenance.synthetic
    (folder / "SYNTHETIC").touch()
    assert readers.read(Figaro(folder, GHG), 2020).provenance.synthetic


def test_a_folder_without_tables_says_what_they_are_called(tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        readers.years(Figaro(tmp_path, GHG))
    assert "matrix_eu-ic-io_ind-by-ind_25ed_2020.csv" in caught.value.remedy


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("C10-C12", "C10T12"), ("C31_C32", "C31_32"), ("E37-E39", "E37T39"), ("D", "D35"),
        ("O", "O84"), ("P", "P85"), ("L68", "L"), ("B", "B"), ("A01", "A01"), ("HH", "HH"),
    ],
)  # fmt: skip
def test_codes_of_industries(theirs: str, ours: str) -> None:
    assert air_emissions.code(theirs) == ours


def test_a_full_list_of_the_accounts_codes_is_that_of_the_tables() -> None:
    spelt = [downloads._industry(sector) for sector in downloads.INDUSTRIES]
    assert [air_emissions.code(nace) for nace in spelt] == list(downloads.INDUSTRIES)
    assert len(downloads.INDUSTRIES) == 64
    assert len(downloads.AREAS) == 46


def configured(folder: Path, years: str, accounts: str) -> engine.Config:
    (folder / "figaro.toml").write_text(
        f"""
title = "FIGARO, SYNTHETIC"

[tables]
reader = "figaro"
path = "{folder}"
years = {years}
stressors.GHG = {{ accounts = {accounts}, pollutant = "GHG", unit = "Mt CO2-eq", factor = 1e-3 }}

[question]
consumers = ["NL"]
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
    return engine.load_config(folder / "figaro.toml")


def test_a_configuration_reads_it(folder: Path) -> None:
    config = configured(folder, "[2020]", '["ghg.tsv.gz"]')
    assert isinstance(config.tables, Figaro)
    assert readers.read(config.tables, 2020).labels.stressor_units == ("Mt CO2-eq",)


def test_check_warns_of_areas_from_another_account_in_another_year(
    folder: Path, world: World
) -> None:
    downloads.write_table(folder, 2021, world)
    downloads.write_footprints(folder / "ghg.tsv.gz", {2020: world, 2021: world})
    downloads.write_accounts(folder / "aea.tsv", {2020: world, 2021: world}, ["GR", "NL"])
    config = configured(folder, "[2020, 2021]", '["aea.tsv", "ghg.tsv.gz"]')
    assert not any("two accounts" in line for line in check(config))
    changed(
        folder / "aea.tsv",
        lambda text: re.sub(r"(A,GHG,D,THS_T,NL\t\S+ \t).*", r"\1: c", text),
    )
    (told,) = [line for line in check(config) if "two accounts" in line]
    assert told.startswith("warning: GHG of NL is from aea.tsv in 2020; ghg.tsv.gz in 2021: ")


def test_specs_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no stressors"):
        Figaro(tmp_path, {})
    with pytest.raises(ConfigError, match="no accounts"):
        Stressor((), "kt")
    with pytest.raises(ConfigError, match="the factor is 0"):
        Stressor(("a",), "kt", 0.0)
    for unit, factor in (("Mt CO2-eq", 1.0), ("kt", 1e-3), ("t", 1.0)):
        with pytest.raises(ConfigError, match=f"does not make {unit} of THS_T"):
            Stressor(("a",), unit, factor)
    for unit, factor, file_unit in (
        ("TJ", 7.0, "TJ"),
        ("kt CO2-eq", 28.0, "THS_T"),
        ("t", 1.0, "T"),
    ):
        assert Stressor(("a",), unit, factor, file_unit).factor == factor
    aea, ghg, ch4 = "env_ac_ainah_r2.tsv", "env_ac_ghgfp.tsv", "estat_env_ac_ch4fp.tsv.gz"
    for accounts, more in (
        ((aea, ghg), {"pollutant": "CO2"}),  # a country's CO2 beside all gases of the rest
        ((aea, ch4), {"pollutant": "CH4"}),
        ((ghg, ch4), {}),
        ((aea,), {"pollutant": "CO2", "footprints": ghg}),
    ):
        with pytest.raises(ConfigError, match="is of several gases"):
            Stressor(accounts, "kt", **more)
    assert Stressor((aea, ch4), "kt", pollutant="CH4_CO2E").accounts == (aea, ch4)
    with pytest.raises(ConfigError, match="which is merged itself"):
        Figaro(tmp_path, GHG, merge={"AT": "NL", "NL": "GR"})
