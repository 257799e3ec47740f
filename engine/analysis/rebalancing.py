"""What balancing every draw does to footprints and their changes, with labels.

A run that balances its draws keeps the footprint of each without balancing too, from the same
perturbed cells. Each way is told as a run of its own would tell it, over the draws that it accepts;
shifts of means and ratios of standard deviations are paired, over the draws accepted in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.changes import changes
from engine.analysis.levels import levels
from engine.analysis.selection import CELL, Selection, select
from engine.analysis.split_error import consecutive_and_whole
from engine.analysis.tables import NOTHING, Row, aligned, number, places, plain, signed
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict, accepted_draws, difference, log_scale
from engine.kernels.monte_carlo import Estimate, mean, named, sd_ratio
from engine.stores.layout import UNBALANCED

LEVEL, CHANGE = "level", "change"
MEANING = (
    "without: the same draws as they were perturbed; with: each balanced back to the published "
    "outputs, intermediate inputs and totals of final demand, which are taken as known without "
    "error; shift: of the mean; sd: relative, of a level, and sigma of a change; ratio: with over "
    "without, same draws"
)
_OF_LEVELS = ("mean", "relative_sd")
_OF_CHANGES = ("delta_mean", "sigma", "mdc", "mdc_decrease_percent")
_PAIRED = ("mean_shift", "sd_ratio")


def is_rebalanced(ensemble: xr.Dataset) -> bool:
    """Whether its draws were balanced back to the published margins."""
    return UNBALANCED in ensemble


def rebalancing_table(ensemble: xr.Dataset, rule: DetectionRule) -> list[Row]:
    """One row for every level, and for the changes of consecutive years and the whole span.

    `kind` is `level`, of the year `from_year` and `to_year` both are, or `change`. What a name is
    without balancing is `NAME_unbalanced`. Levels have `mean`, in `unit`, and `relative_sd`, a
    fraction of it; changes `delta_mean`, `sigma` and `mdc`, in log points, or in `unit` where
    `scale` is raw, and `mdc_decrease_percent`. `mean_shift` is the mean of a level, or of delta,
    with less that without; `sd_ratio` the sd of either with over that without.

    Returns:
        No rows where draws were not balanced.
    """
    if not is_rebalanced(ensemble):
        return []
    ways = ensemble, _without(ensemble)
    pairs = consecutive_and_whole(sorted(int(year) for year in ensemble["year"].to_numpy()))
    asked = [select(way, None, None) for way in ways]
    rows = [
        row
        for t, year in enumerate(asked[0].years)
        for row in _rows(LEVEL, (year, year), _levels(ways, rule, year), _paired(asked, t), asked)
    ]
    if not pairs:
        return rows
    of_changes = [changes(way, rule, pairs) for way in ways]
    for place, pair in enumerate(pairs):
        found = [one.isel(pair=place) for one in of_changes]
        s, t = (asked[0].years.index(year) for year in pair)
        rows += _rows(CHANGE, pair, found, _paired(asked, t, s), asked)
    return rows


def _without(ensemble: xr.Dataset) -> xr.Dataset:
    """The same draws without balancing; what is certified holds for both ways."""
    error = ensemble["certified_error"]
    return ensemble.assign(
        footprint=ensemble[UNBALANCED],
        certified_error=error.fillna(error.max().fillna(0.0)),
    )


def _levels(ways: Sequence[xr.Dataset], rule: DetectionRule, year: int) -> list[xr.Dataset]:
    return [levels(way.sel(year=[year]), rule).isel(year=0) for way in ways]


def _paired(asked: Sequence[Selection], t: int, s: int | None = None) -> dict[str, NDArray[Any]]:
    """Shift and ratio of the level of year t, or of the change from s to t."""
    years = [t] if s is None else [s, t]
    there = np.logical_and.reduce([asked[0].computed[:, year] for year in years])
    drawn = [[way.footprint[there, year] for year in years] for way in asked]
    both = accepted_draws(*(F for way in drawn for F in way))
    drawn = [[F[both] for F in way] for way in drawn]
    found = {"draws_both_ways": np.full(drawn[0][0].shape[1:], int(both.sum()))}
    if s is None:
        balanced, unbalanced = (way[0] for way in drawn)
        scale = np.full(balanced.shape[1:], "raw")
    else:
        estimates = [asked[0].reference[year][None] for year in years]
        log = log_scale(*(F for way in drawn for F in way), *estimates)
        balanced, unbalanced = (difference(way[0], way[1], log) for way in drawn)
        scale = np.where(log, "log", "raw")
    shift: Estimate = mean(balanced - unbalanced)
    ratio = sd_ratio(balanced, unbalanced)
    return found | {
        "scale": scale,
        **named("mean_shift", shift),
        **named("sd_ratio", ratio),
    }


def _rows(
    kind: str,
    years: tuple[int, int],
    found: Sequence[xr.Dataset],
    paired: dict[str, NDArray[Any]],
    asked: Sequence[Selection],
) -> Iterator[Row]:
    """One row for each stressor, consumer and part; what a kind does not have is None."""
    units = asked[0].coords.get("stressor_unit")
    names = [f"{n}{end}" for n in (*_OF_LEVELS, *_OF_CHANGES) for end in ("", "_mcse")]
    columns = {
        (name, way): one[name].transpose(*CELL).to_numpy() if name in one else None
        for way, one in enumerate(found)
        for name in ["draws", *names]
    }
    # Where the model, or balancing, leaves no error of a change nothing says what could be seen.
    not_assessed = [
        one["verdict"].transpose(*CELL).to_numpy() == Verdict.NOT_ASSESSED
        if "verdict" in one
        else np.zeros(paired["sd_ratio"].shape, dtype=bool)
        for one in found
    ]
    labels = {dim: [str(x) for x in asked[0].coords[dim].to_numpy()] for dim in CELL}
    for i, j, p in np.ndindex(paired["sd_ratio"].shape):

        def told(name: str, way: int, at: tuple[int, int, int] = (i, j, p)) -> Any:
            column: F64 | None = columns[name, way]
            unjudged = name.startswith("mdc") and bool(not_assessed[way][at])
            return None if column is None or unjudged else plain(column[at])

        yield {
            "stressor": labels["stressor"][i],
            "unit": "" if units is None else str(units.to_numpy()[i]),
            "consumer": labels["consumer"][j],
            "part": labels["part"][p],
            "kind": kind,
            "from_year": years[0],
            "to_year": years[1],
            "scale": str(paired["scale"][i, j, p]),
            "draws": told("draws", 0),
            "draws_unbalanced": told("draws", 1),
            "draws_both_ways": int(paired["draws_both_ways"][i, j, p]),
            "confidence": float(found[0].attrs["confidence"]),
            **{
                _named(name, way): told(name, way) for name in names for way in (0, 1)
            },
            **{
                f"{name}{end}": plain(paired[f"{name}{end}"][i, j, p])
                for name in _PAIRED
                for end in ("", "_mcse")
            },
        }  # fmt: skip


def _named(name: str, way: int) -> str:
    """`sigma_unbalanced`, `sigma_unbalanced_mcse`."""
    if way == 0:
        return name
    stem = name.removesuffix("_mcse")
    return f"{stem}_unbalanced{name.removeprefix(stem)}"


# --- for a terminal ------------------------------------------------------------------------------


def rebalancing_text(rows: Sequence[Row]) -> str:
    """Of every total the last year, the last yearly change and the whole span."""
    totals = [row for row in rows if row["part"] == "total"]
    last = max(row["to_year"] for row in totals)
    shown = [row for row in totals if row["to_year"] == last]
    subjects = dict.fromkeys((row["consumer"], row["stressor"]) for row in shown)
    of_each = [
        row for one in subjects for row in shown if (row["consumer"], row["stressor"]) == one
    ]
    head = ["footprint", "years", "shift", "sd without", "with", "ratio", "MDC without", "with"]
    return "\n".join([_TITLE, *aligned([head, *map(_line, of_each)]), *_rejected(rows), MEANING])


_TITLE = "what balancing every draw back to the published margins (RAS) does"


def shift_of(row: Row) -> tuple[float | None, str]:
    """The shift of the mean as it is printed, in per cent where that can be, and its unit."""
    if row["kind"] == LEVEL:
        centre = row["mean_unbalanced"]
        if not centre or row["mean_shift"] is None:
            return row["mean_shift"], row["unit"]
        return 100 * row["mean_shift"] / abs(centre), "%"
    return _scaled(row, row["mean_shift"])


def shift_error_of(row: Row) -> float | None:
    """Monte Carlo standard error of `shift_of`, in its unit."""
    error = row["mean_shift_mcse"]
    if error is None:
        return None
    if row["kind"] == LEVEL:
        return float(100 * error / abs(row["mean_unbalanced"]) if row["mean_unbalanced"] else error)
    return float(100 * error if row["scale"] == "log" else error)


def spread_of(row: Row, way: str = "") -> tuple[float | None, str]:
    """The relative sd of a level, or sigma of a change, in per cent where that can be.

    Args:
        way: nothing, or "_unbalanced".
    """
    if row["kind"] == LEVEL:
        value = row[f"relative_sd{way}"]
        return (None if value is None else 100 * value), "%"
    return _scaled(row, row[f"sigma{way}"])


def smallest_fall_of(row: Row, way: str = "") -> tuple[float | None, str]:
    """The minimum detectable fall of a change, in per cent where that can be; None of a level."""
    if row["scale"] == "log":
        return row[f"mdc_decrease_percent{way}"], "%"
    return row[f"mdc{way}"], row["unit"]


def _scaled(row: Row, value: float | None) -> tuple[float | None, str]:
    if value is None or row["scale"] != "log":
        return value, row["unit"]
    return 100 * value, "%"


def _line(row: Row) -> list[str]:
    years = str(row["to_year"])
    if row["kind"] == CHANGE:
        years = f"{row['from_year']}-{row['to_year']}"
    spread, _ = spread_of(row, "_unbalanced")
    ratio = row["sd_ratio"]
    return [
        f"{row['consumer']}, {row['stressor']}",
        years,
        _moved(row),
        _shown(spread_of(row, "_unbalanced"), spread),
        _shown(spread_of(row), spread),
        NOTHING if ratio is None else f"{ratio:.2f} ({row['sd_ratio_mcse']:.1g})",
        _shown(smallest_fall_of(row, "_unbalanced"), spread),
        _shown(smallest_fall_of(row), spread),
    ]


def _moved(row: Row) -> str:
    (value, unit), error = shift_of(row), shift_error_of(row)
    if value is None or error is None:
        return NOTHING
    return f"{signed(value, places(error))} ({error:.1g}) {unit}".rstrip()


def _shown(told: tuple[float | None, str], spread: float | None) -> str:
    value, unit = told
    return NOTHING if value is None else f"{number(value, places(spread))} {unit}".rstrip()


def _rejected(rows: Sequence[Row]) -> list[str]:
    """Where draws of one way were not accepted, whose statistics are of the others."""
    levels_of = [row for row in rows if row["kind"] == LEVEL]
    most = max(row["draws_both_ways"] for row in levels_of)
    fewest = {
        words: min(row[name] for row in levels_of)
        for words, name in (("with", "draws"), ("without", "draws_unbalanced"))
    }
    said = [f"{count} draws of a year {words}" for words, count in fewest.items()]
    uneven = len({*fewest.values(), most}) > 1
    told = "; MDCs count every rejected draw against a change, and end where these are too many"
    return [f"accepted, at least: {', '.join(said)}{told}"] if uneven else []
