"""What has no error at all: how much it is, where, and that nobody can miss it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs import SERIAL, SMALL, loaded
from engine import prepare, readers, workflow
from engine.error_model import (
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    KnownTotals,
    Method,
    Quantity,
    Yearly,
)
from engine.errors import ConfigError
from engine.mrio import MRIO
from engine.question import Consumer, Indicator, Question
from engine.readers import Toy

OWN = (Component("own", 1.0, ("cell",), Yearly()),)
QUESTION = Question((Consumer("R0", ("R0",)),), (Indicator("S0", "kt", {"S0": 1.0}, ""),))


@pytest.fixture(scope="module")
def table() -> MRIO:
    return readers.read(Toy("random"), 2000)


def model(*entries: Errors, totals: tuple[KnownTotals, ...] = ()) -> ErrorModel:
    return ErrorModel("base", Method.ACCOUNTS, entries, totals)


def found(table: MRIO, errors: ErrorModel) -> dict[str, prepare.Exact]:
    prepared = prepare.prepare(table, errors, QUESTION, 1)
    return {one.name: one for one in prepare.taken_as_exact(prepared, table, QUESTION)}


def entry(quantity: Quantity, size: Constant | ByLabel | None = None, **only: str) -> Errors:
    labels = {key: tuple(names.split()) for key, names in only.items()}
    return Errors(quantity, labels, size or Constant(0.1), OWN, "assumption")


E_S0 = "emissions of industries E, S0"
F_Y_S0 = "direct emissions of final consumers F_Y, S0"


def test_the_share_is_that_of_the_table(table: MRIO) -> None:
    regions = np.array([region for region, _ in table.labels.industries])
    row = table.labels.stressors.index("S0")
    size = np.abs(table.E[row] * table.active)
    one = found(table, model(entry(Quantity.E, region="R0", stressor="S0")))[E_S0]
    assert one.share == pytest.approx(size[regions != "R0"].sum() / size.sum(), rel=1e-12)
    assert 0 < one.share < 1
    others = [region for region in table.labels.regions if region != "R0"]
    assert one.where.startswith("region ")
    assert set(one.where.removeprefix("region ").split(", ")) == set(others)


def test_deliveries_and_demand_count_by_their_flows(table: MRIO) -> None:
    sectors = np.array([sector for _, sector in table.labels.industries])
    sector = table.labels.sectors[0]
    errors = model(entry(Quantity.Z, col_sector=sector), entry(Quantity.Y, consumer="R0"))
    both = found(table, errors)
    flows = np.abs(table.Z * table.active)
    deliveries = both["intermediate deliveries Z"]
    share = flows[:, sectors != sector].sum() / flows.sum()
    assert deliveries.share == pytest.approx(share, rel=1e-12)
    assert deliveries.where.startswith("col_sector ")
    place = table.labels.regions.index("R0")
    demand = np.abs(table.Y)
    share = 1 - demand[:, place].sum() / demand.sum()
    assert both["final demand Y"].share == pytest.approx(share, rel=1e-12)
    assert both["final demand Y"].where.startswith("consumer ")
    assert both[E_S0].share == 1
    assert (both[E_S0].amount, both[E_S0].where) == ("all", "")


def test_intensities_and_coefficients_are_weighed_by_output(table: MRIO) -> None:
    """The same cells without an error are the same share in both methods."""
    accounts = model(entry(Quantity.E, region="R1"), entry(Quantity.Z, row_region="R1"))
    coefficients = replace(
        accounts,
        method=Method.COEFFICIENTS,
        errors=(entry(Quantity.S, region="R1"), entry(Quantity.A, row_region="R1")),
    )
    one, other = found(table, accounts), found(table, coefficients)
    for name, same in (
        (E_S0, "emission intensities s, S0"),
        ("intermediate deliveries Z", "technical coefficients A"),
    ):
        assert other[same].share == pytest.approx(one[name].share, rel=1e-12)
        assert other[same].where == one[name].where


def test_a_size_of_zero_is_no_error(table: MRIO) -> None:
    sizes = {(region,): 0.0 if region == "R1" else 0.1 for region in table.labels.regions}
    sized = found(table, model(entry(Quantity.E, ByLabel(("region",), sizes))))
    left = found(
        table,
        model(entry(Quantity.E, region=" ".join(r for r in table.labels.regions if r != "R1"))),
    )
    assert sized[E_S0] == left[E_S0]
    assert sized[E_S0].where == "region R1"


def test_cells_of_no_common_label_are_told_by_where_most_are(table: MRIO) -> None:
    sector = table.labels.sectors[0]
    one = found(table, model(entry(Quantity.E, region="R0", sector=sector)))[E_S0]
    assert one.where.startswith("most of it in region R")
    assert "; sector " in one.where


def test_a_known_total_is_an_error_of_its_cells(table: MRIO) -> None:
    totals = KnownTotals(
        (Quantity.E, Quantity.F_Y),
        {"region": ("R0",)},
        ("stressor", "region"),
        Constant(0.05),
        (Component("national", 1.0, ("stressor", "region"), Yearly()),),
        "assumption",
    )
    one = found(table, model(totals=(totals,)))
    assert "R0" not in one[E_S0].where.removeprefix("region ").split(", ")
    assert "R0" not in one[F_Y_S0].where.removeprefix("consumer ").split(", ")
    exact = found(table, model(totals=(replace(totals, size=Constant(0.0)),)))
    assert exact[E_S0].share == 1


def test_nothing_is_told_where_every_cell_has_an_error(table: MRIO) -> None:
    every = [entry(q) for q in (Quantity.E, Quantity.Z, Quantity.Y, Quantity.F_Y)]
    assert found(table, model(*every)) == {}


@pytest.mark.parametrize(
    ("share", "amount"),
    [(1.0, "all"), (1 - 1e-6, "99.9 %"), (0.5, "50 %"), (0.031, "3.1 %"), (1e-7, "< 0.01 %")],
)
def test_a_share_is_never_rounded_to_nothing_or_all(share: float, amount: str) -> None:
    assert prepare.Exact("x", "", share, "").amount == amount


def test_of_several_years_the_one_with_most_is_told() -> None:
    years = {y: [prepare.Exact("x", "S0", s, f"region R{y}")] for y, s in ((1, 0.2), (2, 0.3))}
    assert list(prepare.exact_in_words(years)) == ["x, S0: 30 % in 2, region R2"]
    assert prepare.exact_in_short(years) == "x, S0: 30 %"


# --- a preset of one country ---------------------------------------------------------------------

ENTRY_OF_E = SMALL[SMALL.index("[[scenarios.base.errors]]") : SMALL.rindex("[[scenarios")]
DUTCH = """[[scenarios.base.errors]]
quantity = "E"
only = { stressor = ["S0"], region = ["R0"] }
preset = { name = "netherlands2000", gas = "CH4", ratio = 0.9, time = "ar1" }
"""
OTHERS = ('time = "ar1" }', 'time = "ar1", others = "exact" }')


def test_a_preset_of_one_country_refuses_others_without_an_error(tmp_path: Path) -> None:
    text = SMALL.replace(ENTRY_OF_E, DUTCH)
    with pytest.raises(ConfigError, match=r"of the emissions of industries E, S0, has no error"):
        list(workflow.check(loaded(tmp_path, text)))
    told = "\n".join(workflow.check(loaded(tmp_path, text, OTHERS)))
    assert "meant to be exact, as stated" in told
    assert "without any error: emissions of industries E, S0: " in told


def test_another_entry_for_the_others_is_enough(tmp_path: Path) -> None:
    labels = readers.read(Toy("random"), 2000).labels
    others = ", ".join(f'"{region}"' for region in labels.regions if region != "R0")
    rest = ENTRY_OF_E.replace("rsd", f'only = {{ stressor = ["S0"], region = [{others}] }}\nrsd')
    told = "\n".join(workflow.check(loaded(tmp_path, SMALL.replace(ENTRY_OF_E, DUTCH + rest))))
    assert "without any error: emissions" not in told
    assert "without any error: final demand Y: all" in told


def test_labels_without_a_size_are_named_together(table: MRIO) -> None:
    sizes = ByLabel(("region",), {("R0",): 0.1})
    missing = ", ".join(sorted(region for region in table.labels.regions if region != "R0"))
    with pytest.raises(ConfigError, match=f"no entry for {missing}"):
        found(table, model(entry(Quantity.E, sizes)))


# --- where it is told ----------------------------------------------------------------------------


def test_a_run_says_so_first_and_its_page_last(tmp_path: Path) -> None:
    said: list[str] = []
    config = loaded(tmp_path, SMALL, ("draws = 448", "draws = 64"))
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL, teller=said.append)
    assert said == [
        "scenario base, without any error: final demand Y: all; "
        "direct emissions of final consumers F_Y, S0: all"
    ]
    exact = json.loads(run.open().attrs["exact"])
    assert exact["2001"][0]["quantity"] == "final demand Y"
    page = workflow.report(run).read_text()
    assert "Without any error" in page
    assert "<li>final demand Y: all.</li>" in page
