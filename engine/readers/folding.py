"""Columns of a table added up at the places they belong to, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.kernels.aggregation import fold_columns
from engine.kernels.arrays import F64


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a batch are wanted, and where each of them is counted.

    Attributes:
        taken: places of the wanted columns.
        to: for each of them, the place where it is counted.
        size: how many places there are.
    """

    taken: Sequence[int]
    to: Sequence[int]
    size: int

    def of(self, rows: F64) -> F64:
        """The rows with columns added up, (rows, size); a column that is not wanted is not seen."""
        wanted = rows[:, np.asarray(self.taken, dtype=np.intp)]
        if list(self.to) == list(range(self.size)):
            return wanted
        return fold_columns(wanted, np.asarray(self.to, dtype=np.int64), self.size)


def add_rows(total: F64, rows: F64, to: Sequence[int]) -> None:
    """Add each row to the row of `total` where it is counted; in place."""
    for place, row in zip(to, rows, strict=True):
        total[place] += row
