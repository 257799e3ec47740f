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
from matplotlib.ticker import FuncFormatter, MaxNLocator

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, sigma_of_rho
from engine.report.figures.canvas import (
    FALL,
    INK,
    MUTED,
    PAPER,
    RISE,
    RULE,
    SMALL,
    Picture,
    make_room,
    picture,
    sheet,
    style,
)
from engine.report.figures.labels import spread
from engine.report.numbers import MINUS, correlation, number, places
from engine.report.rows import Change
from engine.report.words import estimate, step
from engine.report.words import mdc as smallest

_NOISE, _MAYBE = "#e6e9ee", "#f4f5f8"
_TICKS = (-1.0, -0.5, 0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
_HEIGHT, _PLACE = 5.0, (0.085, 0.15, 0.765, 0.745)
_UNDECIDED = "#767e88"


@dataclass(frozen=True, slots=True)
class Curves:
    """Detection limit and MDC over correlations: median, lowest and highest of the pairs."""

    rho: F64
    limit: F64  # (3, points), median, lowest, highest, on the scale of delta
    fall: F64  # the MDC of a fall, likewise
    rise: F64


def curves(changes: Sequence[Change], rule: DetectionRule, rho: F64) -> Curves:
    """The curves of `changes` over the correlations `rho`, (points,).

    What a fall or a rise needs beyond the MDC hangs on the levels alone, and not on rho.

    Args:
        changes: of which one could be decided, for all the draws that were rejected.
    """
    s1, s2 = (np.array([getattr(c, name) for c in changes])[:, None] for name in ("s1", "s2"))
    sigma = sigma_of_rho(s1, s2, rho)
    z = np.array([rule.z_where_accepted(c.acceptance) for c in changes])[:, None]
    least = (z + rule.z_power) * sigma
    more = {
        side: np.array([getattr(c, f"mdc_{side}") - c.mdc for c in changes])[:, None]
        for side in ("decrease", "increase")
    }
    return Curves(
        rho,
        _spanned(z * sigma),
        _spanned(least + more["decrease"]),
        _spanned(least + more["increase"]),
    )


def _spanned(each: F64) -> F64:
    return np.stack([np.median(each, axis=0), each.min(axis=0), each.max(axis=0)])


def funnel(
    changes: Sequence[Change], rule: DetectionRule, *, key: str, data: str, alt: str
) -> Picture:
    """Each observed change is a rule that takes colour where it would become detectable."""
    view = _view(changes, rule)
    with style():
        figure = sheet(_HEIGHT, data)
        axes = figure.add_axes(_PLACE)
        _regions(axes, view)
        _frame(figure, axes, view)
        for change in changes:
            _rule(axes, change, view)
        _own_correlation(axes, changes)
        _own_mdc(axes, [change for change in changes if change.verdict != "not assessed"])
        _name_rules(axes, changes)
        _name_regions(axes, view, changes)
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


def _view(changes: Sequence[Change], rule: DetectionRule) -> _View:
    """From no correlation (or the lowest there is) to one; high enough for what is observed."""
    start = max(-1.0, min(0.0, *(change.rho - 0.05 for change in changes), 0.0))
    drawn = curves(changes, rule, 1 - np.linspace(np.sqrt(1 - start), 0.0, 200) ** 2)
    logarithmic = changes[0].logarithmic
    own = max(max(change.mdc_decrease, change.mdc_increase) for change in changes)
    seen = max(abs(change.reference_delta) for change in changes)
    widest = 1.08 * float(max(drawn.fall[2].max(), drawn.rise[2].max()))
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
    x, limit = stretched(view.curves.rho), view.curves.limit
    fall, rise = view.curves.fall, view.curves.rise
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
    figure.text(0.012, 0.965, f"change, {view.unit}", **put)
    figure.text(
        0.4675, 0.062, "correlation of the errors of the two years' footprints", ha="center", **put
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


def _own_correlation(axes: Axes, changes: Sequence[Change]) -> None:
    """Where the error model of this page puts each change, filled with its verdict's colour."""
    own = sorted(change.rho for change in changes)
    axes.axvline(
        float(stretched(own[len(own) // 2])), color=INK, linewidth=1, linestyle=(0, (3, 2))
    )
    for change in changes:
        colour = (RISE if change.rose else FALL) if change.decided else _UNDECIDED
        height = float(shown(change.reference_delta, logarithmic=change.logarithmic))
        axes.plot([float(stretched(change.rho))], [height], "o", color=colour, mec=PAPER, ms=7)
    low, high = correlation(own[0]), correlation(own[-1])
    middle = float(stretched(own[len(own) // 2]))
    axes.annotate(
        f"this error model: {low}" + (f" to {high}" if high != low else ""),
        (middle, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center" if middle < 0.75 else "right",
        va="bottom",
        weight="bold",
        annotation_clip=False,
    )


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
    heights = spread(wanted, gap=(0.036 if len(changes) <= 20 else 0.029) * (high - low))
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


def _name_regions(axes: Axes, view: _View, changes: Sequence[Change]) -> None:
    """Words inside the picture, where the rules leave room for them."""
    quiet: dict[str, Any] = {"color": MUTED, "fontsize": SMALL}
    x = stretched(view.curves.rho)
    left = float(x[0])
    text_ends = left + 0.47 * (1 - left)
    limit = min(float(np.interp(text_ends, x, view.up(view.curves.limit[1]))), view.top)
    heights = [float(shown(c.reference_delta, logarithmic=view.logarithmic)) for c in changes]
    room = _roomiest([h for h in heights if 0 < h < limit], 0.0, limit)
    axes.text(
        left + 0.02 * (1 - left), room, "in here, an estimated change is not detectable",
        va="center", **quiet,
    )  # fmt: skip


def _roomiest(taken: Sequence[float], low: float, high: float) -> float:
    """The middle of the widest gap between `low` and `high`."""
    edges = sorted([low, *taken, high])
    return max(((b - a, (a + b) / 2) for a, b in pairwise(edges)), default=(0.0, 0.0))[1]
