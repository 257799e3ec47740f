"""What becomes of a draw, and how its certified error is judged."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engine.kernels.arrays import F64

NEGLIGIBLE = 1e-6  # of what a consumer's demand would carry at the middle multiplier
DIRECTLY = 255  # in the place of a number of corrections


class Status(IntEnum):
    """What became of a draw."""

    ACCEPTED = 0
    REJECTED_RADIUS = 1
    REJECTED_OUTPUT = 2
    FAILED = 3
    REJECTED_BALANCE = 4

    @property
    def meaning(self) -> str:
        """In words, for reports."""
        return {
            Status.ACCEPTED: "accepted",
            Status.REJECTED_RADIUS: "rejected: spectral radius not certified below r_max",
            Status.REJECTED_OUTPUT: "rejected: an active industry lost its output",
            Status.FAILED: "failed: the solution's error could not be certified",
            Status.REJECTED_BALANCE: "rejected: balancing to the margins did not converge",
        }[self]


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Footprints of some draws of one year, in whole and, where asked, by contribution.

    Attributes:
        footprint: (draws, indicators, consumers, parts), NaN where a draw was not accepted;
            parts are total, domestic, foreign, direct.
        linear: first-order change of the footprint by the draw's errors, likewise.
        gaussian: the same with q sigma eps in the place of each cell's change: normal, for
            lognormal errors, with a variance in closed form (`engine.twin`).
        status: a `Status` each, (draws,).
        certified_error: bound on the relative error of the totals, (draws,); where draws are
            balanced it has what that left undone on top (`engine.kernels.balancing.Balanced.left`).
        corrections: of the estimate's solution, or `DIRECTLY` where the draw was solved directly,
            (draws,).
        column_sums_above_one: industries whose coefficients add up to more than one: in
            accounts, those with negative implied value added, (draws,).
        by_origin: (draws, indicators, consumers, regions): the footprint without direct emissions
            by region of origin, for the consumers of `Question.by_origin`; None if not asked.
        by_industry: (draws, indicators, consumers, industries) likewise, for those of
            `Question.by_industry`.
        by_product: (draws, indicators, consumers, sectors): the same footprint by the product
            bought, for those of `Question.by_product`.
        footprint_unbalanced: of the same cells without balancing them, like `footprint`; None
            where draws are not balanced back to the published margins.
    """

    footprint: F64
    linear: F64
    gaussian: F64
    status: NDArray[np.uint8]
    certified_error: F64
    corrections: NDArray[np.uint8]
    column_sums_above_one: NDArray[np.int32]
    by_origin: F64 | None = None
    by_industry: F64 | None = None
    by_product: F64 | None = None
    footprint_unbalanced: F64 | None = None


def relative(bound: F64, total: F64, usual: F64, tolerance: float) -> F64:
    """The largest bound on an error, relative to its total; one for each draw.

    A total that is nothing beside what its consumer's demand would usually carry, such as that of
    one whose demand reaches no emissions, has no relative error worth the name and does not fail
    the others. What is not finite has an infinite one, or none (NaN).

    Args:
        bound, total: (indicators, consumers, ...).
        usual: what each consumer's demand would carry, likewise, without more axes.
    """
    nothing = (NEGLIGIBLE * usual).reshape(*usual.shape, *(1,) * (total.ndim - 2))
    negligible = (np.abs(total) <= nothing) & (bound <= tolerance * nothing)
    counts = ~negligible
    size = np.where(counts, np.abs(total), 1.0)
    known = (size > 0) & np.isfinite(size)
    ratio = np.divide(bound, size, out=np.full_like(bound, np.inf), where=known)
    largest: F64 = np.where(counts, ratio, 0.0).max(axis=(0, 1))
    return largest
