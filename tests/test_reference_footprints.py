"""Footprints of real tables against published and independently computed references.

The references take x := Z 1 + Y 1, an industry with x <= 0 inactive, and the origin of an emission
as what makes it domestic or foreign.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from engine.kernels.arrays import F64, Bool
from engine.kernels.leontief import multipliers, parts, per_unit_output, required_output
from engine.mrio import MRIO
from engine.readers import Arrays, read, years
from engine.readers.groups import STANDARD_GROUPS

pytestmark = pytest.mark.realdata

MANIFESTS = Path(__file__).parents[1] / "configs" / "manifests"
KT = 1000.0  # kt per Mt
Groups = dict[str, tuple[str, ...]]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def membership(table: MRIO, groups: Groups) -> F64:
    """One column of ones and zeros for each group of regions, (r,c)."""
    return np.array(
        [[float(r in members) for members in groups.values()] for r in table.labels.regions]
    )


def at_home(table: MRIO, groups: Groups) -> Bool:
    """Whether an industry lies in a group, (n,c)."""
    of = [region for region, _ in table.labels.industries]
    return np.array([[region in members for members in groups.values()] for region in of])


def footprints(table: MRIO, groups: Groups) -> F64:
    """Total, domestic, foreign and direct footprint of each group, (k,c,4)."""
    A = per_unit_output(table.Z, table.x, table.active)
    s = per_unit_output(table.E, table.x, table.active)
    members = membership(table, groups)
    X = required_output(A, table.Y @ members)
    return parts(s, X, at_home(table, groups), table.F_Y @ members)


@pytest.mark.parametrize("year", range(2000, 2006))
def test_every_wiod_footprint_equals_the_reference_to_its_twelve_digits(
    data: Path, year: int
) -> None:
    table = read(Arrays(MANIFESTS / "wiod13.toml", data / "wiod13"), year)
    groups = {region: (region,) for region in table.labels.regions} | {
        "EU27_2007": STANDARD_GROUPS["iso3"]["EU27_2007"]
    }
    found = footprints(table, groups)
    produced = table.E @ at_home(table, groups) + table.F_Y @ membership(table, groups)
    wanted = {
        (row["region"], row["gas"]): row
        for row in rows(data / "wiod13" / "reference_footprints_dev_2000_2005.csv")
        if int(row["year"]) == year
    }
    assert len(wanted) == found.shape[0] * found.shape[1] == 126
    for k, gas in enumerate(table.labels.stressors):
        for c, name in enumerate(groups):
            row = wanted[name, gas]
            columns = ("consumption_Mt", "domestic_Mt", "foreign_Mt", "direct_Mt")
            reference = [float(row[column]) * KT for column in columns]
            np.testing.assert_allclose(found[k, c], reference, rtol=1e-11)
            # What is produced counts every industry, inactive ones too, and the households.
            np.testing.assert_allclose(produced[k, c], float(row["production_Mt"]) * KT, rtol=1e-11)


def test_domestic_means_where_the_emission_arises_not_where_the_product_is_bought(
    data: Path,
) -> None:
    """The other reading in use, products bought from home producers, misses by several percent."""
    table = read(Arrays(MANIFESTS / "wiod13.toml", data / "wiod13"), 2000)
    nld = table.labels.regions.index("NLD")
    home = at_home(table, {"NLD": ("NLD",)})[:, 0]
    A = per_unit_output(table.Z, table.x, table.active)
    s = per_unit_output(table.E, table.x, table.active)
    by_product = multipliers(A, s)[0] * table.Y[:, nld]
    by_origin = s[0] * required_output(A, table.Y[:, [nld]])[:, 0]
    reference = next(
        float(row["domestic_Mt"]) * KT
        for row in rows(data / "wiod13" / "reference_footprints_dev_2000_2005.csv")
        if (row["region"], row["year"], row["gas"]) == ("NLD", "2000", "CO2")
    )
    assert by_origin.sum() == pytest.approx(by_product.sum(), rel=1e-12)
    assert by_origin[home].sum() == pytest.approx(reference, rel=1e-11)
    assert abs(by_product[home].sum() / reference - 1) > 0.02


def test_every_footprint_of_the_aggregate_equals_the_reference_to_six_decimals(data: Path) -> None:
    source = Arrays(MANIFESTS / "wiod13_agg.toml", data / "wiod13_agg")
    wanted = rows(data / "wiod13_agg" / "reference_footprints_dev_2000_2005.csv")
    tables = {year: read(source, year) for year in years(source)}
    assert len(wanted) == 10 * len(tables)
    groups = {region: (region,) for region in tables[2000].labels.regions}
    found = {year: footprints(table, groups)[..., 0] for year, table in tables.items()}
    for row in wanted:
        c, year = list(groups).index(row["region"]), int(row["year"])
        reference = [float(row[f"cba_{gas}_Mt"]) for gas in ("co2", "ch4", "n2o")]
        np.testing.assert_allclose(found[year][:, c] / KT, reference, rtol=0, atol=5.01e-7)


def test_every_footprint_of_the_insee_aggregate_equals_the_reference_to_five_decimals(
    data: Path,
) -> None:
    """The file also has rows of another database (figaro), which these tables do not answer for."""
    source = Arrays(MANIFESTS / "insee_wiod_5x4.toml", data / "insee_wiod_5x4")
    every = rows(data / "insee_wiod_5x4" / "reference_footprints_co2.csv")
    wanted = [row for row in every if row["mrio"] == "wiod"]
    tables = {year: read(source, year) for year in years(source)}
    assert len(wanted) == 5 * len(tables) == 75
    groups = {region: (region,) for region in tables[2000].labels.regions}
    found = {year: footprints(table, groups)[0, :, 0] for year, table in tables.items()}
    for row in wanted:
        c, year = list(groups).index(row["region"]), int(row["year"])
        assert found[year][c] / KT == pytest.approx(float(row["cba_co2_Mt"]), rel=0, abs=5.01e-6)


@pytest.mark.parametrize("model", ["USEEIOv2.0.1-411", "CAEEIOv1.0-s-20", "GAEEIOv1.0-s-20"])
def test_multipliers_equal_those_the_us_epa_publishes(data: Path, model: str) -> None:
    with np.load(data / "useeio" / f"{model}.npz", allow_pickle=False) as published:
        A, D, N = published["A"], published["D"], published["N"]
    np.testing.assert_allclose(multipliers(A, D), N, rtol=1e-12)


def test_the_tables_state_their_traps(data: Path) -> None:
    table = read(Arrays(MANIFESTS / "wiod13.toml", data / "wiod13"), 2000)
    assert table.labels.industries[1] == ("AUS", "c2")
    assert table.labels.stressor_units == ("kt", "kt", "kt")
    assert table.published_output is not None
    assert np.abs(table.x - table.published_output).max() == 113
    assert 18 <= (~table.active).sum() <= 21
    assert {name for name, _ in table.provenance.files} == {
        "wiod13.toml",
        "wiod13_2000.npz",
        "labels.json",
    }
