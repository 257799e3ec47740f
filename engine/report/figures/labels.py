"""Direct labels that do not touch each other."""

from __future__ import annotations

from collections.abc import Sequence


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Heights at least `gap` apart, in the order of the wanted ones and as near to them as can be.

    Pools adjacent labels like isotonic regression does: with z_i = y_i - i gap the condition
    y_(i+1) - y_i >= gap reads z ascending, and the least-squares answer averages violators.

    >>> spread([0.0, 0.0], gap=1.0)
    [-0.5, 0.5]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    pools: list[list[float]] = []  # (sum of z, how many)
    for rank, i in enumerate(order):
        pools.append([wanted[i] - rank * gap, 1.0])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            total, size = pools.pop()
            pools[-1][0] += total
            pools[-1][1] += size
    heights = [_mean(pool) for pool in pools for _ in range(int(pool[1]))]
    placed = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        placed[i] = heights[rank] + rank * gap
    return placed


def _mean(pool: list[float]) -> float:
    return pool[0] / pool[1]
