"""The verdict on each change against the correlation that is assumed between its years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from engine.kernels.changes import Verdict
from engine.kernels.conclusions import Conclusion
from engine.report.families import MARKS, NONE
from engine.report.matter import Matter, Section
from engine.report.naming import listed
from engine.report.numbers import EN_DASH, NBSP
from engine.report.numbers import correlation as shown
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import cardinal, every


def correlation_section(matter: Matter) -> Section:
    """A table of the verdict over the correlation, total alone; the chapter has its figure."""
    totals = [row for row in matter.rows if row["part"] == "total"]
    changes = _by_change(totals)
    judged = [own for own in changes if own[0]["conclusion"] != Conclusion.NOT_ASSESSED]
    if not judged:
        return Section(
            "The verdict over the correlation",
            ("No change has an error in both years, so that none hangs on their correlation.",),
        )
    return Section(
        "The verdict over the correlation",
        _sentences(changes),
        folded=(_table(changes),),
        summary="Each change over the correlation",
        notes=(
            "What the verdict would be if the errors of the two years correlated otherwise than "
            "this error model says.",
        ),
        conclusions=frozenset(str(row["conclusion"]) for row in totals),
    )


def _by_change(rows: Sequence[Row]) -> list[list[Row]]:
    found: dict[tuple[int, int], list[Row]] = {}
    for row in rows:
        found.setdefault((row["from_year"], row["to_year"]), []).append(row)
    return list(found.values())


def _sentences(changes: Sequence[Sequence[Row]]) -> tuple[str, ...]:
    grid = [row["rho"] for row in changes[0] if row["model"] == "assumed"]
    counts = Counter(_said(own) for own in changes)
    said = [
        f"{_how_many(counts[words], len(changes))} {'is' if counts[words] == 1 else 'are'} {words}"
        for words in _WORDS
        if counts[words]
    ]
    what = f"{cardinal(len(changes))} {'change' if len(changes) == 1 else 'changes'}"
    found = (
        f"At assumed correlations from {grid[0]:g} to {grid[-1]:g}, and at this error model's own, "
        f"of {what} {listed(said)}."
    )
    needed = _needed(changes)
    return (found, needed) if needed else (found,)


def _how_many(n: int, of: int) -> str:
    """`five`, and `both` or `all six` where there are no others."""
    return cardinal(n) if n < of or of == 1 else every(of)


_EVERYWHERE, _SOMEWHERE, _NOWHERE = (
    "detectable at every one of them",
    "detectable at some of them only",
    "detectable at none",
)
_OPEN = "open until more draws are made"
_OPPOSITE = "detectable in opposite directions at different ones"
_PARTLY, _NOT_ASSESSED = "not assessed at some and not detectable at others", "not assessed"
_WORDS = (_EVERYWHERE, _SOMEWHERE, _OPPOSITE, _NOWHERE, _PARTLY, _NOT_ASSESSED, _OPEN)


def _said(own: Sequence[Row]) -> str:
    """What one change's verdicts over the correlation come to, told apart where words differ."""
    kind = Conclusion(own[0]["conclusion"])
    if kind is Conclusion.DEPENDS and not any(Verdict(row["verdict"]).detected for row in own):
        return _PARTLY
    return {
        Conclusion.ROBUST: _EVERYWHERE,
        Conclusion.DEPENDS: _SOMEWHERE,
        Conclusion.CONTRADICTORY: _OPPOSITE,
        Conclusion.ROBUSTLY_NOT: _NOWHERE,
        Conclusion.NOT_ASSESSED: _NOT_ASSESSED,
        Conclusion.OPEN: _OPEN,
    }[kind]


def _declines(row: Row) -> list[str]:
    return [
        name.removeprefix("rho_required_").removesuffix("_percent")
        for name in row
        if name.startswith("rho_required_") and not name.endswith("_mcse")
    ]


def _needed(changes: Sequence[Sequence[Row]]) -> str:
    """What correlation a true fall of each size asked requires, from year to next year."""
    steps = [own[0] for own in changes if own[0]["to_year"] == own[0]["from_year"] + 1]
    parts, errors = [], [0.0]
    for percent in _declines(changes[0][0]):
        name = f"rho_required_{percent}_percent"
        if known := [value for row in steps if (value := row[name]) is not None]:
            parts.append(f"{_needs(min(known), max(known))} for a fall of {percent}{NBSP}%")
            errors += [row[f"{name}_mcse"] or 0.0 for row in steps]
    if not parts:
        return ""
    power = f"{100 * steps[0]['power']:.4g}{NBSP}%"
    known_to = f" (Monte Carlo error up to {max(errors):.1g})" if max(errors) else ""
    return (
        f"With errors of the present size, a true yearly fall would be found {power} of the time "
        f"above these correlations, depending on the year: {listed(parts)}{known_to}."
    )


def _needs(least: float, most: float) -> str:
    if least <= -1:
        return "any in some years" if most > -1 else "any"
    if least >= 1:
        return "none"
    low, high = shown(_inside(least)), shown(_inside(most))
    return low if low == high else f"{low} to {high}"


def _inside(rho: float) -> float:
    return max(-1.0, min(1.0, rho))


def _years(row: Row) -> str:
    return f"{row['from_year']}{EN_DASH}{row['to_year']}"


def _table(changes: Sequence[Sequence[Row]]) -> Table:
    first = changes[0]
    grid = [f"{row['rho']:g}" for row in first if row["model"] == "assumed"]
    return Table(
        "Verdict at each assumed correlation between the errors of the two years, and here, at the "
        "model's own.",
        ("Years", *grid, "Here", "Over all"),
        tuple(
            Line(
                (_years(own[0]), *(MARKS.get(row["verdict"], NONE) for row in own)),
                str(own[0]["conclusion"]),
            )
            for own in changes
        ),
    )
