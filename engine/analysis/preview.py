"""The first-order answer with labels: levels, changes and what their verdicts would be, undrawn."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis.selection import CELL
from engine.analysis.tables import (
    NOTHING,
    Row,
    aligned,
    consecutive_then_whole,
    number,
    places,
    probability,
    signed,
    verdict_table,
)
from engine.kernels.changes import DetectionRule, Verdict
from engine.kernels.first_order import change
from engine.question import PARTS, Question
from engine.twin import Twin

BASIS = "first order, no draws"
_DELTA = "log points; the stressor's unit where scale is raw"
_RAW = "as stressor_unit"
_MEANINGS = {
    "footprint": ("footprint of the estimate", _RAW),
    "sd": ("standard deviation of the footprint", _RAW),
    "relative_sd": ("standard deviation relative to the size of the estimate", "1"),
    "covariance": ("covariance of the footprint between years", "square of stressor_unit"),
    "footprint_first": ("footprint of the estimate in the first year", _RAW),
    "footprint_second": ("footprint of the estimate in the second year", _RAW),
    "reference_change": ("change of the estimate", _RAW),
    "relative_change": ("change of the estimate relative to the first year", "1"),
    "reference_delta": ("delta of the estimate", _DELTA),
    "change_sd": ("standard deviation of the raw change", _RAW),
    "change_low": ("lower end of the interval of the raw change, taken as normal", _RAW),
    "change_high": ("upper end of the interval of the raw change, taken as normal", _RAW),
    "delta_mean": ("mean of delta", _DELTA),
    "interval_low": ("lower end of the coverage interval of delta", _DELTA),
    "interval_high": ("upper end of the coverage interval of delta", _DELTA),
    "quantile_low": ("lower end of the interval of the law alone, a quantile of delta", _DELTA),
    "quantile_high": ("upper end of the interval of the law alone, a quantile of delta", _DELTA),
    "relative_low": ("lower end of the coverage interval of the relative change", "1"),
    "relative_high": ("upper end of the coverage interval of the relative change", "1"),
    "sigma": ("standard deviation of delta", _DELTA),
    "s1": ("standard deviation of ln F in the first year", _DELTA),
    "s2": ("standard deviation of ln F in the second year", _DELTA),
    "rho": ("correlation of the two years' errors", "1"),
    "mdc": ("minimum detectable change", _DELTA),
    "mdc_increase_percent": ("smallest rise detected with the stated power", "%"),
    "mdc_decrease_percent": ("smallest fall detected with the stated power", "%"),
    "rho_break_even": ("correlation above which the observed change is detectable", "1"),
    "p_decrease": ("probability of a decrease, P(delta < 0)", "1"),
    "p_decrease_reflected": ("P(2 delta^ - delta < 0), delta mirrored at the estimate", "1"),
    "scale": ("log, or raw where a footprint is not positive", ""),
    "asymmetric": ("P and its reflection disagree on what is detectable", ""),
    "verdict": ("what the verdict would be", ""),
}
_WOULD_BE = {
    Verdict.DECREASE: "a run can be expected to find a fall, under the stated error model",
    Verdict.INCREASE: "a run can be expected to find a rise, under the stated error model",
    Verdict.NOT_DETECTABLE: (
        "the errors are too large, or too weakly correlated between the years, for a change of "
        "this size"
    ),
    Verdict.NOT_ASSESSED: (
        "the error model leaves no error of the change; add an error that differs between the years"
    ),
}


def preview(law: Twin, question: Question, rule: DetectionRule | None = None) -> xr.Dataset:
    """Levels by year and changes by pair of years, each with stressor, consumer and part.

    Args:
        law: the twin of all years of one scenario.
        question: what its axes are called; units filled in (`engine.question.with_units`).
        rule: confidence and power; 95 % and 80 % if not given.
    """
    rule = DetectionRule() if rule is None else rule
    asked = [PARTS.index(part) for part in question.parts]
    F, covariance = law.footprint[..., asked], law.covariance[..., asked]
    sd = np.sqrt(np.einsum("tt...->t...", covariance))
    size = np.where(F == 0, np.nan, np.abs(F))
    pairs = list(combinations(range(len(law.years)), 2))
    found = [
        change(F[s], F[t], covariance[s, s], covariance[t, t], covariance[s, t], rule)
        for s, t in pairs
    ]
    levels = {"footprint": F, "sd": sd, "relative_sd": sd / size}
    changes = {name: np.stack([one[name] for one in found]) for name in found[0]} if found else {}
    between = ("year", "with_year", *CELL), covariance, _attributes("covariance")
    return xr.Dataset(
        {name: (("year", *CELL), values, _attributes(name)) for name, values in levels.items()}
        | {"covariance": between}
        | {name: (("pair", *CELL), values, _attributes(name)) for name, values in changes.items()},
        coords={
            "year": list(law.years),
            "with_year": list(law.years),
            "from_year": ("pair", [law.years[s] for s, _ in pairs]),
            "to_year": ("pair", [law.years[t] for _, t in pairs]),
            "stressor": [indicator.name for indicator in question.indicators],
            "stressor_unit": ("stressor", [indicator.unit for indicator in question.indicators]),
            "consumer": [consumer.name for consumer in question.consumers],
            "part": list(question.parts),
        },
        attrs=_in_words(rule),
    )


def _attributes(name: str) -> dict[str, str]:
    what, unit = _MEANINGS[name]
    return {"long_name": f"{what} ({BASIS})"} | ({"units": unit} if unit else {})


def _in_words(rule: DetectionRule) -> dict[str, Any]:
    return {
        "basis": BASIS,
        "confidence": rule.confidence,
        "alpha": rule.alpha,
        "power": rule.power,
        "law_of_delta": (
            "normal with mean ln(F_t/F_s) - (s_t^2 - s_s^2)/2 and variance "
            "s_s^2 + s_t^2 - 2 rho s_s s_t; raw differences where a footprint is not positive"
        ),
    }


# --- rows and text -------------------------------------------------------------------------------


def preview_table(previewed: xr.Dataset) -> list[Row]:
    """One flat row of plain values for every pair, stressor, consumer and part.

    Every row says that no draw was made (`basis`); a number that does not exist is None.
    """
    if not previewed.sizes["pair"]:
        return []
    changes = previewed[[name for name in previewed.data_vars if "pair" in previewed[name].dims]]
    return [
        row | {"meaning": _WOULD_BE[Verdict(row["verdict"])], "basis": previewed.attrs["basis"]}
        for row in verdict_table(changes)
    ]


def preview_text(previewed: xr.Dataset, *, all_pairs: bool = False, all_parts: bool = False) -> str:
    """One table for each consumer, stressor and part: the first year, consecutive years, the span.

    Args:
        all_pairs: every pair of years instead.
        all_parts: every part, not the total alone.
    """
    rows = preview_table(previewed)
    tables = []
    for c, s, p in np.ndindex(*(previewed.sizes[dim] for dim in ("consumer", "stressor", "part"))):
        one = previewed.isel(consumer=c, stressor=s, part=p)
        if all_parts or one["part"] == "total":
            names = {dim: str(one[dim].item()) for dim in CELL}
            own = [row for row in rows if all(row[dim] == name for dim, name in names.items())]
            tables.append(_one_table(one, own, all_pairs))
    return "\n\n".join([*tables, _notes(previewed, rows)])


def _one_table(one: xr.Dataset, rows: Sequence[Row], all_pairs: bool) -> str:
    unit = str(one["stressor_unit"].item())
    title = f"{one['consumer'].item()}, {one['stressor'].item()}, {one['part'].item()}"
    years = [int(year) for year in one["year"].to_numpy()]
    shown = consecutive_then_whole(rows) if rows and not all_pairs else rows
    confidence = f"{100 * one.attrs['confidence']:.4g}"
    header = [
        *("years", f"footprint{f' [{unit}]' if unit else ''}", "sd", "change"),
        *(f"{confidence} % interval", "P(decrease)", "sigma", "MDC (fall)"),
        *("correlation", "break-even", "first-order verdict"),
    ]
    levels = {year: _level(one.sel(year=year)) for year in years}
    lines = [[str(years[0]), *levels[years[0]], *[""] * 8]]
    lines += [_line(row, levels[row["to_year"]], unit) for row in shown]
    return "\n".join([title, *aligned([header, *lines])])


def _level(one: xr.Dataset) -> list[str]:
    footprint, sd, relative = (
        float(one[name].item()) for name in ("footprint", "sd", "relative_sd")
    )
    percent = None if np.isnan(relative) else 100 * relative
    shown = number(percent, places(percent))
    return [number(footprint, places(sd)), shown if shown == NOTHING else f"{shown} %"]


def _line(row: Row, level: list[str], unit: str) -> list[str]:
    log = row["scale"] == "log"
    scale, unit = (100.0, " %") if log else (1.0, f" {unit}".rstrip())
    names = ("relative_change", "relative_low", "relative_high", "sigma")
    raw_names = ("reference_change", "change_low", "change_high", "sigma")
    change, low, high, sigma = (
        None if row[name] is None else scale * row[name] for name in (names if log else raw_names)
    )
    least = row["mdc_decrease_percent"] if log else row["mdc"]
    assessed = row["verdict"] != Verdict.NOT_ASSESSED
    decimals = places(sigma) if assessed else 1
    years = f"{row['from_year']}-{row['to_year']}"
    first = [years, *level, f"{signed(change, decimals)}{unit}"]
    if not assessed:
        return [*first, *[NOTHING] * 6, row["verdict"]]
    return [
        *first,
        f"{signed(low, decimals)} to {signed(high, decimals)}{unit}",
        probability(row["p_decrease"], _COUNTLESS),
        f"{number(sigma, decimals)}{unit}",
        f"{number(least, places(least))}{unit}",
        number(row["rho"], 3),
        _break_even(row["rho_break_even"]),
        row["verdict"] + (" (asymmetric)" if row["asymmetric"] else ""),
    ]


_COUNTLESS = 10**9  # no draws limit what a closed form can tell of a probability


def _break_even(rho: float | None) -> str:
    if rho is None:
        return NOTHING
    if abs(rho) > 1:
        return "never" if rho > 1 else "always"
    return number(rho, 3)


def _notes(previewed: xr.Dataset, rows: Sequence[Row]) -> str:
    """What the columns and verdicts mean, once, and what a first order cannot know."""
    met = {Verdict(row["verdict"]) for row in rows}
    notes = [f"{verdict}: {words}" for verdict, words in _WOULD_BE.items() if verdict in met]
    if any(row["asymmetric"] for row in rows):
        notes.append("asymmetric: P and its reflection at the estimate disagree")
    power = 100 * float(previewed.attrs["power"])
    notes += [
        "sd: of the footprint, relative. MDC (fall): a true fall of this size is missed with "
        f"probability {100 - power:.3g} %",
        "correlation: of the two years' errors; above break-even the observed change is detectable",
        "FIRST ORDER, NO DRAWS: every footprint is taken as linear in its cells' errors, and the "
        "change of its logarithm as normal; rejected draws and the curvature in A or Z are not "
        "seen. `footfall run` draws; its verdicts stand",
    ]
    return "\n".join(notes)
