"""Operating characteristics: closed forms, the way from a configuration to rates, and resuming."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import norm

from configs import ONE_SECTOR, SERIAL, SMALL, loaded, written
from engine import cli, studies
from engine.clusters import ClusterSpec, Executor
from engine.config import Config, load_config
from engine.errors import ConfigError, DriftError, FootfallError, InputError, RunError
from engine.kernels.changes import DetectionRule, Verdict, mdc, verdicts
from engine.kernels.operating import (
    Scatter,
    covered_by_counting,
    decided,
    decided_by_counting,
    most_against,
)
from engine.mrio import MRIO
from engine.studies import characterise, operating, percentages, stage
from engine.studies.asked import trial_of
from engine.studies.sight import Judged, View, judged, view
from engine.worlds import publish, truth

RULE = DetectionRule()


def law(sigma: float, shift: float = 0.0) -> Scatter:
    return Scatter(np.asarray(sigma), np.asarray(shift))


def either(true: float, world: Scatter, believed: Scatter) -> float:
    return float(sum(decided(np.asarray(true), world, believed, RULE)))


# --- closed forms -------------------------------------------------------------------------------


def test_false_positives_and_coverage_where_the_engine_is_right() -> None:
    """Equal sizes: nominal. rsd .5 then .1, rho .95: .0308 by both probabilities, and the interval
    misses as often as a change of zero would be stated, with many draws."""
    assert either(0.0, law(0.3), law(0.3)) == pytest.approx(0.05, rel=1e-12)
    s1, s2 = (math.sqrt(math.log1p(rsd * rsd)) for rsd in (0.5, 0.1))
    sigma = math.sqrt(s1**2 + s2**2 - 2 * 0.95 * s1 * s2)
    unequal = law(sigma, (s2**2 - s1**2) / 2)
    assert round(sigma, 6) == 0.378899
    assert round(-float(unequal.shift), 6) == 0.106597
    assert round(either(0.0, unequal, unequal), 4) == 0.0308
    # At equal sizes either end is the farther of two samples, by .56 standard errors on average.
    for known, draws in ((law(0.3), 10**5), (unequal, 10**5), (law(0.3), 4096), (unequal, 1024)):
        held = covered_by_counting(known, known, draws, RULE)
        limit = 1 - either(0.0, known, known)
        assert limit < held < limit + 0.5 / math.sqrt(draws)


def test_a_change_of_the_size_of_the_mdc_is_missed_in_one_of_five() -> None:
    least = float(mdc(np.asarray(0.07), RULE))
    falls, rises = decided(np.asarray(-least), law(0.07), law(0.07), RULE)
    assert float(falls) == pytest.approx(0.80, rel=1e-9)
    assert float(rises) < 1e-6


def test_a_wrong_correlation_moves_the_threshold_and_not_the_scatter() -> None:
    """Errors half as correlated as believed: 2 Phi(-z sigma / sigma_w) false positives."""
    found = either(0.0, law(0.2), law(0.1))
    assert found == pytest.approx(2 * norm.cdf(-RULE.z_alpha * 0.1 / 0.2), rel=1e-12)
    assert either(0.0, law(0.1), law(0.2)) < 1e-4


def test_what_is_believed_exact_is_never_detected() -> None:
    assert either(-0.5, law(0.1), law(0.0)) == 0.0
    assert decided_by_counting(-0.5, law(0.1), law(0.0), 1000, 10) == (0.0, 0.0)
    # and a world without errors shows every change that the engine can see
    assert either(-0.5, law(0.0), law(0.1)) == 1.0
    assert sum(decided_by_counting(-0.5, law(0.0), law(0.1), 1000, 14)) == pytest.approx(1.0)


@pytest.mark.parametrize("draws", [300, 1024, 4096])
def test_the_margin_is_that_of_the_verdicts(draws: int) -> None:
    most = most_against(draws, RULE, margin=True)
    counts = np.array([max(most, 0), most + 1])
    against_rise = np.full(2, draws)
    found = verdicts(counts, against_rise, draws, 0, np.ones(2, dtype=np.bool_), RULE)
    assert (found == Verdict.DECREASE.value).tolist() == [most >= 0, False]


def test_counting_approaches_the_closed_form() -> None:
    """The margin for the draws' scatter shrinks like 1 / sqrt(draws)."""
    wanted = either(-0.1, law(0.07, 0.01), law(0.07, 0.01))
    gaps = []
    for draws in (1000, 4000, 16000):
        found = decided_by_counting(
            -0.1, law(0.07, 0.01), law(0.07, 0.01), draws, most_against(draws, RULE, margin=True)
        )
        gaps.append(wanted - sum(found))
    assert 0 < gaps[2] < gaps[1] < gaps[0]
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.1)


def test_counting_is_what_counted_draws_do() -> None:
    """Against 20,000 sampled worlds of 500 draws; 4 standard errors, 1 in 16,000."""
    rng, draws, worlds = np.random.default_rng(7), 500, 20_000
    most = most_against(draws, RULE, margin=True)
    estimate = -0.3 - 0.02 + 0.1 * rng.standard_normal(worlds)
    first = norm.cdf((estimate - 0.02) / 0.1)
    second = norm.cdf((estimate + 0.02) / 0.1)
    rest = np.maximum(1 - first - second, 0.0)
    sizes = np.stack([first, second, rest], axis=1)
    possible = rest > 0
    counts = rng.multinomial(draws, sizes[possible] / sizes[possible].sum(axis=1, keepdims=True))
    fell = (counts[:, :2].max(axis=1) <= most).sum() / worlds
    expected, _ = decided_by_counting(-0.3, law(0.1, 0.02), law(0.1, 0.02), draws, most)
    assert abs(fell - expected) < 4 * math.sqrt(expected * (1 - expected) / worlds)


# --- the engine's sight -------------------------------------------------------------------------


def small(folder: Path, *changes: tuple[str, str]) -> Config:
    return loaded(folder, SMALL, *changes)


def test_scaling_draws_is_scaling_the_truth(tmp_path: Path) -> None:
    """A true fall of 20 % imposed on the tables gives the draws that scaling predicts."""
    config = small(tmp_path)
    trial = trial_of(config, 128, (0.0,), (2000, 2001), None, None, None, None)
    here = stage.stage_of(config, trial)
    first, second = here.tables
    lower = replace(second, E=0.8 * second.E, F_Y=0.8 * second.F_Y)

    def seen(tables: Sequence[MRIO], factor: float) -> tuple[View, Judged]:
        true = truth(tables, config.errors, 5, trial.question, hashes=here.hashes)
        found = view(publish(true, 3), config.errors, 9, 128, hashes=here.hashes)
        size = np.zeros((*found.estimate_first.shape, 1))
        return found, judged(found, size, np.full_like(size, factor), RULE)

    (plain, predicted), (scaled, judgement) = seen((first, second), 0.8), seen((first, lower), 1.0)
    assert scaled.first.tobytes() == plain.first.tobytes()
    assert scaled.second == pytest.approx(0.8 * plain.second, rel=1e-9)
    assert judgement.error == pytest.approx(predicted.error, rel=1e-9)
    assert judgement.verdict.tolist() == predicted.verdict.tolist()


def test_the_first_year_sets_the_level_of_every_consumer(tmp_path: Path) -> None:
    """Without a change the true footprints are level, though compositions differ."""
    config = small(tmp_path)
    trial = trial_of(config, 64, (0.0,), (2000, 2001), None, None, None, None)
    here = stage.stage_of(config, trial)
    first, second = here.footprints
    assert not np.allclose(first, second, rtol=1e-3)
    sizes = stage.true_changes(here, trial, "base", config)
    assert sizes[..., 0] == pytest.approx(0.0, abs=0)
    assert sizes[..., 1] == pytest.approx(-mdc(here.laws["base"].sigma, RULE))


KNOWN_TOTAL = """
[[scenarios.base.known_totals]]
quantities = ["E"]
by = ["stressor", "region"]
rsd = 0.02
totals = "stated.csv"
rescale = true
source = "assumption"
components = [
  { name = "inventory", weight = 1.0, group = ["stressor", "region"], time = "yearly" },
]
"""


def test_stated_totals_are_each_worlds_own(tmp_path: Path) -> None:
    """Tables as they are stand for the truth, and what a world's cells add up to for its totals."""
    lines = [
        f"{year},S{k},R{r},1e3" for year in (2000, 2001, 2002) for k in (0, 1) for r in range(3)
    ]
    (tmp_path / "stated.csv").write_text("\n".join(["year,stressor,region,total", *lines]) + "\n")
    plain = small(tmp_path)
    stated = loaded(tmp_path, SMALL + KNOWN_TOTAL)
    trial = trial_of(stated, 64, (0.0,), (2000, 2001), None, None, None, None)
    truly, here = stage.stage_of(plain, trial), stage.stage_of(stated, trial)
    assert here.footprints == pytest.approx(truly.footprints, rel=1e-9)
    # a total known to 2 % leaves less of the change open than cells of 10 %
    assert np.all(here.laws["base"].sigma < truly.laws["base"].sigma)
    found = asked(stated, tmp_path / "out", 3)
    assert {r["worlds"] for r in found} == {3}


# --- from a configuration to rates --------------------------------------------------------------

TWO = """
[[scenarios.free.errors]]
quantity = "s"
rsd = 0.1
source = "assumption"
components = [{ name = "yearly", weight = 1.0, group = "cell", time = "yearly" }]
"""


def one_sector(folder: Path, rsd: float = 0.1, rho: float = 0.9) -> Config:
    """Two scenarios: errors that correlate by `rho` between the years, and ones that do not."""
    text = ONE_SECTOR.format(parameters="", draws=64, rsd=rsd, rho=rho, rest=round(1 - rho, 6))
    return load_config(written(folder, text + TWO, "one.toml"))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> studies.Characteristics:
    folder = tmp_path_factory.mktemp("study")
    config = one_sector(folder)
    return characterise(
        config, folder / "out", worlds=50, draws=320, changes=(0.0, -0.1), cluster=SERIAL
    )


def row(study: studies.Characteristics, truth: str, believed: str, place: int) -> dict[str, float]:
    rows = [r for r in study.rows if (r["truth"], r["believed"]) == (truth, believed)]
    return rows[place]


@pytest.mark.parametrize("truth", ["base", "free"])
@pytest.mark.parametrize("believed", ["base", "free"])
def test_rates_are_those_of_theory(
    study: studies.Characteristics, truth: str, believed: str
) -> None:
    """Right and wrong correlation, decided and covered; 4.5 standard errors, 1 in 150,000 each."""
    sigma = {"base": math.sqrt(2 * math.log1p(0.01) * 0.1), "free": math.sqrt(2 * math.log1p(0.01))}
    least = -(RULE.z_alpha + RULE.z_power) * sigma[believed]
    for place, size in enumerate((0.0, math.log(0.9), least)):
        found = row(study, truth, believed, place)
        assert found["true_delta"] == pytest.approx(size, rel=1e-6)
        assert found["theory_sigma_world"] == pytest.approx(sigma[truth], rel=1e-6)
        assert found["theory_sigma_believed"] == pytest.approx(sigma[believed], rel=1e-6)
        falls, rises = (
            float(p)
            for p in decided(np.asarray(size), law(sigma[truth]), law(sigma[believed]), RULE)
        )
        assert found["theory_limit"] == pytest.approx(falls + rises * (size == 0), rel=1e-6)
        for name in ("detected", "coverage"):
            p = found[f"theory_{name}"]
            error = 4.5 * math.sqrt(max(p * (1 - p), 1e-3) / 50)
            assert abs(found[name] - p) < error, (name, place)
            assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]


def test_scatter_of_the_worlds_is_the_first_order_sigma(study: studies.Characteristics) -> None:
    for name in ("base", "free"):
        found = row(study, name, name, 0)
        gap = abs(found["sigma_world"] - found["theory_sigma_world"])
        assert gap < 4 * found["sigma_world_mcse"]
        assert found["sigma_believed"] == pytest.approx(found["theory_sigma_believed"], rel=0.05)


def test_what_a_study_leaves_behind(study: studies.Characteristics) -> None:
    names = {path.name for path in study.folder.iterdir()}
    assert {"rates.csv", "rates.json", "worlds.jsonl", "detected-CO2-R0.png"} <= names
    text = (study.folder / "rates.csv").read_text()
    assert text.count("\n") == 1 + len(study.rows) == 1 + 4 * 3
    assert "SYNTHETIC" in text
    assert "wrongly taken for `free`" in str(study)
    assert (study.folder / "detected-CO2-R0.png").read_bytes().startswith(b"\x89PNG")


def test_persistent_errors_of_the_same_tables_are_not_assessed(tmp_path: Path) -> None:
    text = ONE_SECTOR.format(parameters="", draws=64, rsd=0.3, rho=0.5, rest=0.5)
    config = load_config(written(tmp_path, text.replace('"yearly" }', '"persistent" }'), "p.toml"))
    found = characterise(config, tmp_path / "out", worlds=3, draws=64, cluster=SERIAL)
    assert {r["not_assessed"] for r in found.rows} == {1.0}
    assert {r["detected"] for r in found.rows} == {0.0}
    assert {r["theory_limit"] for r in found.rows} == {0.0}


# --- resuming -----------------------------------------------------------------------------------


def asked(config: Config, folder: Path, worlds: int, **options: object) -> list[dict[str, object]]:
    found = characterise(
        config,
        folder,
        worlds=worlds,
        draws=64,
        changes=(0.0,),
        **{"cluster": SERIAL, **options},  # type: ignore[arg-type]
    )
    return list(found.rows)


def test_an_interrupted_study_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a line is mended, worlds that are there are not played again, and rates are the same."""
    config = one_sector(tmp_path)
    whole = asked(config, tmp_path / "whole", 6)
    asked(config, tmp_path / "parts", 4)
    lines = tmp_path / "parts" / "worlds.jsonl"
    with lines.open("a") as file:
        file.write('{"truth": "base", "wor')
    played = []

    def counted(task: stage.Task) -> stage.Record:
        played.append((task.truth, task.world))
        return stage.played(task)

    monkeypatch.setattr(operating, "played", counted)
    assert asked(config, tmp_path / "parts", 6) == whole
    assert sorted(played) == [(name, world) for name in ("base", "free") for world in (4, 5)]
    assert lines.read_text().count("\n") == 12
    played.clear()
    assert asked(config, tmp_path / "parts", 4) == asked(config, tmp_path / "four", 4)
    assert {world for _, world in played} == {0, 1, 2, 3}  # of the new folder alone


def test_any_executor_finds_the_same(tmp_path: Path) -> None:
    config = one_sector(tmp_path)
    threads = ClusterSpec(Executor.THREADS, workers=2, dashboard=False)
    serial = asked(config, tmp_path / "serial", 4)
    assert asked(config, tmp_path / "threads", 4, cluster=threads) == serial


def test_another_study_is_refused(tmp_path: Path) -> None:
    asked(one_sector(tmp_path), tmp_path / "out", 2)
    with pytest.raises(DriftError, match=r"rsd.*on disk"):
        asked(one_sector(tmp_path, rsd=0.2), tmp_path / "out", 2)


def test_a_failed_world_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(task: stage.Task) -> stage.Record:
        raise ValueError("no such thing")

    monkeypatch.setattr(operating, "played", failing)
    with pytest.raises(RunError, match="scenario base, world 0: a world failed"):
        asked(one_sector(tmp_path), tmp_path / "out", 2)


def test_worlds_that_nobody_would_publish_are_counted(tmp_path: Path) -> None:
    """Coefficients near one: some worlds have no output at all."""
    text = ONE_SECTOR.format(parameters="Z = 60.0\nY = 40.0", draws=64, rsd=0.4, rho=0.5, rest=0.5)
    text = text.replace('quantity = "s"', 'quantity = "A"')
    config = load_config(written(tmp_path, text, "shaky.toml"))
    found = characterise(config, tmp_path / "out", worlds=60, draws=64, cluster=SERIAL)
    count, reason = found.aside["base"]
    assert 0 < count < 60
    assert "world" in reason
    assert {r["worlds"] for r in found.rows} == {60 - count}
    assert f"{count} worlds set aside" in str(found)


# --- what is refused, and the command -----------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"years": (2001, 2000)}, "does not come before"),
        ({"years": (2000, 2009)}, "no year 2009"),
        ({"truth": "bse"}, "no scenario bse"),
        ({"believed": "bse"}, "no scenario bse"),
        ({"stressor": "CH4"}, "no stressor CH4"),
        ({"consumer": "XYZ"}, "no consumer XYZ"),
        ({"changes": (-1.0,)}, "cannot change by -100 %"),
        ({"worlds": 1}, "tell no rate"),
        ({"draws": 1}, "tell no probability"),
    ],
)
def test_what_cannot_be_asked(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        characterise(one_sector(tmp_path), tmp_path / "out", **options)  # type: ignore[arg-type]


def test_percentages() -> None:
    assert percentages("0, -1,2.5") == (0.0, -0.01, 0.025)
    with pytest.raises(ConfigError, match="not a list of numbers"):
        percentages("0;1")


def test_a_footprint_of_nothing_has_no_relative_change(tmp_path: Path) -> None:
    text = ONE_SECTOR.format(parameters="E = 0.0", draws=64, rsd=0.1, rho=0.5, rest=0.5)
    config = load_config(written(tmp_path, text, "nothing.toml"))
    with pytest.raises(FootfallError, match="no relative change can be imposed"):
        characterise(config, tmp_path / "out", worlds=2, draws=64, cluster=SERIAL)


def test_the_command(tmp_path: Path) -> None:
    one_sector(tmp_path)
    arguments = ["characterise", str(tmp_path / "one.toml"), "--worlds", "3", "--draws", "64"]
    arguments += ["--truth", "base", "--changes", "0,-5", "--years", "2000", "2001"]
    arguments += ["--output", str(tmp_path / "out"), "--executor", "serial"]
    done = CliRunner().invoke(cli.main, arguments)
    assert done.exit_code == 0, done.output
    assert "errors of `base`, rightly taken for `base`; 3 worlds" in done.output
    assert "(MDC)" in done.output
    assert (tmp_path / "out" / "rates.json").exists()
    done = CliRunner().invoke(cli.main, [*arguments, "--changes", "lots"])
    assert done.exit_code == 2
