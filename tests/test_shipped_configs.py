"""The configurations in `configs/` load, and what they need of a table is there."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from configs import SERIAL
from engine import analysis, readers, workflow
from engine.config import load_config
from engine.config.schema import Tables
from engine.draws import reference
from engine.kernels.leontief import multipliers, per_unit_output
from engine.prepare import prepare
from engine.question import with_units
from engine.readers import figaro, icio, wiod
from engine.readers.selecting import Rows

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_configuration_loads(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_DATA", "/data")
    monkeypatch.setenv("EXIOBASE3", "/data/exiobase3")
    monkeypatch.setenv("WIOD16", "/data/wiod16")
    monkeypatch.setenv("FIGARO", "/data/figaro")
    for name in ("ICIO", "EORA26", "GLORIA"):
        monkeypatch.setenv(name, f"/data/{name.lower()}")
    config = load_config(path)
    assert config.title
    assert all(entry.source for entry in config.errors)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_the_readme_names_every_configuration(path: Path) -> None:
    assert f"(configs/{path.name})" in (ROOT / "README.md").read_text()


def test_every_reader_and_every_key_of_a_download_is_documented() -> None:
    page = (ROOT / "docs" / "databases.md").read_text()
    known = Tables.model_json_schema()["properties"]["reader"]["enum"]
    specs = (
        readers.Eora26, readers.Exiobase3, readers.Figaro, readers.Gloria, readers.Icio,
        readers.Wiod, figaro.Stressor, icio.Stressor, wiod.Stressor, Rows,
    )  # fmt: skip
    keys = {field.name for spec in specs for field in dataclasses.fields(spec)}
    named = set(re.findall(r"[a-z_0-9]+", " ".join(re.findall(r"`([^`\n]+)`", page))))
    assert set(known) | keys <= named


def test_the_demonstration_is_a_synthetic_story_of_two_thousand_draws() -> None:
    config = load_config(CONFIGS / "laptop.toml")
    assert config.sampling.draws >= 2000
    assert config.sampling.years == tuple(range(2010, 2022))
    assert "synthetic" in config.title
    text = "\n".join(workflow.check(config))
    assert "SYNTHETIC" in text
    assert "120 industries, 10 regions" in text


def test_the_demonstration_in_small_decides_what_it_should(tmp_path: Path) -> None:
    """Its Dutch footprint falls by 19 % under any 2,000 draws or 512 of them."""
    run = workflow.run(load_config(CONFIGS / "laptop.toml"), tmp_path, draws=512, cluster=SERIAL)
    with run.open() as ensemble:
        assert (ensemble["status"] == 0).all()
        assert json.loads(ensemble.attrs["tables"])["2010"]["synthetic"]
        changes = analysis.changes(ensemble, pairs=[(2010, 2021)], consumer="NLD")
    total = changes.sel(part="total").squeeze()
    assert float(total["relative_change"]) == pytest.approx(-0.19, abs=0.005)
    assert str(total["verdict"].item()) == "decrease"
    assert str(changes.sel(part="foreign")["verdict"].item()) == "not detectable"


def test_pymrios_test_table_runs_from_check_to_report(tmp_path: Path) -> None:
    config = load_config(CONFIGS / "pymrio_test.toml")
    assert "48 industries, 6 regions" in "\n".join(workflow.check(config))
    run = workflow.run(config, tmp_path, draws=64, cluster=SERIAL)
    levels = analysis.levels(run.open())
    groups = levels["reference"].sel(part="total").squeeze()
    assert float(groups.sel(consumer="first three")) > float(groups.sel(consumer="reg1"))
    assert workflow.report(run).exists()


@pytest.mark.realdata
def test_wiod_reference_through_the_configuration(tmp_path: Path, data: Path) -> None:
    """The stored reference of a run equals the shared footprints, part by part (1e-9 relative)."""
    config = load_config(CONFIGS / "wiod13.toml")
    table = readers.read(config.tables, 2000)
    question = with_units(config.question, table.labels)
    prepared = prepare(table, config.errors, question, config.sampling.seed)
    found = reference(prepared)[0] / 1000  # kt to Mt
    names = [consumer.name for consumer in question.consumers]
    path = data / "wiod13" / "reference_footprints_dev_2000_2005.csv"
    table_of = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    for row in table_of:
        if row["year"] == 2000 and row["gas"] == "CO2" and row["region"] in names:
            expected = [
                row[f"{part}_Mt"] for part in ("consumption", "domestic", "foreign", "direct")
            ]
            assert found[names.index(row["region"])] == pytest.approx(expected, rel=1e-9)


FOLDERS = ("insee_wiod_5x4", "cml_3reg_8sec_2015", "useeio", "useeio_georgia")


@pytest.mark.realdata
@pytest.mark.parametrize("name", FOLDERS)
def test_shared_folders_pass_the_check(name: str, data: Path) -> None:
    config = load_config(CONFIGS / f"{name}.toml")
    told = "\n".join(workflow.check(config))
    assert "warning: that is more than rounding" not in told
    if "useeio" not in name:
        assert "row sums are the published output but for rounding" in told


def footprints(name: str, year: int) -> dict[str, float]:
    """The totals of a configuration's first stressor, by consumer."""
    config = load_config(CONFIGS / f"{name}.toml")
    table = readers.read(config.tables, year)
    question = with_units(config.question, table.labels)
    prepared = prepare(table, config.errors, question, config.sampling.seed)
    consumers = (consumer.name for consumer in question.consumers)
    return dict(zip(consumers, reference(prepared)[0, :, 0], strict=True))


@pytest.mark.realdata
def test_insees_footprints_are_the_published_ones(data: Path) -> None:
    """To the five decimals, in Mt, of the published file."""
    path = data / "insee_wiod_5x4" / "reference_footprints_co2.csv"
    rows = np.genfromtxt(path, delimiter=",", names=True, dtype=None, encoding="utf-8")
    published = {
        (row["region"], row["year"]): row["cba_co2_Mt"] for row in rows if row["mrio"] == "wiod"
    }
    for year in (2000, 2007, 2014):
        found = footprints("insee_wiod_5x4", year)
        expected = [published[region, year] for region in ("FRA", "UE_OTHERS")]
        assert found["FRA"] / 1000 == pytest.approx(expected[0], abs=6e-6)
        assert found["EU"] / 1000 == pytest.approx(sum(expected), abs=1.2e-5)


@pytest.mark.realdata
def test_the_aggregates_footprints_are_those_of_its_description(data: Path) -> None:
    """13.14, 13.36 and 8.26 Gt of CO2, 34.76 Gt in all, as the folder's README says."""
    found = footprints("cml_3reg_8sec_2015", 2015)
    assert [round(found[name] / 1e9, 2) for name in ("OECD", "BRICS", "ROW")] == [
        13.14, 13.36, 8.26,
    ]  # fmt: skip
    assert round(sum(found.values()) / 1e9, 2) == 34.76


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "model", "year"),
    [("useeio", "USEEIOv2.0.1-411", 2012), ("useeio_georgia", "GAEEIOv1.0-s-20", 2020)],
)
def test_useeios_tables_have_the_published_multipliers(
    name: str, model: str, year: int, data: Path
) -> None:
    """N = D (I - A)^-1, read as deliveries and emissions and made coefficients again."""
    table = readers.read(load_config(CONFIGS / f"{name}.toml").tables, year)
    with np.load(data / "useeio" / f"{model}.npz") as published:
        N, A = published["N"], published["A"]
    s = per_unit_output(table.E, table.x, table.active)
    found = multipliers(per_unit_output(table.Z, table.x, table.active), s)
    # N less all that passes through industries without output, by the inverse of a part of I - A.
    L = np.linalg.inv(np.eye(len(A)) - A)
    idle = ~table.active
    made = np.linalg.solve(L[np.ix_(idle, idle)], L[idle])
    np.testing.assert_allclose(found[:, ~idle], (N - N[:, idle] @ made)[:, ~idle], rtol=1e-8)
    assert idle.sum() == {"useeio": 3, "useeio_georgia": 0}[name]
