"""The checksums of a folder of downloads: `SHA256SUMS`, as `sha256sum --check` reads it.

A file is trusted when it first comes, where nobody tells its checksum beforehand, and checked
against that first one ever after.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
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


def write(folder: Path, sums: Mapping[str, str]) -> None:
    """Replace the checksums of a folder, at once and whole."""
    path, partial = folder / NAME, folder / f"{NAME}.partial"
    with partial.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{sums[name]}  {name}\n" for name in sorted(sums))
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(path)
