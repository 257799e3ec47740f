"""GLORIA's download, written small in its true layout, and what is read from it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import openpyxl
import pymrio
import pytest

import engine
from benchmarks.downloads import gloria as downloads
from benchmarks.downloads.worlds import World
from engine import readers
from engine.errors import ConfigError, TableError
from engine.mrio import findings
from engine.readers import Aggregated, Aggregation, gloria
from engine.readers.gloria import Gloria
from engine.readers.selecting import Rows

REGIONS = ("NLD", "DEU", "XAM")
SECTORS = ("Growing wheat", "Basic iron", "Other services, n.e.c")
GHG = {"GHG": Rows((f"{downloads.HEAD} - {downloads.GHG}",), "Mt", downloads.UNIT, 1e-3)}


@pytest.fixture
def world() -> World:
    return downloads.economy(2020, REGIONS, SECTORS)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    downloads.write_readme(tmp_path, REGIONS, SECTORS)
    downloads.write_year(tmp_path, 2020, world)
    return tmp_path


@pytest.fixture
def maps(tmp_path: Path) -> Aggregation:
    (tmp_path / "regions.csv").write_text("from,to\nNLD,NLD\nDEU,World\nXAM,World\n")
    (tmp_path / "sectors.csv").write_text(
        'from,to\nGrowing wheat,Goods\nBasic iron,Goods\n"Other services, n.e.c",Services\n'
    )
    return Aggregation(tmp_path / "regions.csv", tmp_path / "sectors.csv")


def mixed(world: World) -> np.ndarray:
    """A supply table in which every industry also makes a little of its region's products."""
    home = np.kron(np.eye(3), np.ones((3, 3)))
    shares = 0.8 * np.eye(9) + home * (0.2 / 3)
    supplied: np.ndarray = shares * world.x  # columns add up to the use of each product
    return supplied


@pytest.mark.parametrize("system", ["pxp", "ixi"])
def test_a_year_of_one_product_an_industry_is_its_use_table(
    folder: Path, world: World, system: Literal["pxp", "ixi"]
) -> None:
    table = readers.read(Gloria(folder, GHG, system), 2020)
    assert readers.years(Gloria(folder, GHG)) == (2020,)
    assert table.labels.regions == REGIONS
    assert table.labels.industries == tuple((a, s) for a in REGIONS for s in SECTORS)
    assert np.allclose(table.Z, world.Z, rtol=1e-7)
    assert np.allclose(table.Y, world.Y.reshape(9, 3, 6).sum(axis=2), rtol=1e-7)
    assert np.allclose(table.E[0], world.emissions / 1e3, rtol=1e-7)
    assert np.allclose(table.F_Y[0], world.households / 1e3, rtol=1e-7)
    assert table.published_output is not None
    assert np.allclose(table.published_output, table.x, rtol=1e-7)
    assert table.labels.currency == "thousand USD, current basic prices"
    assert table.provenance.version == "release 059"


def test_industry_technology_is_the_manuals_model_b(tmp_path: Path, world: World) -> None:
    V = mixed(world)
    downloads.write_readme(tmp_path, REGIONS, SECTORS)
    downloads.write_year(tmp_path, 2020, world, supply=V)
    table = readers.read(Gloria(tmp_path, GHG), 2020)
    g, q = V.sum(axis=1), world.x
    A = world.Z @ np.diag(1 / g) @ V @ np.diag(1 / q)  # Eurostat Manual 2008, chapter 11
    R = world.emissions / 1e3 @ np.diag(1 / g) @ V
    assert np.allclose(table.Z / q, A, rtol=1e-6)
    assert np.allclose(table.E[0], R, rtol=1e-6)
    assert np.allclose(table.x, q, rtol=1e-6)
    assert table.E.sum() == pytest.approx(world.emissions.sum() / 1e3, rel=1e-7)


def test_what_industries_without_supply_emit_is_told(tmp_path: Path, world: World) -> None:
    """By model B it is of no product; by D the industry is inactive, and reported."""
    V = np.diag(world.x)
    V[4, 4] = 0.0
    downloads.write_readme(tmp_path, REGIONS, SECTORS)
    downloads.write_year(tmp_path, 2020, world, supply=V)
    table = readers.read(Gloria(tmp_path, GHG), 2020)
    lost = world.emissions[4] / 1e3
    assert table.E.sum() == pytest.approx(world.emissions.sum() / 1e3 - lost, rel=1e-7)
    bought = f"they buy {world.Z[:, 4].sum():.6g} thousand USD, emit {lost:.6g} Mt GHG"
    assert bought in table.provenance.source
    table = readers.read(Gloria(tmp_path, GHG, "ixi"), 2020)
    assert table.E.sum() == pytest.approx(world.emissions.sum() / 1e3, rel=1e-7)
    kinds = {one.kind: one.detail for one in findings(table)}
    assert kinds["emissions of inactive industries, excluded"] == f"{lost:.6g} Mt GHG"


def test_fixed_sales_structures_are_the_manuals_model_d(tmp_path: Path, world: World) -> None:
    V = mixed(world)
    downloads.write_readme(tmp_path, REGIONS, SECTORS)
    downloads.write_year(tmp_path, 2020, world, supply=V)
    table = readers.read(Gloria(tmp_path, GHG, "ixi"), 2020)
    g, q = V.sum(axis=1), world.x
    T = V @ np.diag(1 / q)
    assert np.allclose(table.Z, T @ world.Z, rtol=1e-6)
    assert np.allclose(table.Y, T @ world.Y.reshape(9, 3, 6).sum(axis=2), rtol=1e-6)
    assert np.allclose(table.E[0], world.emissions / 1e3, rtol=1e-7)
    assert np.allclose(table.x, g, rtol=1e-6)


def test_both_models_give_one_footprint_of_one_product_an_industry(folder: Path) -> None:
    found = []
    for system in ("pxp", "ixi"):
        table = readers.read(Gloria(folder, GHG, system), 2020)  # type: ignore[arg-type]
        L = np.linalg.inv(np.eye(9) - table.Z / table.x)
        found.append(table.E[0] / table.x @ L @ table.Y)
    assert np.allclose(*found, rtol=1e-10)
    assert found[0].sum() == pytest.approx(table.E.sum(), rel=1e-6)


def test_folding_while_reading_is_folding_afterwards(folder: Path, maps: Aggregation) -> None:
    full = Gloria(folder, GHG)
    read = readers.read(Aggregated(full, maps), 2020)
    afterwards = readers.aggregated(readers.read(full, 2020), maps)
    assert read.labels == afterwards.labels
    assert read.labels.industries == tuple(
        (a, s) for a in ("NLD", "World") for s in ("Goods", "Services")
    )
    for name in ("Z", "Y", "E", "F_Y", "published_output"):
        mine, other = getattr(read, name), getattr(afterwards, name)
        assert np.allclose(mine, other, rtol=1e-12, atol=0), name
    assert "3 regions to 2, 9 industries to 4 (regions.csv, sectors.csv)" in read.provenance.source
    assert readers.full(Aggregated(full, maps), 2020) is None


@pytest.mark.parametrize("form", ["zip", "folder", "flat", "deep"])
def test_every_way_of_keeping_a_year_holds_the_same(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    form: Literal["zip", "folder", "flat", "deep"],
) -> None:
    other = tmp_path_factory.mktemp("other")
    downloads.write_readme(other, REGIONS, SECTORS)
    downloads.write_year(other, 2020, world, form="folder" if form == "deep" else form)
    if form == "deep":  # as some keep a folder for each kind of prices
        for kind in ("T", "Y"):
            file = file_of(other, kind)
            (deeper := file.parent / "Basic prices").mkdir(exist_ok=True)
            file.rename(deeper / file.name)
    one, two = readers.read(Gloria(folder, GHG), 2020), readers.read(Gloria(other, GHG), 2020)
    assert one.labels == two.labels
    for name in ("Z", "Y", "E", "F_Y", "published_output"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def file_of(folder: Path, kind: str) -> Path:
    (found,) = folder.glob(f"GLORIA_*/*_{kind}-Results_*")
    return found


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("T", lambda t: t[: t[:-1].rindex("\n") + 1], "has 17 rows"),
        ("T", lambda t: t + t[: t.index("\n") + 1], "has more than the 18 rows"),
        ("T", lambda t: t[:-9], "the lines above"),
        ("T", lambda t: t.replace(",", ";"), "has 1 columns"),
        ("T", lambda t: t.replace("0.0", "abc", 1), "is not a finite number"),
        ("Y", lambda t: t[t.index("\n") + 1 :], "has 17 rows"),
        ("TQ", lambda t: t[t.index("\n") + 1 :], "has 2 rows"),
        ("TQ", lambda t: t.replace("0.0,0.0,0.0", "1.0,1.0,1.0"), "has emissions of products"),
        ("YQ", lambda t: t.replace("\n", ",0.0\n"), "has 19 columns"),
    ],
)
def test_a_year_that_is_not_whole_is_refused(
    folder: Path, kind: str, change: Callable[[str], str], said: str
) -> None:
    path = file_of(folder, kind)
    path.write_text(change(path.read_text()))
    with pytest.raises(TableError) as caught:
        readers.read(Gloria(folder, GHG), 2020)
    assert said in caught.value.what


def test_what_lies_outside_supply_and_use_is_told(folder: Path) -> None:
    path = file_of(folder, "T")
    text = path.read_text()
    path.write_text("5.0" + text[text.index(",") :])  # the first industry to itself
    table = readers.read(Gloria(folder, GHG), 2020)
    assert "5 thousand USD left out" in table.provenance.source


def test_missing_and_doubled_files_are_named(folder: Path, world: World) -> None:
    downloads.write_year(folder, 2020, world, form="flat")
    with pytest.raises(TableError, match="are both T of 2020"):
        readers.read(Gloria(folder, GHG), 2020)
    for path in folder.glob("*Results*"):
        path.unlink()
    file_of(folder, "YQ").unlink()
    with pytest.raises(TableError, match="lacks the file YQ of 2020"):
        readers.read(Gloria(folder, GHG), 2020)


def test_a_readme_that_is_another_is_refused(folder: Path) -> None:
    book = openpyxl.load_workbook(folder / "GLORIA_ReadMe_059.xlsx")
    del book["Satellites"]
    book.save(folder / "GLORIA_ReadMe_059.xlsx")
    with pytest.raises(TableError, match="has no sheet 'Satellites'"):
        readers.read(Gloria(folder, GHG), 2020)
    (folder / "GLORIA_ReadMe_059.xlsx").write_bytes(b"PK no workbook")
    with pytest.raises(TableError, match="is no whole workbook"):
        readers.read(Gloria(folder, GHG), 2020)
    (folder / "GLORIA_ReadMe_059.xlsx").unlink()
    with pytest.raises(TableError, match="holds 0 workbooks"):
        readers.read(Gloria(folder, GHG), 2020)


def test_files_of_several_releases_are_refused(folder: Path) -> None:
    """Two releases have as many accounts, and not in one order."""
    other = folder / "GLORIA_ReadMe_060.xlsx"
    (folder / "GLORIA_ReadMe_059.xlsx").rename(other)
    with pytest.raises(TableError, match=r"_060\.xlsx names the rows of release 60, .* are of 59"):
        readers.read(Gloria(folder, GHG), 2020)
    other.rename(folder / "GLORIA_ReadMe_059.xlsx")
    path = file_of(folder, "TQ")
    path.rename(path.with_name(path.name.replace("_059_", "_057_")))
    with pytest.raises(TableError, match="several releases: T of 59, Y of 59, TQ of 57, YQ of 59"):
        readers.read(Gloria(folder, GHG), 2020)


@pytest.mark.parametrize(("what", "names"), [("region", REGIONS), ("sector", SECTORS)])
def test_a_name_that_is_there_twice_is_refused(
    folder: Path, what: str, names: tuple[str, ...]
) -> None:
    given = {"region": REGIONS, "sector": SECTORS, what: (*names[:2], names[0])}
    downloads.write_readme(folder, given["region"], given["sector"])
    with pytest.raises(TableError, match=f"names the {what} {names[0]} twice"):
        readers.read(Gloria(folder, GHG), 2020)


def test_an_account_or_unit_that_is_another_is_refused(folder: Path) -> None:
    for rows, said in (
        (Rows(("Emissions (EDGAR) - 'GHG'",), "kilotonnes"), "the account has no rows"),
        (Rows(GHG["GHG"].rows, "kilotonnes"), "is in kilotonnes CO2-equivalent"),
    ):
        with pytest.raises(TableError, match=said):
            readers.read(Gloria(folder, {"GHG": rows}), 2020)


def test_maps_must_name_what_the_readme_names(folder: Path, maps: Aggregation) -> None:
    assert maps.regions is not None
    maps.regions.write_text("from,to\nNLD,NLD\nDEU,World\n")
    with pytest.raises(TableError, match="XAM is not in the map"):
        readers.read(Aggregated(Gloria(folder, GHG), maps), 2020)


def test_full_lists_have_the_published_sizes() -> None:
    assert 2 * len(downloads.REGIONS) * len(downloads.SECTORS) == 39_360


@pytest.mark.realdata
@pytest.mark.parametrize(("system", "construct"), [("pxp", "B"), ("ixi", "D")])
def test_the_same_as_pymrio_reads(system: Literal["pxp", "ixi"], construct: str) -> None:
    path = Path(os.environ["FOOTFALL_DATA"], "pymrio_mocks/mock_mrios/gloria_mock")
    accounts = gloria._names(path / "GLORIA_ReadMe_059.xlsx").accounts
    ours = readers.read(
        Gloria(path, {name: Rows((name,), "kilotonnes") for name in accounts}, system), 2022
    )
    with warnings.catch_warnings():  # pandas' default reader of workbooks will be another one
        warnings.simplefilter("ignore")
        theirs = pymrio.parse_gloria(path, 2022, 59, construct=construct)
    at, regions = list(ours.labels.industries), list(ours.labels.regions)
    assert set(at) == set(theirs.A.index)
    q = readers.read(Gloria(path, {"any": Rows(accounts[:1], "kilotonnes")}), 2022).x
    # pymrio divides by what is used of products in both models; D has A by industries' output.
    assert np.allclose(ours.Z, theirs.A.loc[at, at] * q, rtol=1e-12, atol=0)
    assert np.allclose(ours.E, theirs.Q.F[at], rtol=1e-12, atol=0)
    for mine, frame in ((ours.Y, theirs.Y.loc[at]), (ours.F_Y, theirs.Q.F_Y)):
        by_region = frame.T.groupby(level="region").sum().T[regions]
        assert np.allclose(mine, by_region, rtol=1e-12, atol=0)


def test_a_configuration_reads_it(folder: Path, maps: Aggregation, tmp_path: Path) -> None:
    (tmp_path / "gloria.toml").write_text(
        f"""
title = "GLORIA, SYNTHETIC"

[tables]
reader = "gloria"
path = "{folder}"
years = [2020]
aggregation = {{ regions = "regions.csv", sectors = "sectors.csv" }}

[tables.stressors.GHG]
rows = ["{GHG["GHG"].rows[0]}"]
unit = "{downloads.UNIT}"

[question]
consumers = ["NLD"]
stressors = ["GHG"]

[method]
perturb = "coefficients"

[sampling]
seed = 1
draws = 8

[[scenarios.base.errors]]
quantity = "s"
rsd = 0.1
source = "assumption"
components = [{{ name = "own", weight = 1.0, group = "cell", time = "yearly" }}]
"""
    )
    config = engine.load_config(tmp_path / "gloria.toml")
    table = readers.read(config.tables, 2020)
    assert table.Z.shape == (4, 4)
    assert table.labels.stressor_units == (downloads.UNIT,)


def test_specs_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no stressors"):
        Gloria(tmp_path, {})
