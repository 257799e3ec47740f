"""Where the uncertainty comes from, as bars, and beside each what better data would buy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    PAPER,
    RISE,
    RULE,
    SMALL,
    Picture,
    picture,
    sheet,
    style,
)

_LINE, _ABOVE, _BELOW = 0.215, 0.62, 0.42  # inches: a line, and the room above and below them
_NAMES, _BARS, _BETTER = 0.285, 0.33, 0.27  # shares of the width
_GAP = 0.035


@dataclass(frozen=True, slots=True)
class Bar:
    """One entry.

    Attributes:
        share: of the variance, 1 is all of it.
        better: the smallest visible change if its error were halved, in the unit of `now`; None
            for what is no single entry.
        shown, better_shown: both in figures.
    """

    name: str
    share: float
    shown: str
    better: float | None
    better_shown: str


@dataclass(frozen=True, slots=True)
class Panel:
    """The entries of one kind, largest first."""

    title: str
    bars: tuple[Bar, ...]


def budget(
    panels: Sequence[Panel], now: float, now_shown: str, *, key: str, data: str, alt: str
) -> Picture:
    """Bars of shares on the left; on the right how far halving each error gets from `now`."""
    lines = sum(1.4 + len(panel.bars) for panel in panels)
    height = _ABOVE + _BELOW + _LINE * lines
    with style():
        figure = sheet(height, data)
        bottom, tall = _BELOW / height, _LINE * lines / height
        bars = figure.add_axes((_NAMES, bottom, _BARS, tall))
        better = figure.add_axes((_NAMES + _BARS + _GAP, bottom, _BETTER, tall))
        for axes in (bars, better):
            _frame(axes, lines)
        _limits(bars, better, panels, now)
        _headings(figure, height, better, now, now_shown, lines)
        at = 0.0
        for panel in panels:
            bars.annotate(
                panel.title,
                (0.012, at + 0.75),
                xycoords=("figure fraction", "data"),
                va="center",
                weight="bold",
                annotation_clip=False,
            )
            for i, bar in enumerate(panel.bars):
                _bar(bars, better, bar, at + 1.7 + i, now)
            at += 1.4 + len(panel.bars)
        return picture(figure, key, alt)


def _frame(axes: Axes, lines: float) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.set_ylim(lines + 0.3, 0.3)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.set_facecolor("none")


def _limits(bars: Axes, better: Axes, panels: Sequence[Panel], now: float) -> None:
    shares = [bar.share for panel in panels for bar in panel.bars]
    low, high = min(0.0, *shares), max(0.1, *shares)
    bars.set_xlim(low - (0.02 if low < 0 else 0.0), low + 1.22 * (high - low))
    values = [
        now,
        *(bar.better for panel in panels for bar in panel.bars if bar.better is not None),
    ]
    least, most = min(values), max(values)
    room = (most - least) or 0.1 * now or 1.0
    better.set_xlim(least - 0.42 * room, most + (0.42 if most > now else 0.06) * room)


def _headings(
    figure: Figure, height: float, better: Axes, now: float, now_shown: str, lines: float
) -> None:
    quiet: dict[str, Any] = {"color": MUTED, "fontsize": SMALL, "va": "center"}
    top = 1 - 0.17 / height
    figure.text(_NAMES, top, "share of the variance", **quiet)
    right = _NAMES + _BARS + _GAP + _BETTER
    figure.text(right, top, "smallest visible fall, that error halved", ha="right", **quiet)
    better.plot([now, now], [0.75, lines + 0.3], color=RULE, linewidth=1.0, zorder=0)
    better.annotate(
        f"now {now_shown}",
        (now, 0.75),
        xytext=(0, 4),
        textcoords="offset points",
        ha="right" if better.get_xlim()[1] - now < now - better.get_xlim()[0] else "left",
        va="bottom",
        fontsize=SMALL,
        weight="bold",
        annotation_clip=False,
    )


def _bar(bars: Axes, better: Axes, bar: Bar, height: float, now: float) -> None:
    colour = FALL if bar.share >= 0 else RISE
    bars.plot([0, 0], [height - 0.5, height + 0.5], color=RULE, linewidth=0.8)
    bars.barh(height, bar.share, height=0.62, color=colour if bar.better is not None else MUTED)
    bars.annotate(
        bar.name if len(bar.name) <= 30 else f"{bar.name[:29]}…",
        (_NAMES - 0.012, height),
        xycoords=("figure fraction", "data"),
        ha="right",
        va="center",
        fontsize=SMALL + 0.5,
        annotation_clip=False,
    )
    bars.annotate(
        bar.shown,
        (max(bar.share, 0.0), height),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=SMALL,
        color=INK if bar.share >= 0 else RISE,
    )
    if bar.better is None:
        return
    worse = bar.better > now
    colour = RISE if worse else FALL
    better.plot([bar.better, now], [height, height], color=colour, linewidth=1.6)
    better.plot([bar.better], [height], "o", color=colour, mec=PAPER, ms=6.5)
    better.annotate(
        bar.better_shown,
        (bar.better, height),
        xytext=(6 if worse else -6, 0),
        textcoords="offset points",
        ha="left" if worse else "right",
        va="center",
        fontsize=SMALL,
        color=INK,
    )
