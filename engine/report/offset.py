"""Did emissions abroad rise while those at home fell? The section of one chapter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from engine.report.figures.offset import Joint, offset
from engine.report.matter import Illustration, Matter, Section
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, probability
from engine.report.rows import Row
from engine.report.tables import Line, Table

TITLE = "Did emissions abroad rise while those at home fell?"


def offset_section(matter: Matter) -> Section:
    """The longest change in sentences and a figure, all changes in a table."""
    whole = max(matter.rows, key=lambda row: row["to_year"] - row["from_year"])
    drawable = matter.drawn and whole["assessed"] and whole["correlation"] is not None
    return Section(
        TITLE,
        tuple(said for said in (_sentence(matter, whole), _share_sentence(whole)) if said),
        (_figure(matter, whole),) if drawable else (),
        (_table(matter.rows),),
    )


def _years(row: Row) -> str:
    return f"{row['from_year']}{EN_DASH}{row['to_year']}"


def _p(row: Row, name: str) -> str:
    value = row[name]
    return probability(math.nan if value is None else value, row["draws"])


def _sentence(matter: Matter, row: Row) -> str:
    if not row["assessed"]:
        return (
            f"{_years(row)}: not assessed, since the error model allows the change of a part no "
            "error."
        )
    return (
        f"{_years(row)}: emissions within {matter.within} {_moved(row, 'home')} and those "
        f"abroad {_moved(row, 'abroad')}. With a probability of {_p(row, 'p_offset')} emissions "
        f"within {matter.within} truly fell while those abroad rose; with "
        f"{_p(row, 'p_both_fell')} both fell. Direct emissions of consumers count as domestic."
    )


def _moved(row: Row, part: str) -> str:
    change, sd = row[f"{part}_change"], row[f"{part}_change_sd"]
    decimals = places(sd)
    if change == 0:
        return f"did not change (standard uncertainty {number(sd, decimals)}{NBSP}{row['unit']})"
    word = "rose" if change > 0 else "fell"
    return (
        f"{word} by {number(abs(change), decimals)}{NBSP}{row['unit']} (standard uncertainty "
        f"{number(sd, decimals)})"
    )


def _share_sentence(row: Row) -> str:
    if not row["assessed"]:
        return ""  # said already
    if row["share_median"] is None:
        return (
            "What share of a fall within the country was made up for abroad is not told: that a "
            f"fall there has a probability of 97.5{NBSP}% is not shown, and a share of nothing has "
            "no meaning."
        )
    low, middle, high = (_percent(row[f"share_{end}"]) for end in ("low", "median", "high"))
    interval = f"{100 * row['confidence']:.4g}{NBSP}% interval {low} to {high}"
    below_zero = "; below zero it added to the fall" if row["share_low"] < 0 else ""
    if row["share_median"] >= 0:
        said = f"Abroad made up for {middle} of the fall ({interval}{below_zero})."
    else:
        said = (
            "Emissions abroad fell too in the median, and made up for none of the fall: "
            f"{middle} ({interval}{below_zero})."
        )
    return f"{said} This is a sum, and says nothing of causes."


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{number(100 * share, 0)}{NBSP}%"


def _table(rows: Sequence[Row]) -> Table:
    return Table(
        f"Changes of the domestic part with direct emissions and of the foreign part, in "
        f"{rows[0]['unit']}; offset: the first fell and the second rose.",
        ("Years", "Domestic", "Abroad", "P(offset)", "P(both fell)", "Made up for"),
        tuple(_line(row) for row in sorted(rows, key=_order)),
    )


def _order(row: Row) -> tuple[bool, int]:
    """Year to year, then the longest."""
    return row["to_year"] - row["from_year"] > 1, row["from_year"]


def _line(row: Row) -> Line:
    share = NOTHING
    if row["share_median"] is not None:
        low, middle, high = (_percent(row[f"share_{end}"]) for end in ("low", "median", "high"))
        share = f"{middle} ({low} to {high})"
    return Line(
        (
            _years(row),
            *(
                number(row[f"{part}_change"], places(row[f"{part}_change_sd"]), sign=True)
                for part in ("home", "abroad")
            ),
            _p(row, "p_offset"),
            _p(row, "p_both_fell"),
            share,
        )
    )


def _figure(matter: Matter, row: Row) -> Illustration:
    key = f"{matter.stem}-offset"
    joint = Joint(
        row["home_change"],
        row["abroad_change"],
        row["home_change_sd"],
        row["abroad_change_sd"],
        row["correlation"],
        {name: _p(row, name) for name in ("p_offset", "p_both_fell", "p_both_rose", "p_opposite")},
        str(row["unit"]),
    )
    about = f"Change at home against change abroad: {matter.subject}"
    alt = f"{about} ({matter.data}). {_sentence(matter, row)} {_share_sentence(row)}".rstrip()
    caption = (
        f"Emissions within {matter.within} fell while those abroad rose with a probability of "
        f"{_p(row, 'p_offset')}, and both fell with one of {_p(row, 'p_both_fell')}, counted over "
        "draws as in all four corners. The dot is the estimate; the "
        "ellipses, drawn from standard uncertainties and correlation, hold about 50 and "
        f"95{NBSP}% of what may be true. On the diagonal the total did not change."
    )
    return Illustration(
        offset(joint, key=key, data=matter.data, alt=alt), caption, ((key, [dict(row)]),)
    )
