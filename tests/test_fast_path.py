"""Groups of 64 draws against the reference path, draw by draw, on the same streams."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_draws import ACCOUNTS, COEFFICIENTS, entry, world
from threadpoolctl import threadpool_limits

from engine.draws import (
    DIRECTLY,
    Draws,
    Status,
    draw_directly,
    draw_group,
    draw_prepared,
    everything,
    perturbed,
    reference,
)
from engine.draws import group as group_of_draws
from engine.draws.outcome import NEGLIGIBLE, relative
from engine.draws.ways import draw_demand_and_emissions, way_of
from engine.error_model import (
    AR1,
    ByLabel,
    Constant,
    ErrorModel,
    Method,
    Period,
    Persistent,
    Yearly,
)
from engine.errors import ConfigError
from engine.kernels import inverse, start
from engine.kernels.arrays import F64
from engine.kernels.certificate import Own
from engine.kernels.repair import own_weights
from engine.mrio import MRIO
from engine.plan import Direction
from engine.prepare import Prepared, prepare, solution
from engine.question import Consumer, Question
from engine.twin import linearised


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As in every run: the bits of a solution depend on the number of BLAS threads."""
    with threadpool_limits(1, user_api="blas"):
        yield


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


def parts_of(prepared: Prepared) -> slice | list[int]:
    """What a draw tells of its footprint: multipliers give no parts."""
    return slice(None) if prepared.direction is Direction.FORWARD else [0, 3]


def assert_as_certified(prepared: Prepared, drawn: Draws, group: int, step: int = 1) -> None:
    """Each draw, or each `step`-th, has the reference's status, and its footprint within the
    certified error.

    What is nothing beside what its consumer's demand would usually carry is held to that.
    """
    columns = parts_of(prepared)
    for lane in range(0, 64, step):
        truth = draw_directly(prepared, 64 * group + lane)
        assert drawn.status[lane] == truth.status
        assert drawn.column_sums_above_one[lane] == truth.column_sums_above_one
        if truth.status is not Status.ACCEPTED:
            assert np.isnan(drawn.footprint[lane]).all()
            continue
        gap = np.abs(drawn.footprint[lane] - truth.footprint)[..., columns]
        allowed = drawn.certified_error[lane] + truth.certified_error
        assert np.isfinite(drawn.footprint[lane][..., columns]).all()
        size = np.abs(truth.footprint[..., :1])
        nothing = 2 * prepared.tolerance * NEGLIGIBLE * prepared.usual[..., None]
        assert (gap <= np.maximum(allowed * size, np.where(size > 0, nothing, 0.0))).all()
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


@pytest.mark.parametrize("direction", list(Direction))
def test_large_shared_errors_are_certified_by_weights_of_the_draws_own(
    direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a draw that is rejected, which a direct solution has to say, is solved directly."""
    shared = ("all", 0.5, ("all",), Yearly()), ("own", 0.5, ("cell",), Yearly())
    model = ErrorModel("b", Method.COEFFICIENTS, (entry("A", Constant(0.5), *shared),))
    table = world(seed=3, regions=4, sectors=10)
    question = asked(table, direction)
    prepared = prepare(table, model, question, seed=1)
    drawn = draw_group(prepared, 1)
    assert_as_certified(prepared, drawn, 1)
    directly = drawn.corrections == DIRECTLY
    assert not (directly & (drawn.status == Status.ACCEPTED)).any()

    def nothing(*given: Any) -> Own:
        own = own_weights(*given)
        return replace(own, proved=np.zeros(64, dtype=np.bool_))

    monkeypatch.setattr(group_of_draws, "own_weights", nothing)
    before = draw_group(prepared, 1)
    assert (before.status == drawn.status).all()
    assert (before.corrections == DIRECTLY).sum() >= directly.sum() + 5


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
    columns = parts_of(prepared)
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


# --- tables and errors that nobody hopes for ------------------------------------------------------


def on_everything(rsd: float, method: Method) -> ErrorModel:
    own = ("Z", "E") if method is Method.ACCOUNTS else ("A", "s")
    quantities = (*own, "Y", "F_Y", "purchases")
    return ErrorModel("b", method, tuple(entry(q, Constant(rsd)) for q in quantities))


def in_another_unit(table: MRIO, factor: float) -> MRIO:
    return replace(table, Z=table.Z * factor, Y=table.Y * factor)


def of_twenty_orders(table: MRIO) -> MRIO:
    """Every cell of the deliveries and emissions smaller by something between 1 and 10^20."""
    rng = np.random.default_rng(0)
    Z = table.Z * 10.0 ** rng.uniform(-20, 0, table.Z.shape)
    return replace(table, Z=Z, E=table.E * 10.0 ** rng.uniform(-20, 0, table.E.shape))


def of_industries_of_ten_orders(table: MRIO) -> MRIO:
    size = 10.0 ** np.random.default_rng(1).uniform(-5, 5, (len(table.Z), 1))
    return replace(table, Z=table.Z * size, Y=table.Y * size)


def without_methane(table: MRIO) -> MRIO:
    there = np.array([[1.0], [0.0]])
    return replace(table, E=table.E * there, F_Y=table.F_Y * there)


def with_stocks_sold(table: MRIO) -> MRIO:
    """An industry whose output is a small difference of large sales, another without output."""
    Y = table.Y.copy()
    Y[0, :2] = 1e5, -1e5 + 50.0
    Y[4] = -table.Z[4].sum()
    return replace(table, Y=Y)


HOSTILE: dict[str, Callable[[MRIO], MRIO]] = {
    "tiny unit": lambda table: in_another_unit(table, 1e-15),
    "huge unit": lambda table: in_another_unit(table, 1e15),
    "cells": of_twenty_orders,
    "industries": of_industries_of_ten_orders,
    "a zero row": without_methane,
    "no emissions": lambda table: replace(table, E=table.E * 0, F_Y=table.F_Y * 0),
    "cancelling": with_stocks_sold,
    "nothing strange": lambda table: table,
}


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("rsd", [0.3, 2.0])
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_tables_are_certified_solved_directly_or_rejected(
    name: str, rsd: float, method: Method, direction: Direction
) -> None:
    table = HOSTILE[name](world(seed=2, regions=4, sectors=4))
    prepared = prepare(table, on_everything(rsd, method), asked(table, direction), 3)
    assert prepared.direction is direction
    drawn = draw_group(prepared, 2)
    assert_as_certified(prepared, drawn, 2, step=3)
    if name == "a zero row":
        assert (drawn.footprint[drawn.status == Status.ACCEPTED, 1][..., [0, 3]] == 0).all()


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("factor", [1e-12, 1e12])
def test_the_unit_of_money_changes_nothing_but_the_last_digits(
    factor: float, direction: Direction
) -> None:
    table = world(seed=2, regions=5, sectors=6)
    found = []
    for one in (table, in_another_unit(table, factor)):
        question = replace(everything(one), parts=PARTS[direction])
        prepared = prepare(one, on_everything(0.3, Method.ACCOUNTS), question, 3, tolerance=1e-9)
        found.append(draw_group(prepared, 0))
    ours, theirs = (one.footprint[..., [0, 3]] for one in found)
    assert ours == pytest.approx(theirs, rel=2e-9)
    assert (found[0].corrections == found[1].corrections).all()


def tight(slack: float) -> MRIO:
    """Every column of coefficients adds up to 1 - slack."""
    table = world(seed=2, regions=3, sectors=4)
    A = table.Z / np.maximum(table.Z.sum(axis=0), 1e-300) * (1 - slack)
    A[-1], A[:, -1] = 0.0, 0.0
    Y = np.abs(table.Y)
    x = np.linalg.solve(np.eye(len(A)) - A, Y.sum(axis=1))
    return replace(table, Z=A * x, Y=Y)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("tolerance", [1e-4, 1e-9])
@pytest.mark.parametrize("slack", [1e-4, 1e-6, 1e-8])
def test_a_radius_close_to_one_is_proved_or_refused(
    slack: float, tolerance: float, method: Method
) -> None:
    """A direct solution that is as good as was asked is accepted, however hard the system."""
    table = tight(slack)
    quantity = "A" if method is Method.COEFFICIENTS else "Z"
    model = ErrorModel("b", method, (entry(quantity, Constant(1e-6)),))
    prepared = prepare(table, model, everything(table), 1, r_max=1 - 1e-9, tolerance=tolerance)
    drawn = draw_group(prepared, 0)
    truths = [draw_directly(prepared, lane) for lane in range(64)]
    assert drawn.status.tolist() == [truth.status for truth in truths]
    accepted = drawn.status == Status.ACCEPTED
    assert (drawn.certified_error[accepted] <= tolerance).all()
    if tolerance == 1e-4:
        assert not (drawn.status == Status.FAILED).any()
        assert accepted.any()
    for lane in np.flatnonzero(accepted):
        gap = np.abs(drawn.footprint[lane] - truths[lane].footprint)
        allowed = drawn.certified_error[lane] + truths[lane].certified_error
        assert (gap <= allowed * np.abs(truths[lane].footprint[..., :1])).all()


def test_radii_on_both_sides_of_r_max_are_told_apart_as_the_reference_does() -> None:
    table = world(seed=2, regions=5, sectors=6)
    model = ErrorModel("b", Method.COEFFICIENTS, (entry("A", Constant(0.5), SHARED, OWN),))
    for direction in Direction:
        prepared = ready(model, direction)
        draws = [perturbed(prepared, lane)[prepared.matrix] for lane in range(64)]
        radii = [np.abs(np.linalg.eigvals(np.abs(A))).max() for A in draws]
        middle = float(np.median(radii))
        prepared = prepare(table, model, asked(table, direction), 3, r_max=middle)
        drawn = draw_group(prepared, 0)
        assert ((drawn.status == Status.ACCEPTED) == (np.array(radii) < middle)).all()
        assert_as_certified(prepared, drawn, 0)


# --- judging an error -----------------------------------------------------------------------------


def one_error(bound: F64, total: F64, usual: F64) -> float:
    """Of one indicator and two consumers, in one draw."""
    one, two = (a.reshape(1, 2, 1) for a in (bound, total))
    return float(relative(one, two, usual.reshape(1, 2), 1e-6)[0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_has_no_small_error(bad: float) -> None:
    """Comparisons with NaN are false: none may make an error disappear."""
    one, small = np.array([1.0, 1.0]), np.array([1e-9, 1e-9])
    assert one_error(small, one, one) == 1e-9
    ill = np.array([1.0, bad])
    assert not one_error(np.abs(ill), one, one) <= 1e-6
    assert not one_error(small, ill, one) <= 1e-6
    assert not one_error(np.abs(ill), ill, one) <= 1e-6


def test_a_negligible_total_needs_a_negligible_bound() -> None:
    large, zero = np.array([1e-9, 0.0]), np.array([1.0, 0.0])
    assert one_error(large, zero, np.ones(2)) == 1e-9
    assert one_error(np.array([1e-9, 1e-11]), zero, np.ones(2)) == np.inf
    assert one_error(np.array([1e-9, 1e-12]), np.array([1.0, 1e-7]), np.ones(2)) == 1e-9
    assert one_error(np.array([1e-9, 1e-11]), np.array([1.0, 1e-7]), np.ones(2)) > 1e-5
    assert one_error(np.zeros(2), np.zeros(2), np.zeros(2)) == 0.0


@pytest.mark.parametrize("size", [1.0, 1e-9])
@pytest.mark.parametrize("direction", list(Direction))
def test_a_small_consumer_is_certified_like_a_large_one(
    direction: Direction, size: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A company's purchases beside those of whole regions: its error is its own."""
    for name, value in (("FEW", 5), ("IMPORTANT", 0.05)):
        monkeypatch.setattr(start, name, value)
    table = world(seed=2, regions=5, sectors=6)
    bought = {table.year: {("R0", "S1"): size, ("R3", "S2"): 2 * size}}
    company = Consumer("company", ("R1",), bought)
    question = replace(asked(table, direction), consumers=(*everything(table).consumers, company))
    prepared = prepare(table, MODELS["shared, A"], question, 3, tolerance=1e-4)
    drawn, seen = draw_group(prepared, 0), 0
    for lane in np.flatnonzero((drawn.status == Status.ACCEPTED) & (drawn.corrections != DIRECTLY)):
        truth = draw_directly(prepared, int(lane)).footprint[:, -1, 0]
        error = np.abs(drawn.footprint[lane, :, -1, 0] / truth - 1).max()
        assert error <= drawn.certified_error[lane] <= 1e-4
        seen += 1
    assert seen > 32


@pytest.mark.parametrize("direction", list(Direction))
def test_an_entry_without_cells_and_cells_without_errors(
    direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sector that sells nothing, and sizes of zero, which would all be equally important."""
    for name, value in (("FEW", 5), ("IMPORTANT", 0.2)):
        monkeypatch.setattr(start, name, value)
    table = world(seed=2, regions=5, sectors=6)
    Z = table.Z.copy()
    Z[[row for row, (_, sector) in enumerate(table.labels.industries) if sector == "S3"]] = 0
    table = replace(table, Z=Z)
    sizes = {("S3",): 0.3, ("S1",): 0.3} | {(s,): 0.0 for s in ("S0", "S2", "S4", "S5")}
    for model in (
        (
            replace(entry("A", Constant(0.3)), only={"row_sector": ("S3",)}),
            replace(
                entry("A", Constant(0.3), ("other", 1.0, ("cell",), Yearly())),
                only={"row_sector": ("S1", "S2")},
            ),
        ),
        (entry("A", ByLabel(("row_sector",), sizes)),),
    ):
        errors = ErrorModel("b", Method.COEFFICIENTS, model)
        prepared = prepare(table, errors, asked(table, direction), 3)
        cells = sum(len(one.value) for one in prepared.cells[prepared.matrix] if one.terms)
        assert sum(len(one.value) for one in prepared.kept.cells) == max(int(0.2 * cells), 5)
        assert_as_certified(prepared, draw_group(prepared, 0), 0, step=7)


@pytest.mark.parametrize("r_max", [2.0, 1.0 + 1e-12, 0.0, -0.5, np.nan])
def test_a_radius_that_cannot_be_certified_is_refused(r_max: float) -> None:
    table = world(seed=2, regions=5, sectors=6)
    with pytest.raises(ConfigError, match="radius"):
        prepare(table, ACCOUNTS, everything(table), 3, r_max=r_max)


@pytest.mark.parametrize("direction", list(Direction))
def test_the_shift_covers_the_correction_of_every_part(direction: Direction) -> None:
    prepared = ready(MODELS["shared, A"], direction)
    way = way_of(prepared, draw_demand_and_emissions(prepared, 0))
    rng = np.random.default_rng(0)
    shape = (*prepared.start.X0.shape, 64)
    X, R = np.zeros(shape), rng.normal(size=shape)
    moved = way.footprint(X, R) - way.footprint(X, np.zeros(shape))
    moved = np.abs(moved[:, :, parts_of(prepared)]).max(axis=2)
    assert moved == pytest.approx(way.residual_shift(R), rel=1e-9, abs=1e-9)


# --- the first order ------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("method", list(Method))
def test_what_linear_leaves_is_of_second_order(method: Method, direction: Direction) -> None:
    """Half the error, on the same normals, leaves a quarter."""
    table = world(seed=2, regions=5, sectors=6)
    left = []
    for rsd in (2e-3, 1e-3, 1e-4):
        prepared = prepare(
            table, on_everything(rsd, method), asked(table, direction), 3, tolerance=1e-12
        )
        drawn, columns = draw_group(prepared, 0), parts_of(prepared)
        base = reference(prepared)[..., columns]
        rest = drawn.footprint[..., columns] - base - drawn.linear[..., columns]
        size = np.abs(reference(prepared)[..., :1])
        assert (np.abs(rest) <= 60 * rsd**2 * size).all()
        left.append(np.sqrt(np.square(rest / size)[..., 0].mean()))
    assert left[0] / left[1] == pytest.approx(4.0, rel=0.05)
    assert left[1] / left[2] == pytest.approx(100.0, rel=0.05)


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", list(MODELS))
def test_linear_has_mean_zero(name: str, direction: Direction) -> None:
    """1,920 draws, 5 standard errors of 48 numbers at most: false failure once in 10^4 or so."""
    prepared = ready(MODELS[name], direction, tolerance=1e-4)
    drawn = draw_prepared(prepared, range(1920))
    assert (drawn.status == Status.ACCEPTED).all()
    linear = drawn.linear[..., parts_of(prepared)]
    error = linear.std(axis=0) / np.sqrt(len(linear))
    assert (np.abs(linear.mean(axis=0)) <= 5 * error).all()
    assert (error[..., 0] > 0).all()


# --- which draws are computed together ------------------------------------------------------------


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("name", ["accounts", "shared, A"])
def test_a_draw_is_the_same_whichever_others_are_asked(name: str, direction: Direction) -> None:
    prepared = ready(MODELS[name], direction)
    whole = draw_prepared(prepared, range(256))
    for numbers in ([0], [255], [200, 3, 64, 63, 3], range(100, 140), range(255, -1, -37)):
        some = draw_prepared(prepared, numbers)
        for field in ("footprint", "linear", "gaussian", "status", "certified_error"):
            kept = getattr(whole, field)[[*numbers]]
            assert getattr(some, field).tobytes() == kept.tobytes()
        assert (some.corrections == whole.corrections[[*numbers]]).all()


@pytest.mark.parametrize("direction", list(Direction))
@pytest.mark.parametrize("keep", [0, 256 * 30, 2**30])
@pytest.mark.parametrize("important", [0.02, 0.4])
@pytest.mark.parametrize("whole", [True, False])
def test_corrections_on_some_cells_are_certified_alike(
    whole: bool, important: float, keep: int, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of large tables: factors of some or all cells in memory, the inverse whole or in part."""
    for name, value in (("FEW", 5), ("IMPORTANT", important), ("KEEP", keep)):
        monkeypatch.setattr(start, name, value)
    monkeypatch.setattr(inverse, "KEEP", 2**30 if whole else 0)
    monkeypatch.setattr(solution, "MISSING", 1e-4)
    for name in ("accounts", "shared, A"):
        prepared = ready(MODELS[name], direction, tolerance=1e-9)
        assert not prepared.kept.whole
        cells = sum(len(one.value) for one in prepared.cells[prepared.matrix] if one.terms)
        first = sum(len(one.value) for one in prepared.kept.cells)
        assert prepared.kept.rows == max(min(cells, keep // 256) - first, 0)
        kept = prepared.start.inverse
        assert bool(kept.whole.size) == whole
        assert len(kept.value) < len(kept.whole) ** 2
        for group in (0, 1):
            drawn = draw_group(prepared, group)
            assert_as_certified(prepared, drawn, group, step=5)
        again = draw_group(prepared, 1)
        assert again.footprint.tobytes() == drawn.footprint.tobytes()
    monkeypatch.undo()
    full = draw_group(ready(MODELS["shared, A"], direction, tolerance=1e-9), 1)
    for name in ("linear", "gaussian"):
        one, other = getattr(drawn, name), getattr(full, name)
        assert one == pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True)
    assert (drawn.column_sums_above_one == full.column_sums_above_one).all()
