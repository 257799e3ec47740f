"""Control variates: unbiased, with the gain theory says, and off where they must be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from engine.kernels.arrays import F64
from engine.kernels.control_variate import (
    Linearity,
    controlled_mean,
    controlled_probability,
    controlled_variance,
    numerical_tolerance,
    square_root,
    validate,
)
from engine.kernels.monte_carlo import Estimate

MEAN, SD = 1.5, 2.0


def pairs(draws: int, worlds: int, rho: float, seed: int) -> tuple[F64, F64]:
    """x ~ N(MEAN, SD^2) and G ~ N(0, SD^2) correlating by rho, (draws, worlds) each."""
    u, v = np.random.default_rng(seed).normal(size=(2, draws, worlds))
    return MEAN + SD * (rho * u + math.sqrt(1 - rho**2) * v), SD * u


def assert_unbiased(estimates: F64, truth: float) -> None:
    """4 standard errors of the mean over worlds: 1 in 16,000 false failures."""
    error = estimates.std(ddof=1) / math.sqrt(len(estimates))
    assert abs(estimates.mean() - truth) < 4 * error


@pytest.mark.parametrize("rho", [0.0, 0.9, 0.99])
def test_means_variances_and_probabilities_are_unbiased(rho: float) -> None:
    """Over 4,000 small ensembles, where bias would show most."""
    x, G = pairs(40, 4000, rho, seed=1)
    known = np.full(4000, SD**2)
    assert_unbiased(controlled_mean(x, G).value, MEAN)
    assert_unbiased(controlled_variance(x, G, known).value, SD**2)
    threshold = np.full(4000, -MEAN)
    found = controlled_probability(x, G, threshold, known).value
    assert_unbiased(found, float(norm.cdf(-MEAN / SD)))


@pytest.mark.parametrize("rho", [0.9, 0.99])
def test_standard_errors_are_those_of_repeated_ensembles(rho: float) -> None:
    """2,000 ensembles of 400 draws; their scatter is known to 1.6 %, asked to 4 times that."""
    x, G = pairs(400, 2000, rho, seed=2)
    known = np.full(2000, SD**2)
    for found in (
        controlled_mean(x, G),
        controlled_variance(x, G, known),
        controlled_probability(x, G, np.full(2000, -MEAN), known),
    ):
        scatter = found.value.std(ddof=1)
        typical = math.sqrt(np.square(found.mcse).mean())
        assert scatter / typical == pytest.approx(1, abs=4 * 0.016 + 0.02)


def test_gains_are_those_of_theory() -> None:
    """1/(1 - rho^2) for means, 1/(1 - rho^4) for variances; 4 at P = .025 and rho = .99."""
    rho = 0.99
    x, G = pairs(200_000, 1, rho, seed=3)
    known = np.full(1, SD**2)
    assert controlled_mean(x, G).gain[0] == pytest.approx(1 / (1 - rho**2), rel=0.03)
    assert controlled_variance(x, G, known).gain[0] == pytest.approx(1 / (1 - rho**4), rel=0.03)
    shifted = x - MEAN + norm.ppf(0.975) * SD
    found = controlled_probability(shifted, G, np.full(1, norm.ppf(0.025) * SD), known)
    assert found.gain[0] == pytest.approx(4, rel=0.1)
    assert found.value[0] == pytest.approx(0.025, abs=4 * found.mcse[0])
    plain = math.sqrt(0.025 * 0.975 / 200_000)
    assert plain / found.mcse[0] == pytest.approx(math.sqrt(found.gain[0]), rel=0.05)


def test_a_useless_control_costs_next_to_nothing() -> None:
    x, G = pairs(4096, 1, 0.0, seed=4)
    assert controlled_mean(x, G).gain[0] == pytest.approx(1, abs=0.01)


def test_a_perfect_control_leaves_no_scatter() -> None:
    _, G = pairs(256, 1, 0.0, seed=5)
    found = controlled_mean(3 + 2 * G, G)
    assert found.value[0] == pytest.approx(3, rel=1e-14)
    assert found.mcse[0] < 1e-14
    assert found.gain[0] > 1e20


@pytest.mark.parametrize("why", ["rejected", "not stored", "too few"])
def test_switched_off_it_is_the_plain_estimate(why: str) -> None:
    """With a draw rejected, the control's mean over the rest is no longer known."""
    x, G = pairs(20 if why == "too few" else 400, 3, 0.99, seed=6)
    if why == "rejected":
        x[7] = np.nan
    control = None if why == "not stored" else G
    accepted = x[np.isfinite(x).all(axis=1)]
    known = np.full(3, SD**2)
    mean = controlled_mean(x, control)
    sd = square_root(controlled_variance(x, control, known))
    p = controlled_probability(x, control, np.full(3, -MEAN), known)
    assert mean.value == pytest.approx(accepted.mean(axis=0), rel=1e-12)
    assert mean.mcse == pytest.approx(accepted.std(axis=0, ddof=1) / math.sqrt(len(accepted)))
    assert sd.value == pytest.approx(accepted.std(axis=0, ddof=1), rel=1e-12)
    assert p.value == pytest.approx((accepted < 0).mean(axis=0), rel=1e-12)
    for found in (mean, sd, p):
        assert (found.gain == 1).all()


def test_without_any_error_nothing_is_gained_and_nothing_breaks() -> None:
    x, G, known = np.full((64, 1), 2.0), np.zeros((64, 1)), np.zeros(1)
    assert controlled_mean(x, G).value[0] == 2
    assert controlled_variance(x, G, known).value[0] == 0
    found = controlled_probability(x, G, np.array([-2.0]), known)
    assert (found.value[0], found.gain[0]) == (0, 1)
    assert controlled_probability(-x, G, np.array([2.0]), known).value[0] == 1


# --- JCGM 101:2008 --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("u", "digits", "tolerance"),
    [
        (0.00035, 2, 0.000005),  # 7.9.2, example 1: 35 x 10^-5 g
        (2.0, 2, 0.05),  # 9.2.2: four inputs of standard uncertainty 1
        (2.0, 1, 0.5),
        (10.1, 2, 0.5),  # 9.2.4: one of them 10
        (0.0996, 2, 0.005),  # rounds to 0.10
    ],
)
def test_numerical_tolerance(u: float, digits: int, tolerance: float) -> None:
    assert numerical_tolerance(np.array(u), digits) == pytest.approx(tolerance, rel=1e-12)


def exactly(value: float) -> Estimate:
    return Estimate(np.array(value), np.array(0.0))


@pytest.mark.parametrize(
    ("u", "end", "linearity"),
    [
        # 9.2.3: four rectangular laws; the exact end is 2 sqrt(3) (2 - (3/5)^(1/4)) = 3.88.
        (2.0, 2 * math.sqrt(3) * (2 - 0.6**0.25), Linearity.VALIDATED),
        # 9.2.4: one of them ten times as wide; 17.0 against 19.9 from the first order.
        (10.1, 17.0, Linearity.NOT_VALIDATED),
    ],
)
def test_the_additive_examples_of_jcgm_101(u: float, end: float, linearity: str) -> None:
    found = validate(np.array(0.0), np.array(u), 1.96, exactly(-end), exactly(end), digits=2)
    assert str(found.linearity) == linearity
    assert found.d_low == found.d_high == pytest.approx(1.96 * u - end)


def test_draws_too_few_to_tell_and_nothing_to_tell() -> None:
    y, u = np.zeros(3), np.array([2.0, 2.0, 0.0])
    end = Estimate(np.array([3.92, 4.30, 0.0]), np.array([0.3, 0.3, 0.0]))
    low = Estimate(-end.value, end.mcse)
    found = validate(y, u, 1.96, low, end, digits=1)
    assert found.linearity.tolist() == ["needs more draws", "needs more draws", "not assessed"]
    sharp = validate(
        y, u, 1.96, Estimate(low.value, end.mcse / 10), Estimate(end.value, end.mcse / 10)
    )
    assert sharp.linearity.tolist() == ["validated", "validated", "not assessed"]
