"""The certificate must never believe a residual alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.leontief import multipliers, output, parts, per_unit_output, required_output
from engine.kernels.solve import Solved, certify_radius, error_bound, solve
from engine.kernels.start import Estimate


def random_system(seed: int, n: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients with some negative cells, intensities of both signs, demand."""
    rng = np.random.default_rng(seed)
    A = rng.random((n, n)) * rng.choice([-0.1, 0, 1], (n, n), p=[0.1, 0.3, 0.6])
    A *= rng.uniform(0.3, 0.9) / np.abs(np.linalg.eigvals(np.abs(A))).max()
    return A, rng.normal(1, 1, (3, n)), rng.normal(1, 1, (n, 4))


def base_weights(A: np.ndarray) -> np.ndarray:
    """w = 1 (I - |A|)^-1, as tables are prepared with."""
    ones = np.ones(len(A))
    return Estimate(A, ones, ones > 0).positive(ones, left=True)


@given(st.integers(0, 10**6), st.floats(1e-14, 1e-2))
def test_the_bound_holds_for_any_wrong_answer(seed: int, size: float) -> None:
    A, s, y = random_system(seed)
    rng = np.random.default_rng(seed)
    exact = required_output(A, y)
    wrong = Solved(
        exact * (1 + size * rng.normal(size=exact.shape)),
        multipliers(A, np.abs(s)) * (1 + size * rng.normal(size=s.shape)),
    )
    weights = base_weights(A)
    bound = error_bound(wrong, A, s, y, weights)
    part = s * (rng.random(s.shape) < 0.5)
    assert (np.abs(part @ (wrong.X - exact)) <= bound).all()


@given(st.integers(0, 10**6))
def test_the_direct_solution_is_certified_tightly(seed: int) -> None:
    A, s, y = random_system(seed)
    solved = solve(A, s, y)
    scale = np.abs(s) @ np.linalg.inv(np.eye(len(A)) - np.abs(A)) @ np.abs(y)
    assert (error_bound(solved, A, s, y, base_weights(A)) <= 1e-12 * scale).all()
    assert s @ solved.X == pytest.approx(multipliers(A, s) @ y, rel=1e-9, abs=1e-9)


def test_a_small_residual_with_a_wrong_answer_is_caught() -> None:
    """Radius 1 - 1e-7: a relative residual of 1e-9 hides an answer that is wrong by a hundred."""
    A = np.array([[0.5, 0.5], [0.5, 0.5 - 2e-7]])
    y = np.array([[1.0], [1.0]])
    exact = required_output(A, y)
    wrong = exact * (1 + 1e-6 * np.array([[1.0], [1.0]])) + 50.0
    residual = np.abs(y - wrong + A @ wrong).max() / np.abs(wrong).max()
    assert residual < 1e-8  # what a careless check would accept
    s = np.array([[1.0, 1.0]])
    weights = certify_radius(A, base_weights(A), 0.9999999999)
    assert weights is not None
    bound = error_bound(Solved(wrong, multipliers(A, s)), A, s, y, weights)
    error = abs(float((s @ (wrong - exact))[0, 0]))
    assert error > 50
    assert bound[0, 0] >= error


@given(st.integers(0, 10**6), st.floats(0.5, 1.3))
def test_the_radius_is_certified_exactly_when_it_is_below_r_max(seed: int, radius: float) -> None:
    A, _, _ = random_system(seed)
    A = np.abs(A) * radius / np.abs(np.linalg.eigvals(np.abs(A))).max()
    found = certify_radius(A, np.ones(len(A)), 0.99)
    if abs(radius - 0.99) > 1e-6:
        assert (found is not None) == (radius < 0.99)
    if found is not None:
        assert (found > 0).all()
        assert (0.99 * found - found @ A > 0).all()


def test_column_sums_above_one_are_no_obstacle() -> None:
    A = np.array([[0.1, 1.2], [0.1, 0.1]])  # column sum 1.3, radius 0.45
    assert A.sum(axis=0).max() > 1
    assert certify_radius(A, base_weights(A), 0.99) is not None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_cells_that_are_not_finite_are_never_certified(bad: float) -> None:
    A = np.array([[0.1, 0.2], [bad, 0.1]])
    with np.errstate(invalid="ignore"):
        assert certify_radius(A, np.ones(2), 0.99) is None


def test_miller_and_blair_two_sectors() -> None:
    """Miller & Blair (2009), section 2.3: x, A, L and the output for a new final demand."""
    Z = np.array([[150.0, 500.0], [200.0, 100.0]])
    Y = np.array([[350.0], [1700.0]])
    x = output(Z, Y)
    assert x.tolist() == [1000.0, 2000.0]
    A = per_unit_output(Z, x, x > 0)
    assert pytest.approx(np.array([[0.15, 0.25], [0.2, 0.05]])) == A
    L = required_output(A, np.eye(2))
    assert np.round(L, 4).tolist() == [[1.2541, 0.33], [0.264, 1.1221]]
    new = required_output(A, np.array([[600.0], [1500.0]]))
    assert np.round(new.ravel(), 1).tolist() == [1247.5, 1841.6]


def test_inactive_industries_have_zero_columns() -> None:
    Z = np.array([[1.0, 2.0], [0.0, -1.0]])
    x = np.array([3.0, -1.0])
    assert per_unit_output(Z, x, x > 0).tolist() == [[1 / 3, 0.0], [0.0, 0.0]]


def test_parts_add_up() -> None:
    s, X = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]])
    found = parts(s, X, np.array([[True], [False]]), np.array([[5.0]]))
    assert found[0, 0].tolist() == [16.0, 3.0, 8.0, 5.0]
