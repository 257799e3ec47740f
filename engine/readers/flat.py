"""A table written a cell a line, with the names of its row and column on each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.labelled import Labelled, Watched
from engine.readers.opening import opened

Places = npt.NDArray[np.int32]

_BATCH = 2**23
_AGAIN = "give the file as downloaded: points in numbers, no thousands separators"


def read(path: Path, header: Sequence[str], *, row: int, column: int, value: int) -> Labelled:
    """All of a file: plain, .gz or .zip; rows and columns in the order in which they appear.

    Args:
        header: names of the columns of the file.
        row, column, value: which of them hold the name of a cell's row, of its column, and its
            number.

    Raises:
        TableError: the file is missing, damaged, cut short, or written in another way; a cell is
            missing, there twice, or no finite number.
    """
    places: dict[str, dict[str, int]] = {"row": {}, "column": {}}
    parts: list[tuple[Places, Places, F64]] = []
    types = dict.fromkeys(header, pa.string()) | {header[value]: pa.float64()}
    names = {header[row]: "row", header[column]: "column"}
    for place in (row, column):
        types[header[place]] = pa.dictionary(pa.int32(), pa.string())
    with opened(path) as stream:
        first = stream.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")
        found = [name.strip('" ') for name in first.split(",")]
        if found != list(header):
            raise TableError(
                f"its header is {first[:120]!r}, not {','.join(header)}",
                where="line 1",
                remedy="give the flat file as downloaded",
            )
        source = Watched(b"", stream)
        try:
            reader = pa.csv.open_csv(
                source,
                read_options=pa.csv.ReadOptions(column_names=list(header), block_size=_BATCH),
                convert_options=pa.csv.ConvertOptions(
                    column_types=types, null_values=[], include_columns=[*names, header[value]]
                ),
            )
            for batch in reader:
                at = [_at(batch.column(name), places[kind]) for name, kind in names.items()]
                parts.append((at[0], at[1], batch.column(header[value]).to_numpy()))
        except pa.ArrowInvalid as error:
            raise TableError(f"cannot be parsed ({str(error)[:120]})", remedy=_AGAIN) from error
        if not source.ended:
            raise TableError(
                "ends in the middle of a line", remedy="the download is incomplete: fetch it again"
            )
    return _table(path, places, parts)


def _at(names: pa.Array, places: dict[str, int]) -> Places:
    """The number of each name, new names numbered as they come."""
    known = names.dictionary.to_pylist()
    numbers = np.array([places.setdefault(name, len(places)) for name in known], dtype=np.int32)
    taken: Places = numbers[names.indices.to_numpy()]
    return taken


def _table(
    path: Path, places: dict[str, dict[str, int]], parts: list[tuple[Places, Places, F64]]
) -> Labelled:
    """The parts, which are used up, as one table."""
    rows, columns = tuple(places["row"]), tuple(places["column"])
    values = np.zeros((len(rows), len(columns)))
    times = np.zeros((len(rows), len(columns)), dtype=np.uint8)
    while parts:
        row, column, part = parts.pop()
        values[row, column] = part
        np.add.at(times, (row, column), 1)
    for kind, wrong in {
        "is missing": times == 0,
        "is there twice": times > 1,
        "is not a finite number": ~np.isfinite(values),
    }.items():
        if wrong.any():
            at, there = divmod(int(wrong.argmax()), len(columns))
            raise TableError(
                f"cell ({rows[at]}, {columns[there]}) {kind}, and {int(wrong.sum()) - 1} more",
                where=str(path),
                remedy="download the file again; a missing value is never read as zero",
            )
    return Labelled(tuple((name,) for name in rows), tuple((name,) for name in columns), values)
