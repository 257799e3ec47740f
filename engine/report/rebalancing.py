"""What does balancing every draw do? The section of one consumer and stressor."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis.rebalancing import (
    CHANGE,
    LEVEL,
    shift_error_of,
    shift_of,
    smallest_fall_of,
    spread_of,
)
from engine.report.matter import Matter, Section
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places
from engine.report.rows import Row
from engine.report.tables import Line, Table

_CLEAR = 3.0  # Monte Carlo standard errors beyond which a ratio is said to differ from one


def rebalancing_section(matter: Matter) -> Section:
    """The last year and the average yearly change in words, all years and changes in tables."""
    totals = [row for row in matter.rows if row["part"] == "total"]
    levels = [row for row in totals if row["kind"] == LEVEL]
    changes = [row for row in totals if row["kind"] == CHANGE]
    sentences = [_of_level(max(levels, key=lambda row: row["to_year"]))]
    if changes:
        sentences.append(_of_change(max(changes, key=_recent)))
    return Section(
        "What does balancing the tables do?",
        tuple(sentences),
        folded=tuple(_table(rows) for rows in (levels, changes) if rows),
        summary="Every year, without and with balancing",
        notes=(_what_it_is(), _assumption()),
    )


def _recent(row: Row) -> tuple[int, int]:
    """The last yearly change first."""
    return row["to_year"], row["from_year"]


def _what_it_is() -> str:
    return (
        "Errors leave a table whose rows and columns no longer add up to what was published. In "
        "this run every draw is balanced back to the published output and intermediate inputs of "
        "each industry and to the total of each country’s final demand. Every draw was also "
        "solved without that, from the same errors, so that the two can be compared."
    )


def _of_level(row: Row) -> str:
    what = f"the footprint’s uncertainty in {row['to_year']}"
    return f"Balancing each draw {_spread(row, what)}, and {_shift(row)}."


def _of_change(row: Row) -> str:
    years = f"{row['from_year']}{EN_DASH}{row['to_year']}"
    said = _spread(row, f"the uncertainty of the change {years}")
    without, _ = smallest_fall_of(row, "_unbalanced")
    with_it, unit = smallest_fall_of(row)
    if with_it is None:
        return f"It {said}."
    if without is None:
        least = f"{number(with_it, places(with_it))}{NBSP}{unit}"
        return (
            f"It {said}; the minimum detectable fall is {least}. Without balancing "
            "there would be none: too many draws are rejected."
        )
    decimals = places(with_it)
    least = f"{number(with_it, decimals)}{NBSP}{unit}"
    return (
        f"It {said}; the minimum detectable fall is {least}, without balancing "
        f"{number(without, decimals)}{NBSP}{unit}."
    )


def _spread(row: Row, what: str) -> str:
    ratio, error = row["sd_ratio"], row["sd_ratio_mcse"]
    if ratio is None:
        return f"does nothing that could be compared to {what}"
    (without, _), (with_it, unit) = spread_of(row, "_unbalanced"), spread_of(row)
    assert without is not None
    assert with_it is not None
    decimals = places(min(without, with_it))
    sizes = (
        f"(standard uncertainty {number(without, decimals)}{NBSP}{unit} without, "
        f"{number(with_it, decimals)}{NBSP}{unit} with it)"
    )
    if abs(ratio - 1) <= _CLEAR * error:
        return f"leaves {what} what it is, as far as these draws can tell {sizes}"
    word = "narrows" if ratio < 1 else "widens"
    return f"{word} {what} by {_by(ratio, error)} {sizes}"


def _by(ratio: float, error: float) -> str:
    decimals = max(places(100 * error) - 1, 0) if error > 0 else 0
    return f"{number(100 * abs(ratio - 1), decimals)}{NBSP}%"


def _shift(row: Row) -> str:
    (moved, unit), error = shift_of(row), shift_error_of(row)
    if moved is None or error is None:
        return "its mean cannot be compared"
    if abs(moved) <= _CLEAR * error:
        return "leaves its mean where it is, as far as these draws can tell"
    word = "raises" if moved > 0 else "lowers"
    return f"{word} its mean by {number(abs(moved), places(error))}{NBSP}{unit}"


def _assumption() -> str:
    return (
        "The published outputs, intermediate inputs and totals of final demand are thereby taken "
        "as known without error. That is an assumption: publishers balance their tables, but the "
        "margins they balance to have errors of their own, which are in no interval here."
    )


def _table(rows: Sequence[Row]) -> Table:
    of_levels = rows[0]["kind"] == LEVEL
    what = "relative standard uncertainty" if of_levels else "standard uncertainty"
    head = [
        "Year" if of_levels else "Years",
        "Shift of the mean",
        "Uncertainty without",
        "with",
        "Ratio",
    ]
    if not of_levels:
        head += ["MDC (fall) without", "with"]
    return Table(
        f"Totals without and with balancing: mean of the paired differences, {what}, and the ratio "
        "of standard deviations among the same draws, each ± one Monte Carlo standard error where "
        "one is shown.",
        tuple(head),
        tuple(Line(tuple(_cells(row, of_levels))) for row in rows),
    )


def _cells(row: Row, of_levels: bool) -> list[str]:
    without, with_it = spread_of(row, "_unbalanced"), spread_of(row)
    years = str(row["to_year"])
    if not of_levels:
        years = f"{row['from_year']}{EN_DASH}{row['to_year']}"
    cells = [years, _moved(row), _number(without, without[0]), _number(with_it, without[0])]
    cells.append(_give_or_take(row["sd_ratio"], row["sd_ratio_mcse"], ""))
    if of_levels:
        return cells
    return cells + [_number(smallest_fall_of(row, way), without[0]) for way in ("_unbalanced", "")]


def _moved(row: Row) -> str:
    moved, unit = shift_of(row)
    return _give_or_take(moved, shift_error_of(row), unit)


def _give_or_take(value: float | None, error: float | None, unit: str) -> str:
    if value is None or error is None:
        return NOTHING
    shown = number(value, places(error) if error > 0 else 3)
    off = f"{NBSP}±{NBSP}{number(error, places(error))}" if error > 0 else ""
    return f"{shown}{off}{NBSP}{unit}".rstrip()


def _number(told: tuple[float | None, str], scale: float | None) -> str:
    value, unit = told
    if value is None:
        return NOTHING
    return f"{number(value, places(scale or value))}{NBSP}{unit}".rstrip()
