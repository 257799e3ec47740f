"""Balancing: published examples, the nearest table by entropy, laws of biproportional scaling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from engine.kernels.arrays import F64
from engine.kernels.balancing import TOLERANCE, balance

# Miller & Blair 2009, Input-Output Analysis, section 7.4.2: coefficients of an earlier year, the
# flows of the later one whose margins alone are taken as known, and its outputs.
A0 = np.array([[0.120, 0.100, 0.049], [0.210, 0.247, 0.265], [0.026, 0.249, 0.145]])
Z1 = np.array([[98.0, 72.0, 75.0], [65.0, 8.0, 63.0], [88.0, 27.0, 44.0]])
X1 = np.array([421.0, 284.0, 283.0])
# Junius & Oosterhaven 2003: a table with negative cells and margins, and what it is to add up to.
JUNIUS = np.array([[7.0, 3.0, 5.0, -3.0], [2.0, 9.0, 8.0, 1.0], [-2.0, 0.0, 2.0, 1.0]])
ROWS, COLUMNS = np.array([15.0, 26.0, -1.0]), np.array([9.0, 16.0, 17.0, -2.0])


def scaled_by_turns(table: F64, rows: F64, columns: F64, times: int) -> F64:
    """RAS as textbooks have it: the whole table scaled, rows and columns by turns."""
    table = table.copy()
    for _ in range(times):
        table *= (rows / table.sum(axis=1))[:, None]
        table *= columns / table.sum(axis=0)
    return table


def nearest(table: F64, rows: F64, columns: F64) -> F64:
    """The table of these margins nearest by entropy, sum |q| z (ln z - 1), z the cells' factors."""
    cells = np.argwhere(table != 0)
    size = np.abs(table[table != 0])
    signed = table[table != 0]
    sums = [signed * (cells[:, 0] == i) for i in range(len(rows))]
    sums += [signed * (cells[:, 1] == j) for j in range(len(columns) - 1)]
    M, wanted = np.array(sums), np.concatenate([rows, columns[:-1]])
    found = minimize(
        lambda z: float(np.sum(size * (z * np.log(z) - z))),
        np.ones(len(size)),
        jac=lambda z: size * np.log(z),
        bounds=[(1e-9, None)] * len(size),
        constraints={"type": "eq", "fun": lambda z: M @ z - wanted, "jac": lambda z: M},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert found.success
    whole = np.zeros_like(table)
    whole[table != 0] = signed * found.x
    return whole


def made_up(seed: int, m: int = 7, k: int = 9, *, negative: bool = True) -> tuple[F64, F64, F64]:
    """A table with zeros, and the margins of another one with cells of the same signs."""
    rng = np.random.default_rng(seed)
    published = rng.lognormal(0, 1.5, (m, k)) * (rng.random((m, k)) < 0.7)
    published[0] += 0.1  # else a line may have no cell that is not zero
    published[:, 0] += 0.1
    if negative:
        published *= np.where(rng.random((m, k)) < 0.1, -1, 1)
    drawn = published * rng.lognormal(0, 0.6, (m, k))
    return drawn, published.sum(axis=1), published.sum(axis=0)


def test_miller_and_blairs_example_is_the_table_nearest_by_entropy() -> None:
    flows, rows, columns = A0 * X1, Z1.sum(axis=1), Z1.sum(axis=0)
    found = balance(flows, rows, columns)
    assert found.converged
    assert found.table == pytest.approx(scaled_by_turns(flows, rows, columns, 200), rel=1e-8)
    assert found.table == pytest.approx(nearest(flows, rows, columns), rel=1e-5)


def test_junius_and_oosterhavens_example_is_the_table_nearest_by_entropy() -> None:
    found = balance(JUNIUS, ROWS, COLUMNS)
    assert found.converged
    assert found.table.sum(axis=1) == pytest.approx(ROWS, rel=1e-12)
    assert found.table.sum(axis=0) == pytest.approx(COLUMNS, rel=1e-7)
    assert found.table == pytest.approx(nearest(JUNIUS, ROWS, COLUMNS), rel=1e-4, abs=1e-6)


def test_another_implementations_numbers_are_met() -> None:
    """That example without two cells, with the numbers that O. Reiter's doGRAS (in R) is tested by.

    Its fourth column has a negative cell alone.
    """
    table = JUNIUS.copy()
    table[1:, 3] = 0
    known = [
        [8.424340881, 3.375237362, 5.200422021, -2.000000263],
        [3.000997078, 12.624763744, 10.374239178, 0],
        [-2.425339135, 0, 1.425339135, 0],
    ]
    found = balance(table, ROWS, COLUMNS)
    assert found.converged
    assert found.table == pytest.approx(np.array(known), abs=2e-5)


@pytest.mark.parametrize("seed", range(20))
def test_margins_are_met_and_zeros_and_signs_are_kept(seed: int) -> None:
    table, rows, columns = made_up(seed)
    before = table.copy()
    found = balance(table, rows, columns)
    assert found.converged
    assert found.deviation <= TOLERANCE
    size = np.abs(found.table)
    assert (np.abs(found.table.sum(axis=1) - rows) <= 1e-13 * size.sum(axis=1)).all()
    assert (np.abs(found.table.sum(axis=0) - columns) <= 1.01e-9 * size.sum(axis=0)).all()
    assert (np.sign(found.table) == np.sign(table)).all()
    assert (table == before).all()
    # Biproportional: positive cells by r s, negative ones by its inverse.
    i, j = np.nonzero(table)
    log = np.log(found.table[i, j] / table[i, j]) * np.sign(table[i, j])
    design = np.zeros((len(i), sum(table.shape)))
    design[np.arange(len(i)), i] = 1
    design[np.arange(len(i)), table.shape[0] + j] = 1
    fitted = design @ np.linalg.lstsq(design, log, rcond=None)[0]
    assert fitted == pytest.approx(log, abs=1e-10)


def test_without_negative_cells_it_is_ras() -> None:
    table, rows, columns = made_up(3, negative=False)
    found = balance(table, rows, columns)
    assert found.table == pytest.approx(scaled_by_turns(table, rows, columns, 2000), rel=1e-7)


def test_a_balanced_table_is_unchanged() -> None:
    table, _, _ = made_up(4)
    found = balance(table, table.sum(axis=1), table.sum(axis=0))
    assert found.iterations == 1
    assert found.table == pytest.approx(table, rel=1e-13)


def test_factors_of_whole_rows_and_columns_are_undone() -> None:
    table, _, _ = made_up(5, negative=False)
    rng = np.random.default_rng(5)
    r, s = rng.lognormal(0, 1, (7, 1)), rng.lognormal(0, 1, 9)
    found = balance(table * r * s, table.sum(axis=1), table.sum(axis=0))
    assert found.table == pytest.approx(table, rel=1e-7)
    # Negative cells are scaled the other way, so that theirs are undone where they move inversely.
    signed, _, _ = made_up(6)
    moved = np.where(signed < 0, signed / (r * s), signed * r * s)
    found = balance(moved, signed.sum(axis=1), signed.sum(axis=0))
    assert found.table == pytest.approx(signed, rel=1e-6)


def test_two_by_two_by_hand() -> None:
    """The cross ratio z11 z22 / (z12 z21) is kept; where it is 1, cells are products of margins."""
    found = balance(np.array([[3.0, 2.0], [6.0, 4.0]]), np.array([50.0, 50]), np.array([60.0, 40]))
    assert found.table == pytest.approx(np.array([[30.0, 20], [30, 20]]), rel=1e-12)
    # With cross ratio 4: t (t - 10) = 4 (50 - t) (60 - t), or 3 t^2 - 430 t + 12000 = 0.
    found = balance(np.array([[4.0, 1.0], [1.0, 1.0]]), np.array([50.0, 50]), np.array([60.0, 40]))
    assert found.table[0, 0] == pytest.approx((430 - 40900**0.5) / 6, rel=1e-8)


def test_lines_of_zeros_and_of_negative_cells_alone() -> None:
    table = np.array([[0.0, 0.0, 0.0], [-1.0, 0.0, -2.0], [4.0, 0.0, 5.0]])
    found = balance(table, np.array([0.0, -5.0, 8.0]), np.array([1.0, 0.0, 2.0]))
    assert found.converged
    assert (found.table[0] == 0).all()
    assert (found.table[:, 1] == 0).all()
    assert found.table.sum(axis=1) == pytest.approx([0, -5, 8], abs=1e-12)
    # Rows of both signs can add up to nothing.
    table = np.array([[1.0, -3.0], [2.0, 5.0]])
    found = balance(table, np.array([0.0, 7.0]), np.array([4.0, 3.0]))
    assert found.converged
    assert found.table.sum(axis=1) == pytest.approx([0, 7], abs=1e-12)


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        ([5.0, 5.0], [4.0, 7.0]),  # margins that add up to different sums
        ([-1.0, 11.0], [4.0, 6.0]),  # a negative margin, and no negative cell
        ([0.0, 10.0], [4.0, 6.0]),  # nothing, of positive cells
    ],
)
def test_margins_that_no_such_table_has_are_not_converged(
    rows: list[float], columns: list[float]
) -> None:
    found = balance(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array(rows), np.array(columns), most=50)
    assert not found.converged
    assert found.deviation > TOLERANCE


def test_a_margin_of_a_line_without_cells_is_not_converged() -> None:
    found = balance(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([2.0, 3.0]), np.array([4.0, 1.0]))
    assert not found.converged
    assert np.isinf(found.deviation)


def nearly_closed(joined: float) -> tuple[F64, F64, F64]:
    """Two blocks with little between them, for which scaling by turns is slow."""
    rng = np.random.default_rng(1)
    block = rng.lognormal(0, 1, (6, 6))
    published = np.full((12, 12), joined)
    published[:6, :6] += block
    published[6:, 6:] += block.T
    drawn = published * rng.lognormal(0, 0.5, published.shape)
    return drawn, published.sum(axis=1), published.sum(axis=0)


@pytest.mark.parametrize(
    "given",
    [*(made_up(seed) for seed in range(6)), *map(nearly_closed, (0.1, 0.01, 0.001))],
)
def test_what_is_left_reaches_as_far_as_the_table_that_meets_every_margin(
    given: tuple[F64, F64, F64],
) -> None:
    """At the tolerance of draws; a change that is no larger than ten times that is not assessed."""
    found, exact = balance(*given), balance(*given, tolerance=1e-14, most=100_000)
    assert found.converged
    assert exact.converged
    cells = given[0] != 0
    away = np.abs(found.table[cells] / exact.table[cells] - 1).max()
    assert 0 < away < found.left < 1e3 * away
