"""Does a footprint fall while output grows? Counting draws beside a normal law of real GDP.

Notation: delta = ln F_t - ln F_s of a draw, g = ln GDP_t - ln GDP_s of the estimates, and the
error of g normal with mean 0 and

    sigma_g^2 = a_s^2 + a_t^2 - 2 r a_s a_t,   a^2 = ln(1 + rsd^2), r the correlation of both years,

independent of the footprint's errors. Nothing needs to be drawn of GDP: given a draw of the
footprint its probability is known,

    absolute   P(F fell and GDP rose)     P(delta < 0) Phi(g / sigma_g)
    relative   P(F grew less than GDP)    mean over draws of Phi((g - delta) / sigma_g)

which is what infinitely many draws of GDP beside each draw of the footprint would count.

Equations of docs/method.md: 7.4.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.kernels.arrays import F64
from engine.kernels.changes import sigma_of_rho, whatever_rejected
from engine.kernels.monte_carlo import (
    Estimate,
    mean,
    named,
    probability,
)


def sigma_of_growth(rsd_first: float, rsd_last: float, correlation: float) -> float:
    """Standard deviation of the error of g.

    >>> round(sigma_of_growth(0.01, 0.01, 0.5), 5)
    0.01
    """
    first, last = (np.sqrt(np.log1p(np.square(rsd))) for rsd in (rsd_first, rsd_last))
    return float(sigma_of_rho(first, last, np.asarray(correlation)))


def p_below(x: F64, g: float, sigma: float) -> F64:
    """Probability that growth g, with its error, is above x: `Phi((g - x) / sigma)`.

    Without an error it is 0 or 1, and 0 where both are equal: neither grew less.
    """
    if sigma == 0:
        return np.where(x < g, 1.0, 0.0)
    p: F64 = ndtr((g - x) / sigma)
    return p


def decoupling(
    delta: F64, observed: F64, g: float, sigma: float, rejected: int = 0
) -> dict[str, NDArray[Any]]:
    """Probabilities of absolute and relative decoupling, by name, (...).

    `..._low` and `..._high` hold them whatever the rejected draws did.

    Args:
        delta: of every accepted draw, (D, ...), two at least.
        observed: of the estimate, (...): `..._reflected` is counted with draws mirrored at it.
        g, sigma: growth of real GDP as a logarithm, and its standard deviation.
        rejected: draws that were not accepted in both years.
    """
    grew = float(p_below(np.zeros(()), g, sigma))
    found: dict[str, NDArray[Any]] = {"p_gdp_rose": np.full(observed.shape, grew)}
    for ending, draws in (("", delta), ("_reflected", 2 * observed - delta)):
        fell = probability(np.sum(draws < 0, axis=0), len(draws))
        told = {
            "p_absolute": Estimate(grew * fell.value, grew * fell.mcse),
            "p_relative": _relative(draws, g, sigma),
        }
        for name, p in told.items():
            found |= named(f"{name}{ending}", p)
            found |= whatever_rejected(f"{name}{ending}", p, len(delta), rejected)
    return found


def _relative(delta: F64, g: float, sigma: float) -> Estimate:
    """The mean over draws; without an error of GDP a count.

    Where all draws have nearly the same probability, their spread says nothing of the rare ones
    that are missing: one draw in D is added to the standard error, as a count would have it.
    """
    p, draws = p_below(delta, g, sigma), len(delta)
    if sigma == 0:
        return probability(np.sum(p, axis=0).astype(np.int64), draws)
    averaged = mean(p)
    return Estimate(averaged.value, np.hypot(averaged.mcse, 1 / (draws + 2)))
