"""The coverage interval that says what a verdict says: two laws, and what spans both.

An estimate errs: it is the truth moved by an error W, and D draws W_d of the same law are at hand.
On the scale of delta, where W is added, they can be used in two ways (docs/method.md, 5.4a, 5.4b):

    draws      delta_d = delta^ + W_d    the law of an estimate, were the present one the truth
    mirrored   delta^ - W_d              the law of the truth, given the estimate

The truth is delta^ - W. So it is the mirrored law whose interval holds the truth as often as it
says, provided that the law of W is that of the truth too; the draws' own does so only where the two
coincide, that is, where W is symmetric about zero. A verdict asks both. So does the interval: it
reaches from the lower to the upper of their ends, excludes a value exactly when the verdict's count
speaks against it both ways, and holds the truth at least as often as the mirrored one does.

Ends are draws, by rank. Of D draws and R rejected ones a value lies beyond the upper end when

    (1 + #{delta_d >= value} + R) / (1 + D + R) < alpha/2,

the estimate of a verdict with every rejected draw counted against it, so that the upper end is the
m-th largest draw and the lower one the m-th smallest, m = ceil(alpha/2 (1 + D + R)) - 1 - R. As W
and D draws of it can stand in any order, the mirrored interval misses the truth on either side with
probability m / (D + 1) < alpha/2 where none is rejected: whatever the law and the number of draws.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.arrays import F64
from engine.kernels.monte_carlo import Estimate, nothing, ranked


def rank_of_end(draws: int, rejected: int, half: float) -> int:
    """m, the rank of either end counted from outside; zero or less where no draw is one."""
    # The guard is for products such as .025 x 1000 that come out a rounding above a whole number.
    return int(np.ceil(half * (1 + draws + rejected) - 1e-9)) - 1 - rejected


def ends(x: F64, rejected: int, half: float) -> Estimate:
    """The m-th smallest and the m-th largest draw, (2, ...); infinite where there is none.

    Infinite ends, which have no Monte Carlo error, are those of too few draws, or of so many
    rejected ones that they fill the tail.

    Args:
        x: accepted draws, (D, ...). With fewer than two everything is NaN.
        rejected: draws that were not accepted, all of which might lie in either tail.
        half: probability of each tail, alpha/2.
    """
    m = rank_of_end(len(x), rejected, half)
    if len(x) < 2:
        return nothing((2, *x.shape[1:]))
    if m < 1:
        endless = np.full(x.shape[1:], np.inf)
        return Estimate(np.stack([-endless, endless]), nothing((2, *x.shape[1:])).mcse)
    return ranked(x, [m, len(x) + 1 - m])


def mirrored(of_draws: Estimate, centre: F64) -> Estimate:
    """The ends of the draws mirrored at `centre`, (2, ...)."""
    return Estimate(2 * centre - of_draws.value[::-1], of_draws.mcse[::-1])


def spanning(one: Estimate, other: Estimate) -> Estimate:
    """From the lower of the lower ends to the upper of the upper ones, (2, ...).

    Where the two are equal in truth the farther of two samples lies beyond them, by some tenths of
    its Monte Carlo error on average: never too near.
    """
    first = np.stack([one.value[0] <= other.value[0], one.value[1] >= other.value[1]])
    return Estimate(np.where(first, one.value, other.value), np.where(first, one.mcse, other.mcse))
