"""Footprints by the product bought: m_j y_j of every draw, and where they may be asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_draws import entry

from configs import SERIAL, SMALL, loaded
from engine import analysis, workflow
from engine.draws import DIRECTLY, Status, draw_directly, draw_prepared, estimated, everything
from engine.draws import perturbed as cells_of
from engine.error_model import Constant, ErrorModel, Method, Quantity
from engine.errors import ConfigError
from engine.kernels.arrays import F64
from engine.mrio import MRIO
from engine.plan import Direction
from engine.prepare import Prepared, prepare
from engine.question import Consumer, Indicator, Question
from engine.readers import toy

# zarr 3.1.0 warns of the string codec, whoever opens the store; later releases do not.
pytestmark = pytest.mark.filterwarnings("ignore:The codec `vlen-utf8` is currently not part")

ASKED = """parts = ["total", "direct"]
[question.attribution]
by_product = ["pair"]

[groups.pair]"""


def world() -> MRIO:
    return toy.read(toy.Toy(toy.World.RANDOM, regions=3, sectors=4), 2000)


def model(method: Method, rsd: float = 0.2) -> ErrorModel:
    quantities = "ZEY" if method is Method.ACCOUNTS else "AsY"
    return ErrorModel("base", method, tuple(entry(q, Constant(rsd)) for q in quantities))


def asked(table: MRIO) -> Question:
    """A group and a demand vector told by product, among others that are not."""
    plain = everything(table)
    bought = {("R1", "P2"): 3.0, ("R0", "P1"): 2.0}
    more = (Consumer("pair", ("R0", "R2")), Consumer("company", ("R1",), {2000: bought}))
    ghg = Indicator("GHG", "kt", dict.fromkeys(table.labels.stressors, 2.0), "a test")
    return Question(
        (*plain.consumers, *more),
        (plain.indicators[0], ghg),
        parts=("total", "direct"),
        by_product=("company", "R1", "pair"),
    )


def by_hand(table: MRIO, prepared: Prepared, number: int) -> F64:
    """m_j y_jc by the textbook inverse of the cells of one draw, by sector, (q,c,sectors)."""
    cells = cells_of(prepared, number)
    if prepared.method is Method.ACCOUNTS:
        x = cells[Quantity.Z].sum(axis=1) + cells[Quantity.Y].sum(axis=1)
        A, s = cells[Quantity.Z] / x, cells[Quantity.E] / x
    else:
        A, s = cells[Quantity.A], cells[Quantity.S]
    m = prepared.characterisation @ s @ np.linalg.inv(np.eye(len(A)) - A)
    y = cells[Quantity.Y] @ prepared.membership + cells[Quantity.PURCHASES]
    products = m[:, None, :] * y.T[None]
    sectors = [sector for _, sector in table.labels.industries]
    own = [[name == sector for sector in sectors] for name in table.labels.sectors]
    return np.stack([products[..., some].sum(axis=-1) for some in own], axis=-1)


def test_two_regions_by_hand() -> None:
    """m = s L = (.95, .65) for L = [[1.5, .5], [2/3, 4/3]], s = (.5, .3); y_1 = (40, 20)."""
    table = toy.read(toy.Toy(toy.World.TWO_REGIONS), 2000)
    question = replace(everything(table), parts=("total",), by_product=table.labels.regions)
    found = estimated(prepare(table, ErrorModel("exact", Method.ACCOUNTS, ()), question, 1))
    told = found.contributions["by_product"][0]
    assert told.sum(axis=-1) == pytest.approx([51, 29], rel=1e-14)
    assert told[0] == pytest.approx(0.95 * 40 + 0.65 * 20, rel=1e-14)


@pytest.mark.parametrize("method", list(Method))
def test_products_equal_the_textbook_inverse_of_their_own_cells(method: Method) -> None:
    table = world()
    question = asked(table)
    prepared = prepare(table, model(method), question, seed=3, tolerance=1e-12)
    assert prepared.direction is Direction.ADJOINT
    names = [consumer.name for consumer in question.consumers]
    whose = [names.index(name) for name in question.by_product]
    drawn = draw_prepared(prepared, range(20))
    assert drawn.by_product is not None
    for number in range(20):
        expected = by_hand(table, prepared, number)[:, whose]
        assert drawn.by_product[number] == pytest.approx(expected, rel=1e-11)
        alone = draw_directly(prepared, number).contributions["by_product"]
        assert alone == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("method", list(Method))
@pytest.mark.parametrize("tolerance", [1e-12, 1e-3])
def test_products_add_up_to_the_indirect_total_in_every_draw(
    method: Method, tolerance: float
) -> None:
    table = world()
    prepared = prepare(table, model(method), asked(table), seed=3, tolerance=tolerance)
    drawn = draw_prepared(prepared, range(100))
    assert drawn.by_product is not None
    of_those = drawn.footprint[:, :, prepared.by_product]
    indirect = of_those[..., 0] - of_those[..., 3]
    assert drawn.by_product.sum(axis=-1) == pytest.approx(indirect, rel=1e-13)


def test_a_product_is_surer_than_twice_what_its_total_is_certified() -> None:
    """Against direct solutions, where the tolerance leaves an error to see."""
    table = toy.read(toy.Toy(toy.World.RANDOM, regions=4, sectors=6), 2000)
    question = replace(everything(table), parts=("total",), by_product=("R0", "R3"))
    prepared = prepare(table, model(Method.COEFFICIENTS), question, seed=5, tolerance=1e-3)
    drawn = draw_prepared(prepared, range(64))
    assert drawn.by_product is not None
    assert (drawn.corrections != DIRECTLY).all()
    missed = []
    for number in range(64):
        truth = draw_directly(prepared, number).contributions["by_product"]
        bound = drawn.certified_error[number] * drawn.footprint[number][:, [0, 3], 0]
        error = np.abs(drawn.by_product[number] - truth).max(axis=-1)
        assert (error < 2 * bound).all()
        missed.append(error / bound)
    assert np.max(missed) > 1e-4  # there was an error to bound


def test_draws_that_are_rejected_or_solved_directly_have_theirs_too() -> None:
    """A tolerance near rounding is one that a direct solution alone may meet."""
    table = world()
    question = replace(everything(table), parts=("total",), by_product=("R0",))
    wide = ErrorModel("base", Method.COEFFICIENTS, (entry("A", Constant(2.0)),))
    prepared = prepare(table, wide, question, 1, r_max=0.8, tolerance=1e-13)
    drawn = draw_prepared(prepared, range(64))
    assert drawn.by_product is not None
    rejected = drawn.status != Status.ACCEPTED
    directly = ~rejected & (drawn.corrections == DIRECTLY)
    assert rejected.any()
    assert directly.any()
    assert np.isnan(drawn.by_product[rejected]).all()
    indirect = drawn.footprint[~rejected, :, 0, 0] - drawn.footprint[~rejected, :, 0, 3]
    assert drawn.by_product[~rejected, :, 0].sum(axis=-1) == pytest.approx(indirect, rel=1e-13)


@pytest.mark.parametrize(
    "also",
    [{"parts": ("total", "foreign")}, {"by_origin": ("R0",)}, {"by_industry": ("R0",)}],
)
def test_products_are_asked_for_by_themselves(also: dict[str, tuple[str, ...]]) -> None:
    question = replace(everything(world()), parts=("total",))
    with pytest.raises(ConfigError, match="a configuration of its own"):
        replace(question, by_product=("R0",), **also)


def test_a_run_tells_products_and_their_verdicts(tmp_path: Path) -> None:
    changes = (("draws = 448", "draws = 192"), ("\n[groups.pair]", ASKED))
    run = workflow.run(loaded(tmp_path, SMALL, *changes), tmp_path / "run", cluster=SERIAL)
    ensemble = run.load()
    assert ensemble.by_product.dims == ("draw", "year", "stressor", "product_consumer", "product")
    whole = ensemble.footprint.sel(consumer="pair")
    indirect = whole.sel(part="total") - whole.sel(part="direct")
    told = ensemble.by_product.sel(product_consumer="pair").sum("product", skipna=False)
    assert told.to_numpy() == pytest.approx(indirect.to_numpy(), rel=1e-12)
    assert analysis.kinds(ensemble) == ("product",)
    text = workflow.detect(run, workflow.rule_of(run), by="product")
    assert "product" in text
    assert "S0" in text
    page = workflow.report(run).read_text()
    assert "<h3>What it is for" in page
