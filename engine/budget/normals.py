"""The normals that cells share: what each moves in two years, in all and by name of the cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.budget.cells import Lines, Piece, Seen, which
from engine.budget.found import By
from engine.kernels.arrays import F64, I64, U32
from engine.kernels.budget import Moments

_NAMED = (By.QUANTITY, By.REGION, By.SECTOR)


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """Lines of one piece in the rows and columns of all addresses of a component."""

    name: I64
    rows: I64
    columns: I64
    sums: F64
    by_row: bool  # whether lines are rows

    def only(self, name: int) -> _Block:
        chosen = self.name == name
        lines = self.rows if self.by_row else self.columns
        rows, columns = (lines[chosen], self.columns) if self.by_row else (self.rows, lines[chosen])
        sums = self.sums[:, chosen] if self.by_row else self.sums[:, :, chosen]
        return _Block(self.name[chosen], rows, columns, sums, self.by_row)


@dataclass(frozen=True, slots=True, eq=False)
class Normals:
    """The normals of one component, by address.

    Attributes:
        rows, columns: the addresses.
        sums: what each normal moves in the two years, (2,rows,columns,q,c,1).
    """

    rows: U32
    columns: U32
    sums: F64
    _blocks: dict[By, list[_Block]]

    def by_name(self, by: By) -> Iterator[tuple[int, Moments, Moments]]:
        """Number of each name, its cells' moments with themselves, and with all cells."""
        blocks = self._blocks[by]
        for name in np.unique(np.concatenate([block.name for block in blocks])):
            own = [block.only(name) for block in blocks if (block.name == name).any()]
            rows = np.unique(np.concatenate([block.rows for block in own]))
            columns = np.unique(np.concatenate([block.columns for block in own]))
            sums = np.zeros((2, len(rows), len(columns), *self.sums.shape[3:]))
            for block in own:
                at = np.searchsorted(rows, block.rows), np.searchsorted(columns, block.columns)
                sums[:, at[0][:, None], at[1]] += block.sums
            whole = self.sums[:, rows[:, None], columns]
            yield int(name), Moments.of(sums, sums), Moments.of(sums, whole)


def shared_normals(users: Sequence[tuple[Piece, Seen]], key: bytes) -> Normals:
    """The normals of the component with this key, whose cells are in these pieces."""
    known = [(piece, seen, groups) for piece, seen in users if (groups := piece.groups(key))]
    rows = np.unique(np.concatenate([groups.rows for *_, groups in known]))
    columns = np.unique(np.concatenate([groups.columns for *_, groups in known]))
    blocks: dict[By, list[_Block]] = {by: [] for by in _NAMED}
    for piece, seen, groups in known:
        at = np.searchsorted(rows, groups.rows), np.searchsorted(columns, groups.columns)
        for by in _NAMED:
            lines = seen.lines[which(groups)][by]
            blocks[by].append(_placed(lines, at, piece.weight(key), turned=piece.axis.turned))
    whole = blocks[By.QUANTITY]
    sums = np.zeros((2, len(rows), len(columns), *whole[0].sums.shape[3:]))
    for block in whole:
        sums[:, block.rows[:, None], block.columns] += block.sums
    return Normals(rows, columns, sums, blocks)


def _placed(lines: Lines, at: tuple[I64, I64], weight: float, *, turned: bool) -> _Block:
    sums = weight * lines.sums
    if turned:
        return _Block(lines.name, at[0], at[1][lines.address], sums.swapaxes(1, 2), by_row=False)
    return _Block(lines.name, at[0][lines.address], at[1], sums, by_row=True)
