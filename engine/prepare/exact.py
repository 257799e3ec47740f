"""What has no error at all, and is so taken as exact: how much of each quantity, and where.

A cell that no entry covers, or whose size is zero, is a claim of perfect data. Nobody means it of a
whole country; so its share is measured here, to be told wherever an error model is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.error_model import EMISSIONS, KEYS, PERTURBED, ErrorModel, Quantity, kind
from engine.errors import ConfigError
from engine.kernels.arrays import F64, I32, I64, Bool
from engine.kernels.perturb import Cells
from engine.mrio import MRIO
from engine.prepare.labels import Label, axis_labels
from engine.prepare.prepared import Prepared
from engine.question import Question
from engine.wording import QUANTITIES

_PIECE = 2**20  # cells whose positions are in memory together
_WHOLE = 1 - 1e-9  # of an amount: rounding of sums aside, all of it
_MOST_SECTORS = 12  # that are named; regions all are, for a country left out must not hide
_LARGEST = 5


@dataclass(frozen=True, slots=True)
class Exact:
    """What of one quantity is taken as exact in one year.

    Attributes:
        quantity: what it is, in words.
        stressor: of emissions; empty elsewhere.
        share: of the sum of the sizes |q| of its cells, in (0, 1]. Intensities and coefficients are
            weighed by output: it is a share of emissions and of flows. Industries without output,
            which are in no footprint, do not count.
        where: the regions or sectors that are exact, in words; empty where all is.
    """

    quantity: str
    stressor: str
    share: float
    where: str

    @property
    def name(self) -> str:
        """`emissions of industries E, CO2`."""
        return f"{self.quantity}, {self.stressor}" if self.stressor else self.quantity

    @property
    def amount(self) -> str:
        """The share in words, never rounded to nothing or to all."""
        if self.share >= _WHOLE:
            return "all"
        percent = 100 * self.share
        if percent < 0.01:
            return "< 0.01 %"
        return f"{percent:.2g} %" if percent < 99 else f"{min(percent, 99.9):.1f} %"


def taken_as_exact(prepared: Prepared, table: MRIO, question: Question) -> tuple[Exact, ...]:
    """What has no error, by quantity, emissions by each stressor the question asks for.

    Args:
        prepared: of one scenario.
        table: the same year's.
    """
    quantities = PERTURBED[prepared.method]
    return tuple(one for quantity in quantities for one in _of(prepared, table, question, quantity))


def _of(prepared: Prepared, table: MRIO, question: Question, quantity: Quantity) -> Iterator[Exact]:
    labels = axis_labels(quantity, table, question)
    bare = _with_bare(prepared, quantity)
    weights = _weights(quantity, table)
    if quantity not in EMISSIONS:
        yield from _exact(quantity, "", _Sums.of(bare, weights), labels)
        return
    rows = [cells.positions()[0] for cells, _ in bare]
    for row in np.flatnonzero((prepared.characterisation != 0).any(axis=0)):
        chosen = [of == row for of in rows]
        of_stressor = [
            (cells.only(some), without[some])
            for (cells, without), some in zip(bare, chosen, strict=True)
        ]
        yield from _exact(quantity, labels[0][row][0], _Sums.of(of_stressor, weights), labels)


def most_exact(years: Mapping[int, Sequence[Exact]]) -> list[tuple[int, Exact]]:
    """Of each quantity and stressor the year in which most of it is exact, the first if several."""
    most: dict[str, tuple[int, Exact]] = {}
    for year, some in years.items():
        for one in some:
            if one.name not in most or one.share > most[one.name][1].share + 1e-12:
                most[one.name] = year, one
    return list(most.values())


def exact_in_words(years: Mapping[int, Sequence[Exact]]) -> Iterator[str]:
    """One line for each quantity and stressor that is exact in part or whole."""
    for year, one in most_exact(years):
        when = f" in {year}" if len(years) > 1 and one.share < _WHOLE else ""
        yield f"{one.name}: {one.amount}{when}" + (f", {one.where}" if one.where else "")


def exact_in_short(years: Mapping[int, Sequence[Exact]]) -> str:
    """Names and shares alone; empty where every cell has an error."""
    return "; ".join(f"{one.name}: {one.amount}" for _, one in most_exact(years))


def refuse_others(errors: ErrorModel, prepared: Prepared, table: MRIO, question: Question) -> None:
    """Refuse cells without an error beside those of an entry that says there may be none.

    Raises:
        ConfigError: what is left without an error, and where.
    """
    for quantity, stressors in _closed(errors, table.labels.stressors).items():
        for one in _of(prepared, table, question, quantity):
            if one.stressor in stressors:
                raise ConfigError(
                    f"{one.amount} of the {one.name}, has no error ({one.where or 'every cell'}): "
                    "a preset of single countries leaves the others as if their data were perfect",
                    where=f"errors of {quantity}, year {prepared.year}",
                    remedy="add entries for the others, or say in the preset that they are meant "
                    'to be exact: others = "exact"',
                )


def _closed(errors: ErrorModel, stressors: Sequence[str]) -> dict[Quantity, set[str]]:
    """The stressors of which an entry lets no cell go without an error, by quantity."""
    found: dict[Quantity, set[str]] = {}
    for entry in errors:
        if not entry.others_exact:
            named = entry.only.get("stressor", stressors)
            found.setdefault(entry.quantity, set()).update(named)
    for totals in errors.totals:
        if not totals.others_exact:
            for quantity in totals.quantities:
                named = totals.only.get("stressor", stressors)
                found.setdefault(quantity, set()).update(named)
    return found


# --- which cells ---------------------------------------------------------------------------------


def _with_bare(prepared: Prepared, quantity: Quantity) -> list[tuple[Cells, Bool]]:
    """All cells of a quantity by entry, and which have no error, of their own or by a total."""
    found = [(cells, cells.log2_sd == 0) for cells in prepared.free(quantity)]
    known = prepared.known
    if known is not None:
        for of, cells, members in zip(known.quantities, known.entries, known.members, strict=True):
            if of is quantity:
                found.append((cells, members.rsd == 0))
    return found


def _weights(quantity: Quantity, table: MRIO) -> F64 | None:
    """What a cell of each column counts for, (columns,); None where all count alike."""
    if quantity in (Quantity.Z, Quantity.E):
        return table.active.astype(np.float64)
    if quantity in (Quantity.A, Quantity.S):
        return np.where(table.active, table.x, 0.0)
    return None


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sizes of cells added up by row and by column: of all, and of those without an error."""

    rows: F64
    columns: F64
    bare_rows: F64
    bare_columns: F64

    @classmethod
    def of(cls, entries: Sequence[tuple[Cells, Bool]], weights: F64 | None) -> _Sums:
        rows, columns = entries[0][0].shape
        sums = cls(np.zeros(rows), np.zeros(columns), np.zeros(rows), np.zeros(columns))
        for cells, bare in entries:
            for some, i, j in _pieces(cells):
                size = np.abs(cells.value[some])
                size = size if weights is None else size * weights[j]
                sums.rows[:] += np.bincount(i, size, rows)
                sums.columns[:] += np.bincount(j, size, columns)
                if bare[some].any():
                    size = np.where(bare[some], size, 0.0)
                    sums.bare_rows[:] += np.bincount(i, size, rows)
                    sums.bare_columns[:] += np.bincount(j, size, columns)
        return sums

    def by(self, axis: int) -> tuple[F64, F64]:
        """Of all cells and of those without an error."""
        return (self.rows, self.bare_rows) if axis == 0 else (self.columns, self.bare_columns)


def _pieces(cells: Cells) -> Iterator[tuple[slice, I64 | I32, I64 | I32]]:
    """Rows and columns of the cells, some whole segments at a time."""
    ends = np.searchsorted(cells.starts, np.arange(_PIECE, len(cells.value) + _PIECE, _PIECE))
    first = 0
    for last in np.unique(np.minimum(ends, len(cells.starts) - 1)):
        own = cells.starts[first : last + 1]
        some = slice(int(own[0]), int(own[-1]))
        lines = cells.shape[0 if cells.by_row else 1]
        along = np.repeat(np.arange(first, last) % lines, np.diff(own))
        across = cells.across[some]
        yield (some, along, across) if cells.by_row else (some, across, along)
        first = int(last)


# --- in words ------------------------------------------------------------------------------------


def _exact(
    quantity: Quantity, stressor: str, sums: _Sums, labels: tuple[list[Label], list[Label]]
) -> list[Exact]:
    whole, bare = sums.rows.sum(), sums.bare_rows.sum()
    if not bare > 0:
        return []
    share = min(float(bare / whole), 1.0)
    where = "" if share >= _WHOLE else _where(quantity, sums, labels)
    return [Exact(QUANTITIES[quantity], stressor, share, where)]


@dataclass(frozen=True, slots=True)
class _Key:
    """The labels of one key that hold exact cells: how much, and whether all of the label is."""

    key: str
    bare: dict[str, float]
    entire: dict[str, bool]

    @property
    def words(self) -> str:
        """The labels that are exact as a whole, the largest first."""
        names = sorted((n for n, all_of in self.entire.items() if all_of), key=self._order)
        most = len(names) if kind(self.key) == "region" else _MOST_SECTORS
        rest = f" and {len(names) - most} more" if len(names) > most else ""
        return f"{self.key} {', '.join(names[:most])}{rest}"

    @property
    def explains(self) -> bool:
        """Whether labels that are exact as a whole hold all exact cells."""
        told = sum(amount for name, amount in self.bare.items() if self.entire[name])
        return told >= _WHOLE * sum(self.bare.values())

    @property
    def largest(self) -> str:
        """The labels that hold most of it, with their part of it."""
        whole = sum(self.bare.values())
        names = sorted(self.bare, key=self._order)[:_LARGEST]
        told = ", ".join(f"{name} {100 * self.bare[name] / whole:.2g} %" for name in names)
        return f"{self.key} {told}"

    def _order(self, name: str) -> tuple[float, str]:
        return -self.bare[name], name


def _where(quantity: Quantity, sums: _Sums, labels: tuple[list[Label], list[Label]]) -> str:
    """The key whose labels are exact as a whole, or where most of the exact cells are."""
    keys = [
        _by_key(key, place, *sums.by(axis), labels[axis])
        for axis in (0, 1)
        for place, key in enumerate(KEYS[quantity][axis])
        if key != "stressor"
    ]
    for key in keys:
        if key.explains:
            return key.words
    return "most of it in " + "; ".join(key.largest for key in keys)


def _by_key(key: str, place: int, whole: F64, bare: F64, labels: list[Label]) -> _Key:
    all_of: dict[str, float] = {}
    without: dict[str, float] = {}
    for label, amount, part in zip(labels, whole.tolist(), bare.tolist(), strict=True):
        all_of[label[place]] = all_of.get(label[place], 0.0) + amount
        without[label[place]] = without.get(label[place], 0.0) + part
    held = {name: part for name, part in without.items() if part > 0}
    return _Key(key, held, {name: part >= _WHOLE * all_of[name] for name, part in held.items()})
