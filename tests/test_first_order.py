"""The analytic twin against printed numbers, finite differences and the full covariance matrix."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from engine.kernels.arrays import F64
from engine.kernels.changes import DetectionRule
from engine.kernels.first_order import (
    Gradient,
    Gradients,
    Solution,
    accounts_gradients,
    add_group_sums,
    change,
    coefficients_gradients,
    common_sums,
    inner,
    inventory_trend,
    ipcc_trend_correlated,
    ipcc_trend_uncorrelated,
)
from engine.kernels.first_order import solution as known
from engine.kernels.leontief import output, per_unit_output, required_output
from engine.question import PARTS

TOTAL, DOMESTIC, FOREIGN, DIRECT = range(len(PARTS))


def solve(A: F64, s: F64, y: F64, domestic: np.ndarray, direct: F64) -> Solution:
    """The estimate solved by an inverse, as preparing it would."""
    L = np.linalg.inv(np.eye(len(A)) - A)
    of_home = np.stack([(s * home) @ L for home in domestic.T], axis=-1)
    return known(L @ y, (s @ L).T, of_home.transpose(1, 0, 2), s, domestic, direct)


# --- two regions, by hand -------------------------------------------------------------------------

Z = np.array([[20.0, 30.0], [40.0, 10.0]])
Y = np.array([[40.0, 10.0], [20.0, 30.0]])
E = np.array([[50.0, 30.0]])
x = output(Z, Y)
A, s = per_unit_output(Z, x, x > 0), per_unit_output(E, x, x > 0)
HOME = np.eye(2, dtype=bool)
ONE = np.ones((1, 1))
solution = solve(A, s, Y, HOME, np.zeros((1, 2)))


def first_total(gradient: Gradient) -> F64:
    """Derivatives of the first region's total."""
    return gradient.dense()[..., 0, 0, TOTAL]


def first_sd(*cells: tuple[Gradient, F64]) -> float:
    """First-order sd of the first region's total at independent 10 %."""
    variances = [inner((0.1 * q) ** 2, gradient, gradient)[0, 0, TOTAL] for gradient, q in cells]
    return float(np.sqrt(sum(variances)))


def test_two_regions_footprints_and_gradient() -> None:
    assert solution.footprint[0, :, TOTAL] == pytest.approx([51, 29], rel=1e-14)
    found = accounts_gradients(solution, x, x > 0, HOME, np.eye(2), ONE)
    assert first_total(found.emissions)[0] == pytest.approx([0.7, 0.533333], abs=5e-7)
    by_Z = np.array([[0, -0.158333], [0.108333, 0]])
    assert first_total(found.intermediate) == pytest.approx(by_Z, abs=5e-7)


def test_two_regions_first_order_sd_of_accounts() -> None:
    found = accounts_gradients(solution, x, x > 0, HOME, np.eye(2), ONE)
    z, y, e = (found.intermediate, Z), (found.demand, Y), (found.emissions, E)
    sds = [first_sd(z), first_sd(y), first_sd(e), first_sd(z, y, e)]
    assert sds == pytest.approx([0.642964, 1.786468, 3.848376, 4.291255], abs=5e-7)


def test_two_regions_first_order_sd_of_coefficients() -> None:
    found = coefficients_gradients(solution, HOME, np.eye(2), ONE)
    a, y, e = (found.intermediate, A), (found.demand, Y), (found.emissions, s)
    sds = [first_sd(a), first_sd(y), first_sd(e), first_sd(a, y, e)]
    assert sds == pytest.approx([2.740781, 4.016217, 3.848376, 6.200958], abs=5e-7)


# --- gradients against finite differences ---------------------------------------------------------


class World:
    """Six industries in three regions, two stressors; the last industry is inactive, and still
    buys and is bought. Three consumers: a region, a group of two, and a demand vector.
    """

    rng = np.random.default_rng(11)
    n, r, k = 6, 3, 2
    Z = rng.lognormal(0, 1, (n, n))
    Y = rng.lognormal(2, 1, (n, r))
    E = rng.lognormal(0, 1, (k, n))
    F_Y = rng.lognormal(0, 1, (k, r))
    Y[-1] = -2 * Z[-1].sum() / r  # more leaves the inventory than is sold
    purchases = np.zeros((n, 3))
    purchases[1:4, 2] = 1.0, 2.0, 3.0
    membership = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    domestic = np.repeat([[1, 1, 0], [0, 0, 1], [0, 1, 0]], 2, axis=0).astype(bool)
    characterisation = np.array([[1.0, 0.0], [1.0, 28.0]])
    active = output(Z, Y) > 0


def solved(A: F64, s: F64, Y: F64, F_Y: F64, purchases: F64) -> F64:
    """Footprints (q,c,p) as the draws compute them, but slowly."""
    w = World
    X = required_output(A, Y @ w.membership + purchases)
    s = w.characterisation @ s
    home, abroad = s @ (w.domestic * X), s @ (~w.domestic * X)
    direct = w.characterisation @ F_Y @ w.membership
    return np.stack([home + abroad + direct, home, abroad, direct], axis=-1)


def from_accounts(Z: F64, E: F64, Y: F64, F_Y: F64, purchases: F64) -> F64:
    x = output(Z, Y)
    A, s = (per_unit_output(flows, x, World.active) for flows in (Z, E))
    return solved(A, s, Y, F_Y, purchases)


def numeric(function: Callable[..., F64], arrays: list[F64], which: int) -> F64:
    """Central differences, step chosen for a relative error near 1e-9."""
    values = arrays[which]
    gradient = np.empty((*values.shape, 2, 3, len(PARTS)))
    for cell in np.ndindex(values.shape):
        step = 1e-5 * max(abs(float(values[cell])), 1.0)
        up, down = ([array.copy() for array in arrays] for _ in range(2))
        up[which][cell] += step
        down[which][cell] -= step
        gradient[cell] = (function(*up) - function(*down)) / (2 * step)
    return gradient


def in_order(found: Gradients) -> list[Gradient]:
    return [found.intermediate, found.emissions, found.demand, found.direct, found.purchases]


def assert_gradients(function: Callable[..., F64], arrays: list[F64], found: Gradients) -> None:
    for which, gradient in enumerate(in_order(found)):
        expected, dense = numeric(function, arrays, which), gradient.dense()
        assert np.abs(expected).max() > 0.01
        full = np.broadcast_to(dense, expected.shape)
        assert full == pytest.approx(expected, abs=1e-7 * np.abs(expected).max())


def test_accounts_gradients_of_every_part_with_an_inactive_industry() -> None:
    w = World
    assert not w.active[-1]
    assert w.active[:-1].all()
    x = output(w.Z, w.Y)
    A, s = (per_unit_output(flows, x, w.active) for flows in (w.Z, w.E))
    y, direct = w.Y @ w.membership + w.purchases, w.characterisation @ w.F_Y @ w.membership
    base = solve(A, w.characterisation @ s, y, w.domestic, direct)
    arrays = [w.Z, w.E, w.Y, w.F_Y, w.purchases]
    assert base.footprint == pytest.approx(from_accounts(*arrays), rel=1e-12)
    found = accounts_gradients(base, x, w.active, w.domestic, w.membership, w.characterisation)
    assert_gradients(from_accounts, arrays, found)


def test_coefficients_gradients_of_every_part() -> None:
    w = World
    x = output(w.Z, w.Y)
    A, s = (per_unit_output(flows, x, w.active) for flows in (w.Z, w.E))
    y, direct = w.Y @ w.membership + w.purchases, w.characterisation @ w.F_Y @ w.membership
    base = solve(A, w.characterisation @ s, y, w.domestic, direct)
    found = coefficients_gradients(base, w.domestic, w.membership, w.characterisation)
    assert_gradients(solved, [A, s, w.Y, w.F_Y, w.purchases], found)


def test_accounts_gradients_conserve_emissions() -> None:
    """Over all consumers, a gram emitted is a gram in a footprint and Z and Y move nothing."""
    rng = np.random.default_rng(3)
    Z, Y = rng.lognormal(0, 1, (5, 5)), rng.lognormal(1, 1, (5, 3))
    E, home = rng.lognormal(0, 1, (1, 5)), np.zeros((5, 3), dtype=bool)
    x = output(Z, Y)
    A, s = per_unit_output(Z, x, x > 0), per_unit_output(E, x, x > 0)
    base = solve(A, s, Y, home, np.zeros((1, 3)))
    found = accounts_gradients(base, x, x > 0, home, np.eye(3), ONE)
    by_E, by_Z, by_Y = (
        gradient.dense()[..., 0, :, TOTAL].sum(axis=-1)
        for gradient in (found.emissions, found.intermediate, found.demand)
    )
    assert by_E == pytest.approx(np.ones((1, 5)), rel=1e-12)
    assert by_Z == pytest.approx(np.zeros((5, 5)), abs=1e-12)
    assert by_Y == pytest.approx(np.zeros((5, 3)), abs=1e-12)


# --- sums over cells ------------------------------------------------------------------------------


def made_up_gradient(rng: np.random.Generator, rows: int, columns: int) -> Gradient:
    """q = 2, c = 3, p = 4, with lengths of 1 where a real one has them."""
    return Gradient(
        rng.normal(size=(rows, 2, 3, 4)),
        rng.normal(size=(columns, 1, 3, 1)),
        rng.normal(size=(rows, 1, 3, 1)),
    )


def test_inner_is_the_sum_over_cells() -> None:
    rng = np.random.default_rng(5)
    g, h, weights = made_up_gradient(rng, 7, 9), made_up_gradient(rng, 7, 9), rng.random((7, 9))
    expected = np.einsum("ij,ijqcp,ijqcp->qcp", weights, g.dense(), h.dense())
    assert inner(weights, g, h) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    for rows in (slice(0, 3), slice(3, 7)):
        expected -= inner(weights[rows], g.at(rows, slice(9)), h.at(rows, slice(9)))
    assert np.abs(expected).max() < 1e-12


def test_group_sums_are_sums_over_groups_in_any_tiling() -> None:
    rng = np.random.default_rng(6)
    g, spread = made_up_gradient(rng, 7, 9), rng.random((7, 9))
    row_of = np.array([2, 0, 0, 2, 1, 1, 2], dtype=np.int32)
    column_of = np.array([0, 1, 0, 3, 2, 2, 1, 3, 0], dtype=np.int32)
    expected = np.zeros((3, 4, 2, 3, 4))
    for i, j in np.ndindex(7, 9):
        expected[row_of[i], column_of[j]] += spread[i, j] * g.dense()[i, j]
    found = np.zeros_like(expected)
    for rows in (slice(0, 3), slice(3, 7)):
        for columns in (slice(0, 5), slice(5, 9)):
            tile = spread[rows, columns], g.at(rows, columns), row_of[rows], column_of[columns]
            add_group_sums(found, *tile)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert common_sums(found, found) == pytest.approx((expected**2).sum(axis=(0, 1)))


# --- what the first order says of a change --------------------------------------------------------


def changed(F_s: float, F_t: float, s1: float, s2: float, rho: float) -> dict[str, Any]:
    """The change between footprints with relative sds s1, s2, correlating by rho."""
    sds = abs(F_s) * s1, abs(F_t) * s2
    arguments = F_s, F_t, sds[0] ** 2, sds[1] ** 2, rho * sds[0] * sds[1]
    found = change(*(np.array(value) for value in arguments), DetectionRule())
    return {name: value.item() for name, value in found.items()}


def test_one_lognormal_factor_is_exact() -> None:
    """Known answer 1: rsd .5 then .1, correlation .95, no change."""
    s1, s2 = (float(np.sqrt(np.log1p(rsd**2))) for rsd in (0.5, 0.1))
    found = changed(100.0, 100.0, s1, s2, 0.95)
    assert found["sigma"] == pytest.approx(0.378899, abs=5e-7)
    assert found["delta_mean"] == pytest.approx(0.106597, abs=5e-7)
    assert 1 - found["p_decrease"] == pytest.approx(0.610772, abs=5e-7)
    assert 1 - found["p_decrease_reflected"] == pytest.approx(0.389228, abs=5e-7)


@pytest.mark.parametrize(("rho", "mdc"), [(0, 19.8), (0.8, 8.9), (0.9, 6.3), (0.99, 2.0)])
def test_minimum_detectable_change_of_known_answer_10(rho: float, mdc: float) -> None:
    found = changed(100.0, 97.0, 0.05, 0.05, rho)
    assert 100 * found["mdc"] == pytest.approx(mdc, abs=0.05)
    assert found["rho"] == pytest.approx(rho, abs=1e-12)
    assert found["delta_mean"] == pytest.approx(np.log(0.97), rel=1e-12)


@pytest.mark.parametrize(
    ("F_t", "rho", "verdict"),
    [
        (90.0, 0.9, "decrease"),
        (111.0, 0.9, "increase"),
        (99.0, 0.9, "not detectable"),
        (99.0, 1.0, "not assessed"),
        (-50.0, 0.0, "decrease"),
    ],
)
def test_verdicts(F_t: float, rho: float, verdict: str) -> None:
    found = changed(100.0, F_t, 0.05, 0.05, rho)
    assert found["verdict"] == verdict
    assert found["scale"] == ("log" if F_t > 0 else "raw")
    assert found["change_low"] <= F_t - 100 <= found["change_high"]
    assert np.isnan(found["relative_low"]) == (F_t < 0)


def test_a_verdict_needs_both_the_law_and_its_mirror_image() -> None:
    """Unequal errors shift the mean of delta, so one of them alone may find a change."""
    found = changed(100.0, 59.5, 0.30, 0.05, 1.0)
    half = DetectionRule().alpha / 2
    tails = sorted([1 - found["p_decrease"], 1 - found["p_decrease_reflected"]])
    assert tails[0] < half < tails[1]
    assert found["asymmetric"]
    assert found["verdict"] == "not detectable"


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
