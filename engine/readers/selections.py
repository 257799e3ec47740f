"""Which rows of a publisher's extension make up a stressor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.readers.masses import refuse_wrong_prefix
from engine.readers.nearest import nearest

# For whoever parses these specs from text: a misspelt `factor` must not quietly become 1.
_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of an extension make up a stressor.

    Attributes:
        rows: names of the rows, summed; parts of a name that has several are joined by " - ".
        unit: the unit of the stressor.
        factor: `unit` per `file_unit`.
        file_unit: the unit the rows must have in the file; empty: the same as `unit`.
        extension: the extension that holds the rows; empty: the one the reader is told.
    """

    __pydantic_config__ = _STRICT

    rows: tuple[str, ...]
    unit: str
    factor: float = 1.0
    file_unit: str = ""
    extension: str = ""

    def __post_init__(self) -> None:
        if not self.rows or len(set(self.rows)) < len(self.rows):
            raise ConfigError(
                f"the rows {self.rows} are none, or one is named twice",
                remedy="name every row of the extension that belongs to the stressor once",
            )
        refuse_factor(self.unit, self.factor, self.file_unit)

    def refuse_others(self, names: Sequence[str], units: Mapping[str, str]) -> None:
        """Refuse an extension that has not each of the rows once, in the unit stated.

        Raises:
            TableError: a row is missing, there twice, or in another unit.
        """
        in_file = self.file_unit or self.unit
        for row in self.rows:
            if names.count(row) != 1:
                raise TableError(
                    f"the extension has {names.count(row)} rows {row!r}",
                    remedy=nearest(row, names),
                )
            if units.get(row) != in_file:
                raise TableError(
                    f"row {row!r} is in {units.get(row)}, the selection takes it for {in_file}",
                    remedy="state the row's unit as file_unit, and the factor from it to unit",
                )


def refuse_factor(unit: str, factor: float, file_unit: str) -> None:
    """Refuse a factor that is not positive, does not go with the units, or has a wrong prefix.

    Raises:
        ConfigError: it is one of these.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise ConfigError(f"the factor is {factor}", remedy="give a positive number, such as 1e-6")
    if (factor == 1) != (file_unit in ("", unit)):
        raise ConfigError(
            f"a factor of {factor} does not go with {file_unit!r} -> {unit!r}",
            remedy="state file_unit, the unit in the file, and the factor together, or neither",
        )
    refuse_wrong_prefix(unit, factor, file_unit or unit)
