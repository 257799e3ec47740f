"""How numbers are printed: two significant digits of uncertainty, the estimate to the same decimal.

Minus signs are real ones and numbers never part from their units, thousands or per cent signs: a
page is read by people, and the CSV files beside it by programs.
"""

from __future__ import annotations

import math

from engine.analysis import tables
from engine.analysis.tables import places

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"
NBSP = "\N{NO-BREAK SPACE}"
THIN = "\N{NARROW NO-BREAK SPACE}"
NOTHING = "\N{EM DASH}"


def number(value: float, decimals: int, *, sign: bool = False) -> str:
    """`value` rounded to `decimals` places, a dash where there is none.

    >>> number(-12345.678, 1)
    '−12\u202f345.7'
    """
    if not math.isfinite(value):
        return NOTHING
    rounded = round(value, decimals)
    shown = max(decimals, 0)
    digits = f"{abs(rounded):,.{shown}f}".replace(",", THIN)
    if rounded == 0:
        return digits
    return (MINUS if rounded < 0 else "+" if sign else "") + digits


def supported(decimals: int, *errors: float) -> int:
    """No more decimals than Monte Carlo standard errors leave: their own first digit is the last.

    >>> supported(1, 0.03), supported(1, 1.2), supported(1, 0.0)
    (1, 0, 1)
    """
    sampled = [error for error in errors if math.isfinite(error) and error > 0]
    return min(decimals, places(max(sampled)) - 1) if sampled else decimals


def two_digits(uncertainty: float) -> str:
    """An uncertainty, to two significant digits."""
    if uncertainty == 0:
        return "0"
    return number(uncertainty, places(uncertainty))


def percent(value: float, decimals: int, *, sign: bool = False) -> str:
    """A value already in per cent, with its sign of per cent."""
    shown = number(value, decimals, sign=sign)
    return shown if shown == NOTHING else f"{shown}{NBSP}%"


def probability(p: float, draws: int, limit: float | None = None) -> str:
    """A probability counted over `draws`, in per cent: `96 %`, `> 99.9 %`, never 0 or 100.

    Near the `limit` by which it, or one minus it, is judged there is one more digit.

    >>> probability(0.962, 1000), probability(1.0, 100_000)
    ('96\xa0%', '>\xa099.9\xa0%')
    """
    if not math.isfinite(p) or draws < 1:
        return NOTHING
    return tables.probability(p, draws, limit).replace(" ", NBSP)


def correlation(rho: float, error: float = 0.0) -> str:
    """A correlation: two decimals, up to four the closer it comes to one, which it never rounds to.

    Args:
        error: its Monte Carlo standard error, which may leave fewer.

    >>> correlation(0.324, 0.02), correlation(0.324, 0.2)
    ('0.32', '0.3')
    >>> correlation(0.5), correlation(0.993), correlation(-0.2), correlation(1 - 1e-9)
    ('0.50', '0.993', '−0.20', '>\xa00.9999')
    """
    gap = 1 - abs(rho)
    if not math.isfinite(rho):
        return NOTHING
    if 0 < gap < 0.5e-4:
        return f">{NBSP}0.9999" if rho > 0 else f"<{NBSP}{MINUS}0.9999"
    decimals = 2 if gap >= 0.095 else 3 if gap >= 0.005 else 4 if gap > 0 else 0
    shown = max(supported(decimals, error), 1 if gap else 0)
    while gap > 0 and shown < decimals and abs(round(rho, shown)) == 1:
        shown += 1
    return number(rho, shown)


def count(how_many: int, singular: str, plural: str) -> str:
    """`3 draws`, `one draw`, `no draws`: small counts in words."""
    small = {0: "no", 1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
    shown = small.get(how_many, number(how_many, 0))
    return f"{shown} {singular if how_many == 1 else plural}"


__all__ = [
    "EN_DASH",
    "MINUS",
    "NBSP",
    "NOTHING",
    "THIN",
    "correlation",
    "count",
    "number",
    "percent",
    "places",
    "probability",
    "supported",
    "two_digits",
]
