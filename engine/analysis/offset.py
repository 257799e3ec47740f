"""The offset abroad with labels: `engine.kernels.offset` for every consumer and stressor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from engine.analysis.asked import Span
from engine.analysis.selection import Selection, select
from engine.analysis.split_error import consecutive_and_whole, rms_apart
from engine.analysis.tables import NOTHING, Row, aligned, number, plain, probability
from engine.errors import InputError
from engine.kernels import offset as kernel
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import DetectionRule

HOME, ABROAD = "home", "abroad"
MEANING = (
    "offset: emissions at home (domestic and direct) fell and those abroad rose, in the same draw; "
    "made up for: -(change abroad) / (change at home), below zero where both fell, told where a "
    "fall at home has a probability of 97.5 % or more, whatever Monte Carlo error and rejected "
    "draws leave open. Nothing is said of causes"
)


def offset_table(ensemble: xr.Dataset, span: Span | None, rule: DetectionRule) -> list[Row]:
    """One row for each stressor, consumer and change: the span asked, then from year to year.

    `home` is the domestic part with direct emissions, the total less the foreign part; changes are
    in `unit`. `share_...` are quantiles of the share of the fall at home that the foreign part made
    up for.

    Args:
        span: None where nothing is asked: no rows.

    Raises:
        InputError: the ensemble lacks a year of the span, or the foreign part.
    """
    if span is None:
        return []
    if "foreign" not in ensemble["part"].to_numpy():
        raise InputError(
            "the ensemble has no foreign part",
            where="offset",
            remedy="add `foreign` to question.parts and run in another folder",
        )
    asked = select(ensemble.sel(part=["total", "foreign"]), None, None)
    for year in (span.from_year, span.to_year):
        if year not in asked.years:
            raise InputError(
                f"the ensemble has no year {year}",
                where="offset",
                remedy=f"it has {', '.join(map(str, asked.years))}",
            )
    within = [year for year in sorted(asked.years) if span.from_year <= year <= span.to_year]
    return [
        row for pair in reversed(consecutive_and_whole(within)) for row in _rows(asked, pair, rule)
    ]


def _rows(asked: Selection, pair: tuple[int, int], rule: DetectionRule) -> list[Row]:
    s, t = (asked.years.index(year) for year in pair)
    there = asked.computed[:, s] & asked.computed[:, t]

    home, abroad = (_part(asked, there, s, t, position) for position in (HOME, ABROAD))
    # Home is a difference of two footprints, each with the error certified for the total.
    found = kernel.offset(home, abroad, 2 * asked.error[there, s], 2 * asked.error[there, t], rule)
    units = asked.coords.get("stressor_unit")
    rows = []
    for i, j in np.ndindex(found["draws"].shape):
        labels: Row = {
            "stressor": str(asked.coords["stressor"].to_numpy()[i]),
            "unit": "" if units is None else str(units.to_numpy()[i]),
            "consumer": str(asked.coords["consumer"].to_numpy()[j]),
            "from_year": pair[0],
            "to_year": pair[1],
        }
        values = {name: plain(column[i, j]) for name, column in found.items()}
        rows.append(labels | values | {"confidence": rule.confidence})
    return rows


def _part(asked: Selection, there: Bool, s: int, t: int, which: str) -> kernel.Part:
    def of(values: F64) -> F64:
        abroad = values[..., 1]
        return abroad if which == ABROAD else values[..., 0] - abroad

    drawn = of(asked.footprint[there, s]), of(asked.footprint[there, t])
    estimates = of(asked.reference[s]), of(asked.reference[t])
    apart: F64 | float = 0.0
    if asked.exact is not None:
        exact = of(asked.exact[there, s]), of(asked.exact[there, t])
        apart = rms_apart(drawn, exact, estimates)
    return kernel.Part(*drawn, *estimates, apart)


def offset_text(rows: Sequence[Row]) -> str:
    """One line for each consumer and stressor: the longest change alone."""
    longest = max(row["to_year"] - row["from_year"] for row in rows)
    shown = [row for row in rows if row["to_year"] - row["from_year"] == longest]
    first = shown[0]
    level = f"{100 * first['confidence']:.4g} % interval"
    head = ["consumer", "home", "abroad", "P(offset)", "P(both fell)", "made up for", level]
    title = f"offset abroad, {first['from_year']}-{first['to_year']}"
    return "\n".join([title, *aligned([head, *map(_line, shown)]), MEANING])


def _line(row: Row) -> list[str]:
    return [
        f"{row['consumer']}, {row['stressor']}",
        f"{row['home_change']:+.4g} {row['unit']}".rstrip(),
        f"{row['abroad_change']:+.4g} {row['unit']}".rstrip(),
        probability(row["p_offset"], row["draws"]),
        probability(row["p_both_fell"], row["draws"]),
        _percent(row["share_median"]),
        NOTHING
        if row["share_low"] is None
        else f"{_percent(row['share_low'])} to {_percent(row['share_high'])}",
    ]


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{number(100 * share, 0)} %"
