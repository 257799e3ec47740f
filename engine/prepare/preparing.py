"""One year of one scenario prepared: names resolved, cells packed, the estimate solved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engine.error_model import ErrorModel, Method, Quantity
from engine.errors import ConfigError, within
from engine.kernels.arrays import F64
from engine.kernels.leontief import output, per_unit_output
from engine.mrio import MRIO
from engine.prepare.cells import cells_of
from engine.prepare.exact import refuse_others
from engine.prepare.labels import Addresses, addresses
from engine.prepare.prepared import TOLERANCE, Margins, Prepared
from engine.prepare.solution import solution_of
from engine.prepare.totals import known_of, resolved
from engine.question import Asked, Question, resolve


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
        ConfigError: a name the table lacks, a cell without an error size, or without any error
            where none may be, entries that overlap, known totals that cannot be used, or an
            `r_max` that cannot be certified.
        TableError: the estimate itself has a spectral radius that cannot be certified, or a cell
            with a known total is negative.
    """
    _refuse_radius(r_max)
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
    with within(f"scenario {errors.name}"):
        totals = resolved(errors, table)
        values = totals.rescaled(values)
        cells = cells_of(errors, values, table, question, seed, hashes, way, totals)
        known = known_of(totals, errors, cells, table, seed, hashes)
    matrix, emissions = values[method.matrix], asked.characterisation @ values[method.emissions]
    solution = solution_of(way, matrix, emissions, table, asked, cells, known, method)
    prepared = Prepared(
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
        product_of=asked.product_of,
        by_origin=asked.by_origin,
        by_industry=asked.by_industry,
        by_product=asked.by_product,
        cells=cells,
        kept=solution.kept,
        start=solution.start,
        D0=solution.D0,
        slopes=solution.slopes,
        usual=solution.usual,
        known=known,
        margins=None if errors.rebalance is None else _margins(values),
    )
    with within(f"scenario {errors.name}"):
        refuse_others(errors, prepared, table, question)
    return prepared


def _margins(values: Mapping[Quantity, F64]) -> Margins:
    """Row and column sums of the estimate's [Z Y]."""
    Z, Y = values[Quantity.Z], values[Quantity.Y]
    return Margins(output(Z, Y), np.concatenate([Z.sum(axis=0), Y.sum(axis=0)]))


def _refuse_radius(r_max: float) -> None:
    """Certificates rest on a spectral radius below one (`engine.kernels.certificate`)."""
    if not 0 < r_max <= 1:
        raise ConfigError(
            f"a spectral radius of {r_max:g} proves nothing",
            where="r_max",
            remedy="give a number above 0 and at most 1",
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
