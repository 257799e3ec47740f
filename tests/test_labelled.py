"""Numbers with names, in text files: what is read, and every way in which it cannot be."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import TableError
from engine.readers import labelled
from engine.readers.labelled import Layout

SMALL = "rowLabels,a,b\nx,1,2.5\ny,-3e2,0\n"


def written(tmp_path: Path, text: str, name: str = "t.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize("text", [SMALL, "\ufeff" + SMALL, SMALL.replace("\n", "\r\n")])
def test_names_and_numbers(tmp_path: Path, text: str) -> None:
    table = labelled.read(written(tmp_path, text), Layout())
    assert table.rows == (("x",), ("y",))
    assert table.columns == (("a",), ("b",))
    assert table.values.tolist() == [[1, 2.5], [-300, 0]]


def test_archives_and_gzip_hold_the_same(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(SMALL.encode()))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("folder/t.csv", SMALL)
        archive.writestr("readme.md", "no table")
    plain = labelled.read(written(tmp_path, SMALL), Layout())
    for name in ("t.csv.gz", "t.zip"):
        other = labelled.read(tmp_path / name, Layout())
        assert np.array_equal(plain.values, other.values)
        assert (plain.rows, plain.columns) == (other.rows, other.columns)


def test_names_of_several_levels_as_pandas_writes_them(tmp_path: Path) -> None:
    names = pd.MultiIndex.from_product([["AT", "NL"], ["A", "B"]], names=["region", "sector"])
    frame = pd.DataFrame(np.arange(16.0).reshape(4, 4), names, names)
    frame.to_csv(tmp_path / "A.txt", sep="\t")
    table = labelled.read(tmp_path / "A.txt", Layout("\t", header=2, index=2))
    assert table.rows == table.columns == tuple(names)
    assert np.array_equal(table.values, frame)


def test_without_names(tmp_path: Path) -> None:
    table = labelled.read(written(tmp_path, "1\t2\t3\n4\t5\t6\n"), Layout("\t", 0, 0), most_rows=2)
    assert table.columns == (("0",), ("1",), ("2",))
    assert table.values.tolist() == [[1, 2, 3], [4, 5, 6]]


def test_an_empty_cell_is_no_number_unless_the_layout_has_them(tmp_path: Path) -> None:
    path = written(tmp_path, "r,a,b\nx,1,\n")
    with pytest.raises(TableError, match="line 2, x, column b: '' is not a finite number"):
        labelled.read(path, Layout())
    assert np.isnan(labelled.read(path, Layout(blanks=True)).values[0, 1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
def test_every_double_comes_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    path = tmp_path_factory.mktemp("d") / "t.csv"
    path.write_text("r," + ",".join(f"c{i}" for i in range(len(numbers))) + "\n")
    with path.open("a") as stream:
        stream.write("x," + ",".join(map(repr, numbers)) + "\n")
    assert labelled.read(path, Layout()).values[0].tolist() == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('r,a,b\nx,1,"2,5"\n', "line 2, x, column b: '2,5' is not a finite number"),
        ("r,a,b\nx,1,1 000\n", "line 2, x, column b: '1 000' is not a finite number"),
        ("r,a,b\nx,1,2\ny,nan,2\n", "line 3, y, column a: 'nan' is not a finite number"),
        ("r,a,b\nx,1,1e400\n", "line 2, x, column b: '1e400' is not a finite number"),
        ("r,a,b\nx,1,\x1e2\n", "line 2, x, column b: '\\x1e2' is not a finite number"),
        ("r,a,b\nx,1,inf\n", "line 2, x, column b: 'inf' is not a finite number"),
        ("r,a,b\nx,1,2\ny,1\n", "line 3, y: has 2 cells, the lines above 3"),
        ("r,a,b\nx,1,2\ny,1,2,3\n", "line 3, y: has 4 cells, the lines above 3"),
        ("r,a,b\nx,1,2,3\n", "line 1: has 3 cells between ',', the first row of numbers 4"),
        ("r;a;b\nx;1;2\n", "line 1: has 1 cells between ',', the first row of numbers 1"),
        ("r,a,b\nx,1,2\ny,1,2", "ends in the middle of a line"),
        ("r,a,b\n", "holds no rows of numbers"),
        ("", "holds no rows of numbers"),
        ("r,a\n" + "x,1\n" * 258, "has more than the 257 rows"),
    ],
)
def test_what_cannot_be_read_says_where(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TableError) as caught:
        labelled.read(written(tmp_path, text), Layout())
    assert said in f"{caught.value.where}: {caught.value.what}"
    assert "t.csv" in caught.value.where
    assert caught.value.remedy


def test_a_fault_in_a_late_batch_is_found_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelled, "_BATCH", 4096)
    lines = [f"r{number},{number},2" for number in range(5000)]
    lines[4321] = "r4321,4321,2x"
    path = written(tmp_path, "\n".join(["r,a,b", *lines, ""]))
    with pytest.raises(TableError) as caught:
        labelled.read(path, Layout(), most_rows=6000)
    assert caught.value.where.endswith("line 4323, r4321, column b")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("r,Österreich,b\nx,1,2\n".encode(encoding))
    with pytest.raises(TableError, match="is not UTF-8"):
        labelled.read(path, Layout())


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress((SMALL * 1000).encode())
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError, match=r"t\.csv\.gz: is damaged or cut short"):
        labelled.read(tmp_path / "t.csv.gz", Layout(), most_rows=9000)
    (tmp_path / "t.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(TableError, match=r"t\.zip: is damaged or cut short"):
        labelled.read(tmp_path / "t.zip", Layout())
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", SMALL)
        archive.writestr("b.csv", SMALL)
    with pytest.raises(TableError, match="holds 2 tables"):
        labelled.read(tmp_path / "two.zip", Layout())
    with pytest.raises(TableError, match="cannot be read"):
        labelled.read(tmp_path / "none.csv", Layout())
