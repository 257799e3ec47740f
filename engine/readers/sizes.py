"""Sizes of errors from files: a CSV table of relative standard deviations, or an array of them.

The CSV has one row for each size. Its key columns are some of those of one quantity, by which
groups of components are named too (`engine.error_model.KEYS`). Its value is either `rsd`, the
relative standard deviation, or `u_min,u_max`, the relative half-widths of a 95 % interval below and
above the estimate (0.3 is 30 %), converted as rsd = (u_min + u_max) / (2 x 1.96).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.error_model import KEYS, WIDEST_HALF_WIDTH, rsd_of_half_widths
from engine.errors import TableError
from engine.readers.csv_rows import Row, read_rows, refuse_repeats
from engine.readers.files import sha256

VALUES = ("rsd", "u_min", "u_max")


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
    known = dict.fromkeys(key for keys in _keys().values() for key in keys)
    header, rows = read_rows(path, [*known, *VALUES])
    keys = tuple(column for column in header if column not in VALUES)
    _check_columns(path, keys, set(header) - set(keys))
    refuse_repeats(rows, keys)
    sizes: dict[tuple[str, ...], float] = {}
    unmet = []
    for row in rows:
        key = row.key(keys)
        sizes[key] = _rsd(row)
        if "u_max" in row.cells and row.number("u_max") > WIDEST_HALF_WIDTH:
            unmet.append(f"{' '.join(key)}: upper half-width {row.number('u_max'):.4g}")
    return SizeTable(keys, sizes, tuple(unmet), sha256(path))


def _keys() -> dict[str, tuple[str, ...]]:
    """The key columns by the quantities that have them, such as `Z or A`."""
    quantities: dict[tuple[str, ...], list[str]] = {}
    for quantity, (rows, columns) in KEYS.items():
        quantities.setdefault((*rows, *columns), []).append(quantity)
    return {" or ".join(names): keys for keys, names in quantities.items()}


def _check_columns(path: Path, keys: tuple[str, ...], values: set[str]) -> None:
    where = f"{path}, line 1"
    if values not in ({"rsd"}, {"u_min", "u_max"}):
        raise TableError(
            f"the values are {', '.join(sorted(values)) or 'missing'}",
            where=where,
            remedy="give either rsd, or both u_min and u_max",
        )
    if not keys or not any(set(keys) <= set(of_quantity) for of_quantity in _keys().values()):
        choices = "; ".join(f"{name}: {', '.join(columns)}" for name, columns in _keys().items())
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
    return widths[0] if len(widths) == 1 else rsd_of_half_widths(*widths)
