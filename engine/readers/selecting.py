"""Stressors as sums of rows of a publisher's satellite accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ConfigDict

from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F64
from engine.readers.masses import refuse_not_positive, refuse_wrong_prefix
from engine.readers.nearest import nearest

_AGAIN = "download the account again"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of satellite accounts that make up one stressor.

    Attributes:
        rows: their names, summed; parts of a name that has several are joined by " - ".
        unit: the unit of the stressor.
        file_unit: the unit that the rows must have in the files; empty: the same as `unit`.
        factor: `unit` per `file_unit`; must be given, be it 1, where the two differ.
        extension: the extension that holds the rows, of databases that have several; empty: the
            one that the reader is told.
    """

    # For whoever parses these specs from text: a misspelt `factor` must not quietly become 1.
    __pydantic_config__ = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    rows: tuple[str, ...]
    unit: str
    file_unit: str = ""
    factor: float | None = None
    extension: str = ""

    def __post_init__(self) -> None:
        if not self.rows or len(set(self.rows)) < len(self.rows):
            raise ConfigError(
                "a row is named twice" if self.rows else "no rows are named",
                remedy="name at least one row, each once",
            )
        conversion(self.unit, self.file_unit, self.factor)


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
        factor = conversion(asked.unit, asked.file_unit, asked.factor)
        for row in asked.rows:
            if times[row] != 1:
                raise TableError(
                    f"{stressor}: the account has {times[row] or 'no'} rows {row!r}",
                    remedy=f"{_AGAIN}, or name another row" if times[row] else nearest(row, names),
                )
            at = names.index(row)
            if units[at] != in_file:
                raise TableError(
                    f"{stressor}: row {row!r} is in {units[at] or 'no stated unit'}, the "
                    f"configuration takes it for {in_file}",
                    remedy="state the row's unit as file_unit, and the factor from it to unit",
                )
            of_row.setdefault(at, []).append((place, factor))
    return Selected(len(stressors), of_row)


def units_of(stressors: Mapping[str, Rows]) -> tuple[str, ...]:
    """The unit of each stressor."""
    return tuple(asked.unit for asked in stressors.values())


def refuse_none(stressors: Mapping[str, object]) -> None:
    """Refuse a source of no stressors.

    Raises:
        ConfigError: it has none.
    """
    if not stressors:
        raise ConfigError("no stressors are named", remedy="name at least one")


def refuse_extensions(stressors: Mapping[str, Rows]) -> None:
    """Refuse a stressor in an extension, of a database that has none.

    Raises:
        ConfigError: one is.
    """
    for name, asked in stressors.items():
        if asked.extension:
            raise ConfigError(
                f"{name}: extension is {asked.extension!r}, and this database has no extensions",
                remedy="leave `extension` out; a row is found by its name",
            )


def conversion(unit: str, file_unit: str, factor: float | None) -> float:
    """`unit` per unit in the file; 1 where the file's is the same.

    Raises:
        ConfigError: the factor is not positive, does not go with the units, or has a wrong prefix.
    """
    if factor is not None:
        refuse_not_positive(factor)
    if file_unit in ("", unit):
        if factor not in (None, 1):
            raise ConfigError(
                f"a factor of {factor} from {unit!r} to itself",
                remedy="state file_unit, the unit in the file, with the factor, or neither",
            )
        return 1.0
    if factor is None:
        raise ConfigError(
            f"no factor from {file_unit!r} to {unit!r}",
            remedy=f"state the factor: how many {unit} one {file_unit} is, 1 if they are the same",
        )
    refuse_wrong_prefix(unit, factor, file_unit)
    return factor
