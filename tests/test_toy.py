"""The synthetic worlds: known footprints, balance, the calibrated story, the same bits anywhere."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import disaggregate, footprints, permute

from configs import SMALL, written
from engine.config import load_config
from engine.errors import ConfigError
from engine.kernels.arrays import F64
from engine.kernels.leontief import required_output
from engine.mrio import MRIO, findings
from engine.readers import refuse_mixed, stylised
from engine.readers.synthetic import required, uniforms
from engine.readers.toy import Toy, World, read, years

STYLISED = Toy()
RANDOM = Toy(World.RANDOM, regions=5, sectors=7, stressors=3, zeros=0.3, negatives=0.2)
EVERY = [Toy(World.ONE_SECTOR), Toy(World.TWO_REGIONS), RANDOM, STYLISED]


# --- known answers ------------------------------------------------------------------------------


@pytest.mark.parametrize(("Z", "Y", "E", "F_Y"), [(20, 80, 50, 0), (90, 10, 7, 3), (0, 5, 2, 1)])
def test_one_sector(Z: float, Y: float, E: float, F_Y: float) -> None:
    table = read(Toy(World.ONE_SECTOR, Z=Z, Y=Y, E=E, F_Y=F_Y), 2000)
    a, s = Z / (Z + Y), E / (Z + Y)
    expected = s * Y / (1 - a)
    assert footprints(table)[0, 0] == pytest.approx([expected + F_Y, expected, 0, F_Y], rel=1e-14)


def test_growth_sets_the_ratio_of_footprints() -> None:
    world = Toy(World.ONE_SECTOR, F_Y=5.0, growth=-0.02, base=2003)
    total = {year: footprints(read(world, year))[0, 0, 0] for year in (2002, 2003, 2004, 2010)}
    assert total[2003] == pytest.approx(55, rel=1e-14)
    assert total[2004] / total[2003] == pytest.approx(0.98, rel=1e-14)
    assert total[2003] / total[2002] == pytest.approx(0.98, rel=1e-14)
    assert total[2010] / total[2003] == pytest.approx(0.98**7, rel=1e-14)


def test_two_regions() -> None:
    first, second = read(Toy(World.TWO_REGIONS), 2000), read(Toy(World.TWO_REGIONS), 2010)
    assert footprints(first)[0, :, 0] == pytest.approx([51, 29], rel=1e-14)
    assert np.array_equal(footprints(first), footprints(second))
    grown = read(Toy(World.TWO_REGIONS, growth=0.1), 2002)
    assert footprints(grown)[0, :, 0] == pytest.approx([51 * 1.21, 29 * 1.21], rel=1e-14)


# --- laws of every world ------------------------------------------------------------------------


@pytest.mark.parametrize("source", EVERY, ids=lambda source: source.world)
def test_every_world_says_that_it_is_synthetic(source: Toy) -> None:
    table = read(source, years(source)[0])
    assert table.provenance.synthetic
    assert "SYNTHETIC" in table.provenance.source
    assert "synthetic" in table.labels.currency


@pytest.mark.parametrize("source", EVERY, ids=lambda source: source.world)
def test_tables_balance_with_positive_value_added(source: Toy) -> None:
    for year in years(source)[:12]:
        table = read(source, year)
        output = table.x if table.published_output is None else table.published_output
        assert np.abs(table.x / output - 1).max() < 1e-12
        assert (table.x - table.Z.sum(axis=0) > 0.2 * table.x).all()


@pytest.mark.parametrize("source", EVERY, ids=lambda source: source.world)
def test_years_of_a_world_belong_together(source: Toy) -> None:
    first, *others = years(source)[:12]
    for year in others:
        refuse_mixed(first, read(source, first).labels, year, read(source, year).labels)


@pytest.mark.parametrize("source", EVERY, ids=lambda source: source.world)
def test_footprints_conserve_emissions(source: Toy) -> None:
    table = read(source, years(source)[3])
    emitted = table.E.sum(axis=1) + table.F_Y.sum(axis=1)
    assert footprints(table)[..., 0].sum(axis=1) == pytest.approx(emitted, rel=1e-12)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("source", EVERY, ids=lambda source: source.world)
def test_proportional_disaggregation_changes_no_footprint(source: Toy, factor: int) -> None:
    table = read(source, years(source)[0])
    split = disaggregate(table, factor)
    assert split.Z.shape[0] == factor * table.Z.shape[0]
    assert footprints(split) == pytest.approx(footprints(table), rel=1e-12, abs=1e-12)


def test_permuting_the_labels_permutes_the_footprints() -> None:
    table = read(RANDOM, 2000)
    order = np.argsort(uniforms("order", [" ".join(names) for names in table.labels.industries]))
    permuted = permute(table, [int(i) for i in order])
    assert permuted.labels.regions != table.labels.regions
    columns = [table.labels.regions.index(region) for region in permuted.labels.regions]
    assert footprints(permuted) == pytest.approx(footprints(table)[:, columns], rel=1e-12)
    assert permuted.sha256 != table.sha256


# --- the random world ---------------------------------------------------------------------------


def test_random_has_the_zeros_and_negatives_asked_for() -> None:
    """Counts of n hashed cells lie within 4 standard errors (one failure in 16,000 if random)."""
    source = replace(RANDOM, regions=10)
    table = read(source, 2000)
    homes = np.array([region for region, _ in table.labels.industries])
    abroad = table.Y[homes[:, None] != np.array(table.labels.regions)]
    for cells, share in ((table.Z.ravel() == 0, 0.3), (table.E.ravel() == 0, 0.3),
                         (abroad == 0, 0.3), (abroad < 0, 0.7 * 0.2)):  # fmt: skip
        assert abs(cells.mean() - share) < 4 * (share * (1 - share) / cells.size) ** 0.5
    kinds = {finding.kind for finding in findings(table)}
    assert kinds == {"negative cells of Y, sign kept"}


def test_random_cells_depend_on_their_own_names_alone() -> None:
    """Regions and sectors added do not change the numbers hashed for those there before."""
    names = ["R0 P0", "R0 P1", "R1 P0"]
    few, more = uniforms("Z", names, names), uniforms("Z", [*names[::-1], "R9"], ["X", *names])
    assert np.array_equal(few, more[2::-1, 1:])
    assert not np.isin(uniforms("Y", names, names), few).any()


def test_random_changes_with_seed_and_year_and_keeps_its_zeros() -> None:
    table, later = read(RANDOM, 2000), read(RANDOM, 2001)
    other = read(replace(RANDOM, seed=2), 2000)
    assert len({table.sha256, later.sha256, other.sha256}) == 3
    assert np.array_equal(table.Z == 0, later.Z == 0)
    assert not np.array_equal(table.Z == 0, other.Z == 0)


def test_uniforms_are_uniform() -> None:
    """Kolmogorov's distance (exceeded with P = 5e-5) and the correlation of cells with their
    neighbours and their mirror images (4 standard errors)."""
    names = [str(number) for number in range(300)]
    numbers = uniforms("test", names, names)
    ranks = np.arange(1, numbers.size + 1) / numbers.size
    assert np.abs(np.sort(numbers.ravel()) - ranks).max() < 2.3 / numbers.size**0.5
    upper = np.triu_indices(300, 1)
    for one, other in (
        (numbers[1:], numbers[:-1]),
        (numbers[:, 1:], numbers[:, :-1]),
        (numbers[upper], numbers.T[upper]),
    ):
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 4 / one.size**0.5


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(0, 1000))
def test_the_exact_solver_solves(n: int, seed: int) -> None:
    names = [str(number) for number in range(n)]
    A = uniforms(f"A {seed}", names, names) / n
    y = uniforms(f"y {seed}", names)
    assert required(A, y) == pytest.approx(required_output(A, y[:, None])[:, 0], rel=1e-12)


# --- the stylised world -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def series() -> list[MRIO]:
    return [read(STYLISED, year) for year in years(STYLISED)]


@pytest.fixture(scope="module")
def co2(series: list[MRIO]) -> F64:
    """CO2 footprints in Mt, (year, region, part)."""
    return np.array([footprints(table)[0] for table in series]) / 1000.0


def emitted(table: MRIO, region: str) -> float:
    """CO2 emitted in a region, Mt."""
    homes = np.array([name for name, _ in table.labels.industries])
    direct = table.F_Y[0, table.labels.regions.index(region)]
    return float(table.E[0, homes == region].sum() + direct) / 1000.0


def test_stylised_has_ten_regions_twelve_sectors_twelve_years(series: list[MRIO]) -> None:
    assert [table.year for table in series] == list(range(2010, 2022))
    labels = series[0].labels
    assert " ".join(labels.regions) == "NLD DEU REU GBR USA CHN IND RUS JPN ROW"
    assert len(labels.sectors) == 12
    assert labels.stressors == ("CO2", "CH4", "N2O")
    assert all(findings(table) == [] for table in series)


def test_the_dutch_footprint_falls_by_19_percent_and_its_foreign_part_stays(co2: F64) -> None:
    total, industries, foreign, direct = co2[:, 0].T
    domestic = industries + direct
    assert 200 < total[0] < 250
    assert total[-1] / total[0] == pytest.approx(0.81, abs=0.001)
    assert foreign[-1] / foreign[0] == pytest.approx(1, abs=0.005)
    assert (abs(foreign[:-2] / foreign[0] - 1) < 0.03).all()
    assert foreign[0] < domestic[0]
    assert foreign[-1] > domestic[-1]


def test_the_path_dips_in_2020_and_rebounds_in_part(series: list[MRIO], co2: F64) -> None:
    total = co2[:, 0, 0]
    assert total[10] < total[9] * 0.97
    assert total[10] < total[11] < total[9]
    assert (np.diff(total) > 0).sum() >= 2  # not a straight line down
    for region in ("DEU", "GBR", "USA", "JPN", "ROW"):
        before, dip, after = (emitted(table, region) for table in series[9:])
        assert dip < before
        assert dip < after < before


@pytest.mark.parametrize(
    ("region", "first", "change"),
    [
        ("NLD", (150, 250), (-0.35, -0.20)),
        ("DEU", (750, 900), (-0.20, -0.05)),
        ("REU", (2200, 2700), (-0.25, -0.10)),
        ("GBR", (450, 600), (-0.30, -0.15)),
        ("USA", (5500, 6000), (-0.12, -0.03)),
        ("CHN", (7000, 9000), (0.10, 0.30)),
        ("IND", (1500, 1900), (0.35, 0.60)),
        ("RUS", (1500, 1800), (-0.05, 0.10)),
        ("JPN", (1100, 1300), (-0.15, -0.03)),
        ("ROW", (9000, 12000), (0.05, 0.25)),
    ],
)
def test_emissions_by_region_are_plausible(
    series: list[MRIO], region: str, first: tuple[float, float], change: tuple[float, float]
) -> None:
    start, end = emitted(series[0], region), emitted(series[-1], region)
    assert first[0] < start < first[1]
    assert change[0] < end / start - 1 < change[1]


def test_china_rises_then_levels_and_the_world_stays_in_range(series: list[MRIO]) -> None:
    china = [emitted(table, "CHN") for table in series]
    assert china[3] / china[0] > 1.10
    assert china[11] / china[3] < 1.06
    for table in series:
        world = sum(emitted(table, region) for region in table.labels.regions)
        assert 30e3 < world < 37e3


def test_value_added_is_what_the_recipes_leave(series: list[MRIO]) -> None:
    recipes = parameter_file()["inputs"]
    for table in series:
        left = 1.0 - table.Z.sum(axis=0) / table.x
        expected = [1.0 - sum(recipes[sector]) / 100.0 for _, sector in table.labels.industries]
        assert left == pytest.approx(expected, abs=1e-12)


def test_first_year_meets_the_emissions_and_demand_of_the_parameters(series: list[MRIO]) -> None:
    names, *rows = parameter_file()["regions"].values()
    table = series[0]
    homes = np.array([region for region, _ in table.labels.industries])
    for place, region in enumerate(table.labels.regions):
        stated = dict(zip(names, rows[place], strict=True))
        assert table.Y[:, place].sum() == pytest.approx(stated["demand"], rel=1e-12)
        for k, gas in enumerate(stylised.GASES):
            assert table.E[k, homes == region].sum() == pytest.approx(stated[gas], rel=1e-12)
            assert table.F_Y[k, place] == stated[f"direct {gas}"]


def test_the_parameter_file_names_the_same_regions_and_sectors_everywhere() -> None:
    file = parameter_file()
    sectors, regions = list(file["sectors"])[1:], list(file["regions"])[1:]
    assert list(file["inputs"]) == sectors
    assert list(file["paths"])[1:] == regions
    assert set(file["specialisation"]) | set(file["neighbours"]) <= set(regions)
    assert {sector for row in file["specialisation"].values() for sector in row} <= set(sectors)
    assert sum(row[0] for row in list(file["sectors"].values())[1:]) == pytest.approx(100)


def parameter_file() -> dict[str, Any]:
    content = files("engine.readers").joinpath("stylised.toml").read_text(encoding="utf-8")
    return tomllib.loads(content)


# --- the same on every machine ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "golden"),
    [
        (STYLISED, "5458959fe4830f6b2c5ea31076b6f9f88e4ce73ab6e9cf0c725c6dc13267626e"),
        (RANDOM, "9e6f450a29b21006c0012083577ae52b626dd40c71fe3ab450c56d6aa5b95a14"),
        (
            Toy(World.ONE_SECTOR, growth=0.03),
            "45aef44402eeb489944cc00eaafa91fb1d6d3123d132a56a5eb8190166d6e9cc",
        ),
    ],
    ids=lambda value: value.world if isinstance(value, Toy) else "",
)
def test_tables_are_the_same_bits_on_every_machine(source: Toy, golden: str) -> None:
    """The digest of twelve years; it changes with the parameters and with nothing else."""
    digest = hashlib.sha256()
    for year in years(source)[:12]:
        table = read(source, year)
        for array in (table.Z, table.Y, table.E, table.F_Y):
            digest.update(array.astype("<f8").tobytes())
    assert digest.hexdigest() == golden


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"world": "stylized"}, "did you mean 'stylised'"),
        ({"world": "random", "regions": 0}, "tables.regions"),
        ({"world": "random", "regions": 2.5}, "tables.regions: 2.5 is not a whole number"),
        ({"world": "random", "zeros": float("nan")}, "tables.zeros"),
        ({"world": "random", "seed": True}, "tables.seed"),
        ({"world": "random", "growth": 0.1}, "`random` has no parameter `growth`"),
        ({"world": "one_sector", "Y": 0.0}, "tables.Y"),
        ({"world": "one_sector", "E": "50"}, "tables.E: '50' is not a number"),
        ({"world": "stylised", "regions": 4}, "`stylised` has no parameter `regions`"),
    ],
)
def test_a_bad_parameter_is_refused(parameters: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Toy(**parameters)  # type: ignore[arg-type]
    assert named in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(("source", "year"), [(STYLISED, 2009), (STYLISED, 2022), (RANDOM, 1983)])
def test_a_year_the_world_does_not_have_is_refused(source: Toy, year: int) -> None:
    with pytest.raises(ConfigError, match=f"no year {year}"):
        read(source, year)


def test_a_configuration_sets_the_parameters(tmp_path: Path) -> None:
    text = SMALL.replace('world = "random"', 'world = "random"\nregions = 4\nzeros = 0.5')
    config = load_config(written(tmp_path, text))
    assert config.tables == Toy(World.RANDOM, regions=4, zeros=0.5)
    with pytest.raises(ConfigError, match=r"small\.toml, tables\.zeros"):
        load_config(written(tmp_path, text.replace("zeros = 0.5", "zeros = 1.5")))
