"""How errors of a footprint correlate over years, as a law that can be carried beyond a run.

    rho(0) = 1,   rho(lag) = lasting + fading phi^lag   for lag >= 1,
    lasting + fading + yearly = 1,   all of them >= 0,   0 <= phi < 1

is the correlation of a sum of errors that are persistent, AR(1) and new every year, which is what
an error model consists of; it is positive definite whatever is fitted.

Equations of docs/method.md: 6.6.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from engine.kernels.arrays import F64
from engine.kernels.trend import ar1_correlation

_GRID, _LOWEST, _LEFT = 50, 1e-4, 1e-9  # phi from the lowest up to 1 - _LEFT
_NO_SHARE = 1e-9


@dataclass(frozen=True, slots=True)
class Fading:
    """Shares of the variance of ln F by how long its errors last."""

    lasting: float
    fading: float
    phi: float

    @property
    def yearly(self) -> float:
        """Share of the variance that is new every year."""
        return max(0.0, 1 - self.lasting - self.fading)

    def correlation(self, years: F64) -> F64:
        """Between all years, (T,T)."""
        return (
            self.lasting
            + self.fading * ar1_correlation(years, self.phi)
            + self.yearly * np.eye(len(years))
        )


def mean_by_lag(correlation: F64, years: F64) -> tuple[F64, F64, F64]:
    """Lags between the years, the mean correlation at each, and how many pairs it is a mean of.

    Args:
        correlation: (T,T).
        years: (T,).
    """
    first, second = np.triu_indices(len(years), k=1)
    lags, place, pairs = np.unique(
        years[second] - years[first], return_inverse=True, return_counts=True
    )
    sums = np.bincount(place, weights=correlation[first, second])
    return lags, sums / pairs, pairs.astype(np.float64)


def lasting_and_yearly(rho: F64, pairs: F64) -> Fading:
    """The law without fading that fits best: one correlation at every lag."""
    return Fading(float(np.clip(rho @ pairs / pairs.sum(), 0.0, 1.0)), 0.0, 0.0)


def fading_alone(lags: F64, rho: F64, pairs: F64) -> Fading:
    """The AR(1) that fits best: correlation phi^lag."""

    def misfit(phi: F64) -> F64:
        squares: F64 = np.square(rho - phi[:, None] ** lags) @ pairs
        return squares

    return Fading(0.0, 1.0, _best(misfit))


def fitted(lags: F64, rho: F64, pairs: F64) -> Fading:
    """The law that fits the correlations best, by least squares over pairs of years.

    For a given phi it is a least-squares problem in `lasting` and `fading` on a triangle, solved
    in closed form: its interior, then its three edges. With fewer than three lags several laws fit
    equally well.
    """
    phi = _best(lambda grid: _shares(grid, lags, rho, pairs)[2])
    lasting, fading, _ = _shares(np.array([phi]), lags, rho, pairs)
    if fading[0] < _NO_SHARE:
        return Fading(float(lasting[0]), 0.0, 0.0)
    return Fading(float(lasting[0]), float(fading[0]), phi)


def _shares(phi: F64, lags: F64, rho: F64, pairs: F64) -> tuple[F64, F64, F64]:
    """The best lasting and fading shares for each phi, and what they leave, all (len(phi),)."""
    x = phi[:, None] ** lags
    n, mean_x, mean_rho = pairs.sum(), x @ pairs / pairs.sum(), rho @ pairs / pairs.sum()
    across = ((x - mean_x[:, None]) * (rho - mean_rho)) @ pairs
    spread = np.square(x - mean_x[:, None]) @ pairs
    inside = np.divide(across, spread, out=np.zeros_like(across), where=spread > 1e-12 * n)
    fade_only = np.clip((x * rho) @ pairs / (np.square(x) @ pairs), 0, 1)
    last_only = np.broadcast_to(np.clip(mean_rho, 0, 1), phi.shape)
    no_yearly = np.clip(((1 - x) * (1 - rho)) @ pairs / (np.square(1 - x) @ pairs), 0, 1)
    nothing = np.zeros_like(phi)
    lasting = np.stack([mean_rho - inside * mean_x, nothing, last_only, 1 - no_yearly])
    fading = np.stack([inside, fade_only, nothing, no_yearly])
    left = np.square(rho - lasting[..., None] - fading[..., None] * x) @ pairs
    allowed = (lasting >= 0) & (fading >= 0) & (lasting + fading <= 1 + 1e-12)
    best = np.argmin(np.where(allowed, left, np.inf), axis=0), np.arange(len(phi))
    return lasting[best], fading[best], left[best]


def _best(misfit: Callable[[F64], F64]) -> float:
    """The phi of the least misfit, by a grid that is refined about its best point.

    The grid is even in -ln(1 - phi): a slope's error goes with 1 - phi, so that is what must be
    found, however close to one phi is.
    """
    low, high = -np.log1p(-_LOWEST), -np.log(_LEFT)
    for _ in range(5):
        grid = np.linspace(low, high, _GRID)
        at = int(np.argmin(misfit(-np.expm1(-grid))))
        low, high = grid[max(at - 1, 0)], grid[min(at + 1, _GRID - 1)]
    return float(-np.expm1(-grid[at]))


# --- carried beyond a run -------------------------------------------------------------------------


class Law(StrEnum):
    """What is assumed of the correlation between years, within a run and beyond."""

    FITTED = "lasting, fading and yearly"
    LASTING = "lasting and yearly"
    FADING = "fading alone"


ENOUGH_LAGS = 3  # to tell lasting, fading and yearly errors apart


@dataclass(frozen=True, slots=True)
class Carried:
    """Errors of ln F in any years: of one size, and correlated by a law.

    Attributes:
        size: standard deviation of ln F.
        law: its correlation between years.
    """

    size: float
    law: Fading

    def covariance(self, years: F64) -> F64:
        """Of ln F in the given years, (T,T)."""
        return self.size**2 * self.law.correlation(years)


def carried(V: F64, years: F64, law: Law) -> Carried:
    """What the covariance of ln F over the years of a run says of other years.

    The size is the median over years. `Law.FITTED` needs `ENOUGH_LAGS` different lags.
    """
    s = np.sqrt(np.diag(V))
    lags, rho, pairs = mean_by_lag(V / np.outer(s, s), years)
    match law:
        case Law.FITTED:
            found = fitted(lags, rho, pairs)
        case Law.LASTING:
            found = lasting_and_yearly(rho, pairs)
        case Law.FADING:
            found = fading_alone(lags, rho, pairs)
    return Carried(float(np.median(s)), found)


def laws_told_by(years: F64) -> tuple[Law, ...]:
    """The laws that a run of these years can tell: with few lags only the two extreme ones."""
    lags = np.unique(np.subtract.outer(years, years))
    return tuple(Law) if np.sum(lags > 0) >= ENOUGH_LAGS else (Law.LASTING, Law.FADING)
