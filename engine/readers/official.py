"""What a publisher says of its tables: footprints to hold ours against, and regions of rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# What tables call the rest of the world, or of a continent.
_RESTS = {
    "FIGW1", "ROW", "RoW", "WA", "WE", "WF", "WL", "WM", "WXD", "XAF", "XAM", "XAS", "XEU",
}  # fmt: skip
_TERRITORY = "accounts may follow territory where tables follow residents: bunkers differ"
TRAPS: Mapping[str, tuple[str, ...]] = {
    "Eora26": (
        "ROW, where it is kept, holds statistical discrepancies and is no economy",
        "rows and columns do not balance, least of all in small economies",
        "prices are basic, in thousand USD: a margin is bought from trade and transport",
    ),
    "Exiobase3": (
        "the newest years are extrapolated from few data, and are revised from release to release",
        "releases revise all years: a difference between two of them is no change",
        "ixi and pxp of a year are two estimates of one economy",
    ),
    "Gloria": (
        "supply and use do not balance: what is left over is in no industry",
        "regions of rest hold many countries with little data of their own",
    ),
    "Icio": (
        "the split industries of China and Mexico have the emissions per output of the whole",
        "editions differ in areas and industries and revise all years",
        _TERRITORY,
    ),
    "Wiod": (
        "releases 2013 and 2016 differ in classification and concepts: never one series",
        "values are rounded, and changes of inventories make some rows of final demand negative",
        _TERRITORY,
    ),
}  # by the name of the source


@dataclass(frozen=True, slots=True)
class Official:
    """Footprints that were published with a table.

    Attributes:
        stressor: of which.
        file: where they stand.
        footprints: of regions, in the stressor's unit, direct emissions of consumers included.
    """

    stressor: str
    file: str
    footprints: Mapping[str, float]


def rests(regions: Collection[str]) -> tuple[str, ...]:
    """The regions that are no country but what is left of the world, or of a continent."""
    return tuple(region for region in regions if region in _RESTS)
