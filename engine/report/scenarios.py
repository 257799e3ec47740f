"""What the scenarios of the error model make of one consumer's changes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from engine.kernels.conclusions import Conclusion
from engine.report.matter import Matter, Section
from engine.report.naming import CODES, Names, listed
from engine.report.numbers import EN_DASH
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import all_of, cardinal, none_of

_LISTED = 6


def over_scenarios(rows: Sequence[Row], names: Names = CODES) -> str:
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
        f"{first}{EN_DASH}{last} {_range(whole, names)}."
    )
    steps = _steps(totals)
    return f"{sentence} {_of_steps(steps)}" if len(steps) > 1 else sentence


def scenarios_section(matter: Matter) -> Section:
    """The verdict on each successive change, and on the whole, in every scenario."""
    totals = [row for row in matter.rows if row["part"] == "total"]
    scenarios = list(dict.fromkeys(row["scenario"] for row in totals))
    pairs = list(dict.fromkeys([*_steps(totals), _span(totals)]))
    by_cell = {(row["from_year"], row["to_year"], row["scenario"]): row for row in totals}
    met = {by_cell[*pair, scenarios[0]]["conclusion"] for pair in pairs}
    lines = tuple(
        Line(
            (
                f"{pair[0]}{EN_DASH}{pair[1]}",
                *(str(by_cell[*pair, name]["verdict"]) for name in scenarios),
            ),
            str(by_cell[*pair, scenarios[0]]["conclusion"]),
        )
        for pair in pairs
    )
    return Section(
        "Over the scenarios",
        tables=(
            Table(
                "The verdict on each change of the total, scenario by scenario.",
                ("Years", *map(matter.names.scenario, scenarios), "Over all"),
                lines,
            ),
        ),
        notes=(
            "The scenarios are drawn from the same random numbers, so that they differ by what "
            "they assume and not by chance; they are not averaged. The files beside this page "
            "have every pair of years and every part.",
        ),
        conclusions=frozenset(met),
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


def _range(rows: Sequence[Row], names: Names) -> str:
    """`is detectable in every one, a fall`: of one change over the scenarios."""
    reached = Conclusion(rows[0]["conclusion"])
    found = {
        word: [names.scenario(row["scenario"]) for row in rows if row["verdict"] == verdict]
        for word, verdict in (("fall", "decrease"), ("rise", "increase"))
    }
    some = " and ".join(f"a {word} in {listed(those)}" for word, those in found.items() if those)
    if reached is Conclusion.DEPENDS:
        return _depending(rows, some, names)
    so_far = f" ({some} so far)" if some else ""
    return {
        Conclusion.ROBUST: f"is detectable in every one, a {'fall' if found['fall'] else 'rise'}",
        Conclusion.ROBUSTLY_NOT: "is detectable in none",
        Conclusion.NOT_ASSESSED: "is assessed in none",
        Conclusion.CONTRADICTORY: f"is {some}: they contradict each other",
        Conclusion.OPEN: f"needs more draws before they can be compared{so_far}",
    }[reached]


def _depending(rows: Sequence[Row], some: str, names: Names) -> str:
    """In which scenarios a change is found, and what the verdict is in the others."""
    others: dict[str, list[str]] = {}
    for row in rows:
        if row["verdict"] not in ("decrease", "increase"):
            others.setdefault(str(row["verdict"]), []).append(names.scenario(row["scenario"]))
    rest = [f"{verdict} in {listed(those)}" for verdict, those in others.items()]
    return f"is {'; '.join([some, *rest] if some else rest)}: it depends on which of them holds"


_SAID = {
    Conclusion.ROBUST: "detectable in every scenario",
    Conclusion.DEPENDS: "detectable in some only",
    Conclusion.CONTRADICTORY: "detectable with opposite directions in two",
    Conclusion.ROBUSTLY_NOT: "detectable in none",
    Conclusion.OPEN: "open until more draws are made",
    Conclusion.NOT_ASSESSED: "assessed in none",
}


def _of_steps(steps: dict[tuple[int, int], str]) -> str:
    """`Of five yearly changes one is detectable in every scenario (2003); two in none.`"""
    yearly = all(second == first + 1 for first, second in steps)
    told = []
    for kind, phrase in _SAID.items():
        own = [second for (_, second), reached in steps.items() if reached == kind]
        if own:
            few = kind is not Conclusion.ROBUSTLY_NOT and len(own) <= _LISTED
            which = f" ({', '.join(map(str, own))})" if few else ""
            told.append((len(own), phrase + which))
    what = "yearly changes" if yearly else "successive changes"
    if len(told) == 1:
        phrase = told[0][1]
        some = phrase.removesuffix(" in none")
        if some != phrase:
            return f"{none_of(len(steps), what)} is {some} in any scenario."
        return f"{all_of(len(steps), what)} are {phrase}."
    each = [f"{cardinal(many)} {_is(many)} {phrase}" for many, phrase in told]
    return f"Of {cardinal(len(steps))} {what} {listed(each)}."


def _is(many: int) -> str:
    return "is" if many == 1 else "are"
