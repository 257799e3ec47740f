"""Where the uncertainty of a change comes from, in closed form, and freezing a part of it."""

from __future__ import annotations

from engine.budget.cells import Places
from engine.budget.components import Source, sources
from engine.budget.dividing import KEPT, budget, places_of
from engine.budget.found import (
    ALL_SECTORS,
    DIRECT,
    OTHERS,
    SEVERAL_REGIONS,
    TOTALS,
    Budget,
    By,
    Entry,
    Subject,
)
from engine.budget.freezing import frozen

__all__ = [
    "ALL_SECTORS",
    "DIRECT",
    "KEPT",
    "OTHERS",
    "SEVERAL_REGIONS",
    "TOTALS",
    "Budget",
    "By",
    "Entry",
    "Places",
    "Source",
    "Subject",
    "budget",
    "frozen",
    "places_of",
    "sources",
]
