"""The checksums of a folder of downloads: `SHA256SUMS`, as `sha256sum --check` reads it.

A file is trusted when it first comes, where nobody tells its checksum beforehand, and checked
against that first one ever after.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import FetchError

NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


def read(folder: Path) -> dict[str, str]:
    """Checksum by name; none where the folder has no such file.

    Raises:
        FetchError: the file is damaged.
    """
    path = folder / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(
            f"cannot be read ({error})", where=str(path), remedy="mend the file, or delete it"
        ) from error
    found = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise FetchError(
                "is no line of a checksum and a name, each name once",
                where=f"{path}, line {number}",
                remedy="mend the line, or delete it: its file is then trusted as it is",
            )
        found[match[2]] = match[1]
    return found


def enter(folder: Path, name: str, checksum: str) -> None:
    """Enter a file's checksum, at once and whole, one process after another.

    Raises:
        FetchError: the checksums are damaged, or cannot be written.
    """
    path, partial = folder / NAME, folder / f"{NAME}.partial"
    try:
        with alone(folder):
            sums = read(folder) | {name: checksum}
            with partial.open("w", encoding="utf-8", newline="\n") as stream:
                stream.writelines(f"{sums[one]}  {one}\n" for one in sorted(sums))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
    except OSError as error:
        raise FetchError(
            f"cannot be written ({error.strerror or error})",
            where=str(path),
            remedy="see that the folder can be written and the disk is not full; the same command "
            "then enters what has come",
        ) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other process writes checksums here meanwhile."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
