"""The reference path: its laws, and its agreement with a version without any cleverness."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine.draws import Status, draw, draw_prepared, everything, perturbed, reference
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    ErrorSize,
    FromFile,
    Method,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
)
from engine.errors import ConfigError, TableError
from engine.mrio import MRIO, Labels, Provenance, findings
from engine.prepare import prepare
from engine.question import Consumer, Indicator, Question

PROVENANCE = Provenance("made up for a test", "1", "none", synthetic=True)


def world(seed: int = 1, year: int = 2000, regions: int = 3, sectors: int = 4) -> MRIO:
    """A small world with zeros, an inactive industry and a negative inventory cell."""
    rng = np.random.default_rng(seed)
    names = tuple(f"R{i}" for i in range(regions))
    industries = tuple((r, f"S{j}") for r in names for j in range(sectors))
    n = len(industries)
    Z = rng.lognormal(0, 1, (n, n)) * (rng.random((n, n)) < 0.7)
    Y = rng.lognormal(2, 1, (n, regions)) * (rng.random((n, regions)) < 0.9)
    Z[-1], Y[-1] = 0, 0  # the last industry sells nothing
    Y[0, 1] = -0.01
    E = rng.lognormal(1, 1, (2, n))
    labels = Labels(names, industries, ("CO2", "CH4"), ("kt", "kt"), "million EUR")
    return MRIO(year, labels, Z, Y, E, rng.lognormal(1, 1, (2, regions)), PROVENANCE)


def entry(
    quantity: str,
    size: ErrorSize,
    *components: tuple[str, float, tuple[str, ...], TimeKey],
) -> Errors:
    parts = components or (("own", 1.0, ("cell",), Yearly()),)
    return Errors(Quantity(quantity), {}, size, tuple(Component(*part) for part in parts), "test")


ACCOUNTS = ErrorModel(
    "base",
    Method.ACCOUNTS,
    (
        entry(
            "Z",
            Constant(0.3),
            ("trade", 0.3, ("row_region", "col_region"), Persistent()),
            ("own", 0.7, ("cell",), Yearly()),
        ),
        entry("E", Constant(0.2), ("national", 1.0, ("stressor", "region"), AR1(0.8))),
        entry("Y", PowerLaw(0.2, -0.3, 0.01, 1.0, "EUR", 1.0)),
        entry("F_Y", ByLabel(("stressor",), {("CO2",): 0.1, ("CH4",): 0.4})),
    ),
)
COEFFICIENTS = ErrorModel(
    "base",
    Method.COEFFICIENTS,
    (entry("A", Constant(0.2)), entry("s", Constant(0.2)), entry("Y", Constant(0.1))),
)


@pytest.mark.parametrize("model", [ACCOUNTS, COEFFICIENTS])
def test_a_draw_equals_the_textbook_inverse_of_its_own_cells(model: ErrorModel) -> None:
    table = world()
    prepared = prepare(table, model, everything(table), seed=3, tolerance=1e-12)
    drawn = draw_prepared(prepared, range(20))
    home = np.array([[r == c for c in table.labels.regions] for r, _ in table.labels.industries])
    for number in range(20):
        cells = perturbed(prepared, number)
        if model.method is Method.ACCOUNTS:
            x = cells[Quantity.Z].sum(axis=1) + cells[Quantity.Y].sum(axis=1)
            x[~table.active] = np.inf
            A, s = cells[Quantity.Z] / x, cells[Quantity.E] / x
        else:
            A, s = cells[Quantity.A], cells[Quantity.S]
        X = np.linalg.inv(np.eye(len(A)) - A) @ cells[Quantity.Y]
        domestic, foreign = s @ (X * home), s @ (X * ~home)
        found = drawn.footprint[number]
        assert found[..., 1] == pytest.approx(domestic, rel=1e-12)
        assert found[..., 2] == pytest.approx(foreign, rel=1e-12)
        assert found[..., 3] == pytest.approx(cells[Quantity.F_Y], rel=1e-15)
        assert found[..., 0] == pytest.approx(domestic + foreign + cells[Quantity.F_Y], rel=1e-12)
    assert (drawn.status == Status.ACCEPTED).all()
    assert (drawn.certified_error < 1e-12).all()


def test_accounts_conserve_emissions_in_every_draw() -> None:
    """Exactly, but for what an inactive industry buys: its column is left out, and said so."""
    table = world()
    prepared = prepare(table, ACCOUNTS, everything(table), seed=5, tolerance=1e-12)
    drawn = draw_prepared(prepared, range(30))
    for number in range(30):
        cells = perturbed(prepared, number)
        emitted = cells[Quantity.E][:, table.active].sum(axis=1) + cells[Quantity.F_Y].sum(axis=1)
        x = np.where(
            table.active, cells[Quantity.Z].sum(axis=1) + cells[Quantity.Y].sum(axis=1), np.inf
        )
        m = cells[Quantity.E] / x @ np.linalg.inv(np.eye(len(x)) - cells[Quantity.Z] / x)
        left_out = m @ cells[Quantity.Z][:, ~table.active].sum(axis=1)
        total = drawn.footprint[number, :, :, 0].sum(axis=1)
        assert (left_out > 0).all()
        assert total + left_out == pytest.approx(emitted, rel=1e-12)
    kinds = [finding.kind for finding in findings(table)]
    assert "purchases of inactive industries, excluded" in kinds


def test_zeros_and_signs_are_kept_and_inputs_are_not_touched() -> None:
    table = world()
    prepared = prepare(table, ACCOUNTS, everything(table), seed=5)
    before = perturbed(prepared, None)
    cells = perturbed(prepared, 7)
    for quantity, values in perturbed(prepared, None).items():
        assert (np.sign(cells[quantity]) == np.sign(values)).all()
        assert (values == before[quantity]).all()


def shuffled(table: MRIO, seed: int) -> MRIO:
    """The same table with industries, regions and stressors in another order."""
    rng = np.random.default_rng(seed)
    n, r, k = (rng.permutation(size) for size in (*table.Y.shape, len(table.labels.stressors)))
    old = table.labels
    labels = Labels(
        tuple(old.regions[i] for i in r),
        tuple(old.industries[i] for i in n),
        tuple(old.stressors[i] for i in k),
        tuple(old.stressor_units[i] for i in k),
        old.currency,
    )
    return MRIO(
        table.year,
        labels,
        table.Z[np.ix_(n, n)],
        table.Y[np.ix_(n, r)],
        table.E[np.ix_(k, n)],
        table.F_Y[np.ix_(k, r)],
        table.provenance,
    )


@pytest.mark.parametrize("model", [ACCOUNTS, COEFFICIENTS])
def test_the_order_of_labels_changes_nothing(model: ErrorModel) -> None:
    table = world()
    other = shuffled(table, 4)
    question = everything(table)
    ours = prepare(table, model, question, seed=9, tolerance=1e-12)
    theirs = prepare(other, model, question, seed=9, tolerance=1e-12)
    assert reference(theirs) == pytest.approx(reference(ours), rel=1e-13)
    first, second = draw_prepared(ours, range(10)), draw_prepared(theirs, range(10))
    assert second.footprint == pytest.approx(first.footprint, rel=1e-12)


def test_the_order_of_components_and_entries_changes_no_bit() -> None:
    table = world()
    reordered = replace(
        ACCOUNTS,
        errors=tuple(
            replace(one, components=one.components[::-1]) for one in ACCOUNTS.errors[::-1]
        ),
    )
    first = draw(table, ACCOUNTS, 9, range(5)).footprint
    assert first.tobytes() == draw(table, reordered, 9, range(5)).footprint.tobytes()


def test_a_draw_does_not_depend_on_its_neighbours() -> None:
    table = world()
    together = draw(table, ACCOUNTS, 9, range(130)).footprint
    for number in (0, 63, 64, 129):
        assert draw(table, ACCOUNTS, 9, [number]).footprint.tobytes() == together[number].tobytes()


def test_other_seeds_give_other_draws_and_seed_zero_is_a_seed() -> None:
    table = world()
    totals = [draw(table, ACCOUNTS, seed, [0]).footprint[0, 0, 0, 0] for seed in (0, 1, 2)]
    assert len(set(totals)) == 3


def test_the_mean_of_every_cell_is_preserved() -> None:
    """4,000 draws, 5 standard errors on 156 cells: false failure once in 10,000 seeds or so."""
    table = world()
    model = ErrorModel("base", Method.ACCOUNTS, (entry("Z", Constant(0.5)),))
    prepared = prepare(table, model, everything(table), seed=11)
    draws = np.array([perturbed(prepared, number)[Quantity.Z] for number in range(4000)])
    cells = table.Z > 0
    ratio = draws[:, cells] / table.Z[cells]
    error = ratio.std(axis=0) / math.sqrt(len(ratio))
    assert (np.abs(ratio.mean(axis=0) - 1) < 5 * error).all()
    assert ratio.std() == pytest.approx(0.5, rel=0.02)


def test_inactive_industries_stay_inactive_and_their_emissions_stay_out() -> None:
    table = world()
    assert not table.active[-1]
    assert table.E[0, -1] > 0
    drawn = draw(table, ACCOUNTS, 1, range(3))
    assert np.isfinite(drawn.footprint).all()


def test_a_draw_that_loses_an_output_is_rejected_and_counted() -> None:
    table = world()
    Y = table.Y.copy()
    Y[0] = [200.0, -199.0, 0.0]  # an error of 30 % in either often takes output below zero
    thin = MRIO(2000, table.labels, table.Z, Y, table.E, table.F_Y, PROVENANCE)
    model = ErrorModel("base", Method.ACCOUNTS, (entry("Y", Constant(0.3)),))
    drawn = draw(thin, model, 1, range(50))
    lost = drawn.status == Status.REJECTED_OUTPUT
    assert 5 < lost.sum() < 45
    assert np.isnan(drawn.footprint[lost]).all()
    assert np.isfinite(drawn.footprint[drawn.status == Status.ACCEPTED]).all()


def test_a_draw_beyond_r_max_is_rejected_and_counted() -> None:
    table = world()
    model = ErrorModel("base", Method.COEFFICIENTS, (entry("A", Constant(2.0)),))
    drawn = draw(table, model, 1, range(60), r_max=0.8)
    rejected = drawn.status == Status.REJECTED_RADIUS
    prepared = prepare(table, model, everything(table), 1, r_max=0.8)
    for number in range(60):
        radius = np.abs(np.linalg.eigvals(perturbed(prepared, number)[Quantity.A])).max()
        assert rejected[number] == (radius >= 0.8)
    assert 0 < rejected.sum() < 60
    assert np.isnan(drawn.footprint[rejected]).all()


def test_a_table_without_a_footprint_is_refused() -> None:
    table = world()
    Z = table.Z.copy()
    Z[0, 0] = 1e6
    Z[0, 1], Y = 1e6, table.Y.copy()
    Y[0] = -0.5e6  # buys more of itself than it makes
    broken = MRIO(2000, table.labels, Z, Y, table.E, table.F_Y, PROVENANCE)
    with pytest.raises(TableError, match="spectral radius"):
        draw(broken, COEFFICIENTS, 1, [0])


def test_groups_demand_vectors_and_weighted_totals() -> None:
    table = world()
    first, second, _ = table.labels.regions
    bought = {("R1", "S2"): 3.0, ("R0", "S1"): 2.0}
    question = Question(
        (
            Consumer("pair", (first, second)),
            Consumer("company", (first,), {2000: bought}),
            Consumer(first, (first,)),
        ),
        (Indicator("GHG", "kt CO2e", {"CO2": 1.0, "CH4": 28.0}, "AR5"),),
    )
    found = reference(prepare(table, ACCOUNTS, question, 1))[0]
    x = np.where(table.active, table.x, np.inf)
    L = np.linalg.inv(np.eye(len(x)) - table.Z / x)
    s = (table.E[0] + 28 * table.E[1]) / x
    direct = table.F_Y[0] + 28 * table.F_Y[1]
    inside = np.array([region in (first, second) for region, _ in table.labels.industries])
    X = L @ (table.Y[:, 0] + table.Y[:, 1])
    assert found[0, 1] == pytest.approx(s[inside] @ X[inside])
    assert found[0, 2] == pytest.approx(s[~inside] @ X[~inside])
    assert found[0, 3] == pytest.approx(direct[0] + direct[1])
    vector = np.zeros(len(x))
    for pair, value in bought.items():
        vector[table.labels.industries.index(pair)] = value
    assert found[1, 0] == pytest.approx(s @ L @ vector)
    assert found[1, 3] == 0
    assert found[2, 0] == pytest.approx(s @ L @ table.Y[:, 0] + direct[0])


def test_only_narrows_an_entry_and_entries_must_not_overlap() -> None:
    table = world()
    only_co2 = replace(entry("E", Constant(0.3)), only={"stressor": ("CO2",)})
    model = ErrorModel("base", Method.ACCOUNTS, (only_co2,))
    prepared = prepare(table, model, everything(table), 1)
    cells = perturbed(prepared, 0)[Quantity.E]
    assert (cells[1] == table.E[1]).all()
    assert (cells[0] != table.E[0]).all()
    whole = prepare(
        table,
        ErrorModel("base", Method.ACCOUNTS, (entry("E", Constant(0.3)),)),
        everything(table),
        1,
    )
    assert (perturbed(whole, 0)[Quantity.E][0] == cells[0]).all()  # addressed by label, not place
    other = replace(only_co2, components=(Component("b", 1.0, ("cell",), Yearly()),))
    with pytest.raises(ConfigError, match="two entries cover the same cell"):
        prepare(table, ErrorModel("b", Method.ACCOUNTS, (only_co2, other)), everything(table), 1)
    missing = replace(only_co2, only={"stressor": ("N2O",)})
    with pytest.raises(ConfigError, match="no cell has stressor N2O"):
        prepare(table, ErrorModel("b", Method.ACCOUNTS, (missing,)), everything(table), 1)


def test_shared_components_share_and_others_do_not() -> None:
    table = world()
    national = ("national", 1.0, ("stressor", "region"), Persistent())
    shared = Errors(
        Quantity.F_Y,
        {},
        Constant(0.2),
        (Component("d", 1.0, ("stressor", "consumer"), Persistent(), (Quantity.E, "national")),),
        "test",
    )
    model = ErrorModel("b", Method.ACCOUNTS, (entry("E", Constant(0.2), national), shared))
    cells = perturbed(prepare(table, model, everything(table), 1), 3)
    of_industries = cells[Quantity.E] / table.E
    of_consumers = cells[Quantity.F_Y] / table.F_Y
    for column, region in enumerate(table.labels.regions):
        inside = [r == region for r, _ in table.labels.industries]
        assert of_industries[:, inside] == pytest.approx(
            np.repeat(of_consumers[:, [column]], 4, axis=1), rel=1e-15
        )
    assert len(np.unique(of_consumers.round(12))) == of_consumers.size


# --- science.md-style known answers that need the whole path ------------------------------------


def many_equal_cells(year: int, cells: int = 10_000) -> MRIO:
    """One industry that emits nothing, and 10^4 regions with one tonne of direct emissions each."""
    regions = tuple(f"R{i}" for i in range(cells))
    labels = Labels(regions, (("R0", "S"),), ("CO2",), ("t",), "EUR")
    Y = np.full((1, cells), 1.0)
    return MRIO(
        year, labels, np.zeros((1, 1)), Y, np.zeros((1, 1)), np.ones((1, cells)), PROVENANCE
    )


def aggregate(*components: tuple[str, float, tuple[str, ...], TimeKey]) -> np.ndarray:
    """Aggregates of 10^4 equal cells at 50 %, (draws, two years)."""
    model = ErrorModel("base", Method.ACCOUNTS, (entry("F_Y", Constant(0.5), *components),))
    years = []
    for year in (2000, 2001):
        table = many_equal_cells(year)
        question = Question(
            (Consumer("all", table.labels.regions),), (Indicator("CO2", "t", {"CO2": 1.0}),)
        )
        years.append(draw(table, model, 2, range(3000), question).footprint[:, 0, 0, 3])
    return np.stack(years, axis=1)


def four_standard_errors_of_sd(values: np.ndarray) -> float:
    """4 standard errors of a sample's sd, heavy tails included."""
    squares = (values - values.mean()) ** 2
    return 4 * float(squares.std() / math.sqrt(len(values)) / (2 * values.std()))


def test_independent_cells_average_out() -> None:
    totals = aggregate(("own", 1.0, ("cell",), Yearly()))[:, 0] / 10_000
    assert abs(totals.std() - 0.005) < four_standard_errors_of_sd(totals)


@pytest.mark.parametrize(
    ("shared", "own", "correlation"),
    [(Persistent(), Yearly(), 0.997876), (Yearly(), Persistent(), 0.0021002)],
)
def test_a_twentieth_of_shared_variance_decides(
    shared: TimeKey, own: TimeKey, correlation: float
) -> None:
    """Two of the known answers of averaging, each within 4 standard errors (1 in 16,000)."""
    totals = aggregate(("shared", 0.05, ("all",), shared), ("own", 0.95, ("cell",), own)) / 10_000
    assert abs(totals[:, 0].std() - 0.106036) < four_standard_errors_of_sd(totals[:, 0])
    found = np.corrcoef(totals.T)[0, 1]
    assert abs(found - correlation) < 4 * (1 - correlation**2) / math.sqrt(len(totals)) * 1.5


def isolated_regions() -> MRIO:
    """Two regions that do not trade, one of which emits nothing."""
    labels = Labels(("A", "B"), (("A", "s"), ("B", "s")), ("CO2",), ("kt",), "EUR")
    Z, Y = np.diag([20.0, 30.0]), np.diag([80.0, 70.0])
    return MRIO(2000, labels, Z, Y, np.array([[50.0, 0.0]]), np.zeros((1, 2)), PROVENANCE)


def test_a_footprint_of_zero_fails_nobody() -> None:
    table = isolated_regions()
    drawn = draw(table, ErrorModel("b", Method.ACCOUNTS, (entry("E", Constant(0.2)),)), 1, range(9))
    assert (drawn.status == Status.ACCEPTED).all()
    assert (drawn.footprint[:, 0, 1] == 0).all()
    assert (drawn.certified_error < 1e-12).all()


def test_a_table_close_to_no_footprint_is_refused_as_a_table() -> None:
    labels = Labels(("A",), (("A", "s"),), ("CO2",), ("kt",), "EUR")
    one, half = np.ones((1, 1)), np.full((1, 1), 0.5)
    table = MRIO(2000, labels, 99.5 * one, half, one, one, PROVENANCE)
    model = ErrorModel("b", Method.ACCOUNTS, ())
    with pytest.raises(TableError, match=r"year 2000.*r_max 0.99"):
        reference(prepare(table, model, everything(table), 1))


def test_purchases_from_an_inactive_industry_are_refused() -> None:
    table = world()
    company = Consumer("company", ("R0",), {2000: {("R2", "S3"): 1.0}})
    question = Question((company,), (Indicator("CO2", "kt", {"CO2": 1.0}),))
    with pytest.raises(ConfigError, match="R2 S3, which has no output"):
        prepare(table, ACCOUNTS, question, 1)


def test_names_of_regions_and_stressors_mean_themselves() -> None:
    table = world()
    plain = Indicator("CO2", "kt", {"CO2": 1.0})
    with pytest.raises(ConfigError, match="called like a region"):
        prepare(table, ACCOUNTS, Question((Consumer("R0", ("R1",)),), (plain,)), 1)
    shadow = Indicator("CO2", "kt", {"CH4": 28.0}, "AR5")
    with pytest.raises(ConfigError, match="called like a stressor"):
        prepare(table, ACCOUNTS, Question((Consumer("R0", ("R0",)),), (shadow,)), 1)


def test_error_sizes_from_a_file(tmp_path: Path) -> None:
    table = world()
    path = tmp_path / "rsd.npy"

    def prepared(rsd: np.ndarray, *, swapped: bool = False) -> object:
        np.save(path, rsd)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        if swapped:
            np.save(path, 2 * rsd)
        model = ErrorModel("b", Method.ACCOUNTS, (entry("E", FromFile(path, sha256)),))
        return prepare(table, model, everything(table), 1)

    rsd = np.linspace(0, 0.5, table.E.size).reshape(table.E.shape)
    cells = perturbed(prepared(rsd), 3)[Quantity.E]
    flat = perturbed(
        prepare(table, ErrorModel("b", Method.ACCOUNTS, (entry("E", Constant(0.5)),)),
                everything(table), 1), 3,
    )[Quantity.E]  # fmt: skip
    assert cells[0, 0] == table.E[0, 0]
    assert cells[-1, -1] == flat[-1, -1]
    of_year = tmp_path / "rsd_2000.npy"
    np.save(of_year, rsd)
    size = FromFile(
        tmp_path / "rsd_{year}.npy", ((2000, hashlib.sha256(of_year.read_bytes()).hexdigest()),)
    )
    model = ErrorModel("b", Method.ACCOUNTS, (entry("E", size),))
    again = perturbed(prepare(table, model, everything(table), 1), 3)[Quantity.E]
    assert np.array_equal(again, cells)
    with pytest.raises(ConfigError, match="changed since"):
        prepared(rsd, swapped=True)
    for wrong in (rsd[:1], rsd.astype(complex), rsd.astype(str), rsd - 0.1, rsd + 1e-9):
        with pytest.raises(ConfigError, match=r"rsd\.npy"):
            prepared(wrong)


def test_a_table_keeps_an_array_that_nobody_can_write_to() -> None:
    table = world()
    Z = np.array(table.Z)
    assert replace(table, Z=Z).Z is not Z
    Z.setflags(write=False)
    assert replace(table, Z=Z).Z is Z
    view = np.array(table.Z)[:]
    view.setflags(write=False)
    assert replace(table, Z=view).Z is not view  # what it views can still be written to
