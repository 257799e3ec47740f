"""Acceptance curves: the probability that an estimate conforms, against what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    PAPER,
    RISE,
    SMALL,
    Picture,
    picture,
    plain_axes,
    sheet,
    style,
)
from engine.report.figures.labels import cut
from engine.report.numbers import number, places

_HEIGHT = 2.6  # inches
_DASHES = ("-", (0, (5, 2)))


@dataclass(frozen=True, slots=True)
class Curve:
    """One acceptance curve, in percent.

    Attributes:
        first: drawn as a solid line, the others dashed.
    """

    name: str
    target: float
    true_share: tuple[float, ...]
    p_accepted: tuple[float, ...]
    first: bool


def acceptance(curves: Sequence[Curve], *, key: str, data: str, alt: str) -> Picture:
    """All curves on one axis of the true footprint, each named where it starts to fall."""
    with style():
        figure = sheet(_HEIGHT, data)
        axes = figure.add_axes((0.075, 0.62 / _HEIGHT, 0.66, (_HEIGHT - 0.94) / _HEIGHT))
        plain_axes(axes)
        low = min(min(curve.true_share) for curve in curves)
        high = max(max(*curve.true_share, curve.target) for curve in curves)
        axes.set_xlim(low, high + 0.02 * (high - low))
        axes.set_ylim(0, 103)
        axes.set_yticks([0, 20, 40, 60, 80, 100])
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
        ticks = axes.get_xticks()
        decimals = max(0, places(abs(ticks[1] - ticks[0])) - 1) if len(ticks) > 1 else 0
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, decimals)))
        for target in dict.fromkeys(curve.target for curve in curves):
            axes.axvline(target, color=RISE, linewidth=1.6)
        for curve in curves:
            dashes = _DASHES[0] if curve.first else _DASHES[1]
            axes.plot(curve.true_share, curve.p_accepted, color=FALL, linewidth=1.8, ls=dashes)
        # From right to left, and the last one from the left, where no other line is in the way.
        *others, last = sorted(curves, key=lambda curve: -_where(curve, 50.0))
        for place, curve in enumerate(others):
            _name(axes, curve, 85.0 - 20 * place)
        _name(axes, last, 30.0 if others else 85.0, left=bool(others))
        figure.text(
            0.012, 1 - 0.13 / _HEIGHT, "accepted, %", color=MUTED, fontsize=SMALL, va="center"
        )
        figure.text(
            0.405,
            0.25 / _HEIGHT,
            "true footprint of the target year, % of the base (red: target)",
            color=MUTED,
            fontsize=SMALL,
            ha="center",
            va="center",
        )
        return picture(figure, key, alt)


def _where(curve: Curve, level: float) -> float:
    """The true share at which an estimate is accepted so often."""
    return float(np.interp(level, curve.p_accepted[::-1], curve.true_share[::-1]))


def _name(axes: Axes, curve: Curve, level: float, *, left: bool = False) -> None:
    """At the right edge, or inside at the left, with a thin line to the curve at that height."""
    axes.annotate(
        cut(curve.name, 1.75, SMALL),
        (_where(curve, level), level),
        xycoords="data",
        xytext=(0.02 if left else 1.02, level),
        textcoords=("axes fraction", "data"),
        va="center",
        fontsize=SMALL,
        color=INK,
        arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.6},
        bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        annotation_clip=False,
    )
