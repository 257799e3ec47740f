"""The uncertainty budget as rows: shares, and what is left with an error halved or made lasting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis.selection import Selection, select
from engine.analysis.tables import NOTHING, Row, aligned, number, places
from engine.budget import OTHERS, Budget, By, Entry, Subject
from engine.kernels import budget as kernel
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import (
    DetectionRule,
    accepted_draws,
    decrease_percent,
    log_scale,
    mdc,
)
from engine.kernels.monte_carlo import Estimate, quotient, sd, standard_error
from engine.kernels.trend import ar1_correlation, slope

BASIS = "first order, no draws"
YEARLY, CONSECUTIVE, WHOLE = "yearly, on average", "consecutive", "whole span"
STEPWISE = "from one year of the run to the next, on average"
AVERAGES = (YEARLY, STEPWISE)
MOST_YEARS = 60  # that are looked ahead
# First order is off where its sigma differs from that of the draws by more than the share and, so
# that chance among few draws is no reason, by more than so many Monte Carlo standard errors.
OFF_SHARE, OFF_ERRORS = 0.10, 3.0
_SCALES = {True: "log", False: "raw"}
_MOST_SHOWN = 8
_LEAST_SHOWN = 0.005  # share of the variance


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the draws say of one change.

    Attributes:
        sigma: standard deviation of delta, on the budget's scale.
        log: whether the verdict on it, which sees all draws, is on the log scale.
        acceptance: share of the draws accepted in both its years; of an average the smallest.
    """

    sigma: Estimate
    log: bool
    acceptance: float = 1.0


Drawn = Mapping[tuple[str, str, str, int, int], Sampled]


def budget_table(
    found: Budget, rule: DetectionRule, declines: Sequence[float], drawn: Drawn | None = None
) -> list[Row]:
    """One flat row for every change, and everything its uncertainty comes from.

    `change` is `consecutive` (two years of the run that follow each other), `whole span`, or the
    mean variance of steps of one year (`yearly, on average`), in a run without any that of its own
    steps (`from one year of the run to the next, on average`). `by` and `entry` say what the row is
    about, `share` is its part of the variance of delta: the shares of one `by` add up to one and
    may be negative. `sigma` is the standard deviation of delta, `sigma_drawn` the same from the
    draws; `_halved` is with the entry's error halved (sigma of its logarithm), `_lasting` with its
    errors the same in all years, `_without` with none. What lasts is shared with other entries'
    cells only where it was so before. `scale` is that of the estimates, `scale_drawn` that of the
    verdict, which is raw where a draw is not positive though the estimates are.

    How good first order is for the run: `first_order_ratio` is sigma by that of the draws, and
    `first_order_off` whether the two differ by more than `OFF_SHARE` and `OFF_ERRORS` of its
    standard errors. `acceptance` is the share of the draws accepted; first order knows of no
    rejection, so that shares are those of a model without it. Smallest changes and years count
    the rejected draws against detection, as verdicts do, as many with better data as now; none is
    told where they fill the tail.

    Years to detect a steady fall, on average rows, are to first order and count measurement errors
    alone: those of the last year, each component's correlated over the years as the error model
    states, and none that last. `years_to_detect_table` takes size and correlation from the draws
    over all years instead, where errors that last may move as the structure changes. A number that
    does not exist is None.

    Args:
        declines: in percent a year.
        drawn: sigma from the draws (`drawn_sigmas`), by stressor, consumer, change and years.
    """
    return [
        row
        for subject in found.subjects
        for change in _changes(found, subject)
        for row in _rows(subject, change, found.phis, rule, declines, drawn or {})
    ]


def drawn_sigmas(ensemble: xr.Dataset, found: Budget) -> Drawn:
    """sigma of every change of totals, from the draws accepted in all years, and its scale."""
    chosen = select(ensemble, None, None)
    total = [str(part) for part in ensemble["part"].to_numpy()].index("total")
    footprint = chosen.footprint[..., total]
    accepted = footprint[np.isfinite(footprint).all(axis=(1, 2, 3))]
    names = [[str(v) for v in ensemble[dim].to_numpy()] for dim in ("stressor", "consumer")]
    where = {year: place for place, year in enumerate(chosen.years)}
    scales = [_scale(chosen, total, where[s], where[t]) for s, t in found.pairs]
    whole = np.asarray(np.isfinite(footprint).all(axis=(2, 3)))
    both = [float((whole[:, where[s]] & whole[:, where[t]]).mean()) for s, t in found.pairs]
    estimates: dict[tuple[str, str, str, int, int], Sampled] = {}
    for subject in found.subjects:
        q, c = names[0].index(subject.stressor), names[1].index(subject.consumer)
        for change in _changes(found, subject):
            draws = [
                _delta(*(accepted[:, where[y], q, c] for y in found.pairs[i]), log=change.log)
                for i in change.pairs
            ]
            years = change.years
            key = subject.stressor, subject.consumer, change.name, *years
            log = all(bool(scales[i][q, c]) for i in change.pairs)
            acceptance = min(both[i] for i in change.pairs)
            estimates[key] = Sampled(_root_mean_square(np.stack(draws, axis=1)), log, acceptance)
    return estimates


def _scale(chosen: Selection, total: int, s: int, t: int) -> Bool:
    """Whether verdicts on the change of two years are on the log scale, (stressor, consumer)."""
    first, second = (chosen.footprint[:, year, ..., total] for year in (s, t))
    both = accepted_draws(first, second)
    estimates = (chosen.reference[year][None, ..., total] for year in (s, t))
    return log_scale(first[both], second[both], *estimates)


def _delta(first: F64, second: F64, *, log: bool) -> F64:
    if log:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(second) - np.log(first)
    return second - first


def _root_mean_square(delta: F64) -> Estimate:
    """Of the sds of several changes, (draws,changes), over the same draws."""
    if len(delta) < 2:
        return Estimate(np.array(np.nan), np.array(np.nan))
    each = sd(delta).value
    sigma = np.sqrt(np.mean(np.square(each)))
    squares = np.square(delta - delta.mean(axis=0)) - np.square(each)
    return Estimate(sigma, standard_error(quotient(squares.mean(axis=1), 2 * sigma, 0.0)))


# --- one change ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """A change, or the average of several.

    Attributes:
        pairs: which pairs of the budget it is the average of.
    """

    name: str
    years: tuple[int, int]
    pairs: tuple[int, ...]
    log: bool


def _changes(found: Budget, subject: Subject) -> Iterator[_Change]:
    years = sorted({year for pair in found.pairs for year in pair})
    steps = tuple(found.pairs.index(pair) for pair in pairwise(years))
    log = subject.logarithmic
    yearly = tuple(i for i in steps if found.pairs[i][1] == found.pairs[i][0] + 1)
    averaged = yearly or steps
    if len({log[i] for i in averaged}) == 1:
        ends = found.pairs[averaged[0]][0], found.pairs[averaged[-1]][1]
        yield _Change(YEARLY if yearly else STEPWISE, ends, averaged, log[averaged[0]])
    for i in steps:
        yield _Change(CONSECUTIVE, found.pairs[i], (i,), log[i])
    if len(steps) > 1:
        whole = found.pairs.index((years[0], years[-1]))
        yield _Change(WHOLE, found.pairs[whole], (whole,), log[whole])


def _rows(
    subject: Subject,
    change: _Change,
    phis: Sequence[float],
    rule: DetectionRule,
    declines: Sequence[float],
    drawn: Drawn,
) -> Iterator[Row]:
    V = _mean(subject.variance, change)
    key = subject.stressor, subject.consumer, change.name, *change.years
    sampled = drawn.get(key)
    acceptance = 1.0 if sampled is None else sampled.acceptance
    known = change.name in AVERAGES and subject.level
    ahead = _Ahead.of(subject, phis, rule, acceptance, declines) if known else None
    for entry in subject.entries:
        K = _mean(entry.covariance, change)
        listed = bool(entry.own)
        D, L = (_mean(values, change) if listed else None for values in (entry.own, entry.lasting))
        better = {
            "halved": None if D is None else kernel.halved(V, D, K),
            "lasting": None if L is None else kernel.lasting(V, L),
            "without": None if D is None else kernel.frozen(V, D, K),
        }
        yield {
            "stressor": subject.stressor,
            "unit": subject.unit,
            "consumer": subject.consumer,
            "part": "total",
            "change": change.name,
            "from_year": change.years[0],
            "to_year": change.years[1],
            "by": str(entry.by),
            "entry": entry.name,
            "scale": _SCALES[change.log],
            "scale_drawn": None if sampled is None else _SCALES[sampled.log],
            "share": _plain(kernel.share(K, V)),
            **_detectable("", V, rule, acceptance, log=change.log),
            **_against_draws(V, sampled),
            **{
                name: value
                for what, variance in better.items()
                for name, value in _detectable(
                    f"_{what}", variance, rule, acceptance, log=change.log
                ).items()
            },
            **(_no_years(declines) if ahead is None else ahead.years(entry)),
            "confidence": rule.confidence,
            "power": rule.power,
            "basis": BASIS,
        }


def _mean(values: Sequence[float], change: _Change) -> F64:
    return np.asarray(np.mean([values[i] for i in change.pairs]))


def _against_draws(variance: F64, sampled: Sampled | None) -> Row:
    """How good first order is for this change: sigma by that of the draws."""
    row: Row = dict.fromkeys(
        (
            "sigma_drawn",
            "sigma_drawn_mcse",
            "first_order_ratio",
            "first_order_ratio_mcse",
            "first_order_off",
            "acceptance",
        )
    )
    if sampled is None:
        return row
    sigma, drawn = float(np.sqrt(variance)), float(sampled.sigma.value)
    error = float(sampled.sigma.mcse)
    row |= {
        "sigma_drawn": _plain(drawn),
        "sigma_drawn_mcse": _plain(error),
        "acceptance": sampled.acceptance,
    }
    if drawn > 0 and np.isfinite(error):
        apart = abs(sigma - drawn)
        row |= {
            "first_order_ratio": sigma / drawn,
            "first_order_ratio_mcse": sigma * error / drawn**2,
            "first_order_off": apart > max(OFF_SHARE * drawn, OFF_ERRORS * error),
        }
    return row


def _detectable(
    suffix: str, variance: F64 | None, rule: DetectionRule, acceptance: float, *, log: bool
) -> Row:
    names = tuple(f"{name}{suffix}" for name in ("sigma", "mdc", "mdc_decrease_percent"))
    if variance is None:
        return dict.fromkeys(names)
    sigma = np.sqrt(variance)
    if not np.isfinite(rule.z_where_accepted(acceptance)):
        return dict(zip(names, (_plain(sigma), None, None), strict=True))
    smallest = mdc(sigma, rule, acceptance)
    percent = _plain(decrease_percent(smallest)) if log else None
    return dict(zip(names, (_plain(sigma), _plain(smallest), percent), strict=True))


def _plain(value: Any) -> float | None:
    plain = float(value)
    return plain if np.isfinite(plain) else None


# --- years until a fall shows -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ahead:
    """How long a steady fall takes to show from the last year on.

    Errors to come are as large and as alike as the last year's. Measurement alone: the real
    world's ups and downs come on top.

    Attributes:
        z: how many of its standard errors a slope has to be.
        now: years by decline, as things are; None beyond what is looked ahead.
    """

    subject: Subject
    phis: Sequence[float]
    z: float
    now: Mapping[float, int | None]

    @classmethod
    def of(
        cls,
        subject: Subject,
        phis: Sequence[float],
        rule: DetectionRule,
        acceptance: float,
        declines: Sequence[float],
    ) -> _Ahead:
        covariance = _covariance(subject.level, phis)
        z = rule.z_where_accepted(acceptance) + rule.z_power
        now = {percent: _years(percent, covariance, z, 1) for percent in declines}
        return cls(subject, phis, z, now)

    def years(self, entry: Entry) -> Row:
        """By decline, as things are and with the entry's error halved or lasting."""
        row: Row = {}
        for percent, now in self.now.items():
            name = f"years_{percent:g}_percent"
            row[name] = now
            for what, level in (("halved", self._halved(entry)), ("lasting", self._lasting(entry))):
                covariance = _covariance(level, self.phis)
                row[f"{name}_{what}"] = (
                    _years(percent, covariance, self.z, now or MOST_YEARS) if level else None
                )
        return row

    def _parts(self, entry: Entry) -> tuple[F64, F64, F64]:
        values = (self.subject.level, entry.level_covariance, entry.level_own)
        V, K, D = (np.asarray(value) for value in values)
        return V, D, K

    def _halved(self, entry: Entry) -> Sequence[float]:
        if not entry.level_own:
            return ()
        return tuple(kernel.halved(*self._parts(entry)))

    def _lasting(self, entry: Entry) -> Sequence[float]:
        """What fades is gone: an error that all years share changes no slope."""
        if not entry.level_own:
            return ()
        return tuple(kernel.frozen(*self._parts(entry)))


def _no_years(declines: Sequence[float]) -> Row:
    ends = ("", "_halved", "_lasting")
    return {f"years_{percent:g}_percent{end}": None for percent in declines for end in ends}


def _covariance(level: Sequence[float], phis: Sequence[float]) -> Callable[[F64], F64]:
    """Of ln F in some years, (T,T); what all years share is left out, for it changes no slope."""

    def covariance(years: F64) -> F64:
        total = np.zeros((len(years), len(years)))
        for variance, phi in zip(level, phis, strict=True):
            if phi < 1:
                total += variance * ar1_correlation(years, phi)
        return total

    return covariance


def _years(percent: float, covariance: Callable[[F64], F64], z: float, near: int) -> int | None:
    """As `engine.kernels.trend.years_to_detect`, looked for from `near` on.

    One more year never makes a slope less certain.
    """
    fall = -np.log1p(-percent / 100)

    def seen(last: int) -> bool:
        years = np.arange(last + 1.0)
        V = covariance(years)
        if not np.isfinite(z):
            return False
        if not V.any():
            return True
        error = slope(-fall * years, V, years).error
        return bool(fall >= z * error)

    last = near
    while last > 1 and seen(last - 1):
        last -= 1
    while not seen(last):
        last += 1
        if last > MOST_YEARS:
            return None
    return last


# --- what is worth showing ----------------------------------------------------------------------


def shown_entries(rows: Sequence[Row], most: int = _MOST_SHOWN) -> tuple[list[Row], float]:
    """The largest entries of one change and one `by`, and the share of all others together.

    Entries of less than half a per cent are left to the others, for they read as nothing.

    Args:
        rows: of one consumer, stressor, change and `by`.
    """
    listed = [row for row in rows if row["entry"] != OTHERS and row["share"] is not None]
    ordered = sorted(listed, key=lambda row: -abs(row["share"]))[:most]
    chosen = [row for row in ordered if abs(row["share"]) >= _LEAST_SHOWN] or ordered[:1]
    return chosen, sum(row["share"] or 0.0 for row in rows) - sum(row["share"] for row in chosen)


def main_decline(rows: Sequence[Row]) -> str | None:
    """Column of the years to see the middle one of the declines asked for, if they are told."""
    names = (
        [n for n in rows[0] if n.startswith("years_") and n.endswith("_percent")] if rows else []
    )
    told = [name for name in names if any(row[name] is not None for row in rows)]
    return told[len(told) // 2] if told else None


# --- for a terminal ------------------------------------------------------------------------------

KINDS = (By.QUANTITY, By.REGION, By.SECTOR, By.COMPONENT, By.GROUP)


def budget_text(rows: Sequence[Row]) -> str:
    """What most of the uncertainty of an average change comes from: the first of each kind."""
    lines = [["", "sigma, drawn", "MDC (fall)", "most from", "share", "MDC halved", "lasting"]]
    averages = [row for row in rows if row["change"] in AVERAGES]
    for (consumer, stressor), own in _by_subject(averages).items():
        for by in KINDS[:-1]:
            chosen, _ = shown_entries([row for row in own if row["by"] == by], 1)
            for row in chosen:
                first = len(lines) == 1 or by is By.QUANTITY
                name = f"{consumer}, {stressor}" if first else ""
                now = least(row) if first else ""
                both = sigmas_in_words(row) if first else ""
                better = (least(row, "_halved"), least(row, "_lasting"))
                share = _share(row["share"])
                lines.append([name, both, now, f"{by} {row['entry']}", share, *better])
    if len(lines) == 1:
        return ""
    title = f"Where the uncertainty of {change_in_words(averages[0])} comes from"
    note = [_OTHER_SCALE] if any(map(other_scale, averages)) else []
    note += first_order_warnings(averages)
    return "\n".join([f"{title} (average of these, first order)", *aligned(lines), *note])


def sigmas_in_words(row: Row) -> str:
    """sigma to first order and by the draws, with its standard error."""
    log = row["scale"] == "log"
    scale, unit = (100.0, " %") if log else (1.0, f" {row['unit']}".rstrip())
    decimals = places(scale * row["sigma"])
    words = f"{number(scale * row['sigma'], decimals)}{unit}"
    if row["sigma_drawn"] is None:
        return f"{words}, {NOTHING}"
    error = scale * (row["sigma_drawn_mcse"] or 0.0)
    drawn = number(scale * row["sigma_drawn"], decimals)
    return f"{words}, {drawn}{unit} (s.e. {number(error, places(error))})"


def first_order_warnings(rows: Sequence[Row]) -> list[str]:
    """What of a budget is not to be believed: first order off the draws, or draws rejected."""
    said = []
    for (consumer, stressor), own in _by_subject(rows).items():
        for change, first in {row["change"]: row for row in own}.items():
            about = f"warning: {consumer}, {stressor}, change {change}: "
            said += [f"{about}{why}" for why in (_off(first), _rejected(first)) if why]
    return said


def _off(row: Row) -> str:
    if not row["first_order_off"]:
        return ""
    return (
        f"sigma, drawn: {sigmas_in_words(row)}; first order is off by "
        f"{100 * abs(row['first_order_ratio'] - 1):.0f} %, and so may be shares and what better "
        "data would buy"
    )


def _rejected(row: Row) -> str:
    if row["acceptance"] is None or row["acceptance"] == 1:
        return ""
    told = (
        "they fill the tail, so that no smallest change is told"
        if row["mdc"] is None
        else "smallest falls and years count as many of them with better data as now"
    )
    return (
        f"{100 * (1 - row['acceptance']):.2g} % of the draws were rejected, of which first order "
        f"knows nothing: shares are those without rejection, and {told}"
    )


def change_in_words(row: Row) -> str:
    """What an average row is the average of."""
    return {YEARLY: "a yearly change", STEPWISE: "a change from one year of the run to the next"}[
        row["change"]
    ]


def other_scale(row: Row) -> bool:
    """Whether the verdict is about raw differences, and the budget about relative ones."""
    return row["scale_drawn"] is not None and row["scale_drawn"] != row["scale"]


_OTHER_SCALE = (
    "some draws are not positive, so that verdicts are about raw differences where this budget, to "
    "first order, is about relative changes"
)


def budget_tables_text(rows: Sequence[Row]) -> str:
    """One table for each consumer and stressor, of the average yearly change and the whole span."""
    tables = []
    for change in (*AVERAGES, WHOLE):
        chosen = [row for row in rows if row["change"] == change]
        for (consumer, stressor), own in _by_subject(chosen).items():
            years = f"{own[0]['from_year']}-{own[0]['to_year']}"
            title = f"{consumer}, {stressor}: change {change}, {years}; MDC (fall) {least(own[0])}"
            if own[0]["sigma_drawn"] is not None:
                title += f"; sigma, drawn: {sigmas_in_words(own[0])}"
            if column := main_decline(own):
                title += f", years to {column.split('_')[1]} % {_years_shown(own[0], column)}"
            tables.append("\n".join([title, *aligned(_lines(own))]))
    warnings = "\n".join(first_order_warnings([r for r in rows if r["change"] != CONSECUTIVE]))
    return "\n\n".join([*tables, *([warnings] if warnings else []), _NOTES])


def _by_subject(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["consumer"], row["stressor"]), []).append(row)
    return found


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    years = main_decline(rows)
    percent = years.split("_")[1] if years else ""
    header = ["by", "share", "MDC halved", "lasting", f"years to {percent} %, halved", "lasting"]
    lines = [header if years else header[:4]]
    for by in KINDS:
        own = [row for row in rows if row["by"] == by]
        chosen, others = shown_entries(own)
        for row in chosen:
            line = [
                f"{by}: {row['entry']}" if by is not By.GROUP else row["entry"],
                _share(row["share"]),
                least(row, "_halved"),
                least(row, "_lasting"),
            ]
            if years:
                line += [_years_shown(row, f"{years}{end}") for end in ("_halved", "_lasting")]
            lines.append(line)
        if abs(others) >= _LEAST_SHOWN:
            lines.append([f"{by}: {OTHERS}", _share(others), *[NOTHING] * (len(lines[0]) - 2)])
    return lines


_NOTES = f"""\
share: of the variance of the change, to first order; adds up to 100 % for each kind, and is
negative where errors offset those of others. MDC halved, lasting: smallest fall found with the
stated power if the entry's error were half as large, or the same in all years; what then lasts is
shared with other cells only where it lasted before. Years: until a steady fall shows from the last
year on, {MOST_YEARS} at most: measurement error alone, of the last year's size, correlated by
component as stated, without what lasts; `detect --table years_to_detect` asks the draws instead."""


def _share(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f} %"


def _years_shown(row: Row, name: str) -> str:
    return NOTHING if row[name] is None else str(row[name])


def least(row: Row, suffix: str = "") -> str:
    """The smallest fall found with the stated power, now or with better data."""
    log = row["scale"] == "log"
    least = row[f"mdc_decrease_percent{suffix}"] if log else row[f"mdc{suffix}"]
    now = row["mdc_decrease_percent"] if log else row["mdc"]
    if now is None:
        return NOTHING
    shown = number(least, places(now))
    unit = " %" if log else f" {row['unit']}".rstrip()
    return shown if shown == NOTHING else f"{shown}{unit}"
