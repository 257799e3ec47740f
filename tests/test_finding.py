"""The finding: the page holds what its numbers say, and fewer draws say the same within chance."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine import workflow
from engine.config import load_config
from engine.kernels.changes import DetectionRule, decrease_percent, rho_break_even

ROOT = Path(__file__).parent.parent
NUMBERS = ROOT / "docs" / "finding" / "finding.json"
SHORT = {"Netherlands": "NLD", "Germany": "DEU", "EU27": "EU27_2007", "China": "CHN", "USA": "USA"}


def kept() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(NUMBERS.read_text(encoding="utf-8"))
    return found


def test_the_page_holds_its_own_numbers() -> None:
    page = (ROOT / "docs" / "finding.md").read_text(encoding="utf-8")
    rows = {(row["consumer"], row["to_year"]): row for row in kept()["base/changes"]}
    lines = re.findall(r"^\| (\w+) \| (\d{4}) \| ([+-]?[\d.]+) % \|.*$", page, re.MULTILINE)
    assert len(lines) == len(rows) == 25
    for short, year, change in lines:
        row = rows[SHORT[short], int(year)]
        assert float(change) == pytest.approx(100 * row["relative_change"], abs=0.051)
    for line in re.findall(r"^\| \w+ \| \d{4} \|.*$", page, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        row = rows[SHORT[cells[0]], int(cells[1])]
        assert cells[7] == row["verdict"]
        assert float(cells[5]) == pytest.approx(row["rho"], abs=5.1e-4)
    found = sum(row["verdict"] in ("decrease", "increase") for row in rows.values())
    assert f"**{found} {'is' if found == 1 else 'are'} detectable**" in page
    for figure in re.findall(r"\]\((finding/\w+\.\w+)\)", page):
        assert (ROOT / "docs" / figure).is_file()


def test_the_numbers_are_those_of_the_present_rule() -> None:
    """MDCs, break-even correlations and verdicts follow from the rows' sigmas and acceptances."""
    rule, rows = DetectionRule(), kept()
    for table in (name for name in rows if name.endswith("/changes")):
        for row in rows[table]:
            z = rule.z_where_accepted(row["acceptance"])
            # Beyond it lies only what a delta that is not centred at its estimate adds.
            assert row["mdc"] == pytest.approx((z + rule.z_power) * row["sigma"], rel=1e-4)
            assert row["mdc_decrease_percent"] >= float(decrease_percent(row["mdc"])) * (1 - 1e-4)
            sizes = row["s1"], row["s2"], row["reference_delta"]
            even = float(rho_break_even(*sizes, rule, row["acceptance"]))
            # Six digits are kept of each, and two terms of some size cancel.
            assert row["rho_break_even"] == pytest.approx(even, rel=5e-5, abs=5e-5)
            falls, rises = row["p_decrease"], 1 - row["p_decrease"]
            if row["verdict"] in ("decrease", "increase"):
                tail = rises if row["verdict"] == "decrease" else falls
                lost = 1 - row["acceptance"]
                assert (1 - lost) * tail + lost < rule.alpha / 2


@pytest.mark.realdata
@pytest.mark.timeout(300)
def test_fewer_draws_say_the_same_within_chance(tmp_path: Path) -> None:
    """Sigma of all 25 changes of the base model; 5 standard errors, one failure in 60,000 runs."""
    if "FOOTFALL_DATA" not in os.environ:
        pytest.skip("FOOTFALL_DATA is not set: no real tables here")
    config = load_config(ROOT / "configs" / "finding.toml")
    base = replace(config, scenarios=config.scenarios[:1])
    run = workflow.run(base, tmp_path / "run", draws=256)
    told = json.loads(workflow.detect(run, workflow.rule_of(run), form="json", table="changes"))
    now = {
        (row["consumer"], row["from_year"]): row
        for row in told["changes"]
        if row["part"] == "total" and row["to_year"] == row["from_year"] + 1
    }
    for row in kept()["base/changes"]:
        mine = now[row["consumer"], row["from_year"]]
        apart = abs(mine["sigma"] - row["sigma"])
        assert apart <= 5 * mine["sigma_mcse"]
        assert mine["reference_change"] == pytest.approx(row["reference_change"], rel=1e-5)
