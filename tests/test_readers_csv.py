"""Purchases and error sizes from CSV: what is read, and that every slip of the pen is refused."""

from __future__ import annotations

import hashlib
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.error_model import WIDEST_HALF_WIDTH
from engine.errors import TableError
from engine.mrio import Labels
from engine.readers.files import read_bytes, sha256
from engine.readers.purchases import read_purchases
from engine.readers.sizes import read_size_table

LABELS = Labels(
    regions=("NLD", "DEU", "ROW"),
    industries=tuple((region, sector) for region in ("NLD", "DEU") for sector in ("Steel", "Chém")),
    stressors=("CO2",),
    stressor_units=("kt",),
    currency="million EUR",
)
GOOD = """year,region,sector,value
2000,NLD,Steel,1234.5
2000,DEU,Chém,-2e3
2001,NLD,Steel,0
"""
BOUGHT = {
    2000: {("NLD", "Steel"): 1234.5, ("DEU", "Chém"): -2000.0},
    2001: {("NLD", "Steel"): 0.0},
}


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "bought.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- purchases ------------------------------------------------------------------------------------


def test_purchases_are_read_by_year_region_and_sector(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert read_purchases(path, LABELS, [2000, 2001]) == BOUGHT
    assert read_purchases(path) == BOUGHT


@pytest.mark.parametrize(
    "content",
    [
        GOOD.encode("utf-8-sig"),  # as spreadsheets save "CSV UTF-8"
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.rstrip("\n").encode(),
        GOOD.replace("\n2001", "\n\n2001").encode(),
        GOOD.replace("Steel", '"Steel"').encode(),
        "\n".join(",".join(reversed(line.split(","))) for line in GOOD.split()).encode(),
    ],
)
def test_harmless_ways_of_writing_the_same_file_are_read_alike(
    tmp_path: Path, content: bytes
) -> None:
    assert read_purchases(written(tmp_path, content), LABELS) == BOUGHT


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("sector,value", "sektor,value", 1, "column 'sektor' is unknown.*\n.*mean 'sector'"),
        (",sector", "", 1, "column 'sector' is missing"),
        ("value", "value,value", 1, "column 'value' appears twice"),
        (GOOD, "", 1, "is empty"),
        (GOOD, "year;region;sector;value\n2000;NLD;Steel;1,5\n", 1, "not separated by commas"),
        (GOOD, "year,region,sector,value\n", None, "holds no rows"),
        ("1234.5", "1234,5", 2, "5 cells, the header has 4.*\n.*point, not a comma"),
        ("1234.5", '"1234,5"', 2, "value '1234,5' is not a finite number.*\n.*a point"),
        ("1234.5", '"1,234.5"', 2, "not a finite number"),
        ("1234.5", "1_234", 2, "not a finite number"),
        ("1234.5", "nan", 2, "value 'nan' is not a finite number"),
        ("1234.5", "inf", 2, "value 'inf' is not a finite number"),
        ("1234.5", "1e999", 2, "value '1e999' is not a finite number"),
        ("1234.5", "", 2, "value '' is not a finite number"),
        ("1234.5", "12 EUR", 2, "not a finite number"),
        ("1234.5", "１２", 2, "not a finite number"),
        ("2000,DEU,Chém,-2e3", "2000,DEU,Chém", 3, "3 cells, the header has 4"),
        ("DEU", "Deu", 3, "region 'Deu' is not in the table.*\n.*mean 'DEU'"),
        ("DEU", "DEU ", 3, "region 'DEU ' is not in the table.*\n.*mean 'DEU'"),
        ("DEU", "ROW", 3, "sector 'Chém' is not in the table"),
        ("Chém", "Chem", 3, "sector 'Chem' is not in the table.*\n.*mean 'Chém'"),
        ("2001,NLD", "2000,NLD", 4, "2000 NLD Steel is repeated, first in line 2"),
        ("2001,NLD", "01,NLD", 4, "year '01' is not a year"),
        ("2001,NLD", "2001.0,NLD", 4, "year '2001.0' is not a year"),
        ("2001,NLD", "1998,NLD", None, "no purchases of 2001.*\n.*1998, 2000"),
        ("Steel", '"Steel', 4, "is not CSV"),
    ],
)
def test_a_slip_is_refused_with_file_line_and_remedy(
    tmp_path: Path, old: str, new: str, line: int | None, message: str
) -> None:
    assert old in GOOD
    path = written(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(TableError, match=message) as caught:
        read_purchases(path, LABELS, [2000, 2001])
    assert caught.value.where == (f"{path}, line {line}" if line else str(path))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("encoding", "line"), [("latin-1", 3), ("cp1252", 3), ("utf-16", 1), ("cp500", 1)]
)
def test_a_wrong_encoding_is_refused_with_its_line(
    tmp_path: Path, encoding: str, line: int
) -> None:
    path = written(tmp_path, GOOD.encode(encoding))
    with pytest.raises(TableError, match=rf"line {line}: byte .* is not UTF-8"):
        read_purchases(path, LABELS)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"nowhere\.csv: cannot be read"):
        read_purchases(tmp_path / "nowhere.csv", LABELS)
    with pytest.raises(TableError, match="cannot be read"):
        read_purchases(tmp_path, LABELS)


WORDS = st.sampled_from(
    [
        *("year", "region", "sector", "value", "rsd", "NLD", "Steel", "2000", "1.5", "1,5", "nan"),
        *',;\n\r"\0\ufeffé -e',
    ]
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.binary(max_size=200), st.lists(WORDS, max_size=60).map("".join)))
def test_any_content_is_read_or_refused_with_a_place(content: bytes | str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), content)
        for reading in (lambda: read_purchases(path, LABELS), lambda: read_size_table(path)):
            try:
                reading()
            except TableError as error:
                if str(path) not in error.where or not error.remedy:
                    raise AssertionError(f"no place or remedy: {error}") from error


LINES = st.tuples(
    st.integers(1990, 2050), st.sampled_from(LABELS.industries), st.floats(-1e300, 1e300)
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(LINES, min_size=1, unique_by=lambda line: line[:2]))
def test_what_is_written_comes_back_to_the_bit(
    lines: list[tuple[int, tuple[str, str], float]],
) -> None:
    text = "year,region,sector,value\n" + "".join(
        f"{year},{region},{sector},{value!r}\n" for year, (region, sector), value in lines
    )
    wanted: dict[int, dict[tuple[str, str], float]] = {}
    for year, industry, value in lines:
        wanted.setdefault(year, {})[industry] = value
    with tempfile.TemporaryDirectory() as folder:
        assert read_purchases(written(Path(folder), text), LABELS) == wanted


# --- sizes ----------------------------------------------------------------------------------------


def test_sizes_are_read_by_the_keys_of_the_header(tmp_path: Path) -> None:
    path = written(tmp_path, "stressor,region,rsd\nCO2,NLD,0.04\nCH4,NLD,0\n")
    table = read_size_table(path)
    assert table.keys == ("stressor", "region")
    assert table.rsd == {("CO2", "NLD"): 0.04, ("CH4", "NLD"): 0.0}
    assert table.unmet == ()
    assert table.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_half_widths_convert_to_relative_standard_deviations(tmp_path: Path) -> None:
    content = "u_max,stressor,u_min\n0.98,CO2,0.98\n5.82,CH4,1.2\n5.83,N2O,0.9\n20,SF6,1\n"
    table = read_size_table(written(tmp_path, content))
    assert table.rsd["CO2",] == pytest.approx(0.5, rel=1e-15)
    assert table.rsd["CH4",] == pytest.approx((5.82 + 1.2) / 3.92, rel=1e-15)
    assert table.unmet == ("N2O: upper half-width 5.83", "SF6: upper half-width 20")


def test_no_mean_one_lognormal_reaches_further_up_than_583_percent() -> None:
    sigma = np.linspace(0, 6, 60_001)
    widest = np.exp(1.96 * sigma - sigma**2 / 2).max() - 1
    assert widest == pytest.approx(WIDEST_HALF_WIDTH, rel=1e-9)
    assert f"{WIDEST_HALF_WIDTH:.2f}" == "5.83"
    assert math.isclose(sigma[np.argmax(1.96 * sigma - sigma**2 / 2)], 1.96)


@pytest.mark.parametrize(
    "header",
    [
        "row_region,row_sector,col_region,col_sector,rsd",
        "col_sector,row_region,rsd",
        "row_region,row_sector,consumer,rsd",
        "sector,rsd",
        "consumer,stressor,u_min,u_max",
    ],
)
def test_some_keys_of_one_quantity_are_enough(tmp_path: Path, header: str) -> None:
    cells = ",".join(str(i) for i in range(len(header.split(","))))
    table = read_size_table(written(tmp_path, f"{header}\n{cells}\n"))
    assert table.keys == tuple(c for c in header.split(",") if c not in ("rsd", "u_min", "u_max"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stressor,rsd\nCO2,-0.1\n", "line 2: rsd is negative"),
        ("stressor,u_min,u_max\nCO2,0.1,-0.1\n", "line 2: u_min or u_max is negative"),
        ('stressor,rsd\nCO2,"0,1"\n', "line 2: rsd '0,1' is not a finite number"),
        ("stressor,rsd\nCO2,4%\n", "line 2: rsd '4%' is not a finite number"),
        ("stressor,rsd\nCO2,.1\nCO2,.2\n", "line 3: CO2 is repeated"),
        ("stressor,region,rsd\nCO2,,.1\n", "line 2: a key is empty"),
        ("stressor\nCO2\n", "line 1: the values are missing"),
        ("stressor,u_min\nCO2,.1\n", "line 1: the values are u_min"),
        ("stressor,rsd,u_min,u_max\nCO2,.1,.1,.1\n", "the values are rsd, u_max, u_min"),
        ("rsd\n.1\n", r"line 1: the key columns \(none\)"),
        ("region,col_sector,rsd\na,b,.1\n", r"key columns \(region, col_sector\) belong to no"),
        ("stresor,rsd\nCO2,.1\n", "column 'stresor' is unknown.*\n.*mean 'stressor'"),
    ],
)
def test_sizes_that_are_unclear_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(TableError, match=message) as caught:
        read_size_table(written(tmp_path, content))
    assert caught.value.remedy


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for read in (read_bytes, sha256):
        with pytest.raises(TableError, match="cannot be read") as caught:
            read(tmp_path / "a\0b.csv")
        assert "\0" not in caught.value.where


# --- arrays of sizes ------------------------------------------------------------------------------
