"""Standard normals to perturbed cells.

A cell q becomes q exp(sigma eps - sigma^2 / 2) with sigma^2 = ln(1 + rsd^2), so that its mean is
kept. eps is a weighted sum of standard normals, one a **term**: a component of the error model at
one time node, shared by all cells of a group.

    eps = sum over terms of  w  z[row address, column address, draw, node],   sum w^2 = 1

Factors of another law are its quantile at Phi(eps) (`engine.kernels.laws`), or read from a file.
The factor is computed in float32 (its law to 1e-7), the product in float64. Terms are added in the
order given, shared ones first; that order is part of a draw's bits. Only cells that are not zero
are listed and drawn: a zero stays zero, and a cell's value does not depend on which others are
drawn. This module draws one draw at a time; `engine.kernels.fused` draws 64 and uses them at once.

Equations of docs/method.md: 2.1 and 2.4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.kernels.arrays import F32, F64, I32, I64, U32, Bool, readonly
from engine.kernels.compiling import compiled
from engine.kernels.dirichlet import factor_of_logarithm
from engine.kernels.elementary import log_sd
from engine.kernels.laws import PIECES, factor_of
from engine.kernels.machine import fma
from engine.kernels.streams import Single, exp2, normals, normals_of_cells, stream_key

LOG2E = 1.4426950408889634
HALF_LN2 = Single(0.34657359027997264)
NO_QUANTILES: F32 = readonly(np.empty((0, PIECES, 4), dtype=np.float32))
NO_SIZES: I32 = readonly(np.empty(0, dtype=np.int32))
NO_REALISATIONS: F32 = readonly(np.empty((0, 0), dtype=np.float32))
STRIP = 128  # positions: 64 doubles for each are 64 KiB, which stay in a near cache


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Cells that share a normal: the distinct addresses, and which one each position has.

    Attributes:
        rows, columns: hashes of the distinct row and column addresses.
        row_of, column_of: which address each row and column of the quantity has.
    """

    rows: U32
    columns: U32
    row_of: I32
    column_of: I32


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """One independent normal field over the cells of a quantity.

    Attributes:
        weight: w, the square root of the share of the error's variance.
        key: stream key, (2,).
        node: time node, a uint32.
        groups: what shares a normal; None where every cell has its own.
    """

    weight: float
    key: U32
    node: int
    groups: Groups | None


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Nonzero cells of one quantity whose errors are made of the same terms, in strips of lines.

    A line is a row, or a column: whichever way the solver adds the cells up. Lines are cut into
    strips of `STRIP` positions; all lines' first segments come first, then all second ones, so
    that what a strip is multiplied with stays in a near cache.

    Attributes:
        shape: rows and columns of the quantity.
        by_row: whether lines are rows.
        starts: where each segment's cells begin, and the end of the last, (strips lines + 1,).
        across: position of each cell on its line, ascending in a segment, (cells,).
        value: the estimate, (cells,).
        log2_sd: sigma log2(e) of each, (cells,); for factors that are not lognormal
            rsd log2(e), their first-order size in the place of sigma; for Dirichlet shares that
            of `engine.kernels.dirichlet.first_order_sizes`.
        rows, columns: hashes of the row and column labels, one each.
        terms: what the errors are made of, in the order of summation; none where the cells
            carry no error, or one from a file.
        quantiles: factors as functions of eps, by size (`engine.kernels.laws`),
            (sizes,PIECES,4); none where they are lognormal.
        size_of: which of the sizes each cell has, (cells,); none likewise.
        logarithmic: whether `quantiles` are those of the factors' binary logarithms, as Dirichlet
            shares have them.
        realised: factors from a file, (realisations,cells): draw d has those of realisation d,
            and beyond the last one the estimate; none where factors are drawn.
    """

    shape: tuple[int, int]
    by_row: bool
    starts: I64
    across: I32
    value: F64
    log2_sd: F32
    rows: U32
    columns: U32
    terms: tuple[Term, ...]
    quantiles: F32 = field(default_factory=lambda: NO_QUANTILES)
    size_of: I32 = field(default_factory=lambda: NO_SIZES)
    logarithmic: bool = False
    realised: F32 = field(default_factory=lambda: NO_REALISATIONS)

    @property
    def drawn(self) -> bool:
        """Whether the cells carry errors."""
        return bool(self.terms) or len(self.realised) > 0

    @property
    def lognormal(self) -> bool:
        """Whether factors are exp(sigma eps - sigma^2 / 2)."""
        return len(self.quantiles) == 0 and len(self.realised) == 0

    def variance(self) -> F32:
        """rsd^2 of the factors, (cells,)."""
        squares: F32 = np.square(self.log2_sd / LOG2E)
        return np.expm1(squares) if self.lognormal else squares

    def positions(self) -> tuple[I32, I32]:
        """Row and column of every cell, (cells,) each."""
        lines = self.shape[0 if self.by_row else 1]
        segments = np.arange(len(self.starts) - 1, dtype=np.int32) % lines
        along = np.repeat(segments, np.diff(self.starts))
        return (along, self.across) if self.by_row else (self.across, along)

    def only(self, chosen: Bool) -> Cells:
        """Some of the cells, (cells,), with the same errors."""
        before = np.concatenate([[0], np.cumsum(chosen)])
        return replace(
            self,
            quantiles=self.quantiles if before[-1] else NO_QUANTILES,
            starts=readonly(before[self.starts]),
            across=readonly(self.across[chosen]),
            value=readonly(self.value[chosen]),
            log2_sd=readonly(self.log2_sd[chosen]),
            size_of=readonly(self.size_of[chosen]) if len(self.size_of) else NO_SIZES,
            realised=readonly(self.realised[:, chosen]) if len(self.realised) else NO_REALISATIONS,
        )


def pack(
    values: F64,
    i: I32,
    j: I32,
    log2_sd: F32,
    hashes: tuple[U32, U32],
    terms: tuple[Term, ...],
    *,
    by_row: bool,
    quantiles: F32 = NO_QUANTILES,
    size_of: I32 = NO_SIZES,
    logarithmic: bool = False,
    realised: F32 = NO_REALISATIONS,
) -> Cells:
    """Cells (i, j) of `values`, brought into the order of their lines.

    Args:
        i, j: rows and columns in row-major order, as `numpy.nonzero` gives them.
        hashes: of the row and of the column labels.
        quantiles, size_of, logarithmic, realised: as in `Cells`, the cells in the order of i and j.
    """
    along, across = (i, j) if by_row else (j, i)
    lines, positions = values.shape if by_row else values.shape[::-1]
    segment = (across // STRIP) * np.int64(lines) + along
    order = np.argsort(segment, kind="stable")
    counts = np.bincount(segment, minlength=-(-positions // STRIP) * lines)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return Cells(
        shape=(values.shape[0], values.shape[1]),
        by_row=by_row,
        starts=readonly(starts),
        across=readonly(across[order].astype(np.int32)),
        value=readonly(values[i, j][order]),
        log2_sd=readonly(log2_sd[order]),
        rows=readonly(hashes[0].copy()),
        columns=readonly(hashes[1].copy()),
        terms=terms,
        quantiles=quantiles,
        size_of=readonly(size_of[order]) if len(size_of) else NO_SIZES,
        logarithmic=logarithmic,
        realised=readonly(realised[:, order]) if len(realised) else NO_REALISATIONS,
    )


@compiled
def _add(eps: F32, weight: float, own: F32) -> None:
    w = Single(weight)
    for cell in range(eps.size):
        eps[cell] = fma(w, own[cell], eps[cell])


@compiled
def _add_shared(
    eps: F32, weight: float, table: F32, row_of: I32, column_of: I32, i: I32, j: I32
) -> None:
    w = Single(weight)
    for cell in range(eps.size):
        eps[cell] = fma(w, table[row_of[i[cell]], column_of[j[cell]]], eps[cell])


@compiled
def _multiply(out: F64, value: F64, log2_sd: F32, eps: F32) -> None:
    for cell in range(eps.size):
        s = log2_sd[cell]
        shift = -((s * HALF_LN2) * s)
        out[cell] = value[cell] * np.float64(exp2(fma(s, eps[cell], shift)))


@compiled
def _multiply_by_law(out: F64, value: F64, quantiles: F32, size_of: I32, eps: F32) -> None:
    for cell in range(eps.size):
        out[cell] = value[cell] * np.float64(factor_of(quantiles[size_of[cell]], eps[cell]))


@compiled
def _multiply_by_logarithm(out: F64, value: F64, quantiles: F32, size_of: I32, eps: F32) -> None:
    for cell in range(eps.size):
        factor = factor_of_logarithm(quantiles[size_of[cell]], eps[cell])
        out[cell] = value[cell] * np.float64(factor)


def standard_errors(cells: Cells, draw: int) -> F32:
    """eps, (cells,): the standardised error of every cell in one draw."""
    i, j = cells.positions()
    eps = np.zeros(len(i), dtype=Single)
    for term in cells.terms:
        if term.groups is None:
            own = normals_of_cells(term.key, cells.rows[i], cells.columns[j], draw, term.node)
            _add(eps, term.weight, own)
        else:
            g = term.groups
            table = normals(term.key, g.rows, g.columns, draw, term.node)
            _add_shared(eps, term.weight, table, g.row_of, g.column_of, i, j)
    return eps


def estimate(entries: Sequence[Cells]) -> F64:
    """A quantity without errors, (rows, columns)."""
    return _dense(entries, None)


def perturb(entries: Sequence[Cells], draw: int) -> F64:
    """A quantity in one draw, (rows, columns), in the unit of its values; signs are kept.

    Args:
        entries: all its nonzero cells, each in one entry; at least one entry.
        draw: the draw's number.
    """
    return _dense(entries, draw)


def factors(cells: Cells, draw: int) -> F64:
    """Factors of the cells in one draw, (cells,): one where there is no error."""
    ones = np.ones(len(cells.value))
    return _perturbed(replace(cells, value=ones), draw) if cells.drawn else ones


def _dense(entries: Sequence[Cells], draw: int | None) -> F64:
    out = np.zeros(entries[0].shape)
    for cells in entries:
        value = cells.value
        if draw is not None and cells.drawn:
            value = _perturbed(cells, draw)
        out[cells.positions()] = value
    return out


def _perturbed(cells: Cells, draw: int) -> F64:
    """(cells,): by the realisation of the draw, by the quantiles of a law, or lognormal."""
    if len(cells.realised):
        there = draw < len(cells.realised)
        return cells.value * cells.realised[draw] if there else cells.value
    value, eps = np.empty(len(cells.value)), standard_errors(cells, draw)
    if cells.lognormal:
        _multiply(value, cells.value, cells.log2_sd, eps)
    elif cells.logarithmic:
        _multiply_by_logarithm(value, cells.value, cells.quantiles, cells.size_of, eps)
    else:
        _multiply_by_law(value, cells.value, cells.quantiles, cells.size_of, eps)
    return value


def fingerprint() -> str:
    """Hash of fixed factors: it changes when anything between a key and a factor does."""
    hashes = np.arange(0, 2**32, 2**28, dtype=np.uint32)
    i = np.arange(16, dtype=np.int32)
    key = stream_key(0, "fingerprint", "own")
    groups = Groups(hashes[:3], hashes[3:5], i % 3, i % 2)
    terms = (Term(0.6, key, 2**31 + 2000, groups), Term(0.8, key, 2000, None))
    log2_sd = (log_sd(np.linspace(0, 2, 16)) * LOG2E).astype(np.float32)
    labels = (hashes, hashes[::-1].copy())
    cells = pack(np.ones((16, 16)), i, i, log2_sd, labels, terms, by_row=True)
    digest = hashlib.blake2b(digest_size=8)
    for draw in (0, 17, 33, 50, 64):
        digest.update(np.where(np.eye(16) > 0, perturb((cells,), draw), 1.0).tobytes())
    return digest.hexdigest()
