"""The page that `check` shows of a table: what it says is so, and what is wrong shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.downloads import figaro as downloads
from benchmarks.downloads import worlds
from benchmarks.downloads.worlds import World
from engine import readers
from engine.errors import TableError
from engine.mrio import MRIO
from engine.question import Consumer, Indicator, Question
from engine.readers import Aggregated, Aggregation
from engine.readers.figaro import Figaro, Stressor
from engine.readers.icio import Icio
from engine.readers.icio import Stressor as OfIcio
from engine.readers.official import Official, added_up
from engine.workflow import table_page

AREAS = ("AT", "GR", "NL", "FIGW1")
INDUSTRIES = ("A01", "C10T12", "D35")
TABLE = "matrix_eu-ic-io_ind-by-ind_25ed_2020.csv"
ASKED = Question(
    (Consumer("NL", ("NL",)), Consumer("two", ("AT", "GR"))),
    (Indicator("GHG", "kt", {"GHG": 1.0}),),
)


@pytest.fixture
def world() -> World:
    return downloads.economy(2020, AREAS, INDUSTRIES)


@pytest.fixture
def source(tmp_path: Path, world: World) -> Figaro:
    downloads.write_table(tmp_path, 2020, world)
    downloads.write_footprints(tmp_path / "ghg.tsv", {2020: world})
    return Figaro(tmp_path, {"GHG": Stressor(("ghg.tsv",), "Mt", 1e-3)})


def page(source: Figaro, table: MRIO | None = None) -> str:
    table = table or readers.read(source, 2020)
    official = readers.official(source, 2020, table.labels)
    return "\n".join(table_page.page(table, ASKED, official))


def test_a_sound_table_takes_a_few_lines(source: Figaro) -> None:
    table, told = readers.read(source, 2020), page(source)
    assert "row sums are the published output but for rounding" in told
    assert "footprints of GHG against those published in ghg.tsv: all 4 agree" in told
    for name, digest in table.provenance.files:
        assert f"file {name}: sha256 {digest[:16]}" in told
    assert told.startswith("2020: FIGARO, ind-by-ind, 2025 edition\n")
    assert "\n  licence: CC BY 4.0 (Eurostat" in told
    assert "\n  GHG: ghg.tsv\n" in told
    assert len(told.splitlines()) <= 10
    assert "warning" not in told


def test_the_head_tells_the_database_apart_and_its_traps(source: Figaro) -> None:
    table = readers.read(source, 2020)
    told = "\n".join(table_page.head(table, readers.traps(source)))
    assert told.startswith("12 industries, 4 regions, GHG; million EUR, current basic prices\n")
    assert "regions: AT, GR, NL, FIGW1\n" in told
    assert "no country, but what is left of the world: FIGW1" in told
    assert "products bear" not in told
    commas = tuple((area, f"{sector}, n.e.c.") for area, sector in table.labels.industries)
    renamed = replace(table, labels=replace(table.labels, industries=commas))
    assert "sectors: A01, n.e.c.; C10T12, n.e.c.; D35, n.e.c." in table_page.head(renamed, ())
    assert any("products bear" in words for words in readers.traps(replace(source, system="pxp")))


def test_the_five_largest_differences_of_rows_are_named(source: Figaro) -> None:
    table = readers.read(source, 2020)
    assert table.published_output is not None
    factors = 1 + np.array([0, 0, 0.5, 0.4, 0, 0.3, 0.2, 0.1, 0.05, 0, 0, 0.001])
    told = page(source, replace(table, published_output=table.published_output * factors))
    assert "6 of 12 rows differ by more than 1%" in told
    assert "AT D35: row sum" in told
    assert "(-33.33 %)" in told
    assert told.count(", published ") == 1 + table_page.WORST
    assert table_page.OUT_OF_BALANCE in told


def test_footprints_that_are_not_the_published_ones_are_warned_of(source: Figaro) -> None:
    text = (source.path / "ghg.tsv").read_text()  # type: ignore[union-attr]
    lines = [
        "\t".join([key, f"{1.1 * float(value):.9g} "])
        if key.split(",")[2] == "NL"
        else f"{key}\t{value}"
        for key, _, value in (line.partition("\t") for line in text.splitlines())
    ]
    (source.path / "other.tsv").write_text("\n".join(lines) + "\n")  # type: ignore[operator]
    stressor = replace(source.stressors["GHG"], footprints="other.tsv")
    told = page(replace(source, stressors={"GHG": stressor}))
    assert "published in other.tsv, 4 of 4 regions, in percent:" in told
    assert "NL -9.1" in told
    assert "AT +0.0" in told
    assert "    two: +0.00 %" in told
    assert (
        "warning: more than 1% apart: NL; a few per cent in single areas occur, many areas mean "
        "that tables and footprints are of different editions"
    ) in told


def test_merged_areas_are_held_against_the_sum_of_their_footprints(
    source: Figaro, world: World
) -> None:
    told = page(replace(source, merge={"AT": "FIGW1"}))
    table = readers.read(replace(source, merge={"AT": "FIGW1"}), 2020)
    (official,) = readers.official(replace(source, merge={"AT": "FIGW1"}), 2020, table.labels)
    whole = world.footprints.sum(axis=0) + world.households
    assert official.footprints["FIGW1"] == pytest.approx((whole[0] + whole[3]) / 1e3, rel=1e-9)
    assert sum(official.footprints.values()) == pytest.approx(whole.sum() / 1e3, rel=1e-9)
    assert "3 of 3 regions, in percent" in told  # aggregation moves footprints


def test_what_was_published_within_the_rest_of_the_world_is_held_against_nothing(
    source: Figaro, world: World
) -> None:
    fewer = downloads.write_footprints(
        source.path / "fewer.tsv",  # type: ignore[operator]
        {2020: worlds.folded(world, "AT", "FIGW1")},
    )
    stressor = replace(source.stressors["GHG"], footprints=fewer.name)
    into = {
        other: replace(source, stressors={"GHG": stressor}, merge={"AT": other})
        for other in ("GR", "FIGW1")
    }
    labels = readers.read(into["GR"], 2020).labels
    assert set(readers.official(into["GR"], 2020, labels)[0].footprints) == {"NL"}
    (one,) = readers.official(into["FIGW1"], 2020, labels)
    assert set(one.footprints) == {"GR", "NL", "FIGW1"}
    assert not one.folded
    assert "all 3 agree" in page(into["FIGW1"])


def folded(source: Figaro, folder: Path, **maps: str) -> tuple[Official, ...]:
    """What was published, by maps."""
    files = {key: folder / f"{key}.csv" for key in maps}
    for key, text in maps.items():
        files[key].write_text(text)
    labels = readers.read(source, 2020).labels
    return readers.official(Aggregated(source, Aggregation(**files)), 2020, labels)


def test_published_footprints_are_added_up_as_regions_are(
    source: Figaro, world: World, tmp_path: Path
) -> None:
    regions = "from,to\nAT,EU\nGR,EU\nNL,NL\nFIGW1,rest\n"
    (one,) = folded(source, tmp_path, regions=regions)
    whole = (world.footprints.sum(axis=0) + world.households) / 1e3
    assert one.footprints == pytest.approx(
        {"EU": whole[0] + whole[1], "NL": whole[2], "rest": whole[3]}, rel=1e-9
    )
    assert one.folded
    by = Aggregation(regions=tmp_path / "regions.csv")
    told = "\n".join(table_page.page(readers.read(Aggregated(source, by), 2020), ASKED, (one,)))
    assert (
        "ghg.tsv, of more regions or sectors: differences hold the aggregation error, 3 of 3 "
        "regions, in percent"
    ) in told
    assert "different editions" not in told


def test_sums_of_stressors_alone_are_held_against_sums_exactly(
    source: Figaro, tmp_path: Path
) -> None:
    both = replace(
        source,
        stressors=source.stressors | {"same": Stressor(("ghg.tsv",), "kt", pollutant="GHG")},
    )
    header = "from,from_unit,to,to_unit,factor\n"
    sums = header + "GHG,Mt,all,kt,1000\nsame,kt,all,kt,1\nsame,kt,half,kt,0.5\n"
    found = folded(both, tmp_path, stressors=sums)
    assert [one.stressor for one in found] == ["all", "half"]
    assert not any(one.folded for one in found)
    by = Aggregation(stressors=tmp_path / "stressors.csv")
    told = "\n".join(table_page.page(readers.read(Aggregated(both, by), 2020), ASKED, found))
    assert told.count("all 4 agree") == 2


def test_a_group_or_a_sum_that_is_published_in_part_is_held_against_nothing(
    source: Figaro, tmp_path: Path
) -> None:
    text = "from,to\nAT,EU\nGR,EU\nNL,NL\nFIGW1,rest\n"
    (tmp_path / "regions.csv").write_text(text)
    (tmp_path / "s.csv").write_text(
        "from,from_unit,to,to_unit,factor\nGHG,Mt,both,Mt,1\nCH4,t,both,Mt,1e-6\n"
    )
    labels = readers.read(source, 2020).labels
    known = {"AT": 1.0, "NL": 2.0, "FIGW1": 3.0}
    by = Aggregation(regions=tmp_path / "regions.csv")
    (one,) = added_up([Official("GHG", "f", known)], by, labels)
    assert one.footprints == {"NL": 2.0, "rest": 3.0}
    two = replace(labels, stressors=("GHG", "CH4"), stressor_units=("Mt", "t"))
    by = Aggregation(stressors=tmp_path / "s.csv")
    assert added_up([Official("GHG", "f", known)], by, two) == ()


def test_a_value_that_is_missing_leaves_its_area_out(source: Figaro) -> None:
    path = source.path / "ghg.tsv"  # type: ignore[operator]
    lines = [
        line.partition("\t")[0] + "\t: c " if line.startswith("A,AT,EL,D,") else line
        for line in path.read_text().splitlines()
    ]
    (path.parent / "gaps.tsv").write_text("\n".join(lines) + "\n")
    stressor = replace(source.stressors["GHG"], footprints="gaps.tsv")
    told = page(replace(source, stressors={"GHG": stressor}))
    assert "not published, or not whole: GR" in told


def test_accounts_without_footprints_are_held_against_none(source: Figaro, world: World) -> None:
    downloads.write_accounts(source.path / "aea.tsv", {2020: world}, AREAS)  # type: ignore[operator]
    stressor = Stressor(("aea.tsv",), "kt", pollutant="GHG")
    told = page(replace(source, stressors={"GHG": stressor}))
    assert "footprints" not in told


def test_a_table_out_of_balance_is_refused(source: Figaro) -> None:
    path = source.path / TABLE  # type: ignore[operator]
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[0][1], lines[0][5] = lines[0][5], lines[0][1]
    path.write_text("\n".join(map(",".join, lines)) + "\n")
    with pytest.raises(TableError, match="does not balance: the row of") as caught:
        readers.read(source, 2020)
    assert TABLE in caught.value.where


def test_a_file_that_ends_within_a_number_is_refused(source: Figaro) -> None:
    path = source.path / "ghg.tsv"  # type: ignore[operator]
    text = path.read_text()
    path.write_text(text[: text.rindex(".") + 1])
    with pytest.raises(TableError, match="ends in the middle of a line"):
        readers.read(source, 2020)


def test_traps_are_those_of_the_database_folded_or_not(tmp_path: Path) -> None:
    icio = Icio(tmp_path, {"GHG": OfIcio("DF_MAIN.csv", "t", "PROD_GHG")})
    assert any("China and Mexico" in trap for trap in readers.traps(icio))
    assert readers.traps(Aggregated(icio, Aggregation(tmp_path / "map.csv"))) == readers.traps(icio)
