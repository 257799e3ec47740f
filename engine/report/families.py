"""Changes judged together: what is left of the verdicts when their number is allowed for."""

from __future__ import annotations

from collections.abc import Sequence

from engine.analysis import grouped, member_name
from engine.report.matter import Matter, Section
from engine.report.naming import CODES, Names
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, probability, supported
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import cardinal, level

_LISTED = 8
_SHOWN = 15  # lines of a family; a larger one is told in a sentence, and in the files
DETECTED = ("decrease", "increase")
# Short for verdicts that stand beside the one that counts; nothing for `not detectable`.
MARKS = {"decrease": "fall", "increase": "rise", "needs more draws": "open"}
NONE = "·"
_WAYS = {
    "holm": "Holm",
    "benjamini_yekutieli": "Benjamini-Yekutieli",
    "benjamini_hochberg": "Benjamini-Hochberg",
}


def families_section(matter: Matter) -> Section:
    """A sentence each family, and a table where it is not too large."""
    told = grouped(matter.rows)
    return Section(
        "How many looks",
        tuple(sentence(family, matter.names) for family in told),
        folded=tuple(_table(family, matter.names) for family in told if len(family) <= _SHOWN),
        summary="Intervals and verdicts that hold for all changes together",
        notes=(
            f"A verdict at {level(matter.rule)} stands for one change asked beforehand. Of many "
            "changes some will look detectable though nothing truly changed; a family of changes "
            "is judged more strictly, so that false ones are rare among all of them together. The "
            "largest deviation is the one to go by; Holm's method by counting is shown beside it.",
        ),
    )


def sentence(family: Sequence[Row], names: Names = CODES) -> str:
    """How often a family would raise a false alarm, and what is left of it when adjusted."""
    first = family[0]
    name = f"{first['family']} ({_of(first, names)})"
    opening = f"{name[:1].upper()}{name[1:]}"
    if first["false_alarm"] is None:
        return f"{opening}: none of the changes is assessed."
    alone, together, waiting = (
        first[name] for name in ("found_alone", "found_together", "open_together")
    )
    here = [_name(row, family, names) for row in family if row["adjusted"] in DETECTED]
    which = f" ({', '.join(here)})" if 0 < len(here) <= _LISTED else ""
    if len(family) < first["changes"]:  # the others are other consumers' or of other stressors
        which = f", of this chapter {', '.join(here) or 'none'}" if together else ""
    said = (
        f"{opening}: with no true change at all, one or more of {cardinal(first['members'])} would "
        f"look detectable with a probability of {_percent(first)}. Judged one by one, "
        f"{cardinal(alone)} {_is(alone)} detectable; judged together by {_adjusted_by(first)}, "
        f"{cardinal(together)} {_is(together)}{which}"
    )
    if waiting:
        said += f", and {cardinal(waiting)} {'needs' if waiting == 1 else 'need'} more draws"
    return f"{said}."


def _of(row: Row, names: Names) -> str:
    """Whose changes a family holds: `Netherlands, CO2`, or how many consumers."""
    return ", ".join(map(names.of, str(row["of"]).split(", ")))


def _name(row: Row, family: Sequence[Row], names: Names) -> str:
    span = f"{row['from_year']}-{row['to_year']}"
    called = {**row, **{label: names.of(row[label]) for label in ("consumer", "stressor")}}
    return member_name(called, family).replace(span, span.replace("-", EN_DASH))


def _percent(row: Row) -> str:
    return probability(row["false_alarm"], row["family_draws"])


def _adjusted_by(row: Row) -> str:
    if row["method"] == "max-|t|":
        return f"their largest deviation (beyond {_critical(row)} standard uncertainties)"
    return "the false discovery rate of Benjamini and Yekutieli"


def _critical(row: Row) -> str:
    return NOTHING if row["critical"] is None else number(row["critical"], 2)


def _is(n: int) -> str:
    return "is" if n <= 1 else "are"


def _table(family: Sequence[Row], names: Names) -> Table:
    first = family[0]
    holm_waits = any(row["holm"] == "needs more draws" for row in family)
    note = (
        f" Holm's method by counting takes {number(first['holm_draws'], 0)} draws of each year, "
        "or more."
        if holm_waits
        else ""
    )
    return Table(
        f"{first['family'][:1].upper()}{first['family'][1:]}, {_of(first, names)}: intervals that "
        f"hold for all of them together, and verdicts alone and adjusted for their number.{note}",
        (
            "Change",
            "Estimate",
            f"Simultaneous {100 * first['confidence']:.4g}{NBSP}% interval",
            "Standard uncertainties from none",
            "Alone",
            *(_WAYS[name] for name in _ways(first)),
            "Together",
        ),
        tuple(_line(row, family, names) for row in family),
    )


def _ways(row: Row) -> tuple[str, ...]:
    """What stands beside the adjusted verdict: Holm's method, or rates of false discoveries."""
    if row["method"] == "max-|t|":
        return ("holm",)
    return ("benjamini_yekutieli", "benjamini_hochberg")


def _line(row: Row, family: Sequence[Row], names: Names) -> Line:
    log = row["scale"] == "log"
    scale, unit = (100.0, f"{NBSP}%") if log else (1.0, f"{NBSP}{row['unit']}")
    value = row["relative_change"] if log else row["reference_change"]
    low, high = row["simultaneous_low"], row["simultaneous_high"]
    decimals = places(None if row["sigma"] is None else scale * row["sigma"])
    errors = (scale * (row[f"simultaneous_{end}_mcse"] or 0.0) for end in ("low", "high"))
    of_ends = supported(decimals, *errors)

    def shown(x: float | None, to: int = of_ends) -> str:
        return NOTHING if x is None else number(scale * x, to, sign=True)

    return Line(
        (
            _name(row, family, names),
            NOTHING if value is None else shown(value, decimals) + unit,
            NOTHING if low is None or high is None else f"{shown(low)} to {shown(high)}{unit}",
            NOTHING if row["statistic"] is None else number(row["statistic"], 2),
            *(MARKS.get(row[name], NONE) for name in ("verdict", *_ways(row))),
        ),
        row["adjusted"],
    )
