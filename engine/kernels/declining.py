"""Is a footprint declining? The slope of ln F in every draw, judged as changes are.

Notation: D draws accepted in every year; T years; z_d = ln F of a draw, z^ that of the estimate;
Sigma the covariance of z over draws; R the covariance that real year-to-year variability adds.

    V    = Sigma + R
    c    = weights of the GLS slope under V, so that b = c' z; sum c = 0, c' t = 1
    b^   = c' z^,   b_d = c' z_d
    se^2 = f c' Sigma c + c' R c
    P    = mean of Phi(-b_d / sigma_b), sigma_b^2 = c' R c: the share with b_d < 0 where R = 0

The slope's coverage interval is that of these P and of their mirror image at b^, as that of a
change is (`engine.kernels.interval`).

Sigma is sampled, and c with it. c' Sigma c is then too small on average, because c was chosen to
make it so; f = (D - 1)/(D - p - 2) (D - 2)/(D - p - 1), p = T - 1, makes up for it: the factor of
Hartlap, Simon & Schneider (2007) on the inverse, and what weights that are not the best ones add
(Dodelson & Schneider 2013, Phys. Rev. D 88:063537, for estimates of any number of parameters).
Draws are spread about their mean by sqrt(f) before they are counted.

R comes from a stated scenario and not from the draws. Given z, real variability is taken as
normal; no law is assumed of the draws' own.

Equations of docs/method.md: 6.2 to 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.linalg
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from engine.kernels.arrays import F64
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    DetectionRule,
    Verdict,
    decrease_percent,
    disagreement,
    share_accepted,
    tail_left,
    verdicts,
    whatever_rejected,
)
from engine.kernels.interval import ends, mirrored, spanning
from engine.kernels.monte_carlo import (
    Estimate,
    covariances_without,
    jackknifed,
    mean,
    probability,
    standard_error,
)
from engine.kernels.sequential import constant_limit, false_detection
from engine.kernels.trend import (
    hartlap,
    information_by_year,
    is_singular,
    least_slope,
    of_differences,
    weakest,
)

ENOUGH_FOR_SCATTER = 10  # years; of fewer the scatter about a line says next to nothing
NO_LOGARITHM = "some footprints are not positive and have no logarithm"
TOO_FEW_DRAWS = "too few draws were accepted in every year"
NO_ERROR = "some difference between the years, or the slope, has no error beyond the numerical one"
_GROUPS = 16
_SOUND = 3.0
_ROUNDING = 4 * np.finfo(np.float64).eps  # of a logarithm and a difference, generously


@dataclass(frozen=True, slots=True, eq=False)
class Numerical:
    """What is wrong with the draws of ln F, other than what they are drawn for.

    Attributes:
        bound: on the error of each difference between successive years in any draw, (T-1,).
        away: draws that are no exact solutions minus the same ones computed exactly, of ln F,
            (n, T); None where all are exact.
    """

    bound: F64
    away: F64 | None = None

    def of(self, weights: F64) -> float:
        """Error of a combination of the differences, weights (T-1,)."""
        error = float(np.abs(weights) @ self.bound)
        if self.away is None:
            return error
        if len(self.away) < 2:
            return np.inf
        return error + float(np.sqrt(np.mean(np.square(np.diff(self.away, axis=1) @ weights))))


@dataclass(frozen=True, slots=True, eq=False)
class _Line:
    """A slope with the influence that every draw has on it through the weights."""

    weights: F64  # on the differences, (T-1,)
    value: float
    mcse: float
    error: float
    error_mcse: float
    real: float  # sd that real variability gives the slope, sigma_b
    spread: float  # sqrt(f)
    left: float  # r' W r, what the line leaves of the estimate's differences
    left_mcse: float


def _line(x: F64, centre: F64, years: F64, real: F64) -> _Line:
    """The slope of `centre`, weighted by draws `x` of ln F, (D,T), centred at their mean.

    With E = x_d x_d' - Sigma for each draw, all on differences: W changes by -W E W, hence b by
    -w' E W r, w = W h / h' W h, r = d - b h; w' V w by w' E w, and r' W r by -r' W E W r.
    """
    D, p = len(x), len(years) - 1
    h, d, differences = np.diff(years), np.diff(centre), np.diff(x, axis=1)
    real_d = of_differences(real)
    sampled = differences.T @ differences / (D - 1)
    factor = scipy.linalg.cho_factor(sampled + real_d)
    w = scipy.linalg.cho_solve(factor, h)
    w /= w @ h
    value = float(w @ d)
    rest = d - value * h
    away = scipy.linalg.cho_solve(factor, rest)
    along, across = differences @ w, differences @ away
    f = (D - 2) / (D - p - 1) / hartlap(D, p)
    measured, real2 = float(w @ sampled @ w), float(w @ real_d @ w)
    error = (f * measured + real2) ** 0.5
    of_slope = -(along * across - w @ sampled @ away)
    of_error = f * (np.square(along) - measured) / (2 * error)
    of_left = np.square(across) - away @ sampled @ away
    return _Line(
        weights=w,
        value=value,
        mcse=float(standard_error(of_slope)),
        error=error,
        error_mcse=float(standard_error(of_error)),
        real=real2**0.5,
        spread=f**0.5,
        left=float(rest @ away),
        left_mcse=float(standard_error(of_left)),
    )


def declining(
    z: F64,
    centre: F64,
    years: F64,
    real: F64,
    numerical: Numerical,
    rejected: int,
    rule: DetectionRule,
) -> dict[str, Any]:
    """All statistics of the slope over the years, by the names of `engine.analysis.trend`.

    Args:
        z: ln F of the draws accepted in every year, (D, T), T >= 2.
        centre: ln F of the estimate, (T,).
        years: (T,), ascending.
        real: covariance of real variability, (T,T); zero if only measurement error is meant.
        numerical: errors of the draws, which the slope's own must show over.
        rejected: draws that were not accepted in every year.

    Returns:
        Slopes and standard errors in log points a year; the Monte Carlo standard error of `name`
        is `name_mcse`. `mdc_decrease` is the smallest steady fall that is found with the rule's
        power, infinite where too many draws were rejected. Of a slope that is not assessed there
        is only `verdict` and `reason`.
    """
    D, p = len(z), len(years) - 1
    if p + 3 > D:
        return not_assessed(TOO_FEW_DRAWS)
    x = z - z.mean(axis=0)
    # Differenced first: what all years share would leave nothing but rounding otherwise.
    differences = np.diff(x, axis=1)
    numerical = replace(numerical, bound=numerical.bound + _ROUNDING * (1 + np.abs(z).max()))
    V_d = differences.T @ differences / (D - 1) + of_differences(real)
    if _nothing_to_tell(V_d, numerical):
        return not_assessed(NO_ERROR)
    line = _line(x, centre, years, real)
    if line.error <= CLEAR_OF_NUMERICAL_ERROR * numerical.of(line.weights):
        return not_assessed(NO_ERROR)
    slopes = np.diff(z, axis=1) @ line.weights
    slopes = slopes.mean() + line.spread * (slopes - slopes.mean())
    acceptance = share_accepted(D, rejected)
    # As of a change (`engine.kernels.changes.smallest_changes`): P and its mirror image both ask.
    away, of_away = float(slopes.mean()) - line.value, float(mean(slopes).mcse)
    factor = float(least_slope(np.array(1.0), rule, acceptance))
    against = away > rule.monte_carlo_reach * of_away
    of_mdc = np.hypot(factor * line.error_mcse, 2 * of_away if against else 0.0)
    return {
        "slope": line.value,
        "slope_mcse": line.mcse,
        "error": line.error,
        "error_mcse": line.error_mcse,
        **_interval(slopes, line, rejected, rule),
        "mdc": factor * line.error,
        "mdc_mcse": factor * line.error_mcse,
        "mdc_decrease": factor * line.error + (2 * away if against else 0.0),
        "mdc_decrease_mcse": float(of_mdc),
        "misfit": line.left / (p - 1) if p > 1 else None,
        "misfit_mcse": line.left_mcse / (p - 1) if p > 1 else None,
        "misfit_limit": float(chi2.ppf(rule.confidence, p - 1) / (p - 1)) if p > 1 else None,
        "reason": "",
        **_direction(slopes, line, rejected, rule),
    }


def not_assessed(reason: str) -> dict[str, Any]:
    """What is told of a slope of which nothing can be."""
    return {"verdict": Verdict.NOT_ASSESSED, "reason": reason}


def _nothing_to_tell(V_d: F64, numerical: Numerical) -> bool:
    """Whether a combination of the differences has no error beyond what is numerical.

    Weights rest on the weakest combination most. Where the numerical error is a third of its sd,
    a ninth of its variance, they are still about the best ones, and what the slope itself owes to
    numerical error is judged by itself.
    """
    if is_singular(V_d):
        return True
    variance, unit = weakest(V_d)
    return bool(variance**0.5 <= _SOUND * numerical.of(unit))


# --- P and the verdict --------------------------------------------------------------------------


def _direction(slopes: F64, line: _Line, rejected: int, rule: DetectionRule) -> dict[str, Any]:
    """P, its mirror image at the estimate, and the verdict.

    The weights are sampled too. An error of theirs moves all slopes by some `slope_mcse`: it adds
    to the Monte Carlo error of P, and a verdict must hold for slopes moved either way.
    """
    reflected = 2 * line.value - slopes
    found: dict[str, Any] = {}
    for name, drawn in (("p_decrease", slopes), ("p_decrease_reflected", reflected)):
        P = _below_zero(drawn, line.real)
        at_zero = np.exp(-0.5 * (drawn.mean() / line.error) ** 2) / (2 * np.pi) ** 0.5
        moved = float(at_zero * line.mcse / line.error)
        told = Estimate(np.asarray(P.value), np.hypot(P.mcse, moved))
        found[name], found[f"{name}_mcse"] = float(told.value), float(told.mcse)
        found |= whatever_rejected(name, told, len(slopes), rejected)
    reach = _reach(rule) * line.mcse
    judged = {
        _verdict(slopes + by, reflected + by, line.real, rejected, rule)
        for by in (-reach, 0, reach)
    }
    verdict = judged.pop() if len(judged) == 1 else Verdict.NEEDS_MORE_DRAWS
    return found | {
        "verdict": verdict,
        "asymmetric": _asymmetric(slopes, reflected, line.real, rule),
    }


def _interval(slopes: F64, line: _Line, rejected: int, rule: DetectionRule) -> dict[str, float]:
    """The slopes that the verdict's rule does not rule out, but for the Monte Carlo error."""
    if line.real:
        tail = tail_left(rule.alpha / 2, share_accepted(len(slopes), rejected))
        drawn = _ends_with_real(slopes, line.real, tail)
    else:
        drawn = ends(slopes, rejected, rule.alpha / 2)
    both = spanning(drawn, mirrored(drawn, np.asarray(line.value)))
    found = {}
    for end, value, mcse in zip(("low", "high"), both.value, both.mcse, strict=True):
        found[f"slope_{end}"] = float(value)
        found[f"slope_{end}_mcse"] = float(np.hypot(mcse, line.mcse))  # weights are sampled too
    return found


def _ends_with_real(slopes: F64, real: float, tail: float) -> Estimate:
    """Where the mean over draws of Phi((v - b_d) / sigma_b) is `tail`, and where one less that."""
    if tail <= 0:
        return Estimate(np.array([-np.inf, np.inf]), np.full(2, np.nan))
    reach = real * (1 - float(ndtri(tail)))
    found = []
    for sign in (1.0, -1.0):
        b = sign * slopes

        def beyond(v: float, b: F64 = b) -> float:
            return float(np.mean(ndtr((v - b) / real))) - tail

        end = float(brentq(beyond, b.min() - reach, b.max() + reach, xtol=1e-12 * real))
        error = float(_below_zero(b - end, real).mcse)
        density = float(np.mean(np.exp(-0.5 * np.square((end - b) / real)))) / (
            (2 * np.pi) ** 0.5 * real
        )
        found.append((sign * end, error / density))
    value, mcse = np.array(found).T
    return Estimate(value, mcse)


def _below_zero(slopes: F64, real: float) -> Estimate:
    """P(slope < 0): draws counted, or the mean of what real variability makes of each.

    Where all draws have nearly the same probability, their spread says nothing of the rare ones
    that are missing: the standard error is one draw in D at least, as that of a count is.
    """
    if not real:
        return probability(np.asarray(np.sum(slopes < 0)), len(slopes))
    averaged = mean(ndtr(-slopes / real))
    return Estimate(averaged.value, np.maximum(averaged.mcse, 1 / (len(slopes) + 2)))


def _reach(rule: DetectionRule) -> float:
    """Monte Carlo standard errors by which a verdict must be clear of its limit."""
    return float(ndtri(1 - rule.monte_carlo_error / 2))


def _verdict(
    slopes: F64, reflected: F64, real: float, rejected: int, rule: DetectionRule
) -> Verdict:
    if not real:
        against_fall, against_rise = (
            np.asarray(max(int(np.sum(sign * drawn >= 0)) for drawn in (slopes, reflected)))
            for sign in (1, -1)
        )
        assessed = np.asarray(True)
        counted = verdicts(against_fall, against_rise, len(slopes), rejected, assessed, rule)
        return Verdict(str(counted))
    share, half = len(slopes) / (len(slopes) + rejected), rule.alpha / 2
    is_open = False
    for direction, sign in ((Verdict.DECREASE, -1), (Verdict.INCREASE, 1)):
        tails = [_below_zero(sign * drawn, real) for drawn in (slopes, reflected)]
        worst = max(tails, key=lambda tail: float(tail.value))
        away, reach = float(worst.value) - half, _reach(rule) * float(worst.mcse)
        all_against = share * float(worst.value) + 1 - share - half  # every rejected draw is
        if all_against < -share * reach:
            return direction
        is_open |= abs(away) <= reach or (away < 0 and abs(all_against) <= share * reach)
    return Verdict.NEEDS_MORE_DRAWS if is_open else Verdict.NOT_DETECTABLE


def _asymmetric(slopes: F64, reflected: F64, real: float, rule: DetectionRule) -> bool:
    """Whether P and its mirror image disagree on what is detectable, beyond Monte Carlo error."""
    half, spent = rule.alpha / 2, rule.monte_carlo_error
    if not real:
        counts = [
            [np.asarray(np.count_nonzero(s * b >= 0)) for b in (slopes, reflected)] for s in (1, -1)
        ]
        return any(bool(disagreement(a, b, len(slopes), half, spent)) for a, b in counts)
    reach = _reach(rule)
    for sign in (1, -1):
        one, other = (_below_zero(sign * drawn, real) for drawn in (slopes, reflected))
        low, high = sorted((one, other), key=lambda tail: float(tail.value))
        if low.value + reach * low.mcse < half < high.value - reach * high.mcse:
            return True
    return False


# --- looking back ---------------------------------------------------------------------------------


def looking_back(
    z: F64, centre: F64, years: F64, real: F64, rule: DetectionRule, acceptance: float = 1.0
) -> dict[str, Any]:
    """The earliest year in which the decline since the first one would have been seen.

    The slope of the first 2, 3, ... years is compared with its standard error, by normal theory.
    A year by itself has the rule's alpha for its error; looking every year has more, and
    `earliest_adjusted` uses the limit that has alpha over all looks
    (`engine.kernels.sequential`). All draws and tables are those of today: the answer is
    retrospective. Rejected draws raise both limits as they do that of a verdict.

    Args:
        z, centre, years, real: as for `declining`, of a slope that is assessed.
        acceptance: share of the draws accepted in every year.

    Returns:
        `earliest` and `earliest_adjusted`, None where the decline is in no year seen, each with
        `_soonest` and `_latest`, the years if all slopes were some Monte Carlo error surer or less
        sure; `lasting_from`, the first year from which on it is seen in every one;
        `false_detection`, the probability that the unadjusted looks see a change if there is none;
        `limit` and `limit_adjusted`, in standard errors.
    """
    x = z - z.mean(axis=0)
    lines = [_line(x[:, :k], centre[:k], years[:k], real[:k, :k]) for k in range(2, len(years) + 1)]
    t = np.array([line.value / line.error for line in lines])
    mcse = np.array(
        [np.hypot(one.mcse, one.value / one.error * one.error_mcse) / one.error for one in lines]
    )
    information = information_by_year(x.T @ x / (len(x) - 1) + real, years)
    alpha = 2 * tail_left(rule.alpha / 2, acceptance)
    limits = {"": rule.z_where_accepted(acceptance), "_adjusted": _over_looks(information, alpha)}
    found: dict[str, Any] = {}
    for name, limit in limits.items():
        for end, by in (("", 0.0), ("_soonest", -1.0), ("_latest", 1.0)):
            seen = t + by * _reach(rule) * mcse < -limit
            found[f"earliest{name}{end}"] = int(years[1 + np.argmax(seen)]) if seen.any() else None
    not_seen = np.flatnonzero(t >= -limits[""])
    since = int(not_seen[-1]) + 1 if not_seen.size else 0
    error, of_limit = _of_looks(x, years, real, limits[""], alpha)
    return found | {
        "lasting_from": int(years[1 + since]) if since < len(t) else None,
        "looks": len(t),
        "limit": limits[""],
        "limit_adjusted": limits["_adjusted"],
        "limit_adjusted_mcse": of_limit,
        "false_detection": _some_look_beyond(information, limits[""]),
        "false_detection_mcse": error,
    }


def _over_looks(information: F64, alpha: float) -> float:
    """The constant limit with alpha over all looks; infinite where rejected draws leave none."""
    return constant_limit(information, alpha) if alpha > 0 else np.inf


def _some_look_beyond(information: F64, limit: float) -> float:
    return false_detection(information, limit) if np.isfinite(limit) else 0.0


def _of_looks(x: F64, years: F64, real: F64, limit: float, alpha: float) -> tuple[float, float]:
    """Monte Carlo errors of the false detections and of the limit, by leaving draws out."""
    if len(x) < 2 * _GROUPS or alpha <= 0:
        return np.nan, np.nan
    each = [
        information_by_year(sampled + real, years) for sampled in covariances_without(x, _GROUPS)
    ]
    errors = np.array([false_detection(one, limit) for one in each])
    limits = np.array([constant_limit(one, alpha) for one in each])
    return float(jackknifed(errors)), float(jackknifed(limits))


# --- orientation ----------------------------------------------------------------------------------


def scatter(centre: F64, years: F64) -> float | None:
    """sd of the estimate's ln F about a straight line; None of fewer than ten years.

    It holds measurement error and real variability together, and is neither.
    """
    if len(years) < ENOUGH_FOR_SCATTER:
        return None
    at = years - years.mean()
    slope = (at @ centre) / (at @ at)
    rest = centre - centre.mean() - slope * at
    return float(np.sqrt(rest @ rest / (len(years) - 2)))


def fall_percent(slope: float) -> float:
    """A slope of -`slope` log points a year as a fall in percent a year; infinity stays that."""
    return float(decrease_percent(np.array(slope))) if np.isfinite(slope) else slope
