"""The part of an ensemble that is asked for, in memory and in the order the kernels expect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from engine.errors import InputError
from engine.kernels.arrays import F64, Bool
from engine.stores.layout import NOT_COMPUTED

CELL = ("stressor", "consumer", "part")
Names = str | Sequence[str] | None


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Draws of the asked stressors and consumers.

    Attributes:
        footprint: (draw, year, stressor, consumer, part), NaN where a draw was not accepted.
        reference: footprints of the estimates, (year, stressor, consumer, part).
        error: bound on the absolute numerical error of every part, (draw, year, stressor,
            consumer); zero in split mode where `exact` is there to measure it.
        exact: in split mode the footprints of the draws that were also computed exactly, like
            `footprint` and NaN for the others; None in an exact ensemble.
        computed: whether a draw is there at all, accepted or not, (draw, year).
        years: ascending or not, as the ensemble has them.
        coords: coordinates of the results.
        attrs: what the ensemble says of itself.
    """

    footprint: F64
    reference: F64
    error: F64
    exact: F64 | None
    computed: Bool
    years: tuple[int, ...]
    coords: dict[str, xr.Variable]
    attrs: dict[str, object]


def select(ensemble: xr.Dataset, stressor: Names, consumer: Names) -> Selection:
    """Load what is asked, and nothing else.

    Raises:
        InputError: a dimension, a name or the part `total` is missing.
    """
    _refuse_incomplete(ensemble)
    asked = ensemble
    for dim, names in (("stressor", stressor), ("consumer", consumer)):
        if names is not None:
            asked = asked.sel({dim: _known(ensemble, dim, names)})
    footprint = asked["footprint"].transpose("draw", "year", *CELL).to_numpy()
    total = [str(part) for part in asked["part"].to_numpy()].index("total")
    relative = asked["certified_error"].transpose("draw", "year").to_numpy()
    exact = None
    if "exact" in asked:
        exact = asked["exact"].transpose("draw", "year", *CELL).to_numpy()
        relative = np.zeros_like(relative)
    keep = (*CELL, "stressor_unit")
    return Selection(
        footprint=footprint,
        reference=asked["reference"].transpose("year", *CELL).to_numpy(),
        error=relative[..., None, None] * np.abs(footprint[..., total]),
        exact=exact,
        computed=asked["status"].transpose("draw", "year").to_numpy() != NOT_COMPUTED,
        years=tuple(int(year) for year in asked["year"].to_numpy()),
        coords={name: asked[name].variable for name in keep if name in asked.coords},
        attrs=dict(ensemble.attrs),
    )


def _refuse_incomplete(ensemble: xr.Dataset) -> None:
    for dim in ("draw", "year", *CELL):
        if dim not in ensemble.dims:
            raise InputError(
                f"the ensemble has no dimension `{dim}` any more",
                where="analysis",
                remedy=f"keep the dimension: select with a list, as in sel({dim}=[...])",
            )
    if "total" not in ensemble["part"].to_numpy():
        raise InputError(
            "the part `total` is not selected, and numerical errors are certified relative to it",
            where="analysis",
            remedy="select parts in the result instead",
        )


def _known(ensemble: xr.Dataset, dim: str, names: str | Sequence[str]) -> list[str]:
    wanted = [names] if isinstance(names, str) else list(names)
    known = [str(name) for name in ensemble[dim].to_numpy()]
    for name in wanted:
        if name not in known:
            raise InputError(
                f"the ensemble has no {dim} {name}",
                where="analysis",
                remedy=f"it has {', '.join(known)}",
            )
    return wanted
