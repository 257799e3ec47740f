"""Is the change between two years detectable? Counting draws, and saying how well they count.

Notation: D draws accepted in both years, on axis 0 of every array; s and t two years; F the
footprint of a draw, F^ that of the estimate; everything behind axis 0 is done at once.

    delta_d = ln F_t,d - ln F_s,d        paired within a draw (raw difference where any F <= 0)
    sigma^2 = s1^2 + s2^2 - 2 rho s1 s2  variance of delta; s1, s2 the sd of ln F, rho their
                                         correlation over draws
    P       = P(delta < 0)               state of knowledge (JCGM 101:2008)
    P_r     = P(2 delta^ - delta < 0)    the same with the law of delta mirrored at the estimate

The coverage interval spans that of the draws and that of their mirror image, and so says what the
verdict says (`engine.kernels.interval`).

Every sampled number carries its Monte Carlo standard error (`engine.kernels.monte_carlo`).

Equations of docs/method.md: 5.1 to 5.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.errors import ConfigError
from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.interval import ends, mirrored, spanning
from engine.kernels.monte_carlo import (
    Estimate,
    correlation,
    mean,
    named,
    nothing,
    outside,
    probability,
    quantiles,
    quotient,
    sd,
    spread,
    standard_error,
)

Word = TypeVar("Word", bound=StrEnum)

# The error of a change must show this many times over its numerical error to be assessed.
CLEAR_OF_NUMERICAL_ERROR = 10.0
FACTOR_ROUNDING = 2.0**-22  # of perturbed cells relative to their error: factors are float32
_ROUNDING = 4 * np.finfo(np.float64).eps  # of a quotient and its logarithm, generously


@dataclass(frozen=True, slots=True)
class DetectionRule:
    """When a change counts as detectable.

    Attributes:
        confidence: 1 - alpha, two-sided.
        power: probability with which a change of the minimum detectable size is detected.
        monte_carlo_error: accepted probability that the draws' own scatter decides a verdict;
            the Clopper-Pearson intervals have one minus this as their level.

    Raises:
        ConfigError: a probability that cannot be meant.
    """

    confidence: float = 0.95
    power: float = 0.80
    monte_carlo_error: float = 0.01

    def __post_init__(self) -> None:
        least = {"confidence": 0.5, "power": 0.5, "monte_carlo_error": 0.0}
        for name, low in least.items():
            value = getattr(self, name)
            if not (low <= value < 1 and value > 0):
                raise ConfigError(
                    f"{name} = {value:g} is not a probability between {low:g} and 1",
                    where="detection",
                    remedy="give a fraction, such as 0.95 for 95 % (alpha = 0.05)",
                )

    @property
    def alpha(self) -> float:
        """Two-sided error level; the digits of `confidence`, not of its binary subtraction."""
        return round(1.0 - self.confidence, 12)

    @property
    def z_alpha(self) -> float:
        """Standard normal quantile at 1 - alpha/2."""
        return float(ndtri(1.0 - self.alpha / 2))

    def z_where_accepted(self, acceptance: float) -> float:
        """`z_alpha`, raised where draws were rejected, since all of them count against a verdict.

        Of the tail outside, `a Phi(-z) + 1 - a = alpha/2` at the share a that was accepted;
        infinite where the rejected draws fill it, and no change can be decided.
        """
        if acceptance == 1:
            return self.z_alpha
        tail = tail_left(self.alpha / 2, acceptance)
        return -float(ndtri(tail)) if tail > 0 else float("inf")

    @property
    def z_power(self) -> float:
        """Standard normal quantile at the power."""
        return float(ndtri(self.power))

    @property
    def monte_carlo_reach(self) -> float:
        """Monte Carlo standard errors that chance alone may explain, at `monte_carlo_error`."""
        return -float(ndtri(self.monte_carlo_error / 2))

    @property
    def interval(self) -> tuple[float, float]:
        """Probabilities at the ends of a symmetric interval of one law (JCGM 101:2008, 7.7)."""
        half = round(self.alpha / 2, 12)
        return half, round(1.0 - half, 12)


class Verdict(StrEnum):
    """What can be said of a change."""

    DECREASE = "decrease"
    INCREASE = "increase"
    NOT_DETECTABLE = "not detectable"
    NOT_ASSESSED = "not assessed"
    NEEDS_MORE_DRAWS = "needs more draws"
    BORDERLINE = "borderline"

    @property
    def meaning(self) -> str:
        """In words, with what can be done about it."""
        return _MEANING[self]

    @property
    def detected(self) -> bool:
        """Whether a direction of change is stated."""
        return self in (Verdict.DECREASE, Verdict.INCREASE)


_MEANING = {
    Verdict.DECREASE: "the footprint fell, at the stated confidence under the stated error model",
    Verdict.INCREASE: "the footprint rose, at the stated confidence under the stated error model",
    Verdict.NOT_DETECTABLE: (
        "the errors are too large, or too weakly correlated between the years, for a change of "
        "this size, or too many draws were rejected; better data would help, more draws would not"
    ),
    Verdict.NOT_ASSESSED: (
        "the error model leaves no error of the change beyond numerical accuracy, or fewer than "
        "two draws were accepted; add an error that differs between the years, or see why draws "
        "are rejected"
    ),
    Verdict.NEEDS_MORE_DRAWS: (
        "the Monte Carlo error of the probability spans the threshold; extend the run with --draws"
    ),
    Verdict.BORDERLINE: (
        "the probability lies too near the threshold for the largest number of draws allowed; "
        "treat it as not detectable"
    ),
}


def at_last_look(verdict: Verdict) -> Verdict:
    """The verdict when no more draws will be made: what still needs them is borderline."""
    return Verdict.BORDERLINE if verdict is Verdict.NEEDS_MORE_DRAWS else verdict


def spent_at_look(look: int, total: float = 0.01) -> float:
    """Monte Carlo error to spend at look 1, 2, ... : `total / (k (k + 1))` adds up to `total`."""
    return total / (look * (look + 1))


def first_that_holds(cases: Mapping[Word, Bool], otherwise: Word) -> NDArray[np.str_]:
    """Of each cell the first word whose case holds, (...)."""
    chosen: NDArray[np.str_] = np.select(
        np.broadcast_arrays(*cases.values()),
        [word.value for word in cases],
        default=otherwise.value,
    )
    return chosen


# --- how large a change must be, and how correlated the years ------------------------------------


def tail_left(level: float, acceptance: float) -> float:
    """What is left of a tail for the accepted draws, when every rejected one lies in it.

    `(level - (1 - a)) / a` of them; zero or less where the rejected ones fill it.
    """
    if acceptance == 1:
        return level
    return (level - (1 - acceptance)) / acceptance if acceptance > 0 else -float("inf")


def sigma_of_rho(s1: F64, s2: F64, rho: F64) -> F64:
    """sd of delta at another correlation: `sqrt(s1^2 + s2^2 - 2 rho s1 s2)`."""
    # Written so that no digits are lost when s1 = s2 and rho is near one.
    sigma: F64 = np.sqrt(np.square(s1 - s2) + 2 * (1 - rho) * s1 * s2)
    return sigma


def mdc(sigma: F64, rule: DetectionRule, acceptance: float = 1.0) -> F64:
    """Minimum detectable change `(z_{1-alpha/2} + z_power) sigma`, on the scale of sigma.

    A true change of this size is missed with probability 1 - power where delta is normal about
    its estimate; where it is not centred there, see `smallest_changes`. Where draws were rejected
    z is `DetectionRule.z_where_accepted`, and the MDC infinite where that is.
    """
    return (rule.z_where_accepted(acceptance) + rule.z_power) * sigma


def smallest_changes(
    sigma: tuple[F64, F64], bias: tuple[F64, F64], log: Bool, acceptance: float, rule: DetectionRule
) -> dict[str, F64]:
    """The MDC, and the smallest fall and rise that are found with the rule's power, (...).

    Let b be the bias, mean(delta) - delta^. An estimate of a true change theta lies at theta + b on
    average, while a verdict by P and P_r needs it beyond `z sigma + |b|` from zero. So a change is
    missed with probability 1 - power at

        fall  MDC + 2 max(0, b),   rise  MDC + 2 max(0, -b),

    exactly so for a normal delta. A b that Monte Carlo error may explain, at the rule's level of
    it, is not counted, and both are the MDC.

    Args:
        sigma, bias: each with its influence function, (...) and (D, ...).
        log: whether delta is on the log scale, (...): else there are no percentages.
        acceptance: share of the draws accepted. `mdc` and all that follows are infinite where
            none of any size could be decided.
    """
    factor = rule.z_where_accepted(acceptance) + rule.z_power
    s, of_s = sigma
    b, of_b = bias
    if np.isinf(factor):
        names = ("", "_increase", "_increase_percent", "_decrease", "_decrease_percent")
        endless = Estimate(np.full(s.shape, np.inf), np.full(s.shape, np.nan))
        return {k: v for name in names for k, v in named(f"mdc{name}", endless).items()}
    found = named("mdc", Estimate(factor * s, factor * standard_error(of_s)))
    for name, sign, convert in (
        ("increase", -1, increase_percent),
        ("decrease", 1, decrease_percent),
    ):
        against = sign * b > rule.monte_carlo_reach * standard_error(of_b)
        size = factor * s + 2 * np.where(against, sign * b, 0.0)
        error = standard_error(factor * of_s + 2 * np.where(against, sign * of_b, 0.0))
        on_log = np.where(log, size, np.nan)
        percent = Estimate(convert(on_log), 100 * np.exp(-sign * on_log) * error)
        found |= named(f"mdc_{name}", Estimate(size, error))
        found |= named(f"mdc_{name}_percent", percent)
    return found


def increase_percent(delta: F64) -> F64:
    """A rise by `delta` log points, in percent: `100 (exp(delta) - 1)`."""
    return 100 * np.expm1(delta)


def decrease_percent(delta: F64) -> F64:
    """A fall by `delta` log points, in percent: `100 (1 - exp(-delta))`."""
    return -100 * np.expm1(-delta)


def rho_break_even(
    s1: F64, s2: F64, delta: F64, rule: DetectionRule, acceptance: float = 1.0
) -> F64:
    """Correlation between the years above which an observed change `delta` is detectable.

    `(s1^2 + s2^2 - (delta / z_{1-alpha/2})^2) / (2 s1 s2)`: 1 or above never, below -1 always; NaN
    where s1 or s2 is zero and correlation changes nothing. z is `DetectionRule.z_where_accepted`.
    """
    return _rho_at(s1, s2, delta / rule.z_where_accepted(acceptance))


def rho_required(s1: F64, s2: F64, delta: F64, rule: DetectionRule, acceptance: float = 1.0) -> F64:
    """Correlation above which a true change `delta` is detected with the rule's power."""
    return _rho_at(s1, s2, delta / (rule.z_where_accepted(acceptance) + rule.z_power))


def _rho_at(s1: F64, s2: F64, sigma: F64) -> F64:
    """The correlation at which delta has the standard deviation `sigma`."""
    variances = np.square(s1) + np.square(s2) - np.square(sigma)
    return quotient(variances, 2 * np.asarray(s1) * s2, np.nan)


# --- verdicts ------------------------------------------------------------------------------------


def verdicts(
    against_decrease: I64,
    against_increase: I64,
    draws: int,
    rejected: int,
    assessed: Bool,
    rule: DetectionRule,
) -> NDArray[np.str_]:
    """A `Verdict` for each cell, in this order: not assessed, needs more draws, decided.

    A decrease is decided when 1 - P and 1 - P_r are both below alpha/2, that is, when the larger
    of them is; so the larger count is all a verdict needs, and its Monte Carlo error is the
    verdict's. Draws with delta = 0 speak against either direction.

    Args:
        against_decrease: the larger of the numbers of accepted draws with delta >= 0 and with
            mirrored delta >= 0, (...).
        against_increase: likewise with <= 0, (...).
        draws: accepted draws, D.
        rejected: draws that were not accepted in both years. All of them might speak against the
            verdict, so it must hold with all of them counted: the upper end of the acceptance
            bounds, `a (1 - P) + 1 - a`.
        assessed: whether delta varies beyond numerical error, (...).
    """
    half, spent = rule.alpha / 2, rule.monte_carlo_error
    falls, fall_open = below_threshold(against_decrease, draws, rejected, half, spent)
    rises, rise_open = below_threshold(against_increase, draws, rejected, half, spent)
    cases = {
        Verdict.NOT_ASSESSED: ~assessed,
        Verdict.NEEDS_MORE_DRAWS: fall_open | rise_open,
        Verdict.DECREASE: falls,
        Verdict.INCREASE: rises,
    }
    return first_that_holds(cases, Verdict.NOT_DETECTABLE)


def below_threshold(
    count: I64, draws: int, rejected: int, threshold: float, monte_carlo_error: float
) -> tuple[Bool, Bool]:
    """Whether a tail is below the threshold whatever the rejected draws were; whether it is open.

    Open: the interval of `(1 + count) / (D + 1)` contains the threshold; or that interval lies
    below, but the one with the rejected draws counted contains it.

    Args:
        count: accepted draws in the tail, (...).
        draws: accepted draws, D.
        rejected: draws that were not accepted, all of which might lie in the tail.
        monte_carlo_error: one minus the level of the Clopper-Pearson intervals.
    """
    level = 1 - monte_carlo_error
    below, above = outside(1 + count, 1 + draws, threshold, level)
    all_below, all_above = outside(1 + count + rejected, 1 + draws + rejected, threshold, level)
    is_open = ~(below | above) | (below & ~(all_below | all_above))
    return all_below, is_open


def disagreement(
    forward: I64, mirrored: I64, draws: int, threshold: float, monte_carlo_error: float
) -> Bool:
    """Whether one of two tails lies below the threshold, another above it, beyond Monte Carlo."""
    level = 1 - monte_carlo_error
    below, above = outside(1 + forward, 1 + draws, threshold, level)
    mirrored_below, mirrored_above = outside(1 + mirrored, 1 + draws, threshold, level)
    return (below & mirrored_above) | (above & mirrored_below)


# --- one pair of years ---------------------------------------------------------------------------


def share_accepted(draws: int, rejected: int) -> float:
    """a, of D accepted draws and those rejected; zero of none."""
    return draws / (draws + rejected) if draws else 0.0


def whatever_rejected(name: str, p: Estimate, draws: int, rejected: int) -> dict[str, F64]:
    """`name_low` and `name_high` of a probability, `a p` and `a p + 1 - a`, with `_mcse`.

    The share a that was accepted is sampled as well, independently of p to first order:
    `mcse^2 = a^2 mcse_p^2 + q^2 a (1 - a) / n` with q = p at the lower end, 1 - p at the upper
    one, and n all draws. Where none was rejected both ends are p, and so is their error.

    Args:
        p: among the accepted draws, (...).
        draws, rejected: how many were accepted, and how many were not.
    """
    a = share_accepted(draws, rejected)
    of_share = a * (1 - a) / max(draws + rejected, 1)
    found: dict[str, F64] = {}
    for end, more, by_share in (("low", 0.0, p.value), ("high", 1 - a, 1 - p.value)):
        at = a * p.value + more
        error = np.sqrt(np.square(a * p.mcse) + np.square(by_share) * of_share)
        found |= named(f"{name}_{end}", Estimate(at, error))
    return found


def accepted_draws(*footprints: F64) -> Bool:
    """Draws whose cells are finite in all the given years, (D,): a draw is accepted whole."""
    finite: Bool = np.isfinite(np.stack(footprints))
    return np.asarray(finite.all(axis=(0, *range(2, finite.ndim))))


def log_scale(*footprints: F64) -> Bool:
    """Whether all draws of all given years are positive, (...)."""
    return np.asarray(np.logical_and.reduce([(F > 0).all(axis=0) for F in footprints]))


def difference(first: F64, second: F64, log: Bool) -> F64:
    """`ln(second / first)` where `log`, else `second - first`."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    log = np.broadcast_to(log, shape)
    ratio = np.divide(second, first, out=np.ones(shape), where=log)
    return np.where(log, np.log(ratio), second - first)


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Two years' footprints, paired within each draw that was accepted in both.

    Attributes:
        accepted: which of the draws given were, (all draws,).
        first, second: footprints, (D, ...).
        log: whether everything is positive, and delta on the log scale, (...).
        delta: change of each draw, (D, ...).
        observed: delta of the estimate, (...).
    """

    accepted: Bool
    first: F64
    second: F64
    log: Bool
    delta: F64
    observed: F64

    @property
    def draws(self) -> int:
        """Accepted draws, D."""
        return len(self.delta)

    @property
    def rejected(self) -> int:
        """Draws not accepted in one of the years."""
        return len(self.accepted) - len(self.delta)

    @property
    def acceptance(self) -> float:
        """Share of the draws that were accepted in both years."""
        return share_accepted(self.draws, self.rejected)

    def levels(self, estimate_first: F64, estimate_second: F64) -> tuple[F64, F64]:
        """ln F, or F on the raw scale, less that of the estimate, of both years, (D, ...) each."""
        return (
            difference(estimate_first, self.first, self.log),
            difference(estimate_second, self.second, self.log),
        )


def paired(first: F64, second: F64, estimate_first: F64, estimate_second: F64) -> Paired:
    """Pair two years' draws, (all draws, ...), NaN where one was not accepted."""
    accepted = accepted_draws(first, second)
    first, second = first[accepted], second[accepted]
    log = log_scale(first, second, estimate_first[None], estimate_second[None])
    return Paired(
        accepted,
        first,
        second,
        log,
        difference(first, second, log),
        difference(estimate_first, estimate_second, log),
    )


def least_assessed(both: Paired, error_first: F64, error_second: F64, s1: F64, s2: F64) -> F64:
    """The sigma that a change must exceed to be assessed: ten times its numerical error, (...).

    Args:
        error_first, error_second: bounds on the absolute errors of all draws, (all draws, ...).
        s1, s2: sd of both years' levels, to which the rounding of factors is relative, (...).
    """
    kept = both.accepted
    error = numerical_error(
        both.first, both.second, error_first[kept], error_second[kept], both.log
    )
    return CLEAR_OF_NUMERICAL_ERROR * (error + FACTOR_ROUNDING * (s1 + s2))


def numerical_error(first: F64, second: F64, error_first: F64, error_second: F64, log: Bool) -> F64:
    """Largest error that the solver and rounding can leave in `difference` of any draw, (...).

    The errors of both years add; an absolute error e of F moves ln F by at most `-ln(1 - e/F)`,
    which is without bound where e reaches F.

    Args:
        error_first, error_second: bounds on the absolute errors of the footprints, (D, ...).
    """
    bound = np.zeros(np.broadcast_shapes(first.shape, second.shape))
    for F, error in ((first, error_first), (second, error_second)):
        size = np.abs(F)
        share = np.minimum(quotient(error + _ROUNDING * size, size, 1.0), 1.0)
        with np.errstate(divide="ignore"):
            on_log = -np.log1p(-share)
        bound += np.where(log, on_log, error + _ROUNDING * size)
    worst: F64 = bound.max(axis=0)
    return worst


def change(
    first: F64,
    second: F64,
    estimate_first: F64,
    estimate_second: F64,
    error_first: F64,
    error_second: F64,
    rule: DetectionRule,
    error_of_change: F64 | float = 0.0,
) -> dict[str, NDArray[Any]]:
    """All statistics of the change between two years, by the names of `engine.analysis.changes`.

    Args:
        first, second: footprints, (D, ...), NaN where a draw was not accepted.
        estimate_first, estimate_second: footprints of the estimate, (...).
        error_first, error_second: bounds on the absolute numerical errors of `first` and
            `second`, (D, ...).
        error_of_change: what draws that are no exact solutions add to it, measured, in the units
            of delta, (...).

    Returns:
        Arrays (...); the Monte Carlo standard error of `name` is `name_mcse`. Where `scale` is
        raw, delta, sigma, s1, s2 and the MDC are in units of F, and percentages are NaN. MDCs
        are infinite where too many draws were rejected to decide any change, and so are the ends
        of coverage intervals, there and where the draws are too few to have any.
    """
    both = paired(first, second, estimate_first, estimate_second)
    draws, log, delta, observed = both.draws, both.log, both.delta, both.observed
    found: dict[str, NDArray[Any]] = {
        "draws": np.full(log.shape, draws),
        **named("acceptance", _acceptance(draws, draws + both.rejected, log.shape)),
        "reference_change": estimate_second - estimate_first,
        "relative_change": _relative_change(estimate_first, estimate_second),
        "reference_delta": observed,
        "scale": np.where(log, "log", "raw"),
    }
    found |= _raw_change(both, estimate_first, estimate_second, rule)
    found |= _coverage(both, rule)
    levels = both.levels(estimate_first, estimate_second)
    found |= _what_it_hangs_on(*levels, both, rule)
    assessed = np.zeros(log.shape, dtype=np.bool_)
    if draws >= 2:
        least = least_assessed(both, error_first, error_second, found["s1"], found["s2"])
        assessed = found["sigma"] > least + CLEAR_OF_NUMERICAL_ERROR * error_of_change
    return found | _direction(delta, observed, both.rejected, assessed, rule)


def _acceptance(draws: int, total: int, shape: tuple[int, ...]) -> Estimate:
    if not total:
        return nothing(shape)
    return probability(np.full(shape, draws), total)


def _relative_change(first: F64, second: F64) -> F64:
    """`second / first - 1`; NaN where `first` is not positive and a percentage says nothing."""
    base = np.where(first > 0, first, 0.0)
    return quotient(second - first, base, np.nan)


def _raw_change(
    both: Paired, estimate_first: F64, estimate_second: F64, rule: DetectionRule
) -> dict[str, F64]:
    """In units of F; mirrored as delta is, so that its interval has zero where that of delta has.

    On the log scale F^/F is the factor by which a draw errs, and F^ F^/F the footprint that
    would have been published as F^ with that error.
    """
    raw = both.second - both.first
    median, rejected, half = quantiles(raw, [0.5]), both.rejected, rule.alpha / 2
    there = _mirrored_level(both.second, estimate_second, both.log)
    interval = spanning(
        ends(raw, rejected, half),
        ends(there - _mirrored_level(both.first, estimate_first, both.log), rejected, half),
    )
    return {
        **named("change_mean", mean(raw)),
        **named("change_sd", sd(raw)),
        **named("change_median", Estimate(median.value[0], median.mcse[0])),
        **_low_and_high("change", interval),
    }


def _mirrored_level(F: F64, estimate: F64, log: Bool) -> F64:
    """The level mirrored at the estimate, on the scale of delta, (D, ...)."""
    return np.where(log, estimate * quotient(estimate, F, np.nan), 2 * estimate - F)


def _coverage(both: Paired, rule: DetectionRule) -> dict[str, F64]:
    """delta's middle, the interval that goes with the verdict, and that of the draws alone."""
    low, high = rule.interval
    of_draws = quantiles(both.delta, [low, 0.5, high])
    drawn = ends(both.delta, both.rejected, rule.alpha / 2)
    interval = spanning(drawn, mirrored(drawn, both.observed))
    return {
        **named("delta_mean", mean(both.delta)),
        **named("delta_median", Estimate(of_draws.value[1], of_draws.mcse[1])),
        **_low_and_high("quantile", Estimate(of_draws.value[::2], of_draws.mcse[::2])),
        **_low_and_high("interval", interval),
        **_low_and_high("relative", _relative(interval, both.log)),
    }


def _relative(interval: Estimate, log: Bool) -> Estimate:
    """As changes relative to the first year, NaN on the raw scale; what is infinite stays that."""
    on_log = np.where(log, interval.value, np.nan)
    value = np.where(np.isinf(on_log), on_log, np.expm1(on_log))
    return Estimate(value, np.exp(on_log) * interval.mcse)


def _low_and_high(name: str, interval: Estimate) -> dict[str, F64]:
    return {
        **named(f"{name}_low", Estimate(interval.value[0], interval.mcse[0])),
        **named(f"{name}_high", Estimate(interval.value[1], interval.mcse[1])),
    }


def _what_it_hangs_on(
    level_first: F64, level_second: F64, both: Paired, rule: DetectionRule
) -> dict[str, F64]:
    """sigma, what it is made of, and what follows from it; levels as ln F or F, any offset."""
    z = rule.z_where_accepted(both.acceptance)
    return {
        **named("sigma", sd(both.delta)),
        **named("s1", sd(level_first)),
        **named("s2", sd(level_second)),
        **named("rho", correlation(level_first, level_second)),
        **_smallest(both, rule),
        **named("rho_break_even", correlation_at(level_first, level_second, both.observed / z)),
    }


def _smallest(both: Paired, rule: DetectionRule) -> dict[str, F64]:
    if both.draws < 2:
        names = ("", "_increase", "_increase_percent", "_decrease", "_decrease_percent")
        found = [named(f"mdc{name}", nothing(both.log.shape)) for name in names]
        return {name: values for one in found for name, values in one.items()}
    return smallest_changes(spread(both.delta), bias(both), both.log, both.acceptance, rule)


def bias(both: Paired) -> tuple[F64, F64]:
    """mean(delta) - delta^ and its influence function, (...) and (D, ...)."""
    centre = both.delta.mean(axis=0)
    return centre - both.observed, both.delta - centre


def correlation_at(level_first: F64, level_second: F64, sigma: F64) -> Estimate:
    """The correlation between the years at which delta has the standard deviation `sigma`, (...).

    `(s1^2 + s2^2 - sigma^2) / (2 s1 s2)` of the draws; its influence is that of s1 and s2, by the
    chain rule.

    Args:
        level_first, level_second: ln F, or F on the raw scale, with any offset, (D, ...).
    """
    if len(level_first) < 2:
        return nothing(np.shape(sigma))
    (s1, of_s1), (s2, of_s2) = spread(level_first), spread(level_second)
    rho = _rho_at(s1, s2, sigma)
    by_s1 = quotient(s1 - rho * s2, s1 * s2, np.nan)
    by_s2 = quotient(s2 - rho * s1, s1 * s2, np.nan)
    return Estimate(rho, standard_error(by_s1 * of_s1 + by_s2 * of_s2))


def _direction(
    delta: F64, observed: F64, rejected: int, assessed: Bool, rule: DetectionRule
) -> dict[str, NDArray[Any]]:
    """P, P_r and the verdict, by counting draws."""
    draws = len(delta)
    laws = delta, 2 * observed - delta
    below, below_mirrored = (np.sum(d < 0, axis=0) for d in laws)
    not_below = [np.sum(d >= 0, axis=0) for d in laws]
    not_above = [np.sum(d <= 0, axis=0) for d in laws]
    against_decrease, against_increase = np.maximum(*not_below), np.maximum(*not_above)
    asymmetric = np.zeros(assessed.shape, dtype=np.bool_)
    for forward, backward in (not_below, not_above):
        asymmetric |= disagreement(forward, backward, draws, rule.alpha / 2, rule.monte_carlo_error)
    found: dict[str, NDArray[Any]] = {
        "against": np.minimum(against_decrease, against_increase),
        "verdict": verdicts(against_decrease, against_increase, draws, rejected, assessed, rule),
        "asymmetric": asymmetric & assessed,
    }
    for name, count in (("p_decrease", below), ("p_decrease_reflected", below_mirrored)):
        estimate = probability(count, draws)
        found |= named(name, estimate) | whatever_rejected(name, estimate, draws, rejected)
    return found
