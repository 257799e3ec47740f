"""`scripts/calibrate [--worlds N] [--quick]`: are verdicts as often wrong as they say?

Worlds whose truth is known, through everything between an error model and a verdict: published
tables, preparation, draws, changes. They lie side by side as regions without trade, a few hundred
in one table, each with errors of its own; two sectors with different error sizes take turns in
emitting, which makes the sizes of the two years' errors equal or unequal. All SYNTHETIC.

    sole     the first sector emits in the first year, the second in the second: one lognormal
             error a year, whose law is known exactly
    shifted  four fifths of the emissions move from the first sector to the second: lasting errors
             of the sectors cancel in part, and the footprint is a sum of lognormals

What must hold, with 5,000 worlds or more:

- equal sizes: false positives and coverage within one point of nominal;
- unequal sizes: false positives and misses of the interval at most nominal plus one point, and
  coverage within one point of what so many draws hold in theory (kernels/operating.py);
- power, of decided verdicts, within two points of what so many draws can decide in theory;
- doubling the draws turns decided verdicts into other decided ones in at most 1 % of runs, also
  for an estimate that lies on the threshold itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.analysis.tables import aligned
from engine.clusters import one_blas_thread
from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    ErrorModel,
    Errors,
    Method,
    Persistent,
    Quantity,
    TimeKey,
    Yearly,
)
from engine.kernels.changes import DetectionRule, Verdict, mdc
from engine.kernels.monte_carlo import clopper_pearson
from engine.kernels.operating import Scatter
from engine.mrio import MRIO, Labels
from engine.question import Consumer, Indicator, Question
from engine.readers.synthetic import CURRENCY, made_up
from engine.studies.rates import Expected, Outcomes, rates
from engine.studies.sight import VERDICTS, Judged, judged, view
from engine.studies.stage import first_order
from engine.worlds import Published, Truth, publish, seed_for, truth

RULE = DetectionRule()
SEED = 2026
SIZES = (0.0, -0.5, -1.0, 1.0)  # true changes, in minimum detectable ones
ENOUGH = 5000  # worlds for which the standard errors allow the checks of one and two points
_YEARS = (2000, 2001)
_HALVED = 10  # tables of worlds that are judged with half of their draws too
_DECIDED = [VERDICTS.index(v) for v in (Verdict.DECREASE, Verdict.INCREASE, Verdict.NOT_DETECTABLE)]


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of world: how the errors of the two years correlate, and how large they are.

    Attributes:
        time: of the only component.
        rsd: of the two sectors' emissions.
        share: of the emissions that moves from the first sector to the second; 1 for `sole`.
        equal: whether the errors of the two years are equally large.
    """

    name: str
    time: TimeKey
    rsd: tuple[float, float]
    share: float = 1.0
    equal: bool = field(default=True)

    @property
    def errors(self) -> ErrorModel:
        """Of emissions alone; a `sole` sector has its region's error, others have their own."""
        group = ("stressor", "region") if self.share == 1.0 else ("cell",)
        size = ByLabel(("sector",), {("P0",): self.rsd[0], ("P1",): self.rsd[1]})
        component = Component(self.name, 1.0, group, self.time)  # normals of its own
        return ErrorModel(
            self.name,
            Method.ACCOUNTS,
            (Errors(Quantity.E, {}, size, (component,), "assumption"),),
        )


CASES = (
    Case("yearly, equal 10 %", Yearly(), (0.1, 0.1)),
    Case("ar1 .95, equal 50 %", AR1(0.95), (0.5, 0.5)),
    Case("persistent, equal 10 %", Persistent(), (0.1, 0.1), share=0.8),
    Case("yearly, 15 % then 5 %", Yearly(), (0.15, 0.05), equal=False),
    Case("ar1 .95, 15 % then 5 %", AR1(0.95), (0.15, 0.05), equal=False),
    Case("persistent, 15 % then 5 %", Persistent(), (0.15, 0.05), equal=False),
    Case("persistent, 15 % to 5 %", Persistent(), (0.15, 0.05), share=0.8, equal=False),
    Case("ar1 .95, 50 % then 10 %", AR1(0.95), (0.5, 0.1), equal=False),
)


def tables(case: Case, regions: int) -> tuple[MRIO, MRIO]:
    """The true tables of both years: as many worlds as regions."""
    names = tuple(f"W{number}" for number in range(regions))
    labels = Labels(
        regions=names,
        industries=tuple((name, sector) for name in names for sector in ("P0", "P1")),
        stressors=("CO2",),
        stressor_units=("kt",),
        currency=CURRENCY,
    )
    own = np.eye(regions)
    Z = np.kron(own, np.array([[20.0, 5.0], [10.0, 15.0]]))
    Y = np.kron(own, np.array([[60.0], [40.0]]))
    late = (1 - case.share, case.share)
    return tuple(
        MRIO(
            year=year,
            labels=labels,
            Z=Z,
            Y=Y,
            E=50 * np.tile(shares, regions)[None, :],
            F_Y=np.zeros((1, regions)),
            provenance=made_up(f"calibration, {case.name}"),
        )
        for year, shares in zip(_YEARS, (late[::-1], late), strict=True)
    )


def question(regions: int) -> Question:
    """The total of every world."""
    names = [f"W{number}" for number in range(regions)]
    return Question(
        tuple(Consumer(name, (name,)) for name in names),
        (Indicator("CO2", "kt", {"CO2": 1.0}),),
        parts=("total",),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """All worlds of a case judged, and the verdicts of the first ones with half of the draws."""

    expected: Expected
    outcomes: Outcomes
    halfway: np.ndarray[Any, np.dtype[np.int8]]


def play(case: Case, worlds: int, draws: int, side: int = 100, seed: int = SEED) -> Played:
    """Publish, draw and judge; `side` worlds lie side by side in a table."""
    side = min(side, worlds)
    true = truth(tables(case, side), case.errors, seed_for(seed, "worlds"), question(side))
    law = first_order(true)
    changes = mdc(law.sigma, RULE)[..., None] * np.array(SIZES)
    published = (publish(true, number) for number in range(-(-worlds // side)))
    whole, half = _judged(case, true, published, changes, draws, seed, _HALVED)
    one = Scatter(law.sigma[:, :1], law.shift[:, :1])  # the same in every region
    expected = Expected(changes[:, :1], one, one, draws)
    return Played(expected, _outcomes(whole, worlds), _outcomes(half, worlds).verdict)


def on_the_threshold(case: Case, runs: int, draws: int, side: int = 100, seed: int = SEED) -> Any:
    """Verdicts after `draws` and half of them, of a fall estimated just on the threshold.

    One estimate and many seeds: what the draws' own scatter does where it does most.
    """
    side = min(side, runs)
    true = truth(tables(case, side), case.errors, seed_for(seed, "worlds"), question(side))
    law = first_order(true)
    changes = -(RULE.z_alpha * law.sigma + np.abs(law.shift))[..., None]
    count = -(-runs // side)
    published = (Published(true.tables, true.question) for _ in range(count))
    whole, half = _judged(case, true, published, changes, draws, seed, count)
    return _outcomes(whole, runs).verdict, _outcomes(half, runs).verdict


def _judged(
    case: Case,
    true: Truth,
    published: Iterator[Published],
    changes: np.ndarray[Any, np.dtype[np.float64]],
    draws: int,
    seed: int,
    tables_halved: int,
) -> tuple[list[Judged], list[Judged]]:
    F = [_footprint(table) for table in true.tables]
    scale = (F[0] / F[1])[None, :, None] * np.exp(changes)
    whole, half = [], []
    for number, shown in enumerate(published):
        seen = view(shown, case.errors, seed_for(seed, f"world {number}"), draws)
        whole.append(judged(seen, changes, scale, RULE))
        if number < tables_halved:
            half.append(judged(seen.only(draws // 2), changes, scale, RULE))
    return whole, half


def _footprint(table: MRIO) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of every region, the slow way: `s (I - A)^-1 y`."""
    A, s = table.Z / table.x, table.E / table.x
    found: np.ndarray[Any, np.dtype[np.float64]] = s @ np.linalg.solve(
        np.eye(len(table.x)) - A, table.Y
    )
    return found[0]


def _outcomes(found: Sequence[Judged], worlds: int) -> Outcomes:
    """Regions become worlds: (worlds,1,1,sizes) and (worlds,1,1)."""

    def stacked(name: str) -> Any:
        parts = [np.moveaxis(getattr(one, name), 1, 0) for one in found]
        return np.concatenate(parts)[:worlds][:, :, None]

    return Outcomes(*(stacked(name) for name in ("verdict", "limit", "covered", "error", "sigma")))


# --- what must hold -----------------------------------------------------------------------------


def flips(whole: Any, half: Any) -> tuple[int, int]:
    """Verdicts, decided, that doubling the draws turns into other decided ones; and all runs."""
    both = np.isin(whole, _DECIDED) & np.isin(half, _DECIDED)
    return int((both & (whole != half)).sum()), both.size


@dataclass(frozen=True, slots=True)
class Check:
    """One number that must hold: `value` within [`low`, `high`], all in percent."""

    case: str
    what: str
    value: float
    interval: tuple[float, float]
    theory: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.value <= self.high


def checks(case: Case, found: Played) -> Iterator[Check]:
    """Of one case, in percent."""
    rate = {
        name: 100 * values[0, 0]
        for name, values in rates(found.outcomes, found.expected, RULE).items()
    }
    nominal = 100 * RULE.alpha

    def check(name: str, place: int, what: str, low: float, high: float) -> Check:
        interval = rate[f"{name}_low"][place], rate[f"{name}_high"][place]
        theory = rate[f"theory_{name}"][place]
        return Check(case.name, what, rate[name][place], interval, theory, low, high)

    least = nominal - 1 if case.equal else 0.0
    yield check("detected", 0, "false positives, decided", 0.0, nominal + 1)
    yield check("limit", 0, "false positives, with more draws", least, nominal + 1)
    held = 100 - nominal if case.equal else rate["theory_coverage"][0]
    yield check("coverage", 0, "coverage of delta", max(100 - nominal, held) - 1, held + 1)
    for place, size in enumerate(SIZES[1:], start=1):
        theory = rate["theory_detected"][place]
        yield check("detected", place, f"power at {size:+.1f} MDC", theory - 2, theory + 2)
    counted = flips(found.outcomes.verdict[: len(found.halfway)], found.halfway)
    yield _flip_check(case, "flips on doubling the draws", *counted)


def _flip_check(case: Case, what: str, flipped: int, runs: int) -> Check:
    low, high = clopper_pearson(np.array(flipped), runs, 0.95)
    share = 100 * flipped / runs
    return Check(case.name, what, share, (100 * float(low), 100 * float(high)), np.nan, 0.0, 1.0)


def suite(worlds: int, draws: int, cases: Sequence[Case] = CASES) -> Iterator[Check]:
    """All checks of all cases."""
    with one_blas_thread():
        for case in cases:
            yield from checks(case, play(case, worlds, draws))
        for case in (cases[0], cases[-1]):
            counted = flips(*on_the_threshold(case, worlds, draws))
            yield _flip_check(case, "flips, estimate on the threshold", *counted)


# --- the command --------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite, print its table, and return 1 where something does not hold."""
    parser = argparse.ArgumentParser(
        prog="scripts/calibrate", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--worlds", type=int, default=ENOUGH, help="of each case")
    parser.add_argument("--draws", type=int, default=4096, help="of each world")
    parser.add_argument("--quick", action="store_true", help="500 worlds, too few to judge")
    parser.add_argument("--output", type=Path, help="a JSON file of the results")
    asked = parser.parse_args(arguments)
    worlds = 500 if asked.quick else asked.worlds
    began, done = time.time(), []
    for check in suite(worlds, asked.draws):
        done.append(check)
        print(f"\r{len(done)} numbers, {time.time() - began:.0f} s", end="", file=sys.stderr)
    print(file=sys.stderr)
    enough = worlds >= ENOUGH
    print(f"SYNTHETIC worlds: {worlds} of each case, {asked.draws} draws of each, seed {SEED}")
    print(table(done, enough))
    if asked.output:
        facts = {"worlds": worlds, "draws": asked.draws, "seed": SEED}
        asked.output.write_text(json.dumps({**facts, "checks": [_row(c) for c in done]}, indent=1))
    failed = sum(not check.holds for check in done) if enough else 0
    print(f"{failed} of {len(done)} numbers do not hold" if enough else "too few worlds to judge")
    return int(failed > 0)


def table(done: Sequence[Check], judge: bool) -> str:
    """In percent, one line a number."""
    head = ("", "", "found", "95 % interval", "theory", "must lie in", "")
    lines = [
        (
            check.case,
            check.what,
            f"{check.value:.2f}",
            f"{check.interval[0]:.2f} to {check.interval[1]:.2f}",
            "-" if np.isnan(check.theory) else f"{check.theory:.2f}",
            f"{check.low:.2f} to {check.high:.2f}",
            "" if check.holds or not judge else "DOES NOT HOLD",
        )
        for check in done
    ]
    return "\n".join(aligned([head, *lines]))


def _row(check: Check) -> dict[str, Any]:
    return {
        "case": check.case,
        "what": check.what,
        "percent": float(check.value),
        "interval_95": [float(end) for end in check.interval],
        "theory": None if np.isnan(check.theory) else float(check.theory),
        "must_lie_in": [float(check.low), float(check.high)],
        "holds": bool(check.holds),
    }


if __name__ == "__main__":
    sys.exit(main())
