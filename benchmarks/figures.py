"""Plots of a report, one PNG a suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

from benchmarks.records import Record, Report, amount
from benchmarks.timing import Spread

_COLOURS = ("#33658a", "#d1603d", "#4f9d69", "#8e6c8a", "#c9a227", "#5c6b73", "#7fb7be", "#333333")


def draw(report: Report, folder: Path) -> list[Path]:
    """Every figure there is something for."""
    figures: dict[str, Callable[[Sequence[Record], Path], None]] = {
        "limits": _limits,
        "naive": _ratios,
        "peers": _peers,
        "scaling": _scaling,
    }
    drawn = []
    for suite, plot in figures.items():
        records = report.records(suite)
        if records:
            path = folder / f"{suite}.png"
            plot(records, path)
            drawn.append(path)
    return drawn


def _dots(
    axes: plt.Axes, records: Sequence[Record], label: str, unit: str = "", *, ratio: bool = False
) -> None:
    """A dot a record on a logarithmic axis: the median, with the range of the rounds."""
    spreads = [one.ratio if ratio and one.ratio else one.value for one in records]
    middle = [spread.median for spread in spreads]
    places = np.arange(len(records))[::-1]
    axes.errorbar(middle, places, xerr=_ranges(spreads), fmt="o", color=_COLOURS[0], capsize=3)
    for place, spread in zip(places, spreads, strict=True):
        words = f"{spread.median:.3g}" if ratio else amount(spread, unit).partition(" [")[0]
        if not ratio:
            words = f"{words} {amount(spread, unit).rpartition(' ')[2]}"
        axes.annotate(
            words,
            (spread.high, place),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(places, [one.name for one in records], fontsize=8)
    axes.set_ylim(-0.6, len(records) - 0.4)
    axes.set_xscale("log")
    span = max(spread.high for spread in spreads) / min(spread.low for spread in spreads)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span < 100 else (1.0,)))
    axes.xaxis.set_major_formatter("{x:g}" if ratio else EngFormatter(unit=unit, sep=" "))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(labelsize=8)
    axes.set_xlabel(label, fontsize=8)
    axes.margins(x=0.15)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _ranges(spreads: Sequence[Spread]) -> list[list[float]]:
    """How far the rounds reach below and above their medians."""
    return [
        [spread.median - spread.low for spread in spreads],
        [spread.high - spread.median for spread in spreads],
    ]


def _limits(records: Sequence[Record], path: Path) -> None:
    chosen = [one for one in records if one.case == "lognormals"]
    figure, axes = plt.subplots(figsize=(7, 0.8 + 0.4 * len(chosen)), layout="constrained")
    _dots(axes, chosen, "lognormal factors a second")
    _save(figure, path)


def _ratios(records: Sequence[Record], path: Path) -> None:
    """How many times faster than the naive loop, a panel a case."""
    chosen = [one for one in records if one.ratio]
    panels = [(case, list(of)) for case, of in groupby(chosen, key=lambda one: one.case)]
    heights = [0.9 + 0.35 * len(of) for _, of in panels]
    figure, grid = plt.subplots(
        len(panels),
        1,
        figsize=(7, sum(heights)),
        squeeze=False,
        sharex=True,
        layout="constrained",
        height_ratios=heights,
    )
    for axes, (case, of) in zip(grid[:, 0], panels, strict=True):
        _dots(axes, of, "", ratio=True)
        axes.axvline(1.0, color="#333333", linewidth=0.8)
        axes.set_title(case, fontsize=9, loc="left")
    grid[-1, 0].set_xlabel("times faster than the naive loop", fontsize=8)
    _save(figure, path)


def _peers(records: Sequence[Record], path: Path) -> None:
    panels = [(case, list(of)) for case, of in groupby(records, key=lambda one: one.case)]
    rows = max(len(of) for _, of in panels)
    figure, grid = plt.subplots(
        len(panels),
        1,
        figsize=(7, len(panels) * (0.9 + 0.35 * rows)),
        squeeze=False,
        layout="constrained",
    )
    for axes, (case, of) in zip(grid[:, 0], panels, strict=True):
        _dots(axes, of, "time of a draw", "s")
        axes.set_title(case, fontsize=9, loc="left")
    _save(figure, path)


def _scaling(records: Sequence[Record], path: Path) -> None:
    """Time against each amount, logarithmic on both axes, a line a mode."""
    names = list(dict.fromkeys(one.case.partition(": ")[2] for one in records))
    modes = list(dict.fromkeys(one.case.partition(": ")[0] for one in records))
    columns = 3
    rows = -(-len(names) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(3.2 * columns, 2.9 * rows), squeeze=False, layout="constrained"
    )
    for axes, name in zip(grid.flat, names, strict=False):
        axes.set(xscale="log", yscale="log")
        for mode, colour in zip(modes, _COLOURS, strict=False):
            of = [one for one in records if one.case == f"{mode}: {name}"]
            _line(axes, of, mode, colour)
        _at_least_a_decade(axes)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(EngFormatter(unit="s", sep=" "))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_title(name, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7, frameon=False)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    _save(figure, path)


def _at_least_a_decade(axes: plt.Axes) -> None:
    """So that what hardly grows looks like it."""
    low, high = axes.get_ylim()
    wider = max(1.0, (10.0 * low / high) ** 0.5)
    axes.set_ylim(low / wider, high * wider)


def _line(axes: plt.Axes, records: Sequence[Record], mode: str, colour: str) -> None:
    if not records:
        return
    amounts = [one.facts["amount"] for one in records]
    spreads = [one.value for one in records]
    middle = [spread.median for spread in spreads]
    power = records[0].facts["exponent over the whole range"]
    label = f"{mode}: power {power:.2f}"
    axes.errorbar(
        amounts, middle, _ranges(spreads), marker="o", markersize=4, color=colour, label=label
    )
    axes.set_xticks(amounts, [_short(amount) for amount in amounts])
    axes.xaxis.set_minor_locator(NullLocator())


def _short(number: float) -> str:
    """1200 as 1.2k."""
    for scale, suffix in ((1e6, "M"), (1e3, "k")):
        if number >= scale:
            return f"{number / scale:.3g}{suffix}"
    return f"{number:g}"


def _save(figure: plt.Figure, path: Path) -> None:
    figure.savefig(path, dpi=130)
    plt.close(figure)
