"""Planning is integer arithmetic: one invariant function, a brute-force oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigError
from engine.plan import GROUP, Block, SamplingPlan, Shape, needs, tasks, whole_blocks

plans = st.builds(
    lambda blocks, groups, years: SamplingPlan(
        1, blocks * groups * GROUP, tuple(range(2000, 2000 + years)), groups * GROUP
    ),
    st.integers(1, 9),
    st.integers(1, 7),
    st.integers(1, 6),
)


@given(plans)
def test_blocks_cover_every_draw_of_every_year_exactly_once(plan: SamplingPlan) -> None:
    covered = [(block.year, draw) for block in plan.blocks() for draw in block.draws]
    assert sorted(covered) == [(y, d) for y in plan.years for d in range(plan.draws)]
    assert len(covered) == len(set(covered))


@given(plans, st.integers(1, 5))
def test_tasks_keep_years_apart_and_lose_nothing(plan: SamplingPlan, together: int) -> None:
    blocks = list(plan.blocks())
    bunches = list(tasks(blocks, together))
    assert [block for bunch in bunches for block in bunch] == blocks
    assert all(len({block.year for block in bunch}) == 1 for bunch in bunches)
    assert all(1 <= len(bunch) <= together for bunch in bunches)


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
    shape = Shape(100, 5, 2, 1, 3, 4, 8000, 2.0)

    def seconds(draws: int, years: int, slots: int) -> float:
        plan = SamplingPlan(1, draws, tuple(range(years)), 64)
        return needs(shape, plan, slots, 1e8, 1e10).seconds

    one = seconds(64, 1, 1)
    assert seconds(640, 1, 1) == pytest.approx(10 * one)
    assert seconds(64, 7, 1) == pytest.approx(7 * one)
    assert seconds(64, 1, 2) == pytest.approx(one / 2)
