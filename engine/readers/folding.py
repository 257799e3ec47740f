"""Rows and columns of a table added up at the places they belong to, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse

from engine.kernels.arrays import F64


@dataclass(frozen=True, slots=True)
class Fold:
    """Which columns of a batch are wanted, and where each of them is counted.

    Attributes:
        taken: places of the wanted columns.
        to: for each of them, the place where it is counted.
        size: how many places there are.
    """

    taken: Sequence[int]
    to: Sequence[int]
    size: int

    def __post_init__(self) -> None:
        assert len(self.taken) == len(self.to)

    def of(self, rows: F64) -> F64:
        """The rows with columns added up, (rows, size); a cell that is not wanted is not looked at.

        A column that nothing is counted at is zero.
        """
        wanted = rows[:, np.asarray(self.taken, dtype=np.intp)]
        if list(self.to) == list(range(self.size)):
            return wanted
        return summed(wanted, self.to, self.size)


def summed(rows: F64, to: Sequence[int], size: int) -> F64:
    """Columns added up at the places `to`, (rows, size)."""
    count = len(to)
    adds = scipy.sparse.csr_array(
        (np.ones(count), (np.asarray(to, dtype=np.intp), np.arange(count))), shape=(size, count)
    )
    total: F64 = np.ascontiguousarray((adds @ rows.T).T)
    return total


def add_rows(total: F64, rows: F64, to: Sequence[int]) -> None:
    """Add each row to the row of `total` where it is counted; in place."""
    for place, row in zip(to, rows, strict=True):
        total[place] += row
