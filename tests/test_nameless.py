"""Numbers without names: every cell in its place, or one error with the line at fault."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from engine.errors import TableError
from engine.readers import nameless
from engine.readers.nameless import Sheet, Size, numbers

SIZE = Size(3, 2, "the labels")


def read(text: bytes, folder: Path, size: Size = SIZE, separator: str = ",") -> np.ndarray:
    path = folder / "numbers.txt"
    path.write_bytes(text)
    found = np.full((size.rows, size.columns), np.nan)
    for first, rows in numbers(Sheet(path), separator, size):
        found[first : first + len(rows)] = rows
    return found


@pytest.mark.parametrize("at_once", [1, 5, 7, 64, 10**6])
def test_every_cell_is_where_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """However the bytes are cut into pieces."""
    monkeypatch.setattr(nameless, "_AT_ONCE", at_once)
    monkeypatch.setattr(nameless, "_BLOCK", 64)
    written = np.random.default_rng(1).normal(size=(40, 9))
    text = "".join("\t".join(map(repr, row.tolist())) + "\n" for row in written)
    assert np.array_equal(read(text.encode(), tmp_path, Size(40, 9, "x"), "\t"), written)


@pytest.mark.parametrize(
    "text", [b"1,2\n3,4\n5,6\n", b"1,2\r\n3,4\r\n5,6\r\n", b"\xef\xbb\xbf1,2\n3,4\n+5e0, 6. \n"]
)
def test_ends_of_lines_marks_and_blanks_are_no_numbers(tmp_path: Path, text: bytes) -> None:
    assert np.array_equal(read(text, tmp_path), [[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        (b"1,2\n3,4,5\n5,6\n", "has 3 columns, the lines above 2", "line 2"),
        (b"1,2,3\n3,4,5\n5,6,7\n", "has 3 columns, the labels 2", "line 1"),
        (b"1,2\n3,4\n", "has 2 rows, the labels 3", ""),
        (b"1,2\n3,4\n5,6\n7,8\n", "has more than the 3 rows of the labels", ""),
        (b"1,2\n3,4\n5,6\n\n", "has 1 columns", "line 4"),
        (b"1,2\n\n3,4\n5,6\n", "has 1 columns", "line 2"),
        (b"1,2\n3,4\n5,6", "ends in the middle of a line", ""),
        (b"1,2\n3,4\n5", "has 1 columns", "line 3"),
        (b"1,2\n,4\n5,6\n", "'' is not a finite number", "line 2, column 1"),
        (b"1,2\n3,nan\n5,6\n", "'nan' is not a finite number", "line 2, column 2"),
        (b"1,2\n3,inf\n5,6\n", "'inf' is not a finite number", "line 2, column 2"),
        (b"1,2\n3,4\n0x5,6\n", "'0x5' is not a finite number", "line 3, column 1"),
        (b'1,2\n3,"4"\n5,6\n', "'\"4\"' is not a finite number", "line 2, column 2"),
        (b"1,2\n3,\xff\n5,6\n", "is not a finite number", "line 2, column 2"),
        (b"1,2\n3,4\r5\n5,6\n", "'4\\r5' is not a finite number", "line 2, column 2"),
        (b"1,2\n3,1e999\n5,6\n", "cannot be parsed", "line 1"),
        (b"", "has 0 rows, the labels 3", ""),
    ],
)
def test_what_is_no_whole_table_of_numbers_is_refused(
    tmp_path: Path, text: bytes, what: str, where: str
) -> None:
    with pytest.raises(TableError) as caught:
        read(text, tmp_path)
    assert what in caught.value.what
    assert where in caught.value.where
    assert caught.value.where.count(str(tmp_path / "numbers.txt")) == 1
    assert caught.value.remedy


def test_a_member_of_an_archive_is_called_by_both_names(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "years.zip", "w") as archive:
        archive.writestr("T.txt", "1,2\nx,4\n5,6\n")
    with pytest.raises(TableError, match="'x' is not") as caught:
        list(numbers(Sheet(tmp_path / "years.zip", "T.txt"), ",", SIZE))
    assert caught.value.where == f"{tmp_path / 'years.zip'}, T.txt, line 2, column 1"
