"""Numbers with names along both sides, in a text file, read some rows at a time.

Tables of ten thousand industries are files of a gigabyte: parsed by Arrow, a batch of rows at a
time, and written straight into the array they end in.
"""

from __future__ import annotations

import csv
import ctypes
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.opening import opened

_BATCH = 2**21  # bytes parsed at once, or
_COLUMNS = 128  # a line for so many columns, each of which costs every batch something
TOTALS = 256  # rows of value added, taxes and totals that a square table may have below it
_SHOWN = 80  # characters of a line that an error shows
_NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[ \t]*")
_AGAIN = "give the file as downloaded: points in numbers, no thousands separators"

Name = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a publisher writes numbers with names.

    Attributes:
        separator: between two cells.
        header: lines above the numbers, in which each column has its name.
        index: cells before the numbers, in which each row has its name.
        blanks: whether a cell may be empty; it is read as NaN, which no table may hold.
    """

    separator: str = ","
    header: int = 1
    index: int = 1
    blanks: bool = False


@dataclass(frozen=True, slots=True)
class Labelled:
    """Numbers and their names.

    Attributes:
        rows: names of the rows; empty ones where the file has none.
        columns: names of the columns; their numbers where the file has none.
        values: (rows, columns).
    """

    rows: tuple[Name, ...]
    columns: tuple[Name, ...]
    values: F64


def read(path: Path, layout: Layout, *, most_rows: int | None = None, member: str = "") -> Labelled:
    """All of a file: plain, .gz, or the `member` of a .zip.

    Args:
        most_rows: rows it may have; if not given, as many as columns and some totals.

    Raises:
        TableError: the file is missing, damaged or cut short, a cell is no finite number, or a line
            has another width than the first.
    """
    names = columns(path, layout, member=member)
    room = len(names) + TOTALS if most_rows is None else most_rows
    values: F64 = np.empty((room, len(names)))  # pages that no row comes to are never used
    rows: list[Name] = []
    for found, part in batches(path, layout, member=member):
        if len(rows) + len(part) > room:
            raise TableError(
                f"has more than the {room} rows that belong to {len(names)} columns",
                where=str(path),
                remedy="give the file the reader asks for, as downloaded",
            )
        values[len(rows) : len(rows) + len(part)] = part
        rows += found
    values.resize((len(rows), len(names)), refcheck=False)  # no copy, as of a part, is needed later
    return Labelled(tuple(rows), names, values)


def columns(path: Path, layout: Layout, *, member: str = "") -> tuple[Name, ...]:
    """The names of the columns.

    Raises:
        TableError: as of `read`.
    """
    with opened(path, member) as stream:
        return _head(stream, layout).columns


def batches(path: Path, layout: Layout, *, member: str = "") -> Iterator[tuple[list[Name], F64]]:
    """The names and numbers of the rows, some rows at a time, (some, columns).

    Raises:
        TableError: as of `read`.
    """
    done = 0
    try:
        with opened(path, member) as stream:
            head = _head(stream, layout)
            for names, values in _parsed(stream, layout, head):
                if np.isinf(values).any() or not (layout.blanks or np.isfinite(values).all()):
                    raise pa.ArrowInvalid("a value that is not finite")
                done += len(values)
                yield names, values
    except pa.ArrowInvalid as error:
        spelt = [" ".join(name) for name in head.columns]
        raise fault(path, member, layout, spelt, head.lines + done, error) from error
    finally:
        give_back()


def give_back() -> None:
    """Return to the system what parsing has freed; of a wide table the allocators keep a half."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)


@dataclass(frozen=True, slots=True)
class _Head:
    """What stands above the numbers: `lines` of it, then `first`, already read."""

    columns: tuple[Name, ...]
    lines: int
    first: bytes


def _head(stream: IO[bytes], layout: Layout) -> _Head:
    table = [_cells(stream.readline(), layout, number) for number in range(1, layout.header + 1)]
    first, lines = stream.readline(), layout.header
    cells = _cells(first, layout, lines + 1)
    if layout.header and len(cells) > layout.index > 0 and not any(cells[layout.index :]):
        first, lines = stream.readline(), lines + 1  # what the names are of, as pandas writes it
        cells = _cells(first, layout, lines + 1)
    if not cells:
        raise TableError("holds no rows of numbers", remedy="download the file again")
    width = len(cells) - layout.index
    for number, above in enumerate(table, 1):
        if len(above) - layout.index != width or width < 1:
            raise TableError(
                f"has {len(above)} cells between {layout.separator!r}, the first row of numbers "
                f"{len(cells)}",
                where=f"line {number}",
                remedy=_AGAIN,
            )
    if not table:
        return _Head(tuple((str(place),) for place in range(width)), lines, first)
    names = tuple(zip(*(line[layout.index :] for line in table), strict=True))
    return _Head(names, lines, first)


def _cells(line: bytes, layout: Layout, number: int) -> list[str]:
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise TableError(
            f"byte {line[error.start]:#04x} is not UTF-8",
            where=f"line {number}",
            remedy="give the file as downloaded, or save it as UTF-8",
        ) from error
    try:
        return next(csv.reader([text.rstrip("\r\n")], delimiter=layout.separator), [])
    except csv.Error as error:  # a quote that nothing ends swallows the line
        raise TableError(
            f"cannot be parsed ({error})", where=f"line {number}", remedy=_AGAIN
        ) from error


def _parsed(stream: IO[bytes], layout: Layout, head: _Head) -> Iterator[tuple[list[Name], F64]]:
    names = [str(place) for place in range(layout.index + len(head.columns))]
    types = dict.fromkeys(names[: layout.index], pa.string())
    types |= dict.fromkeys(names[layout.index :], pa.float64())
    source = Watched(head.first, stream)
    size = max(_BATCH, len(names) // _COLUMNS * len(head.first))
    reader = pa.csv.open_csv(
        source,
        read_options=pa.csv.ReadOptions(column_names=names, block_size=size),
        parse_options=pa.csv.ParseOptions(delimiter=layout.separator, ignore_empty_lines=False),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, null_values=[""] if layout.blanks else []
        ),
    )
    for batch in reader:
        numbers = batch.select(range(layout.index, len(names)))
        values = numbers.to_tensor(null_to_nan=layout.blanks).to_numpy()
        index = [batch.column(place).to_pylist() for place in range(layout.index)]
        yield list(zip(*index, strict=True)) or [()] * batch.num_rows, values
    if not source.ended:
        raise TableError(
            "ends in the middle of a line", remedy="the download is incomplete: fetch it again"
        )


class Watched:
    """A line that was read already, and the stream it came from; knows what it ends in."""

    def __init__(self, first: bytes, rest: IO[bytes]) -> None:
        self._first, self._rest = first, rest
        self._last, self.closed = b"", False

    def read(self, size: int = -1) -> bytes:
        data = self._first or self._rest.read(size)
        self._first = b""
        self._last = data[-1:] or self._last
        return data

    @property
    def ended(self) -> bool:
        """Whether what was read last is the end of a line."""
        return self._last in (b"\n", b"\r")

    def close(self) -> None:
        self.closed = True


def fault(
    path: Path, member: str, layout: Layout, names: Sequence[str], start: int, error: Exception
) -> TableError:
    """The first cell or line at fault, looked for again, slowly, after `start` lines that are good.

    Args:
        names: of the columns of numbers.
        error: what is said if none is found.
    """
    width = layout.index + len(names)
    with opened(path, member) as stream:
        for number, line in enumerate(islice(stream, start, None), start + 1):
            cells = _cells(line, layout, number)
            where = f"{path}, line {number}, {' '.join(cells[: layout.index])}".rstrip(", ")
            if len(cells) != width:
                return TableError(
                    f"has {len(cells)} cells, the lines above {width}", where=where, remedy=_AGAIN
                )
            for name, cell in zip(names, cells[layout.index :], strict=True):
                if not _finite(cell) and not (layout.blanks and not cell):
                    return TableError(
                        f"{cell[:_SHOWN]!r} is not a finite number",
                        where=f"{where}, column {name}",
                        remedy=f"{_AGAIN}; a missing value is never read as zero",
                    )
    return TableError(f"cannot be parsed ({str(error)[:_SHOWN]})", where=str(path), remedy=_AGAIN)


def _finite(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None and math.isfinite(float(cell))
