"""The made-up table that pymrio carries: six regions, eight sectors, one year, SYNTHETIC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymrio
from pydantic import ConfigDict

from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.files import located
from engine.readers.nearest import nearest
from engine.readers.selecting import Rows, refuse_none, selected, units_of

_WHERE = "pymrio's test table"


@dataclass(frozen=True, slots=True)
class Pymrio:
    """pymrio's test table.

    Attributes:
        extension: the extension that holds the stressors, "emissions" or "factor_inputs"; a
            stressor may name another.
        stressors: the rows that make up each stressor, by name.
        year: the year the table is taken for, since it states none.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    extension: str
    stressors: Mapping[str, Rows]
    year: int

    def __post_init__(self) -> None:
        refuse_none(self.stressors)


def years(source: Pymrio) -> tuple[int, ...]:
    """The one year the table is taken for."""
    return (source.year,)


def read(source: Pymrio, year: int) -> MRIO:
    """The table.

    Raises:
        TableError: it is taken for another year, or lacks what is selected.
    """
    if year != source.year:
        raise TableError(f"there is no table of {year}", where=_WHERE, remedy=f"use {source.year}")
    with located(_WHERE):
        core = pymrio.load_test()
        regions = tuple(core.get_regions())
        rows = [_rows(core, source.extension, *chosen) for chosen in source.stressors.items()]
        return MRIO(
            year=year,
            labels=Labels(
                regions=regions,
                industries=tuple((region, sector) for region, sector in core.Z.columns),
                stressors=tuple(source.stressors),
                stressor_units=units_of(source.stressors),
                currency=f"{core.unit['unit'].iloc[0]}, current basic prices",
            ),
            Z=core.Z.to_numpy(),
            Y=_by_region(core.Y.to_numpy(), core.Y.columns, regions),
            E=np.concatenate([of_industries for of_industries, _ in rows]),
            F_Y=np.concatenate([_by_region(direct, core.Y.columns, regions) for _, direct in rows]),
            provenance=Provenance(
                source="pymrio's test table, made-up numbers",
                version=f"pymrio {pymrio.__version__}",
                licence="as pymrio, LGPL-3.0",
                synthetic=True,
            ),
        )


def _rows(core: Any, extension: str, stressor: str, asked: Rows) -> tuple[F64, F64]:
    """A stressor by industry, (1,n), and by column of final demand, (1,m)."""
    names = list(core.get_extensions())
    name = asked.extension or extension
    if name not in names:
        raise TableError(f"has no extension {name!r}", remedy=nearest(name, names))
    found = getattr(core, name)
    units = found.unit["unit"]
    of_industries = _sum(found.F[core.Z.columns], units, stressor, asked)
    if getattr(found, "F_Y", None) is None:
        return of_industries, np.zeros((1, core.Y.shape[1]))
    return of_industries, _sum(found.F_Y[core.Y.columns], units, stressor, asked)


def _sum(account: Any, units: Any, stressor: str, asked: Rows) -> F64:
    """The sum of an account's selected rows, (1, columns)."""
    names = [" - ".join(row if isinstance(row, tuple) else (row,)) for row in account.index]
    chosen = selected({stressor: asked}, names, list(units.loc[account.index]))
    total: F64 = np.zeros((1, account.shape[1]))
    chosen.add(total, 0, account.to_numpy())
    return total


def _by_region(values: F64, columns: Any, regions: Sequence[str]) -> F64:
    """Columns of final demand summed by region, (rows, r)."""
    of = columns.get_level_values(0)
    total: F64 = np.stack([values[:, of == region].sum(axis=1) for region in regions], axis=1)
    return total
