"""Known totals resolved: the cells of each, what they add up to, and how they share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from engine.error_model import (
    OWNER,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    KnownTotals,
    Quantity,
)
from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F32, F64, I32, U32, Bool, readonly
from engine.kernels.elementary import log_sd
from engine.kernels.perturb import LOG2E, Cells, Groups, Term, pack
from engine.kernels.streams import stream_key
from engine.kernels.totals import Members
from engine.mrio import MRIO, Labels
from engine.prepare.centring import centred_members, concentrations_of
from engine.prepare.factors import drawn_as_shares
from engine.prepare.labels import Addresses, Label
from engine.prepare.prepared import Known
from engine.prepare.sizes import enlarged

_AGREE = 1e-6  # relative: a stated total that differs by more is another one


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """One entry of known totals in one year: totals by stressor and by labels of its columns.

    Attributes:
        stressors, columns: their labels; those of the columns hold the regions or sectors of `by`.
        of: of every cell of each quantity, its place in the grid counted row by row; -1 outside.
        amounts: what the estimate's cells add up to, (stressors, columns).
        stated: the factor by which the cells are scaled, (stressors, columns).
    """

    entry: KnownTotals
    stressors: list[Label]
    columns: list[Label]
    of: Mapping[Quantity, I32]
    amounts: F64
    stated: F64


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """The known totals of one year; none is an empty tuple."""

    grids: tuple[_Grid, ...]

    def rescaled(self, values: Mapping[Quantity, F64]) -> dict[Quantity, F64]:
        """Every quantity, the cells of stated totals scaled to them."""
        scaled = dict(values)
        for grid in self.grids:
            for quantity, of in grid.of.items():
                factor = np.where(of < 0, 1.0, grid.stated.ravel()[of])
                if (factor != 1.0).any():
                    scaled[quantity] = scaled[quantity] * factor
        return scaled

    def shares(self, quantity: Quantity, table: MRIO) -> tuple[F64, F64]:
        """Shares of totals, and the concentration of Dirichlet ones, of every cell of a quantity.

        Both are NaN where there is no total with Dirichlet shares.
        """
        flows = table.F_Y if quantity is Quantity.F_Y else table.E
        p, concentration = np.full(flows.shape, np.nan), np.full(flows.shape, np.nan)
        for grid in self.grids:
            if quantity in grid.of and grid.entry.concentration is not None:
                of = grid.of[quantity]
                inside = (of >= 0) & (flows > 0)
                amounts = (grid.amounts / grid.stated).ravel()
                p[inside] = flows[inside] / amounts[of[inside]]
                concentration[inside] = grid.entry.concentration
        return p, concentration


def resolved(errors: ErrorModel, table: MRIO) -> Resolved:
    """Find the cells of every known total in the table.

    Raises:
        ConfigError: a name the table lacks, a cell in two totals, or a stated total that is missing
            or differs from the table's.
        TableError: a negative cell under a known total.
    """
    grids = tuple(_grid(entry, table) for entry in errors.totals)
    for one, other in combinations(grids, 2):
        for quantity in one.of.keys() & other.of.keys():
            if ((one.of[quantity] >= 0) & (other.of[quantity] >= 0)).any():
                raise ConfigError(
                    "two known totals cover the same cell",
                    where=f"scenario {errors.name}, known_totals of {quantity}",
                    remedy="narrow one of them with `only`",
                )
    return Resolved(grids)


# --- which cells, and how much ------------------------------------------------------------------


def _grid(entry: KnownTotals, table: MRIO) -> _Grid:
    stressors: list[Label] = [(name,) for name in table.labels.stressors]
    columns = columns_of_totals(entry, table.labels)
    place = {label: j for j, label in enumerate(columns)}
    of = {}
    shape = len(stressors), len(columns)
    amounts, published, covered = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for quantity in sorted(entry.quantities):
        labels = _columns(quantity, table.labels, keys_of_columns(entry))
        own = np.array([place[label] for label in labels], dtype=np.int32)
        grid = np.arange(len(stressors), dtype=np.int32)[:, None] * np.int32(len(columns)) + own
        chosen = np.outer(
            _chosen(entry, "stressor", table), _chosen_columns(entry, quantity, table)
        )
        flows = table.F_Y if quantity is Quantity.F_Y else table.E
        _refuse_negative(flows, chosen, quantity, table)
        counted = table.active if quantity is Quantity.S else np.ones(len(own), dtype=np.bool_)
        published += _summed(np.where(chosen, flows, 0.0), own, len(columns))
        covered += _summed(chosen.astype(np.float64), own, len(columns))
        amounts += _summed(np.where(chosen & counted, flows, 0.0), own, len(columns))
        of[quantity] = np.where(chosen, grid, np.int32(-1))
    stated = _stated(entry, published, covered > 0, stressors, columns, table.year)
    return _Grid(entry, stressors, columns, of, amounts * stated, stated)


def keys_of_columns(entry: KnownTotals) -> tuple[str, ...]:
    """What tells its totals apart beside the stressor, in the order of the columns' labels."""
    return tuple(key for key in ("region", "sector") if key in entry.by)


def columns_of_totals(entry: KnownTotals, labels: Labels) -> list[Label]:
    """The columns of the totals of one entry, packed as cells, in their order."""
    keys = keys_of_columns(entry)
    return sorted({one for q in entry.quantities for one in _columns(q, labels, keys)})


def _columns(quantity: Quantity, labels: Labels, keys: Sequence[str]) -> list[Label]:
    """What `by` says of each column of a quantity."""
    if quantity is Quantity.F_Y:
        return [(region,) if keys else () for region in labels.regions]
    parts = [("region", "sector").index(key) for key in keys]
    return [tuple(industry[part] for part in parts) for industry in labels.industries]


def _chosen(entry: KnownTotals, key: str, table: MRIO) -> Bool:
    labels = table.labels
    names: dict[str, Sequence[str]] = {
        "stressor": labels.stressors,
        "region": labels.regions,
        "sector": labels.sectors,
    }
    wanted = entry.only.get(key, names[key])
    for name in wanted:
        if name not in names[key]:
            raise ConfigError(
                f"no cell has {key} {name}",
                where="known_totals, only",
                remedy="use the names of the tables (footfall check lists them)",
            )
    return np.array([name in wanted for name in names[key]], dtype=np.bool_)


def _chosen_columns(entry: KnownTotals, quantity: Quantity, table: MRIO) -> Bool:
    labels = table.labels
    regions = dict(zip(labels.regions, _chosen(entry, "region", table), strict=True))
    if quantity is Quantity.F_Y:
        return np.array([regions[region] for region in labels.regions])
    sectors = dict(zip(labels.sectors, _chosen(entry, "sector", table), strict=True))
    return np.array([regions[region] & sectors[sector] for region, sector in labels.industries])


def _summed(flows: F64, own: I32, columns: int) -> F64:
    return np.stack([np.bincount(own, row, columns) for row in flows])


def _refuse_negative(flows: F64, chosen: Bool, quantity: Quantity, table: MRIO) -> None:
    for row, column in np.argwhere(chosen & (flows < 0)):
        labels = table.labels
        of_column = labels.regions if quantity is Quantity.F_Y else labels.industries
        label = of_column[column]
        spelled = label if isinstance(label, str) else " ".join(label)
        raise TableError(
            f"the cell ({labels.stressors[row]}, {spelled}) is {flows[row, column]:.6g}, and cells "
            "with a known total cannot be negative",
            where=f"year {table.year}, {quantity}",
            remedy="leave it out of the known totals with `only`",
        )


def _stated(
    entry: KnownTotals,
    published: F64,
    covered: Bool,
    stressors: list[Label],
    columns: list[Label],
    year: int,
) -> F64:
    """The stated totals over the table's own: one where they agree or none is stated."""
    factors = np.ones(published.shape)
    if entry.stated is None:
        return factors
    stated = entry.stated.get(year, {})
    for row, column in np.argwhere(covered):
        label = _label(entry, stressors[row], columns[column])
        where = f"known_totals, {' '.join(label)}, year {year}"
        own = published[row, column]
        if label not in stated and own:
            raise ConfigError(
                "its total is not stated",
                where=where,
                remedy="add it to the file of totals, or narrow the entry with `only`",
            )
        total = stated.get(label, 0.0)
        if abs(total - own) <= _AGREE * own:
            continue
        if not entry.rescale or total <= 0 or own == 0:
            raise ConfigError(
                f"the stated total is {total:.6g}, the table's cells add up to {own:.6g}",
                where=where,
                remedy="correct one of them"
                if total <= 0 or own == 0
                else "correct one of them, or scale the cells with rescale = true",
            )
        factors[row, column] = total / own
    return factors


def _label(entry: KnownTotals, stressor: Label, column: Label) -> Label:
    """In the order of `by`."""
    keys = ["stressor", *keys_of_columns(entry)]
    named = dict(zip(keys, (*stressor, *column), strict=True))
    return tuple(named[key] for key in entry.by)


# --- the totals as cells, and their members -----------------------------------------------------


def known_of(
    found: Resolved,
    errors: ErrorModel,
    cells: Mapping[Quantity, tuple[Cells, ...]],
    table: MRIO,
    seed: int,
    hashes: Addresses,
) -> Known | None:
    """The totals ready to draw; None where there are none.

    Args:
        cells: of the quantities already scaled, as `cells_of` packs them.

    Raises:
        ConfigError: a total without a size, or cells whose errors are not lognormal, or hang
            together in ways for which the means of their shares are not computed.
    """
    if not found.grids:
        return None
    totals = tuple(_pack_totals(grid, table.year, seed, hashes) for grid in found.grids)
    place_of = _places(found.grids, totals)
    pieces, free = [], {}
    for quantity, entries in cells.items():
        total_of = _total_of(found.grids, place_of, quantity)
        if total_of is not None:
            own = [total_of[one.positions()] for one in entries]
            both = list(zip(entries, own, strict=True))
            pieces += [_piece(quantity, one, which, table) for one, which in both]
            free[quantity] = tuple(one.only(which < 0) for one, which in both)
    concentration = np.concatenate(
        [
            np.full(len(one.value), grid.entry.concentration or np.nan)
            for grid, one in zip(found.grids, totals, strict=True)
        ]
    )
    _refuse_other_laws(pieces, concentration)
    amounts = np.concatenate([one.value for one in totals])
    members, cancelled = _members(
        totals,
        concentration,
        [piece.cells for piece in pieces],
        [piece.total for piece in pieces],
        [piece.flows / amounts[piece.total] for piece in pieces],
        [name for grid, one in zip(found.grids, totals, strict=True) for name in _named(grid, one)],
        _names_of_keys(errors, seed),
    )
    return Known(
        totals=totals,
        concentration=readonly(concentration),
        quantities=tuple(piece.quantity for piece in pieces),
        entries=tuple(piece.cells for piece in pieces),
        members=members,
        free=free,
        cancelled=cancelled,
    )


def recentred(known: Known) -> Known:
    """The same totals and cells, whose errors are no longer those they were centred for.

    Raises:
        ConfigError: as `known_of`, of errors that hang together in other ways than before.
    """
    known = replace(known, entries=_drawn_anew(known))
    members, cancelled = _members(
        known.totals,
        known.concentration,
        known.entries,
        [one.total for one in known.members],
        [one.share for one in known.members],
        [f"total {number}" for number in range(sum(len(one.value) for one in known.totals))],
        {},
    )
    return replace(known, members=members, cancelled=cancelled)


def _drawn_anew(known: Known) -> tuple[Cells, ...]:
    """Entries whose Dirichlet shares have the tables that belong to their first-order sizes."""
    totals, shares = ([getattr(one, name) for one in known.members] for name in ("total", "share"))
    found = concentrations_of(known.entries, totals, shares, known.concentration)
    return tuple(
        replace(cells, **drawn_as_shares(share, concentration), log2_sd=cells.log2_sd)
        if cells.logarithmic
        else cells
        for cells, share, concentration in zip(known.entries, shares, found, strict=True)
    )


def _members(
    totals: Sequence[Cells],
    concentration: F64,
    entries: Sequence[Cells],
    total: Sequence[I32],
    shares: Sequence[F64],
    names: Sequence[str],
    components: Mapping[bytes, str],
) -> tuple[tuple[Members, ...], tuple[str, ...]]:
    """What the cells of each entry are in their totals, and which components cancel there."""
    centring = centred_members(entries, total, shares, concentration, names, components)
    sigma2 = np.square(np.concatenate([one.log2_sd.astype(np.float64) for one in totals]) / LOG2E)
    found = tuple(
        Members(
            readonly(own),
            readonly(share),
            readonly(factors),
            readonly(np.sqrt((1 + np.square(rsd)) * np.exp(sigma2[own]) - 1)),
        )
        for own, share, factors, rsd in zip(
            total, shares, centring.factors, centring.rsd, strict=True
        )
    )
    return found, centring.cancelled


def _refuse_other_laws(pieces: Sequence[_Piece], concentration: F64) -> None:
    """Shares are centred by the law of lognormal factors, or Dirichlet ones of their own law."""
    for piece in pieces:
        shares = ~np.isnan(concentration[piece.total])
        where = f"errors of {piece.quantity}"
        if not piece.cells.logarithmic and shares.any():
            contradiction = (
                "their errors have another size than the concentration says"
                if piece.cells.drawn
                else "no entry says which years have their errors in common"
            )
            raise ConfigError(
                f"{int(shares.sum())} cells are Dirichlet shares of known totals, and "
                f"{contradiction}",
                where=where,
                remedy="give these cells an entry with components and without a size, and leave "
                "them out of every other one with `only`",
            )
        if len(piece.total) and not (piece.cells.lognormal or piece.cells.logarithmic):
            raise ConfigError(
                "cells with a known total have errors that are not lognormal, and the means of "
                "their shares are not known",
                where=where,
                remedy="use the law `lognormal` for them, or give the known total "
                '`shares = "dirichlet"` and a `concentration` in the place of their size, or '
                "leave them out of the known totals with `only`",
            )


def _places(grids: Sequence[_Grid], totals: Sequence[Cells]) -> list[I32]:
    """Of every place in each grid, its total counted over all entries; -1 where it has no cells."""
    found, used = [], 0
    for grid, packed in zip(grids, totals, strict=True):
        places = np.full(grid.amounts.size, -1, dtype=np.int32)
        row, column = packed.positions()
        places[row * grid.amounts.shape[1] + column] = used + np.arange(len(row), dtype=np.int32)
        used += len(row)
        found.append(places)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """The cells of one entry that have known totals, their totals and their flows, (cells,)."""

    quantity: Quantity
    cells: Cells
    total: I32
    flows: F64


def _piece(quantity: Quantity, entry: Cells, total: I32, table: MRIO) -> _Piece:
    inside = entry.only(total >= 0)
    flows = inside.value
    if quantity is Quantity.S:
        flows = flows * table.x[inside.positions()[1]]
    return _Piece(quantity, inside, total[total >= 0], flows)


def _named(grid: _Grid, packed: Cells) -> list[str]:
    """What the totals of one entry are called, in the order of their cells."""
    rows, columns = packed.positions()
    return [
        " ".join(_label(grid.entry, grid.stressors[i], grid.columns[j]))
        for i, j in zip(rows, columns, strict=True)
    ]


def _names_of_keys(errors: ErrorModel, seed: int) -> dict[bytes, str]:
    """What the components are called whose random numbers have these keys."""
    return {
        stream_key(seed, entry.quantity, component.name).tobytes(): (
            f"{entry.quantity}.{component.name}"
        )
        for entry in errors
        for component in entry.components
    }


def _pack_totals(grid: _Grid, year: int, seed: int, hashes: Addresses) -> Cells:
    entry = grid.entry
    keys = keys_of_columns(entry)
    i, j = (side.astype(np.int32) for side in np.nonzero(grid.amounts))
    rsd = np.array([_rsd(grid, int(row), int(column)) for row, column in zip(i, j, strict=True)])
    own = (
        _words(["stressor"], entry.by, grid.stressors, hashes),
        _words(keys, entry.by, grid.columns, hashes),
    )
    terms = tuple(
        Term(float(np.sqrt(component.weight)) * weight, key, node, groups)
        for component in entry.canonical_components()
        for key in [stream_key(seed, OWNER, component.name)]
        for groups in [_groups(component, keys, grid, hashes)]
        for node, weight in component.time.nodes(year)
    )
    rsd = enlarged(rsd, entry.provisional, year, "known_totals")
    log2_sd: F32 = (log_sd(rsd) * LOG2E).astype(np.float32)
    return pack(grid.amounts, i, j, log2_sd, own, terms, by_row=True)


def _rsd(grid: _Grid, row: int, column: int) -> float:
    entry = grid.entry
    label = _label(entry, grid.stressors[row], grid.columns[column])
    match entry.size:
        case Constant(rsd):
            return rsd
        case ByLabel(keys, rsds):
            wanted = tuple(label[entry.by.index(key)] for key in keys)
            if wanted not in rsds:
                raise ConfigError(
                    f"the table of error sizes has no entry for {' '.join(wanted)}",
                    where="known_totals",
                    remedy="add it, or narrow the entry with `only`; a missing size is never read "
                    "as zero",
                )
            return rsds[wanted]


def _words(keys: Sequence[str], used: Sequence[str], labels: list[Label], hashes: Addresses) -> U32:
    """A hash for each label, of the parts whose key is used."""
    kinds = " ".join(key for key in keys if key in used)
    parts = [place for place, key in enumerate(keys) if key in used]
    words = [hashes[kinds][tuple(label[part] for part in parts)] for label in labels]
    return np.array(words, dtype=np.uint32)


def _groups(component: Component, keys: Sequence[str], grid: _Grid, hashes: Addresses) -> Groups:
    sides = []
    for own, labels in ((["stressor"], grid.stressors), (keys, grid.columns)):
        words = _words(own, component.group, labels, hashes)
        distinct, position = np.unique(words, return_inverse=True)
        sides.append((distinct, position.astype(np.int32)))
    (rows, row_of), (columns, column_of) = sides
    return Groups(rows, columns, row_of, column_of)


def _total_of(grids: Sequence[_Grid], place_of: Sequence[I32], quantity: Quantity) -> I32 | None:
    """Which total each cell of a quantity belongs to, -1 for none; None where none has one."""
    found = None
    for grid, places in zip(grids, place_of, strict=True):
        if quantity in grid.of:
            of = grid.of[quantity]
            here = np.where(of < 0, np.int32(-1), places[of])
            found = here if found is None else np.maximum(found, here)
    return found
