"""Loops above a run: until a tolerance is met, frozen groups, operating characteristics."""

from __future__ import annotations

from engine.studies.asked import percentages
from engine.studies.found import Characteristics
from engine.studies.operating import CHANGES, DRAWS, WORLDS, characterise
from engine.studies.tolerance import MOST, Look, known, run_until, schedule

__all__ = [
    "CHANGES",
    "DRAWS",
    "MOST",
    "WORLDS",
    "Characteristics",
    "Look",
    "characterise",
    "known",
    "percentages",
    "run_until",
    "schedule",
]
