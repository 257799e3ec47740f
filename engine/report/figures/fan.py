"""Footprint over time: point estimates with the bands that hold it with 50 and 95 %."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from matplotlib.axes import Axes
from matplotlib.figure import Figure
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
from engine.report.figures.labels import cut, spread
from engine.report.numbers import number, places
from engine.report.rows import Level

_BAND_LABEL = "#3c5a7a"
_NEAR_ZERO = 0.3  # of the highest value: what comes lower has its axis begin at zero
_ABOVE, _TOTAL, _BETWEEN, _PARTS, _BELOW = 0.3, 2.1, 0.58, 1.05, 0.5  # inches


@dataclass(frozen=True, slots=True)
class Limit:
    """What a target allows: a footprint of `value` at most in `year`, counted from `from_year`."""

    name: str
    from_year: int
    year: int
    value: float


def bottom(levels: Sequence[Level], limits: Sequence[Limit] = ()) -> float:
    """Where the axis of the total begins: below zero, at it, or above where zero is far away."""
    values = [v for level in levels for v in _values(level)] + [limit.value for limit in limits]
    low, high = min(values), max(values)
    room = 0.06 * (high - low or abs(high) or 1.0)
    return low - room if low < 0 or low > _NEAR_ZERO * high else 0.0


def over_time(
    levels: Sequence[Level],
    parts: Sequence[tuple[str, Sequence[Level]]],
    *,
    key: str,
    data: str,
    alt: str,
    median: bool,
    limits: Sequence[Limit] = (),
) -> Picture:
    """The total over the years, named at its right end, and below it its parts on one scale.

    Args:
        parts: title and levels of each; none gives the total alone.
        median: whether the draws' median is drawn too.
    """
    under = _BETWEEN + _PARTS if parts else 0.0
    height = _ABOVE + _TOTAL + under + _BELOW
    with style():
        figure = sheet(height, data)
        # Names of targets are longer than those of bands.
        right = 0.76 if limits else 0.845
        place = (0.075, (_BELOW + under) / height, right - 0.075, _TOTAL / height)
        axes = figure.add_axes(place)
        _bands(axes, levels, median=median)
        _years(axes, [level.year for level in levels])
        for limit in limits:
            _limit(axes, limit)
        axes.set_ylim(bottom=bottom(levels, limits))
        _thousands(axes)
        make_room(axes)
        figure.text(
            0.012, 1 - 0.14 / height, levels[0].unit, color=MUTED, fontsize=SMALL, va="center"
        )
        _named_at_the_end(axes, levels[-1], limits, median=median)
        if parts:
            _multiples(figure, parts, _BELOW / height, _PARTS / height, axes.get_position().x0)
        return picture(figure, key, alt)


def _multiples(
    figure: Figure,
    parts: Sequence[tuple[str, Sequence[Level]]],
    low_edge: float,
    tall: float,
    left: float,
) -> None:
    """The parts of a footprint side by side on one scale that holds zero."""
    top = max(v for _, levels in parts for level in levels for v in _values(level))
    low = min(0.0, *(v for _, levels in parts for level in levels for v in _values(level)))
    left, gap = max(left, left_edge(len(number(low if low < 0 else top, 0)), 0.075)), 0.035
    width = (0.97 - left - gap * (len(parts) - 1)) / len(parts)
    for position, (title, levels) in enumerate(parts):
        axes = figure.add_axes((left + position * (width + gap), low_edge, width, tall))
        _bands(axes, levels, median=False, marker=3.4 if len(levels) <= 8 else 0)
        _years(axes, [level.year for level in levels], most=max(2, int(width * WIDTH / 0.6)))
        axes.set_ylim(1.05 * low, 1.05 * top or 1.0)
        _thousands(axes, 3)
        axes.set_title(title, loc="left", fontsize=TEXT, color=INK, weight="bold", pad=6)
        if position:
            axes.tick_params(labelleft=False)


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
    """A quiet line from the base on, bold where the target is due."""
    axes.plot([limit.from_year, limit.year], [limit.value] * 2, color=RISE, lw=1, ls=(0, (4, 3)))
    axes.plot([limit.year], [limit.value], marker="_", color=RISE, ms=20, mew=2.4)


def _years(axes: Axes, years: Sequence[int], most: int = 14) -> None:
    step = -(-len(years) // most)
    # Counted from the end, so that the last year, the one people look for, always has its label.
    axes.set_xticks(sorted(list(years)[::-1][::step]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    pad = 0.03 * (years[-1] - years[0]) or 1.0
    axes.set_xlim(years[0] - pad, years[-1] + pad)


def _thousands(axes: Axes, most: int = 5) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(most, steps=[1, 2, 5, 10]))
    ticks = axes.get_yticks()
    decimals = max(0, places(abs(ticks[1] - ticks[0])) - 1) if len(ticks) > 1 else 0
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value, decimals)))


def _named_at_the_end(axes: Axes, last: Level, limits: Sequence[Limit], *, median: bool) -> None:
    """Direct labels instead of a legend, moved apart where they would touch."""
    room = (1 - axes.get_position().x1) * WIDTH - 0.12
    wanted = [
        (last.reference, "point estimate", INK, "bold"),
        (last.q975, "95 % band", _BAND_LABEL, "normal"),
        (last.q750, "50 % band", _BAND_LABEL, "normal"),
    ]
    if median:
        wanted.append((last.median, "median", INK, "normal"))
    wanted += [
        (limit.value, cut(f"target: {limit.name}", room, SMALL), RISE, "normal") for limit in limits
    ]
    wanted = [entry for entry in wanted if isfinite(entry[0])]
    low, high = axes.get_ylim()
    heights = spread([entry[0] for entry in wanted], 0.085 * (high - low), low, high)
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
