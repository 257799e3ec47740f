"""The tables of the page: every cell already in words, so that the template only lays them out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.kernels.changes import DetectionRule
from engine.report.naming import CODES, Names
from engine.report.numbers import (
    NBSP,
    NOTHING,
    correlation,
    number,
    places,
    supported,
    two_digits,
)
from engine.report.rows import Change, Level
from engine.report.sentences import break_even
from engine.report.words import TOO_MANY_REJECTED, chance, estimate, level, mdc, step, years

_VISIBLE = 0.1  # a bias of a change is spoken of from a tenth of a standard uncertainty on


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `verdict` is shown as a mark at its end, `note` in small letters under it."""

    cells: tuple[str, ...]
    verdict: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """What a table says, the names of its columns, and its lines; first cells are headings."""

    caption: str
    head: tuple[str, ...]
    lines: tuple[Line, ...]


# --- levels -------------------------------------------------------------------------------------


def levels_table(
    levels: Sequence[Level], parts: Sequence[tuple[str, Sequence[Level]]] = ()
) -> Table:
    """The total of each year with its uncertainty and interval, and its parts beside it."""
    beside = "; parts with theirs in brackets" if parts else ""
    return Table(
        f"The footprint of each year, in {levels[0].unit}: estimate, standard uncertainty and "
        f"interval{beside}.",
        ("Year", "Estimate", "Uncertainty", "95 % interval", *(title for title, _ in parts)),
        tuple(
            Line((*_level_cells(row), *(_part_cell(own[i]) for _, own in parts)))
            for i, row in enumerate(levels)
        ),
    )


def _level_cells(row: Level) -> tuple[str, ...]:
    decimals = places(row.sd)
    relative = (
        f" ({two_digits(100 * row.sd / abs(row.reference))}{NBSP}%)"
        if row.reference and row.sd > 0
        else ""
    )
    of_ends = supported(decimals, row.q025_mcse, row.q975_mcse)
    low, high = number(row.q025, of_ends), number(row.q975, of_ends)
    return (
        str(row.year),
        number(row.reference, decimals),
        number(row.sd, decimals) + relative,
        NOTHING if low == NOTHING else f"{low} to {high}",
    )


def _part_cell(row: Level) -> str:
    return f"{number(row.reference, places(row.sd))} ({two_digits(row.sd)})"


# --- changes ------------------------------------------------------------------------------------


def changes_table(changes: Sequence[Change], rule: DetectionRule, caption: str) -> Table:
    """Change, interval, probability, uncertainty, MDC and verdict of each pair of years."""
    lines = tuple(_change_line(change) for change in changes)
    return _with_common_note(
        Table(
            caption,
            (
                "Years",
                "Change",
                f"{level(rule)} interval",
                "P(fall)",
                "σ" if all(change.logarithmic for change in changes) else "Standard uncertainty",
                "MDC, fall / rise",
                "Verdict",
            ),
            lines,
        )
    )


def _with_common_note(table: Table) -> Table:
    """What is noted at every line is said once, above the table."""
    notes = {line.note for line in table.lines}
    if len(table.lines) < 2 or len(notes) != 1 or notes == {""}:
        return table
    lines = tuple(replace(line, note="") for line in table.lines)
    return Table(f"{table.caption} Every line: {notes.pop()}.", table.head, lines)


def _change_line(change: Change) -> Line:
    printed, name = estimate(change), years(change)
    if change.part != "total":
        name = f"{name} {change.part}"
    if change.verdict == "not assessed":
        blank = (NOTHING,) * 4
        return Line((name, printed.value + printed.unit, *blank), change.verdict)
    fall, rise = mdc(change)
    return Line(
        (
            name,
            printed.value + printed.unit,
            printed.interval,
            chance(change.p_decrease, change),
            printed.sigma + printed.unit,
            _mdc_cell(fall, rise, printed.unit),
        ),
        change.verdict,
        _remarks(change),
    )


def _mdc_cell(fall: str, rise: str, unit: str) -> str:
    if NOTHING in (fall, rise):
        return NOTHING
    return f"{fall} / {rise}{unit}" if fall != rise else fall + unit


def _remarks(change: Change) -> str:
    remarks = []
    if change.asymmetric:
        reflected = chance(change.p_decrease_reflected, change)
        remarks.append(f"mirrored, P(fall) is {reflected}: the two ways of counting disagree")
    if change.acceptance < 1:
        low, high = (chance(p, change) for p in (change.p_decrease_low, change.p_decrease_high))
        remarks.append(f"P(fall) from {low} to {high}, whatever the rejected draws hold")
    if not change.decidable:
        remarks.append(TOO_MANY_REJECTED)
    elif side := _biased_against(change):
        remarks.append(f"delta is biased against a {side}, which has to be larger to be found")
    if not change.logarithmic:
        remarks.append("judged on the raw difference, since some values are not positive")
    return "; ".join(remarks)


def _biased_against(change: Change) -> str:
    """The side on which the draws' mean, not being the estimate, asks for a larger change."""
    bias = (change.mdc_decrease - change.mdc_increase) / 2
    visible = max(_VISIBLE, 3 / math.sqrt(max(change.draws, 1))) * change.sigma
    if abs(bias) < visible:
        return ""
    return "fall" if bias > 0 else "rise"


def break_even_table(changes: Sequence[Change]) -> Table:
    """How much correlation each change would need."""
    return Table(
        "The correlation each change needs to be detectable, with errors of the present size.",
        ("Year", "Change", "Correlation here", "Break-even", "Reading"),
        tuple(
            Line(
                (
                    step(change),
                    estimate(change).value + estimate(change).unit,
                    correlation(change.rho, change.rho_mcse),
                    _break_even_number(change),
                    break_even(change),
                )
            )
            for change in changes
        ),
    )


def _break_even_number(change: Change) -> str:
    rho = change.rho_break_even
    if not -1 <= rho < 1:
        return "never" if rho >= 1 else "always"
    return correlation(rho, change.rho_break_even_mcse)


# --- is the answer numerically safe? ------------------------------------------------------------


def monte_carlo_table(
    headlines: Sequence[tuple[Change, Sequence[Change]]],
    rule: DetectionRule,
    names: Names = CODES,
) -> Table:
    """Every sampled number of a headline, with one Monte Carlo standard error.

    Args:
        headlines: the change over all years and the successive changes, one pair a headline.
    """
    return Table(
        "The numbers of the headlines that were sampled, each ± one Monte Carlo standard error.",
        (
            "Change",
            f"{level(rule)} interval, from",
            "to",
            "P(fall)",
            "Largest MDC of a fall",
        ),
        tuple(_monte_carlo_line(whole, successive, names) for whole, successive in headlines),
    )


def _monte_carlo_line(change: Change, successive: Sequence[Change], names: Names) -> Line:
    name = f"{names.of(change.consumer)}, {names.of(change.stressor)}, {years(change)}"
    if change.verdict == "not assessed":
        return Line((name, *(NOTHING,) * 4))
    unit, scale = estimate(change).unit, 100.0 if change.logarithmic else 1.0
    ends = (
        (change.relative_low, change.relative_low_mcse),
        (change.relative_high, change.relative_high_mcse),
    )
    if not change.logarithmic:
        ends = (
            (change.change_low, change.change_low_mcse),
            (change.change_high, change.change_high_mcse),
        )
    low, high = (
        _give_or_take(scale * value, scale * error, sign=True) + unit for value, error in ends
    )
    return Line((name, low, high, _counted(change), _largest_mdc(successive)))


def _largest_mdc(successive: Sequence[Change]) -> str:
    assessed = [change for change in successive if change.verdict != "not assessed"]
    if not assessed or not all(change.decidable for change in assessed):
        return NOTHING
    largest = max(assessed, key=lambda change: change.mdc_decrease)
    if not largest.logarithmic:
        return (
            f"{_give_or_take(largest.mdc_decrease, largest.mdc_decrease_mcse)}{NBSP}{largest.unit}"
        )
    # To first order: d(1 - exp(-mdc)) = exp(-mdc) d mdc.
    error = 100 * math.exp(-largest.mdc_decrease) * largest.mdc_decrease_mcse
    return f"{_give_or_take(largest.mdc_decrease_percent, error)}{NBSP}%"


def _give_or_take(value: float, error: float, *, sign: bool = False) -> str:
    return f"{number(value, places(error), sign=sign)}{NBSP}±{NBSP}{two_digits(error)}"


def _counted(change: Change) -> str:
    """A probability with its Monte Carlo error; near certainty the bound says it all."""
    p, error = 100 * change.p_decrease, 100 * change.p_decrease_mcse
    if min(p, 100 - p) < 3 * error:
        return chance(change.p_decrease, change)
    return f"{_give_or_take(p, error)}{NBSP}%"
