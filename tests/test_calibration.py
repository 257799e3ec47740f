"""How often verdicts are wrong in worlds whose truth is known, by the kernel's own decision.

One sector whose intensity alone errs: the true footprints are fixed, a publisher's estimates are
drawn from the error model, and the kernel sees these estimates and its own draws around them.
Rates must lie within four standard errors of their nominal value (false failure: 1 in 16,000),
widened by the undecided worlds, whose verdict is `needs more draws`.

At the end the suite of `benchmarks.calibration`, which goes the whole way from error models and
tables to verdicts, with a few hundred worlds instead of thousands.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks import calibration
from engine.clusters import one_blas_thread
from engine.kernels.arrays import F64, I64
from engine.kernels.changes import DetectionRule, Verdict, change, verdicts

RULE = DetectionRule()
DETECTED = [Verdict.DECREASE.value, Verdict.INCREASE.value]


def worlds(
    rsds: tuple[float, float], rho: float, size: tuple[int, ...], rng: np.random.Generator
) -> tuple[F64, F64]:
    """Mean-one lognormal factors of two years, their standardised errors correlating by rho."""
    u, v = rng.standard_normal((2, *size))
    a, b = (math.sqrt(math.log1p(rsd * rsd)) for rsd in rsds)
    first = np.exp(a * u - a * a / 2)
    second = np.exp(b * (rho * u + math.sqrt(1 - rho * rho) * v) - b * b / 2)
    return first, second


def assert_rate(found: NDArray[np.str_], nominal: float, slack: float = 0.0) -> None:
    """The nominal rate lies between detected, and detected plus undecided."""
    detected = np.isin(found, DETECTED).mean()
    undecided = (found == Verdict.NEEDS_MORE_DRAWS.value).mean()
    error = 4 * math.sqrt(nominal * (1 - nominal) / found.size) + slack
    assert detected - error <= nominal <= detected + undecided + error


# --- unequal errors: what each of the two probabilities would do, and what both do ----------------


def unequal_worlds() -> tuple[I64, I64, I64, I64, int]:
    """Counts against each direction, forward and mirrored, for 40,000 worlds without a change.

    The law of delta around its estimate is the same in every world, so that one sorted sample of
    a million draws, stratified, serves them all.
    """
    draws = 1_000_000
    a, b = (math.sqrt(math.log1p(rsd * rsd)) for rsd in (0.5, 0.1))
    sigma, centre = math.sqrt(a * a + b * b - 2 * 0.95 * a * b), (a * a - b * b) / 2
    law = centre + sigma * ndtri((np.arange(draws) + 0.5) / draws)
    first, second = worlds((0.5, 0.1), 0.95, (40_000,), np.random.default_rng(1))
    estimate = np.log(second / first)
    forward = draws - np.searchsorted(law, -estimate)  # draws with estimate + law >= 0
    mirrored = np.searchsorted(law, estimate, side="right")  # estimate - law >= 0
    return forward, draws - forward, mirrored, draws - mirrored, draws


def test_false_positives_of_unequal_errors() -> None:
    """Forward .0870, mirrored .0500, both .0308: the verdict takes both, and is conservative."""
    fall, rise, fall_mirrored, rise_mirrored, draws = unequal_worlds()
    assessed = np.ones(len(fall), dtype=np.bool_)
    rules = {
        0.0870: (fall, rise),
        0.0500: (fall_mirrored, rise_mirrored),
        0.0308: (np.maximum(fall, fall_mirrored), np.maximum(rise, rise_mirrored)),
    }
    for nominal, (against_decrease, against_increase) in rules.items():
        found = verdicts(against_decrease, against_increase, draws, 0, assessed, RULE)
        assert_rate(found, nominal, slack=5e-5)  # printed to four digits


def test_false_positives_of_unequal_errors_from_footprints_on() -> None:
    """The same through the whole kernel, with fewer worlds and draws."""
    rng = np.random.default_rng(2)
    found = judge((0.5, 0.1), 0.95, 1.0, count=2000, draws=4000, rng=rng)
    assert_rate(found["verdict"], 0.0308)


# --- equal errors: nominal ------------------------------------------------------------------------


def judge(
    rsds: tuple[float, float],
    rho: float,
    ratio: float,
    count: int,
    draws: int,
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """What the kernel says of `count` worlds whose true footprints are 1 and `ratio`."""
    found = []
    for _ in range(count // 250):
        first, second = worlds(rsds, rho, (250,), rng)
        second *= ratio
        u, v = worlds(rsds, rho, (draws, 250), rng)
        exact = np.zeros((draws, 1))
        found.append(change(first * u, second * v, first, second, exact, exact, RULE))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


@pytest.mark.parametrize(("rsd", "rho"), [(0.1, 0.0), (0.5, 0.0), (0.3, 0.9)])
def test_false_positives_and_coverage_of_equal_errors_are_nominal(rsd: float, rho: float) -> None:
    """Within one point, 3.2 standard errors of 5,000 worlds: false failure 1 in 700, six times."""
    found = judge((rsd, rsd), rho, 1.0, count=5000, draws=2000, rng=np.random.default_rng(3))
    assert_rate(found["verdict"], 0.05)
    falls = np.minimum(found["p_decrease"], found["p_decrease_reflected"]) > 0.975
    rises = np.maximum(found["p_decrease"], found["p_decrease_reflected"]) < 0.025
    assert (falls | rises).mean() == pytest.approx(0.05, abs=0.01)
    covered = (found["relative_low"] <= 0) & (found["relative_high"] >= 0)
    assert covered.mean() == pytest.approx(0.95, abs=0.01)


def test_raw_differences_would_be_conservative() -> None:
    """Why delta is logarithmic: with its raw sd a 5 % test at rsd .3 rejects 1.7 %."""
    found = judge((0.3, 0.3), 0.0, 1.0, count=5000, draws=2000, rng=np.random.default_rng(4))
    rejected = np.abs(found["reference_change"]) > RULE.z_alpha * found["change_sd"]
    assert rejected.mean() == pytest.approx(0.017, abs=0.0078)


def test_power_is_that_of_the_minimum_detectable_change() -> None:
    """A true change of the size of the MDC is missed in one world out of five."""
    (sigma,) = (math.sqrt(2 * math.log1p(rsd * rsd) * (1 - 0.8)) for rsd in (0.1,))
    ratio = math.exp(-(RULE.z_alpha + RULE.z_power) * sigma)
    found = judge((0.1, 0.1), 0.8, ratio, count=2500, draws=2000, rng=np.random.default_rng(5))
    assert_rate(found["verdict"], 0.80)
    assert Verdict.INCREASE.value not in found["verdict"]


def test_equal_errors_are_not_asymmetric() -> None:
    found = judge((0.2, 0.2), 0.5, 1.0, count=1000, draws=2000, rng=np.random.default_rng(6))
    assert found["asymmetric"].mean() <= 0.001


# --- from error models to verdicts: the suite of `scripts/calibrate`, reduced -------------------

REDUCED = [calibration.CASES[place] for place in (0, 2, 6)]  # yearly, persistent, ar1; unequal too


@pytest.mark.parametrize("case", REDUCED, ids=lambda case: case.name)
def test_the_whole_way_agrees_with_theory(case: calibration.Case) -> None:
    """Each rate within 4 standard errors of what so many draws decide: 1 in 16,000 each."""
    with one_blas_thread():
        found = calibration.play(case, worlds=400, draws=512)
    rate = calibration.rates(found.outcomes, found.expected, RULE)
    for name in ("detected", "coverage"):
        theory = rate[f"theory_{name}"]
        error = 4 * np.sqrt(np.maximum(theory * (1 - theory), 1 / 400) / 400)
        assert np.all(np.abs(rate[name] - theory) < error), name
    assert np.all(rate["sigma_world"] == pytest.approx(rate["theory_sigma_world"], rel=0.15))
    flipped, runs = calibration.flips(found.outcomes.verdict, found.halfway)
    assert flipped <= 0.01 * runs


def test_doubling_the_draws_turns_no_verdict_around_even_on_the_threshold() -> None:
    """At most 1 % of runs; each of the two counts has 1 % to be on the wrong side at all."""
    with one_blas_thread():
        whole, half = calibration.on_the_threshold(calibration.CASES[0], runs=400, draws=1024)
    flipped, runs = calibration.flips(whole, half)
    assert runs == 400
    assert flipped <= 0.01 * runs
    open_ = calibration.VERDICTS.index(Verdict.NEEDS_MORE_DRAWS)
    assert (whole == open_).mean() > 0.95


def test_the_suite_says_what_does_not_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    low, high = (0.0, 1.0), (4.0, 6.0)
    made = [
        calibration.Check("a", "b", np.float64(0.5), low, np.float64(np.nan), *low),
        calibration.Check("c", "d", np.float64(0.5), low, np.float64(5.0), *high),
    ]
    assert [check.holds for check in made] == [True, False]
    monkeypatch.setattr(calibration, "suite", lambda worlds, draws: iter(made))
    assert calibration.main(["--output", str(tmp_path / "found.json")]) == 1
    told = capsys.readouterr().out
    assert "1 of 2 numbers do not hold" in told
    assert ["DOES NOT HOLD" in line for line in told.splitlines()[2:4]] == [False, True]
    assert [
        row["holds"] for row in json.loads((tmp_path / "found.json").read_text())["checks"]
    ] == [
        True,
        False,
    ]
    assert calibration.main(["--quick"]) == 0
    assert "too few worlds to judge" in capsys.readouterr().out
