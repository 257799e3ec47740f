"""A table and an error model made ready to draw: labels become hashes, sizes become arrays.

Everything that is the same for all draws of a year is settled here, once, so that a draw is
arithmetic alone.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.error_model import (
    KEYS,
    LARGEST_RSD,
    SMALLEST_RSD,
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
from engine.kernels.arrays import F32, F64, I32, I64, U32, Bool
from engine.kernels.elementary import log_sd, power
from engine.kernels.inverse import MISSING, what_matters
from engine.kernels.leontief import per_unit_output
from engine.kernels.perturb import LOG2E, Cells, Groups, Term, pack
from engine.kernels.start import (
    HEADROOM,
    Estimate,
    Kept,
    Start,
    all_important,
    important,
    near_weights,
    residual_variance,
    robust_weights,
    squared_errors,
)
from engine.kernels.streams import label_hashes, stream_key
from engine.mrio import MRIO, Labels
from engine.plan import Direction
from engine.question import Asked, Question, resolve

TOLERANCE = 1e-6  # certified relative error of a footprint, if nothing else is asked
Label = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The deliveries with the unimportant cells' own noise cut (`engine.split`).

    Attributes:
        kept: the important cells, with all their errors.
        rest: the others with the errors that they share; empty where they share none.
        column_sums: of the estimate, (n,).
        order: terms of the series.
        share: of the variance of every asked level and change that is kept, to first order.
    """

    kept: tuple[Cells, ...]
    rest: tuple[Cells, ...]
    column_sums: F64
    order: int
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """One year of one scenario, ready to draw.

    Attributes:
        year: the year.
        method: what the draws perturb.
        direction: whether draws are solved for output or for multipliers.
        r_max: largest spectral radius accepted.
        tolerance: largest certified relative error of a footprint accepted.
        active: industries with positive output in the estimate, (n,).
        weights: w > 0 that certifies the base table, (n,).
        membership, domestic, characterisation, region_of, by_origin, by_industry: the question
            (see `engine.question.Asked`).
        cells: the nonzero cells of every quantity perturbed or needed.
        kept: the cells of A or Z whose factors are kept while a group is solved.
        start: the estimate's solution.
        D0: the diagonal of the estimate's system: 1, or output in accounts, (n,).
        slopes: what a residual or a change of intensities does to the footprint: forward, the
            multipliers of all emissions and of each consumer's domestic ones, (n,q,1+c);
            adjoint, the output each consumer requires, (n,c).
        intensities: of the indicators in the estimate (in accounts the emissions), (n,q).
        split: what split mode draws; None where every draw is exact.
    """

    year: int
    method: Method
    direction: Direction
    r_max: float
    tolerance: float
    active: Bool
    weights: F64
    membership: F64
    domestic: Bool
    characterisation: F64
    region_of: I64
    by_origin: I64
    by_industry: I64
    cells: Mapping[Quantity, tuple[Cells, ...]]
    kept: Kept
    start: Start
    D0: F64
    slopes: F64
    intensities: F64
    split: Split | None = None

    @property
    def accounts(self) -> bool:
        """Whether the published accounts are perturbed, not the coefficients."""
        return self.method is Method.ACCOUNTS

    @property
    def forward(self) -> bool:
        """Whether draws are solved for output, not for multipliers."""
        return self.direction is Direction.FORWARD

    @property
    def matrix(self) -> Quantity:
        """The quantity that holds the intermediate deliveries."""
        return self.method.matrix

    @property
    def emissions(self) -> Quantity:
        """The quantity that holds the industries' emissions."""
        return self.method.emissions


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
    tolerance: float = TOLERANCE,
    hashes: Addresses | None = None,
) -> Prepared:
    """Resolve names, sizes and streams of one year.

    Args:
        r_max: largest spectral radius accepted.
        tolerance: largest certified relative error of a footprint accepted.
        hashes: `addresses` of all years of the run; of this table alone if not given.

    Raises:
        ConfigError: a name the table lacks, a cell without an error size, or entries that overlap.
        TableError: the estimate itself has a spectral radius that cannot be certified.
    """
    asked = resolve(question, table.labels, table.year)
    _refuse_purchases_of_nothing(asked, table)
    hashes = addresses([table.labels], question) if hashes is None else hashes
    values: dict[Quantity, F64] = {
        Quantity.Y: table.Y,
        Quantity.F_Y: table.F_Y,
        Quantity.PURCHASES: asked.purchases,
    }
    if errors.method is Method.ACCOUNTS:
        values |= {Quantity.Z: table.Z, Quantity.E: table.E}
    else:
        values |= {
            Quantity.A: per_unit_output(table.Z, table.x, table.active),
            Quantity.S: per_unit_output(table.E, table.x, table.active),
        }
    way, method = question.direction, errors.method
    cells = _cells_of(errors, values, table, question, seed, hashes, way)
    matrix, emissions = values[method.matrix], asked.characterisation @ values[method.emissions]
    solution = _solution(way, matrix, emissions, table, asked, cells, method)
    return Prepared(
        year=table.year,
        method=method,
        direction=way,
        r_max=r_max,
        tolerance=tolerance,
        active=table.active,
        weights=solution.weights,
        membership=asked.membership,
        domestic=asked.domestic,
        characterisation=asked.characterisation,
        region_of=asked.region_of,
        by_origin=asked.by_origin,
        by_industry=asked.by_industry,
        cells=cells,
        kept=solution.kept,
        start=solution.start,
        D0=solution.D0,
        slopes=solution.slopes,
        intensities=emissions.T,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    start: Start
    weights: F64
    D0: F64
    slopes: F64
    kept: Kept


def _solution(
    way: Direction,
    matrix: F64,
    emissions: F64,
    table: MRIO,
    asked: Asked,
    cells: Mapping[Quantity, tuple[Cells, ...]],
    method: Method,
) -> _Solution:
    """Everything the estimate gives to the solution of its draws (`engine.kernels.refine`).

    Args:
        matrix: the deliveries.
        emissions: of the indicators, as intensities in coefficients, (q,n).
    """
    accounts = method is Method.ACCOUNTS
    counted = table.active if accounts else np.ones_like(table.active)
    D0 = np.where(counted, table.x, 1.0) if accounts else np.ones(len(table.x))
    demand = table.Y @ asked.membership + asked.purchases
    forward = way is Direction.FORWARD
    estimate = Estimate(matrix if forward else matrix.T, D0, counted)
    squares = squared_errors(cells[method.matrix])
    weights = robust_weights(estimate, squares, D0, left=forward)
    weights = np.where(counted, weights, 1.0)
    _refuse_uncertified(weights, table.year)
    g = np.where(counted, emissions, 0.0).T  # (n,q)
    solve_demand = estimate.solve if forward else estimate.solve_left
    solve_emissions = estimate.solve_left if forward else estimate.solve
    output, multipliers = solve_demand(demand), solve_emissions(g)
    required, passed_on = np.abs(output).sum(axis=1), np.abs(multipliers).sum(axis=1)
    X0, y0, scale = (output, demand, passed_on) if forward else (multipliers, g, required)
    scale = scale / (scale.max() or 1.0) + 1e-3
    of_y = _demand_variance(cells, asked) if forward else _emission_variance(cells, asked, method)
    natural = np.abs(D0[:, None] * X0).sum(axis=1)
    variance = residual_variance(squares, X0, of_y, natural)
    missing = 0.0 if all_important(cells[method.matrix]) else MISSING
    inverse = what_matters(estimate.inverse(), np.sqrt(variance), scale, missing)
    kept = important(cells[method.matrix], inverse, variance, scale)
    nothing = np.empty((len(D0), 0))
    if forward:
        domestic = [solve_emissions(g * home[:, None]) for home in asked.domestic.T]
        slopes = np.stack([multipliers, *domestic], axis=2)
        u = HEADROOM * np.abs(solve_emissions(np.abs(g)))
        near, far = nothing, np.column_stack([u, np.where(counted, weights, 0.0)])
    else:
        rest = squares - squared_errors(kept.cells)
        near, far = near_weights(estimate, inverse, squares, rest, X0, D0), nothing
        slopes = output
    y0, final = np.where(counted[:, None], y0, 0.0), table.Y.sum(axis=1)
    start = Start(X0, y0, final, inverse, scale, near, far, counted)
    return _Solution(start, weights, D0, slopes, kept)


def _demand_variance(cells: Mapping[Quantity, tuple[Cells, ...]], asked: Asked) -> F64:
    """Of what the consumers ask of every industry, (n,)."""
    bought = squared_errors(cells[Quantity.Y]) @ np.square(asked.membership).sum(axis=1)
    found: F64 = bought + squared_errors(cells[Quantity.PURCHASES]).sum(axis=1)
    return found


def _emission_variance(
    cells: Mapping[Quantity, tuple[Cells, ...]], asked: Asked, method: Method
) -> F64:
    """Of every industry's emissions in all indicators, (n,)."""
    emitted: F64 = squared_errors(cells[method.emissions]) @ np.square(asked.characterisation).sum(
        axis=0
    )
    return emitted


def _cells_of(
    errors: ErrorModel,
    values: Mapping[Quantity, F64],
    table: MRIO,
    question: Question,
    seed: int,
    hashes: Addresses,
    way: Direction,
) -> dict[Quantity, tuple[Cells, ...]]:
    """All nonzero cells of every quantity: those with errors by entry, then those without."""
    found: dict[Quantity, tuple[Cells, ...]] = {}
    for quantity, value in values.items():
        labels = _axis_labels(quantity, table, question)
        flows = _flows(quantity, table, values)
        own, by_row = _hashes_of(quantity, labels, hashes), _by_row(quantity, way)
        packed: list[Cells] = []
        free = value != 0
        for entry in sorted(errors, key=_place_of):
            if entry.quantity is quantity:
                i, j, log2_sd = _errors_of(entry, value, flows, labels, table.year)
                if not free[i, j].all():
                    _refuse_overlap(errors.name, quantity)
                free[i, j] = False
                terms = _terms_of(entry, table.year, seed, labels, hashes)
                packed.append(pack(value, i, j, log2_sd, own, terms, by_row=by_row))
        i, j = _positions(free)
        if len(i) or not packed:
            none = np.zeros(len(i), dtype=np.float32)
            packed.append(pack(value, i, j, none, own, (), by_row=by_row))
        found[quantity] = tuple(packed)
    return found


def _place_of(entry: Errors) -> str:
    """Entries of one quantity cover different cells; sums must not depend on who came first."""
    return str(sorted((key, sorted(names)) for key, names in entry.only.items()))


def _by_row(quantity: Quantity, way: Direction) -> bool:
    """Emissions are added up by industry or region, whatever else by the lines of the system."""
    emissions = (Quantity.E, Quantity.S, Quantity.F_Y)
    return quantity not in emissions and way is Direction.FORWARD


def _refuse_overlap(scenario: str, quantity: Quantity) -> None:
    """Two entries on one cell would multiply their errors without anybody having said so."""
    raise ConfigError(
        "two entries cover the same cell",
        where=f"scenario {scenario}, errors of {quantity}",
        remedy="narrow one of them with `only`",
    )


def _refuse_purchases_of_nothing(asked: Asked, table: MRIO) -> None:
    """What a demand vector buys from an inactive industry would count as free of emissions."""
    for row, _ in np.argwhere(asked.purchases[~table.active] != 0):
        region, sector = table.labels.industries[int(np.flatnonzero(~table.active)[row])]
        raise ConfigError(
            f"a demand vector buys from {region} {sector}, which has no output",
            where=f"purchases, year {table.year}",
            remedy="assign this purchase to an industry that produces in that year",
        )


def _refuse_uncertified(weights: F64, year: int) -> None:
    if not np.all(np.isfinite(weights) & (weights > 0)):
        raise TableError(
            "the spectral radius of the coefficients (of their magnitudes, where cells are "
            "negative) is not below one, so no footprint can be certified",
            where=f"year {year}",
            remedy="look for industries that buy more than they sell (footfall check names them)",
        )


def _axis_labels(
    quantity: Quantity, table: MRIO, question: Question
) -> tuple[list[Label], list[Label]]:
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


def _flows(quantity: Quantity, table: MRIO, values: Mapping[Quantity, F64]) -> F64:
    """The published flow behind each cell of a quantity, coefficients included."""
    match quantity:
        case Quantity.A:
            return table.Z
        case Quantity.S:
            return table.E
        case _:
            return values[quantity]


def _errors_of(
    entry: Errors, values: F64, flows: F64, labels: tuple[list[Label], list[Label]], year: int
) -> tuple[I32, I32, F32]:
    """Rows, columns and sigma log2(e) of the cells that an entry perturbs."""
    chosen = values != 0
    chosen[~_selected(entry, 0, labels[0])] = False
    chosen[:, ~_selected(entry, 1, labels[1])] = False
    i, j = _positions(chosen)
    rsd = _sizes(entry, flows, i, j, labels, year)
    return i, j, _piecewise(lambda some: log_sd(some) * LOG2E, rsd, np.float32)


def _positions(chosen: Bool) -> tuple[I32, I32]:
    """Rows and columns of the cells chosen, in row-major order, as 32-bit integers throughout."""
    i = np.repeat(np.arange(len(chosen), dtype=np.int32), np.count_nonzero(chosen, axis=1))
    j = np.empty_like(i)
    np.concatenate([np.flatnonzero(row).astype(np.int32) for row in chosen], out=j)
    return i, j


_PIECE = 2**14  # cells whose temporaries stay in a near cache


def _piecewise(
    formula: Callable[[F64], F64], values: F64, kind: type[np.floating[Any]]
) -> NDArray[Any]:
    """A formula of each value by itself, some values at a time."""
    found = np.empty(len(values), dtype=kind)
    for first in range(0, len(values), _PIECE):
        piece = slice(first, first + _PIECE)
        found[piece] = formula(values[piece])
    return found


def _hashes_of(
    quantity: Quantity, labels: tuple[list[Label], list[Label]], hashes: Addresses
) -> tuple[U32, U32]:
    """Hashes of the labels of every row and of every column."""
    rows, columns = (_addressed(("cell",), quantity, a, labels[a], hashes)[0] for a in (0, 1))
    return rows, columns


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
        rows, row_of = _addressed(component.group, quantity, 0, labels[0], hashes)
        columns, column_of = _addressed(component.group, quantity, 1, labels[1], hashes)
        groups = Groups(rows, columns, row_of, column_of)
    share = float(np.sqrt(component.weight))
    nodes = component.time.nodes(year)
    return [Term(share * weight, key, node, groups) for node, weight in nodes]


def _addressed(
    group: tuple[str, ...], quantity: Quantity, axis: int, labels: list[Label], hashes: Addresses
) -> tuple[U32, I32]:
    """The distinct hashes along one axis, and which one each position has."""
    keys = KEYS[quantity][axis]
    used = keys if group == ("cell",) else tuple(key for key in keys if key in group)
    if quantity is Quantity.PURCHASES and used == ("consumer",):
        kinds = "vector"
    else:
        kinds = " ".join(kind(key) for key in used)
    parts = [keys.index(key) for key in used]
    words = [hashes[kinds][tuple(label[part] for part in parts)] for label in labels]
    if group == ("cell",):  # all distinct: keep their order
        return np.array(words, dtype=np.uint32), np.arange(len(words), dtype=np.int32)
    distinct, position = np.unique(np.array(words, dtype=np.uint32), return_inverse=True)
    return distinct, position.astype(np.int32)


def _sizes(
    entry: Errors,
    flows: F64,
    i: I32,
    j: I32,
    labels: tuple[list[Label], list[Label]],
    year: int,
) -> F64:
    """rsd of the cells (i, j), (cells,)."""
    match entry.size:
        case Constant(rsd):
            return np.full(len(i), rsd)
        case ByLabel():
            return _by_label(entry, entry.size, i, j, labels)
        case PowerLaw():
            return _by_power(entry.size, flows[i, j], year)
        case FromFile():
            return _from_file(entry.size, flows.shape)[i, j]


def _by_power(law: PowerLaw, flows: F64, year: int) -> F64:
    """`a v^b` between floor and ceiling; no flow is zero here, for zeros carry no error."""
    conversion = law.conversion(year)

    def size(some: F64) -> F64:
        rsd = law.a * power(np.abs(some) * conversion, law.b)
        return np.clip(rsd, law.floor, law.ceiling)

    return _piecewise(size, flows, np.float64)


def _by_label(
    entry: Errors, size: ByLabel, i: I32, j: I32, labels: tuple[list[Label], list[Label]]
) -> F64:
    """Look each combination of labels up once: the cells repeat the few that matter."""
    (row_kinds, row_of), (column_kinds, column_of) = (
        _kinds(KEYS[entry.quantity][axis], size.keys, labels[axis]) for axis in (0, 1)
    )
    pairs = row_of[i] * np.int64(len(column_kinds)) + column_of[j]
    distinct, position = np.unique(pairs, return_inverse=True)
    rsd = np.empty(len(distinct))
    for place, pair in enumerate(distinct):
        row, column = row_kinds[pair // len(column_kinds)], column_kinds[pair % len(column_kinds)]
        label = tuple(a or b for a, b in zip(row, column, strict=True))
        if label not in size.rsd:
            raise ConfigError(
                f"the table of error sizes has no entry for {' '.join(label)}",
                where=f"errors of {entry.quantity}",
                remedy="add it; a missing size is never read as zero",
            )
        rsd[place] = size.rsd[label]
    return rsd[position]


def _kinds(
    own: tuple[str, ...], keys: tuple[str, ...], labels: list[Label]
) -> tuple[list[Label], I64]:
    """What `keys` say of each position of one axis ("" for keys of the other), and which it has."""
    said = [tuple(label[own.index(key)] if key in own else "" for key in keys) for label in labels]
    places: dict[Label, int] = {}
    of = np.array([places.setdefault(label, len(places)) for label in said], dtype=np.int64)
    return list(places), of


def _from_file(size: FromFile, shape: tuple[int, ...]) -> F64:
    where = f"file {size.path}"
    try:
        content = size.path.read_bytes()
        rsd = np.load(io.BytesIO(content), allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(
            f"cannot be read as an array ({error})", where=where, remedy="give a .npy file"
        ) from error
    if hashlib.sha256(content).hexdigest() != size.sha256:
        raise ConfigError(
            "changed since the configuration was read", where=where, remedy="run again"
        )
    if not isinstance(rsd, np.ndarray) or rsd.shape != shape or rsd.dtype.kind != "f":
        raise ConfigError(
            f"does not hold floats in the quantity's shape {shape}",
            where=where,
            remedy="one relative standard deviation a cell, in the order of the table",
        )
    impossible = ~((rsd == 0) | ((rsd >= SMALLEST_RSD) & (rsd <= LARGEST_RSD)))
    if impossible.any():
        check_rsd(float(rsd[impossible][0]), where)
    return rsd.astype(np.float64)
