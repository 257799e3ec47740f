"""Targets with labels: `engine.kernels.targets` for every consumer and stressor they are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import xarray as xr

from engine.analysis.asked import Target
from engine.analysis.selection import Selection, select
from engine.analysis.split_error import rms_apart
from engine.analysis.tables import Row, aligned, number, places, plain, probability
from engine.errors import InputError
from engine.kernels import targets as kernel
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, whatever_rejected
from engine.kernels.monte_carlo import Estimate, quantiles
from engine.kernels.targets import Compared, Conformity, Judged, Prior

TRUE_BASE, FIXED_BASE = "true base", "fixed base"
RULES = {
    TRUE_BASE: "the true footprint of the base year is what counts, and is as uncertain as any; "
    "errors that the years share cancel",
    FIXED_BASE: "the published estimate of the base year counts as it stands",
}
_POINTS = 41  # of an acceptance curve
_TAIL = 0.005  # of estimates at either end of it
_BANDS = {"q025": 0.025, "q250": 0.25, "q750": 0.75, "q975": 0.975}


@dataclass(frozen=True, slots=True, eq=False)
class _Comparison:
    """One target by one rule: its footprints, (draw, stressor, consumer).

    Attributes:
        base: the base's estimate, (stressor, consumer).
    """

    target: Target
    rule: str
    asked: Selection
    base: F64
    compared: Compared

    @property
    def stressors(self) -> list[str]:
        return [str(name) for name in self.asked.coords["stressor"].to_numpy()]

    @property
    def consumers(self) -> list[str]:
        return [str(name) for name in self.asked.coords["consumer"].to_numpy()]

    def labels(self, s: int, c: int) -> Row:
        """What every row about one cell begins with."""
        units = self.asked.coords.get("stressor_unit")
        return {
            "stressor": self.stressors[s],
            "unit": "" if units is None else str(units.to_numpy()[s]),
            "consumer": self.consumers[c],
            "part": "total",
            "target": self.target.name,
            "rule": self.rule,
            "base": in_years(self.target.base_years),
            "year": self.target.year,
            "share": self.target.share,
        }


def target_table(
    ensemble: xr.Dataset, targets: Iterable[Target], rule: DetectionRule, *, final: bool = False
) -> list[Row]:
    """One row for each target, rule (true base, fixed base), stressor and consumer.

    Footprints and limits are in `unit`; what ends in `_share` is relative to the base's estimate,
    and a true share to the true base where that is the rule. `sigma`, `margin`, `s_base` and
    `s_target` are log points where `scale` is log, else in `unit`.

    Args:
        ensemble: an opened ensemble.
        rule: its confidence is one-sided here, since a target is missed on one side only.
        final: no more draws will be made: what still needs them is borderline.

    Raises:
        InputError: the ensemble lacks a year, consumer or stressor of a target.
    """
    rows: list[Row] = []
    for target in targets:
        both = [(one, kernel.judge(one.compared, rule)) for one in _comparisons(ensemble, target)]
        for cell in np.ndindex(both[0][0].base.shape):
            rows += [_row(one, judged, cell, rule, final=final) for one, judged in both]
    return rows


def acceptance_table(
    ensemble: xr.Dataset, targets: Iterable[Target], rule: DetectionRule
) -> list[Row]:
    """The acceptance curve of each target without a prior: P(accepted) against what is true.

    Accepted is an estimate at the acceptance limit of `target_table` or below it; `true_share` is
    the true footprint of the target year relative to the base.
    """
    rows: list[Row] = []
    for target in (target for target in targets if target.prior is None):
        both = [(one, kernel.judge(one.compared, rule)) for one in _comparisons(ensemble, target)]
        for cell in np.ndindex(both[0][0].base.shape):
            for one, judged in both:
                if str(judged.statistics["verdict"][cell]) != Conformity.NOT_ASSESSED:
                    rows += _curve(one, judged, cell)
    return rows


def in_years(years: Sequence[int]) -> str:
    """Years as they are spoken of.

    >>> in_years((2010,)), in_years((2000, 2001, 2002)), in_years((1990, 1995))
    ('2010', '2000-2002', '1990, 1995')
    """
    together = len(years) > 2 and all(b - a == 1 for a, b in pairwise(years))
    return f"{years[0]}-{years[-1]}" if together else ", ".join(map(str, years))


# --- what is compared -----------------------------------------------------------------------------

_Pair = tuple[F64, F64]  # of the limit q F_0 and of the target year


def _comparisons(ensemble: xr.Dataset, target: Target) -> Iterator[_Comparison]:
    """The target by each rule."""
    total = ensemble.sel(part=["total"])
    asked = select(total, target.stressors or None, target.consumers or None)
    base = [_place(asked, year, target) for year in target.base_years]
    year = _place(asked, target.year, target)
    there = asked.computed[:, [*base, year]].all(axis=1)

    def pair(values: F64) -> _Pair:
        """The mean of the base and the target year, of values (draw, year, ...)."""
        return values[:, base].mean(axis=1), values[:, year]

    drawn, errors = pair(asked.footprint[there, ..., 0]), pair(asked.error[there])
    exact = None if asked.exact is None else pair(asked.exact[there, ..., 0])
    reference = asked.reference[..., 0]
    estimates = reference[base].mean(axis=0), reference[year]
    for rule in RULES:
        compared = _compared(target.share, estimates, drawn, errors, exact, rule)
        yield _Comparison(target, rule, asked, estimates[0], compared)


def _compared(
    share: float, estimates: _Pair, drawn: _Pair, errors: _Pair, exact: _Pair | None, rule: str
) -> Compared:
    """What the kernel compares: with a fixed base every draw has the limit of the estimate."""

    def limit(base: F64) -> F64:
        if rule == TRUE_BASE:
            return share * base
        return np.where(np.isfinite(base), share * estimates[0], np.nan)

    apart: F64 | float = 0.0
    if exact is not None:
        split = (limit(drawn[0]), drawn[1])
        apart = rms_apart(split, (limit(exact[0]), exact[1]), (share * estimates[0], estimates[1]))
    return Compared(
        limit=limit(drawn[0]),
        final=drawn[1],
        limit_estimate=share * estimates[0],
        final_estimate=estimates[1],
        limit_error=share * errors[0] if rule == TRUE_BASE else np.zeros_like(errors[0]),
        final_error=errors[1],
        error_of_margin=apart,
    )


def _place(asked: Selection, year: int, target: Target) -> int:
    if year in asked.years:
        return asked.years.index(year)
    raise InputError(
        f"the ensemble has no year {year}",
        where=f"target {target.name}",
        remedy=f"it has {', '.join(map(str, asked.years))}",
    )


# --- rows -----------------------------------------------------------------------------------------


def _row(
    one: _Comparison, judged: Judged, cell: tuple[int, ...], rule: DetectionRule, *, final: bool
) -> Row:
    target, compared = one.target, one.compared
    found = {name: plain(values[cell]) for name, values in judged.statistics.items()}
    verdict = Conformity(found.pop("verdict"))
    verdict = kernel.at_last_look(verdict) if final else verdict
    base, estimate = float(one.base[cell]), float(compared.final_estimate[cell])
    row = one.labels(*cell) | {
        "base_estimate": base,
        "limit": target.share * base,
        "estimate": estimate,
        "estimate_share": _over(estimate, base),
    }
    row |= found
    for name in ("acceptance_limit", "accepted_truth"):
        for ending in ("", "_mcse"):
            row[f"{name}_share{ending}"] = _over(found[f"{name}{ending}"], base)
    row |= _overshoot(found, target.share * base, estimate)
    row |= _bands(judged, cell, target.share)
    row |= _risks(judged, cell, target, assessed=verdict is not Conformity.NOT_ASSESSED)
    return row | {
        "confidence": rule.confidence,
        "power": rule.power,
        "verdict": str(verdict),
        "meaning": verdict.meaning,
        "source": target.source,
    }


def _over(value: float | None, base: float) -> float | None:
    return value / base if value is not None and base > 0 else None


def _overshoot(found: Row, limit: float, estimate: float) -> Row:
    """By how many percent of the target an estimate must be below it, and by how many it is."""
    at, error = found["acceptance_limit"], found["acceptance_limit_mcse"]
    names = ("required_overshoot_percent", "required_overshoot_percent_mcse", "overshoot_percent")
    if limit <= 0:
        return dict.fromkeys(names)
    needed = None if at is None else 100 * (1 - at / limit)
    needed_mcse = None if error is None else 100 * error / limit
    return dict(zip(names, (needed, needed_mcse, 100 * (1 - estimate / limit)), strict=True))


def _bands(judged: Judged, cell: tuple[int, ...], share: float) -> Row:
    """Quantiles of the ratio F_T / F_0 over draws, F_0 by the rule; none on the raw scale."""
    margin = judged.statistics["margin"][cell] + judged.error_at(cell)
    at = quantiles(margin, list(_BANDS.values()))
    row: Row = {}
    for name, value, error in zip(_BANDS, at.value, at.mcse, strict=True):
        log = str(judged.statistics["scale"][cell]) == "log"
        ratio = share * float(np.exp(value)) if log else np.nan
        row |= {f"ratio_{name}": plain(ratio), f"ratio_{name}_mcse": plain(ratio * float(error))}
    return row


def _risks(judged: Judged, cell: tuple[int, ...], target: Target, *, assessed: bool) -> Row:
    """Consumer's and producer's risk, which only a prior gives; none on the raw scale."""
    empty: Row = dict.fromkeys(_RISKS)
    log = str(judged.statistics["scale"][cell]) == "log"
    if target.prior is None or not log or not assessed:
        return empty | {"prior_source": "" if target.prior is None else target.prior.source}
    prior = Prior(target.prior.mean, target.prior.sd)
    guard = judged.guard.at(cell)
    row: Row = empty | {"prior_mean": prior.mean, "prior_sd": prior.sd}
    if np.isfinite(guard.band.value):
        found = kernel.risks(judged.error_at(cell), guard, prior, target.share)
        row |= _told("consumers_risk", found.consumer, judged)
        row |= _told("producers_risk", found.producer, judged)
    return row | {"prior_source": target.prior.source}


def _told(name: str, p: Estimate, judged: Judged) -> Row:
    """A probability, its Monte Carlo error, and its ends whatever the rejected draws did."""
    ends = whatever_rejected(name, p, judged.draws, judged.rejected)
    told = {name: p.value, f"{name}_mcse": p.mcse} | ends
    return {name: plain(float(value)) for name, value in told.items()}


_RISKS = (
    "prior_mean",
    "prior_sd",
    "consumers_risk",
    "consumers_risk_mcse",
    "consumers_risk_low",
    "consumers_risk_low_mcse",
    "consumers_risk_high",
    "consumers_risk_high_mcse",
    "producers_risk",
    "producers_risk_mcse",
    "producers_risk_low",
    "producers_risk_low_mcse",
    "producers_risk_high",
    "producers_risk_high_mcse",
)


def _curve(one: _Comparison, judged: Judged, cell: tuple[int, ...]) -> list[Row]:
    """From what is accepted all but always to what is all but never; none on the raw scale."""
    error, guard = judged.error_at(cell), judged.guard.at(cell)
    w = guard.band.value
    if str(judged.statistics["scale"][cell]) != "log" or not np.isfinite(w):
        return []
    ends = quantiles(error, [1 - _TAIL, _TAIL]).value
    margins = np.linspace(-w - ends[0], -w - ends[1], _POINTS)
    accepted = kernel.acceptance(error, guard, margins)
    return [
        one.labels(*cell)
        | {
            "true_share": one.target.share * float(np.exp(margin)),
            **_told("p_accepted", Estimate(p, mcse), judged),
            "draws": len(error),
            "acceptance": judged.acceptance,
        }
        for margin, p, mcse in zip(margins, accepted.value, accepted.mcse, strict=True)
    ]


# --- as text --------------------------------------------------------------------------------------


def target_text(rows: Sequence[Row]) -> str:
    """One table of all targets, consumers, stressors and rules, and what its words mean."""
    first = rows[0]
    head = [
        "consumer",
        "rule",
        "estimate",
        "P(met)",
        "conforms up to",
        f"{100 * first['power']:.4g} % power at",
        "verdict",
    ]
    tables = []
    for name in dict.fromkeys(row["target"] for row in rows):
        own = [row for row in rows if row["target"] == name]
        title = (
            f"target {name}: at most {100 * own[0]['share']:.4g} % of {own[0]['base']} in "
            f"{own[0]['year']} ({own[0]['source']})"
        )
        tables.append("\n".join([title, *aligned([head, *map(_line, own)])]))
    notes = [f"{rule}: {meaning}" for rule, meaning in RULES.items()]
    notes.append(
        "shares are of the base's estimate; an estimate conforms up to the acceptance limit, where "
        f"the probability that the target is met reaches {100 * first['confidence']:.4g} % "
        "(JCGM 106:2012, clause 8); a true value has to be as low as the last share to be found to "
        f"conform with a probability of {100 * first['power']:.4g} %"
    )
    met = {row["verdict"] for row in rows}
    notes += [f"{verdict}: {verdict.meaning}" for verdict in Conformity if str(verdict) in met]
    notes += _risks_in_words(rows)
    return "\n".join([*tables, *notes])


def _line(row: Row) -> list[str]:
    assessed = row["verdict"] != Conformity.NOT_ASSESSED
    known = row["scale"] == "log" and row["sigma"] is not None
    decimals = places(100 * row["sigma"] * (row["estimate_share"] or 0) if known else None)
    shown = [row["estimate_share"], row["acceptance_limit_share"], row["accepted_truth_share"]]
    estimate, limit, truth = (
        number(None if value is None else 100 * value, decimals) + (" %" if value else "")
        for value in shown
    )
    return [
        f"{row['consumer']}, {row['stressor']}",
        row["rule"],
        estimate,
        probability(row["p_conforms"], row["draws"]) if assessed else "-",
        limit if assessed else "-",
        truth if assessed else "-",
        row["verdict"] + (" (asymmetric)" if row["asymmetric"] else ""),
    ]


def _risks_in_words(rows: Sequence[Row]) -> list[str]:
    return [
        f"{row['target']}, {row['consumer']}, {row['stressor']}, {row['rule']}: with the prior "
        f"{100 * row['prior_mean']:.4g} +- {100 * row['prior_sd']:.4g} %, consumer's risk (missed "
        f"and found to conform) {100 * row['consumers_risk']:.2g} %, producer's risk (met and not "
        f"found to conform) {100 * row['producers_risk']:.2g} %"
        for row in rows
        if row["consumers_risk"] is not None
    ]


def acceptance_text(rows: Sequence[Row]) -> str:
    """The true shares at which an estimate is accepted with some probabilities."""
    levels = (0.05, 0.20, 0.50, 0.80, 0.95)
    head = ["accepted with a probability of", *(f"{100 * level:.0f} %" for level in levels)]
    keys = ("target", "consumer", "stressor", "rule")
    curves: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        curves.setdefault(tuple(row[key] for key in keys), []).append(row)
    lines = [
        [", ".join(key), *(f"{100 * _share_at(own, level):.1f} %" for level in levels)]
        for key, own in curves.items()
    ]
    return "\n".join(["true share of the base at which an estimate is", *aligned([head, *lines])])


def _share_at(curve: Sequence[Row], level: float) -> float:
    """Between the points of a curve, which falls with the true share."""
    p = [row["p_accepted"] for row in reversed(curve)]
    return float(np.interp(level, p, [row["true_share"] for row in reversed(curve)]))
