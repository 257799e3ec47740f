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
stand as they are, and others' output includes what they sell to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import scipy.linalg

from engine.draws import everything, perturbed
from engine.error_model import ErrorModel, Method, Quantity
from engine.errors import TableError
from engine.kernels.arrays import F64
from engine.kernels.leontief import required_output
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
    """What one world shows: a table for each year, and what its demand vectors say they buy."""

    tables: tuple[MRIO, ...]
    question: Question


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
        TableError: this world's errors leave no table that could be published, because an
            industry has lost its output or coefficients belong to no output.
    """
    tables = []
    consumers = {consumer.name: consumer for consumer in truth.question.consumers}
    for true, prepared in zip(truth.tables, truth.prepared, strict=True):
        cells = perturbed(prepared, world)
        tables.append(_printed(true, prepared.method, cells, world))
        bought = cells[Quantity.PURCHASES]
        for column, name in enumerate(consumers):
            said = consumers[name].purchases
            if said is not None:
                places = {pair: row for row, pair in enumerate(true.labels.industries)}
                here = {pair: float(bought[places[pair], column]) for pair in said[true.year]}
                consumers[name] = replace(consumers[name], purchases={**said, true.year: here})
    return Published(tuple(tables), replace(truth.question, consumers=tuple(consumers.values())))


def _printed(true: MRIO, method: Method, cells: dict[Quantity, F64], world: int) -> MRIO:
    Y, F_Y = cells[Quantity.Y], cells[Quantity.F_Y]
    if method is Method.ACCOUNTS:
        Z, E = cells[Quantity.Z], cells[Quantity.E]
    else:
        Z, E = _recomposed(true, cells[Quantity.A], cells[Quantity.S], Y, world)
    source = f"SYNTHETIC: world {world} around {true.provenance.source}"
    marked = replace(true.provenance, source=source, synthetic=True)
    table = MRIO(true.year, true.labels, Z, Y, E, F_Y, marked)
    # In accounts an industry may gain output, as it might in print; coefficients stand or fall.
    lost = true.active & ~table.active
    if method is Method.COEFFICIENTS:
        lost = true.active != table.active
    if lost.any():
        region, sector = true.labels.industries[int(np.flatnonzero(lost)[0])]
        _refuse(f"{region} {sector} has lost its output, or gained one", true.year, world)
    return table


def _recomposed(true: MRIO, A: F64, s: F64, Y: F64, world: int) -> tuple[F64, F64]:
    """Z and E of the table that has these coefficients and this final demand."""
    Z_idle, E_idle = (np.where(true.active, 0.0, flows) for flows in (true.Z, true.E))
    sold = Y.sum(axis=1) + Z_idle.sum(axis=1)
    try:
        x = required_output(A, sold)
    except scipy.linalg.LinAlgError:
        _refuse("the coefficients belong to no output", true.year, world)
    return A * x + Z_idle, s * x + E_idle


def _refuse(what: str, year: int, world: int) -> NoReturn:
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
