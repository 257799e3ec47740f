"""Numbers without names, in a text file, some rows at a time.

A publisher that writes them says elsewhere what rows and columns are, so that a file is held
against the sizes that its names give. Rows may be tens of thousands of cells wide, where a parser
of columns does little but keep account of them: all cells are read as one column here, by Arrow and
its threads, and the cells of every line are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.files import located
from engine.readers.opening import opened

_AT_ONCE = 2**23  # bytes of whole lines that are parsed together; as numbers up to four times that
_BLOCK = 2**20  # bytes of them for a thread
_SHOWN = 80  # characters of a cell that an error shows
_NUMBER = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")
_AS_DOWNLOADED = "give the file as downloaded: points in numbers, no thousands separators"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A text file: itself, or the member of an archive."""

    path: Path
    member: str = ""

    @property
    def where(self) -> str:
        """What an error calls it."""
        return f"{self.path}, {self.member}" if self.member else str(self.path)


@dataclass(frozen=True, slots=True)
class Size:
    """How many rows and columns a file must have, and the file of names that says so."""

    rows: int
    columns: int
    names: str


def numbers(sheet: Sheet, separator: str, size: Size) -> Iterator[tuple[int, F64]]:
    """The place of the first of some rows, and their numbers, (some, columns); all in their order.

    Args:
        separator: between two cells, one character.

    Raises:
        TableError: the file is missing, damaged, cut short or of another size; a cell is no finite
            number.
    """
    done, sign = 0, separator.encode()
    again = f"download the file again, with {size.names} of the same version"
    member = located(sheet.member) if sheet.member else nullcontext()
    with opened(sheet.path, sheet.member) as stream, member:
        for lines in _whole_lines(stream):
            for place, line in enumerate(lines, done + 1):
                if (cells := line.count(sign) + 1) != size.columns:
                    expected = "the lines above" if place > 1 else size.names
                    raise TableError(
                        f"has {cells} columns, {expected} {size.columns}",
                        where=f"line {place}",
                        remedy=again,
                    )
            if done + len(lines) > size.rows:
                raise TableError(
                    f"has more than the {size.rows} rows of {size.names}", remedy=again
                )
            yield done, _parsed(lines, sign, done)
            done += len(lines)
        if done != size.rows:
            raise TableError(f"has {done} rows, {size.names} {size.rows}", remedy=again)


def _whole_lines(stream: IO[bytes]) -> Iterator[list[bytes]]:
    """Lines without their ends, at least one at a time."""
    rest = b""
    while data := stream.read(_AT_ONCE):
        *lines, rest = (rest + data).split(b"\n")
        if lines:
            yield lines
    if rest:
        yield [rest]
        raise TableError(
            "ends in the middle of a line", remedy="the download is incomplete: fetch it again"
        )


def _parsed(lines: list[bytes], sign: bytes, done: int) -> F64:
    """All cells of some lines of equal width, (lines, columns)."""
    text = b"\n".join(lines).replace(sign, b"\n")
    try:
        table = pa.csv.read_csv(
            pa.BufferReader(text + b"\n"),
            read_options=pa.csv.ReadOptions(column_names=["cell"], block_size=_BLOCK),
            parse_options=pa.csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=pa.csv.ConvertOptions(
                column_types={"cell": pa.float64()}, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        raise _explained(lines, sign, done) from error
    values: F64 = table["cell"].to_numpy()
    if len(values) % len(lines) or not np.isfinite(values).all():
        raise _explained(lines, sign, done)
    return values.reshape(len(lines), -1)


def _explained(lines: list[bytes], sign: bytes, done: int) -> TableError:
    """The first cell at fault."""
    for place, line in enumerate(lines, done + 1):
        for column, cell in enumerate(line.split(sign), 1):
            text = cell.decode("utf-8-sig" if place == column == 1 else "utf-8", "replace")
            if not _NUMBER.fullmatch(text):
                return TableError(
                    f"{text[:_SHOWN]!r} is not a finite number",
                    where=f"line {place}, column {column}",
                    remedy=f"{_AS_DOWNLOADED}; a missing value is never read as zero",
                )
    return TableError("cannot be parsed", where=f"line {done + 1}", remedy=_AS_DOWNLOADED)
