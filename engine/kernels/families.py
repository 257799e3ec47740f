"""Several changes judged together: simultaneous max-|t|, Holm, Benjamini-Yekutieli and -Hochberg.

A verdict at 95 % stands for one change asked beforehand. Of many changes that are all zero some
will look detectable, more often than not where there are dozens. A family is judged so that this
happens with probability alpha at most, however many of its m changes are real.

Notation: D draws accepted in every year of the family, on axis 0; m changes on axis 1.

**Simultaneous max-|t|** (docs/method.md, 5.9 and 5.10; Westfall & Young 1993, single step) knows
how the changes hang together, since every draw has them all:

    T_jd = (delta_jd - mean_j) / sd_j,   c = the 1 - alpha quantile of max_j |T_jd|,

and change j is detected where `|delta^_j| > c sd_j + |b_j|`, b_j = mean_j - delta^_j: where both
`mean_j -+ c sd_j`, which the draws say, and its mirror image at delta^_j are clear of zero. From
the lower to the upper of their ends, `delta^_j -+ (c sd_j + |b_j|)`, the intervals hold all
together with probability 1 - alpha at least, as that of a change alone does
(`engine.kernels.interval`). A b_j that Monte Carlo error may explain, at the rule's level of it, is
not counted. No verdict here says more than that on the change alone. For independent normal years
of equal sd and all their pairs c is a quantile of the studentised range over sqrt 2. Of normal
changes it lies between the quantile of one alone and Bonferroni's.

**By counting** (5.11). `p_j = 2 (1 + count_j) / (D + 1)`, count the draws against the better
supported direction, the larger of P and its reflection, with all rejected draws among them; then
Holm (1979, Scand. J. Statist. 6:65-70), or the false discovery rate of Benjamini &
Yekutieli (2001, Ann. Statist. 29:1165-1188) under any dependence, and of Benjamini & Hochberg
(1995, J. R. Statist. Soc. B 57:289-300) under a positive one, which footprints of regions need not
have, as emissions that one region is not charged with are charged to another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.changes import (
    DetectionRule,
    Verdict,
    first_that_holds,
    whatever_rejected,
)
from engine.kernels.monte_carlo import (
    Estimate,
    clopper_pearson,
    probability,
    quantiles,
    spread,
    standard_error,
)

HOLM_DRAWS = 20  # draws in the smallest tail that Holm's first step looks at
_NEAR = 3.0  # ranks, in standard deviations, from which the shape of the law around c is read


# --- simultaneous --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Simultaneous:
    """What max-|t| says of a family of m changes.

    Attributes:
        critical: c.
        statistic: `(|delta^_j| - |b_j|) / sd_j`, not below zero, (m,).
        half_width: `c sd_j + |b_j|`, (m,), with the c that holds whatever the rejected draws were;
            infinite where there is none.
        false_alarm: probability that, with no change at all, one or more would look detectable
            without adjustment: that max_j |T_jd| exceeds the normal quantile. Its Monte Carlo
            error is that of a relative frequency, which the scaling by sd_j only makes smaller.
        false_alarm_low, false_alarm_high: the same whatever the rejected draws did.
        verdict: a `Verdict`, (m,).
    """

    critical: Estimate
    statistic: Estimate
    half_width: Estimate
    false_alarm: Estimate
    false_alarm_low: Estimate
    false_alarm_high: Estimate
    verdict: NDArray[np.str_]


def simultaneous(delta: F64, observed: F64, rejected: int, rule: DetectionRule) -> Simultaneous:
    """Judge m changes that all vary.

    Args:
        delta: of every draw accepted in all the family's years, (D, m), D at least 2.
        observed: deltas of the estimate, (m,).
        rejected: draws that were not accepted in one of the years. A direction must hold with all
            of them counted among those whose max-|t| is beyond any limit.
    """
    draws = len(delta)
    s, of_s = spread(delta)
    T = (delta - delta.mean(axis=0)) / s
    largest = np.abs(T).max(axis=1)
    by_s = of_s / s
    bias, of_bias = _bias(delta, observed, rule)
    statistic = np.maximum(np.abs(observed) - bias, 0.0) / s
    tail = rule.alpha
    limit = _limit(T, largest, by_s, tail)
    worst_tail = (tail * (draws + rejected) - rejected) / draws
    worst = limit if not rejected else _limit(T, largest, by_s, worst_tail)
    error, worst_error = (one.error(by_s, of_bias / s) for one in (limit, worst))
    false_alarm = probability(np.asarray(np.sum(largest > rule.z_alpha)), draws)
    ends = whatever_rejected("false_alarm", false_alarm, draws, rejected)
    return Simultaneous(
        critical=Estimate(limit.value, standard_error(limit.influence)),
        statistic=Estimate(statistic, standard_error(statistic * by_s + of_bias / s)),
        half_width=Estimate(worst.value * s + bias, s * worst_error),
        false_alarm=false_alarm,
        false_alarm_low=Estimate(ends["false_alarm_low"], ends["false_alarm_low_mcse"]),
        false_alarm_high=Estimate(ends["false_alarm_high"], ends["false_alarm_high_mcse"]),
        verdict=_judged(
            observed, statistic, (limit.value, error), (worst.value, worst_error), rule
        ),
    )


def _bias(delta: F64, observed: F64, rule: DetectionRule) -> tuple[F64, F64]:
    """|b_j|, zero where Monte Carlo error may explain it, and its influence, (m,) and (D, m)."""
    away = delta - delta.mean(axis=0)
    b = delta.mean(axis=0) - observed
    clear = np.abs(b) > rule.monte_carlo_reach * standard_error(away)
    return np.where(clear, np.abs(b), 0.0), np.where(clear, np.sign(b) * away, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Limit:
    """A critical value and its influence function, (D,); NaN where the draws are too few."""

    value: F64
    influence: F64

    def error(self, by_s: F64, by_bias: F64) -> F64:
        """Monte Carlo error of `c + |b_j| / sd_j` in units of sd_j, (m,); NaN of no limit.

        Args:
            by_s, by_bias: influence of ln sd_j and, in units of sd_j, of |b_j|, (D, m).
        """
        if np.isinf(self.value):
            return np.full(by_s.shape[1], np.nan)
        return standard_error(self.influence[:, None] + self.value * by_s + by_bias)


def _limit(T: F64, largest: F64, by_s: F64, tail: float) -> _Limit:
    """The upper quantile of max_j |T_j|, and what a draw moves in it.

    A draw moves the quantile by its rank, and by the means and sds that it scales T with: where
    T_k is the largest, c falls with its sd, and with its mean on the upper side.

    Args:
        by_s: influence of ln sd_j, (D, m).
    """
    draws, m = T.shape
    if tail <= 0:
        return _Limit(np.array(np.inf), np.zeros(draws))
    found = quantiles(largest, [1 - tail])
    c, mcse = found.value[0], found.mcse[0]
    if not mcse > 0:
        return _Limit(c, np.full(draws, np.nan))
    reach = np.sqrt(draws * tail * (1 - tail))
    by_rank = ((largest > c) - tail) * draws * mcse / reach
    rank = np.argsort(np.argsort(largest))
    near = np.abs(rank - draws * (1 - tail)) <= _NEAR * reach
    which = np.abs(T[near]).argmax(axis=1)
    above = T[near, which] > 0
    share = np.bincount(which, minlength=m) / len(which)
    upward = np.bincount(which, weights=np.where(above, 1.0, -1.0), minlength=m) / len(which)
    return _Limit(c, by_rank - c * (by_s @ share) - T @ upward)


def _judged(
    observed: F64,
    statistic: F64,
    limit: tuple[F64, F64],
    worst: tuple[F64, F64],
    rule: DetectionRule,
) -> NDArray[np.str_]:
    """Beyond the limit, or not, or too near it for the Monte Carlo error of either.

    Args:
        limit, worst: c and its error, as `_Limit.error` has it: of the draws accepted, and with all
            rejected ones beyond it.
    """
    (above, below), (above_worst, below_worst) = (
        _sides(statistic, *one, rule) for one in (limit, worst)
    )
    is_open = ~(above | below) | (above & ~(above_worst | below_worst))
    cases = {
        Verdict.NEEDS_MORE_DRAWS: is_open,
        Verdict.DECREASE: above_worst & (observed < 0),
        Verdict.INCREASE: above_worst & (observed > 0),
    }
    return first_that_holds(cases, Verdict.NOT_DETECTABLE)


def _sides(statistic: F64, limit: F64, error: F64, rule: DetectionRule) -> tuple[Bool, Bool]:
    """Whether the statistic is surely above the limit, and whether surely below."""
    if np.isinf(limit):
        return np.zeros(statistic.shape, np.bool_), np.ones(statistic.shape, np.bool_)
    reach = rule.monte_carlo_reach * error
    return statistic > limit + reach, statistic < limit - reach


# --- by counting ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Two-sided tail probabilities by counting draws, (m,), and where they surely lie.

    Attributes:
        value: `2 (1 + count) / (D + 1)`, at most 1, with its Monte Carlo error.
        low, high: Clopper-Pearson ends of it, the rejected draws counted in `high` alone.
        draws: the fewest draws of any change.
    """

    value: Estimate
    low: F64
    high: F64
    draws: int


def counted(against: I64, draws: I64, rejected: I64, rule: DetectionRule) -> Counted:
    """Tail probabilities of m changes.

    Args:
        against: draws against the better supported direction, the larger of P and its
            reflection, (m,).
        draws: accepted in the two years of each change, (m,).
        rejected: not accepted in them, (m,).
    """
    level = 1 - rule.monte_carlo_error
    low, _ = _ends(1 + against, 1 + draws, level)
    _, high = _ends(1 + against + rejected, 1 + draws + rejected, level)
    share = (1 + against + rejected) / (1 + draws + rejected)
    error = np.sqrt(share * (1 - share) / (draws + rejected + 2))
    return Counted(
        Estimate(np.minimum(1.0, 2 * share), 2 * error),
        np.minimum(1.0, 2 * low),
        np.minimum(1.0, 2 * high),
        int(np.min(draws)),
    )


def _ends(successes: I64, trials: I64, level: float) -> tuple[F64, F64]:
    pairs = [clopper_pearson(k, int(n), level) for k, n in zip(successes, trials, strict=True)]
    return np.array([low for low, _ in pairs]), np.array([high for _, high in pairs])


Adjust = Callable[[F64], F64]


def holm(p: F64) -> F64:
    """Adjusted p of Holm (1979): `max over k <= i of (m - k + 1) p_(k)`, at most 1, (m,).

    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def benjamini_yekutieli(p: F64) -> F64:
    """Adjusted p for the false discovery rate under any dependence, (m,)."""
    adjusted: F64 = false_discovery_control(p, method="by")
    return adjusted


def benjamini_hochberg(p: F64) -> F64:
    """Adjusted p for the false discovery rate, independent or positively dependent, (m,)."""
    adjusted: F64 = false_discovery_control(p, method="bh")
    return adjusted


def adjusted(tails: Counted, adjust: Adjust) -> Estimate:
    """Adjusted p; its Monte Carlo error is at most the one that all p moving together give."""
    p, error = tails.value.value, tails.value.mcse
    low, high = adjust(np.maximum(p - error, 0.0)), adjust(np.minimum(p + error, 1.0))
    return Estimate(adjust(p), (high - low) / 2)


def by_counting(
    tails: Counted, observed: F64, adjust: Adjust, rule: DetectionRule, least: int = 0
) -> NDArray[np.str_]:
    """A `Verdict` for each change from its adjusted p.

    Adjusted p rise with every p, so that a verdict which both ends of all intervals share is
    sure; where they differ it needs more draws.

    Args:
        least: draws below which none is decided.
    """
    rejected = adjust(tails.high) < rule.alpha
    is_open = (adjust(tails.low) < rule.alpha) & ~rejected
    if tails.draws < least:
        is_open = np.ones_like(rejected)
    cases = {
        Verdict.NEEDS_MORE_DRAWS: is_open,
        Verdict.DECREASE: rejected & (observed < 0),
        Verdict.INCREASE: rejected & (observed > 0),
    }
    return first_that_holds(cases, Verdict.NOT_DETECTABLE)


def holm_needs(m: int, rule: DetectionRule) -> int:
    """Draws for Holm by counting over m changes: `20 m / alpha`."""
    return int(np.ceil(HOLM_DRAWS * m / rule.alpha - 1e-9))
