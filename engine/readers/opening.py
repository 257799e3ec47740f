"""A publisher's file as a stream of bytes: plain, gzipped, or a member of a zip archive."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from engine.errors import TableError
from engine.readers.files import located, refuse_unsafe, unreadable

DAMAGED = (
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    NotImplementedError,  # of a version or packing that zipfile does not know
    UnicodeDecodeError,  # of the name of a member
)


@contextmanager
def opened(path: Path, member: str = "") -> Iterator[IO[bytes]]:
    """The bytes of a file; unpacked if its name ends in .gz or .zip.

    Args:
        path: the file.
        member: which member of an archive; the only one with a table if not given.

    Raises:
        TableError: it is missing, damaged, cut short or unsafe, or has no such member.
    """
    with _explained(path):
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(path) as archive:
                if member and member not in archive.namelist():
                    raise TableError(f"has no file {member}", remedy="download the archive again")
                name = member or _only(archive)
                refuse_unsafe(archive, "", [name])
                with archive.open(name) as stream:
                    yield stream
        elif path.suffix.lower() == ".gz":
            with cast(IO[bytes], gzip.open(path, "rb")) as stream:
                yield stream
        else:
            with path.open("rb") as stream:
                yield stream


def members(path: Path) -> list[str]:
    """The names of the files in an archive.

    Raises:
        TableError: it is missing, damaged or unsafe.
    """
    with _explained(path), zipfile.ZipFile(path) as archive:
        refuse_unsafe(archive, "", wanted=[])
        return [name for name in archive.namelist() if not name.endswith("/")]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What is wrong with a file's bytes as one clear error."""
    with located(str(path)):
        try:
            yield
        except DAMAGED as error:
            raise TableError(
                f"is damaged or cut short ({error})", remedy="download the file again"
            ) from error
        except OSError as error:
            raise unreadable(path, error) from error


def _only(archive: zipfile.ZipFile) -> str:
    suffixes = (".csv", ".tsv", ".txt")
    found = [name for name in archive.namelist() if PurePosixPath(name).suffix.lower() in suffixes]
    if len(found) != 1:
        raise TableError(
            f"holds {len(found)} tables ({', '.join(found[:5])})",
            remedy="use the archive as downloaded, which holds one table",
        )
    return found[0]
