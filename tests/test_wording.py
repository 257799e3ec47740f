"""An error model in words: above all, nothing taken as exact goes unsaid."""

from __future__ import annotations

import pytest

from engine import wording
from engine.error_model import (
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Quantity,
    Yearly,
)


def entry(quantity: Quantity, name: str = "own", **only: str) -> Errors:
    limits = {key: tuple(labels.split()) for key, labels in only.items()}
    component = Component(name, 1.0, ("cell",), Yearly())
    return Errors(quantity, limits, Constant(0.1), (component,), "a source")


def model(*entries: Errors, method: Method = Method.ACCOUNTS) -> ErrorModel:
    return ErrorModel("base", method, entries)


def exact_rows(scenario: ErrorModel, *, purchases: bool = False) -> list[str]:
    rows = wording.assumptions(scenario, purchases=purchases)
    assert all(set(row) == {"quantity", "size", "correlation", "source"} for row in rows)
    return [row["quantity"] for row in rows if row["size"] == "taken as exact"]


@pytest.mark.parametrize(
    ("method", "missing"),
    [
        (Method.ACCOUNTS, [Quantity.Z, Quantity.E, Quantity.F_Y]),
        (Method.COEFFICIENTS, [Quantity.A, Quantity.S, Quantity.F_Y]),
    ],
)
def test_quantities_without_an_entry_are_said_to_be_exact(
    method: Method, missing: list[Quantity]
) -> None:
    scenario = model(entry(Quantity.Y), method=method)
    assert wording.exact(scenario) == missing
    assert exact_rows(scenario) == [wording.QUANTITIES[quantity] for quantity in missing]


def test_purchases_are_exact_where_a_demand_vector_is_asked_for_and_has_no_entry() -> None:
    scenario = model(entry(Quantity.E))
    assert Quantity.PURCHASES not in wording.exact(scenario, purchases=False)
    assert wording.exact(scenario, purchases=True)[-1] is Quantity.PURCHASES
    assert exact_rows(scenario, purchases=True)[-1] == "purchases of demand vectors"
    uncertain = model(entry(Quantity.E), entry(Quantity.PURCHASES))
    assert Quantity.PURCHASES not in wording.exact(uncertain, purchases=True)


def test_the_cells_that_no_entry_selects_are_said_to_be_exact() -> None:
    whole = [entry(quantity) for quantity in (Quantity.Z, Quantity.Y, Quantity.F_Y)]
    of_co2, of_ch4 = (entry(Quantity.E, gas, stressor=gas) for gas in ("CO2", "CH4"))
    rows = wording.assumptions(model(of_co2, of_ch4, *whole))
    assert [row["quantity"] for row in rows[:2]] == [
        "emissions of industries E (only stressor CO2)",
        "emissions of industries E (only stressor CH4)",
    ]
    assert rows[-1] == {
        "quantity": "emissions of industries E, other cells",
        "size": "taken as exact",
        "correlation": "none",
        "source": "no entry in the error model",
    }
    assert exact_rows(model(of_co2, of_ch4, *whole)) == ["emissions of industries E, other cells"]
    assert exact_rows(model(entry(Quantity.E), *whole)) == []
