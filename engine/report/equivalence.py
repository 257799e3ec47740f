"""No change larger than: what can be ruled out, which is not what could not be detected."""

from __future__ import annotations

from collections.abc import Sequence

from engine.report.matter import Matter, Section
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, probability
from engine.report.rows import Row
from engine.report.tables import Line, Table
from engine.report.words import cardinal


def equivalence_section(matter: Matter) -> Section:
    """A sentence each size asked, and a table of all changes of the total."""
    totals = [row for row in matter.rows if row["part"] == "total"]
    sizes = list(dict.fromkeys(row["percent"] for row in totals))
    return Section(
        "Was there no large change?",
        tuple(_sentence([row for row in totals if row["percent"] == size]) for size in sizes),
        folded=(_table(totals, sizes),),
        summary="Each change, and the smallest size that could be ruled out",
        notes=(
            "That a change is not detectable does not show that there was none. This turns the "
            "question round: which sizes of change can be ruled out, falls and rises alike. A size "
            "is ruled out when a fall beyond it and a rise beyond it both have a probability below "
            f"{100 * matter.rule.alpha / 2:.4g}{NBSP}%, among the draws and among their mirror "
            "images at the estimate.",
        ),
    )


def _sentence(rows: Sequence[Row]) -> str:
    size = rows[0]["percent"]
    shown = [row for row in rows if row["equivalence"] == "no larger change"]
    waiting = [row for row in rows if row["equivalence"] == "needs more draws"]
    listed = f" ({', '.join(map(_years, shown))})" if 0 < len(shown) <= 8 else ""
    open_ = f"; {cardinal(len(waiting))} cannot be told without more draws" if waiting else ""
    verb = "is" if len(shown) <= 1 else "are"
    return (
        f"Of {cardinal(len(rows))} changes {cardinal(len(shown))} {verb} shown to be no larger "
        f"than {size:g}{NBSP}%{listed}{open_}."
    )


def _years(row: Row) -> str:
    return f"{row['from_year']}{EN_DASH}{row['to_year']}"


def _table(rows: Sequence[Row], sizes: Sequence[float]) -> Table:
    by_cell = {(row["from_year"], row["to_year"], row["percent"]): row for row in rows}
    pairs = list(dict.fromkeys((row["from_year"], row["to_year"]) for row in rows))
    lines = []
    for pair in pairs:
        own = [by_cell[*pair, size] for size in sizes]
        cells = [cell for row in own for cell in (_larger(row), row["equivalence"])]
        lines.append(Line((_years(own[0]), *cells, _smallest(own[0]))))
    heads = [
        head
        for size in sizes
        for head in (f"P(larger than {size:g}{NBSP}%)", f"At {size:g}{NBSP}%")
    ]
    return Table(
        "Which sizes are ruled out; the last column is the smallest that could be.",
        ("Years", *heads, "Smallest"),
        tuple(lines),
    )


def _larger(row: Row) -> str:
    if row["p_larger"] is None or row["equivalence"] == "not assessed":
        return NOTHING
    return probability(row["p_larger"], row["draws"])


def _smallest(row: Row) -> str:
    """To the digit that its Monte Carlo error leaves."""
    value, error = row["smallest_percent"], row["smallest_percent_mcse"]
    if value is None:
        return NOTHING
    return f"{number(value, max(0, places(error) - 1))}{NBSP}%"
