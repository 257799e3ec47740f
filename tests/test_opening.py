"""Archives whose directory is damaged: one clear error, whoever opens them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import TableError
from engine.readers.opening import members, opened
from engine.readers.workbooks import workbook


def _opened(path: Path) -> None:
    with opened(path):
        pass


def _as_workbook(path: Path) -> None:
    with workbook(path):
        pass


@pytest.mark.parametrize("use", [members, _opened, _as_workbook])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (46, 0xFF),  # the name: no UTF-8
        (6, 0x6D),  # the version it takes to unpack it: 10.9
    ],
)
def test_a_damaged_directory_is_told(
    tmp_path: Path, use: Callable[[Path], object], place: int, value: int
) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("table.csv", "1,2\n")
    data = bytearray(stream.getvalue())
    directory = data.rfind(b"PK\x01\x02")
    data[directory + 9] |= 8  # its names are UTF-8
    data[directory + place] = value
    path = tmp_path / ("book.xlsx" if use is _as_workbook else "table.zip")
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"no whole|damaged or cut short") as caught:
        use(path)
    assert str(path) in str(caught.value)
    assert caught.value.remedy
