"""Direct labels that do not touch each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath

_POINTS = 72.0  # to an inch


def spread(
    wanted: Sequence[float],
    gap: float | Sequence[float],
    low: float = float("-inf"),
    high: float = float("inf"),
) -> list[float]:
    """Places at least `gap` apart, in the order of the wanted ones and as near to them as can be.

    Pools adjacent labels like isotonic regression does: with z_i = y_i - i gap the condition
    y_(i+1) - y_i >= gap reads z ascending, and the least-squares answer averages violators. Bounds
    on the first and the last place clip z, which is then still the least-squares answer.

    Args:
        gap: between any two; or the size of each, half of which it needs on either side.
        low, high: where the first and the last may lie; wins over `high` where both cannot hold.

    >>> spread([0.0, 0.0], gap=1.0)
    [-0.5, 0.5]
    >>> spread([0.0, 0.0], gap=[1.0, 3.0], low=0.0)
    [0.0, 2.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    sizes = [gap] * len(wanted) if isinstance(gap, int | float) else list(gap)
    steps = [(sizes[a] + sizes[b]) / 2 for a, b in pairwise(order)]
    offsets = list(accumulate(steps, initial=0.0)) if order else []
    pools: list[list[float]] = []  # (sum of z, how many)
    for i, offset in zip(order, offsets, strict=True):
        pools.append([wanted[i] - offset, 1.0])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            total, size = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += size
    heights = [_mean(pool) for pool in pools for _ in range(int(pool[1]))]
    placed = [0.0] * len(wanted)
    for i, z, offset in zip(order, heights, offsets, strict=True):
        placed[i] = max(low, min(z, high - offsets[-1])) + offset
    return placed


def _mean(pool: list[float]) -> float:
    return pool[0] / pool[1]


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Inches that a text takes in DejaVu Sans, wider than what a page sets it in.

    >>> 0.5 < width("base", 20.0) < width("base", 20.0, bold=True) < 1.0
    True
    """
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    measured = TextToPath().get_text_width_height_descent(text, font, False)
    return float(measured[0]) / _POINTS


def cut(text: str, room: float, size: float) -> str:
    """As much of a text as `room` inches hold, with an ellipsis where that is not all."""
    if width(text, size) <= room:
        return text
    kept = len(text)
    while kept > 1 and width(f"{text[:kept].rstrip()}…", size) > room:
        kept -= 1
    return f"{text[:kept].rstrip()}…"


def wrapped(text: str, room: float, size: float, lines: int = 2) -> list[str]:
    """A text in lines of at most `room` inches, broken at spaces where it can be; the last is cut.

    >>> wrapped("motor vehicles and trailers", room=1.5, size=10.0)
    ['motor vehicles and', 'trailers']
    """
    broken: list[str] = []
    for word in text.split(" "):
        longer = f"{broken[-1]} {word}" if broken else word
        if broken and (width(longer, size) <= room or len(broken) == lines):
            broken[-1] = longer
        else:
            broken.append(word)
    return [cut(line, room, size) for line in broken]
