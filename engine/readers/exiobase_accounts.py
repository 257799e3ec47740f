"""What the accounts of a release of EXIOBASE 3 say, by the names of their rows and columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers import selecting
from engine.readers.exiobase_release import AGAIN, Folder
from engine.readers.files import located
from engine.readers.labelled import Name
from engine.readers.selecting import Rows


def square(core: Folder, account: str) -> tuple[F64, tuple[tuple[str, str], ...]]:
    """Z or A, (n,n), and its industries in the order of the columns."""
    table = core.read(account)
    with located(account):
        industries = tuple((region, sector) for region, sector in _pairs(table.columns))
        return ordered(table.values, table.rows, industries), industries


def demand(core: Folder, industries: Sequence[Name]) -> tuple[F64, tuple[str, ...]]:
    """Y by region, (n,r), and the regions in the order of its columns."""
    table = core.read("Y", most_rows=len(industries))
    with located("Y"):
        regions = tuple(dict.fromkeys(region for region, _ in _pairs(table.columns)))
        Y = by_region(table.values, table.columns, regions)
        return ordered(Y, table.rows, industries), regions


def published_output(core: Folder, industries: Sequence[Name]) -> F64:
    """The publisher's own output, (n,)."""
    x = core.read("x", most_rows=len(industries))
    with located("x"):
        if len(x.columns) != 1:
            raise TableError(f"has {len(x.columns)} columns, not one", remedy=AGAIN)
        return ordered(x.values, x.rows, industries)[:, 0]


def selected(
    folder: Folder,
    account: str,
    chosen: Mapping[str, Rows],
    units: Mapping[str, str],
    inactive: Collection[Name] = (),
) -> tuple[F64, tuple[Name, ...], frozenset[Name]]:
    """What is selected of an account, (stressors, columns), in their units, and its columns.

    Other rows are read and forgotten. The last are the columns that had blanks, which are zero: of
    the `inactive` ones, as in release 3.10, since what they emit is in no footprint.

    Raises:
        TableError: a row is missing, there twice or in another unit, or another column is blank.
    """
    columns = folder.columns(account)
    wanted = {row for asked in chosen.values() for row in asked.rows}
    names: list[str] = []
    kept: dict[int, F64] = {}
    for found, values in folder.batches(account):
        for name, row in zip((" - ".join(parts) for parts in found), values, strict=True):
            if name in wanted:
                kept[len(names)] = row.copy()
            names.append(name)
    of = selecting.selected(chosen, names, [units.get(name, "") for name in names])
    total = np.zeros((len(chosen), len(columns)))
    idle = np.array([name in inactive for name in columns])
    filled: set[Name] = set()
    for at, row in kept.items():
        blank = np.isnan(row)
        if (wanted := blank & ~idle).any():
            raise TableError(
                f"cell ({names[at]}, {' '.join(columns[int(wanted.argmax())])}) holds no number, "
                f"nor do {int(wanted.sum()) - 1} more",
                remedy=f"{AGAIN}; a missing value is never read as zero",
            )
        filled |= {columns[place] for place in np.flatnonzero(blank)}
        of.add(total, at, np.where(blank, 0.0, row)[None, :])
    return total, columns, frozenset(filled)


def _pairs(names: Sequence[Name]) -> Sequence[Name]:
    """The names, which must be of two parts, a region's first."""
    if len(names[0]) != 2:
        raise TableError(
            f"its columns have names of {len(names[0])} parts, not a region and another",
            remedy=AGAIN,
        )
    return names


def ordered(values: F64, found: Sequence[Name], wanted: Sequence[Name]) -> F64:
    """Rows of `values`, named `found`, in the order `wanted`; as they are if they have it."""
    if tuple(found) == tuple(wanted):
        return values
    at = {name: place for place, name in enumerate(found)}
    known = set(wanted)
    for said, wrong in {
        "is missing": [name for name in wanted if name not in at],
        "is not among the columns of the flows": [name for name in found if name not in known],
        "is there twice": [name for place, name in enumerate(found) if at[name] != place],
    }.items():
        if wrong:
            raise TableError(
                f"{' '.join(wrong[0])} {said}, and {len(wrong) - 1} more", remedy=AGAIN
            )
    moved: F64 = values[[at[name] for name in wanted]]
    return moved


def by_region(values: F64, columns: Sequence[Name], regions: Sequence[str]) -> F64:
    """Columns summed by region, (rows, r), from those by region and category."""
    region_of = np.array([region for region, _ in _pairs(columns)])
    if set(region_of) != set(regions):
        odd = sorted(set(region_of) ^ set(regions))
        raise TableError(
            f"regions differ between final demand and its emissions: {', '.join(odd)}",
            remedy=AGAIN,
        )
    if len(set(columns)) < len(columns):
        raise TableError("a column of final demand is there twice", remedy=AGAIN)
    uses, known = dict.fromkeys(use for _, use in columns), set(columns)
    missing = [(region, use) for region in regions for use in uses if (region, use) not in known]
    if missing:
        raise TableError(
            f"column {' '.join(missing[0])} is missing, and {len(missing) - 1} more", remedy=AGAIN
        )
    total: F64 = np.stack([values[:, region_of == r].sum(axis=1) for r in regions], axis=1)
    return total
