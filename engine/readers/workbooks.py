"""Sheets of a publisher's workbook, .xlsx, .xlsb or .xls, by itself or in a zip archive."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook

from engine.errors import TableError
from engine.readers.files import located, refuse_unsafe, unreadable
from engine.readers.nearest import nearest
from engine.readers.opening import DAMAGED, opened

_AGAIN = "download the file again, and give it as it is"
_ZIPPED = (".xlsx", ".xlsb")


@dataclass(frozen=True, slots=True)
class Workbook:
    """A workbook that is open."""

    book: CalamineWorkbook

    @property
    def sheets(self) -> list[str]:
        """Their names, in order."""
        return list(self.book.sheet_names)

    def rows(self, sheet: str) -> Iterator[list[Any]]:
        """The rows of a sheet from its first, each from its first column; "" where nothing is.

        Raises:
            TableError: there is no such sheet, or it holds nothing.
        """
        if sheet not in self.sheets:
            raise TableError(f"has no sheet {sheet!r}", remedy=nearest(sheet, self.sheets))
        found = self.book.get_sheet_by_name(sheet)
        if not found.height:
            raise TableError(f"its sheet {sheet!r} is empty", remedy=_AGAIN)
        return iter(found.iter_rows())


@contextmanager
def workbook(path: Path, member: str = "") -> Iterator[Workbook]:
    """The workbook at `path`, or the `member` of the archive there.

    Raises:
        TableError: it is missing, damaged, unsafe, or no workbook.
    """
    where = f"{path}, {member}" if member else str(path)
    with located(where):
        try:
            source: Path | io.BytesIO = path
            if member:
                with opened(path, member) as stream:
                    source = io.BytesIO(stream.read())
            if Path(member or path).suffix.lower() in _ZIPPED:
                _refuse_damaged(source)
            with CalamineWorkbook.from_object(source) as book:
                yield Workbook(book)
        except (CalamineError, *DAMAGED) as error:
            raise TableError(f"is no whole workbook ({error})", remedy=_AGAIN) from error
        except OSError as error:
            raise unreadable(path, error) from error
        except BaseException as error:
            # what Rust's panics are called here: no Exception, and of a module that has no name
            if type(error).__name__ != "PanicException":
                raise
            raise TableError(f"cannot be read ({error})", remedy=_AGAIN) from error


def text(cell: Any) -> str:
    """A cell as a name; Excel keeps the code 19 as a number."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def number(cell: Any) -> float | None:
    """A cell as a number; None where it holds anything else, text that looks like one included."""
    return float(cell) if type(cell) in (int, float) else None


def _refuse_damaged(source: Path | io.BytesIO) -> None:
    """Refuse a workbook whose checksums do not hold; calamine may stop before it comes to them."""
    with zipfile.ZipFile(source) as archive:
        refuse_unsafe(archive, "")
        broken = archive.testzip()
    if isinstance(source, io.BytesIO):
        source.seek(0)
    if broken is not None:
        raise TableError(f"its part {broken} is damaged", remedy=_AGAIN)
