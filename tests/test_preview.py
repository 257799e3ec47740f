"""The preview as a user meets it, against hand arithmetic, and beside what draws then say."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.stats import norm

import engine
from configs import ONE_SECTOR, SERIAL, SMALL, footfall, said, written
from engine import analysis, workflow
from engine.config import load_config
from engine.errors import InputError
from engine.kernels.changes import DetectionRule


@pytest.mark.parametrize(
    ("growth", "rsd", "rho", "verdict"),
    [
        (-0.02, 0.05, 0.95, "not detectable"),
        (-0.10, 0.05, 0.95, "decrease"),
        (0.10, 0.05, 0.90, "increase"),
        (0.00, 0.30, 0.50, "not detectable"),
        (0.00, 0.30, 1.00, "not assessed"),
    ],
)
def test_one_sector_is_exact(
    tmp_path: Path, growth: float, rsd: float, rho: float, verdict: str
) -> None:
    """Known answer 1 in closed form, from configuration to verdict, without a draw."""
    shares = {"rho": rho, "rest": 1 - rho} if rho < 1 else {"rho": 0.5, "rest": 0.5}
    text = ONE_SECTOR.format(parameters=f"growth = {growth}", draws=64, rsd=rsd, **shares)
    if rho == 1:
        text = text.replace('"yearly" }', '"persistent" }')
    config = load_config(written(tmp_path, text, "one.toml"))
    found = engine.preview(config).squeeze().sel(part="total")
    sigma = math.sqrt(math.log1p(rsd**2))
    spread, ratio = sigma * math.sqrt(2 * (1 - rho)), math.log1p(growth)
    z = norm.ppf(0.975)
    expected = {
        "reference_delta": ratio,
        "delta_mean": ratio,
        "sigma": spread,
        "s1": sigma,
        "s2": sigma,
        "rho": rho,
        "mdc": (z + norm.ppf(0.8)) * spread,
        "rho_break_even": 1 - (ratio / z / sigma) ** 2 / 2,
    }
    if rho < 1:
        expected["p_decrease"] = norm.cdf(-ratio / spread)
        expected["relative_low"] = math.exp(ratio - z * spread) - 1
        expected["relative_high"] = math.exp(ratio + z * spread) - 1
    for name, value in expected.items():
        # Sizes are kept in float32; where all cancels, half the digits of the variances are left.
        assert float(found[name]) == pytest.approx(value, rel=1e-6, abs=3e-8), name
    assert str(found["verdict"].item()) == verdict
    assert found["relative_sd"].to_numpy() == pytest.approx([sigma, sigma], rel=1e-6)


def test_covariance_between_years_has_labels(tmp_path: Path) -> None:
    text = ONE_SECTOR.format(parameters="growth = 0.0", draws=64, rsd=0.5, rho=0.5, rest=0.5)
    found = engine.preview(load_config(written(tmp_path, text, "one.toml")))
    assert found["covariance"].dims[:2] == ("year", "with_year")
    total = found["covariance"].sel(part="total").squeeze().to_numpy()
    assert total[0, 1] / total[0, 0] == pytest.approx(0.5, rel=1e-12)
    assert total == pytest.approx(total.T, rel=1e-15)


def test_what_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = str(written(tmp_path, SMALL))
    text = said("preview", config)
    assert text.startswith(
        "SYNTHETIC data. a small random world; scenario base; first order, no draws\n"
    )
    assert "FIRST ORDER, NO DRAWS" in text
    assert "first-order verdict" in text
    assert "R0, S0, total" in text
    assert "pair, S0, total" in text
    assert "domestic" not in text
    years = [line.split()[0] for line in text.splitlines() if line.startswith("  20")]
    assert years == ["2000", "2000-2001", "2001-2002", "2000-2002"] * 2
    assert "domestic" in said("preview", config, "--all-parts")
    rows = list(csv.DictReader(io.StringIO(said("preview", config, "--format", "csv"))))
    same = json.loads(said("preview", config, "--format", "json"))["preview"]
    assert len(rows) == len(same) == 3 * 2 * 4
    assert float(rows[0]["sigma"]) == same[0]["sigma"]
    assert {row["basis"] for row in same} == {"first order, no draws"}
    assert not list(tmp_path.rglob("*.zarr"))
    narrow, wide = (
        json.loads(said("preview", config, "--format", "json", "--alpha", alpha))["preview"][0]
        for alpha in ("0.10", "0.01")
    )
    assert narrow["mdc"] < wide["mdc"]
    assert narrow["sigma"] == wide["sigma"]


def test_one_year_has_levels_only(tmp_path: Path) -> None:
    config = str(written(tmp_path, SMALL.replace("[2000, 2001, 2002]", "[2000]")))
    assert "  2000 " in said("preview", config)
    result = footfall("preview", config, "--format", "csv")
    assert result.exit_code == 2
    assert "one year" in result.output


def test_what_cannot_be_previewed_is_one_message(tmp_path: Path) -> None:
    config = str(written(tmp_path, SMALL))
    for words, message in (
        (("preview", config, "--scenario", "worst"), "it has base"),
        (("preview", config, "--alpha", "5"), "0.05 is 5 %"),
        (("preview", str(tmp_path / "absent.toml")), "there is no such file"),
    ):
        result = footfall(*words)
        assert result.exit_code == 2
        assert message in result.output
    with pytest.raises(InputError, match="no scenario `worst`"):
        engine.preview(load_config(tmp_path / "small.toml"), scenario="worst")


# --- beside draws ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[xr.Dataset, xr.Dataset]:
    """An ensemble of a small world, and its preview."""
    folder = tmp_path_factory.mktemp("drawn")
    text = SMALL.replace("draws = 448", "draws = 512").replace("rsd = 0.2", "rsd = 0.1")
    config = load_config(written(folder, text + "[detection]\nconfidence = 0.9\n"))
    run = workflow.run(config, folder / "run")
    return run.load(), engine.preview(config)


def test_the_preview_is_near_the_draws(drawn: tuple[xr.Dataset, xr.Dataset]) -> None:
    """sigma of changes within 5 Monte Carlo standard errors and the second order, rsd^2 = 1 %."""
    ensemble, law = drawn
    changes = analysis.changes(ensemble, DetectionRule(0.9)).sel(part=["total", "foreign"])
    expected = law.sel(part=["total", "foreign"])
    assert law.attrs["confidence"] == 0.9
    for name in ("sigma", "s1", "s2"):
        gap = np.abs(changes[name] - expected[name])
        assert bool((gap < 5 * changes[f"{name}_mcse"] + 0.02 * expected[name]).all()), name
    reference = ensemble["reference"].transpose(*expected["footprint"].dims).sel(part=expected.part)
    assert expected["footprint"].to_numpy() == pytest.approx(reference.to_numpy(), rel=1e-12)


def with_first_order(ensemble: xr.Dataset, law: xr.Dataset) -> xr.Dataset:
    """The ensemble with first-order values that follow the law, and footprints near them."""
    cell = ("stressor", "consumer", "part")
    covariance = law["covariance"].transpose(*cell, "year", "with_year").to_numpy()
    rng = np.random.default_rng(8)
    draws = ensemble.sizes["draw"]
    G = np.empty((draws, ensemble.sizes["year"], *covariance.shape[:3]))
    for place in np.ndindex(covariance.shape[:3]):
        V = covariance[place]
        G[:, :, *place] = rng.multivariate_normal(np.zeros(len(V)), V, draws, method="eigh")
    dims = ("draw", "year", *cell)
    moved = ensemble["reference"].transpose("year", *cell).to_numpy() + G
    return ensemble.assign(
        G=(dims, G), linear=(dims, G), footprint=(dims, moved + 1e-3 * rng.normal(size=G.shape) * G)
    )


def test_controlled_estimates_have_labels_and_gains(drawn: tuple[xr.Dataset, xr.Dataset]) -> None:
    ensemble, law = drawn
    made = with_first_order(ensemble, law)
    found = analysis.controlled(made, law, DetectionRule(0.9), consumer="R0")
    assert found["mean"].dims == ("year", "stressor", "consumer", "part")
    assert found["sigma"].dims == ("pair", "stressor", "consumer", "part")
    total = found.sel(part="total").squeeze()
    assert (total["mean_gain"] > 1e4).all()
    assert (total["sd_gain"] > 20).all()
    assert (total["sigma_gain"] > 2).all()
    assert float(total["p_decrease_gain"][0]) > 1.5
    assert (total["p_decrease_gain"][1:] == 1).all()  # no draw changes its sign there
    reference = made["reference"].sel(part="total", consumer="R0").squeeze()
    assert total["mean"].to_numpy() == pytest.approx(reference.to_numpy(), rel=1e-4)
    expected = law.sel(part="total", consumer="R0").squeeze()
    assert total["sd"].to_numpy() == pytest.approx(expected["sd"].to_numpy(), rel=0.01)
    assert (total["d_low"] < 5 * total["sigma"] / np.sqrt(made.sizes["draw"])).all()
    assert not (total["linearity"] == "not validated").any()
    pairs = list(zip(found["from_year"].to_numpy(), found["to_year"].to_numpy(), strict=True))
    assert pairs == [(2000, 2001), (2000, 2002), (2001, 2002)]


def test_the_linear_values_of_real_draws_steady_their_means(
    drawn: tuple[xr.Dataset, xr.Dataset],
) -> None:
    """What draws store as `linear` has mean zero and goes along; 5 standard errors throughout."""
    ensemble, law = drawn
    found = analysis.controlled(ensemble, law).sel(part="total")
    plain = analysis.levels(ensemble).sel(part="total")
    assert (found["mean_gain"] > 5).all()
    assert (np.abs(found["mean"] - plain["mean"]) < 5 * plain["mean_mcse"]).all()
    assert (found["mean_mcse"] < plain["mean_mcse"]).all()
    assert (found["delta_mean_gain"] > 5).all()


def test_controls_are_off_where_a_draw_was_rejected(
    drawn: tuple[xr.Dataset, xr.Dataset],
) -> None:
    ensemble, law = drawn
    made = with_first_order(ensemble, law)
    made["footprint"][3, 1] = np.nan
    found = analysis.controlled(made, law)
    assert (found["mean_gain"].sel(year=2001) == 1).all()
    assert (found["mean_gain"].sel(year=2000, part="total") > 1).all()
    off = (found["from_year"] == 2001) | (found["to_year"] == 2001)
    assert (found["sigma_gain"].isel(pair=np.flatnonzero(off)) == 1).all()
    plain = analysis.changes(made).isel(pair=0)
    assert found["sigma"].isel(pair=0).to_numpy() == pytest.approx(plain["sigma"].to_numpy())
    assert found["p_decrease"].isel(pair=0).to_numpy() == pytest.approx(
        plain["p_decrease"].to_numpy()
    )


def test_totals_of_one_cell_and_without_an_error_leave_nothing_to_assess(tmp_path: Path) -> None:
    """A cell that is its total has the total's error, none, but for the rounding of sums."""
    text, _ = SMALL.split("[[scenarios.base.errors]]", 1)
    text += """
[[scenarios.base.known_totals]]
quantities = ["E"]
by = ["stressor", "region", "sector"]
rsd = 0.0
source = "assumption"
components = [{ name = "inventory", weight = 1.0, group = ["stressor"], time = "yearly" }]

[[scenarios.base.errors]]
quantity = "E"
rsd = 0.2
source = "assumption"
components = [{ name = "own", weight = 1.0, group = "cell", time = "yearly" }]
"""
    config = load_config(written(tmp_path, text.replace("448", "64")))
    assert (engine.preview(config)["verdict"].sel(part="total") == "not assessed").all()
    run = workflow.run(config, tmp_path / "run", cluster=SERIAL)  # its budget adds up to nothing
    found = analysis.changes(run.load("base"), DetectionRule())
    assert (found["verdict"].sel(part="total") == "not assessed").all()
