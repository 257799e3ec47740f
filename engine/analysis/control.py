"""Estimates steadied by the first order, with labels, and whether the first order would have done.

The faces of `engine.kernels.control_variate`: they stand beside the plain statistics of `changes`
and `levels` and replace none of them. Verdicts count draws.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.rebalancing import is_rebalanced
from engine.analysis.selection import CELL, Names, Selection, select
from engine.analysis.split_error import is_split
from engine.error_model import DIRICHLET, Law
from engine.errors import InputError
from engine.kernels import first_order, monte_carlo
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import DetectionRule, accepted_draws, difference, log_scale
from engine.kernels.control_variate import (
    Controlled,
    controlled_mean,
    controlled_probability,
    controlled_variance,
    square_root,
    validate,
)
from engine.kernels.monte_carlo import Estimate, quantiles

_DELTA = "log points; the stressor's unit where scale is raw"
_RAW = "as stressor_unit"
_MEANINGS = {
    "plain_mean": ("mean of the footprint, plain", _RAW),
    "plain_sd": ("standard deviation of the footprint, plain", _RAW),
    "plain_delta_mean": ("mean of delta, plain", _DELTA),
    "plain_sigma": ("standard deviation of delta, plain", _DELTA),
    "plain_p_decrease": ("probability of a decrease, by counting", "1"),
    "mean": ("mean of the footprint", _RAW),
    "sd": ("standard deviation of the footprint", _RAW),
    "delta_mean": ("mean of delta", _DELTA),
    "sigma": ("standard deviation of delta", _DELTA),
    "p_decrease": ("probability of a decrease, P(delta < 0)", "1"),
    "scale": ("log, or raw where a footprint is not positive", ""),
    "first_order_mean": ("mean of delta to first order", _DELTA),
    "first_order_sigma": ("standard deviation of delta to first order", _DELTA),
    "tolerance": ("numerical tolerance of the ends of the interval of delta", _DELTA),
    "d_low": ("distance of the lower ends, first order and draws", _DELTA),
    "d_high": ("distance of the upper ends, first order and draws", _DELTA),
    "linearity": ("whether the first-order interval is validated", ""),
}


def controlled(
    ensemble: xr.Dataset,
    law: xr.Dataset | None = None,
    rule: DetectionRule | None = None,
    pairs: Iterable[tuple[int, int]] | None = None,
    *,
    digits: int = 1,
    stressor: Names = None,
    consumer: Names = None,
) -> xr.Dataset:
    """Means, sds and probabilities with their gains; dims year or pair, stressor, consumer, part.

    Args:
        ensemble: an opened ensemble. Where it has no variable `linear`, means are plain; where it
            has no `G`, factors that are not lognormal or known totals, sds and probabilities are;
            all are in split mode, whose draws follow another law, where draws are balanced, and
            where factors come from files.
        law: the first order of the same years and names, as `engine.analysis.preview` gives it;
            what the ensemble keeps of it if not given.
        rule: whose coverage interval is compared; 95 % if not given.
        pairs: (from, to) years; every pair with from < to if not given.
        digits: significant digits of sigma to which the first order is to be validated.
        stressor, consumer: names to limit the analysis to; only these are read.

    Raises:
        InputError: the ensemble has no such name, or keeps no law and none is given.
    """
    rule = DetectionRule() if rule is None else rule
    asked = select(ensemble, stressor, consumer)
    names: dict[str, Any] = {dim: asked.coords[dim].to_numpy() for dim in CELL}
    years = list(asked.years)
    covariance = _covariance(ensemble, law).sel(names | {"year": years, "with_year": years})
    first = _First(
        linear=_stored(ensemble, "linear", names),
        gaussian=_stored(ensemble, "G", names),
        covariance=covariance.transpose("year", "with_year", *CELL).to_numpy(),
    )
    chosen = combinations(sorted(asked.years), 2) if pairs is None else pairs
    places = [(asked.years.index(first), asked.years.index(second)) for first, second in chosen]
    levels = [_level(asked, first, t) for t in range(len(asked.years))]
    changes = [_change(asked, first, s, t, rule, digits) for s, t in places]
    return xr.Dataset(
        _stacked("year", levels) | _stacked("pair", changes),
        coords=asked.coords
        | {
            "year": list(asked.years),
            "from_year": xr.Variable("pair", [asked.years[s] for s, _ in places]),
            "to_year": xr.Variable("pair", [asked.years[t] for _, t in places]),
        },
        attrs=asked.attrs
        | {
            "confidence": rule.confidence,
            "controls": json.dumps([n for n in ("linear", "G") if _is_control(ensemble, n)]),
            "control_variate": "first-order values of the same draws; gain: how many times the "
            "draws a plain estimate would need; 1 where a draw was rejected or none is stored",
            "linearity": f"JCGM 101:2008, clause 8, to {digits} significant digit(s) of sigma",
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class _First:
    """First-order values of every draw, (draw,year,s,c,p), and the covariance they follow."""

    linear: F64 | None
    gaussian: F64 | None
    covariance: F64


def _covariance(ensemble: xr.Dataset, law: xr.Dataset | None) -> xr.DataArray:
    if law is not None:
        return law["covariance"]
    if "first_order_covariance" not in ensemble:
        raise InputError(
            "the ensemble does not keep the law of its first order",
            where="analysis",
            remedy="give the Dataset that `engine.preview` returns",
        )
    return ensemble["first_order_covariance"]


def laws(ensemble: xr.Dataset) -> set[str]:
    """The laws of the factors it was drawn with."""
    return set(json.loads(ensemble.attrs.get("laws", '["lognormal"]')))


def _is_control(ensemble: xr.Dataset, name: str) -> bool:
    """Whether a stored first-order value is one whose law is known.

    Linear values have a mean of zero, but not over factors from files, whose own mean is kept.
    Gaussian ones are the first order of lognormal factors, and used for no others: not for shares
    of known totals either.
    """
    if name not in ensemble or is_split(ensemble) or is_rebalanced(ensemble):
        return False
    if name == "G" and ensemble.attrs.get("known_totals", False):
        return False
    return laws(ensemble) <= ({"lognormal"} if name == "G" else {DIRICHLET, *map(str, Law)})


def _stored(ensemble: xr.Dataset, name: str, labels: dict[str, Any]) -> F64 | None:
    if not _is_control(ensemble, name):
        return None
    return ensemble[name].sel(labels).transpose("draw", "year", *CELL).to_numpy()


def _at(values: F64 | None, there: Bool, t: int) -> F64 | None:
    return None if values is None else values[there, t]


def _level(asked: Selection, first: _First, t: int) -> dict[str, NDArray[Any]]:
    there = asked.computed[:, t]
    F, variance = asked.footprint[there, t], first.covariance[t, t]
    sd = square_root(controlled_variance(F, _at(first.gaussian, there, t), variance))
    mean = controlled_mean(F, _at(first.linear, there, t))
    drawn = F[accepted_draws(F)]
    plain = _plain("mean", monte_carlo.mean(drawn)) | _plain("sd", monte_carlo.sd(drawn))
    return plain | _named("mean", mean) | _named("sd", sd)


def _change(
    asked: Selection, first: _First, s: int, t: int, rule: DetectionRule, digits: int
) -> dict[str, NDArray[Any]]:
    there = asked.computed[:, s] & asked.computed[:, t]
    F_s, F_t = asked.footprint[there, s], asked.footprint[there, t]
    reference_s, reference_t = asked.reference[s], asked.reference[t]
    accepted = accepted_draws(F_s, F_t)
    log = log_scale(F_s[accepted], F_t[accepted], reference_s[None], reference_t[None])
    delta = difference(F_s, F_t, log)
    V = first.covariance
    law = first_order.law_of_delta(reference_s, reference_t, V[s, s], V[t, t], V[s, t], log)
    units = np.where(log, reference_s, 1.0), np.where(log, reference_t, 1.0)

    def of_delta(values: F64 | None) -> F64 | None:
        return None if values is None else values[there, t] / units[1] - values[there, s] / units[0]

    G, variance = of_delta(first.gaussian), np.square(law.sigma)
    ends = quantiles(delta[accepted], rule.interval)
    low, high = (Estimate(ends.value[end], ends.mcse[end]) for end in (0, 1))
    checked = validate(law.mean, law.sigma, rule.z_alpha, low, high, digits)
    drawn = delta[accepted]
    below = np.sum(drawn < 0, axis=0)
    return {
        **_plain("delta_mean", monte_carlo.mean(drawn)),
        **_plain("sigma", monte_carlo.sd(drawn)),
        **_plain("p_decrease", monte_carlo.probability(below, len(drawn))),
        **_named("delta_mean", controlled_mean(delta, of_delta(first.linear))),
        **_named("sigma", square_root(controlled_variance(delta, G, variance))),
        **_named("p_decrease", controlled_probability(delta, G, -law.mean, variance)),
        "scale": np.where(log, "log", "raw"),
        "first_order_mean": law.mean,
        "first_order_sigma": law.sigma,
        "tolerance": checked.tolerance,
        "d_low": checked.d_low,
        "d_high": checked.d_high,
        "linearity": checked.linearity,
    }


def _named(name: str, found: Controlled) -> dict[str, F64]:
    return {name: found.value, f"{name}_mcse": found.mcse, f"{name}_gain": found.gain}


def _plain(name: str, found: Estimate) -> dict[str, F64]:
    return {f"plain_{name}": found.value, f"plain_{name}_mcse": found.mcse}


def _stacked(dim: str, found: list[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    if not found:
        return {}
    return {
        name: ((dim, *CELL), np.stack([one[name] for one in found]), _attributes(name))
        for name in found[0]
    }


def _attributes(name: str) -> dict[str, str]:
    what, unit = _MEANINGS[name.removesuffix("_mcse").removesuffix("_gain")]
    if name.endswith("_gain"):
        return {"long_name": f"gain of the control variate: {what}", "units": "1"}
    prefix = "Monte Carlo standard error: " if name.endswith("_mcse") else ""
    return {"long_name": prefix + what} | ({"units": unit} if unit else {})
