"""What many approximate draws and a few exact ones say together, and how good the approximation is.

Notation: D0 all draws, x their approximate values; D1 those of them that were also computed
exactly, from the same normals, with values e. Levels are on axis 0's draws, the rest is done at
once. By linearity

    mean = mean x over D0 + mean (e - x) over D1
    s^2  = s^2(x) over D0 + [s^2(e) - s^2(x)] over D1

are without bias for the mean and the variance of e, whatever the approximation (Giles 2015, Acta
Numerica 24, with two levels), and nearly as precise as D0 exact draws where x is near e. A square
root bends: the sd is not without bias. Standard errors are those of the draws' influence on the
sums, draws being independent; D1 is part of D0, which they allow for.

Equations of docs/method.md: 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernels.arrays import F64, Bool
from engine.kernels.monte_carlo import Estimate, nothing, quotient, sd, sd_ratio


def two_level_mean(x: F64, e: F64) -> Estimate:
    """E e, (...), without bias.

    Args:
        x: approximate draws, (D0, ...).
        e: exact draws, likewise, NaN where there is none.
    """
    both = _both(e)
    if both.sum() < 2:
        return nothing(x.shape[1:])
    correction = e[both] - x[both]
    value = x.mean(axis=0) + correction.mean(axis=0)
    return Estimate(value, _error(_of_mean(x), _of_mean(correction), both))


def two_level_variance(x: F64, e: F64) -> Estimate:
    """Var e, (...), without bias; with few exact draws it may come out below zero.

    Args:
        x, e: as in `two_level_mean`.
    """
    both = _both(e)
    if both.sum() < 2:
        return nothing(x.shape[1:])
    value = _variance(x) + _variance(e[both]) - _variance(x[both])
    correction = _of_variance(e[both]) - _of_variance(x[both])
    return Estimate(value, _error(_of_variance(x), correction, both))


def two_level_sd(variance: Estimate) -> Estimate:
    """The root of a variance, not without bias; NaN where the variance is below zero."""
    sd = np.sqrt(np.where(variance.value < 0, np.nan, variance.value))
    return Estimate(sd, quotient(variance.mcse, 2 * sd, np.nan))


def _both(e: F64) -> Bool:
    """Draws that were computed in both ways, (D0,)."""
    return np.asarray(np.isfinite(e).reshape(len(e), -1).all(axis=1))


def _of_mean(x: F64) -> F64:
    centred: F64 = x - x.mean(axis=0)
    return centred


def _variance(x: F64) -> F64:
    variance: F64 = x.var(axis=0, ddof=1)
    return variance


def _of_variance(x: F64) -> F64:
    influence: F64 = np.square(_of_mean(x)) - _variance(x)
    return influence


def _error(of_all: F64, of_correction: F64, both: Bool) -> F64:
    """Standard error of a sum over all draws and one over some of them, by their influences."""
    influence = of_all / len(of_all)
    influence[both] += of_correction / len(of_correction)
    there, rest = len(of_correction), len(of_all) - len(of_correction)
    # A group's influences are centred on the group's own estimate, which costs it one draw.
    squares = np.square(influence[both]).sum(axis=0) * there / (there - 1)
    if rest > 1:
        squares = squares + np.square(influence[~both]).sum(axis=0) * rest / (rest - 1)
    error: F64 = np.sqrt(squares)
    return error


# --- how good the approximation is --------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Deviation:
    """How far approximate draws are from exact ones of the same normals, (...) each.

    Attributes:
        draws: computed in both ways.
        rms, largest: of x - e, in units of the exact draws' sd; NaN where that is zero.
        ratio: sd of x over sd of e; NaN likewise.
    """

    draws: int
    rms: F64
    largest: F64
    ratio: Estimate


def deviation(x: F64, e: F64) -> Deviation:
    """Measured on the draws that were computed in both ways.

    Args:
        x, e: as in `two_level_mean`.
    """
    both = _both(e)
    x, e, draws = x[both], e[both], int(both.sum())
    if draws < 2:
        unknown = np.full(x.shape[1:], np.nan)
        return Deviation(draws, unknown, unknown, nothing(x.shape[1:]))
    sd_e = sd(e).value
    away = np.abs(x - e) / np.where(sd_e > 0, sd_e, np.nan)
    rms: F64 = np.sqrt(np.square(away).mean(axis=0))
    return Deviation(draws, rms, away.max(axis=0), sd_ratio(x, e))
