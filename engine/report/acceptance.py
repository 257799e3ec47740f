"""How often an estimate would be accepted, against what is true: the section of one chapter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.report.figures.acceptance import Curve, acceptance
from engine.report.matter import Illustration, Matter, Section
from engine.report.numbers import NBSP, number
from engine.report.rows import Row

_CURVES = 4  # of one figure


def acceptance_section(matter: Matter) -> Section:
    """The acceptance curves of the targets without a prior."""
    curves: dict[tuple[str, str], list[Row]] = {}
    for row in matter.rows:
        curves.setdefault((row["target"], row["rule"]), []).append(row)
    said = tuple(_sentence(name, rule, rows) for (name, rule), rows in curves.items())
    shown = list(curves.items())[:_CURVES]
    figures = (_figure(matter, shown),) if matter.drawn else ()
    return Section("How low would the truth have to be?", said, figures)


def true_share_at(rows: Sequence[Row], level: float) -> float:
    """The true share at which an estimate is accepted with the probability `level`."""
    p = [row["p_accepted"] for row in reversed(rows)]
    return float(np.interp(level, p, [row["true_share"] for row in reversed(rows)]))


def _accepted_at(rows: Sequence[Row], true_share: float) -> float:
    """How often an estimate is accepted where this is true; along the curve, between its ends."""
    shares, p = ([row[name] for row in rows] for name in ("true_share", "p_accepted"))
    return float(np.interp(true_share, shares, p))


def _sentence(name: str, rule: str, rows: Sequence[Row]) -> str:
    half, mostly = (100 * true_share_at(rows, level) for level in (0.5, 0.95))
    return (
        f"Target {name}, {rule}: a true footprint of {number(half, 1)}{NBSP}% of the base would be "
        f"found to conform in one case out of two, one of {number(mostly, 1)}{NBSP}% in nineteen "
        "out of twenty."
    )


def _figure(matter: Matter, curves: Sequence[tuple[tuple[str, str], list[Row]]]) -> Illustration:
    key = f"{matter.stem}-acceptance"
    drawn = [
        Curve(
            f"{name}, {rule}",
            100 * rows[0]["share"],
            tuple(100 * row["true_share"] for row in rows),
            tuple(100 * row["p_accepted"] for row in rows),
            first=rule == "true base",
        )
        for (name, rule), rows in curves
    ]
    spoken = " ".join(_sentence(name, rule, rows) for (name, rule), rows in curves)
    about = f"Probability of acceptance: {matter.subject} ({matter.data})"
    picture = acceptance(drawn, key=key, data=matter.data, alt=f"{about}. {spoken}")
    often = max(_accepted_at(rows, rows[0]["share"]) for _, rows in curves)
    caption = (
        f"An estimate is accepted in {number(100 * often, 0)}{NBSP}% of all cases or fewer where "
        "the true footprint is just at the target, and nearly always only where it is well below. "
        "Without a prior the risks of a wrong verdict are not known, only this acceptance curve."
    )
    return Illustration(picture, caption, ((key, [row for _, rows in curves for row in rows]),))
