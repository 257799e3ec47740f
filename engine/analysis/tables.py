"""The table of verdicts as rows of plain values, and those rows as text, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis.selection import CELL
from engine.kernels.changes import Verdict
from engine.kernels.monte_carlo import clopper_pearson

Row = dict[str, Any]
NOTHING = "-"
LABELS = (
    "stressor",
    "unit",
    "consumer",
    "part",
    "from_year",
    "to_year",
)  # of a change, first in its row
_NEAR = 0.01  # of a limit: rounding to whole per cents could hide on which side of it one is
_COUNTED = 9.5  # draws in a tail; with fewer, what is printed is a bound


def verdict_table(changes: xr.Dataset) -> list[Row]:
    """One flat row of plain Python values for every pair, stressor, consumer and part.

    Labels come first; a number that does not exist is None. `confidence`, the `mode` of the run
    (exact or split) and `meaning`, the verdict in words, go with every row, so that a row can be
    read on its own.
    """
    columns = {
        str(name): changes[name].transpose("pair", *CELL).to_numpy() for name in changes.data_vars
    }
    labels = {dim: [str(label) for label in changes[dim].to_numpy()] for dim in CELL}
    units = _units(changes)
    rows = []
    for pair, s, c, p in np.ndindex(*(changes.sizes[dim] for dim in ("pair", *CELL))):
        row: Row = {
            "stressor": labels["stressor"][s],
            "unit": units[s],
            "consumer": labels["consumer"][c],
            "part": labels["part"][p],
            "from_year": int(changes["from_year"].to_numpy()[pair]),
            "to_year": int(changes["to_year"].to_numpy()[pair]),
        }
        row |= {name: plain(values[pair, s, c, p]) for name, values in columns.items()}
        row["confidence"] = float(changes.attrs["confidence"])
        if "mode" in changes.attrs:
            row["mode"] = str(changes.attrs["mode"])
        row["meaning"] = Verdict(row["verdict"]).meaning
        rows.append(row)
    return rows


def _units(changes: xr.Dataset) -> list[str]:
    if "stressor_unit" not in changes.coords:
        return [""] * changes.sizes["stressor"]
    return [str(unit) for unit in changes["stressor_unit"].to_numpy()]


def plain(value: Any) -> Any:
    """The value as JSON knows it, which has no NaN and no infinity."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def to_json(tables: Mapping[str, Sequence[Row]]) -> str:
    """Tables by name, each an array of rows; a number that does not exist is null."""
    return json.dumps(tables, indent=1, allow_nan=False, ensure_ascii=False)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV with a header; a number that does not exist is an empty field."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


# --- for a terminal ------------------------------------------------------------------------------


def text_table(rows: Sequence[Row], *, all_pairs: bool = False) -> str:
    """One table for each consumer, stressor and part: consecutive years, then first to last.

    Args:
        rows: of `verdict_table`.
        all_pairs: every pair of years instead.
    """
    subjects: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        subjects.setdefault(_subject(row), []).append(row)
    tables, listed = [], []
    for (consumer, stressor, unit, part), shown in subjects.items():
        chosen = shown if all_pairs else consecutive_then_whole(shown)
        listed += chosen
        title = f"{consumer}, {stressor}{f' [{unit}]' if unit else ''}, {part}"
        tables.append("\n".join([title, *aligned([_header(chosen), *map(_line, chosen)])]))
    notes = _notes(listed)
    return "\n\n".join([*tables, notes] if notes else tables)


def verdicts(changes: xr.Dataset) -> str:
    """The table of verdicts as text, for every consumer, stressor and part in `changes`."""
    return text_table(verdict_table(changes))


def _subject(row: Row) -> tuple[str, str, str, str]:
    return row["consumer"], row["stressor"], row["unit"], row["part"]


def consecutive_then_whole(rows: Sequence[Row]) -> list[Row]:
    years = sorted({row[end] for row in rows for end in ("from_year", "to_year")})
    by_years = {(row["from_year"], row["to_year"]): row for row in rows}
    wanted = [*pairwise(years), (years[0], years[-1])]
    return [by_years[pair] for pair in dict.fromkeys(wanted) if pair in by_years]


def _header(rows: Sequence[Row]) -> list[str]:
    level = f"{100 * rows[0]['confidence']:.4g} % interval"
    return ["years", "change", level, "P(decrease)", "sigma", "MDC (fall)", "verdict"]


def _line(row: Row) -> list[str]:
    log = row["scale"] == "log"
    scale, unit = (100.0, " %") if log else (1.0, f" {row['unit']}".rstrip())
    names = ("relative_change", "relative_low", "relative_high")
    raw_names = ("reference_change", "change_low", "change_high")
    change, low, high = (_times(row[name], scale) for name in (names if log else raw_names))
    sigma = _times(row["sigma"], scale)
    least = row["mdc_decrease_percent"] if log else row["mdc"]
    assessed = row["verdict"] != Verdict.NOT_ASSESSED
    decimals = places(sigma) if assessed else 1
    interval = f"{signed(low, decimals)} to {signed(high, decimals)}{unit}"
    return [
        f"{row['from_year']}-{row['to_year']}",
        _with(signed(change, decimals), unit),
        interval if assessed and low is not None and high is not None else NOTHING,
        _p_decrease(row) if assessed else NOTHING,
        _with(number(sigma, decimals), unit) if assessed else NOTHING,
        _with(number(least, places(least)), unit) if assessed else NOTHING,
        row["verdict"] + (" (asymmetric)" if row["asymmetric"] else ""),
    ]


def _p_decrease(row: Row) -> str:
    return probability(row["p_decrease"], row["draws"], (1 - row["confidence"]) / 2)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _with(shown: str, unit: str) -> str:
    return shown if shown == NOTHING else shown + unit


def aligned(lines: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    last = len(widths) - 1
    for line in lines:
        cells = [
            cell.ljust(width) if i in (0, last) else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        yield ("  " + "  ".join(cells)).rstrip()


def _notes(rows: Sequence[Row]) -> str:
    """What each verdict other than a direction means, once."""
    met = {Verdict(row["verdict"]) for row in rows}
    notes = [f"{verdict}: {verdict.meaning}" for verdict in Verdict if verdict in met]
    notes += _monte_carlo(rows)
    rejected = [row["acceptance"] for row in rows if (row["acceptance"] or 0) < 1]
    if rejected:
        notes.append(
            f"rejected draws: down to {100 * min(share or 0 for share in rejected):.1f} % of the "
            "draws were accepted; verdicts hold with every rejected draw counted against them"
        )
    if any(row["asymmetric"] for row in rows):
        notes.append("asymmetric: P and its reflection at the estimate disagree")
    return "\n".join(notes)


def _monte_carlo(rows: Sequence[Row]) -> list[str]:
    """The largest Monte Carlo standard errors of what the tables show; CSV and JSON have each."""
    draws = [row["draws"] for row in rows]
    worst = {
        name: max((row[f"{name}_mcse"] or 0 for row in rows if row["scale"] == "log"), default=0)
        for name in ("p_decrease", "sigma", "relative_low", "relative_high")
    }
    if not any(worst.values()):
        return []
    ends = max(worst["relative_low"], worst["relative_high"])
    return [
        f"Monte Carlo standard errors with {min(draws)} draws, at most: "
        f"P {100 * worst['p_decrease']:.1g} %, sigma {100 * worst['sigma']:.1g} %"
        + (f", ends of intervals {100 * ends:.1g} %" if ends else "")
    ]


# --- numbers -------------------------------------------------------------------------------------


def places(uncertainty: float | None) -> int:
    """Decimal places that leave two significant digits of `uncertainty`.

    >>> places(3.41), places(0.0996), places(834.0)
    (1, 2, -1)
    """
    if uncertainty is None or not math.isfinite(uncertainty) or uncertainty <= 0:
        return 1
    return 1 - math.floor(math.log10(float(f"{uncertainty:.1e}")))


def number(value: float | None, decimals: int) -> str:
    """Rounded to `decimals` places, which may be negative; a dash where there is none.

    >>> number(1234.5, -1), number(-0.04, 1), number(None, 1)
    ('1230', '0.0', '-')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    rounded = round(value, decimals)
    return f"{rounded + 0.0:.{max(decimals, 0)}f}"


def signed(value: float | None, decimals: int) -> str:
    """Like `number`, a plus sign before what is above zero."""
    shown = number(value, decimals)
    return f"+{shown}" if value is not None and round(value, decimals) > 0 else shown


def _near(tail: float, draws: int, limit: float | None) -> int:
    """Decimals, in per cent: one within a percent of the limit, if the draws tell so much."""
    if limit is None or abs(tail - min(limit, 1 - limit)) >= _NEAR:
        return 0
    return 1 if math.sqrt(tail * (1 - tail) / draws) < _NEAR else 0


def probability(p: float | None, draws: int, limit: float | None = None) -> str:
    """In per cent: `96 %`, `> 99.9 %`, never 0 or 100, and no more than `draws` can tell.

    Args:
        limit: what it, or one minus it, is judged by: near it one more digit is printed, so that
            rounding does not hide on which side it lies.

    >>> probability(0.962, 1000), probability(1.0, 100_000), probability(1.0, 1000)
    ('96 %', '> 99.9 %', '> 99.4 %')
    >>> probability(0.0229, 4096), probability(0.0229, 4096, 0.025)
    ('2 %', '2.3 %')
    """
    if p is None or draws < 1:
        return NOTHING
    tail = min(p, 1 - p)
    if tail >= 0.01:
        return f"{100 * p:.{_near(tail, draws, limit)}f} %"
    if tail >= 0.0005 and tail * draws >= _COUNTED:
        return f"{100 * p:.1f} %"
    _, upper = clopper_pearson(np.array(round(tail * draws)), draws, 0.99)
    limit = max(0.1, math.ceil(1000 * float(upper)) / 10)
    return f"> {100 - limit:.1f} %" if p > 0.5 else f"< {limit:.1f} %"
