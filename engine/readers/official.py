"""What a publisher says of its tables: footprints to hold ours against, and regions of rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

# What tables call the rest of the world, or of a continent.
_RESTS = {
    "FIGW1", "ROW", "RoW", "WA", "WE", "WF", "WL", "WM", "WXD", "XAF", "XAM", "XAS", "XEU",
}  # fmt: skip


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
