"""Groups of 64 draws against the reference path, draw by draw, on the same streams."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from test_draws import ACCOUNTS, COEFFICIENTS, entry, world

from engine.draws import DIRECTLY, Draws, Status, draw_directly, draw_group, everything, perturbed
from engine.error_model import AR1, Constant, ErrorModel, Method, Period, Persistent, Yearly
from engine.mrio import MRIO
from engine.plan import Direction
from engine.prepare import Prepared, prepare
from engine.question import Consumer, Question
from engine.twin import linearised

SHARED = ("trade", 0.5, ("row_region", "col_region"), Persistent())
OWN = ("own", 0.5, ("cell",), AR1(0.8))
MODELS = {
    "accounts": ACCOUNTS,
    "coefficients": COEFFICIENTS,
    "shared, A": ErrorModel("b", Method.COEFFICIENTS, (entry("A", Constant(0.3), SHARED, OWN),)),
    "shared, Z": ErrorModel(
        "b",
        Method.ACCOUNTS,
        (
            entry("Z", Constant(0.3), SHARED, OWN),
            entry("E", Constant(0.1), ("p", 1.0, ("all",), Period((1995, 2005)))),
        ),
    ),
}
PARTS = {
    Direction.FORWARD: ("total", "domestic", "foreign", "direct"),
    Direction.ADJOINT: ("total", "direct"),
}


def asked(table: MRIO, direction: Direction) -> Question:
    """Every region, and a company for the demand vectors' sake."""
    question = everything(table)
    company = Consumer("company", ("R1",), {table.year: {("R0", "S0"): 3.0, ("R1", "S2"): 1.0}})
    return replace(question, consumers=(*question.consumers, company), parts=PARTS[direction])


def ready(model: ErrorModel, direction: Direction, tolerance: float = 1e-6) -> Prepared:
    table = world(seed=2, regions=5, sectors=6)
    prepared = prepare(table, model, asked(table, direction), 3, tolerance=tolerance)
    assert prepared.direction is direction
    return prepared


def assert_as_certified(prepared: Prepared, drawn: Draws, group: int) -> None:
    """Each draw has the reference's status, and its footprint within the certified error."""
    columns = slice(None) if prepared.direction is Direction.FORWARD else [0, 3]
    for lane in range(64):
        truth = draw_directly(prepared, 64 * group + lane)
        assert drawn.status[lane] == truth.status
        assert drawn.column_sums_above_one[lane] == truth.column_sums_above_one
        if truth.status is not Status.ACCEPTED:
            assert np.isnan(drawn.footprint[lane]).all()
            continue
        gap = np.abs(drawn.footprint[lane] - truth.footprint)[..., columns]
        allowed = drawn.certified_error[lane] + truth.certified_error
        assert (gap <= allowed * np.abs(truth.footprint[..., :1])).all()
        assert drawn.certified_error[lane] <= max(prepared.tolerance, 1e-9)


@pytest.mark.parametrize("tolerance", [1e-4, 1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", list(MODELS))
def test_every_draw_is_the_reference_within_its_certificate(
    name: str, direction: Direction, tolerance: float
) -> None:
    prepared = ready(MODELS[name], direction, tolerance)
    assert_as_certified(prepared, draw_group(prepared, 1), 1)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("rsd", [0.6, 2.0])
def test_large_errors_are_certified_solved_directly_or_rejected(
    rsd: float, method: Method, direction: Direction
) -> None:
    """Shared errors far above what a footprint survives; column sums and radii above one."""
    quantity = "A" if method is Method.COEFFICIENTS else "Z"
    shared = ("all", 0.5, ("all",), Yearly()), ("own", 0.5, ("cell",), Yearly())
    model = ErrorModel("b", method, (entry(quantity, Constant(rsd), *shared),))
    prepared = ready(model, direction)
    drawn = draw_group(prepared, 0)
    assert_as_certified(prepared, drawn, 0)
    if method is Method.COEFFICIENTS and rsd == 2.0:
        assert (drawn.status == Status.REJECTED_RADIUS).any()
        assert (drawn.corrections == DIRECTLY).any()
        assert (drawn.column_sums_above_one[drawn.status == Status.ACCEPTED] > 0).any()


def test_an_ill_conditioned_table_is_certified_or_solved() -> None:
    table = world(seed=2, regions=3, sectors=4)
    x = np.where(table.active, table.x, 1.0)
    tight = replace(table, Z=table.Z * 0.998 * x / np.maximum(table.Z.sum(axis=0), 1e-9))
    model = ErrorModel("b", Method.COEFFICIENTS, (entry("A", Constant(0.001)),))
    prepared = prepare(tight, model, everything(tight), 1, r_max=0.9999)
    assert_as_certified(prepared, draw_group(prepared, 0), 0)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", list(MODELS))
def test_linear_is_the_gradient_times_the_change_of_every_cell(
    name: str, direction: Direction
) -> None:
    prepared = ready(MODELS[name], direction)
    drawn, gradients = draw_group(prepared, 0), linearised(prepared).gradients
    before = perturbed(prepared, None)
    columns = slice(None) if direction is Direction.FORWARD else [0, 3]
    for lane in (0, 17, 63):
        now = perturbed(prepared, lane)
        change = sum(
            np.einsum("ij,ij...->...", now[q] - before[q], gradients[q].dense()) for q in before
        )
        found = drawn.linear[lane][..., columns]
        size = np.abs(drawn.footprint[lane][..., :1])
        assert (np.abs(found - change[..., columns]) <= 1e-11 * size).all()


def test_threads_and_repetition_change_no_bit() -> None:
    prepared = ready(MODELS["shared, A"], Direction.FORWARD)
    with ThreadPoolExecutor(4) as pool:
        groups = list(pool.map(lambda group: draw_group(prepared, group), [0, 1, 2, 0, 1, 2]))
    for one, other in zip(groups[:3], groups[3:], strict=True):
        assert one.footprint.tobytes() == other.footprint.tobytes()
        assert one.gaussian.tobytes() == other.gaussian.tobytes()
