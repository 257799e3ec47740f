"""Did emissions at home fall while those abroad rose? By counting draws of both parts together.

Notation: H the domestic part with direct emissions, X the foreign part, s and t two years, and in
every draw dH = H_t - H_s, dX = X_t - X_s.

    P(dH < 0, dX > 0)            offset; the other three signs likewise, together they are one
    -dX / dH                     share of the fall at home that the foreign part made up for

It is a sum of two footprints' parts and says nothing of causes: no leakage. As in
`engine.kernels.changes`, probabilities are counted also with both parts mirrored at the estimate,
on the log scale where all is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    FACTOR_ROUNDING,
    DetectionRule,
    accepted_draws,
    below_threshold,
    difference,
    log_scale,
    numerical_error,
    whatever_rejected,
)
from engine.kernels.monte_carlo import (
    Estimate,
    correlation,
    named,
    nothing,
    probability,
    quantiles,
    sd,
)

# A share of a fall is told where no fall is less probable than this, among the draws and among
# their mirror images, with rejected draws counted as none: nearer to zero the ratio has no meaning.
NO_FALL = 0.025


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part in both years.

    Attributes:
        first, last: of every draw, (D, ...), NaN where it was not accepted.
        first_estimate, last_estimate: of the estimates, (...).
        error_of_change: what draws that are no exact solutions add to its change, measured.
    """

    first: F64
    last: F64
    first_estimate: F64
    last_estimate: F64
    error_of_change: F64 | float = 0.0


def offset(
    home: Part, abroad: Part, error_first: F64, error_last: F64, rule: DetectionRule
) -> dict[str, NDArray[Any]]:
    """All statistics of the joint change of two parts, by name, (...).

    Args:
        error_first, error_last: bounds on the absolute numerical errors of either part, (D, ...).

    Returns:
        Changes in units of F, probabilities, the share as a fraction; the Monte Carlo standard
        error of `name` is `name_mcse`. Probabilities of parts that do not vary beyond numerical
        error are NaN, and so is the share where the fall at home is not probable enough, or where
        its draws are too few.
    """
    accepted = accepted_draws(home.first, home.last, abroad.first, abroad.last)
    total, draws = len(accepted), int(accepted.sum())
    errors = error_first[accepted], error_last[accepted]
    of_home, of_abroad = (_changed(part, accepted, errors) for part in (home, abroad))
    shape = of_home.raw.shape[1:]
    assessed = of_home.assessed & of_abroad.assessed
    found: dict[str, NDArray[Any]] = {
        "draws": np.full(shape, draws),
        **_named("acceptance", probability(np.full(shape, draws), total) if total else None, shape),
        "assessed": assessed,
    }
    for name, part in (("home", of_home), ("abroad", of_abroad)):
        found[f"{name}_change"] = part.observed_raw
        found |= _named(f"{name}_change_sd", sd(part.raw), shape)
    found |= _named("correlation", correlation(of_home.raw, of_abroad.raw), shape)
    found |= _joint(of_home, of_abroad, total - draws, assessed)
    return found | _share(of_home, of_abroad, total - draws, assessed, rule)


@dataclass(frozen=True, slots=True, eq=False)
class _Changed:
    """The change of one part in every accepted draw, raw and on the scale it is mirrored on."""

    raw: F64
    delta: F64
    observed_raw: F64
    observed: F64
    assessed: Bool

    @property
    def mirrored(self) -> F64:
        return 2 * self.observed - self.delta


def _changed(part: Part, accepted: Bool, errors: tuple[F64, F64]) -> _Changed:
    first, last = part.first[accepted], part.last[accepted]
    estimates = part.first_estimate, part.last_estimate
    log = log_scale(first, last, estimates[0][None], estimates[1][None])
    delta, observed = difference(first, last, log), difference(*estimates, log)
    assessed = np.zeros(log.shape, dtype=np.bool_)
    if len(first) >= 2:
        numerical = numerical_error(first, last, *errors, log) + part.error_of_change
        levels = (difference(e, F, log) for e, F in zip(estimates, (first, last), strict=True))
        numerical += FACTOR_ROUNDING * sum(sd(level).value for level in levels)
        assessed = sd(delta).value > CLEAR_OF_NUMERICAL_ERROR * numerical
    return _Changed(last - first, delta, estimates[1] - estimates[0], observed, assessed)


def _named(name: str, estimate: Estimate | None, shape: tuple[int, ...]) -> dict[str, F64]:
    there = nothing(shape) if estimate is None else estimate
    return named(name, there)


def _joint(home: _Changed, abroad: _Changed, rejected: int, assessed: Bool) -> dict[str, F64]:
    """Probabilities of the four pairs of signs, and of what each part did by itself.

    No change counts as neither a fall nor a rise, so that the four need not add up to one. The
    bounds hold whatever the rejected draws did.
    """
    draws = len(home.delta)
    found: dict[str, F64] = {}
    for ending, (H, X) in {
        "": (home.delta, abroad.delta),
        "_reflected": (home.mirrored, abroad.mirrored),
    }.items():
        events = {
            "p_offset": (H < 0) & (X > 0),
            "p_both_fell": (H < 0) & (X < 0),
            "p_both_rose": (H > 0) & (X > 0),
            "p_opposite": (H > 0) & (X < 0),
            "p_home_fell": H < 0,
            "p_abroad_rose": X > 0,
        }
        for name, event in events.items():
            counted = probability(np.sum(event, axis=0), draws)
            value, mcse = (
                np.where(assessed, each, np.nan) for each in (counted.value, counted.mcse)
            )
            found |= {name + ending: value, f"{name}{ending}_mcse": mcse}
            told = Estimate(value, mcse)
            found |= whatever_rejected(f"{name}{ending}", told, draws, rejected)
    return found


def _share(
    home: _Changed, abroad: _Changed, rejected: int, assessed: Bool, rule: DetectionRule
) -> dict[str, F64]:
    """Median and coverage interval of -dX / dH over the draws in which the domestic part fell.

    The others, 2.5 % at most, have no fall that could be made up for. That they are no more must
    hold beyond Monte Carlo error, and with every rejected draw among them, as a verdict must.
    """
    low, high = rule.interval
    shape = home.raw.shape[1:]
    fell = home.raw < 0
    others = np.maximum(*(np.sum(delta >= 0, axis=0) for delta in (home.delta, home.mirrored)))
    surely, _ = below_threshold(others, len(home.raw), rejected, NO_FALL, rule.monte_carlo_error)
    probable = assessed & surely
    found = {
        name: np.full(shape, np.nan)
        for statistic in ("share_low", "share_median", "share_high")
        for name in (statistic, f"{statistic}_mcse")
    }
    for cell in (cell for cell in np.ndindex(shape) if probable[cell]):
        at = (slice(None), *cell)
        there = fell[at]
        ratio = -abroad.raw[at][there] / home.raw[at][there]
        ends = quantiles(ratio, [low, 0.5, high])
        for i, name in enumerate(("share_low", "share_median", "share_high")):
            found[name][cell], found[f"{name}_mcse"][cell] = ends.value[i], ends.mcse[i]
    return found
