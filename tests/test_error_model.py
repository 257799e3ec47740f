"""The error model as a description: time keys, names, sharing, what is refused."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.error_model import (
    AR1,
    AR1_WINDOW,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Period,
    Persistent,
    PowerLaw,
    Quantity,
    TimeKey,
    Yearly,
    factor_correlation,
    inter_year_correlation,
    only_independent_cells,
)
from engine.errors import ConfigError
from engine.kernels.elementary import log1p, log_sd, power

OWN = Component("own", 1.0, ("cell",), Yearly())


def errors(
    *components: Component, quantity: Quantity = Quantity.E, rsd: float = 0.1, source: str = "x"
) -> Errors:
    return Errors(quantity, {}, Constant(rsd), components or (OWN,), source)


@given(st.floats(0, 0.9999), st.integers(1984, 2048), st.integers(1984, 2048))
def test_ar1_bridge_has_exactly_the_correlation_phi_to_the_distance(
    phi: float, year: int, other: int
) -> None:
    key = AR1(phi)
    assert len(key.nodes(year)) <= 8
    assert inter_year_correlation(key, year, year) == pytest.approx(1, abs=1e-12)
    expected = phi ** abs(year - other)
    assert inter_year_correlation(key, year, other) == pytest.approx(expected, abs=1e-12)


def test_ar1_refuses_years_outside_its_window() -> None:
    with pytest.raises(ConfigError, match="1984-2048"):
        AR1(0.5).nodes(1983)
    with pytest.raises(ConfigError, match="persistent"):
        AR1(1.0)


def test_the_window_is_a_field_of_ar1_that_nobody_can_set() -> None:
    """A run's identity is made of fields, and the window decides which normals make up a year."""
    assert AR1(0.5).window == AR1_WINDOW == (1984, 2048)
    assert [field.name for field in dataclasses.fields(AR1)] == ["phi", "window"]
    with pytest.raises(TypeError):
        AR1(0.5, (1900, 2100))  # type: ignore[call-arg]


def test_period_errors_are_shared_inside_and_independent_between() -> None:
    key = Period((2000, 2005))
    assert inter_year_correlation(key, 2000, 2004) == 1
    assert inter_year_correlation(key, 2004, 2005) == 0
    with pytest.raises(ConfigError, match="before the first period"):
        key.nodes(1999)
    with pytest.raises(ConfigError, match="not ascending"):
        Period((2005, 2000))


def test_time_nodes_of_different_keys_never_meet() -> None:
    years = range(1984, 2049)
    keys: list[TimeKey] = [Persistent(), Yearly(), Period((1984,))]
    nodes = [{node for year in years for node, _ in key.nodes(year)} for key in keys]
    assert all(a.isdisjoint(b) for a, b in itertools.combinations(nodes, 2))


def test_factor_correlation_of_the_design() -> None:
    # rsd 1: .9 -> .866; persistent with rsd .1 and 1: .866
    assert factor_correlation(0.9, 1, 1) == pytest.approx(0.866, abs=5e-4)
    assert factor_correlation(1.0, 0.1, 1) == pytest.approx(0.866, abs=5e-4)


def test_the_order_in_which_components_are_listed_does_not_matter() -> None:
    components = (
        Component("b", 0.25, ("cell",), Yearly()),
        Component("a", 0.25, ("cell",), Persistent()),
        Component("z", 0.5, ("region",), Yearly()),
    )
    orders = {
        tuple(c.name for c in errors(*order).canonical_components())
        for order in itertools.permutations(components)
    }
    assert orders == {("z", "a", "b")}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: errors(source=" "), "no source"),
        (lambda: errors(rsd=-0.1), "-0.1 cannot be used"),
        (lambda: errors(rsd=math.nan), "nan cannot be used"),
        (lambda: errors(rsd=1e-9), "cannot be used"),
        (lambda: errors(rsd=101.0), "cannot be used"),
        (lambda: errors(Component("a", 0.5, ("cell",), Yearly())), "add up to 0.5"),
        (lambda: errors(Component("a", 1.0, ("row_region",), Yearly())), "E has no `row_region`"),
        (lambda: errors(Component("a", 1.0, ("cell", "region"), Yearly())), "cannot be combined"),
        (lambda: errors(Component("a", 1.0, (), Yearly())), "no group"),
        (
            lambda: Errors(Quantity.Y, {}, ByLabel(("sector",), {}), (OWN,), "x"),
            "Y has no `sector`",
        ),
        (lambda: Errors(Quantity.Y, {"region": ("NLD",)}, Constant(0.1), (OWN,), "x"), "no `reg"),
        (
            lambda: Errors(Quantity.Y, {"consumer": ()}, Constant(0.1), (OWN,), "x"),
            "only consumer: no label is listed",
        ),
        (
            lambda: Errors(Quantity.Y, {"consumer": ("A", "B", "A")}, Constant(0.1), (OWN,), "x"),
            "only consumer: A is listed 2 times",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


LAW = PowerLaw(a=0.4, b=-0.3, floor=0.01, ceiling=1.0, currency="GBP", per_table_unit=0.6)


def sized(law: PowerLaw, quantity: Quantity = Quantity.Z) -> Errors:
    return Errors(quantity, {}, law, (OWN,), "x")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a": 0.0}, "power_law, a: 0 is not positive"),
        ({"a": -0.4}, "power_law, a: -0.4 is not positive"),
        ({"a": math.inf}, "power_law, a: inf is not positive"),
        ({"b": math.nan}, "power_law, b: nan is no exponent"),
        ({"b": -math.inf}, "power_law, b: -inf is no exponent"),
        ({"per_table_unit": 0.0}, "per_table_unit of all years: 0 is not positive"),
        ({"per_table_unit": {2000: 0.6, 2001: -0.6}}, "per_table_unit of 2001: -0.6"),
        ({"per_table_unit": {2000: math.nan}}, "per_table_unit of 2000: nan"),
        ({"floor": 0.0}, "a floor of 0"),
        ({"floor": 1e-7}, "floor: a relative standard deviation of 1e-07"),
        ({"floor": -0.1}, "floor: a relative standard deviation of -0.1"),
        ({"floor": math.nan}, "floor: a relative standard deviation of nan"),
        ({"ceiling": math.inf}, "ceiling: a relative standard deviation of inf"),
        ({"floor": 0.5, "ceiling": 0.1}, "floor 0.5 is above the ceiling 0.1"),
    ],
)
def test_power_laws_that_size_nothing_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        sized(dataclasses.replace(LAW, **changes))  # type: ignore[arg-type]
    assert "errors of Z" in caught.value.where
    assert caught.value.remedy


def test_power_laws_are_about_money_alone() -> None:
    for quantity in (Quantity.Z, Quantity.A, Quantity.Y, Quantity.PURCHASES):
        assert sized(LAW, quantity)
    for quantity in (Quantity.E, Quantity.S, Quantity.F_Y):
        with pytest.raises(ConfigError, match=f"flows of {quantity} are no money") as caught:
            sized(LAW, quantity)
        assert "`table` or `rsd`" in caught.value.remedy


def test_quantities_of_the_other_method_are_refused() -> None:
    with pytest.raises(ConfigError, match="accounts"):
        ErrorModel("base", Method.ACCOUNTS, (errors(quantity=Quantity.S),))


def test_components_never_share_unless_declared() -> None:
    twice = (errors(), Errors(Quantity.E, {"stressor": ("CH4",)}, Constant(0.1), (OWN,), "x"))
    with pytest.raises(ConfigError, match="share errors"):
        ErrorModel("base", Method.ACCOUNTS, twice)


def test_shared_components_need_an_owner_of_the_same_group_and_time() -> None:
    national = Component("national", 1.0, ("stressor", "region"), Persistent())

    def direct(group: tuple[str, ...], time: TimeKey, owner: str) -> ErrorModel:
        component = Component("direct", 1.0, group, time, (Quantity.E, owner))
        return ErrorModel(
            "base",
            Method.ACCOUNTS,
            (errors(national), errors(component, quantity=Quantity.F_Y)),
        )

    assert direct(("stressor", "consumer"), Persistent(), "national")
    with pytest.raises(ConfigError, match="no component"):
        direct(("stressor", "consumer"), Persistent(), "nobody")
    with pytest.raises(ConfigError, match="another group or time"):
        direct(("consumer",), Persistent(), "national")
    with pytest.raises(ConfigError, match="another group or time"):
        direct(("stressor", "consumer"), Yearly(), "national")


def one_of(
    quantity: Quantity, name: str, group: tuple[str, ...], shared_with: str = "", **only: str
) -> Errors:
    """An entry of one persistent component."""
    of, _, owner = shared_with.partition(".")
    shared = (Quantity(of), owner) if shared_with else None
    component = Component(name, 1.0, group, Persistent(), shared)
    limits = {key: tuple(labels.split()) for key, labels in only.items()}
    return Errors(quantity, limits, Constant(0.1), (component,), "x")


def model_of(*entries: Errors) -> ErrorModel:
    return ErrorModel("base", Method.ACCOUNTS, entries)


def test_one_error_twice_in_an_entry_breaks_the_variance_and_is_refused() -> None:
    """eps = sqrt(.5) u + sqrt(.5) u has variance 2, whoever owns u."""
    own = Component("own", 0.5, ("region",), Yearly())
    again = Component("again", 0.5, ("region",), Yearly(), (Quantity.E, "own"))
    with pytest.raises(ConfigError, match=r"`own` and `again` are the same error, E\.own"):
        model_of(errors(own, again))
    owner = errors(dataclasses.replace(own, weight=1.0))
    borrowed = [
        Component(name, 0.5, ("consumer",), Yearly(), (Quantity.E, "own")) for name in ("a", "b")
    ]
    with pytest.raises(ConfigError, match="`a` and `b` are the same error") as caught:
        model_of(owner, errors(*borrowed, quantity=Quantity.Y))
    assert "errors of Y" in caught.value.where
    # One of them with errors of its own adds up, and so does one error in two entries.
    mixed = (borrowed[0], Component("b", 0.5, ("consumer",), Yearly()))
    assert model_of(
        owner, errors(*mixed, quantity=Quantity.Y), errors(*mixed, quantity=Quantity.F_Y)
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            (one_of(Quantity.E, "o", ("cell",)), one_of(Quantity.F_Y, "d", ("cell",), "E.o")),
            "`cell` errors cannot be shared",
        ),
        (
            (
                one_of(Quantity.Y, "o", ("cell",)),
                one_of(Quantity.PURCHASES, "d", ("cell",), "Y.o"),
            ),
            "`cell` errors cannot be shared",
        ),
        (
            (
                one_of(Quantity.E, "o", ("cell",), stressor="CO2"),
                one_of(Quantity.E, "d", ("cell",), "E.o", stressor="CH4"),
            ),
            "`cell` errors cannot be shared",
        ),
        (
            (
                one_of(Quantity.Y, "o", ("consumer",)),
                one_of(Quantity.PURCHASES, "d", ("consumer",), "Y.o"),
            ),
            "another group",
        ),
        (
            (one_of(Quantity.Z, "o", ("row_region",)), one_of(Quantity.E, "d", ("region",), "Z.o")),
            "another group",
        ),
        (
            (
                one_of(Quantity.E, "o", ("stressor", "region"), stressor="CO2"),
                one_of(Quantity.E, "d", ("stressor", "region"), "E.o", stressor="CH4"),
            ),
            "no stressor in common",
        ),
        (
            (
                one_of(Quantity.E, "o", ("region",), region="NLD DEU"),
                one_of(Quantity.F_Y, "d", ("consumer",), "E.o", consumer="CHN"),
            ),
            "no region in common",
        ),
    ],
)
def test_a_sharing_that_shares_nothing_is_refused(
    entries: tuple[Errors, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        model_of(*entries)
    assert f"{entries[1].quantity}.d" in caught.value.where
    assert caught.value.remedy


def test_a_sharing_that_shares_something_is_accepted() -> None:
    trade = one_of(Quantity.Y, "trade", ("row_region",))
    assert model_of(trade, one_of(Quantity.PURCHASES, "trade", ("row_region",), "Y.trade"))
    national = one_of(Quantity.E, "national", ("region",), region="NLD DEU", stressor="CO2")
    direct = one_of(Quantity.F_Y, "d", ("consumer",), "E.national", consumer="DEU", stressor="CH4")
    assert model_of(national, direct)  # DEU is in both, and the group knows no stressor
    whole = one_of(Quantity.E, "whole", ("all",), stressor="CO2")
    assert model_of(whole, one_of(Quantity.F_Y, "d", ("all",), "E.whole", stressor="CH4"))


def test_a_model_of_independent_cells_is_recognised() -> None:
    assert only_independent_cells(ErrorModel("base", Method.ACCOUNTS, (errors(),)))
    shared = Component("shared", 1.0, ("all",), Yearly())
    assert not only_independent_cells(ErrorModel("base", Method.ACCOUNTS, (errors(shared),)))


@given(st.floats(1e-12, 1e6))
def test_log1p_and_power_agree_with_the_libraries(v: float) -> None:
    assert float(log1p(np.array(v))) == pytest.approx(math.log1p(v), rel=2e-15)
    assert float(power(np.array(v), -0.302)) == pytest.approx(v**-0.302, rel=1e-14)


def test_log_sd_inverts_the_relative_standard_deviation() -> None:
    rsd = np.array([0.0, 1e-6, 0.1, 0.5, 1.0, 5.83])
    assert np.sqrt(np.expm1(log_sd(rsd) ** 2)) == pytest.approx(rsd, rel=1e-9)
