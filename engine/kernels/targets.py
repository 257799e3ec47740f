"""Is a target F_T <= q F_0 met? Conformity by counting draws, guard bands, and the risks of both.

Notation, after JCGM 106:2012: F_T the footprint of the target year, F_0 that of the base, q the
share of the base that the target allows, and

    m = ln(F_T / (q F_0))        margin, at most 0 where the target is met (raw difference
                                 F_T - q F_0 where any footprint is not positive)
    P = P(m <= 0)                conformity probability of the true values, given the estimates
    e = m - m^                   error of the margin, m^ that of the estimates

Two rules. *True base*: F_0 is the true footprint of the base, as uncertain as that of the target
year, so that errors which the years share cancel: the variance of m is s_T^2 + s_0^2 - 2 rho s_T
s_0. *Fixed base*: q F_0 is a number, that of the published estimate, and the variance is s_T^2.

Estimates move with the truth they are of: given the truth, an estimate's margin is that truth's
plus e; given the estimate, the truth is the estimate's minus e. Both are counted: P over draws as
they are, and P_r over draws mirrored at the estimate, as in `engine.kernels.changes`.

Equations of docs/method.md: 7.1 to 7.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from engine.errors import ConfigError
from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    FACTOR_ROUNDING,
    DetectionRule,
    accepted_draws,
    below_threshold,
    difference,
    disagreement,
    first_that_holds,
    log_scale,
    numerical_error,
    share_accepted,
    tail_left,
    whatever_rejected,
)
from engine.kernels.monte_carlo import (
    Estimate,
    correlation,
    mean,
    named,
    nothing,
    probability,
    quantiles,
    sd,
)


class Conformity(StrEnum):
    """What can be said of a target."""

    CONFORMS = "conforms"
    FAILS = "does not conform"
    NEITHER = "neither shown"
    NOT_ASSESSED = "not assessed"
    NEEDS_MORE_DRAWS = "needs more draws"
    BORDERLINE = "borderline"

    @property
    def meaning(self) -> str:
        """In words, with what can be done about it."""
        return _MEANING[self]

    @property
    def shown(self) -> bool:
        """Whether the target is said to be met, or said to be missed."""
        return self in (Conformity.CONFORMS, Conformity.FAILS)


_MEANING = {
    Conformity.CONFORMS: "the target is met, at the stated confidence under the stated error model",
    Conformity.FAILS: "the target is missed, at the stated confidence under the stated error model",
    Conformity.NEITHER: (
        "the estimate lies too near the target, for errors of this size, to say that it is met or "
        "that it is missed; better data would help, more draws would not"
    ),
    Conformity.NOT_ASSESSED: (
        "the error model leaves no error of the comparison beyond numerical accuracy, or fewer "
        "than two draws were accepted"
    ),
    Conformity.NEEDS_MORE_DRAWS: (
        "the Monte Carlo error of the probability spans the threshold; extend the run with --draws"
    ),
    Conformity.BORDERLINE: (
        "the probability lies too near the threshold for the largest number of draws allowed; "
        "treat it as neither shown"
    ),
}


# --- normal theory ------------------------------------------------------------------------------


def conformity_probability(margin: F64, sigma: F64) -> F64:
    """`Phi(-m / sigma)`: probability that the true margin is at most 0 (JCGM 106:2012, clause 7).

    >>> round(float(conformity_probability(np.log(48 / 50), 0.05)), 5)
    0.79288
    """
    p: F64 = ndtr(-np.asarray(margin) / sigma)
    return p


def guard_band(sigma: F64, confidence: float) -> F64:
    """`z sigma`: how far below the target an estimate conforms (JCGM 106:2012, clause 8)."""
    return float(ndtri(confidence)) * sigma


def below(limit: F64, guard: F64) -> F64:
    """The largest estimate that conforms, `limit exp(-guard)`, on the scale of the footprint.

    >>> round(float(below(np.array(50.0), guard_band(0.05, 0.95))), 3)
    46.052
    """
    acceptance: F64 = limit * np.exp(-np.asarray(guard))
    return acceptance


# --- a prior, and the risks that need one ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Prior:
    """What was believed of the true ratio F_T / F_0 before the estimate: a lognormal law.

    Attributes:
        mean, sd: of the ratio.

    Raises:
        ConfigError: one of them is not positive.
    """

    mean: float
    sd: float

    def __post_init__(self) -> None:
        if not (0 < self.mean < np.inf and 0 < self.sd < np.inf):
            raise ConfigError(
                f"a prior of mean {self.mean:g} and standard deviation {self.sd:g} does not exist",
                where="targets, prior",
                remedy="give both as positive shares of the base, such as { mean = 0.5, sd = 0.1 }",
            )

    @property
    def on_log(self) -> tuple[float, float]:
        """Mean and standard deviation of the ratio's logarithm."""
        variance = float(np.log1p((self.sd / self.mean) ** 2))
        return float(np.log(self.mean)) - variance / 2, variance**0.5


@dataclass(frozen=True, slots=True, eq=False)
class Risks:
    """Before an estimate is made (JCGM 106:2012, 9.5): the target missed and accepted all the same.

    Attributes:
        consumer: P(true value above the target, and accepted).
        producer: P(true value at the target or below, and not accepted).
    """

    consumer: Estimate
    producer: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class Guard:
    """The guard band w, a quantile of the draws' errors e, (...).

    Attributes:
        band: w; NaN where too many draws were rejected for any estimate to conform.
        mirrored: whether w is `-Q_tail(e)`, and not `Q_{1-tail}(e)`.
        tail: of the accepted draws beyond w.
    """

    band: Estimate
    mirrored: Bool
    tail: float

    def at(self, cell: tuple[int, ...]) -> Guard:
        """That of one cell."""
        value, mcse = np.asarray(self.band.value[cell]), np.asarray(self.band.mcse[cell])
        return Guard(Estimate(value, mcse), np.asarray(self.mirrored[cell]), self.tail)


def risks(error: F64, guard: Guard, prior: Prior, q: float) -> Risks:
    """Global risks of accepting what is estimated at the guard band or below it.

    With the prior's law H of the true margin, which the draws' errors are independent of, an
    estimate is accepted where the truth is below `-w - e`; so of each draw

        consumer's  max(0, H(-w - e) - H(0)),    producer's  max(0, H(0) - H(-w - e)),

    and the risks are means over draws. The Monte Carlo error of the guard band w is added to that
    of the mean, since it comes from the same draws.

    Args:
        error: e of every draw, (D, ...).
        guard: w, (...).
    """
    centre, spread = prior.on_log
    centre -= float(np.log(q))
    limit = -guard.band.value - error
    above = ndtr((limit - centre) / spread) - ndtr(-centre / spread)
    density = np.exp(-0.5 * np.square((limit - centre) / spread)) / (spread * np.sqrt(2 * np.pi))
    found = []
    for risk in (np.maximum(above, 0), np.maximum(-above, 0)):
        slope = np.where(risk > 0, density, 0.0).mean(axis=0)
        averaged = mean(risk)
        found.append(Estimate(averaged.value, averaged.mcse + slope * guard.band.mcse))
    return Risks(*found)


def acceptance(error: F64, guard: Guard, true_margin: F64) -> Estimate:
    """Probability that an estimate is accepted, given the true margin: `P(e <= -w - m)`.

    w is a quantile of the same draws. A draw moves P by `1{e <= x} - P`, x = -w - m, and by
    `-f(x)` times what it moves in w, f the density of e: with e' = e or -e, w = Q_{1-t}(e') and
    W its standard error, that is `W sqrt(D) (1{e' > w} - t) / sqrt(t (1 - t))`. Of both together
    the variance is known from counts; f(x) W is half of what P changes by from x - W to x + W.

    Args:
        error: e of every draw, (D,).
        guard: w, of this cell.
        true_margin: m, (points,).
    """
    draws, w, t = len(error), guard.band, guard.tail
    x = -w.value - true_margin
    below, lower, upper = (
        np.sum(error[:, None] <= x + by, axis=0) for by in (0.0, -w.mcse, w.mcse)
    )
    counted = probability(below, draws)
    P, moved = counted.value, np.where(np.isfinite(w.mcse), (upper - lower) / (2 * draws), np.nan)
    together = np.minimum(P, t) if guard.mirrored else np.maximum(0.0, P - (1 - t))
    covariance = (together - P * t) / np.sqrt(t * (1 - t) * draws)
    variance = np.square(counted.mcse) + np.square(moved) - 2 * moved * covariance
    # Never less than what is left when P is known as well as w tells it.
    return Estimate(P, np.sqrt(np.maximum(variance, 0.0)))


# --- verdicts -----------------------------------------------------------------------------------


def conformities(
    against: I64, in_favour: I64, draws: int, rejected: int, assessed: Bool, rule: DetectionRule
) -> NDArray[np.str_]:
    """A `Conformity` for each cell, in this order: not assessed, needs more draws, decided.

    One-sided, as a target is: it is met when 1 - P and 1 - P_r are both below alpha, and missed
    when P and P_r are, with every rejected draw counted against either.

    Args:
        against: the larger of the numbers of draws, as they are and mirrored, above the target.
        in_favour: likewise at the target or below.
        draws: accepted draws, D.
        rejected: draws that were not accepted in all the years compared.
        assessed: whether the margin varies beyond numerical error.
    """
    spent = rule.monte_carlo_error
    met, met_open = below_threshold(against, draws, rejected, rule.alpha, spent)
    missed, missed_open = below_threshold(in_favour, draws, rejected, rule.alpha, spent)
    cases = {
        Conformity.NOT_ASSESSED: ~assessed,
        Conformity.NEEDS_MORE_DRAWS: met_open | missed_open,
        Conformity.CONFORMS: met,
        Conformity.FAILS: missed,
    }
    return first_that_holds(cases, Conformity.NEITHER)


def at_last_look(verdict: Conformity) -> Conformity:
    """The verdict when no more draws will be made: what still needs them is borderline."""
    return Conformity.BORDERLINE if verdict is Conformity.NEEDS_MORE_DRAWS else verdict


# --- one target ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """The footprint of the target year and what it is allowed to be.

    Attributes:
        limit: q F_0 of every draw, NaN where one was not accepted, (D, ...).
        final: F_T, likewise.
        limit_estimate, final_estimate: the same of the estimates, (...).
        limit_error, final_error: bounds on the absolute numerical errors, (D, ...).
        error_of_margin: what draws that are no exact solutions add, measured, (...).
    """

    limit: F64
    final: F64
    limit_estimate: F64
    final_estimate: F64
    limit_error: F64
    final_error: F64
    error_of_margin: F64 | float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A target judged.

    Attributes:
        statistics: by name, (...); the Monte Carlo standard error of `name` is `name_mcse`.
        error: e of every accepted draw, (D, ...), on the log scale where `scale` says so.
        guard: w, on that scale, (...).
        rejected: draws not accepted in all the years compared.
    """

    statistics: dict[str, NDArray[Any]]
    error: F64
    guard: Guard
    rejected: int

    @property
    def draws(self) -> int:
        """Accepted draws, D."""
        return len(self.error)

    @property
    def acceptance(self) -> float:
        """Share of the draws accepted in all the years compared."""
        return share_accepted(self.draws, self.rejected)

    def error_at(self, cell: tuple[int, ...]) -> F64:
        """e of every accepted draw of one cell, (D,)."""
        shape = self.guard.mirrored.shape
        flat = self.error.reshape(len(self.error), int(np.prod(shape)))
        return flat[:, int(np.ravel_multi_index(cell, shape)) if shape else 0]


def judge(compared: Compared, rule: DetectionRule) -> Judged:
    """All statistics of one target, by one rule.

    The guard band w is the larger of the quantile of e at the confidence and that of its mirror
    image, so that an estimate at `-w` conforms by P and by P_r. With every rejected draw counted
    against it, as the verdict counts them, the tail beyond is `(alpha N - rejected) / D` of the D
    draws accepted of N; where that is none, no estimate conforms and w is NaN. The larger of two
    sampled quantiles is larger than that of the true ones by some tenths of a Monte Carlo error
    where they are equal: the guard band is never too narrow on average. Where `scale` is raw,
    sigma, the guard band and the limits are in units of F.
    """
    accepted = accepted_draws(compared.limit, compared.final)
    total, draws = len(accepted), int(accepted.sum())
    limit, final = compared.limit[accepted], compared.final[accepted]
    estimates = compared.limit_estimate, compared.final_estimate
    log = log_scale(limit, final, estimates[0][None], estimates[1][None])
    margin, observed = difference(limit, final, log), difference(*estimates, log)
    error = margin - observed
    found: dict[str, NDArray[Any]] = {
        "draws": np.full(log.shape, draws),
        **named("acceptance", _share(draws, total, log.shape)),
        "scale": np.where(log, "log", "raw"),
        "margin": observed,
        **named("sigma", sd(margin)),
    }
    found |= _levels(compared, accepted, log)
    share = share_accepted(draws, total - draws)
    guard, beyond = _guard(error, share, rule)
    found |= _limits(compared.limit_estimate, guard.band, beyond, log)
    assessed = np.zeros(log.shape, dtype=np.bool_)
    if draws >= 2:
        numerical = numerical_error(
            limit, final, compared.limit_error[accepted], compared.final_error[accepted], log
        )
        numerical += FACTOR_ROUNDING * (found["s_base"] + found["s_target"])
        assessed = found["sigma"] > CLEAR_OF_NUMERICAL_ERROR * (
            numerical + compared.error_of_margin
        )
    found |= _verdict(margin, observed, total - draws, assessed, rule)
    return Judged(found, error, guard, total - draws)


def _share(count: int, total: int, shape: tuple[int, ...]) -> Estimate:
    return probability(np.full(shape, count), total) if total else nothing(shape)


def _levels(compared: Compared, accepted: Bool, log: Bool) -> dict[str, F64]:
    """What the variance of the margin is made of: s_0, s_T and their correlation."""
    base = difference(compared.limit_estimate, compared.limit[accepted], log)
    target = difference(compared.final_estimate, compared.final[accepted], log)
    return {
        **named("s_base", sd(base)),
        **named("s_target", sd(target)),
        **named("rho", correlation(base, target)),
    }


def _guard(error: F64, share: float, rule: DetectionRule) -> tuple[Guard, Estimate]:
    """The guard band, and how far beyond it a truth must be to be accepted with the power."""
    tail = tail_left(rule.alpha, share)
    if tail <= 0:
        none = nothing(error.shape[1:])
        return Guard(none, np.zeros(error.shape[1:], dtype=np.bool_), 0.0), none
    at = quantiles(error, [tail, round(1 - tail, 12), rule.power])
    mirrored = np.asarray(-at.value[0] > at.value[1])
    band = Estimate(
        np.where(mirrored, -at.value[0], at.value[1]), np.where(mirrored, at.mcse[0], at.mcse[1])
    )
    beyond = Estimate(band.value + at.value[2], band.mcse + at.mcse[2])
    return Guard(band, mirrored, tail), beyond


def _limits(limit: F64, guard: Estimate, beyond: Estimate, log: Bool) -> dict[str, F64]:
    """Footprints of the target year at which an estimate conforms, and a truth is accepted."""
    found = {}
    for name, away in (("acceptance_limit", guard), ("accepted_truth", beyond)):
        on_log = below(limit, np.where(log, away.value, np.nan))
        found[name] = np.where(log, on_log, limit - away.value)
        found[f"{name}_mcse"] = np.where(log, on_log * away.mcse, away.mcse)
    return found


def _verdict(
    margin: F64, observed: F64, rejected: int, assessed: Bool, rule: DetectionRule
) -> dict[str, NDArray[Any]]:
    """P, P_r and what they show, by counting draws."""
    draws = len(margin)
    met = [np.sum(m <= 0, axis=0) for m in (margin, 2 * observed - margin)]
    missed = [draws - count for count in met]
    spent = rule.monte_carlo_error
    asymmetric = np.zeros(assessed.shape, dtype=np.bool_)
    for forward, mirrored in (met, missed):
        asymmetric |= disagreement(forward, mirrored, draws, rule.alpha, spent)
    found: dict[str, NDArray[Any]] = {}
    for name, count in (("p_conforms", met[0]), ("p_conforms_reflected", met[1])):
        estimate = probability(count, draws)
        found |= named(name, estimate) | whatever_rejected(name, estimate, draws, rejected)
    found["verdict"] = conformities(
        np.maximum(*missed), np.maximum(*met), draws, rejected, assessed, rule
    )
    found["asymmetric"] = asymmetric & assessed
    return found
