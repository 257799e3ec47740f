"""What an emission inventory's level and trend uncertainty say of the correlation between years.

Equations of docs/method.md: 2.7.
"""

from __future__ import annotations

from engine.errors import ConfigError


def implied_correlation(level: float, trend: float, ratio: float) -> float:
    """Correlation between the errors of a base and a current year, implied by the trend's.

    With C the base and D the current emissions, R = D/C, and both of one relative level error,
    the change as a percentage of the base, 100 (D - C)/C, has to first order the half-width

        U_T = U_L R sqrt(2 (1 - rho)),    so    rho = 1 - (U_T / (U_L R))^2 / 2.

    It is the exact trend formula of one source (IPCC 2006 Guidelines, vol. 1, ch. 3, whose "trend
    uncertainty" this is), solved for rho. A negative rho means that the published trend is less
    certain than two independent inventories would make it.

    Args:
        level: U_L, relative half-width of the level's interval, in percent, above 0.
        trend: U_T, half-width of the trend's interval at the same confidence, in percentage points
            of the base year.
        ratio: R, emissions of the current year by those of the base year, above 0.

    Raises:
        ConfigError: a number out of its range, or a trend too uncertain for any correlation.

    >>> round(implied_correlation(25, 7, 1.0), 3)
    0.961
    """
    if not (level > 0 and trend >= 0 and ratio > 0):
        raise ConfigError(
            f"level {level:g}, trend {trend:g} and ratio {ratio:g} are no uncertainty of a trend",
            where="implied correlation",
            remedy="give a level and a ratio above 0 and a trend of 0 or more",
        )
    rho = 1 - (trend / (level * ratio)) ** 2 / 2
    if rho < -1:
        raise ConfigError(
            f"a trend of {trend:g} points is more uncertain than any correlation makes it "
            f"(at most {2 * level * ratio:g} at a level of {level:g} % and a ratio of {ratio:g})",
            where="implied correlation",
            remedy="look at the numbers: both half-widths need one confidence, the trend is in "
            "points of the base year",
        )
    return rho
