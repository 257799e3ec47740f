"""Years whose errors are larger than those of the others: provisional, or nowcast."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import ConfigError

MOST_TIMES = 100.0


def check_provisional(times: Mapping[int, float], where: str) -> None:
    """Refuse a factor on the size of errors that cannot be meant.

    Args:
        times: by year, how many times larger the relative standard deviation is.

    Raises:
        ConfigError: not a number above 0 and at most 100.
    """
    for year, factor in times.items():
        if not 0 < factor <= MOST_TIMES:
            raise ConfigError(
                f"an error {factor:g} times as large in {year} cannot be meant",
                where=f"{where}, provisional",
                remedy=f"give a factor above 0 and at most {MOST_TIMES:g}, such as 1.5",
            )


def provisional_in_words(times: Mapping[int, float]) -> str:
    """Follows a size in words; empty where all years have the same.

    >>> provisional_in_words({2021: 2.0, 2020: 1.5})
    ', 1.5 times as large in 2020, 2 times in 2021'
    """
    if not times:
        return ""
    (first, factor), *others = sorted(times.items())
    more = "".join(f", {one:g} times in {year}" for year, one in others)
    return f", {factor:g} times as large in {first}{more}"
