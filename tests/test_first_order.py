"""The analytic twin against printed numbers, finite differences and the full covariance matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine.kernels.arrays import F64
from engine.kernels.first_order import (
    SharedError,
    accounts_gradient,
    coefficients_gradient,
    contribution,
    covariance,
    independent_sd,
    inventory_trend,
    ipcc_trend_correlated,
    ipcc_trend_uncorrelated,
    log_change_sd,
    variance,
)
from engine.kernels.leontief import multipliers, output, per_unit_output, required_output

# --- two regions, by hand -------------------------------------------------------------------------

Z = np.array([[20.0, 30.0], [40.0, 10.0]])
Y = np.array([[40.0, 10.0], [20.0, 30.0]])
E = np.array([50.0, 30.0])
x = output(Z, Y)
A, s = per_unit_output(Z, x, x > 0), E / x
L = np.linalg.inv(np.eye(2) - A)
m = s @ L
FIRST = np.array([1.0, 0.0])
ALL = np.ones(2)


def test_two_regions_footprints_and_gradient() -> None:
    assert m @ Y == pytest.approx([51, 29], rel=1e-14)
    found = accounts_gradient(m, L @ Y[:, 0], x, x > 0, FIRST, ALL)
    assert found.emissions == pytest.approx([0.7, 0.533333], abs=5e-7)
    assert found.matrix == pytest.approx(np.array([[0, -0.158333], [0.108333, 0]]), abs=5e-7)


def test_two_regions_first_order_sd_of_accounts() -> None:
    found = accounts_gradient(m, L @ Y[:, 0], x, x > 0, FIRST, ALL)
    z, y, e = (
        contribution(gradient, value, 0.1)
        for gradient, value in ((found.matrix, Z), (found.demand, Y), (found.emissions, E))
    )
    sds = [independent_sd(z), independent_sd(y), independent_sd(e), independent_sd(z, y, e)]
    assert sds == pytest.approx([0.642964, 1.786468, 3.848376, 4.291255], abs=5e-7)


def test_two_regions_first_order_sd_of_coefficients() -> None:
    found = coefficients_gradient(m, L @ Y[:, 0], FIRST, ALL)
    a, y, e = (
        contribution(gradient, value, 0.1)
        for gradient, value in ((found.matrix, A), (found.demand, Y), (found.emissions, s))
    )
    sds = [independent_sd(a), independent_sd(y), independent_sd(e), independent_sd(a, y, e)]
    assert sds == pytest.approx([2.740781, 4.016217, 3.848376, 6.200958], abs=5e-7)


# --- gradients against finite differences ---------------------------------------------------------


class World:
    """Six industries in three regions; the last is inactive, and still buys and is bought."""

    rng = np.random.default_rng(11)
    n, r = 6, 3
    Z = rng.lognormal(0, 1, (n, n))
    Y = rng.lognormal(2, 1, (n, r))
    E = rng.lognormal(0, 1, n)
    Y[-1] = -2 * Z[-1].sum() / r  # more leaves the inventory than is sold
    membership = np.array([1.0, 0.0, 1.0])  # a group of two regions
    counted = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 0.0])
    active = output(Z, Y) > 0


def accounts_part(Z: F64, Y: F64, E: F64) -> float:
    x = output(Z, Y)
    A = per_unit_output(Z, x, World.active)
    s = World.counted * per_unit_output(E, x, World.active)
    return float(s @ required_output(A, Y @ World.membership))


def numeric(function: Callable[[F64], float], values: F64) -> F64:
    """Central differences, step chosen for a relative error near 1e-9."""
    gradient = np.empty(values.shape)
    for cell in np.ndindex(values.shape):
        step = 1e-5 * max(abs(float(values[cell])), 1.0)
        up, down = values.copy(), values.copy()
        up[cell] += step
        down[cell] -= step
        gradient[cell] = (function(up) - function(down)) / (2 * step)
    return gradient


def test_accounts_gradient_of_a_part_with_an_inactive_industry() -> None:
    w = World
    assert not w.active[-1]
    assert w.active[:-1].all()
    x = output(w.Z, w.Y)
    A = per_unit_output(w.Z, x, w.active)
    s = w.counted * per_unit_output(w.E, x, w.active)
    m, X = multipliers(A, s[None])[0], required_output(A, w.Y @ w.membership)
    found = accounts_gradient(m, X, x, w.active, w.membership, w.counted)
    by_E = numeric(lambda E: accounts_part(w.Z, w.Y, E), w.E)
    by_Z = numeric(lambda Z: accounts_part(Z, w.Y, w.E), w.Z)
    by_Y = numeric(lambda Y: accounts_part(w.Z, Y, w.E), w.Y)
    assert found.emissions == pytest.approx(by_E, abs=1e-8 * np.abs(by_E).max())
    assert found.matrix == pytest.approx(by_Z, abs=1e-8 * np.abs(by_Z).max())
    assert found.demand == pytest.approx(by_Y, abs=1e-8 * np.abs(by_Y).max())


def test_coefficients_gradient_of_a_part() -> None:
    w = World
    x = output(w.Z, w.Y)
    A, s = per_unit_output(w.Z, x, w.active), per_unit_output(w.E, x, w.active)

    def part(A: F64, s: F64, Y: F64) -> float:
        return float(w.counted * s @ required_output(A, Y @ w.membership))

    m = multipliers(A, (w.counted * s)[None])[0]
    X = required_output(A, w.Y @ w.membership)
    found = coefficients_gradient(m, X, w.membership, w.counted)
    by_A = numeric(lambda A: part(A, s, w.Y), A)
    by_s = numeric(lambda s: part(A, s, w.Y), s)
    by_Y = numeric(lambda Y: part(A, s, Y), w.Y)
    assert found.matrix == pytest.approx(by_A, abs=1e-7 * np.abs(by_A).max())
    assert found.emissions == pytest.approx(by_s, abs=1e-8 * np.abs(by_s).max())
    assert found.demand == pytest.approx(by_Y, abs=1e-8 * np.abs(by_Y).max())


def test_accounts_gradient_conserves_emissions() -> None:
    """Over all consumers, a gram emitted is a gram in a footprint and Z and Y move nothing."""
    rng = np.random.default_rng(3)
    Z, Y, E = rng.lognormal(0, 1, (5, 5)), rng.lognormal(1, 1, (5, 3)), rng.lognormal(0, 1, 5)
    x = output(Z, Y)
    A, s = per_unit_output(Z, x, x > 0), E / x
    m = multipliers(A, s[None])[0]
    found = [
        accounts_gradient(m, required_output(A, Y[:, c]), x, x > 0, np.eye(3)[c], np.ones(5))
        for c in range(3)
    ]
    assert sum(g.emissions for g in found) == pytest.approx(np.ones(5), rel=1e-12)
    assert sum(g.matrix for g in found) == pytest.approx(np.zeros((5, 5)), abs=1e-12)
    assert sum(g.demand for g in found) == pytest.approx(np.zeros((5, 3)), abs=1e-12)


# --- covariance between years ---------------------------------------------------------------------


def test_covariance_equals_the_full_matrix_of_cells() -> None:
    rng = np.random.default_rng(5)
    cells = 40
    first, second = rng.normal(size=(2, cells))
    components = [
        SharedError(0.2, np.zeros(cells, dtype=np.int64), 1.0),
        SharedError(0.3, rng.integers(-1, 4, cells), 0.7),
        SharedError(0.5, np.arange(cells), 0.0),
    ]

    def matrix(same_year: bool) -> F64:
        total = np.zeros((cells, cells))
        for one in components:
            shared = (one.group[:, None] == one.group) & (one.group >= 0)
            total += one.weight * (1.0 if same_year else one.time_correlation) * shared
        return total

    assert covariance(first, second, components) == pytest.approx(first @ matrix(False) @ second)
    assert variance(first, components) == pytest.approx(first @ matrix(True) @ first)


def test_ten_thousand_independent_cells_average_out() -> None:
    cells = 10_000
    a = np.full(cells, 0.5 / cells)
    own = [SharedError(1.0, np.arange(cells), 0.0)]
    assert np.sqrt(variance(a, own)) == pytest.approx(0.005, rel=1e-12)
    assert covariance(a, a, own) == 0
    assert independent_sd(a) == pytest.approx(0.005, rel=1e-12)


def test_log_change_of_persistent_and_of_yearly_errors() -> None:
    a = np.array([3.0, 4.0])
    for correlation, expected in ((1.0, 0.0), (0.0, 0.05 * np.sqrt(2))):
        components = [SharedError(1.0, np.arange(2), correlation)]
        v, c = variance(a, components), covariance(a, 2 * a, components)
        sd = log_change_sd(100.0, 200.0, v, 4 * v, c)
        assert sd == pytest.approx(expected, abs=1e-9)


# --- the IPCC's inventory trend -------------------------------------------------------------------


def test_inventory_trend_exact_and_as_the_guidelines_have_it() -> None:
    C, D = np.array([50.0, 30.0, 20.0]), np.array([20.0, 40.0, 20.0])
    U = np.array([10.0, 20.0, 50.0])
    found = [
        inventory_trend(C, D, U, 0.0),
        ipcc_trend_uncorrelated(C, D, U),
        inventory_trend(C, D, U, 1.0),
        ipcc_trend_correlated(C, D, U),
    ]
    assert found == pytest.approx([16.4633, 18.3303, 4.2708, 4.2571], abs=5e-5)
