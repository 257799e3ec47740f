"""What the scenarios of the error model make of one consumer's changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.kernels.conclusions import Conclusion
from engine.report.matter import Matter, Section
from engine.report.numbers import EN_DASH
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import cardinal

_LISTED = 6


def over_scenarios(rows: Sequence[Row]) -> str:
    """The range of verdicts over the scenarios, for under a headline.

    Args:
        rows: of the topic `scenarios`, about one consumer and stressor; none gives no words.
    """
    totals = [row for row in rows if row["part"] == "total"]
    if not totals:
        return ""
    first, last = _span(totals)
    whole = [row for row in totals if (row["from_year"], row["to_year"]) == (first, last)]
    sentence = (
        f"Over the {cardinal(len(whole))} scenarios of the error model the change "
        f"{first}{EN_DASH}{last} {_range(whole)}."
    )
    steps = _steps(totals)
    return f"{sentence} {_of_steps(steps)}" if len(steps) > 1 else sentence


def scenarios_section(matter: Matter) -> Section:
    """The verdict on each successive change, and on the whole, in every scenario."""
    totals = [row for row in matter.rows if row["part"] == "total"]
    names = list(dict.fromkeys(row["scenario"] for row in totals))
    pairs = list(dict.fromkeys([*_steps(totals), _span(totals)]))
    by_cell = {(row["from_year"], row["to_year"], row["scenario"]): row for row in totals}
    met = {by_cell[*pair, names[0]]["conclusion"] for pair in pairs}
    lines = tuple(
        Line(
            (
                f"{pair[0]}{EN_DASH}{pair[1]}",
                *(str(by_cell[*pair, name]["verdict"]) for name in names),
            ),
            str(by_cell[*pair, names[0]]["conclusion"]),
        )
        for pair in pairs
    )
    return Section(
        "Over the scenarios",
        (
            over_scenarios(matter.rows),
            "The scenarios are drawn from the same random numbers, so that they differ by what "
            "they assume and not by chance; they are not averaged.",
            *(f"{kind.capitalize()}: {kind.meaning}." for kind in Conclusion if kind in met),
        ),
        tables=(
            Table(
                "The verdict on each change of the total, scenario by scenario. The files beside "
                "this page have every pair of years and every part.",
                ("Years", *names, "Over all"),
                lines,
            ),
        ),
    )


def _span(rows: Sequence[Row]) -> tuple[int, int]:
    return min(row["from_year"] for row in rows), max(row["to_year"] for row in rows)


def _steps(rows: Sequence[Row]) -> dict[tuple[int, int], str]:
    """The conclusion on each change from one year of the run to the next."""
    years = sorted({row[end] for row in rows for end in ("from_year", "to_year")})
    steps = set(pairwise(years))
    return {
        (row["from_year"], row["to_year"]): str(row["conclusion"])
        for row in rows
        if (row["from_year"], row["to_year"]) in steps
    }


def _range(rows: Sequence[Row]) -> str:
    """`is detectable in every one, a fall`: of one change over the scenarios."""
    reached = Conclusion(rows[0]["conclusion"])
    found = {
        word: [row["scenario"] for row in rows if row["verdict"] == verdict]
        for word, verdict in (("fall", "decrease"), ("rise", "increase"))
    }
    some = " and ".join(f"a {word} in {', '.join(names)}" for word, names in found.items() if names)
    if reached is Conclusion.DEPENDS:
        return _depending(rows, some)
    so_far = f" ({some} so far)" if some else ""
    return {
        Conclusion.ROBUST: f"is detectable in every one, a {'fall' if found['fall'] else 'rise'}",
        Conclusion.ROBUSTLY_NOT: "is detectable in none",
        Conclusion.NOT_ASSESSED: "is assessed in none",
        Conclusion.CONTRADICTORY: f"is {some}: they contradict each other",
        Conclusion.OPEN: f"needs more draws before they can be compared{so_far}",
    }[reached]


def _depending(rows: Sequence[Row], some: str) -> str:
    """In which scenarios a change is found, and what the verdict is in the others."""
    others: dict[str, list[str]] = {}
    for row in rows:
        if row["verdict"] not in ("decrease", "increase"):
            others.setdefault(str(row["verdict"]), []).append(row["scenario"])
    rest = " and ".join(f"{verdict} in {', '.join(names)}" for verdict, names in others.items())
    return f"is {some + ', ' if some else ''}{rest}: it depends on which of them holds"


_SAID = {
    Conclusion.ROBUST: "{many} {is_} detectable in every scenario",
    Conclusion.DEPENDS: "{many} in some",
    Conclusion.CONTRADICTORY: "{many} with opposite directions in two",
    Conclusion.ROBUSTLY_NOT: "{many} in none",
    Conclusion.OPEN: "{many} open until more draws are made",
    Conclusion.NOT_ASSESSED: "{many} assessed in none",
}


def _of_steps(steps: dict[tuple[int, int], str]) -> str:
    yearly = all(second == first + 1 for first, second in steps)
    said = []
    for kind, phrase in _SAID.items():
        own = [second for (_, second), reached in steps.items() if reached == kind]
        if not own and kind not in (Conclusion.ROBUST, Conclusion.DEPENDS, Conclusion.ROBUSTLY_NOT):
            continue
        told = kind is not Conclusion.ROBUSTLY_NOT and 0 < len(own) <= _LISTED
        listed = f" ({', '.join(map(str, own))})" if told else ""
        said.append(phrase.format(many=cardinal(len(own)), is_=_is(own)) + listed)
    what = "yearly changes" if yearly else "successive changes"
    return f"Of {cardinal(len(steps))} {what} {', '.join(said)}."


def _is(those: Sequence[int]) -> str:
    return "is" if len(those) <= 1 else "are"
