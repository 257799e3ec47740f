"""Is it declining? The section on steady trends, from the rows of `engine.analysis.trend_table`."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis import first_seen, in_short, misfits
from engine.kernels.changes import DetectionRule
from engine.report.matter import Matter, Section
from engine.report.numbers import (
    EN_DASH,
    NBSP,
    NOTHING,
    number,
    percent,
    places,
    probability,
    supported,
)
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import TOO_MANY_REJECTED, cardinal, level, miss

_SEEN = "First shown (looks allowed for)"


def trend_section(matter: Matter) -> Section:
    """The slope over all years, with and without real variability, and when it first showed."""
    totals = [row for row in matter.rows if row["part"] == "total"]
    sentences = [_slope(row, matter.rule) for row in totals]
    alone = totals[0]
    if alone["reason"] == "":
        sentences += [*_misfit(alone), *_scatter(alone), _least(totals, matter.rule)]
        sentences += _looking_back(alone, matter.rule)
    return Section(
        "Is it declining?",
        (" ".join(sentences),),
        folded=(_table(matter),),
        summary="The slope of the total and of each part",
        notes=_notes(totals),
    )


def _notes(totals: Sequence[Row]) -> tuple[str, ...]:
    """Why a trend is another question than a change, and where real variability comes from."""
    stated = [row for row in totals if row["real_sd"]]
    rest = (
        "scenarios of that are stated, and told one by one."
        if stated
        else "no scenario of that is stated here, so this trend counts measurement error alone."
    )
    sources = "; ".join(
        f"{100 * row['real_sd']:g}{NBSP}% with a correlation of {row['real_phi']:g} from one year "
        f"to the next (source: {row['real_source']})"
        for row in stated
    )
    return (
        "Whether one year differs from another hangs on errors of measurement alone. Whether the "
        "footprint is declining also hangs on how much it truly varies from year to year: " + rest,
        *([f"Real year-to-year variability stated: {sources}."] if sources else []),
        "Where the years leave their line by more than their errors explain, the footprint truly "
        "varied, or its errors are larger than assumed, and a trend that counts measurement error "
        "alone is surer than it should be. First shown is retrospective, with today's tables; in "
        "brackets with what looking every year costs.",
    )


def _slope(row: Row, rule: DetectionRule) -> str:
    with_real = (
        f"With real year-to-year variability of {100 * row['real_sd']:g}{NBSP}% (correlation "
        f"{row['real_phi']:g}), a"
        if row["real_sd"]
        else "A"
    )
    opening = f"{with_real} steady trend through the {cardinal(row['years'])} years {_span(row)}"
    if row["verdict"] == "not assessed":
        return f"{opening} is not assessed: {row['reason']}."
    falls = row["slope_percent"] < 0
    decimals = places(row["error_percent"])
    size = percent(abs(row["slope_percent"]), decimals)
    word, p = ("fall", row["p_decrease"]) if falls else ("rise", 1 - row["p_decrease"])
    judged = {
        "falling": "which is detectable",
        "rising": "which is detectable",
        "not detectable": "which is not detectable",
        "needs more draws": "and more draws are needed to tell whether that is detectable",
        "borderline": "which is at the limit of detection and treated as not detectable",
    }[row["verdict"]]
    return (
        f"{opening} {word}s by {size} a year ({level(rule)} interval {_interval(row)}), {judged}; "
        f"probability of a true {word} {probability(p, row['draws'], rule.alpha / 2)}."
    )


def _misfit(row: Row) -> list[str]:
    if not misfits(row):
        return []
    return [
        f"The years leave this line by more than their errors explain: {row['misfit']:.2g} times "
        "the variance expected. A trend that counts measurement error alone is then surer than it "
        "should be."
    ]


def _scatter(row: Row) -> list[str]:
    if row["scatter_percent"] is None:
        return []
    return [
        "For orientation, and no estimate of real variability: the point estimates scatter about a "
        f"straight line with a standard deviation of {row['scatter_percent']:.2g}{NBSP}%, "
        "measurement error included."
    ]


def _least(totals: Sequence[Row], rule: DetectionRule) -> str:
    shown = [
        f"{percent(row['mdc_decrease_percent'], places(row['mdc_decrease_percent']))} a year"
        + (f" with real variability of {100 * row['real_sd']:g}{NBSP}%" if row["real_sd"] else "")
        for row in totals
        if row["mdc_decrease_percent"] is not None
    ]
    if not shown:
        return f"{TOO_MANY_REJECTED.capitalize()}."
    return (
        f"Over these years a true steady fall of {', or '.join(shown)} would be missed "
        f"{miss(rule, 'case')}."
    )


def _looking_back(row: Row, rule: DetectionRule) -> list[str]:
    """Retrospective, with what looking every year costs."""
    if row["slope_percent"] >= 0:
        return []
    looks, alpha = cardinal(row["looks"]), f"{100 * rule.alpha:.4g}{NBSP}%"
    base = row["from_year"]
    if row["earliest"] is None:
        return [
            f"Looking back with today's tables and errors (retrospective), in none of the {looks} "
            f"years since {base} would a decline since then have shown."
        ]
    first = f"Looking back with today's tables and errors (retrospective), the decline since {base}"
    first += f" first shows in {_year(row, 'earliest')}"
    if row["lasting_from"] is None:
        first += ", and no longer in the last year"
    elif row["lasting_from"] != row["earliest"]:
        first += f", and in every year from {row['lasting_from']} on"
    if row["looks"] < 2:
        return [f"{first}."]
    adjusted = (
        f"it first shows in {_year(row, 'earliest_adjusted')}"
        if row["earliest_adjusted"] is not None
        else "it shows in no year"
    )
    return [
        f"{first}. Who looks every year and stops at the first sign sees a change where there is "
        f"none with a probability of {100 * row['false_detection']:.0f}{NBSP}%, not {alpha}; with "
        f"{alpha} over all {looks} looks together, {adjusted}."
    ]


def _year(row: Row, name: str) -> str:
    """A year, with the range that Monte Carlo error leaves open."""
    soonest, latest = row[f"{name}_soonest"], row[f"{name}_latest"]
    year = str(row[name])
    if soonest == latest:
        return year
    end = "no year" if latest is None else str(latest)
    return f"{year} (Monte Carlo error leaves {soonest} to {end} open)"


def _span(row: Row) -> str:
    return f"{row['from_year']}{EN_DASH}{row['to_year']}"


def _interval(row: Row) -> str:
    errors = (row[f"slope_{end}_percent_mcse"] for end in ("low", "high"))
    decimals = supported(places(row["error_percent"]), *(error or 0.0 for error in errors))
    low, high = (
        number(row[f"slope_{end}_percent"], decimals, sign=True) for end in ("low", "high")
    )
    return f"{low} to {high}{NBSP}%"


def _table(matter: Matter) -> Table:
    return Table(
        f"The slope of a steady trend, in per cent a year, {_span(matter.rows[0])}.",
        (
            "Part",
            *(("Real variability",) if _stated(matter.rows) else ()),
            "Slope",
            f"{level(matter.rule)} interval",
            "P(fall)",
            "MDC of a fall",
            *((_SEEN,) if _ever_seen(matter.rows) else ()),
            "Verdict",
        ),
        tuple(
            _line(row, stated=_stated(matter.rows), seen=_ever_seen(matter.rows))
            for row in matter.rows
        ),
    )


def _ever_seen(rows: Sequence[Row]) -> bool:
    """Whether a decline showed in any year."""
    return any(year is not None for row in rows for year in first_seen(row))


def _stated(rows: Sequence[Row]) -> bool:
    """Whether there is a scenario of real variability."""
    return any(row["real_sd"] for row in rows)


def _line(row: Row, *, stated: bool, seen: bool) -> Line:
    real = (in_short(row).replace(" %", f"{NBSP}%"),) if stated else ()
    if row["verdict"] == "not assessed":
        nothing = (NOTHING,) * (5 if seen else 4)
        return Line((row["part"], *real, *nothing), row["verdict"], row["reason"])
    decimals, mdc = places(row["error_percent"]), row["mdc_decrease_percent"]
    notes = []
    if misfits(row):
        notes.append("the years leave their line by more than these errors explain")
    if row["asymmetric"]:
        reflected = probability(row["p_decrease_reflected"], row["draws"])
        notes.append(f"mirrored, P(fall) is {reflected}: the two ways of counting disagree")
    return Line(
        (
            row["part"],
            *real,
            percent(row["slope_percent"], decimals, sign=True),
            _interval(row),
            probability(row["p_decrease"], row["draws"], (1 - row["confidence"]) / 2),
            NOTHING if mdc is None else percent(mdc, places(mdc)),
            *((_first_shown(row),) if seen else ()),
        ),
        row["verdict"],
        "; ".join(notes),
    )


def _first_shown(row: Row) -> str:
    """`2013 (2015)`: alone, and with all looks allowed for."""
    alone, allowed = first_seen(row)
    if alone is None:
        return NOTHING
    return f"{alone} ({allowed if allowed is not None else NOTHING})"
