"""Which years share an error, and how far the errors of two years correlate.

Equations of docs/method.md: 2.5 and 2.6.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field

from engine.errors import ConfigError

PERIOD_NODES = 2**31
AR1_WINDOW = (1984, 2048)


@dataclass(frozen=True, slots=True)
class Persistent:
    """One error for all years: it cancels in a change of equal sizes."""

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight."""
        return ((0, 1.0),)


@dataclass(frozen=True, slots=True)
class Yearly:
    """A new error every year."""

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight."""
        return ((year, 1.0),)


@dataclass(frozen=True, slots=True)
class Period:
    """One error in each period [starts_k, starts_k+1): a jump at every benchmark."""

    starts: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.starts or list(self.starts) != sorted(set(self.starts)):
            raise ConfigError(
                f"period starts {list(self.starts)} are not ascending years",
                where="errors, time",
                remedy="list the first year of each period once, in order",
            )

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight."""
        index = bisect_right(self.starts, year) - 1
        if index < 0:
            raise ConfigError(
                f"{year} lies before the first period, which starts in {self.starts[0]}",
                where="errors, time",
                remedy="let the first period start no later than the first year asked",
            )
        return ((PERIOD_NODES + self.starts[index], 1.0),)


@dataclass(frozen=True, slots=True)
class AR1:
    """Correlation phi^|t - s| between years t and s of the window 1984-2048.

    Built as a Brownian-like bridge: the window's ends first, then midpoints, each given its
    neighbours, so that a year's error depends on seed, address and year alone and never on
    which years happen to be run. The window decides which normals make up a year, so it is a field,
    where a run's identity finds it, and no argument, so that all runs have the same one.
    """

    phi: float
    window: tuple[int, int] = field(default=AR1_WINDOW, init=False)

    def __post_init__(self) -> None:
        if not 0 <= self.phi < 1:
            raise ConfigError(
                f"phi = {self.phi} is not a correlation in [0, 1)",
                where="errors, time",
                remedy="use `persistent` for a correlation of one",
            )

    def nodes(self, year: int) -> tuple[tuple[int, float], ...]:
        """The time nodes that make up this year's error, each with its weight (at most 8)."""
        first, last = self.window
        if not first <= year <= last:
            raise ConfigError(
                f"{year} lies outside the window {first}-{last} of ar1 errors",
                where="errors, time",
                remedy="use another time key for these years",
            )
        start = {first: 1.0}
        reach = _whole_power(self.phi, last - first)
        end = {first: reach, last: math.sqrt(1 - reach * reach)}
        weights = self._between(first, start, last, end, year)
        return tuple((node, weight) for node, weight in sorted(weights.items()) if weight != 0.0)

    def _between(
        self, a: int, at_a: dict[int, float], b: int, at_b: dict[int, float], year: int
    ) -> dict[int, float]:
        if year == a:
            return at_a
        if year == b:
            return at_b
        c = (a + b) // 2
        at_c = self._bridge(a, at_a, b, at_b, c)
        if year <= c:
            return self._between(a, at_a, c, at_c, year)
        return self._between(c, at_c, b, at_b, year)

    def _bridge(
        self, a: int, at_a: dict[int, float], b: int, at_b: dict[int, float], c: int
    ) -> dict[int, float]:
        """u_c given u_a and u_b, each written in weights of the nodes' own normals."""
        left, right = _whole_power(self.phi, c - a), _whole_power(self.phi, b - c)
        whole = 1 - left * left * right * right
        from_a, from_b = left * (1 - right * right) / whole, right * (1 - left * left) / whole
        at_c = {node: from_a * weight for node, weight in at_a.items()}
        for node, weight in at_b.items():
            at_c[node] = at_c.get(node, 0.0) + from_b * weight
        at_c[c] = math.sqrt((1 - left * left) * (1 - right * right) / whole)
        return at_c


TimeKey = Persistent | Yearly | Period | AR1


def _whole_power(base: float, exponent: int) -> float:
    """base^exponent by multiplication alone: the same bits everywhere, unlike `pow`."""
    result = 1.0
    for _ in range(exponent):
        result *= base
    return result


def inter_year_correlation(time: TimeKey, year: int, other: int) -> float:
    """Correlation of one component's normals in two years."""
    weights = dict(time.nodes(other))
    return sum(weight * weights.get(node, 0.0) for node, weight in time.nodes(year))


def factor_correlation(rho: float, rsd_1: float, rsd_2: float) -> float:
    """Correlation of two mean-one lognormal factors whose eps correlate by rho.

    `[exp(rho sigma_1 sigma_2) - 1] / (rsd_1 rsd_2)`.
    """
    sigma_1, sigma_2 = (math.sqrt(math.log1p(rsd * rsd)) for rsd in (rsd_1, rsd_2))
    return math.expm1(rho * sigma_1 * sigma_2) / (rsd_1 * rsd_2)
