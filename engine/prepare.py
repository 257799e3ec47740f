"""A table and an error model made ready to draw: labels become hashes, sizes become arrays.

Everything that is the same for all draws of a year is settled here, once, so that a draw is
arithmetic alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.error_model import (
    KEYS,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    FromFile,
    Method,
    PowerLaw,
    Quantity,
    check_rsd,
    kind,
)
from engine.errors import ConfigError, TableError
from engine.kernels.arrays import F32, F64, I64, U32, Bool
from engine.kernels.elementary import log_sd, power
from engine.kernels.leontief import per_unit_output
from engine.kernels.perturb import LOG2E, Term
from engine.kernels.solve import base_weights
from engine.kernels.streams import label_hashes, stream_key
from engine.mrio import MRIO, Labels
from engine.question import Question, resolve

Label = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """The errors of one quantity, or of a sub-block of it.

    Attributes:
        rows, columns: the positions of the sub-block in the quantity.
        log2_sd: sigma log2(e) of its cells, (rows, columns).
        terms: the normals its errors are made of, in the order of summation.
    """

    quantity: Quantity
    rows: I64
    columns: I64
    log2_sd: F32
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One year of one scenario, ready to draw.

    Attributes:
        year: the year.
        method: what the draws perturb.
        r_max: largest spectral radius accepted.
        values: the estimate of every quantity perturbed or needed, by quantity.
        active: industries with positive output in the estimate, (n,).
        weights: w > 0 that certifies the base table, (n,).
        membership, domestic, characterisation: the question (see `engine.question.Asked`).
        fields: the errors, entry by entry.
    """

    year: int
    method: Method
    r_max: float
    values: Mapping[Quantity, F64]
    active: Bool
    weights: F64
    membership: F64
    domestic: Bool
    characterisation: F64
    fields: tuple[Field, ...]


# A kind of label ("region", or "region sector" for industries) -> label -> hash.
Addresses = Mapping[str, Mapping[Label, np.uint32]]


def addresses(tables: Iterable[Labels], question: Question) -> Addresses:
    """Hashes of every label of all years, so that a year's own labels never change them."""
    tables = tuple(tables)
    names: dict[str, list[Label]] = {"": [()]}
    names["region"] = [(region,) for labels in tables for region in labels.regions]
    names["sector"] = [(sector,) for labels in tables for sector in labels.sectors]
    names["region sector"] = [pair for labels in tables for pair in labels.industries]
    names["stressor"] = [(stressor,) for labels in tables for stressor in labels.stressors]
    names["vector"] = [(consumer.name,) for consumer in question.consumers]
    return {kinds: label_hashes(labels) for kinds, labels in names.items()}


def prepare(
    table: MRIO,
    errors: ErrorModel,
    question: Question,
    seed: int,
    *,
    r_max: float = 0.99,
    hashes: Addresses | None = None,
) -> Prepared:
    """Resolve names, sizes and streams of one year.

    Args:
        hashes: `addresses` of all years of the run; of this table alone if not given.

    Raises:
        ConfigError: a name the table lacks, a cell without an error size, or entries that overlap.
        TableError: the estimate itself has a spectral radius that cannot be certified.
    """
    asked = resolve(question, table.labels, table.year)
    hashes = addresses([table.labels], question) if hashes is None else hashes
    A = per_unit_output(table.Z, table.x, table.active)
    values: dict[Quantity, F64] = {
        Quantity.Y: table.Y,
        Quantity.F_Y: table.F_Y,
        Quantity.PURCHASES: asked.purchases,
    }
    if errors.method is Method.ACCOUNTS:
        values |= {Quantity.Z: table.Z, Quantity.E: table.E}
    else:
        s = per_unit_output(table.E, table.x, table.active)
        values |= {Quantity.A: A, Quantity.S: s}
    _refuse_overlaps(errors, table, question)
    return Prepared(
        year=table.year,
        method=errors.method,
        r_max=r_max,
        values=values,
        active=table.active,
        weights=_base_certificate(A, table),
        membership=asked.membership,
        domestic=asked.domestic,
        characterisation=asked.characterisation,
        fields=tuple(
            _field(entry, table, asked.purchases, question, seed, hashes) for entry in errors
        ),
    )


def _base_certificate(A: F64, table: MRIO) -> F64:
    weights = base_weights(A)
    if not np.all(np.isfinite(weights) & (weights > 0)):
        raise TableError(
            "the spectral radius of the coefficients is not below one, so no footprint exists",
            where=f"year {table.year}",
            remedy="look for industries that buy more than they sell (footfall check names them)",
        )
    return weights


def _axis_labels(quantity: Quantity, table: MRIO, question: Question) -> tuple[list[Label], ...]:
    """The labels of a quantity's rows and columns, one string a key."""
    labels = table.labels
    industries: list[Label] = list(labels.industries)
    stressors: list[Label] = [(name,) for name in labels.stressors]
    regions: list[Label] = [(name,) for name in labels.regions]
    vectors: list[Label] = [(consumer.name,) for consumer in question.consumers]
    match quantity:
        case Quantity.Z | Quantity.A:
            return industries, industries
        case Quantity.E | Quantity.S:
            return stressors, industries
        case Quantity.Y:
            return industries, regions
        case Quantity.F_Y:
            return stressors, regions
        case Quantity.PURCHASES:
            return industries, vectors


def _field(
    entry: Errors,
    table: MRIO,
    purchases: F64,
    question: Question,
    seed: int,
    hashes: Addresses,
) -> Field:
    quantity = entry.quantity
    row_labels, column_labels = _axis_labels(quantity, table, question)
    rows = _selected(entry, 0, row_labels)
    columns = _selected(entry, 1, column_labels)
    chosen_rows = [row_labels[i] for i in rows]
    chosen_columns = [column_labels[j] for j in columns]
    rsd = _sizes(entry, table, purchases, rows, columns, chosen_rows, chosen_columns)
    terms = []
    for component in entry.canonical_components():
        for node, weight in component.time.nodes(table.year):
            share = float(np.sqrt(component.weight)) * weight
            terms.append(
                _term(component, quantity, share, node, seed, chosen_rows, chosen_columns, hashes)
            )
    return Field(quantity, rows, columns, (log_sd(rsd) * LOG2E).astype(np.float32), tuple(terms))


def _selected(entry: Errors, axis: int, labels: list[Label]) -> I64:
    """Positions whose label is listed under every key of `only` that belongs to this axis."""
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
    return np.flatnonzero(chosen)


def _term(
    component: Component,
    quantity: Quantity,
    weight: float,
    node: int,
    seed: int,
    row_labels: list[Label],
    column_labels: list[Label],
    hashes: Addresses,
) -> Term:
    owner, name = component.shared_with or (quantity, component.name)
    rows, row_of = _addressed(component.group, quantity, 0, row_labels, hashes)
    columns, column_of = _addressed(component.group, quantity, 1, column_labels, hashes)
    key = stream_key(seed, owner, name)
    return Term(weight, key, node, rows, columns, row_of, column_of)


def _addressed(
    group: tuple[str, ...],
    quantity: Quantity,
    axis: int,
    labels: list[Label],
    hashes: Addresses,
) -> tuple[U32, I64]:
    """The distinct hashes along one axis, and which one each position has."""
    keys = KEYS[quantity][axis]
    used = keys if group == ("cell",) else tuple(key for key in keys if key in group)
    if quantity is Quantity.PURCHASES and used == ("consumer",):
        kinds = "vector"
    else:
        kinds = " ".join(kind(key) for key in used)
    parts = [keys.index(key) for key in used]
    words = [hashes[kinds][tuple(label[part] for part in parts)] for label in labels]
    if group == ("cell",):  # all distinct, and most by far: keep their order, sort nothing
        return np.array(words, dtype=np.uint32), np.arange(len(words))
    distinct, position = np.unique(np.array(words, dtype=np.uint32), return_inverse=True)
    return distinct, position.astype(np.int64)


def _sizes(
    entry: Errors,
    table: MRIO,
    purchases: F64,
    rows: I64,
    columns: I64,
    row_labels: list[Label],
    column_labels: list[Label],
) -> F64:
    """rsd of the selected cells, (rows, columns)."""
    shape = (len(rows), len(columns))
    match entry.size:
        case Constant(rsd):
            return np.full(shape, rsd)
        case ByLabel():
            return _by_label(entry, entry.size, row_labels, column_labels)
        case PowerLaw():
            flows = _flows(entry.quantity, table, purchases)[np.ix_(rows, columns)]
            return _by_power(entry.size, flows, table.year)
        case FromFile(path):
            return _from_file(path, _flows(entry.quantity, table, purchases).shape)[
                np.ix_(rows, columns)
            ]


def _flows(quantity: Quantity, table: MRIO, purchases: F64) -> F64:
    """The published flow behind each cell of a quantity, coefficients included."""
    match quantity:
        case Quantity.Z | Quantity.A:
            return table.Z
        case Quantity.E | Quantity.S:
            return table.E
        case Quantity.Y:
            return table.Y
        case Quantity.F_Y:
            return table.F_Y
        case Quantity.PURCHASES:
            return purchases


def _by_power(law: PowerLaw, flows: F64, year: int) -> F64:
    size = np.abs(flows) * law.conversion(year)
    rsd = law.a * power(np.where(size > 0, size, 1.0), law.b)
    return np.where(size > 0, np.clip(rsd, law.floor, law.ceiling), 0.0)


def _by_label(
    entry: Errors, size: ByLabel, row_labels: list[Label], column_labels: list[Label]
) -> F64:
    row_keys, column_keys = KEYS[entry.quantity]
    row_part = [
        [label[row_keys.index(k)] if k in row_keys else "" for k in size.keys]
        for label in row_labels
    ]
    column_part = [
        [label[column_keys.index(k)] if k in column_keys else "" for k in size.keys]
        for label in column_labels
    ]
    # Look each combination up once: rows and columns repeat the few labels that matter.
    found: dict[tuple[Label, Label], float] = {}
    rsd = np.empty((len(row_labels), len(column_labels)))
    for i, from_row in enumerate(map(tuple, row_part)):
        for j, from_column in enumerate(map(tuple, column_part)):
            if (from_row, from_column) not in found:
                label = tuple(a or b for a, b in zip(from_row, from_column, strict=True))
                if label not in size.rsd:
                    raise ConfigError(
                        f"the table of error sizes has no entry for {' '.join(label)}",
                        where=f"errors of {entry.quantity}",
                        remedy="add it; a missing size is never read as zero",
                    )
                found[from_row, from_column] = size.rsd[label]
            rsd[i, j] = found[from_row, from_column]
    return rsd


def _from_file(path: Path, shape: tuple[int, ...]) -> F64:
    where = f"file {path}"
    try:
        rsd = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(
            f"cannot be read as an array ({error})", where=where, remedy="give a .npy file"
        ) from error
    if not isinstance(rsd, np.ndarray) or rsd.shape != shape:
        raise ConfigError(
            f"does not have the quantity's shape {shape}",
            where=where,
            remedy="one relative standard deviation a cell, in the order of the table",
        )
    lowest, highest = float(rsd.min(initial=0)), float(rsd.max(initial=0))
    for value in (lowest, highest, float(rsd.sum())):
        if not np.isfinite(value) or value < 0:
            raise ConfigError(
                f"holds a relative standard deviation of {value:g}",
                where=where,
                remedy="give finite fractions, none negative",
            )
    check_rsd(highest, where)
    return rsd.astype(np.float64)


def _refuse_overlaps(errors: ErrorModel, table: MRIO, question: Question) -> None:
    """Two entries on one cell would multiply their errors without anybody having said so."""
    counted: dict[Quantity, Bool] = {}
    for entry in errors:
        row_labels, column_labels = _axis_labels(entry.quantity, table, question)
        seen = counted.setdefault(
            entry.quantity, np.zeros((len(row_labels), len(column_labels)), dtype=np.bool_)
        )
        cells = np.ix_(_selected(entry, 0, row_labels), _selected(entry, 1, column_labels))
        if seen[cells].any():
            raise ConfigError(
                "two entries cover the same cell",
                where=f"scenario {errors.name}, errors of {entry.quantity}",
                remedy="narrow one of them with `only`",
            )
        seen[cells] = True
