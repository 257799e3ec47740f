"""The verdict over the correlation: a bar a change, in colour where it would be detectable.

The horizontal axis is stretched as in the funnel, by 1 - sqrt(1 - rho), so that the correlations
that matter, close to one, get the room they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    PAPER,
    RISE,
    RULE,
    SMALL,
    WIDTH,
    Picture,
    picture,
    sheet,
    style,
)
from engine.report.figures.funnel import stretched
from engine.report.numbers import correlation

_TICKS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_NOT = "#e3e6eb"
_ROW, _TOP, _BOTTOM = 0.235, 0.34, 0.62  # inches
_LEFT, _RIGHT = 0.95, 1.85


@dataclass(frozen=True, slots=True)
class Bar:
    """One change.

    Attributes:
        label: its years.
        above: the correlation above which it is detectable; 1 or more never, -1 or less always.
        own: the error model's own correlation; None where there is none.
        verdict: at that one.
        rose: whether the estimate rose.
    """

    label: str
    above: float
    own: float | None
    verdict: str
    rose: bool


def decided(bars: Sequence[Bar], *, key: str, data: str, alt: str) -> Picture:
    """Bars from no correlation (or the lowest there is) to one, the first change on top."""
    height = _TOP + _ROW * len(bars) + _BOTTOM
    start = max(-1.0, min(0.0, *(bar.own - 0.05 for bar in bars if bar.own is not None), 0.0))
    with style():
        figure = sheet(height, data)
        width = 1 - (_LEFT + _RIGHT) / WIDTH
        axes = figure.add_axes((_LEFT / WIDTH, _BOTTOM / height, width, _ROW * len(bars) / height))
        _frame(axes, bars, start)
        for row, bar in enumerate(bars):
            _bar(axes, row, bar, start)
        figure.text(
            (_LEFT + (WIDTH - _LEFT - _RIGHT) / 2) / WIDTH, 0.26 / height,
            "assumed correlation of the errors of the two years' footprints",
            ha="center", color=MUTED, fontsize=SMALL,
        )  # fmt: skip
        figure.text(
            (WIDTH - _RIGHT + 0.12) / WIDTH, 1 - 0.2 / height,
            "detectable above", color=MUTED, fontsize=SMALL,
        )  # fmt: skip
        figure.text(0.012, 1 - 0.2 / height, "change", color=MUTED, fontsize=SMALL)
        return picture(figure, key, alt)


def _frame(axes: Axes, bars: Sequence[Bar], start: float) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0, pad=5)
    axes.set_xlim(float(stretched(start)), 1.0)
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_yticks(range(len(bars)), [bar.label for bar in bars])
    ticks = [rho for rho in _TICKS if rho >= start - 1e-9]
    axes.set_xticks(stretched(np.array(ticks)).tolist())
    axes.set_xticklabels([f"{rho:g}" for rho in ticks])
    for tick in ticks:
        axes.axvline(float(stretched(tick)), color=RULE, linewidth=0.5, zorder=0)


def _bar(axes: Axes, row: int, bar: Bar, start: float) -> None:
    left, right = float(stretched(start)), 1.0
    turn = float(stretched(np.clip(bar.above, start, 1.0)))
    colour = RISE if bar.rose else FALL
    axes.barh(row, turn - left, left=left, height=0.56, color=_NOT)
    axes.barh(row, right - turn, left=turn, height=0.56, color=colour)
    if bar.own is not None:
        found = bar.verdict in ("decrease", "increase")
        axes.plot(
            [float(stretched(bar.own))], [row], "o",
            color=INK if found else PAPER, mec=INK, mew=1.2, ms=5.5, clip_on=False,
        )  # fmt: skip
    never, always = bar.above >= 1, bar.above <= -1
    said = "never" if never else "always" if always else correlation(bar.above)
    word = "" if never else ", a rise" if bar.rose else ", a fall"
    axes.annotate(
        said + word, (1.0, row), xytext=(9, 0), textcoords="offset points", va="center",
        fontsize=SMALL, color=MUTED if never else colour, annotation_clip=False,
    )  # fmt: skip
