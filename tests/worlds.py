"""Tables made from other tables, whose footprints are known, and the reference footprint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine.kernels.arrays import F64
from engine.kernels.leontief import parts, per_unit_output, required_output
from engine.mrio import MRIO


def footprints(table: MRIO) -> F64:
    """Reference footprint of every region by part, (k,r,4): total, domestic, foreign, direct."""
    A = per_unit_output(table.Z, table.x, table.active)
    s = per_unit_output(table.E, table.x, table.active)
    regions = np.array(table.labels.regions)
    homes = np.array([region for region, _ in table.labels.industries])
    X = required_output(A, np.asarray(table.Y))
    return parts(s, X, homes[:, None] == regions, table.F_Y)


def disaggregate(table: MRIO, factor: int) -> MRIO:
    """Every sector split into `factor` equal ones; no footprint changes."""
    industries = tuple(
        (region, f"{sector}.{part}")
        for region, sector in table.labels.industries
        for part in range(factor)
    )
    output = table.published_output
    return replace(
        table,
        labels=replace(table.labels, industries=industries),
        Z=np.kron(table.Z, np.full((factor, factor), factor**-2.0)),
        Y=np.repeat(table.Y, factor, axis=0) / factor,
        E=np.repeat(table.E, factor, axis=1) / factor,
        published_output=None if output is None else np.repeat(output, factor) / factor,
    )


def permute(table: MRIO, order: Sequence[int]) -> MRIO:
    """Industries in another order, and regions in the order in which they then first appear."""
    old = table.labels
    industries = tuple(old.industries[i] for i in order)
    regions = tuple(dict.fromkeys([region for region, _ in industries] + list(old.regions)))
    columns = [old.regions.index(region) for region in regions]
    output = table.published_output
    return replace(
        table,
        labels=replace(old, industries=industries, regions=regions),
        Z=table.Z[np.ix_(order, order)],
        Y=table.Y[np.ix_(order, columns)],
        E=table.E[:, order],
        F_Y=table.F_Y[:, columns],
        published_output=None if output is None else output[list(order)],
    )
