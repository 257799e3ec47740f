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
    TEXT,
    WIDTH,
    Picture,
    picture,
    sheet,
    style,
)
from engine.report.figures.labels import width, wrapped

_LINE, _ABOVE, _BELOW = 0.2, 0.34, 0.26  # inches: a line, and the room above and below them
_TITLE, _TWO = 1.5, 1.6  # lines that a title takes, and a bar whose name needs two
_LONGEST, _GAP = 2.3, 0.25  # inches that names may take, and between bars and what is better
_SIZE = SMALL + 0.5


@dataclass(frozen=True, slots=True)
class Bar:
    """One entry.

    Attributes:
        share: of the variance, 1 is all of it.
        better: the minimum detectable change if its error were halved, in the unit of `now`; None
            where that is no other than now, as it is printed.
        shown, better_shown: both in figures.
        rest: whether it is what is left of many, and no single entry.
    """

    name: str
    share: float
    shown: str
    better: float | None
    better_shown: str
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """The entries of one kind, largest first."""

    title: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A bar with its name in lines, and where its middle is, in lines from above."""

    bar: Bar
    name: tuple[str, ...]
    at: float


def budget(
    panels: Sequence[Panel], now: float, now_shown: str, *, key: str, data: str, alt: str
) -> Picture:
    """Bars of shares on the left; on the right how far halving each error gets from `now`."""
    titles, lines, total = _laid_out(panels)
    height = _ABOVE + _BELOW + _LINE * total
    names = max(width(text, _SIZE) for line in lines for text in line.name) + 0.12
    names = max(names, *(width(panel.title, TEXT, bold=True) for panel in panels)) + 0.1
    each = (WIDTH - names - _GAP) / 2
    with style():
        figure = sheet(height, data)
        bottom, tall = _BELOW / height, _LINE * total / height
        bars = figure.add_axes((names / WIDTH, bottom, each / WIDTH, tall))
        left = (names + each + _GAP) / WIDTH
        better = figure.add_axes((left, bottom, (each - 0.1) / WIDTH, tall))
        for axes in (bars, better):
            _frame(axes, total)
        _limits(bars, better, panels, now)
        _headings(figure, bars, better, now, now_shown)
        for panel, at in zip(panels, titles, strict=True):
            figure.text(
                0.012,
                1 - (_ABOVE + _LINE * at) / height,
                panel.title,
                va="center",
                weight="bold",
            )
        for line in lines:
            _bar(bars, better, line, now)
        return picture(figure, key, alt)


def _laid_out(panels: Sequence[Panel]) -> tuple[list[float], list[_Line], float]:
    """Where titles and bars lie, in lines from above, and how many lines that takes."""
    titles, lines, at = [], [], 0.0
    for panel in panels:
        titles.append(at + 0.85)
        at += _TITLE
        for bar in panel.bars:
            name = tuple(wrapped(bar.name, _LONGEST, _SIZE))
            tall = _TWO if len(name) > 1 else 1.0
            lines.append(_Line(bar, name, at + tall / 2))
            at += tall
    return titles, lines, at


def _frame(axes: Axes, lines: float) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.set_ylim(lines, 0.0)
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


def _headings(figure: Figure, bars: Axes, better: Axes, now: float, now_shown: str) -> None:
    quiet: dict[str, Any] = {"color": MUTED, "fontsize": SMALL, "va": "center"}
    height = figure.get_figheight()
    top = 1 - 0.14 / height
    figure.text(bars.get_position().x0, top, "share of the variance", **quiet)
    edge = better.get_position()
    figure.text(
        edge.x1, top, "minimum detectable fall if that error were halved", ha="right", **quiet
    )
    lines = better.get_ylim()[0]
    better.plot([now, now], [_TITLE - 0.2, lines], color=RULE, linewidth=1.0, zorder=0)
    left, right = better.get_xlim()
    better.annotate(
        f"now {now_shown}",
        (now, _TITLE - 0.2),
        xytext=(3 if right - now > now - left else 0, 2),
        textcoords="offset points",
        ha="right" if right - now < now - left else "left",
        va="bottom",
        fontsize=SMALL,
        weight="bold",
        annotation_clip=False,
    )


def _bar(bars: Axes, better: Axes, line: _Line, now: float) -> None:
    bar, height = line.bar, line.at
    colour = MUTED if bar.rest else FALL if bar.share >= 0 else RISE
    bars.plot([0, 0], [height - 0.5, height + 0.5], color=RULE, linewidth=0.8)
    bars.barh(height, bar.share, height=0.62, color=colour)
    bars.annotate(
        "\n".join(line.name),
        (0.0, height),
        xycoords=("axes fraction", "data"),
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=_SIZE,
        linespacing=1.0,
        color=MUTED if bar.rest else INK,
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
