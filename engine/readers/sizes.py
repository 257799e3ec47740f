"""Sizes of errors from files: a CSV table of relative standard deviations, or an array of them.

The CSV has one row for each size. Its key columns are some of those of one quantity,

    A or Z   row_region, row_sector, col_region, col_sector
    Y        row_region, row_sector, consumer
    E or s   stressor, region, sector
    F_Y      stressor, consumer

and its value is either `rsd`, the relative standard deviation, or `u_min,u_max`, the relative
half-widths of a 95 % interval below and above the estimate (0.3 is 30 %), converted as
rsd = (u_min + u_max) / (2 x 1.96).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.errors import TableError
from engine.readers.csv_rows import Row, read_rows
from engine.readers.files import sha256

KEYS = {
    "A or Z": ("row_region", "row_sector", "col_region", "col_sector"),
    "Y": ("row_region", "row_sector", "consumer"),
    "E or s": ("stressor", "region", "sector"),
    "F_Y": ("stressor", "consumer"),
}
VALUES = ("rsd", "u_min", "u_max")

Z95 = 1.96  # two-sided 95 % quantile of the standard normal, as the half-widths are published
# A mean-one lognormal's 97.5 % quantile exp(1.96 sigma - sigma^2 / 2) is highest at sigma = 1.96.
WIDEST = math.exp(Z95**2 / 2) - 1  # 5.83


@dataclass(frozen=True, slots=True)
class SizeTable:
    """Relative standard deviations by key.

    Attributes:
        keys: the key columns, in the order of the header.
        rsd: relative standard deviation by the values of the keys.
        unmet: the rows whose upper half-width no mean-one lognormal can have, in words.
        sha256: hash of the file.
    """

    keys: tuple[str, ...]
    rsd: Mapping[tuple[str, ...], float]
    unmet: tuple[str, ...]
    sha256: str


def read_size_table(path: Path) -> SizeTable:
    """The table of error sizes in a CSV file.

    Raises:
        TableError: the file is unreadable, its columns belong to no quantity, a row is repeated,
            or a value is missing, negative or not a number.
    """
    header, rows = read_rows(path, [*dict.fromkeys(sum(KEYS.values(), ())), *VALUES])
    keys = tuple(column for column in header if column not in VALUES)
    _check_columns(path, keys, set(header) - set(keys))
    sizes: dict[tuple[str, ...], float] = {}
    unmet = []
    for row in rows:
        key = tuple(row.cells[column] for column in keys)
        if key in sizes or not all(key):
            raise TableError(
                f"{' '.join(key)} is repeated" if all(key) else "a key is empty",
                where=row.where,
                remedy="write one row for each size, with every key filled in",
            )
        sizes[key] = _rsd(row)
        if "u_max" in row.cells and row.number("u_max") > WIDEST:
            unmet.append(f"{' '.join(key)}: upper half-width {row.number('u_max'):.4g}")
    return SizeTable(keys, sizes, tuple(unmet), sha256(path))


def _check_columns(path: Path, keys: tuple[str, ...], values: set[str]) -> None:
    where = f"{path}, line 1"
    if values not in ({"rsd"}, {"u_min", "u_max"}):
        raise TableError(
            f"the values are {', '.join(sorted(values)) or 'missing'}",
            where=where,
            remedy="give either rsd, or both u_min and u_max",
        )
    if not keys or not any(set(keys) <= set(of_quantity) for of_quantity in KEYS.values()):
        choices = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in KEYS.items())
        raise TableError(
            f"the key columns ({', '.join(keys) or 'none'}) belong to no single quantity",
            where=where,
            remedy=f"use some of those of one quantity ({choices})",
        )


def _rsd(row: Row) -> float:
    columns = [column for column in VALUES if column in row.cells]
    widths = [row.number(column) for column in columns]
    if min(widths) < 0:
        raise TableError(
            f"{' or '.join(columns)} is negative",
            where=row.where,
            remedy="give sizes of 0 or more; 0.3 is 30 %",
        )
    return widths[0] if len(widths) == 1 else sum(widths) / (2 * Z95)
