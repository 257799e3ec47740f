"""Errors that files state realisation by realisation, as one more set of independent causes.

All files share the index of their realisations, in all years: whatever the cells and years have in
common is in them. A realisation plays the part that a normal plays elsewhere, and its years belong
together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.budget.cells import Piece, Places, Slopes
from engine.budget.found import By
from engine.kernels.arrays import F64
from engine.kernels.budget import Moments

NAME = "factors from files"


@dataclass(frozen=True, slots=True, eq=False)
class Realised:
    """Entries of the error model whose factors are from files, in two years.

    Attributes:
        pieces: the entries, with their slopes.
        count: realisations that all files have.
    """

    pieces: tuple[tuple[Piece, Slopes], ...]
    count: int
    places: Places

    def moments(self) -> Moments:
        """Of everything together."""
        whole = self._moved(By.QUANTITY).sum(axis=2, keepdims=True)
        return Moments.of(whole, whole)

    def by_name(self, by: By) -> Iterator[tuple[int, Moments, Moments]]:
        """Number of each name, its cells' moments with themselves, and with all cells."""
        moved = self._moved(by)
        whole = moved.sum(axis=2, keepdims=True)
        for name in np.flatnonzero(np.any(moved != 0, axis=(0, 1, 3, 4, 5))):
            own = moved[:, :, name : name + 1]
            yield int(name), Moments.of(own, own), Moments.of(own, whole)

    def _moved(self, by: By) -> F64:
        """Less its mean, over sqrt(count), in two years, (2,count,names,q,c,1)."""
        names = len(self.places.names[by])
        found = np.zeros((2, self.count, names, *self.pieces[0][1].shape))
        for piece, slopes in self.pieces:
            for year in (0, 1):
                for name, moved in _by_cells(piece, slopes, year, by):
                    found[year, :, name] += moved[: self.count]
        found -= found.mean(axis=1, keepdims=True)
        centred: F64 = found / np.sqrt(self.count)
        return centred


def _by_cells(piece: Piece, slopes: Slopes, year: int, by: By) -> Iterator[tuple[int, F64]]:
    """`sum dF/dq q (factor - 1)` over the cells of each name, (realisations,q,c,1)."""
    cells, slope = piece.cells[year], slopes.of_years[year]
    row, column = piece.positions(year)
    names = piece.axis.named[by][row]
    for name in np.unique(names):
        own = names == name
        moved = slope.row[row[own]] * (slope.column[column[own]] - slope.shift[row[own]])
        changes = cells.value[own] * (cells.realised[:, own].astype(np.float64) - 1)
        yield int(name), np.tensordot(changes, moved, axes=1)


def realised(pieces: Sequence[tuple[Piece, Slopes]], count: int, places: Places) -> Realised | None:
    """The entries with factors from files; None where there is none."""
    chosen = tuple(one for one in pieces if len(one[0].cells[0].realised))
    return Realised(chosen, count, places) if chosen else None
