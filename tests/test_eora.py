"""Eora26's download, written small in its true layout, and what is read from it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pymrio
import pytest

import engine
from benchmarks.downloads import eora as downloads
from benchmarks.downloads.worlds import World
from engine import readers
from engine.errors import ConfigError, TableError
from engine.readers.eora import Eora26
from engine.readers.eora_deviations import Sheets, write
from engine.readers.selecting import Rows

REGIONS = ("AUS", "NLD", "USR")
SECTORS = ("Agriculture", "Transport", "Others")
CO2 = {"CO2": Rows((f"{downloads.CO2} - Total",), "Mt", "Gg", 1e-3)}


@pytest.fixture
def world() -> World:
    return downloads.economy(2015, REGIONS, SECTORS)


@pytest.fixture
def folder(tmp_path: Path, world: World) -> Path:
    downloads.write_year(tmp_path, 2015, world, form="folder")
    return tmp_path


def test_a_year_is_read_as_it_was_written(folder: Path, world: World) -> None:
    table = readers.read(Eora26(folder, CO2), 2015)
    assert readers.years(Eora26(folder, CO2)) == (2015,)
    assert table.labels.regions == REGIONS
    assert table.labels.industries == tuple((a, s) for a in REGIONS for s in SECTORS)
    assert np.allclose(table.Z, world.Z, rtol=1e-9)
    assert np.allclose(table.Y, world.Y.reshape(9, 3, 6).sum(axis=2), rtol=1e-9)
    assert np.allclose(table.E[0], world.emissions / 1e3, rtol=1e-9)
    assert np.allclose(table.F_Y[0], world.households / 1e3, rtol=1e-9)
    assert table.labels.currency == "thousand USD, current basic prices"
    assert table.labels.stressor_units == ("Mt",)


def test_discrepancies_left_out_are_told(folder: Path) -> None:
    table = readers.read(Eora26(folder, CO2), 2015)
    assert table.published_output is not None
    assert np.allclose(table.published_output - table.x, 7.0, atol=0.05)  # ROW delivers 7 to each
    assert "63 thousand USD are delivered to them, their column adds up to 63" in (
        table.provenance.source
    )


def test_what_is_emitted_for_discrepancies_is_told(folder: Path, world: World) -> None:
    """By their industry and by their final consumers."""
    for part, columns, amount in (("Q", 1, 250.0), ("QY", 6, 125.0)):
        path = folder / f"Eora26_2015_bp_{part}.txt"
        values = np.loadtxt(path, ndmin=2)
        values[-2, -columns:] = amount
        np.savetxt(path, values, delimiter="\t", fmt="%.10g")
    table = readers.read(Eora26(folder, CO2), 2015)
    assert "they emit 1 Mt CO2" in table.provenance.source
    assert np.allclose(table.F_Y[0], world.households / 1e3, rtol=1e-9)


def test_labels_are_all_from_one_place(folder: Path, world: World) -> None:
    """Those of the year's own folder, not those that lie beside it."""
    (folder / "2015").mkdir()
    downloads.write_year(folder / "2015", 2015, world, form="folder")
    for path in folder.glob("Eora26_*"):
        path.unlink()
    changed(folder / "labels_T.txt", lambda text: text.replace("NLD", "NED"))
    assert readers.read(Eora26(folder, CO2), 2015).labels.regions == REGIONS
    (folder / "2015" / "labels_Q.txt").unlink()
    with pytest.raises(TableError, match=r"lacks labels_Q\.txt"):
        readers.read(Eora26(folder, CO2), 2015)


def test_discrepancies_may_be_kept(folder: Path, world: World) -> None:
    table = readers.read(Eora26(folder, CO2, discrepancies="kept"), 2015)
    assert table.labels.regions == (*REGIONS, "ROW")
    assert table.labels.industries[-1] == ("ROW", "TOTAL")
    assert np.array_equal(table.Z[:-1, -1], np.full(9, 7.0))
    assert np.allclose(table.Z[:-1, :-1], world.Z, rtol=1e-9)
    assert table.E[0, -1] == table.F_Y[0, -1] == table.Y[:, -1].sum() == 0
    assert np.allclose(table.published_output, table.x, atol=0.05)  # type: ignore[arg-type]


@pytest.mark.parametrize("labels", ["inside", "indices.zip"])
@pytest.mark.parametrize("inside", ["", "2015", "Eora26_2015_bp"])
@pytest.mark.parametrize("form", ["zip", "folder"])
def test_every_way_of_keeping_a_year_holds_the_same(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    labels: Literal["inside", "indices.zip"],
    inside: str,
    form: Literal["zip", "folder"],
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / inside).mkdir(exist_ok=True)
    downloads.write_year(other / inside, 2015, world, form=form, labels=labels)
    one, two = readers.read(Eora26(folder, CO2), 2015), readers.read(Eora26(other, CO2), 2015)
    assert one.labels == two.labels
    for name in ("Z", "Y", "E", "F_Y", "published_output"):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


def test_rows_add_up_to_a_stressor(folder: Path, world: World) -> None:
    both = Rows((f"{downloads.CO2} - Total", "Something else (Gg) - Total"), "Gg")
    table = readers.read(Eora26(folder, {"both": both, **CO2}), 2015)
    assert np.allclose(table.E[0], world.emissions + 4, rtol=1e-9)
    assert np.allclose(table.E[1], world.emissions / 1e3, rtol=1e-9)


def test_published_deviations_become_relative_sizes(folder: Path, world: World) -> None:
    part = "Eora26_2015_bp_{}.txt"
    for name, times in (("T", 0.1), ("FD", 0.2), ("Q", 0.3), ("QY", 0.4)):
        values = np.abs(np.loadtxt(folder / part.format(name), ndmin=2))
        np.savetxt(folder / f"sd_{name}.txt", times * values, delimiter="\t", fmt="%.17g")
    two = Rows((f"{downloads.CO2} - Total", "Something else (Gg) - Total"), "Gg of two", "Gg", 2.0)
    source = Eora26(folder, {"two": two})
    table = readers.read(source, 2015)
    sheets = Sheets("sd_T.txt", "sd_FD.txt", "sd_Q.txt", "sd_QY.txt")
    written = {one.path.name: one for one in write(source, 2015, folder / "sizes", sheets)}
    assert set(written) == {f"{name}_2015.npy" for name in ("Z", "Y", "E", "F_Y")}
    rsd = {name: np.load(one.path) for name, one in written.items()}
    assert np.allclose(rsd["Z_2015.npy"], 0.1 * (table.Z != 0), rtol=1e-8)
    parts = world.Y.reshape(9, 3, 6)
    expected = 0.2 * np.sqrt((parts**2).sum(axis=2)) / np.abs(parts.sum(axis=2))
    assert np.allclose(rsd["Y_2015.npy"], expected, rtol=1e-8)
    rows = np.stack([world.emissions, np.full(9, 4.0)])
    expected = 0.3 * np.sqrt((rows**2).sum(axis=0)) / rows.sum(axis=0)
    assert np.allclose(rsd["E_2015.npy"][0], expected, rtol=1e-8)
    assert all(one.held == one.exact == one.lost == 0 for one in written.values())


def test_deviations_that_no_relative_size_can_say_are_counted(folder: Path, world: World) -> None:
    values = np.loadtxt(folder / "Eora26_2015_bp_T.txt", ndmin=2)
    sd = 0.1 * values
    sd[0, 0], sd[1, 1] = 1e6 * values[0, 0] + 1e6, 0.0
    zeros = np.argwhere(values[:9, :9] == 0)
    sd[tuple(zeros[0])] = 1.0
    np.savetxt(folder / "sd.txt", sd, delimiter="\t", fmt="%.17g")
    (one,) = write(Eora26(folder, CO2), 2015, folder, Sheets("sd.txt"))
    lost = 1 + int(values[0, 0] == 0 and tuple(zeros[0]) != (0, 0))
    assert (one.held, one.exact, one.lost) == (
        int(values[0, 0] > 0), int(values[1, 1] > 0), lost
    )  # fmt: skip
    np.savetxt(folder / "sd.txt", -sd, delimiter="\t")
    with pytest.raises(TableError, match="negative deviations"):
        write(Eora26(folder, CO2), 2015, folder, Sheets("sd.txt"))
    with pytest.raises(TableError, match=r"has no file stdev\.txt"):
        write(Eora26(folder, CO2), 2015, folder, Sheets("stdev.txt"))


def changed(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("Eora26_2015_bp_T.txt", lambda t: t[: t[:-1].rindex("\n") + 1], "has 9 rows"),
        ("Eora26_2015_bp_T.txt", lambda t: t + t[: t.index("\n") + 1], "has more than the 10 rows"),
        ("Eora26_2015_bp_T.txt", lambda t: t[:-7], "the lines above"),
        ("Eora26_2015_bp_T.txt", lambda t: t.replace("\t", ","), "has 1 columns"),
        ("Eora26_2015_bp_T.txt", lambda t: t.replace(".", ",", 1), "is not a finite number"),
        ("Eora26_2015_bp_FD.txt", lambda t: t.replace("\t0\n", "\tNaN\n", 1), "is not a finite"),
        ("Eora26_2015_bp_QY.txt", lambda t: t[t.index("\n") + 1 :], "has 3 rows"),
        ("labels_T.txt", lambda t: t[t.index("\n") + 1 :], "the labels 9"),
        ("labels_T.txt", lambda t: t.replace("\tNLD\t", "\tNED\t"), "regions differ"),
        ("labels_T.txt", lambda t: t.replace("Transport", "Others"), "AUS Others is there twice"),
        ("labels_T.txt", lambda t: t.replace("\t", " "), "has fewer than 4 labels"),
        ("labels_Q.txt", lambda t: t.replace("(Gg) from", "(kt) from"), "the account has no rows"),
        ("labels_Q.txt", lambda t: t + t, "the account has 2 rows"),
    ],
)
def test_a_year_that_is_not_whole_is_refused(
    folder: Path, name: str, change: Callable[[str], str], said: str
) -> None:
    changed(folder / name, change)
    with pytest.raises(TableError) as caught:
        readers.read(Eora26(folder, CO2), 2015)
    assert said in caught.value.what


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "Eora26_2015_bp_QY.txt").unlink()
    with pytest.raises(TableError, match=r"lacks Eora26_2015_bp_QY\.txt"):
        readers.read(Eora26(folder, CO2), 2015)


def test_a_unit_that_is_another_is_refused(folder: Path) -> None:
    rows = {"CO2": Rows((f"{downloads.CO2} - Total",), "Mt")}
    with pytest.raises(TableError, match="is in Gg, the configuration takes it for Mt"):
        readers.read(Eora26(folder, rows), 2015)


def test_two_of_a_year_are_refused(folder: Path, world: World) -> None:
    downloads.write_year(folder, 2015, world)
    with pytest.raises(TableError, match="both hold 2015"):
        readers.years(Eora26(folder, CO2))


def test_a_folder_without_years_says_what_they_are_called(tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        readers.years(Eora26(tmp_path, CO2))
    assert "Eora26_2015_bp.zip" in caught.value.remedy


def test_full_lists_have_the_published_sizes() -> None:
    assert len(downloads.REGIONS) * len(downloads.SECTORS) + 1 == 4915


@pytest.mark.realdata
def test_the_same_as_pymrio_reads() -> None:
    path = Path(os.environ["FOOTFALL_DATA"], "pymrio_mocks/mock_mrios/eora26_mock")
    rows = (
        "I-GHG-CO2 emissions (kg) - emission_type1",
        "I-GHG-CO2 emissions (kg) - emission_type2",
    )
    ours = readers.read(Eora26(path, {name: Rows((name,), "kg") for name in rows}), 2010)
    theirs = pymrio.parse_eora26(path, year=2010)
    at, regions = list(ours.labels.industries), list(ours.labels.regions)
    assert set(at) == set(theirs.Z.index)
    assert np.array_equal(ours.Z, theirs.Z.loc[at, at])
    assert np.allclose(ours.E, theirs.Q.F[at], rtol=1e-15, atol=0)
    for mine, frame in ((ours.Y, theirs.Y.loc[at]), (ours.F_Y, theirs.Q.F_Y)):
        by_region = frame.T.groupby(level="region").sum().T[regions]
        assert np.allclose(mine, by_region, rtol=1e-14, atol=0)


def test_a_configuration_reads_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "eora.toml").write_text(
        f"""
title = "Eora26, SYNTHETIC"

[tables]
reader = "eora26"
path = "{folder}"
years = [2015]

[tables.stressors.CO2]
rows = ["{downloads.CO2} - Total"]
unit = "Gg"

[question]
consumers = ["NLD"]
stressors = ["CO2"]

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
    config = engine.load_config(tmp_path / "eora.toml")
    assert isinstance(config.tables, Eora26)
    text = (tmp_path / "eora.toml").read_text()
    (tmp_path / "eora.toml").write_text(text.replace('unit = "Gg"', 'unit = "Gg"\nfactor = 2.0'))
    with pytest.raises(ConfigError, match="from 'Gg' to itself") as caught:
        engine.load_config(tmp_path / "eora.toml")
    assert caught.value.where == f"{tmp_path / 'eora.toml'}, tables"
    assert readers.read(config.tables, 2015).labels.stressor_units == ("Gg",)


def test_specs_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no stressors"):
        Eora26(tmp_path, {})
    with pytest.raises(ConfigError, match="CO2: extension is 'impacts', and this database has no"):
        Eora26(tmp_path, {"CO2": Rows(("a",), "kt", extension="impacts")})
