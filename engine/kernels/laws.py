"""Laws of errors other than the lognormal: mean-one factors as functions of eps.

A factor is `Q(Phi(eps))`, Q the quantile function of its law: eps stays the sum of shared normals
that it is for lognormal factors, so that components, groups and time keys mean the same for every
law (a Gaussian copula; their weights are correlations of eps).

    truncated normal   N(mu, omega^2) truncated at 0, mu and omega such that the mean is 1 and the
                       relative standard deviation the one asked
    gamma              shape 1/rsd^2, scale rsd^2

With xi = -mu/omega and the hazard lambda = phi(xi) / Phi(-xi), the truncated normal has
mean `omega (lambda - xi)` and variance `omega^2 (1 + xi lambda - lambda^2)`. Their ratio
rises from 0, xi -> -inf, over sqrt(pi/2 - 1) = .7555 at xi = 0 to 1 at xi -> inf, where it
becomes an exponential law: no truncated normal has an rsd of 1 or more, and the exponential is the
gamma law of rsd 1.

Q(Phi(.)) is tabulated once for each distinct size in cubic pieces, one around each multiple of 1/16
from -8 to 8; beyond, where one normal in 10^15 lies, it is held constant. Tables are float32, in
which a factor is accurate to some 1e-7 of itself, as a lognormal one is.

Equations of docs/method.md: 2.1a and 2.1b.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import scipy.optimize
from numpy.typing import NDArray
from scipy.special import (
    gammainccinv,
    gammaincinv,
    gammaln,
    log_ndtr,
    ndtr,
    ndtri_exp,
)

from engine.kernels.arrays import F32, F64, readonly
from engine.kernels.compiling import inline
from engine.kernels.machine import add, fma, nearest_integer, signed_of_float
from engine.kernels.streams import Single, Word

LARGEST_TRUNCATED = 0.99  # rsd: nearer to 1 lies an exponential law that only a gamma states well
LARGEST_GAMMA = 5.0  # beyond, one cell in 10^4 carries the mean
NEARLY_NORMAL = 5e-3  # rsd below which a gamma law is its expansion
_PER_UNIT, _REACH = 16, 8
_MIDDLE = _PER_UNIT * _REACH
PIECES = 2 * _MIDDLE + 1
_LAST, _STEP = Single(_MIDDLE), Single(_PER_UNIT)
_PLACE = Word(_MIDDLE)
_LOG_SQRT_2PI = 0.9189385332046727

# eps -> (value, derivative)
Quantile = Callable[[F64], tuple[F64, F64]]


@inline
def factor_of(pieces: Any, eps: Any) -> Any:
    """The factor of a float32 eps, by the pieces of its size, (PIECES,4); never negative."""
    return max(polynomial(pieces, eps), Single(0.0))


@inline
def polynomial(pieces: Any, eps: Any) -> Any:
    """The cubic around a float32 eps, by the pieces, (PIECES,4)."""
    y = min(max(eps * _STEP, -_LAST), _LAST)
    whole = nearest_integer(y)
    f = y - whole
    p = pieces[add(signed_of_float(whole), _PLACE)]
    return fma(fma(fma(p[3], f, p[2]), f, p[1]), f, p[0])


# --- the laws, in float64 -----------------------------------------------------------------------


def truncated_normal(rsd: float) -> Quantile:
    """The truncated normal of mean 1, 0 < rsd < 1."""
    xi = _truncation(rsd)
    omega = 1 / (_hazard(xi) - xi)

    def quantile(eps: F64) -> tuple[F64, F64]:
        # The survival of the untruncated normal at the quantile is Phi(-eps) Phi(-xi).
        log_survival = log_ndtr(-eps) + log_ndtr(-xi)
        z = np.maximum(-ndtri_exp(log_survival), xi)
        slope = omega * np.exp((np.square(z) - np.square(eps)) / 2 + log_ndtr(-xi))
        return omega * (z - xi), slope

    return quantile


def _hazard(xi: float) -> float:
    """phi(xi) / Phi(-xi)."""
    return math.exp(-xi * xi / 2 - _LOG_SQRT_2PI - float(log_ndtr(-xi)))


def truncated_rsd(xi: float) -> float:
    """rsd of the normal truncated at xi standard deviations above its own mean."""
    h = _hazard(xi)
    return math.sqrt(1 + xi * h - h * h) / (h - xi)


def _truncation(rsd: float) -> float:
    found: float = scipy.optimize.brentq(
        lambda xi: truncated_rsd(xi) - rsd, -2 / rsd, 20.0, xtol=1e-13, rtol=1e-14
    )
    return found


def gamma(rsd: float) -> Quantile:
    """The gamma law of mean 1."""
    if rsd < NEARLY_NORMAL:
        return partial(nearly_normal, rsd)
    shape = 1 / (rsd * rsd)

    def quantile(eps: F64) -> tuple[F64, F64]:
        x = np.where(eps < 0, gammaincinv(shape, ndtr(eps)), gammainccinv(shape, ndtr(-eps)))
        with np.errstate(divide="ignore"):
            log_density = (shape - 1) * np.log(x) - x - gammaln(shape)
        log_slope = -np.square(eps) / 2 - _LOG_SQRT_2PI - log_density
        slope = np.exp(np.where(x > 0, log_slope, -np.inf))
        return x / shape, slope / shape

    return quantile


def nearly_normal(rsd: float, eps: F64) -> tuple[F64, F64]:
    """A gamma law of so small an rsd that its quantile function is its expansion.

    Cornish & Fisher's in Hermite polynomials H_k of eps, right to g^3: the law's skewness is
    g = 2 rsd, its further cumulants 1.5 g^2 and 3 g^3. The inverse of the incomplete gamma function
    has lost digits there.
    """
    g = 2 * rsd
    H1, H2, H3, H4 = eps, eps**2 - 1, eps**3 - 3 * eps, eps**4 - 6 * eps**2 + 3
    z = (
        eps
        + g * H2 / 6
        + g**2 * (1.5 * H3 / 24 - (2 * H3 + H1) / 36)
        + g**3 * (3 * H4 / 120 - 1.5 * (H4 + H2) / 24 + (12 * H4 + 19 * H2) / 324)
    )
    # H_k' = k H_(k-1)
    slope = (
        1
        + g * H1 / 3
        + g**2 * (1.5 * H2 / 8 - (6 * H2 + 1) / 36)
        + g**3 * (H3 / 10 - 1.5 * (4 * H3 + 2 * H1) / 24 + (48 * H3 + 38 * H1) / 324)
    )
    return 1 + rsd * z, rsd * slope


# --- tabulated -----------------------------------------------------------------------------------


LAWS: Mapping[str, tuple[Callable[[float], Quantile], float]] = {
    "truncated normal": (truncated_normal, LARGEST_TRUNCATED),
    "gamma": (gamma, LARGEST_GAMMA),
}


def quantiles(law: str, rsd: F64) -> F32:
    """The pieces of each size of a law, (sizes,PIECES,4).

    Args:
        law: one of `LAWS`.
        rsd: relative standard deviations, 0 or above, at most the law's largest, (sizes,).
    """
    found: F32 = readonly(np.stack([_pieces(law, float(size)) for size in rsd]))
    return found


@lru_cache(maxsize=4096)
def _pieces(law: str, rsd: float) -> F32:
    pieces = np.zeros((PIECES, 4))
    pieces[:, 0] = 1.0
    if rsd > 0:
        pieces = hermite(LAWS[law][0](rsd))
        pieces /= _mean(pieces)
    found: F32 = readonly(pieces.astype(Single))
    return found


def hermite(quantile: Quantile) -> F64:
    """Cubics through the values and slopes at the ends of each piece, never falling, (PIECES,4)."""
    y = np.arange(PIECES + 1) - _MIDDLE - 0.5
    value, slope = quantile(y / _PER_UNIT)
    slope = slope / _PER_UNIT
    rise = np.diff(value)
    # Slopes of at most three times the chord leave a cubic monotone (Fritsch & Carlson 1980).
    left, right = (np.minimum(ends, 3 * rise) for ends in (slope[:-1], slope[1:]))
    third = left + right - 2 * rise
    second = (right - left) / 2
    return np.stack(
        [(value[:-1] + value[1:]) / 2 - second / 4, rise - third / 4, second, third], axis=1
    )


def evaluate(pieces: NDArray[Any], eps: F64) -> F64:
    """`factor_of` in float64, (...)."""
    found: F64 = np.maximum(cubic(pieces, eps), 0.0)
    return found


def cubic(pieces: NDArray[Any], eps: F64) -> F64:
    """`polynomial` in float64, (...)."""
    y = np.clip(eps * _PER_UNIT, -_MIDDLE, _MIDDLE)
    whole = np.rint(y)
    p, f = pieces[whole.astype(np.int64) + _MIDDLE].astype(np.float64), y - whole
    found: F64 = ((p[..., 3] * f + p[..., 2]) * f + p[..., 1]) * f + p[..., 0]
    return found


def nodes() -> tuple[F64, F64]:
    """Nodes and weights that integrate against the normal density from -8 to 8, to rounding."""
    x, w = np.polynomial.legendre.leggauss(8)
    halves = (np.arange(-2 * _MIDDLE, 2 * _MIDDLE) + 0.5) / (2 * _PER_UNIT)
    eps = halves[:, None] + x / (4 * _PER_UNIT)
    density = np.exp(-np.square(eps) / 2 - _LOG_SQRT_2PI)
    return eps.ravel(), (w / (4 * _PER_UNIT) * density).ravel()


def _mean(pieces: F64) -> float:
    eps, weights = nodes()
    return float(weights @ evaluate(pieces, eps))


_HERMITE_TERMS = 80


def correlation(first: F32, second: F32, rho: float) -> float:
    """Correlation of two factors whose eps correlate by rho, by the pieces of each, (PIECES,4).

    With a_k, b_k the coefficients of the factors in normalised Hermite polynomials of eps it is
    `sum_k rho^k a_k b_k / (sd_1 sd_2)`, k >= 1 (Mehler's formula).
    """
    eps, _ = nodes()
    return correlation_of(evaluate(first, eps), evaluate(second, eps), rho, _HERMITE_TERMS)


def correlation_of(first: F64, second: F64, rho: float, terms: int) -> float:
    """The same, by the values of both factors at `nodes` and so many polynomials."""
    eps, weights = nodes()
    one, other = weights * first, weights * second
    before, now = np.zeros_like(eps), np.ones_like(eps)
    total, squares = 0.0, [0.0, 0.0]
    for k in range(1, terms + 1):
        before, now = now, (eps * now - math.sqrt(k - 1) * before) / math.sqrt(k)
        a, b = float(one @ now), float(other @ now)
        total += rho**k * a * b
        squares = [squares[0] + a * a, squares[1] + b * b]
    return total / math.sqrt(squares[0] * squares[1])


def fingerprint() -> str:
    """Hash of some tables: it changes when the definition of a law does, or its last bits."""
    digest = hashlib.blake2b(digest_size=8)
    for law in sorted(LAWS):
        digest.update(quantiles(law, np.array([0.0, 1e-4, 0.1, 0.5, 0.9])).tobytes())
    return digest.hexdigest()
