"""The cells of one entry of the error model in two years, and what their normals add up to.

All cells are looked at along the axis that names the industry or consumer they belong to
(`By.REGION`, `By.SECTOR`): the rows of deliveries and demand, the columns of emissions, which are
therefore turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from engine.budget.found import By
from engine.error_model import Quantity
from engine.kernels.arrays import F64, I32, I64
from engine.kernels.budget import Moments, sums_by
from engine.kernels.first_order import Gradient, inner_by_row, sums_along
from engine.kernels.perturb import Cells, Groups
from engine.mrio import Labels
from engine.twin import spread, tiles

DIRECT = "final consumers"  # in the place of a sector, of direct emissions


def is_turned(quantity: Quantity) -> bool:
    """Whether columns say what industry or consumer a cell belongs to."""
    return quantity in (Quantity.E, Quantity.S, Quantity.F_Y)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What cells are sorted by, and the number of each name along a quantity's axis.

    Attributes:
        names: by kind, in the order of their numbers.
    """

    names: Mapping[By, tuple[str, ...]]
    of_industries: Mapping[By, I64]
    regions: int

    @classmethod
    def of(cls, labels: Labels, quantities: Iterable[Quantity]) -> Places:
        regions = {name: i for i, name in enumerate(labels.regions)}
        sectors = {name: i for i, name in enumerate(labels.sectors)}
        return cls(
            {
                By.QUANTITY: tuple(str(quantity) for quantity in quantities),
                By.REGION: labels.regions,
                By.SECTOR: (*labels.sectors, DIRECT),
            },
            {
                By.REGION: np.array([regions[region] for region, _ in labels.industries]),
                By.SECTOR: np.array([sectors[sector] for _, sector in labels.industries]),
            },
            len(labels.regions),
        )

    def along(self, quantity: Quantity, by: By) -> I64:
        """The number of each position of the quantity's axis."""
        direct = quantity is Quantity.F_Y
        count = self.regions if direct else len(self.of_industries[By.REGION])
        match by:
            case By.QUANTITY:
                return np.full(count, self.names[by].index(str(quantity)))
            case By.SECTOR if direct:
                return np.full(count, self.names[by].index(DIRECT))
            case _ if direct:
                return np.arange(count)
            case _:
                return self.of_industries[by]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """One entry of the error model in two years.

    Attributes:
        quantity: whose cells they are.
        cells: of the two years.
        slopes: of the two years, in units of the change, the earlier one with a minus sign;
            already turned.
    """

    quantity: Quantity
    cells: tuple[Cells, Cells]
    slopes: tuple[Gradient, Gradient]

    @property
    def turned(self) -> bool:
        """Whether the cells' rows are looked at as columns."""
        return is_turned(self.quantity)

    @property
    def shape(self) -> tuple[int, ...]:
        """Indicators, consumers and parts of the slopes."""
        one = self.slopes[0]
        return np.broadcast_shapes(one.row.shape[1:], one.column.shape[1:])

    def weight(self, key: bytes) -> float:
        """sqrt(pi) of the component with this key."""
        terms = [t for t in self.cells[0].terms if t.key.tobytes() == key]
        return float(np.sqrt(sum(term.weight**2 for term in terms)))

    def groups(self, key: bytes) -> Groups | None:
        """What shares its normals."""
        return next(term.groups for term in self.cells[0].terms if term.key.tobytes() == key)

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Of all its components."""
        return tuple(dict.fromkeys(term.key.tobytes() for term in self.cells[0].terms))

    def along_and_across(self, groups: Groups) -> tuple[I32, I32]:
        """The number of the group's address at each position of the axis, and of the other."""
        if self.turned:
            return groups.column_of, groups.row_of
        return groups.row_of, groups.column_of

    def looked_through(self) -> Iterator[tuple[slice, slice, list[F64]]]:
        """Tile by tile: rows, columns, and q sigma of the two years."""
        for lines, rows, columns in tiles(self.cells[0], 2):
            spreads = [spread(cells, lines) for cells in self.cells]
            if self.turned:
                yield columns, rows, [one.T for one in spreads]
            else:
                yield rows, columns, spreads


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Sums over the cells of each group and name: a line is a group's row under one name.

    Attributes:
        name, address: number of each line's name and of its group's address, (lines,).
        sums: of the two years, (2,lines,columns,q,c,1).
    """

    name: I64
    address: I64
    sums: F64


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What a look through the cells of a piece found.

    Attributes:
        own: if each cell had a normal of its own, by position of the axis, (rows,q,c,1).
        lines: by what shares a normal (`which`) and kind of name.
    """

    own: Moments
    lines: Mapping[tuple[bytes, bytes], Mapping[By, Lines]]


def which(groups: Groups) -> tuple[bytes, bytes]:
    """The same for groups of the same cells."""
    return groups.row_of.tobytes(), groups.column_of.tobytes()


def look(piece: Piece, shared: Iterable[Groups], places: Places) -> Seen:
    """Look through the cells once.

    Args:
        shared: groups of cells that share a normal.
    """
    count, shape = len(places.along(piece.quantity, By.REGION)), piece.shape
    ends, crossed = np.zeros((2, count, *shape)), np.zeros((count, *shape))
    fields = [_Field.of(piece, groups, places) for groups in {which(g): g for g in shared}.values()]
    for rows, columns, spreads in piece.looked_through():
        g, h = (slope.at(rows, columns) for slope in piece.slopes)
        ends[0, rows] += inner_by_row(spreads[0] ** 2, g, g)
        ends[1, rows] += inner_by_row(spreads[1] ** 2, h, h)
        crossed[rows] += inner_by_row(spreads[0] * spreads[1], g, h)
        for field in fields:
            for year, (amount, slope) in enumerate(zip(spreads, (g, h), strict=True)):
                present, by_row = sums_along(amount, slope, field.across[columns])
                field.add(year, rows, present, by_row)
    apart = ends.sum(axis=0)
    own = Moments(apart, apart + 2 * crossed, ends[1])
    return Seen(own, {which(field.groups): field.finished(piece, places) for field in fields})


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """The sums over some groups' cells while a piece is looked through.

    Attributes:
        across: number of the group's address at each position of the other axis.
        line: by kind of name, the line of each position of the axis.
    """

    groups: Groups
    across: I32
    line: Mapping[By, I64]
    lines: Mapping[By, Lines]

    @classmethod
    def of(cls, piece: Piece, groups: Groups, places: Places) -> _Field:
        along, across = piece.along_and_across(groups)
        columns = len(groups.rows if piece.turned else groups.columns)
        line, lines = {}, {}
        for by in (By.REGION, By.SECTOR):
            name, count = places.along(piece.quantity, by), len(places.names[by])
            joint, line[by] = np.unique(along * np.int64(count) + name, return_inverse=True)
            address, names = np.divmod(joint, np.int64(count))
            lines[by] = Lines(names, address, np.zeros((2, len(joint), columns, *piece.shape)))
        return cls(groups, across, line, lines)

    def add(self, year: int, rows: slice, present: I32, by_row: F64) -> None:
        for by, lines in self.lines.items():
            line = self.line[by][rows]
            order = np.argsort(line, kind="stable")
            which_ones, starts = np.unique(line[order], return_index=True)
            sums = np.add.reduceat(by_row[order], starts, axis=0)
            lines.sums[year, which_ones[:, None], present] += sums

    def finished(self, piece: Piece, places: Places) -> Mapping[By, Lines]:
        """The lines of every kind of name, also of the quantity, which all cells share."""
        some = self.lines[By.REGION]
        address, line = np.unique(some.address, return_inverse=True)
        sums = np.stack([sums_by(of_year, line, len(address)) for of_year in some.sums])
        quantity = np.full(len(address), places.along(piece.quantity, By.QUANTITY)[0])
        return {**self.lines, By.QUANTITY: Lines(quantity, address, sums)}
