"""Attribution: every draw's footprint by origin and by industry, from kernel to report."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.stats import false_discovery_control
from test_draws import ACCOUNTS, COEFFICIENTS, entry, world
from worlds import permute

from configs import SERIAL, SMALL, arrays, footfall, loaded, written
from engine import analysis, readers, workflow
from engine.clusters import ClusterSpec, Executor
from engine.config import Config, load_config
from engine.draws import (
    DIRECTLY,
    Status,
    draw,
    draw_directly,
    draw_prepared,
    estimated,
    everything,
    perturbed,
)
from engine.error_model import Constant, ErrorModel, Method, Quantity
from engine.errors import ConfigError, DriftError, InputError, StoreError
from engine.kernels.arrays import F64
from engine.kernels.attribution import by_industry, by_region, shared_out
from engine.mrio import MRIO
from engine.plan import Direction
from engine.prepare import Prepared, prepare
from engine.question import Consumer, Indicator, Question
from engine.readers import toy
from engine.stores.ensemble import BlockResults

# zarr 3.1.0 warns of the string codec, whoever opens the store; later releases do not.
pytestmark = pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part")

ASKED = """
[question.attribution]
by_origin = true
by_industry = ["pair"]

[groups.pair]"""


def asked(table: MRIO) -> Question:
    """A group, a demand vector and every region; the first two and one region told by origin."""
    plain = everything(table)
    bought = {("R1", "S2"): 3.0, ("R0", "S1"): 2.0}
    more = (Consumer("pair", ("R0", "R2")), Consumer("company", ("R1",), {2000: bought}))
    return Question(
        (*more, *plain.consumers),
        (*plain.indicators, Indicator("GHG", "kt", {"CO2": 1.0, "CH4": 28.0}, "AR5")),
        by_origin=("company", "R2", "pair"),
        by_industry=("R1", "company"),
    )


def of_consumers(table: MRIO, prepared: Prepared, number: int) -> F64:
    """s_j X_jc by the textbook inverse of the cells of one draw, (q,c,n)."""
    cells = perturbed(prepared, number)
    if prepared.method is Method.ACCOUNTS:
        x = cells[Quantity.Z].sum(axis=1) + cells[Quantity.Y].sum(axis=1)
        x[~table.active] = np.inf
        A, s = cells[Quantity.Z] / x, cells[Quantity.E] / x
    else:
        A, s = cells[Quantity.A], cells[Quantity.S]
    y = cells[Quantity.Y] @ prepared.membership + cells[Quantity.PURCHASES]
    X = np.linalg.inv(np.eye(len(A)) - A) @ y
    found: F64 = (prepared.characterisation @ s)[:, None, :] * X.T[None]
    return found


def regional(table: MRIO, industries: F64) -> F64:
    """Industries added up by region, (..., r)."""
    homes = np.array([region for region, _ in table.labels.industries])
    columns = [industries[..., homes == region].sum(axis=-1) for region in table.labels.regions]
    return np.stack(columns, axis=-1)


# --- the kernel ---------------------------------------------------------------------------------


def test_a_correction_is_shared_by_magnitude_within_each_part() -> None:
    s = np.array([2.0, 1.0, 3.0, 0.0])[:, None, None]
    X = np.array([1.0, -4.0, 2.0, 9.0])[:, None, None]
    region_of = np.array([0, 0, 1, 2])
    values, size = by_industry(s, X)
    assert values.ravel().tolist() == [2, -4, 6, 0]
    home = np.array([[True], [True], [False], [False]])
    corrections = np.array([[[0.6]]]), np.array([[[-3.0]]])
    shared = shared_out(values, size, home, corrections)
    assert shared.ravel() == pytest.approx([2.2, -3.6, 3.0, 0.0], rel=1e-15)
    values, size = by_region(s, X, region_of, 3)
    assert values.ravel().tolist() == [-2, 6, 0]
    assert size.ravel().tolist() == [6, 6, 0]
    whole = shared_out(values, size, np.array([[True], [False], [False]]), corrections)
    assert whole.ravel() == pytest.approx([-1.4, 3.0, 0.0], rel=1e-15)


# --- one draw -----------------------------------------------------------------------------------


def test_two_regions_by_hand() -> None:
    """L = [[1.5, .5], [2/3, 4/3]], X = [[70, 30], [160/3, 140/3]], s = (.5, .3): F = (51, 29)."""
    table = toy.read(toy.Toy(toy.World.TWO_REGIONS), 2000)
    regions = table.labels.regions
    question = replace(everything(table), by_origin=regions, by_industry=regions)
    found = estimated(prepare(table, ErrorModel("exact", Method.ACCOUNTS, ()), question, 1))
    by_hand = [[35.0, 16.0], [15.0, 14.0]]
    assert found.contributions["by_origin"][0] == pytest.approx(np.array(by_hand), rel=1e-14)
    assert found.contributions["by_industry"][0] == pytest.approx(np.array(by_hand), rel=1e-14)
    assert found.footprint[0, :, 0] == pytest.approx([51, 29], rel=1e-14)


@pytest.mark.parametrize("model", [ACCOUNTS, COEFFICIENTS])
def test_contributions_equal_the_textbook_inverse_of_their_own_cells(model: ErrorModel) -> None:
    table = world()
    question = asked(table)
    prepared = prepare(table, model, question, seed=3, tolerance=1e-12)
    drawn = draw_prepared(prepared, range(20))
    names = [consumer.name for consumer in question.consumers]
    origins = [names.index(name) for name in question.by_origin]
    industries = [names.index(name) for name in question.by_industry]
    assert drawn.by_origin is not None
    assert drawn.by_industry is not None
    for number in range(20):
        expected = of_consumers(table, prepared, number)
        assert drawn.by_industry[number] == pytest.approx(expected[:, industries], rel=1e-11)
        by_region_ = regional(table, expected[:, origins])
        assert drawn.by_origin[number] == pytest.approx(by_region_, rel=1e-11)


@pytest.mark.parametrize("model", [ACCOUNTS, COEFFICIENTS])
@pytest.mark.parametrize("tolerance", [1e-12, 1e-3])
def test_contributions_add_up_to_the_parts_in_every_draw(
    model: ErrorModel, tolerance: float
) -> None:
    """To rounding, however rough the solution: what the residual corrects is shared out."""
    table = world()
    prepared = prepare(table, model, asked(table), seed=3, tolerance=tolerance)
    drawn = draw_prepared(prepared, range(100))
    assert drawn.by_origin is not None
    assert drawn.by_industry is not None
    for told, whose, home in (
        (drawn.by_origin, [1, 4, 0], np.array([[0, 1, 0], [0, 0, 1], [1, 0, 1]])),
        (drawn.by_industry, [3, 1], np.repeat([[0, 1, 0], [0, 1, 0]], 4, axis=1)),
    ):
        parts = drawn.footprint[:, :, whose]
        domestic = np.where(home, told, 0.0).sum(axis=-1)
        assert domestic == pytest.approx(parts[..., 1], rel=1e-14)
        assert told.sum(axis=-1) - domestic == pytest.approx(parts[..., 2], rel=1e-14)


def test_a_contribution_is_surer_than_twice_what_its_total_is_certified() -> None:
    """Against direct solutions, where the tolerance leaves an error to see."""
    table = world(regions=4, sectors=6)
    question = replace(everything(table), by_industry=("R0", "R3"), by_origin=("R0", "R3"))
    prepared = prepare(table, COEFFICIENTS, question, seed=5, tolerance=1e-3)
    drawn = draw_prepared(prepared, range(64))
    assert drawn.by_origin is not None
    assert drawn.by_industry is not None
    assert (drawn.corrections != DIRECTLY).all()
    missed = []
    for number in range(64):
        truth = draw_directly(prepared, number).contributions
        bound = drawn.certified_error[number] * drawn.footprint[number][:, [0, 3], 0]
        for found, name in ((drawn.by_origin, "by_origin"), (drawn.by_industry, "by_industry")):
            error = np.abs(found[number] - truth[name]).max(axis=-1)
            assert (error < 2 * bound).all()
            missed.append(error / bound)
    assert np.max(missed) > 1e-4  # there was an error to bound


def test_every_consumer_together_gets_what_an_origin_emits_in_every_draw() -> None:
    table = toy.read(toy.Toy(toy.World.RANDOM, regions=4, sectors=3), 2000)
    regions = table.labels.regions
    question = replace(everything(table), by_origin=regions, by_industry=regions)
    model = ErrorModel("b", Method.ACCOUNTS, tuple(entry(q, Constant(0.2)) for q in "ZEY"))
    prepared = prepare(table, model, question, seed=2, tolerance=1e-12)
    drawn = draw_prepared(prepared, range(10))
    assert drawn.by_origin is not None
    assert drawn.by_industry is not None
    for number in range(10):
        emitted = perturbed(prepared, number)[Quantity.E]
        assert drawn.by_industry[number].sum(axis=1) == pytest.approx(emitted, rel=1e-11)
        expected = regional(table, emitted)
        assert drawn.by_origin[number].sum(axis=1) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("model", [ACCOUNTS, COEFFICIENTS])
def test_the_order_of_labels_changes_no_contribution(model: ErrorModel) -> None:
    table = world()
    order = np.random.default_rng(4).permutation(len(table.labels.industries))
    other = permute(table, order.tolist())
    places = [table.labels.regions.index(region) for region in other.labels.regions]
    question = asked(table)
    ours, theirs = (
        draw_prepared(prepare(t, model, question, seed=9, tolerance=1e-12), range(10))
        for t in (table, other)
    )
    assert ours.by_origin is not None
    assert ours.by_industry is not None
    assert theirs.by_origin == pytest.approx(ours.by_origin[..., places], rel=1e-11)
    assert theirs.by_industry == pytest.approx(ours.by_industry[..., order], rel=1e-11)


@pytest.mark.parametrize("model", [ACCOUNTS, COEFFICIENTS])
def test_attribution_changes_no_bit_of_the_footprints(model: ErrorModel) -> None:
    table = world()
    told = asked(table)
    plain = replace(told, by_origin=(), by_industry=())
    one, other = (draw(table, model, 3, range(5), question) for question in (told, plain))
    assert other.by_origin is None
    assert other.by_industry is None
    for name in ("footprint", "linear", "gaussian", "certified_error"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


def test_attribution_is_solved_for_output_even_if_only_totals_are_asked() -> None:
    table = world()
    totals = replace(everything(table), parts=("total",))
    told = replace(totals, by_origin=("R0",))
    adjoint, forward = (prepare(table, ACCOUNTS, question, 3) for question in (totals, told))
    assert adjoint.direction is Direction.ADJOINT
    assert forward.direction is Direction.FORWARD
    one, other = (draw_prepared(prepared, range(5)) for prepared in (adjoint, forward))
    bound = one.certified_error + other.certified_error
    apart = np.abs(other.footprint[..., 0] / one.footprint[..., 0] - 1).max(axis=(1, 2))
    assert (apart <= bound).all()


def test_draws_that_are_rejected_or_solved_directly_have_theirs_too() -> None:
    table = world()
    model = ErrorModel("base", Method.COEFFICIENTS, (entry("A", Constant(2.0)),))
    question = replace(everything(table), by_origin=("R0",), by_industry=("R0",))
    # Nothing is certified to the last bits, so that what is accepted is solved directly.
    prepared = prepare(table, model, question, 1, r_max=0.8, tolerance=1e-14)
    drawn = draw_prepared(prepared, range(64))
    assert drawn.by_origin is not None
    assert drawn.by_industry is not None
    rejected = drawn.status != Status.ACCEPTED
    directly = ~rejected & (drawn.corrections == DIRECTLY)
    assert rejected.any()
    assert directly.any()
    for told in (drawn.by_origin, drawn.by_industry):
        assert np.isnan(told[rejected]).all()
        parts = drawn.footprint[:, :, 0, 1:3].sum(axis=-1)[~rejected]
        assert told[~rejected, :, 0].sum(axis=-1) == pytest.approx(parts, rel=1e-14)


@pytest.mark.parametrize(
    ("asked_for", "message"),
    [
        ({"by_origin": ("R9",)}, "by_origin: the question has no consumer R9"),
        ({"by_industry": ("R0", "R1", "R0")}, "names a consumer twice"),
    ],
)
def test_a_question_refuses_consumers_it_does_not_have(
    asked_for: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(everything(world()), **asked_for)


# --- from a configuration on --------------------------------------------------------------------


def small(folder: Path, *changes: tuple[str, str]) -> Config:
    return loaded(
        folder, SMALL, ("draws = 448", "draws = 192"), ("\n[groups.pair]", ASKED), *changes
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    folder = tmp_path_factory.mktemp("attributed")
    return workflow.run(small(folder), folder / "run", cluster=SERIAL)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("by_origin = true", 'by_origin = ["R0", "R1"]', "no consumer R1"),
        ("by_origin = true", 'by_origin = ["R0", "R0"]', "names a consumer twice"),
        ("by_origin = true", 'by_origin = "R0"', "write true for every consumer"),
        ("by_origin = true", "by_orgin = true", "did you mean `by_origin`"),
        ('by_industry = ["pair"]', "by_industry = 1", "list one consumer or a few"),
        ("[question.attribution]", "[question.atribution]", "did you mean `attribution`"),
    ],
)
def test_a_wrong_request_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(tmp_path, (old, new))


def test_true_is_every_consumer_false_none_and_a_demand_vector_is_welcome(tmp_path: Path) -> None:
    (tmp_path / "acme.csv").write_text(
        "year,region,sector,value\n" + "".join(f"{y},R1,P0,5\n" for y in (2000, 2001, 2002))
    )
    config = small(
        tmp_path,
        ('["R0", "pair"]', '["R0", "acme"]'),
        ('by_industry = ["pair"]', "by_industry = false"),
        ("[groups.pair]", '[purchases.acme]\nfile = "acme.csv"\nhome = ["R1"]\n[groups.pair]'),
    )
    assert config.question.by_origin == ("R0", "acme")
    assert config.question.by_industry == ()
    with workflow.run(config, tmp_path / "run", draws=64, cluster=SERIAL).open() as ensemble:
        company = ensemble.by_origin.sel(origin_consumer="acme").sum("origin")
        total = ensemble.footprint.sel(consumer="acme", part="total")
        assert company.values == pytest.approx(total.values, rel=1e-14)


def test_the_ensemble_holds_what_the_draws_are(run: workflow.Run, tmp_path: Path) -> None:
    config = small(tmp_path)
    with run.open() as ensemble:
        assert ensemble.by_origin.dims == ("draw", "year", "stressor", "origin_consumer", "origin")
        assert ensemble.by_origin.dtype == ensemble.by_industry.dtype == np.float64
        assert ensemble.origin_consumer.values.tolist() == ["R0", "pair"]
        assert ensemble.origin.values.tolist() == ["R0", "R1", "R2"]
        assert ensemble.industry_region.values.tolist() == [f"R{i // 4}" for i in range(12)]
        assert ensemble.industry_sector.values[:3].tolist() == ["P0", "P1", "P2"]
        assert ensemble.by_industry.attrs["units"] == "kt"
        table = toy.read(config.tables, 2001)  # type: ignore[arg-type]
        drawn = draw(table, config.errors, config.sampling.seed, range(70, 75), config.question)
        stored = ensemble.sel(year=2001, draw=range(70, 75))
        assert drawn.by_origin is not None
        assert drawn.by_industry is not None
        assert stored.by_origin.values.tobytes() == drawn.by_origin.tobytes()
        assert stored.by_industry.values.tobytes() == drawn.by_industry.tobytes()
        prepared = prepare(table, config.errors, config.question, config.sampling.seed)
        for name, told in estimated(prepared).contributions.items():
            here = ensemble[f"{name}_reference"].sel(year=2001).values
            assert here == pytest.approx(told, rel=1e-13)
    plain = xr.open_zarr(run.folder / "base" / "ensemble.zarr", chunks=None)
    assert {"industry_region", "industry_sector", "stressor_unit"} <= set(plain.coords)


def test_a_run_that_was_extended_and_mended_has_the_same_bytes(
    run: workflow.Run, tmp_path: Path
) -> None:
    config = small(tmp_path)
    again = workflow.run(config, tmp_path / "run", draws=64, cluster=SERIAL)
    ensemble = again.ensemble()
    ensemble.forget(ensemble.blocks()[1])
    two = ClusterSpec(Executor.THREADS, 2, dashboard=False)
    assert arrays(workflow.run(config, tmp_path / "run", cluster=two)) == arrays(run)


@pytest.mark.parametrize("name", ["by_origin", "by_industry"])
def test_a_lost_chunk_of_contributions_is_found(tmp_path: Path, name: str) -> None:
    made = workflow.run(small(tmp_path), tmp_path / "run", draws=64, cluster=SERIAL)
    (tmp_path / "run" / "base" / "ensemble.zarr" / name / "c.0.1.0.0.0").unlink()
    (problem,) = made.ensemble().verify()
    assert problem.reason.startswith(f"{name}: its chunk c.0.1.0.0.0 is missing")
    with pytest.raises(StoreError, match="a chunk of"):
        made.open()


def test_attribution_belongs_to_the_run(run: workflow.Run, tmp_path: Path) -> None:
    config = small(tmp_path, ("by_origin = true", 'by_origin = ["pair"]'))
    with pytest.raises(DriftError, match="origin_consumers"):
        workflow.run(config, run.folder, cluster=SERIAL)
    plain = load_config(written(tmp_path, SMALL.replace("draws = 448", "draws = 192")))
    with pytest.raises(DriftError, match="origin_consumers"):
        workflow.run(plain, run.folder, cluster=SERIAL)
    without = workflow.run(plain, tmp_path / "plain", cluster=SERIAL)
    known = arrays(run)
    assert arrays(without) == {k: v for k, v in known.items() if not k.startswith("by_")}
    identity = str(without.open().attrs["identity"])
    assert "industries" not in identity  # what nobody asks for leaves no trace in the digest


def test_a_block_without_its_contributions_is_misaligned(run: workflow.Run) -> None:
    ensemble = run.ensemble()
    with ensemble.dataset() as stored:
        block = ensemble.blocks()[0]
        here = stored.sel(year=block.year, draw=list(block.draws))
        every = {name: here[name].values for name in ensemble.axes.block_arrays}
    for missing in ensemble.axes.contributions:
        some = {name: values for name, values in every.items() if name != missing}
        with pytest.raises(StoreError, match="misaligned"):
            ensemble.write(block, BlockResults(**some), {})


# --- what is said of it -------------------------------------------------------------------------


def test_changes_of_contributions_are_those_of_their_own_draws(run: workflow.Run) -> None:
    with run.open() as ensemble:
        shown = analysis.attributed(ensemble, "origin")
        found = analysis.changes(shown, pairs=[(2000, 2002)]).squeeze("pair")
        assert found["part"].values.tolist() == ["total", "R0", "R1", "R2"]
        own = ensemble.by_origin.sel(origin_consumer="pair", stressor="S0")
        first, last = (own.sel(year=year).values for year in (2000, 2002))
        told = found.sel(consumer="pair", stressor="S0", part=["R0", "R1", "R2"])
        assert told.change_mean.values == pytest.approx((last - first).mean(axis=0), rel=1e-12)
        assert told.change_sd.values == pytest.approx((last - first).std(axis=0, ddof=1), rel=1e-12)
        assert told.p_decrease.values == pytest.approx((last < first).mean(axis=0), rel=1e-12)
        plain = analysis.changes(ensemble, pairs=[(2000, 2002)]).squeeze("pair")
        for name in ("sigma", "p_decrease", "verdict"):
            total = plain[name].sel(part="total").values
            assert (found[name].sel(part="total").values == total).all()


def test_the_error_of_a_contribution_counts_twice_the_totals(run: workflow.Run) -> None:
    with run.open() as ensemble:
        doubled = analysis.attributed(ensemble, "industry").certified_error
        assert (doubled.values == 2 * ensemble.certified_error.values).all()


def test_one_row_for_every_contribution(run: workflow.Run) -> None:
    with run.open() as ensemble:
        found = analysis.changes(analysis.attributed(ensemble, "industry", "pair"))
        rows = analysis.contribution_table(ensemble, found, "industry")
        assert len(rows) == 3 * 13  # pairs of years; the total and twelve industries
        row = rows[-1]
        assert (row["region"], row["sector"], row["to_year"]) == ("R2", "P3", 2002)
        own = ensemble.by_industry.sel(year=2002, stressor="S0", industry_consumer="pair")
        estimate = ensemble.by_industry_reference.sel(
            year=2002, stressor="S0", industry_consumer="pair"
        )
        assert row["estimate"] == estimate.values[-1]
        assert row["estimate_sd"] == pytest.approx(float(own[:, -1].std(ddof=1)), rel=1e-12)
        total = ensemble.reference.sel(year=2002, stressor="S0", consumer="pair", part="total")
        assert row["share"] == estimate.values[-1] / total.item()


def test_verdicts_among_all_contributions_are_never_bolder(run: workflow.Run) -> None:
    with run.open() as ensemble:
        found = analysis.changes(analysis.attributed(ensemble, "origin"))
        rows = analysis.contribution_table(ensemble, found, "origin")
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    subjects: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for row in rows:
        if row["origin"] == "total":
            assert row["p_benjamini_yekutieli"] is None
            continue
        key = row["consumer"], row["stressor"], row["from_year"], row["to_year"]
        subjects.setdefault(key, []).append(row)
        assert row["benjamini_yekutieli"] in (row["verdict"], "not detectable", "needs more draws")
    for own in subjects.values():
        told = [row for row in own if row["verdict"] != "not assessed"]
        p = np.array([2 * (1 + row["against"]) / (1 + row["draws"]) for row in told])
        for method, short in (("benjamini_yekutieli", "by"), ("benjamini_hochberg", "bh")):
            adjusted = false_discovery_control(np.minimum(p, 1), method=short)
            assert [row[f"p_{method}"] for row in told] == pytest.approx(adjusted)
            assert all(row[f"p_{method}_mcse"] >= 0 for row in told)


def test_the_largest_are_those_of_level_and_of_change() -> None:
    sizes = {"a": (9, 0), "b": (-8, 1), "c": (2, -7), "d": (1, 2), "e": (0.5, 0.1)}
    rows = [{"origin": o, "estimate": e, "reference_change": c} for o, (e, c) in sizes.items()]
    rows.append({"origin": "total", "estimate": 99, "reference_change": 99})
    chosen = analysis.largest(rows, 2)
    assert [analysis.place(row) for row in chosen] == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("by", "consumer", "message"),
    [("industry", "R0", "does not tell the footprint of R0 by industry"), ("gas", None, "by gas")],
)
def test_contributions_that_are_not_there_are_refused(
    run: workflow.Run, by: str, consumer: str | None, message: str
) -> None:
    with run.open() as ensemble, pytest.raises(InputError, match=message):
        analysis.attributed(ensemble, by, consumer)


def test_detect_tells_by_origin_and_by_industry(run: workflow.Run) -> None:
    text, table = (
        footfall("detect", str(run.folder), "--by", by, "--format", form).output
        for by, form in (("origin", "text"), ("industry", "csv"))
    )
    assert "R0, S0 [kt]: the largest contributions and changes, 3 of 3" in text
    assert "change 2000-2002" in text
    rows = list(csv.DictReader(io.StringIO(table)))
    assert {(row["region"], row["sector"]) for row in rows} >= {("total", ""), ("R1", "P2")}
    both = footfall("detect", str(run.folder), "--by", "origin", "--all-parts")
    assert both.exit_code == 2


def test_the_report_says_where_the_footprint_arises(run: workflow.Run, tmp_path: Path) -> None:
    page = workflow.report(run, folder=tmp_path).read_text()
    assert page.count("<h3>Where it arises") == 2
    assert page.count('<p class="caption">The largest contributions by origin') == 2
    assert page.count('<p class="caption">The largest contributions by industry') == 1
    assert "In 2002 the largest contributions are those of R0 (" in page
    assert "R1, P3" in page


@pytest.mark.realdata
def test_territorial_emissions_of_wiod_are_what_all_consumers_get_from_an_origin(
    data: Path,
) -> None:
    """But for what inactive industries buy, whose columns are left out: below a millionth."""
    config = load_config(Path(__file__).parents[1] / "configs" / "wiod13.toml")
    table = readers.read(config.tables, 2003)
    regions = table.labels.regions
    question = replace(everything(table), by_origin=regions)
    prepared = prepare(table, config.errors, question, 1)
    found = estimated(prepared).contributions["by_origin"].sum(axis=1)
    emitted = regional(table, np.where(table.active, table.E, 0.0))
    assert found == pytest.approx(emitted, rel=1e-6)
