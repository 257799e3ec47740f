"""Footprint over time: point estimates with the bands that hold it with 50 and 95 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from engine.report.figures.canvas import (
    BAND_50,
    BAND_95,
    INK,
    MUTED,
    RISE,
    SMALL,
    TEXT,
    WIDTH,
    Picture,
    left_edge,
    make_room,
    picture,
    plain_axes,
    sheet,
    style,
)
from engine.report.figures.labels import spread
from engine.report.numbers import number, places
from engine.report.rows import Level

_BAND_LABEL = "#3c5a7a"


@dataclass(frozen=True, slots=True)
class Limit:
    """What a target allows: a footprint of `value` at most in `year`, counted from `from_year`."""

    name: str
    from_year: int
    year: int
    value: float


def fan(
    levels: Sequence[Level],
    *,
    key: str,
    data: str,
    alt: str,
    median: bool,
    limits: Sequence[Limit] = (),
) -> Picture:
    """One part over the years, named at its right end; `median` draws the draws' median too."""
    with style():
        figure = sheet(3.5, data)
        axes = figure.add_axes((0.075, 0.16, 0.76, 0.72))
        _bands(axes, levels, median=median)
        _years(axes, [level.year for level in levels])
        for limit in limits:
            _limit(axes, limit)
        _thousands(axes)
        make_room(axes)
        figure.text(0.012, 0.955, levels[0].unit, color=MUTED, fontsize=SMALL, va="center")
        _named_at_the_end(axes, levels[-1], median=median)
        return picture(figure, key, alt)


def multiples(
    parts: Sequence[tuple[str, Sequence[Level]]], *, key: str, data: str, alt: str
) -> Picture:
    """The parts of a footprint side by side on one scale."""
    with style():
        figure = sheet(2.75, data)
        top = max(v for _, levels in parts for level in levels for v in _values(level))
        low = min(0.0, *(v for _, levels in parts for level in levels for v in _values(level)))
        left, gap = left_edge(len(number(low if low < 0 else top, 0)), 0.075), 0.03
        width = (0.985 - left - gap * (len(parts) - 1)) / len(parts)
        for position, (title, levels) in enumerate(parts):
            axes = figure.add_axes((left + position * (width + gap), 0.19, width, 0.62))
            _bands(axes, levels, median=False, marker=3.4 if len(levels) <= 8 else 0)
            _years(axes, [level.year for level in levels], most=max(2, int(width * WIDTH / 0.6)))
            axes.set_ylim(1.05 * low, 1.05 * top or 1.0)
            _thousands(axes)
            axes.set_title(title, loc="left", fontsize=TEXT, color=INK, weight="bold", pad=8)
            if position:
                axes.tick_params(labelleft=False)
        figure.text(0.012, 0.955, parts[0][1][0].unit, color=MUTED, fontsize=SMALL, va="center")
        return picture(figure, key, alt)


def _values(level: Level) -> list[float]:
    return [v for v in (level.reference, level.q025, level.q975) if isfinite(v)] or [0.0]


def _bands(axes: Axes, levels: Sequence[Level], *, median: bool, marker: float = 4.2) -> None:
    plain_axes(axes)
    years = [level.year for level in levels]
    if len(years) == 1:  # a band needs two years to be seen
        axes.vlines(years, [levels[0].q025], [levels[0].q975], color=BAND_95, linewidth=14)
        axes.vlines(years, [levels[0].q250], [levels[0].q750], color=BAND_50, linewidth=14)
    for low, high, colour in (("q025", "q975", BAND_95), ("q250", "q750", BAND_50)):
        lower, upper = ([getattr(level, end) for level in levels] for end in (low, high))
        axes.fill_between(years, lower, upper, color=colour, linewidth=0)
    if median:
        axes.plot(years, [level.median for level in levels], color=INK, lw=1, ls=(0, (2, 2)))
    axes.plot(
        years,
        [level.reference for level in levels],
        color=INK,
        linewidth=1.8,
        marker="o",
        markersize=marker,
        markerfacecolor="white",
        markeredgewidth=1.4,
    )


def _limit(axes: Axes, limit: Limit) -> None:
    """A quiet line from the base on, bold where the target is due, named below it."""
    axes.plot([limit.from_year, limit.year], [limit.value] * 2, color=RISE, lw=1, ls=(0, (4, 3)))
    axes.plot([limit.year], [limit.value], marker="_", color=RISE, ms=20, mew=2.4)
    axes.annotate(
        f"target: {limit.name}",
        (limit.year, limit.value),
        xytext=(-14, -4),
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=SMALL,
        color=RISE,
    )


def _years(axes: Axes, years: Sequence[int], most: int = 14) -> None:
    step = -(-len(years) // most)
    # Counted from the end, so that the last year, the one people look for, always has its label.
    axes.set_xticks(sorted(list(years)[::-1][::step]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    pad = 0.03 * (years[-1] - years[0]) or 1.0
    axes.set_xlim(years[0] - pad, years[-1] + pad)


def _thousands(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ticks = axes.get_yticks()
    decimals = max(0, places(abs(ticks[1] - ticks[0])) - 1) if len(ticks) > 1 else 0
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, decimals)))


def _named_at_the_end(axes: Axes, last: Level, *, median: bool) -> None:
    """Direct labels instead of a legend, moved apart where they would touch."""
    wanted = [
        (last.reference, "point estimate", INK, "bold"),
        (last.q975, "95 % band", _BAND_LABEL, "normal"),
        (last.q750, "50 % band", _BAND_LABEL, "normal"),
    ]
    if median:
        wanted.append((last.median, "median", INK, "normal"))
    wanted = [entry for entry in wanted if isfinite(entry[0])]
    low, high = axes.get_ylim()
    heights = spread([entry[0] for entry in wanted], gap=0.075 * (high - low))
    for (_, text, colour, weight), height in zip(wanted, heights, strict=True):
        axes.annotate(
            text,
            (1.0, height),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=SMALL,
            color=colour,
            weight=weight,
            annotation_clip=False,
        )
