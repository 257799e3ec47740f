"""Stressors as sums of rows of a publisher's satellite accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.readers.nearest import nearest


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of satellite accounts that make up one stressor.

    Attributes:
        rows: their names, as the reader writes them.
        unit: the unit of the stressor.
        file_unit: the unit of the rows in the files; the stressor's if not given.
        factor: `unit` per `file_unit`.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    rows: tuple[str, ...]
    unit: str
    file_unit: str | None = None
    factor: float = 1.0

    def __post_init__(self) -> None:
        if not self.rows or len(set(self.rows)) < len(self.rows):
            raise ConfigError(
                "no rows are named" if not self.rows else "a row is named twice",
                remedy="name at least one row, each once",
            )
        if not (np.isfinite(self.factor) and self.factor > 0):
            raise ConfigError(
                f"the factor is {self.factor}", remedy="give a positive number, such as 1e-3"
            )


@dataclass(frozen=True, slots=True)
class Selected:
    """Which rows of an account count in which stressor.

    Attributes:
        stressors: k of them.
        of_row: by the place of a row: the stressors it counts in, each with its factor.
    """

    stressors: int
    of_row: Mapping[int, Sequence[tuple[int, float]]]

    def add(self, total: F64, first: int, rows: F64) -> None:
        """Add rows of the account, from number `first` on, to `total`, (k, columns), in place."""
        for place, row in enumerate(rows, first):
            for stressor, factor in self.of_row.get(place, ()):
                total[stressor] += factor * row

    def squared(self) -> Selected:
        """The same rows with squared factors, for variances."""
        return Selected(
            self.stressors,
            {
                row: [(stressor, factor**2) for stressor, factor in counts]
                for row, counts in self.of_row.items()
            },
        )


def selected(stressors: Mapping[str, Rows], names: Sequence[str], units: Sequence[str]) -> Selected:
    """Find the rows of every stressor among those of an account.

    Args:
        names: of the account's rows.
        units: of the account's rows; an empty one is not known.

    Raises:
        TableError: a row is not there, there twice, or in another unit than is said.
    """
    times = Counter(names)
    of_row: dict[int, list[tuple[int, float]]] = {}
    for place, (stressor, asked) in enumerate(stressors.items()):
        in_file = asked.file_unit or asked.unit
        for row in asked.rows:
            if times[row] != 1:
                raise TableError(
                    f"{stressor}: the account has {times[row]} rows {row!r}",
                    remedy=nearest(row, names),
                )
            at = names.index(row)
            if units[at] != in_file:
                raise TableError(
                    f"{stressor}: row {row!r} is in {units[at] or 'no stated unit'}, the "
                    f"configuration takes it for {in_file}",
                    remedy="state the row's unit as file_unit, and the factor from it to unit",
                )
            of_row.setdefault(at, []).append((place, asked.factor))
    return Selected(len(stressors), of_row)


def units_of(stressors: Iterable[Rows]) -> tuple[str, ...]:
    """The unit of each stressor."""
    return tuple(asked.unit for asked in stressors)
