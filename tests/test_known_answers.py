"""Known answers from configuration to verdict: what a user would type, against closed forms."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

from configs import ONE_SECTOR, SERIAL, written
from engine import analysis, studies, workflow
from engine.config import Config, load_config
from engine.error_model import (
    Component,
    Constant,
    ErrorModel,
    Errors,
    Method,
    Persistent,
    Quantity,
    Yearly,
)


def one_sector(
    folder: Path, *, rsd: float, rho: float, growth: float, draws: int = 4096
) -> xr.Dataset:
    """The changes dataset of one sector whose emission intensity alone is uncertain."""
    text = ONE_SECTOR.format(
        parameters=f"growth = {growth}", draws=draws, rsd=rsd, rho=rho, rest=1 - rho
    )
    config = load_config(written(folder, text, "one.toml"))
    run = workflow.run(config, folder / "run")
    with run.open() as ensemble:
        return analysis.changes(ensemble, workflow.rule_of(run)).squeeze().sel(part="total").load()


@pytest.mark.parametrize(
    ("growth", "rsd", "rho", "verdict"),
    [
        (-0.02, 0.05, 0.95, "not detectable"),
        (-0.10, 0.05, 0.95, "decrease"),
        (0.10, 0.05, 0.90, "increase"),
        (0.00, 0.30, 0.50, "not detectable"),
    ],
)
def test_one_sector_from_configuration_to_verdict(
    tmp_path: Path, growth: float, rsd: float, rho: float, verdict: str
) -> None:
    """delta ~ N(ln ratio, 2 sigma^2 (1 - rho)); 4 standard errors, 1 in 16,000 each."""
    found = one_sector(tmp_path, rsd=rsd, rho=rho, growth=growth)
    sigma = math.sqrt(math.log1p(rsd**2))
    spread = sigma * math.sqrt(2 * (1 - rho))
    ratio = math.log1p(growth)
    expected = {
        "delta_mean": ratio,
        "sigma": spread,
        "p_decrease": norm.cdf(-ratio / spread),
        "s1": sigma,
        "s2": sigma,
        "rho": rho,
        "mdc": (norm.ppf(0.975) + norm.ppf(0.8)) * spread,
        "rho_break_even": 1 - (ratio / norm.ppf(0.975) / sigma) ** 2 / 2,
    }
    for name, value in expected.items():
        error = float(found[f"{name}_mcse"])
        assert abs(float(found[name]) - value) < 4 * error + 1e-12, name
    assert float(found["reference_delta"]) == pytest.approx(ratio, rel=1e-12)
    assert str(found["verdict"].item()) == verdict


UNEQUAL = """
[[scenarios.base.errors]]
quantity = "Y"
source = "assumption"
components = [
  { name = "lasting", weight = 0.95, group = "cell", time = "persistent" },
  { name = "yearly", weight = 0.05, group = "cell", time = "yearly" },
]
# A law so steep that 2000 lies at its ceiling and 2001 at its floor.
[scenarios.base.errors.power_law]
a = 1.0
b = -1.0
floor = 0.1
ceiling = 0.5
currency = "EUR"
per_table_unit = { 2000 = 1e-9, 2001 = 1e9 }
"""


def unequal(folder: Path, draws: int = 8192) -> Config:
    """One sector whose demand errs by 50 % and then by 10 %, correlating by .95; F1 = F0."""
    text = ONE_SECTOR.format(parameters="", draws=draws, rsd=0.1, rho=0.5, rest=0.5)
    head = text[: text.index("[[scenarios")]
    return load_config(written(folder, head + UNEQUAL, "unequal.toml"))


KNOWN = {
    "sigma": 0.378899,
    "delta_mean": 0.106597,
    "p_decrease": 1 - 0.610772,
    "p_decrease_reflected": 1 - 0.389228,
}


def test_one_sector_of_unequal_errors_from_configuration_to_verdict(tmp_path: Path) -> None:
    """P(increase) .610772 and .389228 mirrored, where nothing changed; 4 standard errors each."""
    run = workflow.run(unequal(tmp_path), tmp_path / "run")
    with run.open() as ensemble:
        found = analysis.changes(ensemble, workflow.rule_of(run)).squeeze().sel(part="total")
    sizes = [math.sqrt(math.log1p(rsd**2)) for rsd in (0.5, 0.1)]
    for name, value in (
        KNOWN | dict(zip(("s1", "s2"), sizes, strict=True)) | {"rho": 0.95}
    ).items():
        gap = abs(float(found[name]) - value)
        assert gap < 4 * float(found[f"{name}_mcse"]) + 1e-6, name
    assert float(found["reference_delta"]) == pytest.approx(0.0, abs=1e-15)
    assert str(found["verdict"].item()) == "not detectable"


def test_one_sector_of_unequal_errors_in_closed_form(tmp_path: Path) -> None:
    """One lognormal factor, for which the first order is exact: to the printed digits."""
    found = workflow.preview(unequal(tmp_path)).squeeze().sel(part="total")
    for name, value in KNOWN.items():
        assert round(float(found[name]), 6) == pytest.approx(value, abs=1e-9), name


def test_false_positives_of_unequal_errors_from_a_configuration(tmp_path: Path) -> None:
    """Both probabilities together: .0308, printed digits; the interval, which spans both, misses
    no more."""
    study = studies.characterise(
        unequal(tmp_path, draws=64), tmp_path / "study", worlds=2, draws=64, cluster=SERIAL
    )
    none = study.rows[0]
    assert none["true_delta"] == 0.0
    assert round(none["theory_limit"], 4) == 0.0308
    assert 1 - none["theory_limit"] <= none["theory_coverage"] < 1


def test_all_errors_persistent_is_not_assessed(tmp_path: Path) -> None:
    """The model then allows no error of change, so the verdict must not pretend one."""
    text = ONE_SECTOR.format(parameters="", draws=256, rsd=0.3, rho=0.5, rest=0.5)
    text = text.replace('"yearly" }', '"persistent" }')
    config = load_config(written(tmp_path, text, "one.toml"))
    run = workflow.run(config, tmp_path / "run")
    rows = analysis.verdict_table(analysis.changes(run.open(), workflow.rule_of(run)))
    assert {row["verdict"] for row in rows if row["part"] == "total"} == {"not assessed"}


def test_all_errors_persistent_in_every_quantity_is_not_assessed(tmp_path: Path) -> None:
    """Two equal tables with a whole model of persistent errors: no draw differs by a rounding."""
    from engine.draws import draw
    from engine.readers import toy

    persistent = (Component("lasting", 1.0, ("cell",), Persistent()),)
    model = ErrorModel(
        "base",
        Method.ACCOUNTS,
        tuple(
            Errors(Quantity(name), {}, Constant(0.3), persistent, "test")
            for name in ("Z", "E", "Y", "F_Y")
        ),
    )
    source = toy.Toy(world=toy.World.TWO_REGIONS)
    first, second = (draw(toy.read(source, year), model, 1, range(64)) for year in (2000, 2001))
    assert first.footprint.tobytes() == second.footprint.tobytes()


def test_sd_of_small_errors_is_the_first_order_sd() -> None:
    """rsd -> 0: Monte Carlo sd / analytic sd -> 1, 4 standard errors at 2,000 draws."""
    from engine.draws import draw
    from engine.readers import toy

    yearly = (Component("own", 1.0, ("cell",), Yearly()),)
    # First-order sd of F_1 at 10 %, so a thousandth of it at 0.01 %.
    known = {
        (Method.ACCOUNTS, "Z"): 0.642964,
        (Method.ACCOUNTS, "Y"): 1.786468,
        (Method.ACCOUNTS, "E"): 3.848376,
        (Method.COEFFICIENTS, "A"): 2.740781,
        (Method.COEFFICIENTS, "Y"): 4.016217,
        (Method.COEFFICIENTS, "s"): 3.848376,
    }
    table = toy.read(toy.Toy(world=toy.World.TWO_REGIONS), 2000)
    for (method, name), sd in known.items():
        model = ErrorModel(
            "base", method, (Errors(Quantity(name), {}, Constant(1e-4), yearly, "test"),)
        )
        footprint = draw(table, model, 5, range(2000)).footprint[:, 0, 0, 0]
        assert abs(footprint.std() / (sd / 1000) - 1) < 4 / math.sqrt(2 * 2000), (method, name)


def test_two_regions_reference() -> None:
    from engine.draws import everything, reference
    from engine.prepare import prepare
    from engine.readers import toy

    table = toy.read(toy.Toy(world=toy.World.TWO_REGIONS), 2000)
    model = ErrorModel("base", Method.ACCOUNTS, ())
    found = reference(prepare(table, model, everything(table), 1))
    assert np.round(found[0, :, 0], 12).tolist() == [51.0, 29.0]


def test_proportional_disaggregation_keeps_the_reference_and_divides_the_sd() -> None:
    """k independent cells in place of one divide the sd of the emissions' part by sqrt(k)."""
    from worlds import disaggregate

    from engine.draws import draw, everything, reference
    from engine.prepare import prepare
    from engine.readers import toy

    table = toy.read(toy.Toy(world=toy.World.ONE_SECTOR), 2000)
    fine = disaggregate(table, 4)
    own = (Component("own", 1.0, ("cell",), Yearly()),)
    model = ErrorModel(
        "base", Method.ACCOUNTS, (Errors(Quantity.E, {}, Constant(0.05), own, "test"),)
    )
    coarse_reference, fine_reference = (
        reference(prepare(t, model, everything(t), 1)) for t in (table, fine)
    )
    assert fine_reference == pytest.approx(coarse_reference, rel=1e-13)
    spreads = [draw(t, model, 3, range(4000)).footprint[:, 0, 0, 0].std() for t in (table, fine)]
    # The ratio of two independent sds has a relative standard error of 1/sqrt(4000).
    assert abs(spreads[0] / spreads[1] / 2 - 1) < 4 / math.sqrt(4000)
