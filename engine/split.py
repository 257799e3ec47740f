"""Split mode: the cells' own noise kept where it matters, measured against exact draws.

Of the deliveries' millions of cells a few carry nearly all the variance of what is asked. A cell's
importance is the largest share that its own noise has, to first order, in the variance of any asked
level or change between years. The unimportant cells' own noise is cut; what they share with others
stays. Changes count as well as levels: with lasting errors the cells that matter for one are not
those that matter for the other.

What cutting costs is not promised but measured: a number of draws fixed in advance is also computed
exactly, from the same normals (`engine.draws.series`).

Notation: f a functional, that is, a level or the change between two years of one indicator,
consumer and part; S_ijf the share of the own noise of cell (i, j) in the variance of f.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.error_model import Empirical, ErrorModel, Law, Quantity
from engine.errors import ConfigError
from engine.kernels.arrays import F32, F64, I64, Bool
from engine.kernels.first_order import Gradient
from engine.kernels.importance import A_DECADE, BINS, DECADES, add_shares
from engine.kernels.importance import Asked as Functionals
from engine.kernels.perturb import Cells, estimate
from engine.plan import Direction
from engine.prepare import Prepared, Split
from engine.twin import (
    Linearised,
    Twin,
    own_correlation,
    shared_keys,
    spread,
    tiles,
    twin,
    uncertain,
)


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of the cells' own noise to keep.

    Attributes:
        share: of the variance of every asked level and change, at least.
        fraction: of the cells instead, the most important ones; None to go by `share`.
        order: terms of the series, at least three.
        exact_draws: draws of each year that are also computed exactly, to measure the error.
    """

    share: float = 0.999
    fraction: float | None = None
    order: int = 3
    exact_draws: int = 128


def split(tables: Sequence[Prepared], keep: Keep, law: Twin | None = None) -> list[Prepared]:
    """The prepared tables of all years with their split; the same cells are kept in all years.

    Args:
        tables: all years of one scenario, in order.
        law: their first-order law, if it is at hand.

    Raises:
        ConfigError: the deliveries have factors that are not lognormal, or draws are balanced.
    """
    for table in tables:
        if table.margins is not None:
            raise _rebalanced()
        if not all(cells.lognormal for cells in table.cells[table.matrix]):
            raise _other_law(table.matrix)
    asked = _Asked.of(tables, twin(tables) if law is None else law)
    found = _importance(tables, asked)
    threshold, share = found.threshold(keep)
    return [
        replace(table, split=_cut(table, found.cells >= threshold, share, keep.order))
        for table in tables
    ]


def refuse_other_laws(errors: ErrorModel) -> None:
    """Refuse deliveries whose factors are not lognormal.

    What is left of a cell whose own noise is cut is the mean of its factor given the errors that it
    shares, and only a lognormal factor has one of its own law.

    Raises:
        ConfigError: an entry of the deliveries has another law, or factors from a file.
    """
    matrix = errors.method.matrix
    for entry in errors:
        own = entry.law is Law.LOGNORMAL and not isinstance(entry.size, Empirical)
        if entry.quantity is matrix and not own:
            raise _other_law(matrix)


def refuse_rebalancing(errors: ErrorModel) -> None:
    """Refuse draws that are balanced: balancing moves every cell, so none can be left out.

    Raises:
        ConfigError: they are.
    """
    if errors.rebalance is not None:
        raise _rebalanced()


def _rebalanced() -> ConfigError:
    return ConfigError(
        "split mode leaves out cells that balancing would move",
        where="method.rebalance",
        remedy="leave the section [split] or `rebalance` out",
    )


def _other_law(matrix: Quantity) -> ConfigError:
    return ConfigError(
        f"split mode cuts the noise of lognormal deliveries only, and {matrix} has another law",
        where="split",
        remedy="leave the section [split] out, or give these deliveries the law `lognormal`",
    )


# --- what is asked ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Levels, as pairs of a year with itself, and changes; f indicators x consumers x parts.

    Attributes:
        pairs: positions of the two years.
        variance: relative variance of a level, variance of a change of logarithms, (pairs,f).
        gradients: of each year, relative to its footprint, cells flattened to (...,f).
    """

    pairs: tuple[tuple[int, int], ...]
    variance: F64
    gradients: tuple[Gradient, ...]

    @classmethod
    def of(cls, tables: Sequence[Prepared], law: Twin) -> _Asked:
        parts = (0, 1, 2) if tables[0].direction is Direction.FORWARD else (0,)
        last = len(tables) - 1
        pairs = [(t, t) for t in range(last + 1)] + [(t, t + 1) for t in range(last)]
        if last > 1:
            pairs.append((0, last))
        F = law.footprint[..., parts].reshape(last + 1, -1)
        F = np.where(F == 0, np.inf, F)
        covariance = law.covariance[..., parts].reshape(last + 1, last + 1, -1)
        covariance = covariance / (F[:, None] * F[None])
        variance = [
            covariance[t, t]
            if t == s
            else covariance[t, t] + covariance[s, s] - 2 * covariance[t, s]
            for t, s in pairs
        ]
        gradients = (
            _relative(law.linearised[t], table, parts, F[t]) for t, table in enumerate(tables)
        )
        return cls(tuple(pairs), np.stack(variance), tuple(gradients))

    def on(self, own: F64, rows: slice, columns: slice) -> Functionals:
        """As the kernel takes them, for one tile of cells whose normals correlate by `own`."""
        parts = [gradient.at(rows, columns) for gradient in self.gradients]
        row, column, shift = (
            np.ascontiguousarray(np.stack([getattr(part, name) for part in parts]))
            for name in ("row", "column", "shift")
        )
        positive = self.variance > 0
        per_variance = np.divide(
            1.0, self.variance, out=np.zeros_like(self.variance), where=positive
        )
        pairs = np.array(self.pairs, dtype=np.int64)
        return Functionals(row, column, shift, own, pairs, per_variance)


def _relative(year: Linearised, table: Prepared, parts: Sequence[int], F: F64) -> Gradient:
    gradient, shape = year.gradients[table.matrix], year.footprint.shape
    row, column, shift = (
        np.broadcast_to(values, (len(values), *shape))[..., parts].reshape(len(values), -1)
        for values in (gradient.row, gradient.column, gradient.shift)
    )
    return Gradient(row / F, column, np.broadcast_to(shift, row.shape))


# --- how much each cell matters -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Importance:
    """The importance of every cell, and what is lost by cutting all below a threshold.

    Attributes:
        cells: max_f S_ijf, (rows,columns), zero where there is no error.
        lost: sum of S_ijf over the cells of each bin of importance, (bins,pairs,f).
        counts: cells in each bin, (bins,).
    """

    cells: F32
    lost: F64
    counts: F64

    def threshold(self, keep: Keep) -> tuple[float, float]:
        """The least importance that is kept, and the share of variance this keeps of every f."""
        lost = np.cumsum(self.lost, axis=0).max(axis=(1, 2))  # by cutting a bin and all below
        if keep.fraction is None:
            cut = int(np.searchsorted(lost, 1 - keep.share, side="right"))
        else:
            below = np.cumsum(self.counts) <= (1 - keep.fraction) * self.counts.sum()
            cut = int(below.sum())
        share = 1.0 - float(lost[cut - 1]) if cut else 1.0
        return float(np.float32(_importance_of(cut))), share


def _importance(tables: Sequence[Prepared], asked: _Asked) -> _Importance:
    cells = np.zeros(tables[0].cells[tables[0].matrix][0].shape, dtype=np.float32)
    lost = np.zeros((BINS, *asked.variance.shape))
    counts = np.zeros(BINS)
    entries = [uncertain(table, table.matrix) for table in tables]
    shared = shared_keys(tables[0])
    for entry in zip(*entries, strict=True):
        own = own_correlation([one.terms for one in entry], shared)
        for lines, rows, columns in tiles(entry[0], len(tables)):
            dense = [spread(one, lines) for one in entry]
            i, j = np.nonzero(np.any([values != 0 for values in dense], axis=0))
            bins = np.empty(len(i), dtype=np.int64)
            spreads = np.stack([values[i, j] for values in dense], axis=1)
            add_shares(asked.on(own, rows, columns), spreads, i, j, lost, counts, bins)
            # As the bin's lower end, so that a threshold cuts whole bins.
            cells[rows.start + i, columns.start + j] = _importance_of(bins)
    return _Importance(cells, lost, counts)


def _importance_of(bins: I64 | int) -> F64:
    """The lower end of a bin."""
    lower: F64 = 10.0 ** (np.asarray(bins) / A_DECADE - DECADES)
    return lower


# --- cutting ------------------------------------------------------------------------------------


def _cut(table: Prepared, kept: Bool, share: float, order: int) -> Split:
    entries = uncertain(table, table.matrix) or table.kept.cells
    chosen = [kept[cells.positions()] for cells in entries]
    rest = [_shared_part(cells.only(~own)) for cells, own in zip(entries, chosen, strict=True)]
    columns = estimate(table.cells[table.matrix]).sum(axis=0)
    return Split(
        kept=tuple(cells.only(own) for cells, own in zip(entries, chosen, strict=True)),
        rest=tuple(cells for cells in rest if cells.terms),
        column_sums=columns,
        order=order,
        share=share,
    )


def _shared_part(cells: Cells) -> Cells:
    """The cells with the errors that they share with others alone."""
    shared = [term for term in cells.terms if term.groups is not None]
    length = np.sqrt(sum(term.weight**2 for term in shared))
    return replace(
        cells,
        log2_sd=(cells.log2_sd * length).astype(np.float32),
        terms=tuple(replace(term, weight=term.weight / length) for term in shared),
    )
