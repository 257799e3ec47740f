"""Cells with known totals, and the totals themselves, in two years.

To first order such a cell moves a footprint by `(dF/dq q - p H) sigma` of its own normals, H the
sum of dF/dq q over the cells of its total and p its share of it: what it takes of the total, the
others lose. The total moves it by `H sigma` of its own. Both enter a budget as other cells do with
`dF/dq q sigma`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.budget.cells import Listed, Piece, Places
from engine.error_model import Quantity
from engine.kernels.arrays import F64
from engine.kernels.first_order import Gradient
from engine.kernels.perturb import LOG2E, Cells
from engine.prepare import Known
from engine.twin import wholes


@dataclass(frozen=True, slots=True, eq=False)
class UnderTotals:
    """One year's known totals.

    Attributes:
        slopes: by quantity, in units of the change; not turned.
        whole: H of every total, (totals,q,c,1).
    """

    known: Known
    slopes: Mapping[Quantity, Gradient]
    whole: F64

    @classmethod
    def of(
        cls, known: Known, slopes: Mapping[Quantity, Gradient], shape: tuple[int, ...]
    ) -> UnderTotals:
        return cls(known, slopes, wholes(known, slopes, shape))

    def of_cells(self, entry: int) -> F64:
        """`(dF/dq q - p H) sigma` of the cells of one entry of their errors, (cells,q,c,1)."""
        cells, members = self.known.entries[entry], self.known.members[entry]
        slope = self.slopes[self.known.quantities[entry]]
        i, j = cells.positions()
        moved = cells.value[:, None, None, None] * (
            slope.row[i] * (slope.column[j] - slope.shift[i])
        )
        moved = moved - members.share[:, None, None, None] * self.whole[members.total]
        return _sigma(cells) * moved

    def of_totals(self, entry: int) -> F64:
        """`H sigma` of the totals of one entry, (totals,q,c,1)."""
        first = sum(len(one.value) for one in self.known.totals[:entry])
        totals = self.known.totals[entry]
        return _sigma(totals) * self.whole[first : first + len(totals.value)]


def _sigma(cells: Cells) -> F64:
    sigma: F64 = cells.log2_sd.astype(np.float64)[:, None, None, None] / LOG2E
    return sigma


def pieces_of_totals(years: Sequence[UnderTotals], places: Places) -> Iterator[Piece]:
    """The cells by entry of their errors, then the totals by entry of theirs.

    Args:
        years: the two.
    """
    first, second = years
    for entry, quantity in enumerate(first.known.quantities):
        cells = first.known.entries[entry], second.known.entries[entry]
        if cells[0].terms:
            moves = Listed((first.of_cells(entry), second.of_cells(entry)))
            yield Piece(places.axes[quantity], cells, moves)
    for entry, axis in enumerate(places.of_totals):
        cells = first.known.totals[entry], second.known.totals[entry]
        yield Piece(axis, cells, Listed((first.of_totals(entry), second.of_totals(entry))))
