"""Statistics of draws, each with the standard error that a finite number of draws leaves.

Draws lie on axis 0; everything behind it is done at once. For smooth statistics the Monte Carlo
standard error is `sqrt(sum_d psi_d^2) / D`, psi being the influence function (Hampel et al. 1986,
Robust Statistics, 2.1); for quantiles it comes from the binomial law of ranks (David & Nagaraja
2003, Order Statistics, 7.1). With fewer than two draws everything is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincc, betaincinv

from engine.kernels.arrays import F64, I64, Bool


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A number estimated from draws, and the standard error that the draws leave."""

    value: F64
    mcse: F64


def named(name: str, estimate: Estimate) -> dict[str, F64]:
    """The estimate under a name and its standard error under `NAME_mcse`, as results have them."""
    return {name: estimate.value, f"{name}_mcse": estimate.mcse}


def nothing(shape: tuple[int, ...]) -> Estimate:
    return Estimate(np.full(shape, np.nan), np.full(shape, np.nan))


def standard_error(influence: F64) -> F64:
    error: F64 = np.sqrt(np.sum(np.square(influence), axis=0)) / len(influence)
    return error


def quotient(numerator: F64, denominator: F64, otherwise: float) -> F64:
    """numerator / denominator, and `otherwise` where the denominator is zero."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    out = np.full(numerator.shape, otherwise)
    quotient: F64 = np.divide(numerator, denominator, out=out, where=denominator != 0)
    return quotient


def mean(x: F64) -> Estimate:
    """Mean over draws; standard error `sd / sqrt(D)` (JCGM 101:2008, 7.6)."""
    if len(x) < 2:
        return nothing(x.shape[1:])
    return Estimate(x.mean(axis=0), x.std(axis=0, ddof=1) / np.sqrt(len(x)))


def spread(x: F64) -> tuple[F64, F64]:
    """Standard deviation (divisor D - 1) and its influence function, shapes (...) and (D, ...).

    `psi = ((x - mean)^2 - s^2) / (2 s)`, so that the standard error is
    `sqrt((m4 - s^4) / (4 s^2 D))`; zero where all draws are equal.
    """
    squares = np.square(x - x.mean(axis=0))
    s = np.sqrt(squares.sum(axis=0) / (len(x) - 1))
    return s, quotient(squares - np.square(s), 2 * s, 0.0)


def sd(x: F64) -> Estimate:
    """Standard deviation over draws, with divisor D - 1."""
    if len(x) < 2:
        return nothing(x.shape[1:])
    s, influence = spread(x)
    return Estimate(s, standard_error(influence))


def relative_sd(x: F64) -> Estimate:
    """Standard deviation relative to the size of the mean; NaN where the mean is zero."""
    if len(x) < 2:
        return nothing(x.shape[1:])
    centre, (s, of_sd) = x.mean(axis=0), spread(x)
    size, ratio = np.abs(centre), quotient(s, np.abs(centre), np.nan)
    of_size = np.sign(centre) * (x - centre)
    influence = quotient(of_sd - ratio * of_size, size, np.nan)
    return Estimate(ratio, standard_error(influence))


def sd_ratio(x: F64, y: F64) -> Estimate:
    """Standard deviation of x over that of y, the same draws; NaN where y does not vary.

    What both have in common cancels in the influence `(psi_x - ratio psi_y) / s_y`.
    """
    if len(x) < 2:
        return nothing(x.shape[1:])
    (s_x, of_x), (s_y, of_y) = spread(x), spread(y)
    ratio = quotient(s_x, s_y, np.nan)
    return Estimate(ratio, standard_error(quotient(of_x - ratio * of_y, s_y, np.nan)))


def correlation(x: F64, y: F64) -> Estimate:
    """Pearson correlation over draws; NaN where one of them does not vary.

    `psi = u v - rho (u^2 + v^2) / 2`, u and v the standardised draws.
    """
    if len(x) < 2:
        return nothing(x.shape[1:])
    u, v = (_standardised(draws) for draws in (x, y))
    rho = np.clip(np.sum(u * v, axis=0) / (len(x) - 1), -1.0, 1.0)
    return Estimate(rho, standard_error(u * v - rho * (u * u + v * v) / 2))


def _standardised(x: F64) -> F64:
    return quotient(x - x.mean(axis=0), x.std(axis=0, ddof=1), np.nan)


def quantiles(x: F64, probabilities: Sequence[float]) -> Estimate:
    """Quantiles over draws, probabilities on axis 0: shapes (p, ...).

    Order statistics interpolated at the median-unbiased rank `h = (D + 1/3) p + 1/3` (Hyndman &
    Fan 1996, type 8), which mirrors exactly when x changes sign. The number of draws below the
    true quantile is binomial with sd `r = sqrt(D p (1 - p))`, so the standard error is half the
    distance between the order statistics at h - r and h + r; NaN where these ranks do not exist,
    that is, where the draws are too few to tell.
    """
    p, D = np.asarray(probabilities, dtype=np.float64), len(x)
    if D < 2:
        return nothing((len(p), *x.shape[1:]))
    return _at(x, np.clip((D + 1 / 3) * p + 1 / 3, 1, D), p)


def ranked(x: F64, ranks: Sequence[int]) -> Estimate:
    """The draws of these ranks, 1 the smallest and D the largest, ranks on axis 0: (ranks, ...).

    Standard errors as in `quantiles`, of the quantiles that these draws are the estimates of.
    """
    h, D = np.asarray(ranks, dtype=np.float64), len(x)
    if D < 2:
        return nothing((len(h), *x.shape[1:]))
    return _at(x, h, (h - 1 / 3) / (D + 1 / 3))


def _at(x: F64, h: F64, p: F64) -> Estimate:
    """Order statistics at ranks h, estimates of the quantiles at p."""
    reach = np.sqrt(len(x) * p * (1 - p))
    at = _order_statistics(x, np.concatenate([h, h - reach, h + reach]))
    middle, low, high = np.split(at, 3)
    return Estimate(middle, (high - low) / 2)


def _order_statistics(x: F64, ranks: F64) -> F64:
    """Values at fractional ranks from 1 to D; NaN outside."""
    exists = (ranks >= 1) & (ranks <= len(x))
    inside = np.where(exists, ranks, 1.0)
    below = np.floor(inside).astype(np.int64) - 1
    above = np.minimum(below + 1, len(x) - 1)
    ordered = np.partition(x, np.unique([below, above]), axis=0)
    along = (slice(None), *(None,) * (x.ndim - 1))
    fraction = (inside - 1 - below)[along]
    values: F64 = (1 - fraction) * ordered[below] + fraction * ordered[above]
    return np.where(exists[along], values, np.nan)


def probability(count: I64, draws: int) -> Estimate:
    """Relative frequency `count / draws`.

    Its standard error is the sd of Beta(count + 1, draws - count + 1), which, unlike
    `sqrt(P (1 - P) / D)`, does not vanish when no draw or every draw counts.
    """
    if draws < 2:
        return nothing(np.shape(count))
    shrunk = (count + 1) / (draws + 2)
    return Estimate(count / draws, np.sqrt(shrunk * (1 - shrunk) / (draws + 3)))


def clopper_pearson(successes: I64, trials: int, level: float) -> tuple[F64, F64]:
    """Exact two-sided interval of a binomial proportion (Clopper & Pearson 1934)."""
    k = np.asarray(successes, dtype=np.float64)
    tail, some, all_ = (1 - level) / 2, k > 0, k >= trials
    low = betaincinv(np.where(some, k, 1.0), trials - k + 1, tail)
    high = betaincinv(k + 1, np.where(all_, 1.0, trials - k), 1 - tail)
    return np.where(some, low, 0.0), np.where(all_, 1.0, high)


def outside(successes: I64, trials: int, p: float, level: float) -> tuple[Bool, Bool]:
    """Whether the Clopper-Pearson interval lies wholly below p, and whether wholly above.

    By the duality of tests and intervals, without finding its ends: it lies below when so few
    successes have a probability under (1 - level)/2 at p, and above when so many have.
    """
    k, tail = np.asarray(successes, dtype=np.float64), (1 - level) / 2
    some, all_ = k > 0, k >= trials
    so_few = np.where(all_, 1.0, betaincc(k + 1, np.where(all_, 1.0, trials - k), p))
    so_many = np.where(some, betainc(np.where(some, k, 1.0), trials - k + 1, p), 1.0)
    return so_few < tail, so_many < tail


# --- by leaving draws out -------------------------------------------------------------------------


def covariances_without(x: F64, groups: int) -> F64:
    """Covariance over draws with each of so many groups of draws left out, (groups, n, n).

    Args:
        x: draws, (D, n); at least two draws must remain. The last group is the longest.
    """
    x = x - x.mean(axis=0)
    size = len(x) // groups
    cuts = np.arange(groups) * size
    counts = np.diff([*cuts, len(x)])
    sums = np.add.reduceat(x, cuts, axis=0)
    products = np.stack(
        [part.T @ part for part in np.split(x, cuts[1:])],
    )
    left = len(x) - counts
    rest, of_rest = sums.sum(axis=0) - sums, products.sum(axis=0) - products
    means = rest / left[:, None]
    centred = of_rest - left[:, None, None] * means[:, :, None] * means[:, None, :]
    covariances: F64 = centred / (left - 1)[:, None, None]
    return covariances


def jackknifed(without: F64) -> F64:
    """Standard error of a statistic, from its values with each of G groups of draws left out.

    The delete-a-group jackknife: `sqrt((G - 1)/G sum_g (v_g - mean)^2)` (Shao & Tu 1995, The
    Jackknife and Bootstrap, 2.3). It is itself known to some `1/sqrt(2 G)` of its size.
    """
    G = len(without)
    error: F64 = np.sqrt((G - 1) / G * np.square(without - without.mean(axis=0)).sum(axis=0))
    return error
