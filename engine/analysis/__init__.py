"""Labelled faces of the kernels: an ensemble as an xarray Dataset in, labelled statistics out."""

from __future__ import annotations

from engine.analysis.changes import changes
from engine.analysis.levels import levels
from engine.analysis.tables import text_table, to_csv, to_json, verdict_table, verdicts

__all__ = ["changes", "levels", "text_table", "to_csv", "to_json", "verdict_table", "verdicts"]
