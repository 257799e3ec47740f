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
    Picture,
    picture,
    plain_axes,
    sheet,
    style,
)
from engine.report.figures.labels import spread
from engine.report.numbers import NBSP

_STEEPEST = 8.0  # percent a year, where the horizontal axis ends
_HEIGHT, _PLACE = 4.3, (0.07, 0.15, 0.665, 0.74)


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
    with style():
        figure = sheet(_HEIGHT, data)
        axes = figure.add_axes(_PLACE)
        top = _top(curves, asked)
        _frame(figure, axes, top)
        _beyond(axes, span, top)
        for curve in sorted(curves, key=lambda curve: curve.own):
            _line(axes, curve)
        for one in asked:
            _dot(axes, one)
        _names(axes, curves, top)
        return picture(figure, key, alt)


def _top(curves: Sequence[Curve], asked: Sequence[Asked]) -> float:
    """High enough for what is asked and for the lines over 2 % a year; not for their tails."""
    seen = [curve.at(2.0) for curve in curves] + [one.years for one in asked]
    return float(min(max(6.0, 1.3 * max(seen, default=0.0)), max(c.years[-1] for c in curves)))


def _frame(figure: Figure, axes: Axes, top: float) -> None:
    plain_axes(axes)
    axes.set_xlim(0, _STEEPEST)
    axes.set_ylim(0, top)
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.yaxis.set_major_locator(MultipleLocator(1 if top <= 10 else 2 if top <= 20 else 5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{NBSP}%"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    quiet = {"color": MUTED, "fontsize": SMALL}
    figure.text(0.012, 0.955, "years after the first", va="center", **quiet)  # type: ignore[arg-type]
    middle = _PLACE[0] + _PLACE[2] / 2
    figure.text(middle, 0.05, "steady fall a year", ha="center", **quiet)  # type: ignore[arg-type]


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
    """The first whole year on or above the line, in words."""
    axes.plot([one.percent] * 2, [0, one.years], color=RULE, linewidth=0.9)
    axes.plot([one.percent], [one.years], "o", color=INK, mec=PAPER, markersize=8, zorder=5)
    axes.annotate(
        one.text,
        (one.percent, one.years),
        xytext=(7, 7),
        textcoords="offset points",
        weight="bold",
        fontsize=SMALL + 0.5,
        zorder=6,
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.85},
    )


def _names(axes: Axes, curves: Sequence[Curve], top: float) -> None:
    """Each line's name beyond its lower end, led to it; moved apart where they would touch.

    Lines that end at one year before the axis does are named lower the earlier they end, so that
    leaders do not cross.
    """
    ends = [_end(curve) for curve in curves]
    wanted = [height - 0.01 * (_STEEPEST - percent) for percent, height in ends]
    heights = spread(wanted, gap=0.05 * top)
    lift = max(0.0, 0.02 * top - min(heights))  # no name leaves the sheet
    for curve, end, height in zip(curves, ends, heights, strict=True):
        colour = INK if curve.own else MUTED
        place = height + lift
        beyond = 1.025 * _STEEPEST
        axes.plot([end[0], beyond], [end[1], place], color=RULE, linewidth=0.9, clip_on=False)
        axes.annotate(
            curve.name,
            (1.03, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=SMALL,
            color=colour,
            weight="bold" if curve.own and not curve.real else "normal",
            annotation_clip=False,
        )


def _end(curve: Curve) -> tuple[float, float]:
    """Where a line leaves the picture to the right, or stops at its first year."""
    if curve.percent[0] < _STEEPEST:
        return curve.percent[0], float(curve.years[0])
    return _STEEPEST, curve.at(_STEEPEST)
