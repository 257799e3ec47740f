"""What `check` says an error model implies, against sums by hand and the textbook's numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from configs import SMALL, loaded
from engine import readers, workflow
from engine.config import Config
from engine.error_model import factor_correlation
from engine.kernels.elementary import log_sd
from engine.prepare import Prepared, prepare
from engine.question import with_units
from engine.workflow.implied import Implied, implied, years_shown

OWN = '{ name = "own", weight = 1.0, group = "cell", time = "yearly" }'


def found(config: Config) -> tuple[Implied, list[Prepared]]:
    shown = years_shown(config.sampling.years)
    tables = [readers.read(config.tables, year) for year in shown]
    question = with_units(config.question, tables[0].labels)
    prepared = [prepare(table, config.errors, question, 1) for table in tables]
    return implied(prepared, [table.x for table in tables]), prepared


def test_the_first_two_years_and_the_last_are_shown() -> None:
    assert years_shown(range(2000, 2010)) == (2000, 2001, 2009)
    assert years_shown([2000, 2005]) == (2000, 2005)
    assert years_shown([2000]) == (2000,)


@pytest.mark.parametrize(("method", "sd"), [("accounts", 4.291255), ("coefficients", 6.200958)])
def test_the_footprint_of_two_regions_has_its_known_sd(
    tmp_path: Path, method: str, sd: float
) -> None:
    """E = (50, 30), F_1 = 51, all cells independent at 10 % (science, item 7)."""
    quantities = ("Z", "E", "Y") if method == "accounts" else ("A", "s", "Y")
    entries = "".join(
        f'[[scenarios.base.errors]]\nquantity = "{q}"\nrsd = {math.sqrt(math.expm1(0.01))}\n'
        f'source = "assumption"\ncomponents = [{OWN}]\n'
        for q in quantities
    )
    text = SMALL[: SMALL.index("[[scenarios")] + entries
    config = loaded(
        tmp_path,
        text,
        ('world = "random"', 'world = "two_regions"'),
        ('"accounts"', f'"{method}"'),
        ('"S0"', '"CO2"'),
    )
    seen, _ = found(config)
    assert seen.footprint[0, 0, 0] == pytest.approx(sd / 51, rel=1e-6)
    assert seen.emissions[0, 0] == pytest.approx([0.1, 0.1 * math.hypot(50, 30) / 80], rel=1e-6)
    assert seen.emissions_rho[0, 1] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("method", ["accounts", "coefficients"])
def test_a_countrys_emissions_by_hand(tmp_path: Path, method: str) -> None:
    """National and lasting for half the variance, the sectors' own and new every year for half."""
    changes = [('"accounts"', f'"{method}"')]
    if method == "coefficients":
        changes += [('quantity = "E"', 'quantity = "s"'), ('quantity = "Z"', 'quantity = "A"')]
    config = loaded(tmp_path, SMALL, *changes)
    seen, _ = found(config)
    tables = [readers.read(config.tables, year) for year in (2000, 2001)]
    sigma = float(log_sd(np.array(0.1)))
    homes = np.array([region for region, _ in tables[0].labels.industries])
    inside = [np.isin(homes, names) for names in (["R0"], ["R0", "R1"])]
    sums = []
    for table in tables:
        own = [table.E[0, home & table.active] for home in inside]
        total = [own[0].sum() + table.F_Y[0, 0], own[1].sum() + table.F_Y[0, :2].sum()]
        sums.append((own, total))
    (own, total), (later, _) = sums
    regions = [[own[0].sum()], [own[0].sum(), own[1].sum() - own[0].sum()]]
    regions_later = [[later[0].sum()], [later[0].sum(), later[1].sum() - later[0].sum()]]
    for c in (0, 1):
        shared, alone = sum(np.square(regions[c])), np.square(own[c]).sum()
        sd = sigma * math.sqrt(0.5 * shared + 0.5 * alone)
        assert seen.emissions[0, 0, c] == pytest.approx(sd / total[c], rel=1e-5)
        sd_later = sigma * math.sqrt(
            0.5 * sum(np.square(regions_later[c])) + 0.5 * np.square(later[c]).sum()
        )
        rho = 0.5 * sigma**2 * np.dot(regions[c], regions_later[c]) / (sd * sd_later)
        assert seen.emissions_rho[0, 1, 0, c] == pytest.approx(rho, rel=1e-5)


def test_check_prints_a_table_and_says_what_lies_outside(tmp_path: Path) -> None:
    told = "\n".join(workflow.check(loaded(tmp_path, SMALL)))
    assert "implied, to first order" in told
    line = next(line for line in told.splitlines() if line.split()[:2] == ["R0", "S0"])
    seen, _ = found(loaded(tmp_path, SMALL))
    assert f"{100 * seen.footprint[0, 0, 0]:.3g} %" in line
    assert f"{seen.footprint_rho[0, 2, 0, 0]:.3f}" in line
    assert f"of factors {factor_correlation(0.5, 0.1, 0.1):.4g}" in told
    tiny = loaded(tmp_path, SMALL, ("rsd = 0.1", "rsd = 0.001"), ("rsd = 0.2", "rsd = 0.001"))
    told = "\n".join(workflow.check(tiny))
    assert "orientation: carbon footprints" in told
    assert "R0 S0" in told.split("outside that range:")[1]
    assert "nothing" not in told


def test_one_year_has_no_correlations_and_no_errors_no_cv(tmp_path: Path) -> None:
    one = loaded(tmp_path, SMALL, ("[2000, 2001, 2002]", "[2000]"))
    told = "\n".join(workflow.check(one))
    assert "footprint CV 2000" in told
    assert "corr" not in told.split("implied")[1]
