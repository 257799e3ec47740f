"""Rows of a CSV file that a person wrote: every fault names the file, the line and the remedy.

The file is UTF-8 (a byte order mark is allowed), has commas between columns, points in numbers,
and a header. Cells are taken as written: nothing is trimmed, guessed or skipped.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import TableError
from engine.readers.files import read_bytes
from engine.readers.nearest import nearest

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_YEAR = re.compile(r"[0-9]{4}")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells by column, and where it stands ("sizes.csv, line 3")."""

    where: str
    cells: Mapping[str, str]

    def key(self, columns: Sequence[str]) -> tuple[str, ...]:
        """What tells the row apart, as written."""
        return tuple(self.cells[column] for column in columns)

    def number(self, column: str) -> float:
        """The cell as a finite number.

        Raises:
            TableError: it is not one.
        """
        text = self.cells[column]
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise TableError(
                f"{column} {text!r} is not a finite number",
                where=self.where,
                remedy="write numbers such as 1234.5: a point, no thousands separator, no unit",
            )
        return value

    def year(self, column: str) -> int:
        """The cell as a year of four digits.

        Raises:
            TableError: it is not one.
        """
        text = self.cells[column]
        if not _YEAR.fullmatch(text):
            raise TableError(
                f"{column} {text!r} is not a year", where=self.where, remedy="write such as 2015"
            )
        return int(text)

    def one_of(self, column: str, known: Sequence[str]) -> str:
        """The cell, which must be one of the `known` names.

        Raises:
            TableError: it is not.
        """
        text = self.cells[column]
        if text not in known:
            raise TableError(
                f"{column} {text!r} is not in the table",
                where=self.where,
                remedy=nearest(text, known),
            )
        return text


def read_rows(
    path: Path, known: Sequence[str], required: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[Row]]:
    """The header, `known` columns with all `required` ones, and the rows below it, at least one.

    Raises:
        TableError: the file is missing, empty, not UTF-8, or a line is not what the header says.
    """
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    rows = []
    try:
        header = tuple(next(lines, ()))
        _check_header(header, known, required, path)
        for cells in lines:
            if cells:
                where = f"{path}, line {lines.line_num}"
                _check_width(cells, header, where)
                rows.append(Row(where, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise TableError(
            f"is not CSV ({error})",
            where=f"{path}, line {lines.line_num}",
            remedy="close every quotation mark and save the file as CSV",
        ) from error
    if not rows:
        raise TableError("holds no rows", where=str(path), remedy="write rows below the header")
    return header, rows


def refuse_repeats(rows: Sequence[Row], keys: Sequence[str]) -> None:
    """Refuse rows that these columns do not tell apart.

    Raises:
        TableError: a key is empty, or is that of an earlier row.
    """
    seen: dict[tuple[str, ...], str] = {}
    for row in rows:
        key = row.key(keys)
        if key in seen or not all(key):
            raise TableError(
                f"{' '.join(key)} is repeated, first in {seen[key].rpartition(', ')[2]}"
                if all(key)
                else "a key is empty",
                where=row.where,
                remedy=f"write one row for each {', '.join(keys)}, with every key filled in",
            )
        seen[key] = row.where


def _text(path: Path) -> str:
    data = read_bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError(
            f"byte {data[error.start]:#04x} is not UTF-8",
            where=f"{path}, line {line}",
            remedy='save the file as UTF-8 (in a spreadsheet: "CSV UTF-8")',
        ) from error


def _check_header(
    header: Sequence[str], known: Sequence[str], required: Sequence[str], path: Path
) -> None:
    where = f"{path}, line 1"
    wanted = ",".join(known)
    if not header:
        raise TableError("is empty", where=where, remedy=f"begin with a header such as {wanted}")
    if len(header) == 1 and re.search("[;\t|]", header[0]):
        raise TableError(
            f"the header {header[0]!r} is not separated by commas",
            where=where,
            remedy="save the file with commas between columns and points in numbers",
        )
    for column in header:
        if column not in known:
            raise TableError(
                f"column {column!r} is unknown", where=where, remedy=nearest(column, known)
            )
        if header.count(column) > 1:
            raise TableError(
                f"column {column!r} appears twice", where=where, remedy="keep one of them"
            )
    for column in required:
        if column not in header:
            raise TableError(
                f"column {column!r} is missing",
                where=where,
                remedy=f"begin with the header {wanted}",
            )


def _check_width(cells: Sequence[str], header: Sequence[str], where: str) -> None:
    if len(cells) != len(header):
        raise TableError(
            f"{len(cells)} cells, the header has {len(header)}",
            where=where,
            remedy="write numbers with a point, not a comma; quote a name that contains a comma",
        )
