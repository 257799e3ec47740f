"""Tables folded by maps: totals are conserved, and a map that does not belong is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from engine import readers
from engine.errors import TableError
from engine.kernels.aggregation import fold, fold_columns, fold_rows
from engine.mrio import MRIO
from engine.readers import Aggregated, Aggregation, Toy, aggregated

REGIONS = "from,to\nR0,R0\nR1,Abroad\nR2,Abroad\n"
SECTORS = "from,to\nP0,goods\nP1,goods\nP2,services\nP3,services\n"
OWN = """region,from,to
,P0,goods
,P1,goods
,P2,services
,P3,services
R0,P0,P0
R0,P1,P1
"""
STRESSORS = """from,from_unit,to,to_unit,factor
S0,kt,total,Mt,0.001
S1,kt,total,Mt,0.028
S0,kt,S0,kt,1
"""
Maps = Callable[..., Aggregation]


@pytest.fixture
def maps(tmp_path: Path) -> Maps:
    """Maps written as files, by what they are maps of."""

    def written(**texts: str) -> Aggregation:
        files = {}
        for key, text in texts.items():
            files[key] = tmp_path / f"{key}.csv"
            files[key].write_text(text, encoding="utf-8")
        return Aggregation(**files)

    return written


@pytest.fixture
def table() -> MRIO:
    return readers.read(Toy("random"), 2000)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.integers(1, 5))
def test_folding_is_adding_up_cell_by_cell(groups: list[int], others: int) -> None:
    of = np.array(groups, dtype=np.int64)
    values = np.random.default_rng(3).normal(size=(len(groups), others))
    slow = np.zeros((4, others))
    for row, group in enumerate(groups):
        slow[group] += values[row]
    np.testing.assert_allclose(fold_rows(values, of, 4), slow, rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(fold_columns(values.T, of, 4), slow.T, rtol=1e-14, atol=1e-14)
    square = np.random.default_rng(4).normal(size=(len(groups), len(groups)))
    both = np.zeros((4, 4))
    for row, one in enumerate(groups):
        for column, other in enumerate(groups):
            both[one, other] += square[row, column]
    np.testing.assert_allclose(fold(square, of, 4, of, 4), both, rtol=1e-14, atol=1e-13)


def test_a_folded_table_is_the_sum_of_its_cells_by_name(table: MRIO, maps: Maps) -> None:
    by = maps(regions=REGIONS, sectors=OWN, stressors=STRESSORS)
    folded = aggregated(table, by)
    labels = table.labels
    assert folded.labels.regions == ("R0", "Abroad")
    assert folded.labels.industries == (
        ("R0", "P0"), ("R0", "P1"), ("R0", "services"), ("Abroad", "goods"), ("Abroad", "services"),
    )  # fmt: skip
    assert folded.labels.stressors == ("total", "S0")
    assert folded.labels.stressor_units == ("Mt", "kt")
    goods = [i for i, (region, sector) in enumerate(labels.industries)
             if region != "R0" and sector in ("P0", "P1")]  # fmt: skip
    own = labels.industries.index(("R0", "P1"))
    assert folded.Z[3, 1] == pytest.approx(table.Z[goods, own].sum(), rel=1e-14)
    assert folded.Z[3, 3] == pytest.approx(table.Z[np.ix_(goods, goods)].sum(), rel=1e-14)
    assert folded.Y[3, 1] == pytest.approx(table.Y[goods][:, 1:].sum(), rel=1e-14)
    assert folded.E[0, 3] == pytest.approx(
        (0.001 * table.E[0, goods] + 0.028 * table.E[1, goods]).sum(), rel=1e-14
    )
    assert folded.F_Y[1, 1] == pytest.approx(table.F_Y[0, 1:].sum(), rel=1e-14)


def test_totals_are_conserved(table: MRIO, maps: Maps) -> None:
    folded = aggregated(table, maps(regions=REGIONS, sectors=SECTORS))
    for one, other in zip(
        (table.Z, table.Y, table.E, table.F_Y, table.x),
        (folded.Z, folded.Y, folded.E, folded.F_Y, folded.x),
        strict=True,
    ):
        assert other.sum() == pytest.approx(one.sum(), rel=1e-13)


def test_the_map_to_itself_changes_no_number(table: MRIO, maps: Maps) -> None:
    labels = table.labels
    by = maps(
        regions="from,to\n" + "".join(f"{name},{name}\n" for name in labels.regions),
        sectors="from,to\n" + "".join(f"{name},{name}\n" for name in labels.sectors),
        stressors="from,from_unit,to,to_unit,factor\n"
        + "".join(f"{name},kt,{name},kt,1\n" for name in labels.stressors),
    )
    assert aggregated(table, by).sha256 == table.sha256


def test_provenance_says_what_was_folded_and_by_which_files(table: MRIO, maps: Maps) -> None:
    by = maps(regions=REGIONS, stressors=STRESSORS)
    provenance = aggregated(table, by).provenance
    assert provenance.source.endswith(
        "; aggregated: 3 regions to 2, 12 industries to 8, 2 stressors to 2 "
        "(regions.csv, stressors.csv)"
    )
    assert [name for name, _ in provenance.files] == ["regions.csv", "stressors.csv"]
    assert provenance.synthetic


def test_every_reader_takes_maps(maps: Maps) -> None:
    source = Aggregated(Toy("random"), maps(regions=REGIONS))
    assert readers.years(source) == readers.years(Toy("random"))
    assert readers.read(source, 2001).labels.regions == ("R0", "Abroad")


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("regions", "from,to\nR0,R0\nR1,W\n", "the table's region R2 is not in the map"),
        ("regions", REGIONS + "R9,W\n", "from 'R9' is not in the table"),
        ("regions", REGIONS + "R1,W\n", "R1 is repeated, first in line 3"),
        ("regions", "from,to\nR0,\nR1,W\nR2,W\n", "`to` is ''"),
        ("regions", "from,to\nR0,R0\nR1,World\nR2,world\n", "`to` is 'world', and 'World' above"),
        ("regions", "from,to\nR0,R0\nR1,W\nR2,W \n", "`to` is 'W '"),
        ("regions", "from;to\nR0;R0\n", "not separated by commas"),
        ("sectors", SECTORS.replace("P3,services\n", ""), "industry R0 P3 is not in the map"),
        ("sectors", SECTORS + "P1,goods\n", "P1 is repeated, first in line 3"),
        ("sectors", SECTORS + "Q1,goods\n", "from 'Q1' is not in the table"),
        ("sectors", OWN + "R9,P1,P1\n", "region 'R9' is not in the table"),
        ("sectors", OWN + "R0,P1,P1\n", "R0 P1 is repeated, first in line 7"),
        ("stressors", STRESSORS.replace("S0,kt,S0,kt,1", "S0,t,S0,kt,1"), "from_unit is 't'"),
        ("stressors", STRESSORS.replace("Mt,0.028", "kt,0.028"), "total is in 'Mt' above"),
        ("stressors", STRESSORS.replace("S1", "S0"), "S0 total is repeated"),
        ("stressors", "from,from_unit,to,to_unit,factor\nS0,kt,a,kt,1\n", "stressor S1 is not in"),
        ("stressors", STRESSORS.replace("0.028", "0,028"), "6 cells"),
        ("stressors", STRESSORS.replace("0.028", "inf"), "not a finite number"),
    ],
)  # fmt: skip
def test_a_map_that_is_not_the_tables_is_refused(
    table: MRIO, maps: Maps, kind: str, text: str, said: str
) -> None:
    with pytest.raises(TableError) as error:
        aggregated(table, maps(**{kind: text}))
    assert said in str(error.value)
    assert f"{kind}.csv" in error.value.where
    assert error.value.remedy
