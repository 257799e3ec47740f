"""Small configurations for tests, as the text a user would write."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from engine import workflow
from engine.cli import main
from engine.clusters import ClusterSpec, Executor
from engine.config import Config, load_config

SMALL = """
title = "a small random world"

[tables]
reader = "toy"
world = "random"
years = [2000, 2001, 2002]

[question]
consumers = ["R0", "pair"]
stressors = ["S0"]

[groups.pair]
members = ["R0", "R1"]

[method]
perturb = "accounts"

[sampling]
seed = 7
draws = 448
block = 64

[cluster]
dashboard = false

[[scenarios.base.errors]]
quantity = "E"
rsd = 0.1
source = "assumption"
components = [
  { name = "national", weight = 0.5, group = ["stressor", "region"], time = "persistent" },
  { name = "own", weight = 0.5, group = "cell", time = "yearly" },
]

[[scenarios.base.errors]]
quantity = "Z"
rsd = 0.2
source = "assumption"
components = [{ name = "own", weight = 1.0, group = "cell", time = { ar1 = 0.8 } }]
"""

ONE_SECTOR = """
title = "one sector"

[tables]
reader = "toy"
world = "one_sector"
years = [2000, 2001]
{parameters}

[question]
consumers = ["R0"]
stressors = ["CO2"]

[method]
perturb = "coefficients"

[sampling]
seed = 11
draws = {draws}
block = 64

[cluster]
executor = "serial"

[[scenarios.base.errors]]
quantity = "s"
rsd = {rsd}
source = "assumption"
components = [
  {{ name = "lasting", weight = {rho}, group = "cell", time = "persistent" }},
  {{ name = "yearly", weight = {rest}, group = "cell", time = "yearly" }},
]
"""


SERIAL = ClusterSpec(Executor.SERIAL)


def loaded(folder: Path, text: str, *changes: tuple[str, str]) -> Config:
    """A configuration with some of its text replaced; what is replaced must be there."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return load_config(written(folder, text))


def arrays(run: workflow.Run) -> dict[str, bytes]:
    """Everything numerical in an ensemble, decoded."""
    with run.open() as ensemble:
        return {name: ensemble[name].values.tobytes() for name in ensemble.data_vars}


def written(folder: Path, text: str, name: str = "small.toml") -> Path:
    """A configuration file with this text."""
    path = folder / name
    path.write_text(text)
    return path


def footfall(*words: str) -> Result:
    """The command line with these words."""
    return CliRunner().invoke(main, list(words))


def said(*words: str) -> str:
    """What the command line prints, which must succeed."""
    result = footfall(*words)
    assert result.exit_code == 0, result.output
    return result.output
