"""How far apart are the changes that several databases give of the same footprint?

The model is `ln F_db,t = mu_t + B_db + u_db,t`: a database may be high or low in all years, B,
which no change sees; what its yearly changes differ by is u. With delta_db,t = ln F_db,t+1 - ln
F_db,t and n_t databases that have both years,

    sigma^2 = sum (delta_db,t - mean_t)^2 / sum (n_t - 1)

estimates the variance of a database's yearly change about the mean of all. It is a lower bound of
what is unknown: databases share sources.

Equations of docs/method.md: 7.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from engine.kernels.arrays import F64


@dataclass(frozen=True, slots=True)
class Between:
    """The spread of yearly changes between databases.

    Attributes:
        sigma: standard deviation of a yearly change, in log points.
        low, high: ends of its interval.
        freedom: effective degrees of freedom.
        databases: with a change that another one has too.
        changes: how many changes, of all databases together.
    """

    sigma: float
    low: float
    high: float
    freedom: float
    databases: int
    changes: int


def between(log_footprint: F64, level: float = 0.95) -> Between | None:
    """The spread of consecutive changes between databases, pooled over years.

    The interval is that of chi-square with Satterthwaite's degrees of freedom, tr(M)^2 / tr(M M)
    of the covariance M of the deviations. For M each u is taken as new every year, so that two
    changes which share a year correlate with -1/2; where errors last, changes tell more than that,
    and the interval is wider than it needs to be.

    Args:
        log_footprint: ln F, (database, year), consecutive years, NaN where there is none.

    Returns:
        None where no change is given by two databases.
    """
    delta = np.diff(log_footprint, axis=1)
    there = np.isfinite(delta)
    there &= there.sum(axis=0) >= 2
    free = int(there.sum() - there.any(axis=0).sum())
    if free < 1:
        return None
    mean = np.where(there, delta, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    squares = float(np.square(np.where(there, delta - mean, 0.0)).sum())
    sigma, freedom = (squares / free) ** 0.5, _freedom(there)
    low, high = (float(chi2.ppf(p, freedom)) for p in ((1 + level) / 2, (1 - level) / 2))
    return Between(
        sigma=sigma,
        low=sigma * (freedom / low) ** 0.5,
        high=sigma * (freedom / high) ** 0.5,
        freedom=freedom,
        databases=int(there.any(axis=1).sum()),
        changes=int(there.sum()),
    )


def _freedom(there: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    """tr(M)^2 / tr(M M), M = P R P: R the correlation of changes, P the deviation from the mean."""
    database, year = np.nonzero(there)
    same = database[:, None] == database
    apart = np.abs(year[:, None] - year)
    R = np.where(same, np.where(apart == 0, 1.0, np.where(apart == 1, -0.5, 0.0)), 0.0)
    P = np.eye(len(year)) - np.where(apart == 0, 1.0, 0.0) / there.sum(axis=0)[year]
    M = P @ R @ P
    return float(np.trace(M) ** 2 / np.sum(M * M))
