"""Maps from a table's regions, sectors and stressors to fewer, and a table folded by them.

Maps are CSV files (`engine.readers.csv_rows`: UTF-8, commas, points, a header).

Regions: `from,to`. Consumers, which are regions, are folded with the regions that produce.

    from,to
    NL,NL
    DE,EU
    CN,World

Sectors: `from,to`, or `region,from,to` where regions are told apart, by the table's own names. A
row without a region holds for every region that has no row of its own for that sector, so that

    region,from,to
    ,A01,Primary
    ,B,Primary
    NL,A01,A01
    NL,B,B

keeps the sectors of one region and folds those of all others.

Stressors: `from,from_unit,to,to_unit,factor`, a weighted sum: factor in `to_unit` per `from_unit`.
A stressor may count in several sums; one that is to count in none is written with factor 0.

    from,from_unit,to,to_unit,factor
    CO2,kt,GHG,Mt CO2-eq,0.001
    CH4,kt,GHG,Mt CO2-eq,0.028

Every region, every industry (a region's sector) and every stressor of the table must be in its map,
regions and industries exactly once; a name that the table does not have is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.errors import TableError
from engine.kernels.aggregation import fold, fold_columns, fold_rows
from engine.kernels.arrays import F64, I64
from engine.mrio import MRIO, Labels
from engine.readers.csv_rows import Row, read_rows, refuse_repeats
from engine.readers.files import sha256
from engine.readers.nearest import nearest

Industry = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """The maps that a table is folded by; what has none stays as it is.

    Attributes:
        regions: file with `from,to`.
        sectors: file with `from,to` or `region,from,to`.
        stressors: file with `from,from_unit,to,to_unit,factor`.
    """

    regions: Path | None = None
    sectors: Path | None = None
    stressors: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The maps there are."""
        return tuple(file for file in (self.regions, self.sectors, self.stressors) if file)


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Which region and industry each of a table's becomes part of.

    Attributes:
        regions: the new regions, in the order in which the table's first come to them.
        industries: the new industries, by region, then in the order in which the table's come.
        region_of: position among `regions` of each of the table's, (r,).
        industry_of: position among `industries` of each of the table's, (n,).
    """

    regions: tuple[str, ...]
    industries: tuple[Industry, ...]
    region_of: I64
    industry_of: I64


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Stressors as weighted sums of a table's.

    Attributes:
        stressors: the new ones, in the order of the map.
        units: their units.
        weights: in the new unit per unit of the table's, (new, table's).
    """

    stressors: tuple[str, ...]
    units: tuple[str, ...]
    weights: F64


def aggregated(table: MRIO, by: Aggregation) -> MRIO:
    """The table folded by maps; totals are conserved.

    Raises:
        TableError: a map is malformed, or does not belong to the table.
    """
    labels = table.labels
    folding = folding_of(by, labels.regions, labels.industries)
    sums = sums_of(by, labels.stressors, labels.stressor_units)
    r, n = len(folding.regions), len(folding.industries)
    regions, industries = folding.region_of, folding.industry_of
    published = table.published_output
    return MRIO(
        year=table.year,
        labels=replace(
            labels,
            regions=folding.regions,
            industries=folding.industries,
            stressors=sums.stressors,
            stressor_units=sums.units,
        ),
        Z=fold(table.Z, industries, n, industries, n),
        Y=fold(table.Y, industries, n, regions, r),
        E=fold_columns(weighted(table.E, sums), industries, n),
        F_Y=fold_columns(weighted(table.F_Y, sums), regions, r),
        published_output=None
        if published is None
        else fold_rows(published[:, None], industries, n)[:, 0],
        provenance=replace(
            table.provenance,
            source=f"{table.provenance.source}; {in_words(by, labels, folding, sums)}",
            files=(*table.provenance.files, *hashes(by)),
        ),
    )


def weighted(values: F64, sums: Sums) -> F64:
    """`weights values`, (new stressors, m), without rounding where a weight is one."""
    total = np.zeros((len(sums.stressors), values.shape[1]))
    for new, old in np.argwhere(sums.weights):
        total[new] += sums.weights[new, old] * values[old]
    return total


def in_words(by: Aggregation, labels: Labels, folding: Fold, sums: Sums) -> str:
    """What was folded, for a table's provenance; `labels` are those of the full table."""
    counts = [
        (by.regions, "regions", len(labels.regions), len(folding.regions)),
        (by.sectors or by.regions, "industries", len(labels.industries), len(folding.industries)),
        (by.stressors, "stressors", len(labels.stressors), len(sums.stressors)),
    ]
    folded = ", ".join(f"{old} {what} to {new}" for file, what, old, new in counts if file)
    return f"aggregated: {folded} ({', '.join(file.name for file in by.files)})"


def hashes(by: Aggregation) -> tuple[tuple[str, str], ...]:
    """Name and sha256 of each map, for a table's provenance."""
    return tuple((file.name, sha256(file)) for file in by.files)


def folding_of(by: Aggregation, regions: Sequence[str], industries: Sequence[Industry]) -> Fold:
    """Where each of a table's regions and industries goes.

    Raises:
        TableError: a map is malformed, names what the table does not have, or leaves out what it
            has.
    """
    to_region = {name: name for name in regions}
    if by.regions is not None:
        to_region = _regions(by.regions, regions)
    to_sector = {pair: pair[1] for pair in industries}
    if by.sectors is not None:
        to_sector = _sectors(by.sectors, regions, industries)
    new_regions = tuple(dict.fromkeys(to_region[name] for name in regions))
    place = {name: position for position, name in enumerate(new_regions)}
    pairs = [(to_region[pair[0]], to_sector[pair]) for pair in industries]
    new_industries = tuple(sorted(dict.fromkeys(pairs), key=lambda pair: place[pair[0]]))
    position_of = {pair: position for position, pair in enumerate(new_industries)}
    return Fold(
        new_regions,
        new_industries,
        np.array([place[to_region[name]] for name in regions], dtype=np.int64),
        np.array([position_of[pair] for pair in pairs], dtype=np.int64),
    )


def sums_of(by: Aggregation, stressors: Sequence[str], units: Sequence[str]) -> Sums:
    """How the new stressors are made of a table's.

    Raises:
        TableError: the map is malformed, names a stressor or a unit that the table does not have,
            or leaves a stressor out.
    """
    if by.stressors is None:
        return Sums(tuple(stressors), tuple(units), np.eye(len(stressors)))
    columns = ("from", "from_unit", "to", "to_unit", "factor")
    _, rows = read_rows(by.stressors, columns, columns)
    refuse_repeats(rows, ("from", "to"))
    _refuse_lookalikes(rows)
    unit_of = dict(zip(stressors, units, strict=True))
    new_unit: dict[str, str] = {}
    for row in rows:
        old, new = row.one_of("from", tuple(stressors)), row.cells["to"]
        for column, unit, what in (
            ("from_unit", unit_of[old], f"the table has {old} in {unit_of[old]!r}"),
            (
                "to_unit",
                new_unit.setdefault(new, row.cells["to_unit"]),
                f"{new} is in {new_unit[new]!r} above",
            ),
        ):
            if row.cells[column] != unit or not unit:
                raise TableError(
                    f"{column} is {row.cells[column]!r}, {what}",
                    where=row.where,
                    remedy="write the factor for the table's own unit, and one unit for each sum",
                )
    _refuse_left_out(stressors, {row.cells["from"] for row in rows}, "stressor", by.stressors)
    weights = np.zeros((len(new_unit), len(stressors)))
    new_place = {name: position for position, name in enumerate(new_unit)}
    old_place = {name: position for position, name in enumerate(stressors)}
    for row in rows:
        weights[new_place[row.cells["to"]], old_place[row.cells["from"]]] = row.number("factor")
    return Sums(tuple(new_unit), tuple(new_unit.values()), weights)


def _regions(file: Path, regions: Sequence[str]) -> dict[str, str]:
    _, rows = read_rows(file, ("from", "to"), ("from", "to"))
    refuse_repeats(rows, ("from",))
    _refuse_lookalikes(rows)
    found = {row.one_of("from", tuple(regions)): row.cells["to"] for row in rows}
    _refuse_left_out(regions, found, "region", file)
    return found


def _sectors(
    file: Path, regions: Sequence[str], industries: Sequence[Industry]
) -> dict[Industry, str]:
    header, rows = read_rows(file, ("region", "from", "to"), ("from", "to"))
    if "region" not in header:
        rows = [Row(row.where, {"region": "", **row.cells}) for row in rows]
    _refuse_lookalikes(rows)
    sectors = tuple(dict.fromkeys(sector for _, sector in industries))
    of_region: dict[str, tuple[str, ...]] = {"": sectors}
    for region, sector in industries:
        of_region[region] = (*of_region.get(region, ()), sector)
    found: dict[Industry, Row] = {}
    for row in rows:
        region = row.cells["region"]
        if region:
            row.one_of("region", tuple(regions))
        key = (region, row.one_of("from", of_region.get(region, ())))
        if key in found:
            raise TableError(
                f"{' '.join(filter(None, key))} is repeated, first in "
                f"{found[key].where.rpartition(', ')[2]}",
                where=row.where,
                remedy="write one row for each sector, or for each region and sector",
            )
        found[key] = row
    to: dict[Industry, str] = {}
    for pair in industries:
        own = found.get(pair) or found.get(("", pair[1]))
        if own is None:
            here = [sector for region, sector in found if region in ("", pair[0])]
            raise TableError(
                f"the table's industry {' '.join(pair)} is not in the map",
                where=str(file),
                remedy=f"write a row from {pair[1]!r}; {nearest(pair[1], here)}",
            )
        to[pair] = own.cells["to"]
    return to


def _refuse_left_out(
    names: Iterable[str], mapped: Mapping[str, object] | set[str], what: str, file: Path
) -> None:
    left = [name for name in names if name not in mapped]
    if left:
        more = f" and {len(left) - 1} more are" if left[1:] else " is"
        raise TableError(
            f"the table's {what} {left[0]}{more} not in the map",
            where=str(file),
            remedy=f"write a row from {left[0]!r}; nothing is left out in silence",
        )


def _refuse_lookalikes(rows: Sequence[Row]) -> None:
    """Two new names that differ in case or blanks alone are one, misspelt."""
    seen: dict[str, str] = {}
    for row in rows:
        to = row.cells["to"]
        first = seen.setdefault(to.strip().casefold(), to)
        if not to.strip() or to != first or to != to.strip():
            raise TableError(
                f"`to` is {to!r}" + (f", and {first!r} above" if first != to else ""),
                where=row.where,
                remedy="write every new name, always alike, without blanks around it",
            )
