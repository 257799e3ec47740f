"""What stands beside a footprint, from CSV: real GDP, and the footprints of other databases.

Real GDP has the columns `consumer,year,gdp` and, if errors differ, `rsd`: gross domestic product in
constant prices, in any unit, and its relative standard deviation (0.01 is 1 %).

Footprints of databases, or of releases of one database, have the columns
`database,consumer,stressor,year,footprint`, in any unit that is the same in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.errors import TableError
from engine.readers.csv_rows import Row, read_rows, refuse_repeats

_OUTPUT = ("consumer", "year", "gdp")
_FOOTPRINTS = ("database", "consumer", "stressor", "year", "footprint")


@dataclass(frozen=True, slots=True)
class OutputRow:
    """Real GDP of one consumer and year, and its relative standard deviation."""

    consumer: str
    year: int
    gdp: float
    rsd: float


@dataclass(frozen=True, slots=True)
class FootprintRow:
    """The footprint that one database gives of one consumer, stressor and year."""

    database: str
    consumer: str
    stressor: str
    year: int
    footprint: float


def read_output(path: Path, rsd: float | None) -> list[OutputRow]:
    """Real GDP in a CSV file.

    Args:
        rsd: relative standard deviation of every value; None where the file has a column of them.

    Raises:
        TableError: the file is unreadable, a year of a consumer is repeated, a GDP is not
            positive, or its error is given twice or not at all.
    """
    header, rows = read_rows(path, [*_OUTPUT, "rsd"], required=_OUTPUT)
    if ("rsd" in header) == (rsd is not None):
        raise TableError(
            f"the error of GDP is given {'twice' if 'rsd' in header else 'nowhere'}",
            where=f"{path}, line 1",
            remedy="state `rsd` in the configuration or have a column of it, not both",
        )
    found = [
        OutputRow(
            row.cells["consumer"],
            row.year("year"),
            _positive(row, "gdp"),
            row.number("rsd") if rsd is None else rsd,
        )
        for row in rows
    ]
    for row, one in zip(rows, found, strict=True):
        if not 0 <= one.rsd < 1:
            raise TableError(
                f"an rsd of {one.rsd:g} is no error of GDP",
                where=row.where if rsd is None else "decoupling.rsd",
                remedy="give a fraction from 0 to less than 1; 0.01 is 1 %",
            )
    refuse_repeats(rows, ("consumer", "year"))
    return found


def read_footprints(path: Path) -> list[FootprintRow]:
    """Footprints of several databases in a CSV file.

    Raises:
        TableError: the file is unreadable, a row is repeated, or a footprint is not positive.
    """
    _, rows = read_rows(path, _FOOTPRINTS, required=_FOOTPRINTS)
    refuse_repeats(rows, _FOOTPRINTS[:-1])
    return [
        FootprintRow(
            row.cells["database"],
            row.cells["consumer"],
            row.cells["stressor"],
            row.year("year"),
            _positive(row, "footprint"),
        )
        for row in rows
    ]


def _positive(row: Row, column: str) -> float:
    value = row.number(column)
    if value <= 0:
        raise TableError(
            f"{column} is {value:g}, and has no logarithm",
            where=row.where,
            remedy="give a positive number",
        )
    return value
