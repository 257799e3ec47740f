"""Worlds: true tables, and what publishers would have made of them had the errors fallen otherwise.

A world fixes true tables and draws the error of every published cell from an error model, jointly
over the years: world w is draw w of the world's seed, by the engine's own streams. What comes out
are tables like any publisher's. Whoever analyses them knows nothing of the truth, and everything
that follows from a table follows from the published one: outputs, inactive industries, error
sizes by a power law.

    accounts      Z, E, Y and F_Y are perturbed, and the table holds them as they are
    coefficients  A, s, Y and F_Y are perturbed; the table that yields them has the output
                  x = (I - A)^-1 Y 1, and Z = A diag(x), E = s diag(x)

An industry without output has no coefficients, so none of them err: its purchases and emissions
stand as they are, and others' output includes what they sell to it. Where its sales are large and
of both signs, errors may take an industry its output; it is then published without any, and
inactive in what the engine sees, as such industries are in tables that exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np

from engine.draws import everything, perturbed
from engine.error_model import ErrorModel, Quantity
from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import required_output
from engine.kernels.solve import certify_radius
from engine.mrio import MRIO
from engine.prepare import TOLERANCE, Addresses, Prepared, addresses, prepare
from engine.question import Question


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """True tables with the errors that their publishers will make.

    Attributes:
        tables: one a year.
        question: with what demand vectors truly buy.
        prepared: the tables with the world's error model and seed.
    """

    tables: tuple[MRIO, ...]
    question: Question
    prepared: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """What one world shows.

    Attributes:
        tables: one a year.
        question: with what demand vectors say they buy.
        lost: how many industries that truly have output are published without, over all years.
    """

    tables: tuple[MRIO, ...]
    question: Question
    lost: int = 0


def truth(
    tables: Sequence[MRIO],
    errors: ErrorModel,
    seed: int,
    question: Question | None = None,
    *,
    r_max: float = 0.99,
    tolerance: float = TOLERANCE,
    hashes: Addresses | None = None,
) -> Truth:
    """True tables made ready to be published in any number of worlds.

    Args:
        tables: of all years, with the same labels.
        errors: the error model of the world.
        seed: of the world, not the one by which anybody analyses it (`seed_for`).
        question: only its demand vectors matter to a world; none if not given.

    Raises:
        ConfigError: the error model names what the tables do not have.
        TableError: a true table's own spectral radius is not below one.
    """
    asked = everything(tables[0]) if question is None else question
    hashes = hashes or addresses([table.labels for table in tables], asked)
    prepared = tuple(
        prepare(table, errors, asked, seed, r_max=r_max, tolerance=tolerance, hashes=hashes)
        for table in tables
    )
    return Truth(tuple(tables), asked, prepared)


def publish(truth: Truth, world: int) -> Published:
    """The tables of all years as one world shows them; a pure function of its arguments.

    Raises:
        TableError: the coefficients of this world have no certified spectral radius and belong to
            no economy, or a demand vector buys from an industry that has lost its output.
    """
    tables = []
    consumers = {consumer.name: consumer for consumer in truth.question.consumers}
    for true, prepared in zip(truth.tables, truth.prepared, strict=True):
        cells = perturbed(prepared, world)
        tables.append(_printed(true, prepared, cells, world))
        places = {pair: row for row, pair in enumerate(true.labels.industries)}
        for column, (name, consumer) in enumerate(tuple(consumers.items())):
            if consumer.purchases is not None:
                bought = cells[Quantity.PURCHASES][:, column]
                if (bought[~tables[-1].active] != 0).any():
                    _set_aside(f"{name} buys from an industry without output", true.year, world)
                here = {pair: float(bought[places[pair]]) for pair in consumer.purchases[true.year]}
                said = {**consumer.purchases, true.year: here}
                consumers[name] = replace(consumer, purchases=said)
    both = zip(truth.tables, tables, strict=True)
    return Published(
        tuple(tables),
        replace(truth.question, consumers=tuple(consumers.values())),
        sum(int((true.active & ~table.active).sum()) for true, table in both),
    )


def _printed(true: MRIO, prepared: Prepared, cells: Mapping[Quantity, F64], world: int) -> MRIO:
    Y, F_Y = cells[Quantity.Y], cells[Quantity.F_Y]
    if prepared.accounts:
        Z, E = cells[Quantity.Z], cells[Quantity.E]
    else:
        A, s = cells[Quantity.A], cells[Quantity.S]
        if certify_radius(A, prepared.weights, prepared.r_max) is None:
            said = "the coefficients have no certified spectral radius and belong to no economy"
            _set_aside(said, true.year, world)
        Z, E = _recomposed(true, A, s, Y)
    source = f"SYNTHETIC: world {world} around {true.provenance.source}"
    marked = replace(true.provenance, source=source, synthetic=True)
    return MRIO(true.year, true.labels, Z, Y, E, F_Y, marked)


def _recomposed(true: MRIO, A: F64, s: F64, Y: F64) -> tuple[F64, F64]:
    """Z and E of the table that has these coefficients and this final demand.

    `x = A x + (Z 1 of industries without output) + Y 1`, anew until no industry loses its output.
    """
    active = true.active
    while True:
        bought = np.where(active, 0.0, true.Z)
        own = np.where(active, A, 0.0)
        x = required_output(own, (Y.sum(axis=1) + bought.sum(axis=1))[:, None])[:, 0]
        lost = active & (x <= 0)
        if not lost.any():
            return own * x + bought, np.where(active, s * x, true.E)
        active = active & ~lost


def _set_aside(what: str, year: int, world: int) -> NoReturn:
    raise TableError(
        what,
        where=f"world {world}, year {year}",
        remedy="count this world as one that no publisher shows",
    )


def seed_for(seed: int, purpose: str) -> int:
    """A seed of its own for every purpose, below 2^63.

    The worlds must not share random numbers with whoever analyses them, nor the analysis of one
    world with that of another: then the scatter of draws averages out over worlds.
    """
    digest = hashlib.blake2b(f"{seed} {purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
