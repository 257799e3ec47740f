"""The benchmark suite measures what it says it does. What it finds is required nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks import bars, subject, tables
from benchmarks.naive import Naive
from benchmarks.records import Record, Report, Skipped, amount, write_json, write_markdown
from benchmarks.scaling import exponent
from benchmarks.tables import Synthetic
from benchmarks.timing import Contender, Spread, cores, interleaved, ratios
from engine.mrio import findings

ROOT = Path(__file__).parent.parent
SMALL = Synthetic(4, 6)


# --- timing -------------------------------------------------------------------------------------


class Clock:
    """Time passes when somebody works, and at no other moment."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: Iterator[float]) -> Callable[[int], None]:
        def run(units: int) -> None:
            self.now += units * next(seconds)

        return run


def test_ratios_are_taken_round_by_round() -> None:
    """A minute in which all slow down alike changes no ratio."""
    clock = Clock()
    slow, fast = iter([4.0, 40.0, 8.0]), iter([2.0, 20.0, 4.0])
    timed = interleaved(
        [
            Contender("slow", clock.work(slow), fixed=True),
            Contender("fast", clock.work(fast), fixed=True),
        ],
        repeats=3,
        least=1.0,
        clock=clock,
    )
    assert timed["slow"].spread == Spread(8.0, 4.0, 40.0, 3)
    assert ratios(timed, "slow")["fast"] == Spread(2.0, 2.0, 2.0, 3)


def test_the_order_changes_from_round_to_round() -> None:
    clock, seen = Clock(), []
    contenders = [
        Contender(name, lambda _, name=name: seen.append(name), fixed=True) for name in "abc"
    ]
    clock.now = 1.0
    with pytest.raises(ZeroDivisionError):  # nothing took any time
        ratios(interleaved(contenders, 3, 0.0, clock=clock), "a")
    assert "".join(seen) == "abcbcacab"


def test_short_work_is_repeated_until_it_can_be_measured() -> None:
    clock, asked = Clock(), []

    def run(units: int) -> None:
        asked.append(units)
        clock.now += 0.001 * units

    timed = interleaved([Contender("short", run, step=64)], 2, least=10.0, clock=clock)
    assert all(units % 64 == 0 for units in asked)
    assert asked[-1] * 0.001 >= 5.0
    assert timed["short"].spread.median == pytest.approx(0.001, rel=1e-9)


def test_no_round_begins_after_the_budget() -> None:
    clock = Clock()
    work = clock.work(iter([5.0] * 9))
    timed = interleaved([Contender("long", work, fixed=True)], 9, 0.0, budget=12.0, clock=clock)
    assert len(timed["long"].seconds) == 3


@pytest.mark.skipif(cores() == 1, reason="one core leaves nothing to choose")
def test_the_faster_number_of_blas_threads_counts() -> None:
    clock = Clock()
    work = clock.work(iter([9.0, 1.0, 1.0, 9.0]))  # one thread, all; then all, one
    timed = interleaved([Contender("either", work, blas=None, fixed=True)], 2, 0.0, clock=clock)
    assert timed["either"].blas == cores()
    assert timed["either"].seconds == [1.0, 1.0]


def test_exponent_of_a_power_law() -> None:
    amounts = [10.0, 20.0, 50.0]
    assert exponent(amounts, [3e-4 * amount**1.7 for amount in amounts]) == pytest.approx(1.7)


# --- tables -------------------------------------------------------------------------------------


def test_tables_balance_are_synthetic_and_sparse() -> None:
    table = tables.make(Synthetic.of(120))
    share = table.Z.sum(axis=0) / table.x
    assert table.provenance.synthetic
    assert "SYNTHETIC" in table.provenance.source
    assert [finding.kind for finding in findings(table)] == []
    assert 0.3 < np.mean(table.Z != 0) < 0.6
    assert share.max() < 0.75
    assert np.ptp(np.log10(table.Z[table.Z > 0])) > 8


def test_a_seed_and_a_year_name_one_table() -> None:
    again, base = (tables.make(SMALL) for _ in range(2))
    later, other = tables.make(SMALL, 2001), tables.make(Synthetic(4, 6, seed=2))
    assert again.sha256 == base.sha256
    assert len({base.sha256, later.sha256, other.sha256}) == 3
    A, B = base.Z / base.x, later.Z / later.x
    both = (A > 0) & (B > 0)
    # 4 % a cell: 500 cells would leave 3 to 5 % once in 10^10.
    assert 0.03 < np.log(B[both] / A[both]).std() < 0.05


def test_density_changes_the_share_of_cells() -> None:
    few, many = (tables.make(Synthetic(6, 10, density=share)).Z for share in (0.3, 1.2))
    assert 3 < np.count_nonzero(many) / np.count_nonzero(few) < 5


# --- contenders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [bars.first, bars.second], ids=["first", "second"])
@pytest.mark.parametrize("mode", subject.MODES, ids=lambda mode: mode.name)
def test_a_mode_keeps_its_promise(ask: Callable, mode: subject.Mode) -> None:
    """Draws against a direct solution of the very same inputs."""
    table = tables.make(SMALL)
    (prepared,) = subject.in_mode(subject.ready([table], ask(table)), mode)
    drawn = subject.footprints(prepared, mode, 5)
    assert drawn.accepted.all()
    truths = {number: subject.direct(prepared, number) for number in range(5)}
    found = subject.error(drawn, truths)
    assert found <= (mode.promise or 0.05)


@pytest.mark.parametrize("ask", [bars.first, bars.second], ids=["first", "second"])
def test_the_naive_loop_samples_the_same_law(ask: Callable) -> None:
    """Means and standard deviations of logarithms agree with the engine's, at 5 standard errors."""
    table, draws = tables.make(SMALL), 1024
    bar, mode = ask(table), subject.MODES[0]
    naive = Naive(table, bar, seed=3)
    (prepared,) = subject.in_mode(subject.ready([table], bar), mode)
    ours = np.log(subject.footprints(prepared, mode, draws).footprint)
    theirs = np.log([naive.draw() for _ in range(draws)])
    ours = ours[..., 0] if theirs.ndim == 3 else ours[..., :3]
    # Two-sided; at most 45 comparisons of each kind fail once in 10^4.
    limit = norm.isf(1e-4 / 90)
    gap = ours.mean(axis=0) - theirs.mean(axis=0)
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / draws)
    assert (np.abs(gap) < limit * error).all()
    kurtosis = np.maximum(_fourth(ours), _fourth(theirs))
    ratio = np.log(ours.std(axis=0) / theirs.std(axis=0))
    assert (np.abs(ratio) < limit * np.sqrt((kurtosis - 1) / (2 * draws))).all()


def _fourth(values: np.ndarray) -> np.ndarray:
    standardised = (values - values.mean(axis=0)) / values.std(axis=0)
    return (standardised**4).mean(axis=0)


# --- the report ---------------------------------------------------------------------------------


def test_amounts_are_readable() -> None:
    assert amount(Spread(0.0123, 0.01, 0.02, 3), "s a draw") == "12.3 [10, 20] ms a draw"
    assert amount(Spread(2e9, 1e9, 3e9, 3), "B/s") == "2 [1, 3] GB/s"
    assert amount(Spread(4000.0, 3000.0, 5000.0, 3), "s") == "4e+03 [3e+03, 5e+03] s"


def test_what_was_not_measured_says_why(tmp_path: Path) -> None:
    one = Record("peers", "a case", "naive", Spread(1.0, 1.0, 1.0, 1), "s", facts={"n": np.nan})
    report = Report({}, {}, (one, Skipped("peers", "a case", "another", "it is not installed")))
    write_json(report, tmp_path / "r.json")
    write_markdown(report, tmp_path / "r.md", [])
    content = json.loads((tmp_path / "r.json").read_text())
    assert content["records"][0]["facts"]["n"] is None
    assert content["skipped"][0]["reason"] == "it is not installed"
    assert "another: not measured: it is not installed" in (tmp_path / "r.md").read_text()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_look_measures_a_little_of_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--quick", "--output", str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if name != "FOOTFALL_DATA"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "benchmarks.json").read_text())
    records = content["records"]
    suites = {record["suite"] for record in [*records, *content["skipped"]]}
    assert suites == set(content["settings"]["suites"])
    assert all(record["value"]["low"] > 0 for record in records)
    for record in records:
        if "largest error found" in record["facts"]:
            promise = {mode.name: mode.promise for mode in subject.MODES}[record["name"]]
            assert record["facts"]["largest error found"] <= (promise or 0.05)
        if "difference without errors" in record["facts"]:
            assert record["facts"]["difference without errors"] < 1e-6
    assert all(skipped["reason"] for skipped in content["skipped"])
    text = (tmp_path / "benchmarks.md").read_text()
    assert "SYNTHETIC, n = 120" in text
    for figure in ("limits", "naive", "peers", "scaling"):
        assert (tmp_path / f"{figure}.png").stat().st_size > 10_000
        assert f"({figure}.png)" in text
