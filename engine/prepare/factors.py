"""From the error sizes of cells to what their factors are drawn with: a law's, or a file's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.error_model import (
    MEAN_ERRORS,
    MOST_CELLS,
    MOST_SIZES,
    Empirical,
    Errors,
    Law,
    check_law,
)
from engine.errors import ConfigError
from engine.kernels.arrays import F32, F64, I32
from engine.kernels.elementary import log_sd
from engine.kernels.laws import quantiles
from engine.kernels.perturb import LOG2E, NO_QUANTILES, NO_REALISATIONS, NO_SIZES
from engine.prepare.labels import Label
from engine.prepare.sizes import array_from, piecewise, sizes


class Factors(NamedTuple):
    """As in `engine.kernels.perturb.Cells`, the cells in row-major order."""

    log2_sd: F32
    quantiles: F32 = NO_QUANTILES
    size_of: I32 = NO_SIZES
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
        return _from_file(entry, entry.size, flows.shape, i, j, year)
    rsd = sizes(entry, flows, i, j, labels, year)
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


def _from_file(
    entry: Errors, size: Empirical, shape: tuple[int, ...], i: I32, j: I32, year: int
) -> Factors:
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
    found = array_from(path, known[year], where)
    if found.ndim != 3 or found.shape[1:] != shape or found.dtype.kind != "f":
        raise ConfigError(
            f"holds {found.dtype} of shape {found.shape}, not floats of (realisations, "
            f"{shape[0]}, {shape[1]})",
            where=where,
            remedy="give one factor a realisation and cell, in the order of the table",
        )
    factors = found[:, i, j].astype(np.float64)
    if not (np.isfinite(factors).all() and factors.min(initial=1.0) >= 0):
        raise ConfigError(
            "holds factors that are negative or not finite",
            where=where,
            remedy="give value / estimate of each cell, 0 or more; 1 is the estimate itself",
        )
    factors = _of_mean_one(factors, size, i, j, where)
    return Factors(
        log2_sd=(factors.std(axis=0) * LOG2E).astype(np.float32),
        realised=factors.astype(np.float32),
    )


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
    error = factors.std(axis=0, ddof=1) / np.sqrt(len(factors)) if len(factors) > 1 else 0.0
    off = np.abs(means - 1) > MEAN_ERRORS * error + 1e-6
    if off.any():
        worst = int(np.argmax(np.abs(means - 1) * off))
        raise ConfigError(
            f"the factors of {int(off.sum())} cells are not 1 on average (at row {i[worst]}, "
            f"column {j[worst]} their mean is {means[worst]:.6g}), by more than "
            f"{MEAN_ERRORS:g} of its standard errors",
            where=where,
            remedy="divide the values by the estimates of the tables, or write rescale = true",
        )
    return factors
