"""Looking again every year: how often repeated tests err, and the limit that allows for it.

A slope is estimated from the first 2, 3, ... years, with information I_1 < I_2 < ... The estimates
b_k are best linear unbiased ones of growing data, so Cov(b_j, b_k) = Var b_k = 1/I_k for j < k, and
the scores S_k = b_k I_k have independent increments of variance I_k - I_(k-1): the canonical joint
law of group sequential tests (Jennison & Turnbull 2000, Group Sequential Methods, 3.1). So the
probability that |S_k| stays below c sqrt(I_k) at every look is a chain of one-dimensional
integrals (Armitage, McPherson & Rowe 1969, JRSS A 132:235).
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from engine.kernels.arrays import F64

_LEAST_STEP = 1e-3  # looks that add less than this share of information are one look
_POINTS_A_STEP, _FEWEST, _MOST = 3.0, 41, 1501


def false_detection(information: F64, critical: float) -> float:
    """Probability that |b_k| exceeds `critical` of its standard errors at some look, if b = 0.

    Args:
        information: on the slope at each look, (K,), ascending.
    """
    information = _distinct(information)
    x, weight = _nodes(critical * information[0] ** 0.5, information[0])
    inside = weight * _normal(x, information[0])
    for before, now in pairwise(information):
        step = now - before
        # As fine as this step and the next one ask: a narrow kernel needs close points.
        y, weight = _nodes(critical * now**0.5, _narrowest(information, now, step))
        inside = weight * (_normal(np.subtract.outer(y, x), step) @ inside)
        x = y
    return float(1 - inside.sum())


def constant_limit(information: F64, alpha: float) -> float:
    """The critical value, the same at every look, that errs with probability alpha in all of them.

    Pocock's (1977, Biometrika 64:191) for looks of any information.
    """
    looks = len(_distinct(information))
    low, high = float(ndtri(1 - alpha / 2)), float(ndtri(1 - alpha / (2 * looks))) + 1e-6
    if looks == 1:
        return low
    return float(brentq(lambda c: false_detection(information, c) - alpha, low, high, xtol=1e-6))


def _distinct(information: F64) -> F64:
    """Without the looks that add next to nothing: they repeat the one before."""
    kept = [float(information[0])]
    for value in information[1:]:
        if value > kept[-1] * (1 + _LEAST_STEP):
            kept.append(float(value))
    return np.array(kept)


def _narrowest(information: F64, now: float, step: float) -> float:
    following = information[information > now]
    return float(min(step, following[0] - now)) if following.size else float(step)


def _nodes(reach: float, variance: float) -> tuple[F64, F64]:
    """Gauss-Legendre nodes and weights on [-reach, reach], close enough for such a kernel."""
    wanted = int(_POINTS_A_STEP * 2 * reach / variance**0.5)
    nodes, weights = _gauss_legendre(min(max(wanted, _FEWEST), _MOST))
    return reach * nodes, reach * weights


@cache
def _gauss_legendre(points: int) -> tuple[F64, F64]:
    nodes, weights = np.polynomial.legendre.leggauss(points)
    return nodes, weights


def _normal(x: F64, variance: float) -> F64:
    density: F64 = np.exp(-np.square(x) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    return density
