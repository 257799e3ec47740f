"""Years with larger errors: the sizes, the draws, the digest, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_draws import entry, world

from configs import SMALL, loaded
from engine import wording
from engine.draws import everything, perturbed
from engine.error_model import (
    Component,
    Constant,
    ErrorModel,
    Errors,
    KnownTotals,
    Law,
    Method,
    Persistent,
    Quantity,
)
from engine.errors import ConfigError
from engine.jobs import Job, identity
from engine.kernels.arrays import F64
from engine.kernels.perturb import LOG2E
from engine.prepare import prepare

YEAR = 2000


def model(*entries: Errors, totals: tuple[KnownTotals, ...] = ()) -> ErrorModel:
    return ErrorModel("base", Method.ACCOUNTS, entries, totals)


def sigmas(errors: ErrorModel, quantity: Quantity) -> F64:
    prepared = prepare(world(), errors, everything(world()), seed=3)
    cells = [one for one in prepared.cells[quantity] if one.terms]
    return np.concatenate([one.log2_sd for one in cells]).astype(np.float64) / LOG2E


def test_errors_are_larger_in_the_years_named_alone() -> None:
    plain = entry("E", Constant(0.2))
    larger = replace(plain, provisional={YEAR: 1.5})
    elsewhere = replace(plain, provisional={YEAR + 1: 1.5})
    expected = np.sqrt(np.log1p(0.3**2))
    assert sigmas(model(larger), Quantity.E) == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(sigmas(model(elsewhere), Quantity.E), sigmas(model(plain), Quantity.E))


def test_an_error_that_lasts_is_the_same_but_for_its_size() -> None:
    """eps is what it was: ln of the factor, less its shift, is 1.5 rsd's sigma times eps."""
    lasting = entry("E", Constant(0.2), ("lasting", 1.0, ("cell",), Persistent()))
    table = world()
    eps = []
    for one, rsd in ((lasting, 0.2), (replace(lasting, provisional={YEAR: 1.5}), 0.3)):
        prepared = prepare(table, model(one), everything(table), seed=3)
        sigma = np.sqrt(np.log1p(rsd**2))
        factor = perturbed(prepared, 7)[Quantity.E][table.E > 0] / table.E[table.E > 0]
        eps.append((np.log(factor) + sigma**2 / 2) / sigma)
    assert eps[0] == pytest.approx(eps[1], abs=1e-5)


def test_known_totals_are_less_known_in_provisional_years() -> None:
    total = KnownTotals(
        quantities=(Quantity.E,),
        only={},
        by=("stressor", "region"),
        size=Constant(0.04),
        components=(Component("inventory", 1.0, ("stressor", "region"), Persistent()),),
        source="test",
        provisional={YEAR: 2.0},
    )
    prepared = prepare(
        world(), model(entry("E", Constant(0.2)), totals=(total,)), everything(world()), seed=3
    )
    assert prepared.known is not None
    (totals,) = prepared.known.totals
    sigma = totals.log2_sd.astype(np.float64) / LOG2E
    assert sigma == pytest.approx(np.sqrt(np.log1p(0.08**2)), rel=1e-6)


def test_what_is_said_names_the_years() -> None:
    one = replace(entry("E", Constant(0.2)), provisional={2021: 2.0, 2020: 1.5})
    assert wording.sized(one) == "rsd 20 %, 1.5 times as large in 2020, 2 times in 2021"


@pytest.mark.parametrize("factor", [0.0, -1.0, 1e3, float("nan")])
def test_factors_that_cannot_be_meant_are_refused(factor: float) -> None:
    with pytest.raises(ConfigError, match=r"provisional: an error .* cannot be meant"):
        replace(entry("E", Constant(0.2)), provisional={YEAR: factor})


def test_a_size_that_its_law_cannot_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="truncated at 0"):
        replace(entry("E", Constant(0.8)), law=Law.TRUNCATED_NORMAL, provisional={YEAR: 1.5})


def test_a_larger_year_is_another_run_only_where_that_year_is_run(tmp_path: Path) -> None:
    """The digest holds what decides a draw: the years of this configuration are 2000 to 2002."""
    config = loaded(tmp_path, SMALL)

    def asked(**times: float) -> object:
        years = {int(year.removeprefix("y")): factor for year, factor in times.items()}
        entries = tuple(replace(one, provisional=years) for one in config.errors.errors)
        job = Job(
            folder=tmp_path,
            title="",
            read=lambda year: world(),
            question=config.question,
            errors=replace(config.errors, errors=entries),
            sampling=config.sampling,
            r_max=config.r_max,
            tolerance=config.tolerance,
            keep=None,
        )
        return identity(job, dict.fromkeys(config.sampling.years, ""))

    assert asked(y2001=1.5) != asked()
    assert asked(y2001=1.5) != asked(y2002=1.5)
    assert asked(y2010=1.5) == asked(y2001=1.0) == asked()
