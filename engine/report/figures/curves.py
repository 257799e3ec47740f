"""How often a true change is detected: counted over worlds, beside what theory says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    RISE,
    RULE,
    SMALL,
    TEXT,
    WIDTH,
    plain_axes,
    png,
    sheet,
    style,
)

_WRONG = (RISE, "#7a4fa3", "#4f7a3a", "#8a6d1f", "#59616b")  # beliefs other than the truth
_PANEL = 2.6  # inches


@dataclass(frozen=True, slots=True)
class Curve:
    """One believed scenario; changes in percent of the first year's footprint, rates as shares.

    Attributes:
        right: whether the world's errors are those believed.
        detected, low, high: of decided verdicts in the right direction, with their interval.
        limit: the same as more draws would have it.
        line_change, line: theory's curve with any number of draws, in the right direction.
        none: theory's false positives where nothing changes, of both directions.
    """

    name: str
    right: bool
    change: Sequence[float]
    detected: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    limit: Sequence[float]
    line_change: Sequence[float]
    line: Sequence[float]
    none: float


@dataclass(frozen=True, slots=True)
class Panel:
    """All curves of the worlds of one scenario."""

    truth: str
    curves: tuple[Curve, ...]


def curves(panels: Sequence[Panel], title: str, data: str, alpha: float, power: float) -> bytes:
    """One panel for each scenario of the world, as a PNG image."""
    height = _PANEL * len(panels) + 0.55
    with style():
        figure = sheet(height, data)
        figure.text(0.012, 1 - 0.22 / height, title, color=INK, fontsize=TEXT, weight="bold")
        for position, panel in enumerate(panels):
            bottom = (height - 0.25 - _PANEL * (position + 1) + 0.5) / height
            axes = figure.add_axes((0.085, bottom, 0.62, (_PANEL - 0.85) / height))
            _panel(axes, panel, alpha, power)
        return png(figure)


def _panel(axes: Axes, panel: Panel, alpha: float, power: float) -> None:
    plain_axes(axes)
    handles = []
    others = iter(_WRONG * len(panel.curves))
    for curve in panel.curves:
        colour = FALL if curve.right else next(others)
        rate = [100 * value for value in curve.detected]
        below = [100 * (v - low) for v, low in zip(curve.detected, curve.low, strict=True)]
        above = [100 * (high - v) for v, high in zip(curve.detected, curve.high, strict=True)]
        axes.plot(curve.line_change, [100 * v for v in curve.line], color=colour, linewidth=1.4)
        axes.plot([0.0], [100 * curve.none], "_", color=colour, markersize=11, markeredgewidth=1.4)
        axes.errorbar(
            curve.change, rate, yerr=(below, above), fmt="o", color=colour, markersize=4, capsize=2
        )
        axes.plot(
            curve.change,
            [100 * value for value in curve.limit],
            "o",
            markersize=5.5,
            markerfacecolor="none",
            markeredgecolor=colour,
        )
        belief = "rightly" if curve.right else "wrongly"
        label = f"taken {belief} for `{curve.name}`"
        handles.append(Line2D([], [], color=colour, marker="o", markersize=4, label=label))
    for level, name in ((alpha, "false positives allowed"), (power, "power at the MDC")):
        axes.axhline(100 * level, color=RULE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            name,
            (1.0, 100 * level),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=MUTED,
        )
    handles += [
        Line2D([], [], color=MUTED, linewidth=1.4, label="line, dash: theory"),
        Line2D([], [], color=MUTED, marker="o", linestyle="", markersize=4, label="decided"),
        Line2D(
            [],
            [],
            color=MUTED,
            marker="o",
            linestyle="",
            markersize=5.5,
            markerfacecolor="none",
            label="with more draws",
        ),
    ]
    axes.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.0 + 0.08 / (0.62 * WIDTH), 0.44),
        frameon=False,
        fontsize=SMALL,
    )
    axes.set_ylim(-3, 103)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    if max(max(curve.change) for curve in panel.curves) <= 0:
        axes.invert_xaxis()
    axes.set_xlabel("true change of the footprint", fontsize=SMALL)
    axes.set_title(
        f"errors of `{panel.truth}`: share of the worlds in which it is detected",
        loc="left",
        fontsize=SMALL,
        color=MUTED,
    )
