"""Did nothing larger than g % happen? The other question a change that is not detectable raises.

Notation as in `engine.kernels.changes`. Not to detect a change is not to show that there was none.
That takes two one-sided statements (docs/method.md, 5.12; Schuirmann 1987, J. Pharmacokin.
Biopharm. 15:657-680), each at the level of verdicts and by counting draws, with

    lower = ln(1 - g/100),   upper = ln(1 + g/100):

both `P(delta <= lower)` and `P(delta >= upper)` below alpha/2, and both of the mirrored
`2 delta^ - delta` too. So the whole coverage interval (`engine.kernels.interval`), at the stated
confidence, lies within the bounds: stricter than the usual two tests at alpha each, whose interval
has confidence 1 - 2 alpha.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    DetectionRule,
    below_threshold,
    first_that_holds,
    least_assessed,
    paired,
    whatever_rejected,
)
from engine.kernels.interval import ends, mirrored, spanning
from engine.kernels.monte_carlo import Estimate, probability, sd


class Equivalence(StrEnum):
    """What can be said of `no change larger than g %`."""

    SHOWN = "no larger change"
    NOT_SHOWN = "not shown"
    NOT_ASSESSED = "not assessed"
    NEEDS_MORE_DRAWS = "needs more draws"
    BORDERLINE = "borderline"

    def in_words(self, percent: float) -> str:
        """`no change larger than 5 %` where that is shown, else why not."""
        return f"no change larger than {percent:g} %" if self is Equivalence.SHOWN else str(self)


def equivalence(
    first: F64,
    second: F64,
    estimate_first: F64,
    estimate_second: F64,
    error_first: F64,
    error_second: F64,
    error_of_change: F64 | float = 0.0,
    *,
    rule: DetectionRule,
    percents: tuple[float, ...],
) -> dict[str, NDArray[Any]]:
    """Whether no change was larger than each of `percents`, and the smallest one that holds.

    Args:
        first, second, estimate_first, estimate_second, error_first, error_second,
        error_of_change: as in `engine.kernels.changes.change`.
        percents: between 0 and 100.

    Returns:
        `equivalence`, an `Equivalence`, and `p_larger`, the probability of a change beyond the
        bounds, with `_low` and `_high` (percents, ...); `smallest_percent`, the smallest g for
        which it would be shown but for the error of counting, (...). Each sampled one with `_mcse`;
        NaN, and `not assessed`, where footprints are not positive.
    """
    both = paired(first, second, estimate_first, estimate_second)
    assessed = np.zeros(both.log.shape, dtype=np.bool_)
    if both.draws >= 2:
        s1, s2 = (sd(level).value for level in both.levels(estimate_first, estimate_second))
        least = least_assessed(both, error_first, error_second, s1, s2)
        least = least + CLEAR_OF_NUMERICAL_ERROR * error_of_change
        assessed = both.log & (sd(both.delta).value > least)
    delta, observed = (np.where(both.log, values, 0.0) for values in (both.delta, both.observed))
    laws = delta, 2 * observed - delta
    said, chance = [], []
    for percent in percents:
        bounds = np.log1p(-percent / 100), np.log1p(percent / 100)
        said.append(_said(laws, bounds, both.rejected, assessed, rule))
        chance.append(_larger(delta, bounds, both.log))
    p_larger = Estimate(
        np.stack([larger.value for larger in chance]), np.stack([larger.mcse for larger in chance])
    )
    smallest = _smallest(delta, observed, both.rejected, assessed, rule)
    return {
        "equivalence": np.stack(said),
        "p_larger": p_larger.value,
        "p_larger_mcse": p_larger.mcse,
        **whatever_rejected("p_larger", p_larger, both.draws, both.rejected),
        "smallest_percent": smallest.value,
        "smallest_percent_mcse": smallest.mcse,
    }


def _said(
    laws: tuple[F64, F64],
    bounds: tuple[float, float],
    rejected: int,
    assessed: Bool,
    rule: DetectionRule,
) -> NDArray[np.str_]:
    lower, upper = bounds
    tails = (
        np.maximum(*(np.sum(d <= lower, axis=0) for d in laws)),
        np.maximum(*(np.sum(d >= upper, axis=0) for d in laws)),
    )
    (inside, open_), (also, also_open) = (
        below_threshold(count, len(laws[0]), rejected, rule.alpha / 2, rule.monte_carlo_error)
        for count in tails
    )
    # One tail that is surely too heavy settles it, whatever the other one is.
    refused = (~inside & ~open_) | (~also & ~also_open)
    cases = {
        Equivalence.NOT_ASSESSED: ~assessed,
        Equivalence.NOT_SHOWN: refused,
        Equivalence.NEEDS_MORE_DRAWS: open_ | also_open,
    }
    return first_that_holds(cases, Equivalence.SHOWN)


def _larger(delta: F64, bounds: tuple[float, float], log: Bool) -> Estimate:
    from_bounds = (delta <= bounds[0]) | (delta >= bounds[1])
    found = probability(from_bounds.sum(axis=0), len(delta))
    return Estimate(np.where(log, found.value, np.nan), np.where(log, found.mcse, np.nan))


def _smallest(
    delta: F64, observed: F64, rejected: int, assessed: Bool, rule: DetectionRule
) -> Estimate:
    """The farther end of the coverage interval, as a fall or a rise in percent."""
    drawn = ends(delta, rejected, rule.alpha / 2)
    interval = spanning(drawn, mirrored(drawn, observed))
    sign = np.array([-1.0, 1.0]).reshape(2, *(1,) * assessed.ndim)
    known = np.where(assessed & np.isfinite(interval.value), interval.value, np.nan)
    percent = sign * 100 * np.expm1(known)
    error = 100 * np.exp(known) * interval.mcse
    rises = percent[1] >= percent[0]
    return Estimate(np.where(rises, percent[1], percent[0]), np.where(rises, error[1], error[0]))
