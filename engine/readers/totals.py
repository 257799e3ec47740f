"""Stated totals from a CSV file: year, the keys that tell them apart, and total.

    year,stressor,region,total
    2000,CO2,NLD,172000

in the units of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.readers.csv_rows import read_rows, refuse_repeats


def read_totals(path: Path, keys: Sequence[str]) -> Mapping[int, Mapping[tuple[str, ...], float]]:
    """Totals by year and by the labels of `keys`, in their order.

    Raises:
        TableError: the file is unreadable, a column is missing, a row is repeated, or a value is no
            year or no number.
    """
    columns = ["year", *keys, "total"]
    _, rows = read_rows(path, columns, columns)
    refuse_repeats(rows, columns[:-1])
    found: dict[int, dict[tuple[str, ...], float]] = {}
    for row in rows:
        found.setdefault(row.year("year"), {})[row.key(keys)] = row.number("total")
    return found
