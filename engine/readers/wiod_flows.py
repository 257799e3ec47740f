"""The monetary part of a table of WIOD, from the rows of its sheet.

Both releases are written alike. Above the numbers stand, in rows 3 to 6, the code, the name, the
country and the number of each column; before them, in columns A to D, those of each row. Release
2013 knows final uses by their number (c37, ...), release 2016 by a code (CONS_h, ...). The last
column is output; below the industries follow taxes, margins and value added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.nearest import nearest
from engine.readers.workbooks import text

FINAL_USES = {
    2013: ("c37", "c38", "c39", "c41", "c42"),
    2016: ("CONS_h", "CONS_np", "CONS_g", "GFCF", "INVEN"),
}
RENAMED = {"ROM": "ROU"}  # Romania in the early years of release 2013, and later
_HEADER, _INDEX = 6, 4
_CODES, _NAMES, _REGIONS, _NUMBERS, _PRICES, _UNIT = 2, 3, 4, 5, 1, 3
_WORLD = ("", "TOT")  # in the place of a country: the total, and what is below the industries
AGAIN = "download the table again, and give it as it is"

Industry = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Flows:
    """A table's monetary part.

    Attributes:
        regions: r of them.
        industries: n (region, code) pairs.
        Z: (n,n); rows deliver, columns use.
        Y: final demand by region, all uses summed, (n,r).
        output: the column of totals, (n,).
        unit: what they are in, in the publisher's words.
        renamed: the regions that the file calls by an earlier name.
    """

    regions: tuple[str, ...]
    industries: tuple[Industry, ...]
    Z: F64
    Y: F64
    output: F64
    unit: str
    renamed: tuple[str, ...]


def flows_of(rows: Iterator[list[Any]], release: int) -> Flows:
    """Numbers by the names of rows and columns, whatever their order.

    Raises:
        TableError: it is not in current prices; a region lacks an industry or a use; a name is
            there twice, or is none of a table of the release; a cell is no number.
    """
    head = list(islice(rows, _HEADER))
    if len(head) < _HEADER or not text(head[_UNIT][0]).startswith("("):
        raise TableError(
            "has not the six rows of names that a table of WIOD begins with", remedy=AGAIN
        )
    if "current prices" not in (prices := text(head[_PRICES][0])):
        raise TableError(
            f"is said to be {prices!r}, not in current prices",
            where=f"row {_PRICES + 1}",
            remedy="use the tables in current prices, whose names have no PYP",
        )
    columns, total = _columns(head)
    uses = FINAL_USES[release]
    industries = tuple(name for name in columns if name[1] not in uses)
    regions = tuple(dict.fromkeys(region for region, _ in industries))
    names, values = _body(rows, columns, total, len(industries))
    _refuse_others(names, list(columns), industries, regions, uses)
    at = {name: place for place, name in enumerate(names)}
    order = [at[name] for name in industries]
    Y = [values[order][:, [columns[region, use] for use in uses]].sum(axis=1) for region in regions]
    return Flows(
        regions=regions,
        industries=industries,
        Z=values[np.ix_(order, [columns[name] for name in industries])],
        Y=np.stack(Y, axis=1),
        output=values[order, total],
        unit=text(head[_UNIT][0]).strip("()"),
        renamed=tuple(old for old in RENAMED if old in map(text, head[_REGIONS])),
    )


def _columns(head: Sequence[list[Any]]) -> tuple[dict[Industry, int], int]:
    """The place of each column after the names, and that of output."""
    columns: dict[Industry, int] = {}
    totals = []
    for place in range(len(head[_CODES]) - _INDEX):
        code, name, region, number = (
            text(head[row][_INDEX + place]) for row in (_CODES, _NAMES, _REGIONS, _NUMBERS)
        )
        if region in _WORLD:
            totals += [place] if code or name or number else []
            continue
        key = (RENAMED.get(region, region), code or number)
        if key in columns:
            raise TableError(f"column {' '.join(key)} is there twice", remedy=AGAIN)
        columns[key] = place
    if len(totals) != 1:
        raise TableError(f"has {len(totals)} columns of total output, not one", remedy=AGAIN)
    if not columns:
        raise TableError("has no columns of a country", remedy=AGAIN)
    return columns, totals[0]


def _body(
    rows: Iterator[list[Any]], columns: dict[Industry, int], total: int, most: int
) -> tuple[list[Industry], F64]:
    """The rows of industries: their names, and their numbers (rows, columns)."""
    width = max(total, *columns.values()) + 1
    kept = sorted([total, *columns.values()])
    spelt = {place: " ".join(name) for name, place in columns.items()} | {total: "total output"}
    values: F64 = np.zeros((most, width))
    names: dict[Industry, None] = {}
    for line, row in enumerate(rows, _HEADER + 1):
        code, _, region, _ = map(text, row[:_INDEX])
        if region in _WORLD:
            continue
        name = (RENAMED.get(region, region), code)
        if name in names or len(names) == most:
            said = "there twice" if name in names else "one more than there are columns"
            raise TableError(f"row {' '.join(name)} is {said}", where=f"row {line}", remedy=AGAIN)
        cells = row[_INDEX : _INDEX + width]
        if not set(map(type, cells)) <= {int, float}:
            for place in kept:
                if type(cells[place]) not in (int, float):
                    raise TableError(
                        f"{cells[place]!r} is no number",
                        where=f"row {line}, {' '.join(name)}, column {spelt[place]}",
                        remedy=f"{AGAIN}; a missing value is never read as zero",
                    )
            cells = [cell if type(cell) in (int, float) else 0.0 for cell in cells]
        values[len(names)] = cells
        names[name] = None
    return list(names), values[: len(names)]


def _refuse_others(
    rows: Sequence[Industry],
    columns: Sequence[Industry],
    industries: Sequence[Industry],
    regions: Sequence[str],
    uses: Sequence[str],
) -> None:
    """Every region has every industry and final use, and every industry a row and a column."""
    times = Counter(code for _, code in industries)
    codes = [code for code, some in times.items() if 2 * some > len(regions)]
    wanted = {(region, code) for region in regions for code in codes}
    whole = wanted | {(region, use) for region in regions for use in uses}
    for kind, found, needed in (("column", set(columns), whole), ("row", set(rows), wanted)):
        missing, odd = sorted(needed - found), sorted(found - needed)
        if missing:
            raise TableError(
                f"{kind} {' '.join(missing[0])} is missing, and {len(missing) - 1} more",
                remedy=AGAIN,
            )
        if odd:
            raise TableError(
                f"{kind} {' '.join(odd[0])} belongs to no region and industry of the table; "
                f"{nearest(' '.join(odd[0]), map(' '.join, sorted(whole)))}",
                remedy=AGAIN,
            )
