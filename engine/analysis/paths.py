"""Paths of ln F over all years of a run, a consumer, stressor and part at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr

from engine.analysis.selection import CELL, Selection, select
from engine.kernels.arrays import F64, I64, Bool
from engine.kernels.changes import FACTOR_ROUNDING, accepted_draws, log_scale, numerical_error
from engine.kernels.declining import Numerical


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """One footprint over the years.

    Attributes:
        labels: stressor, unit, consumer and part.
        years: ascending.
        z: ln F of the draws accepted in every year, (D,T); None where one is not positive.
        centre: ln F of the estimate, (T,).
        numerical: errors of the draws.
        rejected: draws that were not accepted in every year.
    """

    labels: dict[str, Any]
    years: F64
    z: F64 | None
    centre: F64
    numerical: Numerical
    rejected: int

    @property
    def draws(self) -> int:
        """Draws accepted in every year."""
        return 0 if self.z is None else len(self.z)


def paths(ensemble: xr.Dataset) -> Iterator[Path]:
    """The path of every stressor, consumer and part, in this order."""
    asked = select(ensemble, None, None)
    order = np.argsort(asked.years)
    years = np.array(asked.years, dtype=np.float64)[order]
    there: Bool = np.asarray(asked.computed.all(axis=1))
    F, error = asked.footprint[there][:, order], asked.error[there][:, order]
    reference = asked.reference[order]
    accepted = accepted_draws(*np.moveaxis(F, 1, 0))
    F, error, rejected = F[accepted], error[accepted], int((~accepted).sum())
    log = log_scale(*np.moveaxis(F, 1, 0), *reference[:, None])
    z, centre = (np.log(np.where(log, values, 1.0)) for values in (F, reference))
    bound = _bound(F, error, z, log) if len(F) else np.zeros((len(years) - 1, *log.shape))
    away = None if asked.exact is None else _away(asked, there, order)
    for s, c, p in np.ndindex(*log.shape):
        cell = (s, c, p)
        yield Path(
            labels=_labels(asked, cell),
            years=years,
            z=np.ascontiguousarray(z[:, :, s, c, p]) if log[cell] else None,
            centre=centre[:, s, c, p],
            numerical=Numerical(
                bound[:, s, c, p], None if away is None else _finite(away[:, :, s, c, p])
            ),
            rejected=rejected,
        )


def _labels(asked: Selection, cell: tuple[int, int, int]) -> dict[str, Any]:
    stressor, consumer, part = (
        str(asked.coords[dim].to_numpy()[i]) for dim, i in zip(CELL, cell, strict=True)
    )
    unit = (
        str(asked.coords["stressor_unit"].to_numpy()[cell[0]])
        if "stressor_unit" in (asked.coords)
        else ""
    )
    return {"stressor": stressor, "unit": unit, "consumer": consumer, "part": part}


def _bound(F: F64, error: F64, z: F64, log: Bool) -> F64:
    """On the numerical error of each difference of successive years, as for changes, (T-1, ...)."""
    s = z.std(axis=0)
    return np.stack(
        [
            numerical_error(F[:, t], F[:, u], error[:, t, ..., None], error[:, u, ..., None], log)
            + FACTOR_ROUNDING * (s[t] + s[u])
            for t, u in pairwise(range(F.shape[1]))
        ]
    )


def _away(asked: Selection, there: Bool, order: I64) -> F64:
    """ln F in split mode minus the exact one, of the draws computed both ways, (n,T, ...)."""
    assert asked.exact is not None
    split, exact = asked.footprint[there][:, order], asked.exact[there][:, order]
    both = accepted_draws(*np.moveaxis(split, 1, 0), *np.moveaxis(exact, 1, 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.log(split[both]) - np.log(exact[both]))


def _finite(away: F64) -> F64:
    """No draws at all where one of them has no logarithm."""
    return away if np.isfinite(away).all() else away[:0]
