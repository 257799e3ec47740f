"""An archive within an archive, as some publishers pack the years of a series."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import IO

from engine.errors import TableError
from engine.readers.opening import opened

_AT_ONCE = 2**20


def _copy(stream: IO[bytes], copy: Path) -> None:
    try:
        with copy.open("wb") as file:
            shutil.copyfileobj(stream, file, _AT_ONCE)
    except OSError as error:
        raise TableError(
            f"cannot be unpacked ({error.strerror or error})",
            where=str(copy.parent),
            remedy="free disk space there, or name another folder with TMPDIR",
        ) from error


@contextmanager
def unpacked(archive: Path, inner: str) -> Iterator[Path]:
    """The inner archive as a file of its own, which is deleted afterwards.

    It is copied whole, so that its checksum is held against that of the outer archive first.

    Args:
        archive: the outer archive.
        inner: its member, an archive itself.

    Raises:
        TableError: the outer archive is missing, damaged or unsafe; an error about the inner one
            calls it by both names.
    """
    with TemporaryDirectory(prefix="footfall-") as folder:
        copy = Path(folder, PurePosixPath(inner).name)
        with opened(archive, inner) as stream:
            _copy(stream, copy)
        try:
            yield copy
        except TableError as error:
            where = error.where.replace(str(copy), f"{archive}, {inner}")
            raise TableError(error.what, where=where, remedy=error.remedy) from error
