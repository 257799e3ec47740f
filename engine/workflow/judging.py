"""By which rule a run is judged, and its changes judged by it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import xarray as xr

from engine import analysis
from engine.kernels.changes import DetectionRule, spent_at_look
from engine.stores.record import Looks
from engine.workflow.folders import Run


def rule_of(run: Run, alpha: float | None = None, power: float | None = None) -> DetectionRule:
    """The detection rule of a run, with another error level or power where given.

    Raises:
        ConfigError: not a probability.
    """
    return overridden(DetectionRule(run.record.confidence, run.record.power), alpha, power)


def overridden(rule: DetectionRule, alpha: float | None, power: float | None) -> DetectionRule:
    """The rule with another error level or power where given.

    Raises:
        ConfigError: not a probability.
    """
    confidence = rule.confidence if alpha is None else 1 - alpha
    return replace(rule, confidence=confidence, power=rule.power if power is None else power)


def changes(
    ensemble: xr.Dataset,
    rule: DetectionRule,
    looks: Looks | None,
    pairs: list[tuple[int, int]] | None = None,
) -> xr.Dataset:
    """Changes of an ensemble, judged as the look that it is; none where it has one year.

    Args:
        pairs: of years; every pair if not given.
    """
    if ensemble.sizes["year"] < 2:
        return xr.Dataset()
    draws = ensemble.sizes["draw"]
    found = analysis.changes(ensemble, at_look(rule, looks, draws), pairs)
    return analysis.at_last_look(found) if looks and looks.final(draws) else found


def contributions(
    ensemble: xr.Dataset,
    by: str,
    rule: DetectionRule,
    looks: Looks | None,
    *,
    every: bool = False,
) -> list[dict[str, Any]]:
    """Changes of every contribution over the longest time, or of `every` pair of years."""
    years = sorted(int(year) for year in ensemble["year"].to_numpy())
    if len(years) < 2:
        return []
    pairs = None if every else [(years[0], years[-1])]
    found = changes(analysis.attributed(ensemble, by), rule, looks, pairs)
    rows = analysis.contribution_table(ensemble, found, by)
    final = looks is not None and looks.final(ensemble.sizes["draw"])
    return analysis.adjusted_at_last_look(rows) if final else rows


def at_look(rule: DetectionRule, looks: Looks | None, draws: int) -> DetectionRule:
    """The rule with what may be spent on a verdict at the look that so many draws are.

    A run of one look, taken when the user said so, spends all.
    """
    if looks is None:
        return rule
    spent = spent_at_look(looks.number(draws), rule.monte_carlo_error)
    return replace(rule, monte_carlo_error=spent)
