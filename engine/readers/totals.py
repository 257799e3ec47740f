"""Stated totals from a CSV file: year, the keys that tell them apart, and total.

    year,stressor,region,total
    2000,CO2,NLD,172000

in the units of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.errors import TableError
from engine.readers.csv_rows import read_rows


def read_totals(path: Path, keys: Sequence[str]) -> Mapping[int, Mapping[tuple[str, ...], float]]:
    """Totals by year and by the labels of `keys`, in their order.

    Raises:
        TableError: the file is unreadable, a column is missing, a row is repeated, or a value is no
            year or no number.
    """
    columns = ["year", *keys, "total"]
    _, rows = read_rows(path, columns, columns)
    found: dict[int, dict[tuple[str, ...], float]] = {}
    for row in rows:
        of_year = found.setdefault(row.year("year"), {})
        label = tuple(row.cells[key] for key in keys)
        if label in of_year or not all(label):
            raise TableError(
                f"{' '.join(label)} is repeated" if all(label) else "a key is empty",
                where=row.where,
                remedy="write one row for each year and total, with every key filled in",
            )
        of_year[label] = row.number("total")
    return found
