"""Entries of the budget frozen and drawn: what is left of sigma is what the budget says."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from configs import SMALL, loaded
from engine.errors import InputError
from engine.kernels.budget import ratio_of_sds
from engine.studies.freezing import Confirmed, confirm, rows_as


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Confirmed:
    """Errors of some per cent, which a first order describes to less than a standard error."""
    changes = ("rsd = 0.1", "rsd = 0.04"), ("rsd = 0.2", "rsd = 0.05")
    return confirm(loaded(tmp_path_factory.mktemp("small"), SMALL, *changes), 4, 960)


def test_frozen_draws_confirm_the_budget(confirmed: Confirmed) -> None:
    """4 standard errors over 24 numbers: 1 in 650 false failures."""
    assert len(confirmed.rows) == 8
    assert {row["draws"] for row in confirmed.rows} == {960}
    for row in confirmed.rows:
        for name in ("sigma", "sigma_without", "ratio"):
            error = row[f"{name}_drawn_mcse"]
            assert abs(row[f"{name}_drawn"] - row[name]) <= 4 * error + 1e-12
        # Not a comparison of nothing, and better known than two sets of draws would tell.
        assert row["ratio_drawn_mcse"] < 0.03
    assert min(row["ratio"] for row in confirmed.rows) < 0.8


def test_the_forms_hold_the_same_rows(confirmed: Confirmed) -> None:
    assert json.loads(rows_as(confirmed, "json")) == {"confirmed": list(confirmed.rows)}
    lines = list(csv.DictReader(io.StringIO(rows_as(confirmed, "csv"))))
    assert [float(line["ratio"]) for line in lines] == [row["ratio"] for row in confirmed.rows]
    text = rows_as(confirmed, "text")
    assert text.startswith("SYNTHETIC data. a small random world; scenario base; ")
    for row in confirmed.rows:
        assert f"{row['by']} {row['entry']}" in text


def test_one_year_has_nothing_to_confirm(tmp_path: Path) -> None:
    config = loaded(tmp_path, SMALL, ("years = [2000, 2001, 2002]", "years = [2000]"))
    with pytest.raises(InputError, match="one year"):
        confirm(config, 1, 64)


def test_a_ratio_of_sds_from_the_same_draws_is_known_better() -> None:
    """x = u + v, y = u: ratio sqrt(1/2) with asymptotic variance (1 - rho^2) ratio^2 / D, rho^2
    the correlation 1/2 of x and y squared: both sds' scatter, less what they have in common.
    """
    rng, D = np.random.default_rng(3), 20_000
    u, v = rng.standard_normal((2, D))
    found = ratio_of_sds(u + v, u)
    assert found.mcse == pytest.approx(np.sqrt(0.5 * 0.5 / D), rel=0.05)
    assert abs(found.value - np.sqrt(0.5)) <= 4 * found.mcse
    apart = np.sqrt(2 * 0.5 / (2 * D))
    assert found.mcse < 0.75 * apart
