"""The analytic twin: gradients of footprints, and what they make of the errors to first order.

Notation: q indicators, c consumers, p = 4 parts (total, domestic, foreign, direct); X = L y the
output each consumer requires, (n,c); x industry output, (n,); m the multipliers, m (I - A) = s,
of the emissions that a part counts, (n,q,c,p). Arrays with an axis for each of q, c and p may
have length 1 along it, where all indicators, consumers or parts have the same.

To first order a footprint moves by a linear function of the errors of all cells,

    linear    L = sum_cells  dF/dq  q (factor - 1)          mean zero
    gaussian  G = sum_cells  dF/dq  q sigma eps             normal, for lognormal factors

sigma the sd of the factor's logarithm, eps its standardised error. Cells correlate through the
normals they share (`engine.kernels.perturb`): with S_g the sum of `dF/dq q sigma` over the cells
that use normal g with weight w_g, `Cov(G, G') = sum_g w_g w'_g S_g S'_g`.

Equations of docs/method.md: 4.1 to 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from engine.kernels import changes
from engine.kernels.arrays import F64, I32, Bool
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    FACTOR_ROUNDING,
    DetectionRule,
    Verdict,
    first_that_holds,
)
from engine.kernels.leontief import parts, per_unit_output
from engine.kernels.monte_carlo import quotient

OF_SUMS = 1e-12  # sd relative to footprints that rounding leaves where all errors cancel


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """Derivatives of footprints by the cells of one quantity, in factors.

    `dF/dq_ij = row_i (column_j - shift_i)`: one number for each cell, indicator, consumer and
    part, of which there would be too many to write down.

    Attributes:
        row, shift: by the rows of the quantity, (rows,q,c,p).
        column: by its columns, (columns,q,c,p).
    """

    row: F64
    column: F64
    shift: F64

    def at(self, rows: slice, columns: slice) -> Gradient:
        """The gradient by some of the cells."""
        return Gradient(self.row[rows], self.column[columns], self.shift[rows])

    def dense(self) -> F64:
        """Every derivative, (rows,columns,q,c,p), of a small table."""
        difference: F64 = self.row[:, None] * (self.column[None] - self.shift[:, None])
        return difference


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """By the cells of A or Z, of s or E, of Y, of the direct emissions F_Y, and of purchases."""

    intermediate: Gradient
    emissions: Gradient
    demand: Gradient
    direct: Gradient
    purchases: Gradient


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The estimate solved: multipliers m, (n,q,c,p), output X, (n,c), and footprint, (q,c,p)."""

    m: F64
    X: F64
    footprint: F64


def solution(
    X: F64, multipliers: F64, domestic_multipliers: F64, s: F64, domestic: Bool, direct: F64
) -> Solution:
    """The estimate's solution, as it is known from preparing it.

    Args:
        X: output that each consumer requires, (n,c).
        multipliers: of all emissions, (n,q).
        domestic_multipliers: of each consumer's domestic ones, (n,q,c); NaN where unknown, as then
            are the gradients of the domestic and foreign parts.
        s: emission intensities of the indicators, (q,n).
        domestic: whether an industry lies inside a consumer, (n,c).
        direct: direct emissions of the consumers, (q,c).
    """
    m = np.zeros((*domestic_multipliers.shape, 4))
    m[..., 0], m[..., 1] = multipliers[..., None], domestic_multipliers
    m[..., 2] = m[..., 0] - m[..., 1]
    return Solution(m, X, parts(s, X, domestic, direct))


def _counted(domestic: Bool) -> F64:
    """1 where a part counts an industry's emissions, (n,1,c,p)."""
    everywhere, nowhere = np.ones(domestic.shape), np.zeros(domestic.shape)
    return np.stack([everywhere, domestic, ~domestic, nowhere], axis=-1)[:, None]


def coefficients_gradients(
    solution: Solution, domestic: Bool, membership: F64, characterisation: F64
) -> Gradients:
    """By A, s, Y, F_Y: `dF/dA_ij = m_i X_j`, `dF/ds_j = X_j`, `dF/dY_ic = m_i`.

    Args:
        domestic: whether an industry lies inside a consumer, (n,c).
        membership: 1 for the columns of Y that are a consumer's own, (r,c).
        characterisation: indicators from stressors, (q,k).
    """
    m, X = solution.m, solution.X
    still = np.zeros((len(X), 1, 1, 1))
    return Gradients(
        intermediate=Gradient(m, _of_consumers(X), still),
        emissions=_by_emissions(X, domestic, characterisation),
        demand=Gradient(m, _of_consumers(membership), still),
        direct=_by_direct_emissions(membership, characterisation),
        purchases=_by_purchases(m),
    )


def accounts_gradients(
    solution: Solution,
    x: F64,
    active: Bool,
    domestic: Bool,
    membership: F64,
    characterisation: F64,
) -> Gradients:
    """By Z, E, Y, F_Y, through the output x = Z 1 + Y 1 they add up to.

    With `phi_j = X_j / x_j` (zero for an inactive industry): `dF/dZ_ij = m_i (phi_j - phi_i)`,
    `dF/dE_i = phi_i`, `dF/dY_ic = m_i (1[c is the consumer's] - phi_i)`.

    Args:
        x, active: output of the industries and whether they have any, (n,).
        domestic, membership, characterisation: as for coefficients.
    """
    m, phi = solution.m, per_unit_output(solution.X.T, x, active).T
    # Only differences count, and smaller numbers lose less to rounding where they cancel.
    centre = phi.mean(axis=0)
    shift = _of_consumers(phi - centre)
    return Gradients(
        intermediate=Gradient(m, shift, shift),
        emissions=_by_emissions(phi, domestic, characterisation),
        demand=Gradient(m, _of_consumers(membership - centre), shift),
        direct=_by_direct_emissions(membership, characterisation),
        purchases=_by_purchases(m),
    )


def _of_consumers(values: F64) -> F64:
    """(..., c) as (..., 1, c, 1): the same for all indicators and parts."""
    return values[:, None, :, None]


def _by_emissions(per_emission: F64, domestic: Bool, characterisation: F64) -> Gradient:
    row = characterisation.T[:, :, None, None]
    return Gradient(
        row, _of_consumers(per_emission) * _counted(domestic), np.zeros((len(row), 1, 1, 1))
    )


def _by_direct_emissions(membership: F64, characterisation: F64) -> Gradient:
    """Direct emissions count once in the total and once as the part `direct`."""
    row = characterisation.T[:, :, None, None]
    column = _of_consumers(membership) * np.array([1.0, 0.0, 0.0, 1.0])
    return Gradient(row, column, np.zeros((len(row), 1, 1, 1)))


def _by_purchases(m: F64) -> Gradient:
    """Purchases of demand vectors, which are no part of output: `dF/dq_ic = m_i`."""
    return Gradient(m, _of_consumers(np.eye(m.shape[2])), np.zeros((len(m), 1, 1, 1)))


# --- sums over cells ----------------------------------------------------------------------------
# `spread` is q sigma of every cell, (rows,columns), zero where a cell carries no error.


def inner(weights: F64, g: Gradient, h: Gradient) -> F64:
    """`sum_ij weights_ij g_ij h_ij`, (q,c,p): with weights `spread spread'`, the covariance that
    the cells' own normals bring two footprints.
    """
    total: F64 = inner_by_row(weights, g, h).sum(axis=0)
    return total


def inner_by_row(weights: F64, g: Gradient, h: Gradient) -> F64:
    """`sum_j weights_ij g_ij h_ij`, (rows,q,c,p): what the cells of each row add to `inner`."""

    def along(columns: F64) -> F64:
        flat = columns.reshape(len(columns), -1)
        return (weights @ flat).reshape(-1, *columns.shape[1:])

    crossed = along(g.column * h.column)
    crossed = crossed - h.shift * along(g.column) - g.shift * along(h.column)
    crossed += g.shift * h.shift * weights.sum(axis=1)[:, None, None, None]
    by_row: F64 = g.row * h.row * crossed
    return by_row


def add_group_sums(sums: F64, spread: F64, g: Gradient, row_of: I32, column_of: I32) -> None:
    """Add `sum dF/dq q sigma` of the cells of each group to `sums`, (R,C,q,c,p).

    Args:
        row_of, column_of: the group's row and column that each row and column belongs to.
    """
    labels, by_row = sums_along(spread, g, column_of)
    for row in np.unique(row_of):
        sums[row, labels] += by_row[row_of == row].sum(axis=0)


def sums_along(spread: F64, g: Gradient, column_of: I32) -> tuple[I32, F64]:
    """`sum dF/dq q sigma` of each row's cells by the group's column: which there are, (C,), and
    their sums, (rows,C,q,c,p).
    """
    order = np.argsort(column_of, kind="stable")
    labels, starts = np.unique(column_of[order], return_index=True)
    ordered, column = spread[:, order], g.column[order]
    flat = column.reshape(len(column), -1)
    along = [np.add.reduceat(ordered * one, starts, axis=1) for one in flat.T]
    by_column = np.stack(along, axis=-1).reshape(len(spread), -1, *column.shape[1:])
    plain = np.add.reduceat(ordered, starts, axis=1)[..., None, None, None]
    by_row: F64 = g.row[:, None] * (by_column - g.shift[:, None] * plain)
    return labels, by_row


def common_sums(first: F64, second: F64) -> F64:
    """`sum_g S_g S'_g` over groups, (q,c,p), of sums (R,C,q,c,p)."""
    total: F64 = np.einsum("rc...,rc...->...", first, second)
    return total


# --- what the first order says of a change ------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """First-order law of the change between two years.

    On the log scale delta is taken to be normal with mean `ln(F_t/F_s) - (s_t^2 - s_s^2)/2`,
    s = sd(G)/F, and variance `s_s^2 + s_t^2 - 2 Cov(G_s,G_t)/(F_s F_t)`. The shift of the mean is
    what the logarithm's curvature takes off a footprint of mean F: exact for one lognormal factor,
    right to second order where F is linear in the factors; the curvature of F in A or Z is left
    out. On the raw scale delta is the difference, unshifted.

    Attributes:
        observed: delta of the estimate, (...).
        mean, sigma: of delta, (...).
        s1, s2: sd of ln F in the two years, or of F, (...).
    """

    observed: F64
    mean: F64
    sigma: F64
    s1: F64
    s2: F64


def law_of_delta(
    first: F64,
    second: F64,
    variance_first: F64,
    variance_second: F64,
    covariance: F64,
    log: Bool,
) -> Delta:
    """The law of delta on the log scale where `log`, else on the raw one, (...).

    Args:
        first, second: footprints of the estimate, (...), positive where `log`.
        variance_first, variance_second, covariance: of G in the two years, (...).
    """
    unit_first, unit_second = np.where(log, first, 1.0), np.where(log, second, 1.0)
    s1, s2 = np.sqrt(variance_first) / unit_first, np.sqrt(variance_second) / unit_second
    observed = changes.difference(first, second, log)
    return Delta(
        observed=observed,
        mean=observed - np.where(log, (s2**2 - s1**2) / 2, 0.0),
        sigma=_sd_of_difference(s1**2, s2**2, covariance / (unit_first * unit_second)),
        s1=s1,
        s2=s2,
    )


def change(
    first: F64,
    second: F64,
    variance_first: F64,
    variance_second: F64,
    covariance: F64,
    rule: DetectionRule,
) -> dict[str, NDArray[Any]]:
    """The change between two years, by the names of `engine.kernels.changes.change`.

    Where a footprint is not positive, delta is the raw difference. `change_low` and `change_high`
    are of the raw change as first order has it, normal about the estimate, on either scale.

    Args:
        first, second: footprints of the estimate, (...).
        variance_first, variance_second, covariance: of G in the two years, (...).
    """
    log = (first > 0) & (second > 0)
    law = law_of_delta(first, second, variance_first, variance_second, covariance, log)
    raw_sd = _sd_of_difference(variance_first, variance_second, covariance)
    observed, mean, sigma, s1, s2 = law.observed, law.mean, law.sigma, law.s1, law.s2
    z, smallest = rule.z_alpha, changes.mdc(sigma, rule)
    reach = z * sigma + np.abs(mean - observed)  # spans both laws (`engine.kernels.interval`)
    on_log = np.where(log, 1.0, np.nan)
    return {
        "footprint_first": first,
        "footprint_second": second,
        "reference_change": second - first,
        "relative_change": quotient(second - first, np.where(first > 0, first, 0.0), np.nan),
        "reference_delta": observed,
        "scale": np.where(log, "log", "raw"),
        "change_sd": raw_sd,
        "change_low": second - first - z * raw_sd,
        "change_high": second - first + z * raw_sd,
        "delta_mean": mean,
        "interval_low": observed - reach,
        "interval_high": observed + reach,
        "quantile_low": mean - z * sigma,
        "quantile_high": mean + z * sigma,
        "relative_low": on_log * np.expm1(observed - reach),
        "relative_high": on_log * np.expm1(observed + reach),
        "sigma": sigma,
        "s1": s1,
        "s2": s2,
        "rho": quotient(covariance, np.sqrt(variance_first * variance_second), np.nan),
        "mdc": smallest,
        "mdc_increase_percent": on_log * changes.increase_percent(smallest),
        "mdc_decrease_percent": on_log * changes.decrease_percent(smallest),
        "rho_break_even": changes.rho_break_even(s1, s2, observed, rule),
        **_direction(mean, observed, sigma, _numerical_error(first, second, law, log), rule),
    }


def _sd_of_difference(variance_first: F64, variance_second: F64, covariance: F64) -> F64:
    """Rounding may leave the variance of a difference below zero where all cancels."""
    sd: F64 = np.sqrt(np.maximum(variance_first + variance_second - 2 * covariance, 0.0))
    return sd


def _numerical_error(first: F64, second: F64, law: Delta, log: Bool) -> F64:
    """That sigma may be nothing but, on the scale of delta, (...)."""
    size = np.where(log, 2.0, np.abs(first) + np.abs(second))
    error: F64 = FACTOR_ROUNDING * (law.s1 + law.s2) + OF_SUMS * size
    return error


def _direction(
    mean: F64, observed: F64, sigma: F64, error: F64, rule: DetectionRule
) -> dict[str, NDArray[Any]]:
    """P, its reflection at the estimate, and the verdict that both would give."""
    t, mirrored = quotient(mean, sigma, np.nan), quotient(2 * observed - mean, sigma, np.nan)
    falls, rises = (
        [x < -rule.z_alpha for x in (t, mirrored)],
        [x > rule.z_alpha for x in (t, mirrored)],
    )
    cases = {
        Verdict.NOT_ASSESSED: ~(sigma > CLEAR_OF_NUMERICAL_ERROR * error),
        Verdict.DECREASE: falls[0] & falls[1],
        Verdict.INCREASE: rises[0] & rises[1],
    }
    assessed = ~cases[Verdict.NOT_ASSESSED]
    return {
        "p_decrease": ndtr(-t),
        "p_decrease_reflected": ndtr(-mirrored),
        "asymmetric": assessed & ((falls[0] != falls[1]) | (rises[0] != rises[1])),
        "verdict": first_that_holds(cases, Verdict.NOT_DETECTABLE),
    }


# --- the trend of an emission inventory, the case that has a guideline --------------------------
# IPCC 2006 Guidelines for National Greenhouse Gas Inventories, vol. 1, ch. 3, approach 1. Sources
# with emissions C in the base and D in the current year, (sources,), uncertainties U in percent of
# each, the same in both years. Results are in percentage points of the trend D/C - 1.


def _root_sum_of_squares(sensitivity: F64, U: F64) -> float:
    return float(np.sqrt(np.sum(np.square(sensitivity * U))))


def inventory_trend(C: F64, D: F64, U: F64, rho: float) -> float:
    """Exact propagation, each source's errors correlating by `rho` between the years.

    `U^2 [(D_i/C)^2 + (D C_i/C^2)^2 - 2 rho (D_i/C)(D C_i/C^2)]`, summed over sources.
    """
    now, base = D / C.sum(), D.sum() * C / C.sum() ** 2
    squared = np.square(now - base) + 2 * (1 - rho) * now * base
    return _root_sum_of_squares(np.sqrt(squared), U)


def ipcc_trend_uncorrelated(C: F64, D: F64, U: F64) -> float:
    """IPCC's column for uncorrelated years: type B sensitivity `|D_i/C|` times sqrt(2) U.

    It takes the base year's sensitivity to be the current year's, and so differs from
    `inventory_trend` at rho 0.
    """
    return _root_sum_of_squares(np.sqrt(2) * np.abs(D / C.sum()), U)


def ipcc_trend_correlated(C: F64, D: F64, U: F64) -> float:
    """IPCC's column for fully correlated years: type A sensitivity, by a difference of 1 %.

    The trend is recomputed with the source 1 % higher in both years; finite, so it differs from
    `inventory_trend` at rho 1.
    """
    total_C, total_D = C.sum(), D.sum()
    raised = 100 * ((0.01 * D + total_D) / (0.01 * C + total_C) - 1)
    return _root_sum_of_squares(raised - 100 * (total_D / total_C - 1), U)
