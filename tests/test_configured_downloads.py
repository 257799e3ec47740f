"""The configurations of ICIO, Eora26 and GLORIA that ship: from a generated download to `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.downloads import eora, gloria, icio
from configs import SERIAL
from engine import workflow
from engine.config import Config, load_config
from engine.errors import TableError
from engine.mrio import SILENT
from engine.readers.gloria import write_region_map
from engine.readers.groups import STANDARD_GROUPS

CONFIGS = Path(__file__).parent.parent / "configs"
EU = STANDARD_GROUPS["iso3"]["EU27_2020"]


def loaded(name: str, years: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration that ships, of fewer years."""
    text = (CONFIGS / f"{name}.toml").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith("years = "))
    (folder / f"{name}.toml").write_text(text.replace(line, f"years = {years}"))
    monkeypatch.setenv(name.upper(), str(folder))
    load_config(CONFIGS / f"{name}.toml")
    return load_config(folder / f"{name}.toml")


@pytest.fixture
def of_icio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Its accounts without the rest of the world, as they are published."""
    worlds = {
        year: icio.economy(year, (*EU, "CHN", "USA", "ROW"), ("A01", "C24A"))
        for year in (2021, 2022)
    }
    for year, world in worlds.items():
        icio.write_table(tmp_path, year, world, edition="2025", archive="2016-2022_SML.zip")
    account = icio.write_account(tmp_path / "DF_MAIN.csv", worlds)
    lines = account.read_text().replace(",C24A,", ",C241_2431,").splitlines(keepends=True)
    account.write_text("".join(line for line in lines if ",WXD," not in line))
    return loaded("icio", "[2021, 2022]", tmp_path, monkeypatch)


def test_icio_is_checked_and_says_what_the_accounts_lack(of_icio: Config) -> None:
    told = "\n".join(workflow.check(of_icio))
    assert "2025 edition" in told
    assert "60 industries, 30 regions" in told
    assert "ROW not in the account, taken as emitting nothing" in told
    assert told.count(f"{SILENT}: 1 (GHG: ROW") == 2
    assert "warning" not in told


def test_all_that_shows_a_footprint_says_what_the_accounts_lack(
    of_icio: Config, tmp_path: Path
) -> None:
    said = f"{SILENT}: GHG: ROW ("
    assert f"beware: {said}" in workflow.previewed(of_icio, of_icio.detection)
    run = workflow.run(of_icio, tmp_path / "run", draws=64, cluster=SERIAL)
    assert f"beware: {said}" in workflow.detect(run, of_icio.detection)
    assert said in workflow.report(run).read_text()
    assert "of all output), in 2022 and 1 more year" in workflow.report(run).read_text()


def test_an_account_that_has_the_rest_of_the_world_is_not_left_out(
    of_icio: Config, tmp_path: Path
) -> None:
    account = tmp_path / "DF_MAIN.csv"
    lines = account.read_text().splitlines(keepends=True)
    more = [line.replace(",USA,", ",WXD,") for line in lines if ",USA," in line]
    account.write_text("".join([*lines, *more]))
    with pytest.raises(TableError, match="ROW of `without` is in the account"):
        list(workflow.check(of_icio))


def test_eora26_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for year in (2014, 2015):
        world = eora.economy(year, (*EU, "CHN", "USA"), eora.SECTORS[:2])
        eora.write_year(tmp_path, year, world, labels="indices.zip")
    told = "\n".join(workflow.check(loaded("eora26", "[2014, 2015]", tmp_path, monkeypatch)))
    assert "58 industries, 29 regions" in told
    assert "statistical discrepancies (ROW) left out" in told
    assert SILENT not in told


def test_a_year_that_is_missing_is_told_before_any_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Eora26_2014_bp.zip").write_bytes(b"damaged")
    with pytest.raises(TableError, match="holds no Eora26 of 2015"):
        list(workflow.check(loaded("eora26", "[2014, 2015]", tmp_path, monkeypatch)))


def test_gloria_is_folded_by_a_map_from_its_readme_and_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regions, sectors = (*EU, "CHN", "IND", "USA", "XAM"), gloria.SECTORS[:2]
    gloria.write_readme(tmp_path, regions, sectors)
    for year in (2021, 2022):
        world = gloria.economy(year, regions, sectors)
        gloria.write_year(tmp_path, year, world, form="zip")
    assert write_region_map(tmp_path, [*EU, "CHN", "USA"]) == tmp_path / "regions.csv"
    told = "\n".join(workflow.check(loaded("gloria", "[2021, 2022]", tmp_path, monkeypatch)))
    assert "60 industries, 30 regions" in told
    assert "31 regions to 30, 62 industries to 60 (regions.csv)" in told
    assert SILENT not in told
    with pytest.raises(TableError, match="names no region NDL"):
        write_region_map(tmp_path, ["NDL"])
