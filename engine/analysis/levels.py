"""Footprints of single years with labels: estimate, mean, spread and coverage intervals."""

from __future__ import annotations

import numpy as np
import xarray as xr

from engine.analysis.selection import CELL, Names, select
from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule, accepted_draws
from engine.kernels.monte_carlo import Estimate, mean, quantiles, relative_sd, sd

BANDS = (0.025, 0.25, 0.75, 0.975)  # the ends of the 95 and 50 % bands
_RAW = "as stressor_unit"
_MEANINGS = {
    "reference": ("footprint of the estimate", _RAW),
    "draws": ("accepted draws", "1"),
    "mean": ("mean over draws", _RAW),
    "median": ("median over draws", _RAW),
    "sd": ("standard deviation over draws", _RAW),
    "relative_sd": ("standard deviation relative to the mean", "1"),
    "quantiles": ("quantiles over draws", _RAW),
}


def levels(
    ensemble: xr.Dataset,
    rule: DetectionRule | None = None,
    *,
    stressor: Names = None,
    consumer: Names = None,
) -> xr.Dataset:
    """Statistics of every year's footprint, dims year, stressor, consumer, part (and quantile).

    Args:
        ensemble: an opened ensemble, dims draw, year, stressor, consumer, part.
        rule: its coverage interval joins the 50 and 95 % bands; 95 % if not given.
        stressor, consumer: names to limit the analysis to; only these are read.

    Raises:
        InputError: the ensemble has no such name.
    """
    rule = DetectionRule() if rule is None else rule
    asked = select(ensemble, stressor, consumer)
    bands = sorted({*BANDS, *rule.interval})
    found = [
        _statistics(asked.footprint[asked.computed[:, t], t], bands)
        for t in range(len(asked.years))
    ]
    columns = {name: np.stack([one[name] for one in found]) for name in found[0]}
    columns["reference"] = asked.reference
    variables = {}
    for name, values in columns.items():
        dims = ("year", "quantile", *CELL) if name.startswith("quantiles") else ("year", *CELL)
        variables[name] = (dims, values, _attributes(name))
    return xr.Dataset(
        variables,
        coords=asked.coords | {"year": list(asked.years), "quantile": bands},
        attrs=asked.attrs | {"confidence": rule.confidence},
    )


def _statistics(footprint: F64, bands: list[float]) -> dict[str, F64]:
    """One year's statistics; footprint is (draw, stressor, consumer, part)."""
    accepted = footprint[accepted_draws(footprint)]
    ordered = quantiles(accepted, [0.5, *bands])
    estimates = {
        "mean": mean(accepted),
        "median": Estimate(ordered.value[0], ordered.mcse[0]),
        "sd": sd(accepted),
        "relative_sd": relative_sd(accepted),
        "quantiles": Estimate(ordered.value[1:], ordered.mcse[1:]),
    }
    found = {"draws": np.full(footprint.shape[1:], len(accepted))}
    for name, estimate in estimates.items():
        found |= {name: estimate.value, f"{name}_mcse": estimate.mcse}
    return found


def _attributes(name: str) -> dict[str, str]:
    what, unit = _MEANINGS[name.removesuffix("_mcse")]
    prefix = "Monte Carlo standard error: " if name.endswith("_mcse") else ""
    return {"long_name": prefix + what, "units": unit}
