"""Labelled faces of the kernels: an ensemble as an xarray Dataset in, labelled statistics out."""

from __future__ import annotations

from engine.analysis.asked import (
    Asked,
    BetweenDatabases,
    Decoupling,
    Family,
    Output,
    PriorRatio,
    Published,
    RealVariability,
    Span,
    Target,
    Trend,
)
from engine.analysis.budget import (
    BASIS,
    Drawn,
    budget_table,
    budget_tables_text,
    budget_text,
    drawn_sigmas,
)
from engine.analysis.changes import changes
from engine.analysis.contributions import (
    By,
    attributed,
    contribution_table,
    contribution_text,
    kind_of,
    kinds,
    largest,
    place,
)
from engine.analysis.control import controlled
from engine.analysis.correlation import along_correlation, correlation_table, correlation_text
from engine.analysis.databases import (
    databases_table,
    databases_text,
    previewed_databases_table,
    spread_between,
    spread_in_words,
)
from engine.analysis.decoupling import decoupling_table, decoupling_text
from engine.analysis.detection_time import (
    WHAT_IF,
    is_told,
    years_in_short,
    years_to_detect_table,
    years_to_detect_text,
)
from engine.analysis.equivalence import (
    equivalence_at_last_look,
    equivalence_table,
    equivalence_text,
)
from engine.analysis.families import (
    adjusted_at_last_look,
    families_pairs,
    family_table,
    family_text,
    grouped,
    member_name,
)
from engine.analysis.levels import levels
from engine.analysis.linearity import in_words, linearity_text, of_ensemble, with_controlled
from engine.analysis.offset import offset_table, offset_text
from engine.analysis.preview import preview, preview_table, preview_text
from engine.analysis.rebalancing import is_rebalanced, rebalancing_table, rebalancing_text
from engine.analysis.scenarios import scenario_table, scenario_text
from engine.analysis.solving import (
    Solving,
    SplitSummary,
    solving,
    solving_text,
    split_summary,
)
from engine.analysis.split_error import consecutive_and_whole, is_split, split_error
from engine.analysis.tables import text_table, to_csv, to_json, verdict_table, verdicts
from engine.analysis.targets import (
    acceptance_table,
    acceptance_text,
    target_table,
    target_text,
)
from engine.analysis.tolerance import Unsettled, at_last_look, unsettled, watched
from engine.analysis.trend import first_seen, in_short, misfits, trend_table, trend_text

__all__ = [
    "BASIS",
    "WHAT_IF",
    "Asked",
    "BetweenDatabases",
    "By",
    "Decoupling",
    "Drawn",
    "Family",
    "Output",
    "PriorRatio",
    "Published",
    "RealVariability",
    "Solving",
    "Span",
    "SplitSummary",
    "Target",
    "Trend",
    "Unsettled",
    "acceptance_table",
    "acceptance_text",
    "adjusted_at_last_look",
    "along_correlation",
    "at_last_look",
    "attributed",
    "budget_table",
    "budget_tables_text",
    "budget_text",
    "changes",
    "consecutive_and_whole",
    "contribution_table",
    "contribution_text",
    "controlled",
    "correlation_table",
    "correlation_text",
    "databases_table",
    "databases_text",
    "decoupling_table",
    "decoupling_text",
    "drawn_sigmas",
    "equivalence_at_last_look",
    "equivalence_table",
    "equivalence_text",
    "families_pairs",
    "family_table",
    "family_text",
    "first_seen",
    "grouped",
    "in_short",
    "in_words",
    "is_rebalanced",
    "is_split",
    "is_told",
    "kind_of",
    "kinds",
    "largest",
    "levels",
    "linearity_text",
    "member_name",
    "misfits",
    "of_ensemble",
    "offset_table",
    "offset_text",
    "place",
    "preview",
    "preview_table",
    "preview_text",
    "previewed_databases_table",
    "rebalancing_table",
    "rebalancing_text",
    "scenario_table",
    "scenario_text",
    "solving",
    "solving_text",
    "split_error",
    "split_summary",
    "spread_between",
    "spread_in_words",
    "target_table",
    "target_text",
    "text_table",
    "to_csv",
    "to_json",
    "trend_table",
    "trend_text",
    "unsettled",
    "verdict_table",
    "verdicts",
    "watched",
    "with_controlled",
    "years_in_short",
    "years_to_detect_table",
    "years_to_detect_text",
]
