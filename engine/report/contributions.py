"""Where a footprint arises, or for which products: a sentence and a table of the largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.analysis import By, kind_of, largest, place
from engine.report.naming import CODES, Names, listed
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, probability
from engine.report.rows import Row
from engine.report.tables import Line, Table

_SHOWN = 6  # of the largest contributions, and as many of the largest changes
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Told:
    """A consumer's footprint told by origin, by industry or by product, under a title."""

    title: str
    sentence: str
    table: Table
    notes: tuple[str, ...]


def told(rows: Sequence[Row], names: Names = CODES) -> Told:
    """What contributes most to the footprint and to its change.

    Args:
        rows: of `engine.analysis.contribution_table`, of one consumer, stressor and pair of years.
    """
    chosen = largest(rows, _SHOWN)
    title = "What it is for" if kind_of(rows[0]) is By.PRODUCT else "Where it arises"
    return Told(title, _sentence(chosen, names), _table(chosen, len(rows) - 1, names), _NOTES)


_NOTES = (
    "Contributions leave out direct emissions. Each verdict stands for one change asked "
    "beforehand; among many, some seem to change by chance, which the column “among all” allows "
    "for: the false discovery rate of Benjamini and Yekutieli over all of them.",
)


def _place(row: Row, names: Names) -> str:
    """An origin or a product by its name, an industry by its region's and its sector's."""
    if kind_of(row) is By.INDUSTRY:
        return f"{names.of(row['region'])}, {names.of(row['sector'])}".removesuffix(", ")
    return names.of(place(row))


def _of_place(row: Row, names: Names) -> str:
    """The same within a sentence, after "of"."""
    if kind_of(row) is By.INDUSTRY:
        return f"{names.of(row['sector'])} in {names.within(row['region'])}"
    return names.within(place(row)) if kind_of(row) is By.ORIGIN else names.of(place(row))


def _sentence(chosen: Sequence[Row], names: Names) -> str:
    first = chosen[0]
    most = [f"{_of_place(row, names)} ({_share(row)})" for row in chosen[:_NAMED]]
    sentences = [f"In {first['to_year']} the largest contributions are those of {listed(most)}."]
    by_change = sorted(chosen, key=lambda row: row["reference_change"])
    for row, word in ((by_change[0], "fell"), (by_change[-1], "rose")):
        change = row["reference_change"]
        if (change < 0) == (word == "fell") and change != 0:
            sentences.append(
                f"From {row['from_year']} to {row['to_year']} that of {_of_place(row, names)} "
                f"{word} most, by "
                f"{_of_change(row, abs(change))}{NBSP}{row['unit']} (standard uncertainty "
                f"{_of_change(row, row['change_sd'])}): {_judged(row)}."
            )
    return " ".join(sentences)


def _judged(row: Row) -> str:
    return "a detectable change" if row["verdict"] in ("decrease", "increase") else row["verdict"]


def _share(row: Row) -> str:
    share = row["share"]
    return NOTHING if share is None else f"{number(100 * share, 1)}{NBSP}%"


def _of_change(row: Row, value: float | None, *, sign: bool = False) -> str:
    return NOTHING if value is None else number(value, places(row["change_sd"]), sign=sign)


def _table(chosen: Sequence[Row], among: int, names: Names) -> Table:
    first = chosen[0]
    years, what = f"{first['from_year']}{EN_DASH}{first['to_year']}", _what(first)
    shares = sum(row["share"] or 0 for row in chosen)
    return Table(
        f"The largest contributions by {what}, and those that changed most: {len(chosen)} of "
        f"{among}, {number(100 * shares, 0)}{NBSP}% of the total in {first['to_year']}, in "
        f"{first['unit']}; in brackets their standard uncertainties.",
        (
            what.capitalize(),
            f"In {first['to_year']}",
            "Share",
            f"Change {years}",
            "P(fall)",
            "Among all",
            "Verdict",
        ),
        tuple(_line(row, names) for row in chosen),
    )


def _what(row: Row) -> str:
    return str(kind_of(row))


def _line(row: Row, names: Names) -> Line:
    sd = row["estimate_sd"]
    assessed = row["verdict"] != "not assessed"
    return Line(
        (
            _place(row, names),
            _with(number(row["estimate"], places(sd)), sd, places(sd)),
            _share(row),
            _with(
                _of_change(row, row["reference_change"], sign=True),
                row["change_sd"],
                places(row["change_sd"]),
            ),
            _p_decrease(row) if assessed else NOTHING,
            row["benjamini_yekutieli"],
        ),
        row["verdict"],
    )


def _with(value: str, sd: float | None, decimals: int) -> str:
    """A number with its standard uncertainty in brackets."""
    return value if sd is None else f"{value} ({number(sd, decimals)})"


def _p_decrease(row: Row) -> str:
    return probability(row["p_decrease"], row["draws"], (1 - row["confidence"]) / 2)


def sorted_out(rows: Sequence[Row], names: Names = CODES) -> dict[tuple[str, str], list[Told]]:
    """What is told of each consumer and stressor, origins first."""
    subjects: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        subjects.setdefault((row["consumer"], row["stressor"], _what(row)), []).append(row)
    found: dict[tuple[str, str], list[Told]] = {}
    for (consumer, stressor, _), own in subjects.items():
        found.setdefault((consumer, stressor), []).append(told(own, names))
    return found
