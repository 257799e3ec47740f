"""What `plan` predicts of a run, beside what the run then takes: memory and time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks import tables
from benchmarks.bars import LAW
from benchmarks.records import Record, Result
from benchmarks.settings import ROOT, Settings, say
from benchmarks.tables import Synthetic
from benchmarks.timing import Spread
from engine.mrio import MRIO

_MANIFEST = """
[files]
per_year = "table_{{year}}.npz"

[arrays]
Z = "Z"
Y = "Y"

[labels]
regions = {{ array = "regions" }}
sectors = {{ array = "sectors" }}
final_demand_categories = 1
currency = "{currency}"

[stressors]
names = {{ array = "stressors" }}
units = {{ array = "units" }}
emissions = "E"
direct = "F_Y"

[provenance]
source = "{source}"
version = "{version}"
licence = "BSD-3-Clause"
synthetic = true
"""
_CONFIG = """
title = "SYNTHETIC, n = {n}: one stressor's totals of all consumers"

[tables]
reader = "arrays"
manifest = "manifest.toml"
root = "."
years = {{ first = {first}, last = {last} }}

[question]
consumers = {consumers}
stressors = ["CO2"]
parts = ["total"]

[method]
perturb = "coefficients"

[sampling]
seed = 2026
draws = {draws}
block = {block}

[[scenarios.base.errors]]
quantity = "A"
power_law = {law}
source = "assumption, made up to measure speed"
components = [{{ name = "own", weight = 1.0, group = "cell", time = "yearly" }}]
"""


def measure_planned(settings: Settings) -> Iterator[Result]:
    """Whole runs of the first bar: 1,024 draws of four years at 9,800 industries the largest."""
    sizes = {120: (2, 128)} if settings.quick else {1200: (2, 512), 2944: (2, 512), 9800: (4, 1024)}
    for n, (years, draws) in sizes.items():
        if n in settings.sizes or n == 1200:
            say(f"  n = {n}, {draws} draws x {years} years")
            yield from _one(n, years, draws)


def _one(n: int, years: int, draws: int) -> Iterator[Record]:
    # The usual temporary folder may be memory, and would count as if it were the run's.
    place = ROOT / "benchmarks" / "results"
    place.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as folder:
        config = written(Path(folder), n, years, draws)
        command = [sys.executable, "-m", "benchmarks.watched", str(config), "threads"]
        done = subprocess.run(
            [*command, str(Path(folder) / "run")],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    case = f"SYNTHETIC, n = {n}, first bar, {draws} draws x {years} years, 2 threads"
    for name, unit in (("peak", "B"), ("seconds", "s")):
        value, predicted = found[name], found[f"predicted {name}"]
        facts = {"predicted": predicted, "predicted / measured": predicted / value}
        yield Record("planned", case, name, Spread.of([value]), unit, facts=facts)


def written(folder: Path, n: int, years: int, draws: int, block: int = 64) -> Path:
    """The path of a configuration of the first bar, beside its tables in a folder."""
    world, first = Synthetic.of(n), tables.BASE_YEAR
    for year in range(first, first + years):
        table = tables.make(world, year)
        _save(table, folder / f"table_{year}.npz")
    labels, provenance = table.labels, table.provenance
    (folder / "manifest.toml").write_text(
        _MANIFEST.format(
            currency=labels.currency, source=provenance.source, version=provenance.version
        )
    )
    law = {name: getattr(LAW, name) for name in LAW.__dataclass_fields__}
    path = folder / "planned.toml"
    path.write_text(
        _CONFIG.format(
            n=n, first=first, last=first + years - 1, draws=draws, block=block,
            consumers=json.dumps(list(labels.regions)),
            law="{ " + ", ".join(f"{k} = {json.dumps(v)}" for k, v in law.items()) + " }",
        )
    )  # fmt: skip
    return path


def _save(table: MRIO, path: Path) -> None:
    labels = table.labels
    np.savez(
        path, Z=table.Z, Y=table.Y, E=table.E, F_Y=table.F_Y,
        regions=np.array(labels.regions), sectors=np.array(labels.sectors),
        stressors=np.array(labels.stressors), units=np.array(labels.stressor_units),
    )  # fmt: skip
