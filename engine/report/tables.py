"""The tables of the page: every cell already in words, so that the template only lays them out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.kernels.changes import DetectionRule
from engine.report.numbers import NBSP, NOTHING, correlation, number, places, two_digits
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


def levels_table(levels: Sequence[Level]) -> Table:
    """Point estimates with their standard uncertainties, and what the draws centre on."""
    unit = levels[0].unit
    return Table(
        f"The total footprint of each year, in {unit}. The estimate comes from the published "
        "table; all else from the draws.",
        ("Year", "Estimate", "Standard uncertainty", "95 % interval", "Mean", "Median"),
        tuple(_level_line(row) for row in levels),
    )


def _level_line(row: Level) -> Line:
    decimals = places(row.sd)
    relative = (
        f" ({two_digits(100 * row.sd / abs(row.reference))}{NBSP}%)"
        if row.reference and row.sd > 0
        else ""
    )
    low, high = number(row.q025, decimals), number(row.q975, decimals)
    return Line(
        (
            str(row.year),
            number(row.reference, decimals),
            number(row.sd, decimals) + relative,
            NOTHING if low == NOTHING else f"{low} to {high}",
            number(row.mean, decimals),
            number(row.median, decimals),
        )
    )


def parts_table(parts: Sequence[tuple[str, Sequence[Level]]]) -> Table:
    """The parts of each year side by side, each with its standard uncertainty."""
    unit = parts[0][1][0].unit
    lines = []
    for same_year in zip(*(levels for _, levels in parts), strict=True):
        cells = [
            f"{number(row.reference, places(row.sd))} ({two_digits(row.sd)})" for row in same_year
        ]
        lines.append(Line((str(same_year[0].year), *cells)))
    return Table(
        f"Parts of the footprint, in {unit}: estimate (standard uncertainty).",
        ("Year", *(title for title, _ in parts)),
        tuple(lines),
    )


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


def part_changes_table(changes: Sequence[Change], rule: DetectionRule) -> Table:
    """The change over all years, part by part."""
    table = changes_table(changes, rule, f"The change {years(changes[0])} by part.")
    lines = tuple(
        replace(line, cells=(change.part, *line.cells[1:]))
        for change, line in zip(changes, table.lines, strict=True)
    )
    return Table(table.caption, ("Part", *table.head[1:]), lines)


def _change_line(change: Change) -> Line:
    printed, name = estimate(change), years(change)
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
        ("Year", "Change", "σ", "Correlation here", "Break-even", "Reading"),
        tuple(
            Line(
                (
                    step(change),
                    estimate(change).value + estimate(change).unit,
                    estimate(change).sigma + estimate(change).unit,
                    correlation(change.rho),
                    _break_even_number(change.rho_break_even),
                    break_even(change),
                )
            )
            for change in changes
        ),
    )


def _break_even_number(rho: float) -> str:
    return "never" if rho >= 1 else "always" if rho < -1 else correlation(rho)


# --- is the answer numerically safe? ------------------------------------------------------------


def monte_carlo_table(
    headlines: Sequence[tuple[Change, Sequence[Change]]], rule: DetectionRule
) -> Table:
    """Every sampled number of a headline, with one Monte Carlo standard error.

    Args:
        headlines: the change over all years and the successive changes, one pair a headline.
    """
    return Table(
        "The numbers of the headlines that were sampled, each ± one Monte Carlo standard error.",
        (
            "Change",
            f"Lower end of the {level(rule)} interval",
            "Upper end",
            "P(fall)",
            "Largest MDC of a fall between successive years",
        ),
        tuple(_monte_carlo_line(whole, successive) for whole, successive in headlines),
    )


def _monte_carlo_line(change: Change, successive: Sequence[Change]) -> Line:
    name = f"{change.consumer}, {change.stressor}, {years(change)}"
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
