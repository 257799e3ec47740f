"""Split mode: the variance it keeps, the draws it makes, what it costs, and what the user sees."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from configs import SERIAL, SMALL, written
from engine import analysis, workflow
from engine.analysis import Span, Target, offset_table, target_table
from engine.clusters import ClusterSpec, Executor
from engine.config import load_config
from engine.draws import draw_exactly, draw_prepared
from engine.error_model import (
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Persistent,
    Quantity,
    TimeKey,
    Yearly,
)
from engine.errors import ConfigError, DriftError, InputError
from engine.kernels import start
from engine.kernels.arrays import F64, Bool
from engine.kernels.changes import DetectionRule
from engine.kernels.perturb import LOG2E
from engine.kernels.two_level import deviation, two_level_mean, two_level_sd, two_level_variance
from engine.plan import Direction
from engine.prepare import Prepared, prepare, solution
from engine.question import Consumer, Indicator, Question
from engine.readers import toy
from engine.report.solving import first_order_section
from engine.split import Keep, split
from engine.twin import linearised, twin, uncertain

YEARS = (2000, 2001, 2002)
TRADE, LASTING, YEARLY = 0.2, 0.5, 0.3  # shares of the variance of the deliveries' errors
PARTS = ("total", "domestic", "foreign")
BOTH = pytest.mark.parametrize("method", list(Method))
WAYS = pytest.mark.parametrize("direction", list(Direction))


def question(direction: Direction) -> Question:
    parts = PARTS if direction is Direction.FORWARD else ("total",)
    return Question(
        consumers=(Consumer("R1", ("R1",)), Consumer("pair", ("R0", "R2"))),
        indicators=(Indicator("S0", "kt", {"S0": 1.0}),),
        parts=parts,
    )


def own(name: str, weight: float, time: TimeKey, *group: str) -> Component:
    return Component(name, weight, group or ("cell",), time)


def model(method: Method, *components: Component, rsd: float = 0.2) -> ErrorModel:
    """Errors of deliveries alone, or of emissions too where none are given."""
    accounts = method is Method.ACCOUNTS
    flows, emissions = Quantity("Z" if accounts else "A"), Quantity("E" if accounts else "s")
    chosen = components or (
        own("trade", TRADE, Persistent(), "row_region", "col_region"),
        own("lasting", LASTING, Persistent()),
        own("yearly", YEARLY, Yearly()),
    )
    entries = [Errors(flows, {}, Constant(rsd), chosen, "test")]
    if not components:
        lasting = (own("own", 1.0, Persistent()),)
        entries.append(Errors(emissions, {}, Constant(0.05), lasting, "test"))
    return ErrorModel("base", method, tuple(entries))


def tables(
    errors: ErrorModel,
    direction: Direction = Direction.FORWARD,
    *,
    regions: int = 3,
    sectors: int = 6,
) -> list[Prepared]:
    source = toy.Toy(world=toy.World.RANDOM, regions=regions, sectors=sectors, stressors=1)
    made = [prepare(toy.read(source, year), errors, question(direction), seed=9) for year in YEARS]
    assert all(table.direction is direction for table in made)
    return made


# --- what is kept -------------------------------------------------------------------------------


def places(table: Prepared, kept: bool) -> set[tuple[int, int]]:
    """Cells whose own noise is kept, or those left with what they share."""
    assert table.split is not None
    entries = table.split.kept if kept else table.split.rest
    return {(int(i), int(j)) for cells in entries for i, j in zip(*cells.positions(), strict=True)}


def noise(prepared: list[Prepared]) -> tuple[Bool, list[F64]]:
    """Which cells there are, and `dF/dq q sigma` of each over F, (n,n,functionals) a year."""
    slopes = []
    for table in prepared:
        year, (cells,) = linearised(table), uncertain(table, table.matrix)
        parts = slice(0, 3 if table.direction is Direction.FORWARD else 1)
        sizes = np.zeros(cells.shape)
        sizes[cells.positions()] = cells.value * cells.log2_sd.astype(np.float64) / LOG2E
        dense = year.gradients[table.matrix].dense()[..., parts] / year.footprint[..., parts]
        slopes.append((dense * sizes[..., None, None, None]).reshape(*sizes.shape, -1))
    return np.any([slope != 0 for slope in slopes], axis=(0, -1)), slopes


def shares(prepared: list[Prepared], lasting: float, yearly: float) -> Iterator[tuple[bool, F64]]:
    """Of each functional: whether it is a change, and every cell's share of its variance."""
    _, slopes = noise(prepared)
    law = twin(prepared)
    F = law.footprint[..., : 3 if prepared[0].direction is Direction.FORWARD else 1]
    V = law.covariance[..., : F.shape[-1]].reshape(len(YEARS), len(YEARS), -1)
    F = F.reshape(len(YEARS), -1)
    V = V / (F[:, None] * F[None])
    for t in range(len(YEARS)):
        yield False, (lasting + yearly) * np.square(slopes[t]) / V[t, t]
    for s, t in [*pairwise(range(len(YEARS))), (0, len(YEARS) - 1)]:
        variance = V[s, s] + V[t, t] - 2 * V[s, t]
        of_lasting = lasting * np.square(slopes[t] - slopes[s])
        of_yearly = yearly * (np.square(slopes[t]) + np.square(slopes[s]))
        yield True, (of_lasting + of_yearly) / variance


@BOTH
@WAYS
@pytest.mark.parametrize("share", [0.9, 0.999])
def test_the_asked_share_of_every_level_and_change_is_kept(
    method: Method, direction: Direction, share: float
) -> None:
    """Brute force over all cells; the few that are kept are the same in every year."""
    prepared = tables(model(method), direction)
    cut = split(prepared, Keep(share=share))
    chosen = [places(table, kept=True) for table in cut]
    assert all(other == chosen[0] for other in chosen)
    there, _ = noise(prepared)
    assert 0 < len(chosen[0]) < 0.95 * there.sum()
    kept = np.zeros(there.shape, dtype=bool)
    kept[tuple(np.array(sorted(chosen[0])).T)] = True
    of_cells = [cells for _, cells in shares(prepared, LASTING, YEARLY)]
    lost = [cells[~kept].sum(axis=0).max() for cells in of_cells]
    assert max(lost) <= 1 - share
    for table in cut:
        assert table.split is not None
        assert table.split.share == pytest.approx(1 - max(lost), rel=1e-6)


def test_cells_that_matter_for_levels_are_not_enough() -> None:
    """With lasting errors a change hangs on cells that moved, not on those that are large."""
    lasting = (own("lasting", 1.0, Persistent()),)
    prepared = tables(model(Method.ACCOUNTS, *lasting))
    found = list(shares(prepared, 1.0, 0.0))
    for_levels = np.max([s.max(axis=-1) for change, s in found if not change], axis=0)
    order = np.sort(for_levels.ravel())[::-1]
    counts = range(1, order.size)
    worst = {False: 1.0, True: 1.0}
    for count in counts:
        kept = for_levels >= order[count]
        worst = {
            kind: min(s[kept].sum(axis=0).min() for change, s in found if change is kind)
            for kind in (False, True)
        }
        if worst[False] >= 0.999:
            break
    assert worst[False] >= 0.999
    assert worst[True] < 0.998
    chosen = places(split(prepared, Keep(share=0.999))[0], kept=True)
    assert len(chosen) > kept.sum()


def test_shared_errors_stay_on_every_cell() -> None:
    prepared = tables(model(Method.COEFFICIENTS))
    for table in split(prepared, Keep(share=0.9)):
        assert table.split is not None
        (whole,) = uncertain(table, table.matrix)
        kept, rest = places(table, kept=True), places(table, kept=False)
        i, j = whole.positions()
        assert not kept & rest
        assert kept | rest == set(zip(i.tolist(), j.tolist(), strict=True))
        (others,) = table.split.rest
        assert all(term.groups is not None for term in others.terms)
        assert math.fsum(term.weight**2 for term in others.terms) == pytest.approx(1)
        sd = dict(zip(zip(i.tolist(), j.tolist(), strict=True), whole.log2_sd, strict=True))
        for row, column, size in zip(*others.positions(), others.log2_sd, strict=True):
            expected = sd[int(row), int(column)] * math.sqrt(TRADE)
            assert float(size) == pytest.approx(expected, rel=1e-6)


def test_the_rest_keeps_the_variance_it_shares() -> None:
    """With the own noise of all but a cell cut, the shared error's variance is left, by draws.

    4 standard errors of a ratio of sds over 2,048 draws, 1 in 16,000, and 2 % for the second order.
    """
    lone = (
        own("trade", 0.5, Persistent(), "row_region", "col_region"),
        own("own", 0.5, Persistent()),
    )
    prepared = tables(model(Method.COEFFICIENTS, *lone, rsd=0.1))
    cut = split(prepared, Keep(fraction=1e-9))[0]
    drawn = draw_prepared(cut, range(2048)).footprint[:, 0, 0, 0]
    law = twin([prepared[0]])
    _, slopes = noise([prepared[0]])
    mine = 0.5 * np.square(slopes[0][..., 0]).sum() * law.footprint[0, 0, 0, 0] ** 2
    expected = math.sqrt(law.covariance[0, 0, 0, 0, 0] - mine)
    assert len(places(cut, kept=True)) <= 1
    assert drawn.std(ddof=1) / expected == pytest.approx(1, abs=4 / math.sqrt(2 * 2048) + 0.02)


# --- what is drawn ------------------------------------------------------------------------------


@BOTH
@WAYS
def test_with_all_noise_kept_the_series_ends_at_the_exact_draws(
    method: Method, direction: Direction
) -> None:
    prepared = tables(model(method), direction)
    away = []
    for order in (3, 6, 24):
        cut = split(prepared, Keep(fraction=1.0, order=order))[1]
        assert cut.split is not None
        assert cut.split.share == 1
        parts = slice(0, 3 if direction is Direction.FORWARD else 1)
        exact = draw_exactly(cut, range(64)).footprint[..., parts]
        drawn = draw_prepared(cut, range(64)).footprint[..., parts]
        away.append(np.abs(drawn / exact - 1).max())
    assert away[0] > away[1] > away[2]
    assert away[2] < 1e-6  # what the exact draws are certified to


@BOTH
@WAYS
def test_sds_of_levels_and_changes_are_within_half_a_per_cent(
    method: Method, direction: Direction
) -> None:
    """On 180 industries at the default 99.9 %, split and exact draws of the same normals."""
    cut = split(tables(model(method), direction, regions=6, sectors=30), Keep())
    parts = slice(0, 3 if direction is Direction.FORWARD else 1)
    split_draws, exact = (
        np.stack([draw(table, range(256)).footprint[..., parts] for table in cut], axis=1)
        for draw in (draw_prepared, draw_exactly)
    )
    changes, exact_changes = (np.diff(np.log(F), axis=1) for F in (split_draws, exact))
    for x, e in ((split_draws, exact), (changes, exact_changes)):
        found = deviation(x, e)
        assert np.abs(found.ratio.value - 1).max() < 0.005
        assert found.rms.max() < 0.06  # sqrt(1 - 0.999) is 0.032
        assert (found.ratio.mcse < 0.005).all()


# --- two levels ---------------------------------------------------------------------------------


def worlds(draws: int, exact: int, count: int, seed: int) -> tuple[F64, F64]:
    """e ~ N(3, 4), x a biased and shrunk version of it with noise; e for the first draws only."""
    rng = np.random.default_rng(seed)
    e = 3 + 2 * rng.normal(size=(draws, count))
    x = 0.5 + 0.9 * e + 0.2 * rng.normal(size=e.shape)
    e[exact:] = np.nan
    return x, e


def test_two_level_means_and_variances_are_unbiased_and_know_their_errors() -> None:
    """4,000 small ensembles. 4 standard errors: 1 in 16,000 false failures each."""
    x, e = worlds(200, 24, 4000, seed=3)
    variance = two_level_variance(x, e)
    for found, truth in ((two_level_mean(x, e), 3.0), (variance, 4.0)):
        scatter = found.value.std(ddof=1)
        assert abs(found.value.mean() - truth) < 4 * scatter / math.sqrt(4000)
        # The scatter is known to 1.1 %, and influence functions are short of it at 24 draws.
        assert math.sqrt(np.square(found.mcse).mean()) / scatter == pytest.approx(1, abs=0.1)
    assert abs(x.mean() - 3) > 0.1  # the plain estimates are not
    assert abs(x.var(axis=0, ddof=1).mean() - 4) > 0.4
    sd = two_level_sd(variance)
    assert np.nanmean(sd.value) < 2  # a root bends down


def test_two_levels_are_nearly_as_good_as_exact_draws_throughout() -> None:
    x, e = worlds(4096, 256, 200, seed=4)
    found = two_level_mean(x, e)
    assert found.mcse.mean() < 1.25 * 2 / math.sqrt(4096)
    assert two_level_mean(x[:1], e[:1]).value.shape == (200,)
    assert np.isnan(two_level_variance(x, np.full_like(e, np.nan)).value).all()


@WAYS
@BOTH
def test_what_the_inverse_lacks_is_all_that_a_long_series_gets_wrong(
    method: Method, direction: Direction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With every cell kept: the floor falls with what is missing, and nothing missing has none."""
    monkeypatch.setattr(start, "FEW", 5)  # or a small table keeps its inverse whole
    found = []
    for missing in (1e-3, 1e-6, 0.0):
        monkeypatch.setattr(solution, "MISSING", missing)
        years = tables(model(method), direction)
        (table, *_) = split(years, Keep(fraction=1.0, order=14))
        drawn, exact = (how(table, range(64)).footprint for how in (draw_prepared, draw_exactly))
        here = slice(0, 3) if direction is Direction.FORWARD else slice(0, 1)
        gap = (drawn - exact)[..., here] / exact[..., here].std(axis=0)
        found.append(float(np.sqrt(np.square(gap).mean())))
    assert found[0] > 5 * found[1]
    assert 0.1 > found[0] > 1e-4
    assert found[2] < 1e-5


def test_deviations_are_those_of_the_draws_made_both_ways() -> None:
    e = np.array([[1.0], [3.0], [5.0], [np.nan]])
    x = np.array([[1.0], [3.0], [6.0], [99.0]])
    found = deviation(x, e)
    assert found.draws == 3
    assert found.rms[0] == pytest.approx(math.sqrt(1 / 3) / 2)
    assert found.largest[0] == pytest.approx(0.5)
    assert found.ratio.value[0] == pytest.approx(np.std([1, 3, 6], ddof=1) / 2)
    assert deviation(e, e).ratio.mcse[0] == 0


# --- from a configuration to what is printed ----------------------------------------------------

SPLIT = SMALL + "\n[split]\nvariance = 0.999\nexact_draws = 128\n"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    folder = tmp_path_factory.mktemp("split")
    return workflow.run(load_config(written(folder, SPLIT)), folder / "run", cluster=SERIAL)


def test_targets_and_offsets_know_the_error_of_split_mode(done: workflow.Run) -> None:
    """Where draws are as far from exact ones as they vary, nothing is said of them."""
    ensemble, rule = done.load(), DetectionRule()
    target = Target("t", 2002, (2000, 2001), 1.0, "assumption")
    factor = np.exp(0.1 * np.random.default_rng(1).standard_normal(ensemble["exact"].shape))
    far = ensemble.assign(exact=ensemble["exact"] * factor)
    for drawn, assessed in ((ensemble, True), (far, False)):
        verdicts = {row["verdict"] for row in target_table(drawn, [target], rule)}
        assert (verdicts == {"not assessed"}) != assessed
        offsets = offset_table(drawn, Span(2000, 2002), rule)
        assert {row["assessed"] for row in offsets} == {assessed}


def test_a_split_run_resumes_and_is_the_same_on_any_number_of_workers(
    tmp_path: Path, done: workflow.Run
) -> None:
    config = load_config(written(tmp_path, SPLIT))
    truth = done.load()
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        cluster = ClusterSpec(Executor.THREADS, workers, dashboard=False)
        workflow.run(config, folder, draws=64, cluster=cluster)
        found = workflow.run(config, folder, cluster=cluster).load()
        for name in ("footprint", "exact", "certified_error", "first_order_covariance"):
            assert found[name].values.tobytes() == truth[name].values.tobytes(), name


def test_the_ensemble_says_what_was_kept(done: workflow.Run) -> None:
    ensemble = done.load()
    assert ensemble.attrs["mode"] == "split"
    told = json.loads(ensemble.attrs["split"])
    assert set(told["kept"]) == {"2000", "2001", "2002"}
    assert all(0.999 <= share <= 1 for share in told["kept"].values())
    exact = ensemble["exact"].to_numpy()
    assert np.isfinite(exact[:128]).all()
    assert np.isnan(exact[128:]).all()
    assert "last term" in ensemble["certified_error"].attrs["long_name"]


def test_verdicts_go_by_the_error_that_was_measured(done: workflow.Run) -> None:
    """The last terms of the levels would leave changes unassessed whose error is small."""
    ensemble = done.load()
    found = analysis.changes(ensemble)
    indirect = found.sel(part=["total", "domestic", "foreign"])  # direct emissions are exact
    assert not (indirect["verdict"] == "not assessed").any()
    assert "measured against exact draws" in found.attrs["verdict_rule"]
    rough = ensemble.copy()
    rng = np.random.default_rng(1)
    rough["exact"] = ensemble["exact"] * np.exp(0.05 * rng.normal(size=ensemble["exact"].shape))
    assert (analysis.changes(rough).sel(part="total")["verdict"] == "not assessed").all()


def test_detect_says_first_that_it_is_split(tmp_path: Path, done: workflow.Run) -> None:
    rule = workflow.rule_of(done)
    text = workflow.detect(done, rule)
    _, first, *_ = text.splitlines()
    assert first.startswith("SPLIT MODE: ")
    assert "Measured on 128 draws a year" in text
    assert "  levels: sd over exact sd " in text
    assert "  changes: sd over exact sd " in text
    assert "Certified errors do not apply" in text
    rows = json.loads(workflow.detect(done, rule, form="json"))["changes"]
    assert {row["mode"] for row in rows} == {"split"}
    assert {row["sigma_gain"] for row in rows} == {1.0}  # controls are off
    table = list(csv.DictReader(io.StringIO(workflow.detect(done, rule, form="csv"))))
    assert {row["mode"] for row in table} == {"split"}
    page = workflow.report(done, folder=tmp_path).read_text()
    assert "<h3>Split mode</h3>" in page
    assert "Certified errors do not apply to split mode" in page
    assert "Plain and two-level estimates" in page
    assert "Every accepted draw was solved with a certificate" not in page


def test_measured_errors_have_labels(done: workflow.Run) -> None:
    ensemble = done.load()
    found = analysis.split_error(ensemble, consumer="R0")
    assert found["sd_ratio"].dims == ("year", "stressor", "consumer", "part")
    assert found["delta_sd_ratio"].dims == ("pair", "stressor", "consumer", "part")
    assert found["from_year"].to_numpy().tolist() == [2000, 2001, 2000]
    assert (found["draws_both_ways"] == 128).all()
    x, e = (
        ensemble[name].sel(year=2001, consumer="R0", part="total").squeeze().to_numpy()
        for name in ("footprint", "exact")
    )
    here = found.sel(year=2001, part="total").squeeze()
    assert float(here["mean"]) == pytest.approx(x.mean() + (e - x)[:128].mean(), rel=1e-12)
    expected = x.var(ddof=1) + e[:128].var(ddof=1) - x[:128].var(ddof=1)
    assert float(here["variance"]) == pytest.approx(expected, rel=1e-12)
    before, exact_before = (
        ensemble[name].sel(year=2000, consumer="R0", part="total").squeeze().to_numpy()
        for name in ("footprint", "exact")
    )
    delta, exact_delta = np.log(x / before), np.log(e / exact_before)
    first = found.isel(pair=0).sel(part="total").squeeze()
    mean = delta.mean() + (exact_delta - delta)[:128].mean()
    assert float(first["delta_mean"]) == pytest.approx(mean, rel=1e-9)
    rms = np.sqrt(np.square(exact_delta - delta)[:128].mean()) / exact_delta[:128].std(ddof=1)
    assert float(first["delta_error_rms"]) == pytest.approx(rms, rel=1e-9)


def test_a_draw_accepted_one_way_only_is_counted(done: workflow.Run) -> None:
    ensemble = done.load().copy(deep=True)
    ensemble["footprint"][3, 1] = np.nan
    ensemble["exact"][5, 1] = np.nan
    found = analysis.split_error(ensemble)
    assert (found["one_way_only"].sel(year=2001) == 2).all()
    assert (found["one_way_only"].sel(year=2000) == 0).all()
    assert (found["draws_both_ways"].sel(year=2001) == 126).all()
    assert found["delta_one_way_only"].isel(pair=0).to_numpy().max() == 2
    assert np.isfinite(found["delta_mean"]).all()


@pytest.fixture(scope="module")
def exact_run(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    folder = tmp_path_factory.mktemp("exact")
    return workflow.run(load_config(written(folder, SMALL)), folder / "run", cluster=SERIAL)


def test_an_exact_run_says_so_and_shows_the_first_order(
    tmp_path: Path, exact_run: workflow.Run
) -> None:
    ensemble, rule = exact_run.load(), workflow.rule_of(exact_run)
    with pytest.raises(InputError, match="the run is exact"):
        analysis.split_error(ensemble)
    text = workflow.detect(exact_run, rule)
    assert "Every draw is exact and certified: 0 of 1344 draws" in text
    assert "the first-order formula would have done" in text
    page = workflow.report(exact_run, folder=tmp_path).read_text()
    assert "<h3>Split mode</h3>" not in page
    assert "<h3>Would a first-order formula have done?</h3>" in page
    assert "plain and controlled estimates" in page


def test_controls_that_are_off_everywhere_are_a_sentence_and_no_table(
    exact_run: workflow.Run,
) -> None:
    ensemble, rule = exact_run.load(), workflow.rule_of(exact_run)
    found = analysis.of_ensemble(ensemble, rule)
    assert found is not None
    on = first_order_section(found, rule, split=False)
    gains = [str(name) for name in found.data_vars if str(name).endswith("_gain")]
    off = first_order_section(
        found.assign({name: xr.ones_like(found[name]) for name in gains}), rule, split=False
    )
    assert len(on.folded) == 6
    assert len(off.folded) == 1
    assert "Control variates are off" in off.sentences[-1]
    assert "Control variates are off" not in " ".join(on.sentences)


def test_controlled_estimates_stand_beside_the_plain_ones(exact_run: workflow.Run) -> None:
    """From the law kept with the ensemble, which is the preview's; verdicts are what they were."""
    ensemble, rule = exact_run.load(), workflow.rule_of(exact_run)
    law = workflow.preview(load_config(exact_run.folder.parent / "small.toml"))
    kept = ensemble["first_order_covariance"]
    assert kept.to_numpy() == pytest.approx(law["covariance"].to_numpy(), rel=1e-12)
    rows = json.loads(workflow.detect(exact_run, rule, form="json"))["changes"]
    plain = analysis.verdict_table(analysis.changes(ensemble, rule))
    assert [row["verdict"] for row in rows] == [row["verdict"] for row in plain]
    assert {row["mode"] for row in rows} == {"exact"}
    for row in rows:
        if row["part"] == "total":
            assert row["sigma_gain"] > 2
            apart = abs(row["delta_mean_controlled"] - row["delta_mean"])
            assert apart < 5 * row["delta_mean_mcse"]
            assert row["delta_mean_controlled_mcse"] < row["delta_mean_mcse"]
            assert row["linearity_meaning"]
    given = analysis.controlled(ensemble, law, rule)
    assert given["sigma"].to_numpy() == pytest.approx(
        analysis.controlled(ensemble, None, rule)["sigma"].to_numpy(), rel=1e-12
    )
    with pytest.raises(InputError, match="does not keep the law"):
        analysis.controlled(ensemble.drop_vars("first_order_covariance"))


def test_diagnostics_count_what_was_solved_directly(exact_run: workflow.Run) -> None:
    ensemble = exact_run.load().copy(deep=True)
    ensemble["corrections"][:3, 0] = 255
    ensemble["corrections"][7, 1] = 9
    ensemble["certified_error"][7, 1] = 3e-7
    ensemble["status"][8, 1], ensemble["certified_error"][8, 1] = 1, 1.0
    found = analysis.solving(ensemble)
    assert (found.draws, found.directly, found.most_corrections) == (1343, 3, 9)
    assert found.largest_error >= 3e-7
    assert found.largest_error < 1
    assert found.in_words().startswith("3 of 1343 draws")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("order = 2", "too few"),
        ("exact_draws = 100", "whole number of groups"),
        ("exact_draws = 0", "whole number of groups"),
        ("variance = 1.0", "not between"),
        ("variance = 0.2", "not between"),
        ("share = 0.9", "unknown key"),
    ],
)
def test_what_split_mode_cannot_be(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(written(tmp_path, SMALL + f"\n[split]\n{text}\n"))


def test_an_exact_folder_is_not_gone_on_with_in_split_mode(
    tmp_path: Path, exact_run: workflow.Run
) -> None:
    config = load_config(written(tmp_path, SPLIT))
    with pytest.raises(DriftError, match=r"method\.split: absent on disk"):
        workflow.run(config, exact_run.folder, cluster=SERIAL)


def test_one_year_has_levels_only(tmp_path: Path) -> None:
    text = SPLIT.replace("[2000, 2001, 2002]", "[2000]").replace("draws = 448", "draws = 128")
    ensemble = workflow.run(load_config(written(tmp_path, text)), tmp_path / "run", cluster=SERIAL)
    loaded: xr.Dataset = ensemble.load()
    assert len(analysis.split_summary(loaded).ratios) == 1
    assert "changes:" not in analysis.solving_text(loaded)
    assert "Split mode" in workflow.report(ensemble).read_text()
