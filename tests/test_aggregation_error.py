"""The aggregation error: zero where it must be, and what a hand computation says elsewhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymrio
import pytest

from configs import SMALL, arrays, footfall, loaded, said, written
from engine import readers, workflow
from engine.kernels.aggregation import in_the_mix_of
from engine.kernels.leontief import both_ways, multipliers, required_output
from engine.mrio import MRIO, Labels, Provenance
from engine.question import Consumer, Indicator, Question
from engine.readers import Aggregation, Arrays, Pymrio, Toy, aggregated
from engine.readers.selecting import Rows
from engine.workflow.aggregating import Folded, aggregation_in_words, by_both


def question(*consumers: tuple[str, ...], stressor: str = "CO2") -> Question:
    """The question about these groups of regions."""
    return Question(
        tuple(Consumer("+".join(members), members) for members in consumers),
        (Indicator(stressor, "kt", {stressor: 1.0}),),
    )


def compared(folder: Path, table: MRIO, asked: Question, **maps: Sequence[str]) -> Folded:
    """A table folded by maps, each row as `from,to` or with a region before."""
    files = {}
    for key, rows in maps.items():
        header = "from,to" if rows[0].count(",") == 1 else "region,from,to"
        files[key] = folder / f"{key}.csv"
        files[key].write_text("\n".join([header, *rows, ""]))
    by = Aggregation(**files)
    return by_both(table, aggregated(table, by), by, asked)


def world(regions: Sequence[str], industries: Sequence[tuple[str, str]], **numbers: object) -> MRIO:
    """A table by hand, without direct emissions."""
    labels = Labels(tuple(regions), tuple(industries), ("CO2",), ("kt",), "million")
    F_Y = np.zeros((1, len(regions)))
    made_up = Provenance("by hand", "", "none", synthetic=True)
    return MRIO(2000, labels, F_Y=F_Y, provenance=made_up, **numbers)  # type: ignore[arg-type]


def test_both_ways_is_the_reference_twice() -> None:
    rng = np.random.default_rng(5)
    A, s, y = rng.uniform(0, 0.1, (8, 8)), rng.uniform(size=(3, 8)), rng.uniform(size=(8, 2))
    m, X = both_ways(A, s, y)
    np.testing.assert_allclose(m, multipliers(A, s), rtol=1e-12)
    np.testing.assert_allclose(X, required_output(A, y), rtol=1e-12)
    with pytest.raises(np.linalg.LinAlgError):
        both_ways(np.eye(3), s[:, :3], y[:3])


def test_proportional_disaggregation_has_no_aggregation_error(tmp_path: Path) -> None:
    whole = readers.read(Toy("two_regions"), 2000)  # F = (51, 29)
    shares = np.array([0.2, 0.5, 0.3, 0.6, 0.4])
    of = np.array([0, 0, 0, 1, 1])
    split = MRIO(
        2000,
        replace(
            whole.labels,
            industries=(("R0", "a"), ("R0", "b"), ("R0", "c"), ("R1", "a"), ("R1", "b")),
        ),
        Z=whole.Z[np.ix_(of, of)] * np.outer(shares, shares),
        Y=whole.Y[of] * shares[:, None],
        E=whole.E[:, of] * shares,
        F_Y=whole.F_Y,
        provenance=whole.provenance,
    )
    asked = question(("R0",), ("R1",), stressor=whole.labels.stressors[0])
    found = compared(tmp_path, split, asked, sectors=["a,all", "b,all", "c,all"])
    np.testing.assert_allclose(found.full[0, :, 0], [51, 29], rtol=1e-12)
    np.testing.assert_allclose(found.folded, found.full, rtol=1e-12)
    np.testing.assert_allclose(found.folded_multipliers, found.full_multipliers, rtol=1e-12)


def test_regions_that_the_consumer_never_buys_from_may_be_merged(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    Z, Y = rng.uniform(1, 5, (6, 6)), rng.uniform(5, 9, (6, 3))
    Z[2:, :2] = 0  # R1 and R2 sell nothing to R0, which may sell to them
    Y[2:, 0] = 0
    industries = [(f"R{region}", sector) for region in range(3) for sector in "ab"]
    table = world(["R0", "R1", "R2"], industries, Z=Z, Y=Y, E=rng.uniform(1, 9, (1, 6)))
    found = compared(tmp_path, table, question(("R0",), ("W",)), regions=["R0,R0", "R1,W", "R2,W"])
    np.testing.assert_allclose(found.folded, found.full, rtol=1e-12)  # W has what R0 leaves
    assert np.abs(found.folded_multipliers / found.full_multipliers - 1).max() > 1e-4


def test_the_world_as_one_consumer_has_no_aggregation_error(tmp_path: Path) -> None:
    table = readers.read(Toy("random", regions=4, sectors=5), 2000)
    found = compared(
        tmp_path,
        table,
        question(("R0",), ("W",), ("R0", "W"), stressor="S0"),
        regions=["R0,R0", "R1,W", "R2,W", "R3,W"],
        sectors=["P0,x", "P1,x", "P2,x", "P3,y", "P4,y"],
    )
    total = table.E[0].sum() + table.F_Y[0].sum()
    assert found.full[0, 2, 0] == pytest.approx(total, rel=1e-12)
    assert found.folded[0, 2, 0] == pytest.approx(total, rel=1e-12)
    assert abs(found.folded[0, 0, 0] / found.full[0, 0, 0] - 1) > 1e-3
    moved = (found.folded_multipliers - found.full_multipliers) * found.bought
    assert moved.sum() == pytest.approx(0, abs=1e-10 * total)


def test_by_hand_clean_and_dirty_goods_in_one_sector(tmp_path: Path) -> None:
    table = world(
        ["R0", "R1"],
        [("R0", "dirty"), ("R0", "clean")],
        Z=np.zeros((2, 2)),
        Y=np.array([[100.0, 0.0], [0.0, 300.0]]),
        E=np.array([[80.0, 0.0]]),
    )
    found = compared(tmp_path, table, question(("R0",), ("R1",)), sectors=["dirty,g", "clean,g"])
    np.testing.assert_allclose(found.full[0, :, 0], [80, 0], atol=1e-12)
    np.testing.assert_allclose(found.folded[0, :, 0], [20, 60], rtol=1e-12)
    np.testing.assert_allclose(found.full[0, 0, 1:3], [80, 0])  # all of R0's arises in R0
    np.testing.assert_allclose(found.folded[0, 1, 1:3], [0, 60])  # none of R1's in R1
    words = "\n".join(aggregation_in_words([found], question(("R0",), ("R1",))))
    assert "R0, CO2, 2000: 80 and 20 kt, -75 % (domestic -75 %, foreign 0 %)" in words
    assert "R1, CO2, 2000: 0 and 60 kt, from nothing" in words
    assert "multipliers of CO2, 2000: no differences" in words  # 80 / 400, in the mix of both


def test_tables_folded_while_they_are_read_say_so() -> None:
    (words,) = aggregation_in_words([], question(("R0",)))
    assert "not told" in words


def test_multipliers_in_the_mix_are_weighted_by_what_is_bought() -> None:
    m, y = np.array([[1.0, 3.0, 7.0]]), np.array([30.0, 10.0, -1.0])
    mixed = in_the_mix_of(m, y, np.array([0, 0, 1]), 2)
    assert mixed[0, 0] == pytest.approx(1.5)
    assert np.isnan(mixed[0, 1])


def test_sums_of_stressors_alone_have_no_aggregation_error(tmp_path: Path) -> None:
    table = readers.read(Toy("random"), 2000)
    file = tmp_path / "stressors.csv"
    file.write_text("from,from_unit,to,to_unit,factor\nS0,kt,T,Mt,0.001\nS1,kt,T,Mt,0.028\n")
    by = Aggregation(stressors=file)
    asked = question(("R0",), stressor="T")
    found = by_both(table, aggregated(table, by), by, asked)
    np.testing.assert_allclose(found.folded, found.full, rtol=1e-12)
    one = Question(asked.consumers, (Indicator("T", "Mt", {"S0": 0.001, "S1": 0.028}),))
    same = Aggregation(stressors=tmp_path / "same.csv")
    same.stressors.write_text(  # type: ignore[union-attr]
        "from,from_unit,to,to_unit,factor\nS0,kt,S0,kt,1\nS1,kt,S1,kt,1\n"
    )
    np.testing.assert_allclose(by_both(table, table, same, one).full, found.full, rtol=1e-12)


FOLDED = ("[question]", '[tables.aggregation]\nregions = "regions.csv"\n\n[question]')
PAIR = ('members = ["R0", "R1"]', 'members = ["R0", "W"]')
FEW = ("draws = 448", "draws = 64")


def test_check_tells_the_aggregation_error_and_the_ensemble_is_another(tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_text("from,to\nR0,R0\nR1,W\nR2,W\n")
    path = written(tmp_path, SMALL)
    plain = said("check", str(path))
    assert "aggregation" not in plain
    config = loaded(tmp_path, SMALL, FOLDED, PAIR, FEW)
    text = said("check", str(config.path))
    assert "aggregated: 3 regions to 2, 12 industries to 8 (regions.csv)" in text
    assert "R0, S0, 2000: " in text
    assert "R0, S0: yearly changes differ most from " in text
    assert "whose differences weigh most: " in text
    folder = tmp_path / "run"
    first = workflow.run(config, str(folder))
    assert arrays(first)["reference"]
    (tmp_path / "regions.csv").write_text("from,to\nR0,R0\nR1,W\nR2,R0\n")
    refused = footfall("run", str(config.path), "--output", str(folder))
    assert refused.exit_code == 2
    assert "holds another ensemble; tables.2000" in refused.output


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("", "give a map of `regions`, `sectors` or `stressors`"),
        ('region = "r.csv"', "did you mean `regions`?"),
        ("regions = 3", "regions"),
        ('regions = "s3://bucket/r.csv"', "is a URL"),
    ],
)
def test_a_section_that_cannot_be_meant_is_refused(
    tmp_path: Path, section: str, words: str
) -> None:
    text = SMALL.replace("[question]", f"[tables.aggregation]\n{section}\n\n[question]")
    assert words in footfall("check", str(written(tmp_path, text))).output


@pytest.mark.realdata
def test_wiod_folded_is_the_aggregate_made_elsewhere_and_the_error_that_of_both_references(
    data: Path, tmp_path: Path
) -> None:
    """Both tables of 2005, and reference footprints of both, were computed independently."""
    manifests = Path(__file__).parents[1] / "configs" / "manifests"
    full = readers.read(Arrays(manifests / "wiod13.toml", data / "wiod13"), 2005)
    theirs = readers.read(Arrays(manifests / "wiod13_agg.toml", data / "wiod13_agg"), 2005)
    maps = json.loads((data / "wiod13_agg" / "aggregation.json").read_text())
    files = {}
    for key, names in (("regions", maps["region_map"]), ("sectors", maps["sector_map"])):
        files[key] = tmp_path / f"{key}.csv"
        files[key].write_text("from,to\n" + "".join(f"{a},{b}\n" for a, b in names.items()))
    by = Aggregation(**files)
    folded = aggregated(full, by)
    place = {pair: i for i, pair in enumerate(folded.labels.industries)}
    industries = [place[pair] for pair in theirs.labels.industries]
    regions = [folded.labels.regions.index(name) for name in theirs.labels.regions]
    scale = np.abs(theirs.Z).max()
    for name, rows, columns in (
        ("Z", industries, industries),
        ("Y", industries, regions),
        ("E", range(3), industries),
        ("F_Y", range(3), regions),
    ):
        found = getattr(folded, name)[np.ix_(rows, columns)]
        np.testing.assert_allclose(
            found, getattr(theirs, name), rtol=1e-6, atol=1e-12 * scale, err_msg=name
        )

    def reference(folder: str, column: str, **where: str) -> float:
        with (data / folder / "reference_footprints_dev_2000_2005.csv").open() as stream:
            rows = [row for row in csv.DictReader(stream) if where.items() <= row.items()]
        assert len(rows) == 1
        return 1000 * float(rows[0][column])

    names = ("NLD", "DEU", "CHN", "USA")
    found = by_both(full, folded, by, question(*((name,) for name in names)))
    for column, name in enumerate(names):
        one = reference("wiod13", "consumption_Mt", region=name, year="2005", gas="CO2")
        other = reference("wiod13_agg", "cba_co2_Mt", region=name, year="2005")
        assert found.full[0, column, 0] == pytest.approx(one, rel=1e-9)
        assert found.folded[0, column, 0] == pytest.approx(other, rel=1e-6)


def test_folding_is_pymrios_aggregation(tmp_path: Path) -> None:
    """SYNTHETIC: the made-up table that pymrio carries."""
    table = readers.read(
        Pymrio("emissions", {"air": Rows(("emission_type1 - air",), "kg")}, year=2011),
        2011,
    )
    regions = ["A", "B", "B", "A", "C", "C"]
    sectors = ["s", "s", "t", "u", "u", "t", "t", "s"]
    theirs = pymrio.load_test().calc_all()
    theirs.aggregate(
        region_agg=["ABC".index(name) for name in regions],
        sector_agg=["stu".index(name) for name in sectors],
    )
    (tmp_path / "r.csv").write_text(
        "from,to\n" + "".join(map("{},{}\n".format, table.labels.regions, regions))
    )
    (tmp_path / "s.csv").write_text(
        "from,to\n" + "".join(map("{},{}\n".format, table.labels.sectors, sectors))
    )
    found = aggregated(table, Aggregation(tmp_path / "r.csv", tmp_path / "s.csv"))
    np.testing.assert_allclose(found.Z, theirs.Z.to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(found.E[0], theirs.emissions.F.to_numpy()[0], rtol=1e-12)
    by_region = theirs.Y.T.groupby(level=0, sort=False).sum().T
    np.testing.assert_allclose(found.Y, by_region.to_numpy(), rtol=1e-12)
