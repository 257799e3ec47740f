"""The monetary part of a table of FIGARO, from numbers by AREA_INDUSTRY."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.labelled import Labelled
from engine.readers.nearest import nearest

FINAL_USES = ("P3_S13", "P3_S14", "P3_S15", "P51G", "P5M")
ADDED = "W2"  # what is added to inputs until they make output, in these rows
VALUE_ADDED = ("B2A3G", "D1", "D21X31", "D29X39", "OP_NRES", "OP_RES")
_PRODUCT = "CPA_"
_BALANCE = 0.01  # of all output; FIGARO's tables balance to rounding, so that more is damage
_AGAIN = "download the table again, and give it its own name"


@dataclass(frozen=True, slots=True)
class Flows:
    """A table's monetary part, in million EUR.

    Attributes:
        areas: r of them.
        industries: n (area, industry) pairs.
        Z: (n,n); rows deliver, columns use.
        Y: final demand by area, all uses summed, (n,r).
        output: what each industry's column adds up to, value added and taxes included, (n,).
    """

    areas: tuple[str, ...]
    industries: tuple[tuple[str, str], ...]
    Z: F64
    Y: F64
    output: F64


def flows_of(table: Labelled) -> Flows:
    """Numbers by the names of rows and columns, whatever their order.

    Raises:
        TableError: an area lacks an industry or a use; a name is there twice, or none of
            FIGARO's; what industries sell is not what they make.
    """
    rows = [_split(name) for (name,) in table.rows]
    columns = [_split(name) for (name,) in table.columns]
    _refuse_repeats("row", rows)
    _refuse_repeats("column", columns)
    industries = tuple(name for name in columns if name[1] not in FINAL_USES)
    areas = tuple(dict.fromkeys(area for area, _ in industries))
    _refuse_others(rows, columns, industries, areas)
    at = {name: place for place, name in enumerate(columns)}
    row_of = {name: place for place, name in enumerate(rows)}
    row_places = [row_of[name] for name in industries]
    column_places = [at[name] for name in industries]
    values = table.values
    _refuse_unbalanced(values, row_places, column_places, industries)
    Y = np.stack(
        [
            values[np.ix_(row_places, [at[area, use] for use in FINAL_USES])].sum(axis=1)
            for area in areas
        ],
        axis=1,
    )
    return Flows(
        areas=areas,
        industries=tuple((area, sector.removeprefix(_PRODUCT)) for area, sector in industries),
        Z=values[np.ix_(row_places, column_places)],
        Y=Y,
        output=values[:, column_places].sum(axis=0),
    )


def _split(name: str) -> tuple[str, str]:
    area, sign, sector = name.strip().partition("_")
    if not (area and sign and sector):
        raise TableError(f"{name!r} is no AREA_INDUSTRY", remedy=_AGAIN)
    return area, sector


def _refuse_repeats(kind: str, names: Sequence[tuple[str, str]]) -> None:
    seen: set[tuple[str, str]] = set()
    for name in names:
        if name in seen:
            raise TableError(f"{kind} {'_'.join(name)} is there twice", remedy=_AGAIN)
        seen.add(name)


def _refuse_others(
    rows: Sequence[tuple[str, str]],
    columns: Sequence[tuple[str, str]],
    industries: Sequence[tuple[str, str]],
    areas: Sequence[str],
) -> None:
    """Every area has every industry and final use, and every industry a row and a column."""
    times = Counter(sector for _, sector in industries)
    sectors = [sector for sector, some in times.items() if 2 * some > len(areas)]
    wanted = {(area, sector) for area in areas for sector in sectors}
    uses = {(area, use) for area in areas for use in FINAL_USES}
    producing = [name for name in rows if name[0] != ADDED]
    for kind, missing in {
        "column": sorted(wanted - set(columns)) + sorted(uses - set(columns)),
        "row": sorted((wanted | {(ADDED, kind) for kind in VALUE_ADDED}) - set(rows)),
    }.items():
        if missing:
            raise TableError(
                f"{kind} {'_'.join(missing[0])} is missing, and {len(missing) - 1} more",
                remedy=_AGAIN,
            )
    for kind, odd in {
        "column": sorted(set(columns) - wanted - uses),
        "row": sorted(set(producing) - wanted),
    }.items():
        if odd:
            raise TableError(
                f"{kind} {'_'.join(odd[0])} belongs to no area and industry of the table; "
                f"{nearest('_'.join(odd[0]), ['_'.join(name) for name in sorted(wanted | uses)])}",
                remedy=_AGAIN,
            )


def _refuse_unbalanced(
    values: F64,
    row_places: Sequence[int],
    column_places: Sequence[int],
    industries: Sequence[tuple[str, str]],
) -> None:
    """Names that are swapped, industries that are gone, numbers that lost their point: all show."""
    with np.errstate(over="ignore", invalid="ignore"):
        sold, made = values.sum(axis=1)[row_places], values.sum(axis=0)[column_places]
        gap = np.abs(sold - made)
        if gap.sum() <= _BALANCE * np.abs(sold).sum() < np.inf:
            return
    worst = int(np.nan_to_num(gap, nan=np.inf).argmax())
    raise TableError(
        f"does not balance: the row of {'_'.join(industries[worst])} adds up to {sold[worst]:.6g}, "
        f"its column to {made[worst]:.6g}, and others differ too",
        remedy=_AGAIN,
    )


def merged(flows: Flows, merge: Mapping[str, str]) -> Flows:
    """Areas counted with others, industry by industry.

    Raises:
        TableError: there is no such area.
    """
    for area in (*merge, *merge.values()):
        if area not in flows.areas:
            raise TableError(f"has no area {area!r} to merge", remedy=nearest(area, flows.areas))
    if not merge:
        return flows
    areas = tuple(area for area in flows.areas if area not in merge)
    moved = [(merge.get(area, area), sector) for area, sector in flows.industries]
    industries = tuple(name for name in flows.industries if name[0] not in merge)
    place = {name: number for number, name in enumerate(industries)}
    of_industry = [place[name] for name in moved]
    of_area = [areas.index(merge.get(area, area)) for area in flows.areas]
    return Flows(
        areas=areas,
        industries=industries,
        Z=_folded(_folded(flows.Z, of_industry).T, of_industry).T,
        Y=_folded(_folded(flows.Y, of_industry).T, of_area).T,
        output=_folded(flows.output, of_industry),
    )


def _folded(values: F64, places: Sequence[int]) -> F64:
    """Rows added up at their places."""
    total = np.zeros((max(places) + 1, *values.shape[1:]))
    np.add.at(total, places, values)
    return total
