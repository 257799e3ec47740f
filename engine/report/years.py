"""How long until a decline shows, from the rows of `engine.analysis.years_to_detect_table`."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis import WHAT_IF, in_short, is_told, years_in_short
from engine.kernels.changes import DetectionRule
from engine.report.figures.years import Asked, Curve, years_to_detect
from engine.report.matter import Illustration, Matter, Section
from engine.report.naming import Names, listed
from engine.report.numbers import NBSP, number
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import level, miss

TITLE = "How long until a decline shows"
_TOLD_APART = 0.1  # Monte Carlo error of a share of the variance, beyond which it is not printed


def years_section(matter: Matter) -> Section:
    """The lines of all scenarios, the asked declines in words, and a table of them."""
    own = [row for row in matter.rows if row["own"] and row["part"] == "total"]
    told = [row for row in own if is_told(row)]
    if told[0]["reason"]:
        return Section(TITLE, (f"This is not told: {told[0]['reason']}.",))
    figures = (_figure(matter, told),) if matter.drawn else ()
    first = () if matter.drawn else (_message(told, matter.rule),)
    return Section(
        TITLE,
        first,
        figures,
        folded=(*_carried(own), *_what_if(own), _table(matter)),
        summary="How errors are carried on, and every scenario",
        notes=_notes(own),
    )


def _notes(own: Sequence[Row]) -> tuple[str, ...]:
    """How errors are carried on, and why more correlation is not always better."""
    several = own[0]["correlation"] in _IN_SHORT
    carried = (
        "A run of so few years cannot tell whether the errors that years share last or fade. The "
        "two extremes are shown; errors of which a part fades slowly can take longer than either."
        if several
        else "Errors are carried to years that this run does not have as its draws suggest."
    )
    asked = any(row["correlation"].startswith(WHAT_IF) for row in own)
    return (
        f"Years count from the first one. {carried} A range is what Monte Carlo error leaves open.",
        *([_NOT_ALWAYS_BETTER] if asked else []),
    )


_NOT_ALWAYS_BETTER = (
    "More correlation between successive years is not always better: for a trend, errors that fade "
    "slowly enough to look like one can be the worst."
)


# --- in words -------------------------------------------------------------------------------------


def _message(told: Sequence[Row], rule: DetectionRule) -> str:
    """`A steady fall of 2 % a year would show after 4 years, of 3 % after 3 and of 5 % after 2.`"""
    each = _by_line(told)
    (first, *others), several = list(each.values()), _several_laws(told)
    opening = f"A steady fall of {_listed(first)}"
    if several:
        opening += f", if {_assumption(first[0]['correlation'])}"
        opening += f"; of {_listed(others[0])}, if {_assumption(others[0][0]['correlation'])}"
        others = others[1:]
    missed = miss(rule, "case")
    message = (
        f"{opening}, if nothing but errors of measurement blurs it. Years count from the first "
        f"one, at {level(rule)} confidence; such a fall is still missed {missed}."
    )
    for line in others if not several else ():
        message += (
            f" With real year-to-year variability of {100 * line[0]['real_sd']:g}{NBSP}% "
            f"(correlation {line[0]['real_phi']:g}) these are "
            f"{listed([_years(row) for row in line])}."
        )
    return message


def _by_line(rows: Sequence[Row]) -> dict[tuple[str, float, float, str], list[Row]]:
    """Rows of one line of the figure, and of the table, together."""
    lines: dict[tuple[str, float, float, str], list[Row]] = {}
    for row in rows:
        key = (row["scenario"], row["real_sd"], row["real_phi"], row["correlation"])
        lines.setdefault(key, []).append(row)
    return lines


def _several_laws(told: Sequence[Row]) -> bool:
    return len({row["correlation"] for row in told}) > 1


def _listed(line: Sequence[Row]) -> str:
    first, *rest = line
    parts = [f"{first['decline_percent']:g}{NBSP}% a year would show after {_years(first)}"]
    parts += [f"one of {row['decline_percent']:g}{NBSP}% after {_years(row)}" for row in rest]
    return listed(parts)


def _years(row: Row) -> str:
    """`4 years`, `1 year`, `more than 40 years`, with the range of Monte Carlo error."""
    shown = years_in_short(row).replace("> ", f"more than{NBSP}")
    return f"{shown}{NBSP}{'year' if shown == '1' else 'years'}"


def _assumption(law: str) -> str:
    return {
        "lasting and yearly": "what the years' errors share lasts for good",
        "fading alone": "it fades with the years",
    }[law]


def _carried(own: Sequence[Row]) -> list[str]:
    """By what law errors are carried to years that the run does not have."""
    row = own[0]
    if row["correlation"] in ("lasting and yearly", "fading alone"):
        return [_fits(own)]
    if max(row["lasting_mcse"] or 0, row["fading_mcse"] or 0) > _TOLD_APART:
        shares = (
            f"{_share(row['yearly'])} of the variance is new every year; over so few years and "
            "draws it cannot be told how much of the rest lasts, and how much fades slowly"
        )
        return [_as_suggested(shares, row, own)]
    shares = (
        f"{_share(row['lasting'])} of the variance lasts, {_share(row['fading'])} fades (from one "
        f"year to the next {number(row['phi'], 2)} of it is left) and {_share(row['yearly'])} is "
        "new every year"
    )
    return [_as_suggested(shares, row, own)]


def _as_suggested(shares: str, row: Row, own: Sequence[Row]) -> str:
    return (
        f"Errors of {row['s_percent']:.2g}{NBSP}% in each year are carried on like this: {shares}. "
        f"{_fits(own)}"
    )


def _fits(own: Sequence[Row]) -> str:
    """How well each law that is told stands for the draws, over the years that these have."""
    told = {row["correlation"]: row["fit_ratio"] for row in own if is_told(row)}
    each = [
        f"{number(ratio, 2)} times the draws' own"
        + (f", if {_assumption(law)}" if len(told) > 1 else "")
        for law, ratio in told.items()
    ]
    return (
        f"Over the run's own years that gives a slope a standard uncertainty {', and '.join(each)}."
    )


def _share(value: float) -> str:
    return f"{number(100 * value, 0)}{NBSP}%"


def _what_if(own: Sequence[Row]) -> list[str]:
    """What errors of the same size would need if they faded otherwise."""
    asked = [row for row in own if row["correlation"].startswith(WHAT_IF)]
    declines = sorted({row["decline_percent"] for row in asked})
    if not asked:
        return []
    middle = declines[len(declines) // 2]
    at = [row for row in asked if row["decline_percent"] == middle]
    told = listed(
        [f"{_years(row)} at a correlation of {row['correlation'].rpartition(' ')[2]}" for row in at]
    )
    return [f"Errors of the same size that fade would need, for {middle:g}{NBSP}% a year, {told}."]


# --- the figure -----------------------------------------------------------------------------------


def _figure(matter: Matter, told: Sequence[Row]) -> Illustration:
    several = _several_laws(told)
    drawn = [row for row in matter.rows if row["given"] == "years" and _is_drawn(row, several)]
    curves = [_curve(line, matter.names) for line in _by_line(drawn).values()]
    key, message = f"{matter.stem}-years", _message(told, matter.rule)
    dashed = (
        "; dashed ones add real year-to-year variability"
        if any(curve.real for curve in curves)
        else ""
    )
    reading = (
        " Each line gives the smallest steady fall that is found after so many years"
        f"{dashed}. The numbers are the first whole years for the declines asked about."
    )
    about = f"{TITLE}: {matter.subject}"
    picture = years_to_detect(
        curves,
        _asked([row for row in told if not row["real_sd"]]),
        told[0]["to_year"] - told[0]["from_year"],
        key=key,
        data=matter.data,
        alt=f"{about}. {message} Data: {matter.data}.",
    )
    return Illustration(picture, message + reading, ((key, [*drawn, *told]),))


def _is_drawn(row: Row, several: bool) -> bool:
    """Totals: this scenario's lines, and one of each other where laws do not double them."""
    if row["part"] != "total":
        return False
    return bool(row["own"] or not (row["real_sd"] or several))


def _asked(rows: Sequence[Row]) -> list[Asked]:
    """Each decline that is asked, after the years of the law under which it takes longest."""
    dots = []
    for percent in dict.fromkeys(row["decline_percent"] for row in rows):
        each = [row for row in rows if row["decline_percent"] == percent]
        if all(row["years"] for row in each):
            longest = max(each, key=lambda row: int(row["years"]))
            quickest = min(each, key=lambda row: int(row["years_low"] or row["years"]))
            span = {**longest, "years_low": quickest["years_low"]}
            dots.append(Asked(percent, longest["years"], years_in_short(span)))
    return dots


_IN_SHORT = {"lasting and yearly": "lasting", "fading alone": "fading"}


def _curve(line: Sequence[Row], names: Names) -> Curve:
    first = line[0]
    law = _IN_SHORT.get(first["correlation"])
    name = _cut(names.scenario(first["scenario"]), 26 if law is None else 18)
    if first["real_sd"]:
        name = f"with real {100 * first['real_sd']:g}{NBSP}%, φ{NBSP}{first['real_phi']:g}"
    return Curve(
        name=f"{name}, {law}" if law else name,
        percent=tuple(row["decline_percent"] for row in line),
        mcse=tuple(row["decline_percent_mcse"] for row in line),
        years=tuple(row["years"] for row in line),
        own=first["own"],
        real=bool(first["real_sd"]),
    )


def _cut(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


# --- the table ------------------------------------------------------------------------------------


def _table(matter: Matter) -> Table:
    # Parts, and what other correlations would make of it, are in the files beside the page.
    rows = [row for row in matter.rows if row["part"] == "total" and is_told(row)]
    declines = list(dict.fromkeys(row["decline_percent"] for row in rows))
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        lines.setdefault(_about(row, matter.names), []).append(_cell(row))
    return Table(
        "Years after the first until a steady decline shows.",
        (
            "Scenario",
            "Errors of the years",
            "Real variability",
            *(f"{percent:g}{NBSP}% a year" for percent in declines),
        ),
        tuple(Line((*key, *cells)) for key, cells in lines.items()),
    )


def _about(row: Row, names: Names) -> tuple[str, ...]:
    real = in_short(row).replace(" %", f"{NBSP}%")
    return names.scenario(row["scenario"]), row["correlation"] or row["reason"], real


def _cell(row: Row) -> str:
    shown = years_in_short(row).replace("> ", f">{NBSP}")
    return "—" if shown == "-" else shown
