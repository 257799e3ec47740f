"""The verdict on a change at an assumed correlation of the errors of its two years.

Notation as in `engine.kernels.changes`, equations of docs/method.md (5.6 to 5.8). With s1, s2 the
sd of ln F in the two years, as drawn,

    sigma(rho)^2 = s1^2 + s2^2 - 2 rho s1 s2,

and by size alone the observed change is detectable where `|delta^| > z sigma(rho)`, that is, for
every rho above one break-even. z is that of the rule, raised where draws were rejected so that all
of them count against the verdict, as they do when draws are counted
(`DetectionRule.z_where_accepted`); so it is in the MDC and in what a true decline requires.

At the model's own correlation the verdict that stands is the counted one; this one is the normal
law's, since other correlations have no draws to count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.kernels.arrays import F64
from engine.kernels.changes import (
    CLEAR_OF_NUMERICAL_ERROR,
    DetectionRule,
    Verdict,
    bias,
    correlation_at,
    first_that_holds,
    least_assessed,
    paired,
    sigma_of_rho,
    smallest_changes,
)
from engine.kernels.monte_carlo import (
    Estimate,
    correlation,
    named,
    quotient,
    spread,
    standard_error,
)

GRID = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99)


def over_correlation(
    first: F64,
    second: F64,
    estimate_first: F64,
    estimate_second: F64,
    error_first: F64,
    error_second: F64,
    error_of_change: F64 | float = 0.0,
    *,
    rule: DetectionRule,
    declines: tuple[float, ...],
    grid: tuple[float, ...] = GRID,
) -> dict[str, NDArray[Any]]:
    """sigma, MDC and verdict at each correlation of a grid, and last at the model's own.

    Args:
        first, second, estimate_first, estimate_second, error_first, error_second,
        error_of_change: as in `engine.kernels.changes.change`.
        declines: true falls, in percent, of which it is told what correlation they require.
        grid: assumed correlations, ascending.

    Returns:
        `rho`, `sigma`, `mdc`, `mdc_increase`, `mdc_decrease`, both also with `_percent`, and
        `by_size`, a `Verdict`, (len(grid) + 1, ...); `decided_above`, the correlation above which
        the change is detectable by size (1 or more: never, -1 or less: always), and for each
        decline `rho_required_<g>_percent`, above which it would be found with the rule's power,
        (...). Each sampled one with `_mcse`; NaN where it does not exist.
    """
    both = paired(first, second, estimate_first, estimate_second)
    if both.draws < 2:
        return _nothing(both.observed.shape, grid, declines)
    levels = both.levels(estimate_first, estimate_second)
    own = correlation(*levels)
    fixed = [np.full(both.log.shape, rho) for rho in grid]
    rho = np.stack([*fixed, own.value])
    spreads = spread(levels[0]), spread(levels[1])
    at = [*(_sigma_at(*spreads, assumed) for assumed in fixed), spread(both.delta)]
    sigma = Estimate(
        np.stack([one for one, _ in at]), np.stack([standard_error(psi) for _, psi in at])
    )
    s1, s2 = (s for s, _ in spreads)
    least = least_assessed(both, error_first, error_second, s1, s2)
    least = least + CLEAR_OF_NUMERICAL_ERROR * error_of_change
    z = rule.z_where_accepted(both.acceptance)
    rho_mcse = np.zeros_like(rho)
    rho_mcse[-1] = own.mcse
    found: dict[str, NDArray[Any]] = {"rho": rho, "rho_mcse": rho_mcse}
    found |= named("sigma", sigma)
    # The bias of a change is that of its two levels, whatever they have in common.
    each = [smallest_changes(one, bias(both), both.log, both.acceptance, rule) for one in at]
    found |= {name: np.stack([one[name] for one in each]) for name in each[0]}
    found["by_size"] = _by_size(both.observed, sigma, least, z, rule)
    found |= named("decided_above", correlation_at(*levels, both.observed / z))
    for percent in declines:
        true = np.where(both.log, -np.log1p(-percent / 100), np.nan)
        required = correlation_at(*levels, true / (z + rule.z_power))
        found |= named(f"rho_required_{percent:g}_percent", required)
    return found


def limits(
    first: F64,
    second: F64,
    estimate_first: F64,
    estimate_second: F64,
    *,
    rule: DetectionRule,
    grid: tuple[float, ...],
) -> dict[str, F64]:
    """How large a change must be at each correlation of a grid, (len(grid), ...), with `_mcse`.

    Args:
        first, second, estimate_first, estimate_second: as in `engine.kernels.changes.change`.
        grid: assumed correlations.

    Returns:
        `detection_limit`, z sigma(rho), beyond which an estimate is detectable by size, and
        `mdc_decrease` and `mdc_increase`, all in the units of delta; NaN of fewer than two draws,
        and infinite where too many were rejected for any change to be detectable.
    """
    both = paired(first, second, estimate_first, estimate_second)
    z = rule.z_where_accepted(both.acceptance)
    names = ("detection_limit", "mdc_decrease", "mdc_increase")
    if both.draws < 2 or np.isinf(z):
        value = np.full((len(grid), *both.log.shape), np.nan if both.draws < 2 else np.inf)
        unknown = Estimate(value, np.full_like(value, np.nan))
        return {k: v for name in names for k, v in named(name, unknown).items()}
    level_first, level_second = both.levels(estimate_first, estimate_second)
    spreads = spread(level_first), spread(level_second)
    found: dict[str, list[F64]] = {f"{name}{end}": [] for name in names for end in ("", "_mcse")}
    for rho in grid:
        sigma, influence = _sigma_at(*spreads, np.full(both.log.shape, rho))
        at = smallest_changes((sigma, influence), bias(both), both.log, both.acceptance, rule)
        at |= named("detection_limit", Estimate(z * sigma, z * standard_error(influence)))
        for name, values in found.items():
            values.append(at[name])
    return {name: np.stack(values) for name, values in found.items()}


def _sigma_at(first: tuple[F64, F64], second: tuple[F64, F64], rho: F64) -> tuple[F64, F64]:
    """`sigma_of_rho` of the draws, with its influence function, by those of s1 and s2."""
    (s1, of_s1), (s2, of_s2) = first, second
    sigma = sigma_of_rho(s1, s2, rho)
    by_s1 = quotient(s1 - rho * s2, sigma, 0.0)
    by_s2 = quotient(s2 - rho * s1, sigma, 0.0)
    return sigma, by_s1 * of_s1 + by_s2 * of_s2


def _by_size(
    observed: F64, sigma: Estimate, least: F64, z: float, rule: DetectionRule
) -> NDArray[np.str_]:
    """The verdict by size; open where sigma's Monte Carlo error leaves both answers possible."""
    reach = -float(ndtri(rule.monte_carlo_error / 2)) * sigma.mcse
    limit = np.abs(observed) / z
    cases = {
        Verdict.NOT_ASSESSED: ~(sigma.value > least),
        # Equality decides where there is no change at all: it is never detectable.
        Verdict.NEEDS_MORE_DRAWS: (np.abs(limit - sigma.value) < reach) & (observed != 0),
        Verdict.DECREASE: (sigma.value < limit) & (observed < 0),
        Verdict.INCREASE: (sigma.value < limit) & (observed > 0),
    }
    return first_that_holds(cases, Verdict.NOT_DETECTABLE)


def _nothing(
    shape: tuple[int, ...], grid: tuple[float, ...], declines: tuple[float, ...]
) -> dict[str, NDArray[Any]]:
    smallest = ("_increase", "_increase_percent", "_decrease", "_decrease_percent")
    along = ("rho", "sigma", "mdc", *(f"mdc{name}" for name in smallest))
    once = ("decided_above", *(f"rho_required_{percent:g}_percent" for percent in declines))
    points = len(grid) + 1
    found: dict[str, NDArray[Any]] = {}
    for names, size in ((along, (points, *shape)), (once, shape)):
        for name in names:
            found |= named(name, Estimate(np.full(size, np.nan), np.full(size, np.nan)))
    found["rho"][:-1] = np.reshape(grid, (-1, *[1] * len(shape)))
    found["rho_mcse"][:-1] = 0.0
    found["by_size"] = np.full((points, *shape), Verdict.NOT_ASSESSED.value)
    return found
