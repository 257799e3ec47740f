"""The monetary part of a table of FIGARO, from numbers by AREA_INDUSTRY."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.readers.balance import refuse_unbalanced
from engine.readers.labelled import Labelled
from engine.readers.nearest import nearest

FINAL_USES = ("P3_S13", "P3_S14", "P3_S15", "P51G", "P5M")
ADDED = "W2"  # what is added to inputs until they make output, in these rows
VALUE_ADDED = ("B2A3G", "D1", "D21X31", "D29X39", "OP_NRES", "OP_RES")
_PRODUCT = "CPA_"
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
    with np.errstate(over="ignore", invalid="ignore"):  # of all rows: a copy of some is large
        sold, made = values.sum(axis=1)[row_places], values.sum(axis=0)[column_places]
    refuse_unbalanced(sold, made, industries, "its column to", _AGAIN)
    Y = [
        values[np.ix_(row_places, [at[area, use] for use in FINAL_USES])].sum(axis=1)
        for area in areas
    ]
    return Flows(
        areas=areas,
        industries=tuple((area, sector.removeprefix(_PRODUCT)) for area, sector in industries),
        Z=values[np.ix_(row_places, column_places)],
        Y=np.stack(Y, axis=1),
        output=made,
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


def merged(flows: Flows, merge: Mapping[str, str]) -> Flows:
    """Areas counted with others, industry by industry; the arrays of `flows` are used up.

    Raises:
        TableError: there is no such area.
    """
    for area in (*merge, *merge.values()):
        if area not in flows.areas:
            raise TableError(f"has no area {area!r} to merge", remedy=nearest(area, flows.areas))
    if not merge:
        return flows
    place = {name: at for at, name in enumerate(flows.industries)}
    for (area, sector), at in place.items():
        if area in merge:
            other = place[merge[area], sector]
            for rows in (flows.Z, flows.Z.T, flows.Y, flows.output):
                rows[other] += rows[at]
    for at, area in enumerate(flows.areas):
        if area in merge:
            flows.Y.T[flows.areas.index(merge[area])] += flows.Y.T[at]
    stay = [at for at, (area, _) in enumerate(flows.industries) if area not in merge]
    areas = [at for at, area in enumerate(flows.areas) if area not in merge]
    return Flows(
        areas=tuple(flows.areas[at] for at in areas),
        industries=tuple(flows.industries[at] for at in stay),
        Z=flows.Z[np.ix_(stay, stay)],
        Y=flows.Y[np.ix_(stay, areas)],
        output=flows.output[stay],
    )
