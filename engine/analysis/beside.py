"""What a kernel says of every change, beside the verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from engine.analysis.changes import of_pair
from engine.analysis.selection import CELL, select
from engine.analysis.tables import Row, verdict_table


def beside_verdicts(
    ensemble: xr.Dataset,
    changes: xr.Dataset,
    statistics: Callable[..., dict[str, NDArray[Any]]],
) -> Iterator[tuple[Row, dict[str, NDArray[Any]], tuple[int, ...]]]:
    """Every change as a row of `verdict_table`, what `statistics` found, and its place there.

    Args:
        changes: `engine.analysis.changes` of the pairs to tell of.
        statistics: as `engine.analysis.changes.of_pair` takes them.
    """
    asked = select(ensemble, None, None)
    shape = tuple(changes.sizes[dim] for dim in CELL)
    rows = iter(verdict_table(changes))
    ends = (changes[end].to_numpy().tolist() for end in ("from_year", "to_year"))
    for first, second in zip(*ends, strict=True):
        found = of_pair(asked, first, second, statistics)
        for cell in np.ndindex(shape):
            yield next(rows), found, cell
