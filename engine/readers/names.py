"""Names of codes from a CSV file: code, name.

code,name
NLD,Netherlands
c17,"Electricity, Gas and Water Supply"
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import TableError
from engine.readers.csv_rows import read_rows


def read_names(path: Path) -> dict[str, str]:
    """Name by code.

    Raises:
        TableError: the file is unreadable, a column is missing, a cell is empty, or a code is
            repeated.
    """
    _, rows = read_rows(path, ("code", "name"), ("code", "name"))
    found: dict[str, str] = {}
    for row in rows:
        code, name = row.cells["code"], row.cells["name"].strip()
        if not code or not name or code in found:
            raise TableError(
                f"{code} is repeated" if code in found else "a code or a name is empty",
                where=row.where,
                remedy="write one row a code, with its name",
            )
        found[code] = name
    return found
