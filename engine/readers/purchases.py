"""What a company buys, from CSV: the demand vector of a scope 3.1 footprint.

Columns `year,region,sector,value`; one row for each purchase, regions and sectors named as in the
table, values in the table's currency and that year's basic prices. What is not listed is not
bought. The file may hold more years than a run asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.errors import TableError
from engine.mrio import Labels
from engine.readers.csv_rows import Row, read_rows, refuse_repeats

COLUMNS = ("year", "region", "sector", "value")


def read_purchases(
    path: Path, labels: Labels | None = None, years: Iterable[int] = ()
) -> dict[int, dict[tuple[str, str], float]]:
    """Purchases of each year by (region, sector), in the table's currency.

    Args:
        path: the CSV file.
        labels: those of the table, against which regions and sectors are checked; None where no
            table is at hand yet.
        years: the years that must be there.

    Raises:
        TableError: the file is unreadable, a column is missing, a row is repeated, a year of
            `years` has no row, or a cell is not a year, a label of the table or a finite number.
    """
    _, rows = read_rows(path, COLUMNS, required=COLUMNS)
    refuse_repeats(rows, COLUMNS[:-1])
    bought: dict[int, dict[tuple[str, str], float]] = {}
    for row in rows:
        of_year = bought.setdefault(row.year("year"), {})
        of_year[_industry(row, labels)] = row.number("value")
    for year in years:
        if year not in bought:
            raise TableError(
                f"has no purchases of {year}",
                where=str(path),
                remedy=f"add rows of {year}; the file has {', '.join(map(str, sorted(bought)))}",
            )
    return bought


def _industry(row: Row, labels: Labels | None) -> tuple[str, str]:
    if labels is None:
        return row.cells["region"], row.cells["sector"]
    region = row.one_of("region", labels.regions)
    of_region = [sector for home, sector in labels.industries if home == region]
    return region, row.one_of("sector", of_region)
