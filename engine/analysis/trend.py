"""Is it declining? Slopes over all years of a run with labels, beside the changes between two.

Two questions are kept apart. Whether two years differ hangs on measurement error alone, and is
what `engine.analysis.changes` tells. Whether a footprint is declining also hangs on how much it
truly varies from year to year: a scenario that the configuration states, since a few years do not
tell it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis.asked import RealVariability, Trend
from engine.analysis.paths import Path, paths
from engine.analysis.tables import NOTHING, Row, aligned, number, places, plain, probability, signed
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, Verdict, at_last_look, share_accepted
from engine.kernels.declining import (
    NO_LOGARITHM,
    declining,
    fall_percent,
    looking_back,
    not_assessed,
    scatter,
)
from engine.kernels.monte_carlo import probability as share_of
from engine.kernels.trend import ar1_correlation

MEASUREMENT_ONLY = "measurement error alone"
WITH_REAL = "measurement error and real variability"
RETROSPECTIVE = "retrospective: told by today's tables and errors, by normal theory"
_WORDS = {Verdict.DECREASE: "falling", Verdict.INCREASE: "rising"}
_MEANING = {
    "falling": "a steady trend through all years falls, at the stated confidence",
    "rising": "a steady trend through all years rises, at the stated confidence",
    "not detectable": "errors, and real variability where it is stated, are too large for a slope "
    "of this size over these years",
    "not assessed": "there is no slope with an error to judge",
    "needs more draws": "the Monte Carlo error spans the threshold; extend the run with --draws",
    "borderline": "too near the threshold for the largest number of draws allowed; treat it as "
    "not detectable",
}
# Columns of every row, so that rows that are not assessed have them too.
_NUMBERS = (
    "slope_percent", "slope_percent_mcse", "slope_low_percent", "slope_low_percent_mcse",
    "slope_high_percent", "slope_high_percent_mcse", "error_percent", "error_percent_mcse",
    "p_decrease", "p_decrease_mcse", "p_decrease_low", "p_decrease_low_mcse",
    "p_decrease_high", "p_decrease_high_mcse",
    "p_decrease_reflected", "p_decrease_reflected_mcse",
    "p_decrease_reflected_low", "p_decrease_reflected_low_mcse",
    "p_decrease_reflected_high", "p_decrease_reflected_high_mcse",
    "mdc_decrease_percent", "mdc_decrease_percent_mcse",
    "misfit", "misfit_mcse", "misfit_limit",
    "earliest", "earliest_soonest", "earliest_latest", "lasting_from", "looks", "limit",
    "false_detection", "false_detection_mcse",
    "earliest_adjusted", "earliest_adjusted_soonest", "earliest_adjusted_latest",
    "limit_adjusted", "limit_adjusted_mcse",
)  # fmt: skip


def trend_table(
    ensemble: xr.Dataset, rule: DetectionRule, asked: Trend, *, final: bool = False
) -> list[Row]:
    """One flat row for every stressor, consumer, part and scenario of real variability.

    The first scenario is always none: measurement error alone. Slopes and their standard errors are
    in percent a year; `p_decrease` is the probability that the slope is below zero;
    `mdc_decrease_percent` the smallest fall a year that is detected with the rule's power over
    these years, None where too many draws were rejected for any to be. `misfit` compares what the
    line leaves of the path with what its errors explain, and should be near one and below
    `misfit_limit`. `scatter_percent` is the sd of ln F about a straight line, measurement error
    included, of ten years or more: orientation for a scenario of real variability and no estimate
    of it. `earliest` and what follows: see `engine.kernels.declining.looking_back`. Numbers that do
    not exist are None.

    Args:
        ensemble: an opened ensemble.
        rule: confidence and power, and the Monte Carlo error that may decide a verdict.
        asked: with the scenarios of real variability.
        final: whether what needs more draws is to stay open as `borderline`.

    Raises:
        InputError: a dimension or the part `total` is missing.
    """
    if ensemble.sizes["year"] < 2:
        return []
    return [
        _row(path, real, rule, final=final)
        for path in paths(ensemble)
        for real in (None, *asked.real_variability)
    ]


def variability(real: RealVariability | None) -> Row:
    """The columns that say which scenario of real variability a row belongs to."""
    return {
        "variability": WITH_REAL if real else MEASUREMENT_ONLY,
        "real_sd": real.sd if real else 0.0,
        "real_phi": real.phi if real else 0.0,
        "real_source": real.source if real else "",
    }


def real_covariance(real: RealVariability | None, years: F64) -> F64:
    """`sd^2 phi^|t - s|`, (T,T); zero without real variability."""
    if real is None:
        return np.zeros((len(years), len(years)))
    return real.sd**2 * ar1_correlation(years, real.phi)


def _row(path: Path, real: RealVariability | None, rule: DetectionRule, *, final: bool) -> Row:
    added = real_covariance(real, path.years)
    if path.z is None:
        found = not_assessed(NO_LOGARITHM)
    else:
        found = declining(
            path.z, path.centre, path.years, added, path.numerical, path.rejected, rule
        )
        if found["verdict"] is not Verdict.NOT_ASSESSED:
            found |= _in_percent(found)
            accepted = share_accepted(path.draws, path.rejected)
            found |= looking_back(path.z, path.centre, path.years, added, rule, accepted)
    verdict = at_last_look(found["verdict"]) if final else found["verdict"]
    told = _WORDS.get(verdict, str(verdict))
    spread = scatter(path.centre, path.years) if path.z is not None else None
    return {
        **path.labels,
        "from_year": int(path.years[0]),
        "to_year": int(path.years[-1]),
        "years": len(path.years),
        **variability(real),
        "verdict": told,
        "asymmetric": bool(found.get("asymmetric", False)),
        "draws": path.draws,
        **_acceptance(path),
        **{name: plain(found.get(name)) for name in _NUMBERS},
        "scatter_percent": None if spread is None else 100 * spread,
        "method": _method(real),
        "earliest_is": RETROSPECTIVE,
        "reason": found["reason"],
        "confidence": rule.confidence,
        "power": rule.power,
        "meaning": _MEANING[told],
    }


def _method(real: RealVariability | None) -> str:
    if real is None:
        return "draws counted"
    return "draws averaged, real variability by normal theory"


def _acceptance(path: Path) -> Row:
    every = path.draws + path.rejected
    if path.z is None or not every:
        return {"acceptance": None, "acceptance_mcse": None}
    found = share_of(np.asarray(path.draws), every)
    return {"acceptance": plain(found.value[()]), "acceptance_mcse": plain(found.mcse[()])}


def _in_percent(found: dict[str, Any]) -> dict[str, Any]:
    """Slope, its coverage interval and standard error, and the MDC, in percent a year."""
    b, error = found["slope"], found["error"]
    told: dict[str, Any] = {"error_percent": 100 * np.exp(b) * error}
    told["error_percent_mcse"] = 100 * np.exp(b) * found["error_mcse"]
    for name in ("slope", "slope_low", "slope_high"):
        value, mcse = found[name], found[f"{name}_mcse"]
        told[f"{name}_percent"] = 100 * np.expm1(value) if np.isfinite(value) else value
        told[f"{name}_percent_mcse"] = 100 * np.exp(value) * mcse
    least, error = found["mdc_decrease"], found["mdc_decrease_mcse"]
    told["mdc_decrease_percent"] = fall_percent(least)
    told["mdc_decrease_percent_mcse"] = (
        100 * np.exp(-least) * error if np.isfinite(least) else np.nan
    )
    return told


# --- for a terminal -------------------------------------------------------------------------------


def trend_text(rows: Sequence[Row]) -> str:
    """One table of the totals, and what it means."""
    shown = [row for row in rows if row["part"] == "total"]
    first = shown[0]
    span = f"{first['from_year']}-{first['to_year']}"
    title = f"Is it declining? A steady trend through {span}, {first['years']} years"
    interval = f"{100 * first['confidence']:.4g} % interval"
    head = ["footprint", "real variability", "a year", interval, "P(decrease)"]
    head += ["MDC (fall)", "first seen", "looks allowed for", "verdict"]
    lines = [head, *([subject(row), in_short(row), *_cells(row)] for row in shown)]
    return "\n".join([title, *aligned(lines), *_notes(shown)])


def subject(row: Row) -> str:
    """`NLD, CO2`."""
    return f"{row['consumer']}, {row['stressor']}"


def in_short(row: Row) -> str:
    """`none` or `sd 2 %, phi 0.3`."""
    if not row["real_sd"]:
        return "none"
    return f"sd {100 * row['real_sd']:g} %, phi {row['real_phi']:g}"


def _cells(row: Row) -> list[str]:
    if row["verdict"] == "not assessed":
        return [NOTHING] * 6 + [row["verdict"]]
    decimals = places(row["error_percent"])
    low, high = (signed(row[f"slope_{end}_percent"], decimals) for end in ("low", "high"))
    return [
        f"{signed(row['slope_percent'], decimals)} %",
        NOTHING if low == high == NOTHING else f"{low} to {high} %",
        probability(row["p_decrease"], row["draws"]),
        _least(row["mdc_decrease_percent"]),
        *(str(year or NOTHING) for year in first_seen(row)),
        row["verdict"] + (" (asymmetric)" if row["asymmetric"] else ""),
    ]


def _least(percent: float | None) -> str:
    return NOTHING if percent is None else f"{number(percent, places(percent))} %"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    if any(not row["real_sd"] for row in rows):
        yield (
            "none: measurement error alone, as for the changes; whether a trend goes on also hangs "
            "on real variability, which [trend] real_variability states"
        )
    poor = [row for row in rows if misfits(row)]
    if poor:
        names = ", ".join(dict.fromkeys(map(subject, poor)))
        yield (
            f"the years leave their line by more than these errors explain: {names}; a steady "
            "trend with these errors is too sure there"
        )
    errors = [row["false_detection"] for row in rows if row["false_detection"]]
    if errors:
        yield (
            "first seen: retrospective; looking every year sees a change where there is none with "
            f"a probability of up to {100 * max(errors):.0f} %. Looks allowed for: with "
            f"{100 * (1 - rows[0]['confidence']):.4g} % over all looks together"
        )
    mcse = [row["slope_percent_mcse"] or 0 for row in rows]
    if any(mcse):
        worst = max(row["p_decrease_mcse"] or 0 for row in rows)
        yield (
            f"Monte Carlo standard errors, at most: slope {max(mcse):.1g} % a year, "
            f"P {100 * worst:.1g} %"
        )
    for reason in dict.fromkeys(row["reason"] for row in rows if row["reason"]):
        yield f"not assessed: {reason}"


def first_seen(row: Row) -> tuple[int | None, int | None]:
    """The year a decline first shows, and with all looks allowed for; none where it did not last.

    Rows keep the years in which a path that rose in the end seemed to fall.
    """
    if row["slope_percent"] is None or row["slope_percent"] >= 0:
        return None, None
    return row["earliest"], row["earliest_adjusted"]


def misfits(row: Row) -> bool:
    """Whether the path leaves its line by more than its errors explain."""
    return row["misfit"] is not None and row["misfit"] > row["misfit_limit"]
