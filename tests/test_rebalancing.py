"""Draws balanced back to the published margins: their laws, and what a run tells of balancing.

Sampled numbers must lie within four of their own Monte Carlo standard errors of the truth, which a
correct engine fails once in 16,000 comparisons; seeds are fixed.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from configs import SERIAL, SMALL, loaded
from engine import analysis, studies, workflow
from engine.config import Config
from engine.draws import (
    DIRECTLY,
    Status,
    direct,
    draw_directly,
    draw_group,
    draw_prepared,
    everything,
    perturbed,
    reference,
)
from engine.error_model import (
    AR1,
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Quantity,
    Rebalance,
    Yearly,
)
from engine.errors import ConfigError, DriftError
from engine.jobs import Job, identity
from engine.kernels.arrays import F64
from engine.kernels.balancing import balance
from engine.kernels.changes import DetectionRule
from engine.kernels.monte_carlo import sd, sd_ratio
from engine.kernels.speed import Rates
from engine.plan import Direction, SamplingPlan, Shape, needs
from engine.prepare import Prepared, prepare
from engine.question import Consumer, Indicator, Question
from engine.readers.toy import Toy, World, read
from engine.report.matter import Matter
from engine.report.rebalancing import rebalancing_section
from engine.split import Keep, split
from engine.stores.tables import load, save

RANDOM = Toy(World.RANDOM, regions=3, sectors=4, negatives=0.3)
TWO = read(Toy(World.TWO_REGIONS), 2000)
OWN = (Component("own", 1.0, ("cell",), Yearly()),)
REBALANCED = ('perturb = "accounts"', 'perturb = "accounts"\nrebalance = "ras"')
FEWER = ("draws = 448", "draws = 64")
SHARED_BY_COLUMNS = """
[[scenarios.base.errors]]
quantity = "Z"
rsd = 0.2
source = "assumption"
components = [
  { name = "own", weight = 1.0, group = ["col_region", "col_sector"], time = "yearly" },
]
"""


def errors(quantity: Quantity, rsd: float, components: tuple[Component, ...] = OWN) -> Errors:
    return Errors(quantity, {}, Constant(rsd), components, "assumption")


def model(*entries: Errors, rebalance: Rebalance | None = Rebalance.RAS) -> ErrorModel:
    return ErrorModel("base", Method.ACCOUNTS, entries, rebalance=rebalance)


ALL = model(
    errors(
        Quantity.Z,
        0.4,
        (
            Component("trade", 0.3, ("row_region", "col_region"), AR1(0.8)),
            Component("own", 0.7, ("cell",), Yearly()),
        ),
    ),
    errors(Quantity.Y, 0.3),
    errors(Quantity.E, 0.2),
    errors(Quantity.F_Y, 0.1),
)


@pytest.fixture(scope="module")
def prepared() -> Prepared:
    table = read(RANDOM, 2003)
    assert (table.Y < 0).any()
    return prepare(table, ALL, everything(table), 7)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> workflow.Run:
    folder = tmp_path_factory.mktemp("rebalanced")
    return workflow.run(small(folder), folder / "run", cluster=SERIAL)


def small(folder: Path, *changes: tuple[str, str]) -> Config:
    return loaded(folder, SMALL, REBALANCED, FEWER, *changes)


# --- draws ---------------------------------------------------------------------------------------


def test_every_draw_has_the_published_margins_and_conserves_emissions(prepared: Prepared) -> None:
    table = read(RANDOM, 2003)
    drawn = draw_prepared(prepared, range(64))
    assert (drawn.status == Status.ACCEPTED).all()
    assert (drawn.corrections == DIRECTLY).all()
    for number in range(64):
        cells = perturbed(prepared, number)
        margins = prepared.margins
        assert margins is not None
        whole, _ = direct.balanced(margins, cells)
        assert whole is not None
        Z, Y = whole[Quantity.Z], whole[Quantity.Y]
        assert Z.sum(axis=1) + Y.sum(axis=1) == pytest.approx(table.x, rel=1e-12)
        assert Z.sum(axis=0) == pytest.approx(table.Z.sum(axis=0), rel=1e-8)
        assert Y.sum(axis=0) == pytest.approx(table.Y.sum(axis=0), rel=1e-8)
        for quantity in (Quantity.E, Quantity.F_Y, Quantity.PURCHASES):
            assert whole[quantity] is cells[quantity]
        emitted = cells[Quantity.E].sum(axis=1) + cells[Quantity.F_Y].sum(axis=1)
        for footprint in (drawn.footprint, drawn.footprint_unbalanced):
            assert footprint is not None
            assert footprint[number, :, :, 0].sum(axis=1) == pytest.approx(emitted, rel=1e-12)


def test_a_balanced_draw_is_the_textbook_inverse_of_its_balanced_table(prepared: Prepared) -> None:
    table = read(RANDOM, 2003)
    home = np.array([[r == c for c in table.labels.regions] for r, _ in table.labels.industries])
    drawn = draw_prepared(prepared, range(5))
    for number in range(5):
        cells = perturbed(prepared, number)
        whole = balance(
            np.hstack([cells[Quantity.Z], cells[Quantity.Y]]),
            table.x,
            np.concatenate([table.Z.sum(axis=0), table.Y.sum(axis=0)]),
        ).table
        Z, Y = whole[:, : len(whole)], whole[:, len(whole) :]
        X = np.linalg.inv(np.eye(len(Z)) - Z / table.x) @ Y
        domestic = cells[Quantity.E] / table.x @ (X * home)
        assert drawn.footprint[number, ..., 1] == pytest.approx(domestic, rel=1e-8)


def test_without_balancing_it_is_the_same_run_without_the_option(prepared: Prepared) -> None:
    table = read(RANDOM, 2003)
    without = prepare(table, replace(ALL, rebalance=None), everything(table), 7)
    drawn, fast = draw_prepared(prepared, range(64)), draw_group(without, 0)
    assert drawn.footprint_unbalanced is not None
    singles = np.stack([draw_directly(without, number).footprint for number in range(64)])
    assert drawn.footprint_unbalanced.tobytes() == singles.tobytes()
    total = fast.footprint[..., 0]
    assert drawn.footprint_unbalanced[..., 0] == pytest.approx(total, rel=2e-6)
    assert fast.footprint_unbalanced is None
    assert reference(prepared).tobytes() == reference(without).tobytes()
    assert np.isnan(drawn.linear).all()
    assert np.isnan(drawn.gaussian).all()


def test_errors_that_whole_rows_or_columns_share_are_undone() -> None:
    """One factor for a row of Z and Y, and one for each column: the margins know them better."""
    table = read(Toy(World.RANDOM, regions=3, sectors=4), 2003)
    row, column = ("row_region", "row_sector"), ("col_region", "col_sector")
    shared = Component("row", 0.5, row, Yearly(), (Quantity.Z, "row"))
    undone = model(
        errors(
            Quantity.Z,
            0.5,
            (Component("row", 0.5, row, Yearly()), Component("column", 0.5, column, Yearly())),
        ),
        errors(Quantity.Y, 0.5, (shared, Component("column", 0.5, ("consumer",), Yearly()))),
    )
    made = prepare(table, undone, everything(table), 3)
    drawn = draw_prepared(made, range(20))
    assert drawn.footprint_unbalanced is not None
    for number in range(20):
        assert drawn.footprint[number] == pytest.approx(reference(made), rel=1e-6)
        away = drawn.footprint_unbalanced[number, ..., 0] / reference(made)[..., 0] - 1
        assert np.abs(away).max() > 0.01


def slowly(cells: F64) -> float:
    """Footprint of region 1 of the two regions by textbook RAS, all else as published."""
    table = cells.reshape(2, 4).copy()
    published = np.hstack([TWO.Z, TWO.Y])
    for _ in range(500):
        table *= (published.sum(axis=1) / table.sum(axis=1))[:, None]
        table *= published.sum(axis=0) / table.sum(axis=0)
    A, s = table[:, :2] / TWO.x, TWO.E[0] / TWO.x
    return float(s @ np.linalg.inv(np.eye(2) - A) @ table[:, 2])


def test_what_balancing_leaves_of_errors_it_undoes_is_no_error_of_a_change(tmp_path: Path) -> None:
    """Errors that whole columns share are undone to 1e-9: changes are not assessed."""
    drawn, _ = SMALL.split("[[scenarios.base.errors]]", 1)
    config = loaded(tmp_path, drawn + SHARED_BY_COLUMNS, REBALANCED, FEWER)
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)
    found = analysis.changes(run.load("base"), DetectionRule())
    assert (found["sigma"] > 0).any()
    assert (found["verdict"] == "not assessed").all()


def test_small_errors_of_two_regions_have_the_spread_of_the_slow_gradient() -> None:
    """sd of F over draws against the root of sum (dF/dln q rsd)^2, differentiated numerically."""
    rsd = 0.01
    made = prepare(
        TWO, model(errors(Quantity.Z, rsd), errors(Quantity.Y, rsd)), everything(TWO), 11
    )
    published = np.hstack([TWO.Z, TWO.Y]).ravel()
    assert slowly(published) == pytest.approx(51, rel=1e-12)
    steps = 1e-4 * np.eye(8)
    slopes = [
        (slowly(published * np.exp(up)) - slowly(published * np.exp(-up))) / 2e-4 for up in steps
    ]
    expected = rsd * float(np.linalg.norm(slopes))
    drawn = draw_prepared(made, range(512))
    assert drawn.footprint_unbalanced is not None
    found = sd(drawn.footprint[:, 0, 0, 0])
    assert found.value == pytest.approx(expected, abs=4 * found.mcse)
    # Known answer without balancing: .642964 and 1.786468 at 10 %, of Z and of Y.
    before = sd(drawn.footprint_unbalanced[:, 0, 0, 0])
    assert before.value == pytest.approx(0.1 * np.hypot(0.642964, 1.786468), abs=4 * before.mcse)
    for number in range(3):
        cells = perturbed(made, number)
        alone = slowly(np.hstack([cells[Quantity.Z], cells[Quantity.Y]]).ravel())
        assert drawn.footprint[number, 0, 0, 0] == pytest.approx(alone, rel=1e-8)


def test_what_cannot_be_balanced_is_rejected_and_kept_without(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "balance", partial(balance, most=2))
    drawn = draw_prepared(prepared, range(64))
    assert drawn.footprint_unbalanced is not None
    assert (drawn.status == Status.REJECTED_BALANCE).all()
    assert np.isnan(drawn.footprint).all()
    assert np.isfinite(drawn.footprint_unbalanced).all()
    assert "did not converge" in Status.REJECTED_BALANCE.meaning


def test_contributions_are_those_of_the_balanced_table() -> None:
    table = read(RANDOM, 2003)
    asked = Question(
        (Consumer("R0", ("R0",)), Consumer("R1", ("R1",))),
        (Indicator("S0", "kt", {"S0": 1.0}),),
        by_origin=("R0",),
        by_industry=("R1",),
    )
    drawn = draw_prepared(prepare(table, ALL, asked, 7), range(10))
    assert drawn.by_origin is not None
    assert drawn.by_industry is not None
    within = drawn.footprint[..., 1] + drawn.footprint[..., 2]
    assert drawn.by_origin.sum(axis=-1)[:, :, 0] == pytest.approx(within[:, :, 0], rel=1e-12)
    assert drawn.by_industry.sum(axis=-1)[:, :, 0] == pytest.approx(within[:, :, 1], rel=1e-12)


def test_margins_are_saved_with_the_table(prepared: Prepared, tmp_path: Path) -> None:
    save(prepared, tmp_path / "2003", "digest")
    again = load(tmp_path / "2003", "digest")
    one, other = draw_directly(prepared, 5), draw_directly(again, 5)
    assert one.footprint.tobytes() == other.footprint.tobytes()


# --- what cannot be combined ---------------------------------------------------------------------


def test_coefficients_and_split_mode_are_refused(tmp_path: Path, prepared: Prepared) -> None:
    with pytest.raises(ConfigError, match="no accounts that could be balanced"):
        loaded(
            tmp_path,
            SMALL,
            REBALANCED,
            ('"accounts"', '"coefficients"'),
            ('quantity = "E"', 'quantity = "s"'),
            ('quantity = "Z"', 'quantity = "A"'),
        )
    with pytest.raises(ConfigError, match="split mode"):
        small(tmp_path, ("[cluster]", "[split]\nvariance = 0.99\n[cluster]"))
    with pytest.raises(ConfigError, match="split mode"):
        split([prepared], Keep())
    with pytest.raises(ConfigError, match="rebalance"):
        loaded(tmp_path, SMALL, ('"accounts"', '"accounts"\nrebalance = "gls"'))


def test_first_order_answers_refuse_or_say_what_they_are_of(tmp_path: Path) -> None:
    config = small(tmp_path)
    with pytest.raises(ConfigError, match="budget is to first order"):
        workflow.budgeted(config, DetectionRule())
    with pytest.raises(ConfigError, match="not simulated"):
        studies.characterise(config, tmp_path / "study", worlds=2, draws=64)
    assert "BEFORE they are balanced" in workflow.previewed(config, DetectionRule())
    rows = json.loads(workflow.previewed(config, DetectionRule(), form="json"))["preview"]
    assert all("BEFORE they are balanced" in row["basis"] for row in rows)
    told = "\n".join(workflow.check(config))
    assert "taken as known without error, an assumption" in told
    assert "to first order before balancing" in told


def test_a_plan_counts_balancing() -> None:
    shape = Shape(1435, 41, 1, 1, 2, 4, 350_000, 2.0, Direction.FORWARD)
    sampling, rates = SamplingPlan(1, 128, (2000,), 64), Rates(8e8, 7e9, 2e11, 2e10)
    plain, balanced = (
        needs(replace(shape, rebalanced=how), sampling, 1, rates) for how in (False, True)
    )
    assert balanced.seconds > 5 * plain.seconds
    assert balanced.workspace > plain.workspace
    assert balanced.ensemble > plain.ensemble


# --- runs ----------------------------------------------------------------------------------------


def test_the_option_belongs_to_the_run_and_leaves_others_as_they_were(
    run: workflow.Run, tmp_path: Path
) -> None:
    with pytest.raises(DriftError, match=r"method\.rebalance"):
        workflow.run(loaded(tmp_path, SMALL, FEWER), run.folder, cluster=SERIAL)
    plain = workflow.run(loaded(tmp_path, SMALL, FEWER), tmp_path / "plain", cluster=SERIAL)
    with plain.open() as ensemble:
        assert "rebalance" not in json.loads(ensemble.attrs["identity"])["method"]
        assert "rebalanced" not in json.loads(ensemble.attrs["identity"])["axes"]
        assert "footprint_unbalanced" not in ensemble
        assert not analysis.rebalancing_table(ensemble.load(), DetectionRule())
        fast = ensemble["footprint"].to_numpy()
    with run.open() as ensemble:
        assert json.loads(ensemble.attrs["identity"])["method"]["rebalance"] == "ras"
        assert "first_order_covariance" not in ensemble
        slow = ensemble["footprint_unbalanced"].to_numpy()
    total = np.abs(fast).max(axis=-1, keepdims=True)
    assert (np.abs(slow - fast) <= 2e-6 * total).all()
    assert any("known without error" in row["size"] for row in run.record.assumptions["base"])


def test_the_table_is_what_the_draws_say(run: workflow.Run) -> None:
    ensemble, rule = run.load(), DetectionRule()
    rows = analysis.rebalancing_table(ensemble, rule)
    cells = ensemble.sizes["stressor"] * ensemble.sizes["consumer"] * ensemble.sizes["part"]
    assert len(rows) == cells * (3 + 3)  # three years; two yearly changes and the whole span
    assert len({tuple(row) for row in rows}) == 1
    with_it, without = (
        ensemble[name].sel(stressor="S0", consumer="R0", part="total")
        for name in ("footprint", "footprint_unbalanced")
    )
    mine = [r for r in rows if (r["consumer"], r["part"]) == ("R0", "total")]
    level = next(r for r in mine if r["kind"] == "level" and r["to_year"] == 2001)
    F, G = (values.sel(year=2001).to_numpy() for values in (with_it, without))
    assert level["mean_shift"] == pytest.approx((F - G).mean())
    assert level["mean_shift_mcse"] == pytest.approx((F - G).std(ddof=1) / 8)
    assert level["sd_ratio"] == pytest.approx(F.std() / G.std())
    assert level["relative_sd_unbalanced"] == pytest.approx(G.std(ddof=1) / G.mean())
    change = next(r for r in mine if r["kind"] == "change" and r["to_year"] == 2001)
    f, g = (
        np.log(values.sel(year=2001) / values.sel(year=2000)).to_numpy()
        for values in (with_it, without)
    )
    assert change["sigma"] == pytest.approx(f.std(ddof=1))
    assert change["sigma_unbalanced"] == pytest.approx(g.std(ddof=1))
    assert change["mdc_unbalanced"] == pytest.approx(2.8016 * g.std(ddof=1), rel=1e-4)
    assert change["delta_mean"] - change["delta_mean_unbalanced"] == pytest.approx(
        change["mean_shift"]
    )
    found = analysis.changes(ensemble, rule, [(2000, 2001)]).sel(consumer="R0", part="total")
    assert change["sigma"] == pytest.approx(float(found["sigma"].item()))


def test_rejected_draws_are_counted_each_way(run: workflow.Run) -> None:
    ensemble = run.load()
    ensemble["footprint"][:5] = np.nan
    ensemble["footprint_unbalanced"][3:10] = np.nan
    ensemble["certified_error"][:5] = np.nan
    rows = analysis.rebalancing_table(ensemble, DetectionRule())
    assert {row["draws"] for row in rows} == {59}
    assert {row["draws_unbalanced"] for row in rows} == {57}
    assert {row["draws_both_ways"] for row in rows} == {54}
    assert "59 draws of a year with, 57 draws of a year without" in analysis.rebalancing_text(rows)


def test_detect_and_report_tell_of_it(run: workflow.Run) -> None:
    rule = DetectionRule()
    text = workflow.detect(run, rule, table="rebalancing")
    assert text.startswith("SYNTHETIC data.")
    assert "REBALANCED: every draw" in text
    assert "2001-2002" in text
    told = json.loads(workflow.detect(run, rule, form="json"))
    assert told["rebalancing"] == analysis.rebalancing_table(run.load(), rule)
    assert "budget" not in told
    header = workflow.detect(run, rule, form="csv", table="rebalancing").split("\n")[0]
    sampled = [name for name in header.split(",") if name.endswith("_mcse")]
    assert {name.removesuffix("_mcse") for name in sampled} > {"sd_ratio", "mdc_unbalanced"}
    page = workflow.report(run).read_text()
    assert "What does balancing the tables do?" in page
    assert "taken as known without error" in page
    assert "Not balanced" in page


def row(**changed: object) -> dict[str, object]:
    made = dict.fromkeys(
        ("mean_unbalanced", "relative_sd", "relative_sd_unbalanced", "mdc", "mdc_unbalanced")
    ) | {
        "consumer": "NLD", "stressor": "CO2", "part": "total", "unit": "kt", "kind": "change",
        "from_year": 2000, "to_year": 2001, "scale": "log", "draws": 1000,
        "sigma": 0.02, "sigma_unbalanced": 0.04, "mean_shift": 0.003, "mean_shift_mcse": 0.0004,
        "sd_ratio": 0.5, "sd_ratio_mcse": 0.01,
        "mdc_decrease_percent": 5.4, "mdc_decrease_percent_unbalanced": 10.6,
    }  # fmt: skip
    return made | changed


def sentences(*rows: dict[str, object]) -> str:
    matter = Matter("NLD", "CO2", rows, DetectionRule(), "a table", "01", True)
    return " ".join(rebalancing_section(matter).sentences).replace("\N{NO-BREAK SPACE}", " ")


def test_the_page_says_what_balancing_does_and_no_more_than_the_draws_tell() -> None:
    level = row(
        kind="level", from_year=2001, scale="raw", mean_unbalanced=200.0, mean_shift=-3.0,
        mean_shift_mcse=0.2, relative_sd=0.03, relative_sd_unbalanced=0.02, sd_ratio=1.5,
        sd_ratio_mcse=0.02, sigma=None, sigma_unbalanced=None,
    )  # fmt: skip
    told = sentences(level, row())
    assert "widens the footprint’s uncertainty in 2001 by 50 %" in told
    assert "lowers its mean by 1.50 %" in told
    assert "narrows the uncertainty of the change 2000–2001 by 50 %" in told
    assert "minimum detectable fall is 5.4 %, without balancing 10.6 %" in told
    vague = sentences(level, row(sd_ratio=0.98, sd_ratio_mcse=0.01))
    assert "leaves the uncertainty of the change 2000–2001 what it is, as far as" in vague
    lost = sentences(level, row(mdc_decrease_percent_unbalanced=None))
    assert "too many draws are rejected" in lost


def test_the_standard_error_of_a_ratio_is_that_of_many_repetitions() -> None:
    """2000 repetitions of 200 draws: their scatter has a relative standard error of 1.6 %."""
    rng = np.random.default_rng(5)
    u, v = rng.standard_normal((2, 200, 2000))
    found = sd_ratio(np.exp(0.3 * u + 0.1 * v), np.exp(0.3 * u))
    scatter = found.value.std(ddof=1)
    assert np.sqrt(np.square(found.mcse).mean()) == pytest.approx(scatter, rel=0.08)
    assert np.isnan(sd_ratio(u[:, 0], np.ones(200)).value)


def test_the_identity_names_the_option(tmp_path: Path) -> None:
    """And nothing where it is not used, so that earlier runs stay what they are."""

    config = small(tmp_path)
    job = Job(
        tmp_path, "", lambda year: read(RANDOM, year), config.question, config.errors,
        config.sampling, config.r_max, config.tolerance,
    )  # fmt: skip
    assert identity(job, {})["method"]["rebalance"] == "ras"
    plain = replace(job, errors=replace(config.errors, rebalance=None))
    assert "rebalance" not in identity(plain, {})["method"]
