"""The error model as a description: time keys, names, sharing, what is refused."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.error_model import (
    AR1,
    ByLabel,
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Period,
    Persistent,
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
    ],
)
def test_what_cannot_be_meant_is_refused(make: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()  # type: ignore[operator]


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
