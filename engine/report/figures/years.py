"""How long until a decline shows: years against percent a year, one line a scenario.

A point of a line is the smallest steady fall that is detected after so many whole years, so that
the lines are exact where they have points; between points they only lead the eye.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MultipleLocator

from engine.report.figures.canvas import (
    INK,
    MUTED,
    PALE,
    PAPER,
    RULE,
    SMALL,
    WIDTH,
    Picture,
    picture,
    plain_axes,
    sheet,
    style,
)
from engine.report.figures.labels import cut, spread
from engine.report.numbers import NBSP

_STEEPEST = 8.0  # percent a year, where the horizontal axis ends
_WIDE, _LEFT = 0.665, 0.07  # shares of the width
_ABOVE, _TALL, _BELOW = 0.34, 2.5, 0.62  # inches: `_TALL` from one year on
_LABEL = 0.17  # inches between two names
_AGREE = 0.04  # percent a year: lines nowhere further apart are one line to the eye


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: percent a year for each number of years, and how surely the draws know it."""

    name: str
    percent: tuple[float, ...]
    mcse: tuple[float, ...]
    years: tuple[int, ...]
    own: bool
    real: bool

    def at(self, percent: float) -> float:
        """The height of the line over a decline; its lowest point beyond it."""
        return float(np.interp(percent, self.percent[::-1], self.years[::-1]))


@dataclass(frozen=True, slots=True)
class Asked:
    """A decline that is asked, and after how many years it shows on one line."""

    percent: float
    years: int
    text: str


def years_to_detect(
    curves: Sequence[Curve], asked: Sequence[Asked], span: int, *, key: str, data: str, alt: str
) -> Picture:
    """The lines of all scenarios, and the asked declines on this page's own.

    Args:
        span: years that the run covers; beyond them errors are carried on.
    """
    lines = _together(curves)
    stop = _LABEL * (sum(_ends_inside(line[0]) for line in lines) + 0.4)
    height = _ABOVE + _TALL + stop + _BELOW
    with style():
        figure = sheet(height, data)
        axes = figure.add_axes((_LEFT, _BELOW / height, _WIDE, (_TALL + stop) / height))
        top = _top(curves, asked)
        # Nothing shows within no years: what is below the first has room for the names.
        axes.set_ylim(1 - stop * (top - 1) / _TALL, top)
        _frame(figure, axes, top)
        _beyond(axes, span, top)
        for curve in sorted(curves, key=lambda curve: curve.own):
            _line(axes, curve)
        for one in asked:
            _dot(axes, one)
        _names(axes, lines, _LABEL * (top - 1) / _TALL)
        return picture(figure, key, alt)


def _together(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Lines that agree over the years both have, the one of this page first; each group sorted."""
    groups: list[list[Curve]] = []
    for curve in sorted(curves, key=lambda curve: (not curve.own, curve.real)):
        for group in groups:
            if _agree(group[0], curve):
                group.append(curve)
                break
        else:
            groups.append([curve])
    return groups


def _agree(one: Curve, other: Curve) -> bool:
    if one.real != other.real:
        return False
    known = dict(zip(other.years, other.percent, strict=True))
    gaps = [
        abs(percent - known[years])
        for years, percent in zip(one.years, one.percent, strict=True)
        if years in known
    ]
    return bool(gaps) and max(gaps) <= _AGREE


def _ends_inside(curve: Curve) -> bool:
    """Whether a line stops at its first year before the axis ends."""
    return curve.percent[0] < _STEEPEST


def _top(curves: Sequence[Curve], asked: Sequence[Asked]) -> float:
    """High enough for what is asked and for the lines over 2 % a year; not for their tails."""
    seen = [curve.at(2.0) for curve in curves] + [one.years for one in asked]
    return float(min(max(6.0, 1.3 * max(seen, default=0.0)), max(c.years[-1] for c in curves)))


def _frame(figure: Figure, axes: Axes, top: float) -> None:
    plain_axes(axes)
    axes.set_xlim(0, _STEEPEST)
    axes.xaxis.set_major_locator(MultipleLocator(1))
    step = 1 if top <= 10 else 2 if top <= 20 else 5
    axes.set_yticks(sorted({1, *range(step, int(top) + 1, step)} - ({2} if step == 5 else set())))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{NBSP}%"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    quiet = {"color": MUTED, "fontsize": SMALL}
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.15 / height, "years after the first", va="center", **quiet)  # type: ignore[arg-type]
    figure.text(_LEFT + _WIDE / 2, 0.27 / height, "steady fall a year", ha="center", **quiet)  # type: ignore[arg-type]


def _beyond(axes: Axes, span: int, top: float) -> None:
    """Years that the run does not have are shaded and named."""
    if span >= top:
        return
    axes.axhspan(span, top, color=PALE, alpha=0.45, linewidth=0, zorder=0)
    axes.text(
        _STEEPEST,
        top - 0.02 * top,
        "longer than this run: errors carried on ",
        ha="right",
        va="top",
        color=MUTED,
        fontsize=SMALL,
    )


def _line(axes: Axes, curve: Curve) -> None:
    colour = INK if curve.own else MUTED
    percent, error = np.array(curve.percent), np.array(curve.mcse)
    if curve.own and not curve.real:
        axes.fill_betweenx(
            curve.years, percent - 2 * error, percent + 2 * error, color=RULE, linewidth=0
        )
    axes.plot(
        percent,
        curve.years,
        color=colour,
        linewidth=2.0 if curve.own and not curve.real else 1.2,
        linestyle=(0, (4, 2)) if curve.real else "-",
        marker="o",
        markersize=2.4,
    )


def _dot(axes: Axes, one: Asked) -> None:
    """The first whole year on or above the line, as the number that it is."""
    axes.annotate(
        one.text,
        (one.percent, one.years),
        ha="center",
        va="center",
        color=PAPER,
        weight="bold",
        fontsize=SMALL,
        zorder=6,
        bbox={
            "facecolor": INK, "edgecolor": PAPER, "boxstyle": "round,pad=0.3,rounding_size=0.8",
        },
    )  # fmt: skip


def _names(axes: Axes, lines: Sequence[Sequence[Curve]], gap: float) -> None:
    """Each line's name at the right, led to its lower end so that no leader crosses another.

    A line that stops at one year is led down and then right, the further left it stops the further
    down; a line that leaves the picture is named where it does.
    """
    inside = sorted((g for g in lines if _ends_inside(g[0])), key=lambda g: g[0].percent[0])
    leaving = sorted((g for g in lines if not _ends_inside(g[0])), key=lambda g: g[0].at(_STEEPEST))
    below = [1 - gap * (len(inside) - place - 0.3) for place in range(len(inside))]
    right = [group[0].at(_STEEPEST) for group in leaving]
    low = below[-1] + gap if below else axes.get_ylim()[0]
    heights = [*below, *spread(right, gap, low)]
    beyond = 1.02 * _STEEPEST
    for group, height in zip([*inside, *leaving], heights, strict=True):
        curve = group[0]
        end = curve.percent[0] if _ends_inside(curve) else _STEEPEST
        at = 1.0 if _ends_inside(curve) else curve.at(_STEEPEST)
        corner = [end, end, beyond] if _ends_inside(curve) else [end, beyond]
        steps = [at, height, height] if _ends_inside(curve) else [at, height]
        own = curve.own and not curve.real
        axes.plot(corner, steps, color=INK if own else RULE, linewidth=0.8, clip_on=False)
        name = ", ".join(one.name for one in group)
        axes.annotate(
            cut(name, (1 - _LEFT - 1.025 * _WIDE) * WIDTH - 0.05, SMALL),
            (1.025, height),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=SMALL,
            color=INK if curve.own else MUTED,
            weight="bold" if own else "normal",
            annotation_clip=False,
        )
