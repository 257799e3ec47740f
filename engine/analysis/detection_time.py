"""How long until a decline shows, with labels: years against percent a year.

The errors of a run are carried to years it does not have: their size as the median over its years,
their correlation by a law fitted to its draws (`engine.kernels.fading`). With those, the years
that a steady decline needs are exact for annual data (`engine.kernels.trend`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from engine.analysis.asked import RealVariability, Trend
from engine.analysis.paths import Path, paths
from engine.analysis.tables import NOTHING, Row, aligned, plain
from engine.analysis.trend import in_short, real_covariance, subject, variability
from engine.kernels.arrays import F64
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    DetectionRule,
    decrease_percent,
    share_accepted,
)
from engine.kernels.declining import NO_ERROR, NO_LOGARITHM, TOO_FEW_DRAWS, Numerical
from engine.kernels.fading import Carried, Fading, Law, carried, laws_told_by
from engine.kernels.monte_carlo import Estimate, covariances_without, jackknifed
from engine.kernels.trend import (
    information_by_year,
    least_slope,
    years_until,
)

MOST = 40  # years to look ahead
_GROUPS = 16
_SURELY = 2.0  # Monte Carlo standard errors between `years` and its low and high ends
WHAT_IF = "AR(1)"
_IF_AR1 = (0.0, 0.5, 0.9)  # what the same errors would need if they faded so


@dataclass(frozen=True, slots=True, eq=False)
class _Outlook:
    """Errors of one path carried on: all its draws first, then without each group of them.

    Attributes:
        sampled: covariances over the run's own years that the draws have, as many, (..., T, T).
    """

    law: str
    each: tuple[Carried, ...]
    sampled: F64

    def number(self, name: str) -> Row:
        """A number of the law in a row, with its Monte Carlo error."""
        values = np.array([_number(one, name) for one in self.each])
        return {name: plain(values[0]), f"{name}_mcse": plain(jackknifed(values[1:]))}

    def fit_ratio(self, years: F64) -> Row:
        """The slope's standard error over the run's own years: the law's over the draws' own."""
        ratios = np.array(
            [
                _slope_error(one.covariance(years), years) / _slope_error(V, years)
                for one, V in zip(self.each, self.sampled, strict=True)
            ]
        )
        return {"fit_ratio": plain(ratios[0]), "fit_ratio_mcse": plain(jackknifed(ratios[1:]))}

    def slope_errors(self, real: RealVariability | None) -> Estimate:
        """Standard errors of the slope after 1, 2, ... years."""
        years = np.arange(MOST + 1.0)
        added = real_covariance(real, years)
        found = [information_by_year(one.covariance(years) + added, years) for one in self.each]
        errors = np.stack(found) ** -0.5
        return Estimate(errors[0], jackknifed(errors[1:]))


def _number(one: Carried, name: str) -> float:
    return 100 * one.size if name == "s_percent" else float(getattr(one.law, name))


def years_to_detect_table(
    ensembles: Mapping[str, xr.Dataset], own: str, rule: DetectionRule, asked: Trend
) -> list[Row]:
    """How long until a decline shows, for every stressor, consumer and part.

    Rows have `given` = "decline", where `decline_percent` is asked and `years` after the first one
    are told (None: more than `most_years`), or `given` = "years", where `decline_percent` is the
    smallest that shows after so many `years`: the curve. `years_low` and `years_high` are the
    years if the slope's standard error were two Monte Carlo errors smaller or larger.

    `correlation` is the law by which errors of the years are carried beyond the run: "lasting,
    fading and yearly", fitted to the draws, where the run has three different lags or more;
    otherwise the two extreme ones, "lasting and yearly" and "fading alone"; errors of which a part
    fades slowly can take longer than either. `fit_ratio` compares the law with the draws over the
    run's own years: the slope's standard error by the one over that by the other. The budget's
    years (`budget_table`) are to first order, from the last year's errors and the stated
    correlations. Of this scenario's totals there are also "AR(1), phi = ..." laws, whatever the
    draws say: the answer hangs on the correlation, and one in the middle is the worst for a trend.
    Other scenarios have rows of totals.

    Args:
        ensembles: by scenario, of one run.
        own: the scenario this is about.
        rule: confidence and power.
        asked: declines, and scenarios of real variability.

    Raises:
        InputError: a dimension or the part `total` is missing.
    """
    rows: list[Row] = []
    for scenario, ensemble in ensembles.items():
        if ensemble.sizes["year"] < 2:
            continue
        for path in paths(ensemble):
            if scenario == own or path.labels["part"] == "total":
                rows += _of_path(path, scenario, rule, asked, own=scenario == own)
    return rows


def _of_path(
    path: Path, scenario: str, rule: DetectionRule, asked: Trend, *, own: bool
) -> Iterator[Row]:
    total = path.labels["part"] == "total"
    head = {
        **path.labels,
        "scenario": scenario,
        "own": own,
        "from_year": int(path.years[0]),
        "to_year": int(path.years[-1]),
        "draws": path.draws,
    }
    reason, outlooks = _outlooks(path)
    for real in (None, *asked.real_variability):
        for outlook in outlooks:
            yield from _rows(head, path, outlook, real, rule, asked, curve=total)
        if not outlooks:
            yield from _told_nothing(head, real, rule, asked, reason)
    if own and total and outlooks:
        for phi in _IF_AR1:
            law = Fading(0.0, 1.0, phi) if phi else Fading(0.0, 0.0, 0.0)
            each = tuple(Carried(one.size, law) for one in outlooks[0].each)
            what_if = _Outlook(f"{WHAT_IF}, phi = {phi:g}", each, outlooks[0].sampled)
            yield from _rows(head, path, what_if, None, rule, asked, curve=False)


def _outlooks(path: Path) -> tuple[str, list[_Outlook]]:
    """The laws that this path's draws tell; none of them, and why, where they tell nothing."""
    if path.z is None:
        return NO_LOGARITHM, []
    if path.draws < 2 * _GROUPS:
        return TOO_FEW_DRAWS, []
    if _has_no_error(path.z, path.numerical):
        return NO_ERROR, []
    sampled = np.concatenate([_covariance(path.z)[None], covariances_without(path.z, _GROUPS)])
    laws = laws_told_by(path.years)
    return "", [
        _Outlook(str(law), tuple(carried(V, path.years, law) for V in sampled), sampled)
        for law in (laws if Law.FITTED not in laws else (Law.FITTED,))
    ]


def _has_no_error(z: F64, numerical: Numerical) -> bool:
    """Whether some year, or some difference of two years, has none beyond what is numerical."""
    if not np.all(z.std(axis=0) > 0):
        return True
    differences = np.diff(z, axis=1)
    sds, units = differences.std(axis=0, ddof=1), np.eye(differences.shape[1])
    errors = np.array([numerical.of(unit) for unit in units])
    return bool(np.any(sds <= CLEAR_OF_NUMERICAL_ERROR * errors))


def _rows(
    head: Row,
    path: Path,
    outlook: _Outlook,
    real: RealVariability | None,
    rule: DetectionRule,
    asked: Trend,
    *,
    curve: bool,
) -> Iterator[Row]:
    errors = outlook.slope_errors(real)
    law = {
        "correlation": outlook.law,
        **outlook.number("s_percent"),
        **outlook.number("lasting"),
        **outlook.number("fading"),
        **outlook.number("phi"),
        **outlook.number("yearly"),
        **outlook.fit_ratio(path.years),
    }
    rest = {"most_years": MOST, "confidence": rule.confidence, "power": rule.power, "reason": ""}
    span = int(path.years[-1] - path.years[0])
    accepted = share_accepted(path.draws, path.rejected)
    for percent in asked.declines:
        found, low, high = (
            years_until(percent, errors.value + by * errors.mcse, rule, accepted)
            for by in (0.0, -_SURELY, _SURELY)
        )
        yield {
            **head, **variability(real), "given": "decline",
            "decline_percent": percent, "decline_percent_mcse": None,
            "years": found, "years_low": low, "years_high": high,
            "beyond_run": found is None or found > span, **law, **rest,
        }  # fmt: skip
    if not curve:
        return
    least = least_slope(errors.value, rule, accepted)
    sure = np.isfinite(least)  # else no fall is, not even one by 100 %
    percents = np.where(sure, decrease_percent(least), np.nan)
    with np.errstate(invalid="ignore"):  # of none, no multiple
        spread = 100 * np.exp(-least) * least_slope(errors.mcse, rule, accepted)
    mcse = np.where(sure, spread, np.nan)
    for after, (percent, error) in enumerate(zip(percents, mcse, strict=True), start=1):
        yield {
            **head, **variability(real), "given": "years",
            "decline_percent": plain(percent), "decline_percent_mcse": plain(error),
            "years": after, "years_low": after, "years_high": after,
            "beyond_run": after > span, **law, **rest,
        }  # fmt: skip


def _told_nothing(
    head: Row, real: RealVariability | None, rule: DetectionRule, asked: Trend, reason: str
) -> Iterator[Row]:
    names = ("s_percent", "lasting", "fading", "phi", "yearly", "fit_ratio")
    nothing = {key: None for name in names for key in (name, f"{name}_mcse")}
    for percent in asked.declines:
        yield {
            **head, **variability(real), "given": "decline",
            "decline_percent": percent, "decline_percent_mcse": None,
            "years": None, "years_low": None, "years_high": None, "beyond_run": False,
            "correlation": "", **nothing, "most_years": MOST,
            "confidence": rule.confidence, "power": rule.power, "reason": reason,
        }  # fmt: skip


def _slope_error(V: F64, years: F64) -> float:
    """Standard error of a slope through these years."""
    return float(information_by_year(V, years)[-1] ** -0.5)


def _covariance(z: F64) -> F64:
    covariance: F64 = np.cov(z.T)
    return covariance


# --- for a terminal -------------------------------------------------------------------------------


def years_to_detect_text(rows: Sequence[Row]) -> str:
    """One table of this scenario's totals: years for each decline that is asked."""
    asked = [row for row in rows if row["own"] and row["part"] == "total" and is_told(row)]
    declines = list(dict.fromkeys(row["decline_percent"] for row in asked))
    lines: dict[tuple[str, str, str], list[str]] = {}
    for row in asked:
        key = (subject(row), row["correlation"] or NOTHING, in_short(row))
        lines.setdefault(key, []).append(years_in_short(row))
    head = ["footprint", "errors of the years", "real variability"]
    head += [f"{percent:g} % a year" for percent in declines]
    table = [head, *([*key, *cells] for key, cells in lines.items())]
    title = "How long until a steady decline shows: years after the first one"
    return "\n".join([title, *aligned(table), *_notes(asked)])


def is_told(row: Row) -> bool:
    """Whether a row answers what was asked, and is no point of a curve and no what-if."""
    return row["given"] == "decline" and not row["correlation"].startswith(WHAT_IF)


def years_in_short(row: Row) -> str:
    """`7`, `7 to 8` where Monte Carlo error leaves that open, `> 40`."""
    if row["reason"]:
        return NOTHING
    ends = (row["years_low"], row["years_high"])
    low, high = (f"> {row['most_years']}" if end is None else str(end) for end in ends)
    return low if low == high else f"{low} to {high}"


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    first = rows[0]
    yield (
        f"detected at {100 * first['confidence']:.4g} % confidence with a power of "
        f"{100 * first['power']:.4g} %; a range is what Monte Carlo error leaves open"
    )
    for reason in dict.fromkeys(row["reason"] for row in rows if row["reason"]):
        yield f"not told: {reason}"
