"""What lies where in a download of EXIOBASE 3: one year, an archive or a folder unpacked from it.

A folder in it holds the core accounts, and below it one folder an extension. Each has a
`file_parameters.json` that names the file of every account and says how many of its lines and
columns hold names.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers import labelled
from engine.readers.files import located, sha256
from engine.readers.labelled import Labelled, Layout, Name
from engine.readers.nearest import nearest
from engine.readers.opening import members, opened

AGAIN = "the files are damaged, incomplete or not as downloaded: fetch them again"
_PARAMETERS, _METADATA = "file_parameters.json", "metadata.json"


@dataclass(frozen=True, slots=True)
class Account:
    """A file of numbers, or of units, and how it is written."""

    file: str
    layout: Layout


@dataclass(frozen=True, slots=True)
class Folder:
    """The core accounts, or those of one extension.

    Attributes:
        place: the archive, or the folder unpacked from it.
        name: of the folder below `place`; empty: `place` itself.
        accounts: the files by the account they hold.
    """

    place: Path
    name: str
    accounts: Mapping[str, Account]

    def read(self, account: str, *, most_rows: int | None = None) -> Labelled:
        """All of an account.

        Raises:
            TableError: it is missing, damaged, or holds what is no number.
        """
        with self._reading(account) as (path, member, layout):
            return labelled.read(path, layout, most_rows=most_rows, member=member)

    def columns(self, account: str) -> tuple[Name, ...]:
        """The names of an account's columns."""
        with self._reading(account) as (path, member, layout):
            return labelled.columns(path, layout, member=member)

    def batches(self, account: str) -> Iterator[tuple[list[Name], F64]]:
        """An account some rows at a time; an empty cell is NaN."""
        with self._reading(account) as (path, member, layout):
            blanks = Layout(layout.separator, layout.header, layout.index, blanks=True)
            yield from labelled.batches(path, blanks, member=member)

    def units(self) -> dict[str, str]:
        """The unit of each row, of an industry or a stressor.

        Older releases count the column of units among the names, newer ones do not: it is the one
        called `unit`.
        """
        with self._reading("unit") as (path, member, _):
            try:
                text = io.StringIO(_bytes(path, member).decode("utf-8-sig"), newline="")
                header, *rows = list(csv.reader(text, delimiter="\t")) or [[]]
            except UnicodeDecodeError as error:
                raise TableError(f"is not UTF-8 ({error.reason})", remedy=AGAIN) from error
            except csv.Error as error:
                raise TableError(f"cannot be parsed ({error})", remedy=AGAIN) from error
            at = header.index("unit") if "unit" in header else -1
            if at < 0 or any(len(row) != len(header) for row in rows):
                raise TableError("is no table with a column `unit`", remedy=AGAIN)
            named = {" - ".join(row[:at] + row[at + 1 :]): row[at] for row in rows}
            if len(named) < len(rows):
                raise TableError("has a row twice", remedy=AGAIN)
            return named

    def hashes(self, accounts: Sequence[str]) -> dict[str, str]:
        """Hash of the archive, or of each file of the `accounts`."""
        if not self.place.is_dir():
            return {self.place.name: sha256(self.place)}
        files = [_PARAMETERS, *(self.accounts[account].file for account in accounts)]
        paths = [self.place / self.name / file for file in files]
        return {path.relative_to(self.place.parent).as_posix(): sha256(path) for path in paths}

    def has(self, account: str) -> bool:
        """Whether an account is there, which a release need not have.

        Raises:
            TableError: its file is there, and the parameters do not name it.
        """
        if account in self.accounts:
            return True
        file = f"{account}.txt"
        inside = (PurePosixPath(self.name) / file).as_posix()
        if inside in _listed(self.place, file):
            raise TableError(f"{_PARAMETERS} does not name it", where=inside, remedy=AGAIN)
        return False

    def direct(self) -> str:
        """The account of direct emissions of final consumers; older releases call it F_hh.

        Raises:
            TableError: as of `has`.
        """
        return next((name for name in ("F_Y", "F_hh") if self.has(name)), "")

    @contextmanager
    def _reading(self, account: str) -> Iterator[tuple[Path, str, Layout]]:
        if account not in self.accounts:
            raise TableError(f"{self.name or 'the core'} has no account {account}", remedy=AGAIN)
        inside = PurePosixPath(self.name) / self.accounts[account].file
        with located(inside.as_posix()):
            path, member = _found(self.place, inside)
            yield path, member, self.accounts[account].layout


@dataclass(frozen=True, slots=True)
class Release:
    """One year of a release: its core accounts, and its extensions by name."""

    core: Folder
    extensions: Mapping[str, Folder]

    def extension(self, name: str) -> Folder:
        """One of the extensions.

        Raises:
            TableError: there is none of that name.
        """
        if name not in self.extensions:
            raise TableError(f"has no extension {name!r}", remedy=nearest(name, self.extensions))
        return self.extensions[name]

    def metadata(self) -> Mapping[str, Any]:
        """What the release says of itself; nothing where it has no such file."""
        inside = PurePosixPath(self.core.name) / _METADATA
        if inside.as_posix() not in _listed(self.core.place, _METADATA):
            return {}
        found = _json(self.core.place, inside)
        return found if isinstance(found, dict) else {}


def release(place: Path) -> Release:
    """What an archive, or a folder unpacked from one, holds.

    Raises:
        TableError: it is damaged or unsafe, or its parameters ask for something else than text
            files beside them.
    """
    folders: dict[str, Folder] = {}
    cores = []
    for file in _listed(place, _PARAMETERS):
        inside = PurePosixPath(file)
        name = "" if inside.parent.name == "" else inside.parent.as_posix()
        parameters = _json(place, inside)
        with located(file):
            try:
                folders[name] = Folder(place, name, _accounts(parameters["files"]))
                cores += [name] if parameters["systemtype"] == "IOSystem" else []
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise TableError(
                    f"cannot be parsed ({type(error).__name__}: {error})", remedy=AGAIN
                ) from error
    if len(cores) != 1:
        raise TableError(f"holds {len(cores)} tables, not one", remedy=AGAIN)
    inside_core = f"{cores[0]}/" if cores[0] else ""
    extensions = {
        name.removeprefix(inside_core): folder
        for name, folder in folders.items()
        if name != cores[0]
    }
    return Release(folders[cores[0]], extensions)


def _accounts(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Account]:
    """The file of every account; plain names of text files only, as EXIOBASE has them."""
    found = {}
    for account, described in files.items():
        name = str(described["name"])
        if not re.fullmatch(r"[\w.-]+\.(txt|tsv|csv)", name):
            raise TableError(
                f"asks for {name!r} as account {account}",
                remedy="use the archive as downloaded, whose accounts are text files beside it",
            )
        index, header = int(described["nr_index_col"]), int(described["nr_header"])
        if not (0 <= index < 10 and 0 <= header < 10):
            raise ValueError(f"{account} with {index} and {header} lines of names")
        found[str(account)] = Account(name, Layout("\t", header, index))
    return found


def _listed(place: Path, file: str) -> list[str]:
    """Where a file of that name lies: in `place`, in a folder of it, or one below that."""
    if place.is_dir():
        found = [path for depth in ("", "*/", "*/*/") for path in sorted(place.glob(depth + file))]
        return [path.relative_to(place).as_posix() for path in found if path.is_file()]
    return [name for name in members(place) if PurePosixPath(name).name == file]


def _found(place: Path, inside: PurePosixPath) -> tuple[Path, str]:
    return (place / inside, "") if place.is_dir() else (place, inside.as_posix())


def _bytes(path: Path, member: str) -> bytes:
    with opened(path, member) as stream:
        return stream.read()


def _json(place: Path, inside: PurePosixPath) -> Any:
    with located(inside.as_posix()):
        try:
            return json.loads(_bytes(*_found(place, inside)))
        except ValueError as error:  # of JSON, or of UTF-8
            raise TableError(f"cannot be parsed ({error})", remedy=AGAIN) from error
