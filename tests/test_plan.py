"""Planning is integer arithmetic: one invariant function, a brute-force oracle."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.kernels.speed import Rates
from engine.kernels.start import KEEP
from engine.plan import (
    GROUP,
    Block,
    Direction,
    Needs,
    SamplingPlan,
    Shape,
    needs,
    whole_blocks,
)


@given(st.integers(1, 10**6), st.integers(1, 40))
def test_draws_are_rounded_up_to_the_next_whole_block(draws: int, groups: int) -> None:
    block = groups * GROUP
    rounded = whole_blocks(draws, block)
    assert rounded % block == 0
    assert rounded - block < draws <= rounded


@pytest.mark.parametrize(("draws", "block"), [(100, 64), (0, 64), (128, 65), (128, 0), (64, -64)])
def test_plans_that_are_not_whole_are_refused(draws: int, block: int) -> None:
    with pytest.raises(ConfigError, match="not a whole number"):
        SamplingPlan(1, draws, (2000,), block)


def test_a_block_knows_its_draws() -> None:
    assert list(Block(2000, 2, 64).draws) == list(range(128, 192))


def test_time_is_linear_in_draws_and_years_and_shared_by_slots() -> None:
    shape = Shape(100, 5, 2, 1, 3, 4, 8000, 2.0, Direction.FORWARD)
    rates = Rates(normals=1e9, applied=5e9, single=5e10, double=2e10)

    def seconds(draws: int, years: int, slots: int) -> float:
        plan = SamplingPlan(1, draws, tuple(range(years)), 64)
        return needs(shape, plan, slots, rates).seconds

    one = seconds(64, 1, 1)
    assert seconds(640, 1, 1) == pytest.approx(10 * one)
    assert seconds(64, 7, 1) == pytest.approx(7 * one)
    assert seconds(64, 1, 2) == pytest.approx(one / 2)


def needed(shape: Shape) -> Needs:
    """By one group of one year on one slot of a machine that does 1e9 of everything a second."""
    return needs(shape, SamplingPlan(1, GROUP, (2000,), GROUP), 1, Rates(1e9, 1e9, 1e9, 1e9))


TOTALS = Shape(3000, 50, 3, 1, 40, 1, 4_000_000, 1.0, Direction.ADJOINT)
PARTS = replace(TOTALS, parts=4, direction=Direction.FORWARD)


def test_parts_of_many_consumers_cost_more_than_totals_alone() -> None:
    assert (TOTALS.columns, PARTS.columns) == (1, 40)
    assert needed(PARTS).seconds > 5 * needed(TOTALS).seconds
    assert needed(PARTS).workspace > needed(TOTALS).workspace


def test_factors_that_have_no_room_are_drawn_twice() -> None:
    most = KEEP // (4 * GROUP)
    kept, more = replace(TOTALS, cells=most), replace(TOTALS, cells=most + 100)
    assert kept.kept == more.kept == most
    assert needed(kept).workspace == needed(more).workspace
    few = more.important - kept.important
    drawn = GROUP * (100 + 100) / 1e9  # each of the hundred in both passes
    first, again, inner = 2.2 + 4, 1 + 2.2, 1 + 3.5 + 2 * 4.5 * (0.7 + 0.9)
    applied = GROUP * (100 * (first + again) + few * inner) / 1e9
    slower = needed(more).seconds - needed(kept).seconds
    assert slower == pytest.approx(drawn + applied, rel=1e-6)


def test_an_inverse_that_is_too_large_is_not_kept_whole() -> None:
    assert TOTALS.inverse[0] == 3000**2
    huge = replace(TOTALS, n=20_000)
    whole, matter = huge.inverse
    assert whole == 0
    assert matter < 0.1 * 20_000**2
    assert needed(huge).shared < 4 * 20_000**2


def test_the_peak_is_without_direct_solutions_and_holds_the_tables_once() -> None:
    needs, slots = needed(TOTALS), 3
    drawing = needs.shared + slots * needs.workspace
    assert needs.peak(slots, 7) == 7 + max(needs.preparing, drawing)
    assert needs.directly >= 2 * needs.matrix
