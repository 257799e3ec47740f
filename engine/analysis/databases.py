"""Between databases with labels: how far they are apart, beside what the error model allows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import xarray as xr

from engine.analysis.asked import BetweenDatabases, Published
from engine.analysis.changes import changes
from engine.analysis.tables import NOTHING, Row, aligned
from engine.kernels.arrays import F64
from engine.kernels.between import Between, between
from engine.kernels.changes import DetectionRule

MEANING = (
    "between: standard deviation of a yearly change about the mean of all databases, which share "
    "sources, so that it is a lower bound; model: that of this run's error model"
)
WARNING = (
    "the error model leaves less error of a yearly change than databases differ by: its intervals "
    "are too narrow, or the databases measure different things"
)


def spread_between(asked: BetweenDatabases | None) -> list[Row]:
    """What the databases alone say, one row for each consumer and stressor, in log points.

    A consumer and stressor of which no yearly change is given by two databases has no row.
    """
    subjects: dict[tuple[str, str], list[Published]] = {}
    for one in asked.footprints if asked else ():
        subjects.setdefault((one.consumer, one.stressor), []).append(one)
    rows = []
    for (consumer, stressor), own in subjects.items():
        years, table = _by_year(own)
        found = between(np.log(table))
        if found is not None and asked is not None:
            shared = (np.isfinite(np.diff(table, axis=1)).sum(axis=0) >= 2).tolist()
            pairs = [pair for pair, both in zip(pairwise(years), shared, strict=True) if both]
            labels = {"stressor": stressor, "consumer": consumer, "part": "total"}
            rows.append(labels | _spread(found, pairs) | {"source": asked.source})
    return rows


def _by_year(own: Sequence[Published]) -> tuple[list[int], F64]:
    """All years from the first to the last, and footprints, (database, year), NaN where none."""
    databases = sorted({one.database for one in own})
    years = list(range(min(one.year for one in own), max(one.year for one in own) + 1))
    table = np.full((len(databases), len(years)), np.nan)
    for one in own:
        table[databases.index(one.database), one.year - years[0]] = one.footprint
    return years, table


def _spread(found: Between, pairs: Sequence[tuple[int, int]]) -> Row:
    return {
        "databases": found.databases,
        "changes": found.changes,
        "first_year": pairs[0][0],
        "last_year": pairs[-1][1],
        "between_sigma": found.sigma,
        "between_sigma_low": found.low,
        "between_sigma_high": found.high,
        "degrees_of_freedom": found.freedom,
    }


def databases_table(
    ensemble: xr.Dataset, asked: BetweenDatabases | None, rule: DetectionRule
) -> list[Row]:
    """The spread between databases beside the error model's sigma of a yearly change.

    `model_sigma` is the root mean square over the run's yearly changes. `model_smaller` says
    whether it is smaller than the spread, `beyond_doubt` whether it is below its interval too. A
    run whose footprints have no logarithm, or no draws, has nothing to hold against it: no row.
    """
    spread = spread_between(asked)
    years = sorted(int(year) for year in ensemble["year"].to_numpy())
    yearly = [pair for pair in pairwise(years) if pair[1] == pair[0] + 1]
    if not spread or not yearly:
        return []
    found = changes(ensemble.sel(part=["total"]), rule, yearly).isel(part=0)
    return _beside(spread, found)


def previewed_databases_table(previewed: xr.Dataset, asked: BetweenDatabases | None) -> list[Row]:
    """The same to first order, before any draw: `model_sigma_mcse` is None.

    Args:
        previewed: `engine.analysis.preview`.
    """
    spread = spread_between(asked)
    yearly = (previewed["to_year"] - previewed["from_year"]).to_numpy() == 1
    if not spread or not yearly.any():
        return []
    return _beside(spread, previewed.isel(pair=np.flatnonzero(yearly)).sel(part="total"))


def _beside(spread: Sequence[Row], found: xr.Dataset) -> list[Row]:
    """The spreads beside sigma of yearly changes: dims pair, stressor, consumer."""
    rows = []
    for row in spread:
        own = found.sel(stressor=row["stressor"], consumer=row["consumer"])
        sigma = own["sigma"].to_numpy()
        known = (own["scale"].to_numpy() == "log") & np.isfinite(sigma)
        if known.any():
            error = own["sigma_mcse"].to_numpy()[known] if "sigma_mcse" in own else None
            rows.append(row | _against(row, sigma[known], error))
    return rows


def _against(row: Row, sigma: F64, error: F64 | None) -> Row:
    """The root mean square; its standard error if years' draws went together, an upper bound."""
    model = float(np.sqrt(np.mean(np.square(sigma))))
    error_of_model = None
    if error is not None:
        error_of_model = float(np.mean(sigma * error)) / model if model > 0 else 0.0
    return {
        "model_sigma": model,
        "model_sigma_mcse": error_of_model,
        "model_changes": len(sigma),
        "ratio": model / row["between_sigma"] if row["between_sigma"] > 0 else None,
        "model_smaller": model < row["between_sigma"],
        "beyond_doubt": model < row["between_sigma_low"],
    }


def databases_text(rows: Sequence[Row]) -> str:
    """One line for each consumer and stressor, and a warning where the model is the smaller."""
    head = ["consumer", "databases", "between", "95 % interval", "model", "model / between"]
    table = aligned([head, *map(_line, rows)])
    smaller = [f"{row['consumer']}, {row['stressor']}" for row in rows if row["model_smaller"]]
    warning = [f"warning: {', '.join(smaller)}: {WARNING}"] if smaller else []
    title = f"yearly changes in several databases ({rows[0]['source']})"
    return "\n".join([title, *table, *warning, MEANING])


def _line(row: Row) -> list[str]:
    return [
        f"{row['consumer']}, {row['stressor']}",
        f"{row['databases']}, {row['first_year']}-{row['last_year']}",
        *spread_in_words(row),
        f"{100 * row['model_sigma']:.2g} %",
        NOTHING if row["ratio"] is None else f"{row['ratio']:.2f}",
    ]


def spread_in_words(row: Row) -> tuple[str, str]:
    """The spread between databases, and its interval."""
    low, high = (f"{100 * row[f'between_sigma_{end}']:.2g}" for end in ("low", "high"))
    return f"{100 * row['between_sigma']:.2g} %", f"{low} to {high} %"
