"""Dirichlet shares of a known total, drawn as gamma factors through their logarithms.

Let w_i be independent gamma factors of mean one and shapes a_i = kappa p_i. Then

    p_i w_i / sum_j p_j w_j  ~  Dirichlet(kappa p_1, kappa p_2, ...)

exactly: kappa p_i w_i has the gamma law of shape a_i and scale one. So the shares keep their means
p_i without being centred, and

    var share_i = p_i (1 - p_i) / (kappa + 1),   cov(share_i, share_j) = -p_i p_j / (kappa + 1).

A small cell has a small shape, where w scatters over hundreds of orders of magnitude. Tabulated is
therefore log2 w as a function of eps, w the gamma law's quantile at Phi(eps): in cubic pieces, as
factors of other laws are (`engine.kernels.laws`). Far down, where x = a w is small,
P(a, x) = x^a / Gamma(a + 1) (1 + O(x)), so that

    ln x = [ln Phi(eps) + ln Gamma(a + 1)] / a.

Drawn factors are held between 2^-125 and 2^125. A sum of cells is never zero for that, and with a
concentration of one or more it reaches so far down once in 2^120 draws.

Equations of docs/method.md: 2.10 to 2.12.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import gammainccinv, gammaincinv, gammaln, log_ndtr, ndtr, zeta

from engine.kernels.arrays import F32, F64, readonly
from engine.kernels.compiling import inline
from engine.kernels.laws import (
    NEARLY_NORMAL,
    PIECES,
    Quantile,
    correlation_of,
    cubic,
    hermite,
    nearly_normal,
    nodes,
    polynomial,
)
from engine.kernels.shares import ACCURACY, Centred
from engine.kernels.streams import Single, exp2

SMALLEST_CONCENTRATION = 1.0
_LN2 = 0.6931471805599453
_LOG_SQRT_2PI = 0.9189385332046727
_EULER = 0.5772156649015329
_LEAST = Single(-125.0)  # log2 of factors: exp2 is right to 126 on both sides
_MOST = Single(125.0)
_DEEPEST = -1000.0  # log2 of what is tabulated: far below any factor that is not held at _LEAST
_SMALLEST_SHARE = 1e-30  # whose first-order size is still a float32
_SMALLEST_SHAPE = 1e-30  # its factors are below 2^-125 in every draw, as those of any smaller one
_HERMITE_TERMS = 200
_STEP = 0.2  # of ln t
_NOTHING = -60.0  # ln L below which an integrand adds nothing
_ITERATIONS = 2000
_SMALL_X = -30.0  # ln x below which x is nothing beside one


@inline
def factor_of_logarithm(pieces: Any, eps: Any) -> Any:
    """The factor of a float32 eps, by the pieces of its logarithm, (PIECES,4)."""
    return exp2(min(max(polynomial(pieces, eps), _LEAST), _MOST))


def log_gamma(shape: float) -> Quantile:
    """ln w of the gamma law of mean one with this shape, and its derivative, by eps."""
    if shape * NEARLY_NORMAL**2 > 1:
        return _log_nearly_normal(shape**-0.5)
    a = max(shape, _SMALLEST_SHAPE)

    def quantile(eps: F64) -> tuple[F64, F64]:
        log_x = (log_ndtr(eps) + _log_gamma_of_one_and(a)) / a
        some = log_x > _SMALL_X
        z = eps[some]
        x = np.where(z < 0, gammaincinv(a, ndtr(z)), gammainccinv(a, ndtr(-z)))
        log_x[some] = np.log(x)
        log_density_of_log = a * log_x - np.exp(log_x) - gammaln(a)
        slope = np.exp(-np.square(eps) / 2 - _LOG_SQRT_2PI - log_density_of_log)
        return log_x - np.log(a), slope

    return quantile


def _log_nearly_normal(rsd: float) -> Quantile:
    def quantile(eps: F64) -> tuple[F64, F64]:
        value, slope = nearly_normal(rsd, eps)
        return np.log(value), slope / value

    return quantile


def _log_gamma_of_one_and(a: float) -> float:
    """ln Gamma(1 + a), also where 1 + a has lost the digits of a."""
    if a > 1e-4:
        return float(gammaln(1 + a))
    return a * (-_EULER + a * (float(zeta(2)) / 2 + a * (-float(zeta(3)) / 3 + a / 4)))


def log2_quantiles(shapes: F64) -> F32:
    """The pieces of log2 w of each gamma law of mean one, (shapes,PIECES,4).

    Args:
        shapes: above 0; infinity for w = 1, (shapes,).
    """
    tables = [_pieces(float(shape)) for shape in shapes]
    found: F32 = readonly(np.stack(tables) if tables else np.empty((0, PIECES, 4), Single))
    return found


@lru_cache(maxsize=4096)
def _pieces(shape: float) -> F32:
    found: F32
    if np.isinf(shape):
        found = readonly(np.zeros((PIECES, 4), Single))
        return found
    quantile = log_gamma(shape)

    def held(eps: F64) -> tuple[F64, F64]:
        value, slope = (array / _LN2 for array in quantile(eps))
        return np.maximum(value, _DEEPEST), np.where(value > _DEEPEST, slope, 0.0)

    found = readonly(hermite(held).astype(Single))
    return found


def rsd_of_shares(p: F64, concentration: F64 | float) -> F64:
    """Relative standard deviations sqrt((1 - p) / (p (kappa + 1))) of shares, (shares,)."""
    found: F64 = np.sqrt((1 - p) / (p * (concentration + 1)))
    return found


def first_order_sizes(p: F64, concentration: F64) -> F64:
    """sigma_i with which `p_i (sigma_i eps_i - sum_j p_j sigma_j eps_j)` has the shares' own
    variances and covariances, (shares,): 1 / sqrt(p (kappa + 1)).

    They are a little smaller than the rsd of w, 1 / sqrt(kappa p), for the sum takes part of it.
    """
    found: F64 = 1 / np.sqrt(np.maximum(p, _SMALLEST_SHARE) * (concentration + 1))
    return found


def correlation(first: float, second: float, rho: float) -> float:
    """Correlation of gamma factors of two shapes, .005 or more, whose eps correlate by rho."""
    eps, _ = nodes()
    one, other = (
        np.exp2(cubic(pieces, eps)) for pieces in log2_quantiles(np.array([first, second]))
    )
    return correlation_of(one, other, rho, _HERMITE_TERMS)


# --- some cells with smaller errors than Dirichlet shares have -----------------------------------


def centred_gammas(p: F64, shapes: F64) -> Centred:
    """Centre shares p of independent gamma factors of any shapes, infinite ones for w = 1, (m,).

    By the integrals that centre lognormal shares (`engine.kernels.shares`). Laplace transforms are
    closed forms here: with u = t c p and v = u / a,

        ln L = -a ln(1 + v),  E[u w exp(-u w)] / L = u / (1 + v),
        E[(u w)^2 exp(-u w)] / L = u^2 (1 + 1/a) / (1 + v)^2.

    Args:
        p: above 0, adding up to one.
        shapes: adding up to one or more.

    Raises:
        ArithmeticError: the shares do not settle.
    """
    eta = np.log(p)
    for iteration in range(1, _ITERATIONS):
        first, second = _moments(eta, shapes)
        off = np.log(p / first)
        if np.abs(off).max() < ACCURACY:
            factor = np.exp(eta) / p
            squares = np.maximum(second / first**2 - 1.0, 0.0)
            return Centred(factor / np.dot(factor, p), np.sqrt(squares), iteration)
        eta += off
    raise ArithmeticError("expected shares do not settle")


def _moments(eta: F64, shapes: F64) -> tuple[F64, F64]:
    """Means of shares and of their squares, by the trapezoidal rule in ln t, (m,) each."""
    first, second = np.zeros(len(eta)), np.zeros(len(eta))
    exact = np.isinf(shapes)
    for log_t in np.arange(-40.0, 45.0 + np.log(shapes[~exact].sum()), _STEP):
        u = np.exp(log_t + eta)
        v = u / shapes
        log_L = -np.where(exact, u, np.where(exact, 1.0, shapes) * np.log1p(v)).sum()
        if log_L > _NOTHING:
            once = u / (1 + v)
            first += np.exp(log_L) * once
            second += np.exp(log_L) * np.square(once) * (1 + 1 / shapes)
    return _STEP * first, _STEP * second


def fingerprint() -> str:
    """Hash of some tables: it changes when their definition does, or its last bits."""
    shapes = np.array([1e-6, 1e-3, 0.1, 1.0, 30.0, 1e5])
    return hashlib.blake2b(log2_quantiles(shapes).tobytes(), digest_size=8).hexdigest()
