"""Worlds: what publishers would have printed, and that it is what the engine draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.draws import draw_directly, everything, perturbed, reference
from engine.error_model import (
    AR1,
    Component,
    Constant,
    ErrorModel,
    Errors,
    Law,
    Method,
    Persistent,
    PowerLaw,
    Quantity,
    Yearly,
)
from engine.errors import TableError
from engine.kernels.leontief import per_unit_output
from engine.mrio import MRIO
from engine.prepare import prepare
from engine.question import Consumer, Question
from engine.readers import toy
from engine.worlds import publish, seed_for, truth

SOURCE = toy.Toy(world=toy.World.RANDOM, zeros=0.3, negatives=0.1)
TABLES = tuple(toy.read(SOURCE, year) for year in (2000, 2001))


def model(
    method: Method, rsd: float = 0.2, *, lasting: bool = False, law: Law = Law.LOGNORMAL
) -> ErrorModel:
    """Errors of everything, slowly fading or persistent."""
    time = Persistent() if lasting else AR1(0.8)
    names = (method.matrix, method.emissions, Quantity.Y, Quantity.F_Y)
    component = Component("own", 1.0, ("cell",), time)
    return ErrorModel(
        "all",
        method,
        tuple(Errors(name, {}, Constant(rsd), (component,), "test", law) for name in names),
    )


@pytest.mark.parametrize("law", [Law.LOGNORMAL, Law.GAMMA])
@pytest.mark.parametrize("method", list(Method))
def test_a_published_footprint_is_that_of_the_draw(method: Method, law: Law) -> None:
    """World w shows tables whose own footprint is the one that draw w of its seed would have."""
    true = truth(TABLES, model(method, law=law), 5)
    for world in (0, 63, 64):
        shown = publish(true, world)
        for table, prepared in zip(shown.tables, true.prepared, strict=True):
            of_draw = draw_directly(prepared, world).footprint
            exact = ErrorModel("exact", method, ())
            printed = reference(prepare(table, exact, everything(table), 1))
            assert printed == pytest.approx(of_draw, rel=1e-12)


def test_published_coefficients_are_those_drawn() -> None:
    """The table is built around them: `Z diag(x)^-1` and `E diag(x)^-1` give them back."""
    true = truth(TABLES, model(Method.COEFFICIENTS), 5)
    cells, (table, _) = perturbed(true.prepared[0], 3), publish(true, 3).tables
    A, s = (per_unit_output(flows, table.x, table.active) for flows in (table.Z, table.E))
    assert pytest.approx(cells[Quantity.A], rel=1e-13) == A
    assert pytest.approx(cells[Quantity.S], rel=1e-13) == s
    assert table.Y.tobytes() == cells[Quantity.Y].tobytes()


def test_published_accounts_are_those_drawn_and_output_follows() -> None:
    true = truth(TABLES, model(Method.ACCOUNTS), 5)
    cells, (table, _) = perturbed(true.prepared[0], 3), publish(true, 3).tables
    assert table.Z.tobytes() == cells[Quantity.Z].tobytes()
    assert table.E.tobytes() == cells[Quantity.E].tobytes()
    assert table.x.tobytes() == (table.Z.sum(axis=1) + table.Y.sum(axis=1)).tobytes()
    assert table.provenance.synthetic
    assert "SYNTHETIC" in table.provenance.source


def test_a_world_is_joint_over_the_years() -> None:
    """A lasting error is the same factor in both years, an AR(1) one correlates by phi."""
    lasting = publish(truth(TABLES, model(Method.ACCOUNTS, lasting=True), 5), 7).tables
    factors = [
        shown.E[true.E > 0] / true.E[true.E > 0]
        for shown, true in zip(lasting, TABLES, strict=True)
    ]
    assert factors[0] == pytest.approx(factors[1], rel=1e-12)
    fading = truth(TABLES, model(Method.ACCOUNTS), 5)
    logs = np.array(
        [
            [np.log(shown.E[true.E > 0] / true.E[true.E > 0]) for shown, true in both]
            for both in (zip(publish(fading, w).tables, TABLES, strict=True) for w in range(100))
        ]
    )
    found = np.corrcoef(*logs.transpose(1, 0, 2).reshape(2, -1))[0, 1]
    # 4 standard errors, 1 in 16,000
    assert abs(found - 0.8) < 4 * (1 - 0.8**2) / np.sqrt(logs[:, 0].size)


def test_worlds_differ_and_repeat() -> None:
    true = truth(TABLES, model(Method.ACCOUNTS), 5)
    again = truth(TABLES, model(Method.ACCOUNTS), 5)
    one, same, other = publish(true, 1), publish(again, 1), publish(true, 2)
    assert one.tables[0].sha256 == same.tables[0].sha256 != other.tables[0].sha256


def test_sizes_by_a_power_law_follow_the_published_flows() -> None:
    """Nobody knows the true flows, so the engine's error sizes err with the tables."""
    law = PowerLaw(2.0, -0.3, 1e-3, 1.0, "EUR", 1.0)
    component = Component("own", 1.0, ("cell",), Yearly())
    errors = ErrorModel(
        "law", Method.ACCOUNTS, (Errors(Quantity.Z, {}, law, (component,), "test"),)
    )
    true = truth(TABLES, errors, 5)
    table = publish(true, 0).tables[0]
    (seen,) = prepare(table, errors, everything(table), 1).cells[Quantity.Z][:1]
    expected = np.clip(2.0 * np.abs(seen.value) ** -0.3, 1e-3, 1.0)
    found = np.sqrt(np.expm1(np.square(seen.log2_sd.astype(np.float64) * np.log(2))))
    assert found == pytest.approx(expected, rel=1e-5)
    (truly,) = true.prepared[0].cells[Quantity.Z][:1]
    assert not np.allclose(seen.log2_sd, truly.log2_sd, rtol=1e-3)


def test_what_a_demand_vector_says_it_buys_errs_too() -> None:
    bought = {year: {TABLES[0].labels.industries[0]: 10.0} for year in (2000, 2001)}
    acme = Consumer("acme", ("R0",), bought)
    component = Component("own", 1.0, ("cell",), Persistent())
    entry = Errors(Quantity.PURCHASES, {}, Constant(0.3), (component,), "test")
    asked = Question((acme,), everything(TABLES[0]).indicators)
    true = truth(TABLES, ErrorModel("p", Method.ACCOUNTS, (entry,)), 5, asked)
    shown = publish(true, 4).question.consumers[0].purchases
    assert shown is not None
    first, second = (next(iter(shown[year].values())) for year in (2000, 2001))
    assert first == pytest.approx(second, rel=1e-12)
    assert first != 10.0
    assert bought[2000] == {TABLES[0].labels.industries[0]: 10.0}


def idle() -> MRIO:
    """A table whose last industry sells nothing, but buys and emits."""
    table = TABLES[0]
    Z, Y = table.Z.copy(), table.Y.copy()
    Z[-1], Y[-1] = 0.0, 0.0
    return replace(table, Z=Z, Y=Y, published_output=None)


def test_an_industry_without_output_stands_as_it_is_among_coefficients() -> None:
    table = idle()
    shown = publish(truth([table], model(Method.COEFFICIENTS), 5), 0).tables[0]
    assert shown.active.tolist() == table.active.tolist()
    assert shown.Z[:, -1].tolist() == table.Z[:, -1].tolist()
    assert shown.E[:, -1].tolist() == table.E[:, -1].tolist()


@pytest.mark.parametrize("method", list(Method))
def test_an_industry_that_loses_its_output_is_inactive(method: Method) -> None:
    """Sales of both signs that nearly cancel: a small error turns their sum."""
    table = TABLES[0]
    Z, Y = table.Z.copy(), table.Y.copy()
    Z[0], Y[0] = 0.0, 0.0
    Y[0, :2] = 10.0, -9.0
    shaky = replace(table, Z=Z, Y=Y, published_output=None)
    true = truth([shaky], model(method, rsd=0.1), 5)
    shown = [publish(true, world) for world in range(40)]
    assert {world.lost for world in shown} == {0, 1}
    for world in shown:
        (seen,) = world.tables
        assert seen.active.tolist() == [world.lost == 0] + [True] * (len(seen.x) - 1)
        reference(prepare(seen, ErrorModel("exact", method, ()), everything(seen), 1))
        if world.lost and method is Method.COEFFICIENTS:
            assert seen.Z[:, 0].tolist() == shaky.Z[:, 0].tolist()
            assert seen.E[:, 0].tolist() == shaky.E[:, 0].tolist()


def test_coefficients_of_no_economy_are_not_published() -> None:
    table = toy.read(toy.Toy(world=toy.World.ONE_SECTOR, Z=90.0, Y=10.0), 2000)
    component = Component("own", 1.0, ("cell",), Yearly())
    entry = Errors(Quantity.A, {}, Constant(0.3), (component,), "test")
    true = truth([table], ErrorModel("a", Method.COEFFICIENTS, (entry,)), 5)
    shown = []
    for world in range(40):
        try:
            shown += [publish(true, world)]
        except TableError as error:
            said = str(error)
    assert 0 < len(shown) < 40
    assert "no certified spectral radius" in said


def test_every_purpose_has_a_seed_of_its_own() -> None:
    seeds = {seed_for(seed, f"world {w}") for seed in (1, 2) for w in range(1000)}
    assert len(seeds) == 2000
    assert all(0 <= seed < 2**63 for seed in seeds)
