"""Labelled faces of the kernels: an ensemble as an xarray Dataset in, labelled statistics out."""

from __future__ import annotations

from engine.analysis.changes import changes
from engine.analysis.contributions import (
    By,
    attributed,
    contribution_table,
    contribution_text,
    kinds,
    largest,
    place,
)
from engine.analysis.control import controlled
from engine.analysis.levels import levels
from engine.analysis.preview import preview, preview_table, preview_text
from engine.analysis.tables import text_table, to_csv, to_json, verdict_table, verdicts
from engine.analysis.tolerance import Unsettled, at_last_look, unsettled, watched

__all__ = [
    "By",
    "Unsettled",
    "at_last_look",
    "attributed",
    "changes",
    "contribution_table",
    "contribution_text",
    "controlled",
    "kinds",
    "largest",
    "levels",
    "place",
    "preview",
    "preview_table",
    "preview_text",
    "text_table",
    "to_csv",
    "to_json",
    "unsettled",
    "verdict_table",
    "verdicts",
    "watched",
]
