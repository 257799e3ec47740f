"""What is known of publishers' tables: their footprints, regions of rest, what to beware of."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from engine.mrio import Labels
from engine.readers.aggregation import Aggregation, folding_of, sums_of

# What tables call the rest of the world, or of a continent.
_RESTS = {
    "FIGW1", "ROW", "RoW", "WA", "WE", "WF", "WL", "WM", "WXD", "XAF", "XAM", "XAS", "XEU",
}  # fmt: skip
_TERRITORY = "accounts may follow territory where tables follow residents: bunkers differ"
# What to beware of in the tables of a publisher, one sentence each.
TRAPS_OF_EORA26 = (
    "ROW, where it is kept, holds statistical discrepancies and is no economy",
    "rows and columns do not balance, least of all in small economies",
    "prices are basic, in thousand USD: a margin is bought from trade and transport",
)
TRAPS_OF_EXIOBASE3 = (
    "the newest years are extrapolated from few data, and are revised from release to release",
    "releases revise all years: a difference between two of them is no change",
    "ixi and pxp of a year are two estimates of one economy",
)
TRAPS_OF_GLORIA = (
    "supply and use do not balance: what is left over is in no industry",
    "regions of rest hold many countries with little data of their own",
)
TRAPS_OF_ICIO = (
    "the split industries of China and Mexico have the emissions per output of the whole",
    "editions differ in areas and industries and revise all years",
    _TERRITORY,
)
TRAPS_OF_WIOD = (
    "releases 2013 and 2016 differ in classification and concepts: never one series",
    "values are rounded, and changes of inventories make some rows of final demand negative",
    _TERRITORY,
)


@dataclass(frozen=True, slots=True)
class Official:
    """Footprints that were published with a table.

    Attributes:
        stressor: of which.
        file: where they stand.
        footprints: of regions, in the stressor's unit, direct emissions of consumers included.
        folded: whether the table is folded and they are not: they were computed from more regions
            or sectors, so that what is between them and the table's holds the aggregation error.
    """

    stressor: str
    file: str
    footprints: Mapping[str, float]
    folded: bool = False


def rests(regions: Collection[str]) -> tuple[str, ...]:
    """The regions that are no country but what is left of the world, or of a continent."""
    return tuple(region for region in regions if region in _RESTS)


def added_up(found: Sequence[Official], by: Aggregation, labels: Labels) -> tuple[Official, ...]:
    """Published footprints of the groups that maps make of regions, and of the sums of stressors.

    What the members of a group cause as consumers is what the group causes. A group is left out
    where one of its members is not published, a sum where one of its stressors is not.

    Args:
        found: as published, by the full table's regions and stressors.
        by: the maps.
        labels: of the full table.

    Raises:
        TableError: a map is malformed, or does not belong to the table.
    """
    if not found:
        return ()  # of tables that are folded while they are read nobody has the full labels
    folding = folding_of(by, labels.regions, labels.industries)
    sums = sums_of(by, labels.stressors, labels.stressor_units)
    members: dict[str, list[str]] = {}
    for region, at in zip(labels.regions, folding.region_of, strict=True):
        members.setdefault(folding.regions[at], []).append(region)
    fewer = len(folding.industries) < len(labels.industries)
    of_stressor = {one.stressor: one for one in found}
    made = []
    for name, weights in zip(sums.stressors, sums.weights, strict=True):
        counted = {
            stressor: float(weight)
            for stressor, weight in zip(labels.stressors, weights, strict=True)
            if weight
        }
        if not counted or not counted.keys() <= of_stressor.keys():
            continue
        parts = [(weight, of_stressor[stressor]) for stressor, weight in counted.items()]
        known = {
            group: math.fsum(
                weight * part.footprints[region] for weight, part in parts for region in regions
            )
            for group, regions in members.items()
            if all(region in part.footprints for _, part in parts for region in regions)
        }
        files = dict.fromkeys(part.file for _, part in parts)
        if known:
            moved = fewer or any(part.folded for _, part in parts)
            made.append(Official(name, ", ".join(files), known, moved))
    return tuple(made)
