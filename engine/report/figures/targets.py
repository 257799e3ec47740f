"""A target against its estimate: what the footprint may be, and how sure one is that it is less.

One lane a target and rule, on an axis of the footprint of the target year relative to the base:
the bands that hold the true ratio, the estimate, the target, and the guard band below the target,
inside which an estimate meets the target and does not yet conform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from engine.report.figures.canvas import (
    BAND_50,
    BAND_95,
    FALL,
    INK,
    MUTED,
    PALE,
    PAPER,
    RISE,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    Picture,
    picture,
    sheet,
    style,
)
from engine.report.figures.labels import wrapped
from engine.report.numbers import number, places

_LANE = 0.56  # inches
_ABOVE, _BELOW = 0.36, 0.62
_TITLE = 1.25  # inches that a line of a title takes, at most, before it is set in bold
_COLOURS = {"conforms": FALL, "does not conform": RISE}
_GUARD = "#fdf0d5"


@dataclass(frozen=True, slots=True)
class Lane:
    """One target by one rule, all in percent of the base.

    Attributes:
        title, subtitle: at its left.
        verdict: at its right, with the probability.
        ends: of the 95 % band, of the 50 % band, ascending.
    """

    title: str
    subtitle: str
    verdict: str
    probability: str
    estimate: float
    target: float
    acceptance: float
    ends: tuple[float, float, float, float]


def targets(lanes: Sequence[Lane], *, key: str, data: str, alt: str) -> Picture:
    """The lanes, one below the other."""
    height = _ABOVE + _LANE * len(lanes) + _BELOW
    with style():
        figure = sheet(height, data)
        left, right = 1.62 / WIDTH, 1.22 / WIDTH
        axes = figure.add_axes(
            (left, _BELOW / height, 1 - left - right, _LANE * len(lanes) / height)
        )
        _frame(axes, lanes)
        for place, lane in enumerate(lanes):
            _lane(axes, lane, len(lanes) - 1 - place)
        figure.text(
            left + (1 - left - right) / 2,
            0.25 / height,
            "footprint of the target year, % of the base",
            ha="center",
            va="center",
            color=MUTED,
            fontsize=SMALL,
        )
        _key(axes, lanes[0], len(lanes))
        return picture(figure, key, alt)


def _frame(axes: Axes, lanes: Sequence[Lane]) -> None:
    values = [v for lane in lanes for v in (*lane.ends, lane.target, lane.acceptance)]
    low, high = min(values), max(values)
    pad = 0.06 * (high - low)
    axes.set_xlim(low - pad, high + pad)
    axes.set_ylim(-0.5, len(lanes) - 0.5)
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ticks = axes.get_xticks()
    decimals = max(0, places(abs(ticks[1] - ticks[0])) - 1) if len(ticks) > 1 else 0
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, decimals)))
    axes.grid(axis="x", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)


def _lane(axes: Axes, lane: Lane, y: int) -> None:
    low, lower, upper, high = lane.ends
    guard = Rectangle(
        (lane.acceptance, y - 0.42),
        lane.target - lane.acceptance,
        0.84,
        facecolor=_GUARD,
        edgecolor="none",
    )
    axes.add_patch(guard)
    for a, b, colour, half in ((low, high, BAND_95, 0.16), (lower, upper, BAND_50, 0.16)):
        axes.fill_betweenx([y - half, y + half], a, b, color=colour, linewidth=0)
    axes.plot([lane.target] * 2, [y - 0.42, y + 0.42], color=RISE, linewidth=2.2)
    axes.plot([lane.acceptance] * 2, [y - 0.42, y + 0.42], color=INK, lw=1.1, ls=(0, (3, 2)))
    colour = _COLOURS.get(lane.verdict, PAPER)
    axes.plot([lane.estimate], [y], "o", color=colour, mec=INK, mew=1.4, markersize=7)
    if y:
        axes.axhline(y - 0.5, color=RULE, linewidth=0.6)
    place: dict[str, Any] = {"textcoords": "offset points", "annotation_clip": False}
    title = wrapped(lane.title, _TITLE, TEXT)
    more = len(title) > 1
    for text, dy, ink, size, weight in (
        ("\n".join(title), 5.5 if more else 6, INK, TEXT, "bold"),
        (lane.subtitle, -14.5 if more else -7, MUTED, SMALL, "normal"),
    ):
        axes.annotate(
            text, (0.0, y), xycoords=("axes fraction", "data"), xytext=(-8, dy), ha="right",
            va="center", color=ink, fontsize=size, weight=weight, **place,
        )  # fmt: skip
    for text, dy, ink, size, weight in (
        (lane.probability, 6, INK, TEXT, "bold"),
        (lane.verdict, -7, _COLOURS.get(lane.verdict, MUTED), SMALL, "normal"),
    ):
        axes.annotate(
            text, (1.0, y), xycoords=("axes fraction", "data"), xytext=(8, dy), ha="left",
            va="center", color=ink, fontsize=size, weight=weight, **place,
        )  # fmt: skip


def _key(axes: Axes, lane: Lane, lanes: int) -> None:
    """Direct labels above the first lane: the target and the acceptance limit."""
    for x, text, colour, side in (
        (lane.target, "target", RISE, "left"),
        (lane.acceptance, "conforms up to here", INK, "right"),
    ):
        axes.annotate(
            text,
            (x, lanes - 0.5),
            xytext=(3 if side == "left" else -3, 7),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=SMALL,
            color=colour,
            annotation_clip=False,
        )
