"""What it hangs on: how small a change shows, against the correlation that is assumed.

For two years with errors s1, s2 of ln F, at an assumed correlation rho,

    sigma(rho)^2 = s1^2 + s2^2 - 2 rho s1 s2,

an estimated change is detectable beyond z_{1-alpha/2} sigma, and a true change of MDC =
(z_{1-alpha/2} + z_{1-beta}) sigma is missed with probability beta; z is raised where draws were
rejected, and the MDC of a fall or rise is larger where delta is biased against it. The horizontal
axis is stretched by 1 - sqrt(1 - rho): with s1 = s2 both limits are then straight lines on the log
scale, and the correlations that matter, close to one, get the room they need.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from engine.kernels.arrays import F64
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
    make_room,
    picture,
    sheet,
    style,
)
from engine.report.figures.labels import cut, spread, width
from engine.report.numbers import MINUS, NBSP, correlation, number, places
from engine.report.rows import Change
from engine.report.words import estimate, step
from engine.report.words import mdc as smallest

_NOISE, _MAYBE = "#e6e9ee", "#f4f5f8"
_TICKS = (-1.0, -0.5, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_HEIGHT, _PLACE = 4.3, (0.085, 0.165, 0.765, 0.71)
_UNDECIDED = "#767e88"
_SAME_PLACE = 0.012  # of the axis: what lies nearer is marked once

Sampled = tuple[F64, F64]  # values, and their Monte Carlo standard errors


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What the pairs of years need at each correlation: median, lowest and highest, (3, points).

    `mcse` is its Monte Carlo standard error: that of the pair which is lowest or highest, and of
    the median, where two pairs are averaged, the mean of theirs, an upper bound.
    """

    value: F64
    mcse: F64


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Detection limit and MDC over correlations, on the scale of delta."""

    rho: F64
    limit: Curve
    fall: Curve  # the MDC of a fall
    rise: Curve

    def from_(self, lowest: float) -> Curves:
        """The part at correlations of `lowest` and above."""
        kept = self.rho >= lowest - 1e-9
        each = (
            Curve(c.value[:, kept], c.mcse[:, kept]) for c in (self.limit, self.fall, self.rise)
        )
        return Curves(self.rho[kept], *each)


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a scenario of the error model puts the correlation of the changes drawn.

    Attributes:
        rho: of each change.
        own: whether it is the scenario of this page.
    """

    name: str
    rho: tuple[float, ...]
    own: bool

    @property
    def middle(self) -> float:
        return sorted(self.rho)[len(self.rho) // 2]


def curves(rho: F64, limit: Sampled, fall: Sampled, rise: Sampled) -> Curves:
    """Over the pairs of years.

    Args:
        rho: correlations, (points,).
        limit, fall, rise: values and their Monte Carlo standard errors, (points, pairs) each.
    """
    return Curves(rho, *(_spanned(*each) for each in (limit, fall, rise)))


def _spanned(value: F64, mcse: F64) -> Curve:
    order = np.argsort(value, axis=1)
    ordered, errors = (np.take_along_axis(each, order, axis=1).T for each in (value, mcse))
    middle = slice((len(ordered) - 1) // 2, len(ordered) // 2 + 1)
    return Curve(
        *(np.stack([each[middle].mean(axis=0), each[0], each[-1]]) for each in (ordered, errors))
    )


def funnel(
    changes: Sequence[Change],
    over: Curves,
    marks: Sequence[Mark],
    power: float,
    *,
    key: str,
    data: str,
    alt: str,
) -> Picture:
    """Each observed change is a rule that takes colour where it would become detectable.

    Args:
        changes: of which one could be decided, for all the draws that were rejected.
        over: of these changes.
        marks: correlations of every scenario, that of this page among them.
        power: with which a true change of the size of the MDC is found.
    """
    view = _view(changes, over, marks)
    with style():
        figure = sheet(_HEIGHT, data)
        axes = figure.add_axes(_PLACE)
        _regions(axes, view)
        _frame(figure, axes, view)
        _scenarios(figure, axes, marks)
        for change in changes:
            _rule(axes, change, view)
        _own_verdicts(axes, changes)
        _name_regions(axes, view, changes, power, next(mark for mark in marks if mark.own))
        _own_mdc(axes, [change for change in changes if change.verdict != "not assessed"])
        _name_rules(axes, changes)
        return picture(figure, key, alt)


def stretched(rho: float | F64) -> F64:
    """Where a correlation lies on the horizontal axis."""
    place: F64 = 1 - np.sqrt(1 - np.minimum(np.asarray(rho, dtype=np.float64), 1.0))
    return place


def shown(delta: float | F64, *, logarithmic: bool) -> F64:
    """Where a change lies on the vertical axis: in per cent, or as it is on the raw scale."""
    values = np.asarray(delta, dtype=np.float64)
    return 100 * np.expm1(values) if logarithmic else values


@dataclass(frozen=True, slots=True)
class _View:
    """What the frame shows: the curves, where they start, and how far up and down."""

    curves: Curves
    unit: str
    logarithmic: bool
    top: float
    bottom: float

    def up(self, delta: F64) -> F64:
        return shown(delta, logarithmic=self.logarithmic)

    def down(self, delta: F64) -> F64:
        return shown(-delta, logarithmic=self.logarithmic)


def lowest_shown(marks: Sequence[Mark]) -> float:
    """The lowest correlation shown: none, or below the lowest that a scenario has."""
    lowest = min(rho for mark in marks for rho in mark.rho)
    return max(-1.0, min(0.0, lowest - 0.05))


def _view(changes: Sequence[Change], over: Curves, marks: Sequence[Mark]) -> _View:
    """High enough for what is observed and for what this page's model would miss."""
    drawn = over.from_(lowest_shown(marks))
    logarithmic = changes[0].logarithmic
    own = max(max(change.mdc_decrease, change.mdc_increase) for change in changes)
    seen = max(abs(change.reference_delta) for change in changes)
    widest = 1.08 * float(max(drawn.fall.value[2].max(), drawn.rise.value[2].max()))
    reach = min(max(1.6 * own, 1.25 * seen) or widest, max(widest, 1.25 * seen))
    return _View(
        drawn,
        "%" if logarithmic else changes[0].unit,
        logarithmic,
        float(shown(reach, logarithmic=logarithmic)),
        float(shown(-reach, logarithmic=logarithmic)),
    )


def _regions(axes: Axes, view: _View) -> None:
    """Grey where an estimate would not be told from none; paler up to the MDC."""
    x, limit = stretched(view.curves.rho), view.curves.limit.value
    fall, rise = view.curves.fall.value, view.curves.rise.value
    axes.fill_between(x, view.down(fall[0]), view.up(rise[0]), color=_MAYBE, linewidth=0)
    axes.fill_between(x, view.down(limit[0]), view.up(limit[0]), color=_NOISE, linewidth=0)
    for side, mdc in ((view.up, rise), (view.down, fall)):
        axes.fill_between(x, side(mdc[1]), side(mdc[2]), color=INK, alpha=0.12, linewidth=0)
        axes.plot(x, side(mdc[0]), color=INK, linewidth=2.2, solid_capstyle="butt")
        axes.plot(x, side(limit[0]), color=MUTED, linewidth=0.9)


def _frame(figure: Figure, axes: Axes, view: _View) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, pad=6)
    axes.set_ylim(view.bottom, view.top)
    axes.set_xlim(float(stretched(view.curves.rho[0])), 1.0)
    ticks = [rho for rho in _TICKS if rho >= view.curves.rho[0] - 1e-9]
    axes.set_xticks(stretched(np.array(ticks)).tolist())
    axes.set_xticklabels([f"{rho:g}".replace("-", MINUS) for rho in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    steps = np.diff(axes.get_yticks())
    decimals = max(0, places(float(steps[0])) - 1) if steps.size else 0
    axes.yaxis.set_major_formatter(
        FuncFormatter(lambda value, _: number(value, decimals, sign=True))
    )
    make_room(axes)
    axes.axhline(0, color=RULE, linewidth=0.8)
    put: dict[str, Any] = {"color": MUTED, "fontsize": SMALL, "va": "center"}
    figure.text(0.012, _PLACE[1] + _PLACE[3] + 0.037, f"change, {view.unit}", **put)
    figure.text(
        0.4675, 0.068, "correlation of the errors of the two years' footprints", ha="center", **put
    )


def _rule(axes: Axes, change: Change, view: _View) -> None:
    """Grey while the change would not be detectable, coloured from its break-even on."""
    height = float(shown(change.reference_delta, logarithmic=view.logarithmic))
    left = float(stretched(view.curves.rho[0]))
    turn = float(stretched(np.clip(change.rho_break_even, view.curves.rho[0], 1.0)))
    colour = RISE if change.rose else FALL
    axes.plot([left, turn], [height, height], color=_UNDECIDED, linewidth=0.9, alpha=0.75)
    if change.rho_break_even < 1:
        axes.plot([turn, 1.0], [height, height], color=colour, linewidth=1.5)
    if view.curves.rho[0] < change.rho_break_even < 1:
        axes.plot([turn], [height], "o", color=PAPER, mec=colour, mew=1.2, markersize=5)


def _own_verdicts(axes: Axes, changes: Sequence[Change]) -> None:
    """Where the error model of this page puts each change, filled with its verdict's colour."""
    for change in changes:
        colour = (RISE if change.rose else FALL) if change.decided else _UNDECIDED
        height = float(shown(change.reference_delta, logarithmic=change.logarithmic))
        axes.plot([float(stretched(change.rho))], [height], "o", color=colour, mec=PAPER, ms=7)


def _scenarios(figure: Figure, axes: Axes, marks: Sequence[Mark]) -> None:
    """A line down from each scenario's correlation, named above; those that agree share a name."""
    box = axes.get_position()
    left, span = box.x0 * WIDTH, box.width * WIDTH
    first = axes.get_xlim()[0]
    together = _together(marks)
    labels = [_label(those, len(together)) for those in together]
    places = [left + span * (_across(those) - first) / (1.0 - first) for those in together]
    widths = [
        max(width(line, SMALL, bold=any(mark.own for mark in those)) for line in lines) + 0.16
        for those, lines in zip(together, labels, strict=True)
    ]
    room = (widths[0] / 2, WIDTH - widths[-1] / 2)
    top = box.y1 + 0.24 / _HEIGHT
    middles = spread(places, widths, *room)
    for those, lines, place, middle in zip(together, labels, places, middles, strict=True):
        own = any(mark.own for mark in those)
        axes.axvline(
            _across(those),
            color=INK if own else _UNDECIDED,
            linewidth=1.1 if own else 0.8,
            linestyle=(0, (3, 2)) if own else (0, (1, 2)),
        )
        figure.add_artist(
            Line2D(
                [middle / WIDTH, place / WIDTH, place / WIDTH],
                [top - 0.03 / _HEIGHT, box.y1 + 0.06 / _HEIGHT, box.y1],
                color=INK if own else _UNDECIDED,
                linewidth=0.8,
            )
        )
        for line, up in zip(lines, (0.155, 0.0), strict=True):
            figure.text(
                middle / WIDTH,
                top + up / _HEIGHT,
                line,
                ha="center",
                va="bottom",
                fontsize=SMALL,
                color=INK if own else MUTED,
                weight="bold" if own else "normal",
            )


def _together(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Scenarios from left to right, those at one place together."""
    groups: list[list[Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.middle):
        near = groups and stretched(mark.middle) - stretched(groups[-1][0].middle) < _SAME_PLACE
        groups[-1].append(mark) if near else groups.append([mark])
    return groups


def _across(those: Sequence[Mark]) -> float:
    """Where a group is drawn: at this page's own scenario if it is among them."""
    own = [mark for mark in those if mark.own]
    return float(stretched((own or list(those))[0].middle))


def _label(those: Sequence[Mark], groups: int) -> tuple[str, str]:
    """The names of a group, this page's own first, and the correlations of its changes."""
    own_first = sorted(those, key=lambda mark: not mark.own)
    told = own_first[:1] if own_first[0].own else own_first
    low, high = (pick(rho for mark in told for rho in mark.rho) for pick in (min, max))
    ends = dict.fromkeys(correlation(rho) for rho in (low, high))
    names = [f"{mark.name} (here)" if mark.own else mark.name for mark in own_first]
    return cut(", ".join(names), 0.92 * WIDTH / groups - 0.2, SMALL), " to ".join(ends)


def _own_mdc(axes: Axes, changes: Sequence[Change]) -> None:
    """The MDC of this page, in numbers, where the model's correlation meets its curve."""
    if not changes:
        return
    middle = sorted(changes, key=lambda change: change.rho)[len(changes) // 2]
    x, unit = float(stretched(middle.rho)), estimate(middle).unit
    fall, rise = smallest(middle)
    for text, sign, size in (
        (f"MDC {MINUS}{fall}{unit}", -1, middle.mdc_decrease),
        (f"MDC +{rise}{unit}", 1, middle.mdc_increase),
    ):
        height = float(shown(sign * size, logarithmic=middle.logarithmic))
        axes.annotate(
            text,
            (x, height),
            xytext=(6, 4 * sign),
            textcoords="offset points",
            va="bottom" if sign > 0 else "top",
            fontsize=SMALL + 0.5,
            weight="bold",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1, "alpha": 0.85},
        )


def _name_rules(axes: Axes, changes: Sequence[Change]) -> None:
    """Year and change at the right end of each rule, moved apart where they would touch."""
    low, high = axes.get_ylim()
    wanted = [float(shown(c.reference_delta, logarithmic=c.logarithmic)) for c in changes]
    size = SMALL if len(changes) <= 20 else 6.5
    gap = (0.042 if len(changes) <= 20 else 0.034) * (high - low)
    heights = spread(wanted, gap, low + gap / 2, high - gap / 2)
    for change, true, height in zip(changes, wanted, heights, strict=True):
        colour = (RISE if change.rose else FALL) if change.decided else MUTED
        axes.plot([1.0, 1.012], [true, height], color=colour, linewidth=0.8, clip_on=False)
        axes.annotate(
            f"{step(change)}  {estimate(change).value}{estimate(change).unit}",
            (1.017, height),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=size,
            color=colour,
            weight="bold" if change.decided else "normal",
            annotation_clip=False,
        )


def _name_regions(
    axes: Axes, view: _View, changes: Sequence[Change], power: float, own: Mark
) -> None:
    """Words inside the picture, where rules and lines leave room for them."""
    quiet: dict[str, Any] = {"color": MUTED, "fontsize": SMALL, "va": "center"}
    x = stretched(view.curves.rho)
    left, tall = float(x[0]), view.top - view.bottom
    heights = [float(shown(c.reference_delta, logarithmic=view.logarithmic)) for c in changes]
    text_ends = left + 0.47 * (1 - left)
    limit = min(float(np.interp(text_ends, x, view.up(view.curves.limit.value[1]))), view.top)
    at, room = _roomiest([h for h in heights if 0 < h < limit], 0.0, limit)
    if room > 0.07 * tall:
        axes.text(
            left + 0.02 * (1 - left), at, "in here, an estimated change is not detectable", **quiet
        )
    # To the right the MDC is small: what lies beyond it has the room above.
    said = f"a true change out here is\nfound {100 * power:.4g}{NBSP}% of the time"
    widest = max(width(line, SMALL) for line in said.split("\n"))
    begins = 1 - (0.02 + widest / (_PLACE[2] * WIDTH)) * (1 - left)
    beyond = float(np.interp(begins, x, view.up(view.curves.rise.value[2])))
    named = max(float(shown(c.mdc_increase, logarithmic=view.logarithmic)) for c in changes)
    taken = [named + 0.05 * tall, *(h for h in heights if h > 0)]
    at, room = _roomiest([h for h in taken if beyond < h < view.top], beyond, view.top)
    free = beyond < view.top and room > 0.12 * tall and float(stretched(own.middle)) < begins
    if free:
        axes.text(
            1 - 0.01 * (1 - left),
            at,
            said,
            ha="right",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
            **quiet,
        )


def _roomiest(taken: Sequence[float], low: float, high: float) -> tuple[float, float]:
    """The middle and the size of the widest gap between `low` and `high`."""
    gaps = [((a + b) / 2, b - a) for a, b in pairwise(sorted([low, *taken, high]))]
    return max(gaps, key=lambda gap: gap[1])
