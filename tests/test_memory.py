"""The memory that `plan` predicts is within 25 % of the measured peak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from configs import SMALL, written

ROOT = Path(__file__).parent.parent


def measured_and_predicted(config: Path, executor: str) -> tuple[int, int]:
    command = [sys.executable, "-m", "benchmarks.watched", str(config), executor]
    done = subprocess.run(
        [*command, str(config.parent / "run")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return found["peak"], found["predicted peak"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_thousand_industries(tmp_path: Path, executor: str) -> None:
    text = SMALL.replace('"random"', '"random"\nregions = 20\nsectors = 50').replace(
        "draws = 448", "draws = 128"
    )
    text = text.replace("[2000, 2001, 2002]", "[2000, 2001]")
    peak, predicted = measured_and_predicted(written(tmp_path, text), executor)
    assert abs(predicted / peak - 1) <= 0.25, (peak, predicted)


@pytest.mark.slow
@pytest.mark.realdata
def test_a_real_table_at_full_resolution(tmp_path: Path, data: Path) -> None:
    configs = ROOT / "configs"
    text = (configs / "wiod13.toml").read_text()
    for beside in ("manifests/", "names/"):
        text = text.replace(beside, f"{configs}/{beside}")
    text = text.replace("last = 2005", "last = 2001").replace("draws = 1024", "draws = 128")
    peak, predicted = measured_and_predicted(written(tmp_path, text), "threads")
    assert abs(predicted / peak - 1) <= 0.25, (peak, predicted)
