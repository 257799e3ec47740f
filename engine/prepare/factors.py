"""From the error sizes of cells to what their factors are drawn with: a law's, or a file's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from engine.error_model import (
    MEAN_ERRORS,
    MOST_CELLS,
    MOST_NUMBERS,
    MOST_SIZES,
    Empirical,
    Errors,
    Law,
    check_law,
)
from engine.errors import ConfigError
from engine.kernels.arrays import F32, F64, I32, I64, Bool
from engine.kernels.dirichlet import first_order_sizes, log2_quantiles
from engine.kernels.elementary import log_sd
from engine.kernels.laws import quantiles
from engine.kernels.perturb import LOG2E, NO_QUANTILES, NO_REALISATIONS, NO_SIZES
from engine.prepare.labels import Label
from engine.prepare.sizes import enlarged, mapped, piecewise, refuse_changed, sizes

_PIECE = 2**20  # factors that are looked at together, 8 MiB
_MEAN_ONE = "divide the values by the estimates of the tables, or write rescale = true"


class Factors(NamedTuple):
    """As in `engine.kernels.perturb.Cells`, the cells in row-major order."""

    log2_sd: F32
    quantiles: F32 = NO_QUANTILES
    size_of: I32 = NO_SIZES
    logarithmic: bool = False
    realised: F32 = NO_REALISATIONS


def factors_of(
    entry: Errors,
    flows: F64,
    i: I32,
    j: I32,
    labels: tuple[list[Label], list[Label]],
    year: int,
) -> Factors:
    """What the factors of the cells (i, j) are drawn with.

    Raises:
        ConfigError: a size that is missing or that the law cannot have, more distinct sizes than
            are tabulated, or a file that cannot be used.
    """
    if isinstance(entry.size, Empirical):
        return _from_file(entry, entry.size, flows, i, j, year)
    rsd = sizes(entry, flows, i, j, labels, year)
    rsd = enlarged(rsd, entry.provisional, year, f"errors of {entry.quantity}")
    if entry.law is Law.LOGNORMAL:
        return Factors(piecewise(lambda some: log_sd(some) * LOG2E, rsd, np.float32))
    where = f"errors of {entry.quantity}, year {year}"
    check_law(entry.law, float(rsd.max(initial=0.0)), where)
    distinct, size_of = np.unique(rsd, return_inverse=True)
    if len(distinct) > MOST_SIZES:
        raise ConfigError(
            f"the law `{entry.law}` is tabulated for each of {len(distinct)} distinct sizes, more "
            f"than {MOST_SIZES}",
            where=where,
            remedy="use fewer sizes (`rsd`, or a `table` by label), or the law `lognormal`",
        )
    log2_sd = (rsd * LOG2E).astype(np.float32)
    if not len(distinct):
        return Factors(log2_sd)
    return Factors(log2_sd, quantiles(entry.law, distinct), size_of.astype(np.int32))


def factors_of_shares(p: F64, concentration: F64) -> Factors:
    """What the factors of Dirichlet shares are drawn with.

    Args:
        p: the cells' shares of their totals, (cells,).
        concentration: of their totals, (cells,); infinity for factors of one.
    """
    log2_sd = (first_order_sizes(p, concentration) * LOG2E).astype(np.float32)
    return Factors(log2_sd, **drawn_as_shares(p, concentration))


def drawn_as_shares(p: F64, concentration: F64) -> dict[str, Any]:
    """The tables of Dirichlet shares by the names of `Factors`; arguments as above."""
    distinct, size_of = np.unique(concentration * p, return_inverse=True)
    return {
        "quantiles": log2_quantiles(distinct),
        "size_of": size_of.astype(np.int32),
        "logarithmic": True,
    }


def _from_file(entry: Errors, size: Empirical, flows: F64, i: I32, j: I32, year: int) -> Factors:
    shape = flows.shape
    path = size.file(year)
    where = f"errors of {entry.quantity}, file {path}"
    if len(i) > MOST_CELLS:
        raise ConfigError(
            f"{len(i)} cells are more than the {MOST_CELLS} whose factors can come from a file",
            where=where,
            remedy="narrow the entry with `only`, or state a size and components instead",
        )
    known = dict(size.sha256)
    if year not in known:
        raise ConfigError(
            f"the configuration did not name a file of {year}", where=where, remedy="run again"
        )
    found = mapped(path, where)
    if found.ndim != 3 or found.shape[1:] != shape or found.dtype.kind != "f":
        raise ConfigError(
            f"holds {found.dtype} of shape {found.shape}, not floats of (realisations, "
            f"{shape[0]}, {shape[1]})",
            where=where,
            remedy="give one factor a realisation and cell, in the order of the table",
        )
    if len(found) * len(i) > MOST_NUMBERS:
        raise ConfigError(
            f"{len(i)} cells of {len(found)} realisations are more than the {MOST_NUMBERS} factors "
            "that an entry can have from a file",
            where=where,
            remedy="give fewer realisations, or narrow the entry with `only`",
        )
    sums = _RowSums.of(np.abs(flows[i, j]), i, len(found))
    realised = np.empty((len(found), len(i)), dtype=np.float32)
    log2_sd = np.empty(len(i), dtype=np.float32)
    height = max(1, _PIECE // len(found))
    for first in range(0, len(i), height):
        some = slice(first, first + height)
        factors = found[:, i[some], j[some]].astype(np.float64)
        _refuse_impossible(factors, where)
        factors = _of_mean_one(factors, size, i[some], j[some], where)
        realised[:, some], log2_sd[some] = factors, factors.std(axis=0) * LOG2E
        sums.add(factors, some)
    refuse_changed(path, known[year], where)
    sums.refuse_shifted(where)
    return Factors(log2_sd=log2_sd, realised=realised)


def _refuse_impossible(factors: F64, where: str) -> None:
    if not (np.isfinite(factors).all() and factors.min(initial=1.0) >= 0):
        raise ConfigError(
            "holds factors that are negative or not finite",
            where=where,
            remedy="give value / estimate of each cell, 0 or more; 1 is the estimate itself",
        )


@dataclass(frozen=True, slots=True, eq=False)
class _RowSums:
    """Sums over the cells of each row with several: a shift that hides in the scatter of every
    single cell shows there.

    Attributes:
        rows: the rows that have several cells, ascending.
        row_of: which of them each cell is in, (cells,); -1 for none.
        shares: |value| of each cell over that of its row's cells, (cells,).
        sums: of share times factor, (realisations,rows).
    """

    rows: I64
    row_of: I64
    shares: F64
    sums: F64

    @classmethod
    def of(cls, sizes: F64, i: I32, realisations: int) -> _RowSums:
        """Of cells in row-major order, of these sizes."""
        rows, row_of, cells = np.unique(i, return_inverse=True, return_counts=True)
        several = cells > 1
        place = np.where(several, np.cumsum(several) - 1, -1)
        shares = sizes / np.bincount(row_of, sizes)[row_of]
        sums = np.zeros((realisations, int(several.sum())))
        return cls(rows[several].astype(np.int64), place[row_of], shares, sums)

    def add(self, factors: F64, some: slice) -> None:
        """Factors of some cells, (realisations,cells)."""
        inside = self.row_of[some] >= 0
        if inside.any():
            weighted = factors[:, inside] * self.shares[some][inside]
            rows, starts = np.unique(self.row_of[some][inside], return_index=True)
            self.sums[:, rows] += np.add.reduceat(weighted, starts, axis=1)

    def refuse_shifted(self, where: str) -> None:
        """Refuse rows whose mean is off one.

        Raises:
            ConfigError: the factors shift a row's sum.
        """
        height = max(1, _PIECE // len(self.sums))
        for first in range(0, len(self.rows), height):
            some = self.sums[:, first : first + height]
            off = _off_one(some)
            if off.any():
                shift = 100 * (some.mean(axis=0) - 1)
                worst = int(np.argmax(np.abs(shift) * off))
                raise ConfigError(
                    f"the factors shift the sums of {int(off.sum())} rows or more (that of row "
                    f"{self.rows[first + worst]} by {shift[worst]:+.3g} %), by more than "
                    f"{MEAN_ERRORS:g} of the standard errors of their means",
                    where=where,
                    remedy=_MEAN_ONE,
                )


def _off_one(values: F64) -> Bool:
    """Whether means over realisations are off one beyond their own errors, (columns,)."""
    count = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(count) if count > 1 else 0.0
    off: Bool = np.abs(values.mean(axis=0) - 1) > MEAN_ERRORS * error + 1e-6
    return off


def _of_mean_one(factors: F64, size: Empirical, i: I32, j: I32, where: str) -> F64:
    """Factors divided by their mean if asked; else refused where it is too far from one."""
    means = factors.mean(axis=0)
    if size.rescale:
        if not (means > 0).all():
            raise ConfigError(
                "a cell's factors are all zero and cannot be rescaled",
                where=where,
                remedy="leave the cell out with `only`, or give it factors",
            )
        rescaled: F64 = factors / means
        return rescaled
    off = _off_one(factors)
    if off.any():
        worst = int(np.argmax(np.abs(means - 1) * off))
        raise ConfigError(
            f"the factors of {int(off.sum())} cells or more are not 1 on average (at row "
            f"{i[worst]}, column {j[worst]} their mean is {means[worst]:.6g}), by more than "
            f"{MEAN_ERRORS:g} of its standard errors",
            where=where,
            remedy=_MEAN_ONE,
        )
    return factors
