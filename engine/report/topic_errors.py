"""How far chance among the draws moves what the topics tell: the largest error of every column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.report.numbers import two_digits
from engine.report.rows import Row
from engine.report.solving import Titled
from engine.report.tables import Line, Table

_END = "_mcse"


def topic_errors(tables: Mapping[str, Sequence[Row]]) -> list[Titled]:
    """The largest Monte Carlo standard error of every sampled column, by table; folded."""
    lines = [
        Line((table, name, two_digits(worst)))
        for table, rows in tables.items()
        for name, worst in _worst(rows).items()
    ]
    if not lines:
        return []
    table = Table(
        "The largest Monte Carlo standard error of every column of totals, in the column's own "
        "unit: fractions where the files have fractions.",
        ("Table", "Column", "Largest error"),
        tuple(lines),
    )
    sentences = (
        "Every number that was counted or averaged over draws has a Monte Carlo standard error. "
        "Where it could turn a verdict, the verdict says that more draws are needed. Each number's "
        "own stands beside it in verdicts.csv, verdicts.json and the files of the figures.",
    )
    title = "What chance among the draws leaves"
    return [Titled(title, sentences, folded=(table,), summary="The largest errors, by column")]


def _worst(rows: Sequence[Row]) -> dict[str, float]:
    """Of totals, by column; columns that are not sampled have none."""
    found: dict[str, float] = {}
    for row in rows:
        for name, error in row.items():
            if name.endswith(_END) and error and row.get("part", "total") == "total":
                column = name.removesuffix(_END)
                found[column] = max(found.get(column, 0.0), float(error))
    return found
