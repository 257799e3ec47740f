"""Change at home against change abroad, with what may be true around the estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from engine.kernels.arrays import F64
from engine.report.figures.canvas import (
    BAND_50,
    BAND_95,
    INK,
    MUTED,
    PAPER,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    Picture,
    picture,
    sheet,
    style,
)
from engine.report.numbers import number, places

_HEIGHT = 4.3
# Of a bivariate normal, the square of the Mahalanobis distance is chi-square with 2 degrees.
_RADII = {0.95: float(np.sqrt(-2 * np.log(0.05))), 0.50: float(np.sqrt(-2 * np.log(0.5)))}


@dataclass(frozen=True, slots=True)
class Joint:
    """The joint change of both parts, in `unit`; `corners` are probabilities as printed."""

    home: float
    abroad: float
    home_sd: float
    abroad_sd: float
    correlation: float
    corners: Mapping[str, str]
    unit: str


def offset(joint: Joint, *, key: str, data: str, alt: str) -> Picture:
    """Domestic change across, foreign change up, on one scale."""
    with style():
        figure = sheet(_HEIGHT, data)
        axes = figure.add_axes((0.115, 0.16, 0.85, 0.76))
        for level, colour in ((0.95, BAND_95), (0.50, BAND_50)):
            x, y = _ellipse(joint, _RADII[level])
            axes.fill(x, y, color=colour, linewidth=0)
        axes.plot([joint.home], [joint.abroad], "o", color="white", mec=INK, mew=1.6, ms=6)
        _frame(axes, joint)
        _corners(axes, joint)
        figure.text(
            0.012, 0.965, f"change abroad, {joint.unit}", color=MUTED, fontsize=SMALL, va="center"
        )
        figure.text(
            0.54,
            0.062,
            f"change of domestic and direct emissions, {joint.unit}",
            color=MUTED,
            fontsize=SMALL,
            ha="center",
            va="center",
        )
        return picture(figure, key, alt)


def _ellipse(joint: Joint, radius: float) -> tuple[F64, F64]:
    angle = np.linspace(0, 2 * np.pi, 181)
    u, v = np.cos(angle), np.sin(angle)
    rest = np.sqrt(max(0.0, 1 - joint.correlation**2))
    return (
        joint.home + radius * joint.home_sd * u,
        joint.abroad + radius * joint.abroad_sd * (joint.correlation * u + rest * v),
    )


def _frame(axes: Axes, joint: Joint) -> None:
    """Both axes in one unit, so that the diagonal is the line of an unchanged total."""
    reach_x = max(abs(joint.home) + 2.9 * joint.home_sd, 2.0 * joint.home_sd)
    reach_y = max(abs(joint.abroad) + 3.4 * joint.abroad_sd, 2.0 * joint.abroad_sd)
    box = axes.get_position()
    aspect = box.height * _HEIGHT / (box.width * WIDTH)
    far = float(np.copysign(reach_x, joint.home))
    left, right = sorted((far, -0.35 * far))
    low, high = -reach_y, reach_y
    width = max(right - left, (high - low) / aspect)
    middle = (left + right) / 2
    left, right = middle - width / 2, middle + width / 2
    height = max(high - low, width * aspect)
    axes.set_xlim(left, right)
    axes.set_ylim(-height / 2, height / 2)
    axes.axhline(0, color=INK, linewidth=0.9)
    axes.axvline(0, color=INK, linewidth=0.9)
    ends = np.array([left, right])
    axes.plot(ends, -ends, color=RULE, linewidth=1.1, linestyle=(0, (4, 3)), zorder=0)
    at = -0.32 * height * np.copysign(1.0, joint.home)
    axes.annotate(
        "total unchanged",
        (-at, at),
        xytext=(3, 3),
        textcoords="offset points",
        rotation=-45,
        rotation_mode="anchor",
        ha="center",
        va="bottom",
        fontsize=SMALL,
        color=MUTED,
    )
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, pad=6)
    for axis, most in ((axes.xaxis, 7), (axes.yaxis, 6)):
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
        ticks = axis.get_majorticklocs()
        decimals = max(0, places(abs(ticks[1] - ticks[0])) - 1) if len(ticks) > 1 else 0
        axis.set_major_formatter(
            FuncFormatter(lambda value, _, d=decimals: number(value, d, sign=True))
        )


def _corners(axes: Axes, joint: Joint) -> None:
    """What each corner means, and how probable it is."""
    for name, text, x, y in (
        ("p_offset", "fell within, rose abroad", 0.012, 0.985),
        ("p_both_fell", "both fell", 0.012, 0.015),
        ("p_both_rose", "both rose", 0.988, 0.985),
        ("p_opposite", "rose within, fell abroad", 0.988, 0.015),
    ):
        ha, va = "left" if x < 0.5 else "right", "top" if y > 0.5 else "bottom"
        axes.annotate(
            f"{joint.corners[name]}",
            (x, y),
            xycoords="axes fraction",
            ha=ha,
            va=va,
            fontsize=TEXT + 2,
            weight="bold",
            color=INK,
            xytext=(0, 0 if va == "top" else 12),
            textcoords="offset points",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )
        axes.annotate(
            text,
            (x, y),
            xycoords="axes fraction",
            ha=ha,
            va=va,
            fontsize=SMALL,
            color=MUTED,
            xytext=(0, -14 if va == "top" else 0),
            textcoords="offset points",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )
