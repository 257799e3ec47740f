"""Where the uncertainty of a change comes from, in closed form, and freezing a part of it."""

from __future__ import annotations

from engine.budget.dividing import KEPT, budget
from engine.budget.found import OTHERS, Budget, By, Entry, Subject

__all__ = ["KEPT", "OTHERS", "Budget", "By", "Entry", "Subject", "budget"]
