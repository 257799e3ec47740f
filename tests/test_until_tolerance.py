"""Drawing until the answer is known: when it stops, what it has spent, and that it can be resumed.

Runs are of one sector whose log change is exactly normal (science: F = s y / (1 - a), s lognormal):
sigma = sqrt(2 (1 - rho) ln(1 + rsd^2)), P(increase) = Phi(ln(F1/F0) / sigma).
"""

from __future__ import annotations

import json
import math
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from configs import ONE_SECTOR, footfall, written
from engine import analysis, studies, workflow
from engine.analysis.tolerance import QUANTITIES, numerical_tolerance, watched_pairs
from engine.clusters import Cluster, Profile, connect
from engine.config import Config, load_config
from engine.errors import ConfigError, InputError, LockedError
from engine.kernels.changes import DetectionRule, Verdict, spent_at_look, verdicts
from engine.runs import Progress
from engine.stores.lock import held
from engine.stores.record import Looks, Stop, read_record
from engine.studies import Look, run_until, schedule

SIGMA = 0.12  # of the change in the runs below
RHO = 0.5


def one_sector(folder: Path, growth: float, draws: int = 64) -> Config:
    rsd = math.sqrt(math.expm1(SIGMA**2 / (2 * (1 - RHO))))
    text = ONE_SECTOR.format(
        parameters=f"growth = {growth}", draws=draws, rsd=rsd, rho=RHO, rest=1 - RHO
    )
    return load_config(written(folder, text, "one.toml"))


def grown(by: float) -> float:
    """The growth whose log is `by` sigma."""
    return math.expm1(by * SIGMA)


def watched(config: Config, folder: Path, most: int) -> tuple[workflow.Run, list[Look]]:
    seen: list[Look] = []
    return run_until(config, folder, most=most, watcher=seen.append), seen


def one_change(deviates: NDArray[np.float64], by: float) -> xr.Dataset:
    """An ensemble of one consumer and two years: delta = sigma (by + deviates), estimate by sigma.

    Its ends are known exactly, and so is every count.
    """
    draws, cell = len(deviates), ("stressor", "consumer", "part")
    footprint = np.ones((draws, 2, 1, 1, 1))
    footprint[:, 1, 0, 0, 0] = np.exp(SIGMA * (by + deviates))
    reference = np.array([1.0, math.exp(SIGMA * by)]).reshape(2, 1, 1, 1)
    return xr.Dataset(
        {
            "footprint": (("draw", "year", *cell), footprint),
            "reference": (("year", *cell), reference),
            "status": (("draw", "year"), np.zeros((draws, 2), dtype=np.uint8)),
            "certified_error": (("draw", "year"), np.full((draws, 2), 1e-13)),
        },
        coords={
            "year": [2000, 2001],
            "stressor": ["CO2"],
            "consumer": ["R0"],
            "part": ["total"],
            "stressor_unit": ("stressor", ["kt"]),
        },
        attrs={"unfinished_blocks": 0},
    )


def stratified(draws: int) -> NDArray[np.float64]:
    """Standard normal deviates, one in the middle of each of `draws` equally likely intervals."""
    deviates: NDArray[np.float64] = ndtri((np.arange(draws) + 0.5) / draws)
    return deviates


# --- the tolerance -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("u", "digits", "tolerance"),
    [
        (0.00035, 2, 0.000005),  # the examples of JCGM 101:2008, 7.9.2
        (0.0004, 1, 0.00005),
        (2.0, 1, 0.5),
        (0.0996, 2, 0.005),  # rounds to 10 x 10^-2
        (0.0949, 1, 0.005),
        (0.0951, 1, 0.05),
        (999.6, 2, 50.0),
    ],
)
def test_the_numerical_tolerance_is_half_a_unit_of_the_last_digit(
    u: float, digits: int, tolerance: float
) -> None:
    assert numerical_tolerance(np.array(u), digits) == pytest.approx(tolerance, rel=1e-12)


def test_draws_enough_by_the_law_of_quantiles() -> None:
    """The end of a 95 % interval of a normal has a standard error of
    sqrt(.025 .975) / phi(1.96) = 2.671 sigma / sqrt(D), the largest of the four; sigma .12 to one
    digit allows .025, so that 164 draws are too few and twice as many more than enough.
    """
    rule = DetectionRule()
    for draws, unknown in ((100, {"lower end", "upper end"}), (330, set())):
        some = analysis.unsettled(one_change(stratified(draws), 0.0), rule, 1)
        assert {name for one in some for name in one.unknown} == unknown
    (fine,) = analysis.unsettled(one_change(stratified(5000), 0.0), rule, 2)
    assert fine.unknown == ("lower end", "upper end")
    # To two digits a tenth of the tolerance, a hundred times the draws.
    assert fine.draws == pytest.approx((2 * 2.671 * SIGMA / 0.005) ** 2, rel=0.1)
    assert not fine.undecided


def test_too_few_draws_to_tell_are_not_enough() -> None:
    """With 40 draws there is no order statistic one standard error below the 2.5 % quantile."""
    (few,) = analysis.unsettled(one_change(stratified(40), 5.0), DetectionRule(), 1)
    assert "lower end" in few.unknown
    assert few.draws is None
    assert set(few.unknown) <= set(QUANTITIES)


def test_a_change_that_is_not_assessed_is_settled() -> None:
    assert analysis.unsettled(one_change(np.zeros(64), 1.0), DetectionRule(), 1) == []


def test_raw_differences_have_their_own_scale() -> None:
    """Footprints that may be negative, in thousands: the same digits, another unit."""
    for draws, unknown in ((400, set()), (100, {"lower end", "upper end"})):
        ensemble = one_change(np.zeros(draws), 0.0)
        footprint = ensemble["footprint"].copy()
        footprint[:, 1, 0, 0, 0] = -5000.0 + 1200.0 * stratified(draws)
        found = analysis.unsettled(ensemble.assign(footprint=footprint), DetectionRule(), 1)
        assert {name for one in found for name in one.unknown} == unknown


def test_consecutive_years_and_the_whole_span_are_watched() -> None:
    assert watched_pairs([2005, 2000, 2001]) == [(2000, 2001), (2001, 2005), (2000, 2005)]
    assert watched_pairs([2000, 2001]) == [(2000, 2001)]


# --- what is spent over the looks ----------------------------------------------------------------


def test_what_is_spent_adds_up_to_one_percent() -> None:
    looks = Looks((64, 128, 256), 1024, 1, Stop.NOT_YET)
    spent = [workflow.at_look(DetectionRule(), looks, 64 << k).monte_carlo_error for k in range(3)]
    assert spent == [0.005, 0.01 / 6, 0.01 / 12]
    assert sum(spent_at_look(k) for k in range(1, 1000)) < 0.01
    assert workflow.at_look(DetectionRule(), None, 64) == DetectionRule()
    # Extended by hand, it is one more look.
    assert looks.number(4096) == looks.number(257) == 4


def test_a_later_look_asks_for_more_to_decide() -> None:
    """73 of 4096 draws speak against a rise, 102 would be the limit: .01 is enough for a verdict,
    the .0005 of the fourth look is not.
    """
    against = stratified(4096)[73] - 1e-9
    ensemble = one_change(stratified(4096), -against)
    once = DetectionRule()
    fourth = DetectionRule(monte_carlo_error=spent_at_look(4))
    assert not any(one.undecided for one in analysis.unsettled(ensemble, once, 1))
    assert all(one.undecided for one in analysis.unsettled(ensemble, fourth, 1))
    found = analysis.changes(ensemble, fourth)
    assert found["verdict"].item() == Verdict.NEEDS_MORE_DRAWS
    assert analysis.at_last_look(found)["verdict"].item() == Verdict.BORDERLINE
    assert not Verdict.BORDERLINE.detected
    assert analysis.at_last_look(analysis.changes(ensemble, once))["verdict"].item() == "increase"


def stopped_wrongly(p: float, truth: Verdict, error_at: list[float], worlds: int) -> float:
    """Share of worlds whose first decided verdict, looked for at 256, 512, ... draws, is wrong.

    Args:
        p: true probability of an increase.
    """
    rng = np.random.default_rng(71)
    counts, draws = np.zeros(worlds, dtype=np.int64), 0
    decided = np.full(worlds, Verdict.NEEDS_MORE_DRAWS.value)
    for error in error_at:
        more = max(draws, 256)
        counts, draws = counts + rng.binomial(more, p, worlds), draws + more
        now = verdicts(
            counts,
            draws - counts,
            draws,
            0,
            np.ones(worlds, dtype=np.bool_),
            DetectionRule(monte_carlo_error=error),
        )
        waits = decided == Verdict.NEEDS_MORE_DRAWS.value
        decided = np.where(waits, now, decided)
    return float(np.mean(~np.isin(decided, [truth.value, Verdict.NEEDS_MORE_DRAWS.value])))


@pytest.mark.parametrize(
    ("p", "truth"), [(0.0249, Verdict.DECREASE), (0.0251, Verdict.NOT_DETECTABLE)]
)
def test_looking_twelve_times_flips_at_most_one_verdict_in_a_hundred(
    p: float, truth: Verdict
) -> None:
    """Probabilities at the threshold, up to 524,288 draws; the first verdict reached is kept.

    Had every look the whole .01 to spend, more would be wrong, and the test sees that. The share
    of 10,000 worlds has a standard error of .001 at most (fixed streams).
    """
    spent = [spent_at_look(k) for k in range(1, 13)]
    assert stopped_wrongly(p, truth, spent, 10_000) < 0.01
    assert stopped_wrongly(p, truth, [0.01] * 12, 10_000) > 0.013


# --- the loop ------------------------------------------------------------------------------------


def test_the_looks_follow_from_the_first(tmp_path: Path) -> None:
    config = one_sector(tmp_path, 0.0, draws=100)
    assert schedule(config, tmp_path / "run") == (128, 256, 512, 1024, 2048)
    assert schedule(config, tmp_path / "run", 60, 300) == (64, 128, 256)
    assert schedule(config, tmp_path / "run", 64, 64) == (64,)
    with pytest.raises(ConfigError, match="beyond the largest number of draws, 100"):
        schedule(config, tmp_path / "run", most=100)


def test_it_stops_when_all_is_known(tmp_path: Path) -> None:
    """A rise of 3.3 sigma: decided early, its ends known after 164 draws by the law of quantiles,
    and, by the scatter of a quantile's own standard error, within a factor of four.
    """
    run, looks = watched(one_sector(tmp_path, grown(3.3)), tmp_path / "run", 2048)
    assert [look.draws for look in looks] == [64 << k for k in range(len(looks))]
    assert 128 <= looks[-1].draws <= 512
    assert [look.stop for look in looks] == [Stop.NOT_YET] * (len(looks) - 1) + [Stop.TOLERANCE]
    assert looks[-1].open == {"base": ()}
    assert run.ensemble().draws == looks[-1].draws, "it draws no more than it needs"
    found = analysis.changes(run.open(), workflow.rule_of(run)).squeeze().sel(part="total")
    assert found["verdict"].item() == "increase"
    # Known to one digit: four standard errors are twice the tolerance of .05.
    assert found["sigma"].item() == pytest.approx(SIGMA, abs=0.1)
    for name, at in (("relative_low", -1.96), ("relative_high", 1.96)):
        assert math.log1p(found[name].item()) == pytest.approx((3.3 + at) * SIGMA, abs=0.1)
    assert read_record(run.folder).looks == Looks(
        tuple(look.draws for look in looks), 2048, 1, Stop.TOLERANCE
    )


def test_more_digits_take_more_looks(tmp_path: Path) -> None:
    run, _ = watched(one_sector(tmp_path, grown(3.3)), tmp_path / "run", 512)
    assert run.record.looks is not None
    assert run.record.looks.stop is Stop.TOLERANCE
    finer = run_until(one_sector(tmp_path, grown(3.3)), tmp_path / "run", digits=2, most=512)
    assert finer.record.looks == Looks((64, 128, 256, 512), 512, 2, Stop.MAXIMUM)
    # What is decided stays decided: only digits are missing.
    assert "increase" in workflow.detect(finer, workflow.rule_of(finer))


@pytest.fixture(scope="module")
def borderline(tmp_path_factory: pytest.TempPathFactory) -> tuple[workflow.Run, list[Look]]:
    """A change at the threshold itself, P(increase) = .975, uninterrupted up to 512 draws."""
    folder = tmp_path_factory.mktemp("borderline")
    return watched(one_sector(folder, grown(1.959964)), folder / "run", 512)


def test_what_stays_open_at_the_maximum_is_borderline(
    borderline: tuple[workflow.Run, list[Look]],
) -> None:
    _, looks = borderline
    assert [look.draws for look in looks] == [64, 128, 256, 512]
    assert looks[-1].stop is Stop.MAXIMUM
    (left,) = looks[-1].open["base"]
    assert left.undecided
    said = list(looks[-1].lines())
    assert said[0] == "look 4, 512 draws: 0 of 1 changes settled"
    assert "R0, CO2, 2000-2001: verdict (P(decrease) " in said[1]
    assert "1 borderline, treated as not detectable" in said[-1]


def test_detect_and_report_judge_as_the_last_look(
    borderline: tuple[workflow.Run, list[Look]], tmp_path: Path
) -> None:
    run = workflow.open_run(borderline[0].folder)
    rule = workflow.rule_of(run)
    text = workflow.detect(run, rule)
    assert "look 4 of an adaptive run, 512 draws: stopped at the largest number" in text
    assert "borderline: " in text
    assert "needs more draws" not in text
    rows = json.loads(workflow.detect(run, rule, form="json"))["changes"]
    assert {row["verdict"] for row in rows if row["part"] == "total"} == {"borderline"}
    page = workflow.report(run, folder=tmp_path / "page").read_text()
    assert "look 4 of an adaptive run" in page
    assert "borderline" in page
    assert "No verdict waits for more draws" not in page


def test_an_interrupted_run_takes_the_same_looks(
    borderline: tuple[workflow.Run, list[Look]], tmp_path: Path
) -> None:
    """Interrupted while it draws for its third look, then again before its fourth."""
    config = one_sector(tmp_path, grown(1.959964))

    def impatient(progress: Progress) -> None:
        if progress.total == 512 and progress.done >= 384:
            raise KeyboardInterrupt

    def until_the_third(look: Look) -> None:
        if look.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_until(config, tmp_path / "run", most=512, listener=impatient)
    assert read_record(tmp_path / "run").looks == Looks((64, 128), 512, 1, Stop.NOT_YET)
    with pytest.raises(KeyboardInterrupt):
        run_until(config, tmp_path / "run", most=512, watcher=until_the_third)
    interrupted = workflow.open_run(tmp_path / "run")
    said = workflow.detect(interrupted, workflow.rule_of(interrupted))
    assert "look 3 of an adaptive run, 256 draws: not stopped yet" in said
    assert "needs more draws" in said

    resumed, seen = watched(config, tmp_path / "run", 512)
    whole, looks = borderline
    assert seen == looks
    assert resumed.record.looks == whole.record.looks
    np.testing.assert_array_equal(
        resumed.load()["footprint"].to_numpy(), whole.load()["footprint"].to_numpy()
    )


def test_a_larger_maximum_goes_on_where_it_stopped(
    borderline: tuple[workflow.Run, list[Look]], tmp_path: Path
) -> None:
    config = one_sector(tmp_path, grown(1.959964))
    _, first = watched(config, tmp_path / "run", 128)
    assert first[-1].stop is Stop.MAXIMUM
    drawn: list[Progress] = []
    seen: list[Look] = []
    run_until(config, tmp_path / "run", most=512, listener=drawn.append, watcher=seen.append)
    assert seen == borderline[1]
    assert drawn[0].done == 2 * 128, "what was drawn is not drawn again"


def test_the_first_look_of_a_folder_stays_the_first(tmp_path: Path) -> None:
    """Looks chosen after looking would not be the ones whose error was spent."""
    folder = tmp_path / "run"
    watched(one_sector(tmp_path, grown(3.3)), folder, 64)
    changed = one_sector(tmp_path, grown(3.3), draws=256)
    assert schedule(changed, folder, most=300) == (64, 128, 256)
    with pytest.raises(ConfigError, match="first looked at after 64 draws, not 128"):
        schedule(changed, folder, 128)


def test_a_run_extended_by_hand_is_one_more_look(tmp_path: Path) -> None:
    config = one_sector(tmp_path, grown(3.3))
    _, looks = watched(config, tmp_path / "run", 512)
    run = workflow.run(config, tmp_path / "run", draws=1024)
    assert run.record.looks is not None
    assert run.record.looks.draws[-1] == looks[-1].draws
    assert run.record.looks.number(1024) == len(looks) + 1
    text = workflow.detect(run, workflow.rule_of(run))
    assert f"look {len(looks) + 1} of an adaptive run, extended to 1024 draws" in text
    # Looking again does not draw more than it needs, and sees what it saw.
    assert watched(config, tmp_path / "run", 512)[1] == looks


def test_every_scenario_has_to_settle(tmp_path: Path) -> None:
    """The threshold case keeps a clear one drawing, and each is named."""
    config = one_sector(tmp_path, grown(1.959964))
    text = config.path.read_text()
    clear = text[text.index("[[scenarios") :].replace("scenarios.base", "scenarios.sure")
    rsd = math.sqrt(math.expm1(SIGMA**2 / (2 * (1 - RHO))))
    both = load_config(written(tmp_path, text + clear.replace(str(rsd), str(rsd / 4)), "two.toml"))
    _, looks = watched(both, tmp_path / "run", 512)
    assert looks[-1].stop is Stop.MAXIMUM
    assert looks[-1].watched == 2
    assert [one.undecided for one in looks[-1].open["base"]] == [True]
    assert not any(one.undecided for one in looks[-1].open["sure"])
    assert any("scenario base, R0" in line for line in looks[-1].lines())


def test_what_cannot_be_asked_is_refused(tmp_path: Path) -> None:
    config = one_sector(tmp_path, 0.0)
    with pytest.raises(ConfigError, match="3 significant digits"):
        run_until(config, tmp_path / "run", digits=3)
    single = load_config(
        written(tmp_path, config.path.read_text().replace("[2000, 2001]", "[2000]"))
    )
    with pytest.raises(InputError, match="one year"):
        run_until(single, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_workers_stay_from_the_first_look_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a cluster they would wait in the queue before each of them; and the folder stays held."""
    connected: list[Path | None] = []

    def counted(profile: Profile, folder: Path | None) -> AbstractContextManager[Cluster]:
        connected.append(folder)
        return connect(profile, folder)

    def held_still(look: Look) -> None:
        with pytest.raises(LockedError):
            workflow.run(config, tmp_path / "run")

    monkeypatch.setattr("engine.runs.connect", counted)
    monkeypatch.setattr("engine.runs.held", partial(held, heartbeat=0.2))
    config = one_sector(tmp_path, grown(1.959964))
    run = run_until(config, tmp_path / "run", most=512, watcher=held_still)
    assert run.ensemble().draws == 512
    assert connected == [tmp_path / "run"]
    run_until(config, tmp_path / "run", most=512)  # nothing to draw, and nobody to do it
    assert len(connected) == 1


def test_looks_of_a_run_that_was_taken_over_are_not_recorded(tmp_path: Path) -> None:
    config, folder = one_sector(tmp_path, grown(1.959964)), tmp_path / "run"

    def other(look: Look) -> None:
        if look.number == 1:
            (lock,) = folder.glob("lock-*.json")  # as if it had stood still for a minute
            lock.write_text(lock.read_text().replace('"released": false', '"released": true'))
            run_until(config, folder, most=512)

    with pytest.raises(LockedError, match="was taken over by"):
        run_until(config, folder, most=128, watcher=other)
    assert read_record(folder).looks == Looks((64, 128, 256, 512), 512, 1, Stop.MAXIMUM)


# --- the command line ----------------------------------------------------------------------------


def test_the_command_says_what_it_looks_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one_sector(tmp_path, grown(3.3))
    result = footfall("run", "one.toml", "--until-tolerance", "--max-draws", "600")
    assert result.exit_code == 0, result.output
    assert "first look: 64 draws x 2 years" in result.output
    assert "at most:    512 draws x 2 years" in result.output
    assert "looks at 64, 128, 256, 512 draws, until every verdict is decided" in result.output
    assert "look 1, 64 draws: 0 of 1 changes settled" in result.output
    assert "tolerance met: every verdict is decided" in result.output
    assert "complete: runs/one" in result.output
    detected = footfall("detect", "one.toml")
    assert "of an adaptive run" in detected.output
    assert "stopped because every watched verdict is decided" in detected.output


def test_its_options_need_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one_sector(tmp_path, 0.0)
    for option in ("--digits", "--max-draws"):
        result = footfall("run", "one.toml", option, "2")
        assert result.exit_code == 2
        assert "belongs to --until-tolerance" in result.output
    assert not (tmp_path / "runs").exists()
    assert studies.MOST == 16
