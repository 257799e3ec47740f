"""The nonzero cells of every quantity, packed with the terms of their errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.error_model import (
    EMISSIONS,
    KEYS,
    Component,
    DirichletShares,
    ErrorModel,
    Errors,
    Quantity,
)
from engine.errors import ConfigError
from engine.kernels.arrays import F64, I32, Bool
from engine.kernels.perturb import Cells, Groups, Term, pack
from engine.kernels.streams import stream_key
from engine.mrio import MRIO
from engine.plan import Direction
from engine.prepare.factors import Factors, factors_of, factors_of_shares
from engine.prepare.labels import Addresses, Label, addressed, axis_labels, hashes_of
from engine.prepare.totals import Resolved
from engine.question import Question


def cells_of(
    errors: ErrorModel,
    values: Mapping[Quantity, F64],
    table: MRIO,
    question: Question,
    seed: int,
    hashes: Addresses,
    way: Direction,
    totals: Resolved,
) -> dict[Quantity, tuple[Cells, ...]]:
    """All nonzero cells of every quantity: those with errors by entry, then those without.

    Args:
        values: of every quantity, scaled to stated totals.
        totals: the known totals.
    """
    found: dict[Quantity, tuple[Cells, ...]] = {}
    for quantity, value in values.items():
        labels = axis_labels(quantity, table, question)
        flows = _flows(quantity, table, values)
        own, by_row = hashes_of(quantity, labels, hashes), _by_row(quantity, way)
        packed: list[Cells] = []
        free = value != 0
        for entry in entries_of(errors, quantity):
            i, j = _cells_with(entry, value, labels)
            if not free[i, j].all():
                _refuse_overlap(errors.name, quantity)
            free[i, j] = False
            if isinstance(entry.size, DirichletShares):
                sized = _as_shares(entry, i, j, table, totals)
            else:
                sized = factors_of(entry, flows, i, j, labels, table.year)
            terms = _terms_of(entry, table.year, seed, labels, hashes)
            packed.append(
                pack(
                    value,
                    i,
                    j,
                    sized.log2_sd,
                    own,
                    terms,
                    by_row=by_row,
                    quantiles=sized.quantiles,
                    size_of=sized.size_of,
                    logarithmic=sized.logarithmic,
                    realised=sized.realised,
                )
            )
        i, j = _positions(free)
        if len(i) or not packed:
            none = np.zeros(len(i), dtype=np.float32)
            packed.append(pack(value, i, j, none, own, (), by_row=by_row))
        found[quantity] = tuple(packed)
    return found


def _as_shares(entry: Errors, i: I32, j: I32, table: MRIO, totals: Resolved) -> Factors:
    p, concentration = (grid[i, j] for grid in totals.shares(entry.quantity, table))
    without = int(np.isnan(concentration).sum())
    if without:
        raise ConfigError(
            f"{without} cells have an error without a size, and no known "
            "total of which they are Dirichlet shares",
            where=f"errors of {entry.quantity}, year {table.year}",
            remedy="narrow the entry with `only` to the cells of such totals, and give the others "
            "an entry with a size",
        )
    return factors_of_shares(p, concentration)


def entries_of(errors: ErrorModel, quantity: Quantity) -> list[Errors]:
    """The entries of one quantity in the order in which their cells are packed."""
    return sorted((entry for entry in errors if entry.quantity is quantity), key=_place_of)


def _place_of(entry: Errors) -> str:
    """Entries of one quantity cover different cells; sums must not depend on who came first."""
    return str(sorted((key, sorted(names)) for key, names in entry.only.items()))


def _by_row(quantity: Quantity, way: Direction) -> bool:
    """Emissions are added up by industry or region, whatever else by the lines of the system."""
    return quantity not in EMISSIONS and way is Direction.FORWARD


def _refuse_overlap(scenario: str, quantity: Quantity) -> None:
    """Two entries on one cell would multiply their errors without anybody having said so."""
    raise ConfigError(
        "two entries cover the same cell",
        where=f"scenario {scenario}, errors of {quantity}",
        remedy="narrow one of them with `only`",
    )


def _flows(quantity: Quantity, table: MRIO, values: Mapping[Quantity, F64]) -> F64:
    """The published flow behind each cell of a quantity, coefficients included."""
    match quantity:
        case Quantity.A:
            return table.Z
        case Quantity.S:
            return table.E
        case _:
            return values[quantity]


def _cells_with(
    entry: Errors, values: F64, labels: tuple[list[Label], list[Label]]
) -> tuple[I32, I32]:
    """Rows and columns of the cells that an entry perturbs."""
    chosen = values != 0
    chosen[~_selected(entry, 0, labels[0])] = False
    chosen[:, ~_selected(entry, 1, labels[1])] = False
    return _positions(chosen)


def _selected(entry: Errors, axis: int, labels: list[Label]) -> Bool:
    """Rows (axis 0) or columns (1) whose label every key of `only` on this axis lists."""
    keys = KEYS[entry.quantity][axis]
    chosen = np.ones(len(labels), dtype=np.bool_)
    for key, wanted in entry.only.items():
        if key in keys:
            part = keys.index(key)
            present = {label[part] for label in labels}
            for name in wanted:
                if name not in present:
                    raise ConfigError(
                        f"no cell has {key} {name}",
                        where=f"errors of {entry.quantity}, only",
                        remedy="use the names of the tables (footfall check lists them)",
                    )
            chosen &= np.array([label[part] in wanted for label in labels])
    return chosen


def _positions(chosen: Bool) -> tuple[I32, I32]:
    """Rows and columns of the cells chosen, in row-major order, as 32-bit integers throughout."""
    i = np.repeat(np.arange(len(chosen), dtype=np.int32), np.count_nonzero(chosen, axis=1))
    j = np.empty_like(i)
    np.concatenate([np.flatnonzero(row).astype(np.int32) for row in chosen], out=j)
    return i, j


def _terms_of(
    entry: Errors,
    year: int,
    seed: int,
    labels: tuple[list[Label], list[Label]],
    hashes: Addresses,
) -> tuple[Term, ...]:
    return tuple(
        term
        for component in entry.canonical_components()
        for term in _terms(component, entry.quantity, year, seed, labels, hashes)
    )


def _terms(
    component: Component,
    quantity: Quantity,
    year: int,
    seed: int,
    labels: tuple[list[Label], list[Label]],
    hashes: Addresses,
) -> list[Term]:
    """A component's terms, one a time node."""
    owner, name = component.shared_with or (quantity, component.name)
    key, groups = stream_key(seed, owner, name), None
    if component.group != ("cell",):
        rows, row_of = addressed(component.group, quantity, 0, labels[0], hashes)
        columns, column_of = addressed(component.group, quantity, 1, labels[1], hashes)
        groups = Groups(rows, columns, row_of, column_of)
    share = float(np.sqrt(component.weight))
    nodes = component.time.nodes(year)
    return [Term(share * weight, key, node, groups) for node, weight in nodes]
