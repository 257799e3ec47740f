"""One change in words and figures, the same wherever it shows: sentence, table, matrix, label."""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.kernels.changes import DetectionRule
from engine.report.numbers import EN_DASH, NBSP, NOTHING, number, places, probability, supported
from engine.report.rows import Change

_SMALL = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_BIGGER = ("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen")
TOO_MANY_REJECTED = "too many draws were rejected for a change of any size to be detectable"
_WORDS = (*_SMALL, *_BIGGER, "eighteen", "nineteen", "twenty")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A change as printed, all numbers to the decimal its uncertainty allows.

    Attributes:
        value, low, high: the estimate with its sign, and the ends of its coverage interval, these
            to no more digits than their Monte Carlo error leaves.
        size: the estimate without its sign.
        sigma: its standard uncertainty.
        unit: what follows each of them, with its space.
    """

    value: str
    low: str
    high: str
    size: str
    sigma: str
    unit: str

    @property
    def interval(self) -> str:
        """`−0.6 to 12.9 %`, a dash where there is none."""
        return NOTHING if self.low == NOTHING else f"{self.low} to {self.high}{self.unit}"


def estimate(change: Change) -> Estimate:
    """In per cent of the earlier year; in the stressor's unit where logarithms do not exist."""
    if change.logarithmic:
        kind, times, value, unit = "relative", 100.0, change.relative_change, f"{NBSP}%"
    else:
        kind, times, value, unit = "change", 1.0, change.reference_change, f"{NBSP}{change.unit}"
    (low, high), errors = _interval(change, kind), _interval_errors(change, kind)
    value, low, high, sigma = (times * part for part in (value, low, high, change.sigma))
    decimals = places(math.nan if change.verdict == "not assessed" else sigma)
    of_ends = supported(decimals, *(times * error for error in errors))
    return Estimate(
        number(value, decimals, sign=True),
        number(low, of_ends, sign=True),
        number(high, of_ends, sign=True),
        number(abs(value), decimals),
        number(sigma, decimals),
        unit,
    )


def _interval(change: Change, kind: str) -> tuple[float, float]:
    if change.verdict == "not assessed":
        return math.nan, math.nan
    return getattr(change, f"{kind}_low"), getattr(change, f"{kind}_high")


def _interval_errors(change: Change, kind: str) -> tuple[float, float]:
    return getattr(change, f"{kind}_low_mcse"), getattr(change, f"{kind}_high_mcse")


def mdc(change: Change) -> tuple[str, str]:
    """The smallest fall and the smallest rise found with the rule's power, without signs."""
    fall, rise = smallest(change)
    decimals = places(fall)
    return number(fall, decimals), number(rise, decimals)


def smallest(change: Change) -> tuple[float, float]:
    """The same as numbers: in per cent, or in the stressor's unit where there are no logarithms."""
    if not change.logarithmic:
        return change.mdc_decrease, change.mdc_increase
    return abs(change.mdc_decrease_percent), abs(change.mdc_increase_percent)


def chance(p: float, change: Change) -> str:
    """A probability counted over this change's draws."""
    return probability(p, change.draws, (1 - change.confidence) / 2)


def years(change: Change) -> str:
    """`2000–2005`."""
    return f"{change.from_year}{EN_DASH}{change.to_year}"


def step(change: Change) -> str:
    """`2003` for the change from 2002 to 2003, both years where they are further apart."""
    if change.to_year == change.from_year + 1:
        return str(change.to_year)
    return f"{change.from_year}{EN_DASH}{change.to_year % 100:02d}"


def direction(change: Change) -> str:
    """`rise` or `fall`, after the point estimate."""
    return "rise" if change.rose else "fall"


def cardinal(n: int) -> str:
    """Counts up to twenty in words.

    >>> cardinal(0), cardinal(5), cardinal(66)
    ('none', 'five', '66')
    """
    return _WORDS[n] if n < len(_WORDS) else number(n, 0)


def all_of(n: int, what: str) -> str:
    """How a sentence about every one of several begins.

    >>> all_of(5, "changes"), all_of(2, "changes")
    ('All five changes', 'Both changes')
    """
    return f"{every(n).capitalize()} {what}"


def every(n: int) -> str:
    """All of several, in words: `both`, `all five`."""
    return "both" if n == 2 else f"all {cardinal(n)}"


def none_of(n: int, what: str) -> str:
    """The same about no one of them.

    >>> none_of(5, "changes"), none_of(2, "changes")
    ('None of the five changes', 'Neither of the two changes')
    """
    return f"{'Neither' if n == 2 else 'None'} of the {cardinal(n)} {what}"


def miss(rule: DetectionRule, unit: str) -> str:
    """How often a change as large as the MDC is missed: `in one year out of five`."""
    often = 1 / (1 - rule.power)
    if math.isclose(often, round(often), rel_tol=1e-6) and round(often) < len(_WORDS):
        return f"in one {unit} out of {cardinal(round(often))}"
    return f"in {100 * (1 - rule.power):.2g}{NBSP}% of the {unit}s"


def level(rule: DetectionRule) -> str:
    """`95 %`: the coverage probability of the intervals."""
    return f"{100 * rule.confidence:.4g}{NBSP}%"
