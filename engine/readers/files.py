"""What every reader asks of a file: its hash, a name that stays inside a folder, a sane archive."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

from engine.errors import TableError

BOMB_SIZE = 2**30  # bytes a member may expand to, however small: sparse accounts shrink to little
BOMB_RATIO = 100  # and the expansion allowed above that; tables reach about 20


def sha256(path: Path) -> str:
    """Hash of the file's bytes.

    Raises:
        TableError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def refuse_absent(
    year: int, held: Collection[int], *, where: object = "", what: str = "table"
) -> None:
    """Refuse a year that a folder does not hold.

    Args:
        held: the years it holds.
        where: the folder, if whoever calls does not add it.
        what: would be of that year.

    Raises:
        TableError: it is none of them.
    """
    if year not in held:
        raise TableError(
            f"holds no {what} of {year}",
            where=str(where),
            remedy=f"use one of {', '.join(map(str, sorted(held)))}",
        )


def read_bytes(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        TableError: the file is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError | ValueError) -> TableError:
    """The error for a file that is missing, that the system refuses, or whose path is none."""
    reason = error.strerror if isinstance(error, OSError) else None
    return TableError(
        f"cannot be read ({reason or error})",
        where=str(path).replace("\0", r"\0"),
        remedy="check the path, its spelling and your permission to read it",
    )


def stays_inside(name: str) -> bool:
    """Whether a relative `name` from a manifest or archive stays in the folder it belongs to."""
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    outside = posix.is_absolute() or windows.drive or windows.root
    return bool(name) and not outside and ".." not in windows.parts


@contextmanager
def located(where: str) -> Iterator[None]:
    """A `TableError` raised inside names `where` as well."""
    try:
        yield
    except TableError as error:
        place = f"{where}, {error.where}" if error.where else where
        raise TableError(error.what, where=place, remedy=error.remedy) from error


def refuse_unsafe(
    archive: zipfile.ZipFile, where: str, wanted: Collection[str] | None = None
) -> None:
    """Refuse an archive that no publisher makes, from its directory alone; nothing is unpacked.

    Python reads at most a member's declared size, so bounding that bounds what reading can cost.

    Args:
        wanted: the members that will be read, whose size counts; all of them if not given. Others
            may be what they like: sheets of zeros shrink to nothing.

    Raises:
        TableError: a name leaves its folder, a name appears twice, a member is encrypted, or it
            would expand beyond reason.
    """
    seen: set[str] = set()
    for member in archive.infolist():
        name = member.filename
        fault = ""
        if not stays_inside(name):
            fault = "has a name that leaves its folder"
        elif name in seen:
            fault = "appears twice"
        elif member.flag_bits & 0x1:
            fault = "is encrypted"
        elif (wanted is None or name in wanted) and _is_bomb(member):
            fault = f"would expand from {member.compress_size} to {member.file_size} bytes"
        if fault:
            raise TableError(
                f"the archive's member {name!r} {fault}",
                where=where,
                remedy="fetch the archive again from its publisher; do not use this one",
            )
        seen.add(name)


def _is_bomb(member: zipfile.ZipInfo) -> bool:
    return member.file_size > max(BOMB_SIZE, BOMB_RATIO * member.compress_size)
