"""Decoupling with labels: a footprint's change beside that of real GDP."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from engine.analysis.asked import Decoupling, Output
from engine.analysis.changes import changes
from engine.analysis.selection import Selection, select
from engine.analysis.tables import NOTHING, Row, aligned, plain, probability, verdict_table
from engine.kernels import decoupling as kernel
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict, accepted_draws

MEANING = (
    "absolute: the footprint fell and real GDP rose; relative: the footprint grew less than real "
    "GDP. Errors of GDP are taken as independent of those of the footprint"
)
_OF_CHANGE = (
    "draws",
    "acceptance",
    "relative_change",
    "relative_low",
    "relative_low_mcse",
    "relative_high",
    "relative_high_mcse",
    "p_decrease",
    "p_decrease_mcse",
    "p_decrease_low",
    "p_decrease_low_mcse",
    "p_decrease_high",
    "p_decrease_high_mcse",
)
_OF_GDP = ("gdp_first", "gdp_last", "gdp_change", "gdp_change_sd", "p_gdp_rose")
_PROBABILITIES = tuple(
    f"p_{kind}{mirrored}{error}"
    for kind in ("absolute", "relative")
    for mirrored in ("", "_reflected")
    for error in ("", "_mcse", "_low", "_low_mcse", "_high", "_high_mcse")
)


def decoupling_table(
    ensemble: xr.Dataset, asked: Decoupling | None, rule: DetectionRule
) -> list[Row]:
    """One row for each stressor and consumer; `left_out` says why where there is nothing to tell.

    Changes are fractions of the first year, `gdp_change_sd` is in log points, `intensity_change` is
    that of the estimated footprint per unit of real GDP.

    Args:
        asked: None where nothing is asked: no rows.

    Raises:
        InputError: the ensemble lacks a year of the span.
    """
    if asked is None:
        return []
    totals = ensemble.sel(part=["total"])
    pair = (asked.span.from_year, asked.span.to_year)
    found = verdict_table(changes(totals, rule, [pair]))
    drawn = select(totals, None, None)
    return [_row(change, drawn, pair, asked) for change in found]


def _row(change: Row, drawn: Selection, pair: tuple[int, int], asked: Decoupling) -> Row:
    labels = ("stressor", "unit", "consumer", "part", "from_year", "to_year")
    row: Row = {name: change[name] for name in (*labels, *_OF_CHANGE)}
    row |= dict.fromkeys((*_OF_GDP, "intensity_change", *_PROBABILITIES))
    row |= {"confidence": change["confidence"], "source": asked.source, "left_out": ""}
    output = {one.year: one for one in asked.output if one.consumer == change["consumer"]}
    missing = [str(year) for year in pair if year not in output]
    if missing:
        return row | {"left_out": f"no GDP of {' and '.join(missing)}"}
    first, last = (output[year] for year in pair)
    row |= _growth(first, last, asked.correlation)
    if change["scale"] != "log":
        return row | {"left_out": "the footprint has no logarithm: some values are not positive"}
    if change["verdict"] == Verdict.NOT_ASSESSED:
        return row | {"left_out": "the error model leaves no error of the footprint's change"}
    row["intensity_change"] = (1 + row["relative_change"]) / (1 + row["gdp_change"]) - 1
    delta, observed, rejected = _delta(change, drawn, pair)
    growth = float(np.log(last.gdp / first.gdp))
    probabilities = kernel.decoupling(delta, observed, growth, row["gdp_change_sd"], rejected)
    return row | {name: plain(value[()]) for name, value in probabilities.items()}


def _growth(first: Output, last: Output, correlation: float) -> Row:
    return {
        "gdp_first": first.gdp,
        "gdp_last": last.gdp,
        "gdp_change": last.gdp / first.gdp - 1,
        "gdp_change_sd": kernel.sigma_of_growth(first.rsd, last.rsd, correlation),
    }


def _delta(change: Row, drawn: Selection, pair: tuple[int, int]) -> tuple[F64, F64, int]:
    """delta of every draw accepted in both years, that of the estimate, and the draws rejected."""
    i, j = (
        [str(name) for name in drawn.coords[dim].to_numpy()].index(change[dim])
        for dim in ("stressor", "consumer")
    )
    s, t = (drawn.years.index(year) for year in pair)
    there = drawn.computed[:, s] & drawn.computed[:, t]
    accepted = accepted_draws(drawn.footprint[there, s], drawn.footprint[there, t])
    first, last = (drawn.footprint[there, year, i, j, 0][accepted] for year in (s, t))
    estimates = drawn.reference[[s, t], i, j, 0]
    rejected = len(accepted) - len(first)
    return np.log(last / first), np.asarray(np.log(estimates[1] / estimates[0])), rejected


def decoupling_text(rows: Sequence[Row]) -> str:
    """One line for each consumer and stressor, and a word on those left out."""
    first = rows[0]
    head = ["consumer", "footprint", "real GDP", "per GDP", "P(absolute)", "P(relative)"]
    told = [row for row in rows if not row["left_out"]]
    title = f"decoupling, {first['from_year']}-{first['to_year']}; GDP: {first['source']}"
    left = [
        f"{row['consumer']}, {row['stressor']} left out: {row['left_out']}"
        for row in rows
        if row["left_out"]
    ]
    table = list(aligned([head, *map(_line, told)])) if told else []
    return "\n".join([title, *table, *left, MEANING])


def _line(row: Row) -> list[str]:
    return [
        f"{row['consumer']}, {row['stressor']}",
        *(_percent(row[name]) for name in ("relative_change", "gdp_change", "intensity_change")),
        *(probability(row[name], row["draws"]) for name in ("p_absolute", "p_relative")),
    ]


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:+.1f} %"
