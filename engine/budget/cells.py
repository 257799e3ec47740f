"""The cells of one entry of the error model in two years, and what their normals add up to.

All cells are looked at along the axis that names the industry or consumer they belong to
(`By.REGION`, `By.SECTOR`): the rows of deliveries and demand, the columns of emissions, which are
therefore turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.budget.found import ALL_SECTORS, DIRECT, SEVERAL_REGIONS, TOTALS, By
from engine.error_model import EMISSIONS, KnownTotals, Quantity
from engine.kernels.arrays import F64, I32, I64
from engine.kernels.budget import Moments, sums_by
from engine.kernels.first_order import Gradient, inner_by_row, sums_along
from engine.kernels.perturb import Cells, Groups
from engine.mrio import Labels
from engine.prepare import columns_of_totals, keys_of_columns
from engine.twin import spread, tiles


def is_turned(quantity: Quantity) -> bool:
    """Whether columns say what industry or consumer a cell belongs to."""
    return quantity in EMISSIONS


@dataclass(frozen=True, slots=True, eq=False)
class Axis:
    """The axis along which cells are looked at.

    Attributes:
        turned: whether it is that of the columns.
        named: by kind, the number of the name of each position.
    """

    turned: bool
    named: Mapping[By, I64]

    def __len__(self) -> int:
        return len(self.named[By.REGION])


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """What cells are sorted by.

    Attributes:
        quantities: whose cells carry errors.
        names: by kind, in the order of their numbers.
        axes: by quantity.
        of_totals: the axes of the known totals, by entry of the error model.
    """

    quantities: tuple[Quantity, ...]
    names: Mapping[By, tuple[str, ...]]
    axes: Mapping[Quantity, Axis]
    of_totals: tuple[Axis, ...]

    @classmethod
    def of(
        cls, labels: Labels, quantities: Iterable[Quantity], totals: Sequence[KnownTotals]
    ) -> Places:
        quantities = tuple(quantities)
        regions = _numbered(*labels.regions, SEVERAL_REGIONS)
        sectors = _numbered(*labels.sectors, DIRECT, ALL_SECTORS)
        kinds = _numbered(*map(str, quantities), TOTALS)

        def axis(names: Iterable[tuple[str, str]], kind: str) -> Axis:
            of_regions, of_sectors = zip(*names, strict=True)
            return Axis(
                kind == TOTALS or is_turned(Quantity(kind)),
                {
                    By.QUANTITY: np.full(len(of_regions), kinds[kind]),
                    By.REGION: np.array([regions[name] for name in of_regions]),
                    By.SECTOR: np.array([sectors[name] for name in of_sectors]),
                },
            )

        direct = [(region, DIRECT) for region in labels.regions]
        return cls(
            quantities,
            {
                By.QUANTITY: tuple(kinds),
                By.REGION: tuple(regions),
                By.SECTOR: tuple(sectors),
            },
            {q: axis(direct if q is Quantity.F_Y else labels.industries, q) for q in quantities},
            tuple(axis(_names_of_totals(entry, labels), TOTALS) for entry in totals),
        )


def _numbered(*names: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _names_of_totals(entry: KnownTotals, labels: Labels) -> list[tuple[str, str]]:
    """The region and sector that each column of the totals is of."""
    keys, unknown = keys_of_columns(entry), {"region": SEVERAL_REGIONS, "sector": ALL_SECTORS}
    named = [
        unknown | dict(zip(keys, label, strict=True)) for label in columns_of_totals(entry, labels)
    ]
    return [(one["region"], one["sector"]) for one in named]


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """What cells that move by their own errors alone do to the change: the derivatives by them.

    Attributes:
        of_years: in units of the change, the earlier one with a minus sign; already turned.
    """

    of_years: tuple[Gradient, Gradient]

    @property
    def shape(self) -> tuple[int, ...]:
        """Indicators, consumers and parts."""
        one = self.of_years[0]
        return np.broadcast_shapes(one.row.shape[1:], one.column.shape[1:])


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """What the standardised error of each cell does to the change, one cell after the other.

    Attributes:
        of_years: in units of the change, the earlier one with a minus sign, (cells,q,c,1) each.
    """

    of_years: tuple[F64, F64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Indicators, consumers and parts."""
        return self.of_years[0].shape[1:]


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Cells of one entry of the error model in two years.

    Attributes:
        axis: along which they are looked at.
        cells: of the two years.
        moves: what their errors do to the change.
    """

    axis: Axis
    cells: tuple[Cells, Cells]
    moves: Slopes | Listed

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
        if self.axis.turned:
            return groups.column_of, groups.row_of
        return groups.row_of, groups.column_of

    def looked_through(self) -> Iterator[tuple[slice, slice, list[F64]]]:
        """Tile by tile: rows, columns, and q sigma of the two years."""
        for lines, rows, columns in tiles(self.cells[0], 2):
            spreads = [spread(cells, lines) for cells in self.cells]
            if self.axis.turned:
                yield columns, rows, [one.T for one in spreads]
            else:
                yield rows, columns, spreads

    def positions(self, year: int) -> tuple[I64, I64]:
        """Of every cell, along the axis and across it, (cells,) each."""
        i, j = (side.astype(np.int64) for side in self.cells[year].positions())
        return (j, i) if self.axis.turned else (i, j)


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
    count, shape = len(piece.axis), piece.moves.shape
    ends, crossed = np.zeros((2, count, *shape)), np.zeros((count, *shape))
    fields = [_Field.of(piece, groups, places) for groups in {which(g): g for g in shared}.values()]
    match piece.moves:
        case Slopes(of_years=slopes):
            _look_by_tiles(piece, slopes, ends, crossed, fields)
        case Listed(of_years=moved):
            _look_by_cells(piece, moved, ends, crossed, fields)
    apart = ends.sum(axis=0)
    own = Moments(apart, apart + 2 * crossed, ends[1])
    return Seen(own, {which(field.groups): field.finished(piece) for field in fields})


def _look_by_tiles(
    piece: Piece,
    slopes: tuple[Gradient, Gradient],
    ends: F64,
    crossed: F64,
    fields: Sequence[_Field],
) -> None:
    for rows, columns, spreads in piece.looked_through():
        g, h = (slope.at(rows, columns) for slope in slopes)
        ends[0, rows] += inner_by_row(spreads[0] ** 2, g, g)
        ends[1, rows] += inner_by_row(spreads[1] ** 2, h, h)
        crossed[rows] += inner_by_row(spreads[0] * spreads[1], g, h)
        for field in fields:
            for year, (amount, slope) in enumerate(zip(spreads, (g, h), strict=True)):
                present, by_row = sums_along(amount, slope, field.across[columns])
                field.add(year, rows, present, by_row)


def _look_by_cells(
    piece: Piece, moved: tuple[F64, F64], ends: F64, crossed: F64, fields: Sequence[_Field]
) -> None:
    addresses, length = [], np.int64(max(piece.cells[0].shape))
    for year, by_cell in enumerate(moved):
        rows, columns = piece.positions(year)
        np.add.at(ends[year], rows, by_cell**2)
        for field in fields:
            field.add_cells(year, rows, columns, by_cell)
        addresses.append(rows * length + columns)
    one, other = addresses
    both, first, second = np.intersect1d(one, other, assume_unique=True, return_indices=True)
    np.add.at(crossed, both // length, moved[0][first] * moved[1][second])


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
        columns = len(groups.rows if piece.axis.turned else groups.columns)
        line, lines, shape = {}, {}, piece.moves.shape
        for by in (By.REGION, By.SECTOR):
            name, count = piece.axis.named[by], len(places.names[by])
            joint, line[by] = np.unique(along * np.int64(count) + name, return_inverse=True)
            address, names = np.divmod(joint, np.int64(count))
            lines[by] = Lines(names, address, np.zeros((2, len(joint), columns, *shape)))
        return cls(groups, across, line, lines)

    def add(self, year: int, rows: slice, present: I32, by_row: F64) -> None:
        for by, lines in self.lines.items():
            line = self.line[by][rows]
            order = np.argsort(line, kind="stable")
            which_ones, starts = np.unique(line[order], return_index=True)
            sums = np.add.reduceat(by_row[order], starts, axis=0)
            lines.sums[year, which_ones[:, None], present] += sums

    def add_cells(self, year: int, rows: I64, columns: I64, by_cell: F64) -> None:
        for by, lines in self.lines.items():
            np.add.at(lines.sums[year], (self.line[by][rows], self.across[columns]), by_cell)

    def finished(self, piece: Piece) -> Mapping[By, Lines]:
        """The lines of every kind of name, also of the quantity, which all cells share."""
        some = self.lines[By.REGION]
        address, line = np.unique(some.address, return_inverse=True)
        sums = np.stack([sums_by(of_year, line, len(address)) for of_year in some.sums])
        quantity = np.full(len(address), piece.axis.named[By.QUANTITY][0])
        return {**self.lines, By.QUANTITY: Lines(quantity, address, sums)}
