"""Where the uncertainty of a change comes from, in closed form, and freezing a part of it."""

from __future__ import annotations

from engine.budget.cells import DIRECT, Places
from engine.budget.components import Source, sources
from engine.budget.dividing import KEPT, budget, places_of
from engine.budget.found import OTHERS, Budget, By, Entry, Subject
from engine.budget.freezing import frozen

__all__ = [
    "DIRECT",
    "KEPT",
    "OTHERS",
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
