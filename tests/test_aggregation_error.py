"""The aggregation error: zero where it must be, and what a hand computation says elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from configs import SMALL, arrays, footfall, loaded, said, written
from engine import readers, workflow
from engine.kernels.aggregation import in_the_mix_of
from engine.kernels.leontief import both_ways, multipliers, required_output
from engine.mrio import MRIO, Labels, Provenance
from engine.question import Consumer, Indicator, Question
from engine.readers import Aggregation, Toy, aggregated
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
