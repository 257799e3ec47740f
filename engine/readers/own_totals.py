"""Sums of what was read, held against the totals that the same file states.

Nothing is made of the totals but a word: publishers adjust and suppress, so that a difference is
told, with its size. One that is as large as half of the total is no adjustment, but damage or
another definition, and is refused.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal

from engine.errors import TableError

_SUMMING, _GROSS = 1e-6, 0.5  # of a total: what adding up may change, and what is refused


def gap(parts: Sequence[float], total: float) -> float:
    """How far the sum of the parts is from the total, as a share of it; 0 where rounding explains.

    Every number may be off by half of the last digit that any of them has.
    """
    numbers = [*parts, total]
    rounding = len(numbers) * 0.5 * 10.0 ** min(map(_last_digit, numbers))
    off = sum(parts) - total
    if abs(off) <= max(rounding, _SUMMING * abs(total)):
        return 0.0
    return off / abs(total) if total else math.copysign(math.inf, off)


def told(gaps: Mapping[str, float], what: str, *, again: str = "") -> list[str]:
    """A warning of the gaps there are, the largest by its name.

    Args:
        gaps: by name of the total.
        what: is added up, such as "the emissions of".
        again: the remedy if one is gross; if not given, none is refused.

    Raises:
        TableError: a gap is above `_GROSS`.
    """
    off = {name: share for name, share in gaps.items() if share}
    if not off:
        return []
    worst = max(off, key=lambda name: abs(off[name]))
    said = f"{what} {worst} {_apart(off[worst])} the account's own total"
    if again and abs(off[worst]) > _GROSS:
        raise TableError(said, remedy=again)
    more = f", and so are those of {len(off) - 1} more" if len(off) > 1 else ""
    return [f"warning: {said}{more}"]


def _apart(share: float) -> str:
    if math.isinf(share):
        return "are not zero, which is"
    return f"are {100 * abs(share):.2g} % {'above' if share > 0 else 'below'}"


def _last_digit(value: float) -> int:
    """The power of ten of the last digit, 0 at most."""
    exponent = Decimal(repr(value)).normalize().as_tuple().exponent
    return min(exponent, 0) if isinstance(exponent, int) else 0
