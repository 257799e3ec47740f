"""The made-up table that pymrio carries: six regions, eight sectors, one year, SYNTHETIC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymrio
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.mrio import MRIO, Labels, Provenance
from engine.readers.files import located
from engine.readers.nearest import nearest
from engine.readers.selections import Selection

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
    stressors: Mapping[str, Selection]
    year: int

    def __post_init__(self) -> None:
        if not self.stressors:
            raise ConfigError("no stressors are selected", remedy="select at least one")


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
        rows = [_rows(core, source.extension, chosen) for chosen in source.stressors.values()]
        return MRIO(
            year=year,
            labels=Labels(
                regions=regions,
                industries=tuple((region, sector) for region, sector in core.Z.columns),
                stressors=tuple(source.stressors),
                stressor_units=tuple(chosen.unit for chosen in source.stressors.values()),
                currency=f"{core.unit['unit'].iloc[0]}, current basic prices",
            ),
            Z=core.Z.to_numpy(),
            Y=_by_region(core.Y, regions),
            E=np.stack([of_industries.to_numpy() for of_industries, _ in rows]),
            F_Y=np.concatenate([_by_region(direct, regions) for _, direct in rows]),
            provenance=Provenance(
                source="pymrio's test table, made-up numbers",
                version=f"pymrio {pymrio.__version__}",
                licence="as pymrio, LGPL-3.0",
                synthetic=True,
            ),
        )


def _rows(core: Any, extension: str, chosen: Selection) -> tuple[Any, Any]:
    """The selected rows' sum over industries, and over columns of final demand."""
    names = list(core.get_extensions())
    name = chosen.extension or extension
    if name not in names:
        raise TableError(f"has no extension {name!r}", remedy=nearest(name, names))
    found = getattr(core, name)
    rows = [" - ".join(row if isinstance(row, tuple) else (row,)) for row in found.F.index]
    chosen.refuse_others(rows, dict(zip(rows, found.unit["unit"], strict=True)))
    places = [rows.index(row) for row in chosen.rows]
    of_industries = found.F.iloc[places].sum() * chosen.factor
    if getattr(found, "F_Y", None) is None:
        return of_industries, 0 * core.Y.iloc[:1]
    return of_industries, found.F_Y.iloc[places].sum().to_frame().T * chosen.factor


def _by_region(frame: Any, regions: Sequence[str]) -> F64:
    """Columns summed by region, (rows, r)."""
    total: F64 = np.stack([frame[region].to_numpy().sum(axis=1) for region in regions], axis=1)
    return total
