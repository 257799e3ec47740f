"""The analytic twin of a run: its footprints and their covariance to first order, without a draw.

What `engine.draws` samples, this module states in closed form, from the same prepared tables and
the same normals: `G = sum_cells dF/dq q sigma eps` of every year, indicator, consumer and part is
normal, and its covariance between years is a sum over the normals that both years use (see
`engine.kernels.first_order`). It previews an ensemble, judges its linearity, and serves as its
control variate; it never replaces it.

Factors that are not lognormal have rsd in the place of sigma, and are taken to correlate as their
eps do: that is right for one error of one law and size, and elsewhere a little too much. Factors
from files have the covariance of their realisations, which is exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

import numpy as np

from engine.error_model import Quantity
from engine.kernels.arrays import F64
from engine.kernels.first_order import (
    Gradient,
    accounts_gradients,
    add_group_sums,
    coefficients_gradients,
    common_sums,
    inner,
    solution,
)
from engine.kernels.leontief import per_unit_output
from engine.kernels.perturb import LOG2E, Cells, Groups, Term, estimate
from engine.kernels.totals import Members
from engine.prepare import Known, Prepared

_TILE = 64 * 2**20  # bytes of the cells of all years that are looked at together
_PIECE = 2**12  # cells whose gradients are written down at once


@dataclass(frozen=True, slots=True, eq=False)
class Twin:
    """First-order law of the footprints of one scenario.

    Attributes:
        years: in the order of the tables.
        footprint: of the estimates, (years,q,c,p): indicators, consumers, and the parts total,
            domestic, foreign, direct.
        covariance: of G between years, (years,years,q,c,p), in squared units of the footprint.
        linearised: each year at its estimate.
    """

    years: tuple[int, ...]
    footprint: F64
    covariance: F64
    linearised: tuple[Linearised, ...]


def twin(tables: Sequence[Prepared]) -> Twin:
    """The first-order law of footprints over the years of one scenario.

    Args:
        tables: prepared from one error model, question and seed, with the same labels in the
            same order (`engine.readers.refuse_mixed`).
    """
    years = [linearised(prepared) for prepared in tables]
    covariance = covariance_between(tables, [year.gradients for year in years])
    return Twin(
        tuple(prepared.year for prepared in tables),
        np.stack([year.footprint for year in years]),
        covariance,
        tuple(years),
    )


def covariance_between(
    tables: Sequence[Prepared], gradients: Sequence[Mapping[Quantity, Gradient]]
) -> F64:
    """Covariance between years, to first order, of whatever has these gradients.

    Args:
        tables: as for `twin`.
        gradients: of each year, by quantity; a quantity without one does not matter, but those
            of emissions with known totals all have one.

    Returns:
        (years,years,q,c,p), the last three as the gradients have them.
    """
    shape = _shape(gradients[0].values())
    covariance = np.zeros((len(tables), len(tables), *shape))
    shared = shared_keys(tables[0])
    fields: list[_Field] = []
    for quantity in gradients[0]:
        of_years = [year[quantity] for year in gradients]
        for entries in zip(*(_free(prepared, quantity) for prepared in tables), strict=True):
            fields += _one_entry(covariance, entries, of_years, shared)
    fields += _known_totals(covariance, tables, gradients, shared)
    _add_shared(covariance, fields)
    _add_realised(covariance, tables, gradients)
    return covariance


def _shape(gradients: Iterable[Gradient]) -> tuple[int, ...]:
    shapes = [array.shape[1:] for one in gradients for array in (one.row, one.column)]
    return np.broadcast_shapes(*shapes)


# --- one year -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """One year at its estimate: footprint, (q,c,p), and gradients by quantity."""

    footprint: F64
    gradients: Mapping[Quantity, Gradient]


def linearised(prepared: Prepared) -> Linearised:
    """Differentiate the footprints of one year at its estimate, whose solution is known.

    Gradients of the domestic and foreign parts are NaN where draws are solved for totals alone.
    """
    values = {
        quantity: estimate(prepared.cells[quantity])
        for quantity in (prepared.emissions, Quantity.F_Y)
    }
    membership, weights, active = prepared.membership, prepared.characterisation, prepared.active
    domestic, D0, slopes = prepared.domestic, prepared.D0, prepared.slopes
    if prepared.forward:
        output, multipliers, of_home = prepared.start.X0, slopes[..., 0], slopes[..., 1:]
    else:
        output, multipliers = slopes, prepared.start.X0
        of_home = np.full((*multipliers.shape, output.shape[1]), np.nan)
    direct = weights @ (values[Quantity.F_Y] @ membership)
    s = weights @ values[prepared.emissions]
    if prepared.accounts:
        s = per_unit_output(s, D0, active)
    solved = solution(output * D0[:, None], multipliers, of_home, s, domestic, direct)
    if prepared.accounts:
        found = accounts_gradients(solved, D0, active, domestic, membership, weights)
    else:
        found = coefficients_gradients(solved, domestic, membership, weights)
    gradients = {
        prepared.matrix: found.intermediate,
        prepared.emissions: found.emissions,
        Quantity.Y: found.demand,
        Quantity.F_Y: found.direct,
        Quantity.PURCHASES: found.purchases,
    }
    return Linearised(solved.footprint, gradients)


# --- one entry of the error model, all years ----------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Component:
    """A component's terms of one year: what shares a normal, and its weight by time node."""

    groups: Groups | None
    nodes: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Field:
    """What the shared normals of one component do in one year.

    Attributes:
        year: position of the year.
        key: stream key.
        nodes: weight of the normal of each time node.
        groups: whose addresses tell which normals are the same.
        sums: `sum dF/dq q sigma` of each group, (rows,columns,q,c,p).
    """

    year: int
    key: bytes
    nodes: Mapping[int, float]
    groups: Groups
    sums: F64


def uncertain(prepared: Prepared, quantity: Quantity) -> list[Cells]:
    """The cells of each entry of the error model for this quantity whose errors are normals."""
    return [cells for cells in prepared.cells[quantity] if cells.terms]


def _free(prepared: Prepared, quantity: Quantity) -> list[Cells]:
    """Those of its cells that have no known total."""
    return [cells for cells in prepared.free(quantity) if cells.terms]


def _one_entry(
    covariance: F64,
    entries: Sequence[Cells],
    gradients: Sequence[Gradient],
    shared: frozenset[bytes],
) -> list[_Field]:
    """Add what the cells' own normals bring; return the sums over those that groups share."""
    components = [_components(cells.terms, shared) for cells in entries]
    own = _own_correlation(components)
    fields = _empty_fields(components, covariance.shape[2:])
    distinct = {id(one.sums): one for one in fields}.values()
    for lines, rows, columns in tiles(entries[0], len(entries)):
        spreads = [spread(cells, lines) for cells in entries]
        slopes = [gradient.at(rows, columns) for gradient in gradients]
        for t, s in np.argwhere(np.triu(own)):
            weights = own[t, s] * spreads[t] * spreads[s]
            part = inner(weights, slopes[t], slopes[s])
            covariance[t, s] += part
            if t != s:
                covariance[s, t] += part
        for one in distinct:
            row_of, column_of = one.groups.row_of[rows], one.groups.column_of[columns]
            t = one.year
            add_group_sums(one.sums, spreads[t], slopes[t], row_of, column_of)
    return fields


def spread(cells: Cells, lines: slice) -> F64:
    """q sigma of the cells of some lines, (rows,columns), zero where there is none."""
    return _laid_out(cells, lines, lambda here: cells.value[here] * _sigma(cells, here))


def _sigma(cells: Cells, here: slice) -> F64:
    sigma: F64 = cells.log2_sd[here].astype(np.float64) / LOG2E
    return sigma


def _laid_out(cells: Cells, lines: slice, of: Callable[[slice], F64]) -> F64:
    """Numbers of the cells of some lines where these are, (rows,columns), zero elsewhere."""
    count, length = cells.shape if cells.by_row else cells.shape[::-1]
    out = np.zeros((lines.stop - lines.start, length))
    for strip in range(0, len(cells.starts) - 1, count):
        starts = cells.starts[strip + lines.start : strip + lines.stop + 1]
        here = slice(starts[0], starts[-1])
        along = np.repeat(np.arange(len(out)), np.diff(starts))
        out[along, cells.across[here]] = of(here)
    return out if cells.by_row else out.T


def tiles(cells: Cells, years: int) -> Iterator[tuple[slice, slice, slice]]:
    """Lines, with their rows and columns, such that all years' cells take `_TILE` bytes."""
    lines, length = cells.shape if cells.by_row else cells.shape[::-1]
    height = max(1, _TILE // (8 * length * years))
    for first in range(0, lines, height):
        some, whole = slice(first, min(first + height, lines)), slice(0, length)
        yield (some, some, whole) if cells.by_row else (some, whole, some)


def _components(terms: Sequence[Term], shared: frozenset[bytes]) -> dict[bytes, _Component]:
    """Components by stream key; groups of one cell each count as the cells' own normals."""
    found: dict[bytes, _Component] = {}
    for term in terms:
        key = term.key.tobytes()
        alone = term.groups is None or (key not in shared and single_cells(term.groups))
        component = found.setdefault(key, _Component(None if alone else term.groups))
        component.nodes[term.node] = component.nodes.get(term.node, 0.0) + term.weight
    return found


def single_cells(groups: Groups) -> bool:
    """Whether no two cells share a normal."""
    return len(groups.rows) == len(groups.row_of) and len(groups.columns) == len(groups.column_of)


def shared_keys(prepared: Prepared) -> frozenset[bytes]:
    """Keys of the normals that more than one entry uses."""
    users = Counter(
        key
        for entries in prepared.cells.values()
        for cells in entries
        for key in {term.key.tobytes() for term in cells.terms}
    )
    return frozenset(key for key, entries in users.items() if entries > 1)


def own_correlation(terms: Sequence[Sequence[Term]], shared: frozenset[bytes]) -> F64:
    """Correlation of a cell's eps between the years through its own normals, (years,years).

    Args:
        terms: of one entry of the error model in each year.
        shared: as `shared_keys` returns.
    """
    return _own_correlation([_components(of_year, shared) for of_year in terms])


def _own_correlation(components: Sequence[Mapping[bytes, _Component]]) -> F64:
    rho = np.zeros((len(components), len(components)))
    for t, s in np.ndindex(rho.shape):
        for key, one in components[t].items():
            if one.groups is None:
                rho[t, s] += _common_weight(one.nodes, components[s][key].nodes)
    return rho


def _common_weight(nodes: Mapping[int, float], others: Mapping[int, float]) -> float:
    return sum(weight * others.get(node, 0.0) for node, weight in nodes.items())


def _empty_fields(
    components: Sequence[Mapping[bytes, _Component]], shape: tuple[int, ...]
) -> list[_Field]:
    """Components of the same groups get the same sums, which are then added up once."""
    fields: list[_Field] = []
    sums: dict[tuple[int, bytes, bytes], F64] = {}
    for t, of_year in enumerate(components):
        for key, component in of_year.items():
            if (groups := component.groups) is not None:
                which = t, groups.row_of.tobytes(), groups.column_of.tobytes()
                size = len(groups.rows), len(groups.columns), *shape
                one = sums.setdefault(which, np.zeros(size))
                fields.append(_Field(t, key, component.nodes, groups, one))
    return fields


# --- factors from files ---------------------------------------------------------------------------


def _add_realised(
    covariance: F64, tables: Sequence[Prepared], gradients: Sequence[Mapping[Quantity, Gradient]]
) -> None:
    """Add the covariance over realisations: all files share their index, in all years."""
    lengths = [
        len(cells.realised)
        for prepared in tables
        for quantity in gradients[0]
        for cells in prepared.cells[quantity]
        if len(cells.realised)
    ]
    if not lengths:
        return
    moved = np.zeros((len(tables), min(lengths), *covariance.shape[2:]))
    for t, (prepared, of_year) in enumerate(zip(tables, gradients, strict=True)):
        for quantity, gradient in of_year.items():
            for cells in prepared.cells[quantity]:
                if len(cells.realised):
                    moved[t] += _linear(cells, gradient, min(lengths))
    moved -= moved.mean(axis=1, keepdims=True)
    covariance += np.einsum("td...,sd...->ts...", moved, moved) / min(lengths)


def _linear(cells: Cells, gradient: Gradient, realisations: int) -> F64:
    """`sum dF/dq q (factor - 1)` of every realisation, (realisations,q,c,p)."""
    i, j = cells.positions()
    found = np.zeros((realisations, *_shape([gradient])))
    piece = max(1, _TILE // (8 * realisations))
    for first in range(0, len(i), piece):
        some = slice(first, first + piece)
        slopes = gradient.row[i[some]] * (gradient.column[j[some]] - gradient.shift[i[some]])
        changes = cells.value[some] * (cells.realised[:realisations, some].astype(np.float64) - 1)
        found += np.tensordot(changes, slopes, axes=1)
    return found


# --- normals that groups share, within an entry or between entries ------------------------------


def _add_shared(covariance: F64, fields: Sequence[_Field]) -> None:
    for one, other in combinations_with_replacement(fields, 2):
        if one.key != other.key:
            continue
        weight = _common_weight(one.nodes, other.nodes)
        if weight:
            part = weight * _common(one, other)
            covariance[one.year, other.year] += part
            if one is not other:
                covariance[other.year, one.year] += part


def _common(one: _Field, other: _Field) -> F64:
    """Products of the sums of groups with the same address, added up."""
    a, b = one.groups, other.groups
    _, row, other_row = np.intersect1d(a.rows, b.rows, return_indices=True)
    _, column, other_column = np.intersect1d(a.columns, b.columns, return_indices=True)
    return common_sums(one.sums[np.ix_(row, column)], other.sums[np.ix_(other_row, other_column)])


# --- cells with known totals --------------------------------------------------------------------
# To first order such a cell moves with its own error, less the mean error of its total's cells, and
# with the total: q (sigma eps - sum_j p_j sigma_j eps_j + sigma_T eps_T). So a footprint moves by
# each cell's normals times (dF/dq q - p H) sigma, H the sum of dF/dq q over the cells of its total,
# and by each total's normals times H sigma_T.


def _known_totals(
    covariance: F64,
    tables: Sequence[Prepared],
    gradients: Sequence[Mapping[Quantity, Gradient]],
    shared: frozenset[bytes],
) -> list[_Field]:
    """Add what the cells' own normals bring; return the sums over those that groups share."""
    known = [prepared.known for prepared in tables if prepared.known is not None]
    if not sum(len(one.value) for some in known for one in some.totals):
        return []
    moved = [
        _moved(one, slopes, covariance.shape[2:])
        for one, slopes in zip(known, gradients, strict=True)
    ]
    fields: list[_Field] = []
    for of_years in zip(*(some for some, _ in moved), strict=True):
        fields += _one_entry_of_totals(covariance, of_years, shared)
    wholes = [whole for _, whole in moved]
    firsts = [0] * len(known)
    for entries in zip(*(one.totals for one in known), strict=True):
        fields += _fields_of_totals(entries, wholes, firsts)
        firsts = [at + len(one.value) for at, one in zip(firsts, entries, strict=True)]
    return fields


@dataclass(frozen=True, slots=True, eq=False)
class _Moved:
    """The cells of one entry that have known totals, in one year.

    Attributes:
        whole: H of every total, (totals,q,c,p).
    """

    cells: Cells
    members: Members
    gradient: Gradient
    whole: F64

    def by_normals(self, lines: slice, rows: slice, columns: slice) -> F64:
        """`(dF/dq q - p H) sigma` of the cells of some lines, (rows,columns,q,c,p)."""
        cells, members = self.cells, self.members
        own = spread(cells, lines)
        share = _laid_out(cells, lines, lambda here: members.share[here] * _sigma(cells, here))
        total = _laid_out(cells, lines, lambda here: members.total[here].astype(np.float64))
        slopes = self.gradient.at(rows, columns).dense()
        moved: F64 = own[..., None, None, None] * slopes
        moved -= share[..., None, None, None] * self.whole[total.astype(np.int64)]
        return moved


def _moved(
    known: Known, gradients: Mapping[Quantity, Gradient], shape: tuple[int, ...]
) -> tuple[list[_Moved], F64]:
    """The entries whose cells have errors of their own, and H of every total."""
    whole = wholes(known, gradients, shape)
    each = zip(known.quantities, known.entries, known.members, strict=True)
    drawn = [
        _Moved(cells, members, gradients[quantity], whole)
        for quantity, cells, members in each
        if cells.terms
    ]
    return drawn, whole


def wholes(known: Known, gradients: Mapping[Quantity, Gradient], shape: tuple[int, ...]) -> F64:
    """H of every total: the sum of dF/dq q over its cells, (totals,q,c,p).

    Args:
        gradients: by quantity.
        shape: of one sum, (q,c,p).
    """
    whole = np.zeros((sum(len(one.value) for one in known.totals), *shape))
    for quantity, cells, members in zip(
        known.quantities, known.entries, known.members, strict=True
    ):
        slopes = gradients[quantity]
        i, j = cells.positions()
        for first in range(0, len(i), _PIECE):
            here = slice(first, first + _PIECE)
            by_cell = slopes.row[i[here]] * (slopes.column[j[here]] - slopes.shift[i[here]])
            values = cells.value[here, None, None, None] * by_cell
            np.add.at(whole, members.total[here], values)
    return whole


def _one_entry_of_totals(
    covariance: F64, entries: Sequence[_Moved], shared: frozenset[bytes]
) -> list[_Field]:
    components = [_components(one.cells.terms, shared) for one in entries]
    own = _own_correlation(components)
    shape = covariance.shape[2:]
    fields = _empty_fields(components, shape)
    distinct = {id(one.sums): one for one in fields}.values()
    for lines, rows, columns in tiles(entries[0].cells, 3 * len(entries) * int(np.prod(shape))):
        moved = [one.by_normals(lines, rows, columns) for one in entries]
        for t, s in np.argwhere(own):
            covariance[t, s] += own[t, s] * np.einsum("ij...,ij...->...", moved[t], moved[s])
        for one in distinct:
            row_of, column_of = one.groups.row_of[rows], one.groups.column_of[columns]
            np.add.at(one.sums, (row_of[:, None], column_of[None]), moved[one.year])
    return fields


def _fields_of_totals(
    entries: Sequence[Cells], wholes: Sequence[F64], firsts: Sequence[int]
) -> list[_Field]:
    """What the totals' own errors do: of one entry, in all years.

    Args:
        wholes: H of all totals, in each year.
        firsts: where this entry's totals begin among them.
    """
    keys = frozenset(term.key.tobytes() for term in entries[0].terms)  # fields, even if of one cell
    fields = _empty_fields([_components(one.terms, keys) for one in entries], wholes[0].shape[1:])
    for one in {id(some.sums): some for some in fields}.values():
        cells, first = entries[one.year], firsts[one.year]
        i, j = cells.positions()
        sigma = _sigma(cells, slice(None))[:, None, None, None]
        moved = sigma * wholes[one.year][first : first + len(i)]
        np.add.at(one.sums, (one.groups.row_of[i], one.groups.column_of[j]), moved)
    return fields
