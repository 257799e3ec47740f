"""Does the footprint fall while output grows? The section of one consumer and stressor."""

from __future__ import annotations

import math

from engine.report.matter import Matter, Section
from engine.report.numbers import EN_DASH, NBSP, NOTHING, percent, places, probability
from engine.report.rows import Row
from engine.report.tables import Line, Table


def decoupling_section(matter: Matter) -> Section:
    """One sentence and one line: a change beside another."""
    (row,) = matter.rows
    years = f"{row['from_year']}{EN_DASH}{row['to_year']}"
    if row["left_out"]:
        return Section("Did it decouple from output?", (f"{years}: left out, {row['left_out']}.",))
    return Section(
        "Did it decouple from output?",
        (_sentence(row, years),),
        tables=(_table(row),),
        notes=(
            "Absolute decoupling: the footprint fell while real GDP rose. Relative decoupling: it "
            "grew less than real GDP. The error of GDP is taken as independent of the footprint's; "
            f"its source: {row['source']}.",
        ),
    )


def _sentence(row: Row, years: str) -> str:
    footprint = _moved(row["relative_change"], _footprint_places(row))
    return (
        f"{years}: the estimated footprint {footprint} and real GDP "
        f"{_moved(row['gdp_change'], _gdp_places(row))}. With a probability of "
        f"{_p(row, 'p_absolute')} the footprint fell while real GDP rose (absolute decoupling); "
        f"with {_p(row, 'p_relative')} it grew less than real GDP (relative decoupling)."
    )


def _moved(change: float, decimals: int) -> str:
    if change == 0:
        return "did not change"
    return f"{'rose' if change > 0 else 'fell'} by {percent(abs(100 * change), decimals)}"


def _footprint_places(row: Row) -> int:
    """To two digits of half the coverage interval's half-width, about a standard uncertainty."""
    if row["relative_low"] is None or row["relative_high"] is None:
        return 1
    return places(25 * (row["relative_high"] - row["relative_low"]))


def _gdp_sd(row: Row) -> float:
    """Standard uncertainty of real GDP's change, in percent of the first year."""
    return float(100 * row["gdp_change_sd"] * (1 + row["gdp_change"]))


def _gdp_places(row: Row) -> int:
    return places(_gdp_sd(row)) if _gdp_sd(row) > 0 else 1


def _p(row: Row, name: str) -> str:
    value = row[name]
    return probability(math.nan if value is None else value, row["draws"])


def _table(row: Row) -> Table:
    interval = NOTHING
    if row["relative_low"] is not None and row["relative_high"] is not None:
        decimals = _footprint_places(row)
        low, high = (
            percent(100 * row[f"relative_{end}"], decimals, sign=True) for end in ("low", "high")
        )
        interval = f"{low} to {high}"
    sd = percent(_gdp_sd(row), _gdp_places(row))
    return Table(
        "The footprint's change beside that of real GDP.",
        (
            "Years",
            "Footprint",
            f"{100 * row['confidence']:.4g}{NBSP}% interval",
            "Real GDP",
            "Standard uncertainty",
            "Footprint per GDP",
            "P(absolute)",
            "P(relative)",
        ),
        (
            Line(
                (
                    f"{row['from_year']}{EN_DASH}{row['to_year']}",
                    percent(100 * row["relative_change"], _footprint_places(row), sign=True),
                    interval,
                    percent(100 * row["gdp_change"], _gdp_places(row), sign=True),
                    sd,
                    percent(100 * row["intensity_change"], _footprint_places(row), sign=True),
                    _p(row, "p_absolute"),
                    _p(row, "p_relative"),
                )
            ),
        ),
    )
